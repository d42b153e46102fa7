"""An HTTP server for a fixed set of pages, for one user on this machine.

It listens on the loopback interface only. Every page's address has a random token, so that neither other web pages nor
other users can guess it, and the Host header must name this server, so that a page of another site whose name is made
to resolve to 127.0.0.1 (DNS rebinding) gets nothing. Pages come from a mapping by name: no path of a request reaches
the file system. GET and HEAD alone are answered; nothing is ever written.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from typing import Any

#: The only address that is listened on.
HOST = "127.0.0.1"

#: Bytes of the token.
_TOKEN_BYTES = 24

#: Seconds that a connection may take for a request, and between two.
_PATIENCE = 10.0

#: Connections at a time; further ones are closed.
_MAX_CONNECTIONS = 64

#: What any page may do: run the script and show the style that are in it. The policy in each page allows its own only.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class PageServer(ThreadingHTTPServer):
    """Serves pages; see the top of this file. ``serve_forever`` runs until ``shutdown``."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, pages: Mapping[str, bytes], start: str, port: int = 0) -> None:
        """Listen. pages: HTML by name; start: the name of the first; port: 0 for any that is free.

        Raises VmdumpError if the port cannot be used.
        """
        self.pages = dict(pages)
        self.start = start
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._free = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise VmdumpError(f"port {port}: {reason}; choose another with --port; 0 takes a free one") from error
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    @property
    def address(self) -> str:
        """The address of the first page."""
        return f"http://{HOST}:{self.server_port}/{self.token}/{self.start}"

    def server_bind(self) -> None:
        """Bind, without looking the host's name up, as HTTPServer would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Answer a connection in a thread of its own, unless there are too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads
            self._free.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Answer a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Ignore clients that go away; they are no concern of the user's."""


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "vmdump", ""
    timeout = _PATIENCE

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def _answer(self, *, has_body: bool) -> None:
        if self.headers.get_all("Host", []) not in ([host] for host in self.server.hosts):
            self._send(HTTPStatus.MISDIRECTED_REQUEST, _message("This server is for its own user."), has_body=has_body)
            return
        if self.headers.get("Content-Length") or self.headers.get("Transfer-Encoding"):
            self.close_connection = True  # a body would be taken for the next request
        token, name = _parts(self.path)
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            page = None
        else:
            page = self.server.pages.get(name or self.server.start)
        if page is None:
            text = _message("There is no such page. The address that vmdump browse printed leads to the first one.")
            self._send(HTTPStatus.NOT_FOUND, text, has_body=has_body)
        else:
            self._send(HTTPStatus.OK, page, has_body=has_body)

    def _send(self, status: HTTPStatus, page: bytes, *, has_body: bool = True) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(page)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if has_body:
            self.wfile.write(page)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is none of the above; nothing of it is repeated."""
        self.close_connection = True
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        with contextlib.suppress(OSError):
            self._send(status, _message(status.phrase), has_body=self.command != "HEAD")

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the token would be in it."""


def _parts(path: str) -> tuple[str, str]:
    """Return the token and the name of the page, without a query; a token alone is no address of a page."""
    try:
        plain = unquote(urlsplit(path).path, errors="strict")
    except ValueError:
        return "", ""
    token, slash, name = plain.removeprefix("/").partition("/")
    return (token, name) if slash else ("", "")


def _message(text: str) -> bytes:
    return f'<!doctype html>\n<meta charset="utf-8">\n<title>vmdump</title>\n<p>{text}</p>\n'.encode()
