"""The pages of file formats name the keys and columns that the files have."""

import json
import re
from importlib.resources import files
from typing import Any

import pytest
from support.paths import ROOT

from vmdump.bulk.manifest import new_entry
from vmdump.check.config import PATTERNS

FORMATS = ROOT / "docs" / "reference" / "formats"


def tables(name: str) -> list[list[list[str]]]:
    """The tables of a page: rows of cells, without the head."""
    found = re.findall(r"^\|[-:| ]+\|\n((?:\|.*\n)+)", (FORMATS / f"{name}.md").read_text(), re.MULTILINE)
    return [[[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()] for table in found]


def keys(table: list[list[str]], column: int = 0) -> list[str]:
    """The names in backquotes of a column."""
    return [name for row in table for name in re.findall(r"`([^`]+)`", row[column])]


def schema(package: str, name: str) -> Any:
    """A JSON schema of the package."""
    return json.loads(files(package).joinpath(name).read_text())


def test_parquet() -> None:
    """Both tables of columns have the names, order and types of the files."""
    pytest.importorskip("pyarrow")
    from vmdump.bulk.query import machines, parquet

    for table, columns in zip(tables("parquet"), (parquet.SCHEMA, machines.SCHEMA), strict=True):
        types = {"list<item: string>": "list of string", "list<element: string>": "list of string"}
        expected = [(each.name, types.get(str(each.type), str(each.type))) for each in columns]
        assert [(row[0].strip("`"), row[1]) for row in table] == expected


def test_manifest() -> None:
    """The keys of the manifest and of its entries."""
    top, entry = tables("manifest")
    assert keys(top) == ["vmdump_manifest", "sources", "errors", "entries"]
    assert sorted(keys(entry)) == sorted(new_entry("source", "key", 1))


def test_configuration() -> None:
    """The keys of vmdump.toml."""
    top, entry = tables("vmdump-toml")
    assert keys(top)[:1] == ["fail-on"]
    assert {"select", "ignore"} <= set(keys(top))
    assert sorted(keys(entry)) == sorted([*PATTERNS, "reason", "expires"])


def test_check_json() -> None:
    """The keys of the report are those of its schema."""
    (table,) = tables("check-json")
    assert [row[0].strip("`") for row in table] == schema("vmdump.report", "check.schema.json")["required"]


def test_extended() -> None:
    """The further keys of an extended dump are those that the schema has beside QEMU's."""
    definitions = schema("vmdump.dump", "extended.schema.json")["$defs"]
    own, extended = tables("dump")
    qemu = {*keys(own), "field", "Fields", "Subsections"}
    for row, kind in zip(
        extended, ("machine", "producer", "standalone", "device", "description", "field"), strict=True
    ):
        further = set(definitions[kind]["properties"]) - (set() if kind in ("producer", "standalone") else qemu)
        further |= {"Descriptions"} if kind == "machine" else set()
        assert set(keys([row], 1)) == further, kind
