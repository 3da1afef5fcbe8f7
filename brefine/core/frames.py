"""Seconds, samples, frames: one function owns each conversion.

Conventions: sample n is taken at n / rate. Frame f covers `[f·hop, (f + 1)·hop)` seconds; its analysis window is centred on the
middle of that span. The frame at which a turn becomes active is `data.evidence.edge_frame`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameGrid:
    """The frames of audio at one rate and hop.

    Raises:
        ValueError: the rate is not positive, or the hop is not a whole number of samples: frames would drift away from their
            seconds.
    """

    sample_rate_hz: int
    hop_s: float

    def __post_init__(self) -> None:
        hop_samples = self.hop_s * self.sample_rate_hz
        if self.sample_rate_hz <= 0 or round(hop_samples) < 1 or abs(hop_samples - round(hop_samples)) > 1e-6:
            raise ValueError(f"a hop of {self.hop_s} s is not a whole number of samples at {self.sample_rate_hz} Hz")

    @property
    def hop_samples(self) -> int:
        return self.samples_of(self.hop_s)

    def samples_of(self, time_s: float) -> int:
        """The sample nearest to a time."""
        return round(time_s * self.sample_rate_hz)

    def n_frames(self, n_samples: int) -> int:
        """Whole frames in so many samples."""
        return n_samples // self.hop_samples


def n_window_frames(context_s: float, hop_s: float) -> int:
    """Frames of a window with `context_s` on each side; even, so that the hypothesis lies between two frames."""
    return 2 * round(context_s / hop_s)
