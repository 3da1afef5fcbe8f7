"""A local HTTP server that drops, truncates, stalls and refuses as a script says."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ScriptedServer(ThreadingHTTPServer):
    """Serves `files`; each GET consumes the next word of `script` (then `whole`)."""

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(files)
        self.script: list[str] = []
        self.ranges: list[str | None] = []
        self.etag = '"one"'
        self.released = threading.Event()

    def url(self, path: str = "/file.zip") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def do_HEAD(self) -> None:
        content = self.server.files.get(self.path)
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.send_header("ETag", self.server.etag)
        self.end_headers()

    def do_GET(self) -> None:
        act = self.server.script.pop(0) if self.server.script else "whole"
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        content = self.server.files.get(self.path)
        if content is None or act.isdigit():
            self.send_error(int(act) if act.isdigit() else 404)
            return
        start = 0
        if wanted and act != "no-ranges" and self.headers.get("If-Range") == self.server.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        if act in ("drop", "stall"):
            rest = rest[: len(rest) // 2]
        elif act == "nothing":
            rest = b""
        self.wfile.write(rest)
        self.wfile.flush()
        if act == "stall":
            self.server.released.wait(10.0)

    def log_message(self, *_: object) -> None:
        pass
