"""vmdump classic: each message, and equal output to QEMU's own script on real and on mutated dumps."""

import contextlib
import copy
import io
import itertools
import json
import lzma
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.commands import Result, run, run_failing
from support.dumps import REAL_DUMPS, read_real_dump
from support.examples import EXAMPLES
from support.qemu import find_qemu
from support.requirements import require

import vmdump
from vmdump.check.static_checker import RENAMED, RENAMED_SECTIONS, compare

# Messages ---------------------------------------------------------------------------------------------------------


def field(name: str, size: int = 4, **more: Any) -> dict[str, Any]:
    """A field as a dump prints it."""
    return {"field": name, "version_id": 0, "field_exists": False, "size": size, **more}


def description(name: str, *fields: dict[str, Any], version: int = 1, minimum: int = 1, **more: Any) -> dict[str, Any]:
    """A description as a dump prints it."""
    versions = {"version_id": version, "minimum_version_id": minimum}
    return {"name": name, **versions, **({"Fields": list(fields)} if fields else {}), **more}


def struct(name: str, inner: dict[str, Any]) -> dict[str, Any]:
    """A field that is a struct."""
    return field(name, Description=inner)


def dump_of(vmsd: dict[str, Any], section: str = "S", version: int = 1, minimum: int = 1) -> dict[str, Any]:
    """A dump of one section."""
    versions = {"version_id": version, "minimum_version_id": minimum}
    return {section: {"Name": section, **versions, "Description": vmsd}}


def printed(src: dict[str, Any], dest: dict[str, Any]) -> tuple[str, int]:
    """Return the printed messages for two dumps and the number of findings."""
    messages = list(compare(src, dest))
    return "".join(message.text for message in messages), sum(message.counts for message in messages)


A, B, C = field("a"), field("b"), field("c")

#: Two descriptions D in a section S, and the script's output.
DESCRIPTIONS = {
    "equal": (description("D", A, B), description("D", A, B), ""),
    "more fields in dest": (description("D", A), description("D", A, B), ""),
    "fewer": (
        description("D", A, B),
        description("D", A),
        'Section "S", Description "D": expected field "b", while dest has no further fields\n',
    ),
    "another field": (
        description("D", A, C, field("x")),
        description("D", B, C),
        'Section "S", Description "D": expected field "a", got "b"; skipping rest\n',
    ),
    "name": (
        description("D"),
        description("E"),
        'Section "S": Description "D" missing, got "E" instead; skipping\n',
    ),
    "entry": (description("D", A), description("D"), 'Section "S" Description "D": Entry "Fields" missing\n'),
    "version": (
        description("D", version=2),
        description("D"),
        'Section "S" Description "D": version error: 2 > 1\n',
    ),
    "minimum": (
        description("D"),
        description("D", version=2, minimum=2),
        'Section "S" Description "D": minimum version error: 1 < 2\n',
    ),
    "field version": (
        description("D", {**A, "version_id": 2}),
        description("D", A),
        'Section "S" Description "D": version error: 2 > 0\n',
    ),
    "size": (
        description("D", A),
        description("D", field("a", 2)),
        'Section "S" Description "D" Field "a" size mismatch: 4 , 2\n',
    ),
    "no struct": (
        description("D", struct("a", description("I", A))),
        description("D", A),
        'Section "S", Description "D", Field "a": missing description\n',
    ),
    "subsection": (
        description("D", Subsections=[description("D/x"), description("D/y")]),
        description("D", Subsections=[description("D/x", version=2, minimum=2)]),
        'Section "S" Description "D/x": minimum version error: 1 < 2\n'
        'Section "S", Description "D": Subsection "D/y" not found\n',
    ),
    "into a struct": (description("D", A, B, C), description("D", struct("s", description("I", A, B)), C), ""),
    "out of a struct": (description("D", struct("s", description("I", A, B)), C), description("D", A, B, C), ""),
    "unused for fields": (description("D", A, B, C), description("D", field("unused", 8), C), ""),
    "fields for unused": (description("D", field("unused", 8), C), description("D", A, B, C), ""),
    "unused too short": (
        description("D", A, B, C),
        description("D", field("unused", 6), C),
        'Section "S", Description "D": unused size mismatch near " b"\n',
    ),
    "unused too short by one": (
        description("D", A, B, C),
        description("D", field("unused", 7), B, C),
        'Section "S", Description "D": unused size mismatch near " b"\n',
    ),
    "unused of many": (description("D", field("a", 2, num=3)), description("D", field("unused", 6)), ""),
    "renamed": (
        description("apic", field("timer")),
        description("apic", field("timer_expiry")),
        "",
    ),
    "renamed elsewhere": (
        description("D", field("timer")),
        description("D", field("timer_expiry")),
        'Section "S", Description "D": expected field "timer", got "timer_expiry"; skipping rest\n',
    ),
}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_messages_of_descriptions(case: str) -> None:
    """Each defect of a description is printed in the script's words and counted."""
    src, dest, text = DESCRIPTIONS[case]
    assert printed(dump_of(src), dump_of(dest)) == (text, text.count("\n"))


