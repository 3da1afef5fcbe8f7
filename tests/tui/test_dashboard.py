"""The dashboard as a person sees it: text on a screen, keys, and what they lead to."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.color import Color
from textual.screen import Screen

from brefine.config import MODEL_NAMES
from brefine.core.gate import Answer
from brefine.errors import BrefineError, FormatError, ProcessError
from brefine.phasedir import DerComparison, SelectionRecord, Speed, Stage
from brefine.run.snapshot import GpuView, PhaseSnapshot, PhaseState, ShownState
from brefine.tui.app import DashboardApp, closing_words
from brefine.tui.poller import SnapshotFailed
from brefine.tui.screens.gate import answer_in
from brefine.tui.screens.integrate import RecordingList
from brefine.tui.screens.reading import ReadingScreen
from brefine.tui.theme import THEMES
from brefine.tui.widgets.run_table import RunTable
from tests.tui.conftest import Desk, OpenDesk
from tests.tui.memory_phases import (
    START_UNIX_S,
    MemorySource,
    RecordedActions,
    evaluation,
    event_files,
    gate,
    integration,
    nan_alert,
    phase,
    progress,
    run,
    selection,
    training_runs,
)


def without_speech(der: DerComparison) -> DerComparison:
    """The same without any reference speech."""
    sides = {name: getattr(der, name).model_copy(update={"reference_speech_s": 0.0}) for name in ("before", "after")}
    return der.model_copy(update=sides)


SIZES = [(80, 24), (120, 40), (160, 45), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
async def test_two_seconds_answer_the_four_questions(open_desk: OpenDesk, size: tuple[int, int]) -> None:
    """Is it fine, who leads, when is it done, what has it cost: all four on the first screen, at every size."""
    async with open_desk(phase(), size) as desk:
        head = desk.text.splitlines()[0]
        for words in ("phase3", "VoxConverse dev→test", "● training", "ETA 41:00", "$0.83 of $10"):
            assert words in head
        assert "2 alerts ✗" in desk.text.splitlines()[1]
        assert all(len(row) <= size[0] for row in desk.text.splitlines())
        for figure in ("running", "31/50", "1.141", "73 ms", "80 %", "3.1k", "38:00"):
            assert figure in desk.row("● transformer")
        assert "validation MAE (ms)" in desk.text
        assert "target 100" in desk.text
        assert "unrefined 172" in desk.text


async def test_a_cap_below_a_dollar_keeps_its_cents(open_desk: OpenDesk) -> None:
    """Of a whole number of dollars the cents are left out, of no other."""
    async with open_desk(phase()) as desk:
        for cap_usd, words in ((0.5, "$0.83 of $0.50 "), (1.5, "$0.83 of $1.50 "), (1200.0, "$0.83 of $1,200 ")):
            await desk.tell(phase(budget=replace(phase().budget, cap_usd=cap_usd)))
            assert words in desk.text.splitlines()[0] + " "


async def test_the_smallest_screen_has_machine_and_money(open_desk: OpenDesk) -> None:
    """At 80 × 24 GPU, CPU, memory, price with date, spent, projected and left are all there."""
    async with open_desk(phase()) as desk:
        assert "GPU0 H200" in desk.row("GPU0")
        assert "87 %  12.1/139 GiB  412 W  61 °C" in desk.row("GPU0")
        assert "CPU  31 %   RAM 9/128 GiB" in desk.row("GPU0")
        assert "$2.49/h (2026-11-01)  spent 0.83  projected 2.55  left 998.45" in desk.row("$2.49/h")
        assert "8 % of the cap" in desk.row("$2.49/h")
        assert desk.text.splitlines()[23].rstrip().endswith("q close")


async def test_a_troubled_run_says_so_where_its_figures_would_be(open_desk: OpenDesk) -> None:
    """The rollback after a NaN stands in the run's own row, its epochs and ETA stay."""
    async with open_desk(phase()) as desk:
        row = desk.row("contrastive")
        assert "running   27/50  rolled back to step 7,200 (non-fin…   46:00" in row
        assert "✕" in desk.text


async def test_wide_screens_show_alerts_log_and_more_charts(open_desk: OpenDesk) -> None:
    """From 160 × 45 the loss stands beside the MAE, alerts and log to the right, money with its outlook."""
    async with open_desk(phase(), (160, 45)) as desk:
        titles = desk.row("validation MAE (ms)")
        assert "training loss  smooth .6" in titles
        assert "alerts" in titles
        assert "contrastive step 7,600: nonfinite" in desk.text
        assert "epoch 31  loss 1.31" in desk.text
        assert "the cap is reached in 3:40:58; $998.45 left lasts 16 d 16 h" in desk.text
        assert "disk 52 GiB free" in desk.text


@pytest.mark.parametrize(("size", "whole"), [((160, 45), True), ((120, 40), False)])
async def test_where_there_is_room_lines_of_the_log_are_whole(open_desk: OpenDesk, size: tuple[int, int], whole: bool) -> None:
    """The figures of an epoch stand at the end of its line; the newest lines are those that are seen."""
    told = [f"epoch {epoch}/50: loss 1.2, validation MAE 74 ms, 81 % within 100 ms, in {epoch} s" for epoch in range(1, 51)]
    runs = training_runs()
    async with open_desk(phase(runs=(replace(runs[0], log_tail=tuple(told)), *runs[1:])), size) as desk:
        assert ("81 % within 100 ms, in 50 s" in " ".join(desk.text.replace("│", " ").split())) is whole
        assert "epoch 50/50" in desk.text and "epoch 1/50" not in desk.text


async def test_without_a_supervisor_no_cap_is_promised(open_desk: OpenDesk) -> None:
    """Nobody stops the phase there, so no time is told at which it would be."""
    left = phase(budget=replace(phase().budget, guarded=False))
    async with open_desk(left, (160, 45)) as desk:
        assert "nobody stops it at the cap; $998.45 left lasts 16 d 16 h" in desk.text


async def test_without_a_gpu_the_panel_is_honest(open_desk: OpenDesk) -> None:
    """The reason stands where the figures would be, with CPU and memory beside it."""
    async with open_desk(phase(gpus=(), gpu_note="no GPU: no NVIDIA driver")) as desk:
        row = desk.row("no GPU")
        assert "no GPU: no NVIDIA driver" in row
        assert "CPU  31 %" in row


async def test_a_silent_driver_is_not_zero(open_desk: OpenDesk) -> None:
    """A MIG slice without figures reads n/a."""
    silent = GpuView(0, "NVIDIA H200 MIG 1g.18gb", None, None, None, None, None)
    async with open_desk(phase(gpus=(silent,))) as desk:
        assert "n/a   n/a" in desk.row("GPU0")
        assert "0 %" not in desk.row("GPU0").replace("100 %", "").split("CPU", maxsplit=1)[0]


async def test_preparing_is_visible(open_desk: OpenDesk) -> None:
    """Before the trainings, the corpus' progress stands there, and the chart says what it waits for."""
    async with open_desk(phase(PhaseState.PREPARING)) as desk:
        row = desk.row("preparing  simulating conversations")
        assert "74/120" in row
        assert "00:37 left" in row
        assert "the corpus is being prepared" in desk.text
        assert all("pending" in desk.row(model) for model in MODEL_NAMES)


async def test_a_failed_stage_says_why(open_desk: OpenDesk) -> None:
    """A stage that failed keeps its line, with the reason in words."""
    failed = progress(Stage.PREPARE, "making voices", 1, 9, state="failed", error="the disk is full")
    async with open_desk(phase(PhaseState.FAILED, progress={Stage.PREPARE: failed})) as desk:
        assert "✗ preparing failed: the disk is full" in desk.text


async def test_a_failure_tells_its_reason_before_its_path(open_desk: OpenDesk) -> None:
    """One line has no room for a long path; what is cut off is not why, neither of a stage nor of a run."""
    words = f"/runs/{'x' * 80}/best.safetensors: the weights are torn\n  → train again"
    failed = progress(Stage.EVALUATE, "transformer", 1, 3, state="failed", error=words)
    torn = run("mlp", state=ShownState.FAILED, error=words)
    async with open_desk(phase(PhaseState.FAILED, progress={Stage.EVALUATE: failed}, runs=(torn,))) as desk:
        assert "✗ evaluating failed: the weights are torn: /runs/xxx" in desk.text
        assert "the weights are torn: /runs/xxx" in desk.row("✗ mlp")


async def test_number_keys_lead_to_the_five_places(open_desk: OpenDesk) -> None:
    """Each place opens by its number, and says what it waits for when there is nothing yet."""
    async with open_desk(phase()) as desk:
        for key, words in {
            "2": "the evaluation follows when the trainings have ended",
            "3": "the evaluation follows when the trainings have ended",
            "4": "waits for the selection of a model (place 3)",
            "5": "waits for the integration (place 4)",
            "1": "● transformer",
        }.items():
            await desk.press(key)
            assert words in desk.text


