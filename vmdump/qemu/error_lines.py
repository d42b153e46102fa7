"""Error lines that QEMU prints when loading state fails: their format strings, by key.

The formats of a QEMU binary are read from its read-only data, so they are correct for any version and distribution.
They are found by an anchor: the part of the format that contains the arguments. For other sources the formats of the
version are used; if it is unknown, those of QEMU 5.2 to 10.1.

Only part of a format is quoted: the first sentence, up to the first unknown argument.

Source: QEMU 5.2.0, 7.2.22, 10.0.13 and 11.1.2 migration/savevm.c, migration/vmstate.c, migration/ram.c; 10.2 for when
they changed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmdump.dump.device_dump import DeviceDump

#: A conversion specification of these formats.
_CONVERSION = re.compile(r"%[sdux]")

#: Limits: length of a format in bytes, and occurrences of its anchor.
_MAX_FORMAT, _MAX_FOUND = 400, 16

#: Major and minor version of QEMU.
_VERSION = re.compile(r"(?:version |^)(\d+)\.(\d+)")

#: Version at the end of the name of a machine type: pc-q35-10.2.
_MACHINE_VERSION = re.compile(r"-(\d+)\.(\d+)$")

Version = tuple[int, int]


class Form(NamedTuple):
    """A line since a version: format, anchor, and the anchor's arguments by name (``a|b``: the first one available)."""

    since: Version
    format: str
    anchor: str
    arguments: tuple[str, ...]


_DESCRIPTION = "subsection|description|section"
_ALWAYS = (0, 0)
_WITH_ERRORS = (10, 2)  # since then functions that load state pass Error **errp


def _forms(arguments: tuple[str, ...], always: str, *, later: str | None = None, anchor: str = "") -> tuple[Form, ...]:
    """Return the forms of a line with the same arguments in all of them. ``anchor``: by default the format."""
    first = Form(_ALWAYS, always, anchor or always, arguments)
    return (first,) if later is None else (first, Form(_WITH_ERRORS, later, anchor or later, arguments))


_VM_SETUP = "Make sure that your current VM setup matches your saved VM setup, including any hotplugged devices"

#: Forms by key (in braces in the messages of rules), oldest first.
LINES: dict[str, tuple[Form, ...]] = {
    "missing_footer": _forms(("section",), "Missing section footer for %s", anchor="section footer for %s"),
    "unknown_section": _forms(
        ("section", "instance"),
        f"Unknown savevm section or instance '%s' %u. {_VM_SETUP}",
        later=f"Unknown section or instance '%s' %u. {_VM_SETUP}",
        anchor="section or instance '%s' %u",
    ),
    "unsupported_version": _forms(
        ("version", "section", "local"),
        "savevm: unsupported version %d for '%s' v%d",
        later="unsupported version %d for '%s' v%d",
        anchor="unsupported version %d for '%s' v%d",
    ),
    "version_too_new": _forms(
        (_DESCRIPTION, "version", "local"), "%s: incoming version_id %d is too new for local version_id %d"
    ),
    "version_too_old": _forms(
        (_DESCRIPTION, "version", "minimum"),
        "%s: incoming version_id %d is too old for local minimum version_id  %d",
        later="%s: incoming version_id %d is too old for local minimum version_id %d",
    ),
    "load_failed": _forms(
        ("instance", "section"),
        "error while loading state for instance 0x%x of device '%s'",
        later="error while loading state for instance 0x%x of device '%s': ",
        anchor="loading state for instance 0x%x of device '%s'",
    ),
    "field_failed": (
        *_forms(("description", "name"), "Failed to load %s:%s"),
        Form(_WITH_ERRORS, "Failed to load element of type %s for %s", "Failed to load element of type %s for %s",
             ("info", "name")),
    ),
    "validation_failed": _forms(
        ("description", "name"),
        "Input validation failed: %s/%s",
        later="Input validation failed: %s/%s version_id: %d",
        anchor="Input validation failed: %s/%s",
    ),
    "unknown_block": _forms(("block",), 'Unknown ramblock "%s", cannot accept migration'),
    "unmigratable": _forms(("section",), "State blocked by non-migratable device '%s'"),
}  # fmt: skip


def find_formats(data: bytes) -> dict[str, str]:
    r"""Return the formats in the read-only data of a binary, by key.

    >>> find_formats(b"\0%s: %d\0Unknown section or instance '%s' %u. Make sure\0")
    {'unknown_section': "Unknown section or instance '%s' %u. Make sure"}
    """
    found = {}
    for key, forms in LINES.items():
        for form in reversed(forms):
            if text := _find(data, form.anchor.encode()):
                found[key] = text
                break
    return found


