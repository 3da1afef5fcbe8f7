"""Evaluating a phase's checkpoints, with the real data path."""

from __future__ import annotations

import csv
import json

import pytest

from brefine.errors import CheckpointError
from brefine.evaluate.evaluation import evaluate_refiner, load_checkpoint, write_evaluation
from brefine.evaluate.recordings import GivenSplit
from brefine.phasedir import EvaluationReport, PhaseDir
from tests.evaluate.conftest import save_untrained


def test_a_checkpoint_is_judged_on_its_split(phase: PhaseDir) -> None:
    """The report holds both recordings of the split, figures before and after, calibration, speed and all boundaries."""
    config = phase.load_config()
    done: list[int] = []
    report, rows = evaluate_refiner(
        load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "validation"), config, report=done.append
    )
    assert report.recordings == ["rec2", "rec3"]
    assert (report.evidence, report.split, report.model) == ("simulated", "validation", "mlp")
    assert len(rows) == report.comparison.before.n_matched == report.comparison.after.n_matched > 10
    assert report.comparison.improved + report.comparison.worsened + report.comparison.unchanged == len(rows)
    assert report.speed.boundaries_per_s > 0
    assert len(report.before_abs_error_quantiles_ms) == 101
    assert done == [0, 1, 2]


def test_the_report_is_written_as_its_schema_says(phase: PhaseDir) -> None:
    """The JSON is read back by the schema, and the CSV gives the same MAE as the report."""
    config = phase.load_config()
    written = evaluate_refiner(load_checkpoint(phase, "mlp", "best", "cpu"), GivenSplit(config, "validation"), config)
    write_evaluation(phase, *written)
    report = EvaluationReport.read(phase.evaluation("mlp", "validation"))
    with phase.boundaries("mlp", "validation").open() as file:
        errors_s = [abs(float(row["refined_s"]) - float(row["reference_s"])) for row in csv.DictReader(file)]
    assert 1000 * sum(errors_s) / len(errors_s) == pytest.approx(report.comparison.after.mae_ms, abs=0.01)
    assert json.loads(phase.evaluation("mlp", "validation").read_text())["schema"] == 1


def test_figures_are_the_same_each_time(phase: PhaseDir) -> None:
    """Everything but speed and clock is a function of weights and corpus."""
    config = phase.load_config()
    reports = [
        evaluate_refiner(load_checkpoint(phase, "contrastive", "best", "cpu"), GivenSplit(config, "gate"), config)[0]
        for _ in range(2)
    ]
    volatile = {"speed", "unix_s"}
    assert reports[0].model_dump(exclude=volatile) == reports[1].model_dump(exclude=volatile)


def test_weights_of_another_model_are_refused(phase: PhaseDir) -> None:
    """A checkpoint is named with the model that it is."""
    other = phase.path / "other.safetensors"
    save_untrained(other, "contrastive")
    with pytest.raises(CheckpointError, match="another model"):
        load_checkpoint(phase, "mlp", str(other), "cpu")
    with pytest.raises(CheckpointError, match="no such weights"):
        load_checkpoint(phase, "mlp", "last", "cpu")
