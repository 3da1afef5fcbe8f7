"""Small windows that ask one thing: yes or no, or one line of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from brefine.tui.widgets.keys import WindowKeys, key_hint
from brefine.tui.widgets.panel import line


class Confirm(ModalScreen[bool]):
    """Asks once before something is destroyed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "yes"),
        Binding("n,escape", "dismiss(False)", "no"),
    ]

    def __init__(self, question: str, consequence: str) -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence

    def compose(self) -> ComposeResult:
        with Vertical(classes="window"):
            yield Static(line((self._question, "bold $warning")))
            yield Static(line(self._consequence))
            yield WindowKeys(key_hint("y", "y", "yes"), key_hint("n", "n", "no"))


class _Line(Input):
    """A line to type into; pasted text goes into it as a whole, even if it has several lines."""

    def on_paste(self, event: events.Paste) -> None:
        event.text = " ".join(event.text.split())  # Textual handles the event next, and would take only the first line


class AskLine(ModalScreen[str | None]):
    """Asks for one line; escape gives None.

    Args:
        fault_of: says what is wrong with a line, which then stays open to be corrected; None if nothing is wrong.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "leave it", priority=True)]

    def __init__(
        self, question: str, hint: str, *, required: bool, fault_of: Callable[[str], str | None] = lambda line: None
    ) -> None:
        super().__init__()
        self._question = question
        self._hint = hint
        self._required = required
        self._fault_of = fault_of

    def compose(self) -> ComposeResult:
        with Vertical(classes="window"):
            yield Static(line((self._question, "bold $primary")))
            yield _Line(placeholder=self._hint)
            yield WindowKeys(key_hint("enter", "enter", "take it"), key_hint("escape", "esc", "leave it"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        fault = self._fault_of(text)
        if fault is not None:
            self.app.notify(fault, severity="warning", markup=False)
        elif text or not self._required:
            self.dismiss(text)
