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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vmdump._core import vmd_desc
    from vmdump.dump.device import Device, StandaloneVMState
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
        return f"<Part {self.name!r} of {len(self.holders)} type{'' if len(self.holders) == 1 else 's'}>"


def find(
    devices: Mapping[str, Device], standalone: Sequence[StandaloneVMState], tree: Tree, text: str
) -> tuple[Device | StandaloneVMState | Part, ...]:
    """Return everything in a dump that text names, of its devices, standalone descriptions and tree.

    See DeviceDump.find.
    """
    parts = _Parts(tree)
    readings = list(_readings(text))
    for same in (str, str.casefold):
        for reading, is_section in readings:
            for look in (_sections, _type) if is_section else (_type, _sections):
                if found := look(devices, standalone, reading, same):
                    return tuple(found)
            if inner := parts.find(reading, same):
                return tuple(inner)
    return ()


def section_name(text: str) -> str:
    """Return a name without the quotes, the instance id and the device path of an error line.

    >>> section_name("'cpu' 0"), section_name("0000:00:02.0:00.0/virtio-net"), section_name("e1000")
    ('cpu', 'virtio-net', 'e1000')
    """
    return list(_readings(text))[-1][0]


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


def _type(
    devices: Mapping[str, Device], _: Sequence[StandaloneVMState], name: str, same: Callable[[str], str]
) -> list[Device | StandaloneVMState]:
    if same is str:
        return [devices[name]] if name in devices else []
    return [devices[each] for each in devices if same(each) == same(name)]


def _sections(
    devices: Mapping[str, Device], standalone: Sequence[StandaloneVMState], name: str, same: Callable[[str], str]
) -> list[Device | StandaloneVMState]:
    wanted = same(name)
    found = [each for each in devices.values() if each.vmsd_name and same(each.vmsd_name) == wanted]
    return [*found, *(each for each in standalone if same(each.name) == wanted)]


def part_names(tree: Tree) -> list[str]:
    """Return the names of nested descriptions and subsections, without duplicates."""
    return _Parts(tree).names()


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
