"""The parser: accepts exactly QEMU's format, reports the place of every error, and crashes on no input."""

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.dumps import read_real_dump
from support.examples import EXAMPLES
from support.reference import DESCRIPTIONS, NAMES, dump

import vmdump
from vmdump.dump import tree as engine
from vmdump.dump.engine import Engine
from vmdump.errors import SourceError
from vmdump.vmstate import VMStateDescription

FIELD = {"field": "f", "version_id": 0, "field_exists": False, "size": 4}
DESC: dict[str, Any] = {"name": "d", "version_id": 1, "minimum_version_id": 1}
DEVICE = {"Name": "t", "version_id": 1, "minimum_version_id": 1, "Description": DESC}
MACHINE = {"vmschkmachine": {"Name": "none"}}


def document(**changes: Any) -> dict[str, Any]:
    """A small dump with a device "t" and these additional members in its description."""
    return {**MACHINE, "t": {**DEVICE, "Description": {**DESC, **changes}}}


def with_field(**changes: Any) -> dict[str, Any]:
    """A small dump with one field, with these members replaced; None removes one."""
    return document(Fields=[{key: value for key, value in {**FIELD, **changes}.items() if value is not None}])


FIELD_PATH = r'\$\["t"\].Description.Fields\[0\]'


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (with_field(size=1.5), rf"at {FIELD_PATH}.size: expected an integer, not a fraction"),
        (with_field(size="4"), rf"at {FIELD_PATH}.size: expected an integer"),
        (with_field(size=-1), rf"at {FIELD_PATH}.size: an integer out of range"),
        (with_field(size=2**64), rf"at {FIELD_PATH}.size: an integer out of range"),
        (with_field(size=10**40), rf"at {FIELD_PATH}.size: an integer out of range"),
        (with_field(num=2**31), rf"at {FIELD_PATH}.num: an integer out of range"),
        (with_field(num=-(2**31) - 1), rf"at {FIELD_PATH}.num: an integer out of range"),
        (with_field(version_id=True), rf"at {FIELD_PATH}.version_id: expected an integer"),
        (with_field(field_exists=1), rf"at {FIELD_PATH}.field_exists: expected true or false"),
        (with_field(field=7), rf"at {FIELD_PATH}.field: expected a string"),
        (with_field(field='a"b'), rf"at {FIELD_PATH}.field: a name contains a quote, a backslash, a control character"),
        (with_field(field="a\nb"), rf"at {FIELD_PATH}.field: a name contains"),
        (with_field(field=None), rf"at {FIELD_PATH}: a field lacks field, version_id, field_exists or size"),
        (with_field(size=None), rf"at {FIELD_PATH}: a field lacks"),
        (with_field(flagged=3), rf"at {FIELD_PATH}: unknown key"),
        (with_field(Description=[]), rf"at {FIELD_PATH}.Description: expected an object"),
        (document(Fields={}), r'at \$\["t"\].Description.Fields: expected a list'),
        (document(Subsections=[DESC, {"name": "x"}]), r"Subsections\[1\]: a description lacks name, version_id"),
        (document(name=None), r'at \$\["t"\].Description.name: expected a string'),
        ({**MACHINE, "t": {**DEVICE, "Name": 7}}, r'at \$\["t"\].Name: expected a string'),
        ({**MACHINE, "t": DESC}, r'at \$\["t"\]: unknown key'),
        ({**MACHINE, "t": {}}, r'at \$\["t"\]: a device lacks Name'),
        ({**MACHINE, "t": []}, r'at \$\["t"\]: expected an object'),
        ({"t": DEVICE}, r"at \$: no vmschkmachine: not a -dump-vmstate file"),
        ({"vmschkmachine": {}}, r'at \$\["vmschkmachine"\]: vmschkmachine lacks Name'),
        ([], r"at \$: expected an object: not a -dump-vmstate file"),
        ("", r"at \$: expected an object"),
    ],
)
def test_wrong_documents(content: Any, error: str) -> None:
    """Each invalid value is refused with its JSON path."""
    with pytest.raises(SourceError, match=error):
        engine.parse(json.dumps(content).encode())


TEXT = json.dumps(with_field(), indent=1)


