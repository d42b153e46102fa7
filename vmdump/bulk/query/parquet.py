"""A dump as rows: one for each device, description, field and subsection, in the form that `vmdump query` asks.

    kind                    device, description, field, subsection
    machine, machines       the first machine type that the dump was written for, and all of them: nothing else differs
    qemu_version, version   7.2.22, and what QEMU says of itself
    build_id, host          the linker's, in hex; the architecture that the binary is for
    type                    QOM type; null below a description that is on no device class
    section                 name of the description that the state travels as
    path                    names from the section's description down, as state.serial/tsr.thr; '' for itself
    name                    of the type, description, field or subsection
    description             name of the description that a field is in, or has (of a device: its section)
    version_id, minimum_version_id, struct_version_id
    info, size, num, offset, flags, flag_names, field_exists      of a field; size and offset in bytes
    unmigratable, needed, priority                                of a description
    parents, abstract, module                                     of a device
    uses, types, symbol                                           of a description on no device class

Null is what is not known or does not apply. A struct field has a description row of the same path below it.

Descriptions stand in a dump many times over: a base type's in each of its devices, one CPU's after the other's. What is
the same wherever a description stands (its facts) is put together once for each, straight from the rows of the C core;
the rows of a dump refer to it by number, and Arrow takes them from there. Nearly all of a dump is in dumps of other
versions and targets too, so facts are kept for the next dump.
"""

from __future__ import annotations

import gc
import io
import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from vmdump._core import ffi, lib
from vmdump.bulk.output_paths import label_of, version_number
from vmdump.check.tree_view import ROW_BYTES, read_fields
from vmdump.errors import SourceError
from vmdump.vmstate.model import VMStateFlags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.dump.device_dump import DeviceDump

_TEXT, _TEXTS, _INT, _BOOL = pa.string(), pa.list_(pa.string()), pa.int64(), pa.bool_()

#: Columns that are the same in all rows of a dump.
_CONSTANT = {
    "machine": _TEXT, "machines": _TEXTS, "qemu_version": _TEXT, "version": _TEXT, "build_id": _TEXT, "host": _TEXT,
}  # fmt: skip

#: Columns that are of the place where a row stands.
_PLACE = {"type": _TEXT, "section": _TEXT, "path": _TEXT}

#: Columns that are the same wherever a description stands.
_FACTS = {
    "kind": _TEXT, "name": _TEXT, "description": _TEXT, "version_id": _INT, "minimum_version_id": _INT,
    "struct_version_id": _INT, "info": _TEXT, "size": _INT, "num": _INT, "offset": _INT, "flags": _INT,
    "flag_names": _TEXT, "field_exists": _BOOL, "unmigratable": _BOOL, "needed": _BOOL, "priority": _INT,
    "parents": _TEXTS, "abstract": _BOOL, "module": _TEXT, "uses": _TEXTS, "types": _TEXTS, "symbol": _TEXT,
}  # fmt: skip

#: The order of the columns behind the constant ones.
_ORDER = ("kind", *_PLACE, *list(_FACTS)[1:])

SCHEMA = pa.schema([*_CONSTANT.items(), *((name, (_PLACE | _FACTS)[name]) for name in _ORDER)])

#: The most rows of a dump: real ones have 20,000, but descriptions that share each other can stand for any number.
MAX_ROWS = 20_000_000

#: Rows that are held as Python objects at a time, about.
_CHUNK = 100_000

#: The most rows below a description that are put together once and kept.
_KEPT = 2_000

#: The most facts and rows that are kept from dump to dump.
_MAX_KNOWN = 400_000

_MAX_INT = (1 << 63) - 1
_UNKNOWN = (1 << 64) - 1


