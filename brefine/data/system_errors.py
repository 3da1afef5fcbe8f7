"""What a real diarizer does to a reference: learned from pairs of reference and hypothesis, and replayed on other references.

Boundary errors of real systems are not one Gaussian: they have heavy tails, pauses are bridged, short turns vanish, both sides
of a change move together, overlapped speech goes to one speaker, small speakers are taken for others. A table of independent
rates would lose how these hang together. So errors are described as a *walk*: the reference is cut half-way between consecutive
boundaries, and every piece (one boundary with its surroundings) becomes a row: its context, the hypothesis's state where the
piece begins, and what the hypothesis did in it, in milliseconds from the boundary and in roles (the boundary's own speaker, the
other one in overlap, the one before, the one after, anybody else) instead of names. A replay walks over a new reference; at each
boundary it draws among the most similar rows *that begin in the state reached so far* and repeats what was done there. Signed
errors with their tails, merged, missed, split and false turns, and confusions come back as often, and in the same combinations,
as they were met. Speakers that the system lost altogether are drawn first, by how long they speak.

The summary is a JSON file of numbers alone, a random part of the rows in random order: no recording can be recovered from it.
`vbx-voxconverse` ships with brefine: VBx (offline; MIT, diart's expected outputs) on VoxConverse v0.3 dev (CC BY 4.0).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brefine.core.matching import map_speakers
from brefine.core.turns import Diarization, Turn
from brefine.errors import DataError, FormatError
from brefine.io.atomic import read_json

REPLAYED: Final = "replayed-by-brefine"
"""Mark in the RTTMs of replayed errors, by which they are known in any folder."""
N_NEIGHBOURS: Final = 8
"""Rows among which a replay draws: few keep the context, many keep the variety."""
MAX_ROWS: Final = 8000
"""Rows kept, at random: on VoxConverse, twice as many replay no better, and a part is not enough to recover a recording."""
MIN_ROWS: Final = 200
"""Fewer boundaries than this do not describe a system."""

# How much a row's distance grows per unit of log-seconds, per differing key, and for another state at its beginning.
_CONTEXT_WEIGHTS = np.array([1.0, 1.0, 0.5])
_KEY_WEIGHTS = np.array([100.0, 2.0, 1.0, 1.0, 1.5, 0.5])
_START_WEIGHT = 3.0

_OWN, _OTHER, _BEFORE, _AFTER, _ANYBODY = 1, 2, 4, 8, 16
_NONE = 2
"""Value of a key: there is no boundary on that side."""
_LOST_BELOW = 0.3
"""A speaker counts as lost if the system finds less than this share of his speech."""
_LATEST_FIRST_S = 0.1
"""No system's first frame has its middle later than this: a first turn that starts later is due to the speaker."""
_GRIDS_S = (0.1, 0.08, 0.064, 0.05, 0.04, 0.02, 0.016, 0.0125, 0.01, 0.005)


@dataclass(frozen=True, slots=True, eq=False)
class SystemErrors:
    """A diarizer's errors: one row a reference boundary, n rows.

    Attributes:
        keys: shape (n, 6): side (0 onset, 1 offset), another speaker active across it, the boundary before is of the same
            speaker (1), of another (0) or there is none (2), the boundary after likewise, the speaker is lost, the other
            speakers who stopped last and start next are the same one.
        context: shape (n, 3): log of the seconds to the boundary before, to the one after, and of the turn's length.
        starts: shape (n,), roles (bits) active in the hypothesis where the piece begins.
        changes: for each row the pairs (milliseconds from the boundary, roles active from there on), in time order.
        speakers: shape (m, 2): log of the seconds a reference speaker speaks, and 1 where the system lost him.
        grid_s: the step and the phase of the hypothesis's times; a step of 0 = none found.
        first_s: the earliest time in any hypothesis, if it may be due to the system: nothing starts before the middle of its
            first frame. Else 0.
        source: a word on where the rows come from.
    """

    keys: NDArray[np.int64]
    context: NDArray[np.float64]
    starts: NDArray[np.int64]
    changes: tuple[tuple[tuple[int, int], ...], ...]
    speakers: NDArray[np.float64]
    grid_s: tuple[float, float]
    first_s: float
    source: str


