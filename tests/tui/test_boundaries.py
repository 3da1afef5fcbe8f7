"""The boundary viewer: one boundary after another, with everything that explains it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.app import App
from textual.color import Color

from brefine.errors import DataError, ProcessError
from brefine.run.snapshot import PhaseState
from brefine.tui.screens.boundaries import play_command
from brefine.tui.theme import THEMES
from brefine.tui.widgets.excerpt import LINES, ExcerptView, draw_excerpt, ramp_colour
from tests.tui.conftest import Desk, OpenDesk, contrast
from tests.tui.memory_phases import MemoryBook, phase


def at_evaluation() -> object:
    return phase(PhaseState.TO_SELECT)


async def opened(desk: Desk) -> None:
    await desk.press("enter")
    await desk.until(lambda: "A new" in desk.text)
    await desk.pilot.pause()  # the lines below the picture are laid out after it


@pytest.mark.parametrize("size", [(80, 24), (160, 45), (200, 60)])
async def test_enter_shows_spectrogram_tracks_and_three_lines(open_desk: OpenDesk, size: tuple[int, int]) -> None:
    """At every size: who speaks in reference, hypothesis and refined, three lines with glyphs of their own, and the figures."""
    async with open_desk(at_evaluation(), size, place="evaluate") as desk:
        await opened(desk)
        assert "boundary 1 of 4" in desk.text.splitlines()[0]
        assert desk.text.count("▀") > 8 * size[0] // 2
        for glyph in "┃┆║":
            assert sum(glyph in row for row in desk.text.splitlines()) > 8
        for words in ("A ref", "A hyp", "A new", "B ref", "8 kHz", "60 Hz", "10.00 s"):
            assert words in desk.text
        assert "hypothesis +500 ms" in desk.text and "refined +100 ms" in desk.text and "better" in desk.text
        assert "moves matched boundaries only" in desk.text
        assert "confidence 0.90   spread 84 ms\n" in "\n".join(row.rstrip() for row in desk.text.splitlines())
        assert "others stay, wherever the refined RTTM has them" in " ".join(desk.text.split())


async def test_no_other_boundary_is_played_while_the_next_ones_audio_is_read(open_desk: OpenDesk) -> None:
    """The head of the screen names the next one already; the command that is copied would play the one before."""
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        await opened(desk)
        desk.actions.may_read.clear()
        await desk.press("n")
        assert "boundary 2 of 4" in desk.text
        await desk.press("space")
        await desk.until(lambda: "still being read" in desk.text)
        assert (desk.app.clipboard, "play it" in desk.text) == ("", False)
        desk.actions.may_read.set()
        await desk.until(lambda: "11.00 s" in desk.text)
        await desk.press("space")
        await desk.until(lambda: "-ss 9.00" in desk.text)
        assert "-ss 9.00" in desk.app.clipboard


async def test_until_the_first_audio_is_read_the_viewer_says_so(open_desk: OpenDesk) -> None:
    """It takes seconds where the disk is slow; what cannot be read at all does not seem to be read for ever."""
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        desk.actions.may_read.clear()
        await desk.press("enter")
        await desk.until(lambda: "reading the audio …" in desk.text)
        desk.actions.may_read.set()
        told = ("A new", "speaker 1 (A)", "A is the speaker of this boundary")
        await desk.until(lambda: all(words in desk.text for words in told) and "reading the audio" not in desk.text)
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        desk.actions.unreadable = DataError("the audio is gone", where="a.flac")
        await desk.press("enter")
        await desk.until(lambda: "this boundary cannot be shown" in desk.text and "the audio is gone" in desk.text)


async def test_an_excerpt_that_comes_while_the_viewer_closes_is_dropped(open_desk: OpenDesk) -> None:
    """Textual takes the parts of a screen away one by one; an answer between two of them ended the dashboard with a traceback."""
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        desk.actions.may_read.clear()
        await desk.press("enter")
        await desk.until(lambda: "reading the audio …" in desk.text)
        await desk.app.screen.query_one("#boundary-foot").remove()
        desk.actions.may_read.set()
        await desk.until(lambda: "A new" in desk.text)
        await desk.press("escape")
        await desk.until(lambda: "A new" not in desk.text)


async def test_keys_go_through_order_kind_and_model(open_desk: OpenDesk) -> None:
    """n and p go round, w puts the worst first, k keeps one kind, m shows the same boundary of another model."""
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        await opened(desk)
        await desk.press("n", "n")
        await desk.until(lambda: "boundary 3 of 4" in desk.text and "12.00 s" in desk.text)
        await desk.press("p", "p", "p")
        await desk.until(lambda: "boundary 4 of 4" in desk.text)
        await desk.press("w")
        await desk.until(lambda: "boundary 1 of 4   worst first" in desk.text and "13.00 s" in desk.text)
        await desk.press("k")
        await desk.until(lambda: "boundary 1 of 1   worst first   kind: pause" in desk.text and "12.00 s" in desk.text)
        await desk.press("m")
        await desk.until(lambda: "model: mlp" in desk.text and "12.00 s" in desk.text)
        await desk.press("escape")
        await desk.until(lambda: "MAE by kind" in desk.text or "before and after" in desk.text)


@pytest.mark.parametrize(("key", "place"), [("3", "select"), ("g", "select")])
async def test_a_key_that_leads_to_a_place_leaves_the_viewer(open_desk: OpenDesk, key: str, place: str) -> None:
    """Help lists it there, so it must not turn the places behind the viewer; escape has nothing to leave then."""
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        await opened(desk)
        await desk.press(key)
        await desk.until(lambda: "A new" not in desk.text)
        assert desk.app.place == place
        assert len(desk.app.screen_stack) == 1
        await desk.press("escape", "2", "enter")
        await desk.until(lambda: "A new" in desk.text)


async def test_the_posterior_is_computed_when_it_is_wished_for(open_desk: OpenDesk) -> None:
    """Without it the viewer says how to get it, and does so once; read-only it has no key for that."""
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        await opened(desk)
        assert "not computed: press c" in desk.text
        await desk.press("c", "c")
        await desk.until(lambda: "being computed …" in desk.text)
        await desk.press("escape", "enter", "c")  # left and opened again, it is at work all the same
        await desk.until(lambda: "being computed …" in desk.text)
        desk.actions.may_compute.set()
        await desk.until(lambda: "█" in desk.text)
        await desk.press("c")
        assert desk.actions.asked == [("computing", "transformer"), ("posteriors", "transformer")]
    async with open_desk(at_evaluation(), place="evaluate", read_only=True) as desk:
        await opened(desk)
        await desk.press("c")
        await desk.press("n")
        await desk.until(lambda: "boundary 2 of 4" in desk.text)
        assert desk.actions.asked == []
        assert "not computed" in desk.text and "press c" not in desk.text


async def test_a_boundary_without_a_window_waits_for_no_posterior(open_desk: OpenDesk) -> None:
    """Computing cannot help it, and the viewer says why; no upright line runs through the words."""
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        desk.actions.may_compute.set()
        await opened(desk)
        await desk.press("c", "p")
        await desk.until(lambda: "no window: at the edge of the recording, never moved" in desk.text)
        assert "boundary 4 of 4" in desk.text


async def test_a_posterior_that_cannot_be_computed_may_be_wished_for_again(open_desk: OpenDesk) -> None:
    """The reason is told, and the words are what they were."""
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        desk.actions.error = ProcessError("the posteriors cannot be computed", got="no weights")
        desk.actions.may_compute.set()
        await opened(desk)
        await desk.press("c")
        await desk.until(lambda: "no weights" in desk.text and "not computed: press c" in desk.text)


async def test_space_prints_the_play_command(open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole command, also where it is longer than the screen; it is in the clipboard too."""
    copied: list[str] = []
    monkeypatch.setattr(App, "copy_to_clipboard", lambda _, text: copied.append(text))
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        await opened(desk)
        await desk.press("space")
        await desk.until(lambda: "play it:" in desk.text)
        assert copied and copied[0].endswith(("'/audio/a talk.flac'", "trim 8.00 4.00"))
        assert "copied, where the terminal lets it" in desk.row("play it:")
        assert "'/audio/a talk.flac'" in desk.text


