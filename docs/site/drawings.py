"""The drawings of docs/images: each a function. Run this file to write them; in the site they are part of the page.

As a part of the page a drawing has the colours that the reader has chosen; as a file, those of the system.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from canvas import WIDTH, Canvas

IMAGES = Path(__file__).parents[1] / "images"

#: An image of Markdown that is a drawing: its text and name.
_IMAGE = re.compile(r"^!\[([^\]]*)\]\([./]*images/([a-z-]+)\.svg\)$", re.MULTILINE)


def binary_to_dump() -> Canvas:
    """From a QEMU binary to a dump: the emulator reads it, the C core writes it."""
    canvas = Canvas(548, "From a QEMU binary to a dump")
    steps = (
        ("QEMU binary and its modules", "ELF, PE or Mach-O"),
        ("guest memory", "mapped and relocated: emulator/objects/"),
        ("constructors", "register the type_init functions: emulator/boot.py"),
        ("type registration", "types and modules in QEMU's order: qom/, modules/"),
        ("class_init of each device class", "sets DeviceClass.vmsd"),
        ("VMStateDescriptions", "read from guest memory: csrc/guest/"),
        ("tree", "descriptions shared by pointer: csrc/tree/"),
        ("dump", "QEMU's bytes: csrc/dump/"),
    )
    canvas.frame(20, 124, 440, 212, "executed by Unicorn")
    canvas.text(450, 141, "libc and GLib are vmdump's own", anchor="end", size=11)
    ys = (8, 72, 150, 212, 274, 354, 424, 494)
    for index, ((text, note), y) in enumerate(zip(steps, ys, strict=True)):
        canvas.box(60, y, 360, 46, text, note, accent=index in (0, 7))
        if index:
            canvas.arrow((240, ys[index - 1] + 46), (240, y))
    return canvas


def whole_machine() -> Canvas:
    """A whole machine: booted once, copied for each question."""
    canvas = Canvas(322, "A whole machine in the emulator")
    canvas.box(60, 8, 360, 46, "constructors", "as for a dump")
    canvas.box(
        60, 78, 360, 46, "qemu_init(argc, argv)", "machine, devices, vCPUs, reset: emulator/machine.py", accent=True
    )
    canvas.box(60, 148, 360, 46, "snapshot", "of memory, CPU, the host's tables: csrc/guest/snapshot.c")
    canvas.arrow((240, 54), (240, 78))
    canvas.arrow((240, 124), (240, 148))
    for x, text, note in (
        (8, "QMP handlers", "qmp_commands.py"),
        (168, "save and load", "migration.py"),
        (328, "traced functions", "trace.py"),
    ):
        canvas.box(x, 256, 144, 52, text, note)
        canvas.arrow((240, 194), (240, 226), (x + 72, 226), (x + 72, 256))
    return canvas


def check() -> Canvas:
    """How a check comes to a verdict."""
    canvas = Canvas(486, "How vmdump check comes to a verdict")
    for x, name in ((20, "OLD"), (260, "NEW")):
        canvas.box(x, 8, 200, 46, f"descriptions of {name}", "binary, dump or saved VM")
        canvas.arrow((x + 100, 54), (x + 100, 84))
    canvas.box(20, 84, 200, 46, "what OLD sends", "check/stream.py")
    canvas.box(260, 84, 200, 46, "what NEW reads", "check/stream.py")
    canvas.arrow((120, 130), (120, 146), (200, 146), (200, 162))
    canvas.arrow((360, 130), (360, 146), (280, 146), (280, 162))
    canvas.box(110, 162, 260, 46, "both side by side", "check/compare.py")
    canvas.arrow((240, 208), (240, 236))
    canvas.box(110, 236, 260, 46, "rules", "one file each: check/rules/")
    canvas.arrow((240, 282), (240, 310), text="a condition, or code")
    canvas.box(60, 310, 360, 46, "VMs of the machine type", "QEMU's own functions decide: check/evaluated/")
    canvas.arrow((240, 356), (240, 384), text="--confirm")
    canvas.box(60, 384, 360, 46, "a migration", "saved by OLD, loaded by NEW: migrate/")
    canvas.text(240, 468, "breaks   conditional   absent   unknown   safe", anchor="middle", bold=True)
    canvas.arrow((240, 430), (240, 454))
    return canvas


def migration() -> Canvas:
    """A migration that is tried."""
    canvas = Canvas(408, "How vmdump migrate tries a migration")
    canvas.box(20, 8, 200, 52, "OLD", "emulated: boots and saves", accent=True)
    canvas.box(260, 8, 200, 52, "NEW", "emulated: -incoming defer", accent=True)
    canvas.arrow((120, 60), (120, 92))
    canvas.box(20, 92, 200, 46, "migration stream", "migrate/incoming_stream.py")
    canvas.arrow((220, 115), (260, 115))
    canvas.box(260, 92, 200, 46, "qemu_loadvm_state", "QEMU's own code loads")
    canvas.arrow((360, 60), (360, 92))
    canvas.arrow((300, 138), (300, 180), text="refused")
    canvas.box(20, 180, 296, 46, "section, field, QEMU's lines", "left out, and the load repeated: migrate/trial.py")
    canvas.arrow((120, 180), (120, 138))
    canvas.arrow((410, 138), (410, 254), text="loaded")
    canvas.box(260, 254, 200, 46, "NEW saves again", "migrate/compare.py")
    canvas.arrow((360, 300), (360, 336))
    canvas.arrow((120, 226), (120, 336))
    canvas.box(20, 336, 200, 46, "fails, crashes, absent", "blocked, does-not-start")
    canvas.box(260, 336, 200, 46, "loads, or misloads", "with the fields that changed")
    return canvas


def stream() -> Canvas:
    """The parts of a migration stream."""
    canvas = Canvas(330, "A migration stream")
    rows = (
        ("QEVM, version 3", "8 bytes"),
        ("configuration", "machine type, capabilities"),
        ("RAM", "pages of each RAM block; in several sections"),
        ("section: id, name, instance, version", "one for each device; its fields follow"),
        ("subsections", "name and version, if needed"),
        ("footer: 0x7e, id", "shows that both sides read as much as was sent"),
        ("end", "then the vmdescription: names and sizes of all fields"),
    )
    for index, (text, note) in enumerate(rows):
        canvas.box(
            20 if index not in (4,) else 60,
            8 + index * 45,
            WIDTH - (40 if index != 4 else 80),
            41,
            text,
            note,
            accent=index in (3, 4, 5),
        )
    return canvas


#: The drawings by the name of their file.
DRAWINGS: dict[str, Callable[[], Canvas]] = {
    "binary-to-dump": binary_to_dump,
    "whole-machine": whole_machine,
    "check": check,
    "migration": migration,
    "stream": stream,
}


def inlined(markdown: str) -> str:
    """Return a page's text with its drawings as SVG in the page."""
    return _IMAGE.sub(lambda match: _figure(*match.groups()) if match[2] in DRAWINGS else match.group(), markdown)


def _figure(text: str, name: str) -> str:
    return f'<div class="drawing" title="{text}">{DRAWINGS[name]().svg(is_file=False)}</div>'


if __name__ == "__main__":
    for name, drawing in DRAWINGS.items():
        (IMAGES / f"{name}.svg").write_text(drawing().svg(is_file=True) + "\n")
