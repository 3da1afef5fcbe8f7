"""Records of a phase for tests: small, whole, and alike except for what a test changes."""

from __future__ import annotations

from brefine.config import ModelName
from brefine.identity import own_identity
from brefine.phasedir import (
    BoundaryFigures,
    Comparison,
    DerComparison,
    DerFigures,
    EvaluationReport,
    IntegrationReport,
    Look,
    RecordingChange,
    RunState,
    RunStatus,
    Scored,
    Speed,
    Validation,
)

WEIGHTS_SHA256 = "ab" * 32


def figures(mae_ms: float, *, capped_mean_ms: float | None = None, recall: float = 0.62) -> BoundaryFigures:
    """Boundary figures around one MAE."""
    return BoundaryFigures(
        window_s=1.0,
        n_reference=1000,
        n_hypothesis=900,
        n_matched=620,
        recall=recall,
        precision=0.69,
        mae_ms=mae_ms,
        median_ms=mae_ms / 2,
        p90_ms=mae_ms * 3,
        bias_ms=-4.0,
        within_50ms=0.4,
        within_100ms=0.6,
        within_200ms=0.8,
        capped_mean_ms=mae_ms + 300.0 if capped_mean_ms is None else capped_mean_ms,
    )


def comparison(before_ms: float, after_ms: float, *, capped_after_ms: float | None = None) -> Comparison:
    """Before and after with intervals of ± 10 ms."""
    after = figures(after_ms, capped_mean_ms=capped_after_ms)
    assert after.capped_mean_ms is not None
    return Comparison(
        before=figures(before_ms),
        after=after,
        intervals={
            "mae_ms": (after_ms - 10.0, after_ms + 10.0),
            "capped_mean_ms": (after.capped_mean_ms - 10.0, after.capped_mean_ms + 10.0),
        },
        improved=400,
        worsened=100,
        unchanged=120,
        good_harm_ms=2.0,
    )


def with_cuts(told: Comparison, *, counted: bool) -> Comparison:
    """The same where the cut of recordings has made a hundred boundaries, all found to the millisecond.

    Args:
        counted: among the 620 matched, as earlier versions did; else beside them.
    """

    def own(whole: BoundaryFigures) -> BoundaryFigures:
        cut = whole.model_copy(update={"n_reference": 100, "n_matched": 100, "recall": 1.0, "mae_ms": 0.0})
        n_among = 100 if counted else 0
        counts = {"n_reference": whole.n_reference - n_among, "n_matched": whole.n_matched - n_among}
        return whole.model_copy(update={"by_kind": {"pause": whole.model_copy(update=counts), "edge": cut}})

    return told.model_copy(update={"before": own(told.before), "after": own(told.after)})


def evaluation(
    model: ModelName, mae_ms: float, *, boundaries_per_s: float = 100.0, evidence: str = "simulated"
) -> EvaluationReport:
    """A validation report."""
    return EvaluationReport(
        model=model,
        split="validation",
        weights_sha256=WEIGHTS_SHA256,
        refine={},
        evidence=evidence,
        hypothesis_source="replayed errors",
        checkpoint_step=100,
        n_recordings=24,
        recordings=[f"v{index}" for index in range(24)],
        comparison=comparison(190.0, mae_ms),
        before_abs_error_quantiles_ms=[0.0] * 101,
        after_abs_error_quantiles_ms=[0.0] * 101,
        calibration=[],
        expected_calibration_error=None,
        speed=Speed(device="cpu", boundaries_per_s=boundaries_per_s, seconds_per_audio_hour=10.0),
        unix_s=1000.0,
    )


def integration(
    model: ModelName = "mlp", *, evidence: str = "real", mae_ms: float = 90.0, der: float = 0.025
) -> IntegrationReport:
    """A gate-split report of 24 recordings; 3.5 % DER before."""

    def at(collar_s: float, value: float) -> DerFigures:
        return DerFigures(
            collar_s=collar_s, der=value, missed_s=1.0, false_alarm_s=1.0, confusion_s=1.0, reference_speech_s=100.0
        )

    names = [f"g{index}" for index in range(24)]
    ders = [
        DerComparison(
            collar_s=collar_s,
            before=at(collar_s, 0.035),
            after=at(collar_s, der),
            relative=1 - der / 0.035,
            interval=(0.2, 0.3),
            after_interval=(0.9 * der, 1.1 * der),
        )
        for collar_s in (0.0, 0.25)
    ]
    return IntegrationReport(
        model=model,
        weights_sha256=WEIGHTS_SHA256,
        refine={},
        trained_corpus_sha256="cd" * 32,
        corpus_sha256="cd" * 32,
        turns_sha256="ef" * 32,
        looks=[Look(model=model, weights_sha256=WEIGHTS_SHA256, refine={}, unix_s=1000.0)],
        split="gate",
        evidence=evidence,
        hypothesis_source="a diarizer",
        n_recordings=24,
        recordings=[RecordingChange(recording=name, der_before=0.035, der_after=der) for name in names],
        trained_on=["t0", "t1"],
        comparison=comparison(170.0, mae_ms),
        der=ders,
        jer_before=0.1,
        jer_after=0.09,
        n_boundaries=900,
        n_moved=500,
        scored=Scored(audio_s=240.0, scored_s=240.0, n_boundaries=900, n_moved=500),
        unix_s=1000.0,
    )


def validation(mae_ms: float | None, *, epoch: int = 1) -> Validation:
    """One pass over the validation examples."""
    return Validation(
        step=epoch * 10,
        epoch=epoch,
        loss=2.0,
        mae_ms=mae_ms,
        median_ms=mae_ms,
        within_50ms=0.4,
        within_100ms=0.6,
        within_200ms=0.8,
    )


def status(model: ModelName, state: RunState = RunState.RUNNING, *, unix_s: float = 1000.0, **changes: object) -> RunStatus:
    """A trainer's word; the process is the test's own, so it is alive."""
    word: dict[str, object] = {
        "model": model,
        "state": state,
        "process": own_identity(),
        "step": 10,
        "n_steps": 80,
        "epoch": 1,
        "n_epochs": 8,
        "started_unix_s": unix_s,
        "heartbeat_unix_s": unix_s,
        "device": "CPU",
        "loss": 2.3,
        "eta_s": 60.0,
        "unrefined_mae_ms": 193.0,
        "last": validation(132.0),
        "best": validation(131.0),
    }
    return RunStatus(**{**word, **changes})  # type: ignore[arg-type]
