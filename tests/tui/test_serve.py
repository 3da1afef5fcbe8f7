"""The dashboard in a browser: nobody comes in without the token, and whoever is in may only look."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest

pytest.importorskip("textual_serve")

import aiohttp
import psutil
import pytest_asyncio
from aiohttp.test_utils import TestServer
from textual_serve.download_manager import DownloadManager

from brefine.errors import ConfigError
from brefine.tui import serve
from brefine.tui.serve import WatchServer, serve_dashboard, write_token
from tests.run.tail.event_writing import ramp, version, write_events
from tests.tui.browser import find_chromium, open_page

TOKEN = "a-token-for-tests"
_REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of event files: enough to watch."""
    write_events(tmp_path / "logs" / "lr-3e-4" / "events.out.tfevents.1", [version(), *ramp(range(40))])
    return tmp_path / "logs"


@pytest_asyncio.fixture
async def address(folder: Path) -> AsyncIterator[str]:
    """A server of that folder on loopback."""
    app = await WatchServer(folder, port=1, token=TOKEN)._make_app()
    async with TestServer(app, host="127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.port}"


async def status(address: str, path: str = "/", **options: object) -> int:
    async with aiohttp.ClientSession() as session, session.get(address + path, allow_redirects=False, **options) as answer:
        return answer.status


@pytest.mark.parametrize("path", ["/", "/?token=wrong", "/ws", "/static/js/textual.js", "/download/1", "/?token="])
async def test_nothing_is_shown_without_the_token(address: str, path: str) -> None:
    """Pages, socket, files: all ask for the token first."""
    assert await status(address, path) == 401


async def test_the_token_opens_once_and_leaves_the_address(address: str) -> None:
    """The address with the token is left at once for one without; the cookie is out of reach of scripts and other sites."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(f"{address}/?token={TOKEN}", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            assert "HttpOnly" in answer.headers["Set-Cookie"] and "SameSite=Strict" in answer.headers["Set-Cookie"]
        async with session.get(address) as answer:
            assert answer.status == 200
            assert TOKEN not in await answer.text()
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def test_the_token_can_be_typed(address: str) -> None:
    """Who has only the file's content enters it in a form; a wrong one is refused."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.post(f"{address}/enter", data={"token": f" {TOKEN}\n"}) as answer:
            assert answer.status == 200 and "textual" in await answer.text()
        async with session.post(f"{address}/enter", data={"token": "wrong"}) as answer:
            assert answer.status == 403
            assert '<p role="alert">That is not the token.</p>' in await answer.text()


async def test_the_door_reproaches_nobody_who_has_not_tried(address: str) -> None:
    """It tells its language, and what its field is for."""
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        door = await answer.text()
    assert "not the token" not in door
    assert '<html lang="en">' in door and '<label>token <input name="token"' in door


@pytest.mark.parametrize("path", ["/", "/nothing", "/download/nothing", "/static/nothing"])
async def test_every_answer_keeps_other_pages_out(address: str, path: str) -> None:
    """Also that there is no such page, before the door and behind it."""
    for cookie in ({}, {"Cookie": f"brefine-1={TOKEN}"}):
        async with aiohttp.ClientSession(headers=cookie) as session, session.get(address + path) as answer:
            assert answer.status == (401 if not cookie else 200 if path == "/" else 404)
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"


async def test_what_is_wrong_in_an_address_is_told_at_the_door(address: str) -> None:
    """As what is typed there: the link of a server that has ended brings nobody in, and says so."""
    async with aiohttp.ClientSession() as session, session.get(f"{address}/?token=wrong") as answer:
        assert (answer.status, "That is not the token." in await answer.text()) == (401, True)


async def test_a_browser_may_name_the_page_that_its_form_is_on(address: str) -> None:
    """Told to send no referrer, browsers name no origin with a form either, and what is typed at the door would be refused."""
    async with aiohttp.ClientSession() as session:
        async with session.get(address) as answer:
            assert answer.headers["Referrer-Policy"] == "same-origin"
        nameless = {"Origin": "null"}  # of a page in a frame without rights, too
        async with session.post(f"{address}/enter", data={"token": TOKEN}, headers=nameless) as answer:
            assert answer.status == 403


@contextlib.asynccontextmanager
async def visit(address: str, path: str = "/ws") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A visitor's connection, as the page opens it."""
    async with (
        aiohttp.ClientSession(headers={"Cookie": f"brefine-1={TOKEN}"}) as session,
        session.ws_connect(address + path) as ws,
    ):
        yield ws


async def seen(socket: aiohttp.ClientWebSocketResponse, words: bytes) -> None:
    """Waits until the dashboard has drawn these words."""
    drawn = b""
    async with asyncio.timeout(60.0):
        while words not in drawn:
            drawn += await socket.receive_bytes()


async def until_closed(socket: aiohttp.ClientWebSocketResponse) -> None:
    async with asyncio.timeout(60.0):
        async for _ in socket:
            pass


async def test_a_full_house_is_told_in_words(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes when all places are taken sees no dashboard that has ended before it began."""
    monkeypatch.setattr(serve, "_MOST_VISITORS", 1)
    cookie = {"Cookie": f"brefine-1={TOKEN}"}
    async with visit(address):
        async with aiohttp.ClientSession(headers=cookie) as session, session.get(address) as answer:
            assert (answer.status, "there is room for no more" in await answer.text()) == (503, True)
        assert await status(address, "/ws", headers=cookie) == 503


async def test_a_dashboard_that_dies_does_not_stand_still_in_the_browser(address: str) -> None:
    """Killed by whomever, it closes its visitor's connection, and the page says so."""
    async with visit(address) as socket:
        await seen(socket, b"lr-3e-4")
        for child in psutil.Process().children(recursive=True):
            if "brefine.tui.open" in child.cmdline():
                child.kill()
        await until_closed(socket)


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_no_process_is_left_behind_that_does_not_end_by_itself(monkeypatch: pytest.MonkeyPatch, is_cancelled: bool) -> None:
    """Its patience over, or the server told to end meanwhile: the process is killed, and waited for."""
    monkeypatch.setattr(serve, "_PATIENCE_S", 60.0 if is_cancelled else 0.1)
    closed = asyncio.Event()

    async def send(_: object) -> None: ...

    async def close() -> None:
        closed.set()

    program = "import os, time; os.write(1, b'__GANGLION__\\n'); os.close(1); time.sleep(600)"
    dashboard = serve._Dashboard(
        f"exec {shlex.join([sys.executable, '-c', program])}",
        write_bytes=send,
        write_str=send,
        close=close,
        download_manager=DownloadManager(),
    )
    await dashboard.start(80, 24)
    async with asyncio.timeout(30.0):
        await closed.wait()
        ending = asyncio.create_task(dashboard.stop())
        if is_cancelled:
            await asyncio.sleep(0.1)  # until it waits for the process
            ending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await ending
        else:
            await ending
    assert dashboard._process is not None and dashboard._process.returncode == -signal.SIGKILL


async def test_a_visitor_who_leaves_is_no_news_where_it_is_served(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever has started the server is told neither how to come back nor a verdict."""
    async with visit(address) as socket:
        await seen(socket, b"lr-3e-4")
        await socket.send_json(["stdin", "q"])
        await until_closed(socket)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("path", "background"), [("/ws", b"48;2;13;18;25"), ("/ws/light", b"48;2;251;250;247")])
async def test_a_browser_that_is_set_to_light_colours_is_shown_them(address: str, path: str, background: bytes) -> None:
    """The page asks for the socket that goes with what the browser prefers."""
    async with visit(address, path) as socket:
        await seen(socket, background)


async def test_bytes_that_are_no_text_are_refused_like_any_wrong_token(address: str) -> None:
    """In the cookie, in the address, in the form: no error of the server."""
    host, _, port = address.removeprefix("http://").partition(":")
    for request in (b"GET / HTTP/1.1\r\nCookie: brefine-1=\xff\xfe\r\n", b"GET /?token=%ff%ed%a0%80 HTTP/1.1\r\n"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request + b"Host: 127.0.0.1:1\r\nConnection: close\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        writer.close()


async def test_other_names_and_other_pages_are_refused(address: str) -> None:
    """A page elsewhere can neither rename itself to this machine nor open the socket of somebody who is logged in."""
    cookie = {"Cookie": f"brefine-1={TOKEN}"}
    assert await status(address, headers=cookie) == 200
    assert await status(address, headers={**cookie, "Host": "evil.example:80"}) == 421
    assert await status(address, "/ws", headers={**cookie, "Origin": "http://evil.example"}) == 403


def test_the_token_file_is_the_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an older file with other rights lay in its place."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = write_token("first", 8000)
    file.chmod(0o644)
    assert write_token("second", 8000) == file
    assert (stat.S_IMODE(file.stat().st_mode), file.read_text()) == (0o600, "second\n")


def test_without_a_home_what_to_set_for_the_token_is_said(homeless: None) -> None:
    """The page is not served where nobody could find its token."""
    with pytest.raises(ConfigError, match="set XDG_STATE_HOME"):
        write_token("first", 8000)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_the_tokens_file_ends_with_the_server(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Also where the terminal is closed, as by an ssh line that drops."""

    async def end_soon(server: WatchServer, app: object) -> None:
        asyncio.get_running_loop().call_later(0.1, signal.raise_signal, number)  # when it listens

    def unheard(number: int, frame: object) -> NoReturn:
        raise SystemExit("it would have been killed, and the token left behind")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(WatchServer, "on_startup", end_soon)
    files: list[Path] = []
    earlier = signal.signal(number, unheard)
    try:
        serve_dashboard(folder, port=0, announce=lambda address, file: files.append(file))
        assert signal.getsignal(number) is unheard
    finally:
        signal.signal(number, earlier)
    assert [file.exists() for file in files] == [False]


@pytest.mark.end_to_end
async def test_a_browser_shows_the_dashboard(folder: Path, tmp_path: Path) -> None:
    """`watch --serve` in a real process and a real browser: curves on the screen, no token in any argument or word."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    environment = {**os.environ, "PYTHONPATH": str(_REPOSITORY), "XDG_STATE_HOME": str(tmp_path / "state")}
    said = tmp_path / "said"
    with said.open("wb") as words:
        command = [sys.executable, "-m", "brefine", "watch", str(folder), "--serve"]
        server = subprocess.Popen(command, stdout=words, stderr=words, env=environment)
    try:
        deadline_s = time.monotonic() + 60.0
        while not (files := list((tmp_path / "state" / "brefine").glob("serve-*.token"))) or "served at" not in said.read_text():
            assert server.poll() is None and time.monotonic() < deadline_s, said.read_text()
            time.sleep(0.05)
        token, port = files[0].read_text().strip(), files[0].stem.removeprefix("serve-")
        while True:
            try:
                if await status(f"http://127.0.0.1:{port}") == 401:
                    break
            except aiohttp.ClientConnectionError:
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
        async with open_page(chromium, tmp_path / "profile", f"http://127.0.0.1:{port}/?token={token}") as page:
            await page.until("document.body && document.body.classList.contains('-first-byte')")
            while len(picture := await page.picture()) < 10_000:  # the first byte may be an empty screen
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.2)
            assert await page.value("location.search") == ""
            assert await page.value("document.cookie") == ""
        assert picture.startswith(b"\x89PNG")
        assert token not in said.read_text()
        assert token not in Path(f"/proc/{server.pid}/cmdline").read_text()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30.0)
    assert list((tmp_path / "state" / "brefine").glob("serve-*.token")) == []


@pytest.mark.end_to_end
async def test_who_types_the_token_in_a_browser_is_in_and_at_the_keys(address: str, tmp_path: Path) -> None:
    """Nothing has to be clicked before keys are heard; where the dashboard ends, a key opens it again."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    async with open_page(chromium, tmp_path / "profile", address) as page:
        await page.until("document.querySelector('input[name=token]') !== null")
        await page.value(f"document.querySelector('input[name=token]').value = '{TOKEN}'")
        await page.value("document.querySelector('button').click()")
        await page.until("document.body && document.body.classList.contains('-first-byte')")
        await page.until("document.activeElement.classList.contains('xterm-helper-textarea')")
        assert (await page.value("document.title"), await page.value("document.documentElement.lang")) == ("logs – brefine", "en")
        await page.call("Input.insertText", text="q")
        await page.until("document.body.classList.contains('-closed')")
        assert await page.value("document.activeElement.textContent") == "open it again"
        await page.value("document.activeElement.click()")
        await page.until("document.body && document.body.classList.contains('-first-byte')")


@pytest.mark.end_to_end
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_a_visitors_dashboard_ends_with_its_server(number: signal.Signals, folder: Path, tmp_path: Path) -> None:
    """A server that is killed leaves no process behind that draws for nobody; one that Ctrl-C ends waits for no visitor."""
    environment = {**os.environ, "PYTHONPATH": str(_REPOSITORY), "XDG_STATE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "brefine", "watch", str(folder), "--serve"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    deadline_s = time.monotonic() + 60.0
    while not (files := list((tmp_path / "brefine").glob("serve-*.token"))) or not files[0].read_text():
        assert server.poll() is None and time.monotonic() < deadline_s
        await asyncio.sleep(0.05)
    port = files[0].stem.removeprefix("serve-")
    cookie = {"Cookie": f"brefine-{port}={files[0].read_text().strip()}"}
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                socket = await session.ws_connect(f"http://127.0.0.1:{port}/ws?width=80&height=24", headers=cookie)
                break
            except aiohttp.ClientConnectionError as error:
                assert time.monotonic() < deadline_s, error
                await asyncio.sleep(0.1)
        assert (await socket.receive(60.0)).data
        visitors = psutil.Process(server.pid).children(recursive=True)
        assert visitors
        deadline_s = time.monotonic() + 15.0  # aiohttp would wait for its heartbeats, 23 s
        server.send_signal(number)
        while server.poll() is None:
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.05)
        await socket.close()
    _, left = psutil.wait_procs(visitors, timeout=30.0)
    for process in left:
        process.kill()
    assert left == []
