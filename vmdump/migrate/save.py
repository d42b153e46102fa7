"""Save an emulated machine just after reset."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmdump.emulator.migration import save_stream
from vmdump.migrate.arguments import DEFAULTS, Option, options, properties, without_host

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.machines.reader import Source
    from vmdump.migrate.qtest_script import QtestScript

#: Accelerators in the order that QEMU tries them, without an option that chooses one.
_ACCELERATORS = ("-accel", "tcg", "-accel", "kvm")


class Saved(NamedTuple):
    """A saved machine.

    Attributes:
        stream: without RAM pages.
        missed_functions: host functions that QEMU called and the emulator lacks.
    """

    stream: bytes
    missed_functions: tuple[str, ...]


def save(source: Source, argv: Sequence[str] = (), script: QtestScript | None = None) -> Saved:
    """Return the stream of a machine.

    Args:
        source: QEMU binary.
        argv: QEMU's arguments; see arguments.without_host for what becomes of those for the host.
        script: commands of qtest that are executed before.

    Raises:
        MigrationBlockedError: QEMU refuses to migrate this machine.
        MachineError: QEMU does not start it, fails to save it, or to execute a command.
        SourceError: not a QEMU that can be emulated.
    """
    machine = source.boot(boot_arguments(argv), defaults=DEFAULTS)
    if script is not None:
        script.run(machine)
    stream = save_stream(machine)
    return Saved(stream, tuple(machine.missed_functions))


def boot_arguments(argv: Sequence[str], disk_sizes: dict[str, int] | None = None) -> list[str]:
    """Return the arguments that boot a VM's command line in the emulator.

    >>> boot_arguments(["-M", "q35,accel=kvm", "-daemonize"])
    ['-M', 'q35,accel=kvm']
    """
    kept = without_host(argv, disk_sizes)
    chosen = any(map(_chooses_accelerator, options(kept)))
    return [*(() if chosen else _ACCELERATORS), *kept]


def _chooses_accelerator(option: Option) -> bool:
    if option.name in ("accel", "enable-kvm"):
        return True
    return option.name in ("M", "machine") and "accel" in properties(option.value or "")
