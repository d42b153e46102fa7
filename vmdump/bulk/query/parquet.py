"""A dump as rows: one for each device, description, field and subsection, in the form that `vmdump query` asks.

    kind                    device, description, field, subsection
    machine, machines       the first machine type that the dump was written for, and all of them: nothing else differs
    qemu_version, version   7.2.22, and what QEMU says of itself
    build_id, host          the linker's, in hex; the architecture that the binary is for
    type                    QOM type; null below a standalone VMSD
    section                 name of the description, which names the section of the stream
    path                    names from the section's description down, as state.serial/tsr.thr; '' for itself
    name                    of the type, description, field or subsection
    description             name of the description that a field is in, or has (of a device: its section)
    version_id, minimum_version_id, struct_version_id
    info, size, num, offset, flags, flag_names, field_exists      of a field; size and offset in bytes
    unmigratable, needed, priority                                of a description
    parents, abstract, module                                     of a device
    uses, types, symbol                                           of a standalone VMSD

Null is an unknown value, or one that does not apply. A struct field has a description row of the same path below it.

The C core walks the tree and fills columns in the layout of Arrow's arrays; Arrow reads that memory. Text columns are
dictionaries: nearly all their values repeat, and Arrow writes an array that is a dictionary as it is. Parquet's type of
such a column is still a string.

Source: csrc/stream/rows.c.
"""

from __future__ import annotations

import array
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from vmdump._core import ffi, lib
from vmdump.bulk.output_paths import label_of, version_number
from vmdump.errors import SourceError
from vmdump.vmstate.model import VMStateFlags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.dump.tree import Tree

_CODE, _TEXT, _TEXTS, _INT, _BOOL = pa.int32(), pa.string(), pa.list_(pa.string()), pa.int64(), pa.bool_()

#: The columns, in order. The first six have one value for all rows of a dump.
_COLUMNS = {
    "machine": _TEXT, "machines": _TEXTS, "qemu_version": _TEXT, "version": _TEXT, "build_id": _TEXT, "host": _TEXT,
    "kind": _TEXT, "type": _TEXT, "section": _TEXT, "path": _TEXT, "name": _TEXT, "description": _TEXT,
    "version_id": _INT, "minimum_version_id": _INT, "struct_version_id": _INT, "info": _TEXT, "size": _INT, "num": _INT,
    "offset": _INT, "flags": _INT, "flag_names": _TEXT, "field_exists": _BOOL, "unmigratable": _BOOL, "needed": _BOOL,
    "priority": _INT, "parents": _TEXTS, "abstract": _BOOL, "module": _TEXT, "uses": _TEXTS, "types": _TEXTS,
    "symbol": _TEXT,
}  # fmt: skip

SCHEMA = pa.schema(_COLUMNS)

#: The schema of the tables that are written: SCHEMA with dictionaries for strings.
_WRITTEN = pa.schema(
    [(name, pa.dictionary(_CODE, _TEXT) if kind == _TEXT else kind) for name, kind in _COLUMNS.items()]
)

#: The columns with minimum and maximum, by which DuckDB skips files: each is one value for all rows of a file. In any
#: other column nearly all files have the whole range.
_PRUNED = ["machine", "qemu_version", "version", "build_id", "host"]

#: How Parquet files are written. Pages end by their size; smaller batches would find minimum and maximum of each again.
_OPTIONS: dict[str, Any] = {
    "compression": "snappy", "store_schema": False, "write_statistics": _PRUNED, "write_batch_size": 1 << 16,
}  # fmt: skip

