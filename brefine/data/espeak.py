"""Speaks the built-in voices with eSpeak NG, in a separate process: `python -m brefine.data.espeak --out DIR`.

eSpeak NG is GPL-3 and comes from the optional package `espeakng-loader` (extra `voices`). It is loaded here, with ctypes, and
nowhere else: processes that train, judge and refine only read the FLAC files that this one has written.

Every voice differs in accent, eSpeak variant, pitch, rate, length of the vocal tract (resampling) and spectral tilt; every
utterance is a sentence of the project's own little grammar. Files are `DIR/SPEAKER/NN.flac`, 16 kHz, mono; a speaker's folder
appears when it is whole, so that a killed process resumes with the next speaker.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from brefine.errors import DataError, run_main
from brefine.io.atomic import write_bytes_atomic
from brefine.io.audio import format_flac

SAMPLE_RATE_HZ = 16000
N_VOICES = 96
BANK_VERSION = 1
"""Part of the cache's name: raise it when anything below changes what is spoken."""

_ACCENTS = ("en-us", "en", "en-029", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-us-nyc", "de", "nl", "sv", "es", "it")
# Variants with an echo are left out: it would blur where the speech of a turn ends, and it starts from uninitialised memory.
_VARIANTS = (
    "m1", "f1", "m3", "Annie", "m4", "Andrea", "m5", "belinda", "m6", "steph", "m7", "Gene", "m8", "anika", "max", "aunty",
    "Alex", "steph2", "Denis", "grandma", "Michael", "shelby", "adam", "steph3", "benjamin", "Jacky", "boris", "Mario", "david",
    "antonio", "edward", "Nguyen", "ian", "caleb", "john", "klatt2", "marcelo", "klatt3", "mike2", "norbert", "paul", "pedro",
    "quincy", "rob", "robert", "ed", "travis", "zac",
)  # fmt: skip
_N_SENTENCES = 9
_INTERJECTIONS = (
    "Yes.", "No.", "Right.", "Okay.", "Sure.", "I see.", "Of course.", "Really?", "Exactly.", "Not at all.", "Well.", "Go on.",
    "That's true.", "Why not?", "Oh dear.", "Good point.",
)  # fmt: skip
_OPENINGS = ("", "", "", "well, ", "you know, ", "honestly, ", "so, ", "to be fair, ", "as I said, ", "by the way, ")
_SUBJECTS = (
    "my neighbour", "the old captain", "our teacher", "the committee", "a young doctor", "the whole team", "her brother",
    "nobody in the village", "the last speaker", "everyone at the market", "the night porter", "his aunt from the coast",
)  # fmt: skip
_VERBS = (
    "forgot", "repaired", "painted", "wanted to sell", "never mentioned", "found", "kept asking about", "carried", "measured",
    "refused to open", "laughed at", "wrote a letter about",
)  # fmt: skip
_OBJECTS = (
    "the green window", "seven wooden boxes", "a map of the harbour", "the broken engine", "that strange report",
    "the garden behind the church", "a pair of shoes", "the price of bread", "two bicycles", "the summer timetable",
    "an empty theatre", "the smallest boat",
)  # fmt: skip
_ENDINGS = (
    "before breakfast", "in the middle of winter", "without saying a word", "because the bridge was closed",
    "while we waited outside", "and then it began to rain", "although the train was late", "for the third time this week",
    "since there was no other way", "and we all agreed", "when the lights went out", "just to be on the safe side",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Voice:
    """One synthetic speaker."""

    name: str
    espeak_name: str
    pitch: int
    pitch_range: int
    words_per_minute: int
    tract_scale: float
    """Above 1 = a longer vocal tract: every formant, and the pitch, is lower by this factor."""
    tilt_db: float
    """Gain at the highest frequencies against the lowest."""


def builtin_voice(number: int) -> Voice:
    """The built-in voice with this number, the same on every machine.

    Source: the golden-ratio sequence spreads each property evenly over any run of consecutive numbers.
    """

    def spread(step: float) -> float:
        return (0.5 + number * step) % 1.0

    variant = _VARIANTS[number % len(_VARIANTS)]
    accent = _ACCENTS[(number + number // len(_VARIANTS)) % len(_ACCENTS)]
    return Voice(
        name=f"V{number:03d}",
        espeak_name=f"{accent}+{variant}",
        pitch=round(25 + 50 * spread(0.618034)),
        pitch_range=round(30 + 40 * spread(0.754878)),
        words_per_minute=round(135 + 75 * spread(0.569840)),
        tract_scale=0.90 + 0.20 * spread(0.819173),
        tilt_db=-6.0 + 12.0 * spread(0.671044),
    )


def texts_of(voice: Voice) -> list[str]:
    """What a voice says: interjections for short turns, then sentences of one to three clauses."""
    rng = np.random.default_rng([BANK_VERSION, *voice.name.encode()])
    texts = [str(text) for text in rng.choice(_INTERJECTIONS, size=5, replace=False)]
    for _ in range(_N_SENTENCES):
        clauses = []
        for _ in range(rng.integers(1, 4)):
            subject, verb, thing = rng.choice(_SUBJECTS), rng.choice(_VERBS), rng.choice(_OBJECTS)
            ending = f" {rng.choice(_ENDINGS)}" if rng.random() < 0.6 else ""
            clauses.append(f"{rng.choice(_OPENINGS)}{subject} {verb} {thing}{ending}")
        texts.append(", and ".join(clauses) + ("?" if rng.random() < 0.15 else "."))
    return texts


def file_names(voice: Voice) -> list[str]:
    """The files of a voice's utterances, in the order of its texts."""
    return [f"{index:02d}.flac" for index in range(len(texts_of(voice)))]


def refuse_without_espeak() -> None:
    """Refuses to go on if the optional package is missing.

    Raises:
        DataError: it is not installed.
    """
    if find_spec("espeakng_loader") is None:
        raise DataError(
            "the built-in voices need the optional package espeakng-loader (GPL-3)",
            hint='pip install "brefine[voices]", or name a folder of utterances: --set corpus.simulation.voices=DIR',
        )


class Synthesiser:
    """eSpeak NG, loaded into this process.

    Raises:
        DataError: the optional package is not installed, or its library does not start.
    """

    def __init__(self) -> None:
        refuse_without_espeak()
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p,
            ctypes.c_void_p,
        ]  # fmt: skip
        synchronous, default_buffer = 2, 0
        data = str(espeakng_loader.get_data_path()).encode()
        self._rate_hz = self._library.espeak_Initialize(synchronous, default_buffer, data, 0)
        if self._rate_hz <= 0:
            raise DataError("eSpeak NG does not start", got=f"espeak_Initialize returned {self._rate_hz}")
        self._pieces: list[NDArray[np.int16]] = []
        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = callback(self._collect)  # kept alive: the library holds only a bare pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, voice: Voice, text: str) -> NDArray[np.float32]:
        """The voice's utterance of the text, shape (n_samples,), at `SAMPLE_RATE_HZ`, with a peak of 0.7."""
        if self._library.espeak_SetVoiceByName(voice.espeak_name.encode()) != 0:
            raise DataError("eSpeak NG does not know this voice", got=voice.espeak_name)
        rate, pitch, pitch_range = 1, 3, 4
        # Resampling below slows the speech of a long tract down; a higher rate makes up for it.
        for parameter, number in (
            (rate, round(voice.words_per_minute * voice.tract_scale)),
            (pitch, voice.pitch),
            (pitch_range, voice.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, number, 0)
        self._pieces.clear()
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, 1, None, None)
        if not self._pieces:
            raise DataError("eSpeak NG said nothing", where=voice.espeak_name, got=text)
        raw = np.concatenate(self._pieces).astype(np.float32)
        samples = soxr.resample(raw, self._rate_hz / voice.tract_scale, SAMPLE_RATE_HZ)
        samples = _tilt(samples, voice.tilt_db)
        return np.asarray(samples * (0.7 / np.abs(samples).max()), np.float32)

    def _collect(self, samples: object, n_samples: int, _events: object) -> int:
        if n_samples > 0 and samples:
            self._pieces.append(np.ctypeslib.as_array(samples, (n_samples,)).copy())
        return 0


def _tilt(samples: NDArray[np.float32], tilt_db: float) -> NDArray[np.float32]:
    """A first-order shelf around 1 kHz: `tilt_db` more at the highest frequencies than at the lowest."""
    from scipy.signal import lfilter  # takes a second to import: not before it is needed

    gain = 10.0 ** (tilt_db / 20.0)
    pole = np.exp(-2.0 * np.pi * 1000.0 / SAMPLE_RATE_HZ)
    low = lfilter([1.0 - pole], [1.0, -pole], samples)
    return np.asarray(low + gain * (samples - low), np.float32)


def speak(folder: Path, n_voices: int, *, n_processes: int) -> None:
    """Writes the voices that are still missing.

    eSpeak's sound depends on what it said before. So every voice is spoken by a fresh fork of a synthesiser that has said
    nothing, and the bank is the same whatever the number of processes and wherever an earlier attempt stopped.
    """
    synthesiser = Synthesiser()
    missing = [number for number in range(n_voices) if not (folder / builtin_voice(number).name).is_dir()]
    with multiprocessing.get_context("fork").Pool(n_processes, _adopt, (synthesiser, folder), maxtasksperchild=1) as pool:
        for _ in pool.imap_unordered(_speak_voice, missing, chunksize=1):
            pass


class _Fork:
    """What a forked process speaks with."""

    synthesiser: Synthesiser
    folder: Path


def _adopt(synthesiser: Synthesiser, folder: Path) -> None:
    _Fork.synthesiser, _Fork.folder = synthesiser, folder


def _speak_voice(number: int) -> None:
    voice = builtin_voice(number)
    half_made = _Fork.folder / f".{voice.name}.tmp"
    shutil.rmtree(half_made, ignore_errors=True)
    half_made.mkdir(parents=True)
    for name, text in zip(file_names(voice), texts_of(voice), strict=True):
        samples = _Fork.synthesiser.say(voice, text)
        write_bytes_atomic(half_made / name, format_flac(samples, SAMPLE_RATE_HZ))
    half_made.rename(_Fork.folder / voice.name)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m brefine.data.espeak", description="Speak built-in voices.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the voice bank")
    parser.add_argument("--count", type=int, default=N_VOICES, help="number of voices")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    speak(arguments.out, arguments.count, n_processes=arguments.processes)


if __name__ == "__main__":
    run_main(main)
