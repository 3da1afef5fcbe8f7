"""`brefine integrate`: what is told, and refused, before it works."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.cli.integrate import integrate
from brefine.config import prepared_corpus_path
from brefine.core.gate import Answer
from brefine.errors import BrefineError, CheckpointError, ProcessError
from brefine.identity import own_identity
from brefine.io.atomic import write_text_atomic
from brefine.io.lock import held
from brefine.phasedir import CorpusManifest, Progress, Stage, label_digests
from brefine.run.gate_report import write_gate
from brefine.run.stages import start_integration
from tests.run.honest_phase import HonestPhase
from tests.run.toy_programs import make_toy_phase


def test_hypotheses_that_were_changed_are_told_before_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the gate's words, with the way out: whoever diarized anew into the same folder would integrate in vain."""
    honest = HonestPhase(tmp_path)
    honest.make()
    honest.phase.run("mlp").weights("best").touch()
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


@pytest.mark.parametrize(
    ("model", "code", "told", "way"),
    [
        ("contrastive", 2, "not in the phase's recipe (expected transformer or mlp, got contrastive)", None),
        ("nope", 2, "not in the phase's recipe (expected transformer or mlp, got nope)", None),
        ("mlp", 1, "there are no such weights", "train first: brefine resume"),
    ],
)
def test_a_model_that_cannot_be_integrated_costs_no_record(
    tmp_path: Path, model: str, code: int, told: str, way: str | None
) -> None:
    """A word that was mistyped does not mark the integration before it as failed; only the recipe's models can be trained."""
    phase = make_toy_phase(tmp_path)
    told_before = {"stage": "integrate", "state": "finished", "step": "", "done": 1, "total": 1, "started_unix_s": 1.0}
    before = Progress.model_validate(told_before | {"unix_s": 2.0, "process": own_identity()})
    before.write(phase.progress(Stage.INTEGRATE))
    with pytest.raises(BrefineError) as refused:
        integrate(phase=str(phase.path), model=model)
    assert told in str(refused.value) and refused.value.exit_code == code
    assert (refused.value.hint or "").startswith(way or "")
    assert Progress.read(phase.progress(Stage.INTEGRATE)) == before


def test_a_choice_that_the_recipe_does_not_train_is_not_to_be_resumed(tmp_path: Path) -> None:
    """A selection.json of another phase: the hint names what there is."""
    with pytest.raises(CheckpointError) as refused:
        start_integration(make_toy_phase(tmp_path), "contrastive")
    assert refused.value.hint == "this phase trains transformer, mlp: --model NAME"
