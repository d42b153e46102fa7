"""Built-in devices: each section compared with a real QEMU's dump, conditions and hooks on real
state, machine types.
"""

import doctest
import importlib
import json
import pkgutil
import re
from ctypes import POINTER, Structure, addressof, c_int64, c_uint8, c_uint64, c_void_p, cast, pointer, sizeof

import pytest
from support.dumps import read_real_dump

import vmdump
from vmdump import devices
from vmdump.devices import (
    ahci,
    e1000,
    fdc,
    fifo8,
    fw_cfg,
    hpet,
    ide,
    layout,
    mc146818rtc,
    pci,
    pcie_root_port,
    pckbd,
    pflash_cfi01,
    piix4_pm,
    ps2,
    sd,
    serial,
    smbus_eeprom,
    usb_hid,
    vga,
)
from vmdump.errors import QOMError, VMStateError
from vmdump.qom import DeviceCategory, TypeTable, register_base_types
from vmdump.vmstate import VMSTATE_UINT8, QEMUTimer, VMStateDescription, VMStateField, VMStateFlags

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


# Conditions and hooks, on state as it is in memory


def armed_timer() -> QEMUTimer:
    """An armed timer."""
    timer = QEMUTimer()
    cast(pointer(timer), POINTER(c_int64))[0] = 1_000_000
    return timer


def stopped_timer() -> QEMUTimer:
    """A timer that is not armed."""
    timer = QEMUTimer()
    cast(pointer(timer), POINTER(c_int64))[0] = -1
    return timer


def needed(vmsd: VMStateDescription, state: Structure) -> set[str]:
    """Return the names of the subsections that would be sent. Those without a condition always are."""
    return {sub.name for sub in vmsd.subsections if sub.needed is None or sub.needed(state)}


def test_serial_subsections() -> None:
    """An idle UART sends none; each is sent if its state differs from what the destination assumes."""
    s = serial.SerialState(poll_msl=-1)
    assert needed(serial.vmstate_serial, s) == set()
    s.poll_msl = 0
    s.tsr_retry = 1
    s.timeout_ipending = 1
    s.recv_fifo.num = 3
    assert needed(serial.vmstate_serial, s) == {
        "serial/poll", "serial/tsr", "serial/timeout_ipending", "serial/recv_fifo"
    }  # fmt: skip


def test_serial_thr_ipending() -> None:
    """thr_ipending is sent if its interrupt is enabled and it differs from what the interrupt register implies."""
    sent = {
        (ier, iir, pending): serial.serial_thr_ipending_needed(
            serial.SerialState(ier=ier, iir=iir, thr_ipending=pending)
        )
        for ier in (0, serial.UART_IER_THRI)
        for iir in (0, serial.UART_IIR_THRI)
        for pending in (0, 1)
    }
    assert {case for case, is_sent in sent.items() if is_sent} == {(2, 0, 1), (2, 2, 0)}


def test_serial_timer() -> None:
    """The FIFO timeout is sent if its timer is armed; without a timer it is not."""
    s = serial.SerialState()
    assert not serial.serial_fifo_timeout_timer_needed(s)
    s.fifo_timeout_timer = pointer(stopped_timer())
    assert not serial.serial_fifo_timeout_timer_needed(s)
    s.fifo_timeout_timer = pointer(armed_timer())
    assert serial.serial_fifo_timeout_timer_needed(s)


def test_serial_hooks() -> None:
    """fcr is sent in a member of its own; state of optional subsections starts as absent."""
    s = serial.SerialState(fcr=0xC1)
    assert serial.vmstate_serial.pre_save(s) == 0
    assert s.fcr_vmstate == 0xC1
    assert serial.vmstate_serial.pre_load(s) == 0
    assert (s.thr_ipending, s.poll_msl) == (-1, -1)


