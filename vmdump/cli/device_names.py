"""Device types on command lines: by QOM type, by pattern, or by a name of QEMU's error lines."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from vmdump.cli.source_arguments import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.emulator.host_profile import HostProfile


def device_patterns(
    patterns: Iterable[str], known: Sequence[str], dumps: Callable[[], Sequence[DeviceDump]]
) -> list[str]:
    """Return patterns of device types for patterns of any names.

    A pattern that matches no type may be the name of a section or description, such as 0000:00:03.0/virtio-gpu.

    Args:
        patterns: as given.
        known: the types that -device may add.
        dumps: reads the descriptions of the binaries; called if a pattern matches no type.

    Raises:
        UsageError: a pattern that names nothing.
    """
    found: list[str] = []
    for pattern in patterns:
        if any(fnmatchcase(each, pattern) for each in known):
            found.append(pattern)
            continue
        read = dumps()
        types = types_named(pattern, read)
        added = [each for type_ in types for each in _added_for(type_, known)]
        if not added:
            raise UsageError(f"--device: {_why_none(pattern, types, known, read)}")
        found += added
    return list(dict.fromkeys(found))


def types_named(name: str, dumps: Sequence[DeviceDump]) -> list[str]:
    """Return the QOM types whose section or description a name is; empty: none."""
    from vmdump.dump.type_patterns import matching_types

    patterns = matching_types(dumps, name)
    types = dict.fromkeys(each for dump in dumps for each in dump)
    return [each for each in types if any(fnmatchcase(each, pattern) for pattern in patterns)]


class Located(Protocol):
    """Where a binary is: its path on this system, its sysroot, and the host that it sees."""

    @property
    def path(self) -> str: ...

    @property
    def sysroot(self) -> str | None: ...

    @property
    def host(self) -> HostProfile | None: ...


def read_dumps(binaries: Iterable[Located], timeout: float) -> list[DeviceDump]:
    """Return the descriptions of binaries. Raises SourceError."""
    from vmdump.sources.open import open

    return [open(each.path, sysroot=each.sysroot, host=each.host, timeout=timeout) for each in binaries]


def _added_for(type_: str, known: Sequence[str]) -> list[str]:
    """Return the types that -device adds for the sake of a type: the type, or the proxies of a virtio device.

    Source: QEMU 10.0 hw/virtio/virtio-pci.c virtio_pci_types_register: NAME-device has NAME-pci and others.
    """
    if not type_.endswith("-device"):
        return [each for each in known if each == type_]
    stem = type_.removesuffix("device")
    proxies = [each for each in known if each.startswith(stem) and not each.endswith("-device")]
    return proxies or [each for each in known if each == type_]


def _why_none(pattern: str, types: Sequence[str], known: Sequence[str], dumps: Sequence[DeviceDump]) -> str:
    from vmdump.dump.lookup import section_name
    from vmdump.dump.type_patterns import known_names
    from vmdump.suggestion import did_you_mean

    if types:
        return f"{pattern!r} is a name of the state of {', '.join(types[:3])}, which -device can't add"
    names = [*known, *(name for dump in dumps for name in known_names(dump))]
    hint = did_you_mean(section_name(pattern), names, "vmdump devices lists them")
    return f"no device type matches {pattern!r}; {hint}"
