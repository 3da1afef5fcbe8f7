"""What sounds alike is told pair by pair, with where, and never as identity."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brefine.core.turns import Diarization, Turn
from brefine.data.audit import Audited
from brefine.data.copies import Envelope
from brefine.data.corpora import divide
from brefine.data.crossing import in_common, sounding_alike
from brefine.io.corpus import Recording


def _recording(name: str, envelope: Envelope, *, sound: str = "") -> Audited:
    recording = Recording(name, Path(f"{name}.wav"), None, None, None)
    turns = (Turn(0.0, 1.0, f"voice of {name}"),)
    duration_s = len(envelope) / 25
    return Audited(recording, Diarization(name, turns), None, duration_s, ((0.0, duration_s),), sound or name, envelope)


def _rises_and_falls(seed: int, duration_s: int) -> Envelope:
    return np.random.default_rng(seed).normal(size=25 * duration_s).astype(np.float32)


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
