"""Whether DiariZen can run under an interpreter: what is installed, what is missing, and the line that installs it.

python -m brefine.diarizers.diarizen_environment --python PYTHON [--model MODEL]        JSON, for `brefine doctor`
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from brefine.errors import ProcessError, run_main
from brefine.io.folders import from_home

WORKER: Final = Path(__file__).with_name("diarizen_worker.py")
_TIMEOUT_S: Final = 180.0
_CHECKOUT: Final = "git clone https://github.com/BUTSpeechFIT/DiariZen"


@dataclass(frozen=True, slots=True)
class Environment:
    """What was found under an interpreter.

    Attributes:
        usable: DiariZen can be started.
        found: package → version.
        problems: one sentence each.
        install: shell lines that mend all problems.
    """

    python: str
    usable: bool
    found: dict[str, str]
    problems: tuple[str, ...] = ()
    install: tuple[str, ...] = ()

    def error(self) -> ProcessError:
        return ProcessError(
            "DiariZen cannot run",
            where=self.python or "diarizer.python",
            problems=self.problems,
            hint="\n    ".join(self.install),
        )


def inspect_environment(python: str | None, model: str | None = None) -> Environment:
    """Asks the interpreter itself; takes as long as its imports do."""
    if not python:
        return Environment(
            "",
            False,
            {},
            ("no interpreter is named: DiariZen needs an environment of its own",),
            (*_fresh(), "then: --diarizer-python diarizen-env/bin/python, or [diarizer] python in the recipe"),
        )
    found_at = shutil.which(str(from_home(python)))
    if found_at is None:
        return Environment(python, False, {}, ("there is no such interpreter",), _fresh())
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        try:
            ended = subprocess.run(
                [found_at, str(WORKER), "check", str(result)], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Environment(found_at, False, {}, (f"the interpreter cannot be asked: {error}",))
        if not result.is_file():
            words = (ended.stderr.strip().splitlines() or ["no word"])[-1]
            return Environment(found_at, False, {}, (f"the interpreter cannot be asked: {words}",))
        told = json.loads(result.read_text(encoding="utf-8"))
    return judge_environment(found_at, told, model)


def judge_environment(python: str, told: dict[str, Any], model: str | None = None) -> Environment:
    """Turns the worker's `check` into sentences and install lines."""
    versions = {name: version for name, version in told["versions"].items() if version is not None}
    pip = f"{python} -m pip install"
    faults: list[tuple[str, str]] = []
    if not (3, 10) <= _number(told["python"])[:2] <= (3, 11):
        faults.append((f"Python is {told['python']}, 3.10 or 3.11 is needed", _fresh()[0]))
    if "setuptools" not in versions or _number(versions["setuptools"]) >= (82,):
        # pyannote's fork is built with pkg_resources, which setuptools 82 has dropped
        faults.append((f"setuptools is {versions.get('setuptools', 'missing')}, < 82 is needed", f'{pip} "setuptools<82" wheel'))
    if "torch" not in versions or _number(versions["torch"]) >= (2, 6):
        # torch 2.6 loads weights only, unless asked otherwise; DiariZen's checkpoints hold more
        faults.append(
            (
                f"torch is {versions.get('torch', 'missing')}, < 2.6 is needed",
                f'{pip} "setuptools<82" torch==2.5.1 torchaudio==2.5.1',
            )
        )
    elif "torchaudio" not in versions or _number(versions["torchaudio"])[:2] != _number(versions["torch"])[:2]:
        wanted = versions["torch"].partition("+")[0]
        faults.append(
            (f"torchaudio is {versions.get('torchaudio', 'missing')}, {wanted} is needed", f"{pip} torchaudio=={wanted}")
        )
    if "numpy" not in versions or _number(versions["numpy"])[0] != 1:
        faults.append((f"numpy is {versions.get('numpy', 'missing')}, 1.26 is needed", f"{pip} numpy==1.26.4"))
    if "pyannote.audio" not in versions or told["fork"] is False:
        what = "missing" if "pyannote.audio" not in versions else f"{versions['pyannote.audio']} of the index"
        faults.append((f"pyannote.audio is {what}, DiariZen's own fork of 3.1 is needed", FORK_LINE.format(pip=pip)))
    if "diarizen" not in versions:
        faults.append(("DiariZen is missing (it is not on the package index)", DIARIZEN_LINE.format(pip=pip)))
    if not faults and told["error"]:
        absent = re.search(r"No module named '(\w+)", told["error"])  # its package declares none of its dependencies
        mend = f"{pip} {_PINS} {absent[1]}" if absent else f"{python} -c 'import diarizen.pipelines.inference' shows where"
        faults.append((f"its import fails: {told['error']}", mend))
    if not faults and model is not None and (wrong := _model_fault(model)):
        faults.append((wrong, "a hub id, or a folder with config.toml and pytorch_model.bin"))
    checkout = (_CHECKOUT,) if any("DiariZen" in line for _, line in faults) else ()
    lines = (*checkout, *dict.fromkeys(line for _, line in faults))
    return Environment(python, not faults, {"python": told["python"], **versions}, tuple(fault for fault, _ in faults), lines)


# All pins are in every line: without them, pip would take the newest torch and setuptools and undo the line before.
_PINS: Final = '"setuptools<82" numpy==1.26.4 torch==2.5.1 torchaudio==2.5.1'
FORK_LINE: Final = "{pip} --no-build-isolation " + _PINS + " ./DiariZen/pyannote-audio"
DIARIZEN_LINE: Final = "{pip} " + _PINS + " toml psutil accelerate==1.6.0 -e ./DiariZen"


def _fresh() -> tuple[str, ...]:
    pip = "diarizen-env/bin/python -m pip install"
    return (
        "python3.11 -m venv diarizen-env",
        _CHECKOUT,
        f"{pip} wheel {_PINS}",
        FORK_LINE.format(pip=pip),
        DIARIZEN_LINE.format(pip=pip),
    )


def _model_fault(model: str) -> str | None:
    folder = from_home(model)
    if not folder.is_dir():
        is_path = model.startswith((".", "/", "~")) or model.count("/") != 1
        return f"{model} is neither a folder nor a hub id (owner/name)" if is_path else None
    missing = [name for name in ("config.toml", "pytorch_model.bin") if not (folder / name).is_file()]
    return f"{model} lacks {' and '.join(missing)}" if missing else None


def _number(version: str) -> tuple[int, ...]:
    parts = version.partition("+")[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit()) or (0,)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m brefine.diarizers.diarizen_environment", description=__doc__)
    parser.add_argument("--python")
    parser.add_argument("--model")
    options = parser.parse_args()
    print(json.dumps(asdict(inspect_environment(options.python, options.model))))
    return 0


if __name__ == "__main__":
    run_main(main)
