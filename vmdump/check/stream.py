"""What travels: a description lowered to the items that QEMU puts on the wire, in order.

A struct that is there once is flattened: nothing on the wire marks its begin, and its version does not travel, so it
neither guards nor is enforced. Arrays of structs stay items with a body. Subsections stand
beside the items of the description that has them, with their place.

Source: QEMU 10.0.13 migration/vmstate.c (vmstate_save_state_v, vmstate_load_state, vmstate_field_exists,
vmstate_n_elems, vmstate_size), migration/vmstate-types.c and migration/savevm.c (what each VMStateInfo puts).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check import tree_view
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    from vmdump.check.tree_view import Description, Field

#: Bytes of one value, by VMStateInfo.name. Of a buffer they are the field's size; of others only their code knows.
INFO_BYTES = {
    "bool": 1, "int8": 1, "uint8": 1, "uint8 equal": 1, "int16": 2, "uint16": 2, "uint16 equal": 2, "int32": 4,
    "uint32": 4, "int32 equal": 4, "uint32 equal": 4, "int32 le": 4, "int64": 8, "uint64": 8, "int64 equal": 8,
    "uint64 equal": 8, "timer": 8, "CPU_Double_U": 8, "nullptr": 1, "fd": 1,
}  # fmt: skip

BUFFERS = ("buffer", "unused_buffer")

#: Infos that put a byte before each element and one behind the last, and the element as its description says.
LISTS = ("qtailq", "qlist", "gtree")

#: Infos whose load compares the value with the destination's own.
COMPARING = ("uint8 equal", "uint16 equal", "int32 equal", "uint32 equal", "int64 equal", "uint64 equal", "int32 le")

UNUSED = "unused"

#: The most items that a description may stand for; more are a mistake or an attack.
MAX_ITEMS = 1_000_000

# How the bytes of an item are known.
FIXED = "fixed"  #: a number
RUN_TIME = "run-time"  #: the device says, at run time
OPAQUE = "opaque"  #: the code of its VMStateInfo says
UNKNOWN = "unknown"  #: the dump does not say how many elements there are


class Item:
    """What travels for a field. unit: bytes of an element, None: only run time tells; count: elements, None: likewise;
    size: the bytes of all, where they are FIXED; body: what an element of an array of structs is made of; guard: path
    of the field, itself or a struct that it is in, whose run-time test decides that it travels; None: it always does.
    """

    __slots__ = ("body", "count", "description", "field", "guard", "kind", "name", "nested", "path", "size", "unit")

    def __init__(
        self, field: Field, description: Description, path: str, kind: str, unit: int | None, count: int | None
    ) -> None:
        """Of a field of a description, at a path."""
        self.field, self.description, self.path, self.name = field, description, path, field.name
        self.kind, self.unit, self.count = kind, unit, count
        self.size = unit * count if kind is FIXED and unit is not None and count is not None else unit or 0
        self.body: Wire | None = None
        self.nested = False
        self.guard: str | None = None

    @property
    def test(self) -> bool:
        """Whether a run-time test decides that it travels."""
        return self.guard is not None

    @property
    def info(self) -> str | None:
        """VMStateInfo.name, where it is known and there is one."""
        return self.field.info

    @property
    def framing(self) -> str | None:
        """What stands between the elements of an array or list beside them; None: nothing."""
        if self.info in LISTS:
            return self.info
        return "markers" if self.field.flags & tree_view.AUTO_ALLOC else None

    @property
    def unused(self) -> bool:
        """Whether nobody looks at the bytes."""
        return self.field.info == "unused_buffer" or (self.field.info is None and self.name == UNUSED)


class Subsection:
    """A subsection, and the description that has it; index: of the item that it stands before."""

    __slots__ = ("index", "parent", "path", "vmsd")

    def __init__(self, vmsd: Description, parent: Description, path: str, index: int) -> None:
        """At a place of the wire."""
        self.vmsd, self.parent, self.path, self.index = vmsd, parent, path, index


class Wire:
    """What a description puts on the wire, or reads off it, in a version.

    skipped: fields that this version leaves out; checks: paths of assertions (VMSTATE_VALIDATE).
    """

    __slots__ = ("checks", "items", "skipped", "subsections", "versions")

    def __init__(self) -> None:
        """Nothing yet."""
        self.items: list[Item] = []
        self.subsections: list[Subsection] = []
        self.skipped: list[tuple[Field, Description, str]] = []
        self.checks: list[tuple[Field, Description, str]] = []
        #: Versions of the descriptions that were flattened, by name.
        self.versions: dict[str, int] = {}


class Lowering:
    """Lowers descriptions, each once. loading: as a destination reads, else as a source sends.

    detailed, nums: whether both dumps tell flags and infos, and how many elements arrays have. What one side does not
    tell is not made use of on the other, so that equal things are lowered alike.
    """

    def __init__(self, *, loading: bool, detailed: bool, nums: bool) -> None:
        """Nothing lowered yet."""
        self._loading, self._detailed, self.nums = loading, detailed, nums
        self._made: dict[tuple[int, int], Wire] = {}
        self._n_items = self._within = 0

    def lower(self, vmsd: Description, version: int) -> Wire:
        """What travels of a description in a version. Raises VmdumpError when that is beyond all measure."""
        key = vmsd.address, version
        wire = self._made.get(key)
        if wire is None:
            if not self._within:
                self._n_items = 0
            wire = Wire()
            self._within += 1
            self._add(wire, vmsd, version, "", None, nested=False)
            self._within -= 1
            self._made[key] = wire
        return wire

    def _add(
        self, wire: Wire, vmsd: Description, version: int, prefix: str, guard: str | None, *, nested: bool
    ) -> None:
        wire.versions.setdefault(vmsd.name, vmsd.version_id)
        for field in vmsd.fields:
            path = prefix + field.name
            if field.flags & tree_view.MUST_EXIST:
                wire.checks.append((field, vmsd, path))
            elif not field.test and field.version_id > version:
                wire.skipped.append((field, vmsd, path))
            else:
                self._add_field(wire, field, vmsd, path, guard or (path if field.test else None), nested=nested)
        for subsection in vmsd.subsections:
            wire.subsections.append(Subsection(subsection, vmsd, prefix, len(wire.items)))

    def _add_field(
        self, wire: Wire, field: Field, vmsd: Description, path: str, guard: str | None, *, nested: bool
    ) -> None:
        self._n_items += 1
        if self._n_items > MAX_ITEMS:
            raise VmdumpError(
                f"{vmsd.name}: its descriptions nest each other too often, more than {MAX_ITEMS} fields; look for one "
                "that is nested many times"
            )
        count = self._count(field)
        if field.vmsd is None or not self._nests(field):
            kind, unit = self._bytes(field, count)
            item = Item(field, vmsd, path, kind, unit, count)
        else:
            version = self._version(field, field.vmsd)
            if count == 1:
                self._add(wire, field.vmsd, version, f"{path}.", guard, nested=True)
                return
            body = self.lower(field.vmsd, version)
            unit = _fixed_size(body)
            if unit is not None and field.flags & tree_view.AUTO_ALLOC:
                unit += 1  # the marker
            item = Item(field, vmsd, path, RUN_TIME if unit is None or count is None else FIXED, unit, count)
            item.body = body
        item.nested, item.guard = nested, guard
        wire.items.append(item)

    def _nests(self, field: Field) -> bool:
        """Whether the field's description says what travels; a VMStateInfo of a device's own may have one, too."""
        nesting = tree_view.STRUCT | tree_view.VSTRUCT
        return not self._detailed or bool(field.flags & nesting) or field.info in (*LISTS, "tmp")

    def _version(self, field: Field, vmsd: Description) -> int:
        """The version that a nested description is sent or read in: a constant of that side."""
        if not self._detailed:
            return vmsd.version_id
        if field.flags & tree_view.VSTRUCT and not field.flags & tree_view.STRUCT:
            return field.struct_version_id
        if self._loading and field.info is not None:  # a list or WITH_TMP: get_qtailq, get_tmp
            return max(field.version_id, vmsd.minimum_version_id)
        return vmsd.version_id

    def _count(self, field: Field) -> int | None:
        """Elements; None: known at run time only. Of structs in dumps that do not tell: 1."""
        if not self._detailed:
            if self.nums and field.flags & tree_view.ARRAY:
                return field.num
            return 1 if field.vmsd is not None else None
        if field.flags & tree_view.ARRAY:
            return field.num
        if field.flags & tree_view.VARRAY or field.info in LISTS:
            return None
        return field.num if field.flags & tree_view.MULTIPLY_ELEMENTS else 1

    def _bytes(self, field: Field, count: int | None) -> tuple[str, int | None]:
        """How the bytes of a field are known, and those of one element."""
        if not self._detailed:
            return (UNKNOWN if count is None or not field.size else FIXED), field.size
        if field.flags & tree_view.VBUFFER or field.info == "bitmap":
            return RUN_TIME, None
        unit = field.size if field.info in BUFFERS else INFO_BYTES.get(field.info or "")
        if unit is None:
            return OPAQUE, None
        return (RUN_TIME if count is None else FIXED), unit


def _fixed_size(wire: Wire) -> int | None:
    """Bytes that always travel; None: it depends. Subsections come on top."""
    if any(item.kind is not FIXED or item.test for item in wire.items):
        return None
    return sum(item.size for item in wire.items)


def in_words(item: Item) -> str:
    """What an item is, in words: ``5 x 2 bytes, uint16, if its test passes``."""
    words = [_bytes_in_words(item)]
    if item.body is not None and item.field.vmsd is not None:
        words.append(f"struct {item.field.vmsd.name}")
    elif item.info:
        words.append(item.info)
    if item.test:
        words.append("if its test passes" if item.field.test else f"if the test of {item.guard} passes")
    elif item.field.version_id:
        words.append(f"since version {item.field.version_id} of {item.description.name}")
    return ", ".join(words)


def _bytes_in_words(item: Item) -> str:
    if item.kind is OPAQUE:
        return f"as many bytes as {item.info!r} writes"
    if item.kind is UNKNOWN:
        return f"{item.unit} byte{'s' * (item.unit != 1)}, or an array of such" if item.unit else "unknown bytes"
    if item.unit is None:
        return length_in_words(item)
    unit = f"{item.unit} byte{'s' * (item.unit != 1)}"
    if item.count is None:
        return f"n x {unit}"
    return unit if item.count == 1 else f"{item.count} x {unit}"


def length_in_words(item: Item) -> str:
    """How the bytes of an item that are known at run time only are counted."""
    if item.info in LISTS:
        return f"each element of the {item.info}"
    if item.field.flags & tree_view.VBUFFER or item.info == "bitmap":
        return "as many bytes as the device says"
    if item.body is not None:
        return "each element as its description says"
    return "as many elements as the device says"
