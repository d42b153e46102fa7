"""Fields in words, for people: how many bytes, and of which type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.vmstate.model import VMStateFlags

if TYPE_CHECKING:
    from vmdump.vmstate.model import VMStateField

_VARRAY = (
    VMStateFlags.VARRAY_INT32 | VMStateFlags.VARRAY_UINT8 | VMStateFlags.VARRAY_UINT16 | VMStateFlags.VARRAY_UINT32
)


def size_in_words(field: VMStateField) -> str:
    """Return the number of elements times the bytes of one; n is a number known only at run time.

    >>> import vmdump
    >>> size_in_words(next(vmdump.open()["mc146818rtc"].walk()).field)
    '128'
    """
    if field.flags & VMStateFlags.VBUFFER:
        return f"n x {field.size}" if field.flags & VMStateFlags.MULTIPLY else "n"
    factors = [str(field.size)]
    if field.flags & (VMStateFlags.ARRAY | VMStateFlags.MULTIPLY_ELEMENTS):
        factors.insert(0, str(field.num))
    if field.flags & _VARRAY:
        factors.insert(0, "n")
    return " x ".join(factors)


def type_in_words(field: VMStateField) -> str:
    """Return the name of the field's description or encoding; empty if the source has neither."""
    if field.vmsd is not None:
        return field.vmsd.name
    return field.info.name if field.info is not None else ""
