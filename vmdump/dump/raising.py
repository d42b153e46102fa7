"""Raising: from descriptions of a native tree back to VMStateDescriptions of the model.

>>> import vmdump
>>> vmdump.open()["isa-serial"].vmsd.fields[0].name
'state'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmdump._core import ffi, lib
from vmdump.dump.lowering import TRAITS, UNKNOWN, post_order
from vmdump.dump.tree import text_of
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo

if TYPE_CHECKING:
    from vmdump._core import vmd_desc, vmd_field, vmd_field_details

_STRUCT = int(VMStateFlags.STRUCT)


def description_of(root: vmd_desc) -> VMStateDescription:
    """Return a new model of a native description. Descriptions that it shares internally stay shared.

    root is a ``const struct vmd_desc *`` of a tree that the caller keeps alive.
    """
    made: dict[int, VMStateDescription] = {}
    for desc in post_order(root, _native_children, _address):
        made[_address(desc)] = _model(desc, made)
    return made[_address(root)]


def _address(desc: vmd_desc) -> int:
    return int(ffi.cast("uintptr_t", desc))


def _native_children(desc: vmd_desc) -> list[vmd_desc]:
    nested = [desc.fields[i].vmsd for i in range(desc.n_fields) if desc.fields[i].vmsd]
    return nested + [desc.subsections[i] for i in range(desc.n_subsections)]


def _known(offset: int) -> int | None:
    return None if offset == UNKNOWN else offset


def _model_field(field: vmd_field, details: vmd_field_details, made: dict[int, VMStateDescription]) -> VMStateField:
    """Return the model of a native field. details is NULL if the tree has no metadata."""
    attributes: dict[str, Any] = {
        "size": field.size,
        "num": field.num,
        "version_id": field.version_id,
        "vmsd": made[_address(field.vmsd)] if field.vmsd else None,
        "field_exists": True if field.field_exists else None,
    }
    if details:
        attributes |= {
            "flags": field.flags,
            "offset": _known(details.offset),
            "start": details.start,
            "num_offset": _known(details.num_offset),
            "size_offset": _known(details.size_offset),
            "struct_version_id": details.struct_version_id,
            "info": VMStateInfo(text_of(details.info, details.info_len)) if details.info else None,
            "err_hint": text_of(details.err_hint, details.err_hint_len) if details.err_hint else None,
        }
    else:
        attributes["flags"] = field.flags | (_STRUCT if field.vmsd else 0)
    return VMStateField(text_of(field.name, field.name_len), **attributes)


def _model(desc: vmd_desc, made: dict[int, VMStateDescription]) -> VMStateDescription:
    """Return the model of a native description whose children have been made."""
    fields = [
        _model_field(desc.fields[i], desc.field_details and desc.field_details + i, made) for i in range(desc.n_fields)
    ]
    return VMStateDescription(
        text_of(desc.name, desc.name_len),
        version_id=desc.version_id,
        minimum_version_id=desc.minimum_version_id,
        fields=fields if desc.fields else None,
        subsections=[made[_address(desc.subsections[i])] for i in range(desc.n_subsections)]
        if desc.subsections
        else None,
        detailed=bool(desc.traits & lib.VMD_DETAILED),
        priority=desc.priority,
        **{name: True for name, bit in TRAITS if desc.traits & bit},
    )
