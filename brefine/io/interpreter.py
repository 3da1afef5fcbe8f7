"""How brefine starts Python: this interpreter, which imports nothing that happens to lie where the person stands."""

from __future__ import annotations

import sys


def python_command(*arguments: str) -> list[str]:
    """The command line of this interpreter with these arguments: `-m MODULE …` or `-c PROGRAM …`.

    `-P` leaves the current directory out of `sys.path`, also in what the process spawns through multiprocessing. A folder that
    somebody has sent, or one's own notebook folder, may hold a `soundfile.py` or a `queue.py`, which would be run otherwise.
    Packages that are installed and PYTHONPATH are searched as ever.
    """
    return [sys.executable, "-P", *arguments]
