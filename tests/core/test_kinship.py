"""Recordings are joined by what they share, and nobody counts one meeting's pieces as independent unawares."""

from __future__ import annotations

import pytest

from brefine.core.kinship import crowding, groups_that_share, lasting_names, notes_on_names


def test_groups_have_nothing_in_common() -> None:
    """Two that share nothing are of one group where a third shares something with each; who has nothing is alone."""
    assert groups_that_share([["a"], ["b"], [], ["b", "a"], ["c"]]) == [[0, 1, 3], [2], [4]]
    assert groups_that_share([]) == []


def test_numbered_names_do_not_last() -> None:
    """They mean somebody else in every recording; names of people, and of voices, mean the same one."""
    assert lasting_names(["spk00", "SPEAKER_3", "2", "B", "spk_b", "anna", "MEE071", "S03-x"]) == ["anna", "MEE071", "S03-x"]
    assert lasting_names(["Speaker_A", "speakerB", "ch0", "unknown", "chuck"]) == ["chuck"]


def test_roles_last_unless_they_are_said_not_to() -> None:
    """`agent` may be one person in a corpus; only the recipe knows. Names are taken as they are spelt."""
    assert lasting_names(["agent", "anna", "customer", "Agent"], ["agent", "customer"]) == ["anna", "Agent"]
    assert crowding([["agent"], ["agent"]], ["agent"]) is None


def test_names_that_nobody_can_be_sure_of_are_noted() -> None:
    """Local names, and numbers that both corpora have and no single recording reaches; leading noughts make none high."""
    trained, behind = ["1272", "spk200", "007", "spk00", "88", "anna"], ["spk200", "007", "1272", "spk00", "88", "1272", "300"]
    told = "speakers behind the gate have the numbers of others in training, and may be the same people"
    assert list(notes_on_names(trained, behind, [])) == [f"{told}: spk200, 1272"]
    local = "corpus.local_speaker_names takes a name for somebody else in each recording, as if it were a number"
    assert list(notes_on_names(trained, behind, ["1272", "agent"])) == [f"{local}: 1272, agent", f"{told}: spk200"]


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
