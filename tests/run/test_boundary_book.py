"""Boundaries with their surroundings, read from what evaluation has written."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.errors import DataError, FormatError, ProcessError
from brefine.phasedir import CorpusManifest, CorpusRecording, Manifest, PhaseDir
from brefine.run.boundary_book import BoundaryBook
from tests.run.toy_programs import make_toy_phase

RATE_HZ = 16000
HEAD = "recording,speaker,side,kind,reference_s,hypothesis_s,refined_s,confidence\n"


@pytest.fixture
def phase(tmp_path: Path) -> PhaseDir:
    """A phase whose one recording is silent for 3 s and then holds a tone of 1 kHz, spoken by anna."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    times_s = np.arange(6 * RATE_HZ) / RATE_HZ
    tone = np.where(times_s >= 3.0, 0.5 * np.sin(2 * np.pi * 1000.0 * times_s), 0.0)
    soundfile.write(corpus / "a.flac", tone, RATE_HZ)
    (corpus / "a.ref.rttm").write_text("SPEAKER a 1 3.0 3.0 <NA> <NA> anna <NA> <NA>\n")
    (corpus / "a.hyp.rttm").write_text("SPEAKER a 1 3.25 2.5 <NA> <NA> 0 <NA> <NA>\n")
    recording = CorpusRecording(
        name="a", audio="a.flac", reference="a.ref.rttm", hypothesis="a.hyp.rttm", duration_s=6.0, regions_s=[(0.0, 6.0)],
        speakers=["anna"],
    )  # fmt: skip
    splits = {"train": [], "validation": [recording], "gate": []}
    CorpusManifest(title="toy", evidence="simulated", hypothesis_source="none", splits=splits).write(corpus / "corpus.json")
    made = make_toy_phase(tmp_path)
    Manifest(
        phase="toy", created_unix_s=1.0, argv=[], git_commit=None, git_dirty=None, versions={}, seed=0, models=["mlp"],
        corpus=str(corpus), price_usd_per_hour=0.0, priced_on=None, gate={},
    ).write(made.manifest)  # fmt: skip
    table = made.boundaries("mlp", "validation")
    table.parent.mkdir(parents=True)
    table.write_text(HEAD + "a,0,onset,pause,3.000000,3.250000,3.040000,0.900000\n")
    return made


def test_an_excerpt_holds_audio_and_turns_around_the_boundary(phase: PhaseDir) -> None:
    """The tone begins in the middle, in the band of 1 kHz; the hypothesis' speaker has the reference's name; the end moved."""
    book = BoundaryBook(phase)
    (row,) = book.rows("mlp")
    excerpt = book.excerpt("mlp", row, n_columns=80, n_bands=20)
    assert (excerpt.start_s, excerpt.end_s) == (1.0, 5.0)
    assert excerpt.levels[:, :38].max() == 0.0
    assert excerpt.levels[:, 42:].argmax(axis=0).tolist() == [6] * 38  # 60 Hz to 8 kHz in 20 mel bands: 924–1115 Hz
    ends_s = {source: [(turn.speaker, turn.onset_s) for turn in turns] for source, turns in excerpt.turns.items()}
    assert ends_s == {"reference": [("anna", 3.0)], "hypothesis": [("anna", 3.25)], "refined": [("anna", 3.04)]}
    assert (excerpt.posterior, excerpt.computed) == (None, False)


