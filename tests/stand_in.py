"""A web server on the loopback interface that answers as a test tells it to."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer; `delay` seconds pass first, `length` is claimed instead of the true one.

    pieces: sent one after another, `pause` seconds apart, instead of `body`.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    length: int | None = None
    pieces: tuple[bytes, ...] = ()
    pause: float = 0.0


@contextmanager
def serve(answer: Callable[[Asked], Answer], *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve on a free port; gives the base address."""
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            given = answer(Asked(method=self.command, path=self.path, headers=dict(self.headers), body=body))
            if stopped.wait(given.delay):
                return
            content = given.body or b"".join(given.pieces)
            try:
                self.send_response(given.status)
                for name, value in given.headers.items():
                    self.send_header(name, value)
                if given.status != 304:
                    length = len(content) if given.length is None else given.length
                    self.send_header("Content-Length", str(length))
                self.send_header("Connection", "close")
                self.end_headers()
                for piece in () if self.command == "HEAD" else given.pieces or (content,):
                    self.wfile.write(piece)
                    if given.pause and stopped.wait(given.pause):
                        return
            except OSError:
                return  # the client has had enough
            self.close_connection = True

        do_GET = do_POST = do_HEAD = _do  # noqa: N815 - the names that http.server calls

        def log_message(self, *_args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # the client hangs up
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        host = "http://127.0.0.1" if tls is None else "https://localhost"
        yield f"{host}:{server.server_address[1]}"
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def self_signed(folder: Path) -> ssl.SSLContext:
    """Make a certificate for localhost that nobody vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make a certificate")
    key, certificate = str(folder / "key.pem"), str(folder / "cert.pem")
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def answering(*answers: Answer) -> tuple[Callable[[Asked], Answer], list[Asked]]:
    """Give one answer after the other, the last one again and again; and what was asked."""
    asked: list[Asked] = []

    def reply(request: Asked) -> Answer:
        asked.append(request)
        return answers[min(len(asked), len(answers)) - 1]

    return reply, asked


@contextmanager
def nobody() -> Iterator[str]:
    """Give an address on which nothing listens."""
    with serve(lambda _asked: Answer()) as base:
        pass
    yield base
