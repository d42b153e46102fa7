"""A machine that does not start: devices, buses, properties, files, accelerators; and crashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.explain.known_line import line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmdump.explain.context import Context, Row

_ADD = "system/qdev-monitor.c qdev_device_add_from_qdict"
_CLASS = "system/qdev-monitor.c qdev_get_device_class"

#: Usual causes of assertions that fail in a load or save, by function.
_ASSERTIONS = {
    "kvm_buf_set_msrs": "KVM of this host refused a register; the line before names it",
    "kvm_get_msrs": "KVM of this host can't read a register; the line before names it",
    "vmstate_save_state_v": "an array that the device saves was never allocated: a defect of the device",
    "vmstate_load_state": "an array that the device loads was never allocated: a defect of the device, or the "
    "destination's configuration gives it no elements",
    "vmstate_subsection_load": "a subsection's name does not begin with its parent's",
}


def _type(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    yield from context.type_row(arguments["device"])


def _assertion(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    yield "source file", f"{arguments['file']}, line {arguments['number']}"
    if known := _ASSERTIONS.get(arguments["function"]):
        yield "usual cause", known


LINES = (
    line(
        "device_unknown",
        "'{device}' is not a valid device model name",
        what="this QEMU has no device type {device}: it is older or newer than the type, built without it, or the "
        "package with the type's module is not installed",
        remedy="vmdump devices --all BINARY lists the types; install the module's package, or use the QEMU that has it",
        source=_CLASS,
        details=_type,
    ),
    line(
        "device_not_pluggable",
        "Parameter '{name}' expects a pluggable device type",
        what="the type exists, and users can't add it with -device: the board creates it",
        source=_CLASS,
    ),
    line(
        "device_not_dynamic",
        "Parameter '{name}' expects a dynamic sysbus device type for the machine",
        "Device {device} can not be dynamically instantiated",
        what="the device sits on the system bus, and this machine type does not let users add it",
        remedy="use a machine type that allows it (Arm virt, q35, pseries allow some)",
        source=(_CLASS, "hw/core/machine.c device_is_dynamic_sysbus"),
    ),
    line(
        "bus_missing",
        "No '{bus}' bus found for device '{device}'",
        what="the machine has no {bus} bus for the device {device} to plug into, or it is full",
        remedy="add a controller that provides the bus, or use a board that has one; an I2C or SSI device belongs to a "
        "board with such a bus",
        source=_ADD,
        details=_type,
    ),
    line(
        "bus_unknown",
        "Bus '{bus}' not found",
        what="no bus is called {bus}: the id of a controller is wrong, or the machine type names its buses otherwise "
        "(pcie.0 on q35 and virt, pci.0 on pc)",
        remedy="info qtree in the monitor lists the buses",
        source="system/qdev-monitor.c qbus_find",
    ),
    line(
        "property_unknown",
        "Property '{object}.{property}' not found",
        what="{object} has no property {property} in this QEMU: it is newer or older than the property, or built "
        "without it",
        remedy="leave the option out; its default is what the other QEMU has. vmdump properties lists the properties "
        "of a type",
        source="qom/object.c object_property_find_err",
    ),
    line(
        "property_missing",
        "property '{property}' not specified",
        "'{link}' link is not set",
        "Target not set",
        "{property} property was not set",
        "drive property not set",
        what="a property that the device needs is not set",
        remedy="the property names what it needs: a color, a drive, the id of a device or backend. Devices with a link "
        "that only a board can set can't be added by users",
        source="the device's realize function",
    ),
    line(
        "nand_block",
        "Unsupported NAND block size 0x{size:x}",
        what="the NAND chip has no default geometry; its properties must describe one",
        source="hw/block/nand.c nand_realize",
    ),
    line(
        "iommu_bus",
        "VIRTIO-IOMMU is not attached to any PCI bus!",
        what="a virtio-iommu needs the PCI bus that it serves",
        remedy="use virtio-iommu-pci",
        source="hw/virtio/virtio-iommu.c virtio_iommu_device_realize",
    ),
    line(
        "memory_hotplug",
        "memory hotplug is not enabled: missing acpi-ged device",
        "memory hotplug is not enabled: missing acpi device",
        what="the machine can't add memory modules: it needs ACPI, and -m with slots and maxmem",
        source="hw/arm/virt.c virt_memory_pre_plug",
    ),
    line(
        "audio_driver",
        "no default audio driver available",
        "Unexpected error in audio_init() at {place}",
        what="no audio backend was given for a device that needs one",
        remedy="-audiodev none,id=a0 and audiodev=a0 of the device",
        source="audio/audio.c audio_init",
    ),
    line(
        "image_missing",
        "Kernel or Flash image must be specified",
        "Kernel or ROM image must be specified",
        "Kernel image must be specified",
        "A flash image must be given with the 'pflash' parameter",
        what="the board starts from an image, and none was given",
        remedy="give -kernel, -bios or -drive if=pflash, as the board needs",
        source="the board's init function",
    ),
    line(
        "firmware_missing",
        "Couldn't find rom image '{file}'.",
        "Could not find ROM image '{file}'",
        "could not load MacROM '{file}'",
        "Could not load ROM image '{file}'",
        "Could not load bios image '{file}'",
        "could not load PC BIOS '{file}'",
        'failed to find romfile "{file}"',
        'failed to load romfile "{file}"',
        what="the firmware file {file} is not in QEMU's data directories",
        remedy="install the package that has it (ipxe-qemu, seabios, qemu-efi-*), or name the file; romfile= (empty) "
        "starts a device without a ROM. Its size matters to migration",
        source="hw/core/loader.c, hw/pci/pci.c pci_add_option_rom",
    ),
    line(
        "firmware_size",
        "{type} device '{id}' requires {wanted:d} bytes, {backend} block backend provides {given:d} bytes",
        "device requires {wanted:d} bytes, block backend provides {given:d} bytes",
        what="the flash image has {given} bytes, and the flash chip {wanted}",
        remedy="use the firmware build of the source: its size is part of the machine",
        source="hw/block/block.c blk_check_size_and_read_all",
    ),
    line(
        "accelerator",
        "invalid accelerator {accelerator}",
        "Could not access KVM kernel module: {error:line}",
        "failed to initialize kvm: {error:line}",
        what="this QEMU lacks the accelerator, or the host does not permit it (/dev/kvm)",
        remedy="-accel help lists those built in; for KVM, the user needs access to /dev/kvm",
        source=("system/vl.c do_configure_accelerator", "accel/kvm/kvm-all.c kvm_init"),
    ),
    line(
        "module_missing",
        "module {module} not found, do you want to install {package} package?",
        "{feature} not available. Perhaps you want to install {package} package?",
        what="a part of QEMU is in a module that is not installed",
        remedy="install the package {package} of the same version",
        source="util/module.c module_load (Debian's patch)",
    ),
    line(
        "efuse",
        "Please use efuse=on instead",
        what="the device needs the board's eFuses; this line belongs to the property given before",
        source="hw/riscv, hw/nvram",
    ),
    line(
        "timer_period",
        "Timer with period zero, disabling",
        what="a warning: a device's timer was started with a period of zero, and was stopped. It occurs when the state "
        "of a device without a clock is loaded or reset",
        source="hw/core/ptimer.c ptimer_reload",
        is_note=True,
    ),
    line(
        "nic_peer",
        "nic {nic} has no peer",
        "netdev {netdev} has no peer",
        what="a warning: the network card has no backend (-netdev), so it receives nothing",
        source="net/net.c net_check_clients",
        is_note=True,
    ),
    line(
        "assertion",
        "{file}:{number:d}: {function}: Assertion `{condition}' failed.",
        what="QEMU crashed: in {function} the condition {condition} does not hold. In a load it means that the stream "
        "brought a device into a state that its code rules out; else it is a defect of this QEMU",
        remedy="report it to QEMU's vendor with the command line; a newer version may have it fixed",
        source="assert()",
        printed_by="the C library",
        details=_assertion,
    ),
    line(
        "assertion_glib",
        "ERROR:{file}:{number:d}:{function}: assertion failed: ({condition})",
        "ERROR:{file}:{number:d}:{function}: code should not be reached",
        what="QEMU crashed in {function}: a condition that its code relies on does not hold",
        remedy="report it to QEMU's vendor with the command line; a newer version may have it fixed",
        source="g_assert()",
        printed_by="GLib",
        details=_assertion,
    ),
    line(
        "exit_by_signal",
        "shutting down, reason=crashed",
        "terminating on signal {signal:d}",
        what="QEMU ended by a signal: 6 is an assertion that failed (its line comes before), 9 was killed, for lack of "
        "memory for example, 11 is an access outside of its memory",
        remedy="for 6 and 11, report it with the command line and a backtrace; for 9, look at the kernel's log",
        source="signal(7)",
        printed_by="libvirt",
    ),
)
