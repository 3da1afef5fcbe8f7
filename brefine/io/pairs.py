"""Reference and hypothesis of the same recordings, from two RTTM files or two folders of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from brefine.core.turns import Diarization, Regions
from brefine.errors import DataError
from brefine.io.rttm import Tell, read_diarizations, say_nothing
from brefine.io.uem import read_uem


@dataclass(frozen=True, slots=True)
class Pair:
    """One recording to score. `regions_s` is None if no UEM says what is scored; then everything is."""

    recording: str
    reference: Diarization
    hypothesis: Diarization
    regions_s: Regions | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """All recordings to score, by name, and the names of those that only the hypothesis has."""

    pairs: tuple[Pair, ...]
    unreferenced: tuple[str, ...]


def read_pairs(reference: Path, hypothesis: Path, uem: Path | None = None, *, tell: Tell = say_nothing) -> Pairs:
    """Reads the pairs; two single-recording files are a pair even when their recording names differ.

    Args:
        tell: as in `read_rttm`.

    Raises:
        FormatError: an RTTM or the UEM has faults.
        DataError: a reference recording has no hypothesis, or there are no recordings; a recording is missing in the UEM.
    """
    references, hypotheses = read_diarizations(reference, tell=tell), read_diarizations(hypothesis, tell=tell)
    regions = None if uem is None else read_uem(uem)
    if not reference.is_dir() and not any(one.turns for one in references.values()):
        raise DataError("there are no turns", where=reference, expected="SPEAKER lines")
    if len(references) == len(hypotheses) == 1 and not (reference.is_dir() or hypothesis.is_dir()):
        (name,) = references
        (only,) = hypotheses.values()
        hypotheses = {name: Diarization(name, only.turns)}
    problems = [f"{name}: no hypothesis in {hypothesis}" for name in sorted(references.keys() - hypotheses.keys())]
    if regions is not None:
        problems += [f"{name}: no regions in {uem}" for name in sorted(references.keys() - regions.keys())]
    if problems:
        raise DataError(
            "recordings cannot be scored",
            where=reference,
            problems=problems,
            hint="a recording in which the diarizer heard nobody needs an empty RTTM file of its name",
        )
    pairs = tuple(
        Pair(name, references[name], hypotheses[name], None if regions is None else regions[name]) for name in sorted(references)
    )
    return Pairs(pairs, tuple(sorted(hypotheses.keys() - references.keys())))
