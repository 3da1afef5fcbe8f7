"""Who spoke when, and what of a recording is scored."""

from __future__ import annotations

import pytest

from brefine.core.turns import Regions, leaves_out


@pytest.mark.parametrize(
    ("regions_s", "expected"),
    [
        ([(0.0, 400.0)], False),
        ([(0.0, 399.99)], False),
        ([(0.08, 400.5)], False),
        ([(0.0, 399.5)], True),
        ([(1.0, 400.0)], True),
        ([(0.0, 200.0), (200.02, 400.0)], True),
        ([], True),
    ],
)
def test_all_but_a_rounding_at_an_end_is_left_out(regions_s: Regions, expected: bool) -> None:
    """A tenth of a second at the start or the end was rounded; a hole of any length was cut, for instance around an error."""
    assert leaves_out(regions_s, 400.0) is expected