async def test_a_model_without_a_table_is_told_in_words(open_desk: OpenDesk) -> None:
    """The next model is one key away."""
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        await opened(desk)
        await desk.press("m", "m")
        await desk.until(lambda: "the contrastive has no table of boundaries" in desk.text)
        await desk.press("m")
        await desk.until(lambda: "model: transformer" in desk.text and "A new" in desk.text)


async def test_before_the_evaluation_there_is_nothing_to_open(open_desk: OpenDesk) -> None:
    """Enter says so instead of opening an empty screen."""
    async with open_desk(phase(), place="evaluate") as desk:
        await desk.press("enter")
        await desk.until(lambda: "no boundary to look at" in desk.text)


async def test_help_is_the_viewers_own(open_desk: OpenDesk) -> None:
    """The keys of the screen that is looked at, from its bindings."""
    async with open_desk(at_evaluation(), (120, 40), place="evaluate") as desk:
        await opened(desk)
        await desk.press("question_mark")
        await desk.until(lambda: "boundary viewer" in desk.text)
        assert "worst first" in desk.row("  w ")


def test_lines_in_one_place_take_turns() -> None:
    """A perfect refinement hides neither the reference nor itself."""
    book = MemoryBook()
    row = book.rows("mlp")[0]
    row = row.model_copy(update={"refined_s": row.reference_s})
    cells = draw_excerpt(book.excerpt("mlp", row, n_columns=73, n_bands=20), row, "not computed", width=80, height=20)
    column = next(index for index, (character, _) in enumerate(cells[0]) if character in "┃║")
    drawn = [cells[index][column][0] for index in range(12)]
    assert set(drawn) == {"┃", "║"}
    assert all(len(line) == 80 for line in cells)


