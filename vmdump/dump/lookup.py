"""What a name means in a dump: a QOM type, or any name that QEMU's error lines have for the same state.

QEMU's dump is keyed by QOM type, but its error lines never name types. They name sections, by the name of the
description behind the path of the device (``0000:00:03.0/virtio-gpu``), and descriptions that are nested in others
(``PCIDevice``, ``virtio-gpu-scanouts``).

Source: QEMU 10.0.13 migration/savevm.c vmstate_register_with_alias_id (idstr), migration/vmstate.c.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from vmdump._core import ffi
from vmdump.dump.tree import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from vmdump.dump.device_dump import Device, DeviceDump, Root
    from vmdump.dump.tree import Tree
    from vmdump.vmstate.model import VMStateDescription

#: A name in quotes, as error lines have it: ``'cpu'``, and the instance id behind it, if any.
_QUOTED = re.compile(r"""['"`‘“](.+?)['"`’”](?:\s+(?:0x[0-9a-f]+|\d+))?""", re.IGNORECASE)

#: An instance id behind a name.
_INSTANCE = re.compile(r"\s+(?:0x[0-9a-f]+|\d+)$", re.IGNORECASE)


class Part:
    """A description that is nested in others, or a subsection: its name, and the QOM types whose state it is a part of;
    of a description on no device class, that one's name.
    """

    __slots__ = ("_native", "_vmsd", "holders", "name")

    def __init__(self, native: Any, name: str, holders: tuple[str, ...]) -> None:
        """Of a ``struct vmd_desc``."""
        self._native = native
        self._vmsd: VMStateDescription | None = None
        self.name, self.holders = name, holders

    @property
    def vmsd(self) -> VMStateDescription:
        """The VMStateDescription, made when first asked for."""
        if self._vmsd is None:
            from vmdump.dump.raising import description_of

            self._vmsd = description_of(self._native)
        return self._vmsd

    def __repr__(self) -> str:
        """For people: the name, and in how many types it is."""
        return f"<Part {self.name!r} of {len(self.holders)} types>"


def find(dump: DeviceDump, text: str) -> tuple[Device | Root | Part, ...]:
    """Return what text names in a dump; nothing, if it names nothing. See DeviceDump.find."""
    parts = _Parts(dump.tree)
    readings = list(_readings(text))
    for same in (str, str.casefold):
        for reading, is_section in readings:
            for look in (_sections, _type) if is_section else (_type, _sections):
                if found := look(dump, reading, same):
                    return tuple(found)
            if inner := parts.find(reading, same):
                return tuple(inner)
    return ()


def known_names(dump: DeviceDump) -> list[str]:
    """All names that find knows: types, sections, nested descriptions; each once."""
    sections = [each.description for each in dump.values()]
    return list(dict.fromkeys([*dump, *sections, *(root.name for root in dump.roots), *_Parts(dump.tree).names()]))


def section_name(text: str) -> str:
    """Return the name without what error lines put around it: quotes, an instance id, the path of the device.

    >>> section_name("'cpu' 0"), section_name("0000:00:02.0:00.0/virtio-net"), section_name("e1000")
    ('cpu', 'virtio-net', 'e1000')
    """
    return list(_readings(text))[-1][0]


def type_patterns(dumps: Sequence[DeviceDump], patterns: Sequence[str]) -> list[str]:
    """Return patterns of QOM types (glob) for patterns of any names; those that match nothing stay as they are."""
    return [name for pattern in patterns for name in matching_types(dumps, pattern) or [pattern]]


