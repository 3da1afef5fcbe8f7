"""What a model sees around a hypothesised boundary."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from brefine.config import ExampleConfig, FeatureConfig
from brefine.core.boundaries import boundaries_of
from brefine.core.turns import Diarization, Turn
from brefine.data.batches import Tables, TrainingBatches, centres_s, input_batches, n_channels_of, own_voice, placed
from brefine.data.evidence import activity, edge_frame, speaker_evidence
from brefine.data.examples import Annotated, find_examples
from brefine.data.features import normalised

HOP_S, CONTEXT_S, N_MELS = 0.01, 0.5, 80
OWN, OTHERS, EVIDENCE, SPEECH, SIDE = range(N_MELS, N_MELS + 5)
HYPOTHESIS = Diarization("r", (Turn(1.003, 3.0, "a"), Turn(2.8, 4.0, "b"), Turn(4.5, 6.0, "a")))


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).normal(-5.0, 2.0, (700, N_MELS)).astype(np.float32)


def test_a_window_holds_the_frames_around_its_boundary(frames: np.ndarray) -> None:
    """T frames, normalised over what is heard nearby, half of them before the frame edge nearest to the boundary."""
    boundaries = boundaries_of(HYPOTHESIS)
    (features_BTF,) = input_batches(frames, HYPOTHESIS, boundaries, context_s=CONTEXT_S, hop_s=HOP_S, n_mels=N_MELS)
    assert features_BTF.shape == (6, 100, n_channels_of(FeatureConfig()))
    index = next(i for i, boundary in enumerate(boundaries) if boundary.time_s == 1.003)
    np.testing.assert_allclose(
        features_BTF[index, :, :N_MELS], normalised(frames, activity(HYPOTHESIS, 700, HOP_S), HOP_S)[50:150], atol=1e-5
    )
    assert centres_s(np.array([1.003]), HOP_S)[0] == pytest.approx(1.0)


def test_a_speaker_is_heard_where_his_voice_and_speech_are(frames: np.ndarray) -> None:
    """The lesser evidence counts, and without a detector of speech there is none."""
    with_speech = FeatureConfig(speech=True)
    heard = np.linspace(-1.0, 1.0, len(frames), dtype=np.float32)[:, None]
    (features_BTF,) = input_batches(
        np.concatenate([frames, heard], axis=1),
        HYPOTHESIS,
        boundaries_of(HYPOTHESIS),
        context_s=CONTEXT_S,
        hop_s=HOP_S,
        n_mels=N_MELS,
    )
    own_BT, speaks_BT = own_voice(features_BTF, with_speech)
    assert torch.equal(own_BT, features_BTF[:, :, OWN + 1])
    assert torch.equal(speaks_BT, torch.minimum(features_BTF[:, :, EVIDENCE + 1], features_BTF[:, :, N_MELS]))
    assert (speaks_BT < features_BTF[:, :, EVIDENCE + 1]).any()
    assert (speaks_BT < features_BTF[:, :, N_MELS]).any()
    (features_BTF,) = input_batches(
        frames, HYPOTHESIS, boundaries_of(HYPOTHESIS), context_s=CONTEXT_S, hop_s=HOP_S, n_mels=N_MELS
    )
    own_BT, speaks_BT = own_voice(features_BTF, FeatureConfig())
    assert torch.equal(own_BT, features_BTF[:, :, OWN])
    assert not speaks_BT.any()


def test_own_activity_changes_exactly_in_the_middle_of_the_window(frames: np.ndarray) -> None:
    """An onset: silent before, speaking after; an offset the other way round; the side flag says which."""
    boundaries = boundaries_of(HYPOTHESIS)
    (features_BTF,) = input_batches(frames, HYPOTHESIS, boundaries, context_s=CONTEXT_S, hop_s=HOP_S, n_mels=N_MELS)
    for boundary, features_TF in zip(boundaries, features_BTF, strict=True):
        before, after = features_TF[49, OWN].item(), features_TF[50, OWN].item()
        assert (before, after) == ((0.0, 1.0) if boundary.side == "onset" else (1.0, 0.0))
        assert features_TF[0, SIDE].item() == (1.0 if boundary.side == "onset" else -1.0)


def test_others_activity_shows_who_else_speaks(frames: np.ndarray) -> None:
    """At the offset of a at 3.0 s, b has been speaking since 2.8 s."""
    boundaries = boundaries_of(HYPOTHESIS)
    index = next(i for i, boundary in enumerate(boundaries) if boundary.time_s == 3.0)
    (features_BTF,) = input_batches(frames, HYPOTHESIS, boundaries, context_s=CONTEXT_S, hop_s=HOP_S, n_mels=N_MELS)
    assert np.flatnonzero(features_BTF[index, :, OTHERS].numpy()).tolist() == list(range(30, 100))


def test_tracks_are_what_activity_and_evidence_say(frames: np.ndarray) -> None:
    """Of each boundary's own speaker and of all others, with three at once, and also of one who speaks too little."""
    talk = Diarization("r", (*HYPOTHESIS.turns, Turn(2.9, 3.4, "c"), Turn(2.95, 3.1, "a"), Turn(5.0, 6.5, "d")))
    boundaries = boundaries_of(talk)
    (features_BTF,) = input_batches(frames, talk, boundaries, context_s=CONTEXT_S, hop_s=HOP_S, n_mels=N_MELS)
    active_SN = activity(talk, len(frames), HOP_S)
    evidence = speaker_evidence(frames, active_SN, HOP_S)
    assert evidence.own_SN.any(axis=1).tolist() == [True, True, False, True]
    for boundary, features_TF in zip(boundaries, features_BTF, strict=True):
        row, first = talk.speakers.index(boundary.speaker), edge_frame(boundary.time_s, HOP_S)
        others_N = np.delete(active_SN, row, axis=0).any(axis=0)
        tracks_NC = np.stack([active_SN[row], others_N, evidence.own_SN[row], evidence.speech_N], axis=1)
        wanted_TC = np.pad(tracks_NC, ((50, 50), (0, 0)))[first : first + 100].astype(np.float32)
        np.testing.assert_array_equal(features_TF[:, OWN:SIDE], wanted_TC)


