"""One page on a prepared corpus: how much there is, what its boundaries are like, and what its hypotheses get wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brefine.core.boundary_error import BoundaryErrors
from brefine.core.der import COLLARS_S, DerParts, score_der
from brefine.core.headroom import oracle_refine
from brefine.core.matching import WINDOWS_S, match_boundaries
from brefine.phasedir import SPLITS, CorpusManifest, CorpusRecording


def summarise(folder: Path, manifest: CorpusManifest, *, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Counts, hours, kinds of boundaries and the hypotheses' errors, split by split.

    Boundaries are counted and matched as they are scored: if a UEM limits a recording, those outside do not count. Boundary
    errors are given at W = 1 s, their MAE and recall also at the other `WINDOWS_S`. DER is given at collar 0 and ±0.25 s, also
    with the boundaries that are matched at W = 1 s put where the reference has them, which is a part of the headroom.

    Args:
        notes: remarks on audio and labels, for a person.
    """
    return {
        "schema": 1,
        "title": manifest.title,
        "evidence": manifest.evidence,
        "hypothesis_source": manifest.hypothesis_source,
        "splits": {split: _summarise_split(folder, manifest.splits[split]) for split in SPLITS},
        "notes": list(notes),
        "disk_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    }


def _summarise_split(folder: Path, recordings: Sequence[CorpusRecording]) -> dict[str, Any]:
    kinds: Counter[str] = Counter()
    sides: Counter[str] = Counter()
    n_turns, speech_s = 0, 0.0
    errors: dict[float, BoundaryErrors] = {}
    ders: dict[float, DerParts] = {}
    oracle_ders: dict[float, DerParts] = {}
    for recording in recordings:
        reference, hypothesis = recording.turns(folder)
        turns = reference.unioned().turns
        n_turns += len(turns)
        speech_s += sum(turn.duration_s for turn in turns)
        matches = [
            match_boundaries(reference, hypothesis, window_s=window_s, regions_s=recording.regions_s) for window_s in WINDOWS_S
        ]
        kinds.update(boundary.kind.value for boundary in matches[0].reference)
        sides.update(boundary.side.value for boundary in matches[0].reference)
        for window_s, match in zip(WINDOWS_S, matches, strict=True):
            found = BoundaryErrors.of(match)
            errors[window_s] = errors[window_s] + found if window_s in errors else found
        oracle = oracle_refine(reference, hypothesis)
        for turns_of, totals in ((hypothesis, ders), (oracle, oracle_ders)):
            for collar_s in COLLARS_S:
                parts = score_der(reference, turns_of, regions_s=recording.regions_s, collar_s=collar_s)
                totals[collar_s] = totals.get(collar_s, DerParts()) + parts
    figures = {window_s: found.figures() for window_s, found in errors.items()}
    return {
        "recordings": len(recordings),
        "simulated": sum(recording.simulated for recording in recordings),
        "hours": round(sum(recording.duration_s for recording in recordings) / 3600.0, 3),
        "speech_hours": round(speech_s / 3600.0, 3),
        "speakers": len({speaker for recording in recordings for speaker in recording.speakers}),
        "turns": n_turns,
        "boundaries": sum(kinds.values()),
        "by_kind": dict(sorted(kinds.items())),
        "by_side": dict(sorted(sides.items())),
        "boundary": figures.get(1.0),
        "at_windows": [
            {"window_s": window_s, "mae_ms": one["mae_ms"], "recall": one["recall"]} for window_s, one in figures.items()
        ],
        "der": [
            {"collar_s": collar_s, "der": parts.der, "oracle_der": oracle_ders[collar_s].der} for collar_s, parts in ders.items()
        ],
    }


def format_summary(summary: dict[str, Any]) -> str:
    """The summary as a page for a terminal."""
    lines = [f"{summary['title']} ({summary['evidence']}); hypotheses: {summary['hypothesis_source']}", ""]
    lines.append(f"{'split':<12}{'recordings':>11}{'hours':>8}{'speakers':>10}{'turns':>8}{'boundaries':>12}   by kind")
    for split, one in summary["splits"].items():
        kinds = ", ".join(f"{kind} {count}" for kind, count in one["by_kind"].items())
        lines.append(
            f"{split:<12}{one['recordings']:>11}{one['hours']:>8.2f}{one['speakers']:>10}{one['turns']:>8}"
            f"{one['boundaries']:>12}   {kinds}" + (f" ({one['simulated']} recordings simulated)" if one["simulated"] else "")
        )
    lines += ["", "Errors of the hypotheses (matched one-to-one within W = 1 s; DER at collar 0 / ±0.25 s)"]
    columns = f"{'recall':>11}{'precision':>11}{'MAE ms':>9}{'median':>8}{'p90':>7}{'bias':>7}{'<100 ms':>9}"
    lines.append(f"{'split':<12}{columns}   DER %           DER % with matched boundaries put right")
    for split, one in summary["splits"].items():
        found = one["boundary"]
        if found is None:
            continue
        ders = " / ".join(f"{100 * part['der']:.2f}" for part in one["der"])
        oracle = " / ".join(f"{100 * part['oracle_der']:.2f}" for part in one["der"])
        lines.append(
            f"{split:<12}{_number(found['recall'], 3):>11}{_number(found['precision'], 3):>11}{_number(found['mae_ms'], 0):>9}"
            f"{_number(found['median_ms'], 0):>8}{_number(found['p90_ms'], 0):>7}{_number(found['bias_ms'], 0):>7}"
            f"{_number(found['within_100ms'], 2):>9}   {ders:<16}{oracle}"
        )
    if summary["notes"]:
        lines += ["", f"To know ({len(summary['notes'])}):", *(f"  {note}" for note in summary["notes"])]
    lines += ["", f"{summary['disk_bytes'] / 1e6:,.0f} MB on disk"]
    return "\n".join(lines)


def _number(value: float | None, n_decimals: int) -> str:
    return "–" if value is None else f"{value:.{n_decimals}f}"
