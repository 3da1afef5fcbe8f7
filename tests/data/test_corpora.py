"""Corpora that exist already: divided without a common speaker, and joined by simulated conversations in training alone."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.config import (
    DiarizerConfig,
    DiarizerName,
    HypothesisConfig,
    PhaseConfig,
    load_config,
    parse_config,
    prepared_corpus_path,
)
from brefine.core.boundaries import ends_of_speech
from brefine.core.turns import Diarization, Turn
from brefine.data import hypotheses
from brefine.data.audit import Audited, audit_corpus
from brefine.data.conversations import SIMULATED, write_audio
from brefine.data.corpora import changes_since, divide
from brefine.data.hypotheses import diarize_all, diarizer_of
from brefine.data.prepare import prepare
from brefine.data.simulated import make_until
from brefine.data.splits import Split
from brefine.data.system_errors import learn_system_errors, load_system_errors, system_errors_to_json
from brefine.errors import ConfigError, DataError, ProcessError
from brefine.io.atomic import read_json, write_json_atomic
from brefine.io.corpus import Recording
from brefine.io.rttm import read_rttm, write_rttm
from brefine.phasedir import SPLITS, CorpusManifest, corrected_labels

RATE_HZ = 16000


def _talk(name: str, speakers: tuple[str, str], *, n_turns: int, seed: int) -> tuple[np.ndarray, Diarization, Diarization]:
    """Noise bursts in turn, where they are, and the same 60 ms late."""
    rng = np.random.default_rng(seed)
    turns, time_s = [], 0.5
    for index in range(n_turns):
        end_s = time_s + float(rng.uniform(0.3, 0.6))
        turns.append(Turn(round(time_s, 3), round(end_s, 3), speakers[index % 2]))
        time_s = end_s + float(rng.uniform(0.3, 0.5))
    samples = rng.normal(0.0, 1e-3, round((time_s + 0.5) * RATE_HZ))
    for turn in turns:
        span = slice(round(turn.onset_s * RATE_HZ), round(turn.offset_s * RATE_HZ))
        samples[span] += rng.normal(0.0, 0.1, span.stop - span.start)
    late = tuple(Turn(turn.onset_s + 0.06, turn.offset_s + 0.06, turn.speaker[-1]) for turn in turns)
    return samples, Diarization(name, tuple(turns)), Diarization(name, late)


def _folder(folder: Path, talks: dict[str, tuple[str, str]], *, n_turns: int, seed: int) -> Path:
    for place, (name, speakers) in enumerate(talks.items()):
        samples, reference, hypothesis = _talk(name, speakers, n_turns=n_turns, seed=seed + place)
        (folder / "audio").mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "audio" / f"{name}.wav", samples, RATE_HZ)
        write_rttm(folder / "reference" / f"{name}.rttm", reference)
        write_rttm(folder / "hypothesis" / f"{name}.rttm", hypothesis)
    return folder


_TRAIN = {"one": ("ann", "bob"), "two": ("bob", "cem"), "three": ("dan", "eva"), "four": ("spk00", "spk01")}


def _recipe(
    tmp_path: Path, bank: Path, *overrides: str, n_turns: int = 60, gate: tuple[str, str] = ("fay", "gus")
) -> PhaseConfig:
    train = _folder(tmp_path / "train", _TRAIN, n_turns=n_turns, seed=0)
    behind = _folder(tmp_path / "gate", {"five": gate}, n_turns=8, seed=9)
    (tmp_path / "recipe.toml").write_text(
        f"""schema = 1
[corpus]
kind = "folder"
root = "{tmp_path / "data"}"
train = "{train}"
gate = "{behind}"
[corpus.simulation]
duration_s = 15.0
n_speakers = [2, 2]
voices = "{bank}"
[hypothesis]
source = "folder"
[models.mlp]
"""
    )
    return load_config(tmp_path / "recipe.toml", overrides)


@pytest.fixture(autouse=True)
def _a_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversations are made in batches, of which these small corpora need a part."""
    monkeypatch.setattr("brefine.data.simulated._AT_ONCE", 4)


def test_simulated_conversations_join_training_alone(tmp_path: Path, tone_bank: Path) -> None:
    """Half as many simulated boundaries as real ones, with the errors of the training recordings' own hypotheses."""
    config = _recipe(tmp_path, tone_bank, "corpus.synthetic_per_real=0.5")
    folder = prepare(config, n_processes=1)
    manifest = CorpusManifest.read(folder / "corpus.json")
    assert manifest.evidence == "real"
    simulated = {split: [one for one in manifest.splits[split] if one.simulated] for split in SPLITS}
    assert simulated["train"]
    assert not simulated["validation"]
    assert not simulated["gate"]

    def n_boundaries(real: bool) -> list[int]:
        chosen = [one for one in manifest.splits["train"] if one.simulated != real]
        return [
            len(ends_of_speech(read_rttm(folder / one.reference)[one.name], extent_s=(0.0, one.duration_s))) for one in chosen
        ]

    wanted = round(0.5 * sum(n_boundaries(real=True)))
    made = n_boundaries(real=False)
    assert sum(made) >= wanted > sum(made[:-1])
    assert len(list((folder / "train" / "audio").iterdir())) == len(made)

    late_s = []
    for one in simulated["train"]:
        reference, hypothesis = (read_rttm(folder / path)[one.name] for path in (one.reference, one.hypothesis))
        late_s += [min(abs(turn.onset_s - true.onset_s - 0.06) for true in reference.turns) for turn in hypothesis.turns]
    assert np.median(late_s) < 0.005  # the folder's system is 60 ms late; VBx, whose errors ship, is not

    assert not Split(folder, "train", config.features).redrawable.any()
    summary = read_json(folder / "summary.json")
    assert summary["splits"]["train"]["simulated"] == len(made)
    assert any("are simulated" in note for note in summary["notes"])


