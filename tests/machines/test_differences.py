"""Differences between machine types: what is in only one, what changed, and what only moved."""

from vmdump.machines.canonical import canonical_objects
from vmdump.machines.differences import Kind, compare_lists, compare_machines
from vmdump.machines.model import CompatProperty, Cpu, MachineInfo, MachineType, Property, QomObject, RamBlock, Section


def info(name: str = "pc", *compat: tuple[str, str, str], alias: str | None = None) -> MachineInfo:
    """A machine type."""
    return MachineInfo(name, alias, False, False, compat_props=tuple(CompatProperty(*each) for each in compat))


def machine(*devices: QomObject, of: MachineInfo | None = None, **more: object) -> MachineType:
    """A machine."""
    parts = {"sections": (), "ram_blocks": (), "cpu": None, **more}
    return MachineType(of or info(), devices, **parts)  # type: ignore[arg-type]


def test_lists() -> None:
    """Names of both and of one; the last compat property of a driver and property counts."""
    old = [info("a"), info("b", ("nic", "x", "1"), ("nic", "x", "2")), info("c")]
    new = [info("c", alias="d"), info("b", ("nic", "x", "2")), info("e")]
    found = compare_lists(old, new)
    assert (found.both, found.only_old, found.only_new) == (("c", "b"), ("a",), ("e",))
    ((name, (difference,)),) = found.changed.items()
    assert (name, difference.subject, difference.old, difference.new) == ("c", "alias", None, "d")


def test_machines() -> None:
    """Every kind of difference is found; equal machines have none."""
    nic = QomObject("/machine/nic", "nic", (Property("x", "bool", True),))
    other = QomObject("/machine/nic", "nic", (Property("x", "bool", False), Property("y", "str", "a")))
    old = machine(
        nic, QomObject("/machine/bus", "bus"), QomObject("/machine/bus/child", "nic"),
        sections=(Section("nic", 0, 1),), ram_blocks=(RamBlock("ram", 1),), cpu=Cpu("x-cpu", {"avx": True}),
    )  # fmt: skip
    new = machine(
        other, of=info("pc", ("nic", "y", "a")), sections=(Section("nic", 0, 2),), ram_blocks=(RamBlock("ram", 2),),
        cpu=Cpu("x-cpu", {"avx": False}), default_devices=("VGA",),
    )  # fmt: skip
    found = [(each.kind, each.subject, each.old, each.new) for each in compare_machines(old, new)]
    assert found == [
        (Kind.COMPAT_PROPERTY, "nic.y", None, "a"),
        (Kind.DEFAULT_DEVICE, "VGA", None, 1),
        (Kind.RAM_BLOCK, "ram", 1, 2),
        (Kind.SECTION, "nic 0", 1, 2),
        (Kind.CPU, "avx", True, False),
        (Kind.OBJECT, "/machine/bus", "bus", None),
        (Kind.PROPERTY, "/machine/nic.x", True, False),
        (Kind.PROPERTY, "/machine/nic.y", None, "a"),
    ]
    assert compare_machines(old, old) == []


def test_canonical_paths() -> None:
    """Numbers that QOM makes become numbers among objects of a type, by creation; links follow."""
    link = Property("bus", "link<bus>", "/machine/unattached/device[10]")
    objects = [
        QomObject("/machine/unattached/device[10]", "bus"),
        QomObject("/machine/unattached/device[10]/child", "nic"),
        QomObject("/machine/unattached/device[2]", "nic", (link,)),
        QomObject("/machine/unattached/device[9]", "bus"),
    ]
    found = canonical_objects(objects)
    assert list(found) == [
        "/machine/unattached/bus[1]", "/machine/unattached/bus[1]/child", "/machine/unattached/nic[0]",
        "/machine/unattached/bus[0]",
    ]  # fmt: skip
    assert found["/machine/unattached/nic[0]"].properties[0].value == "/machine/unattached/bus[1]"
