"""`launch-phase3 --dry-run`: what a launch would ask for, take and cost, here and on a cluster."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from brefine.config import format_config, parse_config, prepared_corpus_path, with_absolute_paths
from brefine.identity import identity_of
from brefine.io.atomic import write_json_atomic
from brefine.phasedir import SPLITS, CorpusManifest, PhaseDir, Progress, Stage, label_digests
from brefine.run.gpu import NoGpu
from brefine.run.plan import Plan, plan_lines, plan_phase, plan_to_json
from tests.run.records import status

_RECIPE = """schema = 1
runs = "{runs}"
[corpus]
kind = "simulated"
root = "{runs}/data"
[examples]
n_train = 6000
[train]
epochs = 10
[models.mlp]
[models.contrastive]
[budget]
price_usd_per_hour = 2.0
cap_usd = 1.0
"""


def plan(folder: Path, *overrides: str) -> Plan:
    recipe = parse_config(_RECIPE.format(runs=folder), where="here", overrides=overrides)
    return plan_phase(recipe, gpus=NoGpu("none here"), n_cores=4)


def a_phase_took(folder: Path, *overrides: str, device: str | None = None, **seconds: float) -> None:
    """A phase on record, with what each of its stations took, and on what its trainings ran."""
    phase = PhaseDir(folder / "20260101T000000Z-phase3")
    phase.path.mkdir(parents=True)
    recipe = parse_config(_RECIPE.format(runs=folder), where="here", overrides=overrides)
    phase.config.write_text(format_config(recipe))
    if device is not None:
        status("mlp", device=device, examples_per_s=1000.0).write(phase.run("mlp").status)
    for stage, took_s in seconds.items():
        Progress(
            stage=Stage(stage),
            state="finished",
            step="",
            done=1,
            total=1,
            started_unix_s=100.0,
            unix_s=100.0 + took_s,
            process=identity_of(os.getpid()),
        ).write(phase.progress(Stage(stage)))


def test_a_machine_is_paid_from_the_first_station_to_the_last(tmp_path: Path) -> None:
    """Trainings share it; the longest decides."""
    a_phase_took(tmp_path, prepare=60.0, evaluate=30.0, integrate=30.0)
    found = plan(tmp_path)
    longest_s = 66000 / (220.0 * 4 / 2)  # the contrastive one, on half of four cores
    assert found.seconds == found.billed_s == pytest.approx(60.0 + longest_s + 60.0)
    assert found.devices == "no GPU, 4 CPU cores"


def test_on_a_cluster_every_job_is_paid_for_its_own_gpus(tmp_path: Path) -> None:
    """This login node's four cores do not matter: each training has its own, and the bill adds them up."""
    cluster = ("executor.kind=slurm", "executor.gpus=2", "executor.cpus=8", "executor.partition=gpu")
    a_phase_took(tmp_path, *cluster, prepare=60.0, evaluate=30.0, integrate=30.0)
    found = plan(tmp_path, *cluster)
    train_s = 66000 / 5000.0
    assert found.seconds == pytest.approx(60.0 + train_s + 60.0)
    assert found.billed_s == pytest.approx(60.0 + 2 * (2 * train_s + 60.0))
    assert found.devices == "Slurm jobs of 2 GPUs, 8 cores, at most 4:00:00 each in gpu"
    assert found.cost_usd == pytest.approx(2.0 * (60.0 + 2 * (2 * train_s + 60.0)) / 3600.0)
    assert plan_to_json(found)["billed_s"] == found.billed_s


def test_time_limits_that_are_too_short_are_told(tmp_path: Path) -> None:
    """How often the longest training goes on, and when that is more often than it may."""
    short = ("executor.kind=slurm", "executor.gpus=0", "executor.cpus=1", "executor.time_minutes=3")
    assert "goes on after its limit 5 times" in plan(tmp_path, *short).devices
    assert "needs 5 continuations, max_timeouts allows 2" in plan(tmp_path, *short, "executor.max_timeouts=2").devices


