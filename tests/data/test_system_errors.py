"""Replayed errors are those of the system they were learned from, on recordings that were not learned from."""

from __future__ import annotations

import functools
import json
import math
import operator
from pathlib import Path

import numpy as np
import pytest

from brefine.core.boundary_error import BoundaryErrors
from brefine.core.matching import match_boundaries
from brefine.core.turns import Diarization, Turn
from brefine.data import system_errors
from brefine.data.replay_check import check_replay, format_check
from brefine.data.system_errors import (
    SystemErrors,
    learn_system_errors,
    load_system_errors,
    replay,
    system_errors_to_json,
)
from brefine.errors import DataError, FormatError
from brefine.io.rttm import read_diarizations


def _reference(name: str, *, n_turns: int = 60, seed: int = 0) -> Diarization:
    rng = np.random.default_rng(seed)
    turns, time_s = [], 1.0
    for index in range(n_turns):
        duration_s = float(rng.uniform(0.8, 5.0))
        turns.append(Turn(time_s, time_s + duration_s, "ab"[index % 2]))
        time_s += duration_s + float(rng.uniform(0.2, 1.5))
    return Diarization(name, tuple(turns))


def _moved(reference: Diarization, onset_s: float, offset_s: float) -> Diarization:
    turns = tuple(Turn(turn.onset_s + onset_s, turn.offset_s + offset_s, turn.speaker) for turn in reference.turns)
    return Diarization(reference.recording, turns)


def _learned(onset_s: float, offset_s: float) -> SystemErrors:
    references = [_reference(f"r{seed}", seed=seed) for seed in range(4)]
    return learn_system_errors([(one, _moved(one, onset_s, offset_s)) for one in references], source="a test")


def test_the_last_offset_of_a_late_system_is_learnt() -> None:
    """Where the hypothesis ends after the reference, it does end: no last turn is drawn out to the end of the audio."""
    errors = _learned(0.0, 0.1)
    offsets = [row for row, key in enumerate(errors.keys.tolist()) if key[0] == 1]
    assert len(offsets) == 4 * 60
    assert all(errors.changes[row] for row in offsets)


def test_replayed_errors_match_the_real_ones_on_recordings_that_were_not_learned_from(shared_data: Path) -> None:
    """Each half of VoxConverse dev is replayed with the other half's errors: all figures within 10 %, KS below 0.1 by kind."""
    references = read_diarizations(shared_data / "voxconverse" / "dev" / "reference")
    hypotheses = read_diarizations(shared_data / "voxconverse" / "dev" / "hypothesis" / "vbx")
    check = check_replay([(references[name], hypotheses[name]) for name in sorted(references)])
    assert check["recordings"] == 216
    for one in check["figures"]:
        assert one["replayed"] == pytest.approx(one["real"], rel=0.10), one["figure"]
    for kind in ("pause", "change", "overlap", "edge"):
        assert check["ks_distance"][kind] < 0.1, kind
    assert "more than 10 %" not in format_check(check)


def test_where_no_boundary_is_matched_the_check_has_a_dash() -> None:
    """Of a system that says one word long after each recording: neither it nor its replay is near any boundary."""
    references = [_reference(f"r{seed}", n_turns=110, seed=seed) for seed in range(2)]
    late = [(one, Diarization(one.recording, (Turn(one.end_s + 50.0, one.end_s + 51.0, "x"),))) for one in references]
    lines = format_check(check_replay(late)).splitlines()
    assert [" ".join(line.split()) for line in lines[3:7]] == [
        "mae ms – – –",
        "median ms – – –",
        "p90 ms – – –",
        "recall 0.00 0.00 –",
    ]
    figures = [
        {"figure": "mae_ms", "real": 100.0, "replayed": None},
        {"figure": "p90_ms", "real": None, "replayed": 9.0},
        {"figure": "der", "real": 0.1, "replayed": 0.112},
    ]
    told = format_check({"recordings": 2, "figures": figures, "ks_distance": {}, "matched": {}}).splitlines()[3:6]
    assert told == [
        "mae ms           100.0         –           –  more than 10 %",
        "p90 ms               –       9.0           –  more than 10 %",
        "der              10.00     11.20     +12.0 %  more than 10 %",
    ]


def test_the_summary_that_ships_brings_the_errors_of_vbx_to_other_conversations() -> None:
    """VBx misses by 172 ms on VoxConverse; on an easier alternation of two speakers its errors stay heavy-tailed."""
    errors = load_system_errors("vbx-voxconverse")
    founds = []
    for seed in range(20):
        reference = _reference("r", seed=seed)
        hypothesis = replay(errors, reference, duration_s=reference.end_s + 1.0, rng=np.random.default_rng(seed))
        founds.append(BoundaryErrors.of(match_boundaries(reference, hypothesis, window_s=1.0)))
    figures = functools.reduce(operator.add, founds).figures()
    assert 80.0 < figures["mae_ms"] < 220.0
    assert figures["mae_ms"] > 1.3 * figures["median_ms"]