@pytest.mark.parametrize(
    ("old", "new", "offset", "error"),
    [
        ('"f"', '"\\x"', 1, "invalid escape sequence"),
        ('"f"', '"\\ud800"', 1, "invalid escape sequence"),
        ('"f"', '"\\udc00"', 1, "invalid escape sequence"),
        ('"f"', '"\\u12"', 1, "invalid escape sequence"),
        ('"f"', '"\x01"', 1, "a name contains"),
        ('"f"', '"a\xff"', 2, "invalid UTF-8"),
        ("4", "04", 0, "a leading zero"),
        ('"size": 4', '"size": 4,', 15, "expected a string"),
        ('"size": 4', '"size": 4 5', 10, "expected ',' or '}'"),
        ('"size": 4', '"size" 4', 7, "expected ':'"),
        ('"size": 4', '"size": 4, "size": 4', 11, "duplicate key"),
        ("false", "fals", 0, "expected true or false"),
        (TEXT, TEXT + "x", len(TEXT), "text after the end of the document"),
        (TEXT, "", 0, "unexpected end of file"),
        (TEXT, "\ufeff{}", 0, "expected an object"),
    ],
)
def test_wrong_text(old: str, new: str, offset: int, error: str) -> None:
    """Invalid JSON is refused with line and column, offset characters after the start of the inserted text."""
    text = TEXT.replace(old, new, 1)
    before = text[: TEXT.index(old) + offset]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    data = text.encode("latin-1" if "\xff" in new else "utf-8")
    with pytest.raises(SourceError, match=rf"^file.json:{line}:{column}: at .*{error}"):
        engine.parse(data, "file.json")


def test_truncated_at_every_byte() -> None:
    """A truncated file is refused, wherever it ends."""
    for end in range(len(TEXT.rstrip())):
        with pytest.raises(SourceError, match=r"ends too early|expected|lacks|not a file"):
            engine.parse(TEXT[:end].encode())


def test_duplicates() -> None:
    """A repeated device or machine is refused, as JSON readers disagree on which one counts."""
    t, u = json.dumps(DEVICE), json.dumps({**DEVICE, "Name": "u"})
    with pytest.raises(SourceError, match=r'at \$\["t"\]: duplicate device type; remove one'):
        engine.parse(f'{{"vmschkmachine": {{"Name": "none"}}, "t": {t}, "u": {u}, "t": {t}}}'.encode())
    with pytest.raises(SourceError, match="duplicate vmschkmachine"):
        engine.parse(b'{"vmschkmachine": {"Name": "none"}, "vmschkmachine": {"Name": "none"}}')


def test_too_deep() -> None:
    """A million opening braces are an error, not a crash."""
    inner = '"Fields": [{"Description": {' * 1_000_000
    with pytest.raises(SourceError, match="descriptions nest deeper than 1000"):
        engine.parse(f'{{"vmschkmachine": {{"Name": "none"}}, "t": {{"Description": {{{inner}'.encode())
    with pytest.raises(SourceError, match="descriptions nest deeper than 1000"):
        engine.parse(f'{{"t": {{"Description": {{{inner.replace("Description", "Description")}'.encode())


def test_device_versions_are_kept() -> None:
    """A device's version that differs from its description's, as in edited files, is kept."""
    text = '{\n  "vmschkmachine": {\n    "Name": "none"\n  },\n  "t": {\n    "Name": "t",\n    "version_id": 3,\n' \
        '    "minimum_version_id": 2,\n    "Description": {\n      "name": "d",\n      "version_id": 1,\n' \
        '      "minimum_version_id": 0\n    }\n  }\n}\n'  # fmt: skip
    tree = engine.parse(text.encode())
    assert tree.device_versions(0) == (3, 2)
    assert tree.dump_bytes().decode() == text


#: From QEMU's tests/vmstate-static-checker-data/dump2.json: a device whose Name differs from its key, and one without
#: Description.
EDITED = b"""\
{
  "vmschkmachine": {
    "Name": "pc-i440fx-2.2"
  },
  "fw_cfg2": {
    "Name": "fw_cfg",
    "version_id": 2,
    "minimum_version_id": 1,
    "Description": {
      "name": "fw_cfg",
      "version_id": 2,
      "minimum_version_id": 1
    }
  },
  "cfi.pflash01": {
    "Name": "cfi.pflash01",
    "version_id": 1,
    "minimum_version_id": 1
  },
  "pit": {
    "Name": "a name of more than thirty-two characters",
    "version_id": 3,
    "minimum_version_id": 2,
    "Description": {
      "name": "i8254",
      "version_id": 3,
      "minimum_version_id": 2
    }
  }
}
"""


