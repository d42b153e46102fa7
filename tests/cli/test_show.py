"""vmdump show."""

import io
import re
from pathlib import Path

import pytest
from support.commands import run, run_failing

from vmdump.cli.terminal import device_tree as tree

TREE = """\
my-device < my-bridge < device < object, from module my-device
A \\x1b[31mred device

FIELD         BYTES  TYPE
my                   version 3, minimum 2, priority PCI_BUS, unmigratable
├─ mode           1  uint8, if is_wide
├─ mode is known     no data; loading fails unless mode_ok
├─ regs       4 x 4  uint32, since version 2
├─ queue          2  my/queue (version 2, minimum 1), since version 1
│  └─ rptr        2  uint16
├─ queues     n x 2  my/queue (version 2, minimum 1)
│  └─ rptr        2  uint16
├─ buf            n  buffer, since version 3, conditional
├─ my/extra          subsection, version 1, if extra_needed
│  └─ unused      2  unused_buffer
└─ my/nothing        subsection, version 1, no fields
"""


class Terminal(io.TextIOWrapper):
    """A standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_show(module: Path) -> None:
    """The tree of a device with every construct."""
    result = run("show", "my-device", "--module", module)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout == TREE


def test_show_ascii(module: Path) -> None:
    """If the encoding lacks box characters, branches are ASCII."""
    result = run("show", "my-device", "--module", module, encoding="ascii")
    assert result.stdout == TREE.replace("├─", "|-").replace("└─", "`-").replace("│", "|")


@pytest.mark.parametrize("command", ["show", "devices"])
@pytest.mark.parametrize(
    ("environ", "is_coloured"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_colours(command: str, environ: dict[str, str], is_coloured: bool, module: Path) -> None:
    """A terminal gets the same text with colours; names cannot add escape sequences."""
    argv = (command, *(["my-device"] if command == "show" else []), "--module", module)
    plain, drawn = run(*argv).stdout, run(*argv, stdout=Terminal, **environ).stdout
    assert ("\x1b[" in drawn) == is_coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", drawn) == plain


@pytest.mark.parametrize(
    "argv", [["SOURCE", "e1000"], ["SOURCE", "--timeout", "9", "e1000"], ["--timeout", "9", "SOURCE", "e1000"]]
)
def test_show_of_a_file(argv: list[str], dump_file: Path) -> None:
    """The tree of a dump file shows what the file has; options may be anywhere."""
    result = run("show", *(str(dump_file) if arg == "SOURCE" else arg for arg in argv))
    lines = result.stdout.splitlines()
    assert lines[0] == "e1000"
    assert [line.split() for line in lines[3:8]] == [
        ["e1000", "version", "2,", "minimum", "1"],
        ["├─", "parent_obj", "2608", "PCIDevice", "(version", "2,", "minimum", "1)"],
        ["│", "├─", "version_id", "4"],
        ["│", "├─", "config", "256", "conditional"],
        ["│", "├─", "config", "4096", "conditional"],
    ]
    assert ["├─", "mac_reg", "128", "x", "4"] in [line.split() for line in lines]


def test_show_without_description(module: Path) -> None:
    """A device type without a description is reported without an error."""
    result = run("show", "my-bridge", "--module", module)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout == "my-bridge: no VMStateDescription, so no state is migrated\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "e1001",
            "no device type, section or description is called 'e1001'; did you mean e1000",
        ),
        ("E100", "did you mean e1000"),
        ("zzzzzz", "vmdump devices lists the types"),
    ],
)
def test_show_unknown(name: str, expected: str, dump_file: Path) -> None:
    """An unknown type is an error with the nearest names."""
    assert expected in run_failing(3, "show", dump_file, name)


def test_show_no_device() -> None:
    """A type that is no device is unknown here, description or not."""
    assert "description is called 'none-machine'" in run_failing(3, "show", "none-machine")


def nested(depth: int, times: int) -> str:
    """A module with a device whose description nests others, each several times."""
    return f"""
VMDUMP_STAMP = 1
module_info = {{"objs": ["deep"]}}
from vmdump.qom import TypeInfo
from vmdump.vmstate import *
vmsd = VMStateDescription("leaf", fields=[VMStateField("x", size=1)])
for level in range({depth}):
    vmsd = VMStateDescription("d", fields=[VMStateField("f", flags=VMStateFlags.STRUCT, vmsd=vmsd)] * {times})
def class_init(klass, data): klass.vmsd = vmsd
def vmdump_module_init(types): types.type_register(TypeInfo("deep", parent="device", class_init=class_init))
"""


def test_show_deep(tmp_path: Path) -> None:
    """Descriptions nested deeper than Python's stack are shown."""
    (tmp_path / "deep.py").write_text(nested(900, 1))
    result = run("show", "deep", "--module", tmp_path / "deep.py")
    assert result.code == 0
    assert len(result.stdout.splitlines()) == 3 + 1 + 900 + 1


def test_show_endless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tree that expands exponentially is refused at once."""
    (tmp_path / "deep.py").write_text(nested(30, 2))
    monkeypatch.setattr(tree, "MAX_LINES", 1000)
    assert "deep: more than 1000 lines, the limit" in run_failing(3, "show", "deep", "--module", tmp_path / "deep.py")
