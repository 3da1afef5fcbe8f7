"""How brefine starts Python: this interpreter, which imports nothing from the current directory."""

from __future__ import annotations

import sys
from pathlib import Path


def python_command(*arguments: object) -> list[str]:
    """The command line of this interpreter with these arguments: `-m MODULE …` or `-c PROGRAM …`; see `word_of`.

    `-P` leaves the current directory out of `sys.path`, also in processes that it spawns through multiprocessing. Otherwise a
    `soundfile.py` or a `queue.py` in a folder of notebooks, or in one that somebody has sent, would be run. Installed packages
    and PYTHONPATH are searched as usual.
    """
    return [sys.executable, "-P", *map(word_of, arguments)]


def word_of(argument: object) -> str:
    """An argument as a word of a command line: a path that starts with `-` gets `./` in front, or it would be an option."""
    word = str(argument)
    return f"./{word}" if isinstance(argument, Path) and word.startswith("-") else word
