"""The chosen model behind the diarizer on the gate split."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.config import format_config, prepared_corpus_path
from brefine.core.bootstrap import bootstrap_ratio
from brefine.core.boundaries import ends_of_speech
from brefine.core.boundary_error import BoundaryErrors
from brefine.core.der import DerParts, JerParts, score_der, score_jer
from brefine.core.matching import match_boundaries
from brefine.core.turns import Diarization, Regions, Turn
from brefine.data import features
from brefine.data.feature_store import build_store
from brefine.evaluate import hearing, integration
from brefine.evaluate.evaluation import evaluate_refiner, load_checkpoint, write_evaluation
from brefine.evaluate.integration import integrate
from brefine.evaluate.moves import HeardRecording
from brefine.evaluate.recordings import GivenRecording, GivenSplit
from brefine.io.rttm import read_rttm, write_rttm
from brefine.phasedir import CorpusManifest, IntegrationReport, Manifest, PhaseDir, RecordingChange, Scored
from brefine.run.tables import integration_table
from tests.evaluate.conftest import all_earlier, save_untrained


def integrated(phase: PhaseDir) -> IntegrationReport:
    config = phase.load_config()
    return integrate(load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "gate"), config, phase)


def test_figures_are_those_of_the_written_files(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring the refined RTTMs again gives the report's DER, JER and MAE, recording by recording, and the parts of the sums."""
    monkeypatch.setattr(integration, "refine_heard", all_earlier)
    report = integrated(phase)
    split = GivenSplit(phase.load_config(), "gate")
    parts = []
    for given, change in zip(split.recordings, report.recordings, strict=True):
        refined = read_rttm(phase.refined / f"{given.name}.rttm")[given.name]
        before, after = _rescored(given, given.hypothesis, given.regions_s), _rescored(given, refined, given.regions_s)
        assert _der_and_jer(change) == pytest.approx(_rates(before, after), abs=1e-6)
        assert change.error_before_s == pytest.approx(before[0].error_s, abs=1e-4)
        assert change.reference_speech_s == pytest.approx(before[0].reference_speech_s, abs=1e-4)
        assert before != after
        ends_s = np.array([[turn.onset_s, turn.offset_s] for turn in refined.turns])
        match = match_boundaries(given.reference, given.hypothesis, window_s=1.0, regions_s=given.regions_s)
        assert change.mae_before_ms == pytest.approx(BoundaryErrors.of(match).figures()["mae_ms"])
        assert change.mae_after_ms == pytest.approx(BoundaryErrors.of(match, moved_ends_s=ends_s).figures()["mae_ms"], abs=0.001)
        parts.append((before, after))
    for figures, jer, own in zip(
        (report.der[0].before, report.der[0].after), (report.jer_before, report.jer_after), zip(*parts, strict=True), strict=True
    ):
        total = sum((one for one, _ in own), DerParts())
        for name in ("der", "missed_s", "false_alarm_s", "confusion_s", "reference_speech_s"):
            assert getattr(figures, name) == pytest.approx(getattr(total, name), abs=1e-4), name
        assert jer == pytest.approx(sum((one for _, one in own), JerParts()).jer, abs=1e-6)
    assert report.der[0].relative == pytest.approx(1.0 - report.der[0].after.der / report.der[0].before.der)
    interval = bootstrap_ratio(np.array([[after.error_s, after.reference_speech_s] for _, (after, _) in parts]))
    assert interval is not None
    assert report.der[0].after_interval == pytest.approx((interval.low, interval.high), abs=1e-6)
    assert [one.collar_s for one in report.der] == [0.0, 0.25]


def _rescored(given: GivenRecording, turns: Diarization, regions_s: Regions | None) -> tuple[DerParts, JerParts]:
    return score_der(given.reference, turns, regions_s=regions_s), score_jer(given.reference, turns, regions_s=regions_s)


