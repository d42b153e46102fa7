"""QMP commands of an emulated QEMU: the list that its QAPI code registers at start-up.

An entry is a QmpCommand, which begins with the command's name and its function ``void fn(QDict *, QObject **, Error
**)`` and is linked to the next and the previous one.

Source: include/qapi/qmp/dispatch.h (later qapi/qmp-registry.h), qapi/qmp-registry.c; QEMU 5.2 to 11.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice

from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.model import MappedObject
from vmdump.errors import SourceError

#: A command of every QEMU, by which the list is found in binaries that do not export it.
_ANCHOR = b"query-machines\0"

#: Possible offsets of QmpCommand.node in bytes: after options, and since QEMU 6.2 the command's features.
_NODE_OFFSETS = (24, 32, 40)

#: Limits: the commands, the places of the anchor's name, and the pointers to it. QEMU 10.0 has 233, 1 and 1.
_COMMANDS_MAX, _NAMES_MAX, _POINTERS_MAX = 4096, 16, 4096
_CHUNK = 1 << 20


class QmpCommands:
    """The registered QMP commands.

    Args:
        guest: a QEMU whose qemu_init has run.
        main: its binary.
    """

    def __init__(self, guest: Guest, main: MappedObject) -> None:
        self._guest, self._main = guest, main

    def find(self, name: str) -> int | None:
        """Return the address of a command's function; None: unknown command."""
        return self._functions.get(name)

    def names(self) -> list[str]:
        """Return the sorted names of all commands."""
        return sorted(self._functions)

    @cached_property
    def _functions(self) -> dict[str, int]:
        first = self._first()
        for offset in _NODE_OFFSETS:
            functions = self._walk(first, offset)
            if len(functions) > 1:
                return functions
        raise SourceError(f"{self._guest.name}: its list of QMP commands has an unknown layout")

    def _first(self) -> int:
        """Return the address of the first command, or of any in binaries that do not export the list."""
        if head := self._main.symbols.get("qmp_commands"):
            return self._guest.pointer(head)
        guest = self._guest
        names = (
            (segment.start + at).to_bytes(8, guest.byte_order)
            for segment in self._main.segments
            if not segment.writable
            for at in _positions(guest.read(segment.start, segment.end - segment.start), _ANCHOR)
        )
        for at in islice(self._words(list(islice(names, _NAMES_MAX))), _POINTERS_MAX):
            if self._command(at):
                return at
        raise SourceError(f"{guest.name}: its list of QMP commands was not found; its start-up may be incomplete")

    def _words(self, words: Sequence[bytes]) -> Iterator[int]:
        """Iterate over the addresses in the heap that have one of these words."""
        guest = self._guest
        for start in range(self._heap_start, guest.base + guest.allocated(), _CHUNK):
            chunk = guest.read(start, min(_CHUNK, guest.base + guest.size - start))
            for word in words:
                yield from (start + at for at in _positions(chunk, word) if not at % 8)

    @property
    def _heap_start(self) -> int:
        return max(segment.end for segment in self._main.segments) & ~7

    def _command(self, address: int) -> tuple[str, int] | None:
        """Return name and function of a command; None: no command."""
        guest = self._guest
        if address % 8 or not guest.holds(address, 16):
            return None
        name, function = guest.pointer(address), guest.pointer(address + 8)
        if not self._main.holds(name) or not self._main.holds(function):
            return None
        return guest.text(name), function

    def _walk(self, start: int, node: int) -> dict[str, int]:
        """Follow the links at offset ``node`` in both directions: {next, previous link}. QTAILQ_ENTRY."""
        functions: dict[str, int] = {}
        for backwards in (False, True):
            address = start
            for _ in range(_COMMANDS_MAX):
                if not (command := self._command(address)):
                    break
                functions[command[0]] = command[1]
                if not self._guest.holds(address + node, 16):
                    break
                address = (
                    self._guest.pointer(address + node + 8) - node if backwards else self._guest.pointer(address + node)
                )
                if address == start:
                    break
        return functions


def _positions(data: bytes, part: bytes) -> Iterator[int]:
    """Iterate over the offsets of all occurrences of a byte string."""
    at = data.find(part)
    while at >= 0:
        yield at
        at = data.find(part, at + 1)
