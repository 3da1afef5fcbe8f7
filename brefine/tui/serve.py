"""The dashboard in a browser on this machine: loopback only, read-only, behind a token.

textual-serve shows a Textual app in a browser but lets anybody in. Here every request needs a cookie, which one gets only with
the token. The token is in a file that only its owner can read, and not in any argument, environment or log. Each visitor gets a
read-only dashboard in a process of its own, as in textual-serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shlex
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp_jinja2
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from brefine.errors import terminated_as_interrupted
from brefine.io.folders import state_folder
from brefine.io.interpreter import python_command

HOST: Final = "127.0.0.1"
_OWN_NAMES: Final = {"127.0.0.1", "localhost"}
_MOST_VISITORS: Final = 8
_PATIENCE_S: Final = 5.0
"""Time that a dashboard has to end by itself when it no longer draws or nobody watches it."""
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' data: blob:; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # with no policy, browsers send the login form with `Origin: null`
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PAGES: Final = Path(__file__).with_name("pages")
_LIGHT: Final = "/light"
"""The page appends this to the socket's address if the browser is set to light colours."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Dashboard(AppService):
    """A visitor's dashboard. When it ends, in whatever way, it closes its connection, so that the page does not freeze.

    If the connection or the server ends first, no process is left behind.
    """

    async def run(self) -> None:
        try:
            await super().run()
            await self.remote_close()
        finally:
            await self._end()

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        try:
            await asyncio.wait_for(process.wait(), _PATIENCE_S)  # its pipes stay open until it is waited for
        except TimeoutError:
            pass
        finally:  # also if this wait is cancelled, for instance because the server ends
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class WatchServer(Server):
    """Serves one phase.

    Args:
        path: the phase, or a folder of event files.
        port: on loopback; the caller has found it free.
        token: what a visitor must know.
    """

    def __init__(self, path: Path, *, port: int, token: str) -> None:
        command = python_command("-m", "brefine.tui.open", path)
        super().__init__(shlex.join(command), host=HOST, port=port, title=path.name, templates_path=_PAGES)
        self._token = token
        self._cookie_name = f"brefine-{port}"  # cookies do not distinguish ports
        self._n_visitors = 0

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        app.router.add_get(f"/ws{_LIGHT}", self.handle_websocket)
        app.router.add_post("/enter", self._enter)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Prints nothing: the command has printed the address."""

    def initialize_logging(self) -> None:
        """Logs nothing: requests are not worth logging, and the token must not get into a log."""

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page, with the socket at the host and port that the browser uses: a tunnel may have changed the port."""
        if self._n_visitors >= _MOST_VISITORS:
            return _door(request, 503, n_visitors=self._n_visitors)
        context = {"name": self.title, "socket": f"ws://{request.host}/ws"}
        return aiohttp_jinja2.render_template("dashboard.html", request, context)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Serves a visitor if there is room for one more process; if the connection or the process ends, so does the other."""
        if self._n_visitors >= _MOST_VISITORS:
            raise web.HTTPServiceUnavailable(text=f"{_MOST_VISITORS} visitors are here already")
        self._n_visitors += 1
        try:
            socket = web.WebSocketResponse(heartbeat=15.0)
            await socket.prepare(request)

            async def close() -> None:
                await socket.close()

            is_light = request.path.endswith(_LIGHT) and "TEXTUAL_THEME" not in os.environ
            # A shell starts the dashboard; with `exec` it is a direct child of this process, which then sees it end.
            dashboard = _Dashboard(
                f"exec {'env TEXTUAL_THEME=brefine-light ' if is_light else ''}{self.command}",
                write_bytes=socket.send_bytes,
                write_str=socket.send_str,
                close=close,
                download_manager=self.download_manager,
            )
            await dashboard.start(to_int(request.query.get("width", ""), 80), to_int(request.query.get("height", ""), 24))
            try:
                await self._process_messages(socket, dashboard)
            finally:
                await dashboard.stop()
            return socket
        finally:
            self._n_visitors -= 1

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        given = (await request.post()).get("token", "")
        if not isinstance(given, str) or not self._opens(given.strip()):
            await asyncio.sleep(1.0)  # makes guessing slow
            return _door(request, 403, refused=True)
        return self._welcome()

    def _welcome(self) -> web.Response:
        response = web.Response(status=303, headers={"Location": "/"})  # so that the token leaves the address bar
        response.set_cookie(self._cookie_name, self._token, httponly=True, samesite="Strict", path="/")
        return response

    @property
    def _guard(self) -> Any:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                response = await self._guarded(request, handler)
            except web.HTTPException as refusal:  # for instance, no such page
                refusal.headers.update(_HEADERS)
                raise
            if not response.prepared:
                response.headers.update(_HEADERS)
            return response

        return guard

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # A foreign name comes from a page that has made its own name resolve to 127.0.0.1.
        if request.host.rpartition(":")[0] not in _OWN_NAMES:
            return web.Response(text="this is not served under that name", status=421)
        origin = request.headers.get("Origin")
        if origin not in (None, f"http://{request.host}"):
            return web.Response(text="other pages may not look in here", status=403)
        if request.path == "/enter" and request.method == "POST":
            return await handler(request)
        if self._opens(request.cookies.get(self._cookie_name, "")):
            return await handler(request)
        given = request.query.get("token", "") if request.path == "/" else ""
        return self._welcome() if self._opens(given) else _door(request, 401, refused=bool(given))

    def _opens(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(errors="replace"), self._token.encode())


def _door(request: web.Request, status: int, *, refused: bool = False, n_visitors: int = 0) -> web.Response:
    context = {"refused": refused, "n_visitors": n_visitors}
    return aiohttp_jinja2.render_template("door.html", request, context, status=status)


def serve_dashboard(path: Path, *, port: int, announce: Callable[[str, Path], None]) -> None:
    """Serves until Ctrl-C, SIGTERM, or SIGHUP, which a closing terminal sends.

    Args:
        port: 0 = any free one.
        announce: called with the address, without the token, and with the token's file.

    Raises:
        OSError: the port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        port = probe.getsockname()[1]
    token = secrets.token_urlsafe(32)
    file = write_token(token, port)
    try:
        with terminated_as_interrupted():
            announce(f"http://{HOST}:{port}/", file)
            server = WatchServer(path, port=port, token=token)
            web.run_app(server._make_app(), host=HOST, port=port, access_log=None, print=None, shutdown_timeout=1.0)
    finally:
        file.unlink(missing_ok=True)


def write_token(token: str, port: int) -> Path:
    """Writes the token into a file that only its owner can read."""
    file = state_folder() / f"serve-{port}.token"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(token + "\n")
    return file
