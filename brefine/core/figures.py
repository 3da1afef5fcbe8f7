"""Figures as people read them, with their units; a dash stands for a missing one.

Also counts with their nouns, and long lists of names cut short.
"""

from __future__ import annotations

from collections.abc import Sequence


def rounded(value: float, digits: int = 0) -> float:
    """The value rounded to so many decimals, for a format that shows no more; zero gets no minus sign."""
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


def exact_percent(rate: float) -> str:
    """A threshold of 0–1 as it is, up to six digits: `3 %`, `2.5 %`."""
    return f"{100 * rate:g} %"


def signed_percent(change: float) -> str:
    """A relative change, as `+1.4 %`."""
    return f"{rounded(100 * change, 1):+.1f} %"


def improvement(relative: float, low_high: tuple[float, float] | None = None) -> str:
    """A relative improvement as `10.2 % better [-23.8 %, +44.4 %]`; less than none as `3.0 % worse [-5.0 %, +9.0 %]`.

    Args:
        relative: 1 − after/before of a rate of errors.
        low_high: its interval; shown with the sign of the word, so the interval of a `worse` is one of the increase.
    """
    sign = 1.0 if rounded(relative, 3) >= 0.0 else -1.0
    text = f"{percent(sign * relative)} {'better' if sign > 0.0 else 'worse'}"
    if low_high is None:
        return text
    low, high = sorted(sign * bound for bound in low_high)
    return f"{text} [{signed_percent(low)}, {signed_percent(high)}]"


def counted(n: int, one: str, more: str) -> str:
    """A number with the words that go with it: `1 turn has`, `1,234 turns have`."""
    return f"{n:,} {one if n == 1 else more}"


def some_of(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
