"""Libraries that an emulated QEMU executes itself."""

from __future__ import annotations

from vmdump.emulator.guest import Guest
from vmdump.emulator.guest_services import GuestServices
from vmdump.emulator.hosts.model import Platform
from vmdump.emulator.objects.model import MappedObject
from vmdump.emulator.objects.open import open_object

#: Libraries that are mapped into the guest instead of implemented, if the tree has them: device trees, user networking.
#: They access the host only through functions of libc and GLib, which are the emulator's. Values: prefixes of their
#: functions.
LIBRARIES = {
    Platform.LINUX: {"libfdt.so.1": "fdt_", "libslirp.so.0": "slirp_"},
    Platform.MACOS: {"libfdt.1.dylib": "fdt_", "libslirp.0.dylib": "slirp_"},
    Platform.WINDOWS: {"libfdt-1.dll": "fdt_", "libslirp-0.dll": "slirp_"},
}

#: Directories of libraries, by the multiarch name of the host; the last are those of Homebrew and, for
#: Windows, of the binary.
_LIBRARY_DIRS = ("usr/lib/%s", "lib/%s", "usr/lib64", "usr/lib", "opt/homebrew/lib", "usr/local/lib", "usr/bin")


def map_libraries(guest: Guest, services: GuestServices) -> list[MappedObject]:
    """Map the libraries that the tree has; symbols of the binary are bound to them first."""
    libraries: list[MappedObject] = []
    for name in LIBRARIES[guest.host.platform]:
        for directory in _LIBRARY_DIRS:
            path = services.resolve(f"/{directory.replace('%s', guest.host.multiarch)}/{name}")
            if path is not None:
                with open_object(path, guest.arch) as file:
                    libraries.append(file.map(guest, libraries, is_main=False))
                services.add_library(name)
                break
    return libraries
