"""The server of pages: who gets them, and what no request can do."""

import errno
import http.client
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.browser import browser

from vmdump.browse import server as module
from vmdump.browse.server import PageServer
from vmdump.errors import VmdumpError

PAGES = {"index.html": b"<p>first", "x86_64.html": b"<p>second"}


@contextmanager
def serving(pages: Mapping[str, bytes] = PAGES, port: int = 0) -> Iterator[PageServer]:
    """Run a server in a thread."""
    with PageServer(pages, "index.html", port) as each:
        thread = threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield each
        finally:
            each.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[PageServer]:
    """A server in a thread."""
    with serving() as each:
        yield each


def ask(server: PageServer, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of a request for a path as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def send(server: PageServer, content: bytes) -> bytes:
    """Send bytes and return all that comes back."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def test_pages(server: PageServer) -> None:
    """The address leads to the first page; others are beside it, with or without a query."""
    top = f"/{server.token}/"
    assert server.address == f"http://127.0.0.1:{server.server_port}{top}index.html"
    for path, body in (("index.html", b"<p>first"), ("", b"<p>first"), ("x86_64.html?a=b#c", b"<p>second")):
        assert ask(server, top + path)[::2] == (200, body)
    assert ask(server, top + "index.html", Host=f"localhost:{server.server_port}")[0] == 200
    status, headers, body = ask(server, top, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "8", b"")
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.slow
@pytest.mark.browser
def test_policy(tmp_path: Path) -> None:
    """A browser lets no page load anything, from here or elsewhere, even if the page itself has no policy."""
    attempts = """<script>
        document.title = "runs";
        window.blocked = new Set();
        addEventListener("securitypolicyviolation", (event) => window.blocked.add(event.effectiveDirective));
        for (const [tag, attribute] of [["img", "src"], ["iframe", "src"], ["script", "src"], ["video", "src"]]) {
            const element = document.createElement(tag);
            element[attribute] = "other.html";
            document.head.append(element);
        }
        fetch("other.html").catch(() => {});
        document.head.append(Object.assign(document.createElement("base"), { href: "http://other.example/" }));
    </script>"""
    with serving({"index.html": attempts.encode()}) as server, browser(tmp_path) as chromium:
        chromium.open(server.address)
        wanted = {"img-src", "frame-src", "script-src-elem", "media-src", "connect-src", "base-uri"}
        assert chromium.run("return document.title") == "runs"
        assert set(chromium.run("return [...window.blocked]")) == wanted


def test_tokens_differ() -> None:
    """Each server has a token of its own, of at least 128 bits."""
    tokens = set()
    for _ in range(3):
        with PageServer(PAGES, "index.html") as each:
            tokens.add(each.token)
    assert len(tokens) == 3
    assert all(len(token) >= 22 for token in tokens)


@pytest.mark.parametrize(
    "path",
    [
        "/", "/index.html", "//index.html", "/x/index.html", "/{token}", "/{token}x/index.html", "/{token}/other.html",
        "/{token}/../{token}/index.html", "/{token}/./index.html", "/{token}/../../../../etc/passwd",
        "/{token}/%2e%2e/%2e%2e/etc/passwd", "/{token}//etc/passwd", "/{token}/index.html%00", "/{token}/%ff",
        "/{token}/index.html/", "*", "/%", "/[",
    ],
)  # fmt: skip
def test_no_other_path(server: PageServer, path: str) -> None:
    """Without the token, or with a name that is no page, there is nothing, and the answer repeats nothing."""
    status, _, body = ask(server, path.format(token=server.token))
    assert status == 404
    assert b"root:" not in body
    assert server.token.encode() not in body
    assert b"<p>first" not in body


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:{port}.evil.example",
        "",
        "[::1]:{port}",
    ],
)
def test_other_hosts(server: PageServer, host: str) -> None:
    """A name that was made to resolve to this machine (DNS rebinding) gets nothing, even with the token."""
    status, _, body = ask(server, f"/{server.token}/index.html", Host=host.format(port=server.server_port))
    assert (status, b"<p>first" in body) == (421, False)


def test_hosts_in_other_forms(server: PageServer) -> None:
    """No Host, two Hosts, and HTTP/1.0 and 0.9 without one get nothing."""
    line = f"GET /{server.token}/index.html".encode()
    host = f"Host: 127.0.0.1:{server.server_port}\r\n".encode()
    other = b"Host: evil.example\r\n"
    assert b" 200 " in send(server, line + b" HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
    for request in (b" HTTP/1.1\r\n\r\n", b" HTTP/1.0\r\n\r\n", b"\r\n", b" HTTP/1.1\r\n" + host + other + b"\r\n",
                    b" HTTP/1.1\r\n" + host + host + b"\r\n"):  # fmt: skip
        assert b"<p>first" not in send(server, line + request)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "X" * 100])
def test_no_other_method(server: PageServer, method: str) -> None:
    """Nothing can be written, and no request of another site is allowed beforehand (CORS)."""
    status, headers, body = ask(server, f"/{server.token}/index.html", method)
    assert (status, b"<p>first" in body) == (405, False)
    assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "content",
    [
        b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0\xff" * 100,
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 300 + b"\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"b" * 70_000 + b"\r\n\r\n",
    ],
)  # fmt: skip
def test_malformed_requests(server: PageServer, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """They are refused, and the server goes on without a word."""
    assert b"<p>first" not in send(server, content)
    assert ask(server, f"/{server.token}/")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_body_is_no_request(server: PageServer) -> None:
    """What follows a request that announces a body is not answered."""
    host = f"Host: 127.0.0.1:{server.server_port}\r\n".encode()
    hidden = f"GET /{server.token}/x86_64.html HTTP/1.1\r\n".encode() + host + b"\r\n"
    head = f"GET /{server.token}/ HTTP/1.1\r\n".encode() + host
    for announced in (f"Content-Length: {len(hidden)}\r\n\r\n".encode(), b"Transfer-Encoding: chunked\r\n\r\n"):
        answer = send(server, head + announced + hidden)
        assert b"<p>first" in answer
        assert b"<p>second" not in answer


def test_loopback_only(server: PageServer) -> None:
    """Nothing outside of this machine can connect."""
    assert server.server_address[0] == "127.0.0.1"
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_idle_connections(monkeypatch: pytest.MonkeyPatch, server: PageServer) -> None:
    """A connection that sends nothing is closed."""
    assert module._Handler.timeout == module._PATIENCE
    monkeypatch.setattr(module._Handler, "timeout", 0.05)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as idle:
        assert idle.recv(1) == b""


def test_too_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """While there are too many connections, further ones are closed; one that ends makes room for another."""
    monkeypatch.setattr(module, "_MAX_CONNECTIONS", 2)
    monkeypatch.setattr(module._Handler, "timeout", None)
    with serving() as server:
        first, second, third = (
            socket.create_connection(("127.0.0.1", server.server_port), timeout=10) for _ in range(3)
        )
        with first, second:
            with third:
                assert third.recv(1) == b""
            first.close()
            assert server._free.acquire(timeout=10)
            server._free.release()
            assert ask(server, f"/{server.token}/")[0] == 200


def test_ports(monkeypatch: pytest.MonkeyPatch, server: PageServer) -> None:
    """A port that is taken, or that is not allowed, is an error that says what to do."""
    with pytest.raises(VmdumpError, match=rf"^port {server.server_port}: .*; choose another with --port; 0 takes"):
        PageServer(PAGES, "index.html", server.server_port)

    def refuse(self: PageServer) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(PageServer, "server_bind", refuse)
    with pytest.raises(VmdumpError, match=r"^port 1: Permission denied; choose another with --port; 0 takes"):
        PageServer(PAGES, "index.html", 1)


def test_restart_on_a_port() -> None:
    """A port can be used again at once, while connections that the server has closed are in TIME_WAIT."""
    with serving() as first, socket.create_connection(("127.0.0.1", first.server_port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\n\r\n")
        while connection.recv(1 << 16):  # the server closes the connection first
            pass
    with serving(port=first.server_port) as second:
        assert ask(second, f"/{second.token}/")[0] == 200