@pytest.mark.parametrize(
    ("state", "run_state", "spent_usd", "advice"),
    [
        (PhaseState.FAILED, ShownState.NONFINITE, 0.83, "A training failed: l tells why, R in 1 Watch goes on."),
        (PhaseState.FAILED, ShownState.PENDING, 0.83, "The phase failed: a tells why, R in 1 Watch goes on."),
        (PhaseState.STOPPED, ShownState.STOPPED, 0.83, "The phase is stopped: R in 1 Watch goes on."),
        (
            PhaseState.STOPPED,
            ShownState.STOPPED,
            10.4,
            "Stopped at the cap of $10.00: raise budget.cap_usd in phase.toml,",
        ),
    ],
)
async def test_nobody_waits_for_what_never_comes(
    open_desk: OpenDesk, state: PhaseState, run_state: ShownState, spent_usd: float, advice: str
) -> None:
    """A phase that failed or was stopped says so where its figures would be, and one line says what to do."""
    ended = replace(run("mlp", state=run_state), curves={})
    budget = replace(phase().budget, spent_usd=spent_usd)
    snapshot = phase(state, runs=(ended,), budget=budget, evaluations={}, selection=None, integration=None, gate=None)
    async with open_desk(snapshot) as desk:
        for key in "1234512":
            await desk.press(key)
            assert advice in desk.text
            assert "waits for" not in desk.text and "follows" not in desk.text
        assert "the phase was stopped before this" in desk.text or "the phase failed before this" in desk.text
    async with open_desk(snapshot, read_only=True) as desk:
        assert advice.replace("R in 1 Watch", "brefine resume") in desk.text
        await desk.tell(phase())
        assert "goes on" not in desk.text
        await desk.tell(snapshot)
        assert "goes on" in desk.text


async def test_tabs_can_be_clicked(open_desk: OpenDesk) -> None:
    """The mouse opens a place, too."""
    async with open_desk(phase()) as desk:
        await desk.pilot.click("#header", offset=(14, 1))
        await desk.pilot.pause()
        assert desk.app.place == "evaluate"


async def test_where_titles_have_no_room_places_are_numbers(open_desk: OpenDesk) -> None:
    """All five can be clicked and the alerts are counted, also in a narrow window; where one is has its title."""
    async with open_desk(phase(PhaseState.TO_SELECT, alerts=(nan_alert(),)), (40, 12), place="watch") as desk:
        assert desk.text.splitlines()[1].split() == ["1", "Watch", "2", "3●", "4", "5", "1", "alert", "✗"]
        await desk.pilot.click(offset=(desk.text.splitlines()[1].index("5"), 1))
        await desk.until(lambda: desk.app.place == "gate")
        assert desk.text.splitlines()[1].split()[:7] == ["1", "2", "3●", "4", "5", "Gate", "4"]


async def test_what_a_window_says_of_its_keys_can_be_clicked(open_desk: OpenDesk) -> None:
    """Yes and no, taking a line and leaving it."""
    async with open_desk(phase(PhaseState.TO_DECIDE)) as desk:
        await desk.until(lambda: "☑" in desk.text)
        await desk.press("o", *"yes, it is")
        await desk.click("enter take it")
        await desk.until(lambda: desk.actions.asked == [("answer", "mae", Answer(True, "it is"))])
        await desk.press("o", *"no")
        await desk.click("leave it")
        await desk.until(lambda: "leave it" not in desk.text)
        await desk.press("1", "X")
        await desk.click("n no")
        await desk.until(lambda: "n no" not in desk.text)
        await desk.press("X")
        await desk.click("y yes")
        await desk.until(lambda: desk.actions.asked[1:] == [("control", "stop", None)])


async def test_the_keys_of_a_window_to_read_in_can_be_clicked(open_desk: OpenDesk) -> None:
    """Its search and its way out stand in its frame; what was sought stands there as it was typed."""
    async with open_desk(phase()) as desk:
        await desk.press("l")
        await desk.click("/ find")
        await desk.press(*"[/x]", "enter")
        await desk.until(lambda: "“[/x]” is not here" in desk.text)
        await desk.click("find")
        await desk.press("ctrl+u", *"MAE 1", "enter")
        first = desk.row("lines with")
        await desk.click("N previous")
        await desk.until(lambda: desk.row("lines with “MAE 1”") != first)
        await desk.click("n next")
        await desk.until(lambda: desk.row("lines with “MAE 1”") == first)
        await desk.click("esc back")
        await desk.until(lambda: "lines with" not in desk.text)


async def test_the_cursor_reads_values(open_desk: OpenDesk) -> None:
    """The first press of an arrow reads the newest values, more go back in time; escape takes the cursor away."""
    async with open_desk(phase()) as desk:
        await desk.press("left")
        assert "at step 17,600:  T 73  M 95  C 91" in desk.text
        await desk.press("shift+left")
        assert "at step 14,1" in desk.text
        await desk.press("escape")
        assert "at step" not in desk.text


async def test_charts_zoom_smooth_and_change_their_axes(open_desk: OpenDesk) -> None:
    """Each key changes what the title says, and the way back is there."""
    async with open_desk(phase()) as desk:
        await desk.press("plus")
        assert "validation MAE (ms)  zoomed" in desk.text
        await desk.press("0", "y")
        assert "validation MAE (ms)  log y" in desk.text
        await desk.press("t")
        assert " epoch" in desk.row("└")
        await desk.press("t")
        assert " min:s" in desk.row("└")
        await desk.press("c")
        assert "training loss  smooth .6  log y" in desk.text
        await desk.press("s", "s", "y")
        assert "─training loss───" in desk.text


async def test_zoomed_charts_are_panned(open_desk: OpenDesk) -> None:
    """[ goes back in time, ] forward; at the newest value the chart follows it again, and unzoomed there is nothing to pan."""
    async with open_desk(phase(), (160, 45)) as desk:
        whole = desk.row("─ step")
        await desk.press("left_square_bracket")
        assert desk.row("─ step") == whole
        await desk.press("plus")
        newest = desk.row("─ step")
        await desk.press("left_square_bracket")
        assert desk.row("─ step") not in (newest, whole)
        await desk.press("right_square_bracket", "right_square_bracket")
        assert desk.row("─ step") == newest


async def test_an_idle_machine_is_told_with_its_price_and_its_end(open_desk: OpenDesk) -> None:
    """When the jobs are done the smallest screen says what idling has cost and which command ends it."""
    done = phase(PhaseState.TO_SELECT)
    idle = replace(done.budget, idle_s=3600.0, terminate="lambda terminate i-1")
    async with open_desk(replace(done, budget=idle), place="watch") as desk:
        assert "▲ idle 1:00:00, $2.49 burnt: lambda terminate i-1" in desk.text


async def test_runs_are_paused_resumed_and_stopped(open_desk: OpenDesk) -> None:
    """Whatever ends a process asks first, a no changes nothing, and going on needs no question."""
    async with open_desk(phase()) as desk:
        await desk.press("down", "p")
        assert "Pause mlp?" in desk.text
        await desk.press("y")
        await desk.until(lambda: desk.actions.asked == [("control", "pause", "mlp")])
        await desk.press("x")
        assert "Stop mlp?" in desk.text
        await desk.press("n")
        await desk.press("r")
        assert "Restart mlp?" in desk.text
        await desk.press("y")
        await desk.until(lambda: desk.actions.asked[1:] == [("control", "restart", "mlp")])
        paused = replace(desk.app.snapshot, runs=(run("transformer"), run("mlp", state=ShownState.PAUSED)))  # type: ignore[type-var]
        await desk.tell(paused)
        await desk.press("p")
        await desk.until(lambda: desk.actions.asked[-1] == ("control", "resume", "mlp"))


@pytest.mark.parametrize(
    ("state", "phase_state", "keys", "words"),
    [
        (ShownState.FINISHED, PhaseState.TRAINING, "pxr", "there is nothing to restart"),
        (ShownState.STOPPED, PhaseState.TRAINING, "px", "there is nothing to stop"),
        (ShownState.FAILED, PhaseState.TRAINING, "px", "there is nothing to stop"),
        (ShownState.STOPPED, PhaseState.EVALUATING, "r", "the trainings have ended"),
    ],
)
async def test_what_cannot_be_paused_or_stopped_is_not_asked_for(
    open_desk: OpenDesk, state: ShownState, phase_state: PhaseState, keys: str, words: str
) -> None:
    """The supervisor would do nothing, and the person would read that it was done."""
    async with open_desk(phase(phase_state, runs=(run("mlp", state=state),)), place="watch") as desk:
        for key in keys:
            await desk.press(key)
            assert "mlp?" not in desk.text
        await desk.until(lambda: words in desk.text)
        assert desk.actions.asked == []


async def test_a_refused_action_is_told_in_words(open_desk: OpenDesk) -> None:
    """What cannot be done says why, and the dashboard goes on."""
    async with open_desk(phase()) as desk:
        desk.actions.error = ProcessError("the supervisor is gone", hint="brefine resume")
        await desk.press("p", "y")
        await desk.until(lambda: "the supervisor is gone" in desk.text)


async def test_a_disk_that_is_full_is_told_in_words(open_desk: OpenDesk) -> None:
    """A wish, a choice and an answer are files; where there is no room for them the dashboard says so and stays."""
    async with open_desk(phase()) as desk:
        desk.actions.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/phase/control/1-stop.json")
        await desk.press("X", "y")
        await desk.until(lambda: "No space" in desk.text)
        assert "1-stop.json" in desk.text
        assert "● training" in desk.text


