"""The boundary viewer: shows one matched boundary after another, with its sound as a spectrogram."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from brefine.config import MODEL_NAMES, ModelName
from brefine.core.figures import rounded
from brefine.errors import BrefineError
from brefine.phasedir import BoundaryRow
from brefine.tui.actions import Book
from brefine.tui.format import clip, format_ms, harmless
from brefine.tui.screens.place import Wanted
from brefine.tui.widgets.comparison import KINDS
from brefine.tui.widgets.excerpt import LINES, ExcerptView
from brefine.tui.widgets.keys import KeyHints
from brefine.tui.widgets.panel import line, stack, wrapped

if TYPE_CHECKING:  # it imports audio and scipy, which are loaded with the first boundary
    from brefine.run.boundary_book import Excerpt


class BoundaryScreen(Screen[None]):
    """Shows boundaries one by one.

    Args:
        book: gives the boundaries.
        models: the models that were evaluated; the viewer begins with the first.
        read_only: if so, no posteriors are computed.
        computing: the models whose posteriors are being computed, shared by all viewers.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,right,down", "go(1)", "next", key_display="n"),
        Binding("p,left,up", "go(-1)", "prev", key_display="p"),
        Binding("w", "worst", "worst first"),
        Binding("k", "kind", "kind"),
        Binding("m", "model", "model"),
        Binding("space", "play", "play", key_display="space"),
        Binding("c", "compute", "posterior"),
        Binding("escape,q,enter", "leave", "back", key_display="esc"),
    ]

    def __init__(self, book: Book, models: Sequence[str], *, read_only: bool, computing: set[ModelName]) -> None:
        super().__init__()
        self._computing = computing
        self._book = book
        self._models: list[ModelName] = [name for wanted in models for name in MODEL_NAMES if name == wanted]
        self._read_only = read_only
        self._all: dict[ModelName, tuple[BoundaryRow, ...]] = {}
        self._at = 0
        self._worst_first = False
        self._kind: str | None = None
        self._excerpt: Excerpt | None = None
        self._shown: BoundaryRow | None = None
        """The boundary of the excerpt: when the next boundary's figures are shown, its excerpt is still being read."""
        self._played: BoundaryRow | None = None
        self._asked = 0

    def compose(self) -> ComposeResult:
        yield Static(id="boundary-head")
        yield ExcerptView()
        yield Static(id="boundary-foot")
        yield KeyHints()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (self._read_only and action == "compute") and not (action == "model" and len(self._models) < 2)

    def action_go(self, step: int) -> None:
        rows = self._rows()
        if rows:
            self._at = (self._at + step) % len(rows)
            self._look()

    def action_worst(self) -> None:
        self._worst_first, self._at = not self._worst_first, 0
        self._look()

    def action_kind(self) -> None:
        there = [None, *(kind for kind in KINDS if any(row.kind == kind for row in self._all.get(self._models[0], ())))]
        self._kind, self._at = there[(there.index(self._kind) + 1) % len(there)], 0
        self._look()

    def action_model(self) -> None:
        """Shows the same boundary for the next model, if that model's table has it, too; else its first one."""
        row = self._row()
        self._models.append(self._models.pop(0))
        rows = self._rows()
        same = [index for index, other in enumerate(rows) if row is not None and _is_same(other, row)]
        self._at = same[0] if same else 0
        self._excerpt = self._shown = None  # they are the other model's: its posteriors may exist when this one's do not
        self._look()

    def action_compute(self) -> None:
        model = self._models[0]
        if model in self._computing:
            return
        if self._excerpt is not None and self._excerpt.computed:
            self.app.notify(f"the posteriors of the {model} are there", markup=False)
            return

        def ended(why: str | None) -> None:
            self._computing.discard(model)
            if why is not None:
                self.app.notify(why, severity="error", timeout=15, markup=False)
            for screen in self.app.screen_stack:  # this viewer, or another that was opened after this one was left
                if isinstance(screen, BoundaryScreen):
                    screen._ask()

        self._computing.add(model)
        self.app.notify(f"the {model} runs over the validation split once more", markup=False)
        self.app.post_message(Wanted(lambda: self._book.compute_posteriors(model), lambda _: ended(None), ended))
        self._ask()

    def action_play(self) -> None:
        row = self._row()
        if row is not None and self._shown is not row:
            self.app.notify("the audio is still being read", severity="warning")
        elif row is not None and self._excerpt is not None:
            self.app.copy_to_clipboard(play_command(self._excerpt))
            self._played = row
            self._tell(row, self._excerpt)

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_excerpt_view_resized(self) -> None:
        self._ask()

    def _rows(self) -> tuple[BoundaryRow, ...]:
        model = self._models[0]
        if model not in self._all:
            try:
                self._all[model] = tuple(self._book.rows(model))
            except BrefineError as error:
                self._all[model] = ()
                self.query_one(ExcerptView).say(harmless(str(error).splitlines()[0]))
        rows = [row for row in self._all[model] if self._kind in (None, row.kind)]
        if self._worst_first:
            rows.sort(key=lambda row: -abs(row.error_after_s))
        return tuple(rows)

    def _row(self) -> BoundaryRow | None:
        rows = self._rows()
        return rows[min(self._at, len(rows) - 1)] if rows else None

    def _look(self) -> None:
        self._played = None
        self._ask()

    def _ask(self) -> None:
        """Asks for the boundary's excerpt; an answer that arrives after a newer request is dropped."""
        row, rows, model = self._row(), self._rows(), self._models[0]
        self.query_one("#boundary-head", Static).update(self._head(row, len(rows)))
        if row is None:
            if self._all[model]:
                self.query_one(ExcerptView).say("no boundary of this kind")
            return
        self._asked += 1
        number, view = self._asked, self.query_one(ExcerptView)
        n_columns, n_bands = view.wanted

        def take(excerpt: Excerpt) -> None:
            if number == self._asked and self.is_mounted:
                self._excerpt, self._shown = excerpt, row
                view.show(excerpt, row, self._why_no_posterior(model, excerpt))
                self._tell(row, excerpt)

        def fail(why: str) -> None:
            self.app.notify(why, severity="error", timeout=15, markup=False)
            if number == self._asked and self.is_mounted:
                view.say("this boundary cannot be shown")

        self.post_message(Wanted(lambda: self._book.excerpt(model, row, n_columns=n_columns, n_bands=n_bands), take, fail))

    def _why_no_posterior(self, model: ModelName, excerpt: Excerpt) -> str:
        if model in self._computing:
            return "being computed …"
        if excerpt.computed:
            return "no window: at the edge of the recording, never moved"
        return "not computed" if self._read_only else "not computed: press c"

    def _tell(self, row: BoundaryRow, excerpt: Excerpt) -> None:
        """Shows the boundary's figures, or the command that plays it, which stays while the foot's height redraws the excerpt."""
        foot = _legend(row)
        if row is self._played:
            told = line((" play it: ", "bold $primary"), ("copied, where the terminal lets it", "$quiet"))
            foot = stack([told, line(harmless(play_command(excerpt)))])
        for below in self.query("#boundary-foot").results(Static):  # none if the screen was left while the audio was being read
            below.update(foot)

    def _head(self, row: BoundaryRow | None, n: int) -> Content:
        model = self._models[0]
        order = "worst first" if self._worst_first else "in order"
        where = f" boundary {min(self._at, n - 1) + 1:,} of {n:,}" if n else " no boundary"
        first = line((where, "bold"), f"   {order}   kind: {self._kind or 'all'}")
        told = line("   model: ", (model, "bold $primary"))
        if row is None:
            return stack([line(first, told), line("")])
        named = f"   {clip(harmless(row.recording), 40)}   speaker {clip(harmless(row.speaker), 20)} (A)"
        vague = "" if row.spread_s is None else f"   spread {format_ms(1000 * row.spread_s, 0)}"
        said = line((f" {row.side} ({row.kind})", "$quiet"), told, f"   confidence {row.confidence:.2f}{vague}")
        return stack([line(first, (named, "$quiet")), said])


