"""VMStateField and VMStateDescription: descriptions of migrated device state.

Sources create descriptions, the engine dumps them, the check compares them. Names, order and meaning of the attributes
are QEMU's, including those that ``-dump-vmstate`` does not print (offset, flags, info, hooks, ...), as they determine
the layout of the migration stream. All objects are immutable, as QEMU's descriptions are const; so descriptions can be
shared and can't contain themselves.

Source: QEMU 8.2.2 include/migration/vmstate.h, migration/vmstate-types.c, migration/savevm.c (vmstate_info_timer).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum, IntFlag
from typing import Any, TypeAlias

import msgspec

from vmdump.errors import VMStateError
from vmdump.qemu import vmstate_flags

FieldTest: TypeAlias = Callable[[Any, int], bool] | bool | None
"""Condition of a field: a function ``test(state, version_id)``, or True if a test exists but is unknown.
None and False are QEMU's NULL: no test."""

Hook: TypeAlias = Callable[..., Any] | bool | None
"""Hook of a description (needed, pre_load, ...): a function, True if a hook exists but is unknown, or None."""


class VMStateFlags(IntFlag):
    """Flags that define how to locate and count the bytes of a field (QEMU's ``enum VMStateFlags``, without VMS_).

    >>> VMStateFlags(0x802)
    <VMStateFlags.POINTER|VARRAY_UINT32: 2050>
    """

    SINGLE = vmstate_flags.SINGLE
    """One value. Ignored by QEMU."""
    POINTER = vmstate_flags.POINTER
    """The member is a pointer to the value."""
    ARRAY = vmstate_flags.ARRAY
    """``num`` elements of ``size`` bytes."""
    STRUCT = vmstate_flags.STRUCT
    """Described by ``vmsd``, once for each element."""
    VARRAY_INT32 = vmstate_flags.VARRAY_INT32
    """The int32_t at ``num_offset`` is the number of elements."""
    BUFFER = vmstate_flags.BUFFER
    """``size`` bytes. Ignored by QEMU."""
    ARRAY_OF_POINTER = vmstate_flags.ARRAY_OF_POINTER
    """Each element is a pointer to the value."""
    VARRAY_UINT16 = vmstate_flags.VARRAY_UINT16
    """The uint16_t at ``num_offset`` is the number of elements."""
    VBUFFER = vmstate_flags.VBUFFER
    """The int32_t at ``size_offset`` is the size of an element in bytes."""
    MULTIPLY = vmstate_flags.MULTIPLY
    """With VBUFFER: that size multiplied by ``size``."""
    VARRAY_UINT8 = vmstate_flags.VARRAY_UINT8
    """The uint8_t at ``num_offset`` is the number of elements."""
    VARRAY_UINT32 = vmstate_flags.VARRAY_UINT32
    """The uint32_t at ``num_offset`` is the number of elements."""
    MUST_EXIST = vmstate_flags.MUST_EXIST
    """An assertion without data: saving and loading fail if the field's test returns false."""
    ALLOC = vmstate_flags.ALLOC
    """With POINTER: loading allocates the memory pointed to."""
    MULTIPLY_ELEMENTS = vmstate_flags.MULTIPLY_ELEMENTS
    """With a VARRAY: the number of elements is multiplied by ``num``."""
    VSTRUCT = vmstate_flags.VSTRUCT
    """As STRUCT, but in version ``struct_version_id`` instead of the enclosing description's."""
    END = vmstate_flags.END
    """Terminator of a list of fields. Since QEMU 8.2."""
    ARRAY_OF_POINTER_AUTO_ALLOC = vmstate_flags.ARRAY_OF_POINTER_AUTO_ALLOC
    """With ARRAY_OF_POINTER: a marker byte before each element tells whether it is NULL; loading allocates elements.
    New in QEMU 11, with another number."""


class MigrationPriority(IntEnum):
    """Order of migration: state with a higher priority is sent earlier (QEMU 8.2's MIG_PRI_*, without the prefix)."""

    DEFAULT = 0
    IOMMU = 1
    PCI_BUS = 2
    VIRTIO_MEM = 3
    GICV3_ITS = 4
    GICV3 = 5


class VMStateInfo(msgspec.Struct, frozen=True, gc=False):
    """Encoding of a value in the stream. In QEMU a name and two functions, here the name, as in the vmdescription.

    >>> vmstate_info_timer
    VMStateInfo(name='timer')
    """

    name: str