async def test_the_palette_acts_on_the_chosen_run_unless_one_may_only_look(open_desk: OpenDesk) -> None:
    """Without knowing a key: the command asks the same question; under --read-only there is no such command."""
    for read_only in (False, True):
        async with open_desk(phase(), read_only=read_only) as desk:
            titles = {command.title for command in desk.app.get_system_commands(desk.app.screen)}
            assert ("Stop the run" in titles) is not read_only
            assert {"Alerts", "Log", "Go to Gate 4", "Close"} < titles
    async with open_desk(phase()) as desk:
        await desk.press("ctrl+p", *"stop the run", "enter")
        await desk.until(lambda: "Stop transformer?" in desk.text)
        await desk.press("y")
        await desk.until(lambda: desk.actions.asked == [("control", "stop", "transformer")])


async def test_read_only_has_no_keys_that_change_anything(open_desk: OpenDesk) -> None:
    """Under --read-only nothing can be paused, stopped or answered, and the head says so."""
    async with open_desk(phase(), read_only=True) as desk:
        await desk.press("p", "x", "X", "5", "y", "3", "enter", "4", "enter")
        assert desk.actions.asked == []
        assert "read only" in desk.text.splitlines()[0]
        await desk.press("1", "question_mark")
        assert "stop the run" not in desk.text


async def test_help_comes_from_the_bindings(open_desk: OpenDesk) -> None:
    """Help names the keys of the place and those of everywhere, and what the glyphs mean."""
    async with open_desk(phase(), (120, 40)) as desk:
        await desk.press("question_mark")
        for words in ("stop the run", "log y", "shift+←→", "close", "^q ", "^p ", "the themes", "^z ", "✗ failed"):
            assert words in desk.text
        await desk.press("escape")
        assert "stop the run" not in desk.text


async def test_what_lies_below_the_fold_has_a_key(open_desk: OpenDesk) -> None:
    """Every place that scrolls names it in its last line, and help among the keys of everywhere."""
    async with open_desk(phase(PhaseState.TO_DECIDE), (80, 14)) as desk:
        for key in "2345":
            await desk.press(key)
            await desk.until(lambda: "PgDn scroll" in desk.text.splitlines()[-1])
        assert "o answer with a note" in desk.text.splitlines()[-1]
        await desk.press("1")
        assert "PgDn" not in desk.text
        await desk.pilot.resize_terminal(80, 24)
        await desk.press("question_mark", "end")
        assert "scroll" in desk.row("PgDn")


async def test_where_all_is_in_sight_no_key_scrolls(open_desk: OpenDesk) -> None:
    """The key comes with the first row that has no room, and goes when the screen is large enough again."""
    async with open_desk(phase(PhaseState.TO_DECIDE), (160, 100)) as desk:
        for key in "12345":
            await desk.press(key)
            assert "PgDn" not in desk.text
        for size, there in (((80, 14), True), ((160, 100), False)):
            await desk.pilot.resize_terminal(*size)
            await desk.until(lambda there=there: ("PgDn scroll" in desk.text.splitlines()[-1]) == there)


async def test_every_alert_can_be_read(open_desk: OpenDesk) -> None:
    """The list has time, run, step, kind and text, newest first."""
    async with open_desk(phase()) as desk:
        await desk.press("a")
        text = desk.text
        assert "14:07:00 ✗ contrastive step 7,600: nonfinite" in text
        assert text.index("mlp: slow") < text.index("nonfinite")


async def test_a_window_can_be_told_news_while_it_opens(open_desk: OpenDesk) -> None:
    """A snapshot may come between any two of the steps in which a window, its frame and its text are mounted."""
    async with open_desk(phase()) as desk:
        screen = ReadingScreen("alerts", lambda: ["news"])
        opened = desk.app.push_screen(screen)
        while not screen.query("#text"):
            screen.refresh_lines()
            await asyncio.sleep(0)
        await opened
        assert "news" in desk.text


