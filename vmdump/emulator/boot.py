"""Boot QEMU up to its class registry, in its order: constructors, module init functions, machines, devices.

Source: QEMU 7.2 and 10.0 system/vl.c qemu_init, qemu_create_machine; util/module.c.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from vmdump.emulator.class_list import ClassList
from vmdump.emulator.find_functions import Functions
from vmdump.emulator.guest import WRONG_BINARY, Guest
from vmdump.emulator.machine_types import MachineType
from vmdump.emulator.objects.model import MappedObject
from vmdump.emulator.other_programs import check_is_qemu
from vmdump.emulator.static_start import start_program
from vmdump.errors import SourceError

#: Possible offsets of MachineClass.is_default, in bytes. It is at 197 in QEMU 5.2, 189 in 7.2, 198 in 10.0, 206 in
#: 11.1.
_IS_DEFAULT_WINDOW = range(168, 224)

#: MODULE_INIT_BLOCK: its functions register block drivers, not QOM types.
_BLOCK = 1


class Qemu:
    """A QEMU in a guest with registered QOM types."""

    def __init__(self, guest: Guest, main: MappedObject, on_phase: Callable[[str], None] = lambda name: None) -> None:
        """Boot QEMU; ``on_phase`` as in QemuImage. Raises SourceError."""
        on_phase("constructors")
        self.guest, self.main = guest, main
        self.functions = Functions(guest, main)
        self._classes = ClassList(guest, main, self.functions)
        begin = guest.base + guest.allocated()
        if main.program:
            start_program(guest, main.program, self.functions.get("qemu_init"))
        else:
            guest.call_all(main.constructors)
        on_phase("init functions")
        self._call_inits(self._registered_inits(begin))

    def _registered_inits(self, begin: int) -> list[tuple[int, int]]:
        """Return the init functions that constructors have registered, with their types: the longest list of each type.

        The lists are in the memory that was allocated from ``begin`` on.
        """
        guest = self.guest
        code = [segment for segment in self.main.segments if segment.executable]
        limits = min((part.start for part in code), default=0), max((part.end for part in code), default=0)
        lists = guest.module_entries(begin, guest.base + guest.allocated(), limits)
        of_type = {each[0][1]: each for each in sorted(lists, key=len)}
        return [entry for each in of_type.values() for entry in each]

    def _call_inits(self, inits: Sequence[tuple[int, int]]) -> None:
        """Call the init functions of types up to MODULE_INIT_QOM, the most frequent type."""
        if not inits:
            check_is_qemu(self.guest.name, self.main.content())
            raise SourceError(f"{self.guest.name}: its constructors register no init functions; {WRONG_BINARY}")
        ((qom, _),) = Counter(kind for _, kind in inits).most_common(1)
        for wanted in sorted({kind for _, kind in inits if kind <= qom} - {_BLOCK}):
            if wanted == qom:
                self._call_if_there("target_info_qom_set_target")
            self.guest.call_all([function for function, kind in inits if kind == wanted])

    def _call_if_there(self, name: str) -> None:
        """Call a function if the binary has it."""
        if function := self.functions.find(name):
            self.guest.call(function)

    def classes(self, implements_type: str, *, include_abstract: bool) -> list[int]:
        """Return the addresses of the initialised classes, as object_class_get_list."""
        return self._classes.get(implements_type, include_abstract=include_abstract)

    def type_name(self, klass: int) -> str:
        """Return the type name of a class: ObjectClass.type->name, both at offset 0."""
        return self.guest.text(self.guest.pointer(self.guest.pointer(klass)))

    def has_type(self, name: str) -> bool:
        """Return whether a type is registered."""
        by_name = self.main.symbols.get("object_class_by_name")
        if by_name is None:
            return bool(self.classes(name, include_abstract=True))
        return self.guest.call(by_name, self.guest.string(name)) != 0

    def machines(self) -> list[MachineType]:
        """Return the non-abstract machine types in QEMU's order.

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
                raise SourceError(f"{self.guest.name}: its MachineClass has an unknown layout; use --run instead")
            machines.append(MachineType(str(name), alias, desc, family, deprecation_reason, klass == default))
        return machines

    def _machine_typename(self) -> str:
        """Return the type that the target's machines implement.

        A binary may contain machines of several targets. TargetInfo.machine_typename selects those of the binary's
        target: the one of the struct's first words that is the name of a machine type. The only class of target-info
        points to TargetInfo. Source: QEMU 11.1 include/qemu/target-info-impl.h TargetInfo.
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
        """Return the class with is_default set, if there is exactly one.

        Its offset is found in the code: it is the last bool of MachineClass that qemu_init reads, followed by padding.
        Bytes at multiples of four belong to other integers and bit-fields.
        """
        reads = self.functions.byte_reads("qemu_init")
        offset = max((at for at in reads if at in _IS_DEFAULT_WINDOW and at % 4), default=None)
        if offset is None:
            return None
        found = [klass for klass in classes if self.guest.read(klass + offset, 1) == b"\1"]
        return found[0] if len(found) == 1 else None

    def early_init(self) -> None:
        """Call qemu_console_early_init, which registers types after the machines and before the devices."""
        self._call_if_there("qemu_console_early_init")
