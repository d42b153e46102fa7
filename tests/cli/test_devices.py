"""vmdump devices."""

import json
import re
from pathlib import Path

from support.commands import run


def test_devices(x86_64: bytes, dump_file: Path) -> None:
    """The table has a line for each device, sorted; metadata that a dump file lacks has no column."""
    head, *lines = run("devices", dump_file).stdout.splitlines()
    assert head.split() == ["TYPE", "DESCRIPTION", "VERSION", "MIN", "FIELDS", "SUBS"]
    start, end = head.index("DESCRIPTION"), head.index("VERSION")
    for number in ("VERSION", "MIN", "FIELDS", "SUBS"):  # right-aligned
        assert all(line[head.index(number) + len(number) - 1].isdigit() for line in lines)
    written = json.loads(x86_64)
    del written["vmschkmachine"]
    assert [(line[:start].rstrip(), line[start:end].rstrip(), *line[end:].split()) for line in lines] == [
        (
            name,
            device["Description"]["name"],
            str(device["version_id"]),
            str(device["minimum_version_id"]),
            str(json.dumps(device).count('"field"')),
            str(len(device["Description"].get("Subsections", []))),
        )
        for name, device in sorted(written.items())
    ]


def test_devices_of_modules(module: Path) -> None:
    """For vmdump's own devices the table has the parent, for modules' devices the module."""
    result = run("devices", "--module", module)
    assert (result.code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][-3:] == ["SUBS", "PARENT", "MODULE"]
    assert ["my-device", "my", "3", "2", "8", "2", "my-bridge", "my-device"] in lines
    assert ["VGA", "vga"] in [line[:2] for line in lines if line[-2:] == ["pci-vga", "-"]]


def test_devices_json(x86_64: bytes, dump_file: Path, module: Path) -> None:
    """--json has the documented keys in the order of the dump; unknown values are null."""
    devices = json.loads(run("devices", "--json", dump_file).stdout)
    written = json.loads(x86_64)
    assert [device["type"] for device in devices] == list(written)[1:]
    (e1000,) = (device for device in devices if device["type"] == "e1000")
    assert e1000 == {
        "type": "e1000", "description": "e1000", "version_id": 2, "minimum_version_id": 1,
        "fields": json.dumps(written["e1000"]).count('"field"'), "subsections": 3,
        "abstract": None, "parents": None, "desc": None, "module": None,
    }  # fmt: skip
    documented = re.findall(r"\w+", run("devices", "--help").stdout.partition("the keys are\n")[2])
    assert set(e1000) <= set(documented)
    (mine,) = (
        device
        for device in json.loads(run("devices", "--json", "--module", module).stdout)
        if device["type"] == "my-device"
    )
    assert (mine["abstract"], mine["parents"], mine["module"]) == (
        False,
        ["my-bridge", "device", "object"],
        "my-device",
    )
