"""Who may die: each does its real work in a folder of its own, goes on where it was, and says what must hold afterwards."""

from __future__ import annotations

import json
import re
import sys
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import scipy.signal  # noqa: F401  # each forked preparer would import it anew
import soundfile
import torch
import torch._dynamo  # a forked trainer's first step would import it, for longer than it trains

from brefine.config import PhaseConfig, format_config, parse_config
from brefine.data.download import ask, download
from brefine.data.prepare import prepare
from brefine.evaluate import __main__ as evaluator
from brefine.models import build_model
from brefine.models.weights import load_refiner, save_weights
from brefine.phasedir import Decision, EvaluationReport, GateRecord, PhaseDir, RunDir, RunState, RunStatus, SelectionRecord, Stage
from brefine.run.decide import choose
from brefine.run.gate_report import write_gate
from brefine.run.lock import phase_lock
from brefine.run.report import write_report
from brefine.run.snapshot import ShownState
from brefine.run.store import PhaseStore
from brefine.run.supervise import Supervisor
from brefine.train import __main__ as trainer
from tests.data.conftest import write_tone_bank
from tests.data.scripted_server import ScriptedServer
from tests.run.toy_programs import ToyPrograms, make_toy_phase
from tests.run.whole_phase import make_phase
from tests.tiny_corpus import make_tiny_corpus, tiny_recipe

_LIVING = (ShownState.RUNNING, ShownState.STARTING, ShownState.STALLED)


class Actor(ABC):
    """One kind of process.

    Args:
        shared: a folder that all cases of this actor read and none writes.
    """

    def __init__(self, shared: Path) -> None:
        self.shared = shared

    @abstractmethod
    def make(self, folder: Path) -> None:
        """Lays out the folder in which a case happens."""

    @abstractmethod
    def work(self, folder: Path) -> int:
        """Does the work, or what is left of it; the exit code. Runs in a forked process."""

    @abstractmethod
    def result(self, folder: Path) -> Any:
        """What the finished work amounts to: the same, however often it was interrupted."""

    @abstractmethod
    def look(self, folder: Path) -> None:
        """Asserts that no wrong state is shown while the process is dead."""


class Trainer(Actor):
    """A real training of the MLP: two epochs of a tiny corpus."""

    def __init__(self, shared: Path) -> None:
        super().__init__(shared)
        self.config: PhaseConfig = tiny_recipe(shared)
        make_tiny_corpus(self.config, n_train=2)

    def make(self, folder: Path) -> None:
        (folder / "phase" / "mlp").mkdir(parents=True)
        (folder / "phase" / "phase.toml").write_text(format_config(self.config), encoding="utf-8")

    def work(self, folder: Path) -> int:
        sys.argv = ["train", str(folder / "phase" / "mlp"), "--resume"]
        return trainer.main()

    def result(self, folder: Path) -> Any:
        run = RunDir(folder / "phase" / "mlp")
        assert RunStatus.read(run.status).state is RunState.FINISHED
        return [run.weights(name).read_bytes() for name in ("best", "last")]

    def look(self, folder: Path) -> None:
        (run,) = PhaseStore(folder / "phase").snapshot(drain=True).runs
        assert run.state not in _LIVING, f"a dead training is shown as {run.state}"
        for path in (folder / "phase" / "mlp" / "checkpoints").glob("[!.]*.safetensors"):
            load_refiner(path)


class SupervisorActor(Actor):
    """A supervisor of toy programs, which are processes of their own and outlive it."""

    def make(self, folder: Path) -> None:
        make_toy_phase(folder, mlp={"steps": 5}, transformer={"steps": 2})

    def work(self, folder: Path) -> int:
        phase = PhaseDir(folder / "20261122T000000Z-toy")
        with phase_lock(phase) as void:
            supervisor = Supervisor(phase, void=void, programs=ToyPrograms(), poll_s=0.02, stop_grace_s=20.0)
            return supervisor.run(supervisor.take_over())

    def result(self, folder: Path) -> Any:
        phase = PhaseDir(folder / "20261122T000000Z-toy")
        snapshot = PhaseStore(phase.path).snapshot(drain=True)
        assert snapshot.problems == ()
        steps = {model: phase.run(model).training_state.read_text() for model in phase.models()}
        return [run.state for run in snapshot.runs], steps, (phase.path / f"{Stage.EVALUATE}.models").read_text()

    def look(self, folder: Path) -> None:
        snapshot = PhaseStore(folder / "20261122T000000Z-toy").snapshot(drain=True)
        assert not snapshot.supervisor.alive


