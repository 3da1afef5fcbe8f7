"""Prepared corpora are whole, divided without a common voice, the same on any machine, and never made twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from brefine.config import PhaseConfig, load_config, prepared_corpus_path
from brefine.data.conversations import Conversation, simulate
from brefine.data.phrases import Voice, load_voice
from brefine.data.prepare import prepare, prepare_part
from brefine.errors import ConfigError, DataError
from brefine.io.corpus import read_corpus
from brefine.io.rttm import read_rttm
from brefine.phasedir import SPLITS, CorpusManifest, Progress


def _recipe(folder: Path, bank: Path, *overrides: str) -> PhaseConfig:
    path = folder / "recipe.toml"
    path.write_text(
        f"""schema = 1
[corpus]
kind = "simulated"
root = "{folder / "data"}"
[corpus.simulation]
n_train = 4
n_validation = 2
n_gate = 2
duration_s = 15.0
n_speakers = [2, 3]
voices = "{bank}"
[models.mlp]
"""
    )
    return load_config(path, overrides)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, tone_bank: Path) -> tuple[PhaseConfig, Path]:
    config = _recipe(tmp_path_factory.mktemp("prepared"), tone_bank)
    return config, prepare(config, n_processes=2)


def _content(folder: Path) -> dict[str, bytes]:
    made = [path for split in SPLITS for path in (folder / split).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in made}


def test_a_prepared_corpus_has_every_part_in_the_corpus_layout(prepared: tuple[PhaseConfig, Path]) -> None:
    """Each split is a corpus folder of its own; the manifest names its files and its summary is beside it."""
    config, folder = prepared
    assert folder == prepared_corpus_path(config)
    manifest = CorpusManifest.read(folder / "corpus.json")
    assert manifest.evidence == "simulated"
    assert {split: len(own) for split, own in manifest.splits.items()} == {"train": 4, "validation": 2, "gate": 2}
    for split, recordings in manifest.splits.items():
        corpus = read_corpus(folder / split)
        assert [one.name for one in corpus.recordings] == [one.name for one in recordings]
        for one in recordings:
            reference = read_rttm(folder / one.reference)[one.name]
            hypothesis = read_rttm(folder / one.hypothesis)[one.name]
            assert max(reference.end_s, hypothesis.end_s) <= one.duration_s == 15.0
            assert list(reference.speakers) == one.speakers
    assert (folder / "features").is_dir()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["splits"]["train"]["recordings"] == 4
    assert 0.0 < summary["splits"]["train"]["boundary"]["recall"] <= 1.0


def test_no_voice_or_recording_is_in_two_splits(prepared: tuple[PhaseConfig, Path]) -> None:
    """Speakers and names of train, validation and gate are disjoint."""
    manifest = CorpusManifest.read(prepared[1] / "corpus.json")
    assert all(one.simulated and one.replayed for split in SPLITS for one in manifest.splits[split])
    for what in (lambda one: one.speakers, lambda one: [one.name]):
        sets = [{item for one in manifest.splits[split] for item in what(one)} for split in SPLITS]
        assert sum(map(len, sets)) == len(set().union(*sets))


def test_no_utterance_is_heard_in_two_splits(tmp_path: Path, tone_bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every file that is opened for a conversation, to speak in it or to babble behind it, one split alone hears anything."""
    heard: dict[str, set[Path]] = {split: set() for split in SPLITS}
    now: list[str] = []

    def simulate_watched(name: str, *rest: Any, **options: Any) -> Conversation:
        now.append(name.partition("-")[0])
        return simulate(name, *rest, **options)

    def load_watched(path: Path) -> Voice | None:
        heard[now[-1]].add(path)
        return load_voice(path)

    monkeypatch.setattr("brefine.data.simulated.simulate", simulate_watched)
    monkeypatch.setattr("brefine.data.phrases.load_voice", load_watched)
    babble = [f"corpus.simulation.{kind}_probability=1.0" for kind in ("noise", "babble")]
    prepare(_recipe(tmp_path, tone_bank, *babble), n_processes=1)
    assert all(len(own) >= 4 for own in heard.values())
    assert sum(map(len, heard.values())) == len(set().union(*heard.values()))


def test_the_number_of_processes_does_not_change_a_byte(
    prepared: tuple[PhaseConfig, Path], tmp_path: Path, tone_bank: Path
) -> None:
    """One worker makes what two workers made: audio, references and hypotheses."""
    alone = prepare(_recipe(tmp_path, tone_bank), n_processes=1)
    assert _content(alone) == _content(prepared[1])


def test_another_seed_makes_another_corpus(prepared: tuple[PhaseConfig, Path], tmp_path: Path, tone_bank: Path) -> None:
    """Seeds change audio and folder alike."""
    other = prepare(_recipe(tmp_path, tone_bank, "seed=1"), n_processes=1)
    assert other.name != prepared[1].name
    assert _content(other) != _content(prepared[1])


