"""The dashboard: five places in one frame, which show snapshots and ask for actions; training never depends on it."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar

from textual import events, work
from textual.actions import SkipAction
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Input, Static

from brefine.errors import BrefineError, words_of
from brefine.run.snapshot import PhaseSnapshot, PhaseState, ShownState
from brefine.tui.actions import Actions
from brefine.tui.format import format_usd, reason_first
from brefine.tui.poller import Poller, SnapshotArrived, SnapshotFailed, SnapshotSource, nothing_waits
from brefine.tui.screens.asking import AskLine, Confirm
from brefine.tui.screens.place import Place, Wanted
from brefine.tui.screens.reading import ReadingScreen
from brefine.tui.screens.watch import WatchPlace
from brefine.tui.theme import DEFAULT_VARIABLES, THEMES, first_theme, themes_in
from brefine.tui.widgets.alerts import alert_lines, newest_first, problem_lines
from brefine.tui.widgets.header import PLACES, PhaseHeader, place_of
from brefine.tui.widgets.keys import KeyHints
from brefine.tui.widgets.panel import line

_WIDTHS = (120, 160, 200)
_HEIGHTS = (34, 44, 56)
"""Breakpoints of the height, in cells; dashboard.tcss says what they change."""

_READING_SHARE = 0.94
_READING_FRAME = 9
"""The reading window, by dashboard.tcss: its share of the screen's width, and the cells of margin, border, padding, scrollbar."""

_LEADS = {
    PhaseState.EVALUATING: "The trainings have ended; the models are evaluated now.",
    PhaseState.TO_SELECT: "The models are evaluated: choose the one that goes on.",
    PhaseState.TO_INTEGRATE: "A model is selected: run it behind the diarizer.",
    PhaseState.INTEGRATING: "The selected model runs behind the diarizer.",
    PhaseState.TO_DECIDE: "The evidence is complete: gate 4 waits for your answers.",
    PhaseState.DECIDED: "Gate 4 is decided.",
}


_ENDED = (PhaseState.STOPPED, PhaseState.FAILED)


def _ended_words(snapshot: PhaseSnapshot, goes_on: str) -> str:
    """Why the phase has ended before its decision, and what to do; `goes_on` is how it is resumed."""
    budget = snapshot.budget
    if any(run.state in (ShownState.FAILED, ShownState.NONFINITE) for run in snapshot.runs):
        return f"A training failed: l tells why, {goes_on} goes on."
    if snapshot.state is PhaseState.FAILED:
        return f"The phase failed: a tells why, {goes_on} goes on."
    if budget.cap_usd is not None and budget.spent_usd >= budget.cap_usd:
        return f"Stopped at the cap of {format_usd(budget.cap_usd)}: raise budget.cap_usd in phase.toml, then {goes_on} goes on."
    return f"The phase is stopped: {goes_on} goes on."


def closing_words(snapshot: PhaseSnapshot | None, way_back: str) -> str:
    """What the terminal shows when the dashboard has closed.

    Args:
        snapshot: the last one; None if it was closed before the first one.
        way_back: the command that opens the dashboard again.
    """
    if snapshot is None:  # it is not known yet whether anything trains
        return f"Nothing was stopped. `{way_back}` opens the dashboard again."
    if snapshot.state in (PhaseState.PREPARING, PhaseState.TRAINING):
        return f"Training goes on. `{way_back}` brings you back."
    if snapshot.foreign:
        return f"`{way_back}` shows the folder again."
    if snapshot.state in (PhaseState.DECIDED, PhaseState.STOPPED, PhaseState.FAILED):
        return f"The phase is {snapshot.state}. `{way_back}` shows it again."
    if snapshot.state is PhaseState.TO_DECIDE:  # or already decided, if an answer is just being recorded
        return f"The phase is at gate 4. `{way_back}` brings you back."
    return f"The phase is at: {snapshot.state}. `{way_back}` brings you back."


