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
"""Name of the manifest in a prepared corpus's folder."""
SUMMARY_FILE: Final = "summary.json"
"""Name of the file of its figures: hours, speakers, and how far the hypotheses are off."""


def _file_stem(name: str) -> str:
    """The name of a recording, after which files are named; refuses one that leads out of a folder."""
    try:
        return file_stem(name)
    except FormatError as error:
        raise ValueError(f"no file can be named after this recording: {error.got}") from None


class AudioFile(Part):
    """An audio file as it was when the corpus was prepared."""

    n_bytes: int
    modified_ns: int
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Digest of the file's content."""

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
        """Whether the content has changed. It is read, which takes minutes for a corpus, only if size or modification time have.

        None, for unknown, if the file is missing, is not a regular file, or cannot be read.
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
    """One recording of a prepared corpus. Paths are relative to corpus.json's folder, or absolute if the file is elsewhere."""

    name: Annotated[str, AfterValidator(_file_stem)]
    audio: str
    reference: str
    hypothesis: str
    duration_s: float
    regions_s: list[tuple[float, float]]
    """The parts that are scored; the whole recording unless a UEM says otherwise."""
    speakers: list[str]
    """Who speaks: names of voices if brefine made the audio, else the reference's names, unique only within this recording."""
    simulated: bool = False
    """Whether brefine made the audio."""
    replayed: bool = False
    """Whether the hypothesis is made of errors drawn from measured ones, which do not depend on the audio."""
    labels_sha256: str | None = None
    """Digest of reference and hypothesis as they were prepared; None in manifests of versions that kept none."""
    audio_file: AudioFile | None = None
    """The audio as it was prepared; None in manifests of versions that did not keep this."""

    def turns(self, folder: Path) -> tuple[Diarization, Diarization]:
        """Reference and hypothesis below this folder; a file without turns means a recording without speech.

        Raises:
            FormatError: a file cannot be read, or has broken lines.
        """
        return read_recording(folder / self.reference, self.name), read_recording(folder / self.hypothesis, self.name)

    def is_edited(self, folder: Path) -> bool:
        """Whether reference or hypothesis below this folder have changed since they were prepared; False without a digest."""
        labels = [folder / self.reference, folder / self.hypothesis]
        return self.labels_sha256 is not None and digest_of_files(labels) != self.labels_sha256

    def has_other_audio(self, folder: Path) -> bool:
        """Whether the audio has changed since it was prepared; False without a digest, or if the audio is out of reach."""
        return self.audio_file is not None and self.audio_file.is_changed(folder / self.audio) is True

    def has_other_digest(self, sha256: str | None) -> bool:
        """Whether the audio that was prepared has another digest than this; False if either digest is unknown."""
        return sha256 is not None and self.audio_file is not None and self.audio_file.sha256 != sha256


class CorpusManifest(Document):
    """corpus.json: what a phase trains, validates and gates on. Written last, so if it is there, the corpus is complete."""

    title: str
    """`simulated conversations`, `VoxConverse dev→test`."""
    evidence: Literal["real", "simulated"]
    hypothesis_source: str
    splits: dict[str, list[CorpusRecording]]
    """Split (train, validation, gate) → its recordings."""
    sources: dict[str, str] | None = None
    """What it was prepared from: file of labels, of errors to replay, or `voices` → digest of the content, and the names of the
    audio. None in manifests of versions that kept no digests."""
    alike: list[str] = []
    """Recordings behind the gate that sound like others and were accepted all the same, pair by pair, in words."""

    @property
    def gate(self) -> list[CorpusRecording]:
        """The recordings behind the gate; none if the corpus has no such split."""
        return self.splits.get("gate", [])

    def edited_labels(self, folder: Path) -> list[str]:
        """Recordings whose prepared labels below this folder have been edited, in words: `prepared labels of gate/a`."""
        return [
            f"prepared labels of {split}/{one.name}" for split, own in self.splits.items() for one in own if one.is_edited(folder)
        ]

    def other_audio(self, folder: Path) -> list[str]:
        """Recordings whose audio has changed since the corpus was prepared, in words: `audio of gate/a`."""
        return [
            f"audio of {split}/{one.name}" for split, own in self.splits.items() for one in own if one.has_other_audio(folder)
        ]

    def untouched_audio(self, folder: Path) -> dict[str, str]:
        """Recording → SHA-256 of its audio, for audio whose size and modification time are still those of the preparation."""
        return {
            one.name: one.audio_file.sha256
            for own in self.splits.values()
            for one in own
            if one.audio_file is not None and one.audio_file.is_untouched(folder / one.audio)
        }

    def fingerprint(self) -> str:
        """A digest of which recordings are in which split, of what kind, and with which labels; independent of where files lie.

        The gate's labels are left out: no weights depend on them, and correcting one calls for a new integration, not a new
        training. All audio is left out, too: `other_audio` says whether it has changed.
        """
        kept = {"name", "duration_s", "regions_s", "simulated", "replayed"}
        content = {}
        for name, own in self.splits.items():
            told = kept if name == "gate" else {*kept, "labels_sha256"}
            content[name] = [one.model_dump(mode="json", include=told, exclude_none=True) for one in own]
        return hashlib.sha256(json.dumps([self.evidence, content], sort_keys=True).encode()).hexdigest()
