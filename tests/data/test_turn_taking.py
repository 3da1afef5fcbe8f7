"""Scripts are drawn from what real references show."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from brefine.core.turns import Diarization, Turn
from brefine.data.turn_taking import (
    PlannedTurn,
    Style,
    TurnTaking,
    draw_script,
    learn_turn_taking,
    livelier,
    load_turn_taking,
    turn_taking_from_json,
    turn_taking_to_json,
)
from brefine.io.rttm import read_diarizations


def _script(seed: int, statistics: TurnTaking | None = None, **changed: float) -> list:
    settings = {"n_speakers": 3, "duration_s": 600.0, "max_turn_s": 60.0, "least_pause_s": 0.3, **changed}
    return draw_script(statistics or load_turn_taking(), rng=np.random.default_rng(seed), **settings)


def test_the_shipped_summary_is_what_the_references_give(shared_data: Path) -> None:
    """Learning from VoxConverse dev again gives the figures that ship."""
    references = read_diarizations(shared_data / "voxconverse" / "dev" / "reference")
    learned, shipped = learn_turn_taking(list(references.values())), load_turn_taking()
    for name in ("turn_ratio", "inside_turn_s", "pause_ratio", "change_gap_ratio", "overlap_s"):
        np.testing.assert_allclose(getattr(shipped, name), getattr(learned, name), atol=1e-3, err_msg=name)
    np.testing.assert_allclose(
        [dataclasses.astuple(style) for style in shipped.styles],
        [dataclasses.astuple(style) for style in learned.styles],
        atol=1e-3,
    )


def test_a_silence_is_where_nobody_speaks() -> None:
    """After a turn inside another one the next is counted from the end of the turn around it: a pause of its speaker of 0.5 s."""
    around = Diarization("a", (Turn(0.0, 20.0, "x"), Turn(3.0, 3.4, "y"), Turn(20.5, 30.0, "x"), *_chat(31.0)))
    without = Diarization("a", tuple(turn for turn in around.turns if turn.onset_s != 3.0))
    learned, plain = learn_turn_taking([around]), learn_turn_taking([without])
    assert learned.inside_turn_s.tolist() == pytest.approx([0.4] * len(learned.inside_turn_s))
    np.testing.assert_allclose(learned.change_gap_ratio, plain.change_gap_ratio)
    np.testing.assert_allclose(learned.pause_ratio, plain.pause_ratio)


def _chat(start_s: float) -> list[Turn]:
    """Ten turns that two speakers take one after the other, each half a second after the one before."""
    return [Turn(start_s + 2.5 * index, start_s + 2.5 * index + 2.0, "xy"[index % 2]) for index in range(10)]


def test_scripts_are_silent_as_often_as_the_references(shared_data: Path) -> None:
    """Nobody speaks for as long as in VoxConverse dev, within two points of a hundred, and longer where that is asked for."""
    references = read_diarizations(shared_data / "voxconverse" / "dev" / "reference").values()
    real = _silent_share([[(turn.onset_s, turn.offset_s) for turn in reference.turns] for reference in references])
    shares = [_silent_share([_laid_out(_script(seed, silence_factor=factor)) for seed in range(60)]) for factor in (1.0, 4.0)]
    assert shares[0] == pytest.approx(real, abs=0.02)
    assert 2.5 * shares[0] < shares[1] < 4.0 * shares[0]


def _laid_out(script: list[PlannedTurn]) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    end_s = 0.0
    for turn in script:
        start_s = max(0.0, end_s + turn.gap_s)
        spans.append((start_s, start_s + turn.duration_s))
        end_s = max(end_s, spans[-1][1])
    return spans


def _silent_share(conversations: list[list[tuple[float, float]]]) -> float:
    silent_s = total_s = 0.0
    for spans in conversations:
        first_s = end_s = min(spans)[0]
        for onset_s, offset_s in sorted(spans):
            silent_s += max(0.0, onset_s - end_s)
            end_s = max(end_s, offset_s)
        total_s += end_s - first_s
    return silent_s / total_s


def test_scripts_take_turns_like_the_references_they_were_learned_from() -> None:
    """Median turn, median gap at a change and share of overlapping changes come near the real ones over many scripts."""
    turns, gaps = [], []
    for seed in range(60):
        script = _script(seed)
        turns += [turn.duration_s for turn in script]
        gaps += [after.gap_s for before, after in itertools.pairwise(script) if after.speaker != before.speaker]
    assert 2.5 < np.median(turns) < 5.5
    assert -0.1 < np.median(gaps) < 0.3
    assert 0.3 < np.mean(np.array(gaps) < 0.0) < 0.5


def test_lively_scripts_have_shorter_turns_and_more_overlap() -> None:
    """The same draws at full liveliness: half the median turn or less, and more changes before the turn before has ended."""
    found = []
    for liveliness in (0.0, 1.0):
        scripts = [_script(seed, liveliness=liveliness) for seed in range(40)]
        pairs = [pair for script in scripts for pair in itertools.pairwise(script) if pair[0].speaker != pair[1].speaker]
        lengths_s = [turn.duration_s for script in scripts for turn in script]
        found.append((np.median(lengths_s), np.mean([after.gap_s < 0 for _, after in pairs])))
    (calm_s, calm_overlaps), (lively_s, lively_overlaps) = found
    assert lively_s < 0.5 * calm_s
    assert 0.55 < lively_overlaps < 0.75 and calm_overlaps < lively_overlaps - 0.1


def test_some_turns_are_but_a_word_or_two() -> None:
    """The share that was asked for is 0.2 to 0.9 s long, often soft, inside other turns too; none is where none was asked for."""
    assert {turn.level_db for seed in range(10) for turn in _script(seed)} == {0.0}
    turns = [turn for seed in range(20) for turn in _script(seed, short_share=0.4)]
    short = [turn for turn in turns if turn.level_db]
    assert len(short) / len(turns) == pytest.approx(0.4, abs=0.05)
    assert all(0.15 < turn.duration_s < 0.91 and -10.0 <= turn.level_db <= 2.0 for turn in short)
    assert any(turn.gap_s < -turn.duration_s for turn in short)


def _alike(*styles: Style, turn_ratio: float | np.ndarray = 1.0, seconds: float = 9.0) -> TurnTaking:
    """Statistics in which all turns and silences are as long as the style has them, and all overlaps so many seconds."""
    one = np.ones(51)
    return TurnTaking(turn_ratio * one, seconds * one, one, one, seconds * one, styles)


def test_no_turn_is_longer_than_asked() -> None:
    """Not the first one either: a short conversation has several."""
    statistics = _alike(Style(0.8, 0.5, 0.5, 3.0, 0.5), turn_ratio=9.0, seconds=0.4)
    for seed in range(5):
        assert max(turn.duration_s for turn in _script(seed, statistics, max_turn_s=4.0)) <= 4.0


@pytest.mark.parametrize("turn_ratio", [1.0, np.r_[np.full(25, 0.3), np.full(26, 2.0)]], ids=["alike", "long and short"])
def test_an_overlap_leaves_a_fifth_of_the_shorter_turn(turn_ratio: float | np.ndarray) -> None:
    """Else a turn would begin before the one that it follows, or lie inside it."""
    script = _script(0, _alike(Style(1.0, 1.0, 0.0, 3.0, 0.5), turn_ratio=turn_ratio))
    for before, after in itertools.pairwise(script):
        assert after.gap_s == pytest.approx(-0.8 * min(before.duration_s, after.duration_s))


def test_a_turn_inside_another_lies_inside_it() -> None:
    """It takes four fifths of it at most; within a turn of less than a second there is none."""
    chatty = Style(0.9, 1.0, 0.9, 3.0, 0.5)
    inside = [turn for turn in _script(0, _alike(chatty), duration_s=100.0)[1:] if turn.gap_s < -turn.duration_s]
    assert len(inside) > 5
    assert all(turn.duration_s <= 0.8 * 3.0 + 1e-9 and turn.gap_s >= -3.0 for turn in inside)
    brief = _script(0, _alike(chatty, turn_ratio=0.3), duration_s=100.0)
    assert not any(turn.gap_s < -turn.duration_s for turn in brief)


def test_the_way_of_a_heated_meeting_is_that_of_the_module() -> None:
    """Turns a quarter as long, silences half, three fifths of the changes in overlap and of those inside, as many changes."""
    lively = dataclasses.astuple(livelier(Style(0.7, 0.2, 0.1, 4.0, 1.0), 1.0))
    assert lively == pytest.approx((0.7, 0.6, 0.6, 1.0, 0.5))


def test_recordings_in_which_one_speaker_goes_on_are_no_example() -> None:
    """A conversation is drawn after those in which every second transition or more is a change."""
    statistics = _alike(Style(0.1, 0.5, 0.5, 30.0, 0.5), Style(0.9, 0.0, 0.0, 3.0, 0.5))
    for seed in range(8):
        assert {turn.duration_s for turn in _script(seed, statistics)} == {3.0}


def test_some_speakers_say_more_than_others() -> None:
    """Of eighteen in six conversations in which all turns are alike."""
    statistics = _alike(Style(1.0, 0.0, 0.0, 3.0, 0.5))
    scripts = [[turn.speaker for turn in _script(seed, statistics, duration_s=900.0)] for seed in range(6)]
    n_turns = [script.count(speaker) for script in scripts for speaker in range(3)]
    assert max(n_turns) > 1.6 * min(n_turns)


def test_a_speakers_own_pauses_follow_the_pause_rule() -> None:
    """No silence between two turns of one speaker is shorter than the rule bridges."""
    for seed in range(20):
        last_speaker = -1
        for turn in _script(seed, least_pause_s=0.7):
            assert turn.speaker != last_speaker or turn.gap_s >= 0.7
            if turn.gap_s + turn.duration_s > 0.0:
                last_speaker = turn.speaker


def test_one_speaker_alone_never_changes() -> None:
    """A monologue has pauses and no overlap."""
    script = _script(0, n_speakers=1)
    assert {turn.speaker for turn in script} == {0}
    assert all(turn.gap_s > 0 for turn in script)


def test_the_summary_survives_its_file() -> None:
    """JSON and back keeps every number to a millisecond."""
    shipped = load_turn_taking()
    again = turn_taking_from_json(turn_taking_to_json(shipped, source="a test"))
    np.testing.assert_allclose(again.pause_ratio, shipped.pause_ratio, atol=1e-3)
    assert again.styles == shipped.styles


def test_references_without_transitions_teach_nothing() -> None:
    """One turn a recording is refused as a caller's bug."""
    with pytest.raises(ValueError, match="transitions"):
        learn_turn_taking([Diarization("a", (Turn(0.0, 1.0, "x"),))])
