"""Built-in devices: each section compared with a real QEMU's dump, classes, structs, machine types."""

import doctest
import importlib
import json
import pkgutil
import re
from ctypes import Structure, c_uint8, c_uint64, c_void_p, sizeof

import pytest
from support.dumps import read_real_dump

import vmdump
from vmdump import devices
from vmdump.devices import e1000, fdc, fifo8, hpet, layout, mc146818rtc, pci, piix4_pm, ps2, serial, usb_hid
from vmdump.errors import QOMError, VMStateError
from vmdump.qom import DeviceCategory, TypeTable, register_base_types
from vmdump.vmstate import VMSTATE_UINT8, VMStateDescription, VMStateField, VMStateFlags

#: Device kinds, each with at least one concrete type.
KINDS = {
    "serial port": {"isa-serial", "pci-serial"},
    "parallel port": {"isa-parallel"},
    "clock": {"mc146818rtc"},
    "timer": {"isa-pit", "kvm-pit", "hpet"},
    "interrupt controller": {"isa-i8259", "kvm-i8259", "ioapic", "kvm-ioapic"},
    "DMA controller": {"i8257"},
    "PS/2": {"i8042", "ps2-kbd", "ps2-mouse"},
    "floppy controller": {"isa-fdc"},
    "network card": {"rtl8139", "e1000", "e1000-82544gc", "e1000-82545em"},
    "IDE and SATA controller": {"piix3-ide", "piix4-ide", "ich9-ahci"},
    "SCSI controller": {"lsi53c895a", "lsi53c810"},
    "USB device": {"usb-kbd", "usb-mouse", "usb-tablet", "usb-hub"},
    "USB controller": {"piix3-usb-uhci", "piix4-usb-uhci", *(f"ich9-usb-uhci{n}" for n in range(1, 7))},
    "virtio": {"virtio-rng-device", "virtio-balloon-device", "virtio-blk-device", "virtio-net-device"},
    "PCI bridge": {"pcie-root-port"},
    "power management": {"PIIX4_PM"},
    "SMBus": {"smbus-eeprom"},
    "firmware": {"fw_cfg_io", "fw_cfg_mem"},
    "display": {"isa-vga", "VGA", "secondary-vga", "cirrus-vga", "isa-cirrus-vga"},
    "sound": {"ES1370"},
    "watchdog": {"i6300esb"},
    "flash": {"cfi.pflash01"},
    "memory card": {"sd-card", "sd-card-spi", "emmc"},
}

#: Abstract types with a description, which a dump also contains.
ABSTRACT = {"pit-common", "pic-common", "ioapic-common", "pci-uhci-usb", "pci-vga", "fw_cfg", "sdmmc-common"}
NAMES = sorted(set().union(*KINDS.values()) | ABSTRACT)


@pytest.fixture(scope="module")
def real() -> dict:
    """QEMU 10.0.13's dump, parsed."""
    return json.loads(read_real_dump("10.0.13", "x86_64"))


@pytest.fixture(scope="module")
def table() -> TypeTable:
    """A type table with the built-in types."""
    table = TypeTable()
    register_base_types(table)
    devices.register_types(table)
    return table


def sections(dump: bytes) -> dict[str, bytes]:
    """Return the text of each device's section."""
    found = re.findall(rb'^  "([^"]+)": \{\n.*?^  \}', dump, re.MULTILINE | re.DOTALL)
    starts = [dump.index(b'\n  "%s": {\n' % name) for name in found]
    ends = [*starts[1:], len(dump) - len(b"\n}\n")]
    return {
        name.decode(): dump[start:end].strip(b",\n")
        for name, start, end in zip(found, starts, ends, strict=True)
        if name != b"vmschkmachine"
    }


def differences(vmsd: VMStateDescription, dumped: dict, where: str) -> list[str]:
    """Return every attribute that differs; attributes are printed by the rules of dump_vmstate_vmsd."""
    ours = {"name": vmsd.name, "version_id": vmsd.version_id, "minimum_version_id": vmsd.minimum_version_id}
    if vmsd.fields is not None:
        ours["Fields"] = [field for field in vmsd.fields if not field.flags & VMStateFlags.MUST_EXIST]
    if vmsd.subsections is not None:
        ours["Subsections"] = vmsd.subsections
    found = [f"{where}: {key} on one side" for key in sorted(ours.keys() ^ dumped.keys())]
    for key in ours.keys() & dumped.keys():
        if key not in ("Fields", "Subsections"):
            if ours[key] != dumped[key]:
                found.append(f"{where}.{key}: {ours[key]} is not {dumped[key]}")
        elif len(ours[key]) != len(dumped[key]):
            found.append(f"{where}: {len(ours[key])} {key} are not {len(dumped[key])}")
        else:
            compare = field_differences if key == "Fields" else differences
            for index, (our, theirs) in enumerate(zip(ours[key], dumped[key], strict=True)):
                found += compare(our, theirs, f"{where}.{key}[{index}]")
    return found


