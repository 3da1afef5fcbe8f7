"""Colours: what is written can be read in every theme."""

from __future__ import annotations

from itertools import product

import pytest
from rich.color import Color as RichColor
from rich.color import ColorSystem
from textual import constants
from textual.color import Color
from textual.theme import Theme

from brefine.tui.theme import N_CURVE_LOOKS, THEMES, first_theme
from tests.tui.conftest import OpenDesk, contrast
from tests.tui.memory_phases import phase

_WRITTEN = (
    *product(
        ("foreground", "primary", "accent", "success", "warning", "error", "level", "quiet"), ("background", "surface", "panel")
    ),
    *product((f"curve-{number}" for number in range(1, N_CURVE_LOOKS + 1)), ("background", "surface")),
)
"""What is written, and on what, as variables of a theme."""


async def test_text_stands_out_in_every_theme(open_desk: OpenDesk) -> None:
    """By 4.5:1 (WCAG 2, AA) from all that it is written on, in the first theme without having been chosen."""
    async with open_desk(phase()) as desk:
        for theme in THEMES:
            if desk.app.theme != theme.name:
                desk.app.theme = theme.name
                await desk.pilot.pause()
            colours = {name: Color.parse(desk.app.theme_variables[name]) for pair in _WRITTEN for name in pair}
            assert desk.app.screen.styles.background == colours["background"], theme.name
            ratios = {(text, ground): contrast(colours[text], colours[ground]) for text, ground in _WRITTEN}
            assert {pair: round(ratio, 2) for pair, ratio in ratios.items() if ratio < 4.5} == {}, theme.name


def in_256_colours(colour: str) -> Color:
    """What a terminal without true colour shows, as in a tmux or an ssh session that says nothing of it."""
    nearest = RichColor.parse(colour).downgrade(ColorSystem.EIGHT_BIT)
    return Color(*nearest.get_truecolor())


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_stands_out_where_there_are_256_colours(theme: Theme) -> None:
    """By 4.5:1 as well, though the nearest colours are others; and what has failed does not have the colour of a warning."""
    written = {**theme.to_color_system().generate(), **theme.variables}
    colours = {name: in_256_colours(written[name]) for pair in _WRITTEN for name in pair}
    ratios = {(text, ground): contrast(colours[text], colours[ground]) for text, ground in _WRITTEN}
    assert {pair: round(ratio, 2) for pair, ratio in ratios.items() if ratio < 4.5} == {}
    assert len({colours[state] for state in ("success", "warning", "error")}) == 3


_VGA = (
    "#000000 #aa0000 #00aa00 #aa5500 #0000aa #aa00aa #00aaaa #aaaaaa "
    "#555555 #ff5555 #55ff55 #ffff55 #5555ff #ff55ff #55ffff #ffffff"
)
_XTERM = (
    "#000000 #cd0000 #00cd00 #cdcd00 #0000ee #cd00cd #00cdcd #e5e5e5 "
    "#7f7f7f #ff0000 #00ff00 #ffff00 #5c5cff #ff00ff #00ffff #ffffff"
)


@pytest.mark.parametrize("palette", [_VGA, _XTERM], ids=["vga", "xterm"])
@pytest.mark.parametrize("name", [theme.name for theme in THEMES])
async def test_text_stands_out_where_there_are_16_colours(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch, palette: str, name: str
) -> None:
    """By 4.5:1 in what the Linux console and xterm make of the 16, though each terminal has its own."""
    monkeypatch.setenv("TERM", "xterm-16color")
    monkeypatch.delenv("COLORTERM", raising=False)
    shown = [Color.parse(colour) for colour in palette.split()]
    async with open_desk(phase(), theme=name) as desk:
        assert desk.app.console.color_system == "standard"
        written = desk.app.theme_variables
        numbers = {
            colour: RichColor.parse(Color.parse(written[colour]).hex6).downgrade(ColorSystem.STANDARD).number
            for pair in _WRITTEN
            for colour in pair
        }
    ratios = {(text, ground): contrast(shown[numbers[text] or 0], shown[numbers[ground] or 0]) for text, ground in _WRITTEN}
    assert {pair: round(ratio, 2) for pair, ratio in ratios.items() if ratio < 4.5} == {}


@pytest.mark.parametrize(
    ("wanted", "first"), [("brefine-light", "brefine-light"), ("textual-dark", "brefine"), ("brefine", "brefine")]
)
def test_the_environment_says_in_which_theme_it_comes_up(wanted: str, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever cannot read the first one need not choose another each time; Textual's own are not brefine's."""
    monkeypatch.setattr(constants, "DEFAULT_THEME", wanted)  # read from TEXTUAL_THEME when Textual is loaded
    assert first_theme() == first
