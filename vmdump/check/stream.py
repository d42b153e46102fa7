"""Lowers a description to the items that it has in the migration stream, in order.

A single nested struct is flattened: the stream does not mark where it begins, and its version is neither sent nor
checked. An array of structs is one item with a body. Subsections are kept beside the items, with their position.

Source: QEMU 10.0.13 migration/vmstate.c (vmstate_save_state_v, vmstate_load_state, vmstate_field_exists,
vmstate_n_elems, vmstate_size); put functions of each VMStateInfo: migration/vmstate-types.c, migration/savevm.c,
hw/pci/pci.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check import tree_view
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    from vmdump.check.evaluated.answers import Answers, Key
    from vmdump.check.tree_view import Description, Field

#: Bytes of one value in the stream, by VMStateInfo.name. See also BUFFERS and LISTS; else only the code knows.
INFO_BYTES = {
    "bool": 1, "int8": 1, "uint8": 1, "uint8 equal": 1, "int16": 2, "uint16": 2, "uint16 equal": 2, "int32": 4,
    "uint32": 4, "int32 equal": 4, "uint32 equal": 4, "int32 le": 4, "int64": 8, "uint64": 8, "int64 equal": 8,
    "uint64 equal": 8, "timer": 8, "CPU_Double_U": 8, "nullptr": 1, "fd": 1, "pci irq state": 16,
}  # fmt: skip

#: VMStateInfos that send as many bytes as the field's size.
BUFFERS = ("buffer", "unused_buffer", "pci config")

#: VMStateInfos that send a byte before each element and one after the last; the element is described by field.vmsd.
LISTS = ("qtailq", "qlist", "gtree")

#: VMStateInfos whose get compares the value with the destination's own.
COMPARING = (
    "uint8 equal", "uint16 equal", "int32 equal", "uint32 equal", "int64 equal", "uint64 equal", "int32 le",
    "pci config",
)  # fmt: skip

#: All VMStateInfos whose bytes are known, or described by field.vmsd. For any other only its code knows them.
KNOWN_INFOS = (*INFO_BYTES, *BUFFERS, *LISTS, "tmp", "bitmap")

UNUSED = "unused"

#: Sizes in memory of a pointer and of a struct QEMUTimer, by the host's pointer size. Neither is in the stream.
WORD_SIZES = {4: (4, 32), 8: (8, 48)}

#: Limit on the items that a description lowers to; more are a mistake or an attack.
MAX_ITEMS = 1_000_000

# Item.kind: what determines the number of bytes.
FIXED = "fixed"  #: the description
RUN_TIME = "run-time"  #: the device, at run time
OPAQUE = "opaque"  #: the code of its VMStateInfo
UNKNOWN = "unknown"  #: the description, but the dump lacks the number of elements


if TYPE_CHECKING:
    #: A field whose test decides about others: its path, its description, and itself.
    _Guard = tuple[str, Description, Field]


class Item:
    """The bytes of a field in the stream.

    Attributes:
        kind: FIXED, RUN_TIME, OPAQUE or UNKNOWN.
        unit: Bytes of an element; None if known at run time only.
        count: Number of elements; None if known at run time only.
        size: Bytes of all elements if kind is FIXED; else unit, or 0.
        body: Items of one element of an array of structs.
        guard: Path of the field whose run-time test decides whether the item is sent: itself, or a struct around it;
            None if it is always sent.
        guard_of: That field, and the description that it is in.
        nested: Whether it is in a flattened struct.
        word: Whether it may be a pointer or timer, whose size is different on the other side's host.
    """

    __slots__ = (
        "body", "count", "description", "field", "guard", "guard_of", "kind", "name", "nested", "path", "size", "unit",
        "word",
    )  # fmt: skip

    def __init__(
        self, field: Field, description: Description, path: str, kind: str, unit: int | None, count: int | None
    ) -> None:
        """Create the item of a field of a description; path leads to it from the section's description."""
        self.field, self.description, self.path, self.name = field, description, path, field.name
        self.kind, self.unit, self.count = kind, unit, count
        self.size = unit * count if kind is FIXED and unit is not None and count is not None else unit or 0
        self.body: Stream | None = None
        self.nested = self.word = False
        self.guard: str | None = None
        self.guard_of: tuple[Description, Field] | None = None

    @property
    def test(self) -> bool:
        """Whether a run-time test decides if it is sent."""
        return self.guard is not None

    @property
    def info(self) -> str | None:
        """VMStateInfo.name; None if unknown or if the field has none."""
        return self.field.info

    @property
    def framing(self) -> str | None:
        """What is sent between the elements of an array or list: its VMStateInfo.name, ``markers``, or None."""
        if self.info in LISTS:
            return self.info
        return "markers" if self.field.flags & tree_view.AUTO_ALLOC else None

    @property
    def unused(self) -> bool:
        """Whether the bytes are padding (VMSTATE_UNUSED)."""
        return self.field.info == "unused_buffer" or (self.field.info is None and self.name == UNUSED)


