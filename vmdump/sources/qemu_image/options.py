"""What can be asked of the reading of an image, but for the machine; with the files' content it decides the result."""

from __future__ import annotations

from collections import namedtuple


class ImageOptions(
    namedtuple("ImageOptions", ("module_dirs", "details", "root", "host"), defaults=((), True, None, None))
):
    """The options of QemuImage; each by its own name, made of plain values and tuples, as they are part of the cache's
    key. module_dirs: searched for modules before QEMU's own places. details: whether more is read than QEMU's own dump
    tells: the descriptions that are on no device class, too. root: a tree unpacked from packages, in which its modules
    and links are looked for. host: the members of a HostProfile, what it would find on its host; None: the default.
    """

    __slots__ = ()

    module_dirs: tuple[str, ...]
    details: bool
    root: str | None
    host: tuple[bool, bool, int] | None