@pytest.mark.parametrize(
    ("msr", "phase"),
    [(0x80, 1), (0xC0, 3), (0x00, 2), (0x40, 2), (0xA0, 2), (0xE0, 2)],
)
def test_fdc_phase(msr: int, phase: int) -> None:
    """A phase that follows from the main status register is not sent but restored; any other is sent."""
    source = fdc.FDCtrl(msr=msr, phase=phase)
    assert not fdc.fdc_phase_needed(source)
    source.phase = phase % 3 + 1
    assert fdc.fdc_phase_needed(source)
    destination = fdc.FDCtrl(phase=phase % 3 + 1)
    fdc.vmstate_fdc.pre_load(destination)
    destination.msr = msr
    fdc.vmstate_fdc.post_load(destination, 2)
    assert destination.phase == phase


def test_fdc_digital_output() -> None:
    """The selected drive is sent in the digital output register."""
    source = fdc.FDCtrl(dor=0x0C, cur_drv=1)
    fdc.vmstate_fdc.pre_save(source)
    destination = fdc.FDCtrl(dor_vmstate=source.dor_vmstate, phase=2)
    fdc.vmstate_fdc.post_load(destination, 2)
    assert (source.dor_vmstate, destination.dor, destination.cur_drv, destination.phase) == (0x0D, 0x0C, 1, 2)


def test_fdrive_subsections() -> None:
    """The data rate is always sent; media_changed only for a drive with a medium."""
    assert needed(fdc.vmstate_fdrive, fdc.FDrive()) == {"fdrive/media_rate"}
    full = fdc.FDrive(blk=1, perpendicular=1)
    assert needed(fdc.vmstate_fdrive, full) == {"fdrive/media_rate", "fdrive/media_changed", "fdrive/perpendicular"}
    full.media_changed = 1
    assert "fdrive/media_changed" not in needed(fdc.vmstate_fdrive, full)


@pytest.mark.parametrize(("extended", "pending_tmp"), [(False, 0x03), (True, 0x34)])
def test_kbd_pending(extended: bool, pending_tmp: int) -> None:
    """Pending data is sent in the current bits with the subsection, in the old ones without."""
    s = pckbd.KBDState(extended_state=extended, pending=0x34, outport=pckbd.KBD_OUT_RESET)
    assert pckbd.vmstate_kbd.pre_save(s) == 0
    assert s.pending_tmp == pending_tmp
    assert ("pckbd/extended_state" in needed(pckbd.vmstate_kbd, s)) == extended


def test_kbd_outport() -> None:
    """The output port is sent if it does not follow from the status."""
    for status, outport in ((0x00, 0xCF), (0x01, 0xDF), (0x21, 0xFF)):
        assert not pckbd.kbd_outport_needed(pckbd.KBDState(status=status, outport=outport))
        assert pckbd.kbd_outport_needed(pckbd.KBDState(status=status, outport=outport ^ 0x02))


def test_kbd_throttle_timer() -> None:
    """The subsection has whether the throttle timer was armed."""
    s = pckbd.KBDState(migration_flags=0xFF)
    pckbd.vmstate_kbd_extended_state.pre_save(s)
    assert s.migration_flags == 0
    s.throttle_timer = pointer(armed_timer())
    pckbd.vmstate_kbd_extended_state.pre_save(s)
    assert s.migration_flags == 1


def test_ps2_keyboard_subsections() -> None:
    """A keyboard in its usual state sends none. The reply queue is read through the base class's struct."""
    s = ps2.PS2KbdState()
    s.parent_obj.queue.cwptr = -1
    assert needed(ps2.vmstate_ps2_keyboard, s) == set()
    s.parent_obj.queue.cwptr = 4
    s.ledstate = 2
    s.need_high_bit = True
    assert len(needed(ps2.vmstate_ps2_keyboard, s)) == 3