async def test_a_place_can_be_entered_while_it_is_mounted(open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other places follow the first frame; a key may ask for one of them in the middle of that."""
    complete = DashboardApp._complete

    async def pressed_meanwhile(app: DashboardApp) -> None:
        await asyncio.gather(complete(app), app.action_place("evaluate"))

    monkeypatch.setattr(DashboardApp, "_complete", pressed_meanwhile)
    async with open_desk(phase()) as desk:
        await desk.until(lambda: desk.app.place == "evaluate")
        await desk.pilot.pause()
        assert desk.app.query_one("#evaluate").query("ComparisonTable")


@pytest.mark.parametrize("size", SIZES[:2])  # on wider ones the panel behind the window shows the alert, too
async def test_a_long_alert_is_wrapped_to_its_window(open_desk: OpenDesk, size: tuple[int, int]) -> None:
    """Wrapped for a wider one, every second line would hold one word."""
    long = nan_alert().model_copy(update={"text": " ".join(["word"] * 100)})
    async with open_desk(phase(alerts=(long,)), size) as desk:
        await desk.press("a")
        counts = [row.count("word") for row in desk.text.splitlines() if "word" in row]
        assert sum(counts) == 100
        assert min(counts[:-1]) >= max(counts) - 1


async def test_logs_can_be_searched(open_desk: OpenDesk) -> None:
    """The search finds the newest line first, then goes on with n."""
    async with open_desk(phase()) as desk:
        await desk.press("slash", *"MAE 1", "enter")
        assert "lines with “MAE 1”" in desk.text
        first = desk.row("lines with")
        await desk.press("N")
        assert desk.row("lines with") != first


async def test_brackets_can_be_searched(open_desk: OpenDesk) -> None:
    """What was typed, and what stands in files, is text: in the frame, too, a bracket opens no markup."""
    folder = event_files(r"cnn\[b", tags=[r"loss\[/a]"])
    told = replace(folder.runs[0], log_tail=("[/b] ends it",))
    async with open_desk(replace(folder, runs=(told,))) as desk:
        assert r"─loss\[/a]  smooth" in desk.text
        await desk.press("slash", *"[/", "enter")
        assert "1 of 1 lines with “[/”" in desk.text
        assert r" log cnn\[b ─" in desk.text
        await desk.press("slash", *"[red", "enter")
        assert "“[red” is not here" in desk.text


async def test_what_is_found_stands_on_the_screen(open_desk: OpenDesk) -> None:
    """Above it lines are wrapped, in its own line it stands far behind; letters that are longer in lower case move nothing."""
    told = run("transformer", log_tail=["word " * 100] * 20 + ["İ" * 600 + " Needle"] + ["word " * 100] * 20)
    async with open_desk(phase(runs=(told,))) as desk:
        await desk.press("slash", *"needle", "enter")
        await desk.until(lambda: "Needle" in desk.text)
        marked = [
            segment.text
            for strip in desk.app.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None and segment.style.reverse
        ]
        assert "Needle" in marked


async def test_escape_sequences_in_a_log_are_harmless(open_desk: OpenDesk) -> None:
    """A line that would recolour the screen or ring the bell is shown with its control characters made visible."""
    evil = run("transformer", log_tail=["\x1b[2J\x1b[31mgone\x07", "[bold]markup[/]"])
    async with open_desk(phase(runs=(evil,)), (160, 45)) as desk:
        assert "␛[2J␛[31mgone␇" in desk.text
        assert "[bold]markup[/]" in desk.text
        assert "\x1b" not in desk.text


async def test_the_end_of_training_is_announced_not_forced(open_desk: OpenDesk) -> None:
    """When the trainings end a line leads on; the person stays until a key takes him there."""
    async with open_desk(phase()) as desk:
        await desk.tell(phase(PhaseState.EVALUATING))
        assert desk.app.place == "watch"
        assert "The trainings have ended; the models are evaluated now.  g leads to 2 Evaluate" in desk.text
        await desk.press("g")
        assert desk.app.place == "evaluate"
        assert "The trainings have ended" not in desk.text


async def test_a_finished_phase_opens_where_it_stands(open_desk: OpenDesk) -> None:
    """Opened again after training, the dashboard begins at the next decision; a place can also be asked for."""
    async with open_desk(phase(PhaseState.TO_SELECT)) as desk:
        assert desk.app.place == "select"
    async with open_desk(phase(), place="gate") as desk:
        assert desk.app.place == "gate"


@pytest.mark.parametrize("size", SIZES[:3])
async def test_the_comparison_shows_every_figure_with_its_convention(open_desk: OpenDesk, size: tuple[int, int]) -> None:
    """Unrefined and three models side by side; matching cap, recall, split and evidence stand below."""
    async with open_desk(phase(PhaseState.TO_SELECT), size, place="evaluate") as desk:
        assert (
            desk.row("unrefined").split()[-4:] == ["unrefined", "transformer", "mlp", "contrastive"] or "contrastive" in desk.text
        )
        assert desk.row(" MAE ").split("│")[0 if size[0] < 160 else 1].split()[:8] == [
            "MAE",
            "172",
            "ms",
            "71",
            "ms◂",
            "95",
            "ms",
            "88",
        ]
        for words in ("@50 ms", "@100 ms", "@200 ms", "capped mean", "improved", "worsened", "unchanged", "harm to good"):
            assert words in desk.text
        assert "matched within 1 s: 1,204 boundaries · recall 62.2 % of 1,942" in desk.text
        assert "simulated evidence, replayed vbx-voxconverse" in desk.text
        await desk.press("i")
        assert "67–76" in desk.row(" MAE ")


async def test_no_sentence_is_cut_off_on_the_smallest_screen(open_desk: OpenDesk) -> None:
    """A long name of a corpus, a long reason, and what the gate waits for go on in the next line."""
    source = "replayed VBx on VoxConverse v0.3 dev, 216 recordings, the half that nothing was learnt on"
    reports = {model: evaluation(model).model_copy(update={"hypothesis_source": source}) for model in MODEL_NAMES}
    chosen = selection("mlp", "it is six times faster, and nobody will ever hear the difference in a meeting")
    async with open_desk(phase(PhaseState.TO_INTEGRATE, evaluations=reports, selection=chosen)) as desk:
        for place, last in (("evaluate", "learnt on"), ("select", "a meeting"), ("gate", "nothing to decide")):
            await desk.app.action_place(place)
            await desk.until(lambda last=last: last in desk.text)
            assert "…" not in desk.text


async def test_the_last_models_column_is_whole_beside_the_curves(open_desk: OpenDesk) -> None:
    """Three models have room from the width on at which the errors' distribution stands to their right."""
    async with open_desk(phase(PhaseState.TO_SELECT), (120, 35), place="evaluate") as desk:
        assert "contrastive" in desk.row("unrefined")
        assert "…" not in desk.text


@pytest.mark.parametrize("width", [58, 60, 68])
async def test_on_a_narrow_screen_every_model_keeps_its_figures(open_desk: OpenDesk, width: int) -> None:
    """The shares beside the counts give way, then the middles of the names; no figure is cut off."""
    async with open_desk(phase(PhaseState.TO_SELECT), (width, 60)) as desk:
        await desk.press("2")
        heads = [row.split() for row in desk.text.splitlines() if "unrefined" in row]
        assert all(head[-1].startswith("cont") and head[-1].endswith("ive") for head in heads[:2])
        assert desk.row(" MAE ").split() == ["MAE", "172", "ms", "71", "ms◂", "95", "ms", "88", "ms"]
        assert desk.row(" improved ").split() == ["improved", "–", "812", "812", "812"]
        assert desk.row(" pause ").split()[2:] == ["138", "ms", "57", "ms", "76", "ms", "70", "ms"]


async def test_an_interval_does_not_run_into_the_figure_before_it(open_desk: OpenDesk) -> None:
    """Where a column of 80 cells has no room for both, the intervals have a line of their own, each below its figure."""
    evaluations = {}
    for model in MODEL_NAMES:
        report = evaluation(model)
        intervals = {**report.comparison.intervals, "capped_mean_ms": (280.0, 1151.0)}
        comparison = report.comparison.model_copy(update={"intervals": intervals})
        evaluations[model] = report.model_copy(update={"comparison": comparison})
    async with open_desk(phase(PhaseState.TO_SELECT, evaluations=evaluations), place="evaluate") as desk:
        await desk.press("i")
        rows = desk.text.splitlines()
        place = next(number for number, row in enumerate(rows) if "capped mean" in row)
        assert rows[place].split() == ["capped", "mean", "482", "ms", "451", "ms◂", "458", "ms", "456", "ms"]
        assert rows[place + 1].split() == ["280–1151"] * 3
        assert rows[place + 1].index("280–1151") + len("280–1151") == rows[place].index("◂")
        assert desk.row(" MAE ").split()[-6:] == ["95", "ms", "91–100", "88", "ms", "84–93"]


async def test_errors_are_drawn_before_and_after_and_by_kind(open_desk: OpenDesk) -> None:
    """The cumulative curves have names, with the dash that tells each without colour, the kinds of boundaries their rows."""
    async with open_desk(phase(PhaseState.TO_SELECT), (160, 45), place="evaluate") as desk:
        assert "boundaries (%) whose error is smaller" in desk.text
        for named in ("━ ━ unrefined", "━━━ transformer", "╍╍  mlp", "┅┅┅ contrastive"):
            assert named in desk.text
        for kind in ("pause", "change", "overlap", "edge"):
            assert "ms" in desk.row(f" {kind} ")


async def test_the_recommended_model_is_one_key_away(open_desk: OpenDesk) -> None:
    """The sentence has its reason; enter takes the recommendation without further questions."""
    async with open_desk(phase(PhaseState.TO_SELECT)) as desk:
        await desk.until(lambda: "Recommended: transformer." in desk.text)
        assert "transformer has the least capped mean" in desk.text
        await desk.press("enter")
        await desk.until(lambda: desk.actions.asked == [("select", "transformer", None)])
        await desk.tell(phase(PhaseState.TO_INTEGRATE))
        assert "✓ You chose transformer." in desk.text
        assert "g leads to 4 Integrate" in desk.text


@pytest.mark.parametrize("chosen", [None, selection()], ids=["before the choice", "after it"])
async def test_models_that_are_evaluated_anew_are_ranked_anew(open_desk: OpenDesk, chosen: SelectionRecord | None) -> None:
    """The ranking of earlier reports is not kept for the same models."""
    first = phase(PhaseState.TO_SELECT, selection=chosen)
    async with open_desk(first, place="select") as desk:
        if chosen is None:
            await desk.until(lambda: desk.text.count("recommended") == 1)
        desk.actions.best = "mlp"
        anew = {model: one.model_copy(update={"unix_s": START_UNIX_S + 5000}) for model, one in first.evaluations.items()}
        await desk.tell(replace(first, evaluations=anew))
        await desk.until(lambda: "recommended" in desk.row(" mlp     "))
        await desk.press("enter")
        await desk.until(lambda: desk.actions.asked == [("select", "mlp", None)])


async def test_a_verdict_that_stands_is_taken_back_by_nobody_but_who_chooses_again(open_desk: OpenDesk) -> None:
    """Another model than the chosen one was evaluated since: the phase stays decided, and place 3 says so."""
    decided = phase(PhaseState.DECIDED, gate=gate({"mae": "yes", "go-on": "no"}))
    later = evaluation("mlp").model_copy(update={"unix_s": START_UNIX_S + 5000})
    anew = replace(decided, evaluations={**decided.evaluations, "mlp": later})
    async with open_desk(anew, place="select") as desk:
        told = "evaluated again since: mlp. The verdict stands until you choose again."
        await desk.until(lambda: told in " ".join(desk.text.split()))


async def test_a_choice_that_was_overtaken_asks_for_another(open_desk: OpenDesk) -> None:
    """Place 3 says which model was evaluated since, and leads to a new choice; place 5 shows no verdict of before."""
    decided = phase(PhaseState.DECIDED, gate=gate({"mae": "yes", "go-on": "no"}))
    async with open_desk(decided) as desk:
        await desk.press("end")
        assert "written to" in desk.text
        later = evaluation("transformer").model_copy(update={"unix_s": START_UNIX_S + 5000})
        anew = replace(decided, state=PhaseState.TO_SELECT, evaluations={**decided.evaluations, "transformer": later})
        await desk.tell(anew)
        await desk.until(lambda: "☐ Does the project go on with" in desk.text)
        await desk.press("end")
        await desk.until(lambda: "not written yet" in desk.text)
        await desk.press("3")
        assert "▲ You chose transformer; evaluated again since: transformer. Choose again." in desk.text
        assert "✓" not in desk.text
        await desk.until(lambda: "Recommended: transformer." in desk.text)
        await desk.press("enter")
        await desk.until(lambda: desk.actions.asked == [("select", "transformer", None)])


@pytest.mark.parametrize(
    ("state", "place", "key", "lapses", "asked"),
    [
        (PhaseState.TO_SELECT, "evaluate", "e", None, "evaluate"),
        (PhaseState.TO_INTEGRATE, "evaluate", "e", "The choice of transformer lapses: place 3", "evaluate"),
        (PhaseState.DECIDED, "evaluate", "e", "transformer lapses and the verdict of gate 4", "evaluate"),
        (PhaseState.TO_DECIDE, "integrate", "enter", None, "integrate"),
        (PhaseState.DECIDED, "integrate", "enter", "The verdict of gate 4 (fail) lapses, and so do the answers", "integrate"),
    ],
)
async def test_what_was_chosen_or_decided_does_not_fall_by_one_key(
    open_desk: OpenDesk, state: PhaseState, place: str, key: str, lapses: str | None, asked: str
) -> None:
    """To evaluate or integrate again asks once where a choice or a verdict lapses with it, and starts at once elsewhere."""
    record = gate({"mae": "yes", "go-on": "no"}) if state is PhaseState.DECIDED else None
    async with open_desk(phase(state, gate=record), place=place) as desk:
        await desk.press(key)
        if lapses is not None:
            assert lapses in desk.text and "again?" in desk.text
            await desk.press("n")
            assert desk.actions.asked == [] and "is starting" not in desk.text
            await desk.press(key, "y")
        await desk.until(lambda: desk.actions.asked == [(asked,)])


async def test_a_verdict_alone_lapses_in_a_whole_sentence(open_desk: OpenDesk) -> None:
    """Where another model was evaluated since, no choice stands, and the verdict on the selected one does."""
    decided = phase(PhaseState.DECIDED, gate=gate({"mae": "yes", "go-on": "no"}))
    later = evaluation("mlp").model_copy(update={"unix_s": START_UNIX_S + 5000})
    async with open_desk(replace(decided, evaluations={**decided.evaluations, "mlp": later}), place="evaluate") as desk:
        await desk.press("e")
        assert "The verdict of gate 4 (fail) lapses: place 3 asks for" in desk.text


@pytest.mark.parametrize(
    "at_work", [{"progress": {Stage.EVALUATE: progress(Stage.EVALUATE, "mlp", 1, 3)}}, {"starting": frozenset({Stage.EVALUATE})}]
)
async def test_an_evaluation_at_work_is_not_asked_for_again(open_desk: OpenDesk, at_work: dict[str, object]) -> None:
    """Nobody says that a choice may fall, and is then refused."""
    async with open_desk(phase(PhaseState.TO_INTEGRATE, **at_work), place="evaluate") as desk:
        await desk.press("e")
        assert "the evaluation runs" in desk.text and "again?" not in desk.text
        assert desk.actions.asked == []


async def test_another_choice_asks_for_one_line_of_why(open_desk: OpenDesk) -> None:
    """An empty line is no reason; a given one is kept with the choice."""
    async with open_desk(phase(PhaseState.TO_SELECT)) as desk:
        await desk.until(lambda: "Recommended" in desk.text)
        await desk.press("down", "enter")
        assert "Why mlp and not transformer?" in desk.text
        await desk.press("enter")
        assert desk.actions.asked == []
        await desk.press(*"six times faster", "enter")
        await desk.until(lambda: desk.actions.asked == [("select", "mlp", "six times faster")])
        await desk.tell(phase(PhaseState.TO_INTEGRATE, selection=selection("mlp", "six times faster")))
        assert "Why not transformer: six times faster" in desk.text


@pytest.mark.parametrize("command", ["Go to Watch", "Next phase", "Close"])
async def test_the_palette_loses_no_line_that_is_half_typed(open_desk: OpenDesk, command: str) -> None:
    """It opens over the window that asks, whose line stays there and can be ended; the app stays with it."""
    async with open_desk(phase(PhaseState.TO_SELECT), which=(0, 2)) as desk:
        await desk.until(lambda: "Recommended" in desk.text)
        await desk.press("down", "enter", *"six times", "ctrl+p", *command, "enter")
        await desk.until(lambda: "a question is open" in desk.text)
        assert desk.app.place == "select"
        await desk.press("end", *" faster", "enter")
        await desk.until(lambda: desk.actions.asked == [("select", "mlp", "six times faster")])


async def test_the_mark_stands_on_what_is_selected_and_leaves_it_as_it_is(open_desk: OpenDesk) -> None:
    """A choice of the rule is not made the person's by enter on it; another model is taken as ever."""
    ruled = selection("mlp", "faster").model_copy(update={"chosen_by": "rule"})
    async with open_desk(phase(PhaseState.TO_INTEGRATE, selection=ruled), place="select") as desk:
        assert "mlp" in desk.row("›")
        await desk.press("enter")
        assert "mlp is selected already" in desk.text
        assert desk.actions.asked == []
        await desk.press("up", "enter")
        await desk.until(lambda: desk.actions.asked == [("select", "transformer", None)])


async def test_integration_runs_shows_progress_and_its_outcome(open_desk: OpenDesk) -> None:
    """Enter starts it, the bar follows, then every recording has its DER before and after."""
    async with open_desk(phase(PhaseState.TO_INTEGRATE)) as desk:
        assert "transformer is selected: enter runs it behind the diarizer on the gate split" in desk.text
        await desk.press("enter")
        await desk.until(lambda: desk.actions.asked == [("integrate",)])
        working = {Stage.INTEGRATE: progress(Stage.INTEGRATE, "gate-011", 11, 24)}
        await desk.tell(phase(PhaseState.INTEGRATING, progress=working, integration=None))
        assert "integrating  gate-011" in desk.text
        assert "11/24" in desk.text
        assert "11 of 24 recordings heard; all are moved together, then their figures follow" in desk.text
        assert "no recording refined yet" not in desk.text
        await desk.tell(phase(PhaseState.TO_DECIDE))
        assert "6.86 %  →   6.01 %     -12.4 %   -15.1 to -9.2 %" in desk.row("DER ±0 s")
        assert "5.00 % →   4.30 %    -0.70" in desk.row("✓ gate-000")


async def test_an_integration_that_was_asked_for_is_starting(open_desk: OpenDesk) -> None:
    """Until the worker's first word the place says so, and a second enter asks for nothing; what failed may be asked again."""
    chosen = phase(PhaseState.TO_INTEGRATE, unix_s=0.0)
    async with open_desk(chosen) as desk:
        await desk.press("enter", "enter")
        assert "● integrating  is starting …" in desk.text
        assert "enter runs it" not in desk.text
        await desk.tell(replace(chosen, unix_s=1e11, starting=frozenset({Stage.INTEGRATE})))
        await desk.press("enter")
        assert "is starting …" in desk.text
        working = {Stage.INTEGRATE: progress(Stage.INTEGRATE, "gate-011", 11, 24)}
        await desk.tell(replace(chosen, unix_s=1e11, state=PhaseState.INTEGRATING, progress=working))
        await desk.press("enter")
        assert "the integration runs" in desk.text and "is starting" not in desk.text
        assert desk.actions.asked == [("integrate",)]
        desk.actions.error = ProcessError("no model is selected")
        await desk.tell(replace(chosen, unix_s=1e11))
        await desk.press("enter")
        await desk.until(lambda: "no model is selected" in desk.text)
        await desk.tell(replace(chosen, unix_s=1e11))
        assert "enter runs it behind the diarizer" in desk.text


async def test_integration_shows_what_a_decider_needs(open_desk: OpenDesk) -> None:
    """Overlap in and out, JER with interval, what the DER is made of, whom it helped and whom it harmed, the worst first."""
    async with open_desk(phase(PhaseState.TO_DECIDE), (120, 40), place="integrate") as desk:
        assert "5.12 %  →   4.33 %     -15.4 %   -19.0 to -11.0 %" in desk.row("no overlap ±0 s")
        assert "+1.4 %   +1.0 to +4.0 %" in desk.row("no overlap ±0.25 s")
        assert "12.10 %  →  11.30 %      -6.6 %   -9.8 to -3.1 %" in desk.row(" JER")
        assert "169 ms  →    73 ms     -56.8 %   after: 69 to 78 ms" in desk.row("MAE within 1 s")
        assert "missed 0.83 → 0.83 %   false alarm 0.67 → 0.67 %   confusion 0.33 → 0.33 %" in desk.text
        assert "800 improved   250 worse   120 unchanged" in desk.row("boundaries ")
        assert "23 improved   1 worse   0 unchanged   worst gate-020 +0.50   best gate-000 -0.70" in desk.text
        assert "12.00 % →  11.00 %      170 ms →   70 ms" in desk.row("✓ gate-000")
        await desk.press("w")
        rows = desk.text.splitlines()
        first = next(number for number, row in enumerate(rows) if "worst first" in row and "DER by recording" in row)
        assert "✗ gate-020" in rows[first + 2]


def test_the_figures_of_recordings_stand_under_one_another() -> None:
    """Whatever they are, from the least to those of a recording in which nothing is right."""
    snapshot = phase(PhaseState.TO_DECIDE)
    assert snapshot.integration is not None
    one = snapshot.integration.recordings[0]
    rates, errors_ms = (0.0, 0.0512, 0.1056, 1.0), (2.0, 94.0, 1000.0, None)
    changes = [
        one.model_copy(update={"jer_before": rate, "jer_after": rate, "mae_before_ms": error_ms, "mae_after_ms": error_ms})
        for rate, error_ms in product(rates, errors_ms)
    ]
    report = snapshot.integration.model_copy(update={"recordings": changes})
    head, *rows = RecordingList().text(replace(snapshot, integration=report), 120, 40).plain.splitlines()
    assert {len(row) for row in rows} == {len(head)}
    assert {row.index("→", row.index("→", row.index("→") + 1) + 1) for row in rows} == {rows[0].rindex("→")}


@pytest.mark.parametrize("gain", [0.0, 1e-15, -1e-15])
async def test_what_has_not_changed_is_no_gain(open_desk: OpenDesk, gain: float) -> None:
    """Nothing is won and nothing lost: no minus before a nought, nor before what rounds to it."""
    snapshot = phase(PhaseState.TO_DECIDE)
    assert snapshot.integration is not None
    still = [one.model_copy(update={"relative": gain, "interval": (gain, gain)}) for one in snapshot.integration.der]
    told = replace(snapshot, integration=snapshot.integration.model_copy(update={"der": still}))
    async with open_desk(told, (120, 40), place="integrate") as desk:
        assert "+0.0 %   +0.0 to +0.0 %" in desk.row("DER ±0 s")


@pytest.mark.parametrize("size", SIZES)
async def test_whom_it_helped_and_harmed_most_is_whole_at_every_size(open_desk: OpenDesk, size: tuple[int, int]) -> None:
    """Where one line has no room for both, they have a line of their own."""
    async with open_desk(phase(PhaseState.TO_DECIDE), size, place="integrate") as desk:
        assert "23 improved   1 worse   0 unchanged" in desk.row(" recordings ")
        assert "worst gate-020 +0.50   best gate-000 -0.70" in desk.text


@pytest.mark.parametrize("size", SIZES)
async def test_the_gate_is_a_checklist(open_desk: OpenDesk, size: tuple[int, int]) -> None:
    """Question, evidence with interval and convention, threshold, finding, answer; verdict and recommendation below."""
    async with open_desk(phase(PhaseState.TO_DECIDE), size) as desk:
        await desk.until(lambda: "☑ Is the boundary error below 100 ms?" in desk.text)
        assert "on 24 recordings · threshold " in desk.text
        assert desk.text.count("73 ms [69, 78]") == desk.text.count("12.4 % better [+9.2 %, +15.1 %]") == 1
        assert "☒ Is the DER below 3 %?" in desk.text
        await desk.press("end")
        assert "☐ Does the project go on with" in desk.text
        assert "▲ verdict: open   simulated evidence   transformer" in desk.text
        assert "not written yet: your first answer writes it" in desk.text


async def test_answers_are_recorded_one_by_one(open_desk: OpenDesk) -> None:
    """Each y or n is written at once, the next open question is marked, a note can come with the answer."""
    async with open_desk(phase(PhaseState.TO_DECIDE)) as desk:
        await desk.until(lambda: "☑" in desk.text)
        await desk.press("y")
        await desk.until(lambda: desk.row("boundary error").rstrip().endswith("answer: yes"))
        assert desk.row("›").startswith("› ☑ Is the DER more than")
        await desk.press("n")
        await desk.until(lambda: desk.row("DER more than").rstrip().endswith("answer: no"))
        await desk.press("o", *"no, too far away", "enter")
        await desk.until(lambda: desk.actions.asked[-1] == ("answer", "der-target", Answer(False, "too far away")))
        assert desk.actions.asked[:2] == [("answer", "mae", Answer(True)), ("answer", "der", Answer(False))]
        assert "written to /runs/20261122-140200-phase3/gate4.json" in desk.text


async def test_a_key_answers_the_question_that_is_marked_when_it_is_hit(open_desk: OpenDesk) -> None:
    """Also while the answer before it is still being written: each is written once, in turn, and shown at once."""
    async with open_desk(phase(PhaseState.TO_DECIDE), (120, 40)) as desk:
        await desk.until(lambda: "☑" in desk.text)
        desk.actions.may_answer.clear()
        await desk.press("y", "n", "y")
        assert desk.row("boundary error").rstrip().endswith("answer: yes …")
        assert desk.row("DER more than").rstrip().endswith("answer: no …")
        assert desk.row("›").startswith("› ☐ Does the project go on")
        await desk.until(lambda: desk.actions.asked == [("answer", "mae", Answer(True))])
        desk.actions.may_answer.set()
        await desk.until(lambda: "answer: y/n" in desk.text and "…" not in desk.row("DER below"))
        answers = [("mae", True), ("der", False), ("der-target", True)]
        assert desk.actions.asked == [("answer", criterion, Answer(yes)) for criterion, yes in answers]
        assert desk.row("DER more than").rstrip().endswith("answer: no")


async def test_answers_behind_one_that_cannot_be_written_are_asked_again(open_desk: OpenDesk) -> None:
    """None is lost without a word: the first of them is marked."""
    async with open_desk(phase(PhaseState.TO_DECIDE), (120, 40)) as desk:
        await desk.until(lambda: "☑" in desk.text)
        desk.actions.may_answer.clear()
        desk.actions.fails_once = FormatError("gate4.json cannot be written")
        await desk.press("y", "n")
        desk.actions.may_answer.set()
        told = "gate4.json cannot be written; 1 answer behind it not written either"
        await desk.until(lambda: any(told in notice.message for notice in desk.app._notifications))
        assert desk.row("›").startswith("› ☑ Is the boundary error")
        assert desk.text.count("answer: y/n") == 4
        assert desk.actions.asked == [("answer", "mae", Answer(True))]
        await desk.press("n")
        await desk.until(lambda: desk.row("boundary error").rstrip().endswith("answer: no"))


async def test_the_marked_question_is_always_on_the_screen(open_desk: OpenDesk) -> None:
    """Without room the mark takes the screen along, with the last question the verdict; what is not seen is not answered."""
    async with open_desk(phase(PhaseState.TO_DECIDE), (80, 14)) as desk:
        await desk.until(lambda: "☑" in desk.text)
        await desk.press("pagedown")
        await desk.until(lambda: "›" not in desk.text)
        for key in ("n", "o"):
            await desk.press(key)
            await desk.until(lambda: "›" in desk.text)
            assert "Your answer and a note" not in desk.text
            await desk.press("end")
            await desk.until(lambda: "›" not in desk.text)
        assert desk.actions.asked == []
        await desk.press("down")
        await desk.until(lambda: "› ☑ Is the DER more than" in desk.text)
        await desk.press("down", "down")
        await desk.until(lambda: "› ☐ Does the project go on with" in desk.text and "verdict: open" in desk.text)
        assert "written" in desk.text
        await desk.press("down")
        await desk.until(lambda: "› ☑ Is the boundary error" in desk.text)
        for answered in ("mae", "der", "der-target"):
            await desk.press("y")
            await desk.until(lambda answered=answered: desk.actions.asked[-1:] == [("answer", answered, Answer(True))])
        await desk.until(lambda: "› ☐ Does the project go on with" in desk.text and "verdict: open" in desk.text)


async def test_a_note_that_is_pasted_in_several_lines_is_kept_whole(open_desk: OpenDesk) -> None:
    """A record of decisions that has lost all but the first line of its reason says something else."""
    async with open_desk(phase(PhaseState.TO_DECIDE), place="gate") as desk:
        await desk.until(lambda: desk.row("Is the boundary error"))
        await desk.press("o")
        assert desk.app.focused is not None
        desk.app.focused.post_message(events.Paste("\nno, the gain is\tin one recording\r\nand the others\nlose\n"))
        await desk.press("enter")
        await desk.until(lambda: desk.actions.asked)
        assert desk.actions.asked == [("answer", "mae", Answer(False, "the gain is in one recording and the others lose"))]


async def test_a_note_without_an_answer_can_be_mended(open_desk: OpenDesk) -> None:
    """What was typed stays in its window, which says what is missing; put in front, it is taken."""
    async with open_desk(phase(PhaseState.TO_DECIDE)) as desk:
        await desk.until(lambda: "☑" in desk.text)
        await desk.press("o", *"it is below", "enter")
        assert "begin with yes or no" in desk.text
        assert "it is below" in desk.text
        assert desk.actions.asked == []
        await desk.press("home", *"yes, ", "enter")
        await desk.until(lambda: desk.actions.asked == [("answer", "mae", Answer(True, "it is below"))])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        *((text, Answer(True)) for text in ("yes", "Y", "yes.", "YES!", "yes,", "y ,")),
        *((text, Answer(False)) for text in ("no", "N", "No.", "no :")),
        ("no, the overlaps are worse", Answer(False, "the overlaps are worse")),
        ("No: bad", Answer(False, "bad")),
        ("n;bad ", Answer(False, "bad")),
        ("no,\u00a0x", Answer(False, "x")),
        ("no\uff0c重叠更差", Answer(False, "重叠更差")),
        ("yes, no, but", Answer(True, "no, but")),
    ],
)
def test_an_answer_is_the_word_and_its_note_stands_behind_a_comma(text: str, answer: Answer) -> None:
    """Yes or no in front, whatever the case; what stands behind a comma, colon or semicolon is the note as it was typed."""
    assert answer_in(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        *("No doubt, it goes on", "no worse than before", "yes because", "no\u00a0x", "No. 3 is bad", "no-go", "n/a"),
        *("nope", "nothing, really", "not, yet", "yesterday", "the overlaps are worse", ", yes", "y e s", ""),
    ],
)
def test_a_line_that_can_be_misread_is_no_answer(text: str) -> None:
    """Neither a word that only begins like an answer, nor an answer that may be part of the sentence, nor a note alone."""
    assert answer_in(text) is None


