"""Prepared corpora are whole, divided without a common voice, the same on any machine, and never made twice."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import soundfile

from brefine.config import DiarizerConfig, PhaseConfig, load_config, prepared_corpus_path
from brefine.core.turns import Diarization, Turn
from brefine.data import prepare as preparing
from brefine.data.__main__ import main
from brefine.data.conversations import Conversation, simulate
from brefine.data.corpora import changes_since
from brefine.data.phrases import Voice, load_voice
from brefine.data.prepare import prepare, prepare_part
from brefine.data.system_errors import SystemErrors, load_system_errors, replay, system_errors_to_json
from brefine.errors import ConfigError, DataError, ProcessError, run_main
from brefine.io.atomic import write_json_atomic
from brefine.io.corpus import read_corpus
from brefine.io.rttm import read_rttm
from brefine.phasedir import SPLITS, CorpusManifest, Progress, corrected_labels
from tests.data.conftest import write_tone_bank
from tests.data.killed_pool import KilledPool, OneThread, failing_slowly


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
        assert [one.name for one in corpus] == [one.name for one in recordings]
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
    """A second call writes nothing, not even a lock: a group's corpus may lie where its members can only read."""
    config, folder = prepared
    (folder / ".lock").unlink()
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}
    assert prepare(config, n_processes=1) == folder
    assert {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))} == before


