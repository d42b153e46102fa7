"""Try migrations in the emulator. The package itself can be called:

    vmdump.migrate(old, new, *, machines=(), devices=None, argv=(), both=False, sysroots=(None, None),
                   jobs=1) -> MigrateResult

Args:
    old, new: the paths of QEMU binaries; old saves, new loads.
    machines: patterns of machine types, or "all"; default: the newest that both have.
    devices: patterns of device types to add, one at a time; default: all, or none with argv.
    argv: arguments of QEMU: the VM to migrate.
    both: True also migrates from new to old.
    sysroots: the unpacked systems that the binaries belong to.
    jobs: processes.

The result's ``cases`` are all migrations, each with its outcome, failures and changes. Raises SourceError if a binary
can't be emulated, VmdumpError for patterns that match nothing.

>>> import vmdump
>>> vmdump.migrate("old/qemu-system-x86_64", "new/qemu-system-x86_64")  # doctest: +ELLIPSIS
Traceback (most recent call last):
vmdump.errors.SourceError: ...old/qemu-system-x86_64: No such file or directory
"""

import sys

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any

    from vmdump.migrate.api import MigrateResult


class _CallablePackage(type(sys)):  # type: ignore[misc]
    """Makes the package the function as well: importing one of its modules would replace a function of this name."""

    def __call__(self, *args: "Any", **options: "Any") -> "MigrateResult":
        """See vmdump.migrate.api.migrate."""
        from vmdump.migrate.api import migrate

        return migrate(*args, **options)

    @property
    def __signature__(self) -> "Any":
        """The signature of the function, for help and editors."""
        from inspect import signature

        from vmdump.migrate.api import migrate

        return signature(migrate)


sys.modules[__name__].__class__ = _CallablePackage
