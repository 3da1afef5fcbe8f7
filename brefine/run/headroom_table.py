"""The headroom on one screen: what moving boundaries can win, what it leaves, and which criteria of the gate are within reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from brefine.core.figures import counted, percent, rounded
from brefine.run.tables import align

_BAR_CELLS: Final = 40
PARTS: Final = (("matched", "boundary"), ("missed", "missed"), ("false alarm", "false_alarm"), ("confusion", "confusion"))
"""The parts of the DER: name, and key in `Headroom.figures`."""
_REACH: Final = {"within": "within reach", "out": "OUT OF REACH", "unknown": "CANNOT BE JUDGED"}


def headroom_lines(figures: Mapping[str, Any]) -> list[str]:
    """The lines of a screen for `Headroom.figures`."""
    return [*_head(figures), "", *_movement(figures), "", *_bars(figures), "", *_rest(figures), "", *_criteria(figures)]


def _head(figures: Mapping[str, Any]) -> Iterator[str]:
    boundary = figures["boundary"]
    yield (
        f"{counted(figures['recordings'], 'recording', 'recordings')}: DER {percent(figures['der'], 2)} at collar 0; "
        f"the matched boundaries put where the reference has them give {percent(figures['oracle_der'], 2)}, "
        f"{percent(figures['relative'])} better{_certainty(figures['interval'])}"
    )
    (any_end,) = (item for item in figures["movement"] if item["collar_s"] == 0.0)
    yield (
        f"any end moved by up to {any_end['shift_s']:g} s can give {percent(any_end['der'], 2)}, "
        f"{percent(any_end['relative'])} better{_certainty(any_end['interval'])}, and nothing below "
        f"{percent(any_end['least_der'], 2)}, {percent(any_end['most_relative'])} better"
    )
    if boundary["mae_ms"] is not None:
        yield (
            f"boundaries matched within W = {boundary['window_s']:g} s: recall {percent(boundary['recall'])}, precision "
            f"{percent(boundary['precision'])}, MAE {boundary['mae_ms']:.0f} ms, median {boundary['median_ms']:.0f} ms"
        )


def _certainty(interval: Sequence[float] | None) -> str:
    return " [n/a]" if interval is None else f" [{percent(interval[0])}, {percent(interval[1])}]"


def _movement(figures: Mapping[str, Any]) -> list[str]:
    collars = sorted({item["collar_s"] for item in figures["at"]})
    at = {(item["reduction"], item["collar_s"]): item for item in figures["at"]}
    header = ["matched errors reduced by", *(f"DER (change), collar ±{collar:g} s" for collar in collars)]
    rows = [tuple(header)]
    for reduction in sorted({item["reduction"] for item in figures["at"]}):
        name = "nothing" if reduction == 0 else "perfectly" if reduction == 1 else f"{100 * reduction:.0f} %"
        rows.append((name, *(_change(at[reduction, collar]) for collar in collars)))
    movement = sorted(figures["movement"], key=lambda item: item["collar_s"])
    rows.append(("any end moved can give", *(_change(item) for item in movement)))
    bounds = [{"der": item["least_der"], "relative": item["most_relative"]} for item in movement]
    rows.append(("nothing below", *(_change(item) for item in bounds)))
    return align(rows)


def _bars(figures: Mapping[str, Any]) -> Iterator[str]:
    """The parts of the DER at collar 0, to scale: what moving the matched boundaries takes away, and what it leaves."""
    (split,) = (item for item in figures["parts"] if item["collar_s"] == 0.0)
    total = figures["der"] or 1.0
    yield "the DER at collar 0 consists of errors at matched boundaries, and others"
    for name, key in PARTS:
        cells = round(_BAR_CELLS * max(0.0, split[key]) / total)
        yield f"  {name:<12}{percent(split[key], 2):>8}  {'█' * cells}"


def _rest(figures: Mapping[str, Any]) -> list[str]:
    words = {
        "move": "moving matched boundaries",
        "move+add": "moving, and adding the missed turns",
        "move+drop": "moving, and dropping the false turns",
        "move+add+drop": "all three",
    }
    collars = sorted({item["collar_s"] for item in figures["operations"]})
    at = {(item["operation"], item["collar_s"]): item for item in figures["operations"]}
    rows = [("done perfectly", *(f"DER (change), collar ±{collar:g} s" for collar in collars))]
    rows += [(words[name], *(_change(at[name, collar]) for collar in collars)) for name in words]
    return align(rows)


def _criteria(figures: Mapping[str, Any]) -> Iterator[str]:
    yield "gate 4, for a refiner that moves boundaries"
    for item in figures["criteria"]:
        yield f"  {_REACH[item['reach']]:<18}{item['id']}: {item['why']}"


def _change(item: Mapping[str, Any]) -> str:
    relative = f" ({rounded(-100 * item['relative'], 1):+.1f} %)" if item["relative"] else ""
    return f"{percent(item['der'], 2)}{relative}"
