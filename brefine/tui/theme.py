"""Colours and glyphs: state and identity are always shown by a glyph or a dash as well as by a colour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from textual import constants
from textual.theme import Theme

from brefine.run.snapshot import PhaseState, ShownState


@dataclass(frozen=True, slots=True)
class Look:
    """How one state is shown."""

    glyph: str
    style: str
    """A Textual style; colours come from the theme's variables."""


RUN_LOOKS: Final = {
    ShownState.PENDING: Look("○", "$quiet"),
    ShownState.STARTING: Look("○", "$accent"),
    ShownState.RUNNING: Look("●", "$success"),
    ShownState.PAUSED: Look("■", "$warning"),
    ShownState.STOPPED: Look("■", "$quiet"),
    ShownState.FINISHED: Look("✓", "$success"),
    ShownState.FAILED: Look("✗", "$error"),
    ShownState.NONFINITE: Look("✗", "$error"),
    ShownState.STALLED: Look("▲", "$warning"),
    ShownState.LOST: Look("▲", "$error"),
}

PHASE_LOOKS: Final = {
    PhaseState.PREPARING: Look("●", "$accent"),
    PhaseState.TRAINING: Look("●", "$success"),
    PhaseState.EVALUATING: Look("●", "$accent"),
    PhaseState.TO_SELECT: Look("▲", "$warning"),
    PhaseState.TO_INTEGRATE: Look("▲", "$warning"),
    PhaseState.INTEGRATING: Look("●", "$accent"),
    PhaseState.TO_DECIDE: Look("▲", "$warning"),
    PhaseState.DECIDED: Look("✓", "$success"),
    PhaseState.STOPPED: Look("■", "$quiet"),
    PhaseState.FAILED: Look("✗", "$error"),
}

ALERT_LOOKS: Final = {
    "info": Look("·", "$quiet"),
    "warning": Look("▲", "$warning"),
    "error": Look("✗", "$error"),
}

FINDING_LOOKS: Final = {
    "met": Look("☑", "$success"),
    "not-met": Look("☒", "$error"),
    "unknown": Look("☐", "$warning"),
}

N_CURVE_LOOKS: Final = 6
DASH_SAMPLES: Final = ("━━━", "╍╍ ", "┅┅┅", "━╍━", "━ ━", "╍┅╍")
"""One dash pattern for each curve, as `drawing.DASHES` draws it."""


def curve_style(index: int) -> str:
    """The colour of the `index`-th run, as a style."""
    return f"$curve-{index % N_CURVE_LOOKS + 1}"


def dash_sample(index: int) -> str:
    """Three cells that look like the `index`-th run's curve."""
    return DASH_SAMPLES[index % N_CURVE_LOOKS]


DEFAULT_VARIABLES: Final = {
    "curve-1": "#6cb6ff",
    "curve-2": "#f2a65a",
    "curve-3": "#c297ff",
    "curve-4": "#5fd7c0",
    "curve-5": "#ff8fa3",
    "curve-6": "#d5d36b",
    "rule": "#344050",
    "level": "#8492a6",
    "quiet": "#8e9bad",
}

THEMES: Final = (
    Theme(
        name="brefine",
        primary="#6cb6ff",
        secondary="#8ea1b8",
        accent="#7fd1e8",
        success="#63d08a",
        warning="#f0c05a",
        error="#ff6b6b",
        foreground="#d6dee8",
        background="#0d1219",
        surface="#111821",
        panel="#1a2430",
        dark=True,
        variables=DEFAULT_VARIABLES,
    ),
    Theme(
        # Okabe and Ito's palette, whose colours can be distinguished with every common kind of colour vision.
        name="brefine-colour-blind",
        primary="#56b4e9",
        secondary="#9aa7b5",
        accent="#56b4e9",
        success="#56b4e9",
        warning="#f0e442",
        error="#e8743b",
        foreground="#e3e6ea",
        background="#101215",
        surface="#15181c",
        panel="#1e2227",
        dark=True,
        variables={
            **DEFAULT_VARIABLES,
            "curve-1": "#56b4e9",
            "curve-2": "#e69f00",
            "curve-3": "#f0e442",
            "curve-4": "#009e73",
            "curve-5": "#cc79a7",
            "curve-6": "#e3e6ea",
        },
    ),
    Theme(
        name="brefine-light",
        primary="#1a659f",
        secondary="#5a6a7d",
        accent="#0a6a7c",
        success="#1b6b2b",
        warning="#8a5c00",
        error="#b02828",
        foreground="#1d2733",
        background="#fbfaf7",
        surface="#f4f2ed",
        panel="#ebe9e4",
        dark=False,
        variables={
            "curve-1": "#1a659f",
            "curve-2": "#a85400",
            "curve-3": "#7a3fb8",
            "curve-4": "#0e7766",
            "curve-5": "#b3365c",
            "curve-6": "#6b6a12",
            "rule": "#c9c4b8",
            "level": "#5b6673",
            "quiet": "#5b6673",
        },
    ),
)
"""brefine's own themes, the default one first. The contrast of text and background is at least 4.5:1."""


_IN_16_COLOURS: Final[dict[str, dict[str, str]]] = {
    "brefine-colour-blind": {"curve-2": "#ff5555"},
    "brefine-light": {
        **dict.fromkeys(("primary", "accent", "success", "curve-1", "curve-5"), "#0000aa"),
        **dict.fromkeys(("warning", "curve-3", "curve-6"), "#aa00aa"),
        **dict.fromkeys(("error", "curve-2"), "#aa0000"),
        **dict.fromkeys(("foreground", "level", "quiet", "curve-4"), "#000000"),
    },
}
"""Replacements for terminals with 16 colours: on white, only blue, magenta, red and black are legible in every palette."""


def themes_in(color_system: str | None) -> tuple[Theme, ...]:
    """The themes for a terminal with this color system, as Rich calls it: `standard` means 16 colours."""
    if color_system != "standard":
        return THEMES
    return tuple(_changed(theme, _IN_16_COLOURS.get(theme.name, {})) for theme in THEMES)


def _changed(theme: Theme, colours: dict[str, str]) -> Theme:
    fields = {name: colour for name, colour in colours.items() if hasattr(theme, name)}
    variables = {name: colour for name, colour in colours.items() if name not in fields}
    return replace(theme, **fields, variables={**theme.variables, **variables})  # type: ignore[arg-type]


def first_theme() -> str:
    """The theme that a dashboard starts with: the environment's `TEXTUAL_THEME` if it is one of brefine's, else the default."""
    names = [theme.name for theme in THEMES]
    return constants.DEFAULT_THEME if constants.DEFAULT_THEME in names else names[0]