def to_parquet(dump: DeviceDump, machines: Sequence[str]) -> bytes:
    """The rows of a dump as a Parquet file. Raises SourceError for too many."""
    producer = dump.producer
    version = version_number(producer, label_of(producer, producer.path or ""))
    constants = [machines[0], list(machines), version, producer.version, producer.build_id, producer.host]
    file = io.BytesIO()
    collects = gc.isenabled()
    gc.disable()  # thousands of small objects are made, and none of them is in a circle
    try:
        with pq.ParquetWriter(file, SCHEMA, compression="snappy") as writer:
            for table in _Rows(dump).tables(constants):
                writer.write_table(table)
    finally:
        if collects:
            gc.enable()
    return file.getvalue()


class _Description:
    """What a description gives wherever it stands.

    alone, subsection: the numbers of its own facts, as the description of a field and as a subsection; parts: of each
    field and subsection the name, the numbers of its facts, and the description whose rows follow; n_rows: rows below
    it; below: their numbers and paths, where these are few.
    """

    __slots__ = ("alone", "below", "n_rows", "name", "parts", "subsection")

    def __init__(self, name: str, alone: int, subsection: int) -> None:
        self.name, self.alone, self.subsection = name, alone, subsection
        self.parts: list[tuple[str, list[int], _Description | None]] = []
        self.n_rows = 0
        self.below: tuple[list[int], list[str]] | None = None

    def finish(self) -> None:
        """Counts the rows below it, when parts are complete; puts them together where they are few."""
        self.n_rows = sum(len(numbers) + (nested.n_rows if nested else 0) for _, numbers, nested in self.parts)
        if self.n_rows <= _KEPT:
            all_numbers, all_paths = list[int](), list[str]()
            for numbers, paths in self.rows():
                all_numbers += numbers
                all_paths += paths
            self.below = all_numbers, all_paths

    def rows(self) -> Iterator[tuple[list[int], list[str]]]:
        """The numbers and paths of the rows below it, piece by piece: fields first, as they travel."""
        if self.below is not None:
            yield self.below
            return
        stack = [("", iter(self.parts))]
        while stack:
            prefix, parts = stack[-1]
            part = next(parts, None)
            if part is None:
                stack.pop()
                continue
            name, numbers, nested = part
            path = prefix + name
            yield numbers, [path] * len(numbers)
            if nested is not None and nested.below is not None:
                yield nested.below[0], [f"{path}.{each}" for each in nested.below[1]]
            elif nested is not None:
                stack.append((f"{path}.", iter(nested.parts)))


class _Known:
    """Facts by number, and the descriptions that they are of, by content: of this dump and of those before."""

    def __init__(self) -> None:
        self.descriptions: dict[tuple[object, ...], _Description] = {}
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._new: list[tuple[Any, ...]] = []
        self._columns = [pa.array([], kind) for kind in _FACTS.values()]
        #: A measure of the memory that it takes.
        self.size = 0

    def add(self, facts: tuple[Any, ...]) -> int:
        """The number of facts, in the order of _FACTS."""
        number = self._numbers.setdefault(facts, len(self._numbers))
        if number == len(self._numbers) - 1 and number == len(self._columns[0]) + len(self._new):
            self._new.append(facts)
            self.size += 1
        return number

    def columns(self) -> list[pa.Array]:
        """All facts, a column each."""
        if self._new:
            new = zip(zip(*self._new, strict=True), _FACTS.values(), strict=True)
            new_columns = [pa.array(column, kind) for column, kind in new]
            pairs = zip(self._columns, new_columns, strict=True)
            self._columns, self._new = [pa.concat_arrays(pair) for pair in pairs], []
        return self._columns


_of_thread = threading.local()


def _known() -> _Known:
    """What this thread knows, nothing if that was too much."""
    known: _Known | None = getattr(_of_thread, "known", None)
    if known is None or known.size > _MAX_KNOWN:
        known = _of_thread.known = _Known()
    return known


