"""Error lines quoted in findings are those that the QEMU in question prints."""

import contextlib
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from support.descriptions import desc, field
from support.descriptions import dump as make_dump
from support.qemu import find_qemu

import vmdump
from vmdump.check.checker import Labelled, check
from vmdump.check.lint import lint
from vmdump.check.rules import rule, rule_ids
from vmdump.cli import main
from vmdump.cli.environment import Environment
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Producer, producer_from_json, producer_to_json
from vmdump.errors import SourceError
from vmdump.qemu.error_lines import LINES, ErrorLines, find_formats, match, version_of

IMAGES = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))

#: Error lines of real QEMUs (Debian's 7.2.22 and 11.1.2) that load e1000's section from their own stream with one
#: change. By key: arguments, and lines.
E1000 = "0000:00:02.0/e1000"
PRINTED: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown_section": (
        {"section": "0000:00:02.0/e1001", "instance": 0},
        "qemu-system-x86_64: Unknown savevm section or instance '0000:00:02.0/e1001' 0. Make sure that your current VM "
        "setup matches your saved VM setup, including any hotplugged devices",
        "qemu-system-x86_64: load of migration failed: Invalid argument: Unknown section or instance "
        "'0000:00:02.0/e1001' 0. Make sure that your current VM setup matches your saved VM setup, including any "
        "hotplugged devices",
    ),
    "unsupported_version": (
        {"section": E1000, "version": 9, "local": 2},
        "qemu-system-x86_64: savevm: unsupported version 9 for '0000:00:02.0/e1000' v2",
        "qemu-system-x86_64: load of migration failed: Invalid argument: unsupported version 9 for "
        "'0000:00:02.0/e1000' v2",
    ),
    "version_too_old": (
        {"section": "e1000", "version": 0, "minimum": 1},
        "qemu-system-x86_64: e1000: incoming version_id 0 is too old for local minimum version_id  1",
        "qemu-system-x86_64: load of migration failed: Invalid argument: error while loading state for instance 0x0 of "
        "device '0000:00:02.0/e1000': e1000: incoming version_id 0 is too old for local minimum version_id 1",
    ),
    "version_too_new": (
        {"section": E1000, "description": "e1000", "subsection": "e1000/full_mac_state", "version": 9, "local": 1},
        "qemu-system-x86_64: e1000/full_mac_state: incoming version_id 9 is too new for local version_id 1",
        "qemu-system-x86_64: load of migration failed: Invalid argument: error while loading state for instance 0x0 of "
        "device '0000:00:02.0/e1000': Loading VM subsection 'e1000/full_mac_state' in 'e1000' failed: "
        "e1000/full_mac_state: incoming version_id 9 is too new for local version_id 1",
    ),
    "missing_footer": (
        {"section": E1000},
        "qemu-system-x86_64: Missing section footer for 0000:00:02.0/e1000",
        "qemu-system-x86_64: Missing section footer for 0000:00:02.0/e1000",
    ),
    "load_failed": (
        {"section": E1000, "instance": 0},
        "qemu-system-x86_64: error while loading state for instance 0x0 of device '0000:00:02.0/e1000'",
        "qemu-system-x86_64: load of migration failed: Invalid argument: error while loading state for instance 0x0 of "
        "device '0000:00:02.0/e1000': VM subsection 'e1000/full_mac_stat2' in 'e1000' does not exist",
    ),
}


@pytest.mark.parametrize("key", PRINTED)
def test_as_printed(key: str) -> None:
    """The quoted line is a part of the line that the real QEMU printed, which is recognised."""
    facts, old, new = PRINTED[key]
    for version, line in (("7.2.22", old), ("QEMU emulator version 11.1.2 (Debian 1:11.1.2+ds-3)", new)):
        assert ErrorLines({}, version).quote(key, facts) in line
        found = match(line)
        assert found is not None
        assert found[0] == key
        assert found[1].get("section") in (None, facts["section"], facts.get("subsection"))


@pytest.mark.parametrize(
    ("version", "machine", "expected"),
    [
        ("QEMU emulator version 10.1.5", "pc-q35-10.1", (10, 1)),
        ("QEMU emulator version 10.2.0 (v10.2.0-dirty)", "pc-q35-7.2", (10, 2)),
        ("11.1.2", None, (11, 1)),
        (None, "pc-i440fx-11.1", (11, 1)),
        (None, "virt-10.2", (10, 2)),
        (None, "pc-q35-rhel9.6.0", None),
        (None, "none", None),
        ("vmdump 0.1", "s390-ccw-virtio-9.1", (9, 1)),
    ],
)
def test_version(version: str | None, machine: str | None, expected: tuple[int, int] | None) -> None:
    """Without a version, the machine type gives a lower bound."""
    assert version_of(version, machine) == expected
    is_new = expected is not None and expected >= (10, 2)
    quoted = ErrorLines({}, version, machine).quote("unknown_section", {"section": "x", "instance": 0})
    assert quoted == ("Unknown section or instance 'x' 0" if is_new else "Unknown savevm section or instance 'x' 0")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\0Missing section footer for %s\0", "Missing section footer for %s"),
        (b"\0No section footer for %s found\0", "No section footer for %s found"),
        (b"Missing section footer for %s\0", None),
        (b"\0Missing section footer for %s", None),
        (b"\0" + b"x" * 500 + b"section footer for %s\0", None),
        (b"\0section footer for %s" + b"x" * 500 + b"\0", None),
        (b"\0\xffsection footer for %s\0\0a section footer for %s\0", "a section footer for %s"),
        (b"\0\nsection footer for %s\0" * 20 + b"\0section footer for %s\0", None),
        (b"", None),
    ],
)
def test_find(data: bytes, found: str | None) -> None:
    """A format string is the C string around its anchor, with a length limit."""
    assert find_formats(data).get("missing_footer") == found


