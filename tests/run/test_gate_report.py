"""Gate 4 over files: an honest phase passes, and every way to fool the gate is refused or told, in these words."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from pydantic import ConfigDict

from brefine.config import ModelName, load_config, prepared_corpus_path
from brefine.core.gate import Answer, Evidence
from brefine.core.turns import Diarization, Turn
from brefine.errors import FormatError, ProcessError
from brefine.io.atomic import write_text_atomic
from brefine.io.rttm import write_rttm
from brefine.phasedir import (
    AudioFile,
    CheckpointCard,
    CorpusManifest,
    Document,
    EvaluationReport,
    FiledVerdict,
    GateRecord,
    IntegrationReport,
    Look,
    Manifest,
    Scored,
    SealedDocument,
    SelectionRecord,
    Validation,
    label_digests,
    lines,
)
from brefine.run import gate_report
from brefine.run.decide import choose, recommend
from brefine.run.gate_evidence import GateAudio, GateFiles, evidence_of
from brefine.run.gate_report import judge_phase, write_gate
from brefine.run.report import write_report
from brefine.run.stages import evaluation_reports
from brefine.run.store import PhaseStore
from brefine.run.tables import evaluation_table, gate_table
from tests.run.honest_phase import HonestPhase
from tests.run.records import WEIGHTS_SHA256, comparison, evaluation, figures, integration, with_cuts

GOLDEN = Path(__file__).parents[1] / "golden"
YES = {name: Answer(True) for name in ("mae", "der", "der-target", "go-on")}
GO = {"go-on": Answer(True, "file it")}


def test_an_honest_phase_passes(honest: HonestPhase) -> None:
    """Selected on validation, integrated on unseen real recordings, everything as it was: with a person's yes the gate opens."""
    assert judge_phase(honest.phase).verdict == "open"
    record = write_gate(honest.phase, GO)
    assert (record.verdict, record.evidence, record.winner, record.notes) == ("pass", "real", "mlp", [])
    again = judge_phase(honest.phase)
    assert again.verdict == "pass"
    assert again.criteria[-1].note == "file it"


def test_the_reason_of_a_choice_ends_with_one_full_stop(honest: HonestPhase) -> None:
    """People write whole sentences."""
    selection = SelectionRecord.read(honest.phase.selection)
    changes = {"recommended": "transformer", "override_reason": "The MLP is faster."}
    selection.model_copy(update=changes).write(honest.phase.selection)
    write_gate(honest.phase)
    assert "because: The MLP is faster.\n" in honest.phase.gate_page.read_text()


def _write_gate_turns(honest: HonestPhase, kind: str, turn: Turn, n: int) -> None:
    """This turn for the first of the gate split."""
    for name in (f"g{index}" for index in range(n)):
        folder = honest.phase.refined if kind == "refined" else honest.corpus / "gate" / kind
        write_rttm(folder / f"{name}.rttm", Diarization(name, (turn,)))


def _integrate_anew(honest: HonestPhase, *, der_before: float, der_after: float) -> None:
    """The labels that lie there now, with the DERs that they have."""
    honest.prepared_anew()
    before, after = ({"der": der} for der in (der_before, der_after))
    honest.integrate(
        der=[
            one.model_copy(update={"before": one.before.model_copy(update=before), "after": one.after.model_copy(update=after)})
            for one in integration("mlp").der
        ]
    )


def _turns(honest: HonestPhase, kind: str) -> None:
    write_rttm(honest.corpus / "gate" / kind / "g3.rttm", Diarization("g3", (Turn(1.0, 9.0, "A"),)))


def _prepared_labels_edited(honest: HonestPhase) -> None:
    _turns(honest, "reference")
    honest.integrate()


def _refined_by_cheating(honest: HonestPhase) -> None:
    shutil.copy(honest.corpus / "gate/reference/g3.rttm", honest.phase.refined / "g3.rttm")


def _padded_with_silence(honest: HonestPhase) -> None:
    """The first five are scored where nobody speaks; the weights are those of this corpus."""
    document = json.loads((honest.corpus / "corpus.json").read_text())
    for one in document["splits"]["gate"][:5]:
        one["regions_s"] = [[6.0, 10.0]]
    (honest.corpus / "corpus.json").write_text(json.dumps(document))
    for model in ("transformer", "mlp"):
        honest.train(model)
    honest.integrate()


def _padded_with_monologues(honest: HonestPhase) -> None:
    """In the first five somebody speaks from the first to the last second, and nothing is wrong."""
    for kind in ("reference", "hypothesis", "refined"):
        _write_gate_turns(honest, kind, Turn(0.0, 10.0, "A"), 5)
    speech_s = 19 * 3.0 + 5 * 10.0
    _integrate_anew(honest, der_before=19 * 0.105 / speech_s, der_after=19 * 0.075 / speech_s)


def _hard_recordings_left_out(honest: HonestPhase) -> None:
    document = json.loads((honest.corpus / "corpus.json").read_text())
    document["splits"]["gate"] = document["splits"]["gate"][:22]
    (honest.corpus / "corpus.json").write_text(json.dumps(document))


def _prepared_from_other_audio(honest: HonestPhase) -> None:
    audio = honest.corpus / "gate/audio/g3.wav"
    audio.write_text("somebody else's")
    manifest = CorpusManifest.read(honest.corpus / "corpus.json")
    gate = [one.model_copy(update={"audio_file": AudioFile.of(honest.corpus / one.audio)}) for one in manifest.splits["gate"]]
    manifest.model_copy(update={"splits": {**manifest.splits, "gate": gate}}).write(honest.corpus / "corpus.json")


def _compared(honest: HonestPhase, **changes: object) -> None:
    report = integration("mlp")
    before = figures(170.0).model_copy(update=changes)
    honest.integrate(comparison=report.comparison.model_copy(update={"before": before}))


def _elsewhere(kind: type[Document], path: Path) -> None:
    """As if the file were copied from another phase."""
    kind.read(path).model_copy(update={"phase": "20261125T000000Z-other"}).write(path)


def _agreed_otherwise(honest: HonestPhase, gate: dict[str, object]) -> None:
    """As if another version had launched the phase."""
    Manifest.read(honest.phase.manifest).model_copy(update={"gate": gate}).write(honest.phase.manifest)


def _figures_forged(honest: HonestPhase) -> None:
    honest.integrate(der=integration("mlp", der=0.012).der)