def test_edited_devices(tmp_path: Path) -> None:
    """The key is the type, as in QEMU's checker; Name and a missing Description are kept: every engine and the extended
    form write the same bytes, and the computed size is right.
    """
    tree = engine.parse(EDITED)
    assert tree.device_names() == ["fw_cfg2", "cfi.pflash01", "pit"]
    assert [tree.device_has_description(index) for index in range(3)] == [True, False, True]
    assert tree.device_versions(1) == (1, 1)
    assert tree.size == len(EDITED)
    for each in (None, Engine.FAST, Engine.STDIO):
        assert tree.dump_bytes(each) == EDITED
    extended = tree.dump_bytes(extended=True)
    assert engine.parse(extended).dump_bytes() == EDITED
    path = tmp_path / "dump2.json"
    path.write_bytes(EDITED)
    assert vmdump.open(path).to_bytes() == EDITED
    assert engine.parse(json.dumps(json.loads(EDITED)).encode()).dump_bytes() == EDITED


def test_edited_duplicates() -> None:
    """Two devices with one Name are two devices; two with one key are an error, whatever their Names."""
    t, u = json.dumps(DEVICE), json.dumps({**DEVICE, "Name": "u"})
    machine = json.dumps(MACHINE).removesuffix("}")
    assert engine.parse(f'{machine}, "t": {t}, "u": {t}}}'.encode()).device_names() == ["t", "u"]
    with pytest.raises(SourceError, match=r'at \$\["t"\]: duplicate device type'):
        engine.parse(f'{machine}, "t": {t}, "t": {u}}}'.encode())


def test_parents_without_description() -> None:
    """Extended-form metadata of a device without Description is dropped."""
    device = {"Name": "t", "version_id": 1, "minimum_version_id": 1, "parents": ["device"]}
    with pytest.raises(SourceError, match=r'at \$\["t"\]: a device with parents lacks Description'):
        engine.parse(json.dumps({**MACHINE, "t": device}).encode())


def shuffled(value: Any, chance: random.Random) -> Any:
    """Return the JSON value with the keys of every object in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(each, chance)) for key, each in value.items()]
        chance.shuffle(items)
        return dict(items)
    return [shuffled(each, chance) for each in value] if isinstance(value, list) else value


@given(st.dictionaries(NAMES, DESCRIPTIONS, max_size=3), st.randoms(use_true_random=False), st.booleans())
def test_any_spelling(devices: dict[str, VMStateDescription], chance: random.Random, ascii_only: bool) -> None:
    """Key order, white space and escapes do not change the dump."""
    devices.pop("vmschkmachine", None)
    text = dump("none", list(devices.items()))
    value = json.loads(text)
    for key, each in value.items():
        value[key] = shuffled(each, chance)
    respelt = json.dumps(value, ensure_ascii=ascii_only, indent=chance.choice([None, 0, "\t", 9]))
    assert engine.parse(respelt.encode()).dump_bytes().decode() == text


class Desc(msgspec.Struct, forbid_unknown_fields=True):
    """A description as msgspec decodes it."""

    name: str
    version_id: int
    minimum_version_id: int
    Fields: list["Field"] | None = None
    Subsections: list["Desc"] | None = None


class Field(msgspec.Struct, forbid_unknown_fields=True):
    """A field as msgspec decodes it."""

    field: str
    version_id: int
    field_exists: bool
    size: int
    num: int = 0
    Description: Desc | None = None


class Device(msgspec.Struct, forbid_unknown_fields=True):
    """A device as msgspec decodes it."""

    Name: str
    version_id: int
    minimum_version_id: int
    Description: Desc | None = None


SMALL = [b"1", b"0", b" ", b"\n", b",", b"-", b'"', b"{}", b"}", b"null", b"9" * 10]

TRICORE = read_real_dump("7.2.22", "tricore")


def repeated() -> bytes:
    """A dump in QEMU's layout that repeats a description, has one similar to it, and parts of both."""
    with_num = {"field": "f", "version_id": 0, "field_exists": False, "num": 2, "size": 4}
    inner = {**DESC, "name": "inner", "Fields": [FIELD, {**FIELD, "version_id": 3}, with_num]}
    outer = {**DESC, "Fields": [{**FIELD, "Description": inner}, FIELD], "Subsections": [{**inner, "name": "d/sub"}]}
    other = {**outer, "Fields": [*outer["Fields"], {**FIELD, "field_exists": True}]}
    devices = {
        name: {**DEVICE, "Name": name, "Description": desc}
        for name, desc in {"t": outer, "u": outer, "v": other, "w": other}.items()
    }
    return json.dumps({**MACHINE, **devices}, indent=2).encode() + b"\n"


