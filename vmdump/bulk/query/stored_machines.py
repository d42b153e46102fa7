"""Reads machine types back from an output directory of vmdump bulk --boot."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from vmdump.errors import SourceError, VmdumpError
from vmdump.files.input_file import is_regular
from vmdump.machines.rows import COLUMNS, NEEDED

if TYPE_CHECKING:
    from vmdump.bulk.query.database import ProducerDump

#: Rows that are read of a target. Real ones have up to 20,000 without properties.
_MAX_ROWS = 1_000_000


def stored_machine_rows(directory: str | os.PathLike[str], of: ProducerDump) -> list[dict[str, Any]] | None:
    """Return the rows of a QEMU's machine types, without properties, as vmdump.machines.rows.machine_rows does.

    None: they were not read. Raises SourceError for a damaged file, VmdumpError if pyarrow is missing.
    """
    path = os.path.join(directory, "rows", f"producer={of.producer}", f"target={of.target}", "machines.parquet")
    if not is_regular(path):
        return None
    try:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq
    except ImportError:
        raise VmdumpError(f"{path}: reading it needs the package pyarrow: pip install 'vmdump[bulk]'") from None
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > 10 * _MAX_ROWS:
                raise ValueError(f"{file.metadata.num_rows} rows")
        wanted = (pc.field("kind") != "property") | pc.field("kind").is_null()
        table = pq.read_table(path, columns=list(COLUMNS), filters=wanted, partitioning=None)
        for name, kind in COLUMNS.items():
            if table.schema.field(name).type != {str: pa.string(), bool: pa.bool_(), int: pa.int64()}[kind]:
                raise ValueError(f"column {name} is {table.schema.field(name).type}")
        if table.num_rows > _MAX_ROWS:
            raise ValueError(f"{table.num_rows} rows of machine types")
        rows: list[dict[str, Any]] = table.to_pylist()
        for row in rows:
            for name in ("kind", "machine", *NEEDED.get(row["kind"], ())):
                if row[name] is None:
                    raise ValueError(f"a row of kind {row['kind']!r} without {name}")
        return rows
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"{path}: {reason}; remove rows/ and run vmdump bulk again") from error
