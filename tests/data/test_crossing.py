"""What sounds alike is told pair by pair, with where, and never as identity."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brefine.core.turns import Diarization, Turn
from brefine.data.audit import Audited
from brefine.data.copies import Envelope
from brefine.data.corpora import divide
from brefine.data.crossing import equal_to_references, in_common, sounding_alike
from brefine.io.corpus import Recording


def _recording(name: str, envelope: Envelope, *, sound: str = "") -> Audited:
    recording = Recording(name, Path(f"{name}.wav"), None, None, None)
    turns = (Turn(0.0, 1.0, f"voice of {name}"),)
    duration_s = len(envelope) / 25
    return Audited(recording, Diarization(name, turns), None, duration_s, ((0.0, duration_s),), sound or name, envelope)


def _rises_and_falls(seed: int, duration_s: int) -> Envelope:
    return np.random.default_rng(seed).normal(size=25 * duration_s).astype(np.float32)


def _spoken(name: str, *turns_s: tuple[float, float], duration_s: float = 20.0) -> Audited:
    """A recording of one speaker, of whom nothing is heard."""
    turns = tuple(Turn(onset_s, offset_s, f"voice of {name}") for onset_s, offset_s in turns_s)
    recording = Recording(name, Path(f"{name}.wav"), None, None, None)
    return Audited(recording, Diarization(name, turns), None, duration_s, ((0.0, duration_s),), name)


def _said(name: str, *turns_s: tuple[float, float]) -> dict[str, Diarization]:
    return {name: Diarization(name, tuple(Turn(onset_s, offset_s, "1") for onset_s, offset_s in turns_s))}


def _silent(step: str, done: int, total: int) -> None: ...


def test_a_chain_is_told_link_by_link() -> None:
    """Of three excerpts of one recording, each is said to be like its neighbour, where it is; the outer ones share too little."""
    whole = _rises_and_falls(0, 70)
    cuts = {"a": whole[: 25 * 30], "b": whole[25 * 12 : 25 * 42], "c": whole[25 * 24 : 25 * 54]}
    train, gate = [_recording(name, cuts[name]) for name in "ab"], [_recording("c", cuts["c"])]
    alike = sounding_alike([*train, _recording("d", _rises_and_falls(1, 30)), *gate], _silent)
    assert [str(pair) for pair in alike] == [
        "b sounds like a: 0.0–18.0 s of b is like 12.0–30.0 s of a",
        "c sounds like b: 0.0–18.0 s of c is like 12.0–30.0 s of b",
    ]
    assert in_common(train, gate) == []


def test_equal_samples_are_not_told_twice() -> None:
    """They are the same recording, which other words say; what was encoded anew is like each of them."""
    envelope = _rises_and_falls(0, 30)
    train, gate = [_recording("a", envelope, sound="same"), _recording("b", envelope)], [_recording("c", envelope, sound="same")]
    names = {(pair.earlier.recording.name, pair.later.recording.name) for pair in sounding_alike([*train, *gate], _silent)}
    assert names == {("a", "b"), ("b", "c")}
    assert in_common(train, gate) == ["recording c is in both corpora, in the other as a"]


def test_recordings_that_sound_alike_are_not_divided() -> None:
    """Whatever is drawn, both are trained on or both validated on."""
    envelope = _rises_and_falls(0, 30)
    known = [_recording("a", envelope), *(_recording(str(seed), _rises_and_falls(seed, 30)) for seed in range(1, 6))]
    known.append(_recording("z", envelope[100:]))
    alike = sounding_alike(known, _silent)
    assert len(alike) == 1
    for seed in range(10):
        names = [{one.recording.name for one in part} for part in divide(known, 0.4, seed=seed, alike=alike)]
        assert any({"a", "z"} <= part for part in names)


def test_references_that_differ_by_milliseconds_are_not_the_same() -> None:
    """Two people who count to eight alike, 20 ms apart, are no copies; to the millisecond they are."""
    train = _spoken("a", *((1.0 + 2 * place, 2.0 + 2 * place) for place in range(8)))
    jitter_s = [0.02 * (place % 2) for place in range(8)]
    near = _spoken("b", *((1.0 + 2 * place, 2.0 + 2 * place + late_s) for place, late_s in enumerate(jitter_s)))
    same = _spoken("c", *((1.3 + 2 * place, 2.3004 + 2 * place) for place in range(8)))
    told = ["c: its reference is that of a in the other corpus, turn by turn"]
    assert in_common([train], [near, same]) == told


def test_a_single_turn_that_equals_the_reference_proves_nothing() -> None:
    """One who speaks all the time is found by any diarizer; it is neither refused nor told."""
    monologue = _spoken("a", (0.0, 20.0))
    assert equal_to_references({"gate": [monologue]}, _said("a", (0.0, 20.0))) == []


def test_a_hypothesis_is_compared_with_the_reference_inside_the_audio() -> None:
    """References are clipped to the audio; a copy of one that ran 0.3 s past its end still equals it."""
    cut, other = _spoken("a", (1.0, 5.0), (6.0, 20.0)), _spoken("b", (1.0, 5.0), (6.0, 20.0))
    hypotheses = _said("a", (1.0, 5.0), (6.0, 20.3)) | _said("b", (1.0, 5.0), (6.0, 19.7))
    told = ["gate: the hypothesis equals the reference in 1 of 2 recordings: a"]
    assert equal_to_references({"gate": [cut, other]}, hypotheses) == told
