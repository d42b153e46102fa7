"""Look names up in a dump: QOM types, and the names in QEMU's error lines.

The keys of QEMU's dump are QOM types, but its error lines never name types. They name sections, by the device path and
the name of the description (``0000:00:03.0/virtio-gpu``), and nested descriptions (``PCIDevice``,
``virtio-gpu-scanouts``).

Source: QEMU 10.0.13 migration/savevm.c vmstate_register_with_alias_id (idstr), migration/vmstate.c.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vmdump._core import ffi
from vmdump.dump.tree import text_of
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from vmdump._core import vmd_desc
    from vmdump.dump.device import Device, StandaloneVMState
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.dump.tree import Tree
    from vmdump.dump.walk import WalkedField
    from vmdump.vmstate.model import VMStateDescription

#: A quoted name in an error line, and the instance id after it, if any: ``'cpu' 0``.
_QUOTED = re.compile(r"""['"`‘“](.+?)['"`’”](?:\s+(?:0x[0-9a-f]+|\d+))?""", re.IGNORECASE)

#: An instance id after a name.
_INSTANCE = re.compile(r"\s+(?:0x[0-9a-f]+|\d+)$", re.IGNORECASE)


class Part:
    """A nested description or a subsection, as `DeviceDump.find` returns it.

    holders: the QOM types whose state it is a part of, and the names of standalone descriptions that contain it.

    >>> import vmdump
    >>> part, = vmdump.open().find("serial/tsr")
    >>> part.name, part.vmsd.fields[0].name, "isa-serial" in part.holders
    ('serial/tsr', 'tsr_retry', True)
    """

    __slots__ = ("_native", "_tree", "_vmsd", "holders", "name")

    def __init__(self, tree: Tree, native: vmd_desc, name: str, holders: tuple[str, ...]) -> None:
        """native: a ``struct vmd_desc *`` of the tree, which the part keeps alive."""
        self._tree, self._native = tree, native
        self._vmsd: VMStateDescription | None = None
        self.name, self.holders = name, holders

    @property
    def vmsd(self) -> VMStateDescription:
        """The VMStateDescription, made on first access."""
        if self._vmsd is None:
            from vmdump.dump.raising import description_of

            self._vmsd = description_of(self._native)
        return self._vmsd

    def walk(self, pattern: str | None = None) -> Iterator[WalkedField]:
        """Yield every field, as `Device.walk` does."""
        from vmdump.dump.walk import walk

        return walk(self.vmsd, pattern)

    def __repr__(self) -> str:
        """The name, and how many types contain it."""
        return f"<Part {self.name!r} of {len(self.holders)} types>"


def find(dump: DeviceDump, text: str) -> tuple[Device | StandaloneVMState | Part, ...]:
    """Return everything in a dump that text names. See DeviceDump.find."""
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
    """Return all names that find accepts, without duplicates: types, sections, nested descriptions, subsections."""
    sections = [each.vmsd_name for each in dump.values()]
    return list(dict.fromkeys([*dump, *sections, *(each.name for each in dump.standalone), *_Parts(dump.tree).names()]))


def section_name(text: str) -> str:
    """Return a name without the quotes, the instance id and the device path of an error line.

    >>> section_name("'cpu' 0"), section_name("0000:00:02.0:00.0/virtio-net"), section_name("e1000")
    ('cpu', 'virtio-net', 'e1000')
    """
    return list(_readings(text))[-1][0]


def type_patterns(dumps: Sequence[DeviceDump], patterns: Sequence[str]) -> list[str]:
    """Return glob patterns of QOM types for patterns of any names. Patterns that match nothing are kept."""
    return [name for pattern in patterns for name in matching_types(dumps, pattern) or [pattern]]


