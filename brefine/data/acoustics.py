"""What lies between a mouth and a recording: rooms, noise, music, the telephone band, codecs; all made from random numbers."""

from __future__ import annotations

import io

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfftfreq

Samples = NDArray[np.float32]

SAMPLE_RATE_HZ = 16000
"""Sampling rate of everything that conversations are made of."""
SPEED_OF_SOUND_M_S = 343.0
CODECS = ("opus", "vorbis", "mp3", "gsm")
NOISES = ("white", "pink", "brown", "hum", "fan", "hall", "bursts")


def happens(probability: float, rng: np.random.Generator) -> bool:
    """Draws no random number if the probability is 0, so that conversations of recipes without the effect stay the same."""
    return probability > 0.0 and bool(rng.random() < probability)


def rms(samples: Samples) -> float:
    """Root mean square; 0.0 without samples."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


def draw_room(rng: np.random.Generator, *, n_positions: int) -> list[Samples]:
    """Impulse responses of one room from several mouths to one microphone, direct sound at sample 0.

    A shoebox of random size gives the first- and second-order image sources as early reflections, each weaker by its path and
    by the walls' absorption; Gaussian noise under an exponential decay (RT60 0.15–0.6 s) is the late reverberation.

    Source: Allen & Berkley, "Image method for efficiently simulating small-room acoustics", JASA 65 (1979).
    """
    size_m = rng.uniform([3.0, 2.5, 2.3], [9.0, 7.0, 3.5])
    microphone_m = rng.uniform(0.2, 0.8, 3) * size_m
    rt60_s = rng.uniform(0.15, 0.6)
    reflection = float(rng.uniform(0.4, 0.85))
    return [
        _impulse_response(rng, size_m, microphone_m, rng.uniform(0.1, 0.9, 3) * size_m, reflection, rt60_s)
        for _ in range(n_positions)
    ]


def _impulse_response(
    rng: np.random.Generator,
    size_m: NDArray[np.float64],
    microphone_m: NDArray[np.float64],
    mouth_m: NDArray[np.float64],
    reflection: float,
    rt60_s: float,
) -> Samples:
    direct_m = max(0.3, float(np.linalg.norm(mouth_m - microphone_m)))
    n_samples = int(rt60_s * SAMPLE_RATE_HZ)
    response = np.zeros(n_samples)
    orders = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T
    for mirrored in (np.array(bits) for bits in np.ndindex(2, 2, 2)):
        images_m = 2 * orders * size_m + np.where(mirrored, -mouth_m, mouth_m)
        paths_m = np.linalg.norm(images_m - microphone_m, axis=1)
        n_walls = np.abs(2 * orders - mirrored).sum(axis=1)
        arrivals = np.round((paths_m - direct_m) / SPEED_OF_SOUND_M_S * SAMPLE_RATE_HZ).astype(int)
        early = (n_walls > 0) & (n_walls <= 2) & (arrivals > 0) & (arrivals < n_samples)
        np.add.at(response, arrivals[early], direct_m / paths_m[early] * reflection ** n_walls[early])
    response *= min(1.0, 0.8 / max(float(response.max()), 1e-9))  # reflections that coincide must not outdo the direct sound
    times_s = np.arange(n_samples) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(n_samples) * 10.0 ** (-3.0 * times_s / rt60_s)
    tail *= 1.0 - np.exp(-times_s / 0.015)  # diffuse sound builds up while the early reflections pass
    direct_to_late_db = rng.uniform(3.0, 18.0)
    response += tail * 10.0 ** (-direct_to_late_db / 20.0) / np.sqrt(np.sum(tail**2))
    response[0] = 1.0
    return response.astype(np.float32)


def reverberate(samples: Samples, response: Samples) -> Samples:
    """The samples as heard in the room; the same length, the direct sound in its place."""
    from scipy.signal import oaconvolve  # takes a second to import: not before it is needed, and so below

    return np.asarray(oaconvolve(samples, response)[: len(samples)], np.float32)


def draw_noise(kind: str, n_samples: int, *, rng: np.random.Generator) -> Samples:
    """Background noise of a kind in `NOISES` with an RMS of 1, continuous over the whole recording."""
    if kind == "bursts":
        noise = _coloured(rng, n_samples, slope_db_per_octave=-4.5) + _bursts(rng, n_samples)
    elif kind == "hum":
        times_s = np.arange(n_samples, dtype=np.float32) / SAMPLE_RATE_HZ
        mains_hz = float(rng.choice([50.0, 60.0]))
        hum = sum(
            rng.uniform(0.2, 1.0) / harmonic * np.sin(2 * np.pi * mains_hz * harmonic * times_s + rng.uniform(0, 2 * np.pi))
            for harmonic in range(1, 9)
        )
        noise = _coloured(rng, n_samples, slope_db_per_octave=-3.0) + hum
    else:
        slope = {"white": 0.0, "pink": -3.0, "brown": -6.0, "fan": -4.5, "hall": -3.0}[kind] + rng.uniform(-0.75, 0.75)
        noise = _coloured(rng, n_samples, slope_db_per_octave=slope)
        if kind == "fan":
            times_s = np.arange(n_samples) / SAMPLE_RATE_HZ
            noise = noise * (1.0 + 0.3 * np.sin(2 * np.pi * rng.uniform(1.0, 12.0) * times_s))
        if kind == "hall":  # people, doors, traffic: the level wanders over seconds
            n_knots = max(2, n_samples // SAMPLE_RATE_HZ)
            wander_db = np.interp(np.linspace(0, 1, n_samples), np.linspace(0, 1, n_knots), rng.normal(0.0, 4.0, n_knots))
            noise = noise * 10.0 ** (wander_db / 20.0)
    return (noise / max(rms(noise), 1e-12)).astype(np.float32)


def _coloured(rng: np.random.Generator, n_samples: int, *, slope_db_per_octave: float) -> Samples:
    n_fast = next_fast_len(n_samples, real=True)
    frequencies_hz = rfftfreq(n_fast, 1.0 / SAMPLE_RATE_HZ).astype(np.float32)
    gain = np.maximum(frequencies_hz, 40.0) ** (slope_db_per_octave / (20.0 * np.log10(2.0)))
    # Random phases under a Rayleigh amplitude are the spectrum of Gaussian noise.
    spectrum = rng.standard_normal((2, len(gain)), dtype=np.float32)
    noise = irfft((spectrum[0] + 1j * spectrum[1]) * gain.astype(np.float32), n_fast)[:n_samples]
    return np.asarray(noise / rms(noise), np.float32)


def _bursts(rng: np.random.Generator, n_samples: int) -> Samples:
    """Keys, cups and steps: short decaying bands of noise at random moments."""
    from scipy.signal import butter, sosfilt

    noise = np.zeros(n_samples, dtype=np.float32)
    for start in rng.integers(0, n_samples, size=rng.poisson(n_samples / SAMPLE_RATE_HZ * 0.7)):
        length = int(rng.uniform(0.01, 0.12) * SAMPLE_RATE_HZ)
        burst = rng.standard_normal(length) * np.exp(-np.arange(length) / (length / 5.0))
        low_hz = rng.uniform(200.0, 2500.0)
        burst = sosfilt(butter(2, [low_hz, low_hz * 2.0], "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), burst)
        end = min(n_samples, start + length)
        noise[start:end] += (burst / max(rms(burst), 1e-12) * rng.uniform(1.0, 5.0))[: end - start]
    return noise


def draw_music(n_samples: int, *, rng: np.random.Generator) -> Samples:
    """A band plays chords over a bass and a beat, in a random key and tempo; RMS 1."""
    beat_s, root_hz = 60.0 / float(rng.uniform(70.0, 150.0)), float(rng.uniform(55.0, 110.0))
    music = np.zeros(n_samples)
    steps = np.array([0, 2, 4, 5, 7, 9, 11])  # a major scale; chords on its steps are major, minor and diminished alike
    degree = 0
    for beat, start in enumerate(np.arange(0.0, n_samples / SAMPLE_RATE_HZ, beat_s)):
        if beat % 4 == 0:
            degree = int(rng.integers(7))
        chord = [steps[(degree + third) % 7] + 12 * ((degree + third) // 7) for third in (0, 2, 4)]
        notes = [(chord[0] - 12 * (beat % 2), 1.0)] + [(note + 24, 0.4) for note in chord if rng.random() < 0.8]
        for semitones, loudness in notes:
            tone = _note(root_hz * 2.0 ** (semitones / 12.0), 2.0 * beat_s, rng)
            _add(music, round(start * SAMPLE_RATE_HZ), loudness * tone)
        hit = rng.standard_normal(int(0.08 * SAMPLE_RATE_HZ)) * np.exp(-np.arange(int(0.08 * SAMPLE_RATE_HZ)) / 200.0)
        _add(music, round(start * SAMPLE_RATE_HZ), (0.8 if beat % 2 else 0.3) * hit)
    return np.asarray(music / max(rms(music.astype(np.float32)), 1e-12), np.float32)


def _note(pitch_hz: float, duration_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    times_s = np.arange(int(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    harmonics = np.arange(1, 6)[pitch_hz * np.arange(1, 6) < SAMPLE_RATE_HZ / 2]
    tones = np.sin(2.0 * np.pi * pitch_hz * harmonics[:, None] * times_s) / harmonics[:, None] ** rng.uniform(0.8, 2.0)
    return np.asarray(tones.sum(axis=0) * np.minimum(times_s / 0.01, 1.0) * np.exp(-3.0 * times_s / duration_s))


def _add(music: NDArray[np.float64], start: int, piece: NDArray[np.float64]) -> None:
    end = min(len(music), start + len(piece))
    music[start:end] += piece[: end - start]


def telephone_band(samples: Samples) -> Samples:
    """The samples as through a telephone: 300–3,400 Hz, with the 8-bit steps of µ-law.

    Source: ITU-T G.711 and G.712.
    """
    from scipy.signal import butter, sosfilt

    # Forward only, as in a real line: delayed by 2 ms at the lower edge, 0.75 ms at 500 Hz and a quarter of one above 1 kHz.
    band = sosfilt(butter(4, [300.0, 3400.0], "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), samples)
    peak = max(float(np.abs(band).max()), 1e-9)
    mu = 255.0
    compressed = np.sign(band) * np.log1p(mu * np.abs(band) / peak) / np.log1p(mu)
    steps = np.round(compressed * 127.0) / 127.0
    return np.asarray(np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(mu)) / mu * peak, np.float32)


def through_codec(samples: Samples, kind: str) -> Samples:
    """The samples after coding at a low rate and decoding, one of `CODECS`; the decoder makes up for the codec's delay."""
    peak = max(float(np.abs(samples).max()), 1e-9)
    levelled = samples * (0.7 / peak)
    if kind == "gsm":
        narrow = _coded(soxr.resample(levelled, SAMPLE_RATE_HZ, 8000), 8000, "WAV", "GSM610", None)
        decoded = soxr.resample(narrow, 8000, SAMPLE_RATE_HZ)
    else:
        container, coding, compression = {
            "opus": ("OGG", "OPUS", 0.9),
            "vorbis": ("OGG", "VORBIS", 1.0),
            "mp3": ("MP3", "MPEG_LAYER_III", 0.99),
        }[kind]
        decoded = _coded(levelled, SAMPLE_RATE_HZ, container, coding, compression)
    padded = np.zeros(len(samples), np.float32)
    padded[: len(decoded)] = decoded[: len(samples)]
    return np.asarray(padded * (peak / 0.7), np.float32)


def _coded(samples: Samples, rate_hz: int, container: str, coding: str, compression: float | None) -> Samples:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=container, subtype=coding, compression_level=compression)
    file.seek(0)
    return np.asarray(soundfile.read(file, dtype="float32")[0], np.float32)
