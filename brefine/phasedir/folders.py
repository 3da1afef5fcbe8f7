"""Every path of a phase directory, and how a phase is found."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from brefine.config import MODEL_NAMES, ModelName, PhaseConfig, load_config
from brefine.errors import BrefineError, ConfigError, FormatError, one_line
from brefine.io.atomic import read_json
from brefine.io.folders import real_path
from brefine.io.interpreter import word_of
from brefine.phasedir.corpus import CorpusManifest
from brefine.phasedir.evaluation import Look, LookedAt, LookLine, LookRecord
from brefine.phasedir.gate import Decision, FiledVerdict
from brefine.phasedir.lines import Lines, read_lines
from brefine.phasedir.operation import Manifest, Stage


@dataclass(frozen=True, slots=True)
class RunDir:
    """One training's folder."""

    path: Path

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    @property
    def lock(self) -> Path:
        """Held by the trainer as long as it lives."""
        return self.path / "train.lock"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def weights(self, name: Literal["last", "best"]) -> Path:
        return self.checkpoints / f"{name}.safetensors"

    def card(self, name: Literal["last", "best"]) -> Path:
        return self.checkpoints / f"{name}.json"

    @property
    def training_state(self) -> Path:
        return self.checkpoints / "last.state"


@dataclass(frozen=True, slots=True)
class PhaseDir:
    """One phase's folder."""

    path: Path

    @property
    def argument(self) -> str:
        """The phase as an argument of a command, here and now; see `folder_argument`."""
        return folder_argument(self.path)

    @property
    def config(self) -> Path:
        return self.path / "phase.toml"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def supervisor(self) -> Path:
        return self.path / "supervisor.json"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor as long as it lives; the file names it."""
        return self.path / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        return self.path / "supervisor.log"

    @property
    def decisions(self) -> Path:
        return self.path / "decisions.jsonl"

    @property
    def looks(self) -> Path:
        """Every look at the gate split, one per line."""
        return self.path / "looks.jsonl"

    @property
    def alerts(self) -> Path:
        return self.path / "alerts.jsonl"

    @property
    def alerts_sent(self) -> Path:
        """The ids of the alerts that were sent to the person's services, one per line."""
        return self.path / "alerts.sent"

    @property
    def control(self) -> Path:
        return self.path / "control"

    def run(self, model: ModelName) -> RunDir:
        return RunDir(self.path / model)

    def progress(self, stage: Stage) -> Path:
        return self.path / "progress" / f"{stage}.json"

    def stage_lock(self, stage: Stage) -> Path:
        """Held by the process of a stage that a person has started, as long as it lives."""
        return self.path / "progress" / f"{stage}.lock"

    def stage_log(self, stage: Stage) -> Path:
        return self.path / "logs" / f"{stage}.log"

    @property
    def jobs(self) -> Path:
        """Folder of what a scheduler and its nodes say about jobs; not made if everything runs on one machine."""
        return self.path / "jobs"

    def job(self, name: str) -> Path:
        return self.jobs / f"{name}.json"

    def job_word(self, name: str) -> Path:
        return self.jobs / f"{name}.word.json"

    def evaluation(self, model: ModelName, split: str, checkpoint: str = "best") -> Path:
        return self.path / "evaluation" / model / f"{_of_checkpoint(split, checkpoint)}.json"

    def gate_evaluations(self) -> list[Path]:
        """The evaluations on the gate split, of every model and checkpoint."""
        return sorted({path for name in ("gate", "gate@*") for path in self.path.glob(f"evaluation/*/{name}.json")})

    def heard(self, model: ModelName) -> Path:
        """Where the tasks of an array leave a model's readings of recordings, until the evaluation has collected them."""
        return self.path / "evaluation" / model / "heard"

    def boundaries(self, model: ModelName, split: str, checkpoint: str = "best") -> Path:
        return self.path / "evaluation" / model / f"{_of_checkpoint(split, checkpoint)}.boundaries.csv"

    def posteriors(self, model: ModelName, split: str) -> Path:
        """The model's posterior of each boundary, as `evaluate.posterior` writes them on demand."""
        return self.path / "evaluation" / model / f"{split}.posteriors.npz"

    @property
    def selection(self) -> Path:
        return self.path / "selection.json"

    @property
    def integration(self) -> Path:
        return self.path / "integration.json"

    @property
    def refined(self) -> Path:
        """Folder of the refined RTTMs of the gate split."""
        return self.path / "integration"

    def gate_turns(self, corpus: Path, manifest: CorpusManifest) -> list[Path]:
        """Every file of turns that the gate's figures rest on: reference, hypothesis and refined, recording by recording."""
        return [
            path
            for one in manifest.gate
            for path in (corpus / one.reference, corpus / one.hypothesis, self.refined / f"{one.name}.rttm")
        ]

    @property
    def gate(self) -> Path:
        return self.path / "gate4.json"

    @property
    def verdicts(self) -> Path:
        """Every verdict that was written down, one per line."""
        return self.path / "verdicts.jsonl"

    @property
    def gate_lock(self) -> Path:
        """Held by the process that judges and writes the record."""
        return self.path / "progress" / "gate4.lock"

    @property
    def gate_page(self) -> Path:
        return self.path / "gate4.md"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def load_config(self) -> PhaseConfig:
        """The phase's recipe.

        Raises:
            FormatError: it is missing, damaged, or of another schema. It is not a ConfigError, since brefine wrote the file and
                not the user.
        """
        if not self.config.exists():
            raise FormatError(
                "the phase has lost its recipe",
                where=self.config,
                hint=f"move it back; what works in the phase is stopped by: brefine stop {self.argument}",
            )
        if not self.config.is_file():  # reading a pipe would block, reading a device might never end
            raise FormatError("the phase's recipe is not a regular file", where=self.config)
        try:
            return load_config(self.config)
        except ConfigError as error:
            raise FormatError(
                error.what,
                where=error.where,
                expected=error.expected,
                got=error.got,
                hint=error.hint,
                problems=error.problems,
            ) from None

    def launched_as(self) -> str | None:
        """The phase's name by its manifest, whatever the folder was renamed to; None if the manifest cannot be read."""
        manifest = Manifest.read_if_sound(self.manifest)
        return None if manifest is None else manifest.phase

    def models(self) -> tuple[ModelName, ...]:
        """The models of the phase in the order of the recipe."""
        return tuple(self.load_config().models)

    def record_decision(self, decision: Decision) -> None:
        decision.append_to(self.decisions)

    def decision_lines(self) -> Lines[Decision]:
        """decisions.jsonl, lines that cannot be read included."""
        return read_lines(self.decisions, Decision)

    def read_decisions(self) -> list[Decision]:
        """The readable lines of decisions.jsonl, oldest first."""
        return self.decision_lines().readable

    def record_verdict(self, verdict: FiledVerdict) -> None:
        verdict.append_to(self.verdicts)

    def verdict_lines(self) -> Lines[FiledVerdict]:
        """verdicts.jsonl, lines that cannot be read included."""
        return read_lines(self.verdicts, FiledVerdict)

    def record_look(self, look: Look, recordings: list[LookedAt]) -> None:
        """Records that a refiner was scored on the gate split, unless it was scored on the same recordings before.

        Recordings that the file lists already are not written again: a line of hundreds of them takes tens of kilobytes.
        """
        lines, digest = read_lines(self.looks, LookLine), _digest_of(recordings)
        by_digest, record = _recordings_by_digest(lines), LookRecord(look, recordings)
        if any(record.repeats(earlier) for earlier in _with_recordings(lines, by_digest).readable):
            return
        line = LookLine(look=look, recordings=None if digest in by_digest else recordings, recordings_sha256=digest)
        line.append_to(self.looks)

    def look_lines(self) -> Lines[LookRecord]:
        """looks.jsonl, lines that cannot be read included. Looks whose recordings no sound line lists are counted as unknown."""
        lines = read_lines(self.looks, LookLine)
        return _with_recordings(lines, _recordings_by_digest(lines))


