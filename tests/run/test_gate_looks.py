"""Looks at the gate's recordings: what was chosen or changed after figures had been seen is told beside the verdict."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from brefine.core.gate import Answer
from brefine.phasedir import Look, LookedAt, PhaseDir
from brefine.run.gate_report import judge_phase, write_gate
from tests.run.honest_phase import HonestPhase
from tests.run.records import WEIGHTS_SHA256, integration

CHANGED = "references of gate recordings, or what of them is scored, have changed since a refiner was scored on them"
OTHERS = "hypotheses of gate recordings have changed since a refiner was scored on them"
MISSING = "recordings have left the gate split since a refiner was scored on them"


def look(weights_sha256: str = WEIGHTS_SHA256, *, unix_s: float = 500.0) -> Look:
    """Earlier than the integration of the honest phase, by its refiner if nothing else is said."""
    return Look(model="mlp", weights_sha256=weights_sha256, refine={}, unix_s=unix_s)


def phase_beside(honest: HonestPhase, name: str, seen: Sequence[LookedAt], *, seed: int = 7, unix_s: float = 500.0) -> PhaseDir:
    """Another phase in the same folder, whose own refiner was scored on these recordings."""
    other = PhaseDir(honest.phase.path.with_name(name))
    other.path.mkdir()
    shutil.copy(honest.phase.config, other.config)
    other.record_look(look(f"{seed:064d}", unix_s=unix_s), list(seen))
    return other


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
    """Under another name it is the same, under its own where reference or length agree with what is told of it, else not."""
    seen = honest.looked_at()
    honest.phase.record_look(
        look(),
        [
            changed(seen[0], name="x0", reference_sha256="0"),
            changed(seen[1], audio_sha256="0", reference_sha256="0"),
            changed(seen[2], audio_sha256=None, reference_sha256="0"),
            changed(seen[3], audio_sha256=None, duration_s=11.0, reference_sha256="0"),
            changed(seen[4], audio_sha256="0"),
        ],
    )
    converted = "the audio of gate recordings has changed since a refiner was scored on them: g4"
    assert judge_phase(honest.phase).notes == [converted, f"{CHANGED}: g0, g2", f"{MISSING}: g1, g3"]


def test_looks_that_were_removed_are_missed(honest: HonestPhase) -> None:
    """The report tells of its own look; without a line about that, earlier ones may be gone as well."""
    honest.phase.looks.unlink()
    (told,) = judge_phase(honest.phase).notes
    assert told == "looks.jsonl is missing or damaged; earlier looks at the gate split are not known"


def test_a_look_outlives_its_report(honest: HonestPhase) -> None:
    """Whoever removes integration.json and integrates another refiner has scored two."""
    honest.phase.record_look(look("1" * 64), honest.looked_at())
    assert judge_phase(honest.phase).notes == [
        "2 refiners were scored on the gate split (mlp twice); no interval allows for a choice among them"
    ]


def test_many_looks_are_counted(honest: HonestPhase) -> None:
    """A name for each of a hundred would hide every other note."""
    earlier = [look(f"{seed:064d}") for seed in range(100)]
    honest.integrate(looks=[look("1" * 64).model_copy(update={"model": "transformer"}), *earlier, look()])
    assert judge_phase(honest.phase).notes == [
        "102 refiners were scored on the gate split (transformer, mlp 101 times); no interval allows for a choice among them"
    ]


def test_phases_that_were_scored_on_the_same_recordings_are_told(honest: HonestPhase) -> None:
    """Ten launches with the best kept are ten looks; a copy of the phase and one behind another gate are none."""
    seen = honest.looked_at()
    phase_beside(honest, "b-later", seen, seed=1, unix_s=3000.0)
    phase_beside(honest, "a-\x1b[31m", seen[:5], seed=2)
    phase_beside(honest, "elsewhere", [changed(one, audio_sha256=one.name, reference_sha256="0") for one in seen], seed=3)
    shutil.copytree(honest.phase.path, honest.phase.path.with_name("copy"))
    assert judge_phase(honest.phase).notes == [
        "this is one of 3 phases whose refiners were scored on these recordings (also a-\\x1b[31m, b-later); "
        "no interval allows for a choice among them"
    ]


def test_recordings_that_another_phase_was_scored_on_and_that_are_left_out_are_named(honest: HonestPhase) -> None:
    """Whoever launches again without the worst recordings is told of them."""
    worst = [changed(honest.looked_at()[0], name=name, audio_sha256=name) for name in ("worst1", "worst2")]
    phase_beside(honest, "before", [*honest.looked_at(), *worst])
    assert judge_phase(honest.phase).notes[1:] == [f"{MISSING}: worst1, worst2"]


def test_a_phase_of_an_earlier_version_tells_its_looks_by_its_integration(honest: HonestPhase) -> None:
    """By the corpus that it was integrated on; one that is damaged is told, and stops nobody."""
    for name, corpus_sha256 in (("same", honest.fingerprint()), ("other", "00" * 32), ("damaged", "00" * 32)):
        other = phase_beside(honest, name, [])
        other.looks.unlink()
        report = integration("mlp").model_copy(update={"corpus_sha256": corpus_sha256, "looks": [look("5" * 64)]})
        report.write(other.integration)
    honest.edit(other.integration, '"mlp"', '"transformer"')
    assert judge_phase(honest.phase).notes == [
        "this is one of 2 phases whose refiners were scored on these recordings (also same); "
        "no interval allows for a choice among them",
        "not all that was scored in other phases is known (damaged)",
    ]


def test_recordings_that_were_left_out_after_a_look_are_named(honest: HonestPhase) -> None:
    """Whoever integrates again without the worst recordings is told of them."""
    worst = [changed(honest.looked_at()[0], name=name, audio_sha256=name) for name in ("worst1", "worst2")]
    honest.phase.record_look(look(), [*honest.looked_at(), *worst])
    assert judge_phase(honest.phase).notes == [f"{MISSING}: worst1, worst2"]


def test_looks_that_cannot_be_read_are_told(honest: HonestPhase) -> None:
    """A damaged line takes a look away, and with it a warning: here, and in a phase beside this one."""
    own = honest.phase.looks.read_bytes()
    honest.phase.looks.unlink()
    for digit in "12":
        honest.phase.record_look(look(digit * 64), honest.looked_at())
    honest.phase.looks.write_bytes(honest.phase.looks.read_bytes().replace(b'"model"', b'"m\x00del"') + own)
    beside = phase_beside(honest, "beside", honest.looked_at())
    beside.looks.write_bytes(beside.looks.read_bytes()[:-20])
    assert write_gate(honest.phase).notes == [
        "2 lines of looks.jsonl cannot be read; not every look at the gate split is known",
        "not all that was scored in other phases is known (beside)",
    ]
    assert "2 lines of looks.jsonl" in honest.phase.gate_page.read_text()


def test_looks_without_their_recordings_are_counted(honest: HonestPhase) -> None:
    """One torn line held the recordings of all: it takes its own look away, not the warning."""
    honest.phase.looks.unlink()
    for digit in "123":
        honest.phase.record_look(look(digit * 64), honest.looked_at())
    first, *others = honest.phase.looks.read_text().splitlines()
    honest.phase.looks.write_text("\n".join([first[:-9], *others]) + "\n")
    lost = "1 line of looks.jsonl cannot be read; the recordings of 2 looks in looks.jsonl are not known"
    assert judge_phase(honest.phase).notes == [
        f"{lost}; not every look at the gate split is known",
        "3 refiners were scored on the gate split (mlp 3 times); no interval allows for a choice among them",
    ]


def test_another_phase_whose_recordings_are_not_known_tells_its_looks_by_its_integration(honest: HonestPhase) -> None:
    """What its report was scored on is known still, and that not all is known."""
    beside = phase_beside(honest, "beside", honest.looked_at())
    honest.edit(beside.looks, '"g3"', '"zz"')
    report = integration("mlp").model_copy(update={"looked_at": honest.looked_at(), "looks": [look("5" * 64)]})
    report.write(beside.integration)
    assert judge_phase(honest.phase).notes == [
        "this is one of 2 phases whose refiners were scored on these recordings (also beside); "
        "no interval allows for a choice among them",
        "not all that was scored in other phases is known (beside)",
    ]


def test_a_folder_in_the_place_of_looks_is_told(honest: HonestPhase) -> None:
    """Nothing can be read of it, which is another thing than nothing to read."""
    beside = phase_beside(honest, "beside", [])
    for phase in (honest.phase, beside):
        phase.looks.unlink()
        phase.looks.mkdir()
    assert judge_phase(honest.phase).notes == [
        "looks.jsonl cannot be read (it is not a regular file); not every look at the gate split is known",
        "not all that was scored in other phases is known (beside)",
    ]
