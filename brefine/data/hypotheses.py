"""Hypotheses of a real diarizer, which runs in a separate process, once for every audio content."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final

from brefine.config import DiarizerConfig, PhaseConfig
from brefine.core.turns import Diarization
from brefine.errors import ConfigError, DataError, ProcessError
from brefine.io.atomic import file_digest
from brefine.io.interpreter import python_command
from brefine.io.rttm import read_rttm

DEFAULT_MODELS: Final = {
    "pyannote": "pyannote/speaker-diarization-community-1",
    "diarizen": "BUT-FIT/diarizen-wavlm-large-s80-md",
}
"""Diarizer → the model that it runs if none is named."""
_BUILTIN_CODE: Final = (
    "diarizers/builtin.py",
    "diarizers/resegmentation.py",
    "diarizers/speakers.py",
    "diarizers/speech.py",
    "data/voice_activity.py",
    "data/features.py",
    "data/decode.py",
    "core/mel.py",
    "io/audio.py",
    "io/foreign_audio.py",
)
"""Modules on which the built-in diarizer's answers depend, from reading the audio on."""
_POLL_S = 0.5


def diarizer_of(config: PhaseConfig) -> DiarizerConfig:
    """The diarizer that makes the recipe's hypotheses: `hypothesis.source` names it, [diarizer] says where it is.

    Beside replayed errors it is the built-in one, whatever [diarizer] says; see `hypothesis.builtin_share`.

    Raises:
        ConfigError: [diarizer] describes another one.
    """
    source = config.hypothesis.source
    if source == "replayed":
        return DiarizerConfig(name="builtin")
    if config.diarizer.name != source and (config.diarizer.model or config.diarizer.python):
        raise ConfigError(
            "hypotheses come from one diarizer, [diarizer] describes another",
            where="hypothesis.source",
            expected=repr(config.diarizer.name),
            got=repr(source),
        )
    return DiarizerConfig.model_validate({**config.diarizer.model_dump(), "name": source})


def diarize_all(
    audio: Mapping[str, Path],
    diarizer: DiarizerConfig,
    *,
    cache: Path,
    n_processes: int = 1,
    on_progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> dict[str, Diarization]:
    """Recording → what the diarizer says.

    Answers are kept in `cache` under the diarizer's name and model and the digest of the audio's content. So neither a second
    corpus, nor another recipe, nor a renamed file runs the diarizer again; a stopped run goes on where it was. Answers of the
    built-in diarizer are kept until its code or its detector of speech changes.

    Args:
        n_processes: processes of the built-in diarizer; the others, which may need a whole GPU, run in one.

    Raises:
        ProcessError: the diarizer cannot be run; its own words are passed on.
    """
    what = _digest_of_text(_own_code() if diarizer.name == "builtin" else diarizer.model or DEFAULT_MODELS[diarizer.name])
    folder = (cache / f"{diarizer.name}-{what}").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    answers = {name: folder / f"{_digest_of_file(path)}.rttm" for name, path in audio.items()}
    missing = {answers[name]: path.absolute() for name, path in audio.items() if not answers[name].is_file()}
    step = f"diarizing with {diarizer.name}"
    if missing:
        n_workers = min(n_processes, len(missing)) if diarizer.name == "builtin" else 1
        _run(missing, diarizer, n_workers, folder, lambda left: on_progress(step, len(audio) - left, len(audio)))
    on_progress(step, len(audio), len(audio))
    return {
        name: Diarization(name, tuple(turn for one in read_rttm(answers[name]).values() for turn in one.turns)) for name in audio
    }


def _run(
    missing: Mapping[Path, Path], diarizer: DiarizerConfig, n_workers: int, folder: Path, on_left: Callable[[int], None]
) -> None:
    """Divides the recordings among processes, each of which loads the diarizer once, and waits for their answers."""
    options = ["--diarizer", diarizer.name]
    options += ["--python", diarizer.python] if diarizer.python else []
    options += ["--model", diarizer.model] if diarizer.model else []
    environment = os.environ | ({"OMP_NUM_THREADS": "1"} if n_workers > 1 else {})
    jobs = [[str(audio), str(answer)] for answer, audio in missing.items()]
    workers: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".jobs-") as scratch:
        logs = [Path(scratch) / f"{number}.log" for number in range(n_workers)]
        try:
            for number, log in enumerate(logs):
                share = Path(scratch) / f"{number}.json"
                share.write_text(json.dumps(jobs[number::n_workers]), encoding="utf-8")
                command = python_command("-m", "brefine.diarizers", "--jobs", share, *options)
                with log.open("wb") as file:
                    workers.append(subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment))
            while any(worker.poll() is None for worker in workers):
                on_left(sum(not answer.is_file() for answer in missing))
                time.sleep(_POLL_S)
        finally:
            for worker in workers:
                if worker.poll() is None:
                    worker.terminate()
                    worker.wait()
        words = [log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-8:] for log in logs]
    unanswered = [audio for answer, audio in missing.items() if not answer.is_file()]
    if unanswered:
        failed = next((place for place, worker in enumerate(workers) if worker.returncode != 0), 0)
        raise ProcessError(
            f"the diarizer {diarizer.name} gave no answer for {len(unanswered)} of {len(missing)} recordings",
            where=unanswered[0],
            got=f"exit code {workers[failed].returncode}",
            problems=words[failed],
            hint="`brefine doctor` checks the diarizers; `--hypothesis-from replayed` needs none",
        )


def _digest_of_file(path: Path) -> str:
    try:
        return file_digest(path)[:24]
    except OSError as error:
        raise DataError(f"the audio cannot be read: {error.strerror}", where=path) from None


def _own_code() -> str:
    """The code and the version that the built-in diarizer's answers depend on."""
    modules = [(files("brefine") / name).read_text(encoding="utf-8") for name in _BUILTIN_CODE]
    return "".join([version("silero-vad"), *modules])


def _digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
