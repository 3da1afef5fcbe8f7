"""`brefine calibrate`: constants from labels, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from brefine.core.turns import Diarization, Turn
from brefine.errors import BrefineError, DataError, FormatError
from brefine.evaluate import __main__ as processes
from brefine.evaluate.calibration import Calibration, calibrate_refiner, read_calibration, read_references
from brefine.evaluate.refine import load_weights, plan_refinement
from brefine.io.rttm import write_rttm
from tests.evaluate.conftest import RATE_HZ, bursts, save_untrained


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Three recordings with hypotheses and labels, and untrained weights."""
    for seed in range(3):
        samples, reference, hypothesis = bursts(seed)
        (tmp_path / "audio").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "audio" / f"rec{seed}.wav", samples, RATE_HZ)
        write_rttm(tmp_path / "rttm" / f"rec{seed}.rttm", hypothesis)
        write_rttm(tmp_path / "labels" / f"rec{seed}.rttm", reference)
    save_untrained(tmp_path / "mlp.safetensors", "mlp")
    return tmp_path


def calibrated(folder: Path, references: dict[str, Diarization]) -> Calibration:
    tasks = plan_refinement(folder / "audio", folder / "rttm")
    return calibrate_refiner(load_weights(folder / "mlp.safetensors", "cpu"), tasks, references)


def test_what_was_fitted_is_what_refinement_reads(labelled: Path) -> None:
    """The file holds the constants, what they were fitted on, and whose they are."""
    found = calibrated(labelled, read_references(labelled / "labels"))
    found.write(labelled / "mine.json")
    refiner = load_weights(labelled / "mlp.safetensors", "cpu")
    assert read_calibration(labelled / "mine.json", refiner) == found.prior()
    assert found.n_recordings == 3
    assert found.n_boundaries >= 20
    assert 50.0 < found.mae_before_ms < 250.0


def test_a_calibration_of_other_weights_is_refused(labelled: Path) -> None:
    """Another refiner hears differently: its constants mean nothing."""
    calibrated(labelled, read_references(labelled / "labels")).write(labelled / "mine.json")
    save_untrained(labelled / "other.safetensors", "mlp", seed=1)
    with pytest.raises(FormatError, match="other weights"):
        read_calibration(labelled / "mine.json", load_weights(labelled / "other.safetensors", "cpu"))


def test_too_little_to_calibrate_with_is_told(labelled: Path) -> None:
    """References that are missing, and references without partners, are two different things."""
    with pytest.raises(DataError, match="no reference"):
        calibrated(labelled, {})
    lonely = {f"rec{seed}": Diarization(f"rec{seed}", (Turn(0.2, 0.3, "x"),)) for seed in range(3)}
    with pytest.raises(DataError, match="too few boundaries"):
        calibrated(labelled, lonely)


def test_a_calibration_can_be_made_anew_and_replaces_nothing_else(
    labelled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command twice; a file of another kind, a folder or an input is left alone, before anything is heard."""
    given = [*(str(labelled / one) for one in ("audio", "rttm", "labels")), "--weights", str(labelled / "mlp.safetensors")]

    def run(out: Path) -> None:
        monkeypatch.setattr("sys.argv", ["evaluate", "calibrate", *given, "-o", str(out), "--device", "cpu"])
        processes.main()

    for _ in range(2):
        run(labelled / "mine.json")
    assert capsys.readouterr().out.count("labelled boundaries in 3 recordings") == 2
    (labelled / "notes.json").write_text("mine")
    (labelled / "checkpoints").mkdir()
    for name, message in (("notes.json", "no calibration"), ("checkpoints", "a folder"), ("labels", "replace the input")):
        with pytest.raises(BrefineError, match=message):
            run(labelled / name)
    assert (labelled / "notes.json").read_text() == "mine"