@pytest.mark.parametrize(
    ("format", "quoted"),
    [
        ("Unknown section or instance '%s' %u. Check the setup", "Unknown section or instance 'x' 3"),
        ("%s: no section or instance '%s' %u here", "section or instance 'x' 3 here"),
        ("section or instance '%s' %u of %s", "section or instance 'x' 3"),
        ("section or instance '%s' %u: ", "section or instance 'x' 3"),
        ("something else %n%n", "Unknown savevm section or instance 'x' 3"),
        ("section or instance '%s' %u" + "!" * 1000, "Unknown savevm section or instance 'x' 3"),
    ],
)
def test_any_format(format: str, quoted: str) -> None:
    """Of an unknown format string, the part with known arguments is quoted."""
    lines = ErrorLines({"unknown_section": format})
    assert lines.quote("unknown_section", {"section": "x", "instance": 3}) == quoted


@pytest.mark.parametrize("name", rule_ids())
def test_rules_quote_by_key(name: str) -> None:
    """No rule contains the text of an error line, as it differs between versions."""
    message, error = rule(name).MESSAGE, rule(name).ERROR or ""
    for forms in LINES.values():
        for form in forms:
            words = max(form.anchor.replace("0x%x", "%x").replace("%s", "%").split("%"), key=len).strip(" '")
            assert words not in f"{message} {error}"
    texts = [error] if isinstance(error, str) else error.values()
    names = {each for text in texts for _, each, _, _ in Formatter().parse(text) if each}
    assert names - {"refusal"} <= LINES.keys()  # what the destination's own code said in the emulator
    assert set(rule(name).lines()) == names & LINES.keys()
    for key in rule(name).lines():
        assert "QEMU prints: " in rule(name).text()
        assert key in LINES


def labelled(label: str, vmsd: Any, version: str | None, **formats: str) -> Labelled:
    """A dump of one device "dev" from a given QEMU."""
    tree = make_dump(dev=vmsd).tree
    return Labelled(label, DeviceDump(tree, Producer("image", version=version, error_lines=tuple(formats.items()))))


def messages(source: Labelled, destination: Labelled) -> str:
    """The findings in one direction."""
    result = check([source, destination], directions=[(0, 1)])
    return "\n".join(finding.sentence for (types,) in [result.results.values()] for each in types
                     for finding in each.findings)  # fmt: skip


def test_destination() -> None:
    """The lines are the destination's: from its image, else of its version; per direction."""
    newer, older = desc("dev", field("a"), version_id=2), desc("dev", field("a"))
    old, new = labelled("old", older, "7.2.22"), labelled("new", newer, "11.1.2")
    assert "`savevm: unsupported version 2 for 'dev' v1`" in messages(new, old)
    new = labelled("new", older, "11.1.2")
    old = labelled("old", newer, "7.2.22")
    assert "`unsupported version 2 for 'dev' v1`" in messages(old, new)
    image = labelled("image", older, "7.2.22", unsupported_version="backported: unsupported version %d for '%s' v%d")
    assert "`backported: unsupported version 2 for 'dev' v1`" in messages(old, image)
    other = labelled("new", desc("other", field("a")), "11.1.2")
    assert "`Unknown section or instance 'dev' 0`" in messages(old, other)


def test_source() -> None:
    """The source prints that a device blocks migration."""
    blocked = desc("dev", field("a"), unmigratable=True)
    source = labelled("a", blocked, "7.2.22", unmigratable="Here: State blocked by non-migratable device '%s'")
    destination = labelled("b", desc("dev", field("a")), "11.1.2")
    assert "`Here: State blocked by non-migratable device 'dev'`" in messages(source, destination)


def test_lint() -> None:
    """For a single dump, the lines are those of its own QEMU."""
    vmsd = desc("dev", field("a"), version_id=1, minimum_version_id=2)
    for version, line in (("10.0.13", "version_id  2`"), ("11.1.2", "version_id 2`")):
        (finding,) = lint(labelled("x", vmsd, version))
        assert f"`dev: incoming version_id 1 is too old for local minimum {line}" in finding.sentence


