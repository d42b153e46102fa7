"""A machine in an emulated QEMU: booted with a command line, asked over QMP, saved and loaded. Nothing runs natively.

The binary's own ``qemu_init(argc, argv)`` runs in a guest, up to where the main loop would begin: the machine stands as
a real one does with ``-S``. QMP commands, saving and loading are calls of the binary's own functions.

Source: QEMU 7.2, 10.0 and 11.1 system/vl.c, qapi/qmp-dispatch.c, migration/savevm.c, migration/migration.c.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from vmdump.emulator.elf import ElfFile, MappedObject, map_object
from vmdump.emulator.find_functions import Functions
from vmdump.emulator.guest import Guest
from vmdump.emulator.guest_services import GuestServices
from vmdump.emulator.host_profile import HostProfile
from vmdump.errors import SourceError

#: Bytes of address space for a machine. What is not written costs nothing; boards have up to 4 GiB of RAM.
MEMORY = 12 << 30

#: Seconds of CPU time that a machine may take in all.
SECONDS: float = 300

#: What every boot gets before the caller's arguments: no host devices, no user configuration, CPUs stopped.
ARGUMENTS = ("-nodefaults", "-display", "none", "-no-user-config", "-S")

#: Libraries that are mapped rather than served: pure computation, whose results go into the guest's device tree.
_LIBRARIES = ("libfdt.so.1",)
_LIBRARY_DIRS = {
    62: ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64", "usr/lib"),
    183: ("usr/lib/aarch64-linux-gnu", "lib/aarch64-linux-gnu", "usr/lib64", "usr/lib"),
}


class MachineError(SourceError):
    """QEMU refuses, exits or crashes. Its own words are in the message and in ``output``."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class QmpError(MachineError):
    """A QMP command failed; the message is QEMU's ``desc``."""


class Machine:
    """A booted machine. Not thread-safe.

    Attributes:
        output: what QEMU has printed so far.
    """

    def __init__(self, guest: Guest, main: MappedObject, services: GuestServices, functions: Functions) -> None:
        """See boot."""
        self.guest, self._main, self._services, self._functions = guest, main, services, functions
        self.output = ""
        self._strings: dict[str, int] = {}

    # What is known of it

    @property
    def name(self) -> str:
        """Path of the binary, as errors name it."""
        return self.guest.name

    @property
    def unserved(self) -> list[str]:
        """Functions of the host that QEMU has called and that the emulator does not have.

        They returned 0, so a machine with any is not certain to be what a real one is.
        """
        return self.guest.unserved()

    @property
    def files(self) -> dict[str, str]:
        """Files that QEMU asked for, by its path: where the bytes came from ("missing", "stand-in", or the file)."""
        return dict(self._services.asked)

    # Asking

    def qmp(self, command: str, **arguments: Any) -> Any:
        """Execute a QMP command and return what it returns.

        Args:
            command: name of the command, as in ``query-machines``.
            **arguments: its arguments; an underscore in a name stands for a hyphen.

        Raises QmpError with QEMU's words; MachineError if QEMU exits or crashes; KeyError for an unknown command.
        """
        function = self._functions.find("qmp_marshal_" + command.replace("-", "_"))
        if function is None:
            raise KeyError(command)
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        with self.out_parameters() as (ret, errp):
            self.call(function, self._dict_of(named), ret, errp)
            if (error := self.take_error(errp)) is not None:
                raise QmpError(f"{self.guest.name}: {command}: {error}", self.output)
            value = self.guest.pointer(ret)
            return self._json_of(value) if value else None

    def _dict_of(self, arguments: dict[str, Any]) -> int:
        """A new QDict."""
        if not arguments:
            return self.call("qdict_new")
        with self.out_parameters() as (_, errp):
            qobject = self.call("qobject_from_json", self.text(json.dumps(arguments)), errp)
            if (error := self.take_error(errp)) is not None:
                raise QmpError(f"{self.guest.name}: {error}", self.output)
            return qobject

    def _json_of(self, qobject: int) -> Any:
        """A QObject as Python has it. qobject_to_json returns a GString: its first word is the text."""
        gstring = self.call("qobject_to_json", qobject)
        address = self.guest.pointer(gstring)
        return json.loads(self.guest.read(address, self.guest.pointer(gstring + 8)))

    # Calls

    def call(self, function: str | int, *args: int) -> int:
        """Call a function of QEMU by name or address, with integers. Raises MachineError."""
        address = function if isinstance(function, int) else self._functions.get(function)
        try:
            return self.guest.call(address, *(arg & 0xFFFFFFFFFFFFFFFF for arg in args))
        except SourceError as error:
            self._take_output()
            where = self._main.symbol_at(self.guest.failed_at())
            raise _machine_error(self.guest.name, f"{error}{where and f' in {where}' or ''}", self.output) from None
        finally:
            self._take_output()
            self._services.raise_failure()

    def has(self, function: str) -> bool:
        """Whether the binary has a function of that name."""
        return self._functions.find(function) is not None

    def _take_output(self) -> None:
        self.output += self.guest.take_output()

    @contextlib.contextmanager
    def out_parameters(self) -> Iterator[tuple[int, int]]:
        """Two words of the guest, zeros: where a function puts its result, and its Error."""
        malloc, free = self.guest.host_function("calloc"), self.guest.host_function("free")
        words = self.guest.call(malloc, 2, 8)
        try:
            yield words, words + 8
        finally:
            with contextlib.suppress(SourceError):
                self.guest.call(free, words)

    def take_error(self, errp: int) -> str | None:
        """The message of the Error at errp, if there is one. Error begins with its message."""
        error = self.guest.pointer(errp)
        if not error:
            return None
        self.guest.write(errp, bytes(8))
        return self.guest.text(self.guest.pointer(error))

    def text(self, text: str) -> int:
        """The address of a C string, one for each text."""
        if text not in self._strings:
            self._strings[text] = self.guest.string(text)
        return self._strings[text]

    # Snapshots

    def snapshot(self) -> None:
        """Note the state, once: rewind goes back to it any number of times."""
        self.guest.snapshot()
        self._strings_at_snapshot = dict(self._strings)
        self._services.snapshot()

    def rewind(self) -> None:
        """Make the machine what it was at the snapshot, also after an error."""
        self._services.rewind()
        self.guest.rewind()
        self._strings = dict(self._strings_at_snapshot)
        self.output = ""

    # Saving and loading

    def save(self) -> bytes:
        """Return the stream that a migration would send now, without RAM pages.

        Raises MachineError; MigrationBlockedError if QEMU would not migrate this machine.
        """
        from vmdump.emulator.migration import save  # noqa: PLC0415

        return save(self)

    def load(self, stream: bytes) -> int:
        """Load a stream into a machine that was booted with ``-incoming defer``.

        Returns what qemu_loadvm_state returns: negative for a failure, whose reason is in ``output``.
        """
        from vmdump.emulator.migration import load  # noqa: PLC0415

        return load(self, stream)


