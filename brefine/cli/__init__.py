"""The command line: parse, call, render, exit code.

A command's module is imported only when the command is called, so `brefine --help` takes no longer than typer itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from brefine.errors import stop_writing

COMMANDS = {
    "launch-phase3": "Prepare, train three models, watch, evaluate, select, integrate, decide.",
    "watch": "Attach to a phase, or to any folder of TensorBoard event files.",
    "gate4": "The decision gate: evidence, thresholds, answers, verdict.",
    "prepare": "Get a corpus ready.",
    "headroom": "What could refinement win at most on this pair?",
    "score": "DER, JER and boundary errors.",
    "overfit": "The check before a long training: overfit one small batch.",
    "train": "One training in the foreground.",
    "evaluate": "Boundary figures and speed of checkpoints.",
    "select": "Choose the model that goes on.",
    "integrate": "Run the chosen model behind the diarizer and measure the DER.",
    "refine": "Refine the turns of any RTTM.",
    "calibrate": "Fit a refiner to a diarizer and a label convention, from a few labelled minutes.",
    "diarize": "Diarizer and refiner in one go.",
    "report": "One self-contained HTML file of a phase.",
    "runs": "List the phases.",
    "stop": "Checkpoint and stop a phase.",
    "resume": "Go on with a stopped or crashed phase.",
    "budget": "What was spent, on what.",
    "models": "The architectures and their parameter counts.",
    "doctor": "Check this environment.",
    "bench": "Measure this machine.",
}
"""Command → what it does. The command `name` is the function `name` of the module `brefine.cli.name`, with _ for -."""


class _LazyGroup(TyperGroup):
    """Imports a command's module when that command is called."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands.update(dict.fromkeys(COMMANDS, typer.core.TyperCommand("")))  # only the names, for "Did you mean"

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        function = getattr(import_module(f"brefine.cli.{name}"), name)
        single = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(function)
        return typer.main.get_command(single)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # typer would end with 1, as if something had failed
            raise typer.Exit(stop_writing()) from None
        except typer.Abort:  # Ctrl-C at a question, which typer takes for a failure
            raise typer.Exit(130) from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=_LazyGroup,
    name="brefine",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib import metadata  # slow to import: it loads all of `email`

        typer.echo(f"brefine {metadata.version('brefine')}")
        raise typer.Exit


@app.callback()
def brefine(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Example: brefine launch-phase3 --config configs/demo.toml

    Train, watch, judge and deploy boundary refiners for speaker diarization.
    """
