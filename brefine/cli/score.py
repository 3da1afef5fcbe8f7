"""`brefine score`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from brefine.cli.options import Hypothesis, Json, Reference, Uem, finite
from brefine.cli.output import print_json, print_lines
from brefine.core.figures import counted, milliseconds, percent
from brefine.core.scorecard import Scorecard
from brefine.errors import tell
from brefine.io.pairs import read_pairs
from brefine.run.tables import align


def score(
    reference: Reference,
    hypothesis: Hypothesis,
    uem: Uem = None,
    collar_s: Annotated[
        float, typer.Option(min=0.0, callback=finite, help="No-score zone on EACH side of a reference boundary.")
    ] = 0.0,
    window_s: Annotated[float, typer.Option(min=0.001, callback=finite, help="Cap W of the boundary matching.")] = 1.0,
    per_recording: Annotated[bool, typer.Option("--per-recording", help="Each recording as well.")] = False,
    json: Json = False,
) -> None:
    """Example: brefine score --reference ref/ --hypothesis hyp/ --collar-s 0.25

    DER, JER and boundary errors. Overlapped speech is scored. A collar of 0.25 here is md-eval's and dscore's 0.25, and 0.5 in
    pyannote.metrics. All boundaries count. Those that were made by the cut of a recording, as far as a UEM says where it ends,
    have a row of their own (edge); evaluate, integrate and the gate leave them out.
    """
    found = read_pairs(reference, hypothesis, uem, tell=tell)
    if found.unreferenced:
        tell(f"not scored, since there is no reference: {', '.join(found.unreferenced)}")
    cards = {
        pair.recording: Scorecard.of(
            pair.reference, pair.hypothesis, regions_s=pair.regions_s, collar_s=collar_s, window_s=window_s
        )
        for pair in found.pairs
    }
    total = Scorecard.joined(cards.values())
    if json:
        single = {"per_recording": {name: card.figures() for name, card in cards.items()}} if per_recording else {}
        print_json(total.figures() | single)
    else:
        print_lines(_lines(total.figures()))
        if per_recording:
            print_lines(["", *_table(cards)])


def _lines(figures: dict[str, Any]) -> Iterator[str]:
    boundary = figures["boundary"]
    total_s = figures["reference_speech_s"]
    parts = ", ".join(
        f"{name} {percent(figures[key] / total_s if total_s else None, 2)}"
        for name, key in (("missed", "missed_s"), ("false alarm", "false_alarm_s"), ("confusion", "confusion_s"))
    )
    amount = f"{total_s / 3600:.2f} h" if total_s >= 3600.0 else f"{total_s / 60:.1f} min"
    yield f"{counted(figures['recordings'], 'recording', 'recordings')}, {amount} of reference speech"
    yield f"DER  {percent(figures['der'], 2)} at collar ±{figures['collar_s']:g} s, overlap scored ({parts})"
    yield f"JER  {percent(figures['jer'], 2)}"
    yield f"boundaries, matched one-to-one within W = {boundary['window_s']:g} s:"
    header = (
        "",
        "matched",
        "recall",
        "precision",
        "MAE",
        "median",
        "p90",
        "bias",
        "≤ 50 ms",
        "≤ 100 ms",
        "≤ 200 ms",
        "capped mean",
    )
    rows = {"all": boundary, **boundary["by_side"], **boundary["by_kind"]}
    yield from align([header, *(_row(name, row) for name, row in rows.items())])
    old_ms = figures["uncapped_pairing"]["mae_ms"]
    yield f"old uncapped pairing of turns: {milliseconds(old_ms)} (for comparing old notes; nothing is judged by it)"
    yield "capped mean: over all reference boundaries, an unmatched one counts W. Kinds are the reference's."
    yield "edge: made by the cut of the recording; counted here, and left out by evaluate, integrate and the gate."


def _row(name: str, figures: dict[str, Any]) -> tuple[str, ...]:
    rates = [percent(figures[key]) for key in ("recall", "precision")]
    errors = [milliseconds(figures[key]) for key in ("mae_ms", "median_ms", "p90_ms", "bias_ms")]
    within = [percent(figures[f"within_{limit}ms"]) for limit in (50, 100, 200)]
    return (name, f"{figures['n_matched']:,}", *rates, *errors, *within, milliseconds(figures["capped_mean_ms"]))


def _table(cards: dict[str, Scorecard]) -> list[str]:
    rows = [("recording", "DER", "JER", "MAE", "recall")]
    for name, card in cards.items():
        figures = card.figures()
        boundary = figures["boundary"]
        mae, recall = milliseconds(boundary["mae_ms"]), percent(boundary["recall"])
        rows.append((name, percent(figures["der"], 2), percent(figures["jer"], 2), mae, recall))
    return align(rows)
