"""Packages are read without being installed: what is QEMU's is unpacked, and nothing outside of their folder."""

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import packages
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from packages import MODULE, QEMU, File

from vmdump.bulk.discover import unpacked_items
from vmdump.bulk.packages import archives
from vmdump.bulk.packages.unpack import identify_package, merge, unpack
from vmdump.errors import SourceError

#: What a package of QEMU has, and what of it is kept.
FILES = [
    File("./usr/bin/qemu-system-x86_64", QEMU),
    File("./usr/bin/qemu-img", b"\x7fELF another program"),
    File("./usr/bin/qemu-system-i386", b"#!/bin/sh\n# vmschkmachine\n"),
    File("./usr/lib/x86_64-linux-gnu/qemu/hw-usb.so", MODULE),
    File("./usr/lib/x86_64-linux-gnu/libslirp.so", MODULE),
    File("./usr/bin/kvm", target="qemu-system-x86_64"),
    File("./usr/share/doc/changelog", b"vmschkmachine"),
]
KEPT = {"usr/bin/qemu-system-x86_64": QEMU, "usr/lib/x86_64-linux-gnu/qemu/hw-usb.so": MODULE}

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
    ".bz2": bz2.compress,
}

KINDS: dict[str, Callable[[list[File]], bytes]] = {
    "deb": packages.deb,
    "rpm": packages.rpm,
    "tar": packages.tar,
    "zip": packages.wheel,
}


def tree(folder: Path) -> dict[str, bytes]:
    """The regular files below a folder, none of them through a link."""
    return {
        os.path.relpath(os.path.join(at, name), folder): Path(at, name).read_bytes()
        for at, _, names in os.walk(folder)
        for name in names
        if not os.path.islink(os.path.join(at, name))
    }


def unpacked(path: Path, tmp_path: Path) -> tuple[dict[str, bytes], tuple[tuple[str, str], ...]]:
    """What unpacking leaves in a folder, and the links."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    kept = unpack(str(path), str(folder))
    assert set(kept.files) == set(tree(folder))
    return tree(folder), kept.links


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("kind", ["deb", "rpm", "tar"])
def test_kept(kind: str, suffix: str, tmp_path: Path) -> None:
    """QEMU and its modules are unpacked, byte for byte, whatever the package and compression; links are told."""
    compress = COMPRESSIONS[suffix]
    content = {
        "deb": lambda: packages.deb(FILES, suffix, compress),
        "rpm": lambda: packages.rpm(FILES, compress),
        "tar": lambda: compress(packages.tar(FILES)),
    }[kind]()
    path = tmp_path / "package"
    path.write_bytes(content)
    package = identify_package(str(path))
    assert package is not None
    assert package.kind == kind
    assert unpacked(path, tmp_path) == (KEPT, (("usr/bin/kvm", "qemu-system-x86_64"),))


def test_wheel(tmp_path: Path) -> None:
    """A wheel, likewise."""
    path = tmp_path / "package"
    path.write_bytes(packages.wheel(FILES))
    assert identify_package(str(path)) == (str(path), "zip", None)
    assert unpacked(path, tmp_path) == (KEPT, (("usr/bin/kvm", "qemu-system-x86_64"),))


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd", "none"])
def test_dpkg_deb(compression: str, tmp_path: Path) -> None:
    """Packages that Debian's own tool makes."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb here; every Debian has it")
    tree_dir = tmp_path / "tree"
    for file in FILES:
        place = tree_dir / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.target is None:
            place.write_bytes(file.content)
        else:
            place.symlink_to(file.target)
    (tree_dir / "DEBIAN").mkdir()
    (tree_dir / "DEBIAN" / "control").write_text(
        "Package: qemu-system-x86\nSource: qemu (1:7.2)\nVersion: 1:7.2-1+b1\nArchitecture: amd64\nMaintainer: x\n"
        "Description: x\n"
    )
    path = tmp_path / "package.deb"
    subprocess.run(["dpkg-deb", f"-Z{compression}", "--build", tree_dir, path], check=True, capture_output=True)
    package = identify_package(str(path))
    assert package is not None
    assert package.group == ("deb", "qemu", "1:7.2-1+b1", "amd64")
    assert unpacked(path, tmp_path)[0] == KEPT