async def test_lines_stand_out_from_the_spectrogram_and_each_other_in_every_theme(open_desk: OpenDesk) -> None:
    """Where one of the three crosses the spectrogram, it can be seen whatever is heard there, and told from the others."""
    async with open_desk(at_evaluation(), place="evaluate") as desk:
        await opened(desk)
        view = desk.app.screen.query_one(ExcerptView)
        for theme in THEMES:
            desk.app.theme = theme.name
            await desk.pilot.pause()
            strips = [view.render_line(y) for y in range(view.content_size.height)]
            segments = [segment for strip in strips if "▀" in strip.text for segment in strip]
            lines = [segment.style for segment in segments if segment.text in LINES.values()]
            assert len(lines) >= 3 * 8
            assert len({style.color for style in lines if style is not None}) == 3, theme.name
            for style in lines:
                assert style is not None and style.color is not None and style.bgcolor is not None
                assert contrast(Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)) >= 3.0, theme.name


def test_louder_is_lighter() -> None:
    """The ramp of the spectrogram can be read without colour."""
    light = [0.299 * c.red + 0.587 * c.green + 0.114 * c.blue for c in (ramp_colour(level).triplet for level in range(64))]
    assert light == sorted(light)


def test_an_excerpt_at_the_start_is_played_from_the_start() -> None:
    """What lies before the recording cannot be played."""
    book = MemoryBook()
    excerpt = replace(book.excerpt("mlp", book.rows("mlp")[0], n_columns=8, n_bands=8), start_s=-1.5, end_s=2.5)
    assert "2.50" in play_command(excerpt) and str(Path(excerpt.audio)) in play_command(excerpt).replace("'", "")
