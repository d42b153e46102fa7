"""The engines of the C core that write QEMU's form."""

from __future__ import annotations

import enum

from vmdump._core import lib


class Engine(enum.Enum):
    """Which C code writes: FAST (templates) or STDIO (fprintf, as QEMU does; the reference). The bytes are equal.

    Source: csrc/dump/fast_dump.c, csrc/dump/stdio_dump.c.

    >>> import vmdump
    >>> dump = vmdump.open()
    >>> dump.to_bytes(engine=Engine.STDIO) == dump.to_bytes(engine=Engine.FAST)
    True
    """

    FAST = "fast"
    STDIO = "stdio"

    @property
    def code(self) -> int:
        """The C core's constant: csrc/dump/dump.h ``enum vmd_engine``."""
        return int(lib.VMD_ENGINE_STDIO if self is Engine.STDIO else lib.VMD_ENGINE_FAST)
