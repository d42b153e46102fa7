"""vmdump query: named questions on real dumps compared with answers computed from the JSON, and restrictions on SQL."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.dumps import read_real_dump
from support.paths import DATA

from vmdump.bulk.query.database import query
from vmdump.bulk.query.verdicts import write_verdicts
from vmdump.check.results import CheckResult, Direction, Dump, Finding, TypeResult, Verdict
from vmdump.cli import main
from vmdump.dump.producer import Producer
from vmdump.errors import VmdumpError

VERSIONS = ("7.2.22", "10.0.13")
TARGETS = ("x86_64", "ppc64", "m68k", "s390x")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output directory with the rows of real dumps."""
    out = tmp_path_factory.mktemp("store")
    sources = [DATA / "dumps" / f"qemu-{version}" / f"{target}.json.xz" for version in VERSIONS for target in TARGETS]
    command = ["bulk", *map(str, sources), "-o", str(out), "--format", "parquet", "--executor", "threads"]
    assert main(command) == 0
    return out


@pytest.fixture(scope="module")
def dumps() -> dict[tuple[str, str], dict[str, Any]]:
    """The same dumps as JSON, by version and target, without the machine."""
    read = {}
    for version in VERSIONS:
        for target in TARGETS:
            dump = json.loads(read_real_dump(version, target))
            del dump["vmschkmachine"]
            read[version, target] = dump
    return read


def ask(capsys: pytest.CaptureFixture[str], *args: object) -> list[dict[str, Any]]:
    """Return the command's JSON output."""
    capsys.readouterr()
    assert main(["query", *map(str, args), "--format", "json"]) == 0
    answer: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return answer


# Walking a dump's JSON ---------------------------------------------------------------------------------------------


