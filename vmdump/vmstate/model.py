"""VMStateField and VMStateDescription: what a device says about the state it migrates.

This is the one currency of vmdump. A source makes descriptions, the engine dumps them, the check compares them. The
names, the order and the meaning of the attributes are QEMU's; those that ``-dump-vmstate`` never prints (offset, flags,
info, hooks, ...) are kept, because they decide how the bytes of a migration stream are laid out. Everything here is
immutable, as QEMU's descriptions are const; so a description can be shared, and none can contain itself.

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
"""Whether a field is there: ``test(state, version_id)``, or True for a test that is known to exist but not which.
None and False are QEMU's NULL: no test."""

Hook: TypeAlias = Callable[..., Any] | bool | None
"""A hook of a description (needed, pre_load, ...): a function, True for one that is known to exist, or none."""


class VMStateFlags(IntFlag):
    """How the bytes of a field are found and counted (QEMU's ``enum VMStateFlags``, without the VMS_ prefix).

    >>> VMStateFlags(0x802)
    <VMStateFlags.POINTER|VARRAY_UINT32: 2050>
    """

    SINGLE = vmstate_flags.SINGLE
    """One value. QEMU ignores it."""
    POINTER = vmstate_flags.POINTER
    """The member is a pointer to the value."""
    ARRAY = vmstate_flags.ARRAY
    """``num`` elements of ``size`` bytes."""
    STRUCT = vmstate_flags.STRUCT
    """Described by ``vmsd``, once for each element."""
    VARRAY_INT32 = vmstate_flags.VARRAY_INT32
    """As many elements as the int32_t at ``num_offset`` says."""
    BUFFER = vmstate_flags.BUFFER
    """``size`` bytes. QEMU ignores it."""
    ARRAY_OF_POINTER = vmstate_flags.ARRAY_OF_POINTER
    """Each element is a pointer to the value."""
    VARRAY_UINT16 = vmstate_flags.VARRAY_UINT16
    """As many elements as the uint16_t at ``num_offset`` says."""
    VBUFFER = vmstate_flags.VBUFFER
    """An element has as many bytes as the int32_t at ``size_offset`` says."""
    MULTIPLY = vmstate_flags.MULTIPLY
    """With VBUFFER: that many times ``size`` bytes."""
    VARRAY_UINT8 = vmstate_flags.VARRAY_UINT8
    """As many elements as the uint8_t at ``num_offset`` says."""
    VARRAY_UINT32 = vmstate_flags.VARRAY_UINT32
    """As many elements as the uint32_t at ``num_offset`` says."""
    MUST_EXIST = vmstate_flags.MUST_EXIST
    """The field's test has to pass, else loading fails. Such a field is an assertion and carries no data."""
    ALLOC = vmstate_flags.ALLOC
    """With POINTER: loading allocates the memory pointed to."""
    MULTIPLY_ELEMENTS = vmstate_flags.MULTIPLY_ELEMENTS
    """With a VARRAY: that many times ``num`` elements."""
    VSTRUCT = vmstate_flags.VSTRUCT
    """As STRUCT, in the version ``struct_version_id`` instead of the enclosing description's."""
    END = vmstate_flags.END
    """The terminator of a list of fields. Since QEMU 8.2."""
    ARRAY_OF_POINTER_AUTO_ALLOC = vmstate_flags.ARRAY_OF_POINTER_AUTO_ALLOC
    """With ARRAY_OF_POINTER: a marker byte before each element says whether it is NULL, and loading allocates it. Not
    in QEMU 8.2; QEMU 11 has it, with a number of its own."""


class MigrationPriority(IntEnum):
    """Which device states are migrated first: the higher, the earlier (QEMU 8.2's MIG_PRI_*, without the prefix)."""

    DEFAULT = 0
    IOMMU = 1
    PCI_BUS = 2
    VIRTIO_MEM = 3
    GICV3_ITS = 4
    GICV3 = 5