vmstate_info_bool = VMStateInfo("bool")

vmstate_info_int8 = VMStateInfo("int8")
vmstate_info_int16 = VMStateInfo("int16")
vmstate_info_int32 = VMStateInfo("int32")
vmstate_info_int64 = VMStateInfo("int64")

vmstate_info_uint8_equal = VMStateInfo("uint8 equal")
vmstate_info_uint16_equal = VMStateInfo("uint16 equal")
vmstate_info_int32_equal = VMStateInfo("int32 equal")
vmstate_info_uint32_equal = VMStateInfo("uint32 equal")
vmstate_info_uint64_equal = VMStateInfo("int64 equal")  # sic: part of the stream format
vmstate_info_int32_le = VMStateInfo("int32 le")

vmstate_info_uint8 = VMStateInfo("uint8")
vmstate_info_uint16 = VMStateInfo("uint16")
vmstate_info_uint32 = VMStateInfo("uint32")
vmstate_info_uint64 = VMStateInfo("uint64")
vmstate_info_fd = VMStateInfo("fd")  # new in QEMU 10.0

vmstate_info_nullptr = VMStateInfo("nullptr")
vmstate_info_cpudouble = VMStateInfo("CPU_Double_U")
vmstate_info_timer = VMStateInfo("timer")
vmstate_info_buffer = VMStateInfo("buffer")
vmstate_info_unused_buffer = VMStateInfo("unused_buffer")
vmstate_info_tmp = VMStateInfo("tmp")
vmstate_info_bitmap = VMStateInfo("bitmap")
vmstate_info_qtailq = VMStateInfo("qtailq")
vmstate_info_gtree = VMStateInfo("gtree")
vmstate_info_qlist = VMStateInfo("qlist")


class VMStateField(msgspec.Struct, frozen=True):
    """A field of a description: a member of a device's state struct. Use the VMSTATE_* constructors to create fields.

    ``num`` is the number of elements, ``size`` the size of one element in bytes.

    >>> VMStateField("regs", offset=16, size=4, num=8, flags=VMStateFlags.ARRAY, info=vmstate_info_uint32)
    VMStateField('regs', offset=16, size=4, num=8, flags=ARRAY, info='uint32')
    """

    name: str | None
    """Name of the member in C (``const char *``). None only in the terminator of a list."""
    offset: int | None = None
    """Offset of the member in the state struct, in bytes (``size_t``). None if the struct is unknown."""
    size: int = 0
    """Size of one element in bytes (``size_t``). Of a pointer's target, or of the pointer, as in QEMU's macro."""
    num: int = 0
    """Number of elements of an ARRAY, or the factor of MULTIPLY_ELEMENTS (``int``)."""
    flags: VMStateFlags | int = 0
    """Bits of VMStateFlags. The constructors store a plain int, which compares equal: an enum member would make the
    garbage collector track every field."""
    version_id: int = 0
    """First version of the description that has the field (``int``)."""
    struct_version_id: int = 0
    """Version in which a VSTRUCT is migrated (``int``)."""
    info: VMStateInfo | None = None
    vmsd: VMStateDescription | None = None
    field_exists: FieldTest = None
    start: int = 0
    """QTAILQ and QLIST: offset of the list entry in an element; GTREE: size of the key. In bytes."""
    num_offset: int | None = None
    """Offset of the member that holds a VARRAY's length, in bytes. None: not a VARRAY, or unknown struct."""
    size_offset: int | None = None
    """Offset of the member that holds a VBUFFER's size, in bytes. None: not a VBUFFER, or unknown struct."""
    err_hint: str | None = None
    """Hint that QEMU prints if the values of an EQUAL field differ."""

    def __repr__(self) -> str:
        """The attributes that differ from their defaults; flags, infos and nested descriptions by name."""
        shown = [repr(self.name)]
        for name, default in zip(self.__struct_fields__[1:], self.__struct_defaults__, strict=True):
            value = getattr(self, name)
            if name == "flags" and value:
                shown.append(f"flags={VMStateFlags(value).name or hex(value)}")
            elif value is not None and value != default:
                shown.append(f"{name}={_short(value)}")
        return f"VMStateField({', '.join(shown)})"