def fields_of(description: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Return all fields with their paths."""
    found = []
    for field in description.get("Fields", ()):
        below = f"{path}{field['field']}"
        found.append((below, field))
        if "Description" in field:
            found += fields_of(field["Description"], f"{below}.")
    for subsection in description.get("Subsections", ()):
        found += fields_of(subsection, f"{path}{subsection['name']}.")
    return found


def subsections_of(description: dict[str, Any]) -> int:
    """Count the subsections at any depth."""
    count = sum(1 + subsections_of(each) for each in description.get("Subsections", ()))
    nested = (field["Description"] for field in description.get("Fields", ()) if "Description" in field)
    return count + sum(map(subsections_of, nested))


def nested_of(description: dict[str, Any]) -> int:
    """Count the descriptions of struct fields at any depth."""
    inner = [field["Description"] for field in description.get("Fields", ()) if "Description" in field]
    return len(inner) + sum(map(nested_of, [*inner, *description.get("Subsections", ())]))


def test_rows(store: Path, dumps: dict[tuple[str, str], dict[str, Any]]) -> None:
    """There is exactly one row for each device, description, field and subsection of every dump."""
    answer = query(store, "SELECT producer, target, kind, count(*) FROM rows GROUP BY ALL")
    expected = {}
    for (version, target), dump in dumps.items():
        tops = [device["Description"] for device in dump.values()]
        expected[version, target, "device"] = len(tops)
        expected[version, target, "description"] = len(tops) + sum(map(nested_of, tops))
        expected[version, target, "field"] = sum(len(fields_of(top)) for top in tops)
        expected[version, target, "subsection"] = sum(map(subsections_of, tops))
    assert {row[:3]: row[3] for row in answer.rows} == expected


def test_fields(store: Path, dumps: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Field rows have the values and order of the dump; num is null where the dump lacks it."""
    answer = query(
        store,
        "SELECT path, name, version_id, size, num, field_exists FROM fields "
        "WHERE producer = '10.0.13' AND target = 'x86_64' AND type = 'e1000e'",
    )
    expected = [
        (path, field["field"], field["version_id"], field["size"], field.get("num") or None, field["field_exists"])
        for path, field in fields_of(dumps["10.0.13", "x86_64"]["e1000e"]["Description"])
    ]
    assert answer.rows == expected


# The named questions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["e1000e", "isa-serial", "spapr-nvram", "no-such-device"])
def test_which_versions_have_a_device(
    device: str, store: Path, dumps: dict[tuple[str, str], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer has each version with the device, its targets, and the description's version."""
    expected: dict[Any, list[str]] = {}
    for (version, target), dump in dumps.items():
        if device in dump:
            facts = (version, dump[device]["version_id"], dump[device]["minimum_version_id"])
            expected.setdefault(facts, []).append(target)
    rows = ask(capsys, "device", store, "--with", f"device={device}")
    found = {(row["producer"], row["version_id"], row["minimum_version_id"]): row["targets"] for row in rows}
    assert found == {facts: sorted(targets) for facts, targets in expected.items()}
    assert [row["producer"] for row in rows] == [version for version in VERSIONS if version in {f[0] for f in expected}]


@pytest.mark.parametrize(
    ("field", "device"),
    [("timadj", "e1000e"), ("itr_intr_pending", "*"), ("parent_obj", "e1000*"), ("*", "e1000e"), ("config", "*")],
)
def test_where_a_field_changed(
    field: str,
    device: str,
    store: Path,
    dumps: dict[tuple[str, str], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The answer has every type and path whose field differs from the previous version, for all targets."""
    from fnmatch import fnmatchcase

    expected: dict[tuple[str, str, str], list[str]] = {}
    for target in TARGETS:
        old, new = dumps["7.2.22", target], dumps["10.0.13", target]
        for name in set(old) & set(new):
            if not fnmatchcase(name, device):
                continue
            sides = []
            for dump in (old, new):
                facts: dict[str, list[dict[str, Any]]] = {}
                for path, each in fields_of(dump[name]["Description"]):
                    if fnmatchcase(path, field) or fnmatchcase(path, f"*.{field}"):
                        facts.setdefault(path, []).append(each)
                sides.append(facts)
            for path in {**sides[0], **sides[1]}:
                change = describe_change(sides[0].get(path), sides[1].get(path))
                if change:
                    expected.setdefault((name, path, change), []).append(target)
    rows = ask(capsys, "field", store, "--with", f"field={field}", "--with", f"device={device}")
    assert {(row["device"], row["path"], row["change"]): row["targets"] for row in rows} == {
        facts: sorted(targets) for facts, targets in expected.items()
    }
    assert {(row["source"], row["destination"]) for row in rows} <= {("7.2.22", "10.0.13")}
    assert rows or field in ("config",)


def describe_change(old: list[dict[str, Any]] | None, new: list[dict[str, Any]] | None) -> str:
    """Format a change as the answer does. 7.2 does not print num. Of fields with equal paths the smallest tuple counts
    here.
    """
    if old is None or new is None:
        return "added" if old is None else "removed"
    words = []
    for key in ("size", "version_id"):
        before, after = (min(each[key] for each in side) for side in (old, new))
        words += [f"{key} {before} -> {after}"] if before != after else []
    exist = [any(each["field_exists"] for each in side) for side in (old, new)]
    if exist[0] != exist[1]:
        words.append(f"field_exists {exist[0]} -> {exist[1]}".lower())
    if len(old) != len(new):
        words.append(f"number of such fields {len(old)} -> {len(new)}")
    return ", ".join(words)


def test_timadj(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Known case: e1000e sends timadj since 8.1 (QEMU commit 82342e91b60a)."""
    rows = ask(capsys, "field", store, "--with", "field=timadj")
    assert [(row["device"], row["path"], row["change"]) for row in rows] == [("e1000e", "core.timadj", "added")]


def test_which_descriptions_have_no_owner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer has an extended dump's standalone descriptions, with their use."""
    dump = json.loads(read_real_dump("10.0.13", "avr"))
    cpu = {"name": "cpu", "version_id": 1, "minimum_version_id": 1, "Fields": []}
    lost = {"name": "lost", "version_id": 2, "minimum_version_id": 1, "Fields": []}
    dump["vmschkmachine"] |= {
        "producer": {"version": "QEMU emulator version 10.0.13 (Debian 1:10.0.13)", "build_id": "abcd"},
        "Descriptions": [
            {"uses": ["legacy_vmsd"], "types": ["avr5-avr-cpu"], "symbol": "vms_avr_cpu", "Description": cpu},
            {"uses": [], "types": [], "Description": lost},
        ],
    }
    (tmp_path / "qemu-system-avr.json").write_text(json.dumps(dump, indent=2) + "\n")
    out = tmp_path / "out"
    command = ["bulk", str(tmp_path / "qemu-system-avr.json"), "-o", str(out), "--format", "parquet"]
    assert main([*command, "--executor", "threads"]) == 0
    label = "10.0.13-Debian_1_10.0.13"
    assert ask(capsys, "unowned", out) == [
        {"description": "cpu", "producer": label, "symbol": "vms_avr_cpu", "uses": ["legacy_vmsd"], "targets": ["avr"]},
        {"description": "lost", "producer": label, "symbol": None, "uses": [], "targets": ["avr"]},
    ]


def test_which_types_cannot_migrate(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer has the types with stored verdict breaks or absent, by producer or version."""
    question = ["blocked", store, "--with", "from=7.2.22", "--with", "to=10.0.13"]
    assert ask(capsys, *question) == []
    finding = Finding("version-raised", Verdict.BREAKS, "7.2.22 -> 10.0.13", "esp", "esp / esp", "it is refused")
    check = CheckResult(
        [Dump(version, Producer("file"), "none") for version in VERSIONS],
        {
            "7.2.22 -> 10.0.13": [
                TypeResult("esp", Verdict.BREAKS, "esp", [finding], []),
                TypeResult("e1000", Verdict.SAFE, "e1000", [], []),
                TypeResult("gone", Verdict.ABSENT, "gone", [], []),
            ],
            "10.0.13 -> 7.2.22": [TypeResult("e1000", Verdict.BREAKS, "e1000", [finding], [])],
        },
        directions={"7.2.22 -> 10.0.13": Direction(0, 1), "10.0.13 -> 7.2.22": Direction(1, 0)},
    )
    write_verdicts(store, "m68k", [check])
    assert [(row["type"], row["verdict"], row["message"]) for row in ask(capsys, *question)] == [
        ("esp", "breaks", "it is refused"),
        ("gone", "absent", None),
    ]
    assert ask(capsys, *question, "--with", "target=x86_64") == []
    (store / "verdicts" / "m68k.jsonl").unlink()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[1]\n", "a line is not an array of 10 columns"),
        (b'"ten chars!"\n', "a line is not an array of 10 columns"),
        (b"[[],1,2,3,4,5,6,7,8,9]\n", "a column is neither a string nor null"),
        (b'["\\ud800",null,null,null,null,null,null,null,null,null]\n', "surrogates not allowed"),
        (b"[" * 100_000, "maximum recursion depth"),
        (b'["\xff"]\n', "can't decode byte 0xff"),
        (None, "not a regular file"),
    ],
)  # fmt: skip
def test_damaged_verdicts(content: bytes | None, reason: str, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged verdicts file is skipped and reported; a query that needs verdicts then exits with 3."""
    path = store / "verdicts" / "avr.jsonl"
    path.parent.mkdir(exist_ok=True)
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    queries = [
        ("SELECT count(*) + 2 FROM Verdicts", 3),
        ("SELECT count(DISTINCT producer) FROM rows", 0),
        ("SELECT count(*) + 2 FROM (SELECT * FROM verdicts WHERE type = $x)", 3),
        ("SELECT length('verdicts') - 6", 0),
    ]
    try:
        for sql, code in queries if content is None else queries[:1]:
            capsys.readouterr()
            parameters = ["--with", "x=y"] if "$x" in sql else []
            assert main(["query", sql, str(store), "--format", "csv", *parameters]) == code
            out, err = capsys.readouterr()
            assert out.splitlines()[1] == "2"
            assert re.match(
                rf"vmdump: skipped unreadable verdicts: {path}: .*{reason}.*; vmdump check --matrix .*\n$", err
            )
    finally:
        path.unlink()


#: A query that executes for minutes, and one whose rows take minutes to fetch.
ENDLESS = (
    "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE (a.range * b.range) % 7 = 3",
    "SELECT a.range, 'x' || a.range FROM range(10000000000) a",
)


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        (ENDLESS[0], signal.SIGINT),
        (ENDLESS[0], signal.SIGTERM),
        (ENDLESS[0], signal.SIGHUP),
        (ENDLESS[1], signal.SIGINT),
    ],
    ids=["engine-INT", "engine-TERM", "engine-HUP", "rows-INT"],
)
def test_interrupted(sql: str, number: signal.Signals, store: Path) -> None:
    """SIGINT, SIGTERM and SIGHUP end any query at once."""
    command = [sys.executable, "-m", "vmdump", "query", sql, store]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while len(os.listdir(f"/proc/{process.pid}/task")) < 3:
            time.sleep(0.02)  # until DuckDB has started its threads
        time.sleep(0.2)
        process.send_signal(number)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, b"vmdump: interrupted\n")


# The command ------------------------------------------------------------------------------------------------------


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """The list has all questions with their parameters."""
    assert main(["query", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith(" ")] == [
        "device", "field", "unowned", "blocked",
    ]  # fmt: skip
    assert "  --with device=...  QOM type, or section as in an error line, with * for any text" in lines


def test_forms(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Table, CSV and JSON agree on one answer, including lists, nulls, quotes and control characters."""
    sql = "SELECT 1 AS n, 1 AS n, ['a', 'b'] AS l, NULL AS x, 'q\"\x1b,\n' AS t, true AS b"
    assert main(["query", sql, str(store)]) == 0
    assert capsys.readouterr().out == 'N  N_2  L    X  T            B\n1    1  a b  -  q"\\x1b,\\x0a  true\n'
    assert main(["query", sql, str(store), "--format", "csv"]) == 0
    text = capsys.readouterr().out
    assert list(csv.reader(io.StringIO(text))) == [
        ["n", "n", "l", "x", "t", "b"], ["1", "1", "a b", "", 'q"\x1b,\n', "true"],
    ]  # fmt: skip
    assert ask(capsys, sql, store) == [{"n": 1, "l": ["a", "b"], "x": None, "t": 'q"\x1b,\n', "b": True}]
    assert main(["query", "SELECT type FROM devices WHERE false", str(store)]) == 0
    assert capsys.readouterr().out == "TYPE\n"


def test_parameters(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters are bound as values, never as SQL text."""
    evil = "x'; DROP VIEW rows; --"
    assert ask(capsys, "SELECT $a AS a", store, "--with", f"a={evil}") == [{"a": evil}]


@pytest.mark.parametrize(
    ("args", "words", "code"),
    [
        (["nonsense", "{}"], "no query 'nonsense'; vmdump query --list lists the names", 2),
        (["device", "{}"], "device needs --with device=VALUE: QOM type", 2),
        (["device", "{}", "--with", "x=1"], "device has no parameter 'x'; choose from device", 2),
        (["device"], "SQL or the name of a query, and DIR, are required", 2),
        (["device", "{}", "--with", "x"], "'x' is not NAME=VALUE", 2),
        (["SELECT $a", "{}"], "query: the SQL needs --with a=VALUE", 3),
        (["SELECT 1", "{}", "--with", "a=1"], "query: the SQL has no $a", 3),
        (["SELECT x FROM rows", "{}"], 'query: Binder Error: Referenced column "x" not found', 3),
        (["SELECT 1; SELECT 2", "{}"], "query: 2 SQL statements; use a single SELECT", 3),
        (["SELECT 1", "/nonexistent"], "/nonexistent: no rows to query; vmdump bulk --format parquet", 3),
    ],
)
def test_mistakes(args: list[str], words: str, code: int, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each user error is one line with a remedy."""
    assert main(["query", *(arg.format(store) for arg in args)]) == code
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{out}/x.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}/x.csv'",
        "COPY rows TO '{rows}'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{rows}'",
        "EXPORT DATABASE '{out}/x'",
        "ATTACH '{out}/x.db'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('{store}/manifest.json')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('{out}/other.parquet')",
        "CREATE TABLE t (x INTEGER)",
        "INSERT INTO verdicts (target) VALUES ('x')",
        "WITH x AS (SELECT 1) DELETE FROM verdicts",
        "DROP VIEW rows",
        "SET enable_external_access = true",
        "RESET allowed_paths",
        "PRAGMA enable_external_access = true",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CALL pragma_version()",
        "",
        "\0",
    ],
)
def test_sql_reads_the_rows_alone(sql: str, store: Path, tmp_path: Path) -> None:
    """SQL can write nothing, and read nothing but the rows."""
    (rows, *_) = sorted(store.rglob("rows.parquet"))
    (tmp_path / "other.parquet").write_bytes(rows.read_bytes())
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    with pytest.raises(VmdumpError, match=r"^query: "):
        query(store, sql.format(out=tmp_path, rows=rows, store=store))
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["other.parquet"]


def test_folder_of_any_name(store: Path, tmp_path: Path) -> None:
    """Quotes and glob patterns in the directory's name have no effect."""
    import shutil

    folder = tmp_path / "it's [a] *fo?lder*"
    shutil.copytree(store, folder)
    shutil.copytree(store, tmp_path / "it's a fooder")
    sql = "SELECT count(*) FROM rows"
    assert query(folder, sql) == query(store, sql)


def test_damaged_rows(store: Path, tmp_path: Path) -> None:
    """Damaged Parquet files are reported with the directory."""
    import shutil

    folder = tmp_path / "store"
    shutil.copytree(store, folder)
    (path, *_) = sorted(folder.rglob("rows.parquet"))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(VmdumpError):
        query(folder, "SELECT sum(size) FROM rows")
