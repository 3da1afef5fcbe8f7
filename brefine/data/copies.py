"""Recordings that sound the same though their samples differ: re-encoded, louder, cut, noisy, or one an excerpt of the other.

What is compared is how the level rises and falls. **The rule**: two recordings are copies if their envelopes correlate by 0.75 or
more over half of the shorter one or a minute, whichever is less, and over 10 s, at the lag where they agree most; if no lag
elsewhere does nearly as well; if enough of their values carry the agreement; and if they agree everywhere, that is in 95 % of all
stretches of 0.6 s in which both rise and fall. A greeting, a prompt or a tune that two recordings share makes them alike only
where it plays, however loud it is. The longer both are, the more they must share to stand out: of 27 minutes of LibriSpeech 2 are
found, 1 is not.

Two recorders' clocks differ by some tens of millionths, and video that was slowed down to 1000/1001 by a thousand. Then no single
lag fits after some minutes. If two probes are found a little nearer to each other, or farther apart, than they were, the drift is
removed from the whole recording first, and the rule is applied again: 44 minutes of LibriSpeech are found with clocks that are 50
to 1000 millionths faster, none of which is found without this, and 2 minutes with 1000.

Measured on ten excerpts of AMI (30 s) and 251 utterances of LibriSpeech: none of their 33,930 pairs is taken for copies. AMI and
twenty of those utterances through gain, cuts, Vorbis, Opus, MP3, or noise at 10 or 5 dB are found in 210 of 210 cases, through a
telephone's band in 21 of 30, with a levelled gain in 20 of 30. Of 14 calls that share a greeting of 10 s before messages of 5 s,
prompts with answers of 2 s, beeps with answers between them, or an announcement before silence and few words, no two are copies.
Beeps alone remain alike, as do 5 of 91 pairs that share prompts and answer in less than a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

Envelope = NDArray[np.float32]
"""Rises and falls of the level, natural logarithms of power, 25 a second."""

_LEAST_SHARED_S = 10.0
"""Shorter spans of different speech can be alike by chance."""
_LEAST_CORRELATION = 0.75
_MOST_ELSEWHERE = 0.65
"""Share of the best lag's agreement that others may reach: repeated speech, or a beat, agrees with itself at many lags."""
_LEAST_TELLING = 75.0
"""Effective number of values that carry the agreement: one word in silence (64 at most) is like any other."""
_LEAST_OF_SHORTER = 0.5
"""Less may be a tune that ends one recording and begins the other, and all that they share."""
_ENOUGH_SHARED_S = 60.0
"""Longer than a tune or a greeting, however small a part of the recordings it is."""
_LEAST_AGREEING = 0.95
"""Share of the stretches in which both have a swing. Noise fills pauses, so a swing in one of them alone says nothing."""
_RATE_HZ = 25
_LEVELS = 4  # levels of 10 ms in each value
_PROBE = 500
"""Length of a probe in coarse values, 40 s."""
_COARSE_MINUTE = 750
_MOST_DRIFT = 0.0015
"""Drift of one clock against the other; beyond this, not even a probe keeps its lag."""
_BLOCK = 2048
_MOST_BLOCKS = 256
"""Blocks in memory at once, 8 KB each."""
_LEAST_COARSE = 0.35
"""Share of a probe's energy, or of the average stretch's if that is less: half a probe may lie beyond an end."""
_SLOW = 2 * _RATE_HZ
"""Changes over more than two seconds are gain, or who sits where."""
_FLOOR = 1e-3
"""Against the mean power: codecs and noise change anything below."""
_STRETCH = 15
"""Values in a stretch, 0.6 s: a brief answer between two prompts fills one."""
_LEAST_LOCAL_CORRELATION = 0.4
_LEAST_LOCAL_SWING = 0.4
_LEAST_SWING = 0.25
"""Standard deviation: a tone or a hiss has no rises and falls by which it could be recognised."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Two recordings by their places, the shorter one first, and the stretch that they have in common."""

    first: int
    second: int
    first_start_s: float
    second_start_s: float
    duration_s: float


def envelope_of(level_db: NDArray[np.float64]) -> Envelope:
    """The envelope of a recording, shape (N // 4,).

    Args:
        level_db: level of every 10 ms, shape (N,).
    """
    n_values = len(level_db) // _LEVELS
    if n_values == 0:
        return np.zeros(0, np.float32)
    power = (10.0 ** (level_db[: n_values * _LEVELS] / 10.0)).reshape(-1, _LEVELS).mean(axis=1)
    log_power = np.log(power + _FLOOR * power.mean() + 1e-20)
    return np.asarray(log_power - uniform_filter1d(log_power, _SLOW, mode="nearest"), np.float32)


