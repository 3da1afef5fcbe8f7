"""What squeue and sacct print, read as they print it."""

from __future__ import annotations

from pathlib import Path

import pytest

from brefine.run import slurm_queue
from brefine.run.slurm_queue import JobLine, SlurmQueue, jobs_named, parse_elapsed_s, parse_squeue
from tests.slurm.conftest import put


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:07", 7.0),
        ("03:04", 184.0),
        ("02:03:04", 7384.0),
        ("1-02:03:04", 93784.0),
        ("INVALID", 0.0),
        ("", 0.0),
        (" 1:00 ", 60.0),
    ],
)
def test_elapsed_times_are_read_in_all_their_forms(text: str, seconds: float) -> None:
    """With and without hours and days; what is no time counts as none."""
    assert parse_elapsed_s(text) == seconds


def test_every_line_of_squeue_becomes_a_job() -> None:
    """Array tasks keep their number, `None` is no reason, a short line lacks its end, an empty one is nothing."""
    text = """17|RUNNING|None|gpu[1-2]|1:02:03
18_3|PENDING|Resources||0:00

19|FAILED|NonZeroExitCode|gpu1
  20 |COMPLETED|N/A|gpu1|0:05
"""
    assert parse_squeue(text) == {
        "17": JobLine("17", "RUNNING", None, "gpu[1-2]", 3723.0),
        "18_3": JobLine("18_3", "PENDING", "Resources"),
        "19": JobLine("19", "FAILED", "NonZeroExitCode", "gpu1"),
        "20": JobLine("20", "COMPLETED", None, "gpu1", 5.0),
    }


@pytest.mark.parametrize(
    ("state", "waits", "over"),
    [("PENDING", True, False), ("CONFIGURING", True, False), ("REQUEUED", True, False), ("RUNNING", False, False),
     ("COMPLETING", False, False), ("SUSPENDED", False, False), ("COMPLETED", False, True), ("NODE_FAIL", False, True),
     ("PREEMPTED", False, True), ("A_WORD_OF_TOMORROW", False, True)],
)  # fmt: skip
def test_a_state_waits_works_or_is_over(state: str, waits: bool, over: bool) -> None:
    """Requeued jobs wait; jobs that are wound up still have their allocation."""
    line = JobLine("1", state)
    assert (line.waits, line.is_over) == (waits, over)


def test_a_scheduler_that_does_not_answer_leaves_the_last_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own words are told until it answers again; a job is not over because nobody knows."""
    queue = SlurmQueue(every_s=0.0)
    queue.watch("17")
    put(tmp_path, monkeypatch, squeue="echo '17|RUNNING|None|gpu1|0:10'")
    assert queue.ask()
    put(tmp_path, monkeypatch, squeue="echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    assert not queue.ask()
    assert queue.problem == "squeue does not answer: slurm_load_jobs error: Unable to contact slurm controller"
    assert queue.line("17") == JobLine("17", "RUNNING", None, "gpu1", 10.0)
    put(tmp_path, monkeypatch, squeue="echo '17|COMPLETED|None|gpu1|0:20'")
    assert queue.ask()
    assert queue.problem is None
    assert not queue.ask()  # nothing is open: nobody is asked


def test_a_silent_scheduler_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hanging squeue counts as no answer."""
    monkeypatch.setattr(slurm_queue, "_TIMEOUT_S", 0.2)
    put(tmp_path, monkeypatch, squeue="exec sleep 20")
    queue = SlurmQueue(every_s=0.0)
    queue.watch("17")
    assert not queue.ask()
    assert "squeue does not answer" in (queue.problem or "")


def test_forgotten_jobs_are_looked_up_in_the_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sacct` tells how they ended, also of `CANCELLED by`; without accounts nothing is known of them."""
    forgotten = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
    put(tmp_path, monkeypatch, squeue=forgotten, sacct="printf 'CANCELLED by 1000|gpu7\\n'")
    queue = SlurmQueue(every_s=0.0)
    queue.watch("17")
    assert queue.ask()
    assert queue.line("17") == JobLine("17", "CANCELLED", node="gpu7")
    put(tmp_path, monkeypatch, sacct="echo 'Slurm accounting storage is disabled' >&2; exit 1")
    queue.watch("18")
    assert queue.ask()
    assert queue.line("18") is None
    assert [line.job_id for line in queue.lines()] == ["17"]


def test_a_login_node_is_asked_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most every `every_s` seconds, except when it matters now."""
    put(tmp_path, monkeypatch, squeue=f"echo x >> {tmp_path}/asked; echo '17|RUNNING|None|gpu1|0:10'")
    queue = SlurmQueue(every_s=1000.0)
    queue.watch("17")
    assert [queue.ask(), queue.ask(), queue.ask(now=True)] == [True, False, True]
    assert (tmp_path / "asked").read_text().count("x") == 2


def test_jobs_of_a_name_are_those_that_wait_or_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is over is nobody's successor."""
    put(tmp_path, monkeypatch, squeue="printf '17|COMPLETED|None|gpu1|0:10\\n18|PENDING|Priority||0:00\\n'")
    assert [line.job_id for line in jobs_named("brefine-x-mlp")] == ["18"]