def test_the_posterior_of_that_very_boundary_is_drawn(phase: PhaseDir) -> None:
    """Its peak stands where the model puts the boundary; one without a window has none, and a torn or older file is none."""
    book = BoundaryBook(phase)
    (row,) = book.rows("mlp")
    probability = np.zeros((2, 101), np.float16)
    probability[0, 29], probability[1, 90] = 0.5, 1.0  # 3.25 − 0.5 + 0.29 = 3.04 s
    buffer = io.BytesIO()
    np.savez(
        buffer, recording=np.array(["a", "b"]), speaker=np.array(["0", "0"]), side=np.array(["onset", "onset"]),
        hypothesis_s=np.array([3.25, 3.25]), start_s=np.array([2.75, 2.75]), hop_s=np.array(0.01), probability=probability,
    )  # fmt: skip
    path = phase.posteriors("mlp", "validation")
    path.write_bytes(buffer.getvalue())
    excerpt = book.excerpt("mlp", row, n_columns=400, n_bands=8)
    drawn = excerpt.posterior
    assert drawn is not None and excerpt.computed
    assert (int(drawn.argmax()), float(drawn.max())) == (204, 1.0)
    at_edge = row.model_copy(update={"hypothesis_s": 0.02})
    excerpt = book.excerpt("mlp", at_edge, n_columns=400, n_bands=8)
    assert (excerpt.posterior, excerpt.computed) == (None, True)
    table_ns = phase.boundaries("mlp", "validation").stat().st_mtime_ns
    os.utime(path, ns=(table_ns - 1, table_ns - 1))
    excerpt = book.excerpt("mlp", row, n_columns=400, n_bands=8)
    assert (excerpt.posterior, excerpt.computed) == (None, False)
    path.write_bytes(buffer.getvalue()[:100])
    excerpt = book.excerpt("mlp", row, n_columns=400, n_bands=8)
    assert (excerpt.posterior, excerpt.computed) == (None, False)


def test_a_table_may_say_how_vague_a_place_is(phase: PhaseDir) -> None:
    """Nothing where the table is of an earlier version or the field is empty."""
    book, table = BoundaryBook(phase), phase.boundaries("mlp", "validation")
    assert [row.spread_s for row in book.rows("mlp")] == [None]
    head = HEAD.strip() + ",spread_s\n"
    table.write_text(head + "".join(f"a,0,onset,pause,3.0,3.25,3.04,0.9,{spread}\n" for spread in ("0.084000", "")))
    assert [row.spread_s for row in book.rows("mlp")] == [0.084, None]


def test_what_is_missing_is_told_in_words(phase: PhaseDir, tmp_path: Path) -> None:
    """No table, a broken table, no audio, no weights: each is an error with a place, never a traceback."""
    book = BoundaryBook(phase)
    (row,) = book.rows("mlp")
    with pytest.raises(DataError, match="no table of boundaries"):
        book.rows("transformer")
    (tmp_path / "corpus" / "a.flac").unlink()
    with pytest.raises(DataError, match=r"a\.flac"):
        book.excerpt("mlp", row, n_columns=8, n_bands=8)
    phase.boundaries("mlp", "validation").write_text(HEAD + "a,0,onset,pause,3.0\n")
    with pytest.raises(FormatError, match="broken"):
        book.rows("mlp")


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("corpus/a.hyp.rttm", "turns of this recording are gone"),
        ("manifest.json", "the manifest, which names the corpus, is gone"),
        ("corpus.json", "corpus is"),
    ],
)
def test_what_has_gone_since_is_told_as_missing_data(phase: PhaseDir, tmp_path: Path, gone: str, told: str) -> None:
    """Not as a broken format, nor as an error of the system."""
    book = BoundaryBook(phase)
    (row,) = book.rows("mlp")
    (path,) = tmp_path.rglob(Path(gone).name)
    path.unlink()
    with pytest.raises(DataError, match=told):
        book.excerpt("mlp", row, n_columns=8, n_bands=8)


@pytest.mark.end_to_end
def test_posteriors_that_cannot_be_computed_say_why(phase: PhaseDir) -> None:
    """The last words of the process are the person's."""
    with pytest.raises(ProcessError, match="cannot be computed"):
        BoundaryBook(phase).compute_posteriors("mlp")


def test_looking_at_boundaries_needs_no_torch() -> None:
    """The viewer belongs to the half that opens at once."""
    script = "import sys, brefine.tui.screens.boundaries; sys.exit('torch' in sys.modules or 'brefine.data' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
