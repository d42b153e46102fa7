"""Headless Chromium, driven through chromium-driver: the subset of W3C WebDriver that the tests use."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from support.requirements import require

#: Disable Chromium's background traffic, which would otherwise be logged as requests of the page.
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars"
)
#: WebDriver's code points for keys.
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "End": "\ue010", "Up": "\ue013", "Down": "\ue015"}

#: The contrast of each visible text with its background (WCAG 2.2, 1.4.3), lowest first.
CONTRAST = """
const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
const light = (color) => color.slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => {
    for (; element; element = element.parentElement) {
        const color = parse(getComputedStyle(element).backgroundColor);
        if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node; (node = walker.nextNode());) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest("script, noscript, .unseen")) continue;
    const [one, two] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    found.push([(one + 0.05) / (two + 0.05), element.className, node.data.slice(0, 40)]);
}
return found.sort((a, b) => a[0] - b[0]);
"""


class Browser:
    """A session with one window."""

    def __init__(self, port: int, profile: Path) -> None:
        self._port = port
        self._path = ""
        options = {
            "binary": shutil.which("chromium"),
            "args": [*ARGUMENTS.split(), f"--user-data-dir={profile}"],
        }
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"}}
        answer = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._path = f"/session/{answer['sessionId']}"

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, self._path + path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            value = json.loads(response.read())["value"]
        assert response.status == 200, value
        return value

    def open(self, page: Path | str, width: int = 1400, height: int = 900) -> None:
        """Load a file, or an address, with empty storage."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        self._send("POST", "/url", {"url": "about:blank"})
        for name in ("performance", "browser"):
            self.log(name)
        self._send("POST", "/url", {"url": page if isinstance(page, str) else page.as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a JavaScript function body and return its result."""
        return self._send("POST", "/execute/sync", {"script": script, "args": arguments})

    def count(self, selector: str) -> int:
        """Return the number of elements that match a selector."""
        found: int = self.run("return document.querySelectorAll(arguments[0]).length", selector)
        return found

    def text(self, selector: str) -> str:
        """Return the visible text of the first element that matches."""
        found: str = self.run("return document.querySelector(arguments[0]).innerText", selector)
        return found

    def click(self, selector: str) -> None:
        """Click the first element that matches."""
        self.run("document.querySelector(arguments[0]).click()", selector)

    def press(self, *keys: str) -> None:
        """Send keys, by name or character, to the focused element."""
        typed = [KEYS.get(key, key) for key in keys]
        actions = [{"type": kind, "value": key} for key in typed for kind in ("keyDown", "keyUp")]
        self._send("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def command(self, name: str, **parameters: Any) -> Any:
        """Send a DevTools command."""
        return self._send("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def scheme(self, value: str) -> None:
        """Emulate the system's colour scheme: light or dark."""
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def log(self, name: str) -> list[Any]:
        """Return the log entries since the last call."""
        entries: list[Any] = self._send("POST", "/se/log", {"type": name})
        return entries

    def requests(self) -> list[str]:
        """Return the URLs requested since the page was opened."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]

    def print(self) -> str:
        """Return the page as a base64-encoded PDF."""
        printed: str = self._send("POST", "/print", {})
        return printed

    def quit(self) -> None:
        """End the session and the browser."""
        self._send("DELETE", "")


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start a browser with a new profile. Without one, fail in CI and skip elsewhere."""
    driver = shutil.which("chromedriver")
    require(driver and shutil.which("chromium"), "Debian's chromium and chromium-driver")
    command = [driver, "--port=0"]
    environ = {
        key: value for key, value in os.environ.items() if key != "LD_PRELOAD"
    }  # the preloaded sanitizer of .ci/sanitize is for Python only
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout
            port = next(
                int(found[1]) for line in process.stdout if (found := re.search(r"successfully on port (\d+)", line))
            )
            session = Browser(port, profile)
            try:
                yield session
            finally:
                session.quit()
        finally:
            process.terminate()
