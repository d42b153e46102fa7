"""What QEMU does before it would dump, in its order: constructors, module init functions, machines, devices.

Source: QEMU 7.2 and 10.0 system/vl.c qemu_init, qemu_create_machine; util/module.c.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Sequence

from vmdump.emulator.elf import ElfFile, MappedObject
from vmdump.emulator.find_functions import Functions
from vmdump.emulator.guest import Guest
from vmdump.errors import SourceError
from vmdump.sources.qemu_image.machine_types import MachineType

#: Where MachineClass.is_default may be, in bytes: between its first functions and the options behind it. It was at 197
#: in QEMU 5.2, 189 in 7.2, 198 in 10.0, 206 in 11.1.
_IS_DEFAULT_WINDOW = range(168, 224)

#: MODULE_INIT_BLOCK: its functions register block drivers, which are no QOM types.
_BLOCK = 1


class Qemu:
    """A QEMU in a guest, with its QOM types registered."""

    def __init__(
        self, guest: Guest, elf: ElfFile, main: MappedObject, on_phase: Callable[[str], None] = lambda name: None
    ) -> None:
        """Boots it; on_phase as in QemuImage. Raises SourceError."""
        on_phase("constructors")
        self.guest, self.main = guest, main
        self.functions = Functions(guest, elf, main)
        self._redirect("register_module_init", guest.host_function("register_dso_module_init"), elf.e_machine)
        guest.call_all(main.constructors)
        on_phase("init functions")
        self._call_inits(guest.take_typed_inits())

    def _redirect(self, name: str, target: int, e_machine: int) -> None:
        """Makes a function of the guest a jump to another one."""
        jump = {62: b"\x48\xb8%s\xff\xe0", 183: b"\x50\x00\x00\x58\x00\x02\x1f\xd6%s"}[e_machine]
        self.guest.write(self.functions.get(name), jump % struct.pack("<Q", target))

    def _call_inits(self, inits: Sequence[tuple[int, int]]) -> None:
        """Calls the init functions of the types up to QOM's, which is the one that most functions are of."""
        if not inits:
            raise SourceError(f"{self.guest.name}: its constructors queue no init functions; is it a QEMU?")
        ((qom, _),) = Counter(kind for _, kind in inits).most_common(1)
        for wanted in sorted({kind for _, kind in inits if kind <= qom} - {_BLOCK}):
            if wanted == qom:
                self._call_if_there("target_info_qom_set_target")
            self.guest.call_all([function for function, kind in inits if kind == wanted])

    def _call_if_there(self, name: str) -> None:
        """Calls a function that only some QEMUs have."""
        if function := self.functions.find(name):
            self.guest.call(function)

    def classes(self, implements_type: str, *, include_abstract: bool) -> list[int]:
        """object_class_get_list: the addresses of the classes, initialised."""
        get_list = self.functions.get("object_class_get_list")
        return list(self.guest.slist(self.guest.call(get_list, self.guest.string(implements_type), include_abstract)))

    def type_name(self, klass: int) -> str:
        """A class's type name: ObjectClass.type->name, both at offset 0."""
        return self.guest.text(self.guest.pointer(self.guest.pointer(klass)))

    def has_type(self, name: str) -> bool:
        """Whether a type is registered."""
        by_name = self.main.symbols.get("object_class_by_name")
        if by_name is None:
            return bool(self.classes(name, include_abstract=True))
        return self.guest.call(by_name, self.guest.string(name)) != 0

    def machines(self) -> list[MachineType]:
        """The machine types that are not abstract, in QEMU's order.

        MachineClass begins with family, name, alias, desc and deprecation_reason, from 96 bytes on.
        """
        classes = self.classes(self._machine_typename(), include_abstract=False)
        default = self._default_machine(classes)
        machines = []
        for klass in classes:
            family, name, alias, desc, deprecation_reason = (
                self.guest.text(at) if at else None
                for at in (self.guest.pointer(klass + 96 + 8 * index) for index in range(5))
            )
            if f"{name}-machine" != self.type_name(klass):
                raise SourceError(f"{self.guest.name}: its MachineClass has an unknown layout; --run runs it instead")
            machines.append(MachineType(str(name), alias, desc, family, deprecation_reason, klass == default))
        return machines

    def _machine_typename(self) -> str:
        """The type that the target's machines implement. Source: QEMU 11.1 include/qemu/target-info-impl.h TargetInfo.

        A binary may hold machines of several targets, and says in TargetInfo.machine_typename which are its own: the
        one of its first words that is the name of a machine type. TargetInfo hangs on the one class of target-info.
        """
        if self.functions.find("target_info_qom_set_target"):
            for klass in self.classes("target-info", include_abstract=False):
                info = self.guest.pointer(klass + 96)
                for word in range(8):
                    address = self.guest.pointer(info + 8 * word)
                    if self.guest.holds(address, 1) and (name := self.guest.text(address)).endswith("machine"):
                        return name
        return "machine"

    def _default_machine(self, classes: Sequence[int]) -> int | None:
        """The class with is_default, if there is one.

        Where that is, qemu_init tells: it is the last bool of the machine's that qemu_init reads, with padding behind
        it. Bytes at multiples of four are others' numbers and bits.
        """
        reads = self.functions.byte_reads("qemu_init")
        offset = max((at for at in reads if at in _IS_DEFAULT_WINDOW and at % 4), default=None)
        if offset is None:
            return None
        found = [klass for klass in classes if self.guest.read(klass + offset, 1) == b"\1"]
        return found[0] if len(found) == 1 else None

    def early_init(self) -> None:
        """What registers further types between the machines and the devices: qemu_console_early_init."""
        self._call_if_there("qemu_console_early_init")
