"""What a worker process refuses, and whether it had loaded torch by then, which takes seconds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PROGRAM = """if True:
    import importlib
    import sys
    from brefine.errors import BrefineError
    main = importlib.import_module(sys.argv[1]).main
    for line in sys.stdin.read().splitlines():
        sys.argv[1:] = line.split()
        try:
            main()
        except BrefineError as error:
            print(error.what, "torch" in sys.modules, sep=": ")
    """


def refusals(module: str, asked: Sequence[str], *, folder: Path) -> list[str]:
    """The errors of a module's `main`, each with whether torch was loaded, as `what: False`.

    Args:
        asked: lines of arguments; one process takes them one after the other.
        folder: where it runs.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, module], cwd=folder, input="\n".join(asked), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()