class Dashboard(Actor):
    """What a person's screen writes: the choice, the decisions, the gate, the report."""

    def make(self, folder: Path) -> None:
        phase = make_phase(folder)
        for path in (phase.selection, phase.gate, phase.decisions):
            path.unlink()

    def work(self, folder: Path) -> int:
        phase = PhaseDir(folder / "20260101T000000Z-fuzz")
        PhaseStore(phase.path).snapshot(drain=True)
        choose(phase, "mlp")
        phase.record_decision(Decision(unix_s=1e9, question="go on?", evidence="met", answer="yes"))
        write_gate(phase)
        write_report(phase)
        return 0

    def result(self, folder: Path) -> Any:
        phase = PhaseDir(folder / "20260101T000000Z-fuzz")
        answers = {one.question for one in phase.read_decisions()}
        selection, gate = SelectionRecord.read(phase.selection), GateRecord.read(phase.gate)
        assert phase.report.read_text().endswith("</html>\n")
        return selection.model, gate.verdict, sorted(answers)

    def look(self, folder: Path) -> None:
        assert PhaseStore(folder / "20260101T000000Z-fuzz").snapshot(drain=True).problems == ()


class Evaluator(Actor):
    """A real evaluation of untrained weights."""

    def __init__(self, shared: Path) -> None:
        super().__init__(shared)
        self.config = tiny_recipe(shared)
        make_tiny_corpus(self.config, n_train=1)

    def make(self, folder: Path) -> None:
        phase = PhaseDir(folder / "phase")
        phase.path.mkdir()
        phase.config.write_text(format_config(self.config), encoding="utf-8")
        torch.manual_seed(0)
        model = build_model("mlp", self.config.features, self.config.examples)
        save_weights(phase.run("mlp").weights("best"), "mlp", model.state_dict(), self.config.features, self.config.examples)

    def work(self, folder: Path) -> int:
        progress = PhaseDir(folder / "phase").progress(Stage.EVALUATE)
        sys.argv = ["evaluate", "evaluate", str(folder / "phase"), "--progress", str(progress)]
        return evaluator.main()

    def result(self, folder: Path) -> Any:
        phase = PhaseDir(folder / "phase")
        report = EvaluationReport.read(phase.evaluation("mlp", "validation"))
        figures = report.model_dump(exclude={"unix_s", "speed", "speed_on_cpu", "seal"})
        return figures, phase.boundaries("mlp", "validation").read_bytes()

    def look(self, folder: Path) -> None:
        phase = PhaseDir(folder / "phase")
        snapshot = PhaseStore(phase.path).snapshot(drain=True)
        assert snapshot.problems == ()
        if snapshot.evaluations:  # where the report is, its boundaries are
            assert phase.boundaries("mlp", "validation").exists()


class Preparer(Actor):
    """A real preparation: conversations of tones, with references, hypotheses and features."""

    def __init__(self, shared: Path) -> None:
        super().__init__(shared)
        write_tone_bank(shared / "bank")

    def make(self, folder: Path) -> None:
        (folder / "data").mkdir()

    def work(self, folder: Path) -> int:
        prepare(self._config(folder), n_processes=1)
        return 0

    def result(self, folder: Path) -> Any:
        (corpus,) = (folder / "data" / "prepared").iterdir()
        # A process that was killed leaves its temporary file, hidden, and nobody takes it for anything.
        files = sorted(path for path in corpus.rglob("[!.]*") if path.is_file() and path.name != "summary.json")
        # Audio that was made again is as new as that: corpus.json tells when each file was changed.
        return [(str(path.relative_to(corpus)), re.sub(rb'"modified_ns": \d+', b"", path.read_bytes())) for path in files]

    def look(self, folder: Path) -> None:
        for manifest in folder.rglob("corpus.json"):  # its presence means that all is there
            for own in json.loads(manifest.read_text())["splits"].values():
                for one in own:
                    soundfile.info(manifest.parent / one["audio"])

    def _config(self, folder: Path) -> PhaseConfig:
        return parse_config(
            f"""schema = 1
            [corpus]
            kind = "simulated"
            root = "{folder / "data"}"
            [corpus.simulation]
            voices = "{self.shared / "bank"}"
            n_train = 1
            n_validation = 1
            n_gate = 1
            duration_s = 10.0
            n_speakers = [2, 2]
            [models.mlp]
            """,
            where="faults",
        )


class Downloader(Actor):
    """A download whose server drops the first connection half-way."""

    _CONTENT = bytes(range(256)) * 2000

    def __init__(self, shared: Path) -> None:
        super().__init__(shared)
        self.server = ScriptedServer({"/file.zip": self._CONTENT})
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def make(self, folder: Path) -> None:
        self.server.script = ["drop"]

    def work(self, folder: Path) -> int:
        download(ask(self.server.url(), pause_s=0.0), folder / "file.zip", timeout_s=5.0, pause_s=0.0)
        return 0

    def result(self, folder: Path) -> Any:
        assert [path.name for path in folder.glob("[!.]*")] == ["file.zip"]
        return (folder / "file.zip").read_bytes() == self._CONTENT

    def look(self, folder: Path) -> None:
        if (folder / "file.zip").exists():
            assert self.result_is_whole(folder)

    def result_is_whole(self, folder: Path) -> bool:
        """It has its name only when it is whole."""
        return (folder / "file.zip").read_bytes() == self._CONTENT


ACTORS: dict[str, type[Actor]] = {
    "trainer": Trainer,
    "supervisor": SupervisorActor,
    "dashboard": Dashboard,
    "evaluator": Evaluator,
    "preparer": Preparer,
    "downloader": Downloader,
}
