"""Lists the producers in an output directory of vmdump bulk, and runs SQL over its rows.

SQL is a single SELECT in DuckDB's dialect. It can read the views below, and neither write nor read other files. Views:
rows (all columns of parquet.py, with producer and target), devices, descriptions, fields, subsections, producers;
verdicts (those of vmdump check that verdicts.py has stored); and machine_types, compat_props, properties, sections and
ram_blocks, of sources read with vmdump bulk --boot.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.bulk.manifest import read_manifest
from vmdump.bulk.query.verdicts import VERDICT_COLUMNS, read_verdicts
from vmdump.check.labels import Named, labels
from vmdump.errors import SourceError, VmdumpError
from vmdump.files.input_file import is_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vmdump.bulk.manifest import Entry

#: SQL for a version as a list of numbers, which sorts correctly.
_SORTABLE = "list_transform(string_split(qemu_version, '.'), lambda x: try_cast(x AS INTEGER))"

_MACHINE_VIEWS = {
    "machine_types": "producer, target, qemu_version, machine, alias, is_default, is_deprecated, error",
    "compat_props": "producer, target, qemu_version, machine, position, type AS driver, name AS property, value",
    "properties": "producer, target, qemu_version, machine, type, path, name AS property, value",
    "sections": "producer, target, qemu_version, machine, position, name AS idstr, instance_id, version_id",
    "ram_blocks": "producer, target, qemu_version, machine, position, name, size",
}
_MACHINE_KINDS = {
    "machine_types": "machine", "compat_props": "compat", "properties": "property", "sections": "section",
    "ram_blocks": "ram_block",
}  # fmt: skip

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
    "version_order, position FROM rows LEFT JOIN positions USING (producer)",
}


class ProducerDump(NamedTuple):
    """A QEMU's dump in an output directory.

    label: short name of the QEMU for people. target: of the dump. path: the dump of its first machine.
    producer: the QEMU's name in paths and in the views. version: its version string.
    machine_types: all of them, as (name, alias, family, is_default).
    arguments: indices of the sources of vmdump bulk that it was found in; n_files: the number of files.
    """

    label: str
    target: str
    path: str
    producer: str
    version: str | None = None
    machine_types: tuple[tuple[str, str | None, str | None, bool], ...] = ()
    arguments: tuple[int, ...] = ()
    n_files: int = 1


class Answer(NamedTuple):
    """The result of a query: names of columns, and rows of plain values.

    skipped: unreadable files of verdicts, with the reason. is_incomplete: whether the query reads verdicts, so that
    rows may be missing.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    skipped: Sequence[str] = ()
    is_incomplete: bool = False


#: Seconds between two checks for signals, and seconds that an interrupted query gets to end.
_TICK = 0.1
_PATIENCE = 1.0

#: Rows fetched at a time.
_ROWS = 10_000


def producers(directory: str | os.PathLike[str], target: str | None = None) -> list[ProducerDump]:
    """Return the dumps in an output directory, one for each producer and target, or those of one target.

    They are sorted by target, then by the sources of vmdump bulk, then by version. The dumps are in the format that
    they were written in; extended and parquet have all details. Raises SourceError for a directory without a manifest.
    """
    found: dict[tuple[str, str], ProducerDump] = {}
    known: dict[str, Named] = {}
    for entry in read_manifest(os.fspath(directory)).entries:
        if entry["error"] is not None or not entry["outputs"] or not entry["targets"]:
            continue
        producer, name = entry["producer"]["label"], entry["targets"][0]
        known.setdefault(producer, _named(entry))
        if target in (None, *entry["targets"]):
            path = os.path.join(directory, entry["outputs"][0])
            types = tuple(map(tuple, entry["machine_types"]))
            version, arguments = entry["producer"]["version"], tuple(entry["arguments"])
            each = ProducerDump(producer, name, path, producer, version, types, arguments)
            if (same := found.get((name, producer))) is not None:
                arguments = tuple(sorted({*same.arguments, *arguments}))
                each = same._replace(arguments=arguments, n_files=same.n_files + 1)
            found[name, producer] = each
    called = dict(zip(known, labels(list(known.values())), strict=True))  # the same for every target
    return [each._replace(label=called[each.producer]) for each in sorted(found.values(), key=_order)]


