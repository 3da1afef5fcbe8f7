"""Figures as a person reads them, with their units; a dash stands where there is none. And the first of many names."""

from __future__ import annotations

from collections.abc import Sequence


def rounded(value: float, digits: int = 0) -> float:
    """The value to so many decimals, for a format that shows no more; what rounds to nought has no sign."""
    return round(value, digits) + 0.0


def milliseconds(value_ms: float | None) -> str:
    """`132 ms`."""
    return "–" if value_ms is None else f"{rounded(value_ms):.0f} ms"


def signed_milliseconds(change_ms: float | None) -> str:
    """A change, as `+1.4 ms`."""
    return "–" if change_ms is None else f"{rounded(change_ms, 1):+.1f} ms"


def percent(rate: float | None, digits: int = 1) -> str:
    """A rate of 0–1 as `6.9 %`; the field reads its DERs with two digits."""
    return "–" if rate is None else f"{rounded(100 * rate, digits):.{digits}f} %"


def some_of(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
