"""Where the weights in this package are, also for code that must know them without loading torch."""

from __future__ import annotations

from pathlib import Path

from brefine.errors import CheckpointError


def shipped_weights() -> Path:
    """The weights file in the package; the first by name if there are several.

    Raises:
        CheckpointError: this build has none.
    """
    folder = Path(__file__).parents[1] / "weights"
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise CheckpointError(
            "this build of brefine ships without weights",
            where=folder,
            hint="train some (`brefine launch-phase3 --config configs/demo.toml`), then name them: "
            "--weights runs/PHASE/MODEL/checkpoints/best.safetensors",
        )
    return found[0]
