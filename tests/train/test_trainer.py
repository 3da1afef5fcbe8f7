"""The trainer's process: what it says when it cannot go on."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from brefine.config import PhaseConfig, format_config, prepared_corpus_path
from brefine.errors import BrefineError, CheckpointError, ConfigError, ProcessError, RunError
from brefine.identity import identity_of, own_identity
from brefine.io.lock import held
from brefine.phasedir import CorpusManifest, RunDir, RunState, RunStatus
from brefine.train import __main__ as trainer
from brefine.train import checkpoint
from brefine.train.checkpoint import Checkpoints, fingerprint_of
from brefine.train.reporter import Reporter
from brefine.train.signals import StopSignal
from tests.run.records import status
from tests.tiny_corpus import make_tiny_corpus, tiny_recipe


@pytest.fixture(autouse=True)
def _signals_are_left_to_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer in a process of its own listens to signals; here it would take them from pytest."""
    monkeypatch.setattr(StopSignal, "listen", lambda _: None)


def test_a_disk_that_fills_up_in_a_checkpoint_is_named_and_the_one_before_kept(
    make_run: Callable[..., tuple[RunDir, PhaseConfig]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person reads what to do, the status says it too, and `resume` has a whole checkpoint to go on from."""
    run, config = make_run()
    write, written = checkpoint.write_bytes_atomic, []

    def full_at_the_second(path: os.PathLike[str], content: bytes) -> None:
        written.append(path)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_bytes_atomic", full_at_the_second)
    with pytest.raises(BrefineError, match=r"(?s)No space left on device.*resume") as caught:
        trainer._train(run, "mlp", resume=False)
    assert str(run.path) in str(caught.value)
    status = RunStatus.read(run.status)
    assert status.state is RunState.FAILED
    assert "No space left" in (status.error or "")
    corpus_sha256 = CorpusManifest.read(prepared_corpus_path(config) / "corpus.json").fingerprint()
    packed, refused = Checkpoints(run, fingerprint_of(config, "mlp", corpus_sha256)).load()
    assert (packed is not None, refused) == (True, [])
    monkeypatch.setattr(checkpoint, "write_bytes_atomic", write)
    assert trainer._train(run, "mlp", resume=True) == 0
    assert RunStatus.read(run.status).state is RunState.FINISHED


def test_a_corpus_with_other_splits_is_not_resumed_on(tmp_path: Path) -> None:
    """A recording that was trained on and is behind the gate now would stay in weights that claim the new splits."""
    config = tiny_recipe(tmp_path / "data", train={"epochs": 1})
    corpus = make_tiny_corpus(config) / "corpus.json"
    run = RunDir(tmp_path / "phase" / "mlp")
    run.path.mkdir(parents=True)
    (run.path.parent / "phase.toml").write_text(format_config(config), encoding="utf-8")
    assert trainer._train(run, "mlp", resume=False) == 0
    assert trainer._train(run, "mlp", resume=True) == 0
    card = run.card("last").read_bytes()
    manifest = CorpusManifest.read(corpus)
    *train, moved = manifest.splits["train"]
    splits = {**manifest.splits, "train": train, "gate": [*manifest.splits["gate"], moved]}
    manifest.model_copy(update={"splits": splits}).write(corpus)
    with pytest.raises(CheckpointError, match="belongs to another training"):
        trainer._train(run, "mlp", resume=True)
    assert run.card("last").read_bytes() == card


def test_a_run_that_has_a_checkpoint_is_not_started_over(make_run: Callable[..., tuple[RunDir, PhaseConfig]]) -> None:
    """Without --resume nothing is overwritten, not even the word of how that training has ended."""
    run, _ = make_run(train={"epochs": 1})
    assert trainer._train(run, "mlp", resume=False) == 0
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(ProcessError, match="has a checkpoint already"):
        trainer._train(run, "mlp", resume=False)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_training_whose_states_are_torn_is_not_tried_again(make_run: Callable[..., tuple[RunDir, PhaseConfig]]) -> None:
    """Its exit code is one that a supervisor takes for final, and its last word says which files are at fault."""
    run, _ = make_run(train={"epochs": 1})
    assert trainer._train(run, "mlp", resume=False) == 0
    run.training_state.write_bytes(b"")
    run.training_state.with_name("previous.state").unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="no checkpoint of this run can be used") as refused:
        trainer._train(run, "mlp", resume=True)
    assert refused.value.exit_code == RunError.exit_code
    status = RunStatus.read(run.status)
    assert (status.state, status.error) == (RunState.FAILED, str(refused.value))
    assert "remove last.state there" in str(refused.value)


def test_a_training_whose_states_cannot_be_read_now_may_be_tried_again(
    make_run: Callable[..., tuple[RunDir, PhaseConfig]],
) -> None:
    """Its exit code is one that a supervisor does not take for final."""
    run, _ = make_run(train={"epochs": 1})
    assert trainer._train(run, "mlp", resume=False) == 0
    run.training_state.unlink()
    run.training_state.mkdir()  # whoever runs this may be root, to whom no file is forbidden
    run.training_state.with_name("previous.state").unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="the checkpoint cannot be read: Is a directory") as refused:
        trainer._train(run, "mlp", resume=True)
    assert refused.value.exit_code not in (RunError.exit_code, ConfigError.exit_code)
    status = RunStatus.read(run.status)
    assert (status.state, status.error) == (RunState.FAILED, str(refused.value))


def test_a_run_that_is_being_trained_is_left_alone(make_run: Callable[..., tuple[RunDir, PhaseConfig]]) -> None:
    """Two trainers in one folder would take turns at its status and spoil its checkpoints and curves."""
    run, _ = make_run(train={"epochs": 1})
    status("mlp", RunState.RUNNING, process=identity_of(os.getppid())).write(run.status)
    word = run.status.read_bytes()
    with pytest.raises(ProcessError, match=f"is being trained already.*process {os.getppid()}"):
        trainer._train(run, "mlp", resume=True)
    assert run.status.read_bytes() == word
    gone = identity_of(os.getppid()).model_copy(update={"start_ticks": 1})
    status("mlp", RunState.RUNNING, process=gone).write(run.status)
    assert trainer._train(run, "mlp", resume=True) == 0


def test_a_run_whose_trainer_has_had_no_word_yet_is_left_alone(make_run: Callable[..., tuple[RunDir, PhaseConfig]]) -> None:
    """Of two that are started at once the second finds no status."""
    run, _ = make_run()
    with held(run.lock), pytest.raises(ProcessError, match=r"is being trained already.*another process"):
        trainer._train(run, "mlp", resume=False)
    assert not run.status.exists()


def test_a_trainer_has_its_run_until_it_ends(
    make_run: Callable[..., tuple[RunDir, PhaseConfig]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes while it loads is refused."""
    run, _ = make_run()

    def second(*_: object, **__: object) -> None:
        run.status.unlink()  # so that it is the lock alone that tells
        trainer._train(run, "mlp", resume=False)

    monkeypatch.setattr("brefine.train.setup.build_training", second)
    with pytest.raises(ProcessError, match="is being trained already"):
        trainer._train(run, "mlp", resume=False)


def test_a_run_that_is_moved_while_it_trains_does_not_come_back(
    make_run: Callable[..., tuple[RunDir, PhaseConfig]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer ends at its next word, and leaves what was moved as it is."""
    run, _ = make_run()
    away = run.path.parent.with_name("away")

    def moved(*_: object, **__: object) -> None:
        run.path.parent.rename(away)
        status("mlp").write(run.status)

    monkeypatch.setattr("brefine.train.setup.build_training", moved)
    with pytest.raises(FileNotFoundError, match="was it moved"):
        trainer._train(run, "mlp", resume=False)
    assert not run.path.parent.exists()
    assert RunStatus.read(away / "mlp" / "status.json").state is RunState.STARTING


def test_a_folder_that_is_no_phase_is_left_as_it_is(tmp_path: Path) -> None:
    """A slip in `--run-dir` leaves no folder with a lock behind."""
    with pytest.raises(ConfigError, match="there is no such recipe"):
        trainer._train(RunDir(tmp_path / "mlp"), "mlp", resume=False)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_moved_between_two_words_is_trained_no_further(
    make_run: Callable[..., tuple[RunDir, PhaseConfig]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came until the next checkpoint would be lost, since that cannot be written."""
    run, _ = make_run()
    monkeypatch.setattr("brefine.train.loop.train", lambda *_, **__: pytest.fail("it trains on"))
    started = Reporter.started

    def moved(reporter: Reporter, *words: object, **more: object) -> None:
        run.path.parent.rename(run.path.parent.with_name("away"))
        started(reporter, *words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Reporter, "started", moved)
    with pytest.raises(FileNotFoundError, match="was it moved"):
        trainer._train(run, "mlp", resume=False)
    assert not run.path.parent.exists()


def test_the_lock_of_a_node_that_has_died_is_waited_for(
    make_run: Callable[..., tuple[RunDir, PhaseConfig]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of a shared disk takes it back after a while; until then a requeued job would fail for good."""
    run, _ = make_run(train={"epochs": 1})
    elsewhere = own_identity().model_copy(update={"boot_id": "another machine"})
    status("mlp", RunState.RUNNING, process=elsewhere).write(run.status)
    with contextlib.ExitStack() as server:
        server.enter_context(held(run.lock))
        monkeypatch.setattr(trainer.time, "sleep", lambda _: server.close())
        assert trainer._train(run, "mlp", resume=True) == 0


def test_a_damaged_status_keeps_no_training_from_going_on(make_run: Callable[..., tuple[RunDir, PhaseConfig]]) -> None:
    """The checkpoint is what a training goes on from; its status is written anew."""
    run, _ = make_run(train={"epochs": 1})
    assert trainer._train(run, "mlp", resume=False) == 0
    run.status.write_bytes(b"\0" * 100)
    assert trainer._train(run, "mlp", resume=True) == 0
    assert RunStatus.read(run.status).state is RunState.FINISHED


def test_a_disk_that_refuses_a_sign_of_life_does_not_end_the_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is written."""
    run, now_s = RunDir(tmp_path / "mlp"), [1000.0]
    monkeypatch.setattr(trainer.time, "monotonic", lambda: now_s[0])
    beat = trainer._heartbeat(run, status("mlp", RunState.STARTING))
    write, tried = RunStatus.write, []

    def fail_once(word: RunStatus, path: Path) -> None:
        tried.append(path)
        if len(tried) == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        write(word, path)

    monkeypatch.setattr(RunStatus, "write", fail_once)
    for _ in range(2):
        now_s[0] += 3.0
        beat()
    assert len(tried) == 2
    assert RunStatus.read(run.status).state is RunState.STARTING
