"""The two engines of the C core, by name."""

from __future__ import annotations

import enum

from vmdump._core import lib


class Engine(enum.Enum):
    """Which C code writes: FAST (pieces of text) or STDIO (fprintf, as QEMU does; the reference). The bytes are equal.

    Source: csrc/fast_dump.c, csrc/stdio_dump.c.

    >>> import vmdump
    >>> dump = vmdump.open()
    >>> dump.to_bytes(engine=Engine.STDIO) == dump.to_bytes(engine=Engine.FAST)
    True
    """

    FAST = "fast"
    STDIO = "stdio"

    @property
    def code(self) -> int:
        """The C core's number for it: csrc/dump.h."""
        return int(lib.VMD_ENGINE_STDIO if self is Engine.STDIO else lib.VMD_ENGINE_FAST)
