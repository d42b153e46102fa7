"""Asking a folder that `vmdump bulk` has filled: which producers it has of a target, and SQL over its rows.

SQL is DuckDB's, one statement that reads: it sees the views below, no file outside of the folder's rows, and can write
nothing. Views: rows (all, see rows.py, with producer and target), devices, descriptions, fields, subsections,
producers, and verdicts (what `vmdump check` has said and was kept: verdicts.py).
"""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.bulk.manifest import read_entries
from vmdump.bulk.query.verdicts import VERDICT_COLUMNS, read_verdicts
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


#: A version as a list of numbers, by which it sorts.
_SORTABLE = "list_transform(string_split(qemu_version, '.'), lambda x: try_cast(x AS INTEGER))"

_VIEWS = {
    "devices": "SELECT producer, target, machine, machines, qemu_version, host, type, section, version_id, "
    "minimum_version_id, parents, abstract, module FROM rows WHERE kind = 'device'",
    "descriptions": "SELECT producer, target, qemu_version, host, type, section, path, name, version_id, "
    "minimum_version_id, unmigratable, needed, priority, uses, types, symbol FROM rows WHERE kind = 'description'",
    "fields": "SELECT producer, target, qemu_version, host, type, section, path, name, description, version_id, "
    "struct_version_id, info, size, num, \"offset\", flags, flag_names, field_exists FROM rows WHERE kind = 'field'",
    "subsections": "SELECT producer, target, qemu_version, host, type, section, path, name, version_id, "
    "minimum_version_id, needed FROM rows WHERE kind = 'subsection'",
    "producers": f"SELECT DISTINCT producer, target, qemu_version, version, build_id, host, machines, {_SORTABLE} AS "
    "version_order FROM rows",
}


class ProducerDump(NamedTuple):
    """A QEMU's dump in a folder: the producer's label, the target, and the path of the dump of its first machine."""

    label: str
    target: str
    path: str


class Answer(NamedTuple):
    """What a query gave: names of columns, and rows of plain values."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def producers(directory: str | os.PathLike[str], target: str | None = None) -> list[ProducerDump]:
    """The dumps in a folder, one a producer and target, in the order of targets and versions; target: of that alone.

    They are in the form that they were written in: --format extended and parquet keep all that is known. Raises
    SourceError for a folder without a manifest.
    """
    found = {}
    for entry in read_entries(os.fspath(directory)):
        if entry["error"] is None and entry["outputs"] and entry["targets"]:
            label, name = entry["producer"]["label"], entry["targets"][0]
            if target in (None, *entry["targets"]):
                found[name, label] = os.path.join(directory, entry["outputs"][0])
    order = sorted(found, key=lambda place: (place[0], version_order(place[1])))
    return [ProducerDump(label, name, found[name, label]) for name, label in order]


def version_order(label: str) -> tuple[tuple[int, int | str], ...]:
    """What labels sort by: numbers in them as such.

    >>> sorted(["10.0.2", "7.2.22", "10.0.13"], key=version_order)
    ['7.2.22', '10.0.2', '10.0.13']
    """
    import re

    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.findall(r"\d+|\D+", label))


def query(directory: str | os.PathLike[str], sql: str, parameters: Mapping[str, str] | None = None) -> Answer:
    """What one statement of SQL gives over a folder's rows; parameters are its $names.

    Raises VmdumpError: no rows there, no such SQL, or one that does not only read.
    """
    duckdb = _import_duckdb()
    connection = _connect(duckdb, os.fspath(directory))
    try:
        _check_statement(duckdb, connection, sql, parameters or {})
        cursor = connection.execute(sql, dict(parameters or {}) or None)
        return Answer(tuple(column[0] for column in cursor.description or ()), cursor.fetchall())
    except duckdb.Error as error:
        raise VmdumpError(f"query: {_reason(error)}") from error
    finally:
        connection.close()


def _import_duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise VmdumpError("vmdump query needs a package: pip install 'vmdump[bulk]'") from None
    return duckdb


def _check_statement(duckdb: Any, connection: Any, sql: str, parameters: Mapping[str, str]) -> None:
    """Refuses what is not one statement that reads."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise VmdumpError(f"query: {len(statements)} statements of SQL; ask one thing at a time")
    (statement,) = statements
    if statement.type != duckdb.StatementType.SELECT:  # EXPLAIN ANALYZE does what it explains
        raise VmdumpError(f"query: {statement.type.name} is not for here; what is asked has to be a SELECT")
    asked = set(statement.named_parameters)
    if asked != set(parameters):
        missing, unknown = sorted(asked - set(parameters)), sorted(set(parameters) - asked)
        what = f"needs --with {missing[0]}=VALUE" if missing else f"has no ${unknown[0]}"
        raise VmdumpError(f"query: the SQL {what}")


def _connect(duckdb: Any, directory: str) -> Any:
    """A database in memory with the views, which from then on reads no file but the folder's rows."""
    top = os.path.realpath(directory)
    files = _row_files(top)
    if not files:
        raise VmdumpError(f"{directory}: no rows to ask; vmdump bulk --format parquet -o {directory} makes them")
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute("SET temp_directory = ''")
        connection.execute(f"SET allowed_paths = {_literals(files)}")
        connection.execute(f"CREATE TABLE verdicts ({', '.join(f'{name} VARCHAR' for name in VERDICT_COLUMNS)})")
        for row in read_verdicts(top):
            connection.execute(f"INSERT INTO verdicts VALUES ({', '.join('?' * len(row))})", row)
        connection.execute("SET enable_external_access = false")
        connection.execute(
            f"CREATE VIEW rows AS SELECT * FROM read_parquet({_literals(files)}, hive_partitioning = true, "
            "hive_types_autocast = false)"
        )
        for name, sql in _VIEWS.items():
            connection.execute(f"CREATE VIEW {name} AS {sql}")
        connection.execute("SET lock_configuration = true")
    except duckdb.Error as error:
        connection.close()
        raise VmdumpError(f"{directory}: {_reason(error)}; remove rows/ and run vmdump bulk again") from error
    return connection


def _reason(error: Exception) -> str:
    """What DuckDB says, without the picture of the place."""
    return " ".join(str(error).partition("\n\nLINE ")[0].split())


def _row_files(top: str) -> list[str]:
    """The folder's files of rows."""
    return sorted(glob.glob(f"{glob.escape(top)}/rows/producer=*/target=*/rows.parquet"))


def _literals(texts: Sequence[str]) -> str:
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"
