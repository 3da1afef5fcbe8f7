"""Which model goes on: a stated rule, its ranking, and its reason as a sentence.

The rule: the least capped mean error on the validation split wins; of the models whose capped mean lies within the winner's
interval, which are as good as it as far as anybody can tell, the fastest is taken. The capped mean is used because neither
moving few boundaries nor losing turns can improve it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from brefine.core.bootstrap import Interval


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
    high_ms = _mean(best) if best.interval_ms is None else max(_mean(best), best.interval_ms.high)
    as_good = [one for one in known if _mean(one) <= high_ms]
    # The better one of equally fast models.
    chosen = min(as_good, key=lambda one: (-one.boundaries_per_s, _mean(one)))
    unknown = [one for one in candidates if not _is_known(one)]
    return Ranking((*known, *unknown), chosen.model, _reason(chosen, best, known, len(as_good)))


def _is_known(candidate: Candidate) -> bool:
    return candidate.capped_mean_ms is not None and math.isfinite(candidate.capped_mean_ms)


def _mean(candidate: Candidate) -> float:
    assert candidate.capped_mean_ms is not None
    return candidate.capped_mean_ms


def _reason(chosen: Candidate, best: Candidate, known: Sequence[Candidate], n_as_good: int) -> str:
    interval = "" if best.interval_ms is None else f" [{best.interval_ms.low:.0f}, {best.interval_ms.high:.0f}]"
    if len(known) == 1:
        reason = f"{chosen.model} is the only model with figures: capped mean {_mean(chosen):.0f} ms{interval}"
    elif chosen is not best:
        reason = (
            f"{chosen.model} is the fastest of {n_as_good} models that are as good as the best: its capped mean of "
            f"{_mean(chosen):.0f} ms lies within {best.model}'s interval ({_mean(best):.0f} ms{interval}), "
            f"at {chosen.boundaries_per_s:.0f} instead of {best.boundaries_per_s:.0f} boundaries/s"
        )
    elif n_as_good > 1:
        reason = (
            f"{chosen.model} has the least capped mean ({_mean(chosen):.0f} ms{interval}) and is the fastest of the {n_as_good} "
            f"models within that interval ({chosen.boundaries_per_s:.0f} boundaries/s)"
        )
    else:
        second = known[1]
        reason = (
            f"{chosen.model} has the least capped mean ({_mean(chosen):.0f} ms{interval}); the next, {second.model} with "
            f"{_mean(second):.0f} ms, lies outside its interval"
        )
    if chosen.unrefined_ms is not None and _mean(chosen) >= chosen.unrefined_ms:
        reason += f"; but it is no better than moving nothing ({chosen.unrefined_ms:.0f} ms)"
    return reason
