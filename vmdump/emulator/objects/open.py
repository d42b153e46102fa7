"""Open an executable or a module of any format."""

from __future__ import annotations

from vmdump.emulator.objects.elf import ElfFile
from vmdump.emulator.objects.model import ObjectFile
from vmdump.emulator.objects.pe import PeFile
from vmdump.errors import SourceError
from vmdump.files.file_kind import OBJECT_START, START, describe_executable, object_format
from vmdump.files.input_file import open_regular

#: Readers by the format that file_kind.object_format names.
_FORMATS: dict[str, type[ObjectFile]] = {"ELF": ElfFile, "PE": PeFile}


def open_object(path: str) -> ObjectFile:
    """Open the object file at a path.

    Raises:
        SourceError: not an object of a supported format and host.
        OSError, ValueError: as the built-in open does.
    """
    file = open_regular(path).detach()
    try:
        start = file.read(START)
        format = object_format(start[:OBJECT_START]) or "ELF"
        if format not in _FORMATS:
            raise SourceError(f"{path}: {describe_executable(start)}")
        return _FORMATS[format](file, path)
    except BaseException:
        file.close()
        raise
