"""Lists and trees whose elements are structs."""

from __future__ import annotations

from collections.abc import Sequence

from vmdump.vmstate.model import (
    VMStateDescription,
    VMStateField,
    vmstate_info_gtree,
    vmstate_info_qlist,
    vmstate_info_qtailq,
)
from vmdump.vmstate.type_check import CType, State, offset_in_element, offsetof, sizeof


def VMSTATE_QTAILQ_V(
    _field: str, _state: State, _version: int, _vmsd: VMStateDescription, _type: CType, _next: str
) -> VMStateField:
    """A QTAILQ of structs ``_type``, linked by their member ``_next``. No flags. Size: an element's.

    ``start``: offset of ``_next``; 0 if ``_type`` is given as a size.
    """
    offset, start = offsetof(_state, _field), offset_in_element(_type, _next)
    return VMStateField(_field, offset, sizeof(_type), 0, 0, _version, 0, vmstate_info_qtailq, _vmsd, start=start)


def VMSTATE_QLIST_V(
    _field: str, _state: State, _version: int, _vmsd: VMStateDescription, _type: CType, _next: str
) -> VMStateField:
    """A QLIST of structs ``_type``, linked by their member ``_next``. No flags. Size: an element's.

    ``start``: offset of ``_next``; 0 if ``_type`` is given as a size.
    """
    offset, start = offsetof(_state, _field), offset_in_element(_type, _next)
    return VMStateField(_field, offset, sizeof(_type), 0, 0, _version, 0, vmstate_info_qlist, _vmsd, start=start)


def VMSTATE_GTREE_V(
    _field: str,
    _state: State,
    _version: int,
    _vmsd: VMStateDescription | Sequence[VMStateDescription],
    _key_type: CType,
    _val_type: CType,
) -> VMStateField:
    """A GTree from structs ``_key_type`` to structs ``_val_type``. No flags. Size: a value's; ``start``: a key's.

    ``_vmsd``: descriptions of value and key, in this order. The field keeps the first only, as the dump does.
    """
    value = _vmsd if isinstance(_vmsd, VMStateDescription) else _vmsd[0]
    offset, start = offsetof(_state, _field), sizeof(_key_type)
    return VMStateField(_field, offset, sizeof(_val_type), 0, 0, _version, 0, vmstate_info_gtree, value, start=start)


def VMSTATE_GTREE_DIRECT_KEY_V(
    _field: str, _state: State, _version: int, _vmsd: VMStateDescription, _val_type: CType
) -> VMStateField:
    """A GTree from numbers to structs ``_val_type``. No flags. Size: a value's; ``start``: 0."""
    return VMSTATE_GTREE_V(_field, _state, _version, _vmsd, 0, _val_type)
