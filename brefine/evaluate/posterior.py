"""Where a model puts each boundary: its whole posterior, for the boundary viewer.

    python -m brefine.evaluate.posterior PHASE_DIR MODEL

Reports hold one shift per boundary; the viewer also shows what else the model thought possible. The file is written on demand,
since nothing else needs it: `evaluation/<model>/validation.posteriors.npz` with

    recording, speaker, side (N,)   whose end it is
    hypothesis_s (N,)               where the hypothesis has it
    start_s (N,)                    time of the first bin's middle
    hop_s ()                        from bin to bin
    probability (N, T)              of the end in each bin, float16; rows sum to one

An end beyond which the speaker is heard to go on is moved by other evidence (`models.going_on`), which no posterior shows. Such
ends hardly ever have a partner in the reference, and the viewer moves only matched ends, so it shows them where the hypothesis
has them.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brefine.config import MODEL_NAMES, ModelName
from brefine.errors import run_main
from brefine.evaluate.device import DeviceName
from brefine.evaluate.evaluation import load_checkpoint
from brefine.evaluate.moves import fit_prior, hear_recording
from brefine.evaluate.recordings import GivenSplit
from brefine.io.atomic import write_bytes_atomic
from brefine.io.folders import never_make_anew
from brefine.models.changes import Changes
from brefine.phasedir import PhaseDir


def write_posteriors(phase: PhaseDir, model: ModelName, *, device: DeviceName) -> Path:
    """Runs the best checkpoint over the validation split and writes its posteriors.

    Raises:
        CheckpointError: there are no weights.
        DataError: the prepared corpus is gone.
    """
    never_make_anew(phase.path)
    config = phase.load_config()
    split = GivenSplit(config, "validation")
    refiner = load_checkpoint(phase, model, "best", device)
    heard = [
        (
            recording.name,
            hear_recording(refiner, split.frames(recording, refiner), recording.hypothesis, duration_s=recording.duration_s),
        )
        for recording in split.recordings
    ]
    prior = fit_prior([one for _, one in heard])
    names: list[tuple[str, str, str]] = []
    times_s: list[tuple[float, float]] = []
    rows: list[np.ndarray] = []
    for name, one in heard:
        if one.reading is None:
            continue
        changes = Changes.of(one.boundaries, one.reading.centre_B, one.reading.hop_s)
        posteriors = refiner.posteriors(one.reading, changes, prior)
        rows.append(posteriors.frames_BT.numpy().astype(np.float16))
        for end, first_s in zip(one.boundaries, posteriors.shifts_s[:, 0].tolist(), strict=True):
            names.append((name, end.speaker, end.side.value))
            times_s.append((end.time_s, end.time_s + first_s))
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
