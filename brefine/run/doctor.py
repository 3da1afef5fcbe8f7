"""What this machine has and lacks for brefine, each with what to do about it.

Nothing that a check is about is imported here: torch and the diarizers are queried in processes of their own, so a broken
installation is a finding and not a crash.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from brefine.config import BudgetConfig, DiarizerConfig
from brefine.errors import ConfigError
from brefine.io.interpreter import python_command
from brefine.run.budget import ledger_path
from brefine.run.gpu import find_gpus

State = Literal["ok", "absent", "warning", "error"]
_TIMEOUT_S: Final = 240.0
_GIB: Final = 1 << 30
_HOME: Final = Path(__file__).parents[2]
"""brefine's checkout, if it was installed from one with `-e`."""
_SMALLEST_TERMINAL: Final = (80, 24)


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        state: `absent` = optional and missing, `warning` = works with limitations, `error` = must be fixed.
        found: what was found, as a phrase.
        hints: what to do, line by line.
    """

    name: str
    state: State
    found: str
    hints: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def examine(diarizer: DiarizenChoice, *, runs: Path, budget: BudgetConfig, on_terminal: bool) -> list[Check]:
    """All checks, in the order in which one would fix them."""
    return [
        check_python(sys.version_info[:3]),
        *check_torch(ask_torch(), _versions(("torch", "torchaudio", "torchcodec"))),
        check_disk(runs),
        check_writable("phases", runs),
        check_ledger(budget),
        *check_audio(),
        check_voices(),
        check_terminal(os.environ, shutil.get_terminal_size(), on_terminal),
        check_logind(read_logind(), Path("/run/systemd/system").is_dir()),
        check_diarizen(ask_diarizen(diarizer), diarizer.wanted),
        check_pyannote(_version("pyannote.audio"), ask_pyannote),
    ]


@dataclass(frozen=True, slots=True)
class DiarizenChoice:
    """Which DiariZen to check, and whether anything needs it."""

    python: str | None
    model: str | None
    wanted: bool

    @classmethod
    def of(cls, config: DiarizerConfig, python: str | None) -> DiarizenChoice:
        chosen = python or config.python
        return cls(chosen, config.model if config.name == "diarizen" else None, config.name == "diarizen" or chosen is not None)


def passed(checks: Iterable[Check]) -> bool:
    return not any(check.state == "error" for check in checks)


# --- each check ---------------------------------------------------------------------------------------------------------


def check_python(version: tuple[int, ...]) -> Check:
    text = ".".join(map(str, version))
    if version < (3, 11):
        return Check("Python", "error", text, ("brefine needs Python 3.11 or newer",))
    return Check("Python", "ok", f"{text} ({sys.executable})")


def check_torch(told: Mapping[str, Any], versions: Mapping[str, str | None]) -> list[Check]:
    """torch, torchaudio and torchcodec as a set, and the GPU as the driver and as torch see it.

    Args:
        told: what another process reported after importing them; `error` if it could not.
        versions: as installed; None = not installed.
    """
    shown = ", ".join(f"{name} {version}" for name, version in versions.items() if version) or "not installed"
    reinstall = _install(*(["-e", str(_HOME)] if _pins().is_file() else ["--upgrade", "torch", "torchaudio"]))
    torch, torchaudio = versions.get("torch"), versions.get("torchaudio")
    if not torch or not torchaudio:
        packages = Check("torch", "error", shown, (reinstall,))
    elif _minor(torch) != _minor(torchaudio):
        packages = Check("torch", "error", f"{shown}: no set, the first two numbers must agree", (reinstall,))
    elif "error" in told:
        packages = Check("torch", "error", f"{shown}, but the import fails: {told['error']}", (reinstall,))
    else:
        packages = Check("torch", "ok", f"{shown}; {told.get('threads', '?')} CPU threads")
    return [packages, _check_gpu(told)]


def _check_gpu(told: Mapping[str, Any]) -> Check:
    probe = find_gpus()
    names = [gpu.name for gpu in probe.read()]
    if told.get("cuda"):
        return Check("GPU", "ok", f"{', '.join(names) or ', '.join(told['cuda'])}; torch uses it")
    if names:
        build = told.get("build") or "without CUDA"
        return Check(
            "GPU", "warning", f"{', '.join(names)}, but torch cannot use it (built {build})", ("install a CUDA build of torch",)
        )
    return Check("GPU", "absent", f"{probe.note or 'no GPU'}; trainings run on the CPU")


def check_disk(folder: Path) -> Check:
    there = _nearest(folder)
    free_gib = shutil.disk_usage(there).free / _GIB
    found = f"{free_gib:.0f} GiB free at {there}"
    if free_gib < 2.0:
        return Check("disk", "error", found, ("the demo needs 2 GiB: free some, or use --runs on another disk",))
    if free_gib < 30.0:
        return Check("disk", "warning", found, ("VoxConverse with its features needs about 30 GiB; the demo fits",))
    return Check("disk", "ok", found)


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def check_writable(name: str, folder: Path) -> Check:
    there = _nearest(folder)
    if not os.access(there, os.W_OK | os.X_OK):
        variable = {"ledger": "XDG_STATE_HOME, or [budget] ledger,", "phases": "--runs, or `runs` in the recipe,"}[name]
        return Check(name, "error", f"{there} cannot be written", (f"point {variable} to a folder that can",))
    return Check(name, "ok", f"{folder} can be written")


def check_ledger(budget: BudgetConfig) -> Check:
    try:
        return check_writable("ledger", ledger_path(budget).parent)
    except ConfigError as error:
        return Check("ledger", "error", f"{error.where}: {error.what}", () if error.hint is None else (error.hint,))


def check_audio() -> list[Check]:
    soundfile = _version("soundfile")
    ffmpeg = shutil.which("ffmpeg")
    reads = Check(
        "soundfile", "ok" if soundfile else "error", f"soundfile {soundfile}" if soundfile else "missing: no audio can be read"
    )
    if ffmpeg:
        return [reads, Check("ffmpeg", "ok", ffmpeg)]
    return [reads, Check("ffmpeg", "absent", "not there; only video files and pyannote.audio's decoder would need it")]


def check_voices() -> Check:
    version = _version("espeakng-loader")
    if version is None:
        return Check(
            "voices",
            "warning",
            "eSpeak NG is missing: the demo cannot speak",
            (_install("espeakng-loader"), "or name a folder of voices: corpus.simulation.voices"),
        )
    spec = find_spec("espeakng_loader")
    library = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    whole = any(library.glob("*espeak-ng*.so*")) or any(library.glob("*espeak-ng*.dylib"))
    if not whole:
        return Check(
            "voices",
            "warning",
            f"espeakng-loader {version} has no library for this machine",
            ("name a folder of voices: corpus.simulation.voices",),
        )
    return Check("voices", "ok", f"espeakng-loader {version} (GPL-3, runs in a process of its own)")


def check_terminal(environment: Mapping[str, str], size: os.terminal_size, on_terminal: bool) -> Check:
    if not on_terminal:
        return Check("terminal", "absent", "none here: the dashboard becomes plain lines")
    term = environment.get("TERM", "")
    found = f"{term or 'no TERM'}, {size.columns}×{size.lines}"
    if term in ("", "dumb"):
        return Check("terminal", "warning", f"{found}: the dashboard cannot draw", ("use --plain",))
    language = environment.get("LC_ALL") or environment.get("LC_CTYPE") or environment.get("LANG") or ""
    if "utf" not in language.lower():
        return Check(
            "terminal",
            "warning",
            f"{found}, not UTF-8 ({language or 'no LANG'}): curves will be garbled",
            ("export LANG=C.UTF-8",),
        )
    if size.columns < _SMALLEST_TERMINAL[0] or size.lines < _SMALLEST_TERMINAL[1]:
        return Check("terminal", "warning", f"{found}: smaller than 80×24", ("enlarge it, or use --plain",))
    colours = "true colour" if environment.get("COLORTERM") in ("truecolor", "24bit") else "256 colours or fewer"
    return Check("terminal", "ok", f"{found}, {colours}")


def check_logind(kills: bool | None, has_systemd: bool) -> Check:
    """Whether logind kills what a user leaves running at logout: a training, too, since its own session does not protect it."""
    if not has_systemd:
        return Check("logout", "ok", "no systemd: trainings outlive the terminal")
    if kills is None:
        return Check(
            "logout", "warning", "whether logind kills what you leave behind is unknown", ("train inside tmux, and try",)
        )
    if kills and not _lingers():
        return Check(
            "logout", "warning", "logind kills trainings when you log out (KillUserProcesses=yes)", ("loginctl enable-linger",)
        )
    return Check("logout", "ok", "trainings outlive the terminal" + (" (lingering is on)" if kills else ""))


def check_diarizen(told: Mapping[str, Any] | None, wanted: bool) -> Check:
    if told is None:
        return Check("DiariZen", "error" if wanted else "absent", "could not be asked", ("brefine itself is installed badly",))
    if told["usable"]:
        shown = ", ".join(f"{name} {version}" for name, version in told["found"].items() if name != "setuptools")
        return Check("DiariZen", "ok", f"{told['python']}: {shown}; its weights are CC BY-NC 4.0")
    return Check("DiariZen", "error" if wanted else "absent", "; ".join(told["problems"]), tuple(told["install"]))


def check_pyannote(version: str | None, ask: Callable[[], dict[str, Any]]) -> Check:
    """Whether the adapter can use pyannote.audio: version 4, and an import that works.

    Args:
        ask: gives what a process that imports it reports; called only if it is installed.
    """
    if version is None:
        return Check("pyannote", "absent", "not installed", (_install("brefine[pyannote]"),))
    if _minor(version)[0] < 4:
        return Check("pyannote", "warning", f"pyannote.audio {version}: 4 is needed", (_install("pyannote.audio>=4"),))
    told = ask()
    if "error" in told:
        broken = f"pyannote.audio {version}, but the import fails: {told['error']}"
        return Check("pyannote", "warning", broken, (_install("brefine[pyannote]"),))
    return Check("pyannote", "ok", f"pyannote.audio {version}; brefine turns its telemetry off")


def _pins() -> Path:
    """The file with the versions that brefine is tested with; only a checkout has it."""
    return _HOME / "constraints.txt"


def _install(*words: str) -> str:
    """The command that installs these here, whatever the current folder; in the tested versions if they are known."""
    pinned = ["-c", str(_pins())] if _pins().is_file() else []
    return f"{shlex.quote(sys.executable)} -m pip install {shlex.join([*pinned, *words])}"


# --- asking -------------------------------------------------------------------------------------------------------------

_TORCH_QUESTION: Final = """
import json
try:
    import torch, torchaudio
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    print(json.dumps({"threads": torch.get_num_threads(), "cuda": names, "build": torch.version.cuda}))
except Exception as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
"""


def ask_torch() -> dict[str, Any]:
    """What a process that imports torch and torchaudio reports."""
    return _ask(python_command("-c", _TORCH_QUESTION)) or {"error": "the process gave no answer"}


_PYANNOTE_QUESTION: Final = """
import json, os
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
try:
    from pyannote.audio import Pipeline
    print(json.dumps({}))