def test_a_whole_corpus_is_not_read_to_find_nothing_to_do(
    prepared: tuple[PhaseConfig, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of audio: what has its size and its time of change is what was prepared, as the gate takes it; else it is read."""
    config, folder = prepared
    opened: list[str] = []

    def noted(path: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(str(path))
        return whole(path, *arguments, **options)

    whole = io.open
    monkeypatch.setattr(io, "open", noted)
    prepare(config)
    audio = {str(path) for path in folder.glob("*/audio/*")}
    assert audio
    assert not audio & {*opened}
    touched = next((folder / "gate" / "audio").iterdir())
    touched.touch()
    before = (folder / "corpus.json").read_bytes()
    prepare(config)
    assert str(touched) in opened
    assert (folder / "corpus.json").read_bytes() == before


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


def _small(folder: Path, bank: Path, *overrides: str) -> PhaseConfig:
    counts = [f"corpus.simulation.n_{split}={count}" for split, count in (("train", 2), ("validation", 1), ("gate", 1))]
    return _recipe(folder, bank, *counts, *overrides)


def _own_errors(path: Path, source: str, *, n_rows: int) -> None:
    learned = system_errors_to_json(load_system_errors("vbx-voxconverse"))
    write_json_atomic(path, learned | {"source": source, "rows": learned["rows"][:n_rows]})


def test_errors_that_were_learned_anew_make_another_simulated_corpus(tmp_path: Path, tone_bank: Path) -> None:
    """Hypotheses drawn from the earlier ones are stale, and weights that learned from them no longer fit; audio is the same."""
    errors = tmp_path / "mine.json"
    _own_errors(errors, "one system", n_rows=2000)
    config = _small(tmp_path, tone_bank, f"hypothesis.errors={errors}")
    folder = prepare(config, n_processes=1)
    before, content = CorpusManifest.read(folder / "corpus.json"), _content(folder)
    _own_errors(errors, "another system", n_rows=1000)
    assert corrected_labels(before, config) == ["hypothesis/mine.json"]
    prepare(config, n_processes=1)
    after = CorpusManifest.read(folder / "corpus.json")
    assert after.hypothesis_source == "replayed errors: another system"
    assert after.fingerprint() != before.fingerprint()
    assert corrected_labels(after, config) == []
    changed = {Path(name).parent.name for name, made in _content(folder).items() if made != content[name]}
    assert changed == {"hypothesis"}
    assert "prepared anew (hypothesis/mine.json: changed)" in json.loads((folder / "summary.json").read_text())["notes"]


def test_exchanged_voices_make_the_conversations_anew(tmp_path: Path) -> None:
    """Names, sizes and times may be the same: content counts. Voices that are gone leave a corpus that is whole as it is."""
    bank = write_tone_bank(tmp_path / "bank")
    config = _small(tmp_path, bank)
    folder = prepare(config, n_processes=1)
    before, content = CorpusManifest.read(folder / "corpus.json"), _content(folder)
    for path in bank.iterdir():
        samples, rate_hz = soundfile.read(path)
        soundfile.write(path, samples[::-1], rate_hz, subtype="PCM_16")
    prepare(config, n_processes=1)
    after = CorpusManifest.read(folder / "corpus.json")
    assert after.fingerprint() != before.fingerprint()
    assert all(made != content[name] for name, made in _content(folder).items() if name.endswith(".flac"))
    assert "prepared anew (voices: changed)" in json.loads((folder / "summary.json").read_text())["notes"]
    bank.rename(tmp_path / "away")
    prepare(config, n_processes=1)
    assert CorpusManifest.read(folder / "corpus.json") == after


@pytest.mark.parametrize("in_shares", [False, True])
def test_an_interrupted_prepare_mixes_no_two_errors(tmp_path: Path, tone_bank: Path, in_shares: bool) -> None:
    """What a half-made corpus holds from other errors is made anew, also where shares work at it."""
    errors = tmp_path / "mine.json"
    config = _small(tmp_path, tone_bank, f"hypothesis.errors={errors}")
    _own_errors(errors, "one system", n_rows=2000)
    prepare_part(config, index=0, n_parts=2, n_processes=1)
    _own_errors(errors, "another system", n_rows=1000)
    if in_shares:
        prepare_part(config, index=1, n_parts=2, n_processes=1)
    mixed = _content(prepare(config, n_processes=1))
    (prepared_corpus_path(config) / "corpus.json").unlink()
    (prepared_corpus_path(config) / "sources.json").unlink()
    assert _content(prepare(config, n_processes=1)) == mixed


def test_a_half_made_corpus_whose_sources_cannot_be_read_is_made_anew(tmp_path: Path, tone_bank: Path) -> None:
    """A damaged record tells nothing of what is there; it is no reason to give up."""
    config = _small(tmp_path, tone_bank)
    folder = prepare(config, n_processes=1)
    whole = _content(folder)
    (folder / "corpus.json").unlink()
    (folder / "sources.json").write_text('{"voices"')
    (folder / "train" / "hypothesis" / "train-00000.rttm").write_bytes(b"")
    prepare(config, n_processes=1)
    assert _content(folder) == whole


def test_a_simulated_corpus_of_an_earlier_version_is_kept_where_nothing_could_have_changed(
    prepared: tuple[PhaseConfig, Path], tmp_path: Path, tone_bank: Path
) -> None:
    """With the built-in voices and the errors that ship; of others it does not tell what they were."""
    config, folder = prepared
    earlier = CorpusManifest.read(folder / "corpus.json").model_copy(update={"sources": None})
    assert changes_since(earlier, folder, _recipe(tmp_path, Path("builtin"))) == []
    assert changes_since(earlier, folder, config) == ["an earlier version prepared it, and did not record from what"]


def test_a_simulated_label_that_was_edited_is_made_anew(tmp_path: Path, tone_bank: Path) -> None:
    """As a real one is taken from its source again."""
    config = _small(tmp_path, tone_bank)
    folder = prepare(config, n_processes=1)
    content, edited = _content(folder), folder / "gate" / "hypothesis" / "gate-00000.rttm"
    edited.write_text("SPEAKER gate-00000 1 0.5 1.0 <NA> <NA> a <NA> <NA>\n")
    assert corrected_labels(CorpusManifest.read(folder / "corpus.json"), config) == ["prepared labels of gate/gate-00000"]
    prepare(config, n_processes=1)
    assert _content(folder) == content


@pytest.mark.parametrize(
    ("share", "n", "heard"), [(0.5, 7, [1, 3, 5]), (0.25, 8, [3, 7]), (0.4, 5, [2, 4]), (0.0, 9, []), (1.0, 3, [0, 1, 2])]
)
def test_conversations_that_a_diarizer_hears_are_evenly_spread(share: float, n: int, heard: list[int]) -> None:
    """At a half every second one; no more than the share of however many there are."""
    assert [index for index in range(n) if preparing._is_heard(index, share)] == heard


def _hears_one_turn(asked: list[set[str]]) -> Callable[..., dict[str, Diarization]]:
    """A diarizer that says the same of every recording."""

    def diarize_all(audio: Mapping[str, Path], diarizer: DiarizerConfig, **_: object) -> dict[str, Diarization]:
        assert diarizer == DiarizerConfig(name="builtin")
        assert all(path.is_file() for path in audio.values())
        asked.append({*audio})
        return {name: Diarization(name, (Turn(1.0, 99.0, "one"),)) for name in audio}

    return diarize_all


def test_the_built_in_diarizer_hears_a_share_of_training_and_validation(
    prepared: tuple[PhaseConfig, Path], tmp_path: Path, tone_bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest tells whose errors were replayed; the audio, and what is replayed, are those of a corpus without it."""
    asked: list[set[str]] = []
    monkeypatch.setattr(preparing, "diarize_all", _hears_one_turn(asked))
    config = _recipe(tmp_path, tone_bank, "hypothesis.builtin_share=0.5", "diarizer.name=diarizen", "diarizer.model=theirs")
    folder = prepare(config, n_processes=1)
    heard = {"train-00001", "train-00003", "validation-00001"}
    assert asked == [heard]
    assert folder.name != prepared[1].name
    manifest = CorpusManifest.read(folder / "corpus.json")
    everything = [one for split in SPLITS for one in manifest.splits[split]]
    assert {one.name for one in everything if not one.replayed} == heard
    assert manifest.hypothesis_source.endswith("for 50 % of train and validation the built-in diarizer's own")
    content, plain = _content(folder), _content(prepared[1])
    assert {Path(name).stem for name in content if content[name] != plain[name]} == heard
    for one in everything:
        if one.name in heard:
            assert read_rttm(folder / one.hypothesis)[one.name].turns == (Turn(1.0, 15.0, "one"),)
    prepare(config, n_processes=1)
    assert asked == [heard]


def test_shares_ask_the_built_in_diarizer_for_no_more(tmp_path: Path, tone_bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them for what it has made itself and is to be heard; none for hypotheses that are replayed."""
    asked: list[set[str]] = []
    monkeypatch.setattr(preparing, "diarize_all", _hears_one_turn(asked))
    config = _small(tmp_path, tone_bank, "hypothesis.builtin_share=0.5")
    for index in (0, 1):
        prepare_part(config, index=index, n_parts=2, n_processes=1)
    assert asked == [{"train-00001"}]


def test_too_few_voices_are_refused_before_anything_is_made(tmp_path: Path, tone_bank: Path) -> None:
    """Twelve voices cannot give three splits of five."""
    config = _recipe(tmp_path, tone_bank, "corpus.simulation.n_speakers=[2, 5]")
    with pytest.raises(DataError, match="too few voices"):
        prepare(config, n_processes=1)
    assert not (prepared_corpus_path(config) / "corpus.json").exists()


def test_a_system_that_hears_no_speech_is_not_asked_for_ever(
    tmp_path: Path, tone_bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wrote the summary of its errors: that of hypotheses without speech has no change in any row."""
    asked = []

    def counted(errors: SystemErrors, reference: Diarization, **options: Any) -> Diarization:
        asked.append(reference.recording)
        assert len(asked) < 1000
        return replay(errors, reference, **options)

    monkeypatch.setattr("brefine.data.simulated.replay", counted)
    tree = system_errors_to_json(load_system_errors("vbx-voxconverse"))
    silent = tmp_path / "silent.json"
    silent.write_text(json.dumps(tree | {"source": "nobody", "rows": [[*row[:9], 0] for row in tree["rows"][:200]]}))
    with pytest.raises(DataError, match=r"hears no speech \(expected turns in one of 100 replays, got none, with .* of nobody\)"):
        prepare(_small(tmp_path, tone_bank, f"hypothesis.errors={silent}"), n_processes=1)


def test_a_worker_that_is_killed_is_told(tmp_path: Path, tone_bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words instead of the pool's traceback."""
    monkeypatch.setattr("brefine.data.workers._Pool", KilledPool)
    with pytest.raises(ProcessError, match="a worker process was killed"):
        prepare(_recipe(tmp_path, tone_bank), n_processes=2)


@pytest.mark.parametrize("n_processes", [1, 2])
def test_conversations_behind_one_that_fails_are_not_made_first(
    tmp_path: Path, tone_bank: Path, monkeypatch: pytest.MonkeyPatch, n_processes: int
) -> None:
    """They may take hours."""
    monkeypatch.setattr("brefine.data.workers._Pool", OneThread)
    taken = failing_slowly(monkeypatch, "brefine.data.simulated._make_conversation")
    with pytest.raises(DataError, match="this one cannot"):
        prepare(_recipe(tmp_path, tone_bank, "corpus.simulation.n_train=40"), n_processes=n_processes)
    assert len(taken) < 20


def test_hypotheses_beside_simulated_audio_are_a_contradiction(tmp_path: Path, tone_bank: Path) -> None:
    """There are no RTTMs beside audio that does not exist yet."""
    with pytest.raises(ConfigError, match="measured errors"):
        prepare(_recipe(tmp_path, tone_bank, "hypothesis.source=folder"), n_processes=1)


@pytest.mark.end_to_end
def test_the_command_writes_progress_and_a_page(tmp_path: Path, tone_bank: Path) -> None:
    """`python -m brefine.data prepare` ends with a summary on stdout and a finished progress file."""
    _recipe(tmp_path, tone_bank)
    progress = tmp_path / "progress" / "prepare.json"
    command = [
        sys.executable,
        "-m",
        "brefine.data",
        "prepare",
        tmp_path / "recipe.toml",
        "--progress",
        progress,
        "--processes",
        "1",
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    assert "Errors of the hypotheses" in done.stdout
    assert done.stderr == ""
    assert Progress.read(progress).state == "finished"


def test_a_preparation_that_a_person_started_is_stopped_by_sigterm_as_by_ctrl_c(
    tmp_path: Path, tone_bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what it has begun is undone; one that a supervisor started ends by the signal, and is started again."""
    _recipe(tmp_path, tone_bank)
    monkeypatch.setattr("brefine.data.prepare.prepare", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    monkeypatch.setattr("sys.argv", ["brefine.data", "prepare", str(tmp_path / "recipe.toml")])
    with pytest.raises(KeyboardInterrupt):
        main()


def test_a_failure_is_told_without_a_traceback_and_in_the_progress_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Voices that are not there: exit code 1, one message, progress `failed` with the same words."""
    _recipe(tmp_path, tmp_path / "nowhere")
    progress = tmp_path / "prepare.json"
    monkeypatch.setattr("sys.argv", ["data", "prepare", str(tmp_path / "recipe.toml"), "--progress", str(progress)])
    with pytest.raises(SystemExit) as ended:
        run_main(main)
    err = capsys.readouterr().err
    assert ended.value.code == 1
    assert "no such folder of voices" in err
    assert "Traceback" not in err
    assert "no such folder of voices" in (Progress.read(progress).error or "")


@pytest.mark.parametrize(
    ("name", "falling"),
    [("short_turns", "[0.7, 0.0]"), ("silence_factor", "[5.0, 1.0]"), ("n_speakers", "[4, 2]"), ("snr_db", "[30.0, 3.0]")],
)
def test_a_range_that_falls_is_refused(tmp_path: Path, tone_bank: Path, name: str, falling: str) -> None:
    """By its name, before anything is made: silently it would mean nothing, or fail in the middle of the work."""
    with pytest.raises(ConfigError, match=f"`{name}` is a range, lowest first"):
        _recipe(tmp_path, tone_bank, f"corpus.simulation.{name}={falling}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bridge_pause_s", "[-0.2, 0.8]"),
        ("onset_margin_s", "[-2.0, -1.0]"),
        ("offset_margin_s", "[-0.1, 0.0]"),
        ("duration_s", "0.3"),
    ],
)
def test_what_no_conversation_can_be_made_with_is_refused(tmp_path: Path, tone_bank: Path, name: str, value: str) -> None:
    """Turns that end before they begin, and recordings too short for one, are told by the key, before anything is made."""
    with pytest.raises(ConfigError, match=rf"simulation\.{name}.*should be greater than or equal to"):
        _recipe(tmp_path, tone_bank, f"corpus.simulation.{name}={value}")