def field_differences(field: VMStateField, dumped: dict, where: str) -> list[str]:
    """The same for one field."""
    ours = {"field": field.name, "version_id": field.version_id, "field_exists": bool(field.field_exists)}
    if field.flags & VMStateFlags.ARRAY:
        ours["num"] = field.num
    ours["size"] = field.size
    nested = dumped.get("Description")
    found = [] if (nested is None) == (field.vmsd is None) else [f"{where}: Description on one side"]
    if nested is not None and field.vmsd is not None:
        found += differences(field.vmsd, nested, f"{where}.{field.name}")
    theirs = {key: value for key, value in dumped.items() if key != "Description"}
    if ours != theirs:
        found.append(f"{where}: {ours} is not {theirs}")
    return found


# The dump


def test_which_devices(table: TypeTable) -> None:
    """The devices with a description are those listed above: at least 18 concrete ones of at least 10 kinds."""
    classes = table.object_class_get_list("device", include_abstract=True)
    described = [klass for klass in classes if klass.vmsd is not None]
    assert sorted(klass.get_name() for klass in described) == NAMES
    concrete = {klass.get_name() for klass in described if not table.object_class_is_abstract(klass)}
    assert concrete == set(NAMES) - ABSTRACT
    assert len({id(klass.vmsd) for klass in described if klass.get_name() in concrete}) >= 18
    assert len(KINDS) >= 10
    assert sum(len(names) for names in KINDS.values()) == len(concrete), "a device is of two kinds"


@pytest.mark.parametrize("name", NAMES)
def test_description(name: str, table: TypeTable, real: dict) -> None:
    """Every attribute of the description matches QEMU's and vice versa."""
    assert differences(table.object_class_by_name(name).vmsd, real[name]["Description"], name) == []


def test_description_comparison_can_fail(real: dict) -> None:
    """An additional or missing field or subsection, or another value, is found."""
    vmsd = mc146818rtc.vmstate_rtc
    for path, value in (
        (("version_id",), 4),
        (("Fields", 0, "size"), 129),
        (("Fields", 0, "num"), 128),
        (("Fields", 3, "field_exists"), True),
        (("Fields", 5, "Description"), {"name": "x", "version_id": 0, "minimum_version_id": 0}),
        (("Subsections", 0, "Fields", 0, "field"), "irq_reinject"),
        (("Subsections", 0, "Fields"), []),
        (("Fields",), real["hpet"]["Description"]["Fields"]),
    ):
        changed = json.loads(json.dumps(real["mc146818rtc"]["Description"]))
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        assert differences(vmsd, changed, "rtc"), path
    for key in ("Fields", "Subsections"):
        changed = {k: v for k, v in real["mc146818rtc"]["Description"].items() if k != key}
        assert differences(vmsd, changed, "rtc") == [f"rtc: {key} on one side"]


@pytest.mark.parametrize("engine", vmdump.Engine)
def test_bytes_of_sections(engine: vmdump.Engine) -> None:
    """Each section equals QEMU's byte for byte, through the public API."""
    theirs = sections(read_real_dump("10.0.13", "x86_64"))
    ours = sections(vmdump.Session(entry_points=False).dump(machine="none").to_bytes(engine=engine))
    assert len(theirs) == 225
    assert sorted(ours) == NAMES
    assert [name for name in NAMES if ours[name] != theirs[name]] == []


# The classes


def test_inherited_descriptions(table: TypeTable) -> None:
    """Children have their parent's description, as the same object."""
    for child, parent in (
        ("isa-pit", "pit-common"),
        ("kvm-pit", "pit-common"),
        ("kvm-i8259", "pic-common"),
        ("lsi53c810", "lsi53c895a"),
        ("ich9-usb-uhci6", "pci-uhci-usb"),
        ("secondary-vga", "pci-vga"),
        ("fw_cfg_mem", "fw_cfg"),
        ("sd-card-spi", "sd-card"),
        ("emmc", "sdmmc-common"),
    ):
        klass = table.object_class_by_name(child)
        assert klass.vmsd is table.object_class_by_name(parent).vmsd, child
        assert table.object_class_dynamic_cast(klass, parent) is klass, child
    assert table.object_class_by_name("usb-mouse").vmsd is table.object_class_by_name("usb-tablet").vmsd


