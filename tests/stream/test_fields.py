"""Fields with values: as QEMU's own script reads them, by the vmdescription, and by a QEMU binary."""

import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import streams
from support.qemu import find_qemu
from support.streams import STREAMS, be, described, real_stream, section, write

import vmdump
from vmdump.errors import SourceError, VmdumpError
from vmdump.stream.analyze_migration import analyze
from vmdump.stream.section_view import find_sections, view
from vmdump.stream.values import walk
from vmdump.stream.walk import read_saved_vm

READABLE = sorted(path.name.removesuffix(".json.xz") for path in STREAMS.glob("*.json.xz"))


def saved_vm(name: str, folder: Path):
    """A real stream."""
    return read_saved_vm(write(folder / "vm.save", real_stream(name)))


@pytest.mark.parametrize("name", READABLE)
def test_analyze_migration(tmp_path: Path, name: str) -> None:
    """The state is what scripts/analyze-migration.py of QEMU 10.0.13 printed, byte by byte."""
    expected = lzma.decompress((STREAMS / f"{name}.json.xz").read_bytes()).decode()
    assert json.dumps(analyze(saved_vm(name, tmp_path)), indent=4, separators=(",", ": ")) + "\n" == expected


def test_analyze_migration_of_other_streams(tmp_path: Path) -> None:
    """With $VMDUMP_STREAMS and $VMDUMP_ANALYZE_MIGRATION (QEMU's script): the same of every stream that it reads."""
    folder, script = os.environ.get("VMDUMP_STREAMS"), os.environ.get("VMDUMP_ANALYZE_MIGRATION")
    if folder is None or script is None:
        pytest.skip("VMDUMP_STREAMS and VMDUMP_ANALYZE_MIGRATION name no streams and no script")
    read = 0
    for packed in sorted(Path(folder).glob("*/*.bin.xz")):
        path = write(tmp_path / "vm", lzma.decompress(packed.read_bytes()))
        done = subprocess.run([sys.executable, script, "-f", path], capture_output=True, text=True)
        if done.returncode == 0:
            read += 1
            assert json.loads(done.stdout) == analyze(read_saved_vm(path)), packed
    assert read > 50


def leaves(nodes):
    """Offset, size and value of all values but those of padding."""
    return {
        (node.offset, node.size): node.value for _, node in walk(nodes) if node.children is None and node.size
    }  # fmt: skip


@pytest.mark.qemu
@pytest.mark.parametrize(("name", "target"), [("mps2-an385-7.2", "arm"), ("microvm-7.2", "x86_64")])
def test_by_image(tmp_path: Path, name: str, target: str) -> None:
    """A binary divides every section into the values that the vmdescription of the stream has, and further ones."""
    image = vmdump.open(find_qemu(target), cache=False)
    vm = saved_vm(name, tmp_path)
    for has_vmdescription in (True, False):
        if not has_vmdescription:
            vm.vmdescription = vm._document = None
        known = saved_vm(name, tmp_path)
        for each in vm.sections:
            if each.is_live:
                continue
            found = view(vm, each, image)
            assert found.problem is None, each.name
            ours, theirs = leaves(found.nodes), leaves(view(known, each).nodes)
            divided = {key for key in theirs if key not in ours}
            for key in theirs.keys() & ours.keys():
                assert ours[key] == theirs[key] or isinstance(theirs[key], bytes), (each.name, key)
            # what one value was for QEMU: virtio's body, lists
            assert all(isinstance(theirs[key], bytes) for key in divided), each.name


@pytest.mark.qemu
def test_virtio_by_image(tmp_path: Path) -> None:
    """The inside of a virtio device is one value of the vmdescription, and fields by a binary."""
    vm = saved_vm("microvm-7.2", tmp_path)
    image = vmdump.open(find_qemu("x86_64"), cache=False)
    virtio = [each for each in vm.sections if "virtio" in each.name]
    assert virtio
    paths = {"/".join(path) for path, _ in walk(view(vm, virtio[0], image).nodes)}
    assert {"virtio/status", "virtio/queue_sel", "virtio/vq[0]/vring.num"} <= paths