def _recordings_by_digest(lines: Lines[LookLine]) -> dict[str, list[LookedAt]]:
    """Digest → the recordings that a line lists under it; recordings that do not fit their digest are damaged and left out."""
    return {
        line.recordings_sha256: line.recordings
        for line in lines.readable
        if line.recordings is not None and line.recordings_sha256 == _digest_of(line.recordings)
    }


def _with_recordings(lines: Lines[LookLine], by_digest: Mapping[str, list[LookedAt]]) -> Lines[LookRecord]:
    def recordings(line: LookLine) -> list[LookedAt] | None:
        return line.recordings if line.recordings_sha256 is None else by_digest.get(line.recordings_sha256)

    n = sum(recordings(line) is None for line in lines.readable)
    unknown = f"the recordings of {n} look{'s' if n > 1 else ''} in {lines.name} are not known" if n else None
    return lines.map(lambda line: LookRecord(line.look, recordings(line) or []), unknown)


def _digest_of(recordings: Iterable[LookedAt]) -> str:
    return hashlib.sha256(json.dumps([one.model_dump(mode="json") for one in recordings], sort_keys=True).encode()).hexdigest()


def _of_checkpoint(split: str, checkpoint: str) -> str:
    return split if checkpoint == "best" else f"{split}@{checkpoint}"


