"""The kernel's counters of kills for memory, wherever a machine keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.run.oom import OomKills, count_oom_kills

_GROUPS_V2 = "0::/user.slice/phase.scope\n"
_GROUPS_V1 = "5:cpu,cpuacct:/\n4:memory:/docker/abc\n0::/\n"


def machine(folder: Path, groups: str | None, files: dict[str, str]) -> dict[str, Path]:
    """A machine in a folder: `proc` and `cgroups`."""
    if groups is not None:
        files = {**files, "proc/self/cgroup": groups}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {"proc": folder / "proc", "cgroups": folder / "cgroups"}


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        (_GROUPS_V2, {"cgroups/user.slice/phase.scope/memory.events": "oom 3\noom_kill 2\noom_group_kill 0\n"}, 2),
        (_GROUPS_V2, {"cgroups/memory.events": "oom_kill 4\n", "proc/vmstat": "oom_kill 9\n"}, 4),  # seen from a container
        (_GROUPS_V1, {"cgroups/memory/docker/abc/memory.oom_control": "under_oom 0\noom_kill 5\n"}, 5),
        (_GROUPS_V1, {"cgroups/memory/memory.oom_control": "under_oom 0\noom_kill 6\n"}, 6),
        (_GROUPS_V1, {"cgroups/memory/memory.oom_control": "under_oom 0\n", "proc/vmstat": "nr 1\noom_kill 7\n"}, 7),
        (None, {"proc/vmstat": "pgfault 8\noom_kill 8\n"}, 8),
        (None, {}, 0),
    ],
)
def test_the_most_particular_counter_is_read(tmp_path: Path, groups: str | None, files: dict[str, str], expected: int) -> None:
    """The own control group before the machine, cgroup v2 and v1, and 0 where nothing tells."""
    assert count_oom_kills(**machine(tmp_path, groups, files)) == expected


def test_a_kill_explains_one_death_and_only_soon() -> None:
    """Seen before the process had given its memory back, it counts; a second death, or one much later, has another cause."""
    count, now_s = [3], [0.0]
    kills = OomKills(count=lambda: count[0], clock=lambda: now_s[0])
    assert not kills.explain_one()
    count[0] += 1
    kills.look()
    now_s[0] = 2.0
    assert kills.explain_one()
    assert not kills.explain_one()
    count[0] += 2
    kills.look()
    now_s[0] = 60.0
    assert not kills.explain_one()
