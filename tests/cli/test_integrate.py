"""`brefine integrate`: what is told before it works."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.cli.integrate import integrate
from brefine.config import prepared_corpus_path
from brefine.core.gate import Answer
from brefine.errors import ProcessError
from brefine.io.atomic import write_text_atomic
from brefine.io.lock import held
from brefine.phasedir import CorpusManifest, Stage, label_digests
from brefine.run.gate_report import write_gate
from tests.run.honest_phase import HonestPhase


def test_hypotheses_that_were_changed_are_told_before_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the gate's words, with the way out: whoever diarized anew into the same folder would integrate in vain."""
    honest = HonestPhase(tmp_path)
    honest.make()
    monkeypatch.chdir(tmp_path)  # the recipe's folders are relative, and so make it another corpus
    honest.corpus = honest.corpus.rename(prepared_corpus_path(honest.config))
    write_text_atomic(tmp_path / "gate/hypothesis/g3.rttm", "as it was")
    manifest = CorpusManifest.read(honest.corpus / "corpus.json")
    manifest.model_copy(update={"sources": label_digests(honest.config)}).write(honest.corpus / "corpus.json")
    for told in (False, True):
        with held(honest.phase.stage_lock(Stage.INTEGRATE)), pytest.raises(ProcessError, match="at work already"):
            integrate(phase=str(honest.phase.path))
        assert ("gate 4 will stay open: labels were changed" in capsys.readouterr().err) is told
        (tmp_path / "gate/hypothesis/g3.rttm").write_text("of a later diarizer")
    why = write_gate(honest.phase, {"go-on": Answer(True)}).criteria[0].why
    assert "(gate/hypothesis/g3.rttm); prepare it again" in why
    assert "a new version of the diarizer is a new phase, with its RTTMs in another folder" in why
