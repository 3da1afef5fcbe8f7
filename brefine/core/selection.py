"""Which model is chosen: a stated rule, the ranking, and the reason as a sentence.

The rule: the model with the least capped mean error on the validation split wins; but of the models that are as good as this
winner, as far as anybody can tell, the fastest is taken, or a better one that is about as fast. A model is as good if the
interval of its difference from the winner reaches 0; with too few recordings for an interval, the least mean decides. A model is
about as fast if it is more than half as fast: a speed is measured once, on a machine that others may use. The models were
evaluated on the same boundaries, so recordings are drawn for both together: what makes a recording hard for all of them does not
hide which is better. The capped mean is used because neither moving few boundaries nor losing turns can improve it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from brefine.core.bootstrap import Interval, bootstrap_ratio

_FASTER: Final = 2.0
"""Speeds that differ by a smaller factor count as equal."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One evaluated model.

    `capped_mean_ms` is min(|error|, W) averaged over all reference boundaries after refinement, `interval_ms` its interval;
    None where the evaluation gave no figure.
    """

    model: str
    capped_mean_ms: float | None
    interval_ms: Interval | None
    boundaries_per_s: float
    unrefined_ms: float | None = None
    """The capped mean of the same boundaries when nothing is moved."""
    capped_sum_ms: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """For each recording its reference boundaries and the sum of their capped errors; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates from best to worst capped mean, those without one last; the recommended model and why."""

    candidates: tuple[Candidate, ...]
    recommended: str
    reason: str


def select(candidates: Sequence[Candidate]) -> Ranking:
    """Applies the rule.

    Raises:
        ValueError: there are no candidates, or none has a capped mean.
    """
    known = sorted((one for one in candidates if _is_known(one)), key=lambda one: (_mean(one), one.model))
    if not known:
        raise ValueError("no candidate has a capped mean to be ranked by")
    best = known[0]
    as_good = [one for one in known if _is_as_good(one, best)]
    fastest = max(as_good, key=lambda one: one.boundaries_per_s)
    chosen = next(one for one in as_good if one is fastest or fastest.boundaries_per_s < _FASTER * one.boundaries_per_s)
    unknown = [one for one in candidates if not _is_known(one)]
    return Ranking((*known, *unknown), chosen.model, _reason(chosen, fastest, known, as_good))


def _is_known(candidate: Candidate) -> bool:
    return candidate.capped_mean_ms is not None and math.isfinite(candidate.capped_mean_ms)


def _mean(candidate: Candidate) -> float:
    assert candidate.capped_mean_ms is not None
    return candidate.capped_mean_ms


def _is_as_good(one: Candidate, best: Candidate) -> bool:
    if one is best:
        return True
    difference_ms = _difference_ms(one, best)
    if difference_ms is not None:
        return difference_ms.low <= 0.0
    return best.interval_ms is not None and _mean(one) <= best.interval_ms.high


def _difference_ms(one: Candidate, best: Candidate) -> Interval | None:
    """The interval of how much larger one's capped mean is than the best one's; None where their boundaries are not the same, or
    lie in too few recordings."""
    own, theirs = one.capped_sum_ms, best.capped_sum_ms
    counts = {recording: n for recording, (n, _) in own.items()}
    if counts != {recording: n for recording, (n, _) in theirs.items()} or not sum(counts.values()):
        return None
    parts = np.array([(own[name][1] - theirs[name][1], counts[name]) for name in sorted(counts)], dtype=np.float64)
    return bootstrap_ratio(parts)


def _reason(chosen: Candidate, fastest: Candidate, known: Sequence[Candidate], as_good: Sequence[Candidate]) -> str:
    best = known[0]
    least = f"{_mean(best):.0f} ms{_in_brackets(best.interval_ms)}"
    if len(known) == 1:
        reason = f"{chosen.model} is the only model with figures: capped mean {least}"
    elif chosen is not best:
        rank = f"is the fastest of {len(as_good)} models that are as good as the best"
        if chosen is not fastest:
            rank = (
                f"is about as fast as the fastest of {len(as_good)} models that are as good as the best ({fastest.model}, "
                f"{fastest.boundaries_per_s:.0f} boundaries/s), and better"
            )
        reason = (
            f"{chosen.model} {rank}: its capped mean of "
            f"{_mean(chosen):.0f} ms {_beside(chosen, best, told=False)}, at {chosen.boundaries_per_s:.0f} instead of "
            f"{best.boundaries_per_s:.0f} boundaries/s"
        )
    else:
        reason = f"{chosen.model} has the least capped mean ({least})"
        if len(as_good) > 1:
            rank = f"the fastest of the {len(as_good)} models that are as good ({fastest.boundaries_per_s:.0f} boundaries/s)"
            if chosen is not fastest:
                rank = f"at {chosen.boundaries_per_s:.0f} boundaries/s about as fast as {fastest.model}, {rank}"
            reason += f" and is {rank}"
        worse = next((one for one in known if one not in as_good), None)
        if worse is not None:
            reason += f"; the next, {worse.model} with {_mean(worse):.0f} ms, {_beside(worse, best, told=True)}"
    if chosen.unrefined_ms is not None and _mean(chosen) >= chosen.unrefined_ms:
        reason += f"; but it is no better than moving nothing ({chosen.unrefined_ms:.0f} ms)"
    return reason


def _beside(one: Candidate, best: Candidate, *, told: bool) -> str:
    """How one's capped mean compares with the best one's; `told`: the sentence has given the best one's figure already."""
    difference_ms = _difference_ms(one, best)
    if difference_ms is None and best.interval_ms is None:
        return f"is {_mean(one) - _mean(best):.0f} ms more, but without an interval"
    if difference_ms is None:
        where = "within" if _is_as_good(one, best) else "outside"
        whose = "its interval" if told else f"{best.model}'s interval ({_mean(best):.0f} ms{_in_brackets(best.interval_ms)})"
        return f"lies {where} {whose}"
    than = "" if told else f" than {best.model}'s {_mean(best):.0f} ms"
    return f"is {_mean(one) - _mean(best):.0f} ms{_in_brackets(difference_ms)} more{than} on the same recordings"


def _in_brackets(interval_ms: Interval | None) -> str:
    return "" if interval_ms is None else f" [{interval_ms.low:.0f}, {interval_ms.high:.0f}]"
