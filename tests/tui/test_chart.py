"""What of a chart is drawn again, and so is sent to the terminal again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.color import Color
from textual.geometry import Region
from textual.widget import Widget

from brefine.tui.drawing import Plot, Trace, draw, text_of
from brefine.tui.widgets.chart import Chart, Waiting
from tests.tui.conftest import Desk, OpenDesk
from tests.tui.memory_phases import phase

Asked = list[tuple[str | None, tuple[Region, ...]]]
WIDTH, HEIGHT = 60, 12


class LoneChart(App[None]):
    """A chart in its frame, and nothing else."""

    CSS = "Chart { width: 1fr; height: 1fr; border: round white; }"

    def compose(self) -> ComposeResult:
        yield Chart(id="chart")

    @property
    def chart(self) -> Chart:
        return self.query_one(Chart)

    @property
    def text(self) -> str:
        """What stands within the frame."""
        strips = self.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip)[1:-1] for strip in strips[1:-1])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The charts that asked to be drawn again, with the regions; none = the whole chart."""
    asked: Asked = []

    def refresh(chart: Chart, *regions: Region, **options: Any) -> Chart:
        asked.append((chart.id, regions))
        return Widget.refresh(chart, *regions, **options)

    monkeypatch.setattr(Chart, "refresh", refresh)
    return asked


def plot(last: float) -> Plot:
    """A curve that ends at this value."""
    return Plot([Trace("t", 0, np.arange(50.0), np.append(np.linspace(4.0, 1.0, 49), last))])


def drawn(plot: Plot, width: int = WIDTH) -> str:
    """The plot in a frame that is `width` wide."""
    return text_of(draw(plot, width=width - 2, height=HEIGHT - 2))


def axis_colours(desk: Desk) -> set[str]:
    """What the axes have on the screen."""
    strips = desk.app.screen._compositor.render_strips()
    styles = [segment.style for strip in strips for segment in strip if "┤" in segment.text]
    return {Color.from_rich_color(style.color).hex for style in styles if style is not None and style.color is not None}


@pytest.mark.parametrize("shown", [plot, lambda _: Waiting("nothing yet")])
async def test_a_chart_that_looks_as_before_is_not_drawn_again(asked: Asked, shown: Any) -> None:
    """Most snapshots bring most charts nothing, and a slow line carries what is drawn."""
    app = LoneChart()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        app.chart.show(shown(1.5), "loss")
        await pilot.pause()
        asked.clear()
        app.chart.show(shown(1.5), "loss")
        assert asked == []
        app.chart.show(shown(1.5), "loss  log y")
        assert asked == [("chart", ())]


async def test_only_rows_that_differ_are_drawn_again(asked: Asked) -> None:
    """And what is seen then is the whole new plot."""
    app = LoneChart()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        app.chart.show(plot(1.5), "loss")
        await pilot.pause()
        assert app.text == drawn(plot(1.5))
        asked.clear()
        app.chart.show(plot(2.5), "loss")
        [(_, regions)] = asked
        assert 0 < len(regions) < HEIGHT - 2
        await pilot.pause()
        assert app.text == drawn(plot(2.5))


async def test_a_plot_takes_the_place_of_a_reason_and_leaves_it() -> None:
    """As a training begins, and as another metric is chosen that has no values yet."""
    app = LoneChart()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        for shown in (Waiting("nothing yet"), plot(1.5), Waiting("nothing yet")):
            app.chart.show(shown, "loss")
            await pilot.pause()
            assert ("nothing yet" in app.text) == isinstance(shown, Waiting)
            assert ("┤" in app.text) == isinstance(shown, Plot)


async def test_a_chart_of_another_width_is_drawn_anew() -> None:
    """Before the next snapshot comes."""
    app = LoneChart()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        app.chart.show(plot(1.5), "loss")
        await pilot.resize_terminal(WIDTH + 20, HEIGHT)
        await pilot.pause()
        assert app.text == drawn(plot(1.5), WIDTH + 20)


async def test_another_theme_draws_the_charts_again(open_desk: OpenDesk, asked: Asked) -> None:
    """In its colours, though nothing that they show has changed."""
    async with open_desk(phase()) as desk:
        before = axis_colours(desk)
        asked.clear()
        desk.app.theme = "brefine-light"
        await desk.pilot.pause()
        assert ("chart-0", ()) in asked
        assert axis_colours(desk) == {desk.app.query_one(Chart).get_component_styles("chart--axis").color.hex} != before