TEXTS = [TRICORE, repeated()]


@settings(max_examples=6 * EXAMPLES)
@given(
    st.sampled_from(TEXTS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), st.binary(max_size=3) | st.sampled_from(SMALL)), max_size=4),
)
@example(TRICORE, [(0, 0, b"\xef\xbb\xbf")])
def test_mutations(data: bytes, mutations: list[tuple[float, int, bytes]]) -> None:
    """A dump with bytes removed and inserted is refused, or read as msgspec reads it."""
    for where, cut, put in mutations:
        at = int(where * len(data))
        data = data[:at] + put + data[at + cut :]
    try:
        tree = engine.parse(data)
    except SourceError as error:
        assert "\n" not in str(error)
        return
    value = msgspec.json.decode(data)
    machine = value.pop("vmschkmachine")["Name"]
    oracle = msgspec.convert(value, dict[str, Device])
    assert tree.machine == machine
    assert tree.device_names() == list(oracle)
    assert msgspec.json.decode(tree.dump_bytes()) == msgspec.json.decode(data)


def test_repeated_description_is_shared() -> None:
    """Equal text is one description, lowered, kept and written once; a single different byte makes another."""
    data = repeated()
    assert data == json.dumps(json.loads(data), indent=2).encode() + b"\n"
    tree = engine.parse(data)
    devices = tree.native.devices
    assert devices[0].vmsd == devices[1].vmsd
    assert devices[2].vmsd == devices[3].vmsd
    assert devices[0].vmsd != devices[2].vmsd
    assert devices[0].vmsd.fields[0].vmsd == devices[2].vmsd.fields[0].vmsd
    assert devices[0].vmsd.subsections[0] == devices[2].vmsd.subsections[0]
    assert tree.dump_bytes() == data
    begin, end = data.index(b'"u"'), data.index(b'"v"')
    n_read = 0
    for at in range(begin, end):
        if chr(data[at]).isalpha():
            changed = data[:at] + b"q" + data[at + 1 :]  # no key contains that letter
            with contextlib.suppress(SourceError):
                assert engine.parse(changed).dump_bytes() == changed
                n_read += 1
    assert n_read == len("u" + "u" + "d" + "inner" + "dsub") + data[begin:end].count(b'"f"')


@pytest.mark.parametrize("depth", [400, 401])
def test_repeated_description_at_greater_depth(depth: int) -> None:
    """A repeated description at greater depth still counts against the depth limit of 1000."""
    above = 600
    head, tail = json.dumps({**DESC, "Subsections": []}, separators=(",", ":")).split("]")
    # It is looked up by the text where QEMU prints the name, which is the same here at any depth.
    chain = head.replace('"d"', '"' + "d" * 3000 + '"') + head * (depth - 1) + ("]" + tail) * depth
    text = json.dumps(MACHINE).removesuffix("}")
    for name, desc in {"t": chain, "u": head * above + chain + ("]" + tail) * above}.items():
        text += f', "{name}": ' + json.dumps({**DEVICE, "Name": name, "Description": 0}).removesuffix("0}") + desc + "}"
    text += "}"
    if depth + above > 1000:
        with pytest.raises(SourceError, match=r'\["u"\].*descriptions nest deeper than 1000'):
            engine.parse(text.encode())
        return
    tree = engine.parse(text.encode())
    t, inner = tree.native.devices[0].vmsd, tree.native.devices[1].vmsd
    for _ in range(above):
        inner = inner.subsections[0]
    assert inner == t


@given(st.binary(max_size=200))
def test_garbage(data: bytes) -> None:
    """Random bytes are refused."""
    with pytest.raises(SourceError):
        engine.parse(data)
