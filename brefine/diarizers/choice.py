"""Diarizers by name."""

from __future__ import annotations

from brefine.config import DiarizerConfig
from brefine.diarizers.diarizer import Diarizer


def build_diarizer(config: DiarizerConfig) -> Diarizer:
    """The diarizer that the configuration names, checked but not loaded.

    Raises:
        ProcessError: it is not installed, or not where the configuration says.
    """
    if config.name == "pyannote":
        from brefine.diarizers.pyannote import PyannoteDiarizer

        return PyannoteDiarizer.find(config.model)
    if config.name == "diarizen":
        from brefine.diarizers.diarizen import DiarizenDiarizer

        return DiarizenDiarizer.find(config.python, config.model)
    from brefine.diarizers.builtin import BuiltinDiarizer

    return BuiltinDiarizer()