def test_lists_and_tmp(tmp_path: Path) -> None:
    """tmp and qtailq write the descriptions of their elements into their own object, also several times."""
    element = '"vmsd_name": "e", "version": 1, "fields": [{"name": "a", "type": "uint16", "size": 2}]'
    text = (
        '{"page_size": 4096, "devices": [{"name": "dev", "instance_id": 0, "vmsd_name": "dev", "version": 1, '
        '"fields": ['
        f'{{"name": "t", "type": "tmp", {element}, "size": 2}},'
        f'{{"name": "q", "type": "qtailq", {element}, {element}, "size": 7}}]}}]}}'
    ).encode()
    body = be(2, 7) + b"\x01" + be(2, 8) + b"\x01" + be(2, 9) + b"\0"
    stream = streams.HEADER + section(1, "dev", body) + streams.EOF + b"\x06" + be(4, len(text)) + text
    vm = read_saved_vm(write(tmp_path / "vm", stream))
    found = view(vm, vm.sections[0])
    assert found.problem is None
    values = {"/".join(path): node.value for path, node in walk(found.nodes) if node.children is None}
    assert values == {"t/a": 7, "q/q[0]/a": 8, "q/q[1]/a": 9}


def test_subsections_and_arrays(tmp_path: Path) -> None:
    """Arrays of one entry or several, the last without index as of QEMU 10.0, and subsections."""
    device = described("dev", [])
    device["fields"] = [
        {"name": "regs", "array_len": 2, "type": "uint8", "size": 1},
        {"name": "ring", "index": 0, "type": "struct", "size": 1,
         "struct": {"vmsd_name": "ring", "version": 2, "fields": [{"name": "x", "type": "int8", "size": 1}]}},
        {"name": "ring", "type": "struct", "size": 1,
         "struct": {"vmsd_name": "ring", "version": 2, "fields": [{"name": "x", "type": "int8", "size": 1}]}},
    ]  # fmt: skip
    device["subsections"] = [
        {"vmsd_name": "dev/more", "version": 3, "fields": [{"name": "on", "type": "bool", "size": 1}]}
    ]
    body = b"\x01\x02\xff\xfe" + streams.subsection("dev/more", b"\x01", 3)
    stream = streams.HEADER + section(1, "dev", body) + streams.EOF + streams.vmdescription([device])
    vm = read_saved_vm(write(tmp_path / "vm", stream))
    found = view(vm, vm.sections[0])
    assert found.problem is None
    values = {"/".join(path): node.value for path, node in walk(found.nodes) if node.children is None}
    assert values == {"regs[0]": 1, "regs[1]": 2, "ring[0]/x": -1, "ring[1]/x": -2, "dev/more/on": True}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([("a", "uint64", 9)], "has 9 bytes for a, the section has fewer"),
        ([("a", "uint8", 1)], "has 1 bytes of fields, the section 4"),
    ],
)
def test_wrong_vmdescription(tmp_path: Path, fields, words: str) -> None:
    """A vmdescription that does not fit its section is reported; the stream is read all the same."""
    stream = streams.HEADER + section(1, "dev", bytes(4)) + streams.EOF
    stream += streams.vmdescription([described("dev", fields)])
    vm = read_saved_vm(write(tmp_path / "vm", stream))
    assert words in str(view(vm, vm.sections[0]).problem)
    if "fewer" in words:
        with pytest.raises(SourceError, match="does not describe its bytes"):
            analyze(vm)


def test_names(tmp_path: Path) -> None:
    """Sections are found by idstr, by name after a device path, and by instance; others get a suggestion."""
    vm = saved_vm("malta-7.2", tmp_path)
    assert [each.name for each in find_sections(vm, "piix4_pm")] == ["pci:0a.3/piix4_pm"]
    assert [each.instance_id for each in find_sections(vm, "i8259", 1)] == [1]
    with pytest.raises(VmdumpError, match=r"no section 'i8254x'; did you mean i8254\?"):
        find_sections(vm, "i8254x")
    with pytest.raises(VmdumpError, match="no section 'i8254' with instance id 9"):
        find_sections(vm, "i8254", 9)
