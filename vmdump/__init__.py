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

    from vmdump.device_dump import Device, DeviceDump, Root
    from vmdump.engines import Engine
    from vmdump.errors import ModuleError, OutputError, QOMError, SourceError, VmdumpError, VMStateError
    from vmdump.include import get_include
    from vmdump.lookup import Part
    from vmdump.module import ModuleInfo
    from vmdump.producer import Defect, Producer, ProducerModule
    from vmdump.qom import DeviceClass, MachineClass, ObjectClass, TypeInfo
    from vmdump.session import Session
    from vmdump.source import open
    from vmdump.version import __version__

__all__ = [
    "Defect", "Device", "DeviceClass", "DeviceDump", "Engine", "MachineClass", "ModuleError", "ModuleInfo",
    "ObjectClass", "OutputError", "Part", "Producer", "ProducerModule", "QOMError", "Root", "Session",
    "SourceError", "TypeInfo", "VMStateError", "VmdumpError", "__version__", "get_include", "open",
]  # fmt: skip

_MODULES = {
    "vmdump.device_dump": ("Device", "DeviceDump", "Root"),
    "vmdump.engines": ("Engine",),
    "vmdump.errors": ("ModuleError", "OutputError", "QOMError", "SourceError", "VMStateError", "VmdumpError"),
    "vmdump.include": ("get_include",),
    "vmdump.lookup": ("Part",),
    "vmdump.module": ("ModuleInfo",),
    "vmdump.producer": ("Defect", "Producer", "ProducerModule"),
    "vmdump.qom": ("DeviceClass", "MachineClass", "ObjectClass", "TypeInfo"),
    "vmdump.session": ("Session",),
    "vmdump.source": ("open",),
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
