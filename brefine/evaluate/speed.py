"""How fast a refiner is: boundaries a second, and seconds per hour of audio, on the device it runs on.

Time in which other programs had the cores is not counted, since models that are evaluated at different times are compared by
these figures. Waiting for a thread of the same program whose core is taken still slows them, and so do other programs on the same
GPU.
"""

from __future__ import annotations

from pathlib import Path

from brefine.evaluate.device import device_name
from brefine.evaluate.refine import frames_of
from brefine.io.schedstat import own_s
from brefine.models.weights import Refiner
from brefine.phasedir import Speed


class Stopwatch:
    """Adds up the thread's own time inside its context: `with stopwatch: …`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started_s = 0.0

    def __enter__(self) -> Stopwatch:
        self._started_s = own_s()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += own_s() - self._started_s


def speed_of(refiner: Refiner, *, refining_s: float, n_boundaries: int, audio_s: float, sample: Path) -> Speed:
    """Figures from a refinement that was timed on stored frames; reading and analysing audio is timed on a sample and added.

    Args:
        refining_s: how long refining `n_boundaries` in `audio_s` of audio took.
        sample: one of the audio files. It is analysed once untimed, since the first time loads detectors.
    """
    frames_of(sample, refiner.features)
    started_s = own_s()
    _, sample_s = frames_of(sample, refiner.features)
    analysis_per_s = (own_s() - started_s) / sample_s
    return Speed(
        device=device_name(refiner.device),
        boundaries_per_s=n_boundaries / refining_s if refining_s > 0.0 else 0.0,
        seconds_per_audio_hour=3600.0 * (analysis_per_s + refining_s / audio_s) if audio_s > 0.0 else 0.0,
    )
