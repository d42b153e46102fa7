"""A known line of QEMU, its meaning, and the rows that its values add to the explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vmdump.explain.context import Context, Row

#: The usual printer of a line; others' formats are not in the binary.
QEMU = "QEMU"


class KnownLine(NamedTuple):
    """A line: what it means for the machine, and what to do.

    ``key``: stable name; ``templates``: its texts in all versions, see vmdump.explain.pattern; ``what``: one sentence,
    with the template's arguments in braces; ``remedy``: what usually helps; ``source``: files and functions of QEMU;
    ``wraps``: the line reports where an error occurred, not the error; ``details``: yields rows from the arguments;
    ``printed_by``: QEMU, libvirt or a library; ``is_note``: a warning, not why a load failed.
    """

    key: str
    templates: tuple[str, ...]
    what: str
    remedy: str = ""
    source: tuple[str, ...] = ()
    wraps: bool = False
    details: Callable[[Mapping[str, str], Context], Iterator[Row]] | None = None
    printed_by: str = QEMU
    is_note: bool = False


def line(
    key: str,
    *templates: str,
    what: str,
    remedy: str = "",
    source: str | tuple[str, ...] = (),
    wraps: bool = False,
    details: Callable[[Mapping[str, str], Context], Iterator[Row]] | None = None,
    printed_by: str = QEMU,
    is_note: bool = False,
) -> KnownLine:
    """Return a KnownLine; ``source``: one, or several."""
    sources = (source,) if isinstance(source, str) else source
    return KnownLine(key, templates, what, remedy, sources, wraps, details, printed_by, is_note)
