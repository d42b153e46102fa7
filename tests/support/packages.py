"""Packages built in memory: ar, cpio and RPM from their format descriptions, tar and zip with the standard library."""

import io
import stat
import struct
import tarfile
import zipfile
from typing import NamedTuple

#: Minimal contents that unpack.py classifies as a QEMU binary and as a module; neither can be parsed.
QEMU = b"\x7fELF\2\1\1" + b"\0" * 57 + b'  "vmschkmachine": {\n\0'
MODULE = b"\x7fELF\2\1\1" + b"\0" * 57 + b"a module"


class File(NamedTuple):
    """A regular file, or a link to target; hard selects the kind of link."""

    path: str
    content: bytes = b""
    target: str | None = None
    hard: bool = False


def tar(files: list[File]) -> bytes:
    """Return a tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for file in files:
            info = tarfile.TarInfo(file.path)
            info.size = len(file.content)
            if file.target is not None:
                info.type, info.linkname = (tarfile.LNKTYPE if file.hard else tarfile.SYMTYPE), file.target
            archive.addfile(info, io.BytesIO(file.content))
    return stream.getvalue()


def ar(members: list[tuple[str, bytes]]) -> bytes:
    """Return an ar archive."""
    parts = [b"!<arch>\n"]
    for name, content in members:
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
        parts.append(content + b"\n" * (len(content) % 2))
    return b"".join(parts)


def deb(files: list[File], suffix: str = "", compress=lambda data: data, **control: str) -> bytes:  # type: ignore[no-untyped-def]
    """Return a Debian package; suffix selects the compression."""
    fields = {"Package": "qemu-system-x86", "Source": "qemu (1:7.2)", "Version": "1:7.2-1", "Architecture": "amd64"}
    text = "".join(f"{name}: {value}\n" for name, value in {**fields, **control}.items()) + "Description: x\n more: y\n"
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            (f"control.tar{suffix}", compress(tar([File("./control", text.encode())]))),
            (f"data.tar{suffix}", compress(tar(files))),
        ]
    )


def cpio(files: list[File]) -> bytes:
    """Return a cpio archive in the new ASCII format; hard links precede the file with the contents."""
    parts = []
    inodes = {file.path: number for number, file in enumerate(files, 1)}
    linked = {file.target for file in files if file.hard}
    for file in [*files, File("TRAILER!!!")]:
        content = file.content if file.target is None or file.hard else file.target.encode()
        mode = 0o644 | (stat.S_IFLNK if file.target is not None and not file.hard else stat.S_IFREG)
        inode = inodes.get(str(file.target) if file.hard else file.path, 0)
        n_links = 2 if file.hard or file.path in linked else 1
        name = file.path.encode() + b"\0"
        words = [inode, mode, 0, 0, n_links, 0, len(content), 0, 0, 0, 0, len(name), 0]
        header = b"070701" + b"".join(b"%08x" % word for word in words)
        parts += [header, name, b"\0" * (-(110 + len(name)) % 4), content, b"\0" * (-len(content) % 4)]
    return b"".join(parts)


def rpm(files: list[File], compress=lambda data: data, **tags: str) -> bytes:  # type: ignore[no-untyped-def]
    """Return an RPM: lead, signature header, header, payload."""
    numbers = {"name": 1000, "version": 1001, "release": 1002, "arch": 1022, "source": 1044}
    values = {"name": "qemu-kvm", "version": "7.2.0", "release": "1.el9", "arch": "x86_64", "source": "qemu.src.rpm"}
    lead = b"\xed\xab\xee\xdb\3\0".ljust(96, b"\0")
    signature = _rpm_header({1000: "signed"})
    signature += b"\0" * (-len(signature) % 8)
    header = _rpm_header({numbers[name]: value for name, value in {**values, **tags}.items()})
    return lead + signature + header + compress(cpio(files))


def _rpm_header(strings: dict[int, str]) -> bytes:
    index, store = b"", b""
    for tag, text in strings.items():
        index += struct.pack(">IIII", tag, 6, len(store), 1)
        store += text.encode() + b"\0"
    return b"\x8e\xad\xe8\1\0\0\0\0" + struct.pack(">II", len(strings), len(store)) + index + store


def wheel(files: list[File]) -> bytes:
    """Return a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            info = zipfile.ZipInfo(file.path)
            info.external_attr = (stat.S_IFREG | 0o755) << 16
            if file.target is not None:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, file.content if file.target is None else file.target)
    return stream.getvalue()