def learn_system_errors(pairs: Sequence[tuple[Diarization, Diarization]], *, source: str, seed: int = 0) -> SystemErrors:
    """Learns what turned each reference (first of a pair) into its hypothesis (second).

    Raises:
        DataError: there are fewer than `MIN_ROWS` boundaries in the references, or no hypothesis has any speech.
    """
    rows: list[tuple[tuple[int, ...], tuple[float, ...], int, tuple[tuple[int, int], ...]]] = []
    speakers: list[tuple[float, float]] = []
    for reference, hypothesis in pairs:
        reference, hypothesis = _named_alike(reference.unioned(), hypothesis.unioned())  # noqa: PLW2901
        lost = _lost_speakers(reference, hypothesis)
        speakers += [(_log_s(_speech_s(reference, name)), float(name in lost)) for name in reference.speakers]
        events = _states(hypothesis)
        place, state = 0, frozenset[str]()
        pieces = list(_pieces(reference, end_s=max(reference.end_s, hypothesis.end_s), lost=lost))
        for piece in pieces:
            start = piece.roles(state)
            own: list[tuple[int, int]] = []
            until_s = math.inf if piece is pieces[-1] else piece.end_s  # the hypothesis's last offset lies at the last end
            while place < len(events) and events[place][0] < until_s:
                moment_s, state = events[place]
                roles = piece.roles(state)
                if roles != (own[-1][1] if own else start):
                    own.append((round((moment_s - piece.time_s) * 1000.0), roles))
                place += 1
            rows.append((piece.key, piece.context, start, tuple(own)))
    if len(rows) < MIN_ROWS:
        raise DataError("there are too few boundaries to learn a system's errors from", expected=f"{MIN_ROWS}", got=len(rows))
    if not any(changes for _, _, _, changes in rows):
        raise DataError(
            "no hypothesis holds speech, so there are no boundary errors to learn from",
            where=source,
            expected="turns",
            got=f"none in {len(pairs)} recordings",
            hint="are the RTTMs of the hypotheses empty, or was the diarizer stopped before it wrote them?",
        )
    order = np.random.default_rng(seed).permutation(len(rows))[:MAX_ROWS].tolist()
    return SystemErrors(
        keys=np.array([rows[i][0] for i in order], dtype=np.int64),
        context=np.array([rows[i][1] for i in order], dtype=np.float64),
        starts=np.array([rows[i][2] for i in order], dtype=np.int64),
        changes=tuple(rows[i][3] for i in order),
        speakers=np.array(sorted(speakers), dtype=np.float64),
        grid_s=_find_grid([hypothesis for _, hypothesis in pairs]),
        first_s=_first_moment(min((turn.onset_s for _, hypothesis in pairs for turn in hypothesis.turns), default=0.0)),
        source=source,
    )


def replay(errors: SystemErrors, reference: Diarization, *, duration_s: float, rng: np.random.Generator) -> Diarization:
    """What the system might have answered if this reference is true; clipped to the recording.

    The hypothesis's speakers are numbered in the order in which they are first heard, so names reveal nothing.
    """
    reference = reference.unioned()
    lost = _draw_lost(errors, reference, rng)
    state: frozenset[str] = frozenset()
    events: list[tuple[float, frozenset[str]]] = []
    last: _Piece | None = None
    for piece in _pieces(reference, end_s=duration_s, lost=lost):
        row = _draw_row(errors, piece, piece.roles(state), rng)
        if errors.starts[row] != piece.roles(state):  # the drawn row begins in another state, which is taken over
            state = piece.resolve(int(errors.starts[row]), state, lost)
            events.append((piece.start_s, state))
        # A piece reaches half-way to the next boundary, and all the way to an end of the recording.
        before_s, after_s = np.exp(errors.context[row, :2]) * np.where(errors.keys[row, 2:4] == _NONE, 1.0, 0.5)
        for moment_ms, roles in errors.changes[row]:
            state = piece.resolve(roles, state, lost)
            events.append((piece.time_s + piece.warp(moment_ms / 1000.0, before_s, after_s), state))
        last = piece
    if last is not None:
        events.append((max(last.end_s, duration_s), frozenset()))
    return _numbered(_diarization(reference.recording, events, errors.grid_s, errors.first_s), duration_s)