@pytest.mark.parametrize("payload", ["w9.gzdio", "w6.xzdio", "w3.zstdio"])
def test_rpmbuild(payload: str, tmp_path: Path) -> None:
    """Packages that RPM's own tool makes, hard links included."""
    if shutil.which("rpmbuild") is None:
        if os.environ.get("CI"):
            pytest.fail("CI installs rpm, but it is not there")
        pytest.skip("no rpmbuild here; Debian has it in rpm")
    (tmp_path / "qemu-kvm").write_bytes(QEMU)
    (tmp_path / "hw-usb.so").write_bytes(MODULE)
    spec = tmp_path / "qemu.spec"
    spec.write_text(
        "Name: qemu\nVersion: 9.1\nRelease: 2\nSummary: x\nLicense: GPL\nAutoReqProv: no\n%description\n%install\n"
        "install -D -m 755 %{given}/qemu-kvm %{buildroot}/usr/libexec/qemu-kvm\n"
        "install -D -m 644 %{given}/hw-usb.so %{buildroot}/usr/lib64/qemu/hw-usb.so\n"
        "ln %{buildroot}/usr/libexec/qemu-kvm %{buildroot}/usr/libexec/qemu-system-x86_64\n"
        "%files\n/usr/libexec/qemu-kvm\n/usr/libexec/qemu-system-x86_64\n/usr/lib64/qemu/hw-usb.so\n"
    )
    defines = {
        "_topdir": tmp_path / "top",
        "given": tmp_path,
        "_binary_payload": payload,
        "__os_install_post": "%{nil}",
        "debug_package": "%{nil}",
        "_build_id_links": "none",
    }
    options = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    subprocess.run(["rpmbuild", *options, "-bb", spec], check=True, capture_output=True)
    (path,) = (tmp_path / "top" / "RPMS").rglob("*.rpm")
    package = identify_package(str(path))
    assert package is not None
    assert package.group == ("rpm", "qemu-9.1-2.src.rpm", "9.1-2", path.name.split(".")[-2])
    files, links = unpacked(path, tmp_path)
    names = {"usr/libexec/qemu-kvm", "usr/libexec/qemu-system-x86_64"}
    assert {*files, *(place for place, _ in links)} == {*names, "usr/lib64/qemu/hw-usb.so"}
    assert all(content == (MODULE if place.endswith(".so") else QEMU) for place, content in files.items())
    assert all(target.lstrip("/.") in names for _, target in links)


def test_hard_links(tmp_path: Path) -> None:
    """A name of a file's that is a hard link is a name of it, before and behind the file's own."""
    qemu = File("usr/libexec/qemu-kvm", QEMU)
    for kind, files in {
        "tar": [qemu, File("usr/bin/qemu-system-x86_64", target="usr/libexec/qemu-kvm", hard=True)],
        "rpm": [File("usr/bin/qemu-system-x86_64", target="usr/libexec/qemu-kvm", hard=True), qemu],
    }.items():
        path = tmp_path / kind
        path.write_bytes(KINDS[kind](files))
        folder = tmp_path / f"{kind}-unpacked"
        folder.mkdir()
        package = identify_package(str(path))
        assert package is not None
        kept = unpack(str(path), str(folder))
        root = tmp_path / f"{kind}-root"
        root.mkdir()
        merge([(str(folder), kept)], str(root))
        (item,) = unpacked_items([(package, kept)], str(root))
        assert item.names == ("qemu-kvm", "qemu-system-x86_64")


