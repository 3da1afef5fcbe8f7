"""`brefine integrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from brefine.cli.options import RUNS, Json, PhaseOption, Runs
from brefine.cli.output import print_json, print_lines
from brefine.config import ModelName, prepared_corpus_path
from brefine.errors import BrefineError, FormatError, tell
from brefine.phasedir import CORPUS_FILE, CorpusManifest, PhaseDir, SelectionRecord, find_phase
from brefine.run.gate_evidence import faults_of_labels
from brefine.run.plain import progress_line
from brefine.run.stages import integration_report, model_of, start_integration
from brefine.run.tables import integration_table


def integrate(
    phase: PhaseOption = None,
    model: Annotated[str | None, typer.Option(help="The selected one if left out.")] = None,
    json: Json = False,
    runs: Runs = RUNS,
) -> None:
    """Example: brefine integrate

    Runs the chosen model behind the diarizer on the gate split and measures DER and JER before and after. Labels that have
    changed since the corpus was prepared are named first.
    """
    found = find_phase(phase, runs)
    chosen, config = _selected(found) if model is None else model_of(found, model), found.load_config()
    for fault in faults_of_labels(config, CorpusManifest.read_if_sound(prepared_corpus_path(config) / CORPUS_FILE)):
        tell(f"gate 4 will stay open: {fault}")
    start_integration(found, chosen).wait(lambda progress: tell(progress_line(progress)))
    report = integration_report(found)
    print_json(report.to_json()) if json else print_lines(integration_table(report))


def _selected(phase: PhaseDir) -> ModelName:
    select = f"brefine select --phase {phase.argument}"
    try:
        selection = SelectionRecord.read_if_there(phase.selection)
    except FormatError as error:
        raise error.with_hint(f"select again: {select}") from None
    if selection is None:
        raise BrefineError("no model is selected yet", where=phase.path, hint=f"run: {select}")
    return selection.model