def _der_and_jer(change: RecordingChange) -> list[float]:
    return [change.der_before, change.jer_before, change.der_after, change.jer_after]


def _rates(before: tuple[DerParts, JerParts], after: tuple[DerParts, JerParts]) -> list[float]:
    return [rate for der, jer in (before, after) for rate in (der.der, jer.jer)]


def test_the_number_of_recordings_heard_never_goes_back(phase: PhaseDir) -> None:
    """Several are heard at once, and one that is slow to tell lets no other pass."""
    told: list[int] = []

    def report(done: int) -> None:
        if done == 1:
            time.sleep(0.5)
        told.append(done)

    config = phase.load_config()
    refiner = load_checkpoint(phase, "mlp", "best", "cpu")
    integrate(refiner, GivenSplit(config, "gate"), config, phase, report=report)
    assert told == [0, 1, 2, 3, 4, 5]


def test_overlap_is_scored_and_left_out_beside_each_other(phase: PhaseDir, tmp_path: Path) -> None:
    """The gate's figures are those with overlap; where several speak at once, less is scored without it, at each collar."""
    _give_own_corpus(phase, tmp_path / "data")
    path = prepared_corpus_path(phase.load_config()) / "gate" / "reference" / "rec4.rttm"
    turns = read_rttm(path)["rec4"].turns
    write_rttm(path, Diarization("rec4", (*turns, Turn(2.0, 5.0, "C"))))
    report = integrated(phase)
    assert [one.collar_s for one in report.der_without_overlap] == [0.0, 0.25]
    for scored, without in zip(report.der, report.der_without_overlap, strict=True):
        assert without.before.reference_speech_s < scored.before.reference_speech_s
        assert without.after.reference_speech_s == without.before.reference_speech_s
        assert without.interval is not None
        assert without.interval[0] <= without.relative <= without.interval[1]
        assert scored.after_interval is not None
        assert scored.after_interval[0] <= scored.after.der <= scored.after_interval[1]


def test_the_gates_own_collar_and_cap_are_scored(phase: PhaseDir) -> None:
    """A recipe may ask for any; what it asks for is measured."""
    config = phase.load_config()
    gate = config.gate.model_copy(update={"der_collar_s": 0.1, "window_s": 0.5})
    phase.config.write_text(format_config(config.model_copy(update={"gate": gate})))
    report = integrated(phase)
    assert [one.collar_s for one in report.der] == [0.0, 0.1, 0.25]
    assert report.comparison.before.window_s == 0.5


def test_each_recording_has_its_own_figures(phase: PhaseDir) -> None:
    """JER and MAE beside the DER; the interval of the JER holds its improvement."""
    report = integrated(phase)
    assert all(one.jer_before is not None and one.mae_after_ms is not None for one in report.recordings)
    assert report.jer_interval is not None
    assert report.jer_interval[0] <= 1.0 - report.jer_after / report.jer_before <= report.jer_interval[1]


def test_what_training_has_seen_is_told(phase: PhaseDir) -> None:
    """The gate has to know every recording of training and validation, and the corpus of the weights beside the one scored."""
    config = phase.load_config()
    refiner, split = load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "gate")
    elsewhere = replace(refiner, card=refiner.card.model_copy(update={"corpus_sha256": "e" * 64}))
    report = integrate(elsewhere, split, config, phase)
    assert (report.trained_corpus_sha256, report.corpus_sha256) == ("e" * 64, split.manifest.fingerprint())
    assert report.trained_on == ["rec0", "rec1", "rec2", "rec3"]
    assert [one.recording for one in report.recordings] == ["rec4", "rec5", "rec6", "rec7", "rec8"]


