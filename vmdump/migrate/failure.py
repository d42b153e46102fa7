"""Failures of a load: section, field and cause, from the lines that the destination prints.

Source: migration/savevm.c, migration/vmstate.c, migration/ram.c of QEMU 5.2 to 11.1.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: Patterns with the section's name, and its instance id in hexadecimal or decimal.
_SECTIONS = tuple(
    re.compile(text)
    for text in (
        r"error while loading state for instance (?P<instance>0x[0-9a-f]+) of device '(?P<name>[^']+)'",
        r"error while loading state section id \d+\((?P<name>[^)]+)\)",
        r"Missing section footer for (?P<name>\S+)",
        r"Unknown (?:savevm )?section(?: or instance)? '(?P<name>[^']+)' (?P<instance>\d+)",
        r"[Uu]nsupported version \d+ for '(?P<name>[^']+)' v\d+",
        r"section footer error.*'(?P<name>[^']+)'",
    )
)

#: The field of the innermost description; 10.2 has all levels in one line.
_FIELDS = (
    re.compile(r"Failed to load (?P<field>[^ ]+:[^ ]+)"),
    re.compile(r"Failed to load element of type \S+ for (?P<field>[^:]+): -?\d+"),
    re.compile(r"'(?P<field>[^']+)' is not a valid field"),
)

_BLOCK = re.compile(
    r"Unknown ramblock \"(?P<unknown>[^\"]*)\"|(?:Size|Length) mismatch: (?P<mismatch>\S+?): 0x|"
    r"(?P<odd>\S+?): (?:size|length) mismatch"
)
_MACHINE = re.compile(r"Machine type received is '.*' and local is '(?P<local>.*)'")
_LAST = re.compile(r"load of migration failed: [^:]*(?:: |$)")


class Failure(NamedTuple):
    """A part of the stream that the destination refuses.

    Attributes:
        section: name of the section; None: not in a section.
        instance_id: of the section; None: not known.
        field: description and field, as QEMU prints them; None: QEMU names none.
        cause: the line that names the cause.
        lines: what QEMU prints.
    """

    section: str | None
    instance_id: int | None
    field: str | None
    cause: str
    lines: tuple[str, ...]


def read_failure(output: str, program: str, instances: dict[str, list[int]], code: int) -> Failure:
    """Return the failure that QEMU's output reports.

    Args:
        output: QEMU's output from the start of the load on.
        program: name of the binary, with which lines begin.
        instances: instance ids that the stream has, by section.
        code: result of qemu_loadvm_state, a negative errno.
    """
    errors = error_lines(output, program)
    section, instance = _section(errors)
    if section is not None and instance is None and len(instances.get(section, [])) == 1:
        instance = instances[section][0]
    field = next((found["field"] for line in errors for each in _FIELDS if (found := each.search(line))), None)
    return Failure(section, instance, field, _cause(errors, code), (*errors, *_last_line(errors, code)))


def error_lines(output: str, program: str) -> list[str]:
    """Return the lines of QEMU's output without its name, except warnings."""
    lines = (line.removeprefix(f"{program}: ") for line in output.splitlines() if line.strip())
    return [each for each in lines if not each.startswith(("warning: ", "info: "))]


def _section(errors: list[str]) -> tuple[str | None, int | None]:
    for line in errors:
        for pattern in _SECTIONS:
            if found := pattern.search(line):
                text = found.groupdict().get("instance")
                return found["name"], None if text is None else int(text, 0)
    if any(_BLOCK.search(line) for line in errors):
        return "ram", 0
    return None, None


def _cause(errors: list[str], code: int) -> str:
    if not errors:
        return f"QEMU returned {-code} ({_strerror(code)}) without a reason"
    return _LAST.sub("", errors[0]) or errors[0]


def _last_line(errors: list[str], code: int) -> list[str]:
    """Return the line that the caller of qemu_loadvm_state prints. Source: migration/migration.c."""
    if errors and _LAST.match(errors[-1]):
        return []
    return [f"load of migration failed: {_strerror(code)}"]


def _strerror(code: int) -> str:
    import os

    return os.strerror(-code)


def block_of(failure: Failure) -> str | None:
    """Return the RAM block that a failure names."""
    for line in failure.lines:
        if found := _BLOCK.search(line):
            return found["unknown"] or found["mismatch"] or found["odd"]
    return None


def may_be_wrong_guess(failure: Failure) -> bool:
    """Return whether a failure may come from another command line: devices, sizes, properties of the VM.

    The versions of sections, and commands, do not depend on it.
    """
    return not any("version" in line or "MIG_CMD" in line for line in failure.lines)


def local_machine_of(failure: Failure) -> str | None:
    """Return the destination's machine type if the stream has another one."""
    found = (_MACHINE.search(line) for line in failure.lines)
    return next((each["local"] for each in found if each), None)