def test_messages_of_sections() -> None:
    """Removed and renamed sections, version errors, missing entries, and machines are printed and counted."""
    vmsd = description("D", A)
    assert printed(dump_of(vmsd), {}) == ('Section "S" does not exist in dest\n', 1)
    assert printed(dump_of(vmsd, "e1000"), dump_of(vmsd, "e1000-82540em")) == ("", 0)
    assert printed(dump_of(vmsd, version=2), dump_of(vmsd)) == ('Section "S" version error: 2 > 1\n', 1)
    no_name = {"S": {"version_id": 1, "Description": vmsd}}
    assert printed(dump_of(vmsd), no_name) == (
        'Section "S": Entry "Name" missing\nSection "S": Entry "minimum_version_id" missing\n',
        2,
    )
    assert printed(dump_of(vmsd), dump_of(vmsd, "")) == ("", 0)
    machines = ({"vmschkmachine": {"Name": "pc"}}, {"vmschkmachine": {"Name": "q35"}})
    assert printed(*machines) == ('Warning: checking incompatible machine types: "pc", "q35"\n', 0)


def test_a_sections_minimum_version() -> None:
    """The message about a minimum version has no newline of its own and does not count."""
    old, new = dump_of(description("D")), dump_of(description("D", version=2, minimum=2), version=2, minimum=2)
    assert printed(old, new) == ('Section "S" Section "S" Description "D": minimum version error: 1 < 2\n', 1)


# The command ------------------------------------------------------------------------------------------------------


def write(path: Path, dump: object) -> Path:
    """Write a dump file."""
    path.write_text(json.dumps(dump))
    return path


def test_command(tmp_path: Path) -> None:
    """The command prints the findings, returns their number, and --reverse swaps the sides."""
    old = write(tmp_path / "old.json", dump_of(description("D", A)))
    new = write(tmp_path / "new.json", dump_of(description("D", A, B)))
    result = run("classic", "-s", old, "-d", new)
    assert (result.code, result.stdout, result.stderr) == (0, "", "")
    result = run("classic", "-s", old, "-d", new, "--reverse")
    expected = 'Section "S", Description "D": expected field "b", while dest has no further fields\n'
    assert (result.code, result.stdout, result.stderr) == (1, expected, "")
    assert run("classic", "--src", new, "--dest", old).stdout == expected


def test_command_reads_all_that_the_others_read(tmp_path: Path) -> None:
    """Compressed files and standard input are read."""
    old = tmp_path / "old.json.xz"
    old.write_bytes(lzma.compress(json.dumps(dump_of(description("D", A))).encode()))
    result = run("classic", "-s", "-", "-d", old, stdin=b"{}")
    assert (result.code, result.stdout, result.stderr) == (0, "", "")
    assert run("classic", "-d", "-", "-s", old, stdin=b"{}").code == 1


@pytest.mark.qemu
def test_command_reads_binaries() -> None:
    """A QEMU binary stands for the dump of its default machine."""
    qemu = find_qemu("x86_64")
    dump = vmdump.open(qemu).to_bytes()
    assert (
        run("classic", "-s", qemu, "-d", "-", stdin=dump).stdout
        == run("classic", "-s", "-", "-d", qemu, stdin=dump).stdout
    )