def _short(value: object) -> str:
    """Return the name of a description, an info or a function; else the repr."""
    name = getattr(value, "__name__", None) if callable(value) else getattr(value, "name", None)
    return repr(value) if name is None else str(name) if callable(value) else repr(name)


class _Named(msgspec.Struct, frozen=True):
    """Make the name positional: msgspec's kw_only applies to the fields of one class only."""

    name: str


class VMStateDescription(_Named, frozen=True, kw_only=True, dict=True, weakref=True):
    """Description of the migrated state of a device, or of a part of one: versions, fields, subsections and hooks.

    ``fields`` and ``subsections`` accept any iterable and are stored as tuples. None and empty differ: the dump prints
    an empty list for the latter. The terminators of C, VMSTATE_END_OF_LIST() after the fields and None after the
    subsections, are optional and removed.

    Raises:
        VMStateError: an element has another type, or elements follow a terminator.

    >>> regs = VMStateDescription("nvram", version_id=2, fields=[VMStateField("regs", size=1, num=16)])
    >>> regs
    <VMStateDescription 'nvram' version 2, minimum 0: 1 fields, 0 subsections>
    >>> regs.fields[0].name, regs.subsections
    ('regs', None)
    """

    version_id: int = 0
    minimum_version_id: int = 0
    fields: Sequence[VMStateField] | None = None
    subsections: Sequence[VMStateDescription] | None = None
    unmigratable: bool = False
    early_setup: bool = False
    """Sent during migration setup. Since QEMU 8.2."""
    priority: MigrationPriority | int = MigrationPriority.DEFAULT
    needed: Hook = None
    pre_load: Hook = None
    post_load: Hook = None
    pre_save: Hook = None
    post_save: Hook = None
    dev_unplug_pending: Hook = None
    load_state_old: Hook = None
    """Hook that loads versions below minimum_version_id. Up to QEMU 5.2."""
    detailed: bool = True
    """Whether all attributes are known. False for QEMU's own dumps, which only contain names, versions, sizes, numbers
    of elements, and whether fields have tests."""

    def __post_init__(self) -> None:
        """Store fields and subsections as tuples of checked elements without terminators."""
        if self.fields is not None:
            fields = self._elements("fields", self.fields, VMStateField, _is_end_of_list)
            msgspec.structs.force_setattr(self, "fields", fields)
        if self.subsections is not None:
            subsections = self._elements("subsections", self.subsections, VMStateDescription, _is_null)
            msgspec.structs.force_setattr(self, "subsections", subsections)

    def __repr__(self) -> str:
        """The name, the versions, and how many fields and subsections it has itself."""
        counts = f"{len(self.fields or ())} fields, {len(self.subsections or ())} subsections"
        versions = f"version {self.version_id}, minimum {self.minimum_version_id}"
        return f"<VMStateDescription {self.name!r} {versions}: {counts}>"

    def __hash__(self) -> int:
        """Consistent with ``==``, without walking the tree: shared descriptions can make it exponentially large."""
        return hash((self.name, self.version_id, self.minimum_version_id))

    def _elements(
        self, what: str, given: Iterable[Any], cls: type[Any], is_end: Callable[[Any], bool]
    ) -> tuple[Any, ...]:
        try:
            elements = tuple(given)
        except TypeError:
            raise VMStateError(f"{self.name}: {what} is {type(given).__name__}, not a list of {cls.__name__}") from None
        if elements and is_end(elements[-1]):
            elements = elements[:-1]
        for index, element in enumerate(elements):
            if isinstance(element, cls) and element.name is not None:
                continue
            where = f"{self.name}: {what}[{index}]"
            if is_end(element):
                raise VMStateError(f"{where} ends the list, but more follows; put it last")
            if isinstance(element, cls):
                raise VMStateError(f"{where} has no name; end the list with VMSTATE_END_OF_LIST()")
            raise VMStateError(f"{where} is {type(element).__name__}, not {cls.__name__}")
        return elements


def _is_end_of_list(element: Any) -> bool:
    """Source: QEMU 8.2.2 migration/savevm.c dump_vmstate_vmsd: no name, and the flags exactly VMS_END."""
    return isinstance(element, VMStateField) and element.name is None and element.flags == VMStateFlags.END


def _is_null(element: Any) -> bool:
    return element is None
