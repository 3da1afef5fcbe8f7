"""Whether a boundary moves, and how sure the place is that it has then."""

from __future__ import annotations

import pytest
import torch

from brefine.models.changes import Changes
from brefine.models.decisions import Posteriors, decide
from brefine.models.heads import decode_frames

HOP_S, T = 0.01, 120
NO_CHANGES = Changes(*torch.zeros(3, 0, dtype=torch.long))


@pytest.mark.parametrize(("share", "moves"), [(0.04, False), (0.07, True)])
def test_a_boundary_moves_where_a_twentieth_of_its_error_is_won(share: float, moves: bool) -> None:
    """It is half a second off, earlier nearly as likely as later: a median that saves this share of the error expected."""
    frames_BT = torch.zeros(1, T)
    frames_BT[0, T // 2 + 50], frames_BT[0, T // 2 - 51] = 0.5 + share / 2, 0.5 - share / 2
    shift_s_B, _ = decide(Posteriors(frames_BT, torch.zeros(1), torch.zeros(1), torch.zeros(1), HOP_S), NO_CHANGES)
    assert bool(shift_s_B[0] != 0.0) == moves


def test_the_confidence_is_that_of_the_place_that_a_boundary_has_then() -> None:
    """Counted from where the labels put it, not from the window; and of an end that goes on, from where it goes."""
    frames_BT = torch.softmax(-0.5 * ((torch.arange(T) - 75.0) / 6.0)[None] ** 2, dim=1)
    none_B, bias_s_B = torch.tensor([0.2]), torch.tensor([-0.12])
    heard = decode_frames(frames_BT, none_B, HOP_S, bias_s=bias_s_B)
    shift_s_B, confidence_B = decide(Posteriors(frames_BT, none_B, bias_s_B, torch.zeros(1), HOP_S), NO_CHANGES)
    assert shift_s_B[0] != 0.0
    torch.testing.assert_close((shift_s_B, confidence_B), (heard.shift_s, heard.confidence), atol=1e-3, rtol=0.0)
    shift_s_B, confidence_B = decide(Posteriors(frames_BT, none_B, bias_s_B, torch.tensor([0.9]), HOP_S), NO_CHANGES)
    assert shift_s_B[0] == pytest.approx(0.9)
    assert confidence_B[0] < 0.01
