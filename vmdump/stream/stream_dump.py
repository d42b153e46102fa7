"""A saved VM as a source: the DeviceDump of the sections that its stream has.

Sections name descriptions, not types. Alone, each section is a standalone description; against a QEMU, a section gets
the type whose description it fits.
"""

from __future__ import annotations

from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.lowering import lower
from vmdump.dump.producer import Producer
from vmdump.errors import SourceError, VmdumpError
from vmdump.stream.describe import Describer, clean
from vmdump.stream.descriptions import Descriptions
from vmdump.stream.fit import Fitter
from vmdump.stream.vmdescription import devices

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from vmdump.dump.device import Device, StandaloneVMState
    from vmdump.stream.saved_vm import SavedVM
    from vmdump.vmstate.model import VMStateDescription

    Standalone = tuple[VMStateDescription, str | None, tuple[str, ...], tuple[str, ...]]

#: The use of a standalone description that has a section of its own.
_REGISTER = ("register",)


class StreamDump(DeviceDump):
    """The dump of a saved VM. ``saved_vm``: the VM."""

    def __init__(self, vm: SavedVM) -> None:
        """Raises SourceError if the stream has no vmdescription."""
        sections = _sections(vm)
        describer = Describer(detailed=True)
        found: dict[str, list[VMStateDescription]] = {}
        for sent, version in sections:
            vmsd = describer.description(sent, version)
            same = found.setdefault(vmsd.name, [])
            if vmsd not in same:
                same.append(vmsd)
        standalone = [(vmsd, None, _REGISTER, ()) for same in found.values() for vmsd in same]
        super().__init__(_tree(vm, [], standalone), _producer(vm))
        self.saved_vm = vm

    def fitted(self, destination: DeviceDump) -> DeviceDump:
        """Return the dump in the terms of a destination, for a check. See fit.py."""
        return _Fitted(self.saved_vm, destination).dump()


def fit_first(dumps: Sequence[DeviceDump]) -> list[DeviceDump]:
    """Return a saved VM in the terms of the dump that follows it, and that dump. Raises VmdumpError for others."""
    stream, *others = dumps
    if len(others) != 1 or not isinstance(stream, StreamDump) or isinstance(others[0], StreamDump):
        raise VmdumpError("a saved VM can only be the first of two sources; vmdump stream --diff compares two of them")
    return [stream.fitted(others[0]), others[0]]


def _producer(vm: SavedVM) -> Producer:
    return Producer(kind="stream", path=vm.path)


def _sections(vm: SavedVM) -> list[tuple[dict[str, Any], int]]:
    """Return the vmdescription's object and the version of each section that it describes."""
    if vm.document is None:
        raise SourceError(
            f"{vm.path}: a stream without vmdescription, which check and show need; vmdump stream --image shows its "
            "sections"
        )
    versions = {(each.name, each.instance_id): each.version_id for each in vm.sections}
    found = []
    for sent in devices(vm.document):
        instance_id = sent.get("instance_id")
        key = (sent.get("name"), instance_id & 0xFFFFFFFF if isinstance(instance_id, int) else None)
        if key in versions and isinstance(sent.get("vmsd_name"), str):
            found.append((sent, versions[key] & 0x7FFFFFFF))
    return found


def _tree(vm: SavedVM, types: list[tuple[str, VMStateDescription]], standalone: Iterable[Standalone]) -> Any:
    """Return the tree of types and of standalone descriptions."""
    listed = list(standalone)
    tree = lower(clean(vm.machine or "none"), types, detailed=True)
    others = lower("none", [(f"{index}", each[0]) for index, each in enumerate(listed)], detailed=True)
    tree.owners = (*tree.owners, others)
    tree.set_standalone(
        [(others.native.devices[index].vmsd, *each[1:]) for index, each in enumerate(listed)]
    )  # fmt: skip
    return tree


class _Fitted:
    """Sections by the types of a destination."""

    def __init__(self, vm: SavedVM, destination: DeviceDump) -> None:
        self._vm, self._destination = vm, destination
        self._descriptions = Descriptions(destination)
        self._types: list[tuple[str, VMStateDescription]] = []
        self._standalone: list[Standalone] = []
        by_vmsd: dict[str, list[Device]] = {}
        for each in destination.values():
            by_vmsd.setdefault(each.vmsd_name, []).append(each)
        self._by_vmsd = by_vmsd
        self._by_name: dict[str, list[StandaloneVMState]] = {}
        for root in destination.standalone:
            self._by_name.setdefault(root.name, []).append(root)

    def dump(self) -> DeviceDump:
        """Return the dump of all sections."""
        for sent, version in _sections(self._vm):
            self._add(sent, version)
        return DeviceDump(_tree(self._vm, self._types, self._standalone), _producer(self._vm))

    def _add(self, sent: dict[str, Any], version: int) -> None:
        name = sent["vmsd_name"]
        types, roots = self._by_vmsd.get(name, []), self._by_name.get(name, [])
        if types:
            vmsd, type = min(
                ((self._fit(each.vmsd, sent, version), each) for each in types),
                key=lambda pair: pair[0] != pair[1].vmsd,
            )
            self._add_type(type.name, vmsd)
        elif roots:
            fitted, root = min(
                ((self._fit(each.vmsd, sent, version), each) for each in roots),
                key=lambda pair: pair[0] != pair[1].vmsd,
            )
            if all(fitted != each[0] for each in self._standalone):
                self._standalone.append((fitted, root.symbol, root.uses, root.types))
        else:
            described = Describer(detailed=True).description(sent, version)
            if all(described != each[0] for each in self._standalone):
                self._standalone.append((described, None, _REGISTER, ()))

    def _fit(self, vmsd: VMStateDescription, sent: dict[str, Any], version: int) -> VMStateDescription:
        return Fitter(detailed=vmsd.detailed).fit(vmsd, sent, version)

    def _add_type(self, type: str, vmsd: VMStateDescription) -> None:
        """Add a description under its type; further ones of a type that differ get a number."""
        same = [each for name, each in self._types if name.partition("#")[0] == type]
        if vmsd not in same:
            self._types.append((type if not same else f"{type}#{len(same) + 1}", vmsd))