def _find(data: bytes, anchor: bytes) -> str | None:
    """Return the first string that contains an anchor and is not too long."""
    at = -1
    for _ in range(_MAX_FOUND):
        at = data.find(anchor, at + 1)
        if at < 0:
            break
        begin = data.rfind(b"\0", max(0, at - _MAX_FORMAT), at) + 1
        end = data.find(b"\0", at, at + _MAX_FORMAT)
        if begin and end >= 0 and data[begin:end].isascii() and (text := data[begin:end].decode()).isprintable():
            return text
    return None


class ErrorLines:
    """The error lines of a QEMU."""

    def __init__(self, formats: Mapping[str, str], version: str | None = None, machine: str | None = None) -> None:
        """``formats``: found in its image, by key; ``version``: its version line; ``machine``: name of one of its
        machine types, whose version is a lower bound.
        """
        self._formats, self._version = formats, version_of(version, machine)
        self._key = (frozenset(formats.items()), self._version)

    def __eq__(self, other: object) -> bool:
        """Whether all lines are the same."""
        return isinstance(other, ErrorLines) and self._key == other._key

    def __hash__(self) -> int:
        """As they are equal."""
        return hash(self._key)

    @classmethod
    def of(cls, dump: DeviceDump) -> ErrorLines:
        """Return the lines of the QEMU that a dump is from."""
        return cls(dict(dump.producer.error_lines), dump.producer.version, dump.machine)

    def quote(self, key: str, facts: Mapping[str, object]) -> str:
        """Return a line with its arguments filled in. Missing arguments are replaced by their names in capitals.

        >>> ErrorLines({}, "11.1.2").quote("unknown_section", {"section": "s390_css", "instance": 0})
        "Unknown section or instance 's390_css' 0"
        >>> ErrorLines({}).quote("missing_footer", {})
        'Missing section footer for SECTION'
        """
        form, text = self._form(key)
        return _fill(text, form, facts)

    def _form(self, key: str) -> tuple[Form, str]:
        """Return the form of a line, and its format in this QEMU."""
        forms = LINES[key]
        text = self._formats.get(key)
        if text is not None and len(text) <= _MAX_FORMAT:  # extended dumps are untrusted
            for form in reversed(forms):
                if form.anchor in text:
                    return form, text
        form = [each for each in forms if each.since <= (self._version or _ALWAYS)][-1]
        return form, form.format


def version_of(version: str | None, machine: str | None = None) -> Version | None:
    """Return the major and minor version from a version line, else from the name of a machine type.

    >>> version_of("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)"), version_of(None, "pc-q35-10.2")
    ((7, 2), (10, 2))
    """
    found = _VERSION.search(version or "") or _MACHINE_VERSION.search(machine or "")
    return (int(found[1]), int(found[2])) if found else None


def forms_in_words(key: str) -> Iterator[tuple[str, str]]:
    """Yield each form of a line, arguments in capitals, and the versions that print it."""
    forms = [(form, _fill(form.format, form, {})) for form in LINES[key]]
    texts = list(dict.fromkeys(text for _, text in forms))
    for text in texts:
        first = next(form for form, each in forms if each == text)
        after = next((form for form, each in forms if form.since > first.since and each != text), None)
        since = "" if first.since == _ALWAYS else f"QEMU {'.'.join(map(str, first.since))} and newer"
        until = "" if after is None else f"QEMU before {'.'.join(map(str, after.since))}"
        yield text, since or until


def match(line: str) -> tuple[str, dict[str, str]] | None:
    """Return the key of the line in a text, and its arguments by name; None if there is none.

    >>> match("qemu-system-x86_64: Missing section footer for 0000:00:03.0/virtio-gpu")
    ('missing_footer', {'section': '0000:00:03.0/virtio-gpu'})
    """
    for key, forms in LINES.items():
        for form in forms:
            pattern = ""
            at = 0
            for conversion in _CONVERSION.finditer(form.anchor):
                value = {"%s": r"(\S.*?)", "%x": r"([0-9a-f]+)"}.get(conversion[0], r"(\d+)")
                pattern += re.escape(form.anchor[at : conversion.start()]) + value
                at = conversion.end()
            pattern += re.escape(form.anchor[at:])
            if found := re.search(rf"{pattern}(?=[:.]?(?:\s|$))", line):
                # An argument at the begin of the line includes prefixes of the line.
                values = (value.rpartition(": ")[2] for value in found.groups())
                return key, {name.rpartition("|")[2]: value for name, value in zip(form.arguments, values, strict=True)}
    return None


def _fill(text: str, form: Form, facts: Mapping[str, object]) -> str:
    """Return the quoted part of a format with the values of its arguments."""
    before, anchor, after = text.partition(form.anchor)
    before = before if "%" not in before else ""
    after = "" if "%" in after else after.partition(". ")[0]
    values = (_value(name, facts) for name in form.arguments)
    filled = _CONVERSION.sub(lambda _: next(values, "..."), anchor)
    return before + filled + after.rstrip(": ")


def _value(name: str, facts: Mapping[str, object]) -> str:
    names = name.split("|")
    for each in names:
        if facts.get(each) is not None:
            return str(facts[each])
    return names[-1].upper()
