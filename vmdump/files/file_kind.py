"""Identify files by their first bytes: executables, and what is neither that nor a dump, for errors with a remedy.

Source: Microsoft's PE format (IMAGE_FILE_MACHINE_*).
"""

from __future__ import annotations

#: Bytes that `describe_file` needs.
START = 4096

_PE_MACHINES = {0x14C: "i386", 0x1C0: "ARM", 0x1C4: "ARM", 0x5064: "RISC-V", 0x6264: "LoongArch", 0x8664: "x86-64"}
_PE_MACHINES |= {0xAA64: "AArch64", 0xA641: "AArch64 (ARM64EC)", 0x200: "Itanium"}
_MACHO = tuple(number.to_bytes(4, order) for number in (0xFEEDFACE, 0xFEEDFACF) for order in ("little", "big"))

_BINARY = "give a QEMU system emulator (qemu-system-*) for Linux"
_ELSEWHERE = "write the dump where it runs, with -dump-vmstate, and give that file"
_PATH = "a saved VM can't be read from a pipe here; give its path"
_UTF_8 = "write it in UTF-8 without a byte order mark, as QEMU does"
_PACKAGE = "vmdump bulk reads packages; or unpack it and give the binary"

#: Offset of a magic number, the number, kind of file, remedy.
_MAGICS = (
    (0, b"\xed\xab\xee\xdb", "an RPM package", _PACKAGE),
    (0, b"PK\x03\x04", "a zip archive, or a wheel", _PACKAGE),
    (257, b"ustar", "a tar archive", _PACKAGE),
    (0, b"hsqs", "a squashfs image, as in snaps", "mount or unpack it and give the binary"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it and give the binary"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a Windows Installer package", _ELSEWHERE),
    (0, b"QEVM", "a migration stream, the state of a VM", _PATH),
    (0, b"LibvirtQemudSave", "a VM that libvirt has saved", _PATH),
    (0, b"LibvirtQemudPart", "a VM that libvirt began to save", _BINARY),
    (0, b"QFI\xfb", "a qcow2 disk image", _PATH),
    (0, b"KDMV", "a VMDK disk image", _BINARY),
    (0, b"%PDF-", "a PDF file", _BINARY),
    (0, b"\xca\xfe\xba\xbe", "a Java class", _BINARY),
    (0, b"\x7fCGC", "a CGC executable", _BINARY),
    (0, b"\0asm", "a WebAssembly module", _BINARY),
    (0, b"\xff\xfe", "text in UTF-16, as PowerShell's > writes it", _UTF_8),
    (0, b"\xfe\xff", "text in UTF-16", _UTF_8),
    (0, b"\xef\xbb\xbf", "text with a byte order mark", _UTF_8),
)


#: Bytes that `object_format` needs.
OBJECT_START = 8

_MACHO_FAT = (b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf")

#: The version of a Java class, where a fat Mach-O file has its number of CPUs, is at least this.
_JAVA_VERSION = 45


def object_format(start: bytes) -> str | None:
    r"""Return the format of an executable or module, by its first OBJECT_START bytes; None: any other file.

    >>> object_format(b"\x7fELF\2\1\1\0"), object_format(b"MZ\x90\0\3\0\0\0"), object_format(b"{\n  \"vmsc")
    ('ELF', 'PE', None)
    """
    if start.startswith(b"\x7fELF"):
        return "ELF"
    if start.startswith(b"MZ"):
        return "PE"
    is_fat = start.startswith(_MACHO_FAT) and int.from_bytes(start[4:8], "big") < _JAVA_VERSION
    return "Mach-O" if is_fat or start.startswith(_MACHO) else None


def describe_file(start: bytes) -> str | None:
    r"""Return the kind of a file by its first bytes, with a remedy; None: it may be a dump or an executable.

    >>> describe_file(b"!<arch>\ndebian-binary   ")
    'a Debian package, not a dump; vmdump bulk reads packages; or unpack it and give the binary'
    >>> describe_file(b'{"vmschkmachine": {}}')
    """
    found = _describe_archive(start)
    for offset, magic, what, instead in _MAGICS:
        if found is None and start.startswith(magic, offset):
            found = what, instead
    return found and f"{found[0]}, not a dump; {found[1]}"


def describe_executable(start: bytes) -> str:
    """Return what kind of executable of Windows a file is, with a remedy."""
    at = int.from_bytes(start[60:64], "little")
    number = int.from_bytes(start[at + 4 : at + 6], "little")
    what = f"a Windows program (PE, {_PE_MACHINES.get(number, f'machine {number:#x}')})"
    return f"{what if start[at : at + 4] == b'PE' + bytes(2) else 'a DOS or Windows program'}; {_ELSEWHERE}"


def _describe_archive(start: bytes) -> tuple[str, str] | None:
    if not start.startswith((b"!<arch>\n", b"!<thin>\n")):
        return None
    if start.startswith(b"debian-binary", 8):
        return "a Debian package", _PACKAGE
    return "a static library (ar archive)", _BINARY