def near_copies(
    envelopes: Sequence[Envelope],
    *,
    n_threads: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Likeness]:
    """Pairs of recordings that sound the same; silence, tones and a few words are never alike.

    One to four probes of each recording, of at most 40 s, are sought in every longer one, and only pairs that these bring
    together are compared as a whole: first as they are, then without the drift of their clocks, if two probes show one. A pair of
    half a minute takes 0.03 ms of one core, one of an hour 2 ms: 300 recordings of an hour a minute and a half, 3,000 two and a
    half hours. Memory is that of the envelopes, at most 33 KB a recording, and some transforms of the longest one for each
    thread.
    """
    told = [place for place, own in enumerate(envelopes) if len(own) >= _LEAST_SHARED_S * _RATE_HZ and own.std() >= _LEAST_SWING]
    told.sort(key=lambda place: len(envelopes[place]))
    coarses = [_coarse(envelopes[place]) for place in told]
    places = [(rank, place) for rank, coarse in enumerate(coarses) for place in _probes(coarse)]
    probes = [coarses[rank][place] for rank, place in places]
    owners = np.array([rank for rank, _ in places])
    norms = np.array([np.linalg.norm(probe) for probe in probes])
    lengths = np.array([len(probe) for probe in probes])
    spectra = np.stack([scipy.fft.rfft(probe, _BLOCK).conj() for probe in probes]) if probes else np.zeros((0, 0), np.complex64)

    def alike(rank: int) -> list[Likeness]:
        own, n_probes = envelopes[told[rank]], int(np.searchsorted(owners, rank))
        coarse = coarses[rank]
        least = norms * np.minimum(norms, np.sqrt(lengths * np.square(coarse).mean())) * _LEAST_COARSE
        near = _most_anywhere(coarse, spectra[:n_probes]) > least[:n_probes]
        found, sought = [], _Sought(own)
        for other in dict.fromkeys(owners[:n_probes][near].tolist()):
            met = [places[place][1] for place in np.flatnonzero(near & (owners[:n_probes] == other))]
            for stretch, shorter in sought.stretches(envelopes[told[other]], met):
                lag = _shared_lag(own, shorter, sought.products(shorter))
                if lag is None:
                    continue
                start, end = _overlap(own, shorter, lag)
                pair = Likeness(
                    first=told[other],
                    second=told[rank],
                    first_start_s=(start - lag) / stretch / _RATE_HZ,
                    second_start_s=start / _RATE_HZ,
                    duration_s=(end - start) / _RATE_HZ,
                )
                found.append(pair)
                break
        return found

    everything: list[Likeness] = []
    with ThreadPoolExecutor(n_threads) as pool:  # transforms leave the interpreter free
        for done, found in enumerate(pool.map(alike, range(len(told))), start=1):
            everything += found
            on_progress(done, len(told))
    return everything


