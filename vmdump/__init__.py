"""QEMU's -dump-vmstate as a library: which device state a QEMU migrates, and whether another QEMU can load it.

    import vmdump

    dump = vmdump.open("qemu-system-x86_64")     # a QEMU binary, which is not run, or a dump file
    dump["e1000"].version_id                     # a DeviceDump maps QOM type names to Devices
    for field in dump["e1000"].walk("*irq*"):    # every field with its path, description and conditions
        print(field.path, field.field.size, field.conditions)
    dump.find("cpu")                             # also sections, subsections and standalone descriptions, by name
    dump.write("x86_64.json")                    # what -dump-vmstate writes

    result = vmdump.check("old/qemu-system-x86_64", "new/qemu-system-x86_64")
    for finding in result.findings:              # what breaks, or may break, in either direction
        print(finding.verdict, finding.direction, finding.type, finding.message)
    vmdump.lint(dump)                            # defects within one QEMU

    for case in vmdump.migrate(old, new).cases:  # VMs saved by one QEMU and loaded by another, both in the emulator
        print(case.device, case.outcome, case.failures)

    vmdump.Session                               # a registry of types, to declare devices of your own
    vmdump.vmstate                               # VMStateDescription, VMStateField, and QEMU's VMSTATE_* macros
    vmdump.VmdumpError                           # the base class of all errors

Warnings are logged to the logger "vmdump". help(vmdump.open) and help(vmdump.check) describe the options, dir(vmdump)
has all public names: results, errors, and the types that Session registers.
"""

# Public names are imported on first access, so that `import vmdump` costs next to nothing.

from __future__ import annotations

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing, which takes longer than writing a dump
if TYPE_CHECKING:
    from typing import Any

    from vmdump.check.api import check as check
    from vmdump.check.api import lint as lint
    from vmdump.check.checker import Labelled as Labelled
    from vmdump.check.results import CheckResult as CheckResult
    from vmdump.check.results import Direction as Direction
    from vmdump.check.results import Finding as Finding
    from vmdump.check.results import TypeResult as TypeResult
    from vmdump.check.results import Verdict as Verdict
    from vmdump.dump.device import Device as Device
    from vmdump.dump.device import StandaloneVMState as StandaloneVMState
    from vmdump.dump.device_dump import DeviceDump as DeviceDump
    from vmdump.dump.device_dump import UnknownDeviceError as UnknownDeviceError
    from vmdump.dump.engine import Engine as Engine
    from vmdump.dump.lookup import Part as Part
    from vmdump.dump.producer import Defect as Defect
    from vmdump.dump.producer import Producer as Producer
    from vmdump.dump.producer import ProducerModule as ProducerModule
    from vmdump.dump.walk import WalkedField as WalkedField
    from vmdump.emulator.host_profile import HostProfile as HostProfile
    from vmdump.errors import ModuleError as ModuleError
    from vmdump.errors import OutputError as OutputError
    from vmdump.errors import QOMError as QOMError
    from vmdump.errors import SourceError as SourceError
    from vmdump.errors import VmdumpError as VmdumpError
    from vmdump.errors import VMStateError as VMStateError
    from vmdump.include import get_include as get_include
    from vmdump.machines.mapping import Machines as Machines
    from vmdump.machines.model import MachineType as MachineType
    from vmdump.migrate.api import MigrateResult as MigrateResult
    from vmdump.migrate.api import migrate as migrate
    from vmdump.migrate.cases import Case as Case
    from vmdump.modules.model import ModuleInfo as ModuleInfo
    from vmdump.qom import DeviceClass as DeviceClass
    from vmdump.qom import MachineClass as MachineClass
    from vmdump.qom import ObjectClass as ObjectClass
    from vmdump.qom import TypeInfo as TypeInfo
    from vmdump.sources.open import open as open
    from vmdump.sources.session import Session as Session
    from vmdump.version import __version__ as __version__

#: The entry points, which help(vmdump) describes; dir(vmdump) has all public names. Without open, so that a star import
#: does not replace Python's.
__all__ = ["Device", "DeviceDump", "Session", "VmdumpError", "__version__", "check", "get_include", "lint", "migrate"]

_MODULES = {
    "vmdump.check.api": ("lint",),
    "vmdump.check.checker": ("Labelled",),
    "vmdump.check.results": ("CheckResult", "Direction", "Finding", "TypeResult", "Verdict"),
    "vmdump.dump.device": ("Device", "StandaloneVMState"),
    "vmdump.dump.device_dump": ("DeviceDump", "UnknownDeviceError"),
    "vmdump.dump.engine": ("Engine",),
    "vmdump.dump.lookup": ("Part",),
    "vmdump.dump.producer": ("Defect", "Producer", "ProducerModule"),
    "vmdump.dump.walk": ("WalkedField",),
    "vmdump.emulator.host_profile": ("HostProfile",),
    "vmdump.errors": ("ModuleError", "OutputError", "QOMError", "SourceError", "VMStateError", "VmdumpError"),
    "vmdump.include": ("get_include",),
    "vmdump.machines.mapping": ("Machines",),
    "vmdump.machines.model": ("MachineType",),
    "vmdump.migrate.api": ("MigrateResult",),
    "vmdump.migrate.cases": ("Case",),
    "vmdump.modules.model": ("ModuleInfo",),
    "vmdump.qom": ("DeviceClass", "MachineClass", "ObjectClass", "TypeInfo"),
    "vmdump.sources.open": ("open",),
    "vmdump.sources.session": ("Session",),
    "vmdump.version": ("__version__",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

#: Packages that are attributes of this one once they are imported. check and migrate are packages that can be called.
_PACKAGES = ("check", "migrate", "vmstate")

#: Names that were renamed in this release.
_DEPRECATED = {"Root": "StandaloneVMState"}


def __getattr__(name: str) -> Any:
    """Import a public name on first access (PEP 562)."""
    from importlib import import_module

    if name in _PACKAGES:
        return import_module(f"vmdump.{name}")
    if name in _DEPRECATED:
        from vmdump.notices import warn_deprecated

        warn_deprecated(f"vmdump.{name}", f"vmdump.{_DEPRECATED[name]}")
        return __getattr__(_DEPRECATED[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'vmdump' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted({*_HOMES, *_PACKAGES})
