"""Keeps training recordings and speakers away from the gate, and the references out of the hypotheses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from brefine.core.figures import some_of
from brefine.core.kinship import lasting_names
from brefine.core.turns import Diarization
from brefine.data.audit import Audited
from brefine.data.copies import near_copies
from brefine.errors import DataError

_TELLING_TURNS = 8
"""So many turns are never alike to the millisecond by chance."""

_MOST_TOLD = 20

_Pattern = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SoundingAlike:
    """Two recordings that sound alike though their samples differ, and where; `later` is the one behind the gate if any is."""

    earlier: Audited
    later: Audited
    earlier_start_s: float
    later_start_s: float
    duration_s: float

    def __str__(self) -> str:
        places = [
            f"{start_s:.1f}–{start_s + self.duration_s:.1f} s of {one.recording.name}"
            for start_s, one in ((self.later_start_s, self.later), (self.earlier_start_s, self.earlier))
        ]
        return f"{self.later.recording.name} sounds like {self.earlier.recording.name}: {' is like '.join(places)}"


def sounding_alike(
    recordings: Sequence[Audited], on_progress: Callable[[str, int, int], None], *, n_threads: int = 1
) -> list[SoundingAlike]:
    """Pairs that were compared directly and sound alike: re-encoded, louder, cut, or an excerpt. Equal samples are left out.

    Args:
        recordings: those of training, then those behind the gate.
    """
    likenesses = near_copies(
        [one.envelope for one in recordings],
        n_threads=n_threads,
        on_progress=lambda done, total: on_progress("comparing recordings", done, total),
    )
    pairs = []
    for one in likenesses:
        starts_s = {one.first: one.first_start_s, one.second: one.second_start_s}
        earlier, later = sorted(starts_s)
        if recordings[earlier].sound != recordings[later].sound:
            pair = (recordings[earlier], recordings[later])
            pairs.append(SoundingAlike(*pair, starts_s[earlier], starts_s[later], one.duration_s))
    return pairs


def names_in_common(train: Iterable[Audited], gate: Iterable[Audited], local_names: Collection[str]) -> list[str]:
    """Lasting names of the gate's speakers that training has, too, each once.

    Args:
        local_names: see `core.kinship.lasting_names`.
    """
    heard = {who for one in train for who in one.reference.speakers}
    behind = dict.fromkeys(who for one in gate for who in lasting_names(one.reference.speakers, local_names))
    return [who for who in behind if who in heard]


def in_common(train: Sequence[Audited], gate: Sequence[Audited], local_names: Collection[str] = ()) -> list[str]:
    """Recordings, samples, references and speakers of the gate that training has as well, in words.

    Args:
        local_names: see `core.kinship.lasting_names`.
    """
    shared = names_in_common(train, gate, local_names)
    trained, sounds, patterns = set[str](), dict[str, str](), dict[_Pattern, str]()
    for one in train:
        trained.add(one.recording.name)
        sounds[one.sound] = one.recording.name
        patterns[_pattern(one)] = one.recording.name
    problems = []
    for one in gate:
        name = one.recording.name
        if name in trained:
            problems.append(f"recording {name} is in both corpora")
        elif one.sound in sounds:
            problems.append(f"recording {name} is in both corpora, in the other as {sounds[one.sound]}")
        elif _pattern(one) and _pattern(one) in patterns:
            problems.append(f"{name}: its reference is that of {patterns[_pattern(one)]} in the other corpus, turn by turn")
        problems += [f"{name}: speaker {who} is in both corpora" for who in one.reference.speakers if who in shared]
    return problems


def _pattern(one: Audited) -> _Pattern:
    """Milliseconds from the reference's first onset to each boundary; empty for few turns, which prove nothing."""
    turns = one.reference.turns
    if len(turns) < _TELLING_TURNS:
        return ()
    return tuple(round(1000.0 * (time_s - turns[0].onset_s)) for turn in turns for time_s in (turn.onset_s, turn.offset_s))


def copies_within(recordings: Iterable[Audited]) -> list[str]:
    """Recordings with the samples of an earlier one, in words."""
    first: dict[str, str] = {}
    names = [(one.recording.name, first.setdefault(one.sound, one.recording.name)) for one in recordings]
    return [f"{name} is the same recording as {earlier}" for name, earlier in names if name != earlier]


def equal_to_references(corpora: Mapping[str, Sequence[Audited]], hypotheses: Mapping[str, Diarization]) -> list[str]:
    """Recordings whose hypothesis is the reference, turn by turn, whatever the speakers' names; a single turn proves nothing.

    Raises:
        DataError: this is so for all recordings of a corpus, so there is no error to learn from, or to judge by.
    """
    notes, problems = list[str](), list[str]()
    for corpus, own in corpora.items():
        equal = [one.recording.name for one in own if len(one.reference.turns) > 1 and _is_reference(hypotheses, one)]
        if equal:
            told = some_of(equal, _MOST_TOLD)
            words = f"{corpus}: the hypothesis equals the reference in {len(equal)} of {len(own)} recordings: {told}"
            (notes if len(equal) < len(own) else problems).append(words)
    if problems:
        raise DataError(
            "the hypotheses are the references",
            problems=problems,
            hint="hypotheses are what a diarizer says of the audio: brefine diarize, or --hypothesis-from builtin",
        )
    return notes


def _is_reference(hypotheses: Mapping[str, Diarization], one: Audited) -> bool:
    said = hypotheses[one.recording.name].clipped(0.0, one.duration_s)
    ends = [[(turn.onset_s, turn.offset_s) for turn in turns] for turns in (one.reference.turns, said.turns)]
    return ends[0] == ends[1]
