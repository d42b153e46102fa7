"""Built-in devices: examples from QEMU 10.0's x86_64 target, written as a device author writes them, and machine types.

Each file declares one device, or a family of devices that share a description. Its docstring names the techniques that
it demonstrates and QEMU's source files. State that several devices embed, such as PCIDevice, has a file of its own.
A file contains, in this order:

- the state struct with the members that are migrated (layout.py explains what is left out);
- conditions as functions of the state: ``needed`` of a subsection, ``test`` of a field;
- the VMStateDescription. Hooks return 0 on success, as in QEMU. A hook that needs a running guest is declared as True;
- the class_init functions and ``register_types``.

Every section of the dump equals that of Debian's QEMU 10.0.13 on amd64, byte for byte. Source: QEMU 10.0.
"""

from importlib import import_module

from vmdump.qom import TypeTable

#: Files that register types.
_MODULES = (
    "ahci", "cirrus_vga", "e1000", "es1370", "fdc", "fw_cfg", "hpet", "i2c", "i6300esb", "i8254", "i8257", "i8259",
    "ide", "ioapic", "isa", "lsi53c895a", "machines", "mc146818rtc", "parallel", "pci", "pcie_root_port", "pckbd",
    "pflash_cfi01", "piix4_pm", "ps2", "qdev", "rtl8139", "sd", "serial", "smbus_eeprom", "uhci", "usb", "usb_hid",
    "usb_hub", "vga", "virtio",
)  # fmt: skip


def register_types(table: TypeTable) -> None:
    """Register all built-in types in a table that has the base types.

    Raises:
        QOMError: a type of the same name is registered already.

    >>> from vmdump.qom import register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> register_types(table)
    >>> table.object_class_by_name("lsi53c810").vmsd.name
    'lsiscsi'
    """
    for module in _MODULES:
        import_module(f"{__name__}.{module}").register_types(table)