async def test_a_no_over_an_earlier_yes_is_a_no(open_desk: OpenDesk) -> None:
    """What was answered before has no part in what a line says."""
    async with open_desk(phase(PhaseState.DECIDED, gate=gate({"mae": "yes", "go-on": "yes"}))) as desk:
        await desk.press("o", *"the overlaps are worse", "enter")
        assert "begin with yes or no" in desk.text
        assert desk.actions.asked == []
        await desk.press("home", *"no, ", "enter")
        await desk.until(lambda: desk.actions.asked == [("answer", "mae", Answer(False, "the overlaps are worse"))])


async def test_a_decided_phase_shows_its_record(open_desk: OpenDesk) -> None:
    """The record of the file is shown, with its answers."""
    async with open_desk(phase(PhaseState.DECIDED, gate=gate({"mae": "yes", "go-on": "no"}))) as desk:
        await desk.press("end")
        assert desk.row("go on with").rstrip().endswith("answer: no")
        assert "written to" in desk.text
        assert desk.actions.asked == []


async def test_verdicts_of_before_are_shown_where_people_answer(open_desk: OpenDesk) -> None:
    """Whoever says yes now sees that the gate has failed once."""
    record = gate({"mae": "yes", "go-on": "no"})
    failed = record.filed().model_copy(update={"verdict": "fail"})
    async with open_desk(phase(PhaseState.DECIDED, gate=record.model_copy(update={"earlier": [failed]}))) as desk:
        assert "earlier verdicts: FAIL (" in desk.text


