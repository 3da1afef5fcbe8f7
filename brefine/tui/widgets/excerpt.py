"""Four seconds around a boundary: posterior, spectrogram in half blocks, who speaks, and three upright lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from brefine.core.turns import Turn
from brefine.phasedir import BoundaryRow

if TYPE_CHECKING:  # it imports audio and scipy, which are loaded with the first boundary
    from brefine.run.boundary_book import Excerpt

SOURCES: Final = ("reference", "hypothesis", "refined")
LINES: Final = {"reference": "┃", "hypothesis": "┆", "refined": "║"}
"""The three upright lines, which can be distinguished without colour."""
_TRACKS: Final = {"reference": "━", "hypothesis": "╌", "refined": "═"}
_SHORT: Final = {"reference": "ref", "hypothesis": "hyp", "refined": "new"}
_LEFT: Final = 7
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_RAMP: Final = np.array(
    [(0x0B, 0x0F, 0x1A), (0x2A, 0x1E, 0x4F), (0x6B, 0x2A, 0x6E), (0xB3, 0x3F, 0x5F), (0xE8, 0x7A, 0x3D), (0xFB, 0xD3, 0x6B)]
)
"""Colours from soft to loud, lighter at every step, so that they can be read in grey as well."""

Cell = tuple[str, str]
"""A character and its role: `text`, `posterior`, one of `SOURCES`, or `ramp-TOP-BOTTOM` with levels of 0–63."""


def lines_at(row: BoundaryRow) -> dict[str, float]:
    """Source → time of the boundary, in seconds."""
    return {"reference": row.reference_s, "hypothesis": row.hypothesis_s, "refined": row.refined_s}


def layout(height: int) -> tuple[int, int, int]:
    """Numbers of rows of the posterior, the spectrogram and the tracks; the time axis takes one more."""
    posterior = 2 if height < 20 else 4
    tracks = 3 if height < 16 else 6 if height < 30 else 9
    return posterior, max(2, height - posterior - tracks - 1), tracks


def draw_excerpt(excerpt: Excerpt, row: BoundaryRow, why_no_posterior: str, *, width: int, height: int) -> list[list[Cell]]:
    """`height` rows of `width` cells; without a posterior, the words `why_no_posterior` are in its place."""
    columns = width - _LEFT
    n_posterior, n_spectrogram, n_tracks = layout(height)
    rows = _posterior_rows(excerpt.posterior, why_no_posterior, n_posterior, columns)
    rows += _spectrogram_rows(excerpt.levels, n_spectrogram, columns)
    tracks = _track_rows(excerpt, n_tracks, columns)
    upright = [(_column(at_s, excerpt, columns), source) for source, at_s in lines_at(row).items()]
    for index, cells in enumerate(rows):
        for column in {column for column, _ in upright if 0 <= column < columns}:
            if (character := cells[_LEFT + column])[1] == "text" and character[0] != " ":
                continue  # no line cuts the words
            sources = [source for place, source in upright if place == column]
            source = sources[index % len(sources)]  # lines in one column alternate, so that each is seen
            cells[_LEFT + column] = (LINES[source], source)  # without the ramp: no colour is visible on soft and on loud
    return [*rows, *tracks, _axis(columns, row.reference_s)][:height]


def ramp_colour(level: int) -> Color:
    """The colour of a level of 0–63."""
    place = level / 63 * (len(_RAMP) - 1)
    lower = min(int(place), len(_RAMP) - 2)
    red, green, blue = (_RAMP[lower] + (place - lower) * (_RAMP[lower + 1] - _RAMP[lower])).round().astype(int).tolist()
    return Color.from_rgb(red, green, blue)


class ExcerptView(Widget):
    """Draws an excerpt, or says why there is none."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"excerpt--text", "excerpt--posterior", *(f"excerpt--{name}" for name in SOURCES)}

    class Resized(Message):
        """The excerpt must be made again, for another number of columns and bands."""

    def __init__(self) -> None:
        super().__init__(id="excerpt")
        self._excerpt: Excerpt | None = None
        self._row: BoundaryRow | None = None
        self._words = "reading the audio …"
        self._why_no_posterior = ""
        self._drawn: list[list[Cell]] = []

    @property
    def wanted(self) -> tuple[int, int]:
        """Numbers of columns and bands that there is room for."""
        return max(8, self.content_size.width - _LEFT), 2 * layout(self.content_size.height)[1]

    def show(self, excerpt: Excerpt, row: BoundaryRow, why_no_posterior: str) -> None:
        self._excerpt, self._row, self._why_no_posterior = excerpt, row, why_no_posterior
        self._redraw()

    def say(self, words: str) -> None:
        """Shows words instead of an excerpt."""
        self._excerpt, self._words = None, words
        self._redraw()

    def on_resize(self, _: events.Resize) -> None:
        self._redraw()
        self.post_message(self.Resized())

    def render_line(self, y: int) -> Strip:
        width, height = self.content_size
        if self._excerpt is None:
            text = self._words.center(width) if y == height // 2 else " " * width
            return Strip([Segment(text[:width], self._style("text"))], width)
        if y >= len(self._drawn):
            return Strip.blank(width, self.rich_style)
        segments = [Segment(character, self._style(role)) for character, role in self._drawn[y]]
        return Strip(segments).simplify().adjust_cell_length(width, self.rich_style)

    def _redraw(self) -> None:
        width, height = self.content_size
        if self._excerpt is not None and self._row is not None and width > _LEFT + 8 and height > 8:
            self._drawn = draw_excerpt(self._excerpt, self._row, self._why_no_posterior, width=width, height=height)
        self.refresh()

    def _style(self, role: str) -> Style:
        if role.startswith("ramp"):
            top, bottom = (ramp_colour(int(level)) for level in role.split("-")[1:])
            return Style(color=top, bgcolor=bottom)
        return self.get_component_rich_style(f"excerpt--{role}")


