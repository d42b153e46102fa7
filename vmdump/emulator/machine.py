"""Machines in an emulated QEMU: boot one from a command line, run QMP commands, save and load it.

Nothing of the binary runs natively.

The binary's own ``qemu_init(argc, argv)`` runs in a guest up to the main loop; the machine is then in the state of a
real one started with ``-S``. QMP commands, saving and loading are calls of the binary's own functions.

Source: QEMU 7.2, 10.0 and 11.1 system/vl.c, qapi/qmp-dispatch.c, migration/savevm.c, migration/migration.c.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import msgspec

from vmdump.activity import Step
from vmdump.emulator.find_functions import Functions
from vmdump.emulator.guest import Guest, TimeLimitError
from vmdump.emulator.guest_services import GuestServices
from vmdump.emulator.host_profile import HostProfile
from vmdump.emulator.kvm_profile import provide_kvm
from vmdump.emulator.machine_errors import MachineError, QmpError, machine_error
from vmdump.emulator.machine_libraries import map_libraries
from vmdump.emulator.missing_files import advice
from vmdump.emulator.objects.model import MappedObject
from vmdump.emulator.objects.open import open_object
from vmdump.emulator.qmp_commands import QmpCommands
from vmdump.emulator.qobject import QObjects
from vmdump.errors import SourceError
from vmdump.files.elf_header import HostArch

__all__ = ["ARGUMENTS", "Machine", "MachineError", "QmpError", "boot"]

#: Address space of a machine in bytes. Pages are allocated when written; boards have up to 4 GiB of RAM.
MEMORY = 12 << 30

#: Limit of the memory that a boot, or a later call, may allocate, in bytes.
RESIDENT = 2 << 30

#: Limit of the CPU time of all calls of a machine, in seconds.
SECONDS: float = 300

#: Limit of a result of QMP as JSON, in bytes. QEMU 10.0's largest, of query-qmp-schema, has 240 KB.
_JSON_MAX = 64 << 20

#: Offset of {string, length} in QString, in bytes. Source: QEMU 5.2 include/qapi/qmp/qstring.h.
_QSTRING_TEXT = 16

#: Default arguments before the caller's: no host devices, no user configuration, CPUs stopped.
ARGUMENTS = ("-nodefaults", "-display", "none", "-no-user-config", "-S")


class Machine:
    """A booted machine. Not thread-safe.

    Attributes:
        output: QEMU's output (stdout and stderr) so far.
        commands: the QMP commands of this QEMU.
    """

    def __init__(self, guest: Guest, main: MappedObject, services: GuestServices, functions: Functions) -> None:
        """Use boot instead."""
        self.guest, self._main, self._services, self.functions = guest, main, services, functions
        self.commands = QmpCommands(guest, main)
        self.output = ""
        self._strings: dict[str, int] = {}

    @property
    def name(self) -> str:
        """Path of the binary."""
        return self.guest.name

    @property
    def objects(self) -> list[MappedObject]:
        """The binary, its libraries, and the modules that it has loaded, in this order."""
        return self._services.objects

    @property
    def missed_functions(self) -> list[str]:
        """Sorted names of host functions that QEMU has called and the emulator does not implement.

        They returned 0; the machine may differ from a real one.
        """
        return self.guest.missed_functions()

    @property
    def files(self) -> Mapping[str, str]:
        """Files and directories that QEMU requested: "missing", "stand-in", or the path on the real host."""
        return MappingProxyType(self._services.requested)

    def add_directories(self, arguments: Sequence[str]) -> None:
        """Let absolute paths in arguments of QEMU be empty directories."""
        self._services.add_directories(arguments)

    # QMP

    def qmp(self, command: str, **arguments: Any) -> Any:
        """Execute a QMP command and return its result.

        Args:
            command: name of the command, for example ``query-machines``.
            **arguments: its arguments; underscores in names become hyphens.

        Raises:
            QmpError: the command failed.
            MachineError: QEMU exited or crashed.
            KeyError: unknown command.
        """
        function = self.commands.find(command)
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
        """Return a new QDict."""
        if not self.functions.exported:
            return QObjects(self.guest).make(arguments)
        with self.out_parameters() as (_, errp):
            qobject = self.call("qobject_from_json", self.text(json.dumps(arguments)), errp)
            if (error := self.take_error(errp)) is not None:
                raise QmpError(f"{self.guest.name}: {error}", self.output)
            return qobject

    def _json_of(self, qobject: int) -> Any:
        """Return a QObject as a Python value. qobject_to_json returns a GString: {str, len}; up to 5.2, a QString."""
        if not self.functions.exported:
            return QObjects(self.guest).read(qobject)
        text = self.call("qobject_to_json", qobject)
        if not self.has("json_writer_new"):  # up to QEMU 5.2
            text += _QSTRING_TEXT
        address, size = self.guest.words(text, 2)
        with contextlib.suppress(ValueError, RecursionError):
            return msgspec.json.decode(self.guest.read(address, min(size, _JSON_MAX)))
        raise MachineError(f"{self.name}: a result of QMP is not JSON", self.output)

    # Calls

    def call(self, function: str | int, *args: int) -> int:
        """Call a function of QEMU by name or address with integer arguments. Raises MachineError."""
        address = function if isinstance(function, int) else self.functions.get(function)
        with self._calling():
            return self.guest.call(address, *(arg & 0xFFFFFFFFFFFFFFFF for arg in args))

    def call_all(self, functions: Sequence[int]) -> None:
        """Call functions without arguments, in order. Raises MachineError."""
        with self._calling():
            self.guest.call_all(functions)

    def call_until(self, function: str, *args: int, pause_at: str) -> None:
        """Call a function until it first enters the function pause_at. Raises MachineError."""
        with self._calling():
            if not self.guest.call_until(self.functions.get(function), *args, pause_at=self.functions.get(pause_at)):
                raise MachineError(f"{self.name}: {function} does not call {pause_at}", self.output)

    def resume(self) -> None:
        """Continue the paused call. Raises MachineError."""
        with self._calling():
            self.guest.resume()

    def abandon(self) -> None:
        """Drop the paused call: it does not continue."""
        self.guest.abandon()

    @contextlib.contextmanager
    def _calling(self) -> Iterator[None]:
        """Collect the output of a call, and raise MachineError with it."""
        try:
            yield
        except MachineError:
            raise
        except TimeLimitError as error:
            self._take_output()
            text = f"{self.name}: did not finish within the time limit; allow more with --timeout"
            raise MachineError(text, self.output) from error
        except SourceError as error:
            self._take_output()
            where = self._main.symbol_at(self.guest.failed_at())
            failure = machine_error(self.name, f"{error}{(where and f' in {where}') or ''}", self.output)
            failure.missed_functions = tuple(self.missed_functions)
            failure.is_crash = "it exits" not in str(error)
            raise failure from None
        finally:
            self._take_output()
            self._services.raise_failure()

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Add to a MachineError which file the machine needs to start."""
        try:
            yield
        except MachineError as error:
            if told := advice(self._services, error.output, error.missed_functions):
                error.args = (f"{str(error).rstrip('.')}; {told}",)
            raise

    def has(self, function: str) -> bool:
        """Return whether the binary has a function of that name."""
        return self.functions.find(function) is not None

    def _take_output(self) -> None:
        self.output += self.guest.take_output()

    @contextlib.contextmanager
    def out_parameters(self) -> Iterator[tuple[int, int]]:
        """Allocate two zeroed words for out-parameters of a function: its result and its Error."""
        malloc, free = self.guest.host_function("calloc"), self.guest.host_function("free")
        words = self.guest.call(malloc, 2, 8)
        try:
            yield words, words + 8
        finally:
            with contextlib.suppress(SourceError):
                self.guest.call(free, words)

    def take_error(self, errp: int) -> str | None:
        """Return the message of the Error at errp and clear errp; None: no error. Error begins with its message."""
        error = self.guest.pointer(errp)
        if not error:
            return None
        self.guest.write(errp, bytes(8))
        return self.guest.text(self.guest.pointer(error))

    def text(self, text: str) -> int:
        """Return the address of a C string; equal texts share one."""
        if text not in self._strings:
            self._strings[text] = self.guest.string(text)
        return self._strings[text]

    def to_python(self, qobject: int) -> Any:
        """Return the QObject at an address as a Python value."""
        return self._json_of(qobject)

    # Snapshots

    def snapshot(self) -> None:
        """Save the state, once. rewind restores it any number of times."""
        self.guest.snapshot()
        self._strings_at_snapshot = dict(self._strings)
        self._services.snapshot()

    def rewind(self) -> None:
        """Restore the state of the snapshot, also after an error."""
        self._services.rewind()
        self.guest.rewind()
        self._strings = dict(self._strings_at_snapshot)
        self.output = ""