async def test_a_record_of_an_earlier_integration_is_judged_anew(open_desk: OpenDesk) -> None:
    """Trained further and integrated again, the model has no verdict yet; the record of before is not shown for one."""
    decided = phase(PhaseState.DECIDED, gate=gate({"mae": "yes", "go-on": "no"}))
    async with open_desk(decided) as desk:
        await desk.press("end")
        assert "written to" in desk.text
        again = integration().model_copy(update={"unix_s": START_UNIX_S + 5000})
        await desk.tell(replace(decided, state=PhaseState.TO_DECIDE, integration=again))
        await desk.until(lambda: "☐ Does the project go on with" in desk.text)
        await desk.press("end")
        await desk.until(lambda: "not written yet: your first answer writes it" in desk.text)
        assert "answer: no" not in desk.text


async def test_a_record_whose_turns_were_changed_is_judged_anew(open_desk: OpenDesk) -> None:
    """Also where the same integration was judged here before it was answered: that was with the turns of then."""
    undecided = phase(PhaseState.TO_DECIDE)
    passed = gate({"mae": "yes", "go-on": "yes"}).model_copy(update={"verdict": "pass"})
    decided = replace(undecided, state=PhaseState.DECIDED, gate=passed)
    async with open_desk(undecided) as desk:
        await desk.until(lambda: "☑" in desk.text)
        await desk.tell(decided)
        await desk.press("end")
        await desk.until(lambda: "written to" in desk.text)
        await desk.tell(replace(decided, state=PhaseState.TO_DECIDE, turns_changed=True))
        await desk.until(lambda: "☐ Does the project go on with" in desk.text)
        await desk.press("end")
        await desk.until(lambda: "not written yet: your first answer writes it" in desk.text)
        assert "verdict: pass" not in desk.text


