"""Behaves as DiariZen's pipeline does towards its caller: prints, integer labels, votes that it drops, turns past the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any


@dataclass
class Segment:
    start: float
    end: float


class Annotation:
    def __init__(self, turns: list[tuple[float, float, int]]) -> None:
        self._turns = turns

    def itertracks(self, yield_label: bool = False) -> Iterator[tuple[Segment, int, int]]:
        for number, (start, end, label) in enumerate(self._turns):
            yield Segment(start, end), number, label


class Matrix(list[list[float]]):
    def tolist(self) -> list[list[float]]:
        return list(self)


def feature(rows: list[list[float]], **window: float) -> Any:
    return SimpleNamespace(data=Matrix(rows), sliding_window=SimpleNamespace(**window))


class DiariZenPipeline:
    def __init__(self, diarizen_hub: Path, embedding_model: str) -> None:
        assert (diarizen_hub / "config.toml").is_file()
        assert Path(embedding_model).is_file()
        print(f"Loaded configuration from {diarizen_hub}")

    def get_segmentations(self, file: Any, hook: Any = None, soft: bool = False) -> Any:
        hook("segmentation", None, completed=0, total=2)
        return feature([[0.0]], start=0.0, duration=16.0, step=1.6)

    def get_embeddings(self, file: Any, segmentations: Any, exclude_overlap: bool = False, hook: Any = None) -> Any:
        hook("embeddings", None, total=1, completed=1)
        return None

    def reconstruct(self, segmentations: Any, clusters: Any, count: Any) -> Any:
        # 100 frames of 20 ms: speaker 0 in the first half, speaker 1 in the second; one chunk covers all of them
        votes = [[1.0, 0.0]] * 50 + [[0.0, 1.0]] * 50
        return None, feature(votes, start=0.0, duration=0.025, step=0.02)

    def __call__(self, audio: str, sess_name: str | None = None) -> Annotation:
        print("Extracting segmentations.")
        if "broken" in Path(audio).name:
            raise RuntimeError("the fake cannot read this")
        if "crash" in Path(audio).name:
            os._exit(3)
        segmentations = self.get_segmentations({}, soft=False)
        self.get_embeddings({}, segmentations, exclude_overlap=True)
        self.reconstruct(segmentations, None, None)
        return Annotation([(0.0, 1.0, 0), (0.9, 2.5, 1), (1.2, 1.4, 1)])
