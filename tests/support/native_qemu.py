"""A real QEMU, which is asked over QMP and migrated to a file: the truth that emulated machines are held against."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any


class NativeQemu:
    """A running QEMU whose CPUs are stopped. As a context manager it ends the process."""

    def __init__(self, binary: str, *args: str) -> None:
        command = [binary, "-S", "-nodefaults", "-display", "none", "-no-user-config", "-qmp", "stdio", *args]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._read()
        self.qmp("qmp_capabilities")

    def __enter__(self) -> NativeQemu:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr
            raise RuntimeError(self.process.stderr.read())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def qmp(self, command: str, **arguments: Any) -> Any:
        """What a command returns. Raises RuntimeError with QEMU's words."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"execute": command, "arguments": named}) + "\n")
        self.process.stdin.flush()
        while "return" not in (answer := self._read()) and "error" not in answer:
            pass
        if "error" in answer:
            raise RuntimeError(answer["error"]["desc"])
        return answer["return"]

    def save(self, path: Path) -> bytes:
        """The stream of a migration."""
        self.qmp("migrate", uri=f"exec:cat > {path}")
        while (status := self.qmp("query-migrate").get("status")) not in ("completed", "failed"):
            pass
        assert status == "completed"
        return path.read_bytes()


def vmdescription(stream: bytes) -> Any:
    """The description of the devices that stands at the end of a stream; None if it has none."""
    at = max(stream.rfind(b'{"configuration"'), stream.rfind(b'{"page_size"'), stream.rfind(b'{ "configuration"'))
    return json.JSONDecoder().raw_decode(stream[at:].decode("latin1"))[0] if at >= 0 else None


def ram_blocks(stream: bytes) -> list[tuple[str, int]]:
    """Names and sizes of the RAM blocks, from the beginning of the section "ram". Source: migration/ram.c."""
    at = stream.find(b"\x03ram\0\0\0\0\0\0\0\4")
    if at < 0:
        return []
    at += 12
    (total,) = struct.unpack_from(">Q", stream, at)
    at, total, blocks = at + 8, total & ~0xFFF, []
    while total > 0:
        size = stream[at]
        name = stream[at + 1 : at + 1 + size].decode()
        (length,) = struct.unpack_from(">Q", stream, at + 1 + size)
        blocks.append((name, length))
        at += 9 + size
        total -= length
    return blocks
