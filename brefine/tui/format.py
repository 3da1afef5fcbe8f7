"""Numbers for a screen: each has a constant width, so that nothing jumps, and its unit."""

from __future__ import annotations

import math
import time

from brefine.core.figures import rounded

UNKNOWN = "–"
"""Shown where a figure does not exist (yet)."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BYTES_PER_GIB = 1 << 30
_VISIBLE = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    **dict.fromkeys(range(0x7F, 0xA0), "\ufffd"),
    **dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd"),  # direction marks
}


def format_ms(value_ms: float | None, width: int = 7) -> str:
    """`  74 ms`; one decimal below 10 ms."""
    if value_ms is None or not math.isfinite(value_ms):
        return _odd(value_ms, width)
    digits = 1 if abs(value_ms) < 9.95 else 0
    return f"{rounded(value_ms, digits):.{digits}f} ms".rjust(width)


def format_rate(rate: float | None, width: int = 6) -> str:
    """A share of 0–1 as `  81 %`."""
    return _odd(rate, width) if rate is None or not math.isfinite(rate) else f"{100 * rate:.0f} %".rjust(width)


def format_der(der: float | None, width: int = 8) -> str:
    """An error rate as `  6.86 %`: DERs are usually given with two decimals."""
    return _odd(der, width) if der is None or not math.isfinite(der) else f"{100 * der:.2f} %".rjust(width)


def format_scalar(value: float | None, width: int = 7) -> str:
    """Four significant digits, at most five of them decimals, without a unit: `  1.204`, `0.00120`, `5.0e-04`."""
    if value is None or not math.isfinite(value):
        return _odd(value, width)
    if value == 0:
        return "0".rjust(width)
    size = float(f"{abs(value):.3e}")  # as it is shown: 0.99996 has the digits of 1
    text = f"{value:.1e}" if size < 1e-3 or size >= 1e5 else f"{value:.{min(5, max(0, 3 - math.floor(math.log10(size))))}f}"
    return text.rjust(width)


def format_speed(per_s: float | None, width: int = 6) -> str:
    """`  3.1k` a second."""
    return _odd(per_s, width) if per_s is None or not math.isfinite(per_s) else _thousands(per_s).rjust(width)


def format_count(count: int | None, width: int = 0) -> str:
    """`9,400`."""
    return (UNKNOWN if count is None else f"{count:,}").rjust(width)


def format_duration(seconds: float | None) -> str:
    """`41:10` minutes and seconds, `2:05:10` with hours, `3 d 04 h` beyond two days."""
    if seconds is None or not math.isfinite(seconds):
        return _odd(seconds, 0)
    whole_s = max(0, round(seconds))
    hours, minutes, rest_s = whole_s // 3600, whole_s // 60 % 60, whole_s % 60
    if hours >= 48:
        return f"{hours // 24} d {hours % 24:02d} h"
    return f"{hours}:{minutes:02d}:{rest_s:02d}" if hours else f"{minutes:02d}:{rest_s:02d}"


def format_usd(usd: float | None) -> str:
    """`$0.83`."""
    return UNKNOWN if usd is None else f"${usd:,.2f}"


def format_gib(used_bytes: int | None, total_bytes: int | None) -> str:
    """`12.1/139 GiB`; `n/a` if the driver does not report it."""
    if used_bytes is None or total_bytes is None:
        return "n/a"
    used, total = used_bytes / _BYTES_PER_GIB, total_bytes / _BYTES_PER_GIB
    return f"{used:.1f}/{total:.{1 if total < 9.95 else 0}f} GiB"


def format_clock(unix_s: float) -> str:
    """Local time of day, `14:02:31`."""
    return time.strftime("%H:%M:%S", time.localtime(unix_s))


def format_date(unix_s: float | None) -> str:
    """Local date and time to the minute, `2026-11-22 14:02`."""
    return UNKNOWN if unix_s is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(unix_s))


def format_interval(interval: tuple[float, float] | None, scale: float = 1.0) -> str:
    """`68–75`, or `-5, 3` if it begins below 0, in the unit of the figure beside it; a dash if there is none."""
    if interval is None:
        return UNKNOWN
    low, high = (rounded(scale * bound) for bound in interval)
    return f"{low:.0f}{'–' if low >= 0.0 else ', '}{high:.0f}"


def bar(rate: float | None, width: int) -> str:
    """A bar of `width` cells, drawn to an eighth of a cell; rates beyond 0–1 are clipped, None gives a dotted bar."""
    if rate is None or not math.isfinite(rate):
        return "┄" * width
    eighths = round(min(1.0, max(0.0, rate)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width, "░")


def harmless(text: str) -> str:
    """The text with control characters made visible, so that a log line can neither move the cursor nor recolour the screen."""
    return text.expandtabs(4).translate(_VISIBLE)


def clip(text: str, width: int) -> str:
    """The text, cut to at most `width` characters; an ellipsis marks the cut."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def clip_middle(text: str, width: int) -> str:
    """At most `width` characters, cut in the middle: names of a series share their beginnings and differ at their ends."""
    if len(text) <= width:
        return text
    n_last = max(0, width - 1) // 2
    return f"{text[: max(0, width - 1 - n_last)]}…{text[len(text) - n_last :]}"


def reason_first(error: str) -> str:
    """An error's text with the path moved from the front to the end, so that a short line does not cut off the reason."""
    first, newline, rest = error.partition("\n")
    where, colon, reason = first.partition(": ")
    return f"{reason}: {where}{newline}{rest}" if colon and "/" in where else error


def _odd(value: float | None, width: int) -> str:
    if value is None:
        return UNKNOWN.rjust(width)
    return ("NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf").rjust(width)


def _thousands(value: float) -> str:
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * factor:
            scaled = value / factor
            return f"{scaled:.{1 if abs(scaled) < 99.95 else 0}f}{suffix}"
    return f"{value:.{1 if abs(value) < 99.95 else 0}f}"