def matching_types(dumps: Sequence[DeviceDump], pattern: str) -> list[str]:
    """Return the pattern (glob) if it matches a QOM type, or a description on no device class, in any of the dumps.

    If not, the types whose section it matches, as patterns, or else of what find finds; nothing if there are none.
    """
    from fnmatch import fnmatchcase
    from glob import escape

    if any(fnmatchcase(name, pattern) for dump in dumps for name in (*dump, *(root.name for root in dump.roots))):
        return [pattern]
    section = section_name(pattern)
    types = [
        name
        for dump in dumps
        for name, own in (*((each.name, each.description) for each in dump.values()), *_own_names(dump.roots))
        if own and fnmatchcase(own, section)
    ]
    if not types:
        found = [each for dump in dumps for each in find(dump, pattern)]
        types = [name for each in found for name in (each.holders if isinstance(each, Part) else (each.name,))]
    return list(dict.fromkeys(map(escape, types)))


def _own_names(roots: Iterable[Root]) -> Iterator[tuple[str, str]]:
    return ((root.name, root.name) for root in roots)


def _readings(text: str) -> Iterator[tuple[str, bool]]:
    """What may be the name in a text, most literal first, and whether it surely is that of a section."""
    yield text, False
    name = text.strip()
    quoted = _QUOTED.search(name)
    name = quoted[1] if quoted else _INSTANCE.sub("", name)
    if name != text:
        yield name, True
    while "/" in name:  # names of buses and devices are parts of a path: 0000:00:01.2/1/usb-tablet
        name = name.partition("/")[2]
        yield name, True


def _type(dump: DeviceDump, name: str, same: Callable[[str], str]) -> list[Device | Root]:
    if same is str:
        return [dump[name]] if name in dump else []
    return [dump[each] for each in dump if same(each) == same(name)]


def _sections(dump: DeviceDump, name: str, same: Callable[[str], str]) -> list[Device | Root]:
    wanted = same(name)
    devices = [each for each in dump.values() if each.description and same(each.description) == wanted]
    return [*devices, *(root for root in dump.roots if same(root.name) == wanted)]


class _Parts:
    """The descriptions of a tree that are in others, by name. Read when they are first asked for."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        #: By address: name, and addresses of the descriptions that it is in.
        self._descriptions: dict[int, tuple[str, set[int]]] | None = None

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for name, inside in self._read().values() if inside))

    def find(self, name: str, same: Callable[[str], str]) -> list[Part]:
        wanted = same(name)
        descriptions = self._read()
        return [
            Part(ffi.cast("struct vmd_desc *", address), own, self._holders(address))
            for address, (own, inside) in descriptions.items()
            if inside and same(own) == wanted
        ]

    def _holders(self, address: int) -> tuple[str, ...]:
        """Types, and descriptions on no device class, that lead to a description."""
        descriptions = self._read()
        seen, stack = {address}, [address]
        while stack:
            new = descriptions[stack.pop()][1] - seen
            seen |= new
            stack += new
        return tuple(dict.fromkeys(name for name, top in self._tops() if _address(top) in seen))

    def _tops(self) -> Iterator[tuple[str, Any]]:
        """Descriptions of device classes, by type, and those on none, by their own name."""
        native = self._tree.native
        for index, name in enumerate(self._tree.device_names()):
            yield name, native.devices[index].vmsd
        for index in range(native.n_standalone):
            yield self._tree.root_name(index), native.standalone[index].vmsd

    def _read(self) -> dict[int, tuple[str, set[int]]]:
        """Descriptions may nest deeper than Python's stack: no recursion."""
        if self._descriptions is None:
            found: dict[int, tuple[str, set[int]]] = {}
            stack = [(top, 0) for _, top in self._tops()]
            stack.reverse()
            while stack:
                desc, owner = stack.pop()
                address = _address(desc)
                is_new = address not in found
                if is_new:
                    found[address] = (text_of(desc.name, desc.name_len), set())
                    stack += [(desc.subsections[i], address) for i in range(desc.n_subsections - 1, -1, -1)]
                    fields, n_fields = desc.fields, desc.n_fields
                    stack += [(vmsd, address) for i in range(n_fields - 1, -1, -1) if (vmsd := fields[i].vmsd)]
                if owner:
                    found[address][1].add(owner)
            self._descriptions = found
        return self._descriptions


def _address(desc: Any) -> int:
    return int(ffi.cast("uintptr_t", desc))