def load_system_errors(name_or_path: str) -> SystemErrors:
    """The summary that ships under this name, or the file at this path.

    Raises:
        DataError: there is no such summary and no such file.
        FormatError: the file is not such a summary.
    """
    shipped = files("brefine.data") / f"errors_{name_or_path}.json"
    if shipped.is_file():
        return _from_json(json.loads(shipped.read_text(encoding="utf-8")), where=name_or_path)
    path = Path(name_or_path)
    if not path.is_file():
        raise DataError(
            "there is no such summary of system errors",
            where=name_or_path,
            expected="vbx-voxconverse, or a file",
            hint="make one: python -m brefine.data errors --reference DIR --hypothesis DIR -o FILE",
        )
    return _from_json(read_json(path), where=path)


def system_errors_to_json(errors: SystemErrors) -> dict[str, Any]:
    """The summary as JSON. A row is the six keys, the three log-seconds × 20, the roles at its start, then ms, roles, ms, …"""
    context = np.round(errors.context * 20).astype(int).tolist()
    rows = zip(errors.keys.tolist(), context, errors.starts.tolist(), errors.changes, strict=True)
    return {
        "schema": 1,
        "source": errors.source,
        "grid_s": list(errors.grid_s),
        "first_s": errors.first_s,
        "speakers": [[round(float(log_s), 2), int(lost)] for log_s, lost in errors.speakers],
        "rows": [[*key, *near, start, *(number for change in own for number in change)] for key, near, start, own in rows],
    }


def _from_json(tree: Any, *, where: object) -> SystemErrors:
    try:
        if tree["schema"] != 1:
            raise ValueError(f"schema {tree['schema']}")
        rows = tree["rows"]
        if not all(isinstance(number, int | float) for row in rows for number in row):
            raise ValueError("a row holds something that is no number")
        return SystemErrors(
            keys=np.array([row[:6] for row in rows], dtype=np.int64),
            context=np.array([row[6:9] for row in rows], dtype=np.float64) / 20.0,
            starts=np.array([row[9] for row in rows], dtype=np.int64),
            changes=tuple(tuple(zip(row[10::2], row[11::2], strict=True)) for row in rows),
            speakers=np.array(tree["speakers"], dtype=np.float64).reshape(-1, 2),
            grid_s=(float(tree["grid_s"][0]), float(tree["grid_s"][1])),
            first_s=_first_moment(float(tree.get("first_s", 0.0))),  # earlier versions lack it, or took any time for it
            source=str(tree["source"]),
        )
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"this is not a summary of system errors: {error}", where=where) from None


@dataclass(frozen=True, slots=True)
class _Piece:
    """One reference boundary with its surroundings, from half-way to the one before to half-way to the one after."""

    time_s: float
    start_s: float
    end_s: float
    names: tuple[tuple[str, int], ...]
    """Speaker → role, in order of precedence."""
    key: tuple[int, ...]
    context: tuple[float, float, float]

    def roles(self, state: frozenset[str]) -> int:
        known = dict(self.names)
        return sum({known.get(name, _ANYBODY) for name in state})

    def resolve(self, roles: int, state: frozenset[str], lost: Mapping[str, str]) -> frozenset[str]:
        """The speakers who have these roles here, given who is active in the hypothesis up to now."""
        known = dict(self.names)
        if _BEFORE not in known.values() and roles & _BEFORE:
            roles |= _AFTER  # the one before is also the one after, and has that role
        active = {name for name, role in self.names if roles & role}
        if roles & _ANYBODY:
            strangers = {name for name in state if name not in known}
            absorbing = {lost[name] for name in known if name in lost and lost[name] not in known}
            active |= strangers or absorbing or {_FALSE_SPEAKER}
        return frozenset(active)

    def warp(self, moment_s: float, before_s: float, after_s: float) -> float:
        """Maps a moment of a row, whose piece reached that far, into this piece: unchanged near the boundary, else stretched."""
        theirs, ours = (before_s, self.time_s - self.start_s) if moment_s < 0 else (after_s, self.end_s - self.time_s)
        theirs = max(theirs, abs(moment_s))
        kept = 0.5 * min(theirs, ours)
        if abs(moment_s) <= kept:
            return moment_s
        return float(np.copysign(kept + (abs(moment_s) - kept) * (ours - kept) / max(theirs - kept, 1e-6), moment_s))


