"""`brefine headroom`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brefine.cli.options import Hypothesis, Json, Reference, Uem, a_page, finite
from brefine.cli.output import print_json, print_lines
from brefine.errors import tell


def headroom(
    reference: Reference,
    hypothesis: Hypothesis,
    uem: Uem = None,
    window_s: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            callback=finite,
            help="Cap W of the boundary matching: the furthest a move can go; as the recipe says, or 1, if left out.",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recipe with the gate's thresholds, its W, and the largest move.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.html", callback=a_page, help="Write the same as a page with charts.")
    ] = None,
    json: Json = False,
) -> None:
    """Example: brefine headroom --reference ref/ --hypothesis hyp/

    What could refinement win at most on this pair, and can the gate be met at all? Ask before you rent a GPU.
    """
    from brefine.config import GateConfig, RefineConfig, load_config
    from brefine.errors import one_line
    from brefine.io.atomic import write_text_atomic
    from brefine.io.outputs import is_page, refuse_replacing
    from brefine.io.pairs import read_pairs
    from brefine.io.rttm import rttm_files
    from brefine.run.gate_report import thresholds_of
    from brefine.run.headroom_first import measure_pairs
    from brefine.run.headroom_plot import headroom_page
    from brefine.run.headroom_table import headroom_lines

    if plot is not None:
        read = [*rttm_files(reference), *rttm_files(hypothesis), *(path for path in (uem, config) if path is not None)]
        refuse_replacing(read, [plot], "page", is_page, option="--plot")
    found = read_pairs(reference, hypothesis, uem, tell=tell)
    if found.unreferenced:
        tell(f"left out, since there is no reference: {', '.join(found.unreferenced)}")
    recipe = None if config is None else load_config(config)
    gate, refine = (GateConfig(), RefineConfig()) if recipe is None else (recipe.gate, recipe.refine)
    measured = measure_pairs(
        found.pairs,
        window_s=gate.window_s if window_s is None else window_s,
        shift_s=refine.max_shift_s if window_s is None else window_s,
        collar_s=gate.der_collar_s,
    )
    figures = measured.figures(thresholds_of(gate))
    if plot is not None:
        write_text_atomic(plot, headroom_page(figures, thresholds_of(gate)))
        tell(f"written: {one_line(plot)}")
    print_json(figures) if json else print_lines(headroom_lines(figures))
