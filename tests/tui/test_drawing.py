"""Charts, read as text."""

from __future__ import annotations

import numpy as np
import pytest

from brefine.tui.drawing import Level, Plot, Row, Trace, draw, nice_ticks, text_of
from brefine.tui.format import format_duration


def _line(values: list[float], look: int = 0, label: str = "") -> Trace:
    return Trace(label, look, np.arange(len(values), dtype=np.float64), np.array(values, dtype=np.float64))


def _plot_area(rows: list[Row]) -> list[str]:
    """The cells between the axes."""
    return [row[7:] for row in text_of(rows).splitlines()[:-1]]


def test_a_rising_line_is_drawn_dot_by_dot() -> None:
    """Eight points from the lower left to the upper right light the dots of a diagonal."""
    rows = draw(Plot([_line([0, 1, 2, 3, 4, 5, 6, 7])], y_range=(0.0, 7.0)), width=11, height=3)
    assert _plot_area(rows) == ["  ⡠⠊", "⡠⠊  "]


def test_axes_carry_round_values() -> None:
    """Left the values, below the positions and their name."""
    rows = draw(Plot([_line([100, 150, 200, 100, 100])], x_label="step"), width=30, height=8)
    assert text_of(rows).splitlines() == [
        "   200┤          ⢀⠴⡀          ",
        "      │        ⢀⠔⠁ ⢱          ",
        "      │       ⡠⠊    ⢣         ",
        "      │     ⡠⠊       ⢣        ",
        "      │   ⡠⠊         ⠈⢆       ",
        "      │ ⢀⠜            ⠈⢆      ",
        "   100┤⠔⠁              ⠘⠤⠤⠤⠤⠤⠤",
        "      └0──────────2────── step",
    ]


def test_a_peak_among_many_points_stays_visible() -> None:
    """One outlier among 20,000 points reaches the top row."""
    values = np.zeros(20_000)
    values[12_345] = 1.0
    rows = draw(Plot([Trace("", 0, np.arange(20_000.0), values)], y_range=(0.0, 1.0)), width=47, height=6)
    assert _plot_area(rows)[0].strip()


def test_not_a_number_is_marked_where_it_happened() -> None:
    """A NaN in a line is a ✕ at that place, in the row of the value before it, named where no curve is in the way."""
    rows = draw(Plot([_line([1.0] * 20 + [np.nan] + [1.0] * 20, look=1)], y_range=(0.0, 2.0)), width=47, height=6)
    assert _plot_area(rows)[2] == "⠤⠤⠄ ⠤⠤⠄ ⠤⠤⠄ ⠤⠤⠄ ⠤⠤⠄ ✕⠤⠄ ⠤⠤⠄ ⠤⠤⠄ ⠤⠤⠄ ⠤⠤⠄ "
    assert [run.role for row in rows for run in row if "✕" in run.text] == ["nonfinite"]
    stepping = Plot([_line([2.0] * 5 + [0.0] * 5 + [np.nan] + [2.0] * 10)], y_range=(0.0, 2.0))
    assert ["✕ NaN" in row for row in _plot_area(draw(stepping, width=47, height=6))] == [False, False, False, False, True]


def test_neighbouring_marks_cut_no_word() -> None:
    """Of several NaN in a row, and of two curves, each is marked, and the last one has its word whole."""
    curves = [_line([0.0, np.nan, np.nan, np.nan] + [2.0] * 12), _line([0.0, 0.0, 0.0, 0.0, np.nan] + [2.0] * 11)]
    assert _plot_area(draw(Plot(curves[:1], y_range=(0.0, 2.0)), width=23, height=4))[-1] == "⡰✕✕✕ NaN        "
    assert _plot_area(draw(Plot(curves, y_range=(0.0, 2.0)), width=23, height=4))[-1] == "⣰✕✕✕✕ NaN       "


def test_infinity_is_marked_at_the_edge_it_ran_to() -> None:
    """+Inf stands in the top row, −Inf in the bottom row, each with its word, and neither breaks the scale."""
    for value, word, edge in ((np.inf, "✕ Inf ", 0), (-np.inf, "✕ -Inf ", 4)):
        rows = draw(Plot([_line([1.2, value, 1.2, 1.0, 1.5])]), width=47, height=6)
        assert [index for index, row in enumerate(_plot_area(rows)) if word in row] == [edge]
        assert text_of(rows).count("✕") == 1
        assert [text_of(rows).splitlines()[row][:7] for row in (0, 4)] == ["   1.5┤", "     1┤"]


