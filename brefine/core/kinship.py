"""Recordings that belong together because they share something: a speaker by name, or their sound.

A name lasts where it means the same person in every recording. Names such as spk00, SPEAKER_3, 2 or B number the speakers of one
recording and mean nothing in the next.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

_LOCAL_NAME = re.compile(r"(?i)(spk|speaker|spkr|s)?[_-]?\d+|[a-z]|[a-z]?spk[_-]?[a-z0-9]")


def lasting_names(speakers: Iterable[str]) -> list[str]:
    """Those of the names that mean the same person in other recordings, in their order."""
    return [name for name in speakers if not _LOCAL_NAME.fullmatch(name)]


def groups_that_share(keys: Sequence[Iterable[Hashable]]) -> list[list[int]]:
    """Places in groups that have no key in common.

    Args:
        keys: what each place has; places that share a key are of one group, and so are those that others join.
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


def crowding(speakers: Sequence[Iterable[str]]) -> str | None:
    """What an interval over these recordings does not allow for, in words; None where they share no lasting name.

    Args:
        speakers: recording → the names in it.
    """
    n_groups = len(groups_that_share([lasting_names(own) for own in speakers]))
    if n_groups == len(speakers):
        return None
    groups = "1 group that shares speakers" if n_groups == 1 else f"{n_groups} groups that share no speaker"
    return f"{len(speakers)} recordings, but only {groups}: intervals count recordings"