def test_windows_reach_over_the_ends_of_a_recording(frames: np.ndarray) -> None:
    """What lies outside is zero, never another recording."""
    short = Diarization("r", (Turn(0.1, 6.9, "a"),))
    tables = Tables.build([(frames, short), (frames + 50.0, short)], HOP_S, 100, n_mels=N_MELS)
    examples = find_examples([Annotated(short, short, [(0.0, 7.0)])] * 2, ExampleConfig(context_s=CONTEXT_S))
    places, _ = placed(tables, examples, examples.hypothesis_s)
    windows_BTF = tables.windows(places, slice(None))
    assert not windows_BTF[0, :40, :SIDE].any()
    assert not windows_BTF[1, 60:, :SIDE].any()


def test_a_moved_boundary_looks_as_if_the_hypothesis_had_it_there(frames: np.ndarray) -> None:
    """Redrawing an error gives, in all channels but the speaker evidence, the input that such a hypothesis would have given."""
    config = ExampleConfig(context_s=CONTEXT_S)
    for row, moved_s in ((0, 1.333), (0, 0.75), (1, 2.6), (1, 3.21)):
        examples = find_examples([Annotated(HYPOTHESIS, HYPOTHESIS, [(0.0, 7.0)])], config)
        tables = Tables.build([(frames, HYPOTHESIS)], HOP_S, 100, n_mels=N_MELS)
        place = int(np.flatnonzero(examples.hypothesis_s == (1.003, 3.0)[row])[0])
        drawn = examples[np.array([place])]
        places, offset_B = placed(tables, drawn, np.array([moved_s]))
        seen_TF = tables.windows(places, slice(None))[0]
        turns = [Turn(moved_s, 3.0, "a") if row == 0 else Turn(1.003, moved_s, "a"), *HYPOTHESIS.turns[1:]]
        there = Diarization("r", tuple(turns))
        boundary = next(b for b in boundaries_of(there) if b.time_s == moved_s)
        wanted_TF = next(input_batches(frames, there, [boundary], context_s=CONTEXT_S, hop_s=HOP_S, n_mels=N_MELS))[0]
        for channel in (*range(N_MELS), OWN, OTHERS, SIDE):
            assert torch.equal(seen_TF[:, channel], wanted_TF[:, channel]), (row, moved_s, channel)
        true_s = (1.003, 3.0)[row]
        assert offset_B.item() == pytest.approx((true_s - centres_s(np.array([moved_s]), HOP_S)[0]) / HOP_S, abs=1e-3)


def test_a_moved_change_stays_a_change(frames: np.ndarray) -> None:
    """Where one speaker took over from another at once, the other's activity moves along, on whichever side the boundary lies."""
    talk = Diarization("r", (Turn(1.0, 3.0, "a"), Turn(3.0, 5.0, "b")))
    examples = find_examples([Annotated(talk, talk, [(0.0, 7.0)])], ExampleConfig(context_s=CONTEXT_S))
    tables = Tables.build([(frames, talk)], HOP_S, 100, n_mels=N_MELS)
    for moved_s in (2.7, 3.22):
        there = Diarization("r", (Turn(1.0, moved_s, "a"), Turn(moved_s, 5.0, "b")))
        boundaries = [boundary for boundary in boundaries_of(there) if boundary.time_s == moved_s]
        (wanted_BTF,) = input_batches(frames, there, boundaries, context_s=CONTEXT_S, hop_s=HOP_S, n_mels=N_MELS)
        sides = examples[np.flatnonzero(examples.hypothesis_s == 3.0)]
        assert [boundary.side == "onset" for boundary in boundaries] == sides.onset.tolist() == [False, True]
        places, _ = placed(tables, sides, np.full(2, moved_s))
        assert torch.equal(tables.windows(places, slice(None))[:, :, [OWN, OTHERS]], wanted_BTF[:, :, [OWN, OTHERS]])


