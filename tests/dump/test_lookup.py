"""Lookup of names from QEMU's error lines, and suggestions for misspelt names."""

import gc
import io
import json
import weakref
from pathlib import Path
from typing import Any

import pytest
from support.descriptions import desc, dump, field, struct
from support.dumps import read_real_dump
from support.paths import DATA

import vmdump
from vmdump.check.tree_view import Native
from vmdump.cli import COMMANDS, main
from vmdump.cli.environment import Environment
from vmdump.dump.device import Device, StandaloneVMState
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.lookup import Part, section_name
from vmdump.dump.producer import Producer
from vmdump.dump.tree import parse
from vmdump.dump.type_patterns import matching_types
from vmdump.errors import VmdumpError
from vmdump.qemu.targets import TARGETS
from vmdump.qom.machines import find_machine
from vmdump.sources.session import Session

X86_64 = DATA / "dumps" / "qemu-7.2.22" / "x86_64.json.xz"


@pytest.fixture(scope="module")
def real() -> DeviceDump:
    """QEMU's own dump."""
    return vmdump.open(X86_64)


@pytest.fixture(scope="module")
def sections() -> dict[str, list[str]]:
    """The types of each section, in order, from the dump's JSON."""
    found: dict[str, list[str]] = {}
    for name, device in json.loads(read_real_dump("7.2.22", "x86_64")).items():
        if name != "vmschkmachine":
            found.setdefault(device["Description"]["name"], []).append(name)
    return found


def run(*argv: object) -> tuple[int, str, str]:
    """Return a command's exit code, stdout and stderr."""
    stdout, stderr = io.StringIO(), io.StringIO()
    environment = Environment(stdout=stdout, stderr=stderr, environ={})
    code = main([str(arg) for arg in argv], environment)
    return code, stdout.getvalue(), stderr.getvalue()


@pytest.mark.parametrize(
    ("text", "section"),
    [
        # From public reports of failed migrations.
        ("0000:00:01.3/piix4_pm", "piix4_pm"),
        ("'0000:00:02.0:00.0/virtio-net'", "virtio-net"),
        ("0000:00:02.0:00.0/virtio-net", "virtio-net"),
        ("'s390_css' 0", "s390_css"),
        ("'cpu' 0", "cpu"),
        ("cpu 0x0", "cpu"),
        ("0000:00:01.2/1/usb-tablet", "usb-tablet"),
        ("Missing section footer for 0000:00:03.0/virtio-gpu", "virtio-gpu"),
        ("error while loading state for instance 0x0 of device '0000:00:02.0:00.0/virtio-net'", "virtio-net"),
        ("Unknown savevm section or instance 'kvmclock' 0", "kvmclock"),
        ("e1000", "e1000"),
        ("", ""),
        ("'", "'"),
        ("/", ""),
    ],
)
def test_section_name(text: str, section: str) -> None:
    """The section name is extracted from QEMU's error lines."""
    assert section_name(text) == section


@pytest.mark.parametrize(
    "path", ["", "0000:00:01.3/", "0000:00:02.0:00.0/", "virtio-mmio@000000000a003e00/", "fe.0.0/"]
)
@pytest.mark.slow
def test_every_section(path: str, real: DeviceDump, sections: dict[str, list[str]]) -> None:
    """Every section of a real dump, with any device path before it, is found with all of its types. Without a path a
    QOM type of that name comes first.
    """
    for section, types in sections.items():
        found = [each.name for each in real.find(f"{path}{section}")]
        assert found == ([section] if not path and section in real else types)