def test_parents_without_description(table: TypeTable) -> None:
    """If QEMU's parent class sets no description, the built-in one does not either."""
    for name in ("device", "pci-device", "pci-ide", "e1000-base", "usb-hid", "ps2-device", "serial", "virtio-device"):
        assert table.object_class_by_name(name).vmsd is None, name


def test_class_members(table: TypeTable) -> None:
    """Bus, category, user_creatable and hotpluggable of some devices are QEMU's."""
    facts = {
        "isa-serial": ("ISA", DeviceCategory.INPUT, True, True),
        "mc146818rtc": ("ISA", DeviceCategory.MISC, True, True),
        "isa-pit": ("ISA", DeviceCategory(0), False, True),
        "hpet": ("System", DeviceCategory(0), False, True),
        "piix3-ide": ("PCI", DeviceCategory.STORAGE, True, False),
        "lsi53c810": ("PCI", DeviceCategory.STORAGE, True, True),
        "PIIX4_PM": ("PCI", DeviceCategory(0), False, False),
        "piix3-usb-uhci": ("PCI", DeviceCategory.USB, True, True),
        "ich9-usb-uhci1": ("PCI", DeviceCategory.USB, True, False),
        "usb-hub": ("usb-bus", DeviceCategory.BRIDGE, True, True),
        "smbus-eeprom": ("i2c-bus", DeviceCategory.MISC, False, True),
        "virtio-net-device": ("virtio-bus", DeviceCategory.NETWORK, True, True),
        "emmc": ("sd-bus", DeviceCategory.STORAGE, False, True),
        "i6300esb": ("PCI", DeviceCategory.WATCHDOG, True, True),
    }
    for name, fact in facts.items():
        klass = table.object_class_by_name(name)
        assert (klass.bus_type, klass.categories, klass.user_creatable, klass.hotpluggable) == fact, name
    assert table.object_class_by_name("isa-fdc").desc == "virtual floppy controller"
    assert table.object_class_by_name("isa-fdc").fw_name == "fdc"


def test_pci_interfaces(table: TypeTable) -> None:
    """Every concrete PCI device implements the conventional or the Express interface."""
    for klass in table.object_class_get_list("pci-device", include_abstract=False):
        kinds = [
            table.object_class_dynamic_cast(klass, f"{kind}-device") for kind in ("conventional-pci", "pci-express")
        ]
        assert sum(kind is not None for kind in kinds) == 1, klass
    assert table.object_class_dynamic_cast(table.object_class_by_name("pcie-root-port"), "pci-express-device")


def test_register_twice(table: TypeTable) -> None:
    """A second registration is an error."""
    with pytest.raises(QOMError, match="already exists"):
        devices.register_types(table)


def test_machines(table: TypeTable) -> None:
    """Machine types have QEMU 10.0's names, aliases, descriptions and families; the i440FX PC is the default."""
    machines = table.object_class_get_list("machine", include_abstract=False)
    assert {mc.name: (mc.alias, mc.desc, mc.is_default, mc.family) for mc in machines} == {
        "none": (None, "empty machine", False, None),
        "pc-i440fx-10.0": ("pc", "Standard PC (i440FX + PIIX, 1996)", True, "pc_piix"),
        "pc-q35-10.0": ("q35", "Standard PC (Q35 + ICH9, 2009)", False, "pc_q35"),
        "isapc": (None, "ISA-only PC", False, None),
        "microvm": (None, "microvm (i386)", False, "microvm_i386"),
    }
    assert {mc.get_name() for mc in machines} == {f"{mc.name}-machine" for mc in machines}


def test_machine_in_dump() -> None:
    """The machine type changes only the name; the default is the i440FX PC."""
    session = vmdump.Session(entry_points=False)
    default = session.dump()
    assert default.machine == "pc-i440fx-10.0"
    q35 = session.dump(machine="q35")
    assert q35.machine == "pc-q35-10.0"
    assert sections(q35.to_bytes()) == sections(default.to_bytes())


# The structs


