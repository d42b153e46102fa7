"""vmdump save: the migration stream of an emulated machine just after reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.machine_sources import (
    TIMEOUT,
    add_binary,
    add_qemu_arguments,
    add_qtest,
    open_emulated,
    open_qtest,
)
from vmdump.cli.source_arguments import add_file, add_host, add_timeout

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment

HELP = "save a machine of a QEMU binary after reset, as a migration would send it"
EPILOG = """\
examples:
  vmdump save /usr/bin/qemu-system-x86_64 -o vm.save -- -M q35 -device e1000e
  vmdump stream vm.save
  qemu-system-x86_64 -M q35 -device e1000e -incoming 'exec:cat vm.save'

The machine is booted in an emulator; nothing of the binary runs natively. The
stream has the names and sizes of RAM blocks but no pages, which a QEMU that
loads it leaves unchanged. ARGS are those of the VM. Options for the host
(-display, -qmp, -incoming ...) are dropped, and disks, network and character
devices get empty backends.

Without ARGS the machine is the default one with its default devices.

The state is that after reset. --qtest SCRIPT lets a guest act before: each line
is a command of QEMU's qtest protocol (outb inl writel readq write memset ...),
which QEMU executes as with -qtest, so that drivers' work (negotiated features,
queues) is saved, too. A log of -qtest-log is accepted as well; lines that begin
with # are skipped. The clock stands still; clock_step moves it with -- -accel
qtest.

exit codes:
  0 saved; 2 usage error; 3 QEMU does not start or save the machine, or a
  command of the script fails
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_binary(parser, "image", metavar="IMAGE")
    add_file(parser, "-o", "--output", required=True, metavar="FILE", help="output file, which is written atomically")
    add_qtest(parser)
    group = parser.add_argument_group("QEMU binaries")
    add_timeout(group, timeout=TIMEOUT, limited="booting and saving the machine")
    add_host(group, several=True)
    add_qemu_arguments(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Write the stream."""
    from vmdump.dump.output import write_file
    from vmdump.migrate.save import save

    script = open_qtest(args)
    saved = save(open_emulated(args.image, args), args.argv, script)
    if saved.missed_functions:
        environment.error(
            f"{args.image}: the machine called functions of the host that the emulator lacks "
            f"({', '.join(saved.missed_functions)}); the stream may differ from a real one"
        )
    write_file(args.output, saved.stream)
    return ExitStatus.DONE