def test_many_findings(tmp_path: Path) -> None:
    """The exit code is limited to 255; the messages are not."""
    old = write(tmp_path / "old.json", {f"S{i}": {} for i in range(300)})
    result = run("classic", "-s", old, "-d", write(tmp_path / "new.json", {}))
    assert (result.code, result.stdout.count("\n")) == (255, 300)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"S": {', "not JSON: Expecting property name enclosed in double quotes: line 1 column 8 (char 7)"),
        ("[]", "not a JSON object"),
        ("", "not JSON: Expecting value"),
        ("\udc80", "not JSON"),
    ],
)
def test_no_dump(text: str, expected: str, tmp_path: Path) -> None:
    """Input that is not a JSON object is an error that names the file."""
    broken = tmp_path / "broken.json"
    broken.write_bytes(text.encode(errors="surrogateescape"))
    good = write(tmp_path / "good.json", {})
    for argv in (("-s", broken, "-d", good), ("-s", good, "-d", broken)):
        assert f"{broken}: {expected}" in run_failing(3, "classic", *argv)
    assert "No such file" in run_failing(3, "classic", "-s", good, "-d", tmp_path / "missing.json")


def test_standard_input_twice() -> None:
    """Standard input can be given once."""
    assert "standard input" in run_failing(2, "classic", "-s", "-", "-d", "-")


def test_a_dump_that_lacks_something(tmp_path: Path) -> None:
    """Where the script crashes, vmdump prints the findings so far and an error with the section."""
    old = write(tmp_path / "old.json", {"R": {}, **dump_of(description("D", A))})
    new = write(tmp_path / "new.json", {"S": {}})
    result = run("classic", "-s", old, "-d", new)
    assert (result.code, result.stdout) == (3, 'Section "R" does not exist in dest\n')
    assert result.stderr == (
        "vmdump: section \"S\": no 'version_id' in one of the dumps; expected the output of -dump-vmstate\n"
    )


# Against the script -----------------------------------------------------------------------------------------------

Script = Callable[..., tuple[str, int | None]]


@pytest.fixture(scope="module")
def script() -> Script:
    """QEMU's script as a function that returns its output and its exit code, or None if it crashes."""
    path = os.environ.get("VMDUMP_CLASSIC_SCRIPT", "")
    require(path, "$VMDUMP_CLASSIC_SCRIPT, which .ci/classic-script fetches")
    code = compile(Path(path).read_bytes(), path, "exec")

    def run_script(*argv: object) -> tuple[str, int | None]:
        out = io.StringIO()
        namespace = {"__name__": "__main__"}
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
            patch.setattr(sys, "argv", [path, *map(str, argv)])
            try:
                exec(code, namespace)
            except SystemExit as end:
                assert isinstance(end.code, int)
                return out.getvalue(), end.code
            except (AttributeError, KeyError, TypeError):
                return out.getvalue(), None
        raise AssertionError("the script ends with sys.exit")

    return run_script


def real_pairs() -> Iterator[tuple[Path, Path]]:
    """All pairs of real dumps of one target."""
    for src, dest in itertools.permutations(REAL_DUMPS, 2):
        if target(src) == target(dest):
            yield src, dest


def target(path: Path) -> str:
    """Return the target of a path: x86_64 for qemu-7.2.22/x86_64-microvm.json.xz."""
    return path.name.partition(".")[0].removesuffix("-microvm")


@pytest.mark.qemu
@pytest.mark.parametrize("direction", [[], ["--reverse"]])
@pytest.mark.parametrize(
    ("src", "dest"),
    [
        pytest.param(*pair, id=" -> ".join(f"{p.parent.name}/{p.name.partition('.')[0]}" for p in pair))
        for pair in real_pairs()
    ],
)
def test_real_dumps(src: Path, dest: Path, direction: list[str], script: Script, tmp_path: Path) -> None:
    """For all pairs of real dumps of a target, output and exit code equal the script's."""
    plain = []
    for number, path in enumerate((src, dest)):
        plain.append(tmp_path / f"{number}.json")
        plain[-1].write_bytes(lzma.decompress(path.read_bytes()))
    result = run("classic", "-s", src, "-d", dest, *direction)
    assert (result.stdout, result.code) == script("-s", plain[0], "-d", plain[1], *direction)
    assert result.stderr == ""


#: Sections that the script treats specially, or with structs, arrays, unused bytes and subsections.
SECTIONS = ("ICH9-LPC", "apic", "cirrus-vga", "e1000", "hda-output", "isa-serial", "mch", "mc146818rtc", "pckbd",
            "PIIX3", "qxl", "sd-card", "usb-ccid",
            "usb-host", "usb-mouse", "vmware-svga", "xio3130-downstream")  # fmt: skip