_FALSE_SPEAKER = "\x00false"  # no speaker of an RTTM can have this name


def _pieces(reference: Diarization, *, end_s: float, lost: Mapping[str, str]) -> Iterable[_Piece]:
    turns = reference.turns
    ends = sorted(
        [(turn.onset_s, 1, turn) for turn in turns] + [(turn.offset_s, 0, turn) for turn in turns],
        key=lambda end: (end[0], end[1], end[2].speaker),
    )
    starting_next = _nearest_others(reversed(ends), 1)[::-1]
    stopped_last = _nearest_others(ends, 0)
    active: list[str] = []
    for place, (time_s, is_onset, turn) in enumerate(ends):
        previous = ends[place - 1] if place else None
        following = ends[place + 1] if place + 1 < len(ends) else None
        others = [name for name in active if name != turn.speaker]
        starting, gone = starting_next[place], stopped_last[place]
        names = {turn.speaker: _OWN}
        for name, role in ((others[-1] if others else None, _OTHER), (starting, _AFTER), (gone, _BEFORE)):
            if name is not None:
                names.setdefault(name, role)
        before_s = time_s - (previous[0] if previous else 0.0)
        after_s = (following[0] if following else end_s) - time_s
        yield _Piece(
            time_s=time_s,
            start_s=time_s - (before_s / 2 if previous else before_s),
            end_s=time_s + (after_s / 2 if following else after_s),
            names=tuple(names.items()),
            key=(
                1 - is_onset,
                int(bool(others)),
                _NONE if previous is None else int(previous[2].speaker == turn.speaker),
                _NONE if following is None else int(following[2].speaker == turn.speaker),
                int(turn.speaker in lost),
                int(starting == gone),
            ),
            context=(_log_s(before_s), _log_s(after_s), _log_s(turn.duration_s)),
        )
        if is_onset:
            active.append(turn.speaker)
        else:
            active.remove(turn.speaker)


def _nearest_others(ends: Iterable[tuple[float, int, Turn]], kind: int) -> list[str | None]:
    """For each end, the speaker of the last earlier end of that kind that is somebody else's, in the order given."""
    found: list[str | None] = []
    last, last_of_others = None, None  # the speaker of the last one, and the last speaker who is not the same
    for _, is_onset, turn in ends:
        found.append(last_of_others if last == turn.speaker else last)
        if is_onset == kind and turn.speaker != last:
            last, last_of_others = turn.speaker, last
    return found


def _draw_row(errors: SystemErrors, piece: _Piece, start: int, rng: np.random.Generator) -> int:
    """One of the rows that are most similar to the piece; beginning in the same state counts most."""
    distance = (
        np.abs(errors.context - np.array(piece.context)) @ _CONTEXT_WEIGHTS
        + (errors.keys != np.array(piece.key)) @ _KEY_WEIGHTS
        + _START_WEIGHT * (errors.starts != start)
    )
    near = np.argpartition(distance, N_NEIGHBOURS)[:N_NEIGHBOURS]
    return int(near[rng.integers(N_NEIGHBOURS)])


def _draw_lost(errors: SystemErrors, reference: Diarization, rng: np.random.Generator) -> dict[str, str]:
    """The speakers that the system will not find, each with the speaker that it takes him for."""
    lost: dict[str, str] = {}
    spoken_s = {name: _speech_s(reference, name) for name in reference.speakers}
    for name in reference.speakers:
        others = [other for other in reference.speakers if other != name and other not in lost]
        if not others or len(errors.speakers) == 0:
            continue
        distance = np.abs(errors.speakers[:, 0] - _log_s(spoken_s[name]))
        near = np.argsort(distance, kind="stable")[: 2 * N_NEIGHBOURS]
        if errors.speakers[near[rng.integers(len(near))], 1]:
            lost[name] = max(others, key=lambda other: spoken_s[other])
    return lost


