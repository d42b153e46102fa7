"""Open an executable or a module of any format."""

from __future__ import annotations

from vmdump.emulator.objects.elf import ElfFile
from vmdump.emulator.objects.model import ObjectFile
from vmdump.files.input_file import open_regular


def open_object(path: str) -> ObjectFile:
    """Open the object file at a path.

    Raises:
        SourceError: not an object of a supported format and host.
        OSError, ValueError: as the built-in open does.
    """
    file = open_regular(path).detach()
    try:
        return ElfFile(file, path)
    except BaseException:
        file.close()
        raise