#: The columns of each kind by their index in struct vmd_rows: dictionaries of text, int64_t, bits.
_CODES = {
    "type": lib.VMD_ROWS_TYPE, "section": lib.VMD_ROWS_SECTION, "path": lib.VMD_ROWS_PATH, "name": lib.VMD_ROWS_NAME,
    "description": lib.VMD_ROWS_DESCRIPTION, "info": lib.VMD_ROWS_INFO,
}  # fmt: skip
_INTS = {
    "version_id": lib.VMD_ROWS_VERSION_ID, "minimum_version_id": lib.VMD_ROWS_MINIMUM_VERSION_ID,
    "struct_version_id": lib.VMD_ROWS_STRUCT_VERSION_ID, "size": lib.VMD_ROWS_SIZE, "num": lib.VMD_ROWS_NUM,
    "offset": lib.VMD_ROWS_OFFSET, "flags": lib.VMD_ROWS_FLAGS, "priority": lib.VMD_ROWS_PRIORITY,
}  # fmt: skip
_BITS = {
    "field_exists": lib.VMD_ROWS_FIELD_EXISTS, "unmigratable": lib.VMD_ROWS_UNMIGRATABLE,
    "needed": lib.VMD_ROWS_NEEDED,
}  # fmt: skip

#: In the order of VMD_ROW_DEVICE and the values after it.
_KINDS = pa.array(["device", "description", "field", "subsection"], _TEXT)

#: The metadata of devices and of standalone VMSDs, in one row each.
_OF_DEVICE = ("parents", "abstract", "module")
_OF_ROOT = ("uses", "types", "symbol")

#: Maximum rows of a dump: real ones have 20,000, but shared descriptions can expand to any number.
MAX_ROWS = 20_000_000

#: Maximum rows of a row group, and in memory at a time.
_CHUNK = 100_000


def to_parquet(dump: DeviceDump, machines: Sequence[str]) -> bytes:
    """Return the rows of a dump as a Parquet file. Raises SourceError if there are more than MAX_ROWS."""
    producer = dump.producer
    version = version_number(producer, label_of(producer, producer.path or ""))
    texts = {
        "machine": machines[0], "qemu_version": version, "version": producer.version, "build_id": producer.build_id,
        "host": producer.host,
    }  # fmt: skip
    file = pa.BufferOutputStream()
    with pq.ParquetWriter(file, _WRITTEN, **_OPTIONS) as writer:
        for count, columns in _chunks(dump.detailed_tree):
            zeros = pa.Array.from_buffers(_CODE, count, [None, pa.py_buffer(bytes(4 * count))], 0)
            columns |= {
                name: _nulls(name, count) if value is None else _dictionary(zeros, [value])
                for name, value in texts.items()
            }
            columns["machines"] = pa.array([list(machines)], _TEXTS).take(zeros)  # pa.repeat is slow for lists
            writer.write_table(pa.Table.from_arrays([columns[name] for name in _COLUMNS], schema=_WRITTEN))
    return bytes(file.getvalue())


def _chunks(tree: Tree) -> Iterator[tuple[int, dict[str, pa.Array]]]:
    """Yield the number of rows and the columns of one chunk after the other, valid until the next one is read."""
    ret = ffi.new("struct vmd_rows **")
    _check(lib.vmd_rows_create(tree.native, _CHUNK, MAX_ROWS, ret))
    rows = ffi.gc(ret[0], lib.vmd_rows_destroy)
    if rows.n_all > MAX_ROWS:
        raise SourceError(f"more than {MAX_ROWS} rows: its descriptions nest each other too often; use --format json")
    owners = _owners(tree)
    while True:
        _check(lib.vmd_rows_next(rows))
        if not rows.n:
            return
        yield int(rows.n), _columns(rows, owners)


def _check(status: int) -> None:
    if status:
        raise MemoryError("out of memory for the rows of a dump")


