"""A dashboard on a screen in memory, read as text."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from textual.color import Color
from textual.pilot import Pilot

from brefine.run.snapshot import PhaseSnapshot
from brefine.tui.app import DashboardApp
from tests.tui.memory_phases import MemorySource, RecordedActions

_PATIENCE_S = 60.0
_SOON_S = 0.02
"""A picture, or another size, is put off by a sixtieth of a second."""
_LONG_S = 5.0
"""Something moves for ever."""


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual takes for idle who gets little of the processor, as on a busy machine; here it is who has nothing to do."""
    for place in ("app.wait_for_idle", "pilot.wait_for_idle", "pilot.Pilot._wait_for_screen"):
        monkeypatch.setattr(f"textual.{place}", settled)


async def settled(*_: object) -> None:
    """Waits until nothing is left to do in the loop, and nothing will be soon; threads are not waited for."""
    loop: Any = asyncio.get_running_loop()
    limit_s = loop.time() + _LONG_S
    while loop.time() < limit_s:
        await asyncio.sleep(0)
        if loop._ready:
            continue
        due_s = min((handle.when() for handle in loop._scheduled if not handle.cancelled()), default=limit_s)
        if due_s > loop.time() + _SOON_S:
            return
        await asyncio.sleep(max(0.0, due_s - loop.time()))


def contrast(one: Color, other: Color) -> float:
    """How far two colours stand out from each other, 1 to 21, as WCAG 2 counts it."""

    def luminance(colour: Color) -> float:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour.normalized]
        return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@dataclass
class Desk:
    """An app at work, with everything a test needs to look at it."""

    app: DashboardApp
    pilot: Pilot[None]
    source: MemorySource
    actions: RecordedActions

    @property
    def text(self) -> str:
        """The whole screen, a line a row, without trailing blanks."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    def row(self, beginning: str) -> str:
        """The first row that holds these words."""
        return next(row for row in self.text.splitlines() if beginning in row)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def click(self, words: str) -> None:
        """Clicks on the beginning of these words, where the screen first has them."""
        row = self.row(words)
        await self.pilot.click(offset=(row.index(words), self.text.splitlines().index(row)))
        await self.pilot.pause()

    async def until(self, true: Callable[[], Any]) -> None:
        """Waits until something holds."""
        limit_s = time.monotonic() + _PATIENCE_S
        while not true():
            assert time.monotonic() < limit_s, f"never came true; the screen says:\n{self.text}"
            await asyncio.sleep(0.01)

    async def tell(self, snapshot: PhaseSnapshot) -> None:
        """Gives the app a new snapshot and waits until it is shown."""
        n_asked = self.source.n_asked
        self.source.tell(snapshot)
        await self.until(lambda: self.app.snapshot is snapshot and self.source.n_asked > n_asked)
        await self.pilot.pause()


OpenDesk = Callable[..., contextlib.AbstractAsyncContextManager[Desk]]


@pytest.fixture
def open_desk(monkeypatch: pytest.MonkeyPatch) -> OpenDesk:
    """Opens the dashboard on a snapshot at a size; local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.delenv("NO_COLOR", raising=False)

    @contextlib.asynccontextmanager
    async def open_(snapshot: PhaseSnapshot, size: tuple[int, int] = (80, 24), **options: Any) -> AsyncIterator[Desk]:
        source, actions = MemorySource(snapshot), RecordedActions()
        app = DashboardApp(source, actions, poll_s=0.0, **options)
        try:
            async with app.run_test(size=size, notifications=True) as pilot:
                desk = Desk(app, pilot, source, actions)
                await desk.until(lambda: source.n_asked > 1)
                await pilot.pause()
                yield desk
        finally:
            source.end()
            actions.end()

    return open_
