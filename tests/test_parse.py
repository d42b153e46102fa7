"""The parser: what QEMU prints and nothing else, with the place of every error, and no input crashes it."""

import contextlib
import json
import random
from typing import Any

import msgspec
import pytest
from conftest import read_real_dump
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reference import DESCRIPTIONS, NAMES, dump

from vmdump.dump import tree as engine
from vmdump.errors import SourceError
from vmdump.vmstate import VMStateDescription

FIELD = {"field": "f", "version_id": 0, "field_exists": False, "size": 4}
DESC: dict[str, Any] = {"name": "d", "version_id": 1, "minimum_version_id": 1}
DEVICE = {"Name": "t", "version_id": 1, "minimum_version_id": 1, "Description": DESC}
MACHINE = {"vmschkmachine": {"Name": "none"}}


def document(**changes: Any) -> dict[str, Any]:
    """A small dump with a device "t" whose description has these members too."""
    return {**MACHINE, "t": {**DEVICE, "Description": {**DESC, **changes}}}


def with_field(**changes: Any) -> dict[str, Any]:
    """A small dump with one field, some of whose members are changed; None takes one away."""
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
        (with_field(field='a"b'), rf"at {FIELD_PATH}.field: a name holds a quote, a backslash, a control character"),
        (with_field(field="a\nb"), rf"at {FIELD_PATH}.field: a name holds"),
        (with_field(field=None), rf"at {FIELD_PATH}: a field lacks field, version_id, field_exists or size"),
        (with_field(size=None), rf"at {FIELD_PATH}: a field lacks"),
        (with_field(flagged=3), rf"at {FIELD_PATH}: a key that QEMU does not print"),
        (with_field(Description=[]), rf"at {FIELD_PATH}.Description: expected an object"),
        (document(Fields={}), r'at \$\["t"\].Description.Fields: expected a list'),
        (document(Subsections=[DESC, {"name": "x"}]), r"Subsections\[1\]: a description lacks name, version_id"),
        (document(name=None), r'at \$\["t"\].Description.name: expected a string'),
        ({**MACHINE, "t": {**DEVICE, "Name": "u"}}, r'at \$\["t"\].Name: a device\'s Name is not its key'),
        ({**MACHINE, "t": DESC}, r'at \$\["t"\]: a key that QEMU does not print'),
        ({**MACHINE, "t": {}}, r'at \$\["t"\]: a device lacks Name'),
        ({**MACHINE, "t": []}, r'at \$\["t"\]: expected an object'),
        ({"t": DEVICE}, r"at \$: no vmschkmachine: not a file of -dump-vmstate"),
        ({"vmschkmachine": {}}, r'at \$\["vmschkmachine"\]: vmschkmachine lacks Name'),
        ([], r"at \$: expected an object: not a file of -dump-vmstate"),
        ("", r"at \$: expected an object"),
    ],
)
def test_wrong_documents(content: Any, error: str) -> None:
    """Each wrong value is refused at its JSON path."""
    with pytest.raises(SourceError, match=error):
        engine.parse(json.dumps(content).encode())


TEXT = json.dumps(with_field(), indent=1)


@pytest.mark.parametrize(
    ("old", "new", "offset", "error"),
    [
        ('"f"', '"\\x"', 1, "not a JSON escape"),
        ('"f"', '"\\ud800"', 1, "not a JSON escape"),
        ('"f"', '"\\udc00"', 1, "not a JSON escape"),
        ('"f"', '"\\u12"', 1, "not a JSON escape"),
        ('"f"', '"\x01"', 1, "a name holds"),
        ('"f"', '"a\xff"', 2, "invalid UTF-8"),
        ("4", "04", 0, "a leading zero"),
        ('"size": 4', '"size": 4,', 15, "expected a string"),
        ('"size": 4', '"size": 4 5', 10, "expected ',' or '}'"),
        ('"size": 4', '"size" 4', 7, "expected ':'"),
        ('"size": 4', '"size": 4, "size": 4', 11, "a key twice in one object"),
        ("false", "fals", 0, "expected true or false"),
        (TEXT, TEXT + "x", len(TEXT), "text behind the end of the document"),
        (TEXT, "", 0, "the file ends too early"),
        (TEXT, "\ufeff{}", 0, "expected an object"),
    ],
)
def test_wrong_text(old: str, new: str, offset: int, error: str) -> None:
    """Text that is no JSON is refused at its line and column: offset characters behind the start of what is new."""
    text = TEXT.replace(old, new, 1)
    before = text[: TEXT.index(old) + offset]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    data = text.encode("latin-1" if "\xff" in new else "utf-8")
    with pytest.raises(SourceError, match=rf"^file.json:{line}:{column}: at .*{error}"):
        engine.parse(data, "file.json")


def test_truncated_at_every_byte() -> None:
    """A file that ends too early never passes, wherever it ends."""
    for end in range(len(TEXT.rstrip())):
        with pytest.raises(SourceError, match=r"ends too early|expected|lacks|not a file"):
            engine.parse(TEXT[:end].encode())


