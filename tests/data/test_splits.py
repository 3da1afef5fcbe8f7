"""One split of a prepared corpus: what is read of it, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from brefine.config import FeatureConfig
from brefine.core.turns import Diarization, Turn
from brefine.data.feature_store import build_store
from brefine.data.splits import Split
from brefine.errors import DataError
from brefine.io.rttm import write_rttm
from brefine.phasedir import CorpusManifest, CorpusRecording

_FEATURES = FeatureConfig(n_mels=20)
_SECONDS = {"b": 0.6, "a": 0.4}


def _corpus(
    folder: Path, *, replayed: Sequence[str] = (), simulated: Sequence[str] = (), in_store: Sequence[str] = ("b", "a")
) -> Path:
    """Two recordings, b before a: b is scored in part, a has no regions."""
    for name, duration_s in _SECONDS.items():
        (folder / "audio").mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "audio" / f"{name}.wav", np.zeros(round(16_000 * duration_s), np.float32), 16_000)
        write_rttm(folder / f"{name}.reference.rttm", Diarization(name, (Turn(0.1, 0.3, "truth"),)))
        write_rttm(folder / f"{name}.hypothesis.rttm", Diarization(name, (Turn(0.1, 0.2, "guess"),)))
    recordings = [
        CorpusRecording(
            name=name,
            audio=f"audio/{name}.wav",
            reference=f"{name}.reference.rttm",
            hypothesis=f"{name}.hypothesis.rttm",
            duration_s=duration_s,
            regions_s=[(0.1, 0.5)] if name == "b" else [],
            speakers=["truth"],
            replayed=name in replayed,
            simulated=name in simulated,
        )
        for name, duration_s in _SECONDS.items()
    ]
    build_store(folder / "features", {name: folder / "audio" / f"{name}.wav" for name in in_store}, _FEATURES)
    splits = {"train": recordings, "validation": []}
    CorpusManifest(title="two", evidence="real", hypothesis_source="a test", splits=splits).write(folder / "corpus.json")
    return folder


def test_a_split_is_read_in_the_order_of_its_manifest(tmp_path: Path) -> None:
    """Each recording with its own frames, its labels, and what is scored of it: all, where no region is named."""
    split = Split(_corpus(tmp_path), "train", _FEATURES)
    assert split.recordings == ("b", "a")
    assert [one.reference.turns[0].speaker for one in split.annotated] == ["truth", "truth"]
    assert [one.hypothesis.turns[0].offset_s for one in split.annotated] == [0.2, 0.2]
    assert [list(one.regions_s) for one in split.annotated] == [[(0.1, 0.5)], [(0.0, 0.4)]]
    assert [(hypothesis.recording, len(frames)) for frames, hypothesis in split.heard()] == [("b", 60), ("a", 40)]
    assert split.corpus_sha256 == CorpusManifest.read(tmp_path / "corpus.json").fingerprint()


@pytest.mark.parametrize(
    ("replayed", "simulated", "redrawable"),
    [
        ((), (), [False, False]),
        (("b",), ("b",), [False, False]),
        (("b", "a"), ("b",), [True, True]),
        (("b",), ("b", "a"), [True, False]),
    ],
    ids=["a system's own", "simulated ones beside them", "all replayed", "simulated ones that a system hears beside others"],
)
def test_errors_are_drawn_anew_where_they_were_replayed(
    tmp_path: Path, replayed: Sequence[str], simulated: Sequence[str], redrawable: list[bool]
) -> None:
    """Never those of a system that hears; and none where simulated conversations only join real recordings."""
    split = Split(_corpus(tmp_path, replayed=replayed, simulated=simulated), "train", _FEATURES)
    assert split.redrawable.tolist() == redrawable


def test_an_empty_hypothesis_is_of_a_diarizer_that_heard_nobody(tmp_path: Path) -> None:
    """It has no turns; an RTTM of another recording is refused."""
    folder = _corpus(tmp_path)
    (folder / "a.hypothesis.rttm").write_text("")
    assert Split(folder, "train", _FEATURES).annotated[1].hypothesis == Diarization("a")
    write_rttm(folder / "a.hypothesis.rttm", Diarization("b", (Turn(0.1, 0.2, "guess"),)))
    with pytest.raises(DataError, match="the RTTM is of another recording"):
        Split(folder, "train", _FEATURES)


def test_what_was_not_prepared_is_no_split(tmp_path: Path) -> None:
    """No corpus, no recording in it, and recordings without frames, each named with what to do or where it is."""
    for folder, name in ((tmp_path / "nowhere", "train"), (_corpus(tmp_path / "two"), "validation")):
        with pytest.raises(DataError, match=f"the corpus has no {name} split"):
            Split(folder, name, _FEATURES)
    with pytest.raises(DataError, match="missing from the feature store") as refused:
        Split(_corpus(tmp_path / "one", in_store=["b"]), "train", _FEATURES)
    assert refused.value.problems == ("a",)
