"""A titled piece of text that follows the snapshot and is redrawn only when it changes."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.widget import Widget

from brefine.run.snapshot import PhaseSnapshot, PhaseState
from brefine.tui.format import harmless

_ENDED = {PhaseState.STOPPED: "the phase was stopped before this", PhaseState.FAILED: "the phase failed before this"}


class Panel(Widget):
    """Text computed from a snapshot and the panel's own width."""

    grows = False
    """Whether the panel is as high as its text; if not, the layout decides."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 – Textual's name
        super().__init__(id=id, classes=classes)
        self.snapshot: PhaseSnapshot | None = None
        self._content = Content("")
        self._written_for = Size()
        self._title: str | None = None

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        """The panel's text for `width` × `height` cells."""
        raise NotImplementedError

    def show(self, snapshot: PhaseSnapshot) -> None:
        """Follows a new snapshot."""
        self.snapshot = snapshot
        self.redraw()

    def entitle(self, title: str) -> None:
        """Sets the frame's title if it has changed: Textual would repaint the whole panel even for the same title."""
        if title != self._title:
            self._title = title
            self.border_title = line(title)

    def redraw(self) -> None:
        """Computes the text again, for instance after a key has changed what is shown; unchanged lines are not repainted."""
        if self.snapshot is None or self.size.width == 0:
            return
        before, now = (content.split("\n", allow_blank=True) for content in (self._content, self._written(self.snapshot)))
        if self.grows:
            self.styles.height = len(now) + self.gutter.height  # Textual may keep an old layout for new lines, not for a height
        if len(before) != len(now):
            self.refresh()
            return
        changed = [
            Region(0, y, self.content_size.width, 1)
            for y, (old, new) in enumerate(zip(before, now, strict=True))
            if not new.is_same(old)
        ]
        if changed:
            self.refresh(*changed)

    def render(self) -> Content:
        if self.snapshot is not None and self._written_for != self.content_size:
            self._written(self.snapshot)
        return self._content

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The height of a panel that grows, even before it is shown, so that it is first painted in its final place."""
        return 1 if self.snapshot is None else self.text(self.snapshot, width, 0).plain.count("\n") + 1

    def on_resize(self, _: events.Resize) -> None:
        self.redraw()

    def _written(self, snapshot: PhaseSnapshot) -> Content:
        """The text for the present size, cached for `render`."""
        self._written_for = self.content_size
        self._content = self.text(snapshot, *self.content_size)
        return self._content


def why_empty(snapshot: PhaseSnapshot, waits: str) -> str:
    """What a panel without figures says: what it is waiting for, or why no figures will come."""
    if snapshot.foreign and snapshot.state in _ENDED:
        return "there is nothing of this in event files"
    return _ENDED.get(snapshot.state, waits)


def stack(lines: list[Content]) -> Content:
    """Lines below each other."""
    return Content("\n").join(lines)


def line(*parts: str | Content | tuple[str, str]) -> Content:
    """One line of styled parts; control characters never reach the terminal."""
    return Content.assemble(*parts, strip_control_codes=True)


def wrapped(text: str, width: int, style: str, indent: str = " ") -> list[Content]:
    """A sentence in as many lines as it needs; a word that is longer than a line is broken."""
    words = line((" ".join(text.split()), style))
    return [line(indent, part) for part in words.wrap(max(2, width - len(indent)))]


def refusal(why: str, width: int) -> list[Content]:
    """Why something cannot be shown at present and, on a new line, what to do."""
    return [part for told in why.splitlines() for part in wrapped(harmless(told), width, "$error")]