def test_how_much_was_scored_is_told(phase: PhaseDir, tmp_path: Path) -> None:
    """The whole split, or what a UEM leaves of it; moves outside of that are not counted in it."""
    report = integrated(phase)
    whole = {"audio_s": 60.0, "scored_s": 60.0, "n_boundaries": report.n_boundaries, "n_moved": report.n_moved}
    assert report.scored == Scored(**whole, n_limited=0, n_left_out=0)
    _limit_gate(phase, tmp_path / "data", [(0.0, 2.0), (11.0, 13.0)])
    limited = integrated(phase)
    assert limited.scored is not None
    assert (limited.scored.audio_s, limited.scored.scored_s, limited.scored.is_limited) == (60.0, 15.0, True)
    assert 0 < limited.scored.n_boundaries < limited.n_boundaries == report.n_boundaries
    before = limited.comparison.before
    ends = [end for given in GivenSplit(phase.load_config(), "gate").recordings for end in ends_of_speech(given.reference)]
    assert (limited.scored.n_limited, limited.scored.n_left_out) == (5, sum(2.0 < end.time_s < 11.0 for end in ends))
    assert integration_table(limited)[-1] == (
        f"0.2 of 1.0 min scored, limited by a UEM; {before.n_matched} of {before.n_reference} reference boundaries matched; "
        f"{limited.scored.n_moved} of {limited.scored.n_boundaries} boundaries there moved"
    )