def test_kinds() -> None:
    """Search order: type, section, nested description, then the same case-insensitively."""
    sub = desc("dev/sub", field("s"), needed=True)
    inner = desc("inner", field("i"))
    vmsd = desc("dev", struct("part", inner), subsections=[sub])
    root = desc("cpu", struct("part", desc("of-a-root", field("r"))))
    made = dump(TYPE=vmsd, other=desc("other", field("a")), dev2=vmsd, roots=((root, "register"),))

    def names(text: str) -> list[tuple[type, str]]:
        return [(type(each), each.name) for each in made.find(text)]

    assert names("TYPE") == [(Device, "TYPE")]
    assert names("dev") == [(Device, "TYPE"), (Device, "dev2")]
    assert names("0000:00:02.0/dev") == [(Device, "TYPE"), (Device, "dev2")]
    assert names("cpu 1") == [(StandaloneVMState, "cpu")]
    assert names("dev/sub") == [(Part, "dev/sub")]
    assert names("DEV") == names("dev")
    assert names("type") == names("TYPE")
    assert names("Inner") == names("inner") == [(Part, "inner")]
    (part,) = made.find("inner")
    assert isinstance(part, Part)
    assert part.holders == ("TYPE", "dev2")
    assert [each.name for each in part.vmsd.fields or ()] == ["i"]
    (part,) = made.find("of-a-root")
    assert isinstance(part, Part)
    assert part.holders == ("cpu",)
    assert names("nothing") == names("") == []


@pytest.mark.parametrize(("name", "fields"), [("dev/sub", ["b"]), ("dev", ["a", "b"]), ("cpu", ["c"])])
def test_what_is_found_keeps_the_tree(name: str, fields: list[str]) -> None:
    """A part, a device and a standalone description stay valid when the dump is gone, and keep nothing longer."""
    device = desc("dev", field("a"), subsections=[desc("dev/sub", field("b"))])
    made = dump(device, roots=((desc("cpu", field("c")), "register"),))
    tree = weakref.ref(made.tree)
    (found,) = made.find(name)
    del made
    gc.collect()
    assert tree() is not None
    assert [each.name for each in found.walk()] == fields
    del found
    gc.collect()
    assert tree() is None


def test_type_before_section() -> None:
    """A QOM type takes precedence over a section of that name; after a device path only sections match."""
    made = dump(serial=desc("uart", field("a")), isa_serial=desc("serial", field("b")))
    assert [each.name for each in made.find("serial")] == ["serial"]
    assert [each.name for each in made.find("0000:00:01.0/serial")] == ["isa-serial"]


def test_deep() -> None:
    """Deeply nested descriptions are searched."""
    vmsd = desc("bottom", field("a"))
    for _ in range(900):
        vmsd = desc("level", struct("s", vmsd))
    (part,) = dump(top=vmsd).find("bottom")
    assert isinstance(part, Part)
    assert part.holders == ("top",)


@pytest.mark.parametrize(
    ("pattern", "types"),
    [
        ("e1000*", ["e1000*"]),
        ("PIIX4_PM", ["PIIX4_PM"]),
        ("piix4_pm", ["PIIX4_PM"]),
        ("0000:00:01.3/piix4_pm", ["PIIX4_PM"]),
        ("0000:00:01.3/piix4_*", ["PIIX4_PM"]),
        ("piix4_P?", []),
        ("nothing", []),
    ],
)
def test_matching_types(pattern: str, types: list[str], real: DeviceDump) -> None:
    """A pattern that matches types is used unchanged; other names select the types with that section."""
    assert matching_types([real], pattern) == types


def test_patterns_are_escaped() -> None:
    """A type's name is not interpreted as a pattern."""
    made = dump(**{"a[1]": desc("dev", field("a"))})
    assert matching_types([made], "dev") == ["a[[]1]"]


@pytest.mark.parametrize(
    ("argv", "title"),
    [
        (["piix4_pm"], "PIIX4_PM"),
        (["0000:00:01.3/piix4_pm"], "PIIX4_PM"),
        (["'0000:00:01.3/piix4_pm'", "0"], "PIIX4_PM"),
        (["piix4_pm", "0x0"], "PIIX4_PM"),
        (["0000:00:02.0:00.0/virtio-net"], "virtio-net-device"),
        (["fdrive"], "fdrive, part of "),
    ],
)
def test_show(argv: list[str], title: str) -> None:
    """A name pasted from an error line shows the type's state."""
    code, out, err = run("show", X86_64, *argv)
    assert (code, err) == (0, "")
    assert out.startswith(title)