def find_phase(name: str | None, runs: Path) -> PhaseDir:
    """Finds a phase by its directory or by its folder's name under `runs`; for None, the newest one.

    Raises:
        BrefineError: there is no such phase, or the directory is not a phase.
    """
    if name is None:
        phases = list_phases(runs)
        if not phases:
            raise BrefineError(
                "there is no phase yet", where=runs, hint="start one: brefine launch-phase3 --config configs/demo.toml"
            )
        return phases[-1]
    for path in (named_folder(name), runs / name):
        if is_phase(path):
            return PhaseDir(path)
    there = Path(name).exists() or (runs / name).exists()
    raise BrefineError(
        "this is not a phase directory" if there else "there is no such phase",
        where=name,
        expected="a folder with phase.toml",
        hint="`brefine runs` lists the phases there are",
    )


def named_folder(path: str) -> Path:
    """The folder that a person means; `.` and `..` are not names, so they are replaced by the whole path."""
    folder = Path(path)
    return folder.resolve() if folder.name in ("", "..") else folder


def folder_argument(folder: Path) -> str:
    """A phase, or another folder to watch, as an argument of a command, here and now, quoted for a shell.

    This is the folder's name alone if `find_phase` finds this folder by it; else its path.
    """
    here = folder.resolve()
    found = next((path for path in (Path(here.name), runs_folder() / here.name) if path.exists()), None)
    by_name = found is not None and found.resolve() == here and is_phase(here) and not here.name.startswith("-")
    return one_line(shlex.quote(word_of(Path(here.name) if by_name else folder)))


def runs_folder() -> Path:
    """Where commands look for phases unless `--runs` says otherwise."""
    return Path(os.environ.get("BREFINE_RUNS") or "runs")


def list_phases(runs: Path) -> list[PhaseDir]:
    """The phases under `runs`, oldest first, whatever their folders were renamed to."""
    if not runs.is_dir():
        return []
    phases = [PhaseDir(path) for path in sorted(runs.iterdir()) if is_phase(path)]
    return sorted(phases, key=_created_unix_s)


def phases_beside(phase: PhaseDir) -> Iterator[PhaseDir]:
    """The other phases in the folder of this one; none if that folder may not be read."""
    home = phase.path.resolve()
    with contextlib.suppress(OSError):
        yield from (PhaseDir(path) for path in sorted(home.parent.iterdir()) if is_phase(path) and path.resolve() != home)


def _created_unix_s(phase: PhaseDir) -> float:
    """The time in the manifest, sealed or not; without one, the modification time of the recipe."""
    with contextlib.suppress(FormatError, OSError, LookupError, TypeError, ValueError):
        return float(read_json(phase.manifest)["created_unix_s"])
    with contextlib.suppress(OSError):
        return phase.config.stat().st_mtime
    return 0.0


def is_phase(path: Path) -> bool:
    """Whether the folder has a recipe or, if that was moved away, a supervisor.json; False if it may not be entered."""
    phase = PhaseDir(path)
    try:
        return phase.config.is_file() or phase.supervisor.is_file()
    except OSError:
        return False


def phase_of_weights(weights: Path) -> PhaseDir | None:
    """The phase that a weights file is a checkpoint of; None if it is not in a phase."""
    checkpoints = real_path(weights).parent
    run = RunDir(checkpoints.parent)
    return PhaseDir(run.path.parent) if run.checkpoints == checkpoints and is_phase(run.path.parent) else None


def run_model(path: Path) -> ModelName:
    """The model that a run directory belongs to, from its name.

    Raises:
        BrefineError: the folder is not named after a model.
    """
    for name in MODEL_NAMES:
        if real_path(path).name == name:
            return name
    raise BrefineError(
        "this is not a run directory", where=path, expected=f"a folder named {', '.join(MODEL_NAMES)}", got=path.name
    )