def _named(entry: Entry) -> Named:
    """Return what determines the label of an entry's producer."""
    producer = entry["producer"]
    version, host = (str(producer.get(key) or "") for key in ("version", "host"))
    return Named(version, host, os.path.join(entry["source"], entry["member"] or "").rstrip("/"), producer["label"])


def _order(each: ProducerDump) -> tuple[Any, ...]:
    return each.target, not each.arguments, tuple(sorted(each.arguments)), version_order(each.producer)


def version_order(label: str) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key for labels that compares numbers in them as numbers.

    >>> sorted(["10.0.2", "7.2.22", "10.0.13"], key=version_order)
    ['7.2.22', '10.0.2', '10.0.13']
    """
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.findall(r"\d+|\D+", label))


def _in_order(directory: str) -> list[str]:
    """Return all producers in the order of vmdump bulk's sources; none for a directory without a manifest."""
    try:
        found = producers(directory)
    except SourceError:
        return []
    return list(dict.fromkeys(each.producer for each in sorted(found, key=lambda each: _order(each)[1:])))


def query(directory: str | os.PathLike[str], sql: str, parameters: Mapping[str, str] | None = None) -> Answer:
    """Run a SELECT over the rows in an output directory; parameters: values of its $names.

    An exception from a signal handler, such as KeyboardInterrupt, ends the query at once. Raises VmdumpError: there are
    no rows, or the SQL is invalid or not a single SELECT.
    """
    duckdb = _import_duckdb()
    try:
        for text in (sql, *(parameters or {}).values()):
            text.encode()
    except UnicodeEncodeError as error:
        raise VmdumpError("query: SQL and parameters must be valid UTF-8") from error
    connection = duckdb.connect(":memory:")
    return _interruptible(connection, lambda: _query(duckdb, connection, os.fspath(directory), sql, parameters or {}))


def _interruptible(connection: Any, body: Callable[[], Answer]) -> Answer:
    """Run body in a thread, since DuckDB does not let Python's signal handlers run before it is done."""
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(body())
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
        while not future.done():
            with contextlib.suppress(TimeoutError):
                future.exception(_TICK)  # signal handlers run between two waits
    except BaseException:
        connection.interrupt()
        thread.join(_PATIENCE)
        raise
    return future.result()


def _query(duckdb: Any, connection: Any, directory: str, sql: str, parameters: Mapping[str, str]) -> Answer:
    try:
        skipped = _open_folder(duckdb, connection, directory)
        _check_statement(duckdb, connection, sql, parameters)
        is_incomplete = bool(skipped) and _reads_verdicts(duckdb, sql)
        cursor = connection.execute(sql, dict(parameters) or None)
        rows: list[tuple[Any, ...]] = []
        while some := cursor.fetchmany(_ROWS):  # fetchall cannot be interrupted
            rows += some
        return Answer(tuple(column[0] for column in cursor.description or ()), rows, skipped, is_incomplete)
    except duckdb.Error as error:
        raise VmdumpError(f"query: {_reason(error)}") from error
    finally:
        connection.close()


def _reads_verdicts(duckdb: Any, sql: str) -> bool:
    """Return whether SQL reads the view verdicts. Replaces parameters by NULL, as get_table_names takes none."""
    with duckdb.connect(":memory:") as parser:  # without the views, which it would expand
        try:
            return "verdicts" in map(str.lower, parser.get_table_names(re.sub(r"\$\w+", "NULL", sql)))
        except duckdb.Error:
            return True


def _import_duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise VmdumpError("vmdump query needs the package duckdb: pip install 'vmdump[bulk]'") from None
    return duckdb


