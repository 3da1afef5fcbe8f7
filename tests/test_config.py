"""Recipes are refused for what would go wrong later."""

from __future__ import annotations

import pytest

from brefine.config import FeatureConfig, parse_config
from brefine.errors import ConfigError

RECIPE = """schema = 1
[corpus]
kind = "simulated"
root = "data"
[features]
{features}
[models.mlp]
"""


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ("hop_s = 0.0123", "a hop of 0.0123 s is not a whole number of samples at 16000 Hz"),
        ("window_s = 0.005", "`window_s` is at least `hop_s`, else samples would go unseen: got 0.005 and 0.01"),
    ],
)
def test_frames_that_would_drift_or_skip_are_refused(features: str, said: str) -> None:
    """A hop that is rounded to samples leaves the clock by half a second in ten minutes; by its section, before any audio."""
    with pytest.raises(ConfigError) as refused:
        parse_config(RECIPE.format(features=features), where="mine.toml")
    assert "features: " in str(refused.value) and said in str(refused.value)


@pytest.mark.parametrize(("hop_s", "hop_samples"), [(0.005, 80), (0.01, 160), (0.0125, 200), (0.016, 256), (0.02, 320)])
def test_usual_hops_are_accepted(hop_s: float, hop_samples: int) -> None:
    """Also with a window no longer than the hop."""
    config = parse_config(RECIPE.format(features=f"hop_s = {hop_s}\nwindow_s = {hop_s}"), where="mine.toml").features
    assert isinstance(config, FeatureConfig)
    assert config.grid.hop_samples == hop_samples
