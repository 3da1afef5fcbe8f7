"""What runs inside the user's DiariZen environment, without a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from brefine.diarizers import diarizen_worker
from brefine.diarizers.diarizen_worker import check, embedding_of, progress_writer, votes_of, watch

N_CHUNKS, CHUNK_S, CHUNK_STEP_S = 7, 16.0, 1.6
FIRST_S, STEP_S = 0.4125, 0.1


def feature(rows: np.ndarray, **window: float) -> SimpleNamespace:
    """The part of pyannote's `SlidingWindowFeature` that is read."""
    return SimpleNamespace(data=rows, sliding_window=SimpleNamespace(**window))


def shares_of(votes: np.ndarray, *, chunks_start_s: float) -> dict[str, Any]:
    chunks = feature(np.zeros((N_CHUNKS, 1)), start=chunks_start_s, duration=CHUNK_S, step=CHUNK_STEP_S)
    return votes_of({"votes": feature(votes, start=FIRST_S - 0.0125, duration=0.025, step=STEP_S), "chunks": chunks})


@pytest.mark.parametrize("chunks_start_s", [0.0, 0.25])
def test_a_vote_is_a_share_of_the_chunks_that_cover_its_frame(chunks_start_s: float) -> None:
    """One chunk at the ends of the audio, seven in its middle: whom all of them hear has all votes, whom half hear has half."""
    centres_s = FIRST_S + STEP_S * np.arange(250)  # none of them is on the edge of a chunk
    starts_s = chunks_start_s + CHUNK_STEP_S * np.arange(N_CHUNKS)
    covering = ((starts_s < centres_s[:, None]) & (centres_s[:, None] < starts_s + CHUNK_S)).sum(axis=1)
    assert (covering.min(), covering.max()) == (1, N_CHUNKS)
    found = shares_of(np.column_stack([covering, covering / 2, 0.0 * covering]), chunks_start_s=chunks_start_s)
    assert (found["first_s"], found["step_s"]) == (pytest.approx(FIRST_S), STEP_S)
    np.testing.assert_allclose(found["shares"], np.tile([1.0, 0.5, 0.0], (250, 1)), atol=1e-9)


def test_votes_beyond_the_last_chunk_are_of_one() -> None:
    """A last frame may be centred behind it, and is no division by nothing; nobody has more than all votes."""
    found = shares_of(np.tile([0.25, 3.0], (300, 1)), chunks_start_s=0.0)
    assert found["shares"][-1] == [0.25, 1.0]


def test_a_package_without_metadata_is_there_in_a_version_that_nobody_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout on the path can be imported as well; a name that is nowhere is missing, and so nothing is imported."""
    (tmp_path / "checkout_of_diarizen").mkdir()
    (tmp_path / "checkout_of_diarizen" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    names = ("checkout_of_diarizen", "nowhere_at_all", "torch", "numpy", "pyannote.audio", "diarizen")
    monkeypatch.setattr(diarizen_worker, "PACKAGES", names)
    found = check()
    assert found["versions"]["checkout_of_diarizen"] == "unknown"
    assert found["versions"]["nowhere_at_all"] is None
    assert found["versions"]["numpy"] == np.__version__
    assert (found["fork"], found["error"]) == (None, None)


def test_an_embedding_comes_from_the_folder_then_from_what_was_downloaded_then_from_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is asked last."""
    cached: list[object] = [None, "cached.bin"]
    hub = SimpleNamespace(try_to_load_from_cache=lambda *_: cached[-1], hf_hub_download=lambda *_: Path("downloaded.bin"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    own = tmp_path / "pyannote-embedding" / "pytorch_model.bin"
    own.parent.mkdir()
    own.write_bytes(b"")
    assert embedding_of(tmp_path) == str(own)
    own.unlink()
    assert embedding_of(tmp_path) == "cached.bin"
    cached.pop()
    assert embedding_of(tmp_path) == "downloaded.bin"


def test_the_steps_of_a_pipeline_are_told_and_its_votes_kept(tmp_path: Path) -> None:
    """Counts that are not given are none of one; what its methods return is what they returned before."""
    pipeline = SimpleNamespace(
        get_segmentations=lambda *given, hook, **options: hook("segmentation", None, completed=2, total=5) or given,
        get_embeddings=lambda *given, hook, **options: hook("embeddings", None) or given,
        reconstruct=lambda segmentations, *_: ("turns", "votes"),
    )
    path = tmp_path / "progress.json"
    told: list[list[object]] = []
    tell = progress_writer(path)
    seen = watch(pipeline, lambda *step: tell(*step) or told.append(list(json.loads(path.read_text()).values())))
    assert pipeline.get_segmentations("file") == ("file",)
    assert pipeline.get_embeddings("file") == ("file",)
    assert pipeline.reconstruct("chunks", "clusters") == ("turns", "votes")
    assert seen == {"votes": "votes", "chunks": "chunks"}
    assert told == [
        ["finding who speaks in each chunk", 2, 5],
        ["reading the voices", 0, 1],
        ["telling the voices apart", 0, 1],
    ]