def test_what_a_uem_leaves_out_counts_nowhere(tmp_path: Path, tone_bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that hears all of a recording, of which the beginning is annotated: nothing it says later is a false alarm.

    Neither in the page on the corpus nor in the errors that are learnt for simulated conversations, of which there are as many
    as the annotated part has boundaries.
    """
    config = _recipe(tmp_path, tone_bank, "corpus.synthetic_per_real=0.1", n_turns=120)
    counts = {}
    for corpus in (tmp_path / "train", tmp_path / "gate"):
        lines = []
        for path in sorted((corpus / "reference").iterdir()):
            ((name, found),) = read_rttm(path).items()
            kept = found.turns[: len(found.turns) // 2]
            end_s = kept[-1].offset_s + 0.1
            counts[name] = 2 * len(kept)
            write_rttm(path, Diarization(name, kept))
            lines.append(f"{name} 1 0.0 {end_s:.3f}\n")  # in a gap
        (corpus / "all.uem").write_text("".join(lines))
    learned, wanted = [], []

    def learn(pairs, **options):
        learned.extend(pairs)
        return learn_system_errors(pairs, **options)

    def make(studio, n_boundaries, **options):
        wanted.append(n_boundaries)
        return make_until(studio, n_boundaries, **options)

    monkeypatch.setattr("brefine.data.corpora.learn_system_errors", learn)
    monkeypatch.setattr("brefine.data.corpora.make_until", make)
    folder = prepare(config, n_processes=1)
    summary = read_json(folder / "summary.json")
    for split in ("validation", "gate"):
        told = summary["splits"][split]
        assert told["boundary"]["precision"] == told["boundary"]["recall"] == 1.0
        assert told["boundaries"] == sum(counts[one.name] for one in CorpusManifest.read(folder / "corpus.json").splits[split])
    assert len(learned) > 1
    assert all(len(hypothesis.turns) == len(reference.turns) for reference, hypothesis in learned)
    assert wanted == [round(0.1 * sum(counts[reference.recording] for reference, _ in learned))]


def test_no_speaker_recording_or_utterance_crosses_splits(tmp_path: Path, tone_bank: Path) -> None:
    """Also with simulated conversations: recordings that share a named speaker stay together, and voices are trained on only."""
    config = _recipe(tmp_path, tone_bank, "corpus.synthetic_per_real=0.1", gate=("S03", "gus"))
    manifest = CorpusManifest.read(prepare(config, n_processes=1) / "corpus.json")
    names = {split: {one.name for one in manifest.splits[split]} for split in SPLITS}
    speakers = {
        split: {name for one in manifest.splits[split] for name in one.speakers if not name.startswith("spk")} for split in SPLITS
    }
    audio = {split: {Path(one.audio).name for one in manifest.splits[split]} for split in SPLITS}
    for sets in (names, speakers, audio):
        assert sum(map(len, sets.values())) == len(set().union(*sets.values()))
    assert "S03" in speakers["gate"]  # a voice of the bank that the gate knows is not simulated with


def test_a_users_recordings_are_never_taken_for_a_stale_corpus(tmp_path: Path, tone_bank: Path) -> None:
    """Prepared into the folder above its own parts, or into another corpus, it would remove them."""
    mine = tmp_path / "mine"
    for split in ("train", "gate"):
        _folder(mine / split, {split: (f"{split}-a", f"{split}-b")}, n_turns=6, seed=1)
    files = {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()}
    own = f'kind = "folder"\ntrain = "{mine}/train"\ngate = "{mine}/gate"'
    made = f'kind = "simulated"\nsimulation.voices = "{tone_bank}"'
    for corpus, told in ((own, "mine/train"), (made, "mine/train/audio")):
        recipe = parse_config(f"schema = 1\n[corpus]\n{corpus}\n[models.mlp]\n", where="here")
        with pytest.raises(DataError, match=rf"left alone(?s:.*){told}"):
            prepare(recipe, out=mine, n_processes=1)
    assert {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()} == files


def test_common_recordings_and_speakers_are_refused_together(tmp_path: Path, tone_bank: Path) -> None:
    """A speaker by name in both corpora is told; numbered names say nothing."""
    config = _recipe(tmp_path, tone_bank, n_turns=6, gate=("ann", "spk00"))
    _folder(tmp_path / "gate", {"two": ("hal", "spk01")}, n_turns=6, seed=5)
    with pytest.raises(DataError) as refused:
        prepare(config, n_processes=1)
    assert set(refused.value.problems) == {"recording two is in both corpora", "five: speaker ann is in both corpora"}


def test_a_simulated_recording_stays_simulated_in_a_folder_of_ones_own(tmp_path: Path, tone_bank: Path) -> None:
    """Whoever gives brefine's own conversations as real ones is told, and the evidence is called what it is."""
    config = _recipe(tmp_path, tone_bank)
    (original,) = (tmp_path / "gate" / "audio").glob("*.wav")
    samples, _ = soundfile.read(original)
    original.unlink()
    write_audio(original.with_suffix(".flac"), samples)
    folder = prepare(config, n_processes=1)
    manifest = CorpusManifest.read(folder / "corpus.json")
    assert manifest.evidence == "simulated"
    assert [one.simulated for one in manifest.splits["gate"]] == [True]
    assert not any(one.simulated for one in manifest.splits["validation"])
    notes = read_json(folder / "summary.json")["notes"]
    assert any("1 of its recordings were simulated by brefine" in note for note in notes)


def test_a_simulated_recording_that_was_converted_is_known_by_its_reference(tmp_path: Path, tone_bank: Path) -> None:
    """A WAV has no comment that says who made it; its reference does, as brefine wrote it, and as it is prepared from that."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    counts = [f"corpus.simulation.n_{split}=1" for split in SPLITS]
    made = load_config(tmp_path / "recipe.toml", ["corpus.kind=simulated", "hypothesis.source=replayed", *counts])
    home = prepare(made, n_processes=1)
    (one,) = CorpusManifest.read(home / "corpus.json").splits["gate"]
    gate = tmp_path / "gate"
    for old in gate.glob("*/five.*"):
        old.unlink()
    samples, rate_hz = soundfile.read(home / one.audio)
    soundfile.write(gate / "audio" / f"{one.name}.wav", samples, rate_hz)
    write_rttm(gate / "hypothesis" / f"{one.name}.rttm", read_rttm(home / one.hypothesis).values())  # a diarizer's, it seems
    for _ in range(2):  # the second time from what the first has prepared
        shutil.copy(home / one.reference, gate / "reference" / f"{one.name}.rttm")
        home = prepare(config, n_processes=1)
        manifest = CorpusManifest.read(home / "corpus.json")
        (one,) = manifest.splits["gate"]
        assert (manifest.evidence, one.simulated, one.replayed) == ("simulated", True, False)
        assert not any(own.simulated for own in manifest.splits["train"])


@pytest.mark.parametrize("place", ["beside the audio", "a folder"])
def test_replayed_hypotheses_are_known_in_any_folder(tmp_path: Path, tone_bank: Path, place: str) -> None:
    """Copied as files, they stay errors drawn anew, and so does what is prepared from them; the evidence is called what it is."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    replayed = config.model_copy(update={"hypothesis": HypothesisConfig(source="replayed")})
    home = prepare(replayed, n_processes=1)
    for _ in range(2):  # the second time from what the first has prepared
        for path in home.glob("*/hypothesis/*.rttm"):
            if place == "a folder":
                (tmp_path / "copies").mkdir(exist_ok=True)
                shutil.copy(path, tmp_path / "copies" / path.name)
            else:
                shutil.copy(path, tmp_path / ("gate" if path.name == "five.rttm" else "train") / "hypothesis" / path.name)
        if place == "a folder":
            folder = HypothesisConfig(source="folder", folder=str(tmp_path / "copies"))
            config = config.model_copy(update={"hypothesis": folder})
        home = prepare(config, n_processes=1)
        manifest = CorpusManifest.read(home / "corpus.json")
        assert manifest.evidence == "simulated"
        assert all(one.replayed for split in SPLITS for one in manifest.splits[split])
    words = "gate: 1 of its hypotheses are errors that brefine replayed, so the evidence is simulated"
    assert words in read_json(home / "summary.json")["notes"]


def test_copies_of_a_recording_cross_nothing(tmp_path: Path, tone_bank: Path) -> None:
    """The same samples under another name, even in another container, are refused behind the gate, and are not validated on."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    samples, rate_hz = soundfile.read(tmp_path / "train" / "audio" / "four.wav", dtype="int16")
    for copy in (tmp_path / "gate" / "audio" / "copy.flac", tmp_path / "train" / "audio" / "again.flac"):
        soundfile.write(copy, samples, rate_hz)
        for part in ("reference", "hypothesis"):
            own = read_rttm(tmp_path / "train" / part / "four.rttm")["four"]
            write_rttm(copy.parents[1] / part / f"{copy.stem}.rttm", Diarization(copy.stem, own.turns))
    with pytest.raises(DataError) as refused:
        prepare(config, n_processes=1)
    assert refused.value.problems == ("recording copy is in both corpora, in the other as four",)
    known = audit_corpus(tmp_path / "train", needs_hypothesis=True).recordings
    for seed in range(20):
        train, validation = ({one.recording.name for one in part} for part in divide(known, 0.3, seed=seed))
        assert any({"four", "again"} <= part for part in (train, validation))


def _copy(folder: Path, name: str, copy: str) -> None:
    samples, rate_hz = soundfile.read(folder / "audio" / f"{name}.wav", dtype="int16")
    soundfile.write(folder / "audio" / f"{copy}.flac", samples, rate_hz)
    for part in ("reference", "hypothesis"):
        write_rttm(folder / part / f"{copy}.rttm", Diarization(copy, read_rttm(folder / part / f"{name}.rttm")[name].turns))


def test_copies_within_a_corpus_are_told(tmp_path: Path, tone_bank: Path) -> None:
    """Behind the gate each would count as evidence of its own; among the training recordings they merely weigh more."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    _copy(tmp_path / "train", "four", "zeta")
    _copy(tmp_path / "gate", "five", "six")
    with pytest.raises(DataError) as refused:
        prepare(config, n_processes=1)
    assert refused.value.problems == ("gate: six is the same recording as five",)
    (tmp_path / "gate" / "audio" / "six.flac").unlink()
    for part in ("reference", "hypothesis"):
        (tmp_path / "gate" / part / "six.rttm").unlink()
    assert "train: zeta is the same recording as four" in read_json(prepare(config, n_processes=1) / "summary.json")["notes"]


def _encode_anew(audio: Path) -> None:
    """Vorbis instead of FLAC, a little quieter, without the first 50 ms."""
    samples, rate_hz = soundfile.read(audio, dtype="float32")
    audio.unlink()
    soundfile.write(audio.with_suffix(".ogg"), 0.9 * samples[rate_hz // 20 :], rate_hz)


def test_copies_that_were_encoded_anew_cross_nothing(tmp_path: Path, tone_bank: Path) -> None:
    """Not a sample is the same, and the labels may be another annotator's; they are told and kept together like exact copies."""
    config = _recipe(tmp_path, tone_bank, n_turns=18)
    for corpus, copied in (("train", "zeta"), ("gate", "copy")):
        _copy(tmp_path / "train", "four", copied)
        for part, suffix in (("audio", "flac"), ("reference", "rttm"), ("hypothesis", "rttm")):
            (tmp_path / "train" / part / f"{copied}.{suffix}").rename(tmp_path / corpus / part / f"{copied}.{suffix}")
        _encode_anew(tmp_path / corpus / "audio" / f"{copied}.flac")
    _corrected(tmp_path / "gate" / "reference" / "copy.rttm")
    with pytest.raises(DataError) as refused:
        prepare(config, n_processes=1)
    alike, equal = sorted(refused.value.problems)
    assert equal == "recording copy is in both corpora, in the other as zeta"
    place = r"\d+\.\d–\d+\.\d s of"
    assert re.fullmatch(f"gate: copy sounds like four: {place} copy is like {place} four", alike)
    for part, suffix in (("audio", "ogg"), ("reference", "rttm"), ("hypothesis", "rttm")):
        (tmp_path / "gate" / part / f"copy.{suffix}").unlink()
    folder = prepare(config, n_processes=1)
    assert any(note.startswith("zeta sounds like four: ") for note in read_json(folder / "summary.json")["notes"])
    splits = CorpusManifest.read(folder / "corpus.json").splits
    assert any({"four", "zeta"} <= {one.name for one in splits[split]} for split in ("train", "validation"))


def test_what_is_known_to_differ_is_let_through_and_noted(tmp_path: Path, tone_bank: Path) -> None:
    """By the pair's names, in whichever order; the refusal tells what to write. Equal samples are refused all the same."""
    config = _recipe(tmp_path, tone_bank, n_turns=18)
    _copy(tmp_path / "train", "four", "copy")
    for part, suffix in (("audio", "flac"), ("reference", "rttm"), ("hypothesis", "rttm")):
        (tmp_path / "train" / part / f"copy.{suffix}").rename(tmp_path / "gate" / part / f"copy.{suffix}")
    _corrected(tmp_path / "gate" / "reference" / "copy.rttm")
    named = load_config(tmp_path / "recipe.toml", ['corpus.known_to_differ=[["four", "copy"]]'])
    with pytest.raises(DataError) as refused:
        prepare(named, n_processes=1)
    assert refused.value.problems == ("recording copy is in both corpora, in the other as four",)
    _encode_anew(tmp_path / "gate" / "audio" / "copy.flac")
    with pytest.raises(DataError) as refused:
        prepare(config, n_processes=1)
    assert 'corpus.known_to_differ = [["copy", "four"]]' in str(refused.value.hint)
    folder = prepare(named, n_processes=1)
    (words,) = CorpusManifest.read(folder / "corpus.json").alike
    assert words.startswith("gate: copy sounds like four: ")
    assert words.removeprefix("gate: ") in read_json(folder / "summary.json")["notes"]


def test_names_known_to_differ_are_kept_in_the_hint_and_must_exist(tmp_path: Path, tone_bank: Path) -> None:
    """What the refusal says to write replaces what stands there, so it has both; a mistyped name is told with other faults."""
    _recipe(tmp_path, tone_bank, n_turns=18)
    _copy(tmp_path / "train", "four", "copy")
    for part, suffix in (("audio", "flac"), ("reference", "rttm"), ("hypothesis", "rttm")):
        (tmp_path / "train" / part / f"copy.{suffix}").rename(tmp_path / "gate" / part / f"copy.{suffix}")
    _corrected(tmp_path / "gate" / "reference" / "copy.rttm")
    _encode_anew(tmp_path / "gate" / "audio" / "copy.flac")
    named = load_config(tmp_path / "recipe.toml", ['corpus.known_to_differ=[["five", "one"], ["copy", "fuor"]]'])
    with pytest.raises(DataError) as refused:
        prepare(named, n_processes=1)
    like, stranger = refused.value.problems
    assert like.startswith("gate: copy sounds like four: ")
    assert stranger == "corpus.known_to_differ: no recording is named fuor"
    assert 'corpus.known_to_differ = [["five", "one"], ["copy", "fuor"], ["copy", "four"]]' in str(refused.value.hint)


def _name_speakers(folder: Path, name: str) -> None:
    for path in (folder / "reference").glob("*.rttm"):
        turns = read_rttm(path)[path.stem].turns
        write_rttm(path, Diarization(path.stem, tuple(dataclasses.replace(turn, speaker=name) for turn in turns)))


def test_roles_that_the_recipe_names_cross_and_are_told(tmp_path: Path, tone_bank: Path) -> None:
    """Somebody else is the agent in each call: the refusal tells what to write, which the division heeds, too."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    _name_speakers(tmp_path / "train", "agent")
    with pytest.raises(DataError) as refused:
        prepare(config, n_processes=1)
    assert "belong in corpus.local_speaker_names" in str(refused.value.hint)
    _name_speakers(tmp_path / "gate", "agent")
    mistyped = load_config(tmp_path / "recipe.toml", ['corpus.local_speaker_names=["agnet"]'])
    with pytest.raises(DataError) as refused:
        prepare(mistyped, n_processes=1)
    stranger = "corpus.local_speaker_names: no speaker is named agnet"
    assert refused.value.problems == ("five: speaker agent is in both corpora", stranger)
    assert 'corpus.local_speaker_names = ["agnet", "agent"]' in str(refused.value.hint)
    named = load_config(tmp_path / "recipe.toml", ['corpus.local_speaker_names=["agent"]'])
    assert prepared_corpus_path(named) != prepared_corpus_path(config)
    told = "corpus.local_speaker_names takes a name for somebody else in each recording, as if it were a number: agent"
    assert told in read_json(prepare(named, n_processes=1) / "summary.json")["notes"]


def test_high_numbers_in_both_corpora_are_told(tmp_path: Path, tone_bank: Path) -> None:
    """They may be people, who are numbered in a corpus, or not: nobody is refused."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    for folder in ("train", "gate"):
        _name_speakers(tmp_path / folder, "1272")
    told = "speakers behind the gate have the numbers of others in training, and may be the same people: 1272"
    assert told in read_json(prepare(config, n_processes=1) / "summary.json")["notes"]


def test_one_reference_in_both_corpora_is_refused(tmp_path: Path, tone_bank: Path) -> None:
    """Also shifted, and with other speakers' names: eight turns are never alike by chance. Fewer may be."""
    config = _recipe(tmp_path, tone_bank, n_turns=12)
    turns = read_rttm(tmp_path / "train/reference/four.rttm")["four"].turns

    def share(n_turns: int) -> None:
        for name, folder, shift_s in (("four", "train", 0.0), ("five", "gate", 0.05)):
            own = [Turn(one.onset_s + shift_s, one.offset_s + shift_s, f"{name}-{one.speaker}") for one in turns[:n_turns]]
            write_rttm(tmp_path / folder / "reference" / f"{name}.rttm", Diarization(name, tuple(own)))

    share(8)
    with pytest.raises(DataError) as refused:
        prepare(config, n_processes=1)
    assert refused.value.problems == ("five: its reference is that of four in the other corpus, turn by turn",)
    share(7)
    prepare(config, n_processes=1)


def test_recordings_of_the_same_people_behind_the_gate_are_told(tmp_path: Path, tone_bank: Path) -> None:
    """Pieces of one meeting are no independent recordings, whatever `gate.min_recordings` counts; simulated ones do not count."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    _folder(tmp_path / "gate", {"six": ("fay", "hal"), "seven": ("ida", "spk00"), "eight": ("ida", "jon")}, n_turns=6, seed=20)
    simulated = tmp_path / "gate/reference/eight.rttm"
    write_rttm(simulated, read_rttm(simulated).values(), mark=SIMULATED)
    notes = read_json(prepare(config, n_processes=1) / "summary.json")["notes"]
    assert notes == [
        "gate: 3 recordings, but only 2 groups that share no speaker: intervals count recordings",
        "gate: 1 of its recordings were simulated by brefine, so the evidence is simulated",
    ]


def test_hypotheses_that_are_the_references_are_told(tmp_path: Path, tone_bank: Path) -> None:
    """Whatever their speakers are called: some are told; where there is no other, nothing can be learnt, or judged."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    _folder(tmp_path / "gate", {"six": ("hal", "ida")}, n_turns=6, seed=20)

    def give(corpus: str, name: str) -> None:
        turns = read_rttm(tmp_path / corpus / "reference" / f"{name}.rttm")[name].turns
        said = tuple(Turn(one.onset_s, one.offset_s, f"x{one.speaker}") for one in turns)
        write_rttm(tmp_path / corpus / "hypothesis" / f"{name}.rttm", Diarization(name, said))

    for name in ("one", "four"):
        give("train", name)
    give("gate", "six")
    notes = read_json(prepare(config, n_processes=1) / "summary.json")["notes"]
    words = ["train: the hypothesis equals the reference in 2 of 4 recordings: four, one"]
    words.append("gate: the hypothesis equals the reference in 1 of 2 recordings: six")
    assert notes[:2] == words
    give("gate", "five")
    with pytest.raises(DataError, match="the hypotheses are the references") as refused:
        prepare(config, n_processes=1)
    assert refused.value.problems == ("gate: the hypothesis equals the reference in 2 of 2 recordings: five, six",)


def test_recordings_that_a_folder_of_hypotheses_lacks_are_named(tmp_path: Path, tone_bank: Path) -> None:
    """A diarizer that left out recordings of training or gate is not taken for one that heard nobody there."""
    config = _recipe(tmp_path, tone_bank, f"hypothesis.folder={tmp_path / 'new'}", n_turns=6)
    (tmp_path / "new").mkdir()
    for name in ("one", "two", "four"):
        shutil.copy(tmp_path / "train" / "hypothesis" / f"{name}.rttm", tmp_path / "new")
    with pytest.raises(DataError, match="hypotheses are missing") as refused:
        prepare(config, n_processes=1)
    assert sorted(refused.value.problems) == ["five: no hypothesis", "three: no hypothesis"]


def _spoken_by(*speakers: str) -> list[Audited]:
    """Recordings of one speaker each."""
    return [
        Audited(
            Recording(f"r{place}", Path(f"r{place}.wav"), None, None, None),
            Diarization(f"r{place}", (Turn(0.0, 1.0, name),)),
            None,
            1.0,
            ((0.0, 1.0),),
            str(place),
        )
        for place, name in enumerate(speakers)
    ]


@pytest.mark.parametrize(
    ("speakers", "n_validation"),
    [(["ann"] * 9 + ["bob"], 1), (["ann"] * 4 + ["bob"] * 3 + ["cem"] * 3, 3), (["ann"] * 6 + ["bob"] * 4, 4)],
)
def test_validation_gets_no_more_than_its_share(speakers: list[str], n_validation: int) -> None:
    """Whichever group is drawn first; where none is small enough, the smallest is taken."""
    for seed in range(20):
        train, validation = divide(_spoken_by(*speakers), 0.3, seed=seed)
        assert len(validation) == n_validation
        assert len(train) == 10 - n_validation


def test_a_recording_alone_is_not_said_to_share_its_speakers() -> None:
    """What is missing is another recording."""
    with pytest.raises(DataError, match=r"cannot be divided \(expected at least two recordings .*, got 1 recording\)"):
        divide(_spoken_by("ann"), 0.3, seed=0)


def test_recordings_without_a_common_speaker_are_divided_as_ever() -> None:
    """The same seed leads to the same division as in earlier versions."""
    known = _spoken_by("ann", "ann", "bob", "cem", "dan", "eva", "fay", "gus", "hal", "ida")
    divided = [[one.recording.name for one in divide(known, 0.2, seed=seed)[1]] for seed in range(4)]
    assert divided == [["r5", "r6"], ["r2", "r8"], ["r3", "r8"], ["r3", "r8"]]


def test_recordings_of_the_same_people_cannot_be_divided() -> None:
    """There would be nothing to validate on that training does not know."""
    with pytest.raises(DataError, match="cannot be divided"):
        divide(_spoken_by("ann", "ann", "ann"), 0.3, seed=0)


def _times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for split in (*SPLITS, "features") for path in (folder / split).rglob("*.*")}


def _corrected(path: Path, shift_s: float = 0.02) -> None:
    ((name, found),) = read_rttm(path).items()
    write_rttm(path, Diarization(name, tuple(Turn(one.onset_s, one.offset_s + shift_s, one.speaker) for one in found.turns)))


def test_a_corrected_reference_of_the_gate_is_prepared_again(tmp_path: Path, tone_bank: Path) -> None:
    """No verdict rests on the old label; what was trained stays good, as it knows nothing of the gate, and so do features."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    folder = prepare(config, n_processes=1)
    before, times = CorpusManifest.read(folder / "corpus.json"), _times(folder)
    prepare(config, n_processes=1)
    assert _times(folder) == times
    assert CorpusManifest.read(folder / "corpus.json") == before
    source = tmp_path / "gate/reference/five.rttm"
    _corrected(source)
    prepare(config, n_processes=1)
    assert read_rttm(folder / "gate/reference/five.rttm") == read_rttm(source)
    after = CorpusManifest.read(folder / "corpus.json")
    assert after.sources != before.sources
    assert after.fingerprint() == before.fingerprint()
    assert any("gate/reference/five.rttm: changed" in note for note in read_json(folder / "summary.json")["notes"])
    features = {path for path in times if path.parent.name == "features"}
    assert features and {path: _times(folder)[path] for path in features} == {path: times[path] for path in features}


def test_other_audio_under_the_same_names_is_prepared_anew(tmp_path: Path, tone_bank: Path) -> None:
    """Content counts, and a file that was merely touched is the same; weights know nothing of the gate's audio, and still fit."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    folder, audio = prepare(config, n_processes=1), tmp_path / "gate/audio/five.wav"
    before = CorpusManifest.read(folder / "corpus.json")
    os.utime(audio, (1e9, 1e9))
    assert changes_since(before, folder, config) == []
    samples, rate_hz = soundfile.read(audio)
    soundfile.write(audio, samples * 0.5, rate_hz)
    assert changes_since(before, folder, config) == ["audio of gate/five: changed"]
    prepare(config, n_processes=1)
    after = CorpusManifest.read(folder / "corpus.json")
    assert after.fingerprint() == before.fingerprint()
    assert [one.audio_file for one in after.splits["gate"]] != [one.audio_file for one in before.splits["gate"]]
    assert changes_since(after, folder, config) == []


@pytest.mark.parametrize("kind", ["reference", "hypothesis"])
def test_corrected_labels_of_the_training_make_another_corpus(tmp_path: Path, tone_bank: Path, kind: str) -> None:
    """Weights that learned from the old ones no longer fit its fingerprint; conversations with its errors are made again."""
    config = _recipe(tmp_path, tone_bank, "corpus.synthetic_per_real=0.1", n_turns=24)
    folder = prepare(config, n_processes=1)
    before, times = CorpusManifest.read(folder / "corpus.json"), _times(folder)
    for name in _TRAIN:
        _corrected(tmp_path / f"train/{kind}/{name}.rttm")
    prepare(config, n_processes=1)
    after = CorpusManifest.read(folder / "corpus.json")
    assert after.fingerprint() != before.fingerprint()
    simulated = [folder / one.hypothesis for one in after.splits["train"] if one.simulated]
    assert simulated and all(_times(folder)[path] > times[path] for path in simulated)


def test_recordings_and_regions_that_come_and_go_are_noticed(tmp_path: Path, tone_bank: Path) -> None:
    """A recording moved to the gate, one taken away, and an all.uem that was not there."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    folder = prepare(config, n_processes=1)
    before = CorpusManifest.read(folder / "corpus.json").fingerprint()
    for part, suffix in (("audio", "wav"), ("reference", "rttm"), ("hypothesis", "rttm")):
        (tmp_path / f"train/{part}/four.{suffix}").rename(tmp_path / f"gate/{part}/four.{suffix}")
        (tmp_path / f"train/{part}/three.{suffix}").unlink()
        (tmp_path / f"train/{part}/two.{suffix}").rename(tmp_path / f"train/{part}/two-.{suffix}")
    for part in ("reference", "hypothesis"):
        own = read_rttm(tmp_path / f"train/{part}/two-.rttm")["two"]
        mine = tuple(Turn(one.onset_s, one.offset_s, f"cy{one.speaker}") for one in own.turns)
        write_rttm(tmp_path / f"train/{part}/two-.rttm", Diarization("two-", mine))
    (tmp_path / "gate/all.uem").write_text("five 1 0.5 3.0\nfour 1 0.5 2.0\n")
    prepare(config, n_processes=1)
    manifest = CorpusManifest.read(folder / "corpus.json")
    assert {one.name: one.regions_s for one in manifest.splits["gate"]} == {"five": [(0.5, 3.0)], "four": [(0.5, 2.0)]}
    assert {one.name for split in ("train", "validation") for one in manifest.splits[split]} == {"one", "two-"}
    assert manifest.fingerprint() != before
    (note,) = [note for note in read_json(folder / "summary.json")["notes"] if note.startswith("prepared anew")]
    for word in ("gate/all.uem: changed", "gate/audio/four.wav: added", "train/reference/three.rttm: removed"):
        assert word in note


def test_a_corpus_that_does_not_tell_its_labels_is_prepared_again(tmp_path: Path, tone_bank: Path) -> None:
    """An earlier version's may be older than a correction; it is read, and looked at anew."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    folder = prepare(config, n_processes=1)
    told = read_json(folder / "corpus.json")
    del told["sources"]
    write_json_atomic(folder / "corpus.json", told)
    assert CorpusManifest.read(folder / "corpus.json").sources is None
    _corrected(tmp_path / "gate/reference/five.rttm")
    prepare(config, n_processes=1)
    assert read_rttm(folder / "gate/reference/five.rttm") == read_rttm(tmp_path / "gate/reference/five.rttm")
    assert CorpusManifest.read(folder / "corpus.json").sources


def test_labels_that_were_broken_by_a_correction_leave_the_corpus_as_it_was(tmp_path: Path, tone_bank: Path) -> None:
    """A slip of the pen, or a disk that is away, is told; nothing that was prepared is lost by it."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    folder = prepare(config, n_processes=1)
    before, times = (folder / "corpus.json").read_bytes(), _times(folder)
    (tmp_path / "gate/reference/five.rttm").write_text("SPEAKER five 1 zero 0.1 <NA> <NA> s <NA> <NA>\n")
    with pytest.raises(DataError, match=r"five\.rttm"):
        prepare(config, n_processes=1)
    (tmp_path / "gate").rename(tmp_path / "away")
    with pytest.raises(DataError, match="no such corpus folder"):
        prepare(config, n_processes=1)
    assert ((folder / "corpus.json").read_bytes(), _times(folder)) == (before, times)


def test_the_built_in_diarizer_hears_simulated_conversations_once(tmp_path: Path, shared_data: Path) -> None:
    """With hypothesis.source = "builtin" its own turns are the hypotheses; the manifest says so; a second corpus reuses them."""
    recipe = f"""schema = 1
[corpus]
kind = "simulated"
root = "{tmp_path / "data"}"
[corpus.simulation]
n_train = 1
n_validation = 1
n_gate = 1
duration_s = 15.0
n_speakers = [2, 2]
voices = "{shared_data / "voices" / "librispeech"}"
[hypothesis]
source = "builtin"
[models.mlp]
"""
    (tmp_path / "recipe.toml").write_text(recipe)
    steps: list[tuple[str, int, int]] = []
    config = load_config(tmp_path / "recipe.toml")
    folder = prepare(config, n_processes=1, on_progress=lambda *step: steps.append(step))
    manifest = CorpusManifest.read(folder / "corpus.json")
    assert (manifest.evidence, manifest.hypothesis_source) == ("simulated", "builtin")
    assert ("diarizing with builtin", 3, 3) in steps
    assert not Split(folder, "train", config.features).redrawable.any()
    (one,) = manifest.splits["train"]
    heard = read_rttm(folder / one.hypothesis)[one.name]
    assert heard.turns
    answers = list((tmp_path / "data" / "hypotheses").glob("builtin-*/*.rttm"))
    assert len(answers) == 3
    before = {path: path.stat().st_mtime_ns for path in answers}
    again = prepare(load_config(tmp_path / "recipe.toml", ["features.n_mels=40"]), n_processes=1)
    assert again != folder
    assert read_rttm(again / one.hypothesis)[one.name] == heard
    assert {path: path.stat().st_mtime_ns for path in answers} == before


@pytest.mark.parametrize(
    ("fault", "words", "n_processes", "n_kept"), [("head", "cannot be read", 1, 0), ("body", "not finite", 2, 1)]
)
def test_audio_that_no_diarizer_can_read_ends_with_the_diarizers_words(
    tmp_path: Path, tone_bank: Path, fault: str, words: str, n_processes: int, n_kept: int
) -> None:
    """A failing process, alone or one of two, is told by recording, exit code and last words; answers that came are kept."""
    config = load_config(_recipe_file(tmp_path, tone_bank))
    good, torn = tmp_path / "good.wav", tmp_path / "torn.wav"
    soundfile.write(good, np.zeros(RATE_HZ), RATE_HZ)
    if fault == "head":  # seen before anything is heard
        torn.write_text("no audio")
    else:
        soundfile.write(torn, np.full(RATE_HZ, np.nan), RATE_HZ, subtype="FLOAT")
    cache = tmp_path / "cache"
    with pytest.raises(ProcessError, match=words) as refused:
        diarize_all({"good": good, "torn": torn}, diarizer_of(config), cache=cache, n_processes=n_processes)
    assert "torn.wav" in str(refused.value)
    assert len(list(cache.glob("builtin-*/*.rttm"))) == n_kept


def test_another_diarizer_code_is_asked_again(tmp_path: Path, tone_bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of the built-in diarizer last as long as its code: the same finds them, another makes its own."""
    config, audio = load_config(_recipe_file(tmp_path, tone_bank)), {"quiet": tmp_path / "quiet.wav"}
    soundfile.write(audio["quiet"], np.zeros(RATE_HZ), RATE_HZ)
    cache = tmp_path / "cache"
    monkeypatch.setattr(hypotheses, "_run", lambda missing, *_: [answer.write_text("") for answer in missing])
    for code, n_answers in (("one", 1), ("one", 1), ("another", 2)):
        monkeypatch.setattr("brefine.data.hypotheses._own_code", lambda code=code: code)
        diarize_all(audio, diarizer_of(config), cache=cache)
        assert len(list(cache.glob("builtin-*/*.rttm"))) == n_answers


def test_what_the_built_in_diarizer_runs_decides_over_its_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every module that it imports below `diarizers`, `data` and `io`, the mel scale, and the version of the detector."""
    listed = {name.removesuffix(".py").replace("/", ".") for name in hypotheses._BUILTIN_CODE}
    imported = set()
    for name in hypotheses._BUILTIN_CODE:
        text = (Path(hypotheses.__file__).parents[1] / name).read_text()
        below = r"(?:diarizers|data|io)\.\w+|core\.mel" if name.startswith("diarizers/") else r"core\.mel"
        imported |= set(re.findall(rf"^from brefine\.({below}) import", text, re.MULTILINE))
    assert imported - {"diarizers.diarizer"} <= listed  # the protocol says what a diarizer is, not what it answers
    before = hypotheses._own_code()
    monkeypatch.setattr(hypotheses, "version", lambda name: f"another {name}")
    assert hypotheses._own_code() != before


@pytest.mark.parametrize("name", ["pyannote", "diarizen"])
def test_answers_of_a_default_model_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: DiarizerName) -> None:
    """Whatever becomes of the built-in diarizer's code; naming the default model is not to name another one."""
    audio, diarizer = {"quiet": tmp_path / "quiet.wav"}, DiarizerConfig(name=name)
    soundfile.write(audio["quiet"], np.zeros(RATE_HZ), RATE_HZ)
    asked = []

    def run(missing: dict[Path, Path], *_: object) -> None:
        asked.append(sorted(missing))
        for answer in missing:
            answer.write_text("")

    monkeypatch.setattr(hypotheses, "_run", run)
    for code in ("one", "another"):
        monkeypatch.setattr(hypotheses, "_own_code", lambda code=code: code)
        diarize_all(audio, diarizer, cache=tmp_path / "cache")
    diarize_all(audio, DiarizerConfig(name=name, model=hypotheses.DEFAULT_MODELS[name]), cache=tmp_path / "cache")
    assert len(asked) == 1
    diarize_all(audio, DiarizerConfig(name=name, model="mine"), cache=tmp_path / "cache")
    assert len(asked) == 2


def test_a_model_of_another_diarizer_is_a_contradiction(tmp_path: Path, tone_bank: Path) -> None:
    """[diarizer] with DiariZen's weights does not go with hypotheses of pyannote."""
    path = _recipe_file(tmp_path, tone_bank)
    config = load_config(path, ["hypothesis.source=pyannote", "diarizer.name=diarizen", "diarizer.model=weights"])
    with pytest.raises(ConfigError, match="describes another"):
        diarizer_of(config)


def _recipe_file(tmp_path: Path, bank: Path) -> Path:
    _recipe(tmp_path, bank, n_turns=6)
    path = tmp_path / "recipe.toml"
    path.write_text(path.read_text().replace('source = "folder"', 'source = "builtin"'))
    return path


def test_errors_of_ones_own_that_were_learned_anew_are_replayed_anew(tmp_path: Path, tone_bank: Path) -> None:
    """A summary in a file of one's own is a source like the labels: hypotheses drawn from the earlier one are stale."""
    errors = tmp_path / "mine.json"
    shipped = system_errors_to_json(load_system_errors("vbx-voxconverse"))
    write_json_atomic(errors, shipped)
    config = _recipe(tmp_path, tone_bank, "hypothesis.source=replayed", f"hypothesis.errors={errors}", n_turns=6)
    folder = prepare(config, n_processes=1)
    assert CorpusManifest.read(folder / "corpus.json").hypothesis_source != "replayed errors: another system"
    write_json_atomic(errors, shipped | {"source": "another system"})
    assert corrected_labels(CorpusManifest.read(folder / "corpus.json"), config) == ["hypothesis/mine.json"]
    prepare(config, n_processes=1)
    assert CorpusManifest.read(folder / "corpus.json").hypothesis_source == "replayed errors: another system"
    assert corrected_labels(CorpusManifest.read(folder / "corpus.json"), config) == []


@pytest.mark.parametrize("part", ["reference", "hypothesis"])
def test_prepared_labels_that_were_edited_are_refused_and_prepared_anew(tmp_path: Path, tone_bank: Path, part: str) -> None:
    """Whoever changes a prepared RTTM by hand neither trains nor integrates on it; preparing again takes the sources'."""
    config = _recipe(tmp_path, tone_bank, n_turns=6)
    folder = prepare(config, n_processes=1)
    path = folder / "gate" / part / "five.rttm"
    prepared = path.read_bytes()
    write_rttm(path, Diarization("five", (Turn(0.5, 1.0, "fay"),)))
    with pytest.raises(DataError, match="prepare again") as refused:
        Split(folder, "gate", config.features)
    assert refused.value.problems == ("five",)
    Split(folder, "train", config.features)
    assert corrected_labels(CorpusManifest.read(folder / "corpus.json"), config) == ["prepared labels of gate/five"]
    prepare(config, n_processes=1)
    assert path.read_bytes() == prepared
    assert "prepared anew (prepared labels of gate/five: edited)" in read_json(folder / "summary.json")["notes"]
    Split(folder, "gate", config.features)
