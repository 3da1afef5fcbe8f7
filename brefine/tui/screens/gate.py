"""Gate 4: the checklist, the person's answers, the verdict."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region

from brefine.core.figures import counted
from brefine.core.gate import Answer
from brefine.phasedir import GateCriterion, GateRecord, PhaseDir
from brefine.run.snapshot import PhaseSnapshot
from brefine.run.tables import earlier_verdicts
from brefine.tui.actions import Actions
from brefine.tui.format import format_count, harmless
from brefine.tui.screens.asking import AskLine
from brefine.tui.screens.place import Place, Wanted
from brefine.tui.theme import FINDING_LOOKS, Look
from brefine.tui.widgets.panel import Panel, line, refusal, stack, why_empty, wrapped

_VERDICT_LOOKS = {"pass": Look("✓", "$success"), "fail": Look("✗", "$error"), "open": Look("▲", "$warning")}
_ROOMY = 30
"""Screen height in cells from which the questions are separated by blank lines."""
_ANSWER = re.compile(r"(y|yes|n|no)\s*(?:[.!]?|[,:;\uff0c\uff1a\uff1b]\s*(.*))", re.IGNORECASE)
"""A word, alone or with a note behind a comma, colon or semicolon, also a Chinese one; `no doubt, it goes on` does not match."""
_HOW_TO_ANSWER = "begin with yes or no; a note stands behind a comma: “no, it is worse than before”"


class Checklist(Panel):
    """The gate's checklist."""

    grows = True
    BORDER_TITLE = "gate 4: does the project go on?"

    def __init__(self) -> None:
        super().__init__(id="checklist", classes="panel")
        self.record: GateRecord | None = None
        self.problem: str | None = None
        """Why the evidence could not be judged when it was last tried."""
        self.written = False
        self.given: list[tuple[str, Answer]] = []
        """Answers that are not in the record yet, as (criterion, answer); the first one is being written."""
        self.chosen = 0
        self._heads: list[int] = []
        """The line in which each question begins."""

    @property
    def head_of_chosen(self) -> int:
        """The row of the mark, in the place's coordinates."""
        return self.virtual_region.y + self.gutter.top + self._heads[self.chosen]

    @property
    def region_of_chosen(self) -> Region:
        """The marked question's region in the place's coordinates; the first includes the title, the last the verdict."""
        region = self.virtual_region
        top = self.head_of_chosen if self.chosen else region.y
        is_last = self.chosen + 1 == len(self._heads)
        bottom = region.bottom if is_last else region.y + self.gutter.top + self._heads[self.chosen + 1]
        return Region(region.x, top, region.width, bottom - top)

    def text(self, snapshot: PhaseSnapshot, width: int, height: int) -> Content:
        if self.record is None and self.problem is not None:
            return stack(refusal(f"not judged, it is tried again: {self.problem}", width))
        if self.record is None:
            return stack(wrapped(_waiting(snapshot), width, "$quiet"))
        lines: list[Content] = []
        gap = [line("")] if self.screen.size.height >= _ROOMY else []
        self._heads = []
        for index, criterion in enumerate(self.record.criteria):
            self._heads.append(len(lines))
            given = dict(self.given).get(criterion.id)
            lines += [*_criterion(criterion, width, chosen=index == self.chosen, given=given), *gap]
        return stack([*lines, *_verdict(self.record, snapshot, width, written=self.written)])


