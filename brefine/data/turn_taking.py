"""Who speaks when and for how long: turn-taking statistics of real conversations, and scripts drawn from them.

Source: Landini et al., "From Simulated Mixtures to Simulated Conversations as Training Data for End-to-End Neural Diarization"
(Interspeech 2022): pauses within a speaker, pauses and overlaps between speakers are drawn from histograms of real references.
Here each conversation also draws a *style*, the figures of one real recording, so that calm and lively ones both occur.

The summary that ships, `turn_taking_voxconverse.json`, holds quantiles and rates of the VoxConverse v0.3 dev references
(CC BY 4.0); `python -m brefine.data turn-taking --reference DIR -o FILE` makes a summary of any folder of RTTMs.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brefine.core.turns import Diarization, Turn
from brefine.data.acoustics import happens

N_QUANTILES: Final = 51
MIN_CHANGE_RATE: Final = 0.5
"""Styles below this are near-monologues, which take audio and teach few changes."""
MIN_TRANSITIONS: Final = 8
"""Recordings with fewer transitions between turns have no style worth drawing."""
_SHORT_TURN_S: Final = (0.2, 0.9)
_SHORT_TURN_DB: Final = (-10.0, 2.0)
"""Length of a turn of a word or two, and how loud it is against the speaker's other turns."""


@dataclass(frozen=True, slots=True)
class Style:
    """One recording's way of taking turns."""

    change_rate: float
    """Share of transitions between consecutive turns that go to another speaker."""
    overlap_rate: float
    """Share of those changes that start before the previous turn has ended."""
    inside_rate: float
    """Share of those overlaps that lie wholly within the previous turn."""
    turn_s: float
    """Median turn length."""
    gap_s: float
    """Median silence between turns."""


@dataclass(frozen=True, slots=True, eq=False)
class TurnTaking:
    """Quantiles, each of shape (n_quantiles,), and one style for every real recording."""

    turn_ratio: NDArray[np.float64]
    """Turn lengths over the recording's median; turns that lie within another's have their own."""
    inside_turn_s: NDArray[np.float64]
    """Seconds of turns that lie wholly within another speaker's."""
    pause_ratio: NDArray[np.float64]
    """Silences between two turns of one speaker, over the recording's median silence."""
    change_gap_ratio: NDArray[np.float64]
    """Silences between turns of different speakers, likewise."""
    overlap_s: NDArray[np.float64]
    """Seconds by which a turn that is not inside the previous one overlaps it."""
    styles: tuple[Style, ...]


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """One entry of a script. `gap_s` is counted from the latest end of the turns before; negative = overlap."""

    speaker: int
    gap_s: float
    duration_s: float
    level_db: float = 0.0
    """Against the speaker's other turns."""


def learn_turn_taking(references: Sequence[Diarization]) -> TurnTaking:
    """Measures the turn-taking of real references.

    Raises:
        ValueError: no recording has `MIN_TRANSITIONS` transitions and a change of speakers.
    """
    samples = [_transitions(reference) for reference in references]
    samples = [sample for sample in samples if len(sample["turn"]) > MIN_TRANSITIONS and len(sample["change"]) > 1]
    if not samples:
        raise ValueError(f"no reference has {MIN_TRANSITIONS} transitions between turns and a change of speakers")
    styles = [_style(sample) for sample in samples]
    medians_s = {"turn": [style.turn_s for style in styles], "pause": [style.gap_s for style in styles]}
    medians_s |= {"change": medians_s["pause"], "inside": [1.0] * len(styles), "overlap": [1.0] * len(styles)}
    pooled = {
        key: np.concatenate([sample[key] / median_s for sample, median_s in zip(samples, own, strict=True)])
        for key, own in medians_s.items()
    }
    return TurnTaking(
        turn_ratio=_quantiles(pooled["turn"]),
        inside_turn_s=_quantiles(pooled["inside"]),
        pause_ratio=_quantiles(pooled["pause"]),
        change_gap_ratio=_quantiles(pooled["change"]),
        overlap_s=_quantiles(pooled["overlap"]),
        styles=tuple(styles),
    )


def draw_script(
    statistics: TurnTaking,
    *,
    n_speakers: int,
    duration_s: float,
    max_turn_s: float,
    least_pause_s: float,
    liveliness: float = 0.0,
    short_share: float = 0.0,
    silence_factor: float = 1.0,
    rng: np.random.Generator,
) -> list[PlannedTurn]:
    """Draws the turns of one conversation until it is `duration_s` long.

    Args:
        max_turn_s: longer turns are cut to it, so that a short conversation still has several.
        least_pause_s: the pause rule; a speaker's own shorter silences would not separate turns.
        liveliness: 0 = as the statistics are; 1 = as in a heated meeting; see `livelier`.
        short_share: share of turns of only a word or two, often soft: half of a meeting's turns are shorter than a second.
        silence_factor: silences are this many times as long as in the statistics.
    """
    lively = [style for style in statistics.styles if style.change_rate >= MIN_CHANGE_RATE]
    style = livelier(lively[rng.integers(len(lively))], liveliness)
    silence_s = style.gap_s * silence_factor
    talkativeness = rng.dirichlet(np.full(n_speakers, 3.0))
    speaker = int(rng.integers(n_speakers))
    script = [
        PlannedTurn(speaker, float(rng.uniform(0.2, 1.5)), min(max_turn_s, _draw(statistics.turn_ratio, rng) * style.turn_s))
    ]
    before = script[0]  # the turn that ends last; a turn after one inside it follows it
    end_s = before.gap_s + before.duration_s
    while end_s < duration_s:
        speaker, inside = before.speaker, False
        duration = float(np.clip(_draw(statistics.turn_ratio, rng) * style.turn_s, 0.2, max_turn_s))
        short = happens(short_share, rng)
        if short:
            duration = float(np.exp(rng.uniform(*np.log(_SHORT_TURN_S))))
        if n_speakers == 1 or rng.random() >= style.change_rate:
            gap = max(least_pause_s, _draw(statistics.pause_ratio, rng) * silence_s)
        else:
            others = np.where(np.arange(n_speakers) == speaker, 0.0, talkativeness)
            speaker = int(rng.choice(n_speakers, p=others / others.sum()))
            if rng.random() >= style.overlap_rate:
                gap = _draw(statistics.change_gap_ratio, rng) * silence_s
            elif rng.random() < style.inside_rate and before.duration_s > 1.0:
                inside = True
                duration = min(duration if short else _draw(statistics.inside_turn_s, rng), 0.8 * before.duration_s)
                gap = -float(rng.uniform(duration, before.duration_s))
            else:
                gap = -min(_draw(statistics.overlap_s, rng), 0.8 * before.duration_s, 0.8 * duration)
        script.append(PlannedTurn(speaker, float(gap), duration, float(rng.uniform(*_SHORT_TURN_DB)) if short else 0.0))
        if not inside:
            before = script[-1]
            end_s += gap + duration
    return script


