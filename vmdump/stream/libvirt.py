"""libvirt's saved VMs: a header, the domain's XML, a cookie, then the stream.

Source: libvirt 11.3 src/qemu/qemu_saveimage.h ``struct _virQEMUSaveHeader``, qemu_saveimage.c.
"""

from __future__ import annotations

import struct

from vmdump.errors import SourceError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from vmdump.stream.stream_input import Peekable

MAGIC, PARTIAL_MAGIC = b"LibvirtQemudSave", b"LibvirtQemudPart"

#: Bytes of the header.
HEADER = 92

_VERSION = 2

#: enum virQEMUSaveFormat.
FORMATS = ("raw", "gzip", "bzip2", "xz", "lzop", "zstd", "sparse")

#: Limit of the XML and cookie, in bytes.
_MAX_DATA = 64 << 20


class SaveHeader:
    """The header of a saved VM.

    Attributes:
        was_running: Whether restoring resumes the VM.
        format: Name of the format of the stream.
        xml: The domain's XML.
        cookie: XML with the CPU model and features that the VM had, or "".
        size: Bytes before the stream.
    """

    __slots__ = ("cookie", "format", "size", "was_running", "xml")

    def __init__(self, was_running: bool, format: str, xml: str, cookie: str, size: int) -> None:
        self.was_running, self.format, self.xml, self.cookie, self.size = was_running, format, xml, cookie, size


def read_header(stream: Peekable, name: str) -> SaveHeader:
    """Consume the header, the XML and the cookie. Raises SourceError."""
    header = stream.peek(HEADER)
    if header.startswith(PARTIAL_MAGIC):
        raise SourceError(f"{name}: libvirt did not finish saving this VM; save it again")
    if len(header) < HEADER:
        raise SourceError(f"{name}: ends within libvirt's header of {HEADER} bytes; the file is truncated")
    order = "<" if struct.unpack_from("<I", header, 16)[0] == _VERSION else ">"  # that of the host that saved it
    version, data_size, was_running, number, cookie_at = struct.unpack_from(f"{order}5I", header, 16)
    if version != _VERSION:
        raise SourceError(f"{name}: version {version} of libvirt's save format; versions other than 2 are not known")
    if number >= len(FORMATS):
        known = ", ".join(FORMATS)
        raise SourceError(f"{name}: libvirt's save format number {number} is not known; known are {known}")
    if data_size > _MAX_DATA:
        raise SourceError(
            f"{name}: libvirt's header has {data_size} bytes of XML, more than {_MAX_DATA}; the file may be corrupt"
        )
    data = stream.peek(HEADER + data_size)[HEADER:]
    if len(data) < data_size:
        raise SourceError(f"{name}: ends within the domain's XML in libvirt's header; the file is truncated")
    stream.read(HEADER + data_size)
    cookie = data[cookie_at:].split(b"\0", 1)[0] if 0 < cookie_at < data_size else b""
    xml = data.split(b"\0", 1)[0]
    return SaveHeader(
        was_running == 1, FORMATS[number], xml.decode(errors="replace"), cookie.decode(errors="replace"),
        HEADER + data_size,
    )  # fmt: skip
