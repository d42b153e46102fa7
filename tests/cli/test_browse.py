"""vmdump browse: what is served of directories and sources, the process, and errors; in a browser, what it requests."""

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.browser import Browser, browser
from support.bulk import bulk
from support.commands import run_failing
from support.paths import DATA
from support.qemu import find_qemu

VMDUMP = (sys.executable, "-m", "vmdump")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output directory with two QEMUs of a target, and one of another."""
    top = tmp_path_factory.mktemp("folder")
    for version, targets in (("7.2.22", ("s390x", "avr")), ("10.0.13", ("s390x",))):
        for target in targets:
            (top / version).mkdir(exist_ok=True)
            shutil.copy(DATA / "dumps" / f"qemu-{version}" / f"{target}.json.xz", top / version)
    assert bulk(top / "7.2.22", top / "10.0.13", "-o", top / "out") == 0
    return top / "out"


@contextmanager
def browsing(*argv: object) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Run vmdump browse --no-open as a process; yield the address that it prints."""
    command = [*VMDUMP, "browse", *map(str, argv), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def get(address: str) -> str:
    """Return a page."""
    with urllib.request.urlopen(address, timeout=30) as answer:
        return str(answer.read().decode())


def contents(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Return time stamp and content of each file."""
    files = (Path(at, name) for at, _, names in os.walk(directory) for name in names)
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_directory_of_dumps(folder: Path, tmp_path: Path) -> None:
    """The pages are those that check --matrix writes; nothing in the directory changes."""
    before = contents(folder)
    with browsing(folder) as (address, process):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/index\.html", address)
        served = {
            name: get(address.replace("index.html", name)) for name in ("index.html", "s390x.html", "devices.html")
        }
        assert contents(folder) == before
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 0, stderr
        assert "Traceback" not in stderr
    out = tmp_path / "pages"
    command = [*VMDUMP, "check", "--matrix", str(folder), "--format", "html", "-o", str(out)]
    subprocess.run(command, capture_output=True, check=False)
    assert served == {path.name: path.read_text() for path in out.iterdir()}
    # The written pages are served as they are, without files beside them.
    (out / "secret.txt").write_text("secret")
    (out / "link.html").symlink_to(out / "secret.txt")
    with browsing(out) as (address, _):
        assert get(address) == served["index.html"]
        for name in ("secret.txt", "link.html"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                get(address.replace("index.html", name))


def test_a_dump_file() -> None:
    """One source has the page of its devices."""
    with browsing(DATA / "dumps" / "qemu-10.0.13" / "s390x.json.xz", "--port", 0) as (address, _):
        assert address.endswith("/devices.html")
        page = get(address)
    assert '"s390-flic-qemu"' in page
    assert "index.html" not in page


def test_one_qemu_a_target(folder: Path) -> None:
    """Where nothing can be checked, the devices are there."""
    with browsing(folder, "--target", "avr") as (address, process):
        assert address.endswith("/devices.html")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.slow
@pytest.mark.qemu
def test_a_binary() -> None:
    """Machine types of a binary are shown with their compat properties."""
    with browsing(find_qemu("x86_64")) as (address, _):
        page = get(address)
    assert '"pc-q35-7.2"' in page
    assert '"e1000e.init-vet"' in page or '"e1000.init-vet"' in page


def test_errors(folder: Path, tmp_path: Path) -> None:
    """What cannot be served is an error of one line."""
    assert "No such file" in run_failing(3, "browse", tmp_path / "x", "--no-open")
    assert "neither dumps of vmdump bulk nor pages" in run_failing(3, "browse", tmp_path, "--no-open")
    assert "not a port: 0 to 65535" in run_failing(2, "browse", tmp_path, "--port", "65536")
    assert "no dumps of a target that matches x*" in run_failing(3, "browse", folder, "--target", "x*")
    dump = DATA / "dumps" / "qemu-10.0.13" / "avr.json.xz"
    for other in (dump, tmp_path):
        assert "--target applies to an output directory of vmdump bulk" in run_failing(
            2, "browse", other, "--target", "avr"
        )
    assert "host" in run_failing(3, "browse", dump, "--host", "kvm=off")
    with browsing(dump) as (address, _):
        port = address.split(":")[2].partition("/")[0]
        assert f"port {port}: Address already in use" in run_failing(3, "browse", dump, "--port", port, "--no-open")


def test_other_directories(tmp_path: Path) -> None:
    """Only a directory with the overview or the page of devices is read; it is refused if there is too much in it."""
    with (tmp_path / "large.html").open("wb") as file:
        file.truncate((256 << 20) + 1)
    assert "neither dumps of vmdump bulk nor pages" in run_failing(3, "browse", tmp_path, "--no-open")
    (tmp_path / "devices.html").touch()
    assert f"{tmp_path}/large.html: larger than 256 MiB" in run_failing(3, "browse", tmp_path, "--no-open")
    for number in range(1000):
        (tmp_path / f"{number}.html").touch()
    assert f"{tmp_path}: 1002 pages; the limit is 1000" in run_failing(3, "browse", tmp_path, "--no-open")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(chromium: Browser, folder: Path, scheme: str, width: int) -> None:
    """From the overview to the devices, a search and a target's verdicts by keyboard; all requests are for pages."""
    chromium.scheme(scheme)
    with browsing(folder) as (address, _):
        top = address.removesuffix("index.html")
        chromium.open(address, width=width, height=844)
        ground = chromium.run("return getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(247, 247, 245)") == (scheme == "light")
        chromium.run("document.querySelector('a[href=\"devices.html\"]').focus()")
        chromium.press("Enter")
        wait(chromium, "#subjects li")
        chromium.press("/", *"virtio-net-device", "Enter", "Enter")
        assert chromium.text("#detail h2") == "virtio-net-device"
        chromium.run("document.querySelector('.targets a').focus()")
        chromium.press("Enter")
        wait(chromium, "#types li")
        assert chromium.run("return document.scrollingElement.scrollWidth") == width
        assert chromium.log("browser") == []
        requests = [each for each in chromium.requests() if not each.startswith("data:")]
        assert [each.partition("#")[0] for each in requests] == [
            f"{top}{name}.html" for name in ("index", "devices", "s390x")
        ]


def wait(chromium: Browser, selector: str) -> None:
    """Wait until a page that was followed to has an element."""
    for _ in range(200):
        if chromium.count(selector):
            return
    pytest.fail(f"no {selector} in {chromium.run('return location.href')}")
