"""What QEMU does before it would dump, in its order: constructors, module init functions, machines, devices.

Source: QEMU 7.2 and 10.0 system/vl.c qemu_init, qemu_create_machine; util/module.c.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Sequence

from vmdump.errors import SourceError
from vmdump.sources.qemu_image.elf import MappedObject
from vmdump.sources.qemu_image.guest import Guest
from vmdump.sources.qemu_image.machines import MachineType

#: Where MachineClass.is_default may be, in bytes.
_IS_DEFAULT_WINDOW = range(176, 216)

#: MODULE_INIT_BLOCK: its functions register block drivers, which are no QOM types.
_BLOCK = 1


class Qemu:
    """A QEMU in a guest, with its QOM types registered."""

    def __init__(
        self, guest: Guest, main: MappedObject, e_machine: int, on_phase: Callable[[str], None] = lambda name: None
    ) -> None:
        """Boots it; on_phase as in QemuImage. Raises SourceError."""
        on_phase("constructors")
        self.guest, self.main = guest, main
        self._redirect("register_module_init", guest.host_function("register_dso_module_init"), e_machine)
        guest.call_all(main.constructors)
        on_phase("init functions")
        self._call_inits(guest.take_typed_inits())

    def symbol(self, name: str) -> int:
        """The address of an exported function. Raises SourceError."""
        address = self.main.symbols.get(name)
        if address is None:
            raise SourceError(
                f"{self.guest.name}: exports no {name}: no QEMU system emulator, or one without its symbols, which "
                "can't be read yet; --run runs it instead"
            )
        return address

    def _redirect(self, name: str, target: int, e_machine: int) -> None:
        """Makes a function of the guest a jump to another one."""
        jump = {62: b"\x48\xb8%s\xff\xe0", 183: b"\x50\x00\x00\x58\x00\x02\x1f\xd6%s"}[e_machine]
        self.guest.write(self.symbol(name), jump % struct.pack("<Q", target))

    def _call_inits(self, inits: Sequence[tuple[int, int]]) -> None:
        """Calls the init functions of the types up to QOM's, which is the one that most functions are of."""
        if not inits:
            raise SourceError(f"{self.guest.name}: its constructors queue no init functions; is it a QEMU?")
        ((qom, _),) = Counter(kind for _, kind in inits).most_common(1)
        for wanted in sorted({kind for _, kind in inits if kind <= qom} - {_BLOCK}):
            if wanted == qom and "target_info_qom_set_target" in self.main.symbols:
                self.guest.call(self.main.symbols["target_info_qom_set_target"])
            self.guest.call_all([function for function, kind in inits if kind == wanted])

    def classes(self, implements_type: str, *, include_abstract: bool) -> list[int]:
        """object_class_get_list: the addresses of the classes, initialised."""
        get_list = self.symbol("object_class_get_list")
        return list(self.guest.slist(self.guest.call(get_list, self.guest.string(implements_type), include_abstract)))

    def type_name(self, klass: int) -> str:
        """A class's type name: ObjectClass.type->name, both at offset 0."""
        return self.guest.text(self.guest.pointer(self.guest.pointer(klass)))

    def has_type(self, name: str) -> bool:
        """Whether a type is registered."""
        return self.guest.call(self.symbol("object_class_by_name"), self.guest.string(name)) != 0

    def machines(self) -> list[MachineType]:
        """The machine types that are not abstract, in QEMU's order.

        MachineClass begins with family, name, alias, desc and deprecation_reason, from 96 bytes on.
        """
        classes = self.classes("machine", include_abstract=False)
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

    def _default_machine(self, classes: Sequence[int]) -> int | None:
        """The class with is_default: the one bool between its numbers that one class alone has set, if there is one.

        It was at 189 bytes in QEMU 7.2 and is at 198 in 10.0; the window around them holds no other such bool.
        """
        found = set()
        for offset in _IS_DEFAULT_WINDOW:
            values = [self.guest.read(klass + offset, 1)[0] for klass in classes]
            if max(values, default=0) == 1 == sum(values):
                found.add(classes[values.index(1)])
        return found.pop() if len(found) == 1 else None

    def early_init(self) -> None:
        """What registers further types between the machines and the devices: qemu_console_early_init."""
        if "qemu_console_early_init" in self.main.symbols:
            self.guest.call(self.main.symbols["qemu_console_early_init"])
