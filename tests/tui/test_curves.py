"""What part of the curves is looked at, how it is drawn, and what the title says of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brefine.phasedir import Tag
from brefine.run.snapshot import Curve, ShownState
from brefine.tui.curves import METRICS, View, extent_of, labels_of, plot_metric, title_of
from tests.tui.memory_phases import START_UNIX_S, curve, event_files, phase, run, training_runs

_EXTENT = (100.0, 1100.0)
_MAE, _LOSS = METRICS[:2]


def test_zooming_keeps_the_cursor_where_it_is_on_the_screen() -> None:
    """A quarter from the left before and after; without a cursor the right end stays and follows the newest value."""
    closer = View(cursor=350.0).zoomed(0.5, _EXTENT)
    assert closer.range_in(_EXTENT) == (225.0, 725.0)
    assert closer.zoomed(0.5, _EXTENT).range_in(_EXTENT) == (287.5, 537.5)
    following = View().zoomed(0.5, _EXTENT)
    assert following.range_in(_EXTENT) == (600.0, 1100.0)
    assert following.range_in((100.0, 1200.0)) == (700.0, 1200.0)


def test_zooming_ends_at_the_whole_and_at_a_ten_thousandth_of_it() -> None:
    """What would show as much as there is shows all, and goes on following; near an end no place beyond it is shown."""
    assert View(span=600.0, end=900.0).zoomed(2.0, _EXTENT) == View()
    assert View(span=0.15).zoomed(0.5, _EXTENT).span == pytest.approx(0.1)
    assert View(span=100.0, end=200.0, cursor=110.0).zoomed(4.0, _EXTENT).range_in(_EXTENT) == (100.0, 500.0)
    assert View(span=100.0, end=1100.0, cursor=1090.0).zoomed(4.0, _EXTENT).range_in(_EXTENT) == (700.0, 1100.0)


def test_panning_stops_at_the_ends() -> None:
    """At the left end no further; at the right end the newest value is followed again; the whole does not move."""
    there = View(span=200.0, end=700.0)
    assert there.panned(-0.5, _EXTENT).range_in(_EXTENT) == (400.0, 600.0)
    assert there.panned(-9.0, _EXTENT).range_in(_EXTENT) == (100.0, 300.0)
    assert there.panned(2.0, _EXTENT).end is None
    assert View().panned(-0.5, _EXTENT) == View()


def test_a_cursor_begins_at_the_newest_value_and_takes_the_visible_part_along() -> None:
    """It moves by shares of what is seen, never beyond the curves, and is always in sight."""
    view = View(span=200.0, end=700.0).moved(-0.1, _EXTENT)
    assert view.cursor == 700.0
    assert view.moved(-0.1, _EXTENT) == replace(view, cursor=680.0)
    assert view.moved(0.5, _EXTENT).range_in(_EXTENT) == (600.0, 800.0)
    assert view.moved(-1.5, _EXTENT).range_in(_EXTENT) == (400.0, 600.0)
    assert (view.pointed(9e9, _EXTENT).cursor, view.pointed(-9e9, _EXTENT).cursor) == (1100.0, 100.0)


def test_another_axis_forgets_positions_and_keeps_the_manner() -> None:
    """Step, epoch, time and step again; smoothings come round as well."""
    view = View(smoothing=0.9, log_y=True, span=10.0, end=50.0, cursor=45.0)
    assert view.other_axis() == View(axis="epoch", smoothing=0.9, log_y=True)
    assert [one.axis for one in (View(), View().other_axis().other_axis(), View(axis="time").other_axis())] == [
        "step",
        "time",
        "step",
    ]
    assert [View(smoothing=weight).smoother().smoothing for weight in (0.0, 0.6, 0.9)] == [0.6, 0.9, 0.0]


def test_every_run_has_a_letter_of_its_own() -> None:
    """Its initial, or where two share one, a, b, c …; behind z comes aa."""
    assert labels_of(training_runs()) == ["T", "M", "C"]
    many = labels_of(event_files(*(f"exp{number}" for number in range(54))).runs)
    assert [many[index] for index in (0, 25, 26, 27, 51, 52)] == ["a", "z", "aa", "ab", "az", "ba"]
    assert len(set(many)) == 54


def test_the_chosen_run_is_drawn_on_top_and_lines_that_matter_with_the_mae_alone() -> None:
    """Curves drawn later hide others; a target of the MAE says nothing of a loss."""
    snapshot = phase()
    for chosen, last in enumerate("TMC"):
        plot = plot_metric(_MAE, snapshot, View(), chosen=chosen)
        assert plot is not None
        assert plot.traces[-1].label == last
        assert [(level.value, level.label) for level in plot.levels] == [(100.0, "target 100"), (172.0, "unrefined 172")]
    loss = plot_metric(_LOSS, snapshot, View())
    assert loss is not None
    assert list(loss.levels) == []
    assert plot_metric(_MAE, phase(runs=(replace(run("mlp"), curves={}),)), View()) is None


def test_a_few_validation_figures_are_not_smoothed() -> None:
    """A noisy loss is; smoothing moves no position."""
    snapshot = phase(runs=(run("mlp"),))
    for metric, smoothed in ((_MAE, False), (_LOSS, True)):
        plain, smooth = (plot_metric(metric, snapshot, View(smoothing=weight)) for weight in (0.0, 0.9))
        assert plain is not None and smooth is not None
        np.testing.assert_array_equal(plain.traces[0].x, smooth.traces[0].x)
        assert np.array_equal(plain.traces[0].y, smooth.traces[0].y) != smoothed
        assert title_of(metric, snapshot, View(smoothing=0.9)) == metric.title + ("  smooth .9" if smoothed else "")


def test_curves_lie_on_the_axis_that_was_chosen() -> None:
    """Epochs are steps by the run's own measure, seconds count from the phase's start, and a clock set back folds no curve."""
    steps, values = np.array([400, 800, 1200]), np.array([3.0, 2.0, 1.0])
    told = Curve(Tag.LOSS, steps, values, START_UNIX_S + np.array([10.0, 4.0, 30.0]))
    own = replace(run("mlp"), curves={Tag.LOSS: told})
    assert own.status is not None
    own = replace(own, status=own.status.model_copy(update={"n_steps": 8000, "n_epochs": 10}))
    snapshot = phase(runs=(own,), started_unix_s=START_UNIX_S - 5.0)
    for axis, x in (("step", [400.0, 800.0, 1200.0]), ("epoch", [0.5, 1.0, 1.5]), ("time", [15.0, 15.0, 35.0])):
        plot = plot_metric(_LOSS, snapshot, View(axis=axis))
        assert plot is not None
        np.testing.assert_allclose(plot.traces[0].x, x)
        assert extent_of(_LOSS, snapshot, View(axis=axis)) == pytest.approx((x[0], x[-1]))


def test_the_title_has_the_values_at_the_cursor() -> None:
    """Of each run the newest one there or before: a dash before the first, words for what is not finite."""
    runs = tuple(
        replace(
            run(model),
            state=ShownState.RUNNING,
            curves={Tag.VALIDATION_MAE_MS: curve(Tag.VALIDATION_MAE_MS, values, every_steps=n)},
        )
        for model, values, n in (("transformer", [90.0, 80.0], 100), ("mlp", [70.0, np.nan], 150), ("contrastive", [60.0], 500))
    )
    snapshot = phase(runs=runs)
    for cursor, told in ((200.0, "T 80  M 70  C –"), (199.0, "T 90  M 70  C –"), (1500.0, "T 80  M NaN  C 60")):
        assert title_of(_MAE, snapshot, View(cursor=cursor)) == f"validation MAE (ms)  at step {cursor:,.0f}:  {told}"
    assert title_of(_LOSS, snapshot, View(span=10.0, log_y=True, smoothing=0.0)) == "training loss  log y  zoomed"