def matching_types(dumps: Sequence[DeviceDump], pattern: str) -> list[str]:
    """Return the pattern if it matches a QOM type or a standalone description in any of the dumps.

    Otherwise return patterns for the types whose section it matches, or else for the types that find returns.
    """
    from fnmatch import fnmatchcase
    from glob import escape

    if any(fnmatchcase(name, pattern) for dump in dumps for name in (*dump, *(each.name for each in dump.standalone))):
        return [pattern]
    section = section_name(pattern)
    types = [
        name
        for dump in dumps
        for name, own in (*((each.name, each.vmsd_name) for each in dump.values()), *_own_names(dump.standalone))
        if own and fnmatchcase(own, section)
    ]
    if not types:
        found = [each for dump in dumps for each in find(dump, pattern)]
        types = [name for each in found for name in (each.holders if isinstance(each, Part) else (each.name,))]
    return list(dict.fromkeys(map(escape, types)))


def require_types(patterns: Iterable[str], dumps: Sequence[DeviceDump]) -> None:
    """Raise VmdumpError for a pattern that matches no type in any of the dumps, with a suggestion.

    >>> import vmdump
    >>> require_types(["e1000*", "isa-serail"], [vmdump.open()])
    Traceback (most recent call last):
    vmdump.errors.VmdumpError: no type matches isa-serail; did you mean isa-serial?
    """
    for pattern in patterns:
        if not matching_types(dumps, pattern):
            from vmdump.suggestion import did_you_mean

            known = dict.fromkeys(name for dump in dumps for name in known_names(dump))
            hint = did_you_mean(section_name(pattern), known, "vmdump devices lists them")
            raise VmdumpError(f"no type matches {pattern}; {hint}")


def _own_names(standalone: Iterable[StandaloneVMState]) -> Iterator[tuple[str, str]]:
    return ((each.name, each.name) for each in standalone)


def _readings(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the names that text may mean, most literal first, and whether each can only be that of a section."""
    yield text, False
    name = text.strip()
    quoted = _QUOTED.search(name)
    name = quoted[1] if quoted else _INSTANCE.sub("", name)
    if name != text:
        yield name, True
    while "/" in name:  # a device path: 0000:00:01.2/1/usb-tablet
        name = name.partition("/")[2]
        yield name, True


def _type(dump: DeviceDump, name: str, same: Callable[[str], str]) -> list[Device | StandaloneVMState]:
    if same is str:
        return [dump[name]] if name in dump else []
    return [dump[each] for each in dump if same(each) == same(name)]


def _sections(dump: DeviceDump, name: str, same: Callable[[str], str]) -> list[Device | StandaloneVMState]:
    wanted = same(name)
    devices = [each for each in dump.values() if each.vmsd_name and same(each.vmsd_name) == wanted]
    return [*devices, *(each for each in dump.standalone if same(each.name) == wanted)]


class _Parts:
    """The nested descriptions and subsections of a tree, by name. Read on first use."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        #: By address: the name, and the addresses of the descriptions that contain it.
        self._descriptions: dict[int, tuple[str, set[int]]] | None = None

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for name, inside in self._read().values() if inside))

    def find(self, name: str, same: Callable[[str], str]) -> list[Part]:
        wanted = same(name)
        descriptions = self._read()
        return [
            Part(self._tree, ffi.cast("struct vmd_desc *", address), own, self._holders(address))
            for address, (own, inside) in descriptions.items()
            if inside and same(own) == wanted
        ]

    def _holders(self, address: int) -> tuple[str, ...]:
        """Return the types and standalone descriptions that contain a description, directly or not."""
        descriptions = self._read()
        seen, stack = {address}, [address]
        while stack:
            new = descriptions[stack.pop()][1] - seen
            seen |= new
            stack += new
        return tuple(dict.fromkeys(name for name, top in self._tops() if _address(top) in seen))

    def _tops(self) -> Iterator[tuple[str, vmd_desc]]:
        """Yield the descriptions of device classes with the type, and standalone ones with their own name."""
        native = self._tree.native
        for index, name in enumerate(self._tree.device_names()):
            yield name, native.devices[index].vmsd
        for index in range(native.n_standalone):
            yield self._tree.standalone_name(index), native.standalone[index].vmsd

    def _read(self) -> dict[int, tuple[str, set[int]]]:
        """Read all descriptions. Iterative: nesting can exceed Python's stack."""
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


def _address(desc: vmd_desc) -> int:
    return int(ffi.cast("uintptr_t", desc))