def test_batches_are_functions_of_the_step(frames: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever order steps are asked for, and however many are gathered at once; an epoch is cut into whole batches."""
    tables = Tables.build([(frames, HYPOTHESIS)], HOP_S, 100, n_mels=N_MELS)
    config = ExampleConfig(context_s=CONTEXT_S, negatives_per_positive=0.0)
    examples = find_examples([Annotated(HYPOTHESIS, HYPOTHESIS, [(0.0, 7.0)])], config)
    batches = TrainingBatches(tables, examples, config, batch_size=2, seed=0, redraw=True)
    assert batches.steps_per_epoch == 3
    forwards = [batches.at(step) for step in range(6)]
    for n_windows in (256, 4, 1):
        monkeypatch.setattr("brefine.data.batches._GATHERED_WINDOWS", n_windows)
        for step in reversed(range(6)):
            assert torch.equal(batches.at(step).features_BTF, forwards[step].features_BTF)
            assert len(batches.members(step)) == 2


def test_members_name_the_places_that_were_cut(frames: np.ndarray) -> None:
    """Where errors are drawn anew, these and not those of the hypothesis: there one finds what the model saw."""
    late = Diarization("r", tuple(Turn(turn.onset_s + 0.2, turn.offset_s + 0.3, turn.speaker) for turn in HYPOTHESIS.turns))
    config = ExampleConfig(context_s=CONTEXT_S, negatives_per_positive=0.0, redraw_rate=1.0)
    split = [Annotated(HYPOTHESIS, late, [(0.0, 7.0)]), Annotated(HYPOTHESIS, HYPOTHESIS, [(0.0, 7.0)])]
    tables = Tables.build([(frames, one.hypothesis) for one in split], HOP_S, 100, n_mels=N_MELS)
    batches = TrainingBatches(tables, find_examples(split, config), config, batch_size=4, seed=0, redraw=True)
    elsewhere = 0
    for step in range(batches.steps_per_epoch):
        batch = batches.at(step).features_BTF
        for (recording, time_s), features_TF in zip(batches.members(step), batch, strict=True):
            middle = edge_frame(np.array([time_s]), HOP_S)[0]
            active_SN = activity(split[recording].hypothesis, len(frames), HOP_S)
            bands_NM = np.pad(normalised(frames, active_SN, HOP_S), ((50, 50), (0, 0)))
            np.testing.assert_allclose(features_TF[:, :N_MELS], bands_NM[middle : middle + 100], atol=1e-5)
            elsewhere += not any(abs(time_s - b.time_s) < 1e-9 for b in boundaries_of(split[recording].hypothesis))
    assert elsewhere > 0


def test_a_recording_without_speech_has_no_windows(frames: np.ndarray) -> None:
    """A hypothesis that heard nobody gives no input, not an error."""
    assert not list(input_batches(frames, Diarization("r"), [], context_s=CONTEXT_S, hop_s=HOP_S, n_mels=N_MELS))


def test_batches_of_one_recording_are_its_windows_in_order(frames: np.ndarray) -> None:
    """However many windows are made at a time."""
    boundaries = boundaries_of(HYPOTHESIS)
    whole, parts = (
        list(input_batches(frames, HYPOTHESIS, boundaries, context_s=CONTEXT_S, hop_s=HOP_S, n_mels=N_MELS, batch_size=size))
        for size in (6, 4)
    )
    assert [len(part) for part in parts] == [4, 2]
    assert torch.equal(torch.cat(parts), whole[0])


def test_speakers_are_not_listed_anew_for_every_boundary(frames: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list goes over all turns: one for each boundary took minutes where a day's hypothesis holds tens of thousands."""
    listed: list[Diarization] = []
    speakers_of = Diarization.speakers.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Diarization, "speakers", property(lambda own: listed.append(own) or speakers_of(own)))
    n_listed = []
    for boundaries in (boundaries_of(HYPOTHESIS)[:2], boundaries_of(HYPOTHESIS)):
        listed.clear()
        list(input_batches(frames, HYPOTHESIS, boundaries, context_s=CONTEXT_S, hop_s=HOP_S, n_mels=N_MELS))
        n_listed.append(len(listed))
    assert n_listed[0] == n_listed[1]


def test_a_long_recording_is_not_copied_about() -> None:
    """While tables are built, little more is held than they take in the end."""
    frames = np.zeros((60_000, N_MELS), np.float16)
    tracemalloc.start()
    tables = Tables.build([(frames, HYPOTHESIS)], HOP_S, 100, n_mels=N_MELS)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1.3 * (tables.frames_NF.nbytes + tables.tracks_RC.nbytes)


def test_many_speakers_take_little_memory() -> None:
    """Beside what tables hold of each speaker in each frame, no more than one evidence, one activity and the frames."""
    n_speakers, n_frames, n_mels = 40, 40_000, 8
    frames = np.random.default_rng(0).normal(-5.0, 2.0, (n_frames, n_mels)).astype(np.float16)
    talk = Diarization("r", tuple(Turn(10.0 * place, 10.0 * place + 8.0, f"s{place:02d}") for place in range(n_speakers)))
    tracemalloc.start()
    Tables.build([(frames, talk)], HOP_S, 100, n_mels=n_mels)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 16 * n_speakers * n_frames
