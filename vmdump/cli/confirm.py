"""vmdump check --confirm: try the types of a check in migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.source_arguments import UsageError, roots_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.check.results import CheckResult
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.migrate.cases import Case


def confirm_result(result: CheckResult, dumps: Sequence[DeviceDump], args: argparse.Namespace) -> CheckResult:
    """Return the result of a check of binaries with what migrations say. Raises UsageError, VmdumpError.

    Args:
        result: of the check.
        dumps: those of its directions: of each source, for each machine type.
        args: of the command line.
    """
    import os

    from vmdump.cli.machine_sources import find_binary
    from vmdump.migrate.cases import Binary
    from vmdump.migrate.confirm import confirm, types_of
    from vmdump.migrate.plan import Wanted, open_qemu, try_all

    if any(each.producer.kind != "image" for each in dumps):
        raise UsageError("--confirm applies to QEMU binaries only; other sources can't be emulated")
    count = len(args.sources)
    roots = roots_of(args.sources, args.root)
    qemus = [
        open_qemu(Binary(find_binary(path, root), root, args.host))
        for path, root in zip(args.sources, roots, strict=True)
    ]
    wanted = Wanted(devices=types_of(result), seconds=args.timeout)
    found: dict[str, Sequence[Case]] = {}
    for machine in dict.fromkeys(each.machine for each in dumps):
        labels = {
            (each.source % count, each.destination % count): label
            for label, each in result.directions.items()
            if dumps[each.source].machine == dumps[each.destination].machine == machine
        }
        for tried in try_all(qemus, list(labels), [machine], wanted, len(os.sched_getaffinity(0))):
            found[labels[tried.source, tried.destination]] = tried.cases
    return confirm(result, found)
