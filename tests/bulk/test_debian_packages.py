""".ci/debian-packages, which `make corpus` runs, on a repository made here: versions, dependencies, what is kept."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.packages import QEMU, File, deb
from support.paths import ROOT

SCRIPT = ROOT / ".ci" / "debian-packages"
HOST = "amd64"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt here, which the script needs"),
]


def add_suite(repository: Path, suite: str, packages: list[tuple[str, str, str, str]]) -> None:
    """Add a suite with packages: name, version, architecture, what it depends on."""
    pool, index = repository / "pool", []
    pool.mkdir(exist_ok=True)
    for name, version, architecture, depends in packages:
        binary = [File(f"./usr/bin/{name}", QEMU)] if architecture == HOST and "qemu" in name else []
        files = [*binary, File(f"./usr/share/{name}/firmware", version.encode()), File("./usr/share/doc/x", b"x")]
        control = {"Package": name, "Version": version, "Architecture": architecture, "Depends": depends}
        path = pool / f"{name}_{version.partition(':')[2] or version}_{architecture}.deb"
        content = deb(files, **{key: value for key, value in control.items() if value})
        path.write_bytes(content)
        fields = {**control, "Filename": f"pool/{path.name}", "Size": len(content)}
        fields["SHA256"] = hashlib.sha256(content).hexdigest()
        fields["Maintainer"], fields["Description"] = "x", "x"
        index.append("".join(f"{key}: {value}\n" for key, value in fields.items() if value))
    top = repository / "dists" / suite
    place = top / "main" / f"binary-{HOST}"
    place.mkdir(parents=True)
    listed = "\n".join(index).encode()
    (place / "Packages").write_bytes(listed)
    digest = f" {hashlib.sha256(listed).hexdigest()} {len(listed)} main/binary-{HOST}/Packages\n"
    (top / "Release").write_text(
        f"Suite: {suite}\nCodename: {suite}\nArchitectures: {HOST}\nComponents: main\n"
        f"Date: Sat, 01 Nov 2025 00:00:00 UTC\nSHA256:\n{digest}"
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two releases; the older one has a security update, and a rebuild of the newer one's QEMU as a backport."""
    path = tmp_path / "repository"
    path.mkdir()
    data = ("qemu-system-data", "1:7.2-1", "all", "")
    add_suite(path, "old", [
        ("qemu-system-x86", "1:7.2-1+b3", HOST, "libfdt1 (>= 1), seabios | bios, qemu-system-data (>= 1:7.2-1~)"),
        data, ("seabios", "1-1", "all", ""), ("libfdt1", "1-1", HOST, ""), ("qemu-utils", "1:7.2-1+b3", HOST, ""),
    ])  # fmt: skip
    add_suite(path, "old-security", [("qemu-system-x86", "1:7.2-1+deb1", HOST, "seabios, virtual-bios")])
    add_suite(path, "old-backports", [("qemu-system-x86", "1:10.0-1~bpo1", HOST, "seabios")])
    add_suite(path, "new", [("qemu-system-x86", "1:10.0-1", HOST, "seabios"), ("seabios", "2-1", "all", "")])
    return path


def run(repository: Path, out: Path, suites: str) -> "subprocess.CompletedProcess[str]":
    """Run the script."""
    names = " ".join(f"{suite}=file:{repository}" for suite in suites.split())
    environ = {**os.environ, "SUITES": names, "SOURCE_OPTIONS": "[trusted=yes]"}
    return subprocess.run([SCRIPT, out, HOST], env=environ, capture_output=True, text=True, check=False)


def names(directory: Path) -> dict[str, list[str]]:
    """Return the packages of each version."""
    return {each.name: sorted(path.name.split("_")[0] for path in each.iterdir()) for each in directory.iterdir()}


def test_every_version(repository: Path, tmp_path: Path) -> None:
    """Each version of any suite is there once, with what it depends on from its own release, unpacked."""
    out = tmp_path / "out"
    done = run(repository, out, "old old-security old-backports new")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "1:7.2-1+deb1: no package, left out: virtual-bios\n"
    assert names(out / "packages") == {
        "7.2-1+b3": ["libfdt1", "qemu-system-data", "qemu-system-x86", "seabios"],
        "7.2-1+deb1": ["qemu-system-x86", "seabios"],
        "10.0-1~bpo1": ["qemu-system-x86", "seabios"],
        "10.0-1": ["qemu-system-x86", "seabios"],
    }
    firmware = {each.name: (each / "usr/share/seabios/firmware").read_text() for each in (out / "trees").iterdir()}
    assert firmware == {"7.2-1+b3": "1-1", "7.2-1+deb1": "1-1", "10.0-1~bpo1": "1-1", "10.0-1": "2-1"}
    for tree in (out / "trees").iterdir():
        assert (tree / "usr/bin/qemu-system-x86").read_bytes() == QEMU
        assert (tree / "lib").is_symlink()
        assert not (tree / "usr/share/doc").exists()


def test_what_is_there_is_kept(repository: Path, tmp_path: Path) -> None:
    """A second run downloads and unpacks only what is new."""
    out = tmp_path / "out"
    assert run(repository, out, "old").returncode == 0
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/7.2*/**/*")}
    assert run(repository, out, "old new").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert set(names(out / "packages")) == {"7.2-1+b3", "10.0-1"}


def test_errors(repository: Path, tmp_path: Path) -> None:
    """A repository that cannot be read, and suites without QEMU, end with an error; nothing is skipped in silence."""
    done = run(tmp_path / "nothing", tmp_path / "out", "old")
    assert done.returncode == 3
    assert "old" in done.stderr
    package = next((repository / "pool").glob("qemu-system-x86_10.0-1_*"))
    package.write_bytes(b"corrupt")
    done = run(repository, tmp_path / "out", "new")
    assert done.returncode != 0
    assert done.stderr
