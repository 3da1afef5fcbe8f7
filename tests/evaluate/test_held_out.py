"""What a calibration wins on recordings that it was not fitted on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brefine.config import RefineConfig
from brefine.core.bootstrap import bootstrap_improvement
from brefine.core.boundaries import Side
from brefine.core.der import score_der
from brefine.core.turns import Diarization, Turn
from brefine.data.features import analyse
from brefine.evaluate import __main__ as processes
from brefine.evaluate import held_out
from brefine.evaluate.held_out import LabelledRecording, fit_to_labels, hold_out
from brefine.evaluate.labels import enough
from brefine.evaluate.moves import fit_prior, hear_recording, refine_heard
from brefine.evaluate.refine import load_weights
from brefine.models.weights import Refiner
from brefine.phasedir import Calibration, HeldOut
from tests.evaluate.conftest import DURATION_S, FEATURES, bursts, save_untrained

_FOUND = HeldOut(
    n_groups=6,
    mae_before_ms=200.0,
    mae_without_ms=171.0,
    mae_with_ms=152.0,
    der_before=0.2,
    der_without=0.16,
    der_with=0.15,
    interval=(-0.01, 0.12),
)


@pytest.fixture
def refiner(tmp_path: Path) -> Refiner:
    save_untrained(tmp_path / "mlp.safetensors", "mlp")
    return load_weights(tmp_path / "mlp.safetensors", "cpu")


def heard(refiner: Refiner, seed: int, names: str = "AB") -> LabelledRecording:
    """Recording `seed`, its speakers called so."""
    samples, reference, hypothesis = bursts(seed)
    called = dict(zip("AB", names.split() if " " in names else names, strict=True))
    turns = tuple(replace(turn, speaker=called[turn.speaker]) for turn in reference.turns)
    one = hear_recording(refiner, analyse(samples.astype(np.float32), FEATURES), hypothesis, duration_s=DURATION_S)
    return LabelledRecording.of(one, Diarization(reference.recording, turns), None)


def test_each_recording_is_refined_with_what_others_tell(refiner: Refiner) -> None:
    """By hand: the prior of the three others for each, that of all four hypotheses without labels, and the same boundaries."""
    labelled = [heard(refiner, seed) for seed in range(4)]
    found = hold_out(refiner, labelled)
    assert found is not None
    errors_s: dict[str, list[float]] = {"before": [], "without": [], "with": []}
    wrong_s = dict.fromkeys(errors_s, 0.0)
    spoken_s = 0.0
    own = fit_prior([one.heard for one in labelled])
    for one in labelled:
        prior = fit_to_labels([other for other in labelled if other is not one])
        assert prior is not None
        for way, used in (("before", None), ("without", own), ("with", prior)):
            refinement = None if used is None else refine_heard(refiner, one.heard, used, config=RefineConfig())
            answer = one.heard.hypothesis if refinement is None else refinement.refined
            der = score_der(one.reference, answer)
            wrong_s[way] += der.error_s
            spoken_s += der.reference_speech_s if used is None else 0.0
            for boundary, true_s in zip(one.heard.boundaries, one.true_s.tolist(), strict=True):
                if np.isfinite(true_s):
                    turn = answer.turns[boundary.turn_index]
                    place_s = turn.onset_s if boundary.side is Side.ONSET else turn.offset_s
                    errors_s[way].append(abs(place_s - boundary.time_s - true_s))
    for way, own_s in errors_s.items():
        assert getattr(found, f"mae_{way}_ms") == pytest.approx(1e3 * float(np.mean(own_s)))
        assert getattr(found, f"der_{way}") == pytest.approx(wrong_s[way] / spoken_s)
    assert found.der_relative == pytest.approx(1.0 - wrong_s["with"] / wrong_s["without"])
    assert found.n_groups == 4
    assert found.interval is None  # of four recordings there is none


def test_nobody_is_heard_on_both_sides(refiner: Refiner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings that share a speaker by name are held out together; names that only number speakers join none."""
    names = ["anna ben", "carl dora", "ben emma", "SPEAKER_00 SPEAKER_01", "SPEAKER_00 SPEAKER_01", "fay gus"]
    labelled = [heard(refiner, seed, names[seed]) for seed in range(6)]
    taught: list[set[int]] = []

    def fit(others: list[LabelledRecording]) -> object:
        taught.append({labelled.index(one) for one in others})
        return fit_to_labels(others)

    drawn: list[np.ndarray] = []
    monkeypatch.setattr(held_out, "fit_to_labels", fit)
    monkeypatch.setattr(held_out, "bootstrap_improvement", lambda parts: drawn.append(parts) or bootstrap_improvement(parts))
    found = hold_out(refiner, labelled)
    assert found is not None
    assert found.n_groups == 5
    assert found.interval is not None
    (groups_s,) = drawn  # those of a group are drawn together: seconds of error without labels, and with
    spoken_s = sum(score_der(one.reference, one.reference).reference_speech_s for one in labelled)
    np.testing.assert_allclose(groups_s.sum(axis=0) / spoken_s, [found.der_without, found.der_with])
    assert groups_s.shape == (5, 2)
    everything = set(range(6))
    assert sorted(map(sorted, (everything - others for others in taught))) == [[0, 2], [1], [3], [4], [5]]


