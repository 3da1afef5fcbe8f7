"""The benchmark of scale measures what it says, and tells growth that is worse than linear."""

from __future__ import annotations

import json
import time

import pytest

from brefine.run.bench_scale import _CASES, bench_lines, main


@pytest.mark.parametrize("name", list(_CASES))
def test_a_small_size_is_measured(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each case makes its data and reads it; time and memory are told."""
    began_s = time.process_time()
    main(name, 400)
    spent_s = time.process_time() - began_s
    told = json.loads(capsys.readouterr().out)
    assert told["size"] == 400 and 0.0 < told["cpu_s"] <= spent_s + 0.001 and told["memory_bytes"] > 0


def test_growth_that_is_worse_than_linear_is_missed() -> None:
    """The verdict stands beside the exponent."""
    size = {"size": 100, "cpu_s": 1.0, "memory_bytes": 1e6}
    case = {"unit": "turns", "sizes": [size] * 3, "exponents": {"cpu_s": 1.9, "memory_bytes": 0.2}}
    lines = list(bench_lines({"cases": {"recording": case}, "largest_exponent": 1.15}))
    assert "power 1.90" in lines[-1] and "missed" in lines[-1]