def play_command(excerpt: Excerpt) -> str:
    """A command that plays the excerpt, with a player that this machine has, if there is one."""
    start_s, path = max(0.0, excerpt.start_s), Path(excerpt.audio)
    length_s = excerpt.end_s - start_s
    if shutil.which("ffplay") is None and shutil.which("play") is not None:
        return shlex.join(["play", str(path), "trim", f"{start_s:.2f}", f"{length_s:.2f}"])
    if shutil.which("ffplay") is None and shutil.which("mpv") is not None:
        return shlex.join(["mpv", f"--start={start_s:.2f}", f"--length={length_s:.2f}", str(path)])
    return shlex.join(["ffplay", "-autoexit", "-nodisp", "-ss", f"{start_s:.2f}", "-t", f"{length_s:.2f}", str(path)])


def _legend(row: BoundaryRow) -> Content:
    before_ms, after_ms = 1000 * row.error_before_s, 1000 * row.error_after_s
    change = abs(after_ms) - abs(before_ms)
    judged = ("better", "$success") if change < -1 else ("worse", "$error") if change > 1 else ("unchanged", "$quiet")
    figures = line(
        (f" {LINES['reference']} ", "bold $foreground"), f"reference {row.reference_s:.3f} s   ",
        (f"{LINES['hypothesis']} ", "bold $warning"), f"hypothesis {rounded(before_ms):+.0f} ms   ",
        (f"{LINES['refined']} ", "bold $primary"), f"refined {rounded(after_ms):+.0f} ms   ", judged,
    )  # fmt: skip
    note = "the refined track moves matched boundaries only; others stay, wherever the refined RTTM has them; "
    note += "A is the speaker of this boundary, B and on are others"
    return stack([figures, *wrapped(note, 78, "$quiet")])


def _is_same(one: BoundaryRow, other: BoundaryRow) -> bool:
    return (one.recording, one.side, one.reference_s) == (other.recording, other.side, other.reference_s)
