"""What the gate writes, and what the person answered."""

from __future__ import annotations

from typing import Literal

from brefine.config import ModelName
from brefine.phasedir.document import Document, Part, SealedDocument, UnixTime


class GateCriterion(Part):
    """One line of the checklist: what was found, and what the person answered."""

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


class GateRecord(SealedDocument):
    gate: Literal[4] = 4
    verdict: Literal["pass", "fail", "open"]
    evidence: Literal["real", "simulated"] | None
    winner: ModelName | None
    criteria: list[GateCriterion]
    notes: list[str] = []
    """What a reader of the verdict has to know beside the findings: changed thresholds, answers that no longer count, …"""
    recommendation: str
    unix_s: UnixTime


class Decision(Document):
    """One line of decisions.jsonl: a question, the evidence that was shown, and the answer."""

    unix_s: UnixTime
    question: str
    evidence: str
    answer: str
    note: str | None = None
    criterion: str | None = None
    """The gate's criterion that was answered."""
    evidence_seal: str | None = None
    """Seal of the integration that was shown; None = there was none."""