def key_of(field: Field, description: Description) -> Key:
    """The key of a field's test or length; see vmdump.check.evaluated.answers."""
    same = [each for each in description.fields if each.name == field.name]
    return description.name, field.name, next(index for index, each in enumerate(same) if each is field)


class Subsection:
    """A subsection of parent; path: prefix of the parent's fields; index: of the next item in the parent's list;
    needed: the definite result of its needed(), None if it is not known.
    """

    __slots__ = ("index", "needed", "parent", "path", "vmsd")

    def __init__(
        self, vmsd: Description, parent: Description, path: str, index: int, needed: bool | None = None
    ) -> None:
        """Create a subsection at a position of the stream."""
        self.vmsd, self.parent, self.path, self.index, self.needed = vmsd, parent, path, index, needed


class Stream:
    """What one version of a description sends or reads.

    Attributes:
        items: In stream order.
        subsections: In the order of the descriptions.
        skipped: Fields that this version does not send, as (field, description, path).
        checks: Assertions (VMSTATE_VALIDATE), likewise.
        parts: The flattened descriptions, by the prefix of their fields' paths.
    """

    __slots__ = ("checks", "items", "parts", "skipped", "subsections")

    def __init__(self) -> None:
        """Create an empty one."""
        self.items: list[Item] = []
        self.subsections: list[Subsection] = []
        self.skipped: list[tuple[Field, Description, str]] = []
        self.checks: list[tuple[Field, Description, str]] = []
        self.parts: dict[str, Description] = {}