def test_hpet() -> None:
    """The offset is sent only for a running timer; another number of timers fails the assertion."""
    s = hpet.HPETState(hpet_offset_saved=True, num_timers=3, num_timers_save=3)
    assert needed(hpet.vmstate_hpet, s) == set()
    s.config = hpet.HPET_CFG_ENABLE
    assert needed(hpet.vmstate_hpet, s) == {"hpet/offset"}
    s.hpet_offset_saved = False
    assert needed(hpet.vmstate_hpet, s) == set()
    (validate,) = (field for field in hpet.vmstate_hpet.fields if field.flags & VMStateFlags.MUST_EXIST)
    assert validate.field_exists(s, 2)
    s.num_timers_save = 32
    assert not validate.field_exists(s, 2)


@pytest.mark.parametrize("express", [False, True])
def test_pci_config_space(express: bool) -> None:
    """Exactly one of the two sizes of the config space is sent."""
    s = pci.PCIDevice(cap_present=0x5 if express else 0x1)
    sent = [f.size for f in pci.vmstate_pci_device.fields if f.field_exists and f.field_exists(s, 2)]
    assert sent == [4096 if express else 256]


def test_aer_log() -> None:
    """A log with more errors than room fails the assertion."""
    (validate,) = (f for f in pci.vmstate_pcie_aer_log.fields if f.flags & VMStateFlags.MUST_EXIST)
    assert validate.field_exists(pci.PCIEAERLog(log_num=8, log_max=8), 1)
    assert not validate.field_exists(pci.PCIEAERLog(log_num=9, log_max=8), 1)


def test_root_port_msix() -> None:
    """The root port sends MSI-X if the machine type has it enabled."""
    test = pcie_root_port.vmstate_rp_dev.fields[-1].field_exists
    assert test(pcie_root_port.GenPCIERootPort(migrate_msix=True), 1)
    assert not test(pcie_root_port.GenPCIERootPort(migrate_msix=False), 1)


@pytest.mark.parametrize(
    ("status", "error_status", "sent"), [(0x50, 0, False), (0x58, 0, True), (0x50, 0x10, True), (0x50, 0x08, False)]
)
def test_ide_pio_state(status: int, error_status: int, sent: bool) -> None:
    """A PIO transfer is sent while it runs, or if the bus will retry it."""
    bus = ide.IDEBus(error_status=error_status)
    drive = bus.ifs[0]
    drive.bus = addressof(bus)
    drive.status = status
    assert ide.ide_drive_pio_state_needed(drive) == sent


def test_ide_others() -> None:
    """The drive's identity, trays, events, errors and the bus master's status are each sent if not in the default
    state.
    """
    drive = ide.IDEState()
    assert not ide.is_identify_set(drive, 3)
    assert not ide.ide_tray_state_needed(drive)
    assert not ide.ide_atapi_gesn_needed(drive)
    drive.identify_set = drive.tray_locked = drive.events.new_media = 1
    assert ide.is_identify_set(drive, 3)
    assert ide.ide_tray_state_needed(drive)
    assert ide.ide_atapi_gesn_needed(drive)
    assert needed(ide.vmstate_ide_bus, ide.IDEBus(error_status=1)) == {"ide_bus/error"}
    assert needed(ide.vmstate_bmdma, ide.BMDMAState(status=0x07)) == set()
    assert needed(ide.vmstate_bmdma, ide.BMDMAState(status=0x40, cur_prd_len=1)) == {
        "ide bmdma/status",
        "ide bmdma_current",
    }


def test_ahci_ports() -> None:
    """The number of ports is at the offset to which the array of ports refers."""
    dev = ahci.vmstate_ahci.fields[0]
    assert dev.num_offset == ahci.AHCIState.ports.offset
    assert dev.offset == ahci.AHCIState.dev.offset


def test_e1000() -> None:
    """An instance id is present only in version 1; machine type flags enable subsections."""
    unused = e1000.vmstate_e1000.fields[1]
    assert unused.field_exists(e1000.E1000State(), 1)
    assert not unused.field_exists(e1000.E1000State(), 2)
    assert needed(e1000.vmstate_e1000, e1000.E1000State()) == {"e1000/mit_state"}
    s = e1000.E1000State(compat_flags=0x0C)
    assert needed(e1000.vmstate_e1000, s) == {"e1000/mit_state", "e1000/full_mac_state", "e1000/tx_tso_state"}
    e1000.vmstate_e1000_tx_tso_state.post_load(s, 1)
    assert s.received_tx_tso


