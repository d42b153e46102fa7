"""The differences of two saved VMs."""

from __future__ import annotations

from collections import namedtuple
from contextlib import suppress

from vmdump.errors import VmdumpError
from vmdump.stream.section_view import find_sections, view
from vmdump.stream.values import Node, shown, walk

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.stream.saved_vm import RamBlock, SavedVM, Section


class Difference(namedtuple("Difference", ("kind", "name", "instance_id", "path", "old", "new"))):
    """A difference.

    - kind: ``machine``, ``page size``, ``capabilities``, ``uuid``, ``ram block``, ``ram pages``, ``section``,
      ``version``, ``field`` or ``bytes``.
    - name: of the section or RAM block; "" for the VM.
    - instance_id: of the section; None: not a section.
    - path: of the field.
    - old, new: both values in words; None: absent.
    """

    __slots__ = ()

    kind: str
    name: str
    instance_id: int | None
    path: str
    old: str | None
    new: str | None


def differences(
    old: SavedVM, new: SavedVM, *, image: DeviceDump | None = None, only: str | None = None
) -> Iterator[Difference]:
    """Yield the differences of two saved VMs. The contents of RAM pages are not compared, their numbers are.

    Args:
        old: one VM.
        new: the other one.
        image: describes the sections; default: the vmdescription of each stream.
        only: compare sections of this name alone; see section_view.find_sections.

    Raises VmdumpError if neither VM has a section of this name.
    """
    if only is None:
        yield from _of_the_vm(old, new)
        yield from _of_ram(old, new)
    else:
        _require(only, old, new)
    yield from _of_sections(old, new, image, only)


def _require(name: str, old: SavedVM, new: SavedVM) -> None:
    """Raise the error of find_sections if neither VM has a section."""
    with suppress(VmdumpError):
        find_sections(old, name)
        return
    find_sections(new, name)


def _of_the_vm(old: SavedVM, new: SavedVM) -> Iterator[Difference]:
    for kind, left, right in (
        ("machine", old.machine, new.machine),
        ("page size", old.page_size, new.page_size),
        ("capabilities", ", ".join(old.capabilities), ", ".join(new.capabilities)),
        ("uuid", old.uuid, new.uuid),
    ):
        if left != right:
            yield Difference(kind, "", None, "", _text(left), _text(right))


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _of_ram(old: SavedVM, new: SavedVM) -> Iterator[Difference]:
    left, right = ({block.name: block for block in vm.blocks} for vm in (old, new))
    for name in dict.fromkeys((*left, *right)):
        one, other = left.get(name), right.get(name)
        if one is None or other is None or one.size != other.size:
            sizes = [None if each is None else f"{each.size} bytes" for each in (one, other)]
            yield Difference("ram block", name, None, "", *sizes)
        elif _pages(one) != _pages(other):
            yield Difference("ram pages", name, None, "", _pages(one), _pages(other))


def _pages(block: RamBlock) -> str:
    counts = {
        "pages": block.pages, "zero": block.zero_pages, "XBZRLE": block.xbzrle_pages,
        "compressed": block.compressed_pages,
    }  # fmt: skip
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "0 pages"


def _of_sections(old: SavedVM, new: SavedVM, image: DeviceDump | None, only: str | None) -> Iterator[Difference]:
    left, right = ({(each.name, each.instance_id): each for each in vm.sections} for vm in (old, new))
    for key in dict.fromkeys((*left, *right)):
        if only is not None and key[0] != only and not key[0].endswith(f"/{only}"):
            continue
        one, other = left.get(key), right.get(key)
        if one is None or other is None:
            yield Difference("section", *key, "", *(each and f"{each.size} bytes" for each in (one, other)))
            continue
        if one.version_id != other.version_id:
            yield Difference("version", *key, "", str(one.version_id), str(other.version_id))
        if not one.is_live and one.body != other.body:
            yield from _of_fields(old, new, one, other, image)


def _of_fields(
    old: SavedVM, new: SavedVM, one: Section, other: Section, image: DeviceDump | None
) -> Iterator[Difference]:
    views = view(old, one, image), view(new, other, image)
    left, right = (
        {" / ".join(path): node for path, node in walk(each.nodes) if node.children is None} for each in views
    )
    found = False
    for path in dict.fromkeys((*left, *right)):
        before, after = left.get(path), right.get(path)
        if before is None or after is None or (before.value, before.size) != (after.value, after.size):
            found = True
            yield Difference("field", one.name, one.instance_id, path, *_both(before, after))
    if not found:
        at = next((i for i, (a, b) in enumerate(zip(one.body, other.body, strict=False)) if a != b), None)
        where = f"at byte {min(len(one.body), len(other.body)) if at is None else at}"
        yield Difference("bytes", one.name, one.instance_id, where, f"{one.size} bytes", f"{other.size} bytes")


#: Bytes of long values that are shown from the first different one on.
_SHOWN_BYTES = 16


def _both(before: Node | None, after: Node | None) -> list[str | None]:
    """Return both values in words; of long ones the bytes from the first different one on."""
    values = [None if each is None else each.value for each in (before, after)]
    left, right = values
    if isinstance(left, bytes) and isinstance(right, bytes) and max(len(left), len(right)) > _SHOWN_BYTES:
        least = min(len(left), len(right))
        at = next((i for i in range(least) if left[i] != right[i]), least)
        return [f"{each[at : at + _SHOWN_BYTES].hex()} (from byte {at})" for each in (left, right)]
    return [None if each is None else shown(each) for each in (before, after)]
