"""`python -m brefine` and the `brefine` command."""

from __future__ import annotations

from functools import partial

from brefine.cli import app
from brefine.errors import run_main


def main() -> None:
    run_main(partial(app, prog_name="brefine"))  # also as `python -m brefine`, or completion would be that of python


if __name__ == "__main__":
    main()
