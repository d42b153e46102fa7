"""What can be asked of the reading of an image, but for the machine; with the files' content it decides the result."""

from __future__ import annotations

from collections import namedtuple


class ImageOptions(namedtuple("ImageOptions", ("module_dirs", "details"), defaults=((), True))):
    """The options of QemuImage; each by its own name, made of strings and tuples of them, as they are part of the
    cache's key. module_dirs: searched for modules before QEMU's own places. details: whether
    more is read than QEMU's own dump tells: the descriptions that are on no device class, too.
    """

    __slots__ = ()

    module_dirs: tuple[str, ...]
    details: bool
