"""Recordings that belong together because they share something: a speaker by name, or their sound.

A name lasts if it means the same person in every recording. Names such as spk00, SPEAKER_3, Speaker_A, 2 or B number the
speakers of one recording, ch0 its channels, and unknown is anybody: they mean nothing in the next. Roles (agent, host, left) may
be a person's in one corpus and everybody's in another. They are taken to last unless they are declared local: a wrong guess would
let a training speaker behind the gate.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence

from brefine.core.figures import some_of

_LOCAL_NAME = re.compile(
    r"(?i)(spk|speaker|spkr|s)?[_-]?\d+|[a-z]|[a-z]?spk[_-]?[a-z0-9]|speaker[_-]?[a-z]|(ch|channel)[_-]?\d+|unknown"
)
_HIGH_NUMBER = re.compile(r"(?i)(spk|speaker|spkr|s)?[_-]?0*[1-9]\d\d+")
"""From 100 on: numbers of the speakers of one recording do not get so far, numbers of a corpus's speakers do."""


def lasting_names(speakers: Iterable[str], local_names: Collection[str] = ()) -> list[str]:
    """The names that mean the same person in other recordings, in the order given.

    Args:
        local_names: names that are declared to mean somebody else in each recording.
    """
    return [name for name in speakers if name not in local_names and not _LOCAL_NAME.fullmatch(name)]


def notes_on_names(trained: Iterable[str], behind: Iterable[str], local_names: Collection[str]) -> Iterator[str]:
    """Doubts about names, in words: those that are declared local, and high numbers that both corpora have.

    Args:
        trained: speakers of training and validation.
        behind: those behind the gate.
        local_names: see `lasting_names`.
    """
    if local_names:
        names = some_of(list(local_names))
        yield f"corpus.local_speaker_names takes a name for somebody else in each recording, as if it were a number: {names}"
    known = set(trained).difference(local_names)
    numbers = [name for name in dict.fromkeys(behind) if name in known and _HIGH_NUMBER.fullmatch(name)]
    if numbers:
        yield f"speakers behind the gate have the numbers of others in training, and may be the same people: {some_of(numbers)}"


def groups_that_share(keys: Sequence[Iterable[Hashable]]) -> list[list[int]]:
    """The places of `keys`, in groups that have no key in common.

    Args:
        keys: of each place; places that share a key, directly or through others, are in one group.
    """
    leader = list(range(len(keys)))

    def lead(place: int) -> int:
        while leader[place] != place:
            place = leader[place]
        return place

    first: dict[Hashable, int] = {}
    for place, own in enumerate(keys):
        for key in own:
            leader[lead(place)] = lead(first.setdefault(key, place))
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(len(keys)):
        groups[lead(place)].append(place)
    return [groups[key] for key in sorted(groups)]


def crowding(speakers: Sequence[Iterable[str]], local_names: Collection[str] = ()) -> str | None:
    """In words, that recordings share speakers, which intervals do not allow for; None if they share no lasting name.

    Args:
        speakers: recording → the names in it.
        local_names: see `lasting_names`.
    """
    n_groups = len(groups_that_share([lasting_names(own, local_names) for own in speakers]))
    if n_groups == len(speakers):
        return None
    groups = "1 group that shares speakers" if n_groups == 1 else f"{n_groups} groups that share no speaker"
    return f"{len(speakers)} recordings, but only {groups}: intervals count recordings"
