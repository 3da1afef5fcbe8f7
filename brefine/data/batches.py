"""What a model sees: windows around hypothesised boundaries, gathered on the device.

This module owns the model's input, for training and for refinement alike. The channels of a frame are, in order: the log-mel
bands normalised over what is heard nearby (`nearby`); if the recipe asks for them, the probability of speech and two of pitch;
the hypothesis's activity of the boundary's own speaker and of all others; the evidence that the own speaker is heard, and that
anybody is; and the side (+1 onset, −1 offset).

Shapes: B examples, T frames of a window, F channels, M columns of a recording's frames, N frames of all recordings, R rows of
(speaker, frame), S speakers, C tracks of a speaker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from brefine.config import ExampleConfig, FeatureConfig
from brefine.core.boundaries import Boundary, Side
from brefine.core.frames import n_window_frames
from brefine.core.turns import Diarization
from brefine.data.augmentation import Channels, augmented
from brefine.data.evidence import activity, edge_frame, speaker_evidence
from brefine.data.examples import Examples, draw_epoch
from brefine.data.features import n_columns_of, normalise
from brefine.data.transfer import sent

_N_TRACKS = 4
_OWN, _OTHERS, _EVIDENCE, _SPEECH = range(_N_TRACKS)
"""Own activity, others' activity, evidence of the own speaker, evidence of speech: columns behind those of the frames."""
_GATHERED_WINDOWS = 256
"""Windows gathered at once, for several batches: launching a dozen small operations for one costs as much as copying."""


def n_channels_of(features: FeatureConfig) -> int:
    """F, the channels of one frame of a model's input."""
    return n_columns_of(features) + _N_TRACKS + 1