class Lowering:
    """Lowers descriptions, and caches the results.

    Metadata that only one side has is ignored on the other as well, so that equal descriptions lower alike.
    """

    def __init__(
        self, *, loading: bool, detailed: bool, nums: bool, pointer: int | None = None, answers: Answers | None = None
    ) -> None:
        """Create a lowering for one side of a check.

        Args:
            loading: Lower as a destination reads, not as a source sends.
            detailed: Both dumps have flags and VMStateInfos.
            nums: Both dumps have the number of elements of arrays.
            pointer: Size of a pointer on this side's host, in bytes, if the other side's differs.
            answers: Results of tests and needed() in a VM of this side.
        """
        self._answers = answers
        self._words = WORD_SIZES.get(pointer or 0, ())
        self._loading, self.detailed, self.nums = loading, detailed, nums
        self._made: dict[tuple[int, int], Stream] = {}
        self._n_items = self._within = 0

    def lower(self, vmsd: Description, version: int) -> Stream:
        """Return what a version of a description sends or reads.

        Raises:
            VmdumpError: It has more than MAX_ITEMS fields.
        """
        key = vmsd.address, version
        stream = self._made.get(key)
        if stream is None:
            if not self._within:
                self._n_items = 0
            stream = Stream()
            self._within += 1
            self._add(stream, vmsd, version, "", None, nested=False)
            self._within -= 1
            self._made[key] = stream
        return stream

    def _add(
        self, stream: Stream, vmsd: Description, version: int, prefix: str, guard: _Guard | None, *, nested: bool
    ) -> None:
        stream.parts.setdefault(prefix, vmsd)
        for field in vmsd.fields:
            path = prefix + field.name
            if field.flags & tree_view.MUST_EXIST:
                stream.checks.append((field, vmsd, path))
            elif not field.test and field.version_id > version:
                stream.skipped.append((field, vmsd, path))
            elif not field.test:
                self._add_field(stream, field, vmsd, path, guard, nested=nested)
            else:
                passes = self._answers.test(*key_of(field, vmsd)) if self._answers else None
                if passes is not False:
                    own = None if passes else (path, vmsd, field)
                    self._add_field(stream, field, vmsd, path, guard or own, nested=nested)
        for subsection in vmsd.subsections:
            needed = self._answers.needed(subsection.name) if self._answers and subsection.needed else None
            if needed is not False or self._loading:
                stream.subsections.append(Subsection(subsection, vmsd, prefix, len(stream.items), needed))

    def _add_field(
        self, stream: Stream, field: Field, vmsd: Description, path: str, guard: _Guard | None, *, nested: bool
    ) -> None:
        self._n_items += 1
        if self._n_items > MAX_ITEMS:
            raise VmdumpError(
                f"{vmsd.name}: nested descriptions expand to more than {MAX_ITEMS} fields; look for one that is nested "
                "many times"
            )
        count = self._count(field)
        if count is None and self._answers and field.flags & tree_view.VARRAY:
            count = self._answers.length(*key_of(field, vmsd))
        if field.vmsd is None or not self._nests(field):
            kind, unit = self._bytes(field, count)
            item = Item(field, vmsd, path, kind, unit, count)
            item.word = unit in self._words
        else:
            version = self._version(field, field.vmsd)
            if count == 1:
                self._add(stream, field.vmsd, version, f"{path}.", guard, nested=True)
                return
            body = self.lower(field.vmsd, version)
            unit = _fixed_size(body)
            if unit is not None and field.flags & tree_view.AUTO_ALLOC:
                unit += 1  # the marker
            item = Item(field, vmsd, path, RUN_TIME if unit is None or count is None else FIXED, unit, count)
            item.body = body
        item.nested = nested
        if guard is not None:
            item.guard, item.guard_of = guard[0], (guard[1], guard[2])
        stream.items.append(item)

    def _nests(self, field: Field) -> bool:
        """Whether field.vmsd describes the bytes. A field with a device's own VMStateInfo may have a vmsd too."""
        nesting = tree_view.STRUCT | tree_view.VSTRUCT
        return not self.detailed or bool(field.flags & nesting) or field.info in (*LISTS, "tmp")

    def _version(self, field: Field, vmsd: Description) -> int:
        """The version in which a nested description is sent or read: a constant of that side."""
        if not self.detailed:
            return vmsd.version_id
        if field.flags & tree_view.VSTRUCT and not field.flags & tree_view.STRUCT:
            return field.struct_version_id
        if self._loading and field.info is not None:  # a list or WITH_TMP: get_qtailq, get_tmp
            return max(field.version_id, vmsd.minimum_version_id)
        return vmsd.version_id

    def _count(self, field: Field) -> int | None:
        """Number of elements; None if known at run time only. 1 for structs in dumps that lack it."""
        if not self.detailed:
            if self.nums and field.flags & tree_view.ARRAY:
                return field.num
            return 1 if field.vmsd is not None else None
        if field.flags & tree_view.ARRAY:
            return field.num
        if field.flags & tree_view.VARRAY or field.info in LISTS:
            return None
        return field.num if field.flags & tree_view.MULTIPLY_ELEMENTS else 1

    def _bytes(self, field: Field, count: int | None) -> tuple[str, int | None]:
        """The kind of an item, and the bytes of one element."""
        if not self.detailed:
            return (UNKNOWN if count is None or not field.size else FIXED), field.size
        if field.flags & tree_view.VBUFFER or field.info == "bitmap":
            return RUN_TIME, None
        unit = field.size if field.info in BUFFERS else INFO_BYTES.get(field.info or "")
        if unit is None:
            return OPAQUE, None
        return (RUN_TIME if count is None else FIXED), unit


def _fixed_size(stream: Stream) -> int | None:
    """Bytes of all items, without subsections; None if tests or run-time lengths decide."""
    if any(item.kind is not FIXED or item.test for item in stream.items):
        return None
    return sum(item.size for item in stream.items)


def in_words(item: Item) -> str:
    """Describe an item in words: ``5 x 2 bytes, uint16, if its test passes``."""
    words = [_bytes_in_words(item)]
    if item.body is not None and item.field.vmsd is not None:
        words.append(f"struct {item.field.vmsd.name}")
    elif item.info and item.kind is not OPAQUE:
        words.append(item.info)
    if item.test:
        words.append("if its test passes" if item.field.test else f"if the test of {item.guard} passes")
    elif item.field.version_id:
        words.append(f"since version {item.field.version_id} of {item.description.name}")
    return ", ".join(words)


def _bytes_in_words(item: Item) -> str:
    if item.kind is OPAQUE:
        return f"n bytes (written by the code of {item.info!r})"
    if item.kind is UNKNOWN:
        if not item.unit:
            return "unknown size"
        return f"{item.unit} byte{'s' * (item.unit != 1)}, or an array of {item.unit}-byte elements"
    if item.unit is None:
        return length_in_words(item)
    unit = f"{item.unit} byte{'s' * (item.unit != 1)}"
    if item.count is None:
        return f"n x {unit}"
    return unit if item.count == 1 else f"{item.count} x {unit}"


def length_in_words(item: Item) -> str:
    """Describe the length of an item whose size is known at run time only."""
    if item.info in LISTS:
        return f"n elements of the {item.info}"
    if item.field.flags & tree_view.VBUFFER or item.info == "bitmap":
        return "n bytes (set at run time)"
    if item.body is not None:
        return "n elements of varying length"
    return "n elements (set at run time)"
