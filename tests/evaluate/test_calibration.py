"""`brefine calibrate`: constants from labels, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from brefine.cli import app
from brefine.core.turns import Diarization, Turn
from brefine.errors import BrefineError, DataError, FormatError
from brefine.evaluate import __main__ as processes
from brefine.evaluate import calibration
from brefine.evaluate.calibration import calibrate_refiner, prior_of, read_calibration
from brefine.evaluate.labels import read_references, read_regions, require_enough
from brefine.evaluate.refine import load_weights
from brefine.evaluate.tasks import plan_refinement
from brefine.io.rttm import format_rttm, parse_rttm, write_rttm
from brefine.models.error_prior import ErrorPrior
from brefine.models.reading import SCALES_S
from brefine.phasedir import Calibration
from tests.evaluate.conftest import DURATION_S, RATE_HZ, bursts, save_untrained


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


def calibrated(folder: Path) -> Calibration:
    tasks = plan_refinement(folder / "audio", folder / "rttm")
    references = read_references(folder / "labels", tasks)
    return calibrate_refiner(load_weights(folder / "mlp.safetensors", "cpu"), tasks, references)


def paired(folder: Path, labels: str = "labels") -> dict[str, Diarization]:
    """The stem of each audio file, and whose labels it gets."""
    found = read_references(folder / labels, plan_refinement(folder / "audio", folder / "rttm"))
    return {audio.stem: reference for audio, reference in found.items()}


def turns_of(seed: int) -> tuple[Turn, ...]:
    """The labels of `rec<seed>`, as an RTTM holds them."""
    (found,) = parse_rttm(format_rttm(bursts(seed)[1])).values()
    return found.turns


def test_what_was_fitted_is_what_refinement_reads(labelled: Path) -> None:
    """The file holds the constants, what they were fitted on, and whose they are."""
    found = calibrated(labelled)
    found.write(labelled / "mine.json")
    refiner = load_weights(labelled / "mlp.safetensors", "cpu")
    assert read_calibration(labelled / "mine.json", refiner) == prior_of(found)
    assert found.n_recordings == 3
    assert found.n_boundaries >= 20
    assert 50.0 < found.mae_before_ms < 250.0


def test_refinement_takes_each_constant_for_what_it_is() -> None:
    """Above all the weights of changes apart from those of other boundaries."""
    weights, change_weights = (0.5, 0.2, 0.15, 0.1, 0.05), (0.05, 0.1, 0.2, 0.3, 0.35)
    found = Calibration(
        weights_sha256="0" * 64,
        scales_s=list(SCALES_S),
        weights=list(weights),
        change_weights=list(change_weights),
        habit_s=(0.01, 0.02),
        margin_s=(-0.03, 0.04),
        doubt=0.2,
        n_recordings=1,
        n_boundaries=30,
        mae_before_ms=200.0,
        mae_after_ms=140.0,
    )
    expected = ErrorPrior(weights, change_weights, habit_s=(0.01, 0.02), margin_s=(-0.03, 0.04), doubt=0.2)
    assert prior_of(found) == expected


def test_hearing_tells_how_far_it_is(labelled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As `refine` does; hours of audio are not heard in silence."""
    monkeypatch.setattr("brefine.evaluate.refine._QUIET_S", 0.0)
    calibrated(labelled)
    told = capsys.readouterr().err
    assert all(f"hearing {number} of 3: rec{number - 1} (" in told for number in (1, 2, 3))


def test_a_calibration_of_a_version_that_did_not_tell_changes_apart_is_read(labelled: Path) -> None:
    """Its weights then stand for all boundaries."""
    found = calibrated(labelled)
    path = labelled / "mine.json"
    found.model_copy(update={"change_weights": None}).write(path)
    assert "change_weights" in path.read_text()
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "change_weights" not in line))
    prior = read_calibration(path, load_weights(labelled / "mlp.safetensors", "cpu"))
    assert prior.change_weights == prior.weights == tuple(found.weights)


def test_a_calibration_of_other_weights_is_refused(labelled: Path) -> None:
    """Another refiner hears differently: its constants mean nothing."""
    calibrated(labelled).write(labelled / "mine.json")
    save_untrained(labelled / "other.safetensors", "mlp", seed=1)
    with pytest.raises(FormatError, match="other weights"):
        read_calibration(labelled / "mine.json", load_weights(labelled / "other.safetensors", "cpu"))


def test_a_calibration_of_another_version_is_refused(labelled: Path) -> None:
    """Weights of other scales are not taken for this version's, and what has fewer or more weights than scales is not read."""
    found, path = calibrated(labelled), labelled / "mine.json"
    refiner = load_weights(labelled / "mlp.safetensors", "cpu")
    for scales_s, weights, told in (([0.1, 0.2], [0.5, 0.5], "another version"), (found.scales_s, [1.0], "one number for each")):
        found.model_copy(update={"scales_s": scales_s, "weights": weights, "change_weights": None}).write(path)
        with pytest.raises(FormatError, match=told):
            read_calibration(path, refiner)