@pytest.mark.parametrize(
    ("state", "place", "answer"),
    [(PhaseState.TO_DECIDE, "gate", "verdict: open"), (PhaseState.TO_SELECT, "select", "Recommended: transformer")],
)
async def test_what_could_not_be_judged_or_compared_once_is_tried_again(
    open_desk: OpenDesk, state: PhaseState, place: str, answer: str
) -> None:
    """A file that was being replaced leaves no place waiting for ever; until then the reason stands there."""
    changed = phase(state, integration=None, evaluations={})
    async with open_desk(changed) as desk:
        desk.actions.fails_once = FormatError("the report is torn", where="a [b]", hint="evaluate again")
        await desk.press({"gate": "5", "select": "3"}[place])
        await desk.tell(phase(state))
        await desk.until(lambda: "a [b]: the report is torn" in desk.text)
        assert desk.row("evaluate again").split()[0] == "→"  # what to do is no part of the reason's line
        await desk.tell(phase(state))
        await desk.until(lambda: answer in desk.text)
        assert "torn" not in desk.text


async def test_figures_that_divide_by_nothing_are_dashes(open_desk: OpenDesk) -> None:
    """Recordings without a boundary were refined at no pace, and without speech they have no shares of it."""
    slow = evaluation("mlp").model_copy(update={"speed": Speed(device="cpu", boundaries_per_s=0.0, seconds_per_audio_hour=1.0)})
    report = integration()
    ders = [without_speech(der) for der in report.der]
    silent = phase(PhaseState.TO_DECIDE, evaluations={"mlp": slow}, integration=report.model_copy(update={"der": ders}))
    async with open_desk(silent, (120, 40), place="integrate") as desk:
        assert "missed – → – %" in desk.text
        await desk.press("2")
        assert desk.row("a boundary takes").partition("takes")[2].split()[:2] == ["–", "–"]


async def test_foreign_event_files_are_shown_without_a_status(open_desk: OpenDesk) -> None:
    """Runs that brefine did not write have curves and best values, and dashes for what nobody told."""
    foreign = replace(run("mlp"), name="lr-3e-4/seed-1", status=None, state=ShownState.STOPPED)
    snapshot = phase(PhaseState.STOPPED, foreign=True, runs=(foreign,), name="tensorboard-logs", title="event files", alerts=())
    async with open_desk(replace(snapshot, path=Path("/logs")), read_only=True) as desk:
        assert "tensorboard-logs" in desk.text.splitlines()[0]
        assert desk.text.splitlines()[0].count("read only") == 1
        assert "lr-3e-4/seed-1" in desk.text
        assert "97 ms" in desk.row("lr-3e-4")
        assert "⠉" in desk.text or "⠒" in desk.text


@pytest.mark.parametrize(("size", "n_shown"), [((80, 24), 8), ((40, 12), 4), ((160, 45), 14)])
async def test_of_many_runs_those_around_the_chosen_one_are_shown(
    open_desk: OpenDesk, size: tuple[int, int], n_shown: int
) -> None:
    """The chart keeps its room, and the title says how many runs there are; a click chooses the run that it hits."""
    names = [f"exp{number:02d}_lr0.001" for number in range(1, 15)]
    async with open_desk(event_files(*names), size) as desk:
        assert desk.text.count("■ ") - desk.text.splitlines()[0].count("■ ") == n_shown
        for key, chosen in (("up", 14), ("down", 1), ("down", 2)):
            await desk.press(key)
            assert f"exp{chosen:02d}" in desk.row("›")
        assert (f"1–{n_shown} of 14 runs" in desk.text) == (n_shown < 14)
        await desk.press("up", "up")
        await desk.pilot.click("#runs", offset=(8, 2))
        await desk.pilot.pause()
        assert f"exp{15 - n_shown:02d}" in desk.row("›")
        assert size[1] < 24 or "┤" in desk.text


@pytest.mark.parametrize("size", SIZES)
async def test_no_chart_is_drawn_twice(open_desk: OpenDesk, size: tuple[int, int]) -> None:
    """Of a folder with few scalars there are no more charts than those, and they have all the room; one after another comes."""
    tags = ["loss", "accuracy", "f1", "rate"]
    async with open_desk(event_files("cnn", "lstm", tags=tags[:1]), size) as desk:
        for n_tags in (1, 2, 3, 4):
            await desk.tell(event_files("cnn", "lstm", tags=tags[:n_tags]))
            charts = [chart for chart in desk.app.query("#charts Chart") if chart.display]
            titles = [chart.border_title for chart in charts]
            assert len(titles) == len(set(titles)) == min(n_tags, {80: 1, 120: 2}.get(size[0], 4))
            area = desk.app.query_one("#charts").size
            assert sum(chart.size.width * chart.size.height > 0 for chart in charts) == len(charts)
            assert sum(chart.outer_size.width * chart.outer_size.height for chart in charts) == area.width * area.height


async def test_a_phase_that_cannot_be_read_keeps_the_last_figures(open_desk: OpenDesk) -> None:
    """The trouble is told in words, the figures stay, and the next good tick goes on."""
    async with open_desk(phase()) as desk:
        desk.source.fail(FormatError("the file has another schema", where="status.json"))
        await desk.until(lambda: "✗ the phase cannot be read at present: status.json: the file has another schema" in desk.text)
        assert "● transformer" in desk.text
        await desk.tell(phase())
        await desk.until(lambda: "cannot be read" not in desk.text)


async def test_a_phase_that_is_gone_is_told_as_gone(open_desk: OpenDesk) -> None:
    """Why stands before where; nothing is tried in it, and closing does not say that anything brings it back."""
    where = f"/tmp/{'long' * 12}/copy"
    async with open_desk(phase(PhaseState.TO_DECIDE)) as desk:
        await desk.until(lambda: "☑" in desk.text)
        desk.source.fail(BrefineError("the phase is no longer there", where=where, hint="watch it where it was moved to"))
        await desk.until(lambda: "✗ the phase cannot be read at present: the phase is no longer there:" in desk.text)
        assert where in desk.text
        assert "watch it where it was moved to" in desk.text
        await desk.press("y")
        await desk.until(lambda: desk.text.count("the phase is no longer") == 2)
        assert desk.actions.asked == []
        exits: list[str] = []
        desk.app.exit = lambda **options: exits.append(options["message"])  # type: ignore[assignment, method-assign]
        await desk.press("q")
    assert exits[0].startswith("The phase cannot be read at present: the phase is no longer there: /tmp/long")


async def test_a_failure_while_the_screen_is_taken_down_is_not_a_crash(open_desk: OpenDesk) -> None:
    """The last tick before closing may fail as well; there is no line left to tell it in."""
    async with open_desk(phase()) as desk:
        await desk.app.query("PhaseHeader, #lead").remove()
        desk.app.on_snapshot_failed(SnapshotFailed(BrefineError("the phase is no longer there")))
        assert desk.app.is_running


async def test_unreadable_files_are_told_among_the_alerts(open_desk: OpenDesk) -> None:
    """A broken document of the phase is counted in the head and named in the list."""
    async with open_desk(phase(problems=("gate4.json: this is not JSON",), alerts=()), (160, 45)) as desk:
        assert "1 alert ✗" in desk.text.splitlines()[1]
        assert "✗ gate4.json: this is not JSON" in desk.text
    async with open_desk(phase(problems=("gate4.json: this is not JSON",), alerts=())) as desk:  # 80 × 24 has no list beside
        assert "1 alert ✗" in desk.text.splitlines()[1]
        await desk.press("a")
        assert "✗ gate4.json: this is not JSON" in desk.text


async def test_closing_promises_that_training_goes_on(open_desk: OpenDesk) -> None:
    """`q` ends the app with exit code 0 and the promise, and names what a bare `brefine watch` would not open."""
    async with open_desk(phase()) as desk:
        await desk.pilot.press("q")
    assert desk.app.return_code == 0
    assert closing_words(desk.app.snapshot, "brefine watch") == "Training goes on. `brefine watch` brings you back."
    exits: list[str] = []
    async with open_desk(phase(foreign=True), way_back=lambda: "brefine watch logs") as desk:
        desk.app.exit = lambda **options: exits.append(options["message"])  # type: ignore[assignment, method-assign]
        await desk.press("q")
    assert exits == ["Training goes on. `brefine watch logs` brings you back."]


