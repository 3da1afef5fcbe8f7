"""The mel scale."""

from __future__ import annotations

import numpy as np
import pytest

from brefine.core.mel import hz_of, mel_of


def test_a_thousand_hertz_are_a_thousand_mel() -> None:
    """So the scale was made; it begins at 0, and goes back to the frequencies that it came from."""
    assert mel_of(1000.0) == pytest.approx(1000.0, abs=0.02)
    frequencies_hz = np.array([0.0, 20.0, 440.0, 8000.0])
    np.testing.assert_allclose(hz_of(mel_of(frequencies_hz)), frequencies_hz, atol=1e-9)
    assert mel_of(0.0) == 0.0
