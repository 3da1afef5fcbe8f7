"""What `prepare` writes, in the prepared corpus's own folder."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field

from brefine.core.turns import Diarization
from brefine.errors import FormatError
from brefine.io.atomic import digest_of_files, file_digest
from brefine.io.filenames import file_stem
from brefine.io.rttm import read_recording
from brefine.phasedir.document import Document, Part

SPLITS: Final = ("train", "validation", "gate")
CORPUS_FILE: Final = "corpus.json"
"""Where a prepared corpus's folder has its manifest."""
SUMMARY_FILE: Final = "summary.json"
"""Where it has its figures: hours, speakers, and how far the hypotheses are off."""


def _file_stem(name: str) -> str:
    """Files are named after a recording wherever it goes: a name that leads out of its folder is refused at once."""
    try:
        return file_stem(name)
    except FormatError as error:
        raise ValueError(f"no file can be named after this recording: {error.got}") from None


class AudioFile(Part):
    """An audio file as it was when the corpus was prepared."""

    n_bytes: int
    modified_ns: int
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Of the file's content."""

    @classmethod
    def of(cls, path: Path) -> Self:
        """The file as it is now.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        found = path.stat()
        return cls(n_bytes=found.st_size, modified_ns=found.st_mtime_ns, sha256=file_digest(path))

    def is_untouched(self, path: Path) -> bool:
        """Whether its size and modification time are unchanged; its content is not read."""
        try:
            found = path.stat()
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (self.n_bytes, self.modified_ns)

    def is_changed(self, path: Path) -> bool | None:
        """Whether the content has changed. It is not read if size and modification time are unchanged: that takes minutes.

        None if the file is missing, is no regular file, or cannot be read, so that nothing is known.
        """
        try:
            if not path.is_file():
                return None
            if self.is_untouched(path):
                return False
            return path.stat().st_size != self.n_bytes or file_digest(path) != self.sha256
        except OSError:
            return None


class CorpusRecording(Part):
    """One recording of a prepared corpus. Paths are relative to corpus.json's folder, or absolute where they lie elsewhere."""

    name: Annotated[str, AfterValidator(_file_stem)]
    audio: str
    reference: str
    hypothesis: str
    duration_s: float
    regions_s: list[tuple[float, float]]
    """What is scored; the whole recording where no UEM says otherwise."""
    speakers: list[str]
    """Who speaks: names of voices where brefine made the audio, else the reference's names, unique only within it."""
    simulated: bool = False
    """brefine made the audio."""
    replayed: bool = False
    """The hypothesis is measured errors drawn anew, which know nothing of the audio."""
    labels_sha256: str | None = None
    """Digest of reference and hypothesis as they were prepared; None where no digest was kept yet."""
    audio_file: AudioFile | None = None
    """The audio as it was prepared; None likewise."""

    def turns(self, folder: Path) -> tuple[Diarization, Diarization]:
        """Reference and hypothesis below this folder; a file without turns is that of a recording without speech.

        Raises:
            FormatError: a file cannot be read, or has broken lines.
        """
        return read_recording(folder / self.reference, self.name), read_recording(folder / self.hypothesis, self.name)

    def is_edited(self, folder: Path) -> bool:
        """Whether reference or hypothesis below this folder are no longer those that were prepared; without a digest, False."""
        labels = [folder / self.reference, folder / self.hypothesis]
        return self.labels_sha256 is not None and digest_of_files(labels) != self.labels_sha256

    def has_other_audio(self, folder: Path) -> bool:
        """Whether the audio is no longer what was prepared; False without a digest, or where the audio is out of reach."""
        return self.audio_file is not None and self.audio_file.is_changed(folder / self.audio) is True

    def has_other_digest(self, sha256: str | None) -> bool:
        """Whether the audio was prepared with another content than this; False where either is not told."""
        return sha256 is not None and self.audio_file is not None and self.audio_file.sha256 != sha256


class CorpusManifest(Document):
    """corpus.json: what a phase trains, validates and gates on. Written last, so its presence means that all is there."""

    title: str
    """`simulated conversations`, `VoxConverse dev→test`."""
    evidence: Literal["real", "simulated"]
    hypothesis_source: str
    splits: dict[str, list[CorpusRecording]]
    """train, validation, gate → recordings."""
    sources: dict[str, str] | None = None
    """What it was prepared from: file of labels, of errors to replay, or `voices` → digest of the content, and the names of the
    audio. None where no digests were kept yet."""
    alike: list[str] = []
    """Recordings behind the gate that sound like others and were let through, pair by pair, in words."""

    @property
    def gate(self) -> list[CorpusRecording]:
        """What is behind the gate; nothing where the corpus has no such split."""
        return self.splits.get("gate", [])

    def edited_labels(self, folder: Path) -> list[str]:
        """Recordings whose prepared labels below this folder somebody has edited, in words: `prepared labels of gate/a`."""
        return [
            f"prepared labels of {split}/{one.name}" for split, own in self.splits.items() for one in own if one.is_edited(folder)
        ]

    def other_audio(self, folder: Path) -> list[str]:
        """Recordings whose audio is another than when the corpus was prepared, in words: `audio of gate/a`."""
        return [
            f"audio of {split}/{one.name}" for split, own in self.splits.items() for one in own if one.has_other_audio(folder)
        ]

    def untouched_audio(self, folder: Path) -> dict[str, str]:
        """Recording → SHA-256 of its audio, where that has the size and the time of change with which it was prepared."""
        return {
            one.name: one.audio_file.sha256
            for own in self.splits.values()
            for one in own
            if one.audio_file is not None and one.audio_file.is_untouched(folder / one.audio)
        }

    def fingerprint(self) -> str:
        """A digest of what is in which split, of what kind, and with which labels; the same wherever the files lie.

        The gate's labels are left out: no weights depend on them, and whoever corrects one has to integrate anew, not to train.
        So is all audio: whether it is still what was prepared is told by `other_audio`.
        """
        kept = {"name", "duration_s", "regions_s", "simulated", "replayed"}
        content = {}
        for name, own in self.splits.items():
            told = kept if name == "gate" else {*kept, "labels_sha256"}
            content[name] = [one.model_dump(mode="json", include=told, exclude_none=True) for one in own]
        return hashlib.sha256(json.dumps([self.evidence, content], sort_keys=True).encode()).hexdigest()