def _why_unreadable(error: BrefineError | OSError) -> str:
    """The sentence without its article, which the caller writes as `the` or `The`."""
    return f"phase cannot be read at present: {reason_first(words_of(error))}"


def _reached(size: Size) -> dict[str, bool]:
    """Class of a screen for a breakpoint → whether this size has reached it."""
    reached = {f"-w{width}": size.width >= width for width in _WIDTHS}
    return reached | {f"-h{height}": size.height >= height for height in _HEIGHTS}


def _collect_again() -> None:
    """Turns on garbage collection, which the command has put off; objects made before are excluded from it."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


class Frame(Screen[Any]):
    """The frame of all places. Nothing on it looks different when the focus changes, so it is not repainted for that."""

    focused = Reactive[Widget | None](None, repaint=False)


class DashboardApp(App[int]):
    """The dashboard of one phase, running or finished, or of any folder of event files.

    Args:
        source: gives snapshots; called in a thread of its own.
        actions: what the person can do.
        poll_s: seconds between two snapshots.
        read_only: the person can look, but change nothing.
        place: where to begin; None = at the place of the phase's state.
        which: the number of this phase, from 0, and how many are watched; `<` and `>` end the app with the step to another one.
        bell: ring the terminal's bell when there is a new alert.
        way_back: gives the command that opens this dashboard again, for the message when it closes; None = no message.
        theme: the theme to begin with; None = as the environment says.
    """

    CSS_PATH = "dashboard.tcss"
    TITLE = "brefine"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"place('{place}')", title, show=False)
            for number, (place, title) in enumerate(PLACES.items(), 1)
        ),
        Binding("g", "go_on", "go on", show=False),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("slash", "find", "find"),
        Binding("l", "log", "log"),
        Binding("a", "alerts", "alerts"),
        Binding("less_than_sign", "turn(-1)", "phase", key_display="<>"),
        Binding("greater_than_sign", "turn(1)", show=False),
        Binding("q", "close", "close"),
        Binding("ctrl+q", "back_out", "leave a window, or close", show=False, priority=True),
        Binding("ctrl+p", "command_palette", "all commands, and the themes", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "back to the shell, until fg", show=False, priority=True),
        Binding("ctrl+c", "copy_or_back_out", "copy what is marked, or as ^q", show=False, priority=True),
    ]

    def __init__(
        self,
        source: SnapshotSource,
        actions: Actions,
        *,
        poll_s: float = 0.65,
        read_only: bool = False,
        place: str | None = None,
        which: tuple[int, int] = (0, 1),
        bell: bool = True,
        way_back: Callable[[], str] | None = lambda: "brefine watch",
        theme: str | None = None,
    ) -> None:
        super().__init__()
        self._way_back = way_back
        self._which = which
        self._bell = bell
        self._told: set[str] = set()
        self._actions = actions
        self._poller = Poller(source, self, poll_s, lambda: nothing_waits(self._driver))
        self._read_only = read_only
        self._first_place = place
        self._unreadable: BrefineError | OSError | None = None
        """Why the last snapshot could not be made."""
        self._ends = False
        """Whether the app was told to end: keys and clicks after that no longer open windows."""
        self.ended_by: int | None = None
        """The signal that has ended the app; None if a person has."""
        self._mounting = asyncio.Lock()
        self._other_places_mounted = False
        self.snapshot: PhaseSnapshot | None = None
        for known in themes_in(self.console.color_system):
            self.register_theme(known)
        self.set_reactive(App.theme, theme or first_theme())  # before anything is drawn; later, all styles would be made twice
        self.stylesheet.set_variables(self.get_css_variables())  # App has already set those of Textual's theme

    def get_default_screen(self) -> Screen[Any]:
        screen = Frame(id="_default")
        screen.update_classes(_reached(self.size), update=False)  # before anything is drawn, see above
        return screen

    def compose(self) -> ComposeResult:
        yield PhaseHeader()
        yield Static(id="lead")
        with ContentSwitcher(initial="watch", id="places"):
            yield WatchPlace(self._actions, read_only=self._read_only)  # the others follow, see `_complete`
        yield KeyHints()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DEFAULT_VARIABLES)

    def on_mount(self) -> None:
        header = self.query_one(PhaseHeader)
        header.read_only, header.which = self._read_only, self._which
        self.query_one(WatchPlace).focus()
        self._poll()
        self.app_resume_signal.subscribe(self, lambda _: self.screen.refresh())  # back from the shell, which has drawn over all
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self._end_by, number)

    def on_resize(self, event: events.Resize) -> None:
        """Sets a class for each width and height that is reached, so that rules for wide screens build on narrower ones."""
        for screen in self.screen_stack:
            screen.update_classes(_reached(event.size))

    def on_unmount(self) -> None:
        self._poller.close()

    @property
    def place(self) -> str:
        """Id of the place that is shown."""
        return self.query_one(ContentSwitcher).current or "watch"

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        for place, title in PLACES.items():
            yield SystemCommand(f"Go to {title}", f"the place {title}", partial(self.action_place, place))
        if self._which[1] > 1:
            yield SystemCommand("Next phase", "another of the phases that are watched", partial(self.action_turn, 1))
        if not self._read_only:
            watch = self.query_one(WatchPlace)
            yield SystemCommand("Pause or resume the run", "the chosen one; it keeps a checkpoint", watch.action_pause)
            yield SystemCommand("Stop the run", "the chosen one; it keeps a checkpoint", watch.action_stop_run)
            yield SystemCommand("Restart the run", "the chosen one, from its last checkpoint", watch.action_restart_run)
            yield SystemCommand("Stop all", "every training of this phase", watch.action_stop_all)
        yield SystemCommand("Alerts", "everything that was reported, with its time", self.action_alerts)
        yield SystemCommand("Log", "what the chosen run has written", self.action_log)
        for theme in THEMES:
            yield SystemCommand(f"Theme {theme.name}", "change the colours", partial(setattr, self, "theme", theme.name))
        yield SystemCommand("Close", "leave the dashboard; nothing is stopped", self.action_close)

    # --- snapshots ---------------------------------------------------------------------------------------------------

    @work(thread=True, exclusive=True, group="poll")
    def _poll(self) -> None:
        self._poller.run()

    async def on_snapshot_arrived(self, message: SnapshotArrived) -> None:
        if not self.query(PhaseHeader):  # the screen is already being taken down
            return
        if self.snapshot is None:
            await self._enter(self._first_place or place_of(message.snapshot.state))
        before, self.snapshot = self.snapshot, message.snapshot
        if before is None:
            news = message.snapshot.state in _ENDED
        else:
            news = before.state is not message.snapshot.state or self._unreadable is not None
        if news:
            self._lead(message.snapshot)
        self._unreadable = None
        self._ring(message.snapshot, first=before is None)
        self._show()
        if before is None:
            self.call_after_refresh(self._complete)
        self._poller.shown()

    def on_snapshot_failed(self, message: SnapshotFailed) -> None:
        if not self.query(PhaseHeader):  # see above
            return
        self._unreadable = message.error
        self._say(line((f" ✗ the {_why_unreadable(message.error)}", "$error")))
        _collect_again()
        self._poller.shown()

    def _show(self) -> None:
        if self.snapshot is None:
            return
        header = self.query_one(PhaseHeader)
        header.place = self.place
        header.show(self.snapshot)
        self.query_one(f"#{self.place}", Place).show(self.snapshot)
        if isinstance(self.screen, ReadingScreen):
            self.screen.refresh_lines()

    def _ring(self, snapshot: PhaseSnapshot, *, first: bool) -> None:
        """Rings once if there is anything new since the last tick."""
        serious = {alert.id for alert in snapshot.alerts if alert.level != "info"}
        if self._bell and not first and not serious <= self._told:
            self.bell()
        self._told |= serious

    def _lead(self, snapshot: PhaseSnapshot) -> None:
        """Announces that the phase has moved on; the person can go there with one key, and is never taken there.

        If the phase has ended before its decision, the line says what to do, and stays.
        """
        if snapshot.state in _ENDED and not snapshot.foreign:
            goes_on = "brefine resume" if self._read_only else "R in 1 Watch"
            self._say(line((f" {_ended_words(snapshot, goes_on)}", "bold")))
            return
        words = _LEADS.get(snapshot.state)
        if words is None or place_of(snapshot.state) == self.place:
            self._say(None)
            return
        number = list(PLACES).index(place_of(snapshot.state)) + 1
        self._say(line((f" {words}  ", "bold"), ("g", "bold $primary"), f" leads to {number} {PLACES[place_of(snapshot.state)]}"))

    def _say(self, words: Content | None) -> None:
        lead = self.query_one("#lead", Static)
        lead.display = words is not None
        lead.update(words or "")

    # --- going about -------------------------------------------------------------------------------------------------

    async def action_place(self, place: str) -> None:
        """Shows a place; leaves a screen that lies over the places, such as the boundary viewer."""
        if self._is_asking():
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        await self._enter(place)
        self._show()

    async def action_go_on(self) -> None:
        if self.snapshot is not None:
            await self.action_place(place_of(self.snapshot.state))

    async def on_phase_header_place_chosen(self, message: PhaseHeader.PlaceChosen) -> None:
        await self.action_place(message.place)

    def on_phase_header_alerts_chosen(self) -> None:
        self.action_alerts()

    def _is_asking(self) -> bool:
        """Whether a question is open; if so, tells the person: the palette can open over it, and what is typed would be lost."""
        asking = any(isinstance(screen, AskLine | Confirm) for screen in self.screen_stack)
        if asking:
            self.notify("a question is open: answer it first, or leave it with esc", severity="warning")
        return asking

    def action_close(self) -> None:
        if not self._ends and not self._is_asking():
            self._close()

    def _end_by(self, number: int) -> None:
        """Restores the terminal before a signal ends the command: else it would go on reporting the mouse, and would not echo."""
        if not self._ends:
            self.ended_by = number
            self._close()

    def _close(self) -> None:
        self._stop_following()
        if self._way_back is None:
            self.exit()
        elif self._unreadable is None:
            self.exit(message=closing_words(self.snapshot, self._way_back()))
        else:
            self.exit(message=f"The {_why_unreadable(self._unreadable)}")

    def action_back_out(self) -> None:
        """Does what escape does in a window, which may have a half typed line, or the viewer; else closes the dashboard."""
        if len(self.screen_stack) > 1:
            self.simulate_key("escape")
        else:
            self.action_close()

    def action_copy_or_back_out(self) -> None:
        """Leaves the key to the copy command if something is marked; else backs out."""
        typed = self.focused.selected_text if isinstance(self.focused, Input) else ""
        if typed or self.screen.get_selected_text():
            raise SkipAction
        self.action_back_out()

    def action_turn(self, step: int) -> None:
        """Goes to another phase: the caller of this app opens the next one there."""
        if self._is_asking():
            return
        self._stop_following()
        self.exit(step)

    def _stop_following(self) -> None:
        self._ends = True
        self._poller.close()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self._ends and (action != "turn" or self._which[1] > 1)

    def action_help(self) -> None:
        from brefine.tui.screens.boundaries import BoundaryScreen  # see `_complete`

        here: tuple[str, Screen[Any] | Place] = (PLACES[self.place], self.query_one(f"#{self.place}", Place))
        if isinstance(self.screen, BoundaryScreen):
            here = ("boundary viewer", self.screen)
        lines: list[Content] = []
        for (title, node), bindings in (
            (here, type(here[1]).BINDINGS),
            (("everywhere", self), [*Place.BINDINGS, *self.BINDINGS]),
        ):
            lines.append(line((title, "$quiet")))
            for binding in bindings:
                if not isinstance(binding, Binding) or not binding.description:
                    continue
                if node.check_action(binding.action.partition("(")[0], ()):
                    keys = binding.key_display or " ".join(map(self.get_key_display, binding.make_bindings([binding])))
                    lines.append(line((f"  {keys:<12}", "bold $primary"), binding.description))
        lines += [line(""), line(("States    ", "$quiet"), "● running  ✓ finished  ▲ attention  ■ stopped  ✗ failed")]
        lines += [line(("Curves    ", "$quiet"), "each run has its dash, its colour and its letter; ✕ marks NaN and Inf")]
        self._read(ReadingScreen("keys that matter here", lambda: lines))

    def action_alerts(self) -> None:
        self._read(ReadingScreen("alerts, newest first", self._alert_lines))

    def action_log(self) -> None:
        run = self.query_one(WatchPlace).chosen_run
        self._read(ReadingScreen(f"log {run.name}" if run is not None else "log", self._log_lines, from_end=True))

    def action_find(self) -> None:
        run = self.query_one(WatchPlace).chosen_run
        self._read(ReadingScreen(f"log {run.name}" if run is not None else "log", self._log_lines, searching=True))

    def _read(self, window: ReadingScreen) -> None:
        """Opens a reading window, unless the screen is being taken down, where no window could open."""
        if not self._ends:
            self.push_screen(window)

    async def _complete(self) -> None:
        """Starts what the first frame did not need: the garbage collector, and the places that were not entered yet."""
        _collect_again()
        await self._mount_other_places()

    async def _mount_other_places(self) -> None:
        """Mounts the other places once; a second caller waits until they are mounted."""
        from brefine.tui.screens.evaluate import EvaluatePlace
        from brefine.tui.screens.gate import GatePlace
        from brefine.tui.screens.integrate import IntegratePlace
        from brefine.tui.screens.select import SelectPlace

        async with self._mounting:
            if self._other_places_mounted:
                return
            types: tuple[Callable[..., Place], ...] = (EvaluatePlace, SelectPlace, IntegratePlace, GatePlace)
            places = [build(self._actions, read_only=self._read_only) for build in types]
            for place in places:
                place.display = False
            await self.query_one(ContentSwitcher).mount_all(places)
            self._other_places_mounted = True

    async def _enter(self, place: str) -> None:
        if place != "watch":
            await self._mount_other_places()
        self.query_one(ContentSwitcher).current = place
        self.query_one(f"#{place}", Place).focus()
        if self.snapshot is None:
            self._say(None)
        elif place == place_of(self.snapshot.state):
            self._lead(self.snapshot)

    def _alert_lines(self) -> list[Content]:
        if self.snapshot is None:
            return []
        width = int(_READING_SHARE * self.size.width) - _READING_FRAME
        alerts = [told for alert in newest_first(self.snapshot) for told in alert_lines(alert, width)]
        return [*problem_lines(self.snapshot, width), *alerts]

    def _log_lines(self) -> list[str]:
        run = self.query_one(WatchPlace).chosen_run
        return list(run.log_tail) if run is not None else []

    # --- acting ------------------------------------------------------------------------------------------------------

    def on_wanted(self, message: Wanted) -> None:
        if self._unreadable is None:
            self._act(message)
        else:
            self._failed(message, f"the {_why_unreadable(self._unreadable)}")

    @work(thread=True)
    def _act(self, wanted: Wanted) -> None:
        try:
            result = wanted.call()
        except (BrefineError, OSError) as error:
            self.call_from_thread(self._failed, wanted, words_of(error))
            return
        if wanted.done is not None:
            self.call_from_thread(wanted.done, result)
        if isinstance(result, str):
            self.call_from_thread(self.notify, result, markup=False)

    def _failed(self, wanted: Wanted, why: str) -> None:
        if wanted.failed is not None:
            wanted.failed(why)
        else:
            self.notify(why, severity="error", timeout=15, markup=False)