def _check_statement(duckdb: Any, connection: Any, sql: str, parameters: Mapping[str, str]) -> None:
    """Raise VmdumpError unless sql is a single SELECT whose parameters are given."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise VmdumpError(f"query: {len(statements)} SQL statements; use a single SELECT")
    (statement,) = statements
    if statement.type != duckdb.StatementType.SELECT:  # EXPLAIN ANALYZE executes the statement
        raise VmdumpError(f"query: {statement.type.name} is not allowed; use a single SELECT")
    needed = set(statement.named_parameters)
    if needed != set(parameters):
        missing, unknown = sorted(needed - set(parameters)), sorted(set(parameters) - needed)
        what = f"needs --with {missing[0]}=VALUE" if missing else f"has no ${unknown[0]}"
        raise VmdumpError(f"query: the SQL {what}")


def _open_folder(duckdb: Any, connection: Any, directory: str) -> list[str]:
    """Create the views in an in-memory database, and restrict it to the files of rows.

    Returns the unreadable files of verdicts, with the reason.
    """
    top = os.path.realpath(directory)
    files = _row_files(top)
    if not files:
        raise VmdumpError(f"{directory}: no rows to query; vmdump bulk --format parquet -o {directory} writes them")
    try:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute("SET temp_directory = ''")
        machines = _row_files(top, "machines.parquet")
        connection.execute(f"SET allowed_paths = {_literals([*files, *machines])}")
        connection.execute(f"CREATE TABLE verdicts ({', '.join(f'{name} VARCHAR' for name in VERDICT_COLUMNS)})")
        verdicts, skipped = read_verdicts(top)
        if verdicts:
            columns = ", ".join(["unnest(?::VARCHAR[])"] * len(VERDICT_COLUMNS))
            connection.execute(f"INSERT INTO verdicts SELECT {columns}", list(map(list, zip(*verdicts, strict=True))))
        connection.execute("CREATE TABLE positions (producer VARCHAR, position INTEGER)")
        for position, label in enumerate(_in_order(directory)):
            connection.execute("INSERT INTO positions VALUES (?, ?)", [label, position])
        connection.execute("SET enable_external_access = false")
        connection.execute(
            f"CREATE VIEW rows AS SELECT * FROM read_parquet({_literals(files)}, hive_partitioning = true, "
            "hive_types_autocast = false)"
        )
        for name, sql in _VIEWS.items():
            connection.execute(f"CREATE VIEW {name} AS {sql}")
        _create_machine_views(connection, machines)
        connection.execute("SET lock_configuration = true")
        return skipped
    except duckdb.Error as error:
        raise VmdumpError(f"{directory}: {_reason(error)}; remove rows/ and run vmdump bulk again") from error


def _reason(error: Exception) -> str:
    """Return DuckDB's message without the excerpt of the SQL."""
    return " ".join(str(error).partition("\n\nLINE ")[0].split())


def _create_machine_views(connection: Any, files: Sequence[str]) -> None:
    """Create the views of machine types; without files they are empty."""
    from vmdump.machines.rows import COLUMNS

    if files:
        rows = f"SELECT * FROM read_parquet({_literals(files)}, hive_partitioning = true, hive_types_autocast = false)"
    else:
        types = {str: "VARCHAR", bool: "BOOLEAN", int: "BIGINT"}
        columns = {**dict.fromkeys(("producer", "target", "qemu_version"), str), **COLUMNS}
        nulls = ", ".join(f"NULL::{types[kind]} AS {name}" for name, kind in columns.items())
        rows = f"SELECT {nulls} WHERE false"
    connection.execute(f"CREATE VIEW machine_rows AS {rows}")
    for name, selected in _MACHINE_VIEWS.items():
        where = f"kind = '{_MACHINE_KINDS[name]}'"
        connection.execute(f"CREATE VIEW {name} AS SELECT {selected} FROM machine_rows WHERE {where}")


def _row_files(top: str, name: str = "rows.parquet") -> list[str]:
    """Return the Parquet files of a name below an output directory."""
    return sorted(filter(is_regular, glob.glob(f"{glob.escape(top)}/rows/producer=*/target=*/{name}")))


def has_machine_types(directory: str | os.PathLike[str]) -> bool:
    """Return whether vmdump bulk --boot has stored machine types in an output directory."""
    return bool(_row_files(os.path.realpath(directory), "machines.parquet"))


def _literals(texts: Sequence[str]) -> str:
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"