def test_show_several(sections: dict[str, list[str]]) -> None:
    """Equal trees are shown once with all their types, different ones separately."""
    code, out, _ = run("show", X86_64, "0000:00:02.0/e1000")
    assert code == 0
    assert out.splitlines()[0] == ", ".join(sections["e1000"])
    assert out.count("FIELD") == 1
    code, out, _ = run("show", X86_64, "0000:00:02.0/vga")
    assert code == 0
    assert out.count("FIELD") > 1
    for name in sections["vga"]:
        assert name in out


def test_show_no_description(tmp_path: Path) -> None:
    """A device without a description in an edited dump is shown as migrating nothing."""
    path = tmp_path / "dump.json"
    device = {"Name": "x", "version_id": 1, "minimum_version_id": 1}
    path.write_text(json.dumps({"vmschkmachine": {"Name": "none"}, "x": device}))
    assert run("show", path, "x") == (0, "x\n\nno Description, so no state is migrated\n", "")
    assert json.loads(run("devices", path, "--json")[1])[0]["description"] is None
    assert run("lint", path)[0] == 0


def test_no_section_without_description() -> None:
    """A device without a description has no section and hides no others."""
    data = json.loads(make_detailed().to_bytes(extended=True))
    edited = {"vmschkmachine": data.pop("vmschkmachine"), "x": {"Name": "x", "version_id": 1, "minimum_version_id": 1}}
    read = DeviceDump(parse(json.dumps({**edited, **data}).encode()), Producer("file"))
    assert not read["x"].has_description
    assert read.find("") == ()
    native = Native(read)
    assert list(native.devices) == ["dev"]
    assert native.detailed
    assert native.parents("dev") == ("device",)


def make_detailed() -> DeviceDump:
    """A dump with full metadata."""
    made = dump(dev=desc("dev", field("a")))
    made.detailed_tree.set_device_metadata(0, parents=["device"], abstract=False)
    return made


def test_edited_dump(tmp_path: Path) -> None:
    """check, lint, devices, show and classic read a dump whose Name differs from the key, as QEMU's dump2.json has; the
    section is found by Name.
    """
    vmsd = {"name": "fw_cfg", "version_id": 2, "minimum_version_id": 1, "Fields": []}
    facts = {"version_id": 2, "minimum_version_id": 1, "Description": vmsd}
    paths = {}
    for file, key in (("old", "fw_cfg"), ("new", "fw_cfg2")):
        paths[file] = tmp_path / f"{file}.json"
        paths[file].write_text(json.dumps({"vmschkmachine": {"Name": "pc"}, key: {"Name": "fw_cfg", **facts}}))
    assert run("check", paths["old"], paths["new"])[0] == 0
    assert run("lint", paths["new"])[0] == 0
    assert "fw_cfg2" in run("devices", paths["new"])[1]
    assert run("show", paths["new"], "fw_cfg")[1].startswith("fw_cfg2\n")
    # As the script says.
    assert run("classic", "-s", paths["old"], "-d", paths["new"]) == (
        1,
        'Section "fw_cfg" does not exist in dest\n',
        "",
    )