@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+q"])
async def test_every_way_out_leaves_a_window_first_and_then_closes(open_desk: OpenDesk, key: str) -> None:
    """As escape and `q` do: a question stays unanswered, and closing says its words."""
    exits: list[str] = []
    async with open_desk(phase(PhaseState.TO_DECIDE)) as desk:
        desk.app.exit = lambda **options: exits.append(options["message"])  # type: ignore[assignment, method-assign]
        await desk.until(lambda: "☑" in desk.text)
        for keys in ["o", *"yes it"], ["a"], ["ctrl+p"], ["2", "enter"], ["1", "X"]:
            await desk.press(*keys)
            await desk.until(lambda: len(desk.app.screen_stack) == 2)
            await desk.press(key)
            await desk.until(lambda: len(desk.app.screen_stack) == 1)
        assert (exits, desk.actions.asked) == ([], [])
        await desk.press(key)
    assert exits == [closing_words(desk.app.snapshot, "brefine watch")]


async def test_what_is_marked_is_copied_before_anything_is_left(open_desk: OpenDesk) -> None:
    """Ctrl-C has both meanings; the window stays where there was something to copy."""
    async with open_desk(phase(PhaseState.TO_DECIDE)) as desk:
        await desk.until(lambda: "☑" in desk.text)
        await desk.press("o", *"yes it is", "shift+home", "ctrl+c")
        assert desk.app.clipboard == "yes it is"
        assert "leave it" in desk.text


@pytest.mark.parametrize("key", ["l", "a", "question_mark", "slash", "ctrl+p", "q", "ctrl+q"])
async def test_what_is_typed_behind_the_closing_key_is_dropped(open_desk: OpenDesk, key: str) -> None:
    """A window would be opened on a screen that is being taken down; a second close would say good-bye twice."""
    async with open_desk(phase()) as desk:
        exits: list[str] = []
        close = desk.app.exit
        desk.app.exit = lambda **options: (exits.append(options["message"]), close(**options))  # type: ignore[assignment, func-returns-value, method-assign]
        desk.app.action_close()
        desk.app.simulate_key(key)
        desk.app.on_phase_header_alerts_chosen()
    assert desk.app.return_code == 0
    assert len(exits) == 1


def test_closing_words_follow_the_state() -> None:
    """After training, and before the first snapshot has told of any, nothing is promised that is not so."""
    back = "brefine watch old"
    assert closing_words(None, back) == "Nothing was stopped. `brefine watch old` opens the dashboard again."
    assert closing_words(phase(PhaseState.TO_SELECT), back) == "The phase is at: to select. `brefine watch old` brings you back."
    assert closing_words(phase(PhaseState.TO_DECIDE), back) == "The phase is at gate 4. `brefine watch old` brings you back."
    assert closing_words(phase(PhaseState.DECIDED), back) == "The phase is decided. `brefine watch old` shows it again."
    assert closing_words(phase(PhaseState.STOPPED, foreign=True), back) == "`brefine watch old` shows the folder again."


async def test_without_colour_everything_is_still_said(open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR no cell has a colour, and states keep their glyphs."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_desk(phase()) as desk:
        assert desk.app.no_color
        assert "● transformer" in desk.text
        assert "✗" in desk.text


async def test_the_first_frame_has_the_colours_of_its_theme(open_desk: OpenDesk) -> None:
    """The dashboard comes up in brefine's own colours, not in Textual's until another theme is chosen."""
    async with open_desk(phase()) as desk:
        own = THEMES[0]
        assert desk.app.theme == own.name
        assert own.background is not None and desk.app.screen.styles.background == Color.parse(own.background)
        assert desk.app.theme_variables["primary"].lower() == own.primary


async def test_themes_change_colours_alone(open_desk: OpenDesk) -> None:
    """Every theme, of brefine or of Textual, shows the same text."""
    async with open_desk(phase(), (160, 45)) as desk:
        before, first = desk.text, desk.app.screen.styles.background
        for theme in ("brefine-colour-blind", "brefine-light", "nord", "brefine"):
            desk.app.theme = theme
            await desk.pilot.pause()
            assert desk.text == before, theme
        assert desk.app.screen.styles.background == first


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Everything that dashboards paint from now on, a picture or a part of one at a time."""
    pictures: list[object] = []
    paint = DashboardApp._display

    def watched(self: DashboardApp, screen: Screen[Any], picture: Any) -> None:
        pictures.append(picture)
        paint(self, screen, picture)

    monkeypatch.setattr(DashboardApp, "_display", watched)
    return pictures


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
@pytest.mark.parametrize("place", ["1", "2", "3", "4", "5"])
async def test_what_has_not_changed_is_not_painted_again(
    open_desk: OpenDesk, painted: list[object], size: tuple[int, int], place: str
) -> None:
    """A tick without news writes nothing to the terminal, which may stand at the other end of a slow line."""
    async with open_desk(phase(PhaseState.TO_DECIDE), size) as desk:
        await desk.press(place)
        await desk.tell(phase(PhaseState.TO_DECIDE))
        painted.clear()
        await desk.tell(phase(PhaseState.TO_DECIDE))
        await desk.pilot.pause(0.1)
        assert painted == []


async def test_a_place_that_was_drawn_before_the_first_snapshot_finds_its_height_later() -> None:
    """A phase that is opened at its gate shows all its runs, whose table stood empty in the first frame."""

    class LateSource(MemorySource):
        may_tell = threading.Event()

        def snapshot(self) -> PhaseSnapshot:
            self.may_tell.wait(60.0)
            return super().snapshot()

    source, actions = LateSource(phase(PhaseState.DECIDED)), RecordedActions()
    app = DashboardApp(source, actions, poll_s=0.0)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            desk = Desk(app, pilot, source, actions)
            await desk.until(lambda: app.query_one(RunTable).size.width)
            source.may_tell.set()
            await desk.until(lambda: app.place == "gate")
            await desk.pilot.pause(0.5)
            await desk.press("1")
            await desk.until(lambda: "contrastive" in desk.text)
    finally:
        source.end()


async def test_of_a_panel_the_line_with_news_is_painted(open_desk: OpenDesk, painted: list[Any]) -> None:
    """And not the lines of the same panel that are as before."""
    now = phase()
    async with open_desk(now, (160, 45)) as desk:
        await desk.tell(replace(now))
        painted.clear()
        await desk.tell(replace(now, host=replace(now.host, cpu_utilisation=0.77)))
        await desk.pilot.pause(0.1)
        row = desk.text.splitlines().index(desk.row("77 % of 16"))
        assert [[y for y, _, _ in picture.spans] for picture in painted] == [[row]]


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_a_place_is_painted_where_it_stands_at_once(
    open_desk: OpenDesk, painted: list[object], size: tuple[int, int]
) -> None:
    """Once with its layout and once more for what follows from that, and not once for each panel that finds its height."""
    async with open_desk(phase(PhaseState.DECIDED), size) as desk:
        await desk.press(*"23451")
        for place in "23451":
            await desk.pilot.pause(0.1)
            painted.clear()
            await desk.press(place)
            await desk.pilot.pause(0.1)
            assert 1 <= len([picture for picture in painted if picture is not None]) <= 2, place


async def test_the_screen_may_change_its_size_at_any_time(open_desk: OpenDesk) -> None:
    """From large to tiny and back nothing breaks, and the layout follows."""
    async with open_desk(phase(), (200, 60)) as desk:
        for size in ((80, 24), (40, 10), (20, 5), (160, 45)):
            await desk.pilot.resize_terminal(*size)
            await desk.pilot.pause()
            assert len(desk.text.splitlines()) == size[1]
        assert "training loss" in desk.text


async def test_integration_without_report_keeps_place_five_waiting(open_desk: OpenDesk) -> None:
    """There is nothing to decide before DER was measured; afterwards the checklist appears by itself."""
    async with open_desk(phase(PhaseState.TO_INTEGRATE), place="gate") as desk:
        assert "waits for the integration" in desk.text
        await desk.tell(phase(PhaseState.TO_DECIDE, integration=integration()))
        await desk.until(lambda: "☑ Is the boundary error" in desk.text)


async def test_of_several_phases_two_keys_turn_the_pages(open_desk: OpenDesk) -> None:
    """The head says which of how many; > ends the app with the step to the next one, and a single phase has no such key."""
    async with open_desk(phase(), which=(1, 3)) as desk:
        assert desk.text.splitlines()[0].startswith(" 2/3 phase3")
        await desk.pilot.press("greater_than_sign")
    assert desk.app.return_value == 1
    async with open_desk(phase()) as desk:
        await desk.press("greater_than_sign", "less_than_sign")
        assert desk.app.return_value is None and desk.app.is_running


async def test_what_is_new_rings_once(open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known on opening is silent; two new alerts of one tick are one ring; news without weight are none."""
    rings: list[int] = []
    monkeypatch.setattr(DashboardApp, "bell", lambda app: rings.append(1))
    known = (nan_alert(),)
    fresh = tuple(nan_alert().model_copy(update={"id": f"new:{index}"}) for index in range(2))
    news = nan_alert().model_copy(update={"id": "budget", "level": "info"})
    async with open_desk(phase(alerts=known)) as desk:
        await desk.tell(phase(alerts=(*known, news)))
        assert rings == []
        await desk.tell(phase(alerts=(*known, news, *fresh)))
        await desk.tell(phase(alerts=(*known, news, *fresh)))
        assert rings == [1]
    async with open_desk(phase(alerts=()), bell=False) as desk:
        await desk.tell(phase(alerts=known))
        assert rings == [1]
