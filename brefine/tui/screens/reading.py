"""Windows to read in: all alerts, a run's log, and the keys; each can be searched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from brefine.tui.format import harmless
from brefine.tui.widgets.keys import key_hint
from brefine.tui.widgets.panel import line, stack

_BACK, _FIND = key_hint("escape", "esc", "back"), key_hint("slash", "/", "find")
_NEXT, _PREVIOUS = key_hint("n", "n", "next"), key_hint("N", "N", "previous")
_GAP = "   "


class ReadingScreen(ModalScreen[None]):
    """Lines that can be searched; scrolls with new lines while it is at the end.

    Args:
        title: of the window.
        lines: gives the lines as they are now; called again at every snapshot.
        searching: whether the search is open from the start.
        from_end: whether the newest lines are last, so that reading begins at the end.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,l,a,question_mark", "close_reading", "back", key_display="esc"),
        Binding("slash", "search", "find"),
        Binding("n", "found(1)", "next"),
        Binding("N", "found(-1)", "previous"),
    ]

    def __init__(
        self, title: str, lines: Callable[[], Sequence[Content | str]], *, searching: bool = False, from_end: bool = False
    ) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._searching = searching
        self._from_end = from_end or searching
        self._needle = ""
        self._at: int | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="reading", id="reading"):
            yield Static(id="text")
        yield Input(placeholder="find", id="needle")

    def on_mount(self) -> None:
        self.query_one("#reading").border_title = line(self._title)
        self.query_one("#reading").border_subtitle = line(_BACK, _GAP, _FIND, _GAP, _NEXT, _GAP, _PREVIOUS)
        self.query_one(Input).display = self._searching
        self.query_one(Input if self._searching else "#reading").focus()
        self.refresh_lines()
        if self._from_end:
            self.query_one("#reading", VerticalScroll).scroll_end(animate=False)

    def refresh_lines(self) -> None:
        """Shows the lines as they are now."""
        if not self.query("#text"):  # a snapshot arrived before the window was complete
            return
        reading = self.query_one("#reading", VerticalScroll)
        at_end = reading.scroll_offset.y >= reading.max_scroll_y
        shown = []
        for index, content in enumerate(self._contents()):
            marked = content
            for start, end in _places(content.plain, self._needle):
                marked = marked.stylize("bold reverse" if index == self._at else "reverse", start, end)
            shown.append(marked)
        self.query_one("#text", Static).update(stack(shown) if shown else line(("nothing yet", "$quiet")))
        if at_end and self._from_end and self._at is None:
            reading.scroll_end(animate=False)

    def action_close_reading(self) -> None:
        self.dismiss(None)

    def action_search(self) -> None:
        self.query_one(Input).display = True
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._needle = event.value
        self._at = None
        self.query_one("#reading").focus()
        self.action_found(-1)

    def action_found(self, step: int) -> None:
        """Goes to the next or previous line that contains the searched text; the search begins at the newest line."""
        contents = self._contents()
        found = [index for index, content in enumerate(contents) if _places(content.plain, self._needle)]
        reading = self.query_one("#reading", VerticalScroll)
        if not found:
            missed = line(f"“{self._needle}” is not here", _GAP, _BACK, _GAP) if self._needle else ""
            reading.border_subtitle = line(missed, _FIND)
            self.refresh_lines()
            return
        if self._at is None:
            self._at = found[-1] if step < 0 else found[0]
        else:
            later = [index for index in found if (index - self._at) * step > 0]
            nearest = (min if step > 0 else max)(later) if later else (found[0] if step > 0 else found[-1])
            self._at = nearest
        where = f"{found.index(self._at) + 1} of {len(found)} lines with “{self._needle}”"
        reading.border_subtitle = line(where, _GAP, _NEXT, _GAP, _PREVIOUS, _GAP, _BACK)
        self.refresh_lines()
        until = contents[self._at][: _places(contents[self._at].plain, self._needle)[0][1]]
        width = self.query_one("#text").content_size.width
        row = sum(content.get_height({}, width) for content in [*contents[: self._at], until])  # a long line takes several rows
        reading.scroll_to(y=max(0, row - 1 - reading.size.height // 2), animate=False)

    def _contents(self) -> list[Content]:
        return [text if isinstance(text, Content) else line(harmless(text)) for text in self._lines()]


def _places(text: str, needle: str) -> list[tuple[int, int]]:
    """Start and end of each occurrence of the needle in the text, ignoring case."""
    return [found.span() for found in re.finditer(re.escape(needle), text, re.IGNORECASE)] if needle else []
