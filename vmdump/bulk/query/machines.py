"""The machine types of a binary as a Parquet file: the rows of vmdump/machines/rows.py, and the QEMU's version."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from vmdump.bulk.output_paths import label_of, version_number
from vmdump.machines.reader import Source
from vmdump.machines.rows import COLUMNS, machine_rows

if TYPE_CHECKING:
    from vmdump.dump.producer import Producer
    from vmdump.machines.model import MachineInfo
    from vmdump.machines.rows import Row

_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64()}

SCHEMA = pa.schema({"qemu_version": pa.string(), **{name: _TYPES[kind] for name, kind in COLUMNS.items()}})


def read_machines(path: str, sysroot: str | None, pattern: str, producer: Producer) -> bytes:
    """Boot the machine types of a binary that match a pattern, and return the Parquet file.

    Args:
        path: of the binary; with sysroot, within it.
        sysroot: see vmdump.emulator.machine.boot.
        pattern: ``default``, ``all`` or a glob pattern for names and aliases.
        producer: the QEMU.

    Raises:
        SourceError: the binary cannot be emulated.
    """

    def is_booted(info: MachineInfo) -> bool:
        if pattern in ("default", "all"):
            return pattern == "all" or info.is_default
        return any(fnmatch.fnmatchcase(name, pattern) for name in (info.name, info.alias) if name)

    version = version_number(producer, label_of(producer, producer.path or ""))
    return to_parquet(machine_rows(Source(path, sysroot), is_booted), version)


def to_parquet(rows: list[Row], version: str | None) -> bytes:
    """Return rows as a Parquet file. version: of the QEMU, such as 7.2.22."""
    columns = [pa.array([row.get(name) for row in rows], SCHEMA.field(name).type) for name in COLUMNS]
    table = pa.Table.from_arrays([pa.array([version] * len(rows), pa.string()), *columns], schema=SCHEMA)
    file = pa.BufferOutputStream()
    pq.write_table(table, file, compression="snappy")
    return bytes(file.getvalue())
