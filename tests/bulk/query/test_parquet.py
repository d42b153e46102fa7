"""The rows of a dump as Parquet, against a walk over the same dump's extended JSON."""

import io
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.descriptions import desc, field, struct
from support.paths import DATA

from vmdump._core import ffi, lib
from vmdump.bulk.query import parquet
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.lowering import lower
from vmdump.dump.producer import Producer
from vmdump.dump.tree import parse
from vmdump.errors import SourceError
from vmdump.vmstate.model import VMStateFlags

FILES = [
    *(DATA / "dumps" / f"qemu-{version}" / f"{target}.json.xz"
      for version, target in [("7.2.22", "m68k"), ("10.0.13", "s390x"), ("10.0.13", "x86_64")]),
    *sorted((DATA / "extended").glob("*.json.xz")),
]  # fmt: skip

Row = dict[str, Any]


def read(path: Path) -> DeviceDump:
    """The dump in a file."""
    return DeviceDump(parse(lzma.decompress(path.read_bytes())), Producer("file", version="9.1", host="x86_64"))


def rows_of(dump: DeviceDump) -> list[Row]:
    """The rows that vmdump writes."""
    from pyarrow import parquet as reader

    table = reader.read_table(io.BytesIO(parquet.to_parquet(dump, [dump.machine, "other"])))
    assert table.schema == parquet.SCHEMA
    rows: list[Row] = table.to_pylist()
    return rows


# Rows from JSON ----------------------------------------------------------------------------------------------------


def expected(dump: DeviceDump) -> Iterator[Row]:
    """The rows, by a walk over the extended JSON."""
    read = json.loads(dump.to_bytes(extended=True))
    machine = read.pop("vmschkmachine")
    common = {"machine": dump.machine, "machines": [dump.machine, "other"], "version": "9.1", "host": "x86_64"}
    empty = dict.fromkeys(parquet.SCHEMA.names) | common
    for type_, device in read.items():
        vmsd = device.get("Description")
        place = empty | {"type": type_, "section": vmsd and vmsd["name"], "path": ""}
        yield place | versions(device) | {
            "kind": "device", "name": type_, "description": vmsd and vmsd["name"], "parents": device.get("parents"),
            "abstract": device.get("abstract"), "module": device.get("module"),
        }  # fmt: skip
        if vmsd:
            yield place | description_row("description", vmsd)
            yield from rows_below(place, vmsd, "")
    for root in machine.get("Descriptions", ()):
        vmsd = root["Description"]
        place = empty | {"section": vmsd["name"], "path": ""}
        of_root = {"uses": root["uses"], "types": root.get("types", []), "symbol": root.get("symbol")}
        yield place | description_row("description", vmsd) | of_root
        yield from rows_below(place, vmsd, "")


def versions(part: Row) -> Row:
    """The columns of a device or description."""
    return {name: part[name] for name in ("version_id", "minimum_version_id")}


def description_row(kind: str, vmsd: Row) -> Row:
    """The columns of a description."""
    row = {"kind": kind, "name": vmsd["name"], "description": vmsd["name"]} | versions(vmsd)
    if "needed" in vmsd:
        row |= {name: vmsd.get(name, 0) for name in ("unmigratable", "needed", "priority")}
    return row


def rows_below(place: Row, vmsd: Row, prefix: str) -> Iterator[Row]:
    """The rows of fields and subsections."""
    fields = list(vmsd.get("Fields", ()))
    for assertion in vmsd.get("Validations", ()):
        fields.insert(assertion["position"], assertion)
    for each in fields:
        at = place | {"path": prefix + each["field"]}
        row = {"kind": "field", "name": each["field"], "description": vmsd["name"], "size": each["size"],
               "version_id": each["version_id"], "field_exists": each["field_exists"], "num": each.get("num"),
               }  # fmt: skip
        if "flags" in each:
            flags = sum(int(word, 0) if word.startswith("0x") else VMStateFlags[word] for word in each["flags"])
            row |= {"flags": flags, "flag_names": VMStateFlags(flags).name or "", "num": each.get("num", 0),
                    "info": each.get("info"), "offset": each.get("offset"),
                    "struct_version_id": each.get("struct_version_id", 0)}  # fmt: skip
        yield at | row
        if "Description" in each:
            yield at | description_row("description", each["Description"])
            yield from rows_below(place, each["Description"], f"{at['path']}.")
    for subsection in vmsd.get("Subsections", ()):
        path = prefix + subsection["name"]
        yield place | {"path": path} | description_row("subsection", subsection)
        yield from rows_below(place, subsection, f"{path}.")


# Tests -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".json.xz"))
def test_rows_are_those_of_the_extended_json(path: Path) -> None:
    """All columns of all rows, with and without metadata."""
    dump = read(path)
    rows, wanted = rows_of(dump), list(expected(dump))
    assert len(rows) == len(wanted)
    for row, want in zip(rows, wanted, strict=True):
        want["qemu_version"] = row["qemu_version"]
        assert row == want


def test_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are the same in row groups of any size."""
    dump = read(FILES[-1])
    wanted = rows_of(dump)
    for size in (1000, 997):
        monkeypatch.setattr(parquet, "_CHUNK", size)
        assert rows_of(dump) == wanted


def test_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is exact, and an error names a remedy."""
    dump = read(FILES[0])
    count = len(rows_of(dump))
    monkeypatch.setattr(parquet, "MAX_ROWS", count)
    assert len(rows_of(dump)) == count
    monkeypatch.setattr(parquet, "MAX_ROWS", count - 1)
    with pytest.raises(SourceError, match=f"more than {count - 1} rows: .*; use --format json"):
        rows_of(dump)


def test_descriptions_that_double_at_each_level() -> None:
    """The rows of a small dump can be more than any disk holds: they are not walked to be counted."""
    vmsd = desc("leaf", field("x"))
    for level in range(60):
        vmsd = desc(f"level{level}", struct("a", vmsd), struct("b", vmsd))
    with pytest.raises(SourceError, match="more than 20000000 rows"):
        rows_of(DeviceDump(lower("none", [("d", vmsd)]), Producer("file")))


def test_text_that_is_not_utf8() -> None:
    """It is escaped, and equal to the same text in that form."""
    values = [b"\xff", b"plain", b"\\xff"]
    text, offsets = ffi.new("char[]", b"".join(values)), ffi.new("int32_t[]", [0, 1, 6, 10])
    codes, valid = ffi.new("int32_t[]", [2, 0, 0, 1]), ffi.new("char[]", b"\x0b")
    rows = ffi.new("struct vmd_rows *", {"n_all": 4, "n": 4})
    rows.texts[lib.VMD_ROWS_INFO] = {"text": text, "offsets": offsets, "n": 3}
    rows.codes[lib.VMD_ROWS_INFO] = {"values": ffi.cast("char *", codes), "valid": valid, "n_valid": 3}
    assert parquet._texts(rows, lib.VMD_ROWS_INFO).to_pylist() == ["\\xff", "\\xff", None, "plain"]
