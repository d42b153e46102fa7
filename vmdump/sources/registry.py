"""The class registry of a process as a source, as in QEMU's dump_vmstate_json_to_file."""

from collections.abc import Iterable

from vmdump.dump.device import Device
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.lowering import lower
from vmdump.dump.producer import Producer
from vmdump.dump.tree import Tree
from vmdump.errors import VMStateError
from vmdump.qom import DeviceClass, ObjectClass, TypeTable
from vmdump.version import __version__
from vmdump.vmstate.model import VMStateDescription


def dump_registry(types: TypeTable, machine: str, *, modules: dict[str, str] | None = None) -> DeviceDump:
    """Return the dump of all device classes that have a vmsd, including abstract ones, in the table's order.

    Args:
        types: the type table.
        machine: name of the machine in the dump.
        modules: names of the modules that registered types, by type name.

    Raises:
        QOMError: a class can't be initialised.
        VMStateError: a description can't be dumped.

    Source: QEMU 8.2.2 migration/savevm.c dump_vmstate_json_to_file.
    """
    classes: list[DeviceClass] = []
    vmsds: list[VMStateDescription] = []
    for klass in types.object_class_get_list("device", include_abstract=True):
        if not isinstance(klass, DeviceClass) or (vmsd := klass.vmsd) is None:
            continue
        if not isinstance(vmsd, VMStateDescription):
            raise VMStateError(f"device {klass.get_name()!r}: vmsd is {type(vmsd).__name__}, not a VMStateDescription")
        classes.append(klass)
        vmsds.append(vmsd)
    names = [klass.type.name for klass in classes]
    tree = lower(machine, zip(names, vmsds, strict=True))

    def make_devices() -> Iterable[Device]:
        for index, (name, klass) in enumerate(zip(names, classes, strict=True)):
            yield Device(
                tree, index, name, vmsd=vmsds[index], parents=_parents(types, klass),
                abstract=types.object_class_is_abstract(klass), desc=klass.desc, module=(modules or {}).get(name),
            )  # fmt: skip

    def make_detailed() -> Tree:
        detailed = lower(machine, zip(names, vmsds, strict=True), detailed=True)
        for index, device in enumerate(make_devices()):
            detailed.set_device_metadata(
                index, parents=device.parents or (), abstract=bool(device.abstract), desc=device.desc,
                module=device.module,
            )  # fmt: skip
        return detailed

    return DeviceDump(tree, Producer(kind="registry", version=f"vmdump {__version__}"), make_devices, make_detailed)


def _parents(types: TypeTable, klass: ObjectClass) -> tuple[str, ...]:
    parents = []
    parent = types.object_class_get_parent(klass)
    while parent is not None:
        parents.append(parent.get_name())
        parent = types.object_class_get_parent(parent)
    return tuple(parents)
