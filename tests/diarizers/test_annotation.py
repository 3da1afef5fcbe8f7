"""Annotations of pyannote's kind as turns."""

from __future__ import annotations

from types import SimpleNamespace

from pyannote.core import Annotation, Segment

from brefine.core.turns import Turn
from brefine.diarizers.annotation import diarization_of


def test_labels_that_look_alike_stay_speakers_of_their_own() -> None:
    """They may differ by a blank or by type alone: nobody gets another's turns, and who has a valid name keeps it."""
    annotation = Annotation()
    annotation[Segment(1.0, 3.0)] = "spk 1"
    annotation[Segment(2.0, 5.0)] = "spk_1"
    annotation[Segment(4.0, 6.0)] = "spk  1"
    annotation[Segment(5.2, 9.0)] = ""
    annotation[Segment(8.0, 12.0)] = "speaker"
    annotation[Segment(13.0, 14.0)] = 1
    annotation[Segment(13.5, 15.0)] = "1"
    annotation[Segment(16.0, 17.0)] = "spk_1_2"
    annotation[Segment(16.5, 18.0)] = "a guest"
    assert diarization_of(annotation, "talk", duration_s=20.0).turns == (
        Turn(1.0, 3.0, "spk_1_3"),
        Turn(2.0, 5.0, "spk_1"),
        Turn(4.0, 6.0, "spk_1_4"),
        Turn(5.2, 9.0, "speaker_2"),
        Turn(8.0, 12.0, "speaker"),
        Turn(13.0, 14.0, "1_2"),
        Turn(13.5, 15.0, "1"),
        Turn(16.0, 17.0, "spk_1_2"),
        Turn(16.5, 18.0, "a_guest"),
    )


def test_turns_begin_with_the_audio_and_every_speaker_has_a_name() -> None:
    """A first window that reaches over the start makes negative times; what lies before it altogether is no turn."""
    annotation = Annotation()
    for start_s, end_s, name in ((-0.5, 1.0, "a"), (-0.9, -0.2, "a"), (-0.2, 0.0, "b"), (2.0, 3.0, "  ")):
        annotation[Segment(start_s, end_s), start_s] = name
    first, last = diarization_of(annotation, "talk", duration_s=5.0).turns
    assert first == Turn(0.0, 1.0, "a")
    assert (last.onset_s, last.offset_s) == (2.0, 3.0)
    assert last.speaker.split() == [last.speaker]


def test_a_segment_without_length_is_no_turn() -> None:
    """pyannote's own class keeps none, others may: a turn has to last."""
    segments = [Segment(3.0, 3.0), Segment(4.0, 5.0), Segment(6.0, 5.5)]
    tracks = [(segment, number, "a") for number, segment in enumerate(segments)]
    annotation = SimpleNamespace(itertracks=lambda yield_label: iter(tracks))
    assert diarization_of(annotation, "talk", duration_s=9.0).turns == (Turn(4.0, 5.0, "a"),)
