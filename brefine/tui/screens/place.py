"""A place of the dashboard: it follows the snapshot, has its own keys, and asks the app to act."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message

from brefine.run.snapshot import PhaseSnapshot
from brefine.tui.screens.asking import Confirm


class Wanted(Message):
    """An action that the person has asked for; the app carries it out in a thread and reports the outcome."""

    def __init__(
        self,
        call: Callable[[], Any],
        done: Callable[[Any], None] | None = None,
        failed: Callable[[str], None] | None = None,
    ) -> None:
        """Args:
        call: does it; if it returns text, the person is shown that.
        done: called in the app's thread with what `call` has returned.
        failed: called in the app's thread with the reason; without it, the person is shown the reason.
        """
        self.call = call
        self.done = done
        self.failed = failed
        super().__init__()


class Place(VerticalScroll):
    """One of the five places."""

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "page_down", "scroll", key_display="PgDn"),
        Binding("pageup", "page_up", show=False),
    ]

    def __init__(self, *, id: str, read_only: bool) -> None:  # noqa: A002 – Textual's name
        super().__init__(id=id)
        self.read_only = read_only
        self.snapshot: PhaseSnapshot | None = None

    def show(self, snapshot: PhaseSnapshot) -> None:
        """Follows a new snapshot."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides keys that change something if the dashboard is read-only, and the key that scrolls if everything fits."""
        if action == "page_down":
            return self.allow_vertical_scroll
        return not (self.read_only and action in self.CHANGING)

    def watch_show_vertical_scrollbar(self) -> None:
        """Shows or hides the key that scrolls."""
        self.refresh_bindings()

    def ask_before(self, act: Callable[[], object], question: str, consequence: str) -> None:
        """Asks once, and acts if the answer is yes."""

        def answered(sure: bool | None) -> None:
            if sure:
                act()

        self.app.push_screen(Confirm(question, consequence), answered)

    CHANGING: frozenset[str] = frozenset()
    """Actions that change the phase."""
