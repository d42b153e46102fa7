"""What ``vmdump`` without arguments prints: commands to try with the QEMUs that are installed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping


def first_steps(environ: Mapping[str, str]) -> str:
    """Return the text."""
    from vmdump.sources.installed import installed_qemus

    found = installed_qemus(environ)
    lines = [f"vmdump {__version__}: which device state a QEMU migrates, and whether another QEMU can load it", ""]
    if found:
        qemu = next((each for each in found if each.endswith("x86_64")), found[0])
        others = f", and {len(found) - 1} more" if len(found) > 1 else ""
        lines += [f"QEMU is installed here: {qemu}{others}. vmdump reads it without running it:", ""]
        examples = {
            f"vmdump devices {qemu}": "its device classes",
            f"vmdump machines {qemu}": "its machine types",
            f"vmdump lint {qemu}": "defects of its device state",
            f"vmdump check {qemu} NEW": "can NEW load its VMs? NEW: a binary or a dump",
        }
    else:
        lines += ["No QEMU is installed here; vmdump also reads binaries and packages that are not installed:", ""]
        examples = {
            "vmdump check OLD NEW": "can NEW load VMs of OLD? two binaries or dumps",
            "vmdump gate OLD NEW": "the same for directories of packages",
        }
    examples |= {
        "vmdump stream FILE": "what a saved VM contains",
        'vmdump explain "LINE"': "what QEMU's error line means",
        "vmdump show e1000": "the state of a device",
    }
    width = max(map(len, examples))
    lines += [f"  {command:{width}}  {what}" for command, what in examples.items()]
    return "\n".join([*lines, "", "vmdump --help lists all commands; vmdump doctor checks the installation."])
