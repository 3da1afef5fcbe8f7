"""Recordings are joined by what they share, and nobody counts one meeting's pieces as independent unawares."""

from __future__ import annotations

import pytest

from brefine.core.kinship import crowding, groups_that_share, lasting_names


def test_groups_have_nothing_in_common() -> None:
    """Two that share nothing are of one group where a third shares something with each; who has nothing is alone."""
    assert groups_that_share([["a"], ["b"], [], ["b", "a"], ["c"]]) == [[0, 1, 3], [2], [4]]
    assert groups_that_share([]) == []


def test_numbered_names_do_not_last() -> None:
    """They mean somebody else in every recording; names of people, and of voices, mean the same one."""
    assert lasting_names(["spk00", "SPEAKER_3", "2", "B", "spk_b", "anna", "MEE071", "S03-x"]) == ["anna", "MEE071", "S03-x"]


@pytest.mark.parametrize(
    ("speakers", "words"),
    [
        ([["anna", "bert"]] * 24, "24 recordings, but only 1 group that shares speakers: intervals count recordings"),
        (
            [["anna", "bert"]] * 12 + [["cem", "spk00"]] * 12,
            "24 recordings, but only 2 groups that share no speaker: intervals count recordings",
        ),
        ([["spk00", "spk01"]] * 24, None),
        ([["anna"], ["bert"]], None),
        ([], None),
    ],
)
def test_recordings_that_share_speakers_are_told(speakers: list[list[str]], words: str | None) -> None:
    """How many groups there are, where there are fewer than recordings; numbered names tell nothing."""
    assert crowding(speakers) == words