def test_what_a_uem_leaves_out_has_no_part_in_der_and_jer(
    phase: PhaseDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each recording's rates are those of its regions, which end with the audio, and not those of all of it."""
    monkeypatch.setattr(integration, "refine_heard", all_earlier)
    _limit_gate(phase, tmp_path / "data", [(0.0, 2.0), (11.0, 13.0)])
    report = integrated(phase)
    for given, change in zip(GivenSplit(phase.load_config(), "gate").recordings, report.recordings, strict=True):
        both = given.hypothesis, read_rttm(phase.refined / f"{given.name}.rttm")[given.name]
        regions_s = [(0.0, 2.0), (11.0, 12.0)]
        own, all_of_it = (_rates(*(_rescored(given, turns, where) for turns in both)) for where in (regions_s, None))
        assert _der_and_jer(change) == pytest.approx(own, abs=1e-6)
        assert all(abs(limited - whole) > 1e-3 for limited, whole in zip(own, all_of_it, strict=True))


def _limit_gate(phase: PhaseDir, root: Path, regions_s: list[tuple[float, float]]) -> None:
    """Gives the phase a corpus of its own, of whose gate recordings these regions are scored."""
    _give_own_corpus(phase, root)
    path = prepared_corpus_path(phase.load_config()) / "corpus.json"
    manifest = CorpusManifest.read(path)
    gate = [one.model_copy(update={"regions_s": regions_s}) for one in manifest.splits["gate"]]
    manifest.model_copy(update={"splits": {**manifest.splits, "gate": gate}}).write(path)


def test_an_interrupted_integration_goes_on(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings that are done are not refined again, and the report is that of an uninterrupted run."""
    whole = integrated(phase)
    (phase.refined / "rec5.reading.safetensors").unlink()
    asked: list[str] = []
    hear = hearing.hear_recording

    def counted(refiner, frames, hypothesis, **options):
        asked.append(hypothesis.recording)
        return hear(refiner, frames, hypothesis, **options)

    monkeypatch.setattr(hearing, "hear_recording", counted)
    again = integrated(phase)
    assert asked == ["rec5"]
    assert again.model_dump(exclude={"unix_s", "looks"}) == whole.model_dump(exclude={"unix_s", "looks"})


@pytest.mark.parametrize("damage", ["torn", "other weights", "other audio", "other code", "other changes"])
def test_what_was_kept_counts_only_for_the_same_question(
    phase: PhaseDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """Torn files and those of other weights, other audio of the same length or another version's code are made anew."""
    _give_own_corpus(phase, tmp_path / "data")
    integrated(phase)
    if damage == "torn":
        kept = phase.refined / "rec4.reading.safetensors"
        kept.write_bytes(kept.read_bytes()[:-7])
        (phase.refined / "rec5.reading.safetensors").write_text("[]")
    elif damage == "other audio":
        _replace_audio_of_gate(phase)
    elif damage == "other code":
        monkeypatch.setattr(hearing, "READING_VERSION", hearing.READING_VERSION + 1)
    elif damage == "other changes":
        monkeypatch.setattr(hearing, "TOUCHING_S", 0.05)
    else:
        save_untrained(phase.run("mlp").weights("best"), "mlp", seed=1)
    asked: list[str] = []
    hear = hearing.hear_recording

    def counted(refiner, frames, hypothesis, **options):
        asked.append(hypothesis.recording)
        return hear(refiner, frames, hypothesis, **options)

    monkeypatch.setattr(hearing, "hear_recording", counted)
    integrated(phase)
    assert sorted(asked) == (["rec4", "rec5"] if damage == "torn" else ["rec4", "rec5", "rec6", "rec7", "rec8"])


def test_audio_that_is_not_in_the_store_is_told_apart_as_well(
    phase: PhaseDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights with another analysis hear the files themselves, and another version of the code hears them otherwise."""
    _give_own_corpus(phase, tmp_path / "data")
    refiner = load_checkpoint(phase, "mlp", "best", "cpu")
    other = replace(refiner, features=refiner.features.model_copy(update={"window_s": 0.032}))
    split = GivenSplit(phase.load_config(), "gate")
    before = [split.digest(split.recordings[0], one) for one in (refiner, other)]
    _replace_audio_of_gate(phase)
    split = GivenSplit(phase.load_config(), "gate")
    after = [split.digest(split.recordings[0], one) for one in (refiner, other)]
    monkeypatch.setattr(features, "ANALYSIS_VERSION", features.ANALYSIS_VERSION + 1)
    assert len({*before, *after, split.digest(split.recordings[0], other)}) == 5


def _give_own_corpus(phase: PhaseDir, root: Path) -> None:
    """The phase's corpus, copied: the others keep theirs."""
    text, shared = phase.config.read_text(), phase.load_config().corpus.root
    shutil.copytree(shared, root)
    phase.config.write_text(text.replace(shared, str(root)))


def _replace_audio_of_gate(phase: PhaseDir) -> None:
    """Noise of the same length in the place of the gate's recordings, and the features that go with it."""
    config = phase.load_config()
    corpus = prepared_corpus_path(config)
    for path in (corpus / "gate" / "audio").iterdir():
        noise = np.random.default_rng(len(path.stem)).normal(0.0, 0.1, soundfile.info(path).frames)
        soundfile.write(path, noise, soundfile.info(path).samplerate)
    build_store(corpus / "features", {path.stem: path for path in sorted(corpus.glob("*/audio/*"))}, config.features)


def test_a_model_that_hears_nothing_changes_nothing(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without proposals DER, JER and boundaries stay, with an interval of nothing."""

    def deaf(refiner, frames, hypothesis, *, duration_s):
        return HeardRecording(hypothesis.clipped(0.0, duration_s), duration_s, (), None)

    monkeypatch.setattr(hearing, "hear_recording", deaf)
    report = integrated(phase)
    assert report.n_moved == 0
    assert report.jer_before == report.jer_after
    for one in report.der:
        assert one.relative == pytest.approx(0.0, abs=1e-12)
        assert one.interval == (pytest.approx(0.0, abs=1e-12), pytest.approx(0.0, abs=1e-12))


@pytest.mark.parametrize("late_s", [0.0, 0.25])
def test_nothing_is_won_where_nothing_was_wrong(late_s: float) -> None:
    """An end as labelled cannot be better, and is no division by nothing; one that is late by a quarter of a second can."""
    label, regions_s = Diarization("talk", (Turn(1.0, 3.0, "a"),)), [(0.0, 5.0)]
    before = score_der(label, Diarization("talk", (Turn(1.0, 3.0 + late_s, "a"),)), regions_s=regions_s)
    after = score_der(label, Diarization("talk", (Turn(1.0, 3.0 + late_s / 5, "a"),)), regions_s=regions_s)
    one = integration.IntegratedRecording(None, {(0.0, False): before}, {(0.0, False): after}, JerParts(), JerParts())
    compared = integration._compare_der([one] * 5, (0.0, False))
    assert compared.relative == pytest.approx(0.8 if late_s else 0.0)
    assert compared.interval == (pytest.approx((0.8, 0.8)) if late_s else None)
    assert compared.before.false_alarm_s == pytest.approx(5 * late_s)


def test_an_improvement_without_bounds_has_no_interval(phase: PhaseDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too few recordings had any error, the JSON says null, and tables say that there is none."""
    monkeypatch.setattr(integration, "bootstrap_improvement", lambda errors: None)
    integrated(phase).write(phase.integration)
    found = IntegrationReport.read(phase.integration)
    assert {one.interval for one in found.der} == {found.jer_interval} == {None}
    assert all(line.endswith("  [n/a]") for line in integration_table(found)[1:6])


def test_looks_are_remembered_without_their_report(phase: PhaseDir, tmp_path: Path) -> None:
    """Each refiner once on the same split; on other labels, in other regions or beside other hypotheses again."""
    _give_own_corpus(phase, tmp_path / "data")
    integrated(phase).write(phase.integration)
    phase.integration.unlink()
    report = integrated(phase)
    (record,) = phase.look_lines().readable
    assert record.look.refiner == report.looks[-1].refiner
    assert record.recordings == report.looked_at
    assert [one.name for one in record.recordings] == [one.recording for one in report.recordings]
    corpus = prepared_corpus_path(phase.load_config())
    (corpus / "gate" / "reference" / "rec4.rttm").write_text("SPEAKER rec4 1 1.0 2.0 <NA> <NA> A <NA> <NA>\n")
    changed = integrated(phase).looked_at
    assert [now == then for now, then in zip(changed, record.recordings, strict=True)] == [False, True, True, True, True]
    assert changed[0].hypothesis_sha256 == record.recordings[0].hypothesis_sha256
    manifest = (corpus / "corpus.json").read_text()
    (corpus / "corpus.json").write_text(manifest.replace("12.0\n     ]", "9.0\n     ]"))
    assert integrated(phase).looked_at[1].reference_sha256 != changed[1].reference_sha256
    assert len(phase.look_lines().readable) == 3


def test_reports_tell_the_phase_in_which_they_were_made(phase: PhaseDir) -> None:
    """By the name of its launch, whatever the folder is called; where no manifest tells one, they don't either."""
    assert integrated(phase).phase is None
    Manifest(
        phase="20261126T000000Z-launched", created_unix_s=1.0, argv=[], git_commit=None, git_dirty=None, versions={}, seed=0,
        models=["mlp"], corpus="", price_usd_per_hour=0.0, priced_on=None, gate={},
    ).write(phase.manifest)  # fmt: skip
    config = phase.load_config()
    refiner, split = load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "validation")
    evaluated = write_evaluation(phase, *evaluate_refiner(refiner, split, config))
    assert integrated(phase).phase == evaluated.phase == "20261126T000000Z-launched"


def test_every_refiner_that_was_scored_is_remembered(phase: PhaseDir) -> None:
    """Other weights and other settings are further looks at the gate split; the same ones again are not."""
    integrated(phase).write(phase.integration)
    again = integrated(phase)
    assert len(again.looks) == 1
    text = phase.config.read_text()
    phase.config.write_text(text.replace(f"min_confidence = {phase.load_config().refine.min_confidence}", "min_confidence = 0.9"))
    tuned = integrated(phase)
    tuned.write(phase.integration)
    save_untrained(phase.run("mlp").weights("best"), "mlp", seed=1)
    assert [look.refine["min_confidence"] for look in integrated(phase).looks][1:] == [0.9, 0.9]
    assert len({look.weights_sha256 for look in integrated(phase).looks}) == 2