def _coarse(envelope: Envelope) -> Envelope:
    """Half as many values."""
    return np.asarray(envelope[: len(envelope) // 2 * 2].reshape(-1, 2).mean(axis=1), np.float32)


def _probes(coarse: Envelope) -> list[slice]:
    """Where the probes lie: the whole, or the stretch that moves most in each half, in the first minute and in the last.

    Two recordings share the start or the end of the shorter one, or all of it, so one of these probes is in the shared part.
    """
    if len(coarse) <= _PROBE:
        return [slice(0, len(coarse))]
    middle = (len(coarse) + 1) // 2
    parts = [(0, middle), (middle, len(coarse))]
    if len(coarse) > 2 * _COARSE_MINUTE:
        parts += [(0, _COARSE_MINUTE), (len(coarse) - _COARSE_MINUTE, len(coarse))]
    found = []
    for first, last in parts:
        part = coarse[first:last]
        n_values = min(_PROBE, len(part))
        sums = np.concatenate([[0.0], np.cumsum(np.square(part, dtype=np.float64))])
        start = first + int(np.argmax(sums[n_values:] - sums[:-n_values]))
        found.append(slice(start, start + n_values))
    return found


def _most_anywhere(coarse: Envelope, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """The highest product of each probe with the envelope at any lag, shape (P,).

    The envelope is cut into blocks that overlap by a probe, so that no transform is longer than a block (overlap-save).

    Args:
        spectra: conjugate, of the probes, shape (P, _BLOCK // 2 + 1).
    """
    step = _BLOCK - _PROBE + 1
    n_blocks = -(-(len(coarse) + _PROBE - 1) // step)
    padded = np.pad(coarse, (_PROBE - 1, n_blocks * step - len(coarse)))
    blocks = scipy.fft.rfft(sliding_window_view(padded, _BLOCK)[::step], axis=1)
    most = np.zeros(len(spectra), np.float32)
    n_at_once = max(1, _MOST_BLOCKS // len(blocks))
    for first in range(0, len(spectra), n_at_once):
        some = slice(first, first + n_at_once)
        products = scipy.fft.irfft(spectra[some, None] * blocks, _BLOCK, axis=2)
        most[some] = products[..., :step].max(axis=(1, 2))
    return most


class _Sought:
    """An envelope in which shorter ones are sought."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._size = 1 << (round((2.0 + _MOST_DRIFT) * len(envelope))).bit_length()  # so long that no two lags coincide

    @cached_property
    def _spectrum(self) -> NDArray[np.complex64]:
        return np.asarray(scipy.fft.rfft(self._envelope, self._size))

    def products(self, shorter: Envelope) -> NDArray[np.float32]:
        """Products with the shorter one at each lag, negative lags at the end."""
        return np.asarray(scipy.fft.irfft(self._spectrum * scipy.fft.rfft(shorter, self._size).conj(), self._size))

    def stretches(self, shorter: Envelope, probes: Sequence[slice]) -> Iterator[tuple[float, Envelope]]:
        """By how much to stretch the shorter one, and it stretched: 1 first, then as its first and last probe are found here.

        Args:
            probes: where they lie among its coarse values.
        """
        yield 1.0, shorter
        stretch = self._stretch(shorter, probes) if len(probes) > 1 else 1.0
        if 1.0 / len(shorter) < abs(stretch - 1.0) <= _MOST_DRIFT:
            place = np.arange(round(stretch * len(shorter))) / stretch
            yield stretch, np.asarray(np.interp(place, np.arange(len(shorter)), shorter), np.float32)

    def _stretch(self, shorter: Envelope, probes: Sequence[slice]) -> float:
        """The stretch that two probes show; 1 if fewer than two are found, or two that are too close to each other."""
        ordered = sorted(probes, key=lambda place: place.start)
        (first, early), (last, late) = (
            next(filter(None, (self._found(shorter, place) for place in places)), (0, 0.0)) for places in (ordered, ordered[::-1])
        )
        return (late - early) / (last - first) if last - first >= _PROBE else 1.0

    def _found(self, shorter: Envelope, probe: slice) -> tuple[int, float] | None:
        """Where a probe lies in the shorter one and here; None if nothing here is enough like it."""
        own = shorter[2 * probe.start : 2 * probe.stop]
        products = self.products(own)
        best = int(np.argmax(products))
        lag = _lag(best, self._envelope, products)
        there = self._envelope[slice(*_overlap(self._envelope, own, lag))]
        if products[best] < _LEAST_CORRELATION * np.linalg.norm(own) * np.linalg.norm(there):
            return None
        return 2 * probe.start, lag + _part(products, best)


def _lag(best: int, longer: Envelope, products: NDArray[np.float32]) -> int:
    return best if best < len(longer) else best - len(products)


def _overlap(longer: Envelope, shorter: Envelope, lag: int) -> tuple[int, int]:
    """Where the shorter one lies in the longer one if it begins at this lag."""
    return max(lag, 0), min(len(longer), len(shorter) + lag)


def _shared_lag(longer: Envelope, shorter: Envelope, products: NDArray[np.float32]) -> int | None:
    """Where in the longer one the shorter one begins if both hold the same; else None.

    Args:
        products: of these two; see `_Sought.products`.
    """
    best = int(np.argmax(products))
    lag = _lag(best, longer, products)
    start, end = _overlap(longer, shorter, lag)
    enough = min(_ENOUGH_SHARED_S * _RATE_HZ, _LEAST_OF_SHORTER * len(shorter))
    if end - start < max(_LEAST_SHARED_S * _RATE_HZ, enough):
        return None
    own, other = longer[start:end], shorter[start - lag : end - lag]
    agreed = own * other
    if agreed.sum() < _LEAST_CORRELATION * np.linalg.norm(own) * np.linalg.norm(other):
        return None
    if agreed.sum() ** 2 < _LEAST_TELLING * np.square(agreed).sum():
        return None
    around = np.arange(best - _RATE_HZ, best + _RATE_HZ + 1) % len(products)
    if np.delete(products, around).max() > _MOST_ELSEWHERE * products[best]:
        return None
    agreement = _agreement(own, _shifted(other, _part(products, best)))
    return lag if agreement >= _LEAST_AGREEING else None


def _part(products: NDArray[np.float32], best: int) -> float:
    """By what part of a value, up to a half, the top of a parabola through three products is later than the highest product."""
    before, at, after = products[[best - 1, best, (best + 1) % len(products)]].tolist()
    return float(0.5 * (before - after) / (before - 2.0 * at + after)) if max(before, after) < at else 0.0


def _shifted(envelope: Envelope, part: float) -> Envelope:
    """The envelope moved by a part of a value."""
    place = np.arange(len(envelope))
    return np.asarray(np.interp(place - part, place, envelope), np.float32)


def _agreement(own: Envelope, other: Envelope) -> float:
    """Share of the stretches with a swing in both, half overlapping, whose own correlation is high enough; 0 without any."""
    pair = np.stack([sliding_window_view(one, _STRETCH)[:: _STRETCH // 2] for one in (own, other)])
    pair = pair - pair.mean(axis=2, keepdims=True)
    swings = pair.std(axis=2)
    telling = swings.min(axis=0) >= _LEAST_LOCAL_SWING
    if not telling.any():
        return 0.0
    correlations = (pair[0] * pair[1]).mean(axis=1)[telling] / swings.prod(axis=0)[telling]
    return float((correlations >= _LEAST_LOCAL_CORRELATION).mean())