CHANGED = "the file was changed after brefine had written it"
FRAUDS: dict[str, tuple[Callable[[HonestPhase], object], str]] = {
    "a figure of the integration edited": (
        lambda it: it.edit(it.phase.integration, '"mae_ms": 90.0', '"mae_ms": 20.0'),
        f"integration.json: {CHANGED}; integrate again",
    ),
    "the interval taken out": (
        lambda it: it.edit(it.phase.integration, '"interval"', '"no_interval"'),
        "integration.json: this is not a valid IntegrationReport; integrate again",
    ),
    "the seal taken out": (
        lambda it: it.edit(it.phase.integration, '"seal"', '"no_seal"'),
        f"integration.json: {CHANGED}; integrate again",
    ),
    "figures forged together with the seal": (
        _figures_forged,
        "scored again, the turns give a DER of 3.50 % → 2.50 %, the integration told 3.50 % → 1.20 %",
    ),
    "the hypotheses changed": (
        lambda it: _turns(it, "hypothesis"),
        "references, hypotheses or refined turns were changed after the integration; integrate again",
    ),
    "the references changed": (
        lambda it: _turns(it, "reference"),
        "references, hypotheses or refined turns were changed after the integration; integrate again",
    ),
    "the prepared references edited before the integration": (
        _prepared_labels_edited,
        "labels were changed after the corpus had been prepared (prepared labels of gate/g3); prepare it again",
    ),
    "other audio in the place of a gate recording's": (
        lambda it: (it.corpus / "gate/audio/g3.wav").write_text("somebody else's"),
        "the audio of gate recordings was changed after the corpus had been prepared (g3); prepare it again",
    ),
    "other audio of the same length": (
        lambda it: it.edit(it.corpus / "gate/audio/g3.wav", "heard", "sound"),
        "the audio of gate recordings was changed after the corpus had been prepared (g3); prepare it again",
    ),
    "other audio prepared under the same names after the integration": (
        _prepared_from_other_audio,
        "the audio of gate recordings is not what was integrated on (g3); integrate again",
    ),
    "the refined turns replaced by the truth": (
        _refined_by_cheating,
        "references, hypotheses or refined turns were changed after the integration; integrate again",
    ),
    "a refined recording removed": (
        lambda it: (it.phase.refined / "g3.rttm").unlink(),
        "references, hypotheses or refined turns were changed after the integration; integrate again",
    ),
    "recordings without speech in what is scored": (
        _padded_with_silence,
        "19 recordings are fewer than the 20 demanded; in 5 of these recordings: g0, g1, g2 and 2 more, nobody speaks",
    ),
    "recordings without a boundary": (
        _padded_with_monologues,
        "19 recordings are fewer than the 20 demanded; in 5 of these recordings: g0, g1, g2 and 2 more, no boundary is matched",
    ),
    "recordings without an error": (
        _padded_with_monologues,
        "19 recordings are fewer than the 20 demanded; in 5 of these recordings: g0, g1, g2 and 2 more, no error is made",
    ),
    "hard recordings left out of the split": (
        _hard_recordings_left_out,
        "the corpus is no longer the one that was integrated on; integrate again",
    ),
    "the corpus gone": (
        lambda it: shutil.rmtree(it.corpus),
        "the prepared corpus is no longer there, so nothing can be checked",
    ),
    "splits changed between training and integration": (
        lambda it: it.integrate(trained_corpus_sha256="00" * 32),
        "the weights were trained on another corpus, or its splits were changed after the training",
    ),
    "weights of unknown origin": (
        lambda it: it.integrate(trained_corpus_sha256=None),
        "the weights do not say what they were trained on",
    ),
    "trained on a gate recording": (
        lambda it: it.integrate(trained_on=["t0", "g3"]),
        "the refiner was trained on 1 of these recordings: g3",
    ),
    "a diarizer that knows a gate recording": (
        lambda it: it.edit(it.phase.config, "diarizer_trained_on = []", 'diarizer_trained_on = ["g4"]'),
        "the diarizer was trained on 1 of these recordings: g4",
    ),
    "a diarizer that knows a gate recording by its file": (
        lambda it: it.edit(it.phase.config, "diarizer_trained_on = []", 'diarizer_trained_on = ["g4.WAV", "t0.rttm"]'),
        "the diarizer was trained on 1 of these recordings: g4",
    ),
    "few recordings": (
        lambda it: it.integrate(recordings=integration("mlp").recordings[:5]),
        "5 recordings are fewer than the 20 demanded",
    ),
    "another cap": (lambda it: _compared(it, window_s=0.25), "but matched within 0.25 s instead of 1 s"),
    "recall hidden": (lambda it: _compared(it, recall=None), "but the recall of the matching is not told"),
    "recall low": (lambda it: _compared(it, recall=0.2), "but only 20 % of the reference boundaries were matched"),
    "trained on after the integration": (
        lambda it: it.train("mlp", weights_sha256="99" * 32),
        "the best checkpoint of mlp is not the one that was integrated; integrate again",
    ),
    "selected with other weights": (
        lambda it: (
            evaluation("mlp", 90.0)
            .model_copy(update={"weights_sha256": "99" * 32})
            .write(it.phase.evaluation("mlp", "validation"))
        ),
        "mlp was integrated with other weights than those it was selected with; evaluate and select again",
    ),
    "tuned on the gate split": (
        lambda it: it.integrate(refine={"min_confidence": 0.7}),
        "mlp was integrated with another [refine] than it was selected with; evaluate and select again",
    ),
    "evaluated anew after the choice": (
        lambda it: (
            evaluation("mlp", 90.0).model_copy(update={"unix_s": 4e9}).write(it.phase.evaluation("mlp", "validation"))
        ),
        "mlp was evaluated again after it was selected; select again",
    ),
    "evaluated anew after the choice, the clock set back": (
        lambda it: evaluation("mlp", 90.0).model_copy(update={"unix_s": 1.0}).write(it.phase.evaluation("mlp", "validation")),
        "mlp was evaluated again after it was selected; select again",
    ),
    "the evaluation edited": (
        lambda it: it.edit(it.phase.evaluation("mlp", "validation"), '"mae_ms": 90.0', '"mae_ms": 20.0'),
        CHANGED,
    ),
    "another model selected": (
        lambda it: choose(it.phase, "transformer", why="I like it"),
        "transformer is selected, mlp was integrated; integrate again",
    ),
    "the selection edited": (
        lambda it: it.edit(it.phase.selection, '"recommended": "mlp"', '"recommended": "transformer"'),
        f"selection.json: {CHANGED}; select again",
    ),
    "the evaluation of another phase": (
        lambda it: _elsewhere(EvaluationReport, it.phase.evaluation("mlp", "validation")),
        "the evaluation was written in another phase (20261125T000000Z-other); evaluate again",
    ),
    "the selection of another phase": (
        lambda it: _elsewhere(SelectionRecord, it.phase.selection),
        "the selection was written in another phase (20261125T000000Z-other); select again",
    ),
    "the integration of another phase": (
        lambda it: _elsewhere(IntegrationReport, it.phase.integration),
        "the integration was written in another phase (20261125T000000Z-other); integrate again",
    ),
    "nothing selected": (lambda it: it.phase.selection.unlink(), "no model was selected on the validation split"),
    "what was agreed removed": (
        lambda it: it.phase.manifest.unlink(),
        "manifest.json is missing: what was agreed at the launch is not known",
    ),
    "what was agreed edited": (
        lambda it: it.edit(it.phase.manifest, '"mae_ms": 100.0', '"mae_ms": 500.0'),
        f"manifest.json: {CHANGED}: what was agreed at the launch is not known",
    ),
    "what was agreed is of another version": (
        lambda it: _agreed_otherwise(it, {"mae_s": 0.1}),
        "manifest.json: its [gate] is not one that this version knows: what was agreed at the launch is not known",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fraud", "words"), FRAUDS.values(), ids=FRAUDS.keys())
def test_nothing_that_was_changed_passes(honest: HonestPhase, fraud: Callable[[HonestPhase], object], words: str) -> None:
    """Whatever is answered, the gate stays open; the reason is in the record, on the page and in the recommendation."""
    fraud(honest)
    record = write_gate(honest.phase, YES)
    assert record.verdict == "open"
    assert any(words in criterion.why and criterion.finding == "unknown" for criterion in record.criteria)
    assert words in honest.phase.gate_page.read_text()
    assert record.recommendation.startswith("iterate on the evidence")


def test_a_refiner_that_does_next_to_nothing_is_not_taken_for_one_that_helps(honest: HonestPhase) -> None:
    """The integration's interval of the change reaches the gate."""
    told = integration("mlp").comparison
    honest.integrate(comparison=told.model_copy(update={"intervals": {**told.intervals, "mae_change_ms": (-0.125, 0.0)}}))
    record = write_gate(honest.phase, YES)
    assert (record.verdict, record.criteria[0].finding) == ("fail", "not-met")
    assert "may be chance" in record.criteria[0].why


@pytest.mark.parametrize("mark", ["simulated", "replayed"])
def test_recordings_that_are_marked_as_made_are_not_called_real(honest: HonestPhase, mark: str) -> None:
    """What the sealed report calls them counts less than what the corpus tells of them."""
    honest.prepare(**{mark: True})
    honest.train("mlp")
    honest.integrate()
    assert IntegrationReport.read(honest.phase.integration).evidence == "real"
    record = write_gate(honest.phase, YES)
    assert (record.verdict, record.evidence) == ("open", "simulated")


@pytest.mark.parametrize(("key", "made"), [("source", "replayed"), ("kind", "simulated")])
def test_a_recipe_of_made_recordings_is_not_called_real(honest: HonestPhase, key: str, made: str) -> None:
    """The report's word counts less than the recipe's, which then names another corpus."""
    honest.edit(honest.phase.config, f'{key} = "folder"', f'{key} = "{made}"')
    record = write_gate(honest.phase, YES)
    assert (record.verdict, record.evidence) == ("open", "simulated")


@pytest.mark.parametrize("model", ["mlp", "transformer"])
def test_figures_of_earlier_weights_are_not_ranked(honest: HonestPhase, model: ModelName) -> None:
    """Neither the best nor its rival wins by what weights could do that are no longer its best."""
    honest.train(model, weights_sha256="77" * 32)
    for ask in (recommend, choose):
        with pytest.raises(ProcessError, match="trained further since") as refused:
            ask(honest.phase)
        assert refused.value.problems == (model,)


def test_a_threshold_that_is_moved_later_decides_nothing(honest: HonestPhase) -> None:
    """What stood in the recipe at the launch is judged by, and the change is told."""
    honest.integrate(comparison=comparison(170.0, 120.0))
    honest.edit(honest.phase.config, "mae_ms = 100.0", "mae_ms = 150.0")
    record = write_gate(honest.phase, YES)
    assert record.verdict == "fail"
    assert record.criteria[0].threshold == "MAE < 100 ms, and less than before, interval of the change below 0"
    assert record.notes == ["gate.mae_ms was changed after the launch (100 → 150); judged by 100"]
    assert record.notes[0] in honest.phase.gate_page.read_text()


def test_a_threshold_that_is_met_without_a_refiner_is_told(honest: HonestPhase) -> None:
    """Below 100 ms after refinement is no news of hypotheses that were below it before; where it is not below, there is none."""
    honest.integrate(comparison=comparison(99.9, 60.0))
    (note,) = judge_phase(honest.phase).notes
    assert note.startswith("the MAE was below 100 ms before refinement, too (99.9 ms): ")
    honest.integrate(comparison=comparison(99.9, 105.0))
    assert judge_phase(honest.phase).notes == []


def test_an_integration_that_counts_what_cuts_have_made_is_told(honest: HonestPhase) -> None:
    """An earlier version's MAE is not the one that is asked for and leaves the gate open; beside it stands that without cuts."""
    told = integration("mlp").comparison
    honest.integrate(comparison=with_cuts(told, counted=True))
    record = write_gate(honest.phase, YES)
    assert (record.verdict, record.criteria[0].finding, record.criteria[1].finding) == ("open", "unknown", "met")
    assert record.notes == [
        "an earlier version integrated, and counted 100 boundaries that the cut of recordings has made: without them the MAE is "
        "203 ms → 107 ms, the recall 57.8 %; integrate again"
    ]
    assert "reference boundaries matched, 100 made by the cut among them, as an earlier version counted;" in _page(honest)
    honest.integrate(comparison=with_cuts(told, counted=False))
    record = write_gate(honest.phase, YES)
    assert (record.verdict, record.notes) == ("pass", [])
    assert "620 of 1,000 reference boundaries matched, 100 made by the cut left out;" in _page(honest)


def _page(honest: HonestPhase) -> str:
    return honest.phase.gate_page.read_text()


def test_models_that_two_versions_have_evaluated_are_not_ranked(honest: HonestPhase) -> None:
    """The one's capped mean counts the ends at cuts, the other's does not; evaluated alike, they are."""
    for model in honest.phase.models():
        path = honest.phase.evaluation(model, "validation")
        told = EvaluationReport.read(path)
        told.model_copy(update={"comparison": with_cuts(told.comparison, counted=model == "mlp")}).write(path)
    for ask in (recommend, choose):
        with pytest.raises(ProcessError, match="an earlier version evaluated some of the models") as refused:
            ask(honest.phase)
        assert refused.value.problems == ("mlp",)
    assert "as an earlier version counted for mlp" in "".join(evaluation_table(evaluation_reports(honest.phase)))
    told = EvaluationReport.read(honest.phase.evaluation("mlp", "validation"))
    told.model_copy(update={"comparison": with_cuts(comparison(190.0, 90.0), counted=False)}).write(
        honest.phase.evaluation("mlp", "validation")
    )
    assert recommend(honest.phase).recommended


def test_a_verdict_that_is_edited_is_found_out(honest: HonestPhase) -> None:
    """gate4.json tells answers, it gives none; readers refuse it, and the next judgement says so and writes it anew."""
    write_gate(honest.phase)
    honest.edit(honest.phase.gate, '"verdict": "open"', '"verdict": "pass"')
    honest.edit(honest.phase.gate, '"answer": null', '"answer": "yes"')
    with pytest.raises(FormatError, match=CHANGED):
        GateRecord.read(honest.phase.gate)
    record = write_gate(honest.phase)
    assert record.verdict == "open"
    assert record.notes == [f"gate4.json: {CHANGED}; what it said does not count"]
    assert GateRecord.read(honest.phase.gate).verdict == "open"
    assert write_gate(honest.phase).notes == []


def test_what_a_uem_leaves_out_is_told(honest: HonestPhase) -> None:
    """Two of each ten seconds scored: the verdict says so, and the page how much was matched and moved there; not of a whole."""
    assert write_gate(honest.phase, GO).notes == []
    scored = Scored(audio_s=240.0, scored_s=48.0, n_boundaries=70, n_moved=60, n_limited=24, n_left_out=1003)
    honest.integrate(scored=scored)
    record = write_gate(honest.phase, GO)
    left_out = "192.0 s left out, ends of reference speech there: 1,003"
    assert record.notes == [
        f"a UEM limits what is scored to 0.8 of 4.0 min of the gate split ({left_out}); the verdict is about that alone"
    ]
    assert (
        "0.8 of 4.0 min scored, limited by a UEM; 620 of 1,000 reference boundaries matched; 60 of 70 boundaries there moved\n"
    ) in honest.phase.gate_page.read_text()
    little = {"audio_s": 240.0, "scored_s": 239.7, "n_boundaries": 900, "n_moved": 500}
    for scored, told in ((Scored(**little), True), (Scored(**little, n_limited=1), True), (Scored(**little, n_limited=0), False)):
        honest.integrate(scored=scored)
        assert any("(0.3 s left out" in note for note in judge_phase(honest.phase).notes) is told
    honest.integrate(scored=None)
    assert write_gate(honest.phase).notes[:-1] == [
        "an earlier version integrated, whose intervals are too narrow where recordings are few; integrate again"
    ]
    assert "\n620 of 1,000 reference boundaries matched; 500 of 900 boundaries moved\n" in honest.phase.gate_page.read_text()


def test_what_is_on_record_is_what_was_shown(honest: HonestPhase) -> None:
    """The evidence of an answer is the finding before it: none at first, then the answer that it takes back."""
    write_gate(honest.phase, {"mae": Answer(True), "go-on": Answer(True)})
    write_gate(honest.phase, {"go-on": Answer(False)})
    measured, first, second = (one.evidence for one in honest.phase.read_decisions()[-3:])
    assert measured.startswith("met: ")
    assert first.startswith("unknown: nobody has answered yet [")
    assert second.startswith("met: a person said yes [")
    assert judge_phase(honest.phase).criteria[-1].answer == "no"


def test_an_answer_counts_for_the_evidence_it_was_given_on(honest: HonestPhase) -> None:
    """A yes to one integration is no yes to the next."""
    assert write_gate(honest.phase, GO).verdict == "pass"
    honest.integrate(unix_s=2000.0)
    record = write_gate(honest.phase)
    assert record.verdict == "open"
    assert record.criteria[-1].answer is None
    (note,) = record.notes
    assert re.fullmatch(r"go-on: the yes of .* UTC was given on other evidence; it is asked again", note)
    assert write_gate(honest.phase, GO).verdict == "pass"


def test_a_slow_judgement_does_not_undo_an_answer_given_meanwhile(honest: HonestPhase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers while another writer scores waits for it, and the last record is that of both answers."""
    gather, others = gate_report.evidence_of, list[threading.Thread]()

    def gather_slowly(*rest: Any) -> Evidence | None:
        evidence = gather(*rest)
        if not others:
            others.append(threading.Thread(target=write_gate, args=(honest.phase, {"mae": Answer(False)})))
            others[0].start()
            others[0].join(1.0)  # unless it waits, it is through by then
        return evidence

    monkeypatch.setattr(gate_report, "evidence_of", gather_slowly)
    assert write_gate(honest.phase, GO).verdict == "pass"
    others[0].join()
    record = GateRecord.read(honest.phase.gate)
    assert (record.verdict, {one.id: one.answer for one in record.criteria if one.answer}) == (
        "fail",
        {"mae": "no", "go-on": "yes"},
    )


def _torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _of_another_schema(path: Path) -> None:
    *earlier, last = path.read_text().splitlines()
    path.write_text("\n".join([*earlier, last.replace('"schema": 1', '"schema": 2'), ""]))


def _led_elsewhere(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("lose", [_torn, _of_another_schema, _led_elsewhere, _a_folder])
def test_an_answer_that_cannot_be_read_revives_no_earlier_one(honest: HonestPhase, lose: Callable[[Path], None]) -> None:
    """Yes, then no, and the no is lost: the gate is open, names the file, and asks anew; what is answered now counts."""
    assert write_gate(honest.phase, GO).verdict == "pass"
    assert write_gate(honest.phase, {"go-on": Answer(False)}).verdict == "fail"
    lose(honest.phase.decisions)
    record = write_gate(honest.phase)
    (note,) = record.notes
    assert (record.verdict, record.criteria[-1].answer) == ("open", None)
    assert re.fullmatch(r"(1 line of )?decisions\.jsonl cannot be read( \(.+\))?; answers from before that do not count", note)
    assert note in honest.phase.gate_page.read_text()
    if honest.phase.decisions.is_file() and not honest.phase.decisions.is_symlink():
        assert write_gate(honest.phase, {"go-on": Answer(False)}).verdict == "fail"
        assert judge_phase(honest.phase).notes == [note]


def test_decisions_that_may_not_be_read_are_told(honest: HonestPhase, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rights to the file are not the same as no answers; patched, since root may read everything."""
    write_gate(honest.phase, GO)
    opened = lines.open_no_link

    def refused(path: Path) -> BinaryIO:
        if path == honest.phase.decisions:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path)

    monkeypatch.setattr(lines, "open_no_link", refused)
    record = judge_phase(honest.phase)
    assert record.verdict == "open"
    assert record.notes == ["decisions.jsonl cannot be read (Permission denied); answers from before that do not count"]


def test_an_answer_to_a_criterion_that_is_none_is_passed_over(honest: HonestPhase) -> None:
    """Of another version, or a slip of a hand: the gate tells of it and judges by the others."""
    assert write_gate(honest.phase, GO).verdict == "pass"
    other = honest.phase.read_decisions()[-1].model_copy(update={"criterion": "jer"})
    honest.phase.record_decision(other)
    record = write_gate(honest.phase)
    assert record.verdict == "pass"
    assert record.notes == ["jer: the gate has no such criterion; the yes to it in decisions.jsonl is ignored"]


def test_a_choice_made_on_the_gate_split_is_told(honest: HonestPhase) -> None:
    """Whoever scores several models there picks the luckiest."""
    looks = [
        Look(model=model, weights_sha256=digit * 64, refine={}, unix_s=1.0)
        for model, digit in (("transformer", "1"), ("mlp", "2"))
    ]
    honest.integrate(looks=looks)
    assert judge_phase(honest.phase).notes == [
        "3 refiners were scored on the gate split (transformer, mlp twice); no interval allows for a choice among them"
    ]


@pytest.mark.parametrize(
    ("name", "content"), [("gate/reference/g3.rttm", "corrected"), ("train/reference/t0.rttm", ""), ("gate/all.uem", "g0 1 0 1")]
)
def test_labels_that_were_corrected_leave_the_gate_open(
    honest: HonestPhase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str
) -> None:
    """Also where nobody has prepared anew: the sources are looked at; once they are out of reach, nothing is known of them."""
    monkeypatch.chdir(tmp_path)  # the recipe's folders are relative, and so make it another corpus
    honest.corpus = honest.corpus.rename(prepared_corpus_path(honest.config))
    for part in ("train/reference/t0.rttm", "gate/reference/g3.rttm"):
        write_text_atomic(tmp_path / part, "as it was")
    manifest = CorpusManifest.read(honest.corpus / "corpus.json")
    manifest.model_copy(update={"sources": label_digests(honest.config)}).write(honest.corpus / "corpus.json")
    assert write_gate(honest.phase, GO).verdict == "pass"
    (tmp_path / name).write_text(content)
    record = write_gate(honest.phase, YES)
    assert record.verdict == "open"
    assert f"labels were changed after the corpus had been prepared ({name}); prepare it again" in record.criteria[0].why
    shutil.rmtree(tmp_path / name.partition("/")[0])
    assert judge_phase(honest.phase).verdict == "pass"


def _evaluate_on_the_gate(honest: HonestPhase, model: ModelName, weights_sha256: str, checkpoint: str = "best") -> None:
    changes = {"split": "gate", "checkpoint": checkpoint, "weights_sha256": weights_sha256}
    report = evaluation(model, 90.0, evidence="real").model_copy(update=changes)
    report.write(honest.phase.evaluation(model, "gate", checkpoint))


def test_a_choice_made_by_evaluations_on_the_gate_split_is_told(honest: HonestPhase) -> None:
    """One integration is not one look, where other models or checkpoints were scored there before it."""
    _evaluate_on_the_gate(honest, "transformer", "1" * 64)
    _evaluate_on_the_gate(honest, "transformer", "2" * 64, "last")
    _evaluate_on_the_gate(honest, "mlp", WEIGHTS_SHA256)
    record = write_gate(honest.phase, GO)
    assert len(record.notes) == 1
    told = re.fullmatch(r"3 refiners were scored on the gate split \((.*)\); no interval allows .*", record.notes[0])
    assert told and sorted(told[1].split(", ")) == ["mlp", "transformer twice"]
    assert record.notes[0] in honest.phase.gate_page.read_text()


def test_the_integrated_model_evaluated_on_the_gate_split_is_one_look(honest: HonestPhase) -> None:
    """The same weights moved by the same [refine] tell nothing new; other weights that stood in their place do."""
    _evaluate_on_the_gate(honest, "mlp", WEIGHTS_SHA256)
    assert judge_phase(honest.phase).notes == []
    place = honest.phase.evaluation("mlp", "gate")
    earlier = Look(model="mlp", weights_sha256="3" * 64, refine={}, unix_s=1.0)
    EvaluationReport.read(place).model_copy(update={"earlier_looks": [earlier]}).write(place)
    (note,) = judge_phase(honest.phase).notes
    assert note.startswith("2 refiners were scored on the gate split (mlp twice)")


def test_an_evaluation_on_the_gate_split_that_is_edited_is_told(honest: HonestPhase) -> None:
    """What it scored is not known, but that something was."""
    _evaluate_on_the_gate(honest, "transformer", "1" * 64)
    honest.edit(honest.phase.evaluation("transformer", "gate"), "1" * 64, WEIGHTS_SHA256)
    assert judge_phase(honest.phase).notes == [
        f"evaluation/transformer/gate.json: {CHANGED}; what was scored on the gate split is not known"
    ]


def test_audio_that_was_touched_or_is_gone_changes_no_verdict(honest: HonestPhase) -> None:
    """Another time of change is looked into; what is out of reach is told, as the turns can still be scored."""
    os.utime(honest.corpus / "gate/audio/g3.wav", (1e9, 1e9))
    assert write_gate(honest.phase, GO).notes == []
    for name in ("g4", "g7"):
        (honest.corpus / f"gate/audio/{name}.wav").unlink()
    record = write_gate(honest.phase)
    assert record.verdict == "pass"
    assert record.notes == ["the audio of gate recordings is no longer there (g4, g7), so it cannot be checked"]


def test_audio_that_cannot_be_read_is_not_called_unchanged(honest: HonestPhase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether it is what was prepared; patched, since root may read everything."""
    touched = honest.corpus / "gate/audio/g3.wav"
    os.utime(touched, (1e9, 1e9))
    opened = Path.open

    def refused(path: Path, *rest: Any, **options: Any) -> Any:
        if path == touched:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *rest, **options)

    monkeypatch.setattr(Path, "open", refused)
    record = write_gate(honest.phase, GO)
    assert record.verdict == "pass"
    assert record.notes == ["the audio of gate recordings cannot be read (g3), so it cannot be checked"]


def test_hypotheses_that_are_the_references_are_told(honest: HonestPhase) -> None:
    """Somebody labels on top of what a diarizer says, and has not come to seven of the files yet; a single turn is enough."""
    _write_gate_turns(honest, "hypothesis", Turn(1.0, 4.0, "A"), 7)
    _integrate_anew(honest, der_before=17 * 0.105 / 72, der_after=0.025)
    assert judge_phase(honest.phase).notes == [
        "the hypothesis equals the reference in 7 of 24 recordings behind the gate: g0, g1, g2, g3, g4 and 2 more"
    ]


@pytest.mark.parametrize(("n_corrected", "told"), [(11, []), (12, ["25 %"]), (24, ["50 %"])])
def test_hypotheses_that_were_corrected_to_make_the_references_are_told(
    honest: HonestPhase, n_corrected: int, told: list[str]
) -> None:
    """In so many recordings one of two boundaries was let stand, to the millisecond; a few are equal by chance."""
    _write_gate_turns(honest, "hypothesis", Turn(1.0, 4.105, "A"), n_corrected)
    _integrate_anew(honest, der_before=0.035, der_after=0.025)
    words = "of the matched boundaries behind the gate are the reference's to the millisecond, as where hypotheses were corrected"
    assert judge_phase(honest.phase).notes == [f"{share} {words} to make references" for share in told]


def test_a_good_system_on_the_grid_of_the_references_is_not_taken_for_their_source(honest: HonestPhase) -> None:
    """Half of its boundaries are the reference's, to the millisecond; the others lie a step of 20 ms beside it."""
    _write_gate_turns(honest, "hypothesis", Turn(1.0, 4.02, "A"), 24)
    _integrate_anew(honest, der_before=0.02 / 3.0, der_after=0.025)
    assert not [note for note in judge_phase(honest.phase).notes if "to the millisecond" in note]


def test_what_sounds_alike_and_was_let_through_is_told(honest: HonestPhase) -> None:
    """Beside the verdict and on its page: a copy that somebody named for a different recording is seen by whoever reads them."""
    words = "gate: g1 sounds like t0: 0.0–11.2 s of g1 is like 3.0–14.2 s of t0"
    manifest = CorpusManifest.read(honest.corpus / "corpus.json")
    manifest.model_copy(update={"alike": [words]}).write(honest.corpus / "corpus.json")
    honest.integrate()
    record = write_gate(honest.phase, GO)
    assert (record.verdict, record.notes) == ("pass", [words])
    assert "g1 sounds like t0" in honest.phase.gate_page.read_text()
    manifest.write(honest.corpus / "corpus.json")
    words = "the corpus no longer names the same recordings as sounding alike as it did at the integration; integrate again"
    record = judge_phase(honest.phase)
    assert record.verdict == "open"
    assert words in record.criteria[0].why
    honest.integrate(alike=None)
    assert write_gate(honest.phase, GO).verdict == "pass"


def test_a_pair_that_the_recipe_lets_through_is_told_whatever_the_corpus_says(honest: HonestPhase) -> None:
    """Nobody takes the note away by emptying `alike`; without the name in the recipe, there is no corpus."""
    told = "corpus.known_to_differ lets t0 and g1 through, however alike they sound"
    named = '[["t0", "g1"], ["t0", "t1"]]'
    honest.edit(honest.phase.config, "known_to_differ = []", f"known_to_differ = {named}")
    honest.corpus.rename(prepared_corpus_path(load_config(honest.phase.config)))
    record = write_gate(honest.phase, GO)
    assert (record.verdict, record.notes) == ("pass", [told])
    assert told in honest.phase.gate_page.read_text()
    honest.edit(honest.phase.config, f"known_to_differ = {named}", "known_to_differ = []")
    assert judge_phase(honest.phase).verdict == "open"


def test_names_that_the_recipe_takes_for_local_are_told(honest: HonestPhase) -> None:
    """They no longer join recordings that share them; without the names in the recipe, there is no corpus."""
    path = honest.corpus / "corpus.json"
    document = json.loads(path.read_text())
    for one in document["splits"]["gate"]:
        one["speakers"] = ["agent"]
    document["splits"]["train"][0]["speakers"] = document["splits"]["gate"][0]["speakers"] = ["agent", "1272"]
    path.write_text(json.dumps(document))
    honest.edit(honest.phase.config, "local_speaker_names = []", 'local_speaker_names = ["agent"]')
    honest.corpus.rename(prepared_corpus_path(load_config(honest.phase.config)))
    record = write_gate(honest.phase, GO)
    assert (record.verdict, record.notes) == (
        "pass",
        [
            "corpus.local_speaker_names takes a name for somebody else in each recording, as if it were a number: agent",
            "speakers behind the gate have the numbers of others in training, and may be the same people: 1272",
        ],
    )
    honest.edit(honest.phase.config, 'local_speaker_names = ["agent"]', "local_speaker_names = []")
    assert judge_phase(honest.phase).verdict == "open"


def test_what_a_model_knew_before_the_phase_is_told(honest: HonestPhase) -> None:
    """One that began with the shipped weights has heard their voices, whatever the phase trained it on."""
    honest.edit(honest.phase.config, 'start = "random"', 'start = "shipped"')
    record = write_gate(honest.phase, GO)
    (told,) = [note for note in record.notes if "began with" in note]
    assert told.startswith("mlp began with the weights that ship with brefine")
    assert told in honest.phase.gate_page.read_text()


def test_a_winner_that_is_the_shipped_start_is_told(honest: HonestPhase) -> None:
    """Nothing that the phase has trained was better: the reason of the choice, the gate's page and the report say so."""
    honest.edit(honest.phase.config, 'start = "random"', 'start = "shipped"')
    path = honest.phase.run("mlp").card("best")
    card = CheckpointCard.read(path)
    start = Validation(
        step=0, epoch=0, loss=1.0, mae_ms=50.0, median_ms=20.0, within_50ms=0.5, within_100ms=0.6, within_200ms=0.7
    )
    told = "no epoch was better than the shipped weights that mlp began with"
    for later, is_told in ((0, True), (8, False)):
        best = start.model_copy(update={"step": later})
        card.model_copy(update={"validation": best, "started_from_sha256": "0" * 64}).write(path)
        assert recommend(honest.phase).reason.endswith(told) is is_told
        assert (told in write_gate(honest.phase, GO).notes) is is_told
        assert (told in honest.phase.gate_page.read_text()) is is_told
        assert (told in write_report(honest.phase).read_text()) is is_told


def test_names_that_exclude_nothing_are_told(honest: HonestPhase) -> None:
    """Whoever mistypes a recording that the diarizer knows, or writes it in other letters, hears of it."""
    names = '["G1", "t0", "nowhere.wav"]'
    honest.edit(honest.phase.config, "diarizer_trained_on = []", f"diarizer_trained_on = {names}")
    assert judge_phase(honest.phase).notes == ["gate.diarizer_trained_on names recordings that are in no split: G1, nowhere.wav"]


def test_a_phase_from_before_audio_was_digested_is_judged_as_then(honest: HonestPhase) -> None:
    """Its corpus told nothing of audio, and neither do its weights, also where the corpus is prepared anew."""
    manifest = CorpusManifest.read(honest.corpus / "corpus.json")
    splits = {split: [one.model_copy(update={"audio_file": None}) for one in own] for split, own in manifest.splits.items()}
    manifest.model_copy(update={"splits": splits}).write(honest.corpus / "corpus.json")
    trained_on = honest.fingerprint()
    honest.integrate()
    (honest.corpus / "gate/audio/g3.wav").unlink()
    record = write_gate(honest.phase, GO)
    assert record.verdict == "pass"
    (told,) = record.notes
    assert told == "an earlier version prepared the corpus and kept no digest of its audio, so the audio cannot be checked"
    manifest.write(honest.corpus / "corpus.json")
    assert honest.fingerprint() == trained_on


def test_a_moved_phase_is_judged_as_before(honest: HonestPhase, tmp_path: Path) -> None:
    """Digests are of contents, and the manifest keeps the phase's name: where files lie does not matter."""
    assert SelectionRecord.read(honest.phase.selection).phase == honest.phase.path.name
    honest.phase.path.rename(tmp_path / "moved")
    moved = type(honest.phase)(tmp_path / "moved")
    assert write_gate(moved, GO).verdict == "pass"


def _fail(honest: HonestPhase) -> None:
    report = integration("mlp", mae_ms=120.0, der=0.034)
    honest.refine(4.102)
    honest.integrate(comparison=report.comparison, der=report.der)


def test_the_report_judges_again(honest: HonestPhase) -> None:
    """A verdict on file that the files no longer bear is not reprinted: the report shows today's, and says what was filed."""
    write_gate(honest.phase, GO)
    assert "<b>Gate 4: PASS</b>" in write_report(honest.phase).read_text()
    _refined_by_cheating(honest)
    page = write_report(honest.phase).read_text()
    assert "<b>Gate 4: OPEN</b>" in page
    assert "the verdict on file was pass; judged again for this report it is open" in page
    honest.edit(honest.phase.gate, "on recordings that nobody trained on", "on recordings")
    assert f"gate4.json: {CHANGED}" in write_report(honest.phase).read_text()


def test_a_corpus_that_has_lost_its_gate_split_leaves_the_gate_open(honest: HonestPhase) -> None:
    """Somebody's corpus.json may say anything: the verdict falls, and whatever shows the phase goes on."""
    assert write_gate(honest.phase, GO).verdict == "pass"
    path = honest.corpus / "corpus.json"
    document = json.loads(path.read_text())
    document["splits"] = {}
    path.write_text(json.dumps(document))
    assert PhaseStore(honest.phase.path).snapshot().standing_gate is None
    assert judge_phase(honest.phase).verdict == "open"


@pytest.mark.parametrize(
    ("missed", "false", "der", "advice"),
    [
        ([Turn(5.0, 9.5, "M")], [], 4.605 / 7.5, "stop moving boundaries: moving ends by up to 1 s cannot give less than 60.00"),
        ([], [Turn(7.0, 9.0, "F")], 2.105 / 3.0, "iterate on integration"),
    ],
)
def test_what_is_out_of_reach_is_known_from_the_turns(
    honest: HonestPhase, missed: list[Turn], false: list[Turn], der: float, advice: str
) -> None:
    """The advice is to stop where no movement of any end would do: for a missed turn, not for a false one that can close."""
    for kind, turns in (("reference", [Turn(1.0, 4.0, "A"), *missed]), ("hypothesis", [Turn(1.0, 4.105, "A"), *false])):
        for one in [*honest.corpus.glob(f"gate/{kind}/*"), *(honest.phase.refined.glob("*") if kind == "hypothesis" else ())]:
            write_rttm(one, Diarization(one.stem, tuple(turns)))
    honest.prepared_anew()
    figures = integration("mlp").der[0].before.model_copy(update={"der": der})
    honest.integrate(der=[one.model_copy(update={"before": figures, "after": figures}) for one in integration("mlp").der])
    record = judge_phase(honest.phase)
    assert record.verdict == "fail"
    assert record.recommendation.startswith(advice)


FAILED_ON = r"2\d{3}-\d\d-\d\d \d\d:\d\d UTC"


def test_an_earlier_verdict_outlives_a_re_look(honest: HonestPhase) -> None:
    """A fail that new hypotheses turn into open, and one that an edit of gate4.json hides, stay on the page with their date."""
    _fail(honest)
    failed = write_gate(honest.phase, GO)
    assert (failed.verdict, failed.earlier) == ("fail", [])
    assert write_gate(honest.phase).earlier == []
    _turns(honest, "hypothesis")
    for _ in range(2):
        record = write_gate(honest.phase)
        assert (record.verdict, record.earlier) == ("open", [failed.filed()])
        told = re.compile(rf"## Earlier verdicts\n\n- {FAILED_ON}: \*\*fail\*\* \(mlp\): iterate on the model: .+\n\n## Evidence")
        assert told.search(honest.phase.gate_page.read_text())
    assert any(re.fullmatch(rf"earlier verdicts: FAIL \({FAILED_ON}\)", line) for line in gate_table(record))
    assert re.search(rf"<li>earlier verdicts: FAIL \({FAILED_ON}\)</li>", write_report(honest.phase).read_text())
    honest.phase.gate.unlink()
    assert judge_phase(honest.phase).earlier == [failed.filed()]


class _AnyDocument(SealedDocument):
    model_config = ConfigDict(extra="allow")


def _as_of_an_earlier_version(honest: HonestPhase, record: GateRecord) -> FiledVerdict:
    """Leaves the verdict in gate4.json alone, as written long ago; returns what it says."""
    honest.phase.verdicts.unlink()
    old = record.model_copy(update={"unix_s": 1e9})
    _AnyDocument.model_validate(old.model_dump(by_alias=True, exclude={"earlier"})).write(honest.phase.gate)
    return old.filed()


def test_a_verdict_of_an_earlier_version_is_kept(honest: HonestPhase) -> None:
    """It stands in gate4.json alone, which the next one replaces."""
    _fail(honest)
    failed = _as_of_an_earlier_version(honest, write_gate(honest.phase, GO))
    _turns(honest, "hypothesis")
    record = write_gate(honest.phase)
    assert honest.phase.verdict_lines().readable == [failed, record.filed()]
    assert (record.earlier, [note for note in record.notes if "verdicts.jsonl" in note]) == ([failed], [])
    assert write_gate(honest.phase).earlier == [failed]


def test_a_verdict_of_an_earlier_version_that_is_judged_again_keeps_its_date(honest: HonestPhase) -> None:
    """verdicts.jsonl tells when a verdict was first written down."""
    passed = _as_of_an_earlier_version(honest, write_gate(honest.phase, GO))
    for _ in range(2):
        record = write_gate(honest.phase)
        assert (record.verdict, record.earlier, record.notes) == ("pass", [], [])
        assert honest.phase.verdict_lines().readable == [passed]


def test_a_verdict_of_an_earlier_version_that_wrote_percent_without_a_blank_is_no_other(honest: HonestPhase) -> None:
    """Judged again, it is not filed a second time beside itself."""
    found = write_gate(honest.phase).filed()
    now, then, other = (found.model_copy(update={"recommendation": f"below {target}"}) for target in ("3 %", "3%", "4 %"))
    assert now.repeats(then.model_copy(update={"unix_s": 1e9}))
    assert not other.repeats(then)


def test_a_verdict_whose_line_a_crash_tore_is_told_by_gate4_json(honest: HonestPhase) -> None:
    """The next one finds it there, tells it and files it again."""
    opened = write_gate(honest.phase).filed()
    failed = write_gate(honest.phase, {"go-on": Answer(False)}).filed()
    _torn(honest.phase.verdicts)
    lacks = "verdicts.jsonl lacks 1 verdict that gate4.json tells"
    record = write_gate(honest.phase, GO)
    assert (record.verdict, record.earlier, record.notes[1:]) == ("pass", [opened, failed], [lacks])
    assert honest.phase.verdict_lines().readable == [opened, failed, record.filed()]
    again = write_gate(honest.phase)
    assert (again.earlier, again.notes) == ([opened, failed], record.notes[:1])


def test_verdicts_are_filed_again_where_their_file_is_gone(honest: HonestPhase) -> None:
    """gate4.json tells all of them, in their order, and whoever reads the next one learns that the file was lost."""
    told = [write_gate(honest.phase, {"go-on": Answer(yes)}).filed() for yes in (False, True, False)]
    honest.phase.verdicts.unlink()
    record = write_gate(honest.phase)
    assert (record.verdict, record.earlier) == ("fail", told[:2])
    assert record.notes == ["verdicts.jsonl lacks 3 verdicts that gate4.json tells"]
    assert honest.phase.verdict_lines().readable == told
    assert write_gate(honest.phase).notes == []


def test_a_verdict_that_is_filed_late_stands_in_its_place(honest: HonestPhase) -> None:
    """Lines are told in order of time, and the last verdict is not filed again and again."""
    failed, passed, _ = (write_gate(honest.phase, {"go-on": Answer(yes)}).filed() for yes in (False, True, False))
    record = write_gate(honest.phase, GO)
    first, *others = honest.phase.verdicts.read_text().splitlines(keepends=True)
    honest.phase.verdicts.write_text("".join(others))
    for _ in range(2):
        record = write_gate(honest.phase)
        assert (record.verdict, record.earlier[:2]) == ("pass", [failed, passed])
    assert honest.phase.verdicts.read_text().splitlines(keepends=True)[:-1] == [*others, first]


@pytest.mark.parametrize("lose", [_led_elsewhere, _a_folder])
def test_a_verdict_that_cannot_be_filed_is_on_record(honest: HonestPhase, lose: Callable[[Path], None]) -> None:
    """gate4.json and its page tell what was judged, not what stood there before; it is filed as soon as it can be."""
    opened = write_gate(honest.phase).filed()
    lose(honest.phase.verdicts)
    with pytest.raises(OSError, match=r"verdicts\.jsonl"):
        write_gate(honest.phase, {"go-on": Answer(False)})
    failed = GateRecord.read(honest.phase.gate)
    assert (failed.verdict, failed.earlier) == ("fail", [opened])
    assert "# Gate 4: fail" in honest.phase.gate_page.read_text()
    honest.phase.verdicts.rename(honest.phase.verdicts.with_name("moved"))
    record = write_gate(honest.phase, GO)
    assert (record.verdict, record.earlier) == ("pass", [opened, failed.filed()])
    assert honest.phase.verdict_lines().readable == [opened, failed.filed(), record.filed()]


def test_verdicts_that_cannot_be_read_are_told(honest: HonestPhase) -> None:
    """Whoever tears a line has not taken a verdict away unseen."""
    write_gate(honest.phase)
    _torn(honest.phase.verdicts)
    write_gate(honest.phase, GO)
    assert judge_phase(honest.phase).notes == ["1 line of verdicts.jsonl cannot be read; not every earlier verdict is known"]


def test_headroom_and_der_are_those_of_the_gates_conventions(honest: HonestPhase) -> None:
    """With W = 0.5 s an end that is 0.7 s off cannot be moved, and the DER is that at the gate's collar, not the first told."""
    for one in [*honest.corpus.glob("gate/hypothesis/*"), *honest.phase.refined.glob("*")]:
        write_rttm(one, Diarization(one.stem, (Turn(1.0, 4.7, "A"),)))
    honest.prepared_anew()
    der_at = {0.0: 0.7 / 3.0, 0.25: 0.45 / 2.5}
    told = [
        one.model_copy(update=dict.fromkeys(("before", "after"), one.before.model_copy(update={"der": der_at[one.collar_s]})))
        for one in integration("mlp").der
    ]
    honest.integrate(der=told)
    manifest = CorpusManifest.read(honest.corpus / "corpus.json")
    found = {}
    for window_s in (0.5, 1.0):
        gate = honest.config.gate.model_copy(update={"window_s": window_s, "der_collar_s": 0.25})
        config = honest.config.model_copy(update={"gate": gate})
        evidence = evidence_of(honest.phase, config, GateFiles.of(honest.phase), manifest, GateAudio())
        assert evidence is not None and evidence.faults == ()
        assert (evidence.collar_s, evidence.der.before) == (0.25, der_at[0.25])
        found[window_s] = evidence.oracle_der
    assert found == {0.5: pytest.approx(der_at[0.25]), 1.0: pytest.approx(0.0)}


PAGES: dict[str, tuple[Callable[[HonestPhase], object], dict[str, Answer]]] = {
    "pass": (lambda it: None, GO),
    "fail": (_fail, {"mae": Answer(True, "close | enough"), "go-on": Answer(False, "no\ncustomer <b>needs</b> it")}),
    "simulated": (lambda it: it.integrate(evidence="simulated"), {}),
    "refused": (_refined_by_cheating, GO),
    "nothing": (lambda it: it.phase.integration.unlink(), {}),
}


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_a_decision_record(honest: HonestPhase, page: str) -> None:
    """Verdict, criteria with conventions and intervals, evidence, selection, provenance: word for word."""
    prepare, answers = PAGES[page]
    prepare(honest)
    write_gate(honest.phase, answers)
    text = re.sub(r"Corpus: `.*`", "Corpus: `CORPUS`", honest.phase.gate_page.read_text())
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "TODAY", text)
    assert text == (GOLDEN / f"gate4_{page}.md").read_text()


def test_a_recording_that_outweighs_the_others_is_told(honest: HonestPhase) -> None:
    """More than a third of the errors or of the speech: no interval allows for it. Fewer than five have none."""
    report = IntegrationReport.read(honest.phase.integration)

    def notes(errors_s: list[float], speech_s: list[float]) -> list[str]:
        changes = [
            one.model_copy(update={"error_before_s": error_s, "reference_speech_s": own_s})
            for one, error_s, own_s in zip(report.recordings, errors_s, speech_s, strict=False)
        ]
        honest.integrate(recordings=changes)
        return judge_phase(honest.phase).notes

    assert notes([12.0] + [1.0] * 23, [11.0] + [1.0] * 23) == [
        "g0 alone has 34 % of the errors before: intervals over such recordings hold less than 95 %"
    ]
    assert notes([1.0] * 24, [1.0] * 23 + [20.0]) == [
        "g23 alone has 47 % of the reference speech: intervals over such recordings hold less than 95 %"
    ]
    assert notes([0.0] * 24, [1.0] * 24) == []
    assert notes([9.0, 1.0, 1.0, 1.0], [1.0] * 4) == []


def test_gate_recordings_that_share_speakers_are_told(honest: HonestPhase) -> None:
    """Twenty-four pieces of two meetings are no twenty-four independent recordings; the verdict is that of the figures."""
    path = honest.corpus / "corpus.json"
    document = json.loads(path.read_text())
    for place, one in enumerate(document["splits"]["gate"]):
        one["speakers"] = [("anna", "bert")[place % 2]]
    path.write_text(json.dumps(document))
    record = write_gate(honest.phase, GO)
    words = "behind the gate are 24 recordings, but only 2 groups that share no speaker: intervals count recordings"
    assert (record.verdict, record.notes) == ("pass", [words])
    assert words in honest.phase.gate_page.read_text()
