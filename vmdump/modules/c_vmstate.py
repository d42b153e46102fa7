"""Convert descriptions written in C (vmdump/include/vmdump/vmstate.h) to the model.

The structs are walked as in QEMU, with its assertion and further checks: cycles, unterminated lists, names that are not
UTF-8. Invalid pointers can't be detected: they crash the process, as they would crash QEMU.
"""

from collections.abc import Iterator
from typing import Any

from vmdump._core import ffi, lib
from vmdump.errors import VMStateError
from vmdump.vmstate.model import MigrationPriority, VMStateDescription, VMStateField, VMStateInfo

#: Longer lists of fields or subsections count as unterminated. QEMU's longest has a few hundred entries.
MAX_LIST = 100_000


def vmstate_from_c(pointer: Any, made: dict[int, VMStateDescription]) -> VMStateDescription:
    """Return the model of a ``const VMStateDescription *``.

    ``made``: descriptions converted so far, by address; new ones are added. Descriptions shared in C are shared in the
    model.

    Raises:
        VMStateError: a cycle, a list of fields without VMSTATE_END_OF_LIST(), or a name that is missing or not UTF-8.
            The message names the description.

    Source: QEMU 8.2.2 migration/savevm.c dump_vmstate_vmsd.
    """
    if _address(pointer) in made:
        return made[_address(pointer)]
    stack = [(pointer, _nested(pointer))]
    open_descriptions = {_address(pointer)}
    while stack:
        vmsd, nested = stack[-1]
        child = next((each for each in nested if _address(each) not in made), None)
        if child is None:
            stack.pop()
            open_descriptions.discard(_address(vmsd))
            made[_address(vmsd)] = _model(vmsd, made)
        elif _address(child) in open_descriptions:
            raise VMStateError(
                f"description {_name(vmsd)!r} contains itself, through {_name(child)!r}; break the cycle"
            )
        else:
            open_descriptions.add(_address(child))
            stack.append((child, _nested(child)))
    return made[_address(pointer)]


def _address(pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))


def _name(vmsd: Any) -> str:
    return _text(vmsd.name, f"the description at {_address(vmsd):#x}")


def _text(text: Any, what: str) -> str:
    if not text:
        raise VMStateError(f"{what} has no name; it may be an uninitialized stub")
    encoded = ffi.string(text)
    try:
        return str(encoded.decode())
    except UnicodeDecodeError:
        raise VMStateError(f"{what}: its name {encoded!r} is not UTF-8; rename it") from None


def _fields(vmsd: Any) -> Iterator[Any]:
    """Iterate over the fields up to the terminator."""
    for index in range(MAX_LIST):
        field = vmsd.fields[index]
        if not field.name:
            if field.flags != lib.VMS_END:
                break
            return
        yield field
    raise VMStateError(f"description {_name(vmsd)!r}: its list of fields does not end in VMSTATE_END_OF_LIST(); add it")


def _subsections(vmsd: Any) -> Iterator[Any]:
    for index in range(MAX_LIST):
        if not vmsd.subsections[index]:
            return
        yield vmsd.subsections[index]
    raise VMStateError(f"description {_name(vmsd)!r}: its list of subsections does not end in NULL; add it")


def _nested(vmsd: Any) -> Iterator[Any]:
    if vmsd.fields:
        yield from (field.vmsd for field in _fields(vmsd) if field.vmsd)
    if vmsd.subsections:
        yield from _subsections(vmsd)


def _model(vmsd: Any, made: dict[int, VMStateDescription]) -> VMStateDescription:
    name = _name(vmsd)
    return VMStateDescription(
        name,
        version_id=vmsd.version_id,
        minimum_version_id=vmsd.minimum_version_id,
        fields=[_field(field, name, made) for field in _fields(vmsd)] if vmsd.fields else None,
        subsections=[made[_address(each)] for each in _subsections(vmsd)] if vmsd.subsections else None,
        unmigratable=bool(vmsd.unmigratable),
        early_setup=bool(vmsd.early_setup),
        priority=_priority(vmsd.priority, name),
        needed=_hook(vmsd.needed),
        pre_load=_hook(vmsd.pre_load),
        post_load=_hook(vmsd.post_load),
        pre_save=_hook(vmsd.pre_save),
        post_save=_hook(vmsd.post_save),
        dev_unplug_pending=_hook(vmsd.dev_unplug_pending),
    )


def _field(field: Any, vmsd_name: str, made: dict[int, VMStateDescription]) -> VMStateField:
    where = f"description {vmsd_name!r}: a field"
    return VMStateField(
        _text(field.name, where),
        offset=field.offset,
        size=field.size,
        num=field.num,
        flags=field.flags,
        version_id=field.version_id,
        struct_version_id=field.struct_version_id,
        info=VMStateInfo(_text(field.info.name, f"{where}'s info")) if field.info else None,
        vmsd=made[_address(field.vmsd)] if field.vmsd else None,
        field_exists=_hook(field.field_exists),
        start=field.start,
        num_offset=field.num_offset,
        size_offset=field.size_offset,
        err_hint=_text(field.err_hint, f"{where}'s err_hint") if field.err_hint else None,
    )


def _hook(function: Any) -> bool | None:
    """Return True for a C function, which is never called, and None for NULL."""
    return True if function else None


def _priority(value: int, name: str) -> MigrationPriority:
    try:
        return MigrationPriority(value)
    except ValueError:
        raise VMStateError(f"description {name!r}: priority {value} is not a MigrationPriority") from None
