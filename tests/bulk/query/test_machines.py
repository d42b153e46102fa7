"""Machine types in an output directory: what is stored, and the named queries about properties."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.bulk import bulk
from support.commands import run_failing
from support.descriptions import desc, dump, field
from support.qemu import find_qemu

from vmdump.bulk.process_pool import MEMORY, MEMORY_WITH_MACHINES
from vmdump.bulk.query import machines
from vmdump.bulk.query.database import producers, query
from vmdump.bulk.query.machines import to_parquet
from vmdump.bulk.query.named import QUESTIONS
from vmdump.bulk.query.stored_machines import stored_machine_rows
from vmdump.cli import main
from vmdump.emulator import machine as emulated
from vmdump.errors import SourceError

VERSIONS = ("7.2.0", "10.0.0")


def rows(streams: bool, *more: tuple[str, str, str, Any]) -> list[dict[str, Any]]:
    """Rows of a machine type with a controller, and with further properties: machine, type, name and value."""
    found: list[dict[str, Any]] = [
        {"kind": "machine", "machine": "pc", "is_default": True},
        {"kind": "compat", "machine": "pc", "position": 0, "type": "xhci", "name": "msi", "value": "off"},
        {"kind": "section", "machine": "pc", "position": 0, "name": "xhci", "version_id": 1, "instance_id": 0},
        {"kind": "ram_block", "machine": "pc", "position": 0, "name": "pc.ram", "size": 1 << 40},
    ]
    for machine, type_, name, value in (("pc", "xhci", "streams", streams), *more):
        row = {"kind": "property", "machine": machine, "type": type_, "name": name, "value": json.dumps(value)}
        found.append({**row, "path": "/machine/xhci" if machine == "pc" else None})
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output directory with two QEMUs, whose machine types are given."""
    directory = tmp_path_factory.mktemp("machines")
    for version in VERSIONS:
        path = directory / f"qemu-{version}"
        path.mkdir()
        dump(dev=desc("dev", field("a"))).write(path / "x86_64.json")
    assert (
        bulk(*(directory / f"qemu-{version}" for version in VERSIONS), "-o", directory / "out", "--format", "parquet")
        == 0
    )
    contents = (
        rows(False, ("pc", "nic", "same", 1), ("old", "nic", "switch", "off")),
        rows(True, ("pc", "nic", "same", 1), ("old", "nic", "switch", "on"), ("pc", "nic", "new", [1])),
    )
    for version, content in zip(VERSIONS, contents, strict=True):
        (path,) = (directory / "out" / "rows").glob(f"producer={version}/target=*")
        (path / "machines.parquet").write_bytes(to_parquet(content, version))
    return directory / "out"


def ask(store: Path, name: str, **parameters: str) -> list[dict[str, Any]]:
    """The rows of a named query."""
    question = QUESTIONS[name]
    values = {key: default for key, (_, default) in question.parameters.items() if default is not None}
    answer = query(store, question.sql, values | parameters)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def test_property(store: Path) -> None:
    """Each change names the two QEMUs and both values; an unchanged property is not listed."""
    found = ask(store, "property", property="*", device="*")
    assert [(row["device"], row["property"], row["machine"], row["before"], row["after"]) for row in found] == [
        ("nic", "new", "pc", None, "[1]"),
        ("nic", "switch", "old", '"off"', '"on"'),
        ("xhci", "streams", "pc", "false", "true"),
    ]
    assert {(row["source"], row["destination"]) for row in found} == {VERSIONS}
    assert [row["realized"] for row in found] == [True, False, True]
    assert ask(store, "property", property="streams", device="nic") == []


def test_off(store: Path) -> None:
    """Machine types in which a switch is off, also as an OnOffAuto."""
    found = ask(store, "off", property="s*")
    assert [(row["producer"], row["machine"], row["property"]) for row in found] == [
        ("7.2.0", "old", "switch"), ("7.2.0", "pc", "streams")
    ]  # fmt: skip
    assert ask(store, "off", property="streams", machine="old") == []


def test_views(store: Path) -> None:
    """Each kind of row has a view."""
    for sql, expected in (
        ("SELECT DISTINCT driver, property, value FROM compat_props", [("xhci", "msi", "off")]),
        ("SELECT DISTINCT idstr, version_id FROM sections", [("xhci", 1)]),
        ("SELECT DISTINCT name, size FROM ram_blocks", [("pc.ram", 1 << 40)]),
        ("SELECT DISTINCT machine, is_default, error FROM machine_types", [("pc", True, None)]),
    ):
        assert query(store, sql).rows == expected