def test_piix4_pm() -> None:
    """With the hotplug bridge all buses' status is sent, without it the default bus's; memory and CPUs likewise."""
    s = piix4_pm.PIIX4PMState()

    def sent() -> list[str]:
        fields = piix4_pm.vmstate_acpi.fields
        return [f.name.removeprefix("acpi_pci_hotplug.") for f in fields if f.field_exists and f.field_exists(s, 3)]

    assert sent() == ["smb", "acpi_pcihp_pci_status[0x0]"]
    s.acpi_pci_hotplug.use_acpi_hotplug_bridge = True
    assert sent() == ["smb", "hotplug_select", "acpi_pcihp_pci_status", "acpi_index"]
    s.not_migrate_acpi_index = True
    assert sent() == ["smb", "hotplug_select", "acpi_pcihp_pci_status"]
    assert needed(piix4_pm.vmstate_acpi, s) == {"piix4_pm/cpuhp"}
    s.cpu_hotplug_legacy = s.acpi_memory_hotplug.is_enabled = True
    assert needed(piix4_pm.vmstate_acpi, s) == {"piix4_pm/memhp"}


def test_smbus_eeprom() -> None:
    """An EEPROM that was not accessed, and has no transfer in progress, has no section."""
    eeprom = smbus_eeprom.SMBusEEPROMDevice()
    condition = smbus_eeprom.vmstate_smbus_eeprom.needed
    assert not condition(eeprom)
    eeprom.accessed = True
    assert condition(eeprom)
    eeprom.accessed = False
    eeprom.smbusdev.mode = -1
    assert condition(eeprom)


def test_fw_cfg() -> None:
    """The sizes are sent unless all are whole pages; the narrow offset is read only in version 1."""
    s = fw_cfg.FWCfgState(acpi_mr_restore=True, table_mr_size=1 << 17, linker_mr_size=1 << 16, rsdp_mr_size=1 << 16)
    assert needed(fw_cfg.vmstate_fw_cfg, s) == set()
    s.rsdp_mr_size = 0x1001
    s.dma_enabled = True
    assert needed(fw_cfg.vmstate_fw_cfg, s) == {"fw_cfg/acpi_mr", "fw_cfg/dma"}
    s.acpi_mr_restore = False
    assert needed(fw_cfg.vmstate_fw_cfg, s) == {"fw_cfg/dma"}
    narrow = fw_cfg.vmstate_fw_cfg.fields[1]
    assert (narrow.info.name, narrow.field_exists(s, 1), narrow.field_exists(s, 2)) == ("int32_as_uint16", True, False)


def test_vga_endian() -> None:
    """The byte order of the frame buffer is sent if it is not the default."""
    assert needed(vga.vmstate_vga_common, vga.VGACommonState(big_endian_fb=True)) == {"vga.endian"}
    assert needed(vga.vmstate_vga_common, vga.VGACommonState(big_endian_fb=True, default_endian_fb=True)) == set()


def test_pflash_block_write() -> None:
    """A block write is sent while in progress; otherwise blk_offset is all ones."""
    assert needed(pflash_cfi01.vmstate_pflash, pflash_cfi01.PFlashCFI01(blk_offset=-1)) == set()
    assert needed(pflash_cfi01.vmstate_pflash, pflash_cfi01.PFlashCFI01()) == {"pflash_cfi01_blk_write"}


def test_sd_power_up() -> None:
    """A card is powered up unless the subsection is received, which is sent for one that is not."""
    card = sd.SDState(ocr=0x00FFFF00)
    assert sd.sd_ocr_vmstate_needed(card)
    sd.sd_vmstate.pre_load(card)
    assert card.ocr == 0x80FFFF00
    assert not sd.sd_ocr_vmstate_needed(card)


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