def livelier(style: Style, liveliness: float) -> Style:
    """The style on its way to that of a heated meeting: turns a quarter as long, most changes before the previous turn has ended,
    most of those short words of assent inside it.

    Source: Shriberg et al. 2001, "Observations on overlap: findings and implications for automatic processing of multi-party
    conversation": 30–50 % of the turns of meetings overlap.
    """
    return Style(
        change_rate=style.change_rate,
        overlap_rate=style.overlap_rate + liveliness * max(0.0, 0.6 - style.overlap_rate),
        inside_rate=style.inside_rate + liveliness * max(0.0, 0.6 - style.inside_rate),
        turn_s=style.turn_s * (1.0 - 0.75 * liveliness),
        gap_s=style.gap_s * (1.0 - 0.5 * liveliness),
    )


def turn_taking_to_json(statistics: TurnTaking, *, source: str) -> dict[str, Any]:
    """The summary as JSON: numbers, and a word on where they come from."""
    return {
        "schema": 1,
        "source": source,
        **{key: np.round(getattr(statistics, key), 3).tolist() for key in _QUANTILE_KEYS},
        "styles": [[round(float(getattr(style, key)), 3) for key in _STYLE_KEYS] for style in statistics.styles],
    }


def turn_taking_from_json(tree: Mapping[str, Any]) -> TurnTaking:
    """The inverse of `turn_taking_to_json`."""
    quantiles = {key: np.asarray(tree[key], dtype=float) for key in _QUANTILE_KEYS}
    return TurnTaking(**quantiles, styles=tuple(Style(*row) for row in tree["styles"]))


def load_turn_taking() -> TurnTaking:
    """The summary that ships with brefine."""
    return turn_taking_from_json(json.loads((files("brefine.data") / "turn_taking_voxconverse.json").read_text()))


_QUANTILE_KEYS = ("turn_ratio", "inside_turn_s", "pause_ratio", "change_gap_ratio", "overlap_s")
_STYLE_KEYS = ("change_rate", "overlap_rate", "inside_rate", "turn_s", "gap_s")


def _transitions(reference: Diarization) -> dict[str, NDArray[np.float64]]:
    turns = sorted(reference.unioned().turns)
    found: dict[str, list[float]] = {key: [] for key in ("turn", "inside", "pause", "change", "overlap")}
    found["turn"] = [turn.duration_s for turn in turns[:1]]
    # A turn after one inside another counts as following the outer one, which is still going on.
    for before, after in zip(itertools.accumulate(turns, _ending_last), turns[1:], strict=False):
        gap_s = after.onset_s - before.offset_s
        if after.speaker == before.speaker:
            found["pause"].append(gap_s)
        elif gap_s >= 0:
            found["change"].append(gap_s)
        elif after.offset_s <= before.offset_s:
            found["inside"].append(after.duration_s)
            continue  # these have their own lengths
        else:
            found["overlap"].append(-gap_s)
        found["turn"].append(after.duration_s)
    return {key: np.asarray(values, dtype=float) for key, values in found.items()}


def _ending_last(so_far: Turn, turn: Turn) -> Turn:
    return turn if turn.offset_s > so_far.offset_s else so_far


def _style(sample: Mapping[str, NDArray[np.float64]]) -> Style:
    n_overlaps = len(sample["overlap"]) + len(sample["inside"])
    n_changes = len(sample["change"]) + n_overlaps
    gaps = np.concatenate([sample["pause"], sample["change"]])
    return Style(
        change_rate=n_changes / (n_changes + len(sample["pause"])),
        overlap_rate=n_overlaps / max(n_changes, 1),
        inside_rate=len(sample["inside"]) / max(n_overlaps, 1),
        turn_s=float(np.median(sample["turn"])),
        gap_s=max(0.05, float(np.median(gaps))) if len(gaps) else 0.5,
    )


def _quantiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.quantile(values, np.linspace(0.005, 0.995, N_QUANTILES)) if len(values) else np.zeros(N_QUANTILES)


def _draw(quantiles: NDArray[np.float64], rng: np.random.Generator) -> float:
    return float(np.interp(rng.random(), np.linspace(0.0, 1.0, len(quantiles)), quantiles))
