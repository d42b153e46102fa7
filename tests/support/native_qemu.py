"""A real QEMU, controlled over QMP and migrated to a file: the reference for emulated machines."""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.native_environ import native_environ


class NativeQemu:
    """A running QEMU whose CPUs are stopped. As a context manager it ends the process.

    Args:
        binary: a path, or the command that runs the binary.
        args: QEMU's arguments.
        environ: environment of the process; default: this one's.
        seconds: the process is killed after this time; 0: never.
        nodefaults: without default devices.
    """

    def __init__(
        self,
        binary: str | Sequence[str],
        *args: str,
        environ: dict[str, str] | None = None,
        seconds: float = 0,
        nodefaults: bool = True,
    ) -> None:
        words = [binary] if isinstance(binary, str) else list(binary)
        words += ["-nodefaults"] if nodefaults else []
        command = [*words, "-S", "-display", "none", "-no-user-config", "-qmp", "stdio", *args]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ or native_environ(),
        )
        self._seconds, self._is_late = seconds, False
        self._timer = threading.Timer(seconds, self._stop) if seconds else None
        if self._timer:
            self._timer.start()
        self._read()
        self.qmp("qmp_capabilities")

    def _stop(self) -> None:
        self._is_late = True
        self.process.kill()

    def __enter__(self) -> NativeQemu:
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()
        self.process.kill()
        self.process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        while line and not line.startswith("{"):  # what a type's code prints
            line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr
            words = self.process.stderr.read()
            self.process.wait()
            if self._is_late:
                raise TimeoutError(f"killed after {self._seconds:g} s")
            raise RuntimeError(words or "it ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def qmp(self, command: str, **arguments: Any) -> Any:
        """What a command returns. Raises RuntimeError with QEMU's message, and TimeoutError."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"execute": command, "arguments": named}) + "\n")
        self.process.stdin.flush()
        while "return" not in (answer := self._read()) and "error" not in answer:
            pass
        if "error" in answer:
            raise RuntimeError(answer["error"]["desc"])
        return answer["return"]

    def has_ended(self) -> bool:
        """Whether the process has exited, as QEMU does if a type's module is not installed."""
        return self.process.poll() is not None

    def qtest(self, path: Path, commands: Sequence[str]) -> list[str]:
        """The answers to commands of qtest; path: a socket, of ``qtest_arguments(path)``."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            with connection.makefile("rw") as stream:
                answers = []
                for command in commands:
                    stream.write(f"{command}\n")
                    stream.flush()
                    answers.append(stream.readline().strip())
                    time.sleep(0.01)  # the main loop handles events of queues after the answer
        return answers

    def save(self, path: Path) -> bytes:
        """The stream of a migration."""
        self.qmp("migrate-set-parameters", max_bandwidth=4 << 30)
        self.qmp("migrate", uri=f"exec:cat > {path}")
        while (answer := self.qmp("query-migrate")).get("status") not in ("completed", "failed"):
            time.sleep(0.01)
        if answer["status"] != "completed":
            raise RuntimeError(f"migration failed: {answer.get('error-desc')}")
        return path.read_bytes()


def qtest_arguments(path: Path) -> list[str]:
    """QEMU's arguments for a socket of qtest."""
    return ["-qtest", f"unix:{path},server=on,wait=off", "-qtest-log", "none"]


#: Start of the description; up to QEMU 5.2 with white space.
_DESCRIPTION = re.compile(rb'\{\s*"(?:configuration|page_size)"')


def vmdescription(stream: bytes) -> Any:
    """The description of the devices that stands at the end of a stream; None if it has none."""
    at = max(match.start() for match in _DESCRIPTION.finditer(stream)) if _DESCRIPTION.search(stream) else -1
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


#: Bytes at the start of a section, and after it. Source: migration/qemu-file-types.h, migration/savevm.c.
_FULL, _FOOTER, _ENDS = 4, b"\x7e", (b"\x00", b"\x04", b"\x03")


def sections(stream: bytes) -> dict[tuple[str, int], bytes]:
    """Return the bytes of each device's section by name and instance. A section ends with a footer of its number."""
    found: dict[tuple[str, int], bytes] = {}
    position = 0
    while match := _SECTION.search(stream, position):
        number, size = match[1], match[2][0]
        start = match.end() + size + 8
        name = stream[match.end() : match.end() + size].decode("latin1")
        instance = int.from_bytes(stream[start - 8 : start - 4], "big")
        end = stream.find(_FOOTER + number, start)
        while end >= 0 and stream[end + 5 : end + 6] not in _ENDS:
            end = stream.find(_FOOTER + number, end + 1)
        if not name.isprintable() or end < 0:
            position = match.start() + 1
            continue
        found[name, instance] = stream[start:end]
        position = end + 5
    return found


#: Type QEMU_VM_SECTION_FULL, number, size of the name.
_SECTION = re.compile(rb"\x04(\0\0..)([\x01-\xff])", re.DOTALL)
