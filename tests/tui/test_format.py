"""Numbers keep their width and carry their unit."""

from __future__ import annotations

import math
import unicodedata

import pytest

from brefine.tui.format import (
    bar,
    clip_middle,
    format_der,
    format_duration,
    format_gib,
    format_interval,
    format_ms,
    format_rate,
    format_scalar,
    format_speed,
    harmless,
    reason_first,
)

_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize("value_ms", [0.4, 9.9, 74.0, 172.4, 1000.0, None, math.nan, math.inf])
def test_milliseconds_keep_their_width(value_ms: float | None) -> None:
    """A column of errors never jumps, whatever the value."""
    assert len(format_ms(value_ms)) == 7


def test_milliseconds_carry_their_unit() -> None:
    """Small errors keep a decimal, larger ones do not, nor what rounds to ten; what is not known is a dash."""
    assert [format_ms(value).strip() for value in (6.42, 74.3, None, math.nan)] == ["6.4 ms", "74 ms", "–", "NaN"]
    assert [format_ms(value).strip() for value in (9.94, 9.97, -9.97, -0.04)] == ["9.9 ms", "10 ms", "-10 ms", "0.0 ms"]


def test_rates_and_error_rates_are_percentages() -> None:
    """Rates of 0–1 are shown in percent, error rates with the field's two decimals."""
    assert format_rate(0.812).strip() == "81 %"
    assert format_der(0.0686).strip() == "6.86 %"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.2042, "1.204"),
        (12.345, "12.35"),
        (0.0005, "5.0e-04"),
        (0.0, "0"),
        (math.nan, "NaN"),
        (-math.inf, "-Inf"),
        (0.99996, "1.000"),
        (0.012042, "0.01204"),
        (0.0012042, "0.00120"),
        (99_999.6, "1.0e+05"),
    ],
)
def test_scalars_have_four_digits(value: float, text: str) -> None:
    """Losses and norms of any size fit their column."""
    assert format_scalar(value) == text.rjust(7)


def test_speeds_are_shortened() -> None:
    """Thousands have a k, as soon as a number without it would be rounded up to one."""
    assert [format_speed(value).strip() for value in (77.2, 999.9, 3100.0, 18_900.0)] == ["77.2", "1.0k", "3.1k", "18.9k"]
    assert [format_speed(value).strip() for value in (99.97, 995.0, 99_970.0, 999_600.0)] == ["100", "995", "100k", "1.0M"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (38.4, "00:38"),
        (2470, "41:10"),
        (3599.6, "1:00:00"),
        (7510, "2:05:10"),
        (90_000, "25:00:00"),
        (172_799, "47:59:59"),
        (172_800, "2 d 00 h"),
        (273_600, "3 d 04 h"),
        (None, "–"),
    ],
)
def test_durations_say_their_unit_by_their_shape(seconds: float | None, text: str) -> None:
    """Minutes and seconds, hours, days from the second on: each has its own shape and one width."""
    assert format_duration(seconds) == text


def test_memory_is_honest_where_the_driver_is_silent() -> None:
    """A MIG slice that tells nothing is n/a, never 0."""
    assert format_gib(int(12.1 * 2**30), 139 * 2**30) == "12.1/139 GiB"
    assert format_gib(2**30, 80 * 2**30) == "1.0/80 GiB"
    assert [format_gib(2**30, int(total * 2**30)) for total in (9.94, 9.97)] == ["1.0/9.9 GiB", "1.0/10 GiB"]
    assert format_gib(None, None) == "n/a"


def test_an_interval_is_in_the_unit_of_its_figure() -> None:
    """Both its ends are scaled; where there is none, there is a dash."""
    assert format_interval((0.68, 0.75), 100) == "68–75"
    assert format_interval((68.2, 75.4)) == "68–75"
    assert format_interval(None, 100) == "–"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("/runs/p/mlp/train.log: too short\nmore: here", "too short: /runs/p/mlp/train.log\nmore: here"),
        ("exit code: 3", "exit code: 3"),
        ("killed by SIGKILL", "killed by SIGKILL"),
        ("no weights\n/runs/p: gone", "no weights\n/runs/p: gone"),
    ],
)
def test_a_reason_stands_before_the_path_that_it_is_about(error: str, shown: str) -> None:
    """Only a path is put behind, and only from the front of the first line."""
    assert reason_first(error) == shown


def test_a_minus_stands_beside_no_dash() -> None:
    """An interval that begins below 0 is told with a comma."""
    assert [format_interval(bounds, 100) for bounds in ((0.68, 0.75), (-0.24, 0.44), (-0.001, 0.05), None)] == [
        "68–75",
        "-24, 44",
        "0–5",
        "–",
    ]


def test_bars_have_eighths_and_keep_their_width() -> None:
    """A bar is as long as told, also for rates that are unknown or beyond 1."""
    assert bar(0.5625, 4) == "██▎░"
    assert [len(bar(rate, 8)) for rate in (None, -1.0, 0.0, 0.999, 1.0, 7.0)] == [8] * 6


def test_control_characters_become_visible() -> None:
    """A log line can neither recolour the screen, nor move the cursor, nor turn the direction of writing."""
    assert harmless("\x1b[31mred\x07\t|\x9b2J\u202e") == "␛[31mred␇   |\ufffd2J\ufffd"
    everything = harmless("".join(map(chr, range(0x3000))))
    assert not any(
        unicodedata.category(character) == "Cc" or unicodedata.bidirectional(character) in _TURNING for character in everything
    )


@pytest.mark.parametrize(("width", "clipped"), [(9, "exp01_lr1"), (8, "exp0…lr1"), (3, "e…1"), (1, "…")])
def test_long_names_keep_both_ends(width: int, clipped: str) -> None:
    """The cut is in the middle and marked, and nothing is wider than its place."""
    assert clip_middle("exp01_lr1", width) == clipped
    assert len(clipped) <= width
