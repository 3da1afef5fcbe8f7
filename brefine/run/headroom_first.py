"""The headroom of a recipe's gate split, shown before anything that costs time or money is started."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from brefine.config import PhaseConfig, prepared_corpus_path, with_absolute_paths
from brefine.core.headroom import Headroom, measure_headroom
from brefine.errors import BrefineError
from brefine.io.pairs import Pair, read_pairs
from brefine.io.uem import UEM_FILE
from brefine.phasedir import CORPUS_FILE, CorpusManifest, corrected_labels
from brefine.run.gate_report import thresholds_of
from brefine.run.headroom_table import headroom_lines


def headroom_of_recipe(config: PhaseConfig) -> list[str]:
    """One screen if reference and hypothesis of the gate split exist already; else one line that says why there is none."""
    config = with_absolute_paths(config)
    try:
        pairs = _prepared(config) or _own_folder(config)
    except BrefineError as error:
        return [f"headroom: not known before the corpus is prepared: {error.what}"]
    if not pairs:
        return ["headroom: known once the corpus is prepared and diarized; then launch again, or ask: brefine headroom"]
    gate = config.gate
    found = measure_pairs(pairs, window_s=gate.window_s, shift_s=config.refine.max_shift_s, collar_s=gate.der_collar_s)
    lines = headroom_lines(found.figures(thresholds_of(gate)))
    return ["what refinement could win at most on the gate split:", *lines, ""]


def measure_pairs(pairs: Iterable[Pair], *, window_s: float, shift_s: float, collar_s: float) -> Headroom:
    """The headroom of these recordings; the arguments are those of `core.headroom.measure_headroom`."""
    return Headroom(
        tuple(
            measure_headroom(
                one.reference,
                one.hypothesis,
                regions_s=one.regions_s,
                window_s=window_s,
                shift_s=shift_s,
                collar_s=collar_s,
            )
            for one in pairs
        )
    )


def _prepared(config: PhaseConfig) -> list[Pair]:
    folder = prepared_corpus_path(config)
    manifest = CorpusManifest.read_if_there(folder / CORPUS_FILE)
    if manifest is None or corrected_labels(manifest, config):
        return []
    return [Pair(one.name, *one.turns(folder), one.regions_s) for one in manifest.gate]


def _own_folder(config: PhaseConfig) -> tuple[Pair, ...]:
    """The pairs of a user's own corpus that contains its hypotheses: they can be measured before it is prepared."""
    if config.corpus.kind != "folder" or config.hypothesis.source != "folder" or config.corpus.gate is None:
        return ()
    gate = Path(config.corpus.gate)
    hypothesis = Path(config.hypothesis.folder) if config.hypothesis.folder else gate / "hypothesis"
    uem = gate / UEM_FILE
    return read_pairs(gate / "reference", hypothesis, uem if uem.exists() else None).pairs
