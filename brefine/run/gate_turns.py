"""Whether the turns that a verdict rests on are still those that were integrated."""

from __future__ import annotations

import time
from typing import Final

from brefine.config import PhaseConfig, prepared_corpus_path
from brefine.io.atomic import digest_of_files
from brefine.phasedir import CORPUS_FILE, CorpusManifest, GateRecord, IntegrationReport, PhaseDir

_EVERY_S: Final = 60.0
"""Seconds between two reads: hundreds of files are too many to read for every snapshot."""


class WatchedTurns:
    """The gate split's references, hypotheses and refined turns; read again once a minute while a verdict rests on them."""

    def __init__(self, phase: PhaseDir, config: PhaseConfig) -> None:
        self._phase = phase
        self._corpus = prepared_corpus_path(config)
        self._told: tuple[str | None, bool] | None = None
        self._looked_s = float("-inf")

    def outdate(self, gate: GateRecord | None, report: IntegrationReport | None) -> bool:
        """Whether the gate would now leave this verdict open, because the turns have changed since.

        A person's no stands, whatever was changed. False, too, if the corpus is out of reach, so that nothing is known.
        """
        if gate is None or report is None or gate.verdict == "open" or gate.is_refused:
            return False
        if self._told is None or self._told[0] != report.seal or time.monotonic() - self._looked_s >= _EVERY_S:
            self._told, self._looked_s = (report.seal, self._are_changed(report)), time.monotonic()
        return self._told[1]

    def _are_changed(self, report: IntegrationReport) -> bool:
        manifest = CorpusManifest.read_if_sound(self._corpus / CORPUS_FILE)
        if manifest is None:
            return False
        try:
            found = digest_of_files(self._phase.gate_turns(self._corpus, manifest))
        except OSError:
            return False
        return (manifest.fingerprint(), found) != (report.corpus_sha256, report.turns_sha256)
