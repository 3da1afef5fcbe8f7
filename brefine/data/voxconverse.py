"""VoxConverse v0.3: fetched, checked and laid out as two corpora, `dev` to train on and `test` to gate on.

448 recordings (216 dev, 20 h; 232 test, 44 h), CC BY 4.0. Audio comes from the Visual Geometry Group's site, labels from the
`joonson/voxconverse` repository. Dev labels lie on a 40 ms grid, test labels on 10 ms.

Source: Chung et al., "Spot the conversation: speaker diarisation in the wild" (Interspeech 2020).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from brefine.data.download import RemoteFile, ask, download, require_space
from brefine.errors import DataError
from brefine.io.atomic import write_bytes_atomic
from brefine.io.folders import files_of
from brefine.io.lock import held

SPLIT_NAMES = ("dev", "test")
_LABELS = "labels.zip"
"""Archive of the labels; it is kept until all labels have been taken out of it."""
_UNFINISHED = ".labels-unfinished"
"""A mark in a split's folder while labels are copied there."""
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
"""What `zipfile` raises for a damaged archive; some damage looks to it like encryption, or like a future version."""
_VGG = "https://www.robots.ox.ac.uk/~vgg/data/voxconverse/data"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the archives are, and how patiently they are asked for."""

    labels: str = "https://github.com/joonson/voxconverse/archive/refs/heads/master.zip"
    """A zip with `*/dev/*.rttm` and `*/test/*.rttm`."""
    audio: Mapping[str, str] | None = None
    """Split → a zip with its `*.wav`; None = the VGG site's."""
    timeout_s: float = 30.0
    """Silence on the line that counts as a stall."""
    pause_s: float = 1.0
    """Pause after a first failure; doubled each time."""

    def audio_of(self, split: str) -> str:
        return (self.audio or {name: f"{_VGG}/voxconverse_{name}_wav.zip" for name in SPLIT_NAMES})[split]

    def ask(self, url: str) -> RemoteFile:
        return ask(url, timeout_s=self.timeout_s, pause_s=self.pause_s)

    def download(
        self, remote: RemoteFile, path: Path, on_progress: Callable[[int, int | None], None] = lambda done, total: None
    ) -> None:
        download(remote, path, on_progress=on_progress, timeout_s=self.timeout_s, pause_s=self.pause_s)


