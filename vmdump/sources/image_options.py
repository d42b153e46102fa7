"""Options for reading an image, except the machine. They are part of the cache key."""

from __future__ import annotations

from collections import namedtuple


class ImageOptions(
    namedtuple("ImageOptions", ("module_dirs", "details", "root", "host"), defaults=((), True, None, None))
):
    """Options of QemuImage, as plain values and tuples for the cache key.

    ``module_dirs``: searched before QEMU's own module directories. ``details``: also read what QEMU's own dump lacks,
    including standalone descriptions. ``root``: sysroot for modules and symbolic links. ``host``: members of a
    HostProfile; None: the default.
    """

    __slots__ = ()

    module_dirs: tuple[str, ...]
    details: bool
    root: str | None
    host: tuple[bool, bool, int] | None
