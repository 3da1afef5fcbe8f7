"""The verdicts that were written down before: those in `verdicts.jsonl`, and those in the present `gate4.json`.

Either file may lack what the other has: a crash may tear a line, a person may remove a file, and earlier versions wrote only
`gate4.json`. So both are read, and what `verdicts.jsonl` lacks is appended to it with the next verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from brefine.phasedir import FiledVerdict, GateRecord, Lines, PhaseDir


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What is known of earlier verdicts.

    Attributes:
        filed: the lines of verdicts.jsonl.
        standing: gate4.json; None if there is none, or if it cannot be read.
    """

    filed: Lines[FiledVerdict]
    standing: GateRecord | None

    @classmethod
    def of(cls, phase: PhaseDir) -> Verdicts:
        return cls(phase.verdict_lines(), GateRecord.read_if_sound(phase.gate))

    @property
    def known(self) -> list[FiledVerdict]:
        """All verdicts in order of time; of consecutive ones that repeat each other only the first, with its date."""
        told = [] if self.standing is None else [*self.standing.earlier, self.standing.filed()]
        known: list[FiledVerdict] = []
        for one in sorted(dict.fromkeys([*self.filed.readable, *told]), key=lambda verdict: verdict.unix_s):
            if not known or not one.repeats(known[-1]):
                known.append(one)
        return known

    @property
    def lacking(self) -> list[FiledVerdict]:
        """The verdicts that verdicts.jsonl lacks; none if it cannot be read as a whole, since nothing is known then."""
        on_file = set(self.filed.readable)
        return [] if self.filed.problem is not None else [one for one in self.known if one not in on_file]

    def before(self, verdict: FiledVerdict) -> list[FiledVerdict]:
        """The known verdicts without this one."""
        known = self.known
        return known[:-1] if known and verdict.repeats(known[-1]) else known

    def notes(self) -> Iterator[str]:
        """What a reader of the next verdict must know. That earlier versions wrote only gate4.json is not a loss."""
        if self.filed.loss is not None:
            yield f"{self.filed.loss}; not every earlier verdict is known"
        n = len(self.lacking)
        if n and self.standing is not None and "earlier" in self.standing.model_fields_set:
            yield f"{self.filed.name} lacks {n} verdict{'s' if n > 1 else ''} that gate4.json tells"

    def file(self, phase: PhaseDir, verdict: FiledVerdict) -> None:
        """Appends to verdicts.jsonl what it lacks, and this verdict unless it is the last one there.

        Raises:
            OSError: the file cannot be written.
        """
        lacking = self.lacking
        for one in lacking:
            phase.record_verdict(one)
        last = [*self.filed.readable, *lacking][-1:]
        if not last or not verdict.repeats(last[0]):
            phase.record_verdict(verdict)