def test_a_set_of_packages(tmp_path: Path) -> None:
    """Packages of one build lie over each other: files of all, links of all, the first of two files at one place."""
    contents = [
        packages.deb([File("./usr/bin/qemu-system-x86_64", QEMU), File("./usr/lib/qemu/a.so", MODULE)]),
        packages.deb([File("./usr/lib/qemu/a.so", MODULE + b"2"), File("./usr/lib/qemu/b.so", MODULE)], Package="b"),
        packages.deb([File("./usr/bin/kvm", target="/usr/bin/qemu-system-x86_64")], Package="c"),
    ]
    root = tmp_path / "root"
    root.mkdir()
    layers = []
    for number, content in enumerate(contents):
        path = tmp_path / f"{number}.deb"
        path.write_bytes(content)
        folder = tmp_path / str(number)
        folder.mkdir()
        package = identify_package(str(path))
        assert package is not None
        layers.append((package, str(folder), unpack(str(path), str(folder))))
    assert len({package.group for package, _, _ in layers}) == 1
    merge([(folder, kept) for _, folder, kept in layers], str(root))
    files = {"usr/bin/qemu-system-x86_64": QEMU, "usr/lib/qemu/a.so": MODULE, "usr/lib/qemu/b.so": MODULE}
    assert tree(root) == files
    (item,) = unpacked_items([(package, kept) for package, _, kept in layers], str(root))
    assert (item.source, item.member, item.names) == (
        str(tmp_path / "0.deb"), "usr/bin/qemu-system-x86_64", ("qemu-system-x86_64", "kvm"),
    )  # fmt: skip


# Packages that mean harm ------------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that no package may touch."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "precious").write_text("precious")
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["../outside/q", "usr/../../outside/q", "./../outside/q", "a/" * 100 + "q"])
def test_paths_that_leave(kind: str, path: str, tmp_path: Path, outside: Path) -> None:
    """A path with .. or of any depth is refused, whatever the archive."""
    package = tmp_path / "package"
    package.write_bytes(KINDS[kind]([File(path, QEMU)]))
    with pytest.raises(SourceError, match="it means harm"):
        unpacked(package, tmp_path)
    assert os.listdir(outside) == ["precious"]
    assert tree(tmp_path / "unpacked") == {}


@pytest.mark.parametrize("kind", KINDS)
def test_absolute_paths(kind: str, tmp_path: Path, outside: Path) -> None:
    """An absolute path counts from the folder on."""
    package = tmp_path / "package"
    package.write_bytes(KINDS[kind]([File(f"{outside}/q", QEMU)]))
    assert unpacked(package, tmp_path)[0] == {f"{str(outside)[1:]}/q": QEMU}
    assert os.listdir(outside) == ["precious"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["absolute", "relative"])
def test_through_a_link(kind: str, target: str, tmp_path: Path, outside: Path) -> None:
    """A file below a link that leads out lies in a directory of its own, whichever comes first; the link is not made
    where the directory is.
    """
    link = File("usr/bin", target=str(outside) if target == "absolute" else "../../../outside")
    for number, files in enumerate(([link, File("usr/bin/q", QEMU)], [File("usr/bin/q", QEMU), link])):
        package = tmp_path / f"package{number}"
        package.write_bytes(KINDS[kind](files))
        folder, root = tmp_path / f"folder{number}", tmp_path / f"root{number}"
        folder.mkdir()
        root.mkdir()
        kept = unpack(str(package), str(folder))
        merge([(str(folder), kept)], str(root))
        assert tree(root) == {"usr/bin/q": QEMU}
        assert not (root / "usr/bin").is_symlink()
    assert os.listdir(outside) == ["precious"]


def test_through_the_link_of_another_package(tmp_path: Path, outside: Path) -> None:
    """A link of one package is no way out for another's files, nor a place for another's links."""
    layers = []
    for number, files in enumerate(
        ([File("usr", target=str(outside))], [File("usr/q", QEMU)], [File("usr/precious", target="/etc/passwd")])
    ):
        (tmp_path / f"{number}.tar").write_bytes(packages.tar(files))
        folder = tmp_path / str(number)
        folder.mkdir()
        layers.append((str(folder), unpack(str(tmp_path / f"{number}.tar"), str(folder))))
    root = tmp_path / "root"
    root.mkdir()
    merge(layers, str(root))
    assert tree(root) == {"usr/q": QEMU}
    assert (outside / "precious").read_text() == "precious"
    other = tmp_path / "other"
    other.mkdir()
    merge([layers[0], layers[2]], str(other))  # the link is made, and not gone through
    assert os.listdir(outside) == ["precious"]
    assert not (outside / "precious").is_symlink()