def input_batches(
    log_mel_NM: NDArray[np.floating],
    diarization: Diarization,
    boundaries: Sequence[Boundary],
    *,
    context_s: float,
    hop_s: float,
    n_mels: int,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> Iterator[Tensor]:
    """The model's input for boundaries of one recording, in their order.

    Args:
        log_mel_NM: the recording's frames as `features.analyse` makes them, not normalised.
        diarization: the hypothesis that the boundaries belong to.
        context_s: seconds on each side of a boundary.
        n_mels: how many of the columns are bands.

    Yields:
        features_BTF of at most `batch_size` boundaries, float32: a day's recording has more windows than fit into memory. The
        window's middle is the frame edge nearest to the boundary; `centres_s` says where that is.
    """
    if not boundaries:
        return
    n_frames = n_window_frames(context_s, hop_s)
    tables = Tables.build([(log_mel_NM, diarization)], hop_s, n_frames, n_mels=n_mels, device=device)
    speakers = {speaker: row for row, speaker in enumerate(diarization.speakers)}
    places = Places.of(
        np.zeros(len(boundaries), np.int64),
        np.array([speakers[boundary.speaker] for boundary in boundaries], np.int64),
        np.array([boundary.side is Side.ONSET for boundary in boundaries], np.bool_),
        np.array([boundary.time_s for boundary in boundaries], np.float64),
        tables,
    )
    for start in range(0, len(boundaries), batch_size):
        yield tables.windows(places, slice(start, start + batch_size))


def own_voice(features_BTF: Tensor, features: FeatureConfig) -> tuple[Tensor, Tensor]:
    """The channels of the boundary's own speaker: his activity and the evidence that he speaks, ±1, shape (B, T) each.

    The evidence is the lesser of two: that his voice is heard, and that anybody speaks at all. Without the second, a voice that
    was fitted on a turn of music would be heard in all music. Without a detector of speech the evidence is zero.
    """
    first = features_BTF.shape[2] - _N_TRACKS - 1
    own_BT, voice_BT = features_BTF[:, :, first + _OWN], features_BTF[:, :, first + _EVIDENCE]
    if not features.speech:
        return own_BT, torch.zeros_like(voice_BT)
    return own_BT, torch.minimum(voice_BT, features_BTF[:, :, features.n_mels])


def centres_s(times_s: NDArray[np.float64], hop_s: float) -> NDArray[np.float64]:
    """The middles of the windows around `times_s`: a model's shift counts from there, up to half a hop from the boundary."""
    return np.asarray(edge_frame(times_s, hop_s) * hop_s, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """All frames of some recordings, resident on the device, with a window's length of padding around each.

    Attributes:
        frames_NF: frames, their bands normalised, and the evidence of speech, with room for the other tracks and the side, so
            that a window is copied in one piece. The column of others' activity holds how many speak.
        tracks_RC: activity of and evidence for each speaker in every frame: all that takes speakers × frames of memory.
        frame_start: recording → its first row of `frames_NF`.
        track_start: recording → its first row of `tracks_RC`; speaker s of a recording starts s·`stride` rows later.
        stride: recording → its frames and padding.
    """

    frames_NF: Tensor
    tracks_RC: Tensor
    frame_start: NDArray[np.int64]
    track_start: NDArray[np.int64]
    stride: NDArray[np.int64]
    hop_s: float
    n_frames: int
    n_mels: int

    @classmethod
    def build(
        cls,
        recordings: Iterable[tuple[NDArray[np.floating], Diarization]],
        hop_s: float,
        n_frames: int,
        *,
        n_mels: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Tables:
        """Normalises the recordings' frames, joins frames and tracks, and moves them to the device.

        Args:
            recordings: of each, its frames as in the store and its hypothesis.
            n_frames: T, frames of a window.
            n_mels: how many of the frames' columns are bands.
        """
        frames: list[Tensor] = []
        tracks: list[Tensor] = []
        strides, n_speakers = [], []
        for log_mel_NM, hypothesis in recordings:
            active_SN = activity(hypothesis, len(log_mel_NM), hop_s)
            n_columns = log_mel_NM.shape[1]
            evidence = speaker_evidence(log_mel_NM[:, :n_mels], active_SN, hop_s)
            n_rows, inside = len(log_mel_NM) + 2 * n_frames, slice(n_frames, n_frames + len(log_mel_NM))
            # each value is written once, in its place, since copies of a day's recording would fill the memory
            own_NF = np.zeros((n_rows, n_columns + _N_TRACKS + 1), np.float32)
            own_NF[inside, :n_columns] = log_mel_NM
            normalise(own_NF[inside, :n_mels], active_SN, hop_s)
            own_NF[inside, n_columns + _OTHERS] = active_SN.sum(axis=0, dtype=np.int32)
            own_NF[inside, n_columns + _SPEECH] = evidence.speech_N
            frames.append(torch.from_numpy(own_NF).to(dtype))
            own_SNC = np.zeros((len(active_SN), n_rows, 2), np.float32)
            for column, track_SN in enumerate((active_SN, evidence.own_SN)):
                own_SNC[:, inside, column] = track_SN
            tracks.append(torch.from_numpy(own_SNC.reshape(-1, 2)).to(dtype))
            strides.append(n_rows)
            n_speakers.append(len(active_SN))
        stride = np.array(strides, np.int64)
        rows = stride * np.array(n_speakers, np.int64)
        return cls(
            _joined(frames).to(device),
            (_joined(tracks) if any(n_speakers) else torch.zeros(n_frames, 2, dtype=dtype)).to(device),
            np.cumsum(stride) - stride + n_frames,
            np.cumsum(rows) - rows + n_frames,
            stride,
            hop_s,
            n_frames,
            n_mels,
        )

    @property
    def n_columns(self) -> int:
        """M, the columns of a recording's frames: bands, and what `features.analyse` adds to them."""
        return int(self.frames_NF.shape[1]) - _N_TRACKS - 1

    def windows(self, places: Places, chosen: Tensor | slice) -> Tensor:
        """features_BTF of the chosen places, in the tables' dtype."""
        start_B, track_B, onset_B = places.start[chosen], places.track[chosen], places.onset[chosen]
        features_BTF = _spans(self.frames_NF, start_B, self.n_frames)
        active_BT, evidence_BT = _spans(self.tracks_RC, track_B, self.n_frames).unbind(dim=2)
        first = self.n_columns
        own_BT, others_BT = features_BTF[:, :, first + _OWN], features_BTF[:, :, first + _OTHERS]
        others_BT.copy_(others_BT > active_BT)
        own_BT.copy_(active_BT)
        _redraw_activity(own_BT, onset_B, places.moved[chosen])
        _redraw_activity(others_BT, ~onset_B, places.others_moved[chosen])
        features_BTF[:, :, first + _EVIDENCE] = evidence_BT
        features_BTF[:, :, first + _N_TRACKS] = (onset_B.to(features_BTF.dtype) * 2.0 - 1.0)[:, None]
        return features_BTF


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where windows lie in some tables; tensors of shape (B,) on their device.

    Attributes:
        start: first row of `Tables.frames_NF`.
        track: first row of `Tables.tracks_RC`.
        onset: side of the boundary.
        moved: frames by which the boundary was moved later from where the hypothesis has it (negative: earlier).
        others_moved: the same for the other side of a change, so that it stays a change; 0 if there is none.
    """

    start: Tensor
    track: Tensor
    onset: Tensor
    moved: Tensor
    others_moved: Tensor

    @classmethod
    def of(
        cls,
        recording: NDArray[np.int64],
        speaker: NDArray[np.int64],
        onset: NDArray[np.bool_],
        time_s: NDArray[np.float64],
        tables: Tables,
        *,
        hypothesis_s: NDArray[np.float64] | None = None,
        change: NDArray[np.bool_] | None = None,
    ) -> Places:
        """Windows around `time_s`; what the hypothesis has end at `hypothesis_s`, if given, is redrawn to end there.

        Args:
            change: whether another speaker's activity ends or starts at the same moment, and is redrawn, too.
        """
        edge = edge_frame(time_s, tables.hop_s)
        moved = np.zeros_like(edge) if hypothesis_s is None else edge - edge_frame(hypothesis_s, tables.hop_s)
        first = edge - tables.n_frames // 2
        device = tables.frames_NF.device
        return cls(
            sent(torch.from_numpy(tables.frame_start[recording] + first), device),
            sent(torch.from_numpy(tables.track_start[recording] + speaker * tables.stride[recording] + first), device),
            sent(torch.from_numpy(onset), device),
            sent(torch.from_numpy(moved), device),
            sent(torch.from_numpy(np.zeros_like(moved) if change is None else moved * change), device),
        )


class Batch(NamedTuple):
    """Examples as a model takes them, and the targets.

    Attributes:
        features_BTF: the input.
        offset_frames_B: distance of the true boundary from the window's middle, in frames; not-a-number = there is none.
    """

    features_BTF: Tensor
    offset_frames_B: Tensor


class TrainingBatches:
    """The batches of a training, each a pure function of seed and step.

    Args:
        redraw: whether simulated errors are drawn again, or in which recordings; see `examples.draw_epoch`.
    """

    def __init__(
        self,
        tables: Tables,
        examples: Examples,
        config: ExampleConfig,
        *,
        batch_size: int,
        seed: int,
        redraw: bool | NDArray[np.bool_],
    ) -> None:
        self._tables, self._examples, self._config = tables, examples, config
        self._seed, self._redraw = seed, redraw
        self._channels = Channels.of(tables.n_mels, tables.n_columns)
        self._block = -1
        self._draw(0)
        self.batch_size = min(batch_size, len(self._chosen))
        self.steps_per_epoch = len(self._chosen) // self.batch_size

    def at(self, step: int) -> Batch:
        """The batch of an optimiser step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._draw(epoch)
        chosen = slice(place * self.batch_size, (place + 1) * self.batch_size)
        features_BTF = self._windows(place)
        if self._config.augment_rate > 0.0:
            features_BTF = augmented(features_BTF, self._channels, self._config.augment_rate, seed=self._seed, step=step)
        return Batch(features_BTF, self._offset_frames[chosen])

    def _windows(self, place: int) -> Tensor:
        """The windows of the epoch's batch at `place`, out of several that were gathered at once."""
        n_batches = max(1, _GATHERED_WINDOWS // self.batch_size)
        block, within = divmod(place, n_batches)
        if block != self._block:
            chosen = slice(block * n_batches * self.batch_size, (block + 1) * n_batches * self.batch_size)
            self._gathered_BTF, self._block = self._tables.windows(self._places, chosen), block
        return self._gathered_BTF[within * self.batch_size : (within + 1) * self.batch_size]

    def members(self, step: int) -> list[tuple[int, float]]:
        """The examples of a batch, to show: recording's index in the split, and the time in seconds around which it was cut."""
        self.at(step)
        first = step % self.steps_per_epoch * self.batch_size
        own = slice(first, first + self.batch_size)
        return list(zip(self._examples.recording[self._chosen[own]].tolist(), self._times_s[own].tolist(), strict=True))

    def _draw(self, epoch: int) -> None:
        self._epoch = epoch
        self._chosen, self._times_s = draw_epoch(self._examples, self._config, seed=self._seed, epoch=epoch, redraw=self._redraw)
        self._places, self._offset_frames = placed(self._tables, self._examples[self._chosen], self._times_s)
        self._block = -1


def placed(tables: Tables, examples: Examples, times_s: NDArray[np.float64]) -> tuple[Places, Tensor]:
    """Windows of the examples hypothesised at `times_s`, and how many frames after each window's middle the true boundary is."""
    places = Places.of(
        examples.recording,
        examples.speaker,
        examples.onset,
        times_s,
        tables,
        hypothesis_s=examples.hypothesis_s,
        change=examples.change,
    )
    true_s = examples.hypothesis_s + examples.offset_s
    offset_frames = (true_s - centres_s(times_s, tables.hop_s)) / tables.hop_s
    return places, sent(torch.from_numpy(offset_frames.astype(np.float32)), tables.frames_NF.device)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))  # cat would copy even a single one


def _spans(table_NC: Tensor, start_B: Tensor, n_frames: int) -> Tensor:
    """Rows `start … start + n_frames` of a table for each start, shape (B, n_frames, C), each copied in one piece.

    `index_select` copies whole rows; on a CPU indexing with brackets goes element by element, which takes fourteen times as long.
    """
    n_rows, n_columns = table_NC.shape
    overlapping = table_NC.as_strided((n_rows - n_frames + 1, n_frames * n_columns), (n_columns, 1))
    return overlapping.index_select(0, start_B).reshape(-1, n_frames, n_columns)


def _redraw_activity(active_BT: Tensor, onset_B: Tensor, moved_B: Tensor) -> None:
    """Makes an activity end at the window's middle where the boundary was moved there, in place.

    Between the old and the new place of an onset there is speech if the onset was moved earlier, and silence if it was moved
    later; of an offset the other way round.
    """
    n_frames = active_BT.shape[1]
    place_T = torch.arange(n_frames, device=active_BT.device) - n_frames // 2
    # the middle (0) is the new place, the old one is `moved` frames before it
    between_BT = (place_T >= -moved_B.clamp(min=0)[:, None]) & (place_T < -moved_B.clamp(max=0)[:, None])
    active_B1 = (onset_B == (moved_B < 0)).to(active_BT.dtype)[:, None]
    active_BT.copy_(torch.where(between_BT, active_B1, active_BT))