def _lost_speakers(reference: Diarization, hypothesis: Diarization) -> dict[str, str]:
    """The speakers of whom the system finds too little; nobody may overlap himself in either diarization."""
    found: dict[str, str] = {}
    for name in reference.speakers:
        theirs = hypothesis.of(name)
        onset_s, offset_s = (np.array([getattr(turn, end) for turn in theirs]) for end in ("onset_s", "offset_s"))
        common_s = 0.0
        for turn in reference.of(name):
            near = slice(np.searchsorted(offset_s, turn.onset_s), np.searchsorted(onset_s, turn.offset_s))
            shared_s = np.minimum(offset_s[near], turn.offset_s) - np.maximum(onset_s[near], turn.onset_s)
            common_s += float(shared_s.sum())
        if common_s < _LOST_BELOW * _speech_s(reference, name):
            found[name] = ""
    return found


def _named_alike(reference: Diarization, hypothesis: Diarization) -> tuple[Diarization, Diarization]:
    names = map_speakers(reference, hypothesis)
    turns = tuple(Turn(turn.onset_s, turn.offset_s, names.get(turn.speaker, f"\x00{turn.speaker}")) for turn in hypothesis.turns)
    return reference, Diarization(hypothesis.recording, turns)


def _states(hypothesis: Diarization) -> list[tuple[float, frozenset[str]]]:
    """The moments at which somebody starts or stops, and who is active from there on."""
    ends = sorted(
        [(turn.offset_s, 0, turn.speaker) for turn in hypothesis.turns]
        + [(turn.onset_s, 1, turn.speaker) for turn in hypothesis.turns]
    )
    active: frozenset[str] = frozenset()
    states: list[tuple[float, frozenset[str]]] = []
    for time_s, is_onset, speaker in ends:
        active = active | {speaker} if is_onset else active - {speaker}
        if states and states[-1][0] == time_s:
            states.pop()
        states.append((time_s, active))
    return states


def _diarization(
    recording: str, events: Sequence[tuple[float, frozenset[str]]], grid_s: tuple[float, float], first_s: float
) -> Diarization:
    """Turns from states; times are rounded to the system's grid, and none lies before its first moment."""
    step_s, phase_s = grid_s
    since: dict[str, float] = {}
    turns: list[Turn] = []
    for moment_s, state in events:
        time_s = max(first_s, round((moment_s - phase_s) / step_s) * step_s + phase_s if step_s else moment_s)
        for name in sorted(since.keys() - state):
            onset_s = since.pop(name)
            if time_s - onset_s >= 0.01:
                turns.append(Turn(onset_s, time_s, name))
        for name in state - since.keys():
            since[name] = time_s
    return Diarization(recording, tuple(turns)).unioned()


def _numbered(hypothesis: Diarization, duration_s: float) -> Diarization:
    order: dict[str, str] = {}
    clipped = hypothesis.clipped(0.0, duration_s)
    for turn in clipped.turns:
        order.setdefault(turn.speaker, f"{len(order) + 1}")
    return Diarization(clipped.recording, tuple(Turn(t.onset_s, t.offset_s, order[t.speaker]) for t in clipped.turns))


def _find_grid(hypotheses: Sequence[Diarization]) -> tuple[float, float]:
    """The coarsest usual step on which 99 % of all turn ends lie, and its phase."""
    times_s = np.array([time_s for one in hypotheses for turn in one.turns for time_s in (turn.onset_s, turn.offset_s)])
    for step_s in _GRIDS_S:
        phases_s, counts = np.unique(np.round(np.mod(times_s, step_s), 4) % step_s, return_counts=True)
        if len(counts) and counts.max() >= 0.99 * len(times_s):
            return step_s, float(phases_s[counts.argmax()])
    return 0.0, 0.0


def _first_moment(earliest_s: float) -> float:
    """The earliest time of any hypothesis, if the middle of a first frame can lie so late; else 0."""
    return earliest_s if earliest_s <= _LATEST_FIRST_S else 0.0


def _speech_s(diarization: Diarization, speaker: str) -> float:
    return sum(turn.duration_s for turn in diarization.of(speaker))


def _log_s(seconds: float) -> float:
    return float(np.log(max(seconds, 0.005)))
