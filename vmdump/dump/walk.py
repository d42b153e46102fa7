"""Walk the fields of a description: every field with its path and the conditions under which it is migrated."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING

from vmdump.vmstate.model import VMStateFlags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.vmstate.model import VMStateDescription, VMStateField


class WalkedField(namedtuple("WalkedField", ("path", "depth", "field", "description", "conditions"))):
    """A field at its place in a device's state.

    - path: the names that lead to it, joined by `` / ``: fields, and the names of subsections.
    - depth: the number of names before it; 0 for a field of the outermost description.
    - field, description: the field, and the description that it is a member of.
    - conditions: why it may be left out of a migration stream, outermost first; empty if it is always sent. Conditions
      of the enclosing structs and subsections are included.

    A field with the flag MUST_EXIST (VMSTATE_VALIDATE) carries no data.

    >>> import vmdump
    >>> *_, last = vmdump.open()["isa-serial"].walk()
    >>> last
    <WalkedField 'state / serial/poll / modem_status_poll', 8 bytes, if serial_poll_needed>
    >>> last.depth, last.description.name, last.field.info.name
    (2, 'serial/poll', 'timer')
    """

    __slots__ = ()

    path: str
    depth: int
    field: VMStateField
    description: VMStateDescription
    conditions: tuple[str, ...]

    @property
    def name(self) -> str:
        """The field's own name, without the path."""
        return self.field.name or ""

    def __repr__(self) -> str:
        """The path, the size of an element, and the conditions."""
        return f"<WalkedField {', '.join([repr(self.path), f'{self.field.size} bytes', *self.conditions])}>"


def walk(vmsd: VMStateDescription, pattern: str | None = None) -> Iterator[WalkedField]:
    """Yield every field of a description in the order of the migration stream, nested ones and subsections included.

    A struct's field comes first, then the fields in it; subsections come after the fields.

    Args:
        vmsd: the outermost description.
        pattern: yield only fields whose name or path matches this glob pattern; upper and lower case differ.

    Descriptions that share others can stand for more fields than memory holds, so this is a generator; it does not
    recurse, as descriptions nest up to 1,000 levels.

    Source: QEMU 8.2.2 migration/vmstate.c vmstate_save_state_v, vmstate_subsection_save.
    """
    if pattern is not None:
        from fnmatch import fnmatchcase

        if not isinstance(pattern, str):
            raise TypeError(f"pattern must be a str or None, not {type(pattern).__name__}")
        for each in walk(vmsd):
            if fnmatchcase(each.name, pattern) or fnmatchcase(each.path, pattern):
                yield each
        return
    stack = [_members(vmsd, (), ())]
    while stack:
        for names, member, conditions in stack[-1]:
            if isinstance(member, WalkedField):
                yield member
                below = member.field.vmsd
            else:
                below = member
            if below is not None:
                stack.append(_members(below, names, conditions))
                break
        else:
            stack.pop()


def _members(
    vmsd: VMStateDescription, names: tuple[str, ...], conditions: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], WalkedField | VMStateDescription, tuple[str, ...]]]:
    """Yield the fields and subsections of one description, each with the names and conditions that lead below it."""
    for field in vmsd.fields or ():
        path = (*names, field.name or "")
        own = (*conditions, *_field_conditions(field, vmsd))
        yield path, WalkedField(" / ".join(path), len(names), field, vmsd, own), own
    for subsection in vmsd.subsections or ():
        yield (*names, subsection.name), subsection, (*conditions, *_subsection_conditions(subsection))


def _field_conditions(field: VMStateField, vmsd: VMStateDescription) -> Iterator[str]:
    """A test replaces the comparison of versions. Source: QEMU 8.2.2 migration/vmstate.c vmstate_field_exists."""
    if field.flags & VMStateFlags.MUST_EXIST:
        return
    if field.field_exists:
        yield f"if {_function_name(field.field_exists) or f'the test of {field.name} passes'}"
    elif field.version_id > 0:
        yield f"since version {field.version_id} of {vmsd.name}"


def _subsection_conditions(vmsd: VMStateDescription) -> Iterator[str]:
    """A subsection without needed is always sent; a dump file does not tell whether there is one."""
    if vmsd.needed or not vmsd.detailed:
        yield f"if {_function_name(vmsd.needed) or f'{vmsd.name} is needed'}"


def _function_name(test: object) -> str:
    name = getattr(test, "__name__", "")
    return name if name.isidentifier() else ""