def test_too_little_to_calibrate_with_is_told(labelled: Path) -> None:
    """References that are missing, and references without partners, are two different things."""
    for seed in range(3):
        write_rttm(labelled / "labels" / f"rec{seed}.rttm", Diarization(f"rec{seed}", (Turn(0.2, 0.3, "x"),)))
    with pytest.raises(DataError, match="too few boundaries"):
        calibrated(labelled)
    for seed in range(3):
        (labelled / "labels" / f"rec{seed}.rttm").rename(labelled / "labels" / f"nobody{seed}.rttm")
        write_rttm(labelled / "labels" / f"nobody{seed}.rttm", Diarization(f"nobody{seed}", bursts(seed)[1].turns))
    with pytest.raises(DataError, match=r"no reference(?s:.*)rec0: no labels(?s:.*)rec1: no labels(?s:.*)rec2: no labels"):
        calibrated(labelled)


def test_ends_about_where_the_audio_ends_are_left_to_hearing(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header may only estimate the length: whether such an end was made by the cut is not known before."""
    tasks = plan_refinement(labelled / "audio" / "rec0.wav", labelled / "rttm" / "rec0.rttm")
    references = read_references(labelled / "labels" / "rec0.rttm", tasks)
    monkeypatch.setattr("brefine.evaluate.labels.LEAST_BOUNDARIES", 1)
    refiner = load_weights(labelled / "mlp.safetensors", "cpu")
    n_known = calibrate_refiner(refiner, tasks, references).n_boundaries
    monkeypatch.setattr("brefine.evaluate.labels.LEAST_BOUNDARIES", n_known)
    require_enough(tasks, references, None)
    monkeypatch.setattr("brefine.evaluate.labels.LEAST_BOUNDARIES", n_known + 1)
    with pytest.raises(DataError, match=f"too few boundaries.*got {n_known}"):
        require_enough(tasks, references, None)
    late = Diarization("rec0", (*tasks[0].hypotheses[0].turns, Turn(DURATION_S - 0.2, DURATION_S, "late")))
    require_enough([replace(tasks[0], hypotheses=(late,))], references, None)


def test_recordings_without_labels_are_left_out_and_named(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Few are labelled of the hundreds of a folder: the constants are those of the labelled ones alone."""
    (labelled / "audio" / "rec1.wav").write_text("not even heard")
    (labelled / "labels" / "rec1.rttm").unlink()
    found = calibrated(labelled)
    assert "no labels for: rec1\n" in capsys.readouterr().err
    (labelled / "rttm" / "rec1.rttm").unlink()
    assert found == calibrated(labelled)
    assert found.n_recordings == 2


def test_labels_that_are_cut_where_the_labelled_part_ends_tell_nothing(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever labels up to the middle of a turn has not labelled its end; all before it counts as it did."""
    cut_s = turns_of(0)[-1].offset_s - 0.3
    write_rttm(labelled / "labels" / "rec0.rttm", Diarization("rec0", turns_of(0)).clipped(0.0, cut_s))
    given = [*(str(labelled / one) for one in ("audio", "rttm", "labels")), "--weights", str(labelled / "mlp.safetensors")]

    def work(module: str, *words: object) -> int:
        monkeypatch.setattr("sys.argv", [module, *map(str, words)])
        return processes.main()

    def n_boundaries(*first_parts: str) -> int:
        parts = [f"rec0 1 {part}\n" for part in first_parts] + [f"rec{seed} 1 0 {DURATION_S}\n" for seed in (1, 2)]
        (labelled / "all.uem").write_text("".join(parts))
        told = ["--uem", str(labelled / "all.uem")] if first_parts else []
        monkeypatch.setattr("brefine.cli.calibrate.run_worker", work)
        done = CliRunner().invoke(app, ["calibrate", *given, "-o", str(labelled / "mine.json"), *told, "--device", "cpu"])
        assert done.exit_code == 0, done.exception
        return Calibration.read(labelled / "mine.json").n_boundaries

    n_all = n_boundaries()
    assert n_boundaries(f"0 {cut_s}") == n_all - 1
    onset_s = turns_of(0)[1].onset_s
    assert n_boundaries(f"0 {onset_s}", f"{onset_s + 0.2} {cut_s}") == n_all - 2
    (labelled / "all.uem").write_text(f"rec0 1 0 {cut_s}\n")
    references = read_references(labelled / "labels", plan_refinement(labelled / "audio", labelled / "rttm"))
    with pytest.raises(DataError, match=r"does not say(?s:.*)rec1\n  rec2"):
        read_regions(labelled / "all.uem", references)


@pytest.mark.parametrize("alone", [False, True])
def test_a_recording_in_which_the_system_heard_nobody_counts_as_missed(
    labelled: Path, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    """The DER is that of `brefine score`, for which all speech of such a recording is missed; one alone tells nothing."""
    (labelled / "rttm" / "rec1.rttm").write_text("")
    folders = [labelled / one for one in ("audio", "rttm", "labels")]
    given = [folders[0] / "rec1.wav", folders[1] / "rec1.rttm", folders[2] / "rec1.rttm"] if alone else folders
    words = [*map(str, given), "--weights", str(labelled / "mlp.safetensors"), "-o", str(labelled / "mine.json")]
    monkeypatch.setattr("sys.argv", ["evaluate", "calibrate", *words, "--device", "cpu"])
    if alone:
        with pytest.raises(DataError, match=r"too few boundaries.*got 0"):
            processes.main()
        return
    monkeypatch.setattr("brefine.evaluate.labels.LEAST_BOUNDARIES", 5)
    assert processes.main() == 0
    found = Calibration.read(labelled / "mine.json")
    scored = CliRunner().invoke(app, ["score", "--reference", str(folders[2]), "--hypothesis", str(folders[1]), "--json"])
    assert found.held_out is not None
    assert found.held_out.der_before == pytest.approx(json.loads(scored.stdout)["der"])
    assert found.n_recordings == 3


def test_all_unusable_audio_is_told_before_anything_is_heard(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the first such file alone, after hours of those before it."""
    monkeypatch.setattr(calibration, "frames_of", lambda *given, **named: pytest.fail("something was heard"))
    for seed in (1, 2):
        (labelled / "audio" / f"rec{seed}.wav").write_bytes(b"no audio")
    given = [*(str(labelled / one) for one in ("audio", "rttm", "labels")), "--weights", str(labelled / "mlp.safetensors")]
    monkeypatch.setattr("sys.argv", ["evaluate", "calibrate", *given, "-o", str(labelled / "mine.json"), "--device", "cpu"])
    with pytest.raises(DataError, match=r"rec1\.wav(?s:.*)rec2\.wav"):
        processes.main()


def test_files_of_one_recording_are_paired_by_their_stems(labelled: Path) -> None:
    """Whatever stands in them: pyannote.audio calls all audio in memory `waveform`."""
    for folder, one in (("labels", 1), ("rttm", 2)):
        for seed in range(3):
            write_rttm(labelled / folder / f"rec{seed}.rttm", Diarization("waveform", bursts(seed)[one].turns))
    assert {stem: one.turns for stem, one in paired(labelled).items()} == {f"rec{seed}": turns_of(seed) for seed in range(3)}
    (labelled / "labels" / "rec1.rttm").unlink()
    assert sorted(paired(labelled)) == ["rec0", "rec2"]


def test_labels_are_also_found_by_what_stands_in_them(labelled: Path) -> None:
    """One file of all recordings, or files that are called otherwise; the stem of a file comes first."""
    everything = "".join((labelled / "labels" / f"rec{seed}.rttm").read_text() for seed in range(3))
    (labelled / "all.rttm").write_text(everything)
    for seed in range(3):
        (labelled / "labels" / f"rec{seed}.rttm").rename(labelled / "labels" / f"by_hand_{seed}.rttm")
    for labels in ("all.rttm", "labels"):
        assert {stem: one.turns for stem, one in paired(labelled, labels).items()} == {
            f"rec{seed}": turns_of(seed) for seed in range(3)
        }
    write_rttm(labelled / "labels" / "rec0.rttm", Diarization("rec9", (Turn(0.2, 0.3, "x"),)))
    assert paired(labelled)["rec0"].turns == (Turn(0.2, 0.3, "x"),)


def test_no_labels_serve_two_recordings(labelled: Path) -> None:
    """One file of labels that says `waveform` is nobody's among three such hypotheses; one of them alone may be meant."""
    write_rttm(labelled / "one.rttm", Diarization("waveform", bursts(0)[1].turns))
    for seed in range(3):
        write_rttm(labelled / "rttm" / f"rec{seed}.rttm", Diarization("waveform", bursts(seed)[2].turns))
    with pytest.raises(DataError, match=r"rec0: no labels(?s:.*)rec1: no labels(?s:.*)rec2: no labels"):
        paired(labelled, "one.rttm")
    alone = plan_refinement(labelled / "audio" / "rec0.wav", labelled / "rttm" / "rec0.rttm")
    (found,) = read_references(labelled / "one.rttm", alone).values()
    assert found.turns == turns_of(0)
    for name in ("my talk", "my_talk"):
        soundfile.write(labelled / "audio" / f"{name}.wav", bursts(0)[0], RATE_HZ)
        write_rttm(labelled / "rttm" / f"{name}.rttm", bursts(0)[2])
    write_rttm(labelled / "labels" / "my_talk.rttm", bursts(0)[1])
    with pytest.raises(DataError, match="my_talk: its labels are taken already, by my talk"):
        paired(labelled)


def test_labels_that_are_there_twice_are_all_told(labelled: Path) -> None:
    """A recording in two files of a folder is a fault, and so is a broken line; the user hears of both at once."""
    both = "".join((labelled / "labels" / f"rec{seed}.rttm").read_text() for seed in (0, 1))
    (labelled / "labels" / "both.rttm").write_text(both)
    (labelled / "labels" / "broken.rttm").write_text("SPEAKER\n")
    with pytest.raises(FormatError) as caught:
        paired(labelled)
    for part in ("'rec0' is also in both.rttm", "'rec1' is also in both.rttm", "broken.rttm", "1 fields"):
        assert part in str(caught.value)


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
