"""Fields of sections by a binary, compared with the fields that a real QEMU of that version traces while it loads."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.native_environ import native_environ
from support.qemu import find_qemu
from support.streams import STREAMS, real_stream, write

from vmdump.sources.image_cache import open_image
from vmdump.stream.section_view import view
from vmdump.stream.values import Node
from vmdump.stream.walk import read_saved_vm

Fields = list[tuple[str, int]]

#: Seconds in which a real QEMU loads a small stream.
SECONDS = 5


def command_line(name: str) -> list[str]:
    """The arguments that a stream was saved with, without its monitor."""
    rows = map(json.loads, (STREAMS / "manifest.jsonl").read_text().splitlines())
    words = shlex.split(next(row["cmdline"] for row in rows if row["name"] == name))
    at = words.index("-mon")
    return [word for place, word in enumerate(words[1:], 1) if place not in range(at - 2, at + 2)]


def traced(binary: str, argv: list[str], path: str) -> dict[str, list[Fields]]:
    """Name and number of elements of each loaded field, by section. Source: migration/trace-events."""
    command = [binary, *argv, "-incoming", f"exec:cat {path}", "-trace", "vmstate_*"]
    try:
        ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=SECONDS, env=native_environ())
        text = ended.stderr
    except subprocess.TimeoutExpired as error:  # it has loaded the stream, and waits
        assert isinstance(error.stderr, bytes)
        text = error.stderr.decode()
    sections: dict[str, list[Fields]] = {}
    fields: Fields = []
    is_field = False
    for event, words in re.findall(r"^(vmstate_\w+) (.*)$", text, re.MULTILINE):
        if event == "vmstate_load":
            fields = []
            sections.setdefault(words.rpartition(", ")[0], []).append(fields)
        elif event == "vmstate_load_state_field":
            is_field = True
        elif event == "vmstate_n_elems" and is_field:  # only a field that is in the stream has elements
            name, _, number = words.rpartition(": ")
            fields += [(name, int(number))] if number != "0" else []
            is_field = False
    return sections


def read(nodes: list[Node]) -> Iterator[tuple[str, int]]:
    """Name and number of elements of each field, in the order of the stream."""
    at = 0
    while at < len(nodes):
        first, end = nodes[at], at + 1
        while first.index is not None and end < len(nodes) and nodes[end].name == first.name and nodes[end].index:
            end += 1
        if first.type != "subsection":
            yield first.name, end - at
        for each in nodes[at:end]:
            yield from read(each.children or [])
        at = end


def is_within(part: Fields, whole: Fields) -> bool:
    """Whether all of a list is in another one, in this order."""
    left = iter(whole)
    return all(each in left for each in part)


@pytest.mark.qemu
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target"), [("mps2-an385-7.2", "arm"), ("virt72smp-7.2", "aarch64"), ("microvm-7.2", "x86_64")]
)
def test_fields_of_real_qemu(name: str, target: str, tmp_path: Path) -> None:
    """The same fields with as many elements; of a virtio device, what code loads is not traced."""
    binary, path = find_qemu(target), write(tmp_path / "vm.save", real_stream(name))
    loaded = traced(binary, command_line(name), path)
    vm, dump = read_saved_vm(path), open_image(binary).dump(None)
    numbers: dict[str, int] = {}
    compared = 0
    for section in vm.sections:
        if section.is_live:
            continue
        number = numbers[section.name] = numbers.get(section.name, -1) + 1
        fields, wanted = list(read(view(vm, section, dump).nodes)), loaded[section.name][number]
        assert is_within(wanted, fields) if ("virtio", 1) in wanted else fields == wanted, section.name
        compared += len(wanted)
    assert compared > 200