def test_a_system_that_is_always_late_is_replayed_as_late() -> None:
    """A constant error of every onset and offset comes back, side by side, to the millisecond."""
    reference = _reference("new", seed=99)
    hypothesis = replay(_learned(0.06, 0.1), reference, duration_s=reference.end_s + 5.0, rng=np.random.default_rng(0))
    error_s = [
        (own.onset_s - true.onset_s, own.offset_s - true.offset_s)
        for own, true in zip(hypothesis.turns, reference.turns, strict=True)
    ]
    np.testing.assert_allclose(np.median(error_s, axis=0), (0.06, 0.1), atol=0.002)


def test_nothing_starts_before_the_systems_first_moment() -> None:
    """A system whose first frame lies at 50 ms starts speech there that starts with the recording."""
    references = [
        Diarization(f"r{seed}", tuple(Turn(turn.onset_s - 1.0, turn.offset_s - 1.0, turn.speaker) for turn in one.turns))
        for seed, one in enumerate(_reference("r", seed=seed) for seed in range(4))
    ]
    errors = learn_system_errors([(one, _moved(one, 0.05, 0.05)) for one in references[:3]], source="a test")
    assert errors.first_s == pytest.approx(0.05)
    for seed in range(5):
        hypothesis = replay(errors, references[3], duration_s=references[3].end_s, rng=np.random.default_rng(seed))
        assert hypothesis.turns[0].onset_s == pytest.approx(0.05, abs=0.001)


def test_speech_that_sets_in_late_is_no_first_moment_of_a_system(tmp_path: Path) -> None:
    """Learnt from recordings that start with seconds of silence, the errors leave the beginnings of others alone."""
    late = [_moved(_reference(f"r{seed}", seed=seed), 5.0 + seed, 5.0 + seed) for seed in range(4)]
    errors = learn_system_errors([(one, _moved(one, 0.05, 0.05)) for one in late], source="a test")
    assert errors.first_s == 0.0
    reference = _reference("new", seed=99)
    hypothesis = replay(errors, reference, duration_s=reference.end_s + 5.0, rng=np.random.default_rng(0))
    assert hypothesis.turns[0].onset_s == pytest.approx(reference.turns[0].onset_s + 0.05, abs=0.002)
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps(system_errors_to_json(errors) | {"first_s": 6.05}))
    assert load_system_errors(str(earlier)).first_s == 0.0