def test_check_type(tmp_path: Path) -> None:
    """--type accepts names from error lines; one that matches nothing is an error, also beside one that does."""
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    dump(PM=desc("piix4_pm", field("a")), e1000=desc("e1000", field("a"))).write(old, extended=True)
    dump(PM=desc("piix4_pm", field("b")), e1000=desc("e1000", field("a"))).write(new, extended=True)
    code, out, _ = run("check", old, new, "--direction", "forward", "--type", "0000:00:01.3/piix4_pm", "--verbose")
    assert code == 0
    assert "safe: PM: a is named b in the destination [field-renamed]" in out
    assert "e1000" not in out
    code, out, err = run("check", old, new, "--type", "e1000", "--type", "piix4-pm")
    assert (code, out) == (3, "")
    assert err == "vmdump: no type matches piix4-pm; did you mean piix4_pm?\n"


@pytest.mark.parametrize(
    ("argv", "words", "code"),
    [
        (["chek", "a", "b"], "no command 'chek'; did you mean check?; see vmdump --help", 2),
        (["devcies"], "did you mean devices?", 2),
        (
            ["check", "a", "b", "--fomat", "json"],
            "no option --fomat; did you mean --format?; see vmdump check --help",
            2,
        ),
        (["check", "a", "b", "--fomat=json"], "no option --fomat; did you mean --format?", 2),
        (["dump", "--machin", "pc"], "no option --machin; did you mean --machine?", 2),
        (["show", "-machine", "pc", "e1000"], "no option -machine; did you mean --machine?", 2),
        (["classic", "--source", "a", "--dest", "b"], "no option --source", 2),
        (["check", "a", "b", "--format", "jsn"], "invalid choice: 'jsn'; did you mean json?", 2),
        (["check", "a", "b", "--direction", "up"], "invalid choice: 'up'; choose from both, forward, backward", 2),
        (["query", "feild", "x"], "no query 'feild'; did you mean field?", 2),
        (["query", "device", "x", "--with", "devise=a"], "no parameter 'devise'; did you mean device?", 2),
        (["explain", "feild-added"], "no rule 'feild-added'; did you mean field-added?", 3),
        (["dump", "-M", "pc-q35-10.1"], "did you mean pc-q35-10.0?", 3),
        (["dump", "--arch", "arm64"], "--arch: no target 'arm64'; did you mean aarch64?", 2),
        (["devices", "--arch", "x86-64"], "--arch: no target 'x86-64'; did you mean x86_64?", 2),
        (["modules", "--arch", "vax"], "--arch: no target 'vax'; targets are aarch64, alpha", 2),
        (["show", "piix4-pm"], "did you mean PIIX4_PM or piix4_pm?", 3),
        (["show", "0000:00:01.3/piix4-pm"], "did you mean PIIX4_PM or piix4_pm?", 3),
    ],
)
def test_suggestions(argv: list[str], words: str, code: int) -> None:
    """Each kind of misspelt name gets a suggestion on one line."""
    got, out, err = run(*argv)
    assert (got, out) == (code, "")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option(command: str) -> None:
    """Every long option of every command, with a letter missing, is suggested."""
    from vmdump.cli import build_parser

    parser: Any = build_parser()
    (commands,) = parser._subparsers._group_actions
    options = [each for each in commands.choices[command]._option_string_actions if each.startswith("--")]
    for option in options:
        if len(option) > 5 and option[:-1] not in options:
            code, _, err = run(command, option[:-1])
            assert code == 2
            assert option in err


def test_known_arch(tmp_path: Path) -> None:
    """Every target of QEMU is known, and every target of a module."""
    for arch in TARGETS:
        assert run("modules", "--arch", arch)[0] == 0
    (tmp_path / "mine.py").write_text('MODULE = {"arch": "vax", "objs": ["x"]}\ndef init(session):\n    pass\n')
    rows = Session(module_dirs=[tmp_path]).modules.states()
    code = run("modules", "--arch", "vax", "--module-dir", tmp_path)[0]
    assert code == (0 if any(row.arch == "vax" for row in rows) else 2)


def test_machine() -> None:
    """An unknown machine type gets suggestions from names and aliases."""
    with Session() as session, pytest.raises(VmdumpError, match=r"; did you mean q35\?$"):
        find_machine(session.types, "q36")