def test_what_nobody_knows_is_not_guessed(tmp_path: Path) -> None:
    """Without a phase on record the cost is open, and the lines say so, and what the training costs at least."""
    found = plan(tmp_path, "executor.kind=slurm", "budget.cap_usd=0.01")
    assert found.billed_s is found.cost_usd is plan_to_json(found)["cost_usd"] is None
    train_usd = 2.0 * 2 * 66000 / 5000.0 / 3600.0
    assert plan_to_json(found)["known_cost_usd"] == found.known_cost_usd == pytest.approx(train_usd)
    assert "cost: $2.00 an hour, at least about $0.01; how long in all is unknown" in plan_lines(found)
    assert "cap: $0.01, which this plan would not keep" in plan_lines(found)


def test_voxconverse_is_planned_before_it_is_there(tmp_path: Path) -> None:
    """Its dev recordings are the same everywhere: four fifths train, with two simulated boundaries for each real one."""
    overrides = ("corpus.kind=voxconverse", "corpus.synthetic_per_real=2")
    recipe = parse_config(_RECIPE.format(runs=tmp_path).replace("n_train = 6000", ""), where="here", overrides=overrides)
    found = plan_phase(recipe, gpus=NoGpu("none here"), n_cores=4)
    assert found.stages[1].seconds == pytest.approx(10 * 0.8 * 3 * 10_000 * 1.1 / (220.0 * 4 / 2))


@pytest.mark.parametrize(
    ("other", "device", "known"),
    [
        ((), "CPU, 4 threads", ["evaluate", "integrate", "prepare"]),
        (("seed=7", "train.epochs=2", "models.mlp.epochs=1"), None, ["evaluate", "integrate", "prepare"]),
        (("models.transformer={}",), None, ["integrate", "prepare"]),
        (("corpus.simulation.n_train=3",), None, []),
        (("hypothesis.source=builtin",), None, []),
        (("executor.kind=slurm",), None, []),
        ((), "NVIDIA A100", []),
    ],
    ids=["same", "another training", "other models", "other corpus", "other hypotheses", "cluster", "GPU"],
)
def test_a_stations_time_is_that_of_the_same_work_on_the_same_kind_of_machine(
    tmp_path: Path, other: tuple[str, ...], device: str | None, known: list[str]
) -> None:
    """Downloading a corpus does not take as long as simulating one, nor three models as one."""
    a_phase_took(tmp_path, *other, device=device, prepare=60.0, evaluate=30.0, integrate=20.0)
    assert sorted(stage.name for stage in plan(tmp_path).stages if stage.seconds is not None and stage.name != "train") == known


def test_a_rate_of_training_is_that_of_the_same_machine(tmp_path: Path) -> None:
    """What this login node's cores did says nothing of a node's."""
    longest = "models.mlp.epochs=1000"
    a_phase_took(tmp_path, device="CPU, 4 threads")
    assert "1,000 examples/s in 20260101T" in plan(tmp_path, longest).stages[1].basis
    assert "roughly" in plan(tmp_path, longest, "executor.kind=slurm", "executor.gpus=0").stages[1].basis


def prepared(folder: Path, *overrides: str, n_matched: int, n_hypothesis: int) -> None:
    """The corpus of the recipe, with what its summary counts."""
    corpus = prepared_corpus_path(parse_config(_RECIPE.format(runs=folder), where="here", overrides=overrides))
    counts = {"n_matched": n_matched, "n_hypothesis": n_hypothesis}
    write_json_atomic(corpus / "summary.json", {"splits": {"train": {"boundary": counts}}})
    CorpusManifest(title="t", evidence="real", hypothesis_source="h", splits={split: [] for split in SPLITS}).write(
        corpus / "corpus.json"
    )


@pytest.mark.parametrize(
    ("overrides", "n_hypothesis", "n_examples"),
    [
        (("corpus.kind=voxconverse", "corpus.synthetic_per_real=2.0"), 3000, 2200.0),
        (("corpus.kind=simulated",), 2100, 2100.0),
        (("corpus.kind=voxconverse", "examples.n_train=500"), 3000, 550.0),
    ],
    ids=["real", "fewer negatives than wanted", "a part of them"],
)
def test_a_prepared_corpus_tells_how_long_its_training_takes(
    tmp_path: Path, overrides: tuple[str, ...], n_hypothesis: int, n_examples: float
) -> None:
    """Counted as an epoch is drawn: the matched boundaries, and a tenth of them without a partner, as far as there are any."""
    overrides = ("examples.n_train=9999", *overrides)
    prepared(tmp_path, *overrides, n_matched=2000, n_hypothesis=n_hypothesis)
    found = plan(tmp_path, *overrides)
    assert found.stages[1].seconds == pytest.approx(10 * n_examples / (220.0 * 4 / 2))


