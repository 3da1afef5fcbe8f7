"""A worker of the torch half in the foreground: a command of `brefine` starts it, passes signals on, and waits for its end."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final

from brefine.errors import SIGNALS_VARIABLE, TIED_VARIABLE, ProcessError
from brefine.identity import identity_of
from brefine.io.interpreter import python_command
from brefine.run.lock import sign

_REACHES_S: Final = 0.5
"""A signal to the whole process group reaches the worker within this time."""
_DESCRIPTOR: Final = re.compile(r"/(?:dev|proc/self)/fd/([0-9]+)")


def run_worker(
    module: str,
    *arguments: object,
    stdout: IO[str] | None = None,
    lock: int | None = None,
    outlives: bool = False,
    goes_on: bool = False,
) -> int:
    """Runs `python -m module arguments` in the foreground, its output passed through; returns its exit code.

    If a file `stdout` is given, the output goes there. SIGTERM, SIGINT and SIGHUP are passed on unless they reach the worker
    directly, as Ctrl-C does, since it is in the same process group: a second signal would cost a trainer its checkpoint. This
    process waits for the worker to end by itself. Descriptors among the arguments, as a shell's `<(…)` makes them, are open in
    the worker, too.

    Args:
        lock: descriptor of a lock whose file is made to name the worker, which keeps holding it if this process is killed.
        outlives: whether the worker goes on if this process is killed, as one with a lock does; any other is ended then, or it
            would write its result behind the back of whoever starts the command again.
        goes_on: whether the command has more to do if the worker's exit code is 0; then that of a signal which came too late
            for the worker to hear it counts.
    """
    command = python_command("-m", module, *arguments)
    kept = _descriptors_among(command)
    reached, noted = os.pipe()  # the worker writes to `noted` which signals reach it
    os.set_blocking(noted, False)
    environment = {**os.environ, SIGNALS_VARIABLE: str(noted)}
    if lock is None and not outlives:
        environment[TIED_VARIABLE] = "yes"
    try:
        kept += [noted] if lock is None else [noted, lock]
        process = subprocess.Popen(command, stdout=stdout, pass_fds=kept, env=environment)
    except BaseException:
        os.close(reached)
        raise
    finally:
        os.close(noted)
    here: Counter[int] = Counter()
    there: Counter[int] = Counter()

    def hand_on(number: int, _: FrameType | None) -> None:
        here[number] += 1
        while there[number] < here[number] and select.select([reached], [], [], _REACHES_S)[0]:
            numbers = os.read(reached, 4096)
            if not numbers:
                break
            there.update(numbers)
        if there[number] < here[number]:
            process.send_signal(number)

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        numbers.append(signal.SIGHUP)
    earlier = {number: signal.signal(number, hand_on) for number in numbers}
    try:
        if lock is not None:
            sign(lock, identity_of(process.pid))  # its own first status comes only after seconds
        code = process.wait()
        unheard = [number for number, n_here in here.items() if n_here > there[number]]
        if goes_on and code == 0 and unheard:
            return 128 + unheard[0]
        return code if code >= 0 else 128 - code
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        os.close(reached)


def _descriptors_among(words: Sequence[str]) -> list[int]:
    """Descriptors of this process that words name as files: `/dev/fd/63`."""
    found = (_DESCRIPTOR.fullmatch(word) for word in words)
    return [int(one[1]) for one in found if one is not None and Path(one[0]).exists()]


def parse_answer(text: str) -> Any:
    """The JSON document that a worker has printed.

    Raises:
        ProcessError: it has printed something that is not JSON.
    """
    try:
        return json.loads(text)
    except ValueError:
        raise ProcessError(
            "a worker printed something other than its result",
            expected="one JSON document",
            got=repr(text.strip().partition("\n")[0][:200]),
            hint="whatever prints when Python starts, such as a sitecustomize.py, belongs on stderr",
        ) from None