def test_no_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without machine types the views are empty, and named queries of them are refused."""
    dump(dev=desc("dev", field("a"))).write(tmp_path / "x86_64.json")
    assert bulk(tmp_path / "x86_64.json", "-o", tmp_path / "out", "--format", "parquet") == 0
    assert query(tmp_path / "out", "SELECT * FROM properties").rows == []
    for name in ("off", "property"):  # an empty table would read as "none"
        capsys.readouterr()
        assert main(["query", name, str(tmp_path / "out"), "--with", "property=*", "--with", "device=*"]) == 3
        assert capsys.readouterr() == (
            "",
            f"vmdump: {tmp_path}/out: no machine types to query; vmdump bulk --boot GLOB stores them\n",
        )


def test_format(capsys: pytest.CaptureFixture[str]) -> None:
    """Only Parquet has a place for machine types."""
    assert main(["bulk", "x", "-o", "y", "--boot", "all"]) == 2
    assert capsys.readouterr().err == "vmdump: --boot needs --format parquet\n"


@pytest.mark.qemu
def test_boot_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pattern that matches no machine type is an error with a suggestion."""
    qemu = find_qemu("x86_64")
    assert bulk(qemu, "-o", tmp_path / "out", "--format", "parquet", "--boot", "isapx") == 3
    expected = f"vmdump: {qemu}: no machine type matches 'isapx'; did you mean isapc?"
    assert expected in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("machine", "kind"), ("machine", "machine"), ("compat", "type"), ("compat", "name"), ("section", "name"),
        ("section", "version_id"), ("ram_block", "name"), ("ram_block", "size"),
    ],
)  # fmt: skip
def test_missing_values(store: Path, tmp_path: Path, kind: str, name: str) -> None:
    """A file of machine types in which a value is missing is refused."""
    shutil.copytree(store, tmp_path / "out")
    path = next((tmp_path / "out").rglob("machines.parquet"))
    changed = [{**row, name: None} if row["kind"] == kind else row for row in rows(False)]
    path.write_bytes(to_parquet(changed, VERSIONS[0]))
    error = run_failing(3, "check", "--matrix", tmp_path / "out", "--format", "html", "-o", tmp_path / "pages")
    assert error.startswith(f"vmdump: {path}: a row of kind ")
    assert f" without {name}; remove rows/ and run vmdump bulk again" in error
    assert not (tmp_path / "pages").exists()


def test_stored_rows(store: Path) -> None:
    """All rows but properties are read back, null where they have no value."""
    (before, _) = producers(store)
    read = stored_machine_rows(store, before)
    assert read is not None
    known = [{name: value for name, value in row.items() if value is not None} for row in read]
    assert known == [row for row in rows(False) if row["kind"] != "property"]


@pytest.mark.qemu
def test_boot_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A binary of which no machine starts, such as Xen's, has its dump, and the reason is printed."""

    def refuse(*args: object) -> bytes:
        raise SourceError("No accelerator")

    monkeypatch.setattr(machines, "read_machines", refuse)
    qemu = find_qemu("x86_64")
    assert bulk(qemu, "-o", tmp_path / "out", "--format", "parquet", "--boot", "isapc") == 0
    assert f"vmdump: {qemu}: without machine types: No accelerator" in capsys.readouterr().err.splitlines()
    assert query(tmp_path / "out", "SELECT count(*) > 100 FROM devices").rows == [(True,)]


def test_boot_memory() -> None:
    """A worker that boots machines may reserve the address space of two, as one may follow another."""
    assert MEMORY_WITH_MACHINES >= MEMORY + 2 * emulated.MEMORY


@pytest.mark.slow
@pytest.mark.qemu
def test_boot(tmp_path: Path) -> None:
    """A real QEMU's machine type is booted and stored; a second run finds it unchanged."""
    arguments = (
        find_qemu("x86_64"),
        "-o",
        tmp_path / "out",
        "--format",
        "parquet",
        "--boot",
        "isapc",
        "--timeout",
        600,
    )
    assert bulk(*arguments, executor="processes") == 0  # whose address space is limited
    answer = query(tmp_path / "out", "SELECT machine, count(*) FROM properties GROUP BY ALL")
    ((machine, count),) = answer.rows
    assert machine == "isapc"
    assert count > 1000
    (path,) = (tmp_path / "out" / "rows").rglob("machines.parquet")
    before = path.stat().st_mtime_ns
    assert bulk(*arguments) == 0
    assert path.stat().st_mtime_ns == before
