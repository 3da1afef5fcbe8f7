"""DiariZen, which needs a separate environment: a subprocess runs the user's interpreter there and returns turns and votes.

DiariZen is not on the package index, and its pinned torch, numpy and fork of pyannote cannot share an environment with brefine's.
So `diarizen_worker.py` runs under the interpreter that the recipe or `--diarizer-python` names. The worker loads the model once
and serves every recording that this object is asked to diarize; it ends with `close`, or with this process.

Its weights are CC BY-NC 4.0: not for commercial use.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import tempfile
import time
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brefine.core.turns import Diarization, Turn
from brefine.data.hypotheses import DEFAULT_MODELS
from brefine.diarizers.diarizen_environment import WORKER, inspect_environment
from brefine.diarizers.diarizer import EDGE_S, ReportProgress, TurnConfidence, VotedDiarization, silent
from brefine.errors import ProcessError
from brefine.io.audio import probe_audio

MODEL: Final = DEFAULT_MODELS["diarizen"]
_POLL_S: Final = 0.05


class DiarizenDiarizer:
    """See the module. A context manager: `with DiarizenDiarizer.find(python, None) as diarizer: …`."""

    def __init__(self, python: str, model: str = MODEL) -> None:
        self._python = python
        self._model = model
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._n_asked = 0

    @classmethod
    def find(cls, python: str | None, model: str | None) -> DiarizenDiarizer:
        """The diarizer of that environment, checked but not loaded.

        Raises:
            ProcessError: no interpreter is named, or its environment cannot run DiariZen; what is missing is listed.
        """
        environment = inspect_environment(python, model)
        if not environment.usable:
            raise environment.error()
        return cls(environment.python, MODEL if model is None else model)

    @property
    def name(self) -> str:
        return "diarizen"

    def diarize(self, audio: str | PathLike[str], *, report: ReportProgress | None = None) -> Diarization:
        return self.diarize_voted(audio, report=report).diarization

    def diarize_voted(self, audio: str | PathLike[str], *, report: ReportProgress | None = None) -> VotedDiarization:
        """As `diarize`, with the votes of DiariZen's chunks as confidence.

        Raises:
            DataError: the audio cannot be used.
            ProcessError: DiariZen failed; its own last words are passed on.
        """
        audio = Path(audio)
        duration_s = probe_audio(audio).duration_s
        folder = self._started(report or silent)
        self._n_asked += 1
        answer = folder / f"answer-{self._n_asked}.json"
        self._ask({"audio": str(audio.absolute()), "answer": str(answer)})
        self._wait_for(answer, report or silent)
        document = json.loads(answer.read_text(encoding="utf-8"))
        answer.unlink()
        if "error" in document:
            raise ProcessError(
                "DiariZen failed on this recording", where=audio, got=document["error"], problems=self._last_words()
            )
        return _voted(audio.stem, document, duration_s)

    def close(self) -> None:
        """Ends the worker."""
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                if self._process.stdin is not None:
                    self._process.stdin.close()
            try:
                self._process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> DiarizenDiarizer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _started(self, tell: ReportProgress) -> Path:
        if self._process is not None and self._folder is not None:
            return Path(self._folder.name)
        self._folder = tempfile.TemporaryDirectory(prefix="brefine-diarizen-")
        folder = Path(self._folder.name)
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._python, str(WORKER), "serve", self._model, str(folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                env=_environment(),
            )
        self._wait_for(folder / "ready", tell)
        return folder

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, which waiting for its answer will show
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()

    def _wait_for(self, path: Path, tell: ReportProgress) -> None:
        """Returns when the worker has written the file, passing its progress on.

        Raises:
            ProcessError: the worker ended without it.
        """
        assert self._process is not None
        told: tuple[str, int, int] | None = None
        while not path.exists():
            ended = self._process.poll()
            news = _progress(path.parent / "progress.json")
            if news is not None and news != told:
                tell(*news)
                told = news
            if ended is not None and not path.exists():
                failed = path.parent / "failed.json"
                what = json.loads(failed.read_text(encoding="utf-8"))["error"] if failed.exists() else f"exit code {ended}"
                problems = self._last_words()
                self.close()
                raise ProcessError(
                    "DiariZen's process ended",
                    where=self._python,
                    got=what,
                    problems=problems,
                    hint=f"brefine doctor --diarizer-python {self._python}",
                )
            time.sleep(_POLL_S)

    def _last_words(self) -> list[str]:
        if self._folder is None:
            return []
        text = (Path(self._folder.name) / "log").read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if line.strip()][-6:]


def _environment() -> dict[str, str]:
    """This process's environment without the variables of its own interpreter."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")}


def _progress(path: Path) -> tuple[str, int, int] | None:
    try:
        news = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return news["step"], news["done"], news["total"]


def _voted(recording: str, document: dict[str, Any], duration_s: float) -> VotedDiarization:
    """Valid turns within the audio: DiariZen's may end after it, and one speaker's may overlap."""
    found = Diarization(
        recording,
        tuple(
            Turn(max(0.0, onset_s), offset_s, f"speaker{int(label):02d}" if label.isdigit() else label)
            for onset_s, offset_s, label in document["turns"]
            if offset_s > max(0.0, onset_s)
        ),
    )
    diarization = found.clipped(0.0, duration_s).unioned()
    votes = document["votes"]
    if votes is None:
        return VotedDiarization(diarization, None)
    columns = np.array(votes["shares"], np.float64).reshape(len(votes["shares"]), -1)
    shares = {f"speaker{number:02d}": columns[:, number] for number in range(columns.shape[1])}
    first_s, step_s = float(votes["first_s"]), float(votes["step_s"])
    own = [shares.get(turn.speaker, np.zeros(1)) for turn in diarization.turns]
    confidence = tuple(_confidence(turn, votes, first_s, step_s) for turn, votes in zip(diarization.turns, own, strict=True))
    return VotedDiarization(diarization, confidence)


def _confidence(turn: Turn, shares: NDArray[np.float64], first_s: float, step_s: float) -> TurnConfidence:
    edge_s = min(EDGE_S, turn.duration_s)

    def mean(start_s: float, end_s: float) -> float:
        # frames whose centres lie between the two
        first, last = (math.ceil((time_s - first_s) / step_s) for time_s in (start_s, end_s))
        heard = shares[max(0, first) : max(0, last, first + 1)]
        return float(heard.mean()) if len(heard) else 0.0  # nobody is heard beyond the audio

    def edge(inside: float, outside: float) -> float:
        return min(1.0, max(0.0, inside - outside))

    return TurnConfidence(
        mean(turn.onset_s, turn.offset_s),
        edge(mean(turn.onset_s, turn.onset_s + edge_s), mean(turn.onset_s - edge_s, turn.onset_s)),
        edge(mean(turn.offset_s - edge_s, turn.offset_s), mean(turn.offset_s, turn.offset_s + edge_s)),
    )
