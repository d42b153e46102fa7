"""The VMStateDescriptions of a QEMU binary, or of a dump of vmdump dump --all, by the names in a stream."""

from __future__ import annotations

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.vmstate.model import VMStateDescription

#: A description that gets its name at run time.
_UNNAMED = "(null)"


class Descriptions:
    """The descriptions of an image by name. Nested ones are found when they are asked for."""

    def __init__(self, dump: DeviceDump) -> None:
        self._dump = dump
        self._found: dict[str, VMStateDescription | None] = {}

    def candidates(self, idstr: str) -> Iterator[VMStateDescription]:
        """Yield the descriptions that a section may have: of its whole name, or of what follows a device path."""
        names = [idstr]
        while "/" in names[-1]:
            names.append(names[-1].partition("/")[2])
        seen: list[VMStateDescription] = []
        for name in (*names, _UNNAMED):
            if name == _UNNAMED and seen:
                return
            named = [each.vmsd for each in self._dump.values() if each.vmsd_name == name]
            named += [each.vmsd for each in self._dump.standalone if each.name == name]
            for vmsd in named:
                if vmsd not in seen:
                    seen.append(vmsd)
                    yield vmsd

    def find(self, name: str) -> VMStateDescription | None:
        """Return a description of any kind: standalone, of a device, or nested."""
        if name not in self._found:
            parts = self._dump.find(name)
            exact = [each.vmsd for each in parts if each.vmsd.name == name]
            self._found[name] = exact[0] if exact else None
        return self._found[name]

    def virtio_class(self, name: str) -> VMStateDescription | None:
        """Return VirtioDeviceClass.vmsd of the devices whose section has a name; None: they have none."""
        types = {f"{name}-device", name}
        types |= {type for type, device in self._dump.items() if device.vmsd_name == name}
        parents = {parent for type in types if type in self._dump for parent in self._dump[type].parents or ()}
        classes = [each for each in self._dump.standalone if "VirtioDeviceClass" in each.uses]
        for wanted in (types, parents):
            found = [each for each in classes if wanted.intersection(each.types or (each.name,))]
            if found:
                return found[0].vmsd
        return None

    def key_of_gtree(self) -> VMStateDescription | None:
        """Return the description of the keys of GTrees."""
        return next((each.vmsd for each in self._dump.standalone if "GTREE" in each.uses), None)