def boot(
    image: str | os.PathLike[str],
    argv: Sequence[str] = (),
    *,
    sysroot: str | os.PathLike[str] | None = None,
    host: HostProfile = HostProfile(),  # noqa: B008
    defaults: Sequence[str] = ARGUMENTS,
    fill: int = 0,
    shift: int = 0,
    seconds: float = SECONDS,
) -> Machine:
    """Boot a machine.

    Args:
        image: path of a QEMU system emulator; with sysroot, a path within it.
        argv: QEMU's arguments, for example ``["-M", "pc-q35-7.2", "-accel", "qtest"]``.
        sysroot: a tree unpacked from packages, with the binary's data files, modules and libraries. Default: the tree
            that the binary is installed in.
        host: features of the emulated host.
        defaults: arguments before argv.
        fill: the byte that fills memory from malloc; state that depends on it depends on uninitialised memory.
        shift: bytes by which memory that QEMU allocates is moved; state that depends on it contains addresses.
        seconds: limit of the CPU time of all calls of the machine.

    Raises:
        MachineError: QEMU refused the arguments, exited or crashed.
        SourceError: not a QEMU binary that can be emulated.
    """
    with Step(booting(image, argv)):
        machine, arguments = prepare(image, argv, sysroot, host, defaults, fill, shift)
        machine.guest.set_time(seconds)
        with machine.starting():
            machine.call("qemu_init", *arguments)
    return machine


