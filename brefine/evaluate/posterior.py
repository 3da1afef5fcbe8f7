"""Where a model puts each boundary: its whole posterior, for the boundary viewer.

    python -m brefine.evaluate.posterior PHASE_DIR MODEL

Reports hold one shift a boundary; the viewer also shows what else the model thought possible. Written on demand, since nothing
else needs it: `evaluation/<model>/validation.posteriors.npz` with

    recording, speaker, side (N,)   whose end it is
    hypothesis_s (N,)               where the hypothesis has it
    start_s (N,)                    time of the first bin's middle
    hop_s ()                        from bin to bin
    probability (N, T)              of the end in each bin, float16; rows sum to one
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from brefine.config import MODEL_NAMES, ModelName
from brefine.core.boundaries import BoundaryKind, ends_of_speech
from brefine.errors import run_main
from brefine.evaluate.evaluation import load_checkpoint
from brefine.evaluate.recordings import GivenSplit
from brefine.io.atomic import write_bytes_atomic
from brefine.models.weights import Refiner
from brefine.phasedir import PhaseDir


def write_posteriors(phase: PhaseDir, model: ModelName, *, device: str = "auto") -> Path:
    """Runs the best checkpoint over the validation split and writes its posteriors.

    Raises:
        CheckpointError: there are no weights.
        DataError: the prepared corpus is gone.
    """
    config = phase.load_config()
    split = GivenSplit(config, "validation")
    refiner = load_checkpoint(phase, model, "best", device)
    names: list[tuple[str, str, str]] = []
    times_s: list[tuple[float, float]] = []
    rows: list[np.ndarray] = []
    for recording in split.recordings:
        hypothesis = recording.hypothesis.clipped(0.0, recording.duration_s)
        ends = ends_of_speech(hypothesis, extent_s=(0.0, recording.duration_s))
        ends = tuple(end for end in ends if end.kind is not BoundaryKind.EDGE)
        if not ends:
            continue
        logits_BK = refiner.logits(split.frames(recording, refiner), hypothesis, ends)
        rows.append(_posterior(logits_BK, refiner, config.refine.prior_scale_s))
        for end in ends:
            names.append((recording.name, end.speaker, end.side.value))
            bias_s = refiner.card.prior.get(f"{end.side}_bias_s", 0.0)
            times_s.append((end.time_s, end.time_s + bias_s - (rows[-1].shape[1] - 1) / 2 * refiner.features.hop_s))
    buffer = io.BytesIO()
    columns = list(zip(*names, strict=True)) or [(), (), ()]
    times = np.array(times_s, dtype=np.float64).reshape(-1, 2)
    np.savez_compressed(
        buffer,
        recording=np.array(columns[0], dtype=np.str_),
        speaker=np.array(columns[1], dtype=np.str_),
        side=np.array(columns[2], dtype=np.str_),
        hypothesis_s=times[:, 0],
        start_s=times[:, 1],
        hop_s=np.array(refiner.features.hop_s),
        probability=np.concatenate(rows) if rows else np.zeros((0, 1), np.float16),
    )
    path = phase.posteriors(model, "validation")
    write_bytes_atomic(path, buffer.getvalue())
    return path


def _posterior(logits_BK: torch.Tensor, refiner: Refiner, prior_scale_s: float | None) -> np.ndarray:
    """Probability of each bin given that there is a boundary, with the prior that decoding uses."""
    n_frames = logits_BK.shape[1] - 1
    scale_s = refiner.card.prior.get("scale_s") if prior_scale_s is None else prior_scale_s
    logits_BT = logits_BK[:, :n_frames].float()
    if scale_s is not None:
        centres_T = torch.arange(n_frames) + 0.5 - n_frames / 2
        logits_BT = logits_BT - centres_T.abs() * (refiner.features.hop_s / scale_s)
    return torch.softmax(logits_BT, dim=1).numpy().astype(np.float16)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m brefine.evaluate.posterior", description=__doc__)
    parser.add_argument("phase", type=Path)
    parser.add_argument("model", choices=MODEL_NAMES)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options = parser.parse_args(arguments)
    write_posteriors(PhaseDir(options.phase), options.model, device=options.device)
    return 0


if __name__ == "__main__":
    run_main(main)
