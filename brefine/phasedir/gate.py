"""What the gate writes, and what the person has answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from brefine.config import ModelName
from brefine.phasedir.document import Document, Part, SealedDocument, UnixTime
from brefine.phasedir.evaluation import EvaluationReport, SelectionRecord
from brefine.phasedir.integration import IntegrationReport


class GateCriterion(Part):
    """One line of the checklist: what was found, and what the person has answered."""

    id: Literal["mae", "der", "der-target", "go-on"]
    question: str
    threshold: str
    value: float | None
    interval: tuple[float, float] | None
    n_recordings: int | None
    convention: str
    finding: Literal["met", "not-met", "unknown"]
    why: str
    answer: Literal["yes", "no"] | None = None
    note: str | None = None


class FiledVerdict(Document):
    """One line of verdicts.jsonl, which outlives `gate4.json`: a verdict, and when it was first written down."""

    unix_s: UnixTime
    verdict: Literal["pass", "fail", "open"]
    winner: ModelName | None
    recommendation: str
    integration_seal: str | None = None

    def repeats(self, earlier: FiledVerdict) -> bool:
        """Whether `earlier` is the same verdict on the same integration; earlier versions wrote `5%` for `5 %`."""
        return self._said() == earlier._said()

    def _said(self) -> FiledVerdict:
        return self.model_copy(update={"unix_s": 0.0, "recommendation": self.recommendation.replace(" %", "%")})


class GateRecord(SealedDocument):
    gate: Literal[4] = 4
    verdict: Literal["pass", "fail", "open"]
    evidence: Literal["real", "simulated"] | None
    winner: ModelName | None
    criteria: list[GateCriterion]
    notes: list[str] = []
    """What a reader of the verdict must know besides the findings: changed thresholds, answers that no longer count, …"""
    recommendation: str
    unix_s: UnixTime
    integration_seal: str | None = None
    """Seal of the integration that was judged; None if there was none, or if the record is older than this key."""
    selection_seal: str | None = None
    """Seal of the selection that was judged; None in the same cases."""
    earlier: list[FiledVerdict] = []
    """Other verdicts that were written down before this one, oldest first."""

    @property
    def is_refused(self) -> bool:
        """Whether a person said no to a criterion."""
        return any(criterion.answer == "no" for criterion in self.criteria)

    def filed(self) -> FiledVerdict:
        """This verdict as a line of verdicts.jsonl."""
        return FiledVerdict(
            unix_s=self.unix_s,
            verdict=self.verdict,
            winner=self.winner,
            recommendation=self.recommendation,
            integration_seal=self.integration_seal,
        )

    def judges(
        self,
        selection: SelectionRecord | None,
        report: IntegrationReport | None,
        evaluations: Mapping[str, EvaluationReport],
    ) -> bool:
        """Whether this is the verdict on the selection that stands now and on this integration of it.

        A record without seals is taken to judge the model that it names, and what had been integrated when it was written.

        Args:
            evaluations: model → its report on the validation split. If the selected model was evaluated after the selection, the
                gate cannot be passed until a model is selected again: a `pass` no longer stands, nor does any record that is
                older than that evaluation.
        """
        if selection is not None and selection.model in selection.overtaken_by(evaluations.values()):
            written_since = self.unix_s >= evaluations[selection.model].unix_s
            if self.verdict == "pass" or not written_since:
                return False
        if selection is not None and selection.model != self.winner:
            return False
        if self.selection_seal is not None and (selection is None or selection.seal != self.selection_seal):
            return False
        if report is None:
            return self.integration_seal is None
        if self.integration_seal is None:
            return report.model == self.winner and report.unix_s <= self.unix_s
        return report.seal == self.integration_seal


class Decision(Document):
    """One line of decisions.jsonl: a question, the evidence that was shown, and the answer."""

    unix_s: UnixTime
    question: str
    evidence: str
    answer: str
    note: str | None = None
    criterion: str | None = None
    """The criterion of the gate that was answered."""
    evidence_seal: str | None = None
    """Seal of the integration that was shown; None = there was none."""
