"""The boundaries that refinement helped and harmed most, each with the sound around it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brefine.core.spectrogram import spectrogram_db
from brefine.errors import BrefineError
from brefine.io.audio import read_audio
from brefine.io.png import format_png
from brefine.phasedir import CORPUS_FILE, BoundaryRow, CorpusManifest
from brefine.run.boundary_book import read_rows

N_SHOWN: Final = 10
_RATE_HZ: Final = 16000
_MARGIN_S: Final = 0.45
_RANGE_DB: Final = 70.0
_ROWS: Final = 96


@dataclass(frozen=True, slots=True)
class BoundaryPicture:
    """One boundary; `image` is the body of a PNG data URL, or None if the audio no longer exists."""

    row: BoundaryRow
    start_s: float
    end_s: float
    image: str | None


def read_boundaries(path: Path) -> list[BoundaryRow]:
    """The rows of `<split>.boundaries.csv` that are judged, without ends made by the cut of a recording; none if there is no
    such file or if it is of another version.
    """
    try:
        return [row for row in read_rows(path) if row.kind != "edge"]
    except BrefineError:
        return []


def extremes(rows: list[BoundaryRow], n: int = N_SHOWN) -> tuple[list[BoundaryRow], list[BoundaryRow]]:
    """The n rows whose absolute error fell most, and the n rows whose rose most; unchanged ones are in neither list."""
    change = sorted(rows, key=_change_s)
    return [row for row in change[:n] if _change_s(row) < 0.0], [row for row in change[::-1][:n] if _change_s(row) > 0.0]


def audio_of(corpus: Path) -> dict[str, Path]:
    """Recording → its audio file, for a prepared corpus; empty if that no longer exists."""
    manifest = CorpusManifest.read_if_sound(corpus / CORPUS_FILE)
    return {} if manifest is None else {one.name: corpus / one.audio for part in manifest.splits.values() for one in part}


def picture(row: BoundaryRow, audio: Mapping[str, Path]) -> BoundaryPicture:
    """The boundary with the spectrogram around its three places: reference, hypothesis and refined.

    Args:
        audio: recording → its file.
    """
    places_s = (row.reference_s, row.hypothesis_s, row.refined_s)
    start_s, end_s = max(0.0, min(places_s) - _MARGIN_S), max(places_s) + _MARGIN_S
    try:
        samples = read_audio(audio[row.recording], sample_rate_hz=_RATE_HZ)
    except (BrefineError, OSError, KeyError):
        return BoundaryPicture(row, start_s, end_s, None)
    end_s = min(end_s, len(samples) / _RATE_HZ)
    own = samples[round(start_s * _RATE_HZ) : round(end_s * _RATE_HZ)]
    if len(own) < _RATE_HZ // 10:
        return BoundaryPicture(row, start_s, end_s, None)
    image = base64.b64encode(format_png(_pixels(spectrogram_db(own, sample_rate_hz=_RATE_HZ)))).decode("ascii")
    return BoundaryPicture(row, start_s, end_s, image)


def _pixels(level_db: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Pixels of the spectrogram: dark is loud, low frequencies at the bottom; few rows, by their maxima, so files stay small."""
    edges = np.linspace(0, len(level_db), _ROWS + 1).round().astype(int)
    rows = np.stack([level_db[a:b].max(axis=0) for a, b in pairwise(edges.tolist()) if b > a])
    share = np.clip(1.0 + rows[::-1] / _RANGE_DB, 0.0, 1.0)
    return np.asarray(np.round(255.0 * (1.0 - share**1.3)), np.uint8)


def _change_s(row: BoundaryRow) -> float:
    return abs(row.error_after_s) - abs(row.error_before_s)
