"""The built-in tree: devices of QEMU 10.0's x86_64, declared in Python as an author would, and machine types for them.

A file is a device, or a family of devices that share a description; its docstring says what it shows and where QEMU has
it. What several files need, such as a PCI device's own state, has a file too. In each:

- the state struct, with the members that migrate (see layout.py on the rest);
- the conditions, ``needed`` of a subsection and ``test`` of a field, as functions of the state;
- the VMStateDescription. Hooks return 0, as QEMU's do; one that is there in QEMU but needs a running guest is True;
- class_init functions and ``register_types``.

Every section of the dump equals that of Debian's QEMU 10.0.13 on amd64, byte for byte. Source: QEMU 10.0.
"""

from importlib import import_module

from vmdump.qom import TypeTable

#: The files that have types to register.
_MODULES = (
    "ahci", "cirrus_vga", "e1000", "es1370", "fdc", "fw_cfg", "hpet", "i2c", "i6300esb", "i8254", "i8257", "i8259",
    "ide", "ioapic", "isa", "lsi53c895a", "machines", "mc146818rtc", "parallel", "pci", "pcie_root_port", "pckbd",
    "pflash_cfi01", "piix4_pm", "ps2", "qdev", "rtl8139", "sd", "serial", "smbus_eeprom", "uhci", "usb", "usb_hid",
    "usb_hub", "vga", "virtio",
)  # fmt: skip


def register_types(table: TypeTable) -> None:
    """Adds all built-in types to a table that has the base types.

    Raises QOMError when a type of that name is there already.

    >>> from vmdump.qom import register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> register_types(table)
    >>> table.object_class_by_name("lsi53c810").vmsd.name
    'lsiscsi'
    """
    for module in _MODULES:
        import_module(f"{__name__}.{module}").register_types(table)
