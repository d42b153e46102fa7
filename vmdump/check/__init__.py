"""Check whether the device state of one QEMU can be loaded by another. The package itself can be called:

    vmdump.check(old, new, *, types=(), directions="both", machine=None, any_target=False,
                 evaluate=True) -> CheckResult

Args:
    old, new: the paths of QEMU binaries or dump files, DeviceDumps, or Labelled dumps.
    types: glob patterns of QOM types, or names from QEMU's error lines; default: all types.
    directions: "forward" (old -> new), "backward", "both", or several of them.
    machine: the machine type of binaries; default: the newest that both know.
    any_target: True also compares QEMUs of different targets.
    evaluate: False does not boot VMs of binaries in the emulator.

The result's ``findings`` are all findings, its ``results`` the types of each direction with their verdicts. Raises
SourceError if a path can't be read, VmdumpError for arguments that match nothing or exclude each other.

>>> import vmdump
>>> dump = vmdump.open()
>>> result = vmdump.check(vmdump.Labelled("old", dump), vmdump.Labelled("new", dump), directions="forward")
>>> result
<CheckResult: old -> new: 64 safe>
>>> [finding for finding in result.findings if finding.verdict != "safe"]
[]
"""

import sys

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any

    from vmdump.check.results import CheckResult


class _CallablePackage(type(sys)):  # type: ignore[misc]
    """Makes the package the function as well: importing one of its modules would replace a function of this name."""

    def __call__(self, *args: "Any", **options: "Any") -> "CheckResult":
        """See vmdump.check.api.check."""
        from vmdump.check.api import check

        return check(*args, **options)

    @property
    def __signature__(self) -> "Any":
        """The signature of the function, for help and editors."""
        from inspect import signature

        from vmdump.check.api import check

        return signature(check)


sys.modules[__name__].__class__ = _CallablePackage