class _Rows:
    """The rows of a dump."""

    def __init__(self, dump: DeviceDump) -> None:
        self._dump, self._known = dump, _known()
        #: Descriptions by their address.
        self._made: dict[int, _Description] = {}
        #: Of the rows that wait: numbers of facts, paths, and which of the owners (types and sections) each has.
        self._numbers: list[int] = []
        self._paths: list[str] = []
        self._owners: list[tuple[str | None, str | None]] = []
        self._owner_of: list[int] = []

    def tables(self, constants: list[Any]) -> Iterator[pa.Table]:
        """All rows, some at a time. Raises SourceError for too many."""
        tops = self._tops()
        if sum(1 + (top.n_rows if top else 0) for _, _, _, top in tops) > MAX_ROWS:
            raise SourceError(
                f"more than {MAX_ROWS} rows: its descriptions nest each other too often; use --format json"
            )
        facts = self._known.columns()
        for type_, section, number, top in tops:
            self._owners.append((type_, section))
            self._numbers.append(number)
            self._paths.append("")
            for numbers, paths in top.rows() if top else ():
                self._numbers += numbers
                self._paths += paths
                if len(self._numbers) >= _CHUNK:
                    yield self._table(constants, facts)
            self._fill_owners()
        yield self._table(constants, facts)

    def _table(self, constants: list[Any], facts: list[pa.Array]) -> pa.Table:
        """The rows that wait, which are dropped."""
        self._fill_owners()
        count, numbers, owner_of = len(self._numbers), pa.array(self._numbers, pa.int32()), pa.array(self._owner_of)
        types, sections = zip(*self._owners, strict=True) if self._owners else ((), ())
        columns = {name: column.take(numbers) for name, column in zip(_FACTS, facts, strict=True)}
        columns["type"] = pa.array(types, _TEXT).take(owner_of.cast(pa.int32()))
        columns["section"] = pa.array(sections, _TEXT).take(owner_of.cast(pa.int32()))
        columns["path"] = pa.array(self._paths, _TEXT)
        fixed = [
            pa.repeat(pa.scalar(value, kind), count) for value, kind in zip(constants, _CONSTANT.values(), strict=True)
        ]
        self._numbers, self._paths, self._owner_of, self._owners = [], [], [], self._owners[-1:]
        return pa.Table.from_arrays([*fixed, *(columns[name] for name in _ORDER)], schema=SCHEMA)

    def _fill_owners(self) -> None:
        """The rows that were added last belong to the last owner."""
        self._owner_of += [len(self._owners) - 1] * (len(self._numbers) - len(self._owner_of))

    # What stands in a dump --------------------------------------------------------------------------------------------

    def _tops(self) -> list[tuple[str | None, str | None, int, _Description | None]]:
        """Devices and what they have, then the descriptions on no device class: type, section, number of the facts, and
        the description whose rows follow.
        """
        native = self._dump.detailed_tree.native
        tops: list[tuple[str | None, str | None, int, _Description | None]] = []
        for index, device in enumerate(self._dump.values()):
            top = self._describe(native.devices[index].vmsd) if device.has_description else None
            section = top.name if top else None
            facts = self._add(
                kind="device", name=device.name, description=section, version_id=device.version_id,
                minimum_version_id=device.minimum_version_id, parents=device.parents and tuple(device.parents),
                abstract=device.abstract, module=device.module,
            )  # fmt: skip
            tops.append((device.name, section, facts, None))
            if top is not None:
                tops.append((device.name, section, top.alone, top))
        for index, root in enumerate(self._dump.standalone):
            top = self._describe(native.standalone[index].vmsd)
            more = {"uses": tuple(root.uses), "types": tuple(root.types), "symbol": root.symbol}
            facts = self._add(kind="description", **_description_facts(native.standalone[index].vmsd, top.name), **more)
            tops.append((None, top.name, facts, top))
        return tops

    def _add(self, **values: Any) -> int:
        return self._known.add(tuple(map(values.get, _FACTS)))

    def _describe(self, desc: Any) -> _Description:
        """What a description gives; what is nested comes first. Iterative, as they nest deeply."""
        top = int(ffi.cast("uintptr_t", desc))
        stack: list[tuple[int, _Content | None]] = [(top, None)]
        while stack:
            address, content = stack.pop()
            if content is not None:
                self._made[address] = self._find(content)
            elif address not in self._made:
                content = _Content(address)
                stack.append((address, content))
                stack += [(each, None) for each in (*content.vmsds, *content.raw.subsections) if each]
        return self._made[top]

    def _find(self, content: _Content) -> _Description:
        """A description of this content, whose nested ones have been found."""
        nested = [self._made[address] if address else None for address in content.vmsds]
        subsections = [self._made[address] for address in content.raw.subsections]
        key = content.key(nested, subsections)
        made = self._known.descriptions.get(key)
        if made is None:
            made = self._known.descriptions[key] = self._make(content, nested, subsections)
        return made

    def _make(
        self, content: _Content, nested: Sequence[_Description | None], subsections: Sequence[_Description]
    ) -> _Description:
        texts = content.raw.texts()
        name = texts[0]
        facts = _description_facts(content.desc, name)
        made = _Description(name, self._add(kind="description", **facts), self._add(kind="subsection", **facts))
        detailed = bool(content.desc.traits & lib.VMD_DETAILED)
        rows = zip(texts[1::2], texts[2::2], content.raw.fields(), nested, strict=False)
        for field, info, row, vmsd in rows:
            number = self._known.add(_field_facts(field, name, info, row, detailed=detailed))
            made.parts.append((field, [number, vmsd.alone] if vmsd else [number], vmsd))
        for each in subsections:
            made.parts.append((each.name, [each.subsection], each))
        made.finish()
        self._known.size += len(made.below[0]) if made.below else len(made.parts)
        return made


