"""Explanations as text: layout, width, colours, and the rules that predict a line."""

import json

import pytest

from vmdump.explain.explainer import explain
from vmdump.report.explanation import as_json, rules_of, text, type_of
from vmdump.report.options import Options

LOG = """\
Features 0x3 unsupported. Allowed features: 0x1
Failed to load virtio-scsi:virtio
error while loading state for instance 0x0 of device '0000:00:02.0/virtio-scsi'
load of migration failed: Operation not permitted
"""


def test_brief_where_a_cause_is() -> None:
    """Beside a cause, lines that say where it happened have no remedy and no source; alone they have."""
    blocks = text(explain(LOG), Options()).split("\n\n")
    assert len(blocks) == 4
    assert ["remedy: " in block for block in blocks] == [True, False, False, False]
    assert ["in QEMU: " in block for block in blocks] == [True, False, False, False]
    alone = text(explain("Failed to load virtio-scsi:virtio"), Options())
    assert "in QEMU: migration/vmstate.c vmstate_load_state" in alone
    assert "value-compared" in alone


def test_repeated_kind() -> None:
    """Remedy and rules are shown once for several lines of a kind, each line's own values always."""
    lines = text(explain("Missing section footer for a/e1000\nMissing section footer for b/e1000"), Options())
    assert lines.count("remedy: ") == lines.count("rules that predict it:") == 1
    assert lines.count("  the destination read fewer or more bytes") == 2


@pytest.mark.parametrize("width", [40, 60, 100, 120])
def test_width(width: int) -> None:
    """Lines are broken to the width, the message and words excepted."""
    first, *lines = text(explain("Missing section footer for dev"), Options(width=width)).splitlines()
    assert first == "Missing section footer for dev"
    assert all(len(line) <= width for line in lines if "  vmdump check " not in line)


def test_colours() -> None:
    """With colours the message is bold; without escape sequences the text is the same."""
    import re

    plain, coloured = (text(explain(LOG), Options(colours=each)) for each in (False, True))
    assert "\x1b[1mFeatures" in coloured
    assert re.sub("\x1b\\[[0-9]*m", "", coloured) == plain


@pytest.mark.parametrize(
    ("line", "rule", "name"),
    [
        ("Missing section footer for x/dev", "field-added", "x/dev"),
        ("Failed to load dev:a", "value-compared", "dev"),
        ("Failed to load element of type int32 equal for a", "value-compared", None),
        ("State blocked by non-migratable device 'dev'", "unmigratable", "dev"),
        ("dev/sub: incoming version_id 2 is too new for local version_id 1", "subsection-version", "dev/sub"),
    ],
)
def test_rules(line: str, rule: str, name: str | None) -> None:
    """The rules of vmdump check that predict the line are named, and the type for --type."""
    (found,) = explain(line)
    assert rule in [each.id for each in rules_of(found)]
    assert type_of(found) == name


def test_long_message() -> None:
    """A message of thousands of characters is shortened; JSON has all of it."""
    found = explain("Missing section footer for " + "x" * 400 + " " + "y" * 3000)
    assert len(text(found, Options()).splitlines()[0]) < 600
    assert len(json.loads(as_json(found))[0]["line"]) > 3000


def test_json_is_ascii() -> None:
    """JSON has no control or bidirectional characters."""
    assert as_json(explain("Missing section footer for \u202eabc")).isascii()