def test_producer() -> None:
    """The formats are kept by the cache and the extended dump's JSON; malformed ones are refused."""
    producer = Producer("image", error_lines=(("missing_footer", "Missing section footer for %s"),))
    assert Producer.from_plain(producer.to_plain()) == producer
    again = producer_from_json(producer_to_json(producer), "x.json")
    assert again.error_lines == producer.error_lines
    for wrong in (b'{"error_lines": []}', b'{"error_lines": {"missing_footer": 1}}', b'{"error_lines": "x"}'):
        with pytest.raises(SourceError, match="may have been edited"):
            producer_from_json(wrong, "x.json")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (PRINTED["missing_footer"][2], ["field-added ", f" --type {E1000} finds"]),
        (
            PRINTED["unknown_section"][2],
            ["type-absent ", "section-renamed ", "QEMU 10.2 and newer", " --type 0000:00:02.0/e1001 finds"],
        ),
        (PRINTED["version_too_new"][2], ["subsection-version ", " --type e1000/full_mac_state finds"]),
        ("Failed to load virtio-net:virtio", ["value-compared ", " --type virtio-net finds"]),
    ],
)
def test_explain(line: str, words: list[str]) -> None:
    """An error line is explained by the rules that predict it."""
    stdout, stderr = io.StringIO(), io.StringIO()
    assert main(["explain", line], Environment(stdout=stdout, stderr=stderr, environ={})) == 0
    for each in words:
        assert each in stdout.getvalue()


# Real binaries ----------------------------------------------------------------------------------------------------


def binaries() -> list[Path]:
    """One binary of each release: 5.2, 7.2, 10.0, 11.1; hosts x86-64 and AArch64."""
    return sorted(IMAGES.glob("roots/*/usr/bin/qemu-system-x86_64"))


@pytest.mark.parametrize("path", binaries(), ids=str)
def test_images(path: Path) -> None:
    """All formats are found in every release and agree with the table."""
    data = path.read_bytes()
    found = find_formats(data)
    assert found.keys() == LINES.keys()
    for text in found.values():
        assert b"\0" + text.encode() + b"\0" in data
    is_new = b"QEMU emulator version 11." in data or b"\x0011.1" in data
    assert found["unknown_section"].startswith("Unknown section" if is_new else "Unknown savevm section")
    version = "11.1.2" if is_new else "7.2.22"
    for key, text in found.items():
        assert text == ErrorLines({}, version)._form(key)[1]


@pytest.mark.qemu
def test_image_producer() -> None:
    """An image has its formats, read or cached; without details there are none."""
    path = find_qemu("x86_64")
    data = Path(path).read_bytes()
    for cache in (False, True, True):
        lines = dict(vmdump.open(path, cache=cache).producer.error_lines)
        assert lines.keys() == LINES.keys()
        assert all(b"\0" + text.encode() + b"\0" in data for text in lines.values())


def mutations(stream: bytes) -> Iterator[tuple[str, bytes]]:
    """Streams with one error in e1000's section, and the key of the resulting line."""
    name = bytes([len(E1000)]) + E1000.encode()  # without its length, the ROM's is found
    begin = stream.index(name)
    version = begin + 1 + len(E1000) + 4  # after the instance id
    footer = stream.index(b"\x7e" + stream[begin - 4 : begin], begin)
    subsection = stream.index(b"e1000/full_mac_state", begin) + len("e1000/full_mac_state")
    yield "unknown_section", stream.replace(name, name[:-1] + b"1")
    yield "unsupported_version", stream[:version] + b"\0\0\0\x09" + stream[version + 4 :]
    yield "version_too_old", stream[:version] + b"\0\0\0\0" + stream[version + 4 :]
    yield "version_too_new", stream[:subsection] + b"\0\0\0\x09" + stream[subsection + 4 :]
    yield "missing_footer", stream[: footer - 4] + stream[footer:]
    yield "load_failed", stream[: subsection - 1] + b"2" + stream[subsection:]


@pytest.mark.qemu
def test_real_migration(tmp_path: Path) -> None:
    """The line quoted for an image is in that QEMU's output when it loads such a stream."""
    path = find_qemu("x86_64")
    command = [path, "-M", "pc", "-m", "16", "-nodefaults", "-display", "none", "-S", "-device", "e1000"]
    stream = tmp_path / "stream"
    monitor = [*command, "-monitor", "stdio"]
    subprocess.run(monitor, input=f'migrate "exec:cat > {stream}"\nquit\n', text=True, capture_output=True, timeout=60)
    lines = ErrorLines.of(vmdump.open(path))
    for key, data in mutations(stream.read_bytes()):
        stream.write_bytes(data)
        incoming = [*command, "-incoming", f"exec:cat {stream}"]
        printed = ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            printed = subprocess.run(incoming, text=True, capture_output=True, timeout=60).stderr
        assert lines.quote(key, PRINTED[key][0]) in printed
