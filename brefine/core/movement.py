"""How low the DER gets if any end of the hypothesis may move by at most W: what can be had, and what nothing undercuts.

What can be had: whatever the others say, a speaker's time is never scored better than where he speaks exactly when his partner in
the reference does. So each speaker's ends are put where the two disagree for the shortest time. For a speaker with a partner and
without overlapping turns that is the best for him alone, except for the 20 ms that a turn keeps; where speakers share time it
need not be the best for the DER. So more may be gained than this.

What nothing undercuts: turns whose ends move by at most W keep their core, `[onset + W, offset − W]`, and stay within
`[onset − W, offset + W]`. `der.least_errors_s` is a lower bound on the error of any such hypothesis, under any speaker map.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from brefine.core.boundaries import Boundary, Shift, apply_shifts, ends_of_speech
from brefine.core.der import least_errors_s
from brefine.core.matching import WINDOW_S, map_speakers
from brefine.core.speech import spoken_before_s
from brefine.core.turns import Diarization, Regions, Turn


def move_any_end(reference: Diarization, hypothesis: Diarization, *, window_s: float = WINDOW_S) -> Diarization:
    """Moves each end of speech by at most `window_s` to where its speaker and his partner disagree least; see the module.

    Speakers are mapped as before the movement; one without a partner is made to speak as little as possible. Turns keep to the
    limits of `apply_shifts`.
    """
    spoken, speaker_map = reference.unioned(), map_speakers(reference, hypothesis)
    duration_s = max(reference.end_s, hypothesis.end_s)
    ends: dict[str, list[Boundary]] = {}
    for end in ends_of_speech(hypothesis):
        ends.setdefault(end.speaker, []).append(end)
    shifts: list[Shift] = []
    for speaker, own in ends.items():
        partner = spoken.of(speaker_map[speaker]) if speaker in speaker_map else ()
        partner_s = np.array([(turn.onset_s, turn.offset_s) for turn in partner]).reshape(-1, 2)
        placed_s = _placed_s(np.array([end.time_s for end in own]), partner_s, window_s, duration_s)
        shifts += [
            Shift(end.turn_index, end.side, float(time_s) - end.time_s, 1.0) for end, time_s in zip(own, placed_s, strict=True)
        ]
    return apply_shifts(hypothesis, shifts, duration_s=duration_s)


def unmovable_errors_s(
    collars_s: Sequence[float],
    reference: Diarization,
    hypothesis: Diarization,
    *,
    regions_s: Regions | None = None,
    window_s: float = WINDOW_S,
) -> tuple[float, ...]:
    """Lower bounds on the error seconds at each collar, however the ends of turns move by at most `window_s` each."""
    core, reach = (_grown(hypothesis, by_s) for by_s in (-window_s, window_s))
    return least_errors_s(collars_s, reference, core, reach, regions_s=regions_s)


def _grown(diarization: Diarization, by_s: float) -> Diarization:
    """Every turn made longer at each end by this, or shorter if it is negative; turns of which nothing is left are dropped."""
    ends_s = [(max(0.0, turn.onset_s - by_s), turn.offset_s + by_s, turn.speaker) for turn in diarization.turns]
    return Diarization(diarization.recording, tuple(Turn(*turn) for turn in ends_s if turn[1] > turn[0]))


def _placed_s(
    ends_s: NDArray[np.float64], partner_s: NDArray[np.float64], window_s: float, duration_s: float
) -> NDArray[np.float64]:
    """Where one speaker's ends disagree least with his partner's speech, in order and each within the window; shape (n,).

    With S(t) the seconds in which the partner is silent before t, less those in which he speaks, a stretch [a, b) costs
    S(b) − S(a): offsets want S small, onsets large. S bends only where the partner starts or stops, so the best place of an end
    is there, at a limit of its own, or at one of an end that it meets. Chains of such places are grown end by end, keeping the
    cheapest to each place.

    Args:
        ends_s: shape (n,), onsets and offsets in turn, in order of time.
        partner_s: shape (n_partner, 2), his stretches of speech, disjoint and in order of time.
    """
    low_s, high_s = np.maximum(ends_s - window_s, 0.0), np.minimum(ends_s + window_s, duration_s)
    places_s = np.unique(np.concatenate([low_s, high_s, partner_s.ravel()]))
    balance_s = places_s - 2.0 * spoken_before_s(partner_s, places_s)
    first, stop = np.searchsorted(places_s, low_s), np.searchsorted(places_s, high_s, side="right")
    came_from: list[NDArray[np.int64]] = []  # for each end and place: where the cheapest chain has the end before
    cost_s, start = np.zeros(1), first[0]
    for own_first, own_stop, sign in zip(first, stop, np.resize([-1.0, 1.0], len(ends_s)), strict=True):
        least_s = np.minimum.accumulate(cost_s)
        cheapest = np.maximum.accumulate(np.where(cost_s == least_s, np.arange(len(cost_s)), 0))
        before = np.minimum(np.arange(own_first, own_stop) - start, len(cost_s) - 1)
        came_from.append(cheapest[before])
        cost_s, start = least_s[before] + sign * balance_s[own_first:own_stop], own_first
    placed_s, place = np.empty(len(ends_s)), int(np.argmin(cost_s))
    for end in reversed(range(len(ends_s))):
        placed_s[end] = places_s[first[end] + place]
        place = int(came_from[end][place])
    return placed_s
