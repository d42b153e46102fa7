"""extended.schema.json: what it says of the extended form is true of extended dumps."""

import copy
import json
import lzma
from importlib.resources import files
from typing import Any

import pytest
from support.paths import DATA

import vmdump
from vmdump.vmstate.model import VMStateFlags

jsonschema = pytest.importorskip("jsonschema")

SCHEMA = json.loads(files("vmdump.dump").joinpath("extended.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

#: Dumps whose validation takes longer than a second.
LARGE = ("qemu-7.2.22-aarch64", "qemu-7.2.22-x86_64", "qemu-10.0.13-aarch64")
DUMPS = [path.name.removesuffix(".json.xz") for path in sorted((DATA / "extended").glob("*.json.xz"))]


def load(name: str) -> Any:
    """The content of a dump in tests/data."""
    return json.loads(lzma.decompress((DATA / f"{name}.json.xz").read_bytes()))


def test_schema_is_valid() -> None:
    """The schema is one of draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LARGE)) for n in DUMPS])
def test_dumps_of_binaries(name: str) -> None:
    """Extended dumps of QEMU's binaries are valid."""
    VALIDATOR.validate(load(f"extended/{name}"))


def test_plain_dump() -> None:
    """A dump that QEMU wrote is valid too: none of its keys have another meaning."""
    VALIDATOR.validate(load("dumps/qemu-10.0.13/m68k"))


def test_devices_in_python(tmp_path: Any) -> None:
    """The extended dump of the built-in devices is valid."""
    vmdump.open().write(tmp_path / "dump.json", extended=True, standalone=True)
    VALIDATOR.validate(json.loads((tmp_path / "dump.json").read_text()))


def test_flags() -> None:
    """The schema names the flags that the model has."""
    (words, _) = SCHEMA["$defs"]["field"]["properties"]["flags"]["items"]["anyOf"]
    assert set(words["enum"]) == {flag.name for flag in VMStateFlags} - {"END"}


def broken() -> list[tuple[str, Any]]:
    """Changes that make a dump invalid."""

    def change(what: str, path: tuple[Any, ...], value: Any) -> tuple[str, Any]:
        content = copy.deepcopy(SAMPLE)
        place = content
        for key in path[:-1]:
            place = place[key]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        return what, content

    field = ("rtc", "Description", "Fields", 0)
    return [
        change("no machine", ("vmschkmachine",), None),
        change("an unknown key", ("rtc", "symbol"), "x"),
        change("a field without flags in a description with metadata", (*field, "flags"), None),
        change("metadata of fields alone", ("rtc", "Description", "needed"), None),
        change("an unknown flag", (*field, "flags"), ["SIGNLE"]),
        change("a negative size", (*field, "size"), -1),
        change("a version of more than 32 bits", (*field, "version_id"), 1 << 31),
        change("parents without abstract", ("rtc", "abstract"), None),
    ]


SAMPLE = {
    "vmschkmachine": {"Name": "none"},
    "rtc": {
        "Name": "rtc", "version_id": 1, "minimum_version_id": 1, "abstract": False, "parents": ["device"],
        "Description": {
            "name": "rtc", "version_id": 1, "minimum_version_id": 1, "needed": False,
            "Fields": [
                {"field": "a", "version_id": 0, "field_exists": False, "size": 4, "info": "uint32", "flags": ["SINGLE"]}
            ],
        },
    },
}  # fmt: skip


@pytest.mark.parametrize(("what", "content"), broken(), ids=[what for what, _ in broken()])
def test_invalid(what: str, content: Any) -> None:
    """A dump with one defect is invalid, and without it is valid."""
    VALIDATOR.validate(SAMPLE)
    assert not VALIDATOR.is_valid(content), what
