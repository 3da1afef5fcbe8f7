"""Small things that the data tests share: a bank of tone voices, made without any synthesiser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

SAMPLE_RATE_HZ = 16000


@pytest.fixture(scope="session")
def tone_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve "speakers", each a chord of their own, three utterances each: bursts of 0.3–1.2 s between silences."""
    return write_tone_bank(tmp_path_factory.mktemp("bank"))


def write_tone_bank(folder: Path) -> Path:
    """Writes the utterances into `folder`."""
    folder.mkdir(exist_ok=True)
    for number in range(12):
        rng = np.random.default_rng(number)
        for index in range(3):
            pieces = []
            for _ in range(6):
                times_s = np.arange(int(rng.uniform(0.3, 1.2) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
                chord = sum(np.sin(2 * np.pi * (150 + 40 * number) * harmonic * times_s) / harmonic for harmonic in range(1, 6))
                pieces += [0.2 * chord, np.zeros(int(rng.uniform(0.06, 0.4) * SAMPLE_RATE_HZ))]
            samples = np.concatenate(pieces) + 1e-4 * rng.standard_normal(sum(map(len, pieces)))
            soundfile.write(folder / f"S{number:02d}-1-{index:04d}.flac", samples, SAMPLE_RATE_HZ, subtype="PCM_16")
    return folder
