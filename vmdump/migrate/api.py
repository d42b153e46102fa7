"""vmdump.migrate: trying migrations, for callers in Python."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.labels import Named, labels
from vmdump.migrate.cases import Binary
from vmdump.migrate.findings import check_result
from vmdump.migrate.plan import Wanted, dumps_of, machine_names, open_qemu, try_all
from vmdump.migrate.qtest_script import read_script

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from vmdump.check.results import CheckResult
    from vmdump.migrate.cases import Case
    from vmdump.migrate.findings import Migrations

    Path: TypeAlias = str | os.PathLike[str]


class MigrateResult(NamedTuple):
    """Migrations between two QEMUs.

    Attributes:
        migrations: those of each machine type, in each direction.
        result: the same as the result of a check, for vmdump.report.

    >>> MigrateResult((), check_result((), ()))
    <MigrateResult of 0 cases: <CheckResult: >>
    """

    migrations: Sequence[Migrations]
    result: CheckResult

    @property
    def cases(self) -> list[Case]:
        """All migrations."""
        return [case for each in self.migrations for case in each.cases]

    def __repr__(self) -> str:
        """The number of cases with each verdict."""
        return f"<MigrateResult of {len(self.cases)} cases: {self.result!r}>"


def migrate(
    old: Path,
    new: Path,
    *,
    machines: str | Sequence[str] = (),
    devices: str | Sequence[str] | None = None,
    argv: Sequence[str] = (),
    both: bool = False,
    qtest: Path | None = None,
    sysroots: tuple[Path | None, Path | None] = (None, None),
    jobs: int = 1,
) -> MigrateResult:
    """Save VMs with one QEMU and load them with another, both in the emulator.

    Args:
        old: path of the QEMU binary that saves; with a sysroot, a path within it.
        new: path of the QEMU binary that loads.
        machines: patterns of machine types, or "all"; default: the newest that both have.
        devices: patterns of device types to add, one at a time; default: all, or none with argv.
        argv: arguments of QEMU: the VM to migrate.
        both: True also migrates from new to old.
        qtest: a script of qtest commands that are executed before a VM is saved.
        sysroots: the unpacked systems that the binaries belong to; default: that which a binary is installed in.
        jobs: processes that try migrations.

    Raises:
        SourceError: a binary can't be read or emulated.
        VmdumpError: no such machine type.
        OSError: the script can't be read.
    """
    given = (machines,) if isinstance(machines, str) else tuple(machines)
    patterns = (devices,) if isinstance(devices, str) else None if devices is None else tuple(devices)
    script = None if qtest is None else read_script(os.fspath(qtest))
    wanted = Wanted(given, patterns, tuple(argv), script=script)
    paths = [os.fspath(each) for each in (old, new)]
    qemus = [
        open_qemu(Binary(path, None if root is None else os.fspath(root), None))
        for path, root in zip(paths, sysroots, strict=True)
    ]
    names, _ = machine_names(qemus, wanted)
    found = try_all(qemus, [(0, 1), (1, 0)] if both else [(0, 1)], names, wanted, jobs)
    named = labels([Named(each.version, None, path) for each, path in zip(qemus, paths, strict=True)])
    return MigrateResult(found, check_result(dumps_of(qemus, named), found))