NAMES = st.sampled_from(
    ["", "unused", "a", *SECTIONS, *RENAMED, *RENAMED_SECTIONS, *itertools.chain(*map(sorted, RENAMED.values()))]
)
NUMBERS = st.integers(0, 5)


@pytest.fixture(scope="module")
def sections() -> dict[str, Any]:
    """Real sections to mutate."""
    dump = json.loads(read_real_dump("10.0.13", "x86_64"))
    return {name: dump[name] for name in SECTIONS if name in dump}


def nodes(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every object and list of a dump with its key."""
    if isinstance(value, (dict, list)):
        yield key, value
        for name, inner in value.items() if isinstance(value, dict) else ((key, each) for each in value):
            yield from nodes(inner, name)


def change(draw: Callable[[st.SearchStrategy[Any]], Any], dump: dict[str, Any], breaking: bool) -> None:
    """Make one change anywhere in a dump; with breaking, the result need not be a dump."""
    found = list(nodes(dump))
    key, node = found[draw(st.integers(0, len(found) - 1))]
    if isinstance(node, list):
        change_list(draw, node, key)
    elif not node:
        node["Extra"] = draw(NUMBERS)
    elif node is dump:
        name = draw(st.sampled_from(sorted(dump)))
        section = dump.pop(name)
        if draw(st.booleans()):
            dump[draw(NAMES)] = section
    else:
        entry = draw(st.sampled_from(sorted(node)))
        if entry in ("Description", "Fields", "Subsections", "minimum_version_id", "Name", "num") or breaking:
            change_entry = st.sampled_from(["delete", "change"])
        else:
            change_entry = st.just("change")
        if draw(change_entry) == "delete":
            del node[entry]
        elif isinstance(node[entry], int):
            node[entry] = draw(NUMBERS)
        elif isinstance(node[entry], str):
            node[entry] = draw(NAMES)
        else:
            node[draw(st.sampled_from(["num", "Extra"]))] = draw(NUMBERS)


def change_list(draw: Callable[[st.SearchStrategy[Any]], Any], items: list[Any], key: str) -> None:
    """Change the number, order or nesting of items in a list of fields or subsections."""
    first, last = sorted((draw(st.integers(0, len(items))), draw(st.integers(0, len(items)))))
    some = items[first:last]
    if key == "Fields":
        ways: list[Callable[[], list[Any]]] = [
            list,
            lambda: some + copy.deepcopy(some),
            lambda: some[::-1],
            lambda: [field(draw(NAMES), draw(NUMBERS)), *some],
            lambda: [field("unused", draw(st.integers(1, 9)))],
            lambda: [field("unused", sum(item.get("size", 0) for item in some))],
            lambda: [struct(draw(NAMES), description(draw(NAMES), *some))],
            lambda: [inner for item in some for inner in item.get("Description", {}).get("Fields", [item])],
        ]
    else:
        ways = [
            list,
            lambda: some + copy.deepcopy(some),
            lambda: some[::-1],
            lambda: [description(draw(NAMES)), *some],
        ]
    items[first:last] = draw(st.sampled_from(ways))()


@pytest.mark.qemu
@pytest.mark.parametrize("breaking", [False, True])
@given(data=st.data())
@settings(max_examples=3 * EXAMPLES)
def test_changed_dumps(
    breaking: bool, data: st.DataObject, sections: dict[str, Any], script: Script, tmp_path: Path
) -> None:
    """For any changes to real sections, output and exit code equal the script's; if it crashes, the output is no more
    than its own.
    """
    names = data.draw(st.lists(st.sampled_from(sorted(sections)), min_size=1, max_size=3, unique=True))
    src = copy.deepcopy({name: sections[name] for name in names})
    for _ in range(data.draw(st.integers(0, 3))):
        change(data.draw, src, breaking=False)
    dest = copy.deepcopy(src)
    for _ in range(data.draw(st.integers(1, 6))):
        change(data.draw, dest, breaking)
    files = write(tmp_path / "src.json", src), write(tmp_path / "dest.json", dest)
    for direction in ([], ["--reverse"]):
        argv = ("-s", files[0], "-d", files[1], *direction)
        check_against(run("classic", *argv), *script(*argv))


def check_against(result: Result, text: str, code: int | None) -> None:
    """Compare vmdump's output and exit code with the script's."""
    if code is None:
        assert result.code == 3
        assert text.startswith(result.stdout)
        assert result.stderr.count("\n") == 1
    else:
        assert (result.stdout, result.code, result.stderr) == (text, code, "")