def _column(at_s: float, excerpt: Excerpt, columns: int) -> int:
    return int(np.floor((at_s - excerpt.start_s) / (excerpt.end_s - excerpt.start_s) * columns))


def _posterior_rows(posterior: NDArray[np.float64] | None, why_none: str, n_rows: int, columns: int) -> list[list[Cell]]:
    if posterior is None:
        empty = [_row(_label("model" if index == 0 else ""), " " * columns, "text") for index in range(n_rows)]
        empty[-1] = _row(_label(""), why_none[:columns].ljust(columns), "text")
        return empty
    places = np.minimum(np.arange(columns) * len(posterior) // columns, len(posterior) - 1)
    eighths = np.rint(posterior[places] * n_rows * 8).astype(int)
    rows = []
    for index in range(n_rows):
        above = 8 * (n_rows - 1 - index)
        text = "".join(_EIGHTHS[min(8, max(0, level - above))] for level in eighths.tolist())
        rows.append(_row(_label("model" if index == 0 else ""), text, "posterior"))
    return rows


def _spectrogram_rows(levels: NDArray[np.float64], n_rows: int, columns: int) -> list[list[Cell]]:
    bands, given = levels.shape
    picked = levels[np.minimum(np.arange(2 * n_rows) * bands // (2 * n_rows), bands - 1)]
    shown = np.rint(picked[:, np.minimum(np.arange(columns) * given // columns, given - 1)] * 63).astype(int)[::-1]
    rows: list[list[Cell]] = []
    for index in range(n_rows):
        label = {0: "8 kHz", n_rows - 1: "60 Hz"}.get(index, "")
        cells = [
            ("▀", f"ramp-{top}-{low}") for top, low in zip(shown[2 * index].tolist(), shown[2 * index + 1].tolist(), strict=True)
        ]
        rows.append([*((character, "text") for character in _label(label)), *cells])
    return rows


def _track_rows(excerpt: Excerpt, n_rows: int, columns: int) -> list[list[Cell]]:
    """Three rows per speaker, the boundary's own speaker first."""
    speakers = {turn.speaker for turns in excerpt.turns.values() for turn in turns} | {excerpt.speaker}
    order = sorted(speakers, key=lambda speaker: (speaker != excerpt.speaker, speaker))
    rows: list[list[Cell]] = []
    for letter, speaker in zip("ABCDEFGH", order[: n_rows // 3], strict=False):
        for source in SOURCES:
            turns = [turn for turn in excerpt.turns.get(source, ()) if turn.speaker == speaker]
            head = f"{letter} {_SHORT[source]}"
            rows.append(_row(_label(head), _activity(turns, excerpt, columns, _TRACKS[source]), source))
    return rows + [_row(_label(""), " " * columns, "text")] * (n_rows - len(rows))


def _activity(turns: Sequence[Turn], excerpt: Excerpt, columns: int, glyph: str) -> str:
    cells = [" "] * columns
    for turn in turns:
        first, last = _column(turn.onset_s, excerpt, columns), _column(turn.offset_s, excerpt, columns)
        for column in range(max(0, first), min(columns, max(last, first + 1))):
            cells[column] = glyph
    return "".join(cells)


def _axis(columns: int, reference_s: float) -> list[Cell]:
    marks = ["─"] * columns
    for share, text in ((0.0, "−2 s"), (0.25, "−1"), (0.5, f"{reference_s:.2f} s"), (0.75, "+1"), (1.0, "+2 s")):
        start = min(max(0, round(share * columns) - (len(text) // 2 if 0 < share < 1 else 0)), columns - len(text))
        marks[start : start + len(text)] = text
    return _row(_label(""), "".join(marks), "text")


def _label(text: str) -> str:
    return f" {text:<{_LEFT - 1}}"


def _row(label: str, text: str, role: str) -> list[Cell]:
    return [*((character, "text") for character in label), *((character, role) for character in text)]
