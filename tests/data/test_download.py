"""Downloads survive a server that drops, truncates, stalls and fails; a file takes its name only when it is whole."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from brefine.data.download import RemoteFile, ask, download, require_space
from brefine.errors import DataError
from tests.data.scripted_server import ScriptedServer

_CONTENT = bytes(range(256)) * 4000  # 1 MB


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer({"/file.zip": _CONTENT}) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


def _download(server: ScriptedServer, path: Path) -> None:
    download(ask(server.url(), pause_s=0.0), path, timeout_s=0.3, pause_s=0.0)


@pytest.mark.parametrize(
    "script",
    [
        [],
        ["drop"],
        ["drop", "drop", "drop"],
        ["stall"],
        ["503", "drop", "500"],
        ["drop", "no-ranges"],
        ["nothing", "drop", "429"],
    ],
    ids=lambda script: "-".join(script) or "whole",
)
def test_the_file_arrives_whole_whatever_happens_on_the_way(server: ScriptedServer, tmp_path: Path, script: list[str]) -> None:
    """Dropped, stalled, refused and unranged connections end in the same bytes, without leftovers."""
    server.script = list(script)
    _download(server, tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == _CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file.zip"]


def test_a_dropped_download_is_continued_not_repeated(server: ScriptedServer, tmp_path: Path) -> None:
    """The second connection asks for the second half only."""
    server.script = ["drop"]
    _download(server, tmp_path / "file.zip")
    assert server.ranges == [None, f"bytes={len(_CONTENT) // 2}-"]


def test_a_file_of_untold_size_is_whole_where_the_answer_is(server: ScriptedServer, tmp_path: Path) -> None:
    """The length that comes with the content counts where none came before it."""
    server.script = ["drop"]
    download(RemoteFile(server.url(), None, server.etag), tmp_path / "file.zip", timeout_s=0.3, pause_s=0.0)
    assert (tmp_path / "file.zip").read_bytes() == _CONTENT


def test_what_has_nothing_left_to_fetch_is_fetched_anew(server: ScriptedServer, tmp_path: Path) -> None:
    """Of a file whose size no server tells, killed before it took its name: nobody knows that it is whole, and 416 is no end."""
    server.script = ["drop", "404"]
    remote = RemoteFile(server.url(), None, server.etag)
    with pytest.raises(DataError, match="no such file"):
        download(remote, tmp_path / "file.zip", timeout_s=0.3, pause_s=0.0)
    (tmp_path / "file.zip.part").write_bytes(_CONTENT)
    server.script = ["416"]
    download(remote, tmp_path / "file.zip", timeout_s=0.3, pause_s=0.0)
    assert server.ranges[-2:] == [f"bytes={len(_CONTENT)}-", None]
    assert (tmp_path / "file.zip").read_bytes() == _CONTENT


def test_a_killed_download_goes_on_in_the_next_process(server: ScriptedServer, tmp_path: Path) -> None:
    """What lies in .part is kept when the server's file is still the same, and dropped when it has changed."""
    server.script = ["drop", *["404"] * 1]
    with pytest.raises(DataError, match="no such file"):
        _download(server, tmp_path / "file.zip")
    assert (tmp_path / "file.zip.part").stat().st_size == len(_CONTENT) // 2
    _download(server, tmp_path / "file.zip")
    assert server.ranges[-1] == f"bytes={len(_CONTENT) // 2}-"

    (tmp_path / "file.zip").unlink()
    server.script = ["drop", "404"]
    with pytest.raises(DataError):
        _download(server, tmp_path / "file.zip")
    server.etag, server.files["/file.zip"] = '"two"', _CONTENT[::-1]
    _download(server, tmp_path / "file.zip")
    assert server.ranges[-1] is None
    assert (tmp_path / "file.zip").read_bytes() == _CONTENT[::-1]


def test_a_server_that_never_delivers_is_given_up(server: ScriptedServer, tmp_path: Path) -> None:
    """Attempts that bring nothing new end in a message; no file takes the name."""
    server.script = ["nothing"] * 50
    with pytest.raises(DataError, match="remains incomplete"):
        _download(server, tmp_path / "file.zip")
    server.script = ["503"] * 50
    with pytest.raises(DataError, match="keeps failing"):
        _download(server, tmp_path / "file.zip")
    assert not (tmp_path / "file.zip").exists()


def test_a_missing_file_and_a_missing_server_are_told_apart(server: ScriptedServer) -> None:
    """404 is final at once; a closed port is tried several times, then named."""
    with pytest.raises(DataError, match="no such file"):
        ask(server.url("/other.zip"), pause_s=0.0)
    with pytest.raises(DataError, match="cannot be reached"):
        ask("http://127.0.0.1:9/file.zip", pause_s=0.0)


def test_the_disk_is_checked_before_anything_is_fetched(tmp_path: Path) -> None:
    """More than there is room for is refused with both figures; what fits passes."""
    require_space(tmp_path, 1000)
    with pytest.raises(DataError, match="too little space"):
        require_space(tmp_path, shutil.disk_usage(tmp_path).free)


def test_progress_counts_all_bytes(server: ScriptedServer, tmp_path: Path) -> None:
    """Across a resumed connection the count never falls and ends at the size."""
    server.script = ["drop"]
    seen: list[int] = []
    download(
        ask(server.url()),
        tmp_path / "file.zip",
        on_progress=lambda done, total: seen.append(done),
        timeout_s=1.0,
        pause_s=0.0,
    )
    assert seen == sorted(seen)
    assert seen[-1] == len(_CONTENT)