def lay_out_voxconverse(
    root: Path,
    *,
    audio_from: Path | None = None,
    sources: Sources = Sources(),
    on_progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> tuple[Path, Path]:
    """Makes `root`/dev and `root`/test, each with `audio/` and `reference/`, and returns both.

    What is missing is downloaded if the disk has room; what exists is kept. Every file of an archive is checked against its
    CRC-32 when it is unpacked, and an archive is deleted when all of its files are.

    Args:
        audio_from: a folder, of any depth, with WAV or FLAC files named after the recordings. They are linked to, and nothing is
            downloaded but labels, and those only if `dev/*.rttm` and `test/*.rttm` are not in it.

    Raises:
        DataError: there is no folder `audio_from`, a download fails, the disk is too small, or recordings are missing, which are
            listed one by one.
    """
    if audio_from is not None and not audio_from.is_dir():
        raise DataError("there is no such folder of audio", where=audio_from, hint="--audio-from names it")
    if _has_all_labels(root) and not any(_missing(root, split) for split in SPLIT_NAMES):
        return root / "dev", root / "test"
    with held(root / ".lock"):  # another recipe may lay out the same corpus, and two processes would write into one download
        _complete(root, audio_from, sources, on_progress)
    return root / "dev", root / "test"


def _complete(root: Path, audio_from: Path | None, sources: Sources, on_progress: Callable[[str, int, int], None]) -> None:
    _take_labels(root, audio_from, sources, on_progress)
    if audio_from is not None:
        _link_audio(root, audio_from)
    else:
        wanting = [split for split in SPLIT_NAMES if _missing(root, split)]
        remotes = {split: sources.ask(sources.audio_of(split)) for split in wanting}
        archives = {split: root / f"{split}.zip" for split in wanting}
        fetched_bytes = sum(path.stat().st_size for path in root.glob("*.zip*"))
        # An archive and its unpacked files are on the disk together for a while.
        require_space(root, 2 * sum(remote.size_bytes or 0 for remote in remotes.values()) - fetched_bytes)
        for split in wanting:
            if not archives[split].exists():
                told = _in_megabytes(f"downloading VoxConverse {split} (MB)", on_progress)
                sources.download(remotes[split], archives[split], told)
            _unpack(archives[split], root / split / "audio", ".wav", "", on_progress)
            archives[split].unlink()
    missing = [f"{name}: no audio ({split})" for split in SPLIT_NAMES for name in _missing(root, split)]
    if missing:
        raise DataError(
            f"{len(missing)} recordings of VoxConverse are missing",
            where=audio_from or root,
            problems=missing,
            hint="complete the audio; or make a folder corpus of the recordings you have (brefine prepare DIR --gate DIR)",
        )


def _in_megabytes(step: str, on_progress: Callable[[str, int, int], None]) -> Callable[[int, int | None], None]:
    return lambda done_bytes, total_bytes: on_progress(step, done_bytes >> 20, (total_bytes or done_bytes) >> 20)


def _take_labels(root: Path, audio_from: Path | None, sources: Sources, on_progress: Callable[[str, int, int], None]) -> None:
    for split in SPLIT_NAMES:
        if audio_from is not None and not _has_labels(root, split):
            _copy_labels(audio_from, root, split)
    if _has_all_labels(root):
        return
    archive = root / _LABELS
    if not archive.exists():
        try:
            remote = sources.ask(sources.labels)
            require_space(root, remote.size_bytes or 0)
            on_progress("downloading VoxConverse labels", 0, 1)
            sources.download(remote, archive)
        except DataError as error:
            if audio_from is None:
                raise
            hint = f"labels are looked for in {audio_from} as well: dev/*.rttm and test/*.rttm, of any depth"
            raise error.with_hint(hint) from None
    for split in SPLIT_NAMES:
        _unpack(archive, root / split / "reference", ".rttm", f"/{split}/", on_progress)
    archive.unlink()


def _copy_labels(audio_from: Path, root: Path, split: str) -> None:
    found = sorted(audio_from.rglob(f"{split}/**/[!.]*.rttm"))
    if not found:
        return
    unfinished = root / split / _UNFINISHED
    write_bytes_atomic(unfinished, b"")
    for path in found:
        write_bytes_atomic(root / split / "reference" / path.name, path.read_bytes())
    unfinished.unlink()


def _has_all_labels(root: Path) -> bool:
    """Whether every split has all labels; False if an interruption may have left only a part of them."""
    return all(_has_labels(root, split) for split in SPLIT_NAMES) and not (root / _LABELS).exists()


def _has_labels(root: Path, split: str) -> bool:
    return bool(files_of(root / split / "reference", {".rttm"})) and not (root / split / _UNFINISHED).exists()


def _link_audio(root: Path, audio_from: Path) -> None:
    audio = {path.stem: path for path in sorted(audio_from.rglob("*")) if path.suffix.lower() in (".wav", ".flac")}
    for split in SPLIT_NAMES:
        folder = root / split / "audio"
        folder.mkdir(parents=True, exist_ok=True)
        for name in _missing(root, split):
            if name in audio:
                link = folder / f"{name}{audio[name].suffix}"
                link.unlink(missing_ok=True)  # a link to audio that has moved
                link.symlink_to(audio[name].absolute())


def _missing(root: Path, split: str) -> list[str]:
    there = {path.stem for path in (root / split / "audio").glob("*") if path.exists()}
    return sorted({path.stem for path in files_of(root / split / "reference", {".rttm"})} - there)


def _unpack(archive: Path, folder: Path, suffix: str, within: str, on_progress: Callable[[str, int, int], None]) -> None:
    """Takes the files with a suffix out of a zip, flat, each whole or absent; a torn archive is deleted, to be fetched again."""
    try:
        with zipfile.ZipFile(archive) as file:
            members = [one for one in file.infolist() if one.filename.lower().endswith(suffix) and within in f"/{one.filename}"]
            for done, member in enumerate(members, start=1):
                path = folder / Path(member.filename).name
                if path.name.startswith("."):
                    continue
                if not path.exists() or path.stat().st_size != member.file_size:
                    write_bytes_atomic(path, file.read(member))  # read() checks the CRC-32
                on_progress(f"unpacking {archive.name}", done, len(members))
    except _BROKEN as error:
        archive.unlink()
        raise DataError(
            f"the archive is broken: {error}", where=archive, hint="it was deleted; the next call fetches it again"
        ) from None
