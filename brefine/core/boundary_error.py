"""How far boundaries are from where they should be: MAE, accuracy, recall, bias, by side and by kind.

Conventions: errors are hypothesis − reference in seconds, positive = late; figures are in milliseconds. A boundary error without
the cap W of its matching and the recall says little: every figure is shown with both. `capped_mean_ms` is the mean of
min(|error|, W) over *all* reference boundaries, an unmatched one counting W, so that nobody can improve it by deleting turns.
Kinds are those of the reference; a hypothesised boundary without a partner counts under its own kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brefine.core.boundaries import Boundary, BoundaryKind, Side
from brefine.core.matching import BoundaryMatch

ACCURACIES_MS = (50, 100, 200)

_SIDES, _KINDS = tuple(Side), tuple(BoundaryKind)
GOOD_S = 0.05
"""Boundaries with at most this error are good; what moving does to them is reported separately."""
_UNCHANGED_S = 0.001
"""Absolute errors that change by at most this count as unchanged."""
ROUNDING_S = 1e-9
"""1.05 − 1.00 is more than 0.05 in floating point, but within 50 ms."""


@dataclass(frozen=True, slots=True, eq=False)
class BoundaryErrors:
    """The boundary errors of any number of recordings; `a + b` joins them.

    Attributes:
        window_s: the cap W of the matching.
        error_s: shape (n_reference,), one for each reference boundary; not-a-number where it has no partner.
        side: shape (n_reference,), place in `Side`.
        kind: shape (n_reference,), place in `BoundaryKind`.
        extra_side: shape (n_extra,), of the hypothesised boundaries without a partner.
        extra_kind: shape (n_extra,).
    """

    window_s: float
    error_s: NDArray[np.float64]
    side: NDArray[np.int8]
    kind: NDArray[np.int8]
    extra_side: NDArray[np.int8]
    extra_kind: NDArray[np.int8]

    @classmethod
    def of(cls, match: BoundaryMatch, *, moved_ends_s: NDArray[np.float64] | None = None) -> BoundaryErrors:
        """The errors of one recording.

        Args:
            moved_ends_s: shape (n_turns, 2), from `boundaries.moved_ends_s`: score where the matched boundaries of the
                hypothesis are now. The pairs stay those found before moving, so that before and after can be compared.
        """
        error_s = np.full(len(match.reference), np.nan)
        for here, there in match.pairs:
            boundary = match.hypothesis[there]
            time_s = boundary.time_s
            if moved_ends_s is not None:
                time_s = float(moved_ends_s[boundary.turn_index, 0 if boundary.side is Side.ONSET else 1])
            error_s[here] = time_s - match.reference[here].time_s
        paired = {there for _, there in match.pairs}
        extra = [boundary for place, boundary in enumerate(match.hypothesis) if place not in paired]
        return cls(match.window_s, error_s, _sides(match.reference), _kinds(match.reference), _sides(extra), _kinds(extra))

    @classmethod
    def joined(cls, parts: Iterable[BoundaryErrors]) -> BoundaryErrors:
        """The errors of many recordings at once.

        Raises:
            ValueError: there are no parts, or they were matched within different windows.
        """
        found = list(parts)
        windows_s = {part.window_s for part in found}
        if len(windows_s) != 1:
            raise ValueError(f"errors can be joined if they share one matching window, got {sorted(windows_s)}")
        return cls(
            windows_s.pop(),
            np.concatenate([part.error_s for part in found]),
            np.concatenate([part.side for part in found]),
            np.concatenate([part.kind for part in found]),
            np.concatenate([part.extra_side for part in found]),
            np.concatenate([part.extra_kind for part in found]),
        )

    def __add__(self, other: BoundaryErrors) -> BoundaryErrors:
        return BoundaryErrors.joined([self, other])

    @property
    def abs_error_s(self) -> NDArray[np.float64]:
        """Of the matched boundaries, shape (n_matched,)."""
        return np.abs(self.error_s[~np.isnan(self.error_s)])

    @property
    def capped_s(self) -> NDArray[np.float64]:
        """min(|error|, W) of every reference boundary, W where it has no partner; shape (n_reference,)."""
        return np.minimum(np.where(np.isnan(self.error_s), np.inf, np.abs(self.error_s)), self.window_s)

    def without_cuts(self) -> BoundaryErrors:
        """Without the ends made by the cut of a recording, of kind EDGE: nobody starts or stops there, and any system that hears
        speech finds them to the millisecond. A pair stays if only its hypothesised end is at the cut.
        """
        cut = _KINDS.index(BoundaryKind.EDGE)
        return self._only(self.kind != cut, self.extra_kind != cut)

    def figures(self) -> dict[str, Any]:
        """All figures, always together, and again for each side and kind; rates in 0–1, None for a figure without boundaries."""
        by_side = {str(side): self._only(self.side == i, self.extra_side == i) for i, side in enumerate(_SIDES)}
        by_kind = {str(kind): self._only(self.kind == i, self.extra_kind == i) for i, kind in enumerate(_KINDS)}
        return self._own_figures() | {
            "by_side": {name: part._own_figures() for name, part in by_side.items()},
            "by_kind": {name: part._own_figures() for name, part in by_kind.items()},
        }

    def _only(self, chosen: NDArray[np.bool_], extra: NDArray[np.bool_]) -> BoundaryErrors:
        return BoundaryErrors(
            self.window_s,
            self.error_s[chosen],
            self.side[chosen],
            self.kind[chosen],
            self.extra_side[extra],
            self.extra_kind[extra],
        )

    def _own_figures(self) -> dict[str, Any]:
        abs_s = self.abs_error_s
        n_reference, n_matched = len(self.error_s), len(abs_s)
        n_hypothesis = n_matched + len(self.extra_side)
        within = {
            f"within_{limit_ms}ms": float(np.mean(abs_s <= limit_ms / 1000 + ROUNDING_S)) if n_matched else None
            for limit_ms in ACCURACIES_MS
        }
        return {
            "window_s": self.window_s,
            "n_reference": n_reference,
            "n_hypothesis": n_hypothesis,
            "n_matched": n_matched,
            "recall": n_matched / n_reference if n_reference else None,
            "precision": n_matched / n_hypothesis if n_hypothesis else None,
            "mae_ms": 1000.0 * float(abs_s.mean()) if n_matched else None,
            "median_ms": 1000.0 * float(np.median(abs_s)) if n_matched else None,
            "p90_ms": 1000.0 * float(np.quantile(abs_s, 0.9)) if n_matched else None,
            "bias_ms": 1000.0 * float(np.nanmean(self.error_s)) if n_matched else None,
            **within,
            "capped_mean_ms": 1000.0 * float(self.capped_s.mean()) if n_reference else None,
        }


@dataclass(frozen=True, slots=True)
class ErrorChange:
    """What moving did to the boundaries that were matched before."""

    improved: int
    worsened: int
    unchanged: int
    good_harm_ms: float | None
    """Mean change of the absolute error of boundaries that were good before; positive = harm; None without any."""

    @classmethod
    def between(cls, before: BoundaryErrors, after: BoundaryErrors) -> ErrorChange:
        """Compares the same boundaries before and after.

        Raises:
            ValueError: the two do not hold the same pairs.
        """
        if not np.array_equal(np.isnan(before.error_s), np.isnan(after.error_s)):
            raise ValueError("before and after must hold the same matched boundaries")
        change_s = after.abs_error_s - before.abs_error_s
        good = before.abs_error_s <= GOOD_S + ROUNDING_S
        improved = int(np.sum(change_s < -_UNCHANGED_S - ROUNDING_S))
        worsened = int(np.sum(change_s > _UNCHANGED_S + ROUNDING_S))
        return cls(
            improved,
            worsened,
            len(change_s) - improved - worsened,
            1000.0 * float(change_s[good].mean()) if good.any() else None,
        )


def _sides(boundaries: Iterable[Boundary]) -> NDArray[np.int8]:
    return np.array([_SIDES.index(boundary.side) for boundary in boundaries], dtype=np.int8)


def _kinds(boundaries: Iterable[Boundary]) -> NDArray[np.int8]:
    return np.array([_KINDS.index(boundary.kind) for boundary in boundaries], dtype=np.int8)
