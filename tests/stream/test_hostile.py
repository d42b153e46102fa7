"""Hostile vmdescriptions and sparse files: one line each, in bounded time."""

import json
import random
from pathlib import Path

import pytest
from support import streams
from support.streams import be, real_stream, section, write

from vmdump.errors import SourceError, VmdumpError
from vmdump.stream.analyze_migration import analyze
from vmdump.stream.diff import differences
from vmdump.stream.plain import plain_view
from vmdump.stream.section_view import view
from vmdump.stream.stream_dump import StreamDump
from vmdump.stream.vmdescription import parse
from vmdump.stream.walk import read_saved_vm

VALUES = [None, True, -1, 0, 7, 1 << 70, "x", "", [], [1], {}, {"fields": 5}, [{"name": "a"}], 'a"\n\\', 1.5]


def mutated(value, chance: random.Random):
    """A copy of a JSON value in which some parts are others."""
    if chance.random() < 0.002:
        return chance.choice(VALUES)
    if isinstance(value, dict):
        return {key: mutated(each, chance) for key, each in value.items() if chance.random() > 0.002}
    return [mutated(each, chance) for each in value] if isinstance(value, list) else value


def use(vm) -> None:
    """Do all that reads a vmdescription. Only errors of vmdump are allowed."""
    for each in vm.sections:
        json.dumps(plain_view(view(vm, each)))
    for function in (analyze, StreamDump):
        try:
            function(vm)
        except VmdumpError as error:
            assert "\n" not in str(error)
    list(differences(vm, vm))


@pytest.mark.parametrize("seed", range(12))
def test_mutated_vmdescription(tmp_path: Path, seed: int) -> None:
    """Any change of the vmdescription gives at most errors of vmdump."""
    data = real_stream("m68kvirt72-7.2")
    at = data.rindex(b"\0\x06") + 1
    document = json.loads(data[at + 5 :])
    text = json.dumps(mutated(document, random.Random(seed))).encode()
    use(read_saved_vm(write(tmp_path / "vm", data[:at] + b"\x06" + be(4, len(text)) + text)))


@pytest.mark.parametrize(
    "text",
    [
        b"[1]", b"{", b"\xff\xfe", b'{"devices": [' * 2000, b'{"devices": 5}', b'{"devices": [{"name": "dev"}]}',
        b'{"devices": [{"name": "dev", "instance_id": 0, "fields": [{"name": "a", "array_len": 9999999, "size": 0}]}]}',
        b'{"devices": [{"name": "dev", "instance_id": 0, "fields": [' + b'{"name":"s","struct":{"fields":[' * 300,
        b'{"page_size": 77}', b"1" * 5000,
    ],
)  # fmt: skip
def test_other_vmdescriptions(tmp_path: Path, text: bytes) -> None:
    """What is no vmdescription is ignored."""
    body = streams.HEADER + section(1, "dev", bytes(4)) + streams.EOF + b"\x06" + be(4, len(text)) + text
    vm = read_saved_vm(write(tmp_path / "vm", body))
    assert [each.size for each in vm.sections] == [4]
    use(vm)


def test_nested_vmdescription() -> None:
    """Deep nesting is not followed."""
    nested = '{"name": "s", "type": "struct", "size": 0, "struct": {"fields": [' * 200 + "]}}" * 200
    assert parse(f'{{"devices": [{{"fields": [{nested}]}}]}}'.encode()) is not None
    assert parse(b'{"devices": [' * 100_000) is None


def test_repeated_capabilities(tmp_path: Path) -> None:
    """A repeated subsection of the configuration replaces the first."""
    lists = (streams.capabilities("a", "bcd", "e"), streams.capabilities("x"))
    stream = streams.HEADER + streams.configuration("pc", *lists) + streams.EOF
    assert read_saved_vm(write(tmp_path / "vm", stream)).capabilities == ("x",)


def test_hole(tmp_path: Path) -> None:
    """A section that goes on in the hole of a sparse file ends the walk at a limit."""
    path = tmp_path / "vm"
    path.write_bytes(streams.HEADER + section(1, "dev", bytes(4))[:-5])
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(SourceError, match=r"section 'dev' \(instance 0x0\) has no end within 1073741824 bytes"):
        read_saved_vm(str(path))
    start = streams.HEADER + streams.configuration("pc", streams.capabilities("mapped-ram"))
    block = streams.str8("pc.ram") + be(8, 1 << 60) + be(4, 1) + be(8, 4096, 1 << 20, 2 << 20)
    path.write_bytes(start + section(2, "ram", be(8, 1 << 60 | 4) + block, type=1, version=4, footers=False))
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(SourceError, match="a mapped-ram header with invalid version or offset"):
        read_saved_vm(str(path))
