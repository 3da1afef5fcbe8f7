"""The old, uncapped pairing: reproducible, additive, and easily fooled."""

from __future__ import annotations

import pytest
from hypothesis import given

from brefine.core.turns import Diarization, Turn
from brefine.core.uncapped import UncappedPairing, pair_uncapped
from tests.core.strategies import diarizations


def _said(*turns: tuple[float, float, str]) -> Diarization:
    return Diarization("a", tuple(Turn(*turn) for turn in turns))


def test_a_turn_goes_with_what_it_shares_most_time_with() -> None:
    """Whoever speaks there: 0.2 s at the onset, 0.1 s at the offset."""
    found = pair_uncapped(_said((1.0, 3.0, "A")), _said((0.0, 1.3, "x"), (1.2, 3.1, "y")))
    assert found.figures() == {"n_boundaries": 2, "mae_ms": pytest.approx(150.0)}


def test_one_missed_turn_outweighs_all_good_boundaries() -> None:
    """Four perfect boundaries, and a missed turn a minute away: a mean of 20 s, where the capped mean says 333 ms."""
    reference = _said((0.0, 1.0, "A"), (2.0, 3.0, "B"), (63.0, 64.0, "A"))
    found = pair_uncapped(reference, _said((0.0, 1.0, "x"), (2.0, 3.0, "y")))
    assert found.figures()["mae_ms"] == pytest.approx(1000.0 * (61.0 + 61.0) / 6)


def test_recordings_add_up_and_nothing_is_nothing() -> None:
    """A side without turns has no pairs, and no figure."""
    one = pair_uncapped(_said((0.0, 1.0, "A")), _said((0.5, 1.0, "x")))
    assert (one + one).figures() == {"n_boundaries": 4, "mae_ms": pytest.approx(250.0)}
    assert pair_uncapped(_said(), _said((0.0, 1.0, "x"))) == UncappedPairing()
    assert UncappedPairing().figures()["mae_ms"] is None


@given(said=diarizations())
def test_a_diarization_pairs_with_itself_without_error(said: Diarization) -> None:
    """Unless a turn lies inside another: the longer one shares as much, and the first of equals is taken."""
    apart = said.unioned().turns
    alone = Diarization(
        "a", tuple(t for t in apart if not any(o != t and o.onset_s < t.offset_s and t.onset_s < o.offset_s for o in apart))
    )
    assert pair_uncapped(alone, alone).error_s == 0.0