def test_binary_behind_a_link_that_leads_out(tmp_path: Path, outside: Path) -> None:
    """A link that leads out of the package is followed within it: what is outside is no binary of the package."""
    (outside / "qemu-system-x86_64").write_bytes(QEMU)
    path = tmp_path / "package.tar"
    path.write_bytes(packages.tar([File("usr/bin/qemu-system-x86_64", target=f"{outside}/qemu-system-x86_64")]))
    folder, root = tmp_path / "folder", tmp_path / "root"
    folder.mkdir()
    root.mkdir()
    kept = unpack(str(path), str(folder))
    merge([(str(folder), kept)], str(root))
    package = identify_package(str(path))
    assert package is not None
    assert unpacked_items([(package, kept)], str(root)) == []


def test_a_file_where_a_directory_should_be(tmp_path: Path) -> None:
    """A package whose files lie below a file is refused."""
    path = tmp_path / "package"
    path.write_bytes(packages.tar([File("usr/q", QEMU), File("usr/q/qemu/m.so", MODULE)]))
    with pytest.raises(SourceError, match="goes through something that is no directory"):
        unpacked(path, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_bytes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What unpacks to more than the limit is given up."""
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 20)
    path = tmp_path / "package"
    files = [File(f"usr/share/{number}", bytes(300_000)) for number in range(5)]
    compress = {"deb": ".gz", "rpm": ".xz"}
    path.write_bytes(
        packages.deb(files, ".gz", gzip.compress)
        if kind == "deb"
        else packages.rpm(files, lzma.compress)
        if kind == "rpm"
        else KINDS[kind](files)
    )
    assert kind not in compress or path.stat().st_size < 100_000
    with pytest.raises(SourceError, match="unpacks to more than 1 MiB"):
        unpacked(path, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_members(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise a package of more files than any has."""
    monkeypatch.setattr(archives, "MAX_MEMBERS", 10)
    path = tmp_path / "package"
    path.write_bytes(KINDS[kind]([File(f"usr/share/{number}") for number in range(20)]))
    with pytest.raises(SourceError, match="more than 10 members"):
        unpacked(path, tmp_path)


def test_xz_that_wants_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An xz stream whose dictionary is larger than the limit is not begun."""
    monkeypatch.setattr(archives, "MAX_MEMORY", 1 << 20)
    path = tmp_path / "package"
    path.write_bytes(packages.deb(FILES, ".xz", lambda data: lzma.compress(data, preset=9)))
    with pytest.raises(SourceError, match=r"Memory usage limit|memory"):
        unpacked(path, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_truncated(kind: str, tmp_path: Path) -> None:
    """A part of a package is told to be one, or is no package; nothing else happens."""
    whole = packages.deb(FILES, ".xz", lzma.compress) if kind == "deb" else KINDS[kind](FILES)
    path = tmp_path / "package"
    folder = tmp_path / "folder"
    for size in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:size])
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            package = identify_package(str(path))
            if package is not None:
                unpack(str(path), str(folder))
                assert size > len(whole) - 10240 * (kind == "tar"), size  # whose last block is padding
        except SourceError as error:
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)


@given(kind=st.sampled_from(sorted(KINDS)), at=st.integers(0, 4000), value=st.integers(0, 255))
@settings(max_examples=300)
def test_damaged(kind: str, at: int, value: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A package with any byte changed is read or told, and leaves nothing outside of its folder."""
    content = bytearray(KINDS[kind](FILES))
    content[at % len(content)] = value
    top = tmp_path_factory.mktemp("damaged")
    (top / "folder").mkdir()
    (top / "package").write_bytes(content)
    try:
        if identify_package(str(top / "package")) is not None:
            unpack(str(top / "package"), str(top / "folder"))
    except SourceError:
        pass
    assert sorted(os.listdir(top)) == ["folder", "package"]
    shutil.rmtree(top)
