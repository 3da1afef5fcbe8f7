"""Looks at the gate's recordings: what was chosen or changed after figures had been seen is told beside the verdict."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from brefine.core.gate import Answer
from brefine.phasedir import Look, LookedAt
from brefine.run.gate_report import judge_phase, write_gate
from tests.run.honest_phase import HonestPhase
from tests.run.records import WEIGHTS_SHA256

CHANGED = "references of gate recordings were changed after a refiner had been scored on them"
OTHERS = "hypotheses of gate recordings are others than a refiner had been scored on before"
MISSING = "recordings are no longer in the gate split after a refiner had been scored on them"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest")
    HonestPhase(folder).make()
    return folder


@pytest.fixture
def honest(made: Path, tmp_path: Path) -> HonestPhase:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return HonestPhase(tmp_path)


def look(weights_sha256: str = WEIGHTS_SHA256, *, unix_s: float = 500.0) -> Look:
    """Earlier than the integration of the honest phase, by its refiner if nothing else is said."""
    return Look(model="mlp", weights_sha256=weights_sha256, refine={}, unix_s=unix_s)


def changed(one: LookedAt, **changes: object) -> LookedAt:
    return one.model_copy(update=changes)


def test_labels_that_were_changed_after_a_look_are_told(honest: HonestPhase) -> None:
    """The verdict stands, as a label may have been wrong; whoever reads it knows which were changed."""
    seen = honest.looked_at()
    honest.phase.record_look(look(), [changed(one, reference_sha256="0") for one in seen[:7]] + seen[7:])
    honest.phase.record_look(look(), [changed(seen[9], hypothesis_sha256="0"), *seen[10:]])
    record = write_gate(honest.phase, {"go-on": Answer(True)})
    assert record.verdict == "pass"
    assert record.notes == [f"{CHANGED}: g0, g1, g2, g3, g4 and 2 more", f"{OTHERS}: g9"]
    assert CHANGED in honest.phase.gate_page.read_text()


def test_a_later_look_changes_nothing_before_it(honest: HonestPhase) -> None:
    """What was corrected after this integration was not corrected because of an earlier figure."""
    seen = honest.looked_at()
    honest.phase.record_look(look(unix_s=2000.0), [changed(seen[0], reference_sha256="0"), *seen[1:]])
    assert judge_phase(honest.phase).notes == []


def test_a_recording_is_known_by_its_audio(honest: HonestPhase) -> None:
    """Under another name it is the same; other audio under its name is not; where no digest is told, name and duration decide."""
    seen = honest.looked_at()
    honest.phase.record_look(
        look(),
        [
            changed(seen[0], name="x0", reference_sha256="0"),
            changed(seen[1], audio_sha256="0", reference_sha256="0"),
            changed(seen[2], audio_sha256=None, reference_sha256="0"),
            changed(seen[3], audio_sha256=None, duration_s=11.0, reference_sha256="0"),
        ],
    )
    assert judge_phase(honest.phase).notes == [f"{CHANGED}: g0, g2", f"{MISSING}: g1, g3"]


def test_a_look_outlives_its_report(honest: HonestPhase) -> None:
    """Whoever removes integration.json and integrates another refiner has scored two."""
    honest.phase.record_look(look("1" * 64), honest.looked_at())
    assert judge_phase(honest.phase).notes == [
        "2 refiners were scored on the gate split (mlp, mlp); no interval allows for a choice among them"
    ]


def test_torn_looks_are_passed_over(honest: HonestPhase) -> None:
    """As if the line were not there."""
    honest.phase.record_look(look("1" * 64), honest.looked_at())
    honest.phase.looks.write_bytes(honest.phase.looks.read_bytes()[:-20])
    assert judge_phase(honest.phase).notes == []


def test_recordings_that_were_left_out_after_a_look_are_named(honest: HonestPhase) -> None:
    """Whoever integrates again without the worst recordings is told of them."""
    worst = [changed(honest.looked_at()[0], name=name, audio_sha256=name) for name in ("worst1", "worst2")]
    honest.phase.record_look(look(), [*honest.looked_at(), *worst])
    assert judge_phase(honest.phase).notes == [f"{MISSING}: worst1, worst2"]
