"""A saved VM of 800 MB: vmdump stream, and cat with an empty Python program. Run by compare.py."""

import os
import random
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from compare_process import installed_environ, memory_of, process_comparison
from measure import Comparison, Goal, Row

PAGE = 4096

#: Pages with content and pages of zeros, as a real VM of 1 GiB had them.
PAGES, ZERO_PAGES = 196_657, 69_713

PROMISE = "vmdump stream on an 800 MB stream vs cat and python -c pass, CPU time"


def compare_stream(quick: bool) -> Iterator[Comparison]:
    """CPU time and peak memory of walking a stream; quick: of a tenth."""
    with tempfile.TemporaryDirectory(prefix="vmdump-bench-") as temporary:
        path = Path(temporary) / "vm.save"
        write_stream(path, PAGES // 10 if quick else PAGES, ZERO_PAGES // 10 if quick else ZERO_PAGES)
        name, base = "vmdump stream FILE", "cat FILE; python -c pass"
        commands = {
            name: [sys.executable, "-m", "vmdump", "stream", path],
            base: ["sh", "-c", f'cat "{path}" >/dev/null; "{sys.executable}" -c pass'],
        }
        rows = [Row(name, base, Goal(at_most=1.5), promise=PROMISE)]
        rows.append(Row(memory_of(name), None, Goal(at_most=64 << 20), unit="B"))
        yield process_comparison("a saved VM", commands, installed_environ(), [f"{path.stat().st_size:,} bytes"], rows)


def write_stream(path: Path, pages: int, zero_pages: int) -> None:
    """Write a stream of one RAM block in live rounds, and of one device. Source: QEMU migration/ram.c, savevm.c."""
    size, footer = (pages + zero_pages) * PAGE, b"\x7e" + struct.pack(">I", 2)
    end = struct.pack(">Q", 0x10) + footer
    content, zero = os.urandom(PAGE), set(random.Random(1).sample(range(pages + zero_pages), zero_pages))
    with path.open("wb") as file:
        file.write(
            b"QEVM" + struct.pack(">I", 3) + b"\x01" + struct.pack(">I", 2) + b"\x03ram" + struct.pack(">II", 0, 4)
        )
        file.write(struct.pack(">Q", size | 4) + b"\x06pc.ram" + struct.pack(">Q", size) + end)
        for number in range(pages + zero_pages):
            is_first = number % 20_000 == 0
            if is_first:
                file.write((end if number else b"") + b"\x02" + struct.pack(">I", 2))
            flags = (2 if number in zero else 8) | (0 if is_first else 0x20)
            file.write(struct.pack(">Q", number * PAGE | flags) + (b"\x06pc.ram" if is_first else b""))
            file.write(b"\0" if number in zero else content)
        file.write(end + b"\x03" + struct.pack(">I", 2) + end)
        file.write(b"\x04" + struct.pack(">I", 3) + b"\x05timer" + struct.pack(">II", 0, 2) + bytes(24))
        file.write(b"\x7e" + struct.pack(">I", 3) + b"\0")
