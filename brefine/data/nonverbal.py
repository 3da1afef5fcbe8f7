"""Sounds of people that are not words: breath, laughter, coughs, lips, air on the microphone, knocks; made from random numbers.

Recordings of real conversations are full of them, mostly just before somebody starts to speak and just after he has stopped,
and no label marks them. A refiner that has never heard one takes its edge for the turn's. A sound here need not fool a listener;
it must have the right place, length, level and rough spectrum.

Sources: Bachorowski et al. 2001, "The acoustic features of human laughter" (about five bursts a second, voiced ones of 150–500
Hz, falling); Włodarczak and Heldner 2017, "Respiratory constraints in verbal and non-verbal communication" (breath in before
turns).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from brefine.data.acoustics import SAMPLE_RATE_HZ, Samples

SOUNDS = ("breath", "laugh", "cough", "lips", "air", "knock")
BEFORE_SPEECH = ("breath", "lips", "air")
"""Sounds that come before somebody starts, rather than after he has stopped."""
LEVELS_DB = {
    "breath": (-30.0, -6.0),
    "laugh": (-15.0, 2.0),
    "cough": (-12.0, 3.0),
    "lips": (-24.0, -2.0),
    "air": (-16.0, 5.0),
    "knock": (-20.0, 5.0),
}
"""How loud each is against speech. On a headset, air and knocks can be louder than words."""


def draw_sound(kind: str, *, rng: np.random.Generator) -> Samples:
    """One sound of a kind in `SOUNDS` with an RMS of 1, silent at both ends; shape (n_samples,)."""
    draw = {"breath": _breath, "laugh": _laugh, "cough": _cough, "lips": _lips, "air": _air, "knock": _knock}[kind]
    sound = draw(rng)
    return np.asarray(sound / max(float(np.sqrt(np.mean(np.square(sound)))), 1e-12), np.float32)


def _breath(rng: np.random.Generator) -> NDArray[np.float64]:
    n_samples = int(rng.uniform(0.15, 0.7) * SAMPLE_RATE_HZ)
    return _band(rng.standard_normal(n_samples), rng.uniform(250.0, 900.0), rng.uniform(2500.0, 6500.0)) * _swell(
        n_samples, rng.uniform(0.3, 0.8)
    )


def _laugh(rng: np.random.Generator) -> NDArray[np.float64]:
    n_bursts, period_s = int(rng.integers(2, 10)), rng.uniform(0.15, 0.26)
    pitch_hz, voiced = rng.uniform(140.0, 480.0), rng.uniform(0.2, 1.0)
    laugh = np.zeros(int((n_bursts * period_s + 0.3) * SAMPLE_RATE_HZ))
    low_hz = rng.uniform(400.0, 900.0)
    for index in range(n_bursts):
        n_samples = int(period_s * rng.uniform(0.4, 0.8) * SAMPLE_RATE_HZ)
        phase = 2.0 * np.pi * np.cumsum(pitch_hz * np.linspace(1.05, 0.9, n_samples)) / SAMPLE_RATE_HZ
        tone = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 9))
        burst = voiced * tone + rng.uniform(0.2, 0.8) * rng.standard_normal(n_samples)
        burst = _band(burst, low_hz * 0.4, low_hz * 4.0) * _swell(n_samples, 0.3)
        start = int(index * period_s * SAMPLE_RATE_HZ)
        laugh[start : start + n_samples] += burst * 0.92**index
        pitch_hz *= rng.uniform(0.93, 1.02)
    return laugh


def _cough(rng: np.random.Generator) -> NDArray[np.float64]:
    pieces = []
    for _ in range(int(rng.integers(1, 4))):
        n_samples = int(rng.uniform(0.1, 0.35) * SAMPLE_RATE_HZ)
        burst = _band(rng.standard_normal(n_samples), rng.uniform(150.0, 500.0), rng.uniform(2000.0, 5000.0))
        times = np.arange(n_samples) / n_samples
        pieces += [burst * np.minimum(times / 0.03, 1.0) * np.exp(-4.0 * times) * (1.0 - times)]
        pieces += [np.zeros(int(rng.uniform(0.05, 0.3) * SAMPLE_RATE_HZ))]
    return np.concatenate(pieces)


def _lips(rng: np.random.Generator) -> NDArray[np.float64]:
    n_samples = int(rng.uniform(0.008, 0.03) * SAMPLE_RATE_HZ)
    return _band(rng.standard_normal(n_samples), rng.uniform(800.0, 2000.0), rng.uniform(4000.0, 7000.0)) * _swell(n_samples, 0.2)


def _air(rng: np.random.Generator) -> NDArray[np.float64]:
    """Breath that hits the microphone: rumble, and noise up to high frequencies, with a sudden start."""
    n_samples = int(rng.uniform(0.06, 0.45) * SAMPLE_RATE_HZ)
    rumble = _band(rng.standard_normal(n_samples), 30.0, rng.uniform(120.0, 400.0))
    hiss = _band(rng.standard_normal(n_samples), rng.uniform(200.0, 800.0), rng.uniform(2500.0, 7500.0))
    return (rng.uniform(0.2, 2.0) * rumble + rng.uniform(0.2, 1.0) * hiss) * _swell(n_samples, rng.uniform(0.05, 0.5))


def _knock(rng: np.random.Generator) -> NDArray[np.float64]:
    """A pen, a key, a hand on the table or at the headset: one to four short blows, dull or sharp."""
    knock = np.zeros(int(0.8 * SAMPLE_RATE_HZ))
    low_hz = np.exp(rng.uniform(np.log(50.0), np.log(2000.0)))
    decay_s = rng.uniform(0.003, 0.03)
    start = 0
    for _ in range(int(rng.integers(1, 5))):
        n_samples = int(min(6.0 * decay_s, 0.15) * SAMPLE_RATE_HZ)
        blow = _band(rng.standard_normal(n_samples), low_hz, min(low_hz * rng.uniform(3.0, 20.0), 7500.0))
        times = np.arange(n_samples) / n_samples
        knock[start : start + n_samples] += blow * np.minimum(times / 0.03, 1.0) * np.exp(-6.0 * times) * (1.0 - times)
        end = start + n_samples
        start += int(rng.uniform(0.08, 0.2) * SAMPLE_RATE_HZ)
    return knock[:end]


def _swell(n_samples: int, peak: float) -> NDArray[np.float64]:
    """Rises from silence to 1 at a fraction of the length, and falls back to silence."""
    position = (np.arange(n_samples) + 0.5) / n_samples
    return np.asarray(np.sin(0.5 * np.pi * np.minimum(position / peak, (1.0 - position) / (1.0 - peak))) ** 2)


def _band(samples: NDArray[np.float64], low_hz: float, high_hz: float) -> NDArray[np.float64]:
    from scipy.signal import butter, sosfilt  # takes a second to import: not before it is needed

    return np.asarray(sosfilt(butter(2, [low_hz, high_hz], "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), samples))