def booting(image: str | os.PathLike[str], argv: Sequence[str]) -> str:
    """Return the name of the step that boots a machine.

    >>> booting("/usr/bin/qemu-system-x86_64", ["-M", "q35,suppress-vmdesc=off"])
    'booting q35 of qemu-system-x86_64'
    """
    machine = next((value.partition(",")[0] for option, value in pairwise(argv) if option in ("-M", "-machine")), "")
    return f"booting {machine or 'the default machine'} of {os.path.basename(image)}"


def prepare(
    image: str | os.PathLike[str],
    argv: Sequence[str],
    sysroot: str | os.PathLike[str] | None,
    host: HostProfile,
    defaults: Sequence[str],
    fill: int,
    shift: int = 0,
) -> tuple[Machine, tuple[int, int, int]]:
    """Return a machine whose constructors have run, and the arguments of qemu_init. See boot for the rest."""
    services = GuestServices(image, sysroot, host.files())
    path = services.binary
    try:
        file = open_object(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    with file:
        guest = Guest(
            path, file.arch, host, SECONDS, platform=file.platform, memory=MEMORY, rewindable=True, resident=RESIDENT,
            place=file.place,
        )  # fmt: skip
        guest.set_fill(fill)
        if shift:
            guest.alloc(shift)
        services.attach(guest)
        services.add_directories(argv)
        if host.kvm and file.arch == HostArch.X86_64:  # the only architecture with a KVM profile
            services.keep(provide_kvm(guest))
        libraries = map_libraries(guest, services)
        main = file.map(guest, libraries, is_main=True)
        if main.program:
            raise SourceError(
                f"{path}: statically linked: its devices can be read (dump, show, check, lint), but its machines can't "
                "be emulated, as its threads are libc's own; use a dynamically linked build"
            )
        services.set_scope([main, *libraries])
        machine = Machine(guest, main, services, Functions(guest, main))
        for each in (*libraries, main):
            machine.call_all(each.constructors)
        words = [services.name, *defaults, *argv]
        strings = [guest.string(each) for each in words]
        array = guest.alloc(8 * (len(words) + 1))
        guest.write(array, guest.pack(f"{len(strings)}Q", *strings))
        functions = machine.functions
        functions.get("qemu_init")
    return machine, (len(words), array, guest.alloc(8))