class GatePlace(Place):
    """Gate 4. `y` and `n` answer the marked question; the record is rewritten with every answer."""

    CHANGING = frozenset({"answer", "note"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", "question", key_display="↑↓"),
        Binding("down", "choose(1)", show=False),
        Binding("y", "answer('yes')", "yes"),
        Binding("n", "answer('no')", "no"),
        Binding("o", "note", "answer with a note"),
    ]

    def __init__(self, actions: Actions, *, read_only: bool) -> None:
        super().__init__(id="gate", read_only=read_only)
        self._actions = actions
        self._judged: tuple[float, float | None, float | None] | None = None
        """Times of the integration, the selection and the evaluation that were judged last; None = not judged yet."""

    def compose(self) -> ComposeResult:
        yield Checklist()

    def show(self, snapshot: PhaseSnapshot) -> None:
        self.snapshot = snapshot
        checklist = self.query_one(Checklist)
        report, selection = snapshot.integration, snapshot.selection
        if snapshot.standing_gate is not None:
            checklist.record, checklist.written = snapshot.standing_gate, True
            self._judged = None  # if the record lapses, an earlier judgement does not count either
        elif report is not None:
            evaluated = snapshot.evaluations.get(report.model)
            evidence = (
                report.unix_s,
                None if selection is None else selection.unix_s,
                None if evaluated is None else evaluated.unix_s,
            )
            if self._judged != evidence:
                self._judged = evidence
                checklist.record, checklist.written = None, False
                self.post_message(Wanted(self._actions.judge, self._take_judgement, self._not_judged))
        checklist.show(snapshot)

    def action_choose(self, step: int) -> None:
        checklist = self.query_one(Checklist)
        if checklist.record is not None:
            checklist.chosen = (checklist.chosen + step) % len(checklist.record.criteria)
            checklist.redraw()
            self._show_chosen()

    def action_answer(self, word: str) -> None:
        if self._finds_chosen():
            self._answer(Answer(word == "yes"))

    def action_note(self) -> None:
        if self.query_one(Checklist).record is None or not self._finds_chosen():
            return

        def fault_of(text: str) -> str | None:
            return _HOW_TO_ANSWER if text and answer_in(text) is None else None

        def take(text: str | None) -> None:
            answer = None if text is None else answer_in(text)
            if answer is not None:
                self._answer(answer)

        self.app.push_screen(AskLine("Your answer and a note", "yes, because …", required=True, fault_of=fault_of), take)

    def _answer(self, answer: Answer) -> None:
        """Answers the marked question and marks the next open one at once, so that the next key answers that one."""
        checklist = self.query_one(Checklist)
        if checklist.record is None:
            return
        criteria = checklist.record.criteria
        checklist.given.append((criteria[checklist.chosen].id, answer))
        given = dict(checklist.given)
        unanswered = [n for n, criterion in enumerate(criteria) if criterion.answer is None and criterion.id not in given]
        checklist.chosen = next((n for n in unanswered if n > checklist.chosen), checklist.chosen)
        checklist.redraw()
        self._show_chosen()
        if len(checklist.given) == 1:
            self._write_next()

    def _write_next(self) -> None:
        """Writes the first of the answers that were given; they are written one at a time."""
        criterion, answer = self.query_one(Checklist).given[0]
        self.post_message(Wanted(lambda: self._actions.answer(criterion, answer), self._answered, self._not_written))

    def _take_judgement(self, record: GateRecord) -> None:
        checklist = self.query_one(Checklist)
        checklist.problem = None
        if not checklist.written:
            checklist.record = record
            checklist.redraw()

    def _not_judged(self, why: str) -> None:
        self._judged = None  # the next snapshot asks again
        checklist = self.query_one(Checklist)
        checklist.problem = why
        checklist.redraw()

    def _answered(self, record: GateRecord) -> None:
        checklist = self.query_one(Checklist)
        checklist.record, checklist.written = record, True
        del checklist.given[0]
        checklist.redraw()
        self.call_after_refresh(self._show_chosen)  # the record may be longer now
        if checklist.given:
            self._write_next()

    def _not_written(self, why: str) -> None:
        """Marks the question again whose answer was not written; answers that were given after it are dropped, too."""
        checklist = self.query_one(Checklist)
        failed, n_behind = checklist.given[0][0], len(checklist.given) - 1
        checklist.given.clear()
        if checklist.record is not None:
            ids: list[str] = [criterion.id for criterion in checklist.record.criteria]
            checklist.chosen = ids.index(failed)
        checklist.redraw()
        self._show_chosen()
        lost = f"; {counted(n_behind, 'answer', 'answers')} behind it not written either" if n_behind else ""
        self.app.notify(f"{why}{lost}", severity="error", timeout=15, markup=False)

    def _finds_chosen(self) -> bool:
        """Whether the marked question is on the screen; if not, scrolls to it."""
        checklist = self.query_one(Checklist)
        if checklist.record is None or self._window.contains(0, checklist.head_of_chosen):
            return True
        self._show_chosen()
        return False

    def _show_chosen(self) -> None:
        region = self.query_one(Checklist).region_of_chosen
        self.scroll_to_region(region.crop_size(self._window.size), animate=False)

    @property
    def _window(self) -> Region:
        """The part of the place that is on the screen."""
        return self.scrollable_content_region.at_offset(self.scroll_offset)


def answer_in(text: str) -> Answer | None:
    """The answer and the note behind it; None if the line is not clearly a yes or a no."""
    found = _ANSWER.fullmatch(text)
    return None if found is None else Answer(found[1][0] in "yY", (found[2] or "").rstrip() or None)


def _criterion(criterion: GateCriterion, width: int, *, chosen: bool, given: Answer | None) -> list[Content]:
    look = FINDING_LOOKS[criterion.finding]
    answer = {"yes": ("yes", "bold $success"), "no": ("no", "bold $error"), None: ("y/n", "$warning")}[criterion.answer]
    if given is not None:
        answer = (f"{'yes' if given.yes else 'no'} …", "$quiet")
    head = line(
        ("› " if chosen else "  ", "bold $primary"),
        (f"{look.glyph} ", look.style),
        (criterion.question, "bold"),
    )
    words = f"answer: {answer[0]}"
    gap = max(2, width - head.cell_length - len(words) - 1)
    first = line(head, " " * gap, ("answer: ", "$quiet"), answer)
    on = "" if criterion.n_recordings is None else f"on {format_count(criterion.n_recordings)} recordings"
    evidence = [on, f"threshold {criterion.threshold}", criterion.convention]
    lines = [first, *wrapped(" · ".join(part for part in evidence if part), width, "", indent="    ")]
    lines += wrapped(f"{criterion.finding.replace('-', ' ')}: {criterion.why}", width, look.style, indent="    ")
    if criterion.note:
        lines += wrapped(f"note: {harmless(criterion.note)}", width, "$quiet", indent="    ")
    return lines


def _verdict(record: GateRecord, snapshot: PhaseSnapshot, width: int, *, written: bool) -> list[Content]:
    look = _VERDICT_LOOKS[record.verdict]
    evidence = f"   {record.evidence} evidence" if record.evidence else ""
    winner = f"   {record.winner}" if record.winner else ""
    where = f"written to {PhaseDir(snapshot.path).gate}" if written else "not written yet: your first answer writes it"
    return [
        *(part for note in record.notes for part in wrapped(f"! {harmless(note)}", width, "$warning")),
        *(part for words in earlier_verdicts(record) for part in wrapped(words, width, "")),
        line((f" {look.glyph} verdict: {record.verdict}", f"bold {look.style}"), evidence, winner),
        *wrapped(record.recommendation, width, ""),
        line((f" {where}", "$quiet")),
    ]


def _waiting(snapshot: PhaseSnapshot) -> str:
    if snapshot.integration is None:
        waits = "waits for the integration (place 4): without DER before and after there is nothing to decide"
        return why_empty(snapshot, waits)
    return "judging the evidence …"