def test_whatever_is_not_finite_in_one_column_is_told() -> None:
    """A NaN hides no infinity that came at nearly the same step."""
    trace = Trace("", 0, np.array([0.0, 1.0, 1.001, 1.5, 2.0]), np.array([1.0, np.nan, -np.inf, 1.0, 1.0]))
    area = _plot_area(draw(Plot([trace], y_range=(0.0, 2.0)), width=47, height=6))
    assert [row.count("✕") for row in area] == [0, 0, 1, 0, 1]


def test_a_curve_of_nothing_but_nan_is_marked_too() -> None:
    """Without a single finite value there is no line, but the marks remain."""
    assert "✕" in text_of(draw(Plot([_line([np.nan, np.nan])]), width=40, height=6))


def test_curves_differ_by_dash_as_well_as_by_role() -> None:
    """Without colour a solid and a dashed line are still told apart."""
    solid, dashed = (_plot_area(draw(Plot([_line([1.0, 1.0], look)], y_range=(0.0, 2.0)), width=23, height=3)) for look in (0, 1))
    assert "".join(solid).strip() == "⠉" * 16
    assert "".join(dashed).strip() == "⠉⠉⠁ ⠉⠉⠁ ⠉⠉⠁ ⠉⠉⠁"
    assert len("".join(solid).strip()) == len("".join(dashed).strip()) + 1


def test_levels_and_newest_values_are_named_at_the_right() -> None:
    """Target and unrefined lines have their names, curves their letter and newest value, each in a row of its own."""
    plot = Plot(
        [_line([172, 120, 95], 0, "T"), _line([172, 130, 96], 1, "M")],
        [Level(100.0, "target 100"), Level(172.0, "unrefined 172")],
        format_y=lambda value: f"{value:.0f}",
    )
    text = text_of(draw(plot, width=70, height=12))
    for words in ("target 100", "unrefined 172", "T 95", "M 96"):
        assert sum(words in row for row in text.splitlines()) == 1
    assert "┄┄┄" in text


def test_what_lies_beyond_the_scale_is_not_drawn_at_its_edge() -> None:
    """A level above the part of the axis that is looked at has neither a line nor a name there, a curve beyond it no label."""
    plot = Plot([_line([0.5, 0.5]), _line([0.5, 7.0], 1, "M")], [Level(5.0, "target 5")], y_range=(0.0, 1.0))
    text = text_of(draw(plot, width=60, height=6))
    assert "┄" not in text
    assert "target" not in text
    assert "M" not in text


def test_a_logarithmic_axis_names_powers_of_ten() -> None:
    """A curve from 1 to 1,000 is a straight diagonal, with a narrow margin; twos and fives come where powers leave room."""
    plot = Plot([_line([1.0, 10.0, 100.0, 1000.0])], log_y=True)
    assert text_of(draw(plot, width=40, height=10)).splitlines() == [
        "  1000┤                              ⢀⡠⠔",
        "      │                          ⢀⡠⠔⠊⠁  ",
        "      │                      ⢀⡠⠔⠊⠁      ",
        "   100┤                   ⡠⠤⠊⠁          ",
        "      │               ⡠⠤⠊⠉              ",
        "    10┤           ⡠⠤⠊⠉                  ",
        "      │       ⡠⠤⠊⠉                      ",
        "      │   ⡠⠤⠊⠉                          ",
        "     1┤⠤⠊⠉                              ",
        "      └0────────────────────2────────── ",
    ]
    assert [row[:6].strip() for row in text_of(draw(plot, width=40, height=16)).splitlines()[:-1]] == (
        ["1000", "", "", "200", "", "100", "", "", "", "10", "", "", "2", "", "1"]
    )


def test_a_logarithmic_axis_spreads_small_values() -> None:
    """Half-way up a logarithmic axis from 1 to 100 lies 10; a curve that touches zero is drawn linearly instead."""
    flat = Plot([_line([10.0, 10.0])], y_range=(1.0, 100.0), log_y=True)
    drawn = [index for index, row in enumerate(_plot_area(draw(flat, width=20, height=10))) if row.strip()]
    assert drawn == [4]
    touching = Plot([_line([0.0, 1.0])], log_y=True)
    linear = Plot([_line([0.0, 1.0])])
    assert text_of(draw(touching, width=40, height=8)) == text_of(draw(linear, width=40, height=8))