def boot(
    image: str | os.PathLike[str],
    argv: Sequence[str] = (),
    *,
    root: str | os.PathLike[str] | None = None,
    host: HostProfile = HostProfile(),  # noqa: B008
    defaults: Sequence[str] = ARGUMENTS,
    fill: int = 0,
) -> Machine:
    """Boot a machine.

    Args:
        image: a QEMU system emulator. With a root, a path within it.
        argv: QEMU's arguments, as ``["-M", "pc-q35-7.2", "-accel", "qtest"]``.
        root: a tree unpacked from packages, which has the binary's data files, modules and libfdt. Default: the tree
            that the binary is installed in.
        host: what the host offers.
        defaults: arguments before argv.
        fill: the byte that malloc's memory holds.

    Raises MachineError with what QEMU says when it refuses; SourceError for what is not a QEMU that can be read.
    """
    services = GuestServices(image, root)
    path = services.binary
    try:
        elf = ElfFile.open(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    with elf:
        guest = Guest(path, elf.e_machine, host, memory=MEMORY, seconds=SECONDS, rewindable=True)
        services.attach(guest)
        libraries = _map_libraries(guest, services, elf.e_machine)
        main = map_object(guest, elf, libraries, is_main=True)
        functions = Functions(guest, elf, main)
        services.set_scope([main, *libraries])
        machine = Machine(guest, main, services, functions)
        words = [services.name, *defaults, *argv]
        strings = [guest.string(each) for each in words]
        array = guest.alloc(8 * (len(words) + 1))
        for index, each in enumerate(strings):
            guest.write(array + 8 * index, each.to_bytes(8, "little"))
        environment = guest.alloc(8)
        try:
            for each in (*libraries, main):
                guest.call_all(each.constructors)
        except SourceError as error:
            raise _machine_error(path, str(error), guest.take_output()) from None
        machine.call(functions.get("qemu_init"), len(words), array, environment)
    return machine


def _map_libraries(guest: Guest, services: GuestServices, e_machine: int) -> list[MappedObject]:
    libraries: list[MappedObject] = []
    for name in _LIBRARIES:
        for directory in _LIBRARY_DIRS[e_machine]:
            path = services.resolve(f"/{directory}/{name}")
            if path is not None:
                with ElfFile.open(path) as elf:
                    libraries.append(map_object(guest, elf, libraries, is_main=False))
                break
    return libraries


def _machine_error(name: str, message: str, output: str) -> MachineError:
    """An error whose message is what QEMU said, if it said anything."""
    said = [line for line in output.splitlines() if line.strip()]
    return MachineError(f"{name}: {said[-1]}" if said and "it exits" in message else message, output)