class _Content:
    """What is in a description. vmsds: of each field the address of the description that it has, 0: none."""

    __slots__ = ("desc", "raw", "vmsds")

    def __init__(self, address: int) -> None:
        self.desc, self.raw = ffi.cast("struct vmd_desc *", address), read_fields(address)
        words = memoryview(self.raw.rows).cast("Q")[:: ROW_BYTES // 8]
        self.vmsds: list[int] = words.tolist()
        words[:] = memoryview(bytes(8 * len(words))).cast("Q")  # addresses are no content

    def key(self, *nested: Sequence[_Description | None]) -> tuple[object, ...]:
        """Equal for equal descriptions; nested are known by themselves."""
        desc = self.desc
        head = (desc.version_id, desc.minimum_version_id, desc.traits, desc.priority)
        return (head, self.raw.text, bytes(self.raw.rows), *(tuple(map(id, each)) for each in nested))


def _description_facts(desc: Any, name: str) -> dict[str, Any]:
    facts = {
        "name": name, "description": name, "version_id": desc.version_id, "minimum_version_id": desc.minimum_version_id,
    }  # fmt: skip
    if desc.traits & lib.VMD_DETAILED:
        facts |= {
            "unmigratable": bool(desc.traits & lib.VMD_UNMIGRATABLE), "needed": bool(desc.traits & lib.VMD_NEEDED),
            "priority": desc.priority,
        }  # fmt: skip
    return facts


def _field_facts(field: str, owner: str, info: str, row: tuple[int, ...], *, detailed: bool) -> tuple[Any, ...]:
    """The facts of a field, in the order of _FACTS."""
    _, size, offset, _, _, num, version_id, struct_version_id, flags, field_exists = row
    size = min(size, _MAX_INT)
    if not detailed:  # a dump of QEMU's own up to 8.1 does not tell the number of elements: then it is 0 here
        return ("field", field, owner, version_id, None, None, None, size, num or None, None, None, None,
                bool(field_exists), *[None] * 9)  # fmt: skip
    return ("field", field, owner, version_id, None, struct_version_id, info or None, size, num,
            None if offset == _UNKNOWN else min(offset, _MAX_INT), flags, _flag_names(flags), bool(field_exists),
            *[None] * 9)  # fmt: skip


_names_of_flags: dict[int, str] = {}


def _flag_names(flags: int) -> str:
    if flags not in _names_of_flags:
        _names_of_flags[flags] = VMStateFlags(flags).name or ""
    return _names_of_flags[flags]