def assert_inside(vmsd: VMStateDescription, size: int) -> None:
    """Check that every field lies inside a struct of that size, recursively."""
    for field in vmsd.fields:
        behind_pointer = field.flags & VMStateFlags.POINTER or field.info is pci.vmstate_info_pci_config
        length = sizeof(c_void_p) if behind_pointer else field.size * max(1, field.num)
        assert field.offset is not None, (vmsd.name, field.name)
        assert field.offset + length <= size, (vmsd.name, field.name)
        if field.vmsd is not None:
            assert_inside(field.vmsd, field.size)
    for subsection in vmsd.subsections or ():
        assert_inside(subsection, size)


def test_offsets(table: TypeTable) -> None:
    """Every field has an offset and lies inside its struct, at any depth."""
    for name in NAMES:
        klass = table.object_class_by_name(name)
        assert_inside(klass.vmsd, klass.type.instance_size)


def test_named_indices() -> None:
    """Registers named by index lie at the documented register offsets."""
    offsets = {field.name: field.offset for field in e1000.vmstate_e1000.fields}
    start = e1000.E1000State.mac_reg.offset
    assert offsets["mac_reg[STATUS]"] == start + 0x8
    assert offsets["mac_reg[SWSM]"] == start + 0x5B50
    assert piix4_pm.vmstate_acpi.fields[9].offset == piix4_pm.PIIX4PMState.acpi_pci_hotplug.offset


def test_whole_structs() -> None:
    """Fully declared structs have QEMU's layout: the last member's offset follows from the x86_64 ABI."""
    assert fdc.FDrive.media_validated.offset == 47
    assert hpet.HPETTimer.last.offset == 72
    assert usb_hid.HIDState.s.offset == 296
    assert ps2.PS2State.irq.offset == 1088
    assert piix4_pm.ACPIGPE.en.offset == 16


def test_union() -> None:
    """Keyboard and pointer share their memory."""
    hid = usb_hid.HIDState()
    hid.ptr.queue[0].xdx = 0x04030201
    assert hid.kbd.keycodes[0] == 0x04030201
    assert usb_hid.vmstate_hid_ptr_device.fields[0].offset == usb_hid.vmstate_hid_keyboard_device.fields[0].offset == 0


def test_sized() -> None:
    """A struct padded to a size keeps name and members and can be a member itself; impossible sizes are refused."""

    class Registers(Structure):
        """Two registers."""

        _fields_ = [("now", c_uint64), ("mode", c_uint8)]

    whole = layout.sized(40)(Registers)
    assert (sizeof(whole), whole.__name__, whole.__doc__) == (40, "Registers", "Two registers.")
    assert whole.__module__ == __name__
    assert VMSTATE_UINT8("mode", whole).offset == 8
    assert sizeof(layout.sized(16)(Registers)) == 16
    with pytest.raises(VMStateError, match="Registers: the declared members need 16 bytes, more than 12"):
        layout.sized(12)(Registers)
    with pytest.raises(VMStateError, match="Registers: its alignment makes it 40 bytes, not 36"):
        layout.sized(36)(Registers)


def test_opaque() -> None:
    """An opaque struct has its size and the alignment of pointers."""

    class Holder(Structure):
        _fields_ = [("byte", c_uint8), ("device", layout.opaque("DeviceState", 152))]

    assert Holder.device.offset == 8
    assert sizeof(Holder) == 160


def test_header_macros_for_others() -> None:
    """Macros that no built-in device uses describe the member that they name."""
    fifo = fifo8.VMSTATE_FIFO8("xmit_fifo", serial.SerialState)
    assert (fifo.offset, fifo.size, fifo.version_id) == (serial.SerialState.xmit_fifo.offset, 24, 0)
    assert (fifo.vmsd, fifo.flags, fifo.field_exists) == (fifo8.vmstate_fifo8, VMStateFlags.STRUCT, None)
    msix = pci.VMSTATE_MSIX("parent_obj", e1000.E1000State)
    assert (msix.offset, msix.size, msix.vmsd, msix.field_exists) == (0, 2736, pci.vmstate_msix, None)
    with pytest.raises(VMStateError, match="xmit_fifo"):
        pci.VMSTATE_PCI_DEVICE("xmit_fifo", serial.SerialState)


# The files


def test_sources_are_named() -> None:
    """Each device's file names its QEMU source file."""
    for module in pkgutil.iter_modules(devices.__path__):
        if module.name != "layout":
            doc = importlib.import_module(f"vmdump.devices.{module.name}").__doc__
            assert re.search(r"\n\nSource: QEMU 10\.0 (hw|include)/\S+\.[ch]", doc), module.name


@pytest.mark.parametrize("module", [devices, layout])
def test_examples(module: object) -> None:
    """The examples in the documentation run."""
    assert doctest.testmod(module).failed == 0
