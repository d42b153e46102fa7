"""The list of sections that an emulated machine would send: savevm_state.handlers.

The variable is static, so it is found by its content: the head of a QTAILQ whose entries begin with section names.

Source: migration/savevm.c SaveStateEntry, the same from QEMU 5.2 to 11.1.
"""

from __future__ import annotations

from typing import NamedTuple

from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.model import MappedObject
from vmdump.errors import SourceError

#: Offsets of SaveStateEntry's members in bytes, and its size.
_NEXT, _PREVIOUS, _IDSTR, _INSTANCE, _ALIAS, _VERSION = 0, 8, 16, 272, 276, 280
_VMSD, _OPAQUE, _COMPAT, _SIZE = 304, 312, 320, 336

#: Size of SaveStateEntry.idstr, in bytes.
_IDSTR_SIZE = 256

#: Limit of sections. The largest boards have some hundreds.
_SECTIONS_MAX = 1 << 14


class Handler(NamedTuple):
    """A SaveStateEntry.

    Attributes:
        idstr, instance, version: of its section.
        aliases: further pairs of idstr and instance with which the section is found when it is loaded.
        vmsd: address of its description; 0: none.
        opaque: the description's opaque.
    """

    idstr: str
    instance: int
    version: int
    aliases: tuple[tuple[str, int], ...]
    vmsd: int
    opaque: int


def find_handlers(guest: Guest, main: MappedObject) -> int:
    """Return the address of the list's head. Raises SourceError."""
    for segment in main.segments:
        if not segment.writable:
            continue
        start = max([segment.start, *(end for _, end in main.relocated if segment.start <= end < segment.end)])
        start = (start + 7) & ~7
        words = guest.words(start, max(segment.end - start, 0) // 8)
        for index, word in enumerate(words):
            if word > segment.end and _is_first(guest, word, start + 8 * index):
                return start + 8 * index
    raise SourceError(f"{guest.name}: the list of migrated sections was not found")


def _is_first(guest: Guest, entry: int, head: int) -> bool:
    """Return whether an entry is the first of a list of sections with this head."""
    if not guest.holds(entry, _SIZE) or guest.pointer(entry + _PREVIOUS) != head:
        return False
    name = guest.read(entry + _IDSTR, _IDSTR_SIZE).partition(b"\0")[0]
    return 0 < len(name) < _IDSTR_SIZE and name.isascii() and name.decode().isprintable()


def read_handlers(guest: Guest, head: int) -> list[Handler]:
    """Return the sections in the order in which they are sent."""
    handlers, entry = list[Handler](), guest.pointer(head)
    while entry and len(handlers) < _SECTIONS_MAX:
        raw = guest.read(entry, _SIZE)
        instance, version = (guest.number(entry + at, 4) for at in (_INSTANCE, _VERSION))
        vmsd, opaque = (guest.pointer(entry + at) for at in (_VMSD, _OPAQUE))
        name = _text(raw[_IDSTR : _IDSTR + _IDSTR_SIZE])
        handlers.append(Handler(name, instance, version, _aliases(guest, name, raw), vmsd, opaque))
        entry = guest.pointer(entry + _NEXT)
    return handlers


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="backslashreplace")


def _aliases(guest: Guest, name: str, raw: bytes) -> tuple[tuple[str, int], ...]:
    """Return the pairs that find_se accepts, too: alias_id, and CompatEntry {idstr, instance_id}."""
    aliases = []
    alias = int.from_bytes(raw[_ALIAS : _ALIAS + 4], guest.byte_order)
    if alias != 0xFFFFFFFF:
        aliases.append((name, alias))
    compat = int.from_bytes(raw[_COMPAT : _COMPAT + 8], guest.byte_order)
    if compat and guest.holds(compat, _IDSTR_SIZE + 4):
        entry = guest.read(compat, _IDSTR_SIZE + 4)
        instance = int.from_bytes(entry[_IDSTR_SIZE:], guest.byte_order)
        aliases += [(_text(entry[:_IDSTR_SIZE]), each) for each in dict.fromkeys((instance, alias))]
    return tuple(aliases)
