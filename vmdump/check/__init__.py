"""Check whether the device state of one QEMU can be loaded by another. The package itself can be called:

    vmdump.check(old, new, *, types=(), directions="both", machine=None, any_target=False) -> CheckResult

old and new are paths of QEMU binaries or dump files, DeviceDumps, or Labelled dumps. Binaries are compared under the
newest machine type that both know, unless machine names one. ``help(vmdump.check.api)`` describes the arguments.

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
