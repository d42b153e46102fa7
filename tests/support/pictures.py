"""Makes the pictures of docs/images with headless Chromium: ``PYTHONPATH=tests python tests/support/pictures.py``.

They show the dumps of tests/data, so that anybody can make them again.
"""

import subprocess
import sys
import tempfile
from base64 import b64decode
from pathlib import Path

from support.browser import Browser, browser
from support.paths import DATA, ROOT

IMAGES = ROOT / "docs" / "images"
VERSIONS = ("7.2.22", "8.2.2", "10.0.13")


def make_pages(directory: Path) -> Path:
    """Return the pages of all dumps of tests/data."""
    vmdump = [sys.executable, "-m", "vmdump"]
    sources = [DATA / "dumps" / f"qemu-{version}" for version in VERSIONS]
    subprocess.run([*vmdump, "bulk", *sources, "-o", directory / "dumps"], check=True, stderr=subprocess.DEVNULL)
    pages = directory / "pages"
    command = [*vmdump, "check", "--matrix", directory / "dumps", "--format", "html", "-o", pages]
    subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
    return pages


def take(session: Browser, name: str) -> None:
    """Write a picture of the page."""
    answer = session.command("Page.captureScreenshot", format="png")
    (IMAGES / name).write_bytes(b64decode(answer["data"]))


def main() -> None:
    """Make all pictures."""
    with tempfile.TemporaryDirectory() as name, browser(Path(name) / "profile") as session:
        pages = make_pages(Path(name))
        session.scheme("light")
        session.open(pages / "devices.html", width=1280, height=760)
        session.press("/", *"core.timadj", "Enter", "Enter")
        take(session, "devices.png")
        session.open(pages / "index.html", width=1280, height=560)
        session.run("document.querySelector('#x86_64').scrollIntoView()")
        take(session, "matrix.png")


if __name__ == "__main__":
    main()
