"""The dashboard in a browser on this machine: loopback only, read-only, behind a token.

textual-serve draws a Textual app in a browser but lets anybody in. Here every request needs a cookie that only the token
gives; the token lies in a file that its owner alone can read, and is in no argument, environment or log. Each visitor gets a
read-only dashboard in a process of its own, as textual-serve works.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp_jinja2
from aiohttp import web
from textual_serve.server import Server

from brefine.errors import terminated_as_interrupted
from brefine.io.interpreter import python_command

HOST: Final = "127.0.0.1"
_OWN_NAMES: Final = {"127.0.0.1", "localhost"}
_MOST_VISITORS: Final = 8
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' data: blob:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_DOOR: Final = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>brefine</title></head>
<body style="background:#0d1219;color:#d6dee8;font-family:monospace;padding:3em">
<p>This dashboard needs its token. It stands in the file that <b>brefine watch --serve</b> has named.</p>{refusal}
<form method="post" action="/enter"><label>token <input name="token" type="password" size="48" autofocus></label>
<button>enter</button></form>
</body></html>"""
_REFUSAL: Final = """
<p role="alert">That is not the token.</p>"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WatchServer(Server):
    """Serves one phase.

    Args:
        path: the phase, or a folder of event files.
        port: on loopback; the caller has found it free.
        token: opens the door.
    """

    def __init__(self, path: Path, *, port: int, token: str) -> None:
        command = python_command("-m", "brefine.tui.open", path)
        # textual-serve starts a shell; `exec` makes the dashboard this process's own child, so that it sees it end.
        super().__init__(f"exec {shlex.join(command)}", host=HOST, port=port, title="brefine")
        self._token = token
        self._cookie_name = f"brefine-{port}"  # cookies do not tell ports apart
        self._n_visitors = 0

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        app.router.add_post("/enter", self._enter)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Says nothing: the command line has told where to look."""

    def initialize_logging(self) -> None:
        """Logs nothing: no request is worth a line, and none shall hold the token."""

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page, with addresses of the host that the browser knows: a tunnel may have changed the port."""
        static = f"http://{request.host}/static/"
        context: dict[str, Any] = {
            "font_size": 16,
            "app_websocket_url": f"ws://{request.host}/ws",
            "config": {"static": {"url": static}},
            "application": {"name": self.title},
        }
        return aiohttp_jinja2.render_template("app_index.html", request, context)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A visitor, while there is room for one more process."""
        if self._n_visitors >= _MOST_VISITORS:
            raise web.HTTPServiceUnavailable(text=f"{_MOST_VISITORS} visitors are here already")
        self._n_visitors += 1
        try:
            return await super().handle_websocket(request)
        finally:
            self._n_visitors -= 1

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        given = (await request.post()).get("token", "")
        if not isinstance(given, str) or not self._opens(given.strip()):
            await asyncio.sleep(1.0)  # guessing shall not pay
            return _door(403, _REFUSAL)
        return self._welcome()

    def _welcome(self) -> web.Response:
        response = web.Response(status=303, headers={"Location": "/"})  # away from an address that holds the token
        response.set_cookie(self._cookie_name, self._token, httponly=True, samesite="Strict", path="/")
        return response

    @property
    def _guard(self) -> Any:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                response = await self._guarded(request, handler)
            except web.HTTPException as refusal:  # that there is no such page, for instance
                refusal.headers.update(_HEADERS)
                raise
            if not response.prepared:
                response.headers.update(_HEADERS)
            return response

        return guard

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # Names that are not ours come from pages that have turned their own name into 127.0.0.1.
        if request.host.rpartition(":")[0] not in _OWN_NAMES:
            return web.Response(text="this is not served under that name", status=421)
        origin = request.headers.get("Origin")
        if origin not in (None, f"http://{request.host}"):
            return web.Response(text="other pages may not look in here", status=403)
        if request.path == "/enter" and request.method == "POST":
            return await handler(request)
        if self._opens(request.cookies.get(self._cookie_name, "")):
            return await handler(request)
        if request.path == "/" and self._opens(request.query.get("token", "")):
            return self._welcome()
        return _door(401)

    def _opens(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(errors="replace"), self._token.encode())


def _door(status: int, refusal: str = "") -> web.Response:
    return web.Response(text=_DOOR.format(refusal=refusal), status=status, content_type="text/html")


def serve_dashboard(path: Path, *, port: int, announce: Callable[[str, Path], None]) -> None:
    """Serves until Ctrl-C, SIGTERM, or SIGHUP, as of a terminal that closes.

    Args:
        port: 0 = any free one.
        announce: is called with the address, without the token, and with the token's file.

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
    """Writes the token where its owner alone can read it."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    file = Path(state).expanduser() / "brefine" / f"serve-{port}.token"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(token + "\n")
    return file