def test_many_recordings_are_held_out_in_ten_parts(refiner: Refiner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each recording once."""
    one = heard(refiner, 0)
    labelled = [replace(one, reference=one.reference) for _ in range(12)]
    held: list[int] = []
    monkeypatch.setattr(held_out, "fit_to_labels", lambda others: held.append(12 - len(others)) or fit_to_labels(others))
    found = hold_out(refiner, labelled)
    assert found is not None
    assert found.n_groups == 12
    assert sorted(held) == [1] * 8 + [2] * 2


def test_where_too_little_is_labelled_nothing_is_told(refiner: Refiner) -> None:
    """One recording, one group of people, or too few labels outside a part."""
    labelled = [heard(refiner, seed) for seed in range(2)]
    assert hold_out(refiner, labelled[:1]) is None
    assert (
        hold_out(refiner, [heard(refiner, seed, names) for seed, names in enumerate(("anna ben", "ben carl", "carl anna"))])
        is None
    )
    few = replace(labelled[1], true_s=np.where(np.arange(len(labelled[1].true_s)) < 3, labelled[1].true_s, np.nan))
    assert not enough(few.n_known)
    assert hold_out(refiner, [labelled[0], few]) is None


@pytest.mark.parametrize(("n_known", "enough"), [(19, False), (20, True)])
def test_twenty_boundaries_are_enough_and_only_those_with_a_label_teach(refiner: Refiner, n_known: int, enough: bool) -> None:
    """Of three recordings, in which the others have no partner."""
    labelled, left = [heard(refiner, seed) for seed in range(3)], n_known
    for place, one in enumerate(labelled):
        taken = np.cumsum(np.isfinite(one.true_s)) <= left
        labelled[place] = replace(one, true_s=np.where(taken, one.true_s, np.nan))
        left -= labelled[place].n_known
    assert left == 0
    prior = fit_to_labels(labelled)
    assert (prior is not None) == enough
    assert prior is None or np.isfinite([*prior.weights, *prior.habit_s, prior.doubt]).all()


def test_what_lies_outside_the_labelled_parts_does_not_count(refiner: Refiner) -> None:
    """Neither for the DER nor, where labels are cut, for the boundaries."""
    whole = heard(refiner, 0)
    part = LabelledRecording.of(whole.heard, whole.reference.clipped(0.0, 6.0), [(0.0, 6.0)])
    elsewhere = Diarization(whole.reference.recording, (*whole.reference.clipped(0.0, 6.0).turns, Turn(8.0, 11.0, "A")))
    assert part.der_parts(elsewhere) == part.der_parts(whole.reference)
    assert 0 < part.n_known < whole.n_known
    assert len(part.errors_s(None)) == part.n_known


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            _FOUND,
            ["MAE 152 ms, without labels 171 ms", "20.00 % → 15.00 %, without labels 16.00 %", "6.2 % better [-1.0 %, +12.0 %]"],
        ),
        (_FOUND.model_copy(update={"der_with": 0.17}), ["gains nothing here (DER 6.2 % worse", "refine without it"]),
        (_FOUND.model_copy(update={"der_with": 0.16}), ["gains nothing here (DER 0.0 % better", "refine without it"]),
        (None, ["label recordings of more speakers"]),
    ],
)
def test_the_command_says_what_labels_are_worth(
    tmp_path: Path,
    found: HeldOut | None,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not only how well the constants fit what they were fitted to."""
    fitted = Calibration(
        weights_sha256="0" * 64,
        scales_s=[0.1],
        weights=[1.0],
        habit_s=(0.0, 0.0),
        margin_s=(-0.08, 0.13),
        doubt=0.1,
        n_recordings=6,
        n_boundaries=100,
        mae_before_ms=200.0,
        mae_after_ms=140.0,
        held_out=found,
    )
    for name in ("plan_refinement", "with_silent", "read_references", "require_usable", "require_enough"):
        monkeypatch.setattr(processes, name, lambda *given: fitted)
    for name in ("calibration.calibrate_refiner", "refine.load_weights"):
        monkeypatch.setattr(f"brefine.evaluate.{name}", lambda *given: fitted)
    monkeypatch.setattr("sys.argv", ["evaluate", "calibrate", "a.wav", "a.rttm", "b.rttm", "-o", str(tmp_path / "mine.json")])
    processes.main()
    text = capsys.readouterr().out
    assert "labels stand -80 ms (onsets) and +130 ms (offsets)" in text
    assert all(part in text for part in told)
    assert Calibration.read(tmp_path / "mine.json") == fitted


def test_a_calibration_of_a_version_that_held_nothing_out_is_read(tmp_path: Path) -> None:
    """Its file lacks the key."""
    (tmp_path / "old.json").write_text(
        '{"schema": 1, "weights_sha256": "0", "scales_s": [0.1], "weights": [1.0], "habit_s": [0, 0], "margin_s": [0, 0],'
        ' "doubt": 0.1, "n_recordings": 1, "n_boundaries": 30, "mae_before_ms": 200, "mae_after_ms": 140}'
    )
    assert Calibration.read(tmp_path / "old.json").held_out is None