class VMStateInfo(msgspec.Struct, frozen=True, gc=False):
    """How a value is put on the wire: in QEMU a pair of functions, here their name, as the stream's JSON has it.

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
vmstate_info_uint64_equal = VMStateInfo("int64 equal")  # QEMU's own slip; the name goes into streams, so it stays
vmstate_info_int32_le = VMStateInfo("int32 le")

vmstate_info_uint8 = VMStateInfo("uint8")
vmstate_info_uint16 = VMStateInfo("uint16")
vmstate_info_uint32 = VMStateInfo("uint32")
vmstate_info_uint64 = VMStateInfo("uint64")
vmstate_info_fd = VMStateInfo("fd")  # not in QEMU 8.2; in 10.0

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
    """One member of a device's state struct, as it is migrated. The VMSTATE_* constructors make them.

    Two things are told apart that look alike: ``num`` counts elements, ``size`` is the size of one element in bytes.

    >>> VMStateField("regs", offset=16, size=4, num=8, flags=VMStateFlags.ARRAY, info=vmstate_info_uint32).num
    8
    """

    name: str | None
    """The member's name in C (``const char *``). None in the terminator of a list only."""
    offset: int | None = None
    """Where the member lies in the state struct, in bytes (``size_t``). None where the struct is not known."""
    size: int = 0
    """Bytes of one element (``size_t``). Of a pointer's target, save where QEMU takes the pointer's own size."""
    num: int = 0
    """Elements (``int``) of an ARRAY, or the factor of MULTIPLY_ELEMENTS."""
    flags: VMStateFlags | int = 0
    """Bits of VMStateFlags. The constructors give a plain int, which compares equal, so that the garbage collector has
    nothing to do with fields: it would look at each of a million again and again, for the sake of its flags."""
    version_id: int = 0
    """The field is there from this version of its description on (``int``)."""
    struct_version_id: int = 0
    """The version that a VSTRUCT is migrated in (``int``)."""
    info: VMStateInfo | None = None
    vmsd: VMStateDescription | None = None
    field_exists: FieldTest = None
    start: int = 0
    """Of a QTAILQ and QLIST: the offset of the entry in the element; of a GTREE: the size of the key. In bytes."""
    num_offset: int | None = None
    """Where the member that counts a VARRAY's elements lies, in bytes. None: no such member, or an unknown struct."""
    size_offset: int | None = None
    """Where the member with a VBUFFER's size lies, in bytes. None: no such member, or an unknown struct."""
    err_hint: str | None = None
    """What an EQUAL field that differs prints besides."""

    def __repr__(self) -> str:
        """For people: the flags by their names."""
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        shown = (f"{name}={VMStateFlags(value) if name == 'flags' else value!r}" for name, value in values)
        return f"VMStateField({', '.join(shown)})"


class _Named(msgspec.Struct, frozen=True):
    """Keeps the name positional: msgspec's kw_only speaks for the fields of one class."""

    name: str


class VMStateDescription(_Named, frozen=True, kw_only=True, dict=True, weakref=True):
    """What a device, or a part of one, migrates: versions, fields, subsections and the hooks around them.

    ``fields`` and ``subsections`` take any iterable and are tuples from then on. None and an empty one differ: the dump
    prints an empty list for the latter. The terminators of C, VMSTATE_END_OF_LIST() at the end of the fields and None
    at the end of the subsections, may be there, and are dropped.

    Raises VMStateError when an element is of another type, or a terminator has elements behind it.

    >>> regs = VMStateDescription("nvram", version_id=2, fields=[VMStateField("regs", size=1, num=16)])
    >>> regs.fields[0].name, regs.subsections
    ('regs', None)
    """

    version_id: int = 0
    minimum_version_id: int = 0
    fields: Sequence[VMStateField] | None = None
    subsections: Sequence[VMStateDescription] | None = None
    unmigratable: bool = False
    early_setup: bool = False
    """Sent while the migration is set up. Since QEMU 8.2."""
    priority: MigrationPriority | int = MigrationPriority.DEFAULT
    needed: Hook = None
    pre_load: Hook = None
    post_load: Hook = None
    pre_save: Hook = None
    post_save: Hook = None
    dev_unplug_pending: Hook = None
    load_state_old: Hook = None
    """What loads versions below minimum_version_id. Up to QEMU 5; not in 8.2."""
    detailed: bool = True
    """Whether all of this is known. False where it comes from QEMU's own dump, which tells names, versions, sizes,
    numbers of elements, and whether there are tests, alone."""

    def __post_init__(self) -> None:
        """Turns fields and subsections into tuples of checked elements without terminators."""
        if self.fields is not None:
            fields = self._elements("fields", self.fields, VMStateField, _is_end_of_list)
            msgspec.structs.force_setattr(self, "fields", fields)
        if self.subsections is not None:
            subsections = self._elements("subsections", self.subsections, VMStateDescription, _is_null)
            msgspec.structs.force_setattr(self, "subsections", subsections)

    def __hash__(self) -> int:
        """Agrees with ``==`` but does not walk the tree, which can be exponentially larger than it is in memory."""
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
