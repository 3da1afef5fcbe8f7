"""Keys and what they do, to press or click: the last line of the screen, made from the bindings, and that of windows."""

from __future__ import annotations

from textual import events
from textual.app import RenderResult
from textual.binding import Binding
from textual.content import Content
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Static

from brefine.tui.widgets.panel import line


def key_hint(key: str, shown: str, meaning: str) -> Content:
    """A key as it is `shown`, and what it does; a click on either presses the key."""
    click = Style.from_meta({"@click": f"app.simulate_key({key!r})"})
    return line((shown, "bold $primary"), f" {meaning}").stylize(click)


class WindowKeys(Static):
    """The last line of a window that asks."""

    def __init__(self, *hints: Content) -> None:
        super().__init__(Content("    ").join(hints), classes="keys")
        self.auto_links = False  # keys must not look like links


class KeyHints(Widget):
    """Key and meaning of every visible binding, as many as fit; help and the way out are always among them."""

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._spans: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> RenderResult:
        shown: dict[str, Binding] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.description:
                shown.setdefault(binding.action, binding)
        # The place's own keys come first; help and the way out keep their corner, however short the line is.
        corner = [shown.pop(action) for action in ("help", "leave", "close") if action in shown]
        hints = [(self._key(binding), binding.description, binding.action) for binding in shown.values()]
        last = [(self._key(binding), binding.description, binding.action) for binding in corner]
        room = self.size.width - 1 - sum(len(key) + len(word) + 3 for key, word, _ in last)
        parts: list[str | Content | tuple[str, str]] = [" "]
        self._spans = []
        column = 1
        for key, word, action in hints:
            if column + len(key) + len(word) + 1 > room:
                continue
            column = self._put(parts, column, key, word, action)
        for key, word, action in last:
            column = self._put(parts, column, key, word, action)
        return line(*parts)

    async def on_click(self, event: events.Click) -> None:
        for start, end, key in self._spans:
            if start <= event.x < end:
                self.app.simulate_key(key)

    def _put(self, parts: list[str | Content | tuple[str, str]], column: int, key: str, word: str, action: str) -> int:
        parts += [(key, "bold $primary"), (f" {word}  ", "$quiet")]
        end = column + len(key) + len(word) + 1
        binding = next(active.binding for active in self.screen.active_bindings.values() if active.binding.action == action)
        self._spans.append((column, end, binding.key))
        return end + 2

    def _key(self, binding: Binding) -> str:
        return binding.key_display or self.app.get_key_display(binding)