except Exception as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
"""


def ask_pyannote() -> dict[str, Any]:
    """What a process that imports pyannote.audio reports."""
    told = _ask(python_command("-c", _PYANNOTE_QUESTION))
    return {"error": "the process gave no answer"} if told is None else told


def ask_diarizen(options: DiarizenChoice) -> dict[str, Any] | None:
    """What the module that would start DiariZen reports about its environment."""
    command = python_command("-m", "brefine.diarizers.diarizen_environment")
    command += ["--python", options.python] if options.python else []
    command += ["--model", options.model] if options.model else []
    return _ask(command)


def _ask(command: list[str]) -> dict[str, Any] | None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        told = json.loads(ended.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return None
    return told if isinstance(told, dict) else None


def read_logind() -> bool | None:
    """Whether logind kills what users leave running: by its own answer, else by its files; None if neither says."""
    try:
        path = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager", "KillUserProcesses"]
        told = subprocess.run(["busctl", "get-property", *path], capture_output=True, text=True, timeout=5.0, check=False).stdout
        if told.strip() in ("b true", "b false"):
            return told.strip() == "b true"
    except (OSError, subprocess.TimeoutExpired):
        pass
    roots = (Path("/usr/lib/systemd"), Path("/etc/systemd"))
    files = [file for root in roots for file in (root / "logind.conf", *sorted((root / "logind.conf.d").glob("*.conf")))]
    return parse_logind([file.read_text(encoding="utf-8", errors="replace") for file in files if os.access(file, os.R_OK)])


def parse_logind(texts: Iterable[str]) -> bool | None:
    """The last KillUserProcesses= of these files; None if there is none: systemd's default is yes, distributions' often no."""
    found = re.findall(r"^\s*KillUserProcesses\s*=\s*(\w+)", "\n".join(texts), re.MULTILINE)
    return found[-1].lower() in ("yes", "true", "1", "on") if found else None


def _lingers() -> bool:
    return (Path("/var/lib/systemd/linger") / os.environ.get("USER", "")).is_file()


def _versions(names: Iterable[str]) -> dict[str, str | None]:
    return {name: _version(name) for name in names}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _minor(version: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)
