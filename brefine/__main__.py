"""`python -m brefine` and the `brefine` command."""

from __future__ import annotations

from brefine.cli import app
from brefine.errors import run_main


def main() -> None:
    run_main(app)


if __name__ == "__main__":
    main()