def test_the_cursor_is_a_line_through_the_chart() -> None:
    """The cursor's column is marked in every row and never hides a curve, nor the mark of a value that is none."""
    rows = draw(Plot([_line([1.0, 2.0, 3.0])], cursor_x=1.0), width=40, height=8)
    assert all(any(run.under_cursor for run in row) for row in rows[:-1])
    assert sum("│" in row for row in _plot_area(rows)) == len(rows) - 2
    broken = Plot([_line([0.0, 0.0, np.nan, 0.0, 0.0, 0.0, 0.0])], cursor_x=2.0, y_range=(0.0, 1.0))
    assert _plot_area(draw(broken, width=20, height=4)) == ["    │        ", "    │        ", "⣀⣀⣀⣀✕⣀⣀⣀⣀⣀⣀⣀⣀"]


def test_only_the_visible_part_sets_the_scale() -> None:
    """Zoomed in on the end of a falling curve, the axis covers the end alone."""
    plot = Plot([_line([1000.0, 500.0, 3.0, 2.0, 1.0])], x_range=(2.0, 4.0))
    assert "1000" not in text_of(draw(plot, width=40, height=8))


def test_every_size_gives_a_full_rectangle() -> None:
    """From one cell to a large screen, rows are as many and as wide as asked for."""
    plot = Plot([_line([5.0, 3.0, np.nan, 2.0], 0, "T")], [Level(4.0, "target 4")], cursor_x=2.0, x_label="step")
    for width, height in ((1, 1), (10, 3), (43, 5), (44, 5), (80, 11), (200, 40)):
        rows = text_of(draw(plot, width=width, height=height)).splitlines()
        assert [len(row) for row in rows] == [width] * height


def test_ticks_are_round_and_few() -> None:
    """Ones, twos and fives times a power of ten, never more than asked for."""
    assert nice_ticks(0.0, 17_600.0, 4) == [0.0, 5000.0, 10_000.0, 15_000.0]
    assert nice_ticks(68.0, 176.0, 4) == [100.0, 150.0]
    assert len(nice_ticks(1.234, 1.235, 5)) <= 5
    assert nice_ticks(0.0, 2.4, 10, whole=True) == [0.0, 1.0, 2.0]
    assert nice_ticks(0.2, 0.8, 5, whole=True) == []


@pytest.mark.parametrize(
    ("x", "labels"),
    [([0.05, 2.4], ["1", "2"]), ([29.6, 31.8], ["30", "31"]), ([180_000.0, 181_200.0], ["2 d 02 h"]), ([0.2, 0.8], [])],
)
def test_no_position_is_named_twice(x: list[float], labels: list[str]) -> None:
    """Over a short range there are whole epochs and seconds alone, and a label that rounds is not repeated."""
    days = x[0] > 1000
    plot = Plot(
        [Trace("", 0, np.array(x), np.array([1.0, 2.0]))],
        x_label="epoch",
        format_x=format_duration if days else (lambda value: f"{value:.0f}"),
    )
    axis = text_of(draw(plot, width=80, height=8)).splitlines()[-1]
    assert [label for label in axis.strip(" └").removesuffix(" epoch").split("─") if label] == labels


@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize(
    ("steps", "values"),
    [
        ([2**53], [1.0]),
        ([1_790_000_000_123_456_789], [0.0]),
        ([0, 1], [0.0, 1e-322]),
        ([0, 1], [-1.7e308, 1.7e308]),
        ([0, 1], [1e-322, 1.7e308]),
        ([0, 1, 2], [1.7e308, np.nan, 1.7e308]),
    ],
)
def test_no_number_is_too_great_or_too_small_to_be_drawn(steps: list[int], values: list[float], log_y: bool) -> None:
    """Neither steps that a float cannot count by ones nor values whose difference is nothing or infinite break a chart."""
    rows = draw(Plot([Trace("A", 0, np.array(steps, float), np.array(values))], log_y=log_y, format_y=None), width=60, height=9)
    assert any(run.role == "trace-0" and run.text.strip() and run.text != "A" for row in rows for run in row)