def test_a_whole_corpus_is_reused_untouched(prepared: tuple[PhaseConfig, Path]) -> None:
    """A second call leaves every file's time of change alone."""
    config, folder = prepared
    assert CorpusManifest.read(folder / "corpus.json").sources is None
    before = {path: path.stat().st_mtime_ns for split in SPLITS for path in (folder / split).rglob("*")}
    assert prepare(config, n_processes=1) == folder
    assert {path: path.stat().st_mtime_ns for split in SPLITS for path in (folder / split).rglob("*")} == before


def test_a_half_made_corpus_is_resumed(tmp_path: Path, tone_bank: Path) -> None:
    """Without corpus.json, and with a recording torn in the middle, only what is missing is made, to the same bytes."""
    config = _recipe(tmp_path, tone_bank)
    folder = prepare(config, n_processes=1)
    whole = _content(folder)
    kept = folder / "train" / "audio" / "train-00001.flac"
    kept_ns = kept.stat().st_mtime_ns
    (folder / "corpus.json").unlink()
    (folder / "train" / "hypothesis" / "train-00000.rttm").unlink()
    (folder / "train" / "audio" / "train-00000.flac").write_bytes(b"torn")
    prepare(config, n_processes=1)
    assert _content(folder) == whole
    assert kept.stat().st_mtime_ns == kept_ns
    assert CorpusManifest.read(folder / "corpus.json").title == "simulated conversations"


def test_shares_make_what_the_whole_finds(prepared: tuple[PhaseConfig, Path], tmp_path: Path, tone_bank: Path) -> None:
    """Three tasks of an array, more than there are cores or in any order, leave nothing to simulate, to the same bytes."""
    config = _recipe(tmp_path, tone_bank)
    folder = prepared_corpus_path(config)
    for index in (2, 0, 1):
        prepare_part(config, index=index, n_parts=3, n_processes=1)
    assert not (folder / "corpus.json").exists()
    made = {path: path.stat().st_mtime_ns for split in SPLITS for path in (folder / split).rglob("*.*")}
    assert len(made) == 3 * 8
    prepare(config, n_processes=1)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert _content(folder) == _content(prepared[1])
    prepare_part(config, index=0, n_parts=1)  # nothing is left to do


def test_too_few_voices_are_refused_before_anything_is_made(tmp_path: Path, tone_bank: Path) -> None:
    """Twelve voices cannot give three splits of five."""
    config = _recipe(tmp_path, tone_bank, "corpus.simulation.n_speakers=[2, 5]")
    with pytest.raises(DataError, match="too few voices"):
        prepare(config, n_processes=1)
    assert not (prepared_corpus_path(config) / "corpus.json").exists()


def test_hypotheses_beside_simulated_audio_are_a_contradiction(tmp_path: Path, tone_bank: Path) -> None:
    """There are no RTTMs beside audio that does not exist yet."""
    with pytest.raises(ConfigError, match="measured errors"):
        prepare(_recipe(tmp_path, tone_bank, "hypothesis.source=folder"), n_processes=1)


@pytest.mark.end_to_end
def test_the_command_writes_progress_and_a_page(tmp_path: Path, tone_bank: Path) -> None:
    """`python -m brefine.data prepare` ends with a summary on stdout and a finished progress file."""
    _recipe(tmp_path, tone_bank)
    progress = tmp_path / "progress" / "prepare.json"
    command = [sys.executable, "-m", "brefine.data", "prepare", tmp_path / "recipe.toml", "--progress", progress]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    assert "Errors of the hypotheses" in done.stdout
    assert done.stderr == ""
    assert Progress.read(progress).state == "finished"


@pytest.mark.end_to_end
def test_a_failure_is_told_without_a_traceback_and_in_the_progress_file(tmp_path: Path) -> None:
    """Voices that are not there: exit code 1, one message, progress `failed` with the same words."""
    _recipe(tmp_path, tmp_path / "nowhere")
    progress = tmp_path / "prepare.json"
    command = [sys.executable, "-m", "brefine.data", "prepare", tmp_path / "recipe.toml", "--progress", progress]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no such folder of voices" in done.stderr
    assert "Traceback" not in done.stderr
    assert "no such folder of voices" in (Progress.read(progress).error or "")


@pytest.mark.parametrize(
    ("name", "falling"),
    [("short_turns", "[0.7, 0.0]"), ("silence_factor", "[5.0, 1.0]"), ("n_speakers", "[4, 2]"), ("snr_db", "[30.0, 3.0]")],
)
def test_a_range_that_falls_is_refused(tmp_path: Path, tone_bank: Path, name: str, falling: str) -> None:
    """By its name, before anything is made: silently it would mean nothing, or fail in the middle of the work."""
    with pytest.raises(ConfigError, match=f"`{name}` is a range, lowest first"):
        _recipe(tmp_path, tone_bank, f"corpus.simulation.{name}={falling}")
