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
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from vmdump.bulk.output_paths import label_of, version_number
from vmdump.errors import SourceError
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.dump.device_dump import DeviceDump

_TEXT, _TEXTS, _INT, _BOOL = pa.string(), pa.list_(pa.string()), pa.int64(), pa.bool_()

#: Columns that are the same in all rows of a dump.
_CONSTANT = {
    "machine": _TEXT, "machines": _TEXTS, "qemu_version": _TEXT, "version": _TEXT, "build_id": _TEXT, "host": _TEXT,
}  # fmt: skip

#: The others.
_COLUMNS = {
    "kind": _TEXT, "type": _TEXT, "section": _TEXT, "path": _TEXT, "name": _TEXT, "description": _TEXT,
    "version_id": _INT, "minimum_version_id": _INT, "struct_version_id": _INT, "info": _TEXT, "size": _INT,
    "num": _INT, "offset": _INT, "flags": _INT, "flag_names": _TEXT, "field_exists": _BOOL, "unmigratable": _BOOL,
    "needed": _BOOL, "priority": _INT, "parents": _TEXTS, "abstract": _BOOL, "module": _TEXT, "uses": _TEXTS,
    "types": _TEXTS, "symbol": _TEXT,
}  # fmt: skip

SCHEMA = pa.schema([*_CONSTANT.items(), *_COLUMNS.items()])

_POSITION = {name: index for index, name in enumerate(_COLUMNS)}
_EMPTY: list[Any] = [None] * len(_COLUMNS)

#: The most rows of a dump: real ones have 20,000, but descriptions that share each other can stand for any number.
MAX_ROWS = 20_000_000

#: Rows that are held as Python objects at a time.
_CHUNK = 100_000

_MAX_INT = (1 << 63) - 1


def to_parquet(dump: DeviceDump, machines: Sequence[str]) -> bytes:
    """The rows of a dump as a Parquet file. Raises SourceError for too many."""
    producer = dump.producer
    version = version_number(producer, label_of(producer, producer.path or ""))
    constants = [machines[0], list(machines), version, producer.version, producer.build_id, producer.host]
    file, count, chunk = io.BytesIO(), 0, []
    with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        for row in _rows(dump):
            chunk.append(row)
            count += 1
            if len(chunk) == _CHUNK:
                _write(writer, constants, chunk)
                chunk = []
            if count > MAX_ROWS:
                raise SourceError(
                    f"more than {MAX_ROWS} rows: its descriptions nest each other too often; use --format json"
                )
        _write(writer, constants, chunk)
    return file.getvalue()


def _write(writer: pq.ParquetWriter, constants: list[Any], rows: list[list[Any]]) -> None:
    fixed = [
        pa.repeat(pa.scalar(value, kind), len(rows)) for value, kind in zip(constants, _CONSTANT.values(), strict=True)
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(_COLUMNS)
    varying = [pa.array(column, kind) for column, kind in zip(columns, _COLUMNS.values(), strict=True)]
    writer.write_table(pa.Table.from_arrays([*fixed, *varying], schema=SCHEMA))


def _row(**values: Any) -> list[Any]:
    row = _EMPTY.copy()
    for name, value in values.items():
        row[_POSITION[name]] = value
    return row


def _rows(dump: DeviceDump) -> Iterator[list[Any]]:
    for device in dump.values():
        yield _row(
            kind="device", type=device.name, section=device.vmsd.name, path="", name=device.name,
            description=device.vmsd.name, version_id=device.version_id, minimum_version_id=device.minimum_version_id,
            parents=device.parents and list(device.parents), abstract=device.abstract, module=device.module,
        )  # fmt: skip
        yield from _description_rows(device.vmsd, device.name, {})
    for root in dump.roots:
        owner = {"uses": list(root.uses), "types": list(root.types), "symbol": root.symbol}
        yield from _description_rows(root.vmsd, None, owner)


def _description_rows(top: VMStateDescription, type: str | None, owner: dict[str, Any]) -> Iterator[list[Any]]:
    """The rows of a description and all below it, fields first, as they travel. Iterative, as they nest deeply."""
    section = top.name
    yield _row(kind="description", type=type, section=section, path="", name=section, **_facts(top), **owner)
    stack = [("", _parts(top))]
    while stack:
        path, parts = stack[-1]
        part = next(parts, None)
        if part is None:
            stack.pop()
            continue
        owner_name, item = part
        below = f"{path}.{item.name}" if path else str(item.name)
        if isinstance(item, VMStateDescription):
            yield _row(kind="subsection", type=type, section=section, path=below, name=item.name, **_facts(item))
            stack.append((below, _parts(item)))
            continue
        yield _field_row(item, type, section, below, owner_name)
        if item.vmsd is not None:
            nested = item.vmsd
            yield _row(kind="description", type=type, section=section, path=below, name=nested.name, **_facts(nested))
            stack.append((below, _parts(nested)))


def _parts(vmsd: VMStateDescription) -> Iterator[tuple[VMStateDescription, VMStateField | VMStateDescription]]:
    yield from ((vmsd, field) for field in vmsd.fields or ())
    yield from ((vmsd, subsection) for subsection in vmsd.subsections or ())


def _facts(vmsd: VMStateDescription) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "description": vmsd.name, "version_id": vmsd.version_id, "minimum_version_id": vmsd.minimum_version_id,
    }  # fmt: skip
    if vmsd.detailed:
        facts |= {"unmigratable": vmsd.unmigratable, "needed": bool(vmsd.needed), "priority": int(vmsd.priority)}
    return facts


def _field_row(field: VMStateField, type: str | None, section: str, path: str, owner: VMStateDescription) -> list[Any]:
    row = _EMPTY.copy()
    row[:6] = "field", type, section, path, field.name, owner.name
    row[6] = field.version_id
    row[9] = field.info and field.info.name
    row[10] = min(field.size, _MAX_INT)
    # A dump of QEMU's own up to 8.1 does not tell the number of elements: then it is 0 here.
    row[11] = field.num if owner.detailed else field.num or None
    row[15] = bool(field.field_exists)
    if owner.detailed:
        row[8] = field.struct_version_id
        row[12] = None if field.offset is None else min(field.offset, _MAX_INT)
        row[13], row[14] = int(field.flags), _flag_names(int(field.flags))
    return row


_names_of_flags: dict[int, str] = {}


def _flag_names(flags: int) -> str:
    if flags not in _names_of_flags:
        _names_of_flags[flags] = VMStateFlags(flags).name or ""
    return _names_of_flags[flags]
