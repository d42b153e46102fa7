"""vmdump: QEMU's -dump-vmstate as a library. What device state does a QEMU migrate?

    import vmdump

    dump = vmdump.open("x86_64.json.xz")        # or a Session's classes, or a QEMU that is run
    print(dump.machine, len(dump), dump["mc146818rtc"].version_id)
    dump.write("copy.json")

Names are imported when they are first used, so that ``import vmdump`` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own, which takes longer to import than a dump to write
if TYPE_CHECKING:
    from typing import Any

    from vmdump.dump.device_dump import Device, DeviceDump, Root
    from vmdump.dump.engine import Engine
    from vmdump.dump.producer import Defect, Producer, ProducerModule
    from vmdump.errors import ModuleError, OutputError, QOMError, SourceError, VmdumpError, VMStateError
    from vmdump.include import get_include
    from vmdump.modules.loader import ModuleInfo
    from vmdump.qom import DeviceClass, MachineClass, ObjectClass, TypeInfo
    from vmdump.sources.open import open
    from vmdump.sources.session import Session
    from vmdump.version import __version__

__all__ = [
    "Defect", "Device", "DeviceClass", "DeviceDump", "Engine", "MachineClass", "ModuleError", "ModuleInfo",
    "ObjectClass", "OutputError", "Producer", "ProducerModule", "QOMError", "Root", "Session", "SourceError",
    "TypeInfo", "VMStateError", "VmdumpError", "__version__", "get_include", "open",
]  # fmt: skip

_MODULES = {
    "vmdump.dump.device_dump": ("Device", "DeviceDump", "Root"),
    "vmdump.dump.engine": ("Engine",),
    "vmdump.errors": ("ModuleError", "OutputError", "QOMError", "SourceError", "VMStateError", "VmdumpError"),
    "vmdump.include": ("get_include",),
    "vmdump.modules.loader": ("ModuleInfo",),
    "vmdump.dump.producer": ("Defect", "Producer", "ProducerModule"),
    "vmdump.qom": ("DeviceClass", "MachineClass", "ObjectClass", "TypeInfo"),
    "vmdump.sources.session": ("Session",),
    "vmdump.sources.open": ("open",),
    "vmdump.version": ("__version__",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vmdump' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted(__all__)