def test_a_corpus_of_ones_own_is_not_guessed(tmp_path: Path) -> None:
    """Nor is one whose summary is gone; which it is, the plan says."""
    own = [tmp_path / part for part in ("train", "gate")]
    for folder in own:
        folder.mkdir()
    overrides = ("corpus.kind=folder", f"corpus.train={own[0]}", f"corpus.gate={own[1]}", "hypothesis.source=folder")
    recipe = parse_config(_RECIPE.format(runs=tmp_path).replace("n_train = 6000", ""), where="here", overrides=overrides)
    found = plan_phase(recipe, gpus=NoGpu("none here"), n_cores=4)
    assert (found.seconds, found.stages[1].basis) == (None, "the number of examples is known when the corpus is prepared")
    prepared(tmp_path, *overrides, n_matched=1, n_hypothesis=1)
    (prepared_corpus_path(recipe) / "summary.json").unlink()
    found = plan_phase(recipe, gpus=NoGpu("none here"), n_cores=4)
    assert (found.seconds, found.stages[1].basis) == (None, "the number of examples is not told by the corpus's summary.json")


def test_a_corpus_whose_labels_were_corrected_is_to_be_prepared(tmp_path: Path) -> None:
    """As `prepare` itself takes it."""
    for part in ("train", "gate"):
        (tmp_path / part / "reference").mkdir(parents=True)
    label = tmp_path / "gate" / "reference" / "talk.rttm"
    label.write_text("SPEAKER talk 1 0 1 <NA> <NA> ann <NA> <NA>\n")
    overrides = ("corpus.kind=folder", *(f"corpus.{part}={tmp_path / part}" for part in ("train", "gate")))
    recipe = parse_config(_RECIPE.format(runs=tmp_path), where="here", overrides=overrides)
    assert not plan(tmp_path, *overrides).corpus_is_ready
    manifest = CorpusManifest(
        title="t", evidence="real", hypothesis_source="h", splits={split: [] for split in SPLITS}, sources=label_digests(recipe)
    )
    manifest.write(prepared_corpus_path(recipe) / "corpus.json")
    assert plan(tmp_path, *overrides).corpus_is_ready
    label.write_text("SPEAKER talk 1 0 2 <NA> <NA> ann <NA> <NA>\n")
    assert not plan(tmp_path, *overrides).corpus_is_ready


def test_a_recipe_means_the_same_files_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths that are there are taken from where the recipe was given; names of what ships and of hubs stay names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text("{}")
    (tmp_path / "weights").mkdir()
    mine = ("hypothesis.folder=turns", "hypothesis.errors=mine.json", "diarizer.model=weights")
    mine += ("diarizer.python=env/bin/python", "budget.ledger=ledger.jsonl")
    told = with_absolute_paths(parse_config(_RECIPE.format(runs="runs"), where="here", overrides=mine))
    assert (told.runs, told.corpus.root) == (str(tmp_path / "runs"), str(tmp_path / "runs" / "data"))
    assert (told.hypothesis.folder, told.hypothesis.errors) == (str(tmp_path / "turns"), str(tmp_path / "mine.json"))
    assert told.diarizer.model == str(tmp_path / "weights")
    assert told.diarizer.python == str(tmp_path / "env" / "bin" / "python")
    assert told.budget.ledger == str(tmp_path / "ledger.jsonl")
    assert prepared_corpus_path(parse_config(_RECIPE.format(runs="runs"), where="here", overrides=mine)) == prepared_corpus_path(
        told
    )
    theirs = ("diarizer.model=someone/model", "diarizer.python=python3.11")
    told = with_absolute_paths(parse_config(_RECIPE.format(runs="runs"), where="here", overrides=theirs))
    assert (told.hypothesis.folder, told.hypothesis.errors) == (None, "vbx-voxconverse")
    assert (told.diarizer.model, told.diarizer.python, told.budget.ledger) == ("someone/model", "python3.11", None)
