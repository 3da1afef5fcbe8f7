"""The headroom before a launch: from what is there already, or a word on why not."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from brefine.cli import app
from brefine.config import PhaseConfig, format_config, parse_config, prepared_corpus_path
from brefine.core.turns import Diarization, Turn
from brefine.io.rttm import write_rttm
from brefine.phasedir import SPLITS, CorpusManifest, CorpusRecording
from brefine.run.headroom_first import headroom_of_recipe


def _recipe(folder: Path, source: str = "folder") -> PhaseConfig:
    text = f"""schema = 1
[corpus]
kind = "folder"
root = "{folder}"
train = "{folder / "train"}"
gate = "{folder / "gate"}"
[hypothesis]
source = "{source}"
[models.mlp]
"""
    return parse_config(text, where="test")


def test_a_corpus_with_its_hypotheses_is_looked_at_before_it_is_prepared(tmp_path: Path) -> None:
    """One screen: what movement would give, and what one recording cannot tell of the criteria."""
    for name, offset_s in (("reference", 5.0), ("hypothesis", 5.4)):
        write_rttm(tmp_path / "gate" / name / "talk.rttm", Diarization("talk", (Turn(1.0, offset_s, "A"),)))
    shown = "\n".join(headroom_of_recipe(_recipe(tmp_path)))
    assert "DER 10.00 % at collar 0" in shown
    assert "any end moved by up to 1 s can give 0.00 %, 100.0 % better [n/a], and nothing below 0.00 %" in shown
    assert "gate 4" in shown
    assert shown.count("CANNOT BE JUDGED") == 3 and "OUT OF REACH" not in shown


def test_ends_may_move_as_far_as_the_recipe_lets_them(tmp_path: Path) -> None:
    """Which may be further than boundaries are matched: what nothing undercuts is told of the refiner that will move them."""
    for name, offset_s in (("reference", 5.0), ("hypothesis", 6.5)):
        write_rttm(tmp_path / "gate" / name / "talk.rttm", Diarization("talk", (Turn(1.0, offset_s, "A"),)))
    for shift_s, least in ((1.0, "12.50 %"), (2.0, "0.00 %")):
        recipe = _recipe(tmp_path)
        recipe = recipe.model_copy(update={"refine": recipe.refine.model_copy(update={"max_shift_s": shift_s})})
        shown = "\n".join(headroom_of_recipe(recipe))
        assert f"any end moved by up to {shift_s:g} s can give {least}" in shown
        assert f"and nothing below {least}" in shown


def test_headroom_with_a_recipe_says_what_its_launch_says(tmp_path: Path) -> None:
    """Of the gate's own matching cap and collar, and of moves as long as the recipe allows; an option takes W's place."""
    for name, offset_s in (("reference", 5.0), ("hypothesis", 5.75)):
        write_rttm(tmp_path / "gate" / name / "talk.rttm", Diarization("talk", (Turn(1.0, offset_s, "A"),)))
    recipe = _recipe(tmp_path)
    gate = {"mae_ms": 100.0, "window_s": 0.7, "der_collar_s": 0.1}
    recipe = recipe.model_copy(
        update={
            "gate": recipe.gate.model_copy(update=gate),
            "refine": recipe.refine.model_copy(update={"max_shift_s": 0.2}),
        }
    )
    (tmp_path / "mine.toml").write_text(format_config(recipe))
    words = ["headroom", "--config", str(tmp_path / "mine.toml")]
    words += [word for name in ("reference", "hypothesis") for word in (f"--{name}", str(tmp_path / "gate" / name))]
    told = CliRunner().invoke(app, words).stdout.splitlines()
    assert told == headroom_of_recipe(recipe)[1:-1]
    shown = "\n".join(told)
    assert "boundaries matched within W = 0.7 s: recall 50.0 %" in shown
    assert "any end moved by up to 0.2 s can give 13.75 %" in shown
    assert "17.11 % now" in shown and "at collar 0.1 s" in shown  # 0.65 of 3.8 s
    assert "within W = 1 s: recall 100.0 %" in CliRunner().invoke(app, [*words, "--window-s", "1"]).stdout


def test_a_recording_in_which_the_diarizer_heard_nobody_counts_as_it_does_behind_the_gate(tmp_path: Path) -> None:
    """All that is said there is missed, in the prepared corpus as in the folder that it was prepared from."""
    recipe, splits = _recipe(tmp_path), {split: list[CorpusRecording]() for split in SPLITS}
    for name in ("talk", "quiet"):
        files = [f"gate/{what}/{name}.rttm" for what in ("reference", "hypothesis")]
        turns = (Turn(1.0, 5.0, "A"),)
        for folder in (tmp_path, prepared_corpus_path(recipe)):
            for path, own in zip(files, (turns, turns if name == "talk" else ()), strict=True):
                write_rttm(folder / path, Diarization(name, own))
        one = CorpusRecording(
            name=name, audio="", reference=files[0], hypothesis=files[1], duration_s=6.0, regions_s=[(0.0, 6.0)], speakers=["A"]
        )
        splits["gate"].append(one)
    before = headroom_of_recipe(recipe)
    CorpusManifest(title="t", evidence="real", hypothesis_source="h", splits=splits).write(
        prepared_corpus_path(recipe) / "corpus.json"
    )
    assert before[1] == headroom_of_recipe(recipe)[1]
    assert before[1].startswith("2 recordings: DER 50.00 % at collar 0")


def test_before_a_diarizer_has_run_nothing_can_be_told(tmp_path: Path) -> None:
    """One line says when."""
    (line,) = headroom_of_recipe(_recipe(tmp_path, "builtin"))
    assert "once the corpus is prepared" in line


def test_a_corpus_that_is_not_there_does_not_stop_the_launch_here(tmp_path: Path) -> None:
    """Preparation will say what is wrong with it, in full."""
    (line,) = headroom_of_recipe(_recipe(tmp_path))
    assert line.startswith("headroom: not known before")


def test_a_prepared_corpus_without_a_gate_split_does_not_stop_the_launch_here(tmp_path: Path) -> None:
    """Nothing is behind the gate of which a headroom could be told; what needs that split says that it is missing."""
    recipe = _recipe(tmp_path, "builtin")
    manifest = CorpusManifest(title="mine", evidence="real", hypothesis_source="mine", splits={"train": []})
    manifest.write(prepared_corpus_path(recipe) / "corpus.json")
    (line,) = headroom_of_recipe(recipe)
    assert "once the corpus is prepared" in line
