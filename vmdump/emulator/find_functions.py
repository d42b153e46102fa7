"""Find the functions of QEMU that start-up needs: by symbol, or by their code in binaries that export no symbols.

Builds with modules export QEMU's functions; builds without (Debian's microvm and xen variants, and many vendors') do
not. There, functions are identified by the strings they use and the functions they call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from vmdump.emulator.find_migration import MigrationFunctions
from vmdump.emulator.guest import Guest
from vmdump.emulator.machine_code import Code
from vmdump.emulator.objects.model import MappedObject
from vmdump.emulator.other_programs import check_is_qemu
from vmdump.errors import SourceError

#: Functions without which symbols are not used.
_EXPORTED = ("register_module_init", "object_class_get_list", "qobject_from_json", "qobject_to_json")


#: Names of option groups (QemuOptsList) in QEMU 5.2 to 11.1. Source: softmmu/vl.c, system/vl.c.
_OPTION_GROUPS = (
    b"accel", b"boot-opts", b"chardev", b"device", b"drive", b"fsdev", b"global", b"icount", b"machine", b"memory",
    b"mon", b"name", b"netdev", b"option-rom", b"rtc", b"sandbox", b"smp-opts", b"trace",
)  # fmt: skip


class Functions:
    """Functions of an image. Addresses are the guest's."""

    def __init__(self, guest: Guest, main: MappedObject) -> None:
        self._guest, self._main = guest, main
        #: Whether QEMU's functions have symbols: those exported for modules, or those of a file that is not stripped.
        #: Optimization at link time leaves few of them.
        self.exported = all(name in main.symbols for name in _EXPORTED)
        self._found: dict[str, int | None] = {}

    def find(self, name: str) -> int | None:
        """Return the address of a function by its name in QEMU; None if there is no or more than one candidate."""
        if self.exported:
            return self._main.symbols.get(name)
        if name not in self._found:
            found = _FINDERS[name](self) if name in _FINDERS else set()
            self._found[name] = found.pop() if len(found) == 1 else self._migration.find(name)
        return self._found[name]

    def _no_symbols(self, name: str) -> SourceError:
        rest = "saved and loaded" if self.can_save else "but not saved and loaded"
        return SourceError(
            f"{self._guest.name}: the binary does not export QEMU's functions, and {name} was not found: its machines "
            f"can be booted, asked over QMP, {rest}; use a build with modules, or one that is not stripped"
        )

    def check_can_save(self) -> None:
        """Raise SourceError if machines can't be saved and loaded."""
        if not self.can_save:
            raise self._no_symbols("its migration code")

    @cached_property
    def can_save(self) -> bool:
        """Whether the functions that save and load machines are there."""
        return self.exported or self._migration.is_complete()

    @cached_property
    def _migration(self) -> MigrationFunctions:
        return MigrationFunctions(self._code)

    def get(self, name: str) -> int:
        """Return the address of a function that all QEMUs have. Raises SourceError."""
        address = self.find(name)
        if address is None:
            check_is_qemu(self._guest.name, self._main.content())
            if not self.exported and name not in _FINDERS:
                raise self._no_symbols(name)
            raise SourceError(
                f"{self._guest.name}: {name} was not found: not a QEMU system emulator, or built in an "
                "unsupported way; use --run instead"
            )
        return address

    def byte_reads(self, name: str) -> set[int]:
        """Return the struct offsets at which a function reads bytes; empty if it is not found."""
        address = self.find(name)
        function = self._code.function(address) if address else None
        return set(self._code.byte_reads(function)) if function else set()

    @cached_property
    def _code(self) -> Code:
        return Code(self._main)

    def _object_class_get_list(self) -> set[int]:
        """The callee of the dumper with ("device", true). Source: migration/savevm.c dump_vmstate_json_to_file."""
        device = self._code.strings(b"device")
        dumpers = [
            dumper
            for dumper in self._code.functions_that_load(self._code.string_around(b'"vmschkmachine"'))
            if not device.isdisjoint(self._code.loads(dumper))
        ]
        found = {called for dumper in dumpers for called in self._code.calls(dumper, second_is_1=True)}
        if len(found) > 1:  # fwrite(text, 1, size, file) and __fprintf_chk(file, 1, format, ...) of a static libc
            found = {called for each in dumpers for called in self._code.calls(each, second_is_1=True, is_last=True)}
        return found

    def _qemu_init(self) -> set[int]:
        """The function that uses the most names of option groups: it parses the command line. Source: system/vl.c."""
        uses = self._code.count_strings(_OPTION_GROUPS)
        return {start for start, count in uses.most_common(1) if count > len(_OPTION_GROUPS) // 2}

    def _qemu_console_early_init(self) -> set[int]:
        """The function that looks up the type chardev-vc and has a TypeInfo of this name. Source: ui/console.c."""
        names = self._code.strings(b"chardev-vc")
        return {
            function[0]
            for function in self._code.functions_that_load(names)
            if any(self._pointer(address) in names for address in self._code.loads(function))
        }

    def _target_info_qom_set_target(self) -> set[int]:
        """The function that lists the classes of target-info. Source: QEMU 11.1 target-info-qom.c."""
        get_list = self._object_class_get_list()
        return {
            function[0]
            for function in self._code.functions_that_load(self._code.strings(b"target-info"))
            if not get_list.isdisjoint(self._code.calls(function))
        }

    def _pointer(self, address: int) -> int | None:
        """Return the first word of a struct; None for an address outside of the guest (a false positive)."""
        try:
            return self._guest.pointer(address)
        except SourceError:
            return None


#: Finders by the name of the function in QEMU. Not in Functions: bound methods would be a reference cycle.
_FINDERS: dict[str, Callable[[Functions], set[int]]] = {
    "object_class_get_list": Functions._object_class_get_list,
    "qemu_console_early_init": Functions._qemu_console_early_init,
    "qemu_init": Functions._qemu_init,
    "target_info_qom_set_target": Functions._target_info_qom_set_target,
}
