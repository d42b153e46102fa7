"""Open an executable or a module of any format."""

from __future__ import annotations

from vmdump.emulator.objects.elf import ElfFile
from vmdump.emulator.objects.macho import MachoFile
from vmdump.emulator.objects.model import ObjectFile
from vmdump.emulator.objects.pe import PeFile
from vmdump.files.elf_header import HostArch
from vmdump.files.file_kind import OBJECT_START, object_format
from vmdump.files.input_file import open_regular

#: Readers by the format that file_kind.object_format names.
_FORMATS: dict[str, type[ObjectFile]] = {"ELF": ElfFile, "PE": PeFile, "Mach-O": MachoFile}


def open_object(path: str, arch: HostArch | None = None) -> ObjectFile:
    """Open the object file at a path. ``arch``: the CPU whose part is wanted of a file for several.

    Raises:
        SourceError: not an object of a supported format and host.
        OSError, ValueError: as the built-in open does.
    """
    file = open_regular(path).detach()
    try:
        kind = _FORMATS[object_format(file.read(OBJECT_START)) or "ELF"]
        return MachoFile(file, path, arch) if kind is MachoFile else kind(file, path)
    except BaseException:
        file.close()
        raise