def test_the_same_generator_replays_the_same_hypothesis() -> None:
    """Equal seeds give equal turns; another seed gives others."""
    errors, reference = load_system_errors("vbx-voxconverse"), _reference("r")
    first, second, other = (
        replay(errors, reference, duration_s=reference.end_s, rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert first == second
    assert first != other


def test_a_replay_stays_within_the_recording_and_no_speaker_overlaps_himself() -> None:
    """Hypotheses are clipped to the file and valid RTTM, whatever row was drawn."""
    errors = load_system_errors("vbx-voxconverse")
    for seed in range(30):
        reference = _reference("r", n_turns=12, seed=seed)
        hypothesis = replay(errors, reference, duration_s=reference.end_s, rng=np.random.default_rng(seed))
        assert hypothesis.end_s <= reference.end_s
        assert hypothesis == hypothesis.unioned()


def test_the_time_grid_of_the_system_is_found_and_kept() -> None:
    """Hypotheses on a grid of 20 ms, shifted by 12.5 ms, are replayed on that grid."""
    references = [_reference(f"r{seed}", seed=seed) for seed in range(4)]

    def snap(time_s: float) -> float:
        return round((time_s - 0.0125) / 0.02) * 0.02 + 0.0125

    pairs = [
        (one, Diarization(one.recording, tuple(Turn(snap(t.onset_s), snap(t.offset_s), t.speaker) for t in one.turns)))
        for one in references
    ]
    errors = learn_system_errors(pairs, source="a test")
    assert errors.grid_s == pytest.approx((0.02, 0.0125), abs=1e-4)
    hypothesis = replay(errors, _reference("new", seed=9), duration_s=500.0, rng=np.random.default_rng(0))
    phases_s = np.mod([turn.onset_s - 0.0125 + 0.01 for turn in hypothesis.turns], 0.02) - 0.01
    np.testing.assert_allclose(phases_s, 0.0, atol=1e-4)


def test_names_of_the_reference_do_not_leak_into_the_hypothesis() -> None:
    """Replayed speakers are numbered as they are first heard."""
    reference = _reference("r")
    hypothesis = replay(_learned(0.0, 0.0), reference, duration_s=reference.end_s, rng=np.random.default_rng(0))
    assert set(hypothesis.speakers) <= {"1", "2", "3"}


def test_a_summary_survives_its_file(tmp_path: Path) -> None:
    """What is read back replays the same hypothesis."""
    errors, path = _learned(0.03, -0.02), tmp_path / "mine.json"
    path.write_text(json.dumps(system_errors_to_json(errors)))
    reference = _reference("r")
    first, second = (
        replay(one, reference, duration_s=300.0, rng=np.random.default_rng(5))
        for one in (load_system_errors(str(path)), load_system_errors(str(path)))
    )
    assert first == second
    assert len(load_system_errors(str(path)).starts) == len(errors.starts)


def _turns(seed: int) -> Diarization:
    """Many short turns of five speakers, all over one another."""
    rng = np.random.default_rng(seed)
    onsets_s, durations_s, names = rng.uniform(0.0, 200.0, 300), rng.uniform(0.1, 2.0, 300), rng.integers(5, size=300)
    turns = zip(onsets_s.tolist(), durations_s.tolist(), names.tolist(), strict=True)
    return Diarization(
        "r", tuple(Turn(onset_s, onset_s + duration_s, f"s{name}") for onset_s, duration_s, name in turns)
    ).unioned()


def test_who_stopped_last_and_who_starts_next_is_found_among_many() -> None:
    """Also where speakers overlap: as a search among all ends finds it. So are the speakers of whom little is found."""
    reference = _turns(0)
    kept = tuple(turn for place, turn in enumerate(reference.turns) if turn.speaker not in ("s1", "s3") or place % 9 == 0)
    errors = learn_system_errors([(reference, Diarization("r", kept))], source="a test", seed=5)
    ends = sorted(
        [(turn.onset_s, 1, turn.speaker) for turn in reference.turns]
        + [(turn.offset_s, 0, turn.speaker) for turn in reference.turns]
    )
    expected = []
    for place, (_, _, own) in enumerate(ends):
        following = [name for _, is_onset, name in ends[place + 1 :] if is_onset and name != own]
        before = [name for _, is_onset, name in ends[:place] if not is_onset and name != own]
        same = (following[0] if following else None) == (before[-1] if before else None)
        expected.append([int(own in ("s1", "s3")), int(same)])
    drawn = np.random.default_rng(5).permutation(len(ends))
    assert errors.keys[:, 4:].tolist() == [expected[place] for place in drawn]
    assert {same for _, same in expected} == {0, 1}


def _always(
    changes: tuple[tuple[int, int], ...], *, start: int = 0, before_s: float = 1.0, speakers: tuple[tuple[float, float], ...] = ()
) -> SystemErrors:
    """A system that does the same at every boundary, as it did at the first onset of a recording, `before_s` after its start."""
    n_rows = 9
    return SystemErrors(
        keys=np.array([(0, 0, 2, 1, 0, 1)] * n_rows),
        context=np.array([(math.log(before_s), 0.0, 0.0)] * n_rows),
        starts=np.array([start] * n_rows),
        changes=(changes,) * n_rows,
        speakers=np.array(speakers).reshape(-1, 2),
        grid_s=(0.0, 0.0),
        first_s=0.0,
        source="a test",
    )


def test_a_system_is_put_where_no_row_begins_as_it_stands() -> None:
    """Of rows that all begin with the speaker heard, each is played as it was: he is heard from the beginning on."""
    reference = Diarization("r", (Turn(4.0, 6.0, "A"),))
    hypothesis = replay(_always((), start=1), reference, duration_s=10.0, rng=np.random.default_rng(0))
    assert hypothesis.turns == (Turn(0.0, 10.0, "1"),)


def test_a_first_boundary_is_stretched_to_the_start_of_the_recording() -> None:
    """Speech that was found 3.6 of 4 s before a first onset: true over the nearer half, 2 s, the rest over 6 s instead of 2."""
    reference = Diarization("r", (Turn(8.0, 9.0, "A"),))
    early = _always(((-3600, 1), (200, 0)), before_s=4.0)
    hypothesis = replay(early, reference, duration_s=20.0, rng=np.random.default_rng(0))
    assert hypothesis.turns[0].onset_s == pytest.approx(8.0 - (2.0 + 1.6 * 6.0 / 2.0))


@pytest.mark.parametrize(
    ("moment_s", "theirs_s", "expected_s"),
    [(0.9, 4.0, 0.9), (2.5, 4.0, 1.5), (4.0, 4.0, 2.0), (-4.0, 4.0, -2.0), (1.0, 1.0, 2.0), (8.0, 4.0, 2.0)],
)
def test_a_moment_is_true_near_its_boundary_and_fitted_far_off(moment_s: float, theirs_s: float, expected_s: float) -> None:
    """Into a piece of 2 s on each side, and never out of it: what was done in one turn is not done to the next."""
    assert _piece().warp(moment_s, theirs_s, theirs_s) == pytest.approx(expected_s)


def _piece(*names: tuple[str, int]) -> system_errors._Piece:
    return system_errors._Piece(10.0, 8.0, 12.0, names, (0,) * 6, (0.0,) * 3)


def test_roles_mean_whoever_bears_them_here() -> None:
    """The one before may be the one after; anybody else is who was heard already, or who takes in a lost one, or nobody known."""
    piece = _piece(("a", 1), ("b", 8))
    assert piece.resolve(4, frozenset(), {}) == {"b"}
    assert piece.resolve(16, frozenset({"c", "a"}), {"a": "d"}) == {"c"}
    assert piece.resolve(16, frozenset(), {"a": "d"}) == {"d"}
    assert piece.resolve(16, frozenset(), {"a": "b"}).isdisjoint({"a", "b"})


def test_in_overlap_the_other_one_is_who_began_last() -> None:
    """Of two who speak already where a third sets in."""
    reference = Diarization("r", (Turn(0.0, 10.0, "A"), Turn(2.0, 9.0, "B"), Turn(4.0, 5.0, "C")))
    (third,) = [piece for piece in system_errors._pieces(reference, end_s=10.0, lost={}) if piece.time_s == 4.0]
    assert dict(third.names)["B"] == 2


def test_a_lost_speaker_is_taken_for_the_one_who_speaks_most() -> None:
    """Where those who speak for a second are lost, and those who speak for longer are not."""
    reference = Diarization("r", (Turn(0.0, 5.0, "A"), Turn(6.0, 16.0, "B"), Turn(17.0, 18.0, "C"), Turn(19.0, 24.0, "D")))
    errors = _always((), speakers=((math.log(1.0), 1.0),) * 16 + ((math.log(7.0), 0.0),) * 16)
    assert system_errors._draw_lost(errors, reference, np.random.default_rng(0)) == {"C": "B"}


def test_a_speaker_is_lost_of_whom_less_than_three_tenths_is_found() -> None:
    """2.9 s of ten and 3.1 s of ten."""
    reference = Diarization("r", (Turn(0.0, 10.0, "A"), Turn(20.0, 30.0, "B")))
    hypothesis = Diarization("r", (Turn(0.0, 2.9, "A"), Turn(20.0, 23.1, "B")))
    assert set(system_errors._lost_speakers(reference, hypothesis)) == {"A"}


def test_replayed_turns_are_no_shorter_than_a_hundredth_of_a_second() -> None:
    """Two states that fall together on another reference leave no turn that an RTTM would write as nothing."""
    changes = ((0, 1), (20, 0), (100, 1), (105, 0))
    reference = Diarization("r", (Turn(1.0, 3.0, "A"),))
    hypothesis = replay(_always(changes), reference, duration_s=5.0, rng=np.random.default_rng(0))
    assert [round(turn.duration_s, 3) for turn in hypothesis.turns] == [0.02, 0.02]


def test_too_few_boundaries_are_refused() -> None:
    """One short recording does not describe a system."""
    reference = _reference("r", n_turns=5)
    with pytest.raises(DataError, match="too few boundaries"):
        learn_system_errors([(reference, reference)], source="a test")


def test_hypotheses_without_speech_are_refused() -> None:
    """A diarizer that was stopped, or wrote empty files, says nothing of where boundaries are put; one turn of it does."""
    pairs = [(_reference(f"r{seed}", seed=seed), Diarization(f"r{seed}", ())) for seed in range(2)]
    with pytest.raises(DataError, match=r"mine: no hypothesis holds speech.*expected turns, got none in 2 recordings"):
        learn_system_errors(pairs, source="mine")
    learned = learn_system_errors([*pairs, (pairs[0][0], Diarization("r0", (Turn(1.0, 2.0, "x"),)))], source="mine")
    assert any(learned.changes)


def test_a_summary_that_is_missing_or_foreign_is_named(tmp_path: Path) -> None:
    """An unknown name lists what there is; a foreign JSON file is called one."""
    with pytest.raises(DataError, match="vbx-voxconverse"):
        load_system_errors("nobody")
    foreign = tmp_path / "foreign.json"
    foreign.write_text('{"schema": 1, "rows": [[1, 2]]}')
    with pytest.raises(FormatError, match="not a summary of system errors"):
        load_system_errors(str(foreign))
