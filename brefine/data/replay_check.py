"""Whether replayed errors are those of the system they were learned from, on recordings that they were not learned from.

The recordings are divided into halves; each half's references get the errors learned from the other half. Boundaries are matched
within W = 1 s, DER is at collar 0 with overlap scored. Histograms are compared by the Kolmogorov–Smirnov distance: the largest
difference between two cumulative distributions, 0 if they are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from brefine.core.boundary_error import BoundaryErrors
from brefine.core.der import DerParts, score_der
from brefine.core.figures import signed_percent
from brefine.core.matching import match_boundaries
from brefine.core.turns import Diarization
from brefine.data.system_errors import learn_system_errors, replay

Pairs = Sequence[tuple[Diarization, Diarization]]
"""Reference and hypothesis of each recording."""

FIGURES = ("mae_ms", "median_ms", "p90_ms", "recall", "precision", "der")
TOLERANCE = 0.10
"""Relative difference of a figure up to which a replay counts as faithful."""
_SEED = 1


def check_replay(pairs: Pairs) -> dict[str, Any]:
    """Real and replayed figures, and the distances of their error histograms by kind of boundary.

    Raises:
        DataError: a half has too few boundaries to learn from, or no hypothesis of it has any speech.
    """
    rng = np.random.default_rng(_SEED)
    order = rng.permutation(len(pairs)).tolist()
    halves = [[pairs[place] for place in order[::2]], [pairs[place] for place in order[1::2]]]
    replayed: list[tuple[Diarization, Diarization]] = []
    for learned_from, others in (halves, halves[::-1]):
        errors = learn_system_errors(learned_from, source="one half")
        for reference, hypothesis in others:
            duration_s = max(reference.end_s, hypothesis.end_s)
            replayed.append((reference, replay(errors, reference, duration_s=duration_s, rng=rng)))
    real, real_s = _figures(pairs)
    again, again_s = _figures(replayed)
    distances = {kind: float(ks_2samp(real_s[kind], again_s[kind]).statistic) for kind in sorted(real_s.keys() & again_s.keys())}
    return {
        "recordings": len(pairs),
        "window_s": 1.0,
        "collar_s": 0.0,
        "figures": [{"figure": key, "real": real[key], "replayed": again[key]} for key in FIGURES],
        "ks_distance": distances,
        "matched": {kind: len(real_s[kind]) for kind in distances},
    }


def format_check(check: dict[str, Any]) -> str:
    """The check as a table for a terminal; a dash if no boundary is matched, or nothing can be compared."""
    lines = [
        f"{check['recordings']} recordings in two halves, each with the errors learned from the other "
        "(W = 1 s; DER at collar 0, overlap scored)",
        "",
        f"{'figure':<12}{'real':>10}{'replayed':>10}{'difference':>12}",
    ]
    for one in check["figures"]:
        real, replayed = one["real"], one["replayed"]
        difference = replayed / real - 1.0 if real and replayed is not None else None
        told = "–" if difference is None else signed_percent(difference)
        alike = real == replayed if difference is None else abs(difference) <= TOLERANCE
        scale, decimals = (1.0, 1) if one["figure"].endswith("_ms") else (100.0, 2)
        values = "".join("–".rjust(10) if value is None else f"{scale * value:>10.{decimals}f}" for value in (real, replayed))
        lines.append(f"{one['figure'].replace('_', ' '):<12}{values}{told:>12}{'' if alike else '  more than 10 %'}")
    lines += ["", f"{'kind':<12}{'matched':>10}{'KS distance':>14}"]
    lines += [f"{kind:<12}{check['matched'][kind]:>10}{distance:>14.3f}" for kind, distance in check["ks_distance"].items()]
    return "\n".join(lines)


def _figures(pairs: Pairs) -> tuple[dict[str, float | None], dict[str, list[float]]]:
    founds, der, by_kind = [], DerParts(), dict[str, list[float]]()
    for reference, hypothesis in pairs:
        match = match_boundaries(reference, hypothesis, window_s=1.0)
        founds.append(BoundaryErrors.of(match))
        der += score_der(reference, hypothesis)
        for (place, _), error_s in zip(match.pairs, match.error_s, strict=True):
            # RTTMs give milliseconds; smaller differences come from arithmetic
            by_kind.setdefault(match.reference[place].kind.value, []).append(round(float(error_s), 3))
    found = BoundaryErrors.joined(founds).figures()
    return {**{key: found[key] for key in FIGURES if key != "der"}, "der": der.der}, by_kind
