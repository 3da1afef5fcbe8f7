"""Seconds ⇄ samples ⇄ frames: one function owns each conversion.

Conventions: sample n is taken at n / rate. Frame f covers `[f·hop, (f + 1)·hop)` seconds; its analysis window is centred on the
middle of that span.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameGrid:
    """The frames of audio at one rate and hop.

    Raises:
        ValueError: the rate is not positive, or the hop is not a whole number of samples.
    """

    sample_rate_hz: int
    hop_s: float

    def __post_init__(self) -> None:
        hop_samples = self.hop_s * self.sample_rate_hz
        if self.sample_rate_hz <= 0 or round(hop_samples) < 1 or abs(hop_samples - round(hop_samples)) > 1e-6:
            raise ValueError(f"a hop of {self.hop_s} s is not a whole number of samples at {self.sample_rate_hz} Hz")

    @property
    def hop_samples(self) -> int:
        return round(self.hop_s * self.sample_rate_hz)

    def samples_of(self, time_s: float) -> int:
        """The sample nearest to a time."""
        return round(time_s * self.sample_rate_hz)

    def time_s_of(self, sample: int) -> float:
        return sample / self.sample_rate_hz

    def n_frames(self, n_samples: int) -> int:
        """Whole frames in so many samples."""
        return n_samples // self.hop_samples

    def frame_of(self, time_s: float) -> int:
        """The frame that covers a time; a time that is a frame's start up to rounding belongs to that frame."""
        return math.floor(time_s / self.hop_s + 1e-6)

    def onset_s_of(self, frame: int) -> float:
        """Where a frame starts."""
        return self.time_s_of(frame * self.hop_samples)

    def centre_s_of(self, frame: int) -> float:
        """The middle of a frame, and of its analysis window."""
        return self.time_s_of(frame * self.hop_samples) + 0.5 * self.hop_s