def test_duplicates() -> None:
    """A device or the machine twice: JSON readers would disagree on which one counts."""
    t, u = json.dumps(DEVICE), json.dumps({**DEVICE, "Name": "u"})
    with pytest.raises(SourceError, match=r'at \$\["t"\]: a device type twice in one file; remove one'):
        engine.parse(f'{{"vmschkmachine": {{"Name": "none"}}, "t": {t}, "u": {u}, "t": {t}}}'.encode())
    with pytest.raises(SourceError, match="vmschkmachine twice in one file"):
        engine.parse(b'{"vmschkmachine": {"Name": "none"}, "vmschkmachine": {"Name": "none"}}')


def test_too_deep() -> None:
    """A million opened braces end in an error, not in a crash."""
    inner = '"Fields": [{"Description": {' * 1_000_000
    with pytest.raises(SourceError, match="descriptions nest deeper than 1000"):
        engine.parse(f'{{"vmschkmachine": {{"Name": "none"}}, "t": {{"Description": {{{inner}'.encode())
    with pytest.raises(SourceError, match="descriptions nest deeper than 1000"):
        engine.parse(f'{{"t": {{"Description": {{{inner.replace("Description", "Description")}'.encode())


def test_device_versions_are_kept() -> None:
    """A device's own version may differ from its description's in files that people edit: both are kept."""
    text = '{\n  "vmschkmachine": {\n    "Name": "none"\n  },\n  "t": {\n    "Name": "t",\n    "version_id": 3,\n' \
        '    "minimum_version_id": 2,\n    "Description": {\n      "name": "d",\n      "version_id": 1,\n' \
        '      "minimum_version_id": 0\n    }\n  }\n}\n'  # fmt: skip
    tree = engine.parse(text.encode())
    assert tree.device_versions(0) == (3, 2)
    assert tree.dump_bytes().decode() == text


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same JSON value with the keys of every object in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(each, chance)) for key, each in value.items()]
        chance.shuffle(items)
        return dict(items)
    return [shuffled(each, chance) for each in value] if isinstance(value, list) else value


@given(st.dictionaries(NAMES, DESCRIPTIONS, max_size=3), st.randoms(use_true_random=False), st.booleans())
def test_any_spelling(devices: dict[str, VMStateDescription], chance: random.Random, ascii_only: bool) -> None:
    """Keys in any order, any white space, any escapes: the same dump."""
    devices.pop("vmschkmachine", None)
    text = dump("none", list(devices.items()))
    value = json.loads(text)
    for key, each in value.items():
        value[key] = shuffled(each, chance)
    respelt = json.dumps(value, ensure_ascii=ascii_only, indent=chance.choice([None, 0, "\t", 9]))
    assert engine.parse(respelt.encode()).dump_bytes().decode() == text


class Desc(msgspec.Struct, forbid_unknown_fields=True):
    """What msgspec knows of a description."""

    name: str
    version_id: int
    minimum_version_id: int
    Fields: list["Field"] | None = None
    Subsections: list["Desc"] | None = None


class Field(msgspec.Struct, forbid_unknown_fields=True):
    """What msgspec knows of a field."""

    field: str
    version_id: int
    field_exists: bool
    size: int
    num: int = 0
    Description: Desc | None = None


class Device(msgspec.Struct, forbid_unknown_fields=True):
    """What msgspec knows of a device."""

    Name: str
    version_id: int
    minimum_version_id: int
    Description: Desc


SMALL = [b"1", b"0", b" ", b"\n", b",", b"-", b'"', b"{}", b"}", b"null", b"9" * 10]

TRICORE = read_real_dump("7.2.22", "tricore")


def repeated() -> bytes:
    """A dump as QEMU lays it out that tells a description twice, one like it twice, and parts of them in both."""
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


@settings(max_examples=600)
@given(
    st.sampled_from(TEXTS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), st.binary(max_size=3) | st.sampled_from(SMALL)), max_size=4),
)
@example(TRICORE, [(0, 0, b"\xef\xbb\xbf")])
def test_mutations(data: bytes, mutations: list[tuple[float, int, bytes]]) -> None:
    """A dump with bytes cut out and put in: refused, or read as msgspec reads it."""
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


def test_a_description_told_again_is_shared() -> None:
    """The same text is the same description, so that it is packed, kept and written once; any other byte is another."""
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
            changed = data[:at] + b"q" + data[at + 1 :]  # no key has that letter
            with contextlib.suppress(SourceError):
                assert engine.parse(changed).dump_bytes() == changed
                n_read += 1
    assert n_read == len("d" + "inner" + "dsub") + data[begin:end].count(b'"f"')


@pytest.mark.parametrize("depth", [400, 401])
def test_a_description_told_again_deeper(depth: int) -> None:
    """What has been read at one depth is not read less strictly at another: 1000 is the limit."""
    above = 600
    head, tail = json.dumps({**DESC, "Subsections": []}, separators=(",", ":")).split("]")
    # It is looked for by what stands where QEMU would put the name: here that is the same text at any depth.
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
    """Bytes at random are no dump."""
    with pytest.raises(SourceError):
        engine.parse(data)
