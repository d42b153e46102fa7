"""Command lines in files."""

import os
import socket
from pathlib import Path

import pytest

from vmdump.errors import SourceError
from vmdump.files import input_file
from vmdump.migrate.command_line import read_command_line

LIBVIRT = """\
2024-05-01 10:00:00.000+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4 (Debian), qemu version: 7.2.22
LC_ALL=C \\
PATH=/usr/bin \\
/usr/bin/qemu-system-x86_64 \\
-name guest=old,debug-threads=on \\
-machine pc-q35-6.2
2024-05-02 10:00:00.000+0000: shutting down, reason=destroyed
2024-05-03 10:00:00.000+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4 (Debian), qemu version: 7.2.22
LC_ALL=C \\
/usr/bin/qemu-system-x86_64 \\
-name guest=new,debug-threads=on \\
-machine pc-q35-7.2,usb=off \\
-device '{"driver":"e1000e","id":"net 0"}' \\
-msg timestamp=on
char device redirected to /dev/pts/1 (label charserial0)
"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            LIBVIRT,
            [
                "-name", "guest=new,debug-threads=on", "-machine", "pc-q35-7.2,usb=off", "-device",
                '{"driver":"e1000e","id":"net 0"}', "-msg", "timestamp=on",
            ],
        ),
        ("qemu-system-arm\0-M\0virt\0-append\0a b\0", ["-M", "virt", "-append", "a b"]),
        ("#!/bin/sh\n# starts qemu-system-x86_64\nexec kvm -M q35 \\\n  -m 16 & # vm\n", ["-M", "q35", "-m", "16"]),
    ],
)  # fmt: skip
def test_formats(content: str, expected: list[str], tmp_path: Path) -> None:
    """The last command line of a log, a copy of /proc/PID/cmdline, a script."""
    path = tmp_path / "file"
    path.write_text(content)
    assert read_command_line(str(path)) == expected


@pytest.mark.parametrize("content", ["", "echo hello", "qemu-system-x86_64 'unbalanced", "a\0b\0"])
def test_no_command_line(content: str, tmp_path: Path) -> None:
    """A file without a command line is an error that says what to give."""
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(SourceError, match="no command line of QEMU; give libvirt's log"):
        read_command_line(str(path))


def test_special_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FIFO without a writer, a socket and endless input end with an error."""
    monkeypatch.setattr(input_file, "PATIENCE", 0.1)
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path, reason in (("fifo", "a FIFO without a writer"), ("socket", "a socket, not a file")):
            with pytest.raises(SourceError, match=f"^{path}: {reason}"):
                read_command_line(path)
    with pytest.raises(SourceError, match="larger than 64 MiB, the limit; give the part with the command line"):
        read_command_line("/dev/zero")
