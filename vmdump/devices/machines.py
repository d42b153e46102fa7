"""Machine types: none and the PCs.

The machine type only determines the machine name in a dump; the devices are the same for all of them.

Source: QEMU 10.0 hw/core/null-machine.c, hw/i386/x86.c, hw/i386/pc.c, hw/i386/pc_piix.c, hw/i386/pc_q35.c,
hw/i386/microvm.c.
"""

from typing import Any

from vmdump.qom import MachineClass, TypeInfo, TypeTable


def machine_none_machine_init(mc: MachineClass, data: Any) -> None:
    mc.desc = "empty machine"


def pc_i440fx_machine_10_0_class_init(mc: MachineClass, data: Any) -> None:
    mc.family = "pc_piix"
    mc.desc = "Standard PC (i440FX + PIIX, 1996)"
    mc.alias = "pc"
    mc.is_default = True


def pc_q35_machine_10_0_class_init(mc: MachineClass, data: Any) -> None:
    mc.family = "pc_q35"
    mc.desc = "Standard PC (Q35 + ICH9, 2009)"
    mc.alias = "q35"


def isapc_machine_class_init(mc: MachineClass, data: Any) -> None:
    mc.desc = "ISA-only PC"


def microvm_class_init(mc: MachineClass, data: Any) -> None:
    mc.family = "microvm_i386"
    mc.desc = "microvm (i386)"


def register_types(table: TypeTable) -> None:
    table.type_register(TypeInfo("none-machine", parent="machine", class_init=machine_none_machine_init))
    table.type_register(TypeInfo("x86-machine", parent="machine", abstract=True))
    table.type_register(TypeInfo("generic-pc-machine", parent="x86-machine", abstract=True))
    table.type_register(
        TypeInfo("pc-i440fx-10.0-machine", parent="generic-pc-machine", class_init=pc_i440fx_machine_10_0_class_init)
    )
    table.type_register(
        TypeInfo("pc-q35-10.0-machine", parent="generic-pc-machine", class_init=pc_q35_machine_10_0_class_init)
    )
    table.type_register(TypeInfo("isapc-machine", parent="generic-pc-machine", class_init=isapc_machine_class_init))
    table.type_register(TypeInfo("microvm-machine", parent="x86-machine", class_init=microvm_class_init))