def _columns(rows: Any, owners: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Return the columns of a chunk that differ from row to row."""
    count = int(rows.n)
    kinds, owner_of = (_codes(rows, each) for each in (lib.VMD_ROWS_KIND, lib.VMD_ROWS_OWNER))
    columns = {"kind": pa.DictionaryArray.from_arrays(kinds, _KINDS, safe=False)}
    columns |= {name: _texts(rows, index) for name, index in _CODES.items()}
    columns |= {name: _fixed(_INT, rows.ints[index], count, 8) for name, index in _INTS.items()}
    columns |= {name: _fixed(_BOOL, rows.bits[index], count) for name, index in _BITS.items()}
    columns["flag_names"] = _flag_names(rows)
    for name in (*_OF_DEVICE, *_OF_ROOT):
        if name in owners:
            values = owners[name].take(owner_of)
            columns[name] = values.dictionary_encode() if _COLUMNS[name] == _TEXT else values
        else:
            columns[name] = _nulls(name, count)
    return columns


def _owners(tree: Tree) -> dict[str, pa.Array]:
    """Return the metadata of devices, then of standalone VMSDs, if the tree has any."""
    n_devices, n_roots = len(tree), int(tree.native.n_standalone)
    owners: dict[str, pa.Array] = {}
    if lib.vmd_rows_has_device_details(tree.native):
        facts = [tree.device_metadata(index) for index in range(n_devices)]
        for name in _OF_DEVICE:
            owners[name] = pa.array([*(each.get(name) for each in facts), *[None] * n_roots], _COLUMNS[name])
    if n_roots:
        symbols, uses, types = zip(*map(tree.standalone_metadata, range(n_roots)), strict=True)
        for name, values in zip(_OF_ROOT, (uses, types, symbols), strict=True):
            owners[name] = pa.array([*[None] * n_devices, *values], _COLUMNS[name])
    return owners


# Arrays from memory of the core --------------------------------------------------------------------------------------


def _buffer(pointer: Any, size: int) -> pa.Buffer:
    return pa.foreign_buffer(int(ffi.cast("uintptr_t", pointer)), size)


def _fixed(kind: pa.DataType, column: Any, count: int, width: int = 0) -> pa.Array:
    """Return a column as an array of values of width bytes; 0: of a bit."""
    n_valid, bits = int(column.n_valid), (count + 7) // 8
    if not n_valid:
        return pa.nulls(count, kind)
    valid = _buffer(column.valid, bits) if n_valid < count else None
    buffers = [valid, _buffer(column.values, count * width or bits)]
    return pa.Array.from_buffers(kind, count, buffers, count - n_valid)


def _codes(rows: Any, index: int) -> pa.Array:
    return _fixed(_CODE, rows.codes[index], int(rows.n), 4)


def _texts(rows: Any, index: int) -> pa.DictionaryArray:
    """Return a column of text. Bytes that are not UTF-8, as in a hostile binary, are escaped."""
    texts, codes = rows.texts[index], _codes(rows, index)
    if not texts.n:
        return _dictionary(codes, [])
    size = int(texts.offsets[texts.n])
    buffers = [None, _buffer(texts.offsets, 4 * (texts.n + 1)), _buffer(texts.text, size)]
    values = pa.Array.from_buffers(_TEXT, int(texts.n), buffers, 0)
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        plain = values.cast(pa.binary()).to_pylist()
        return _dictionary(codes, [each.decode(errors="backslashreplace") for each in plain])
    return pa.DictionaryArray.from_arrays(codes, values, safe=False)


def _flag_names(rows: Any) -> pa.DictionaryArray:
    texts = rows.texts[lib.VMD_ROWS_FLAG_NAMES]
    flags = array.array("I", bytes(ffi.buffer(texts.text, 4 * texts.n)) if texts.n else b"")
    return _dictionary(_codes(rows, lib.VMD_ROWS_FLAG_NAMES), [VMStateFlags(each).name or "" for each in flags])


def _dictionary(codes: pa.Array, values: Iterable[str]) -> pa.DictionaryArray:
    """Return a dictionary array of values, which may repeat."""
    values = list(values)
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    if len(numbers) < len(values):
        codes = pa.array([numbers[value] for value in values], _CODE).take(codes)
    return pa.DictionaryArray.from_arrays(codes, pa.array(numbers, _TEXT), safe=False)


def _nulls(name: str, count: int) -> pa.Array:
    return _dictionary(pa.nulls(count, _CODE), []) if _COLUMNS[name] == _TEXT else pa.nulls(count, _COLUMNS[name])
