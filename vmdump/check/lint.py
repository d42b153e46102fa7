"""Finds problems in a single dump: defects, which break migration to any destination, and notices.

Findings are those of the check, with the dump's label in place of a direction. Defects have the verdict ``breaks``,
notices ``safe``. A problem in a description that several types share is reported once, for the first type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmdump.check import tree_view
from vmdump.check.results import Finding, Verdict
from vmdump.check.rules import rule
from vmdump.check.stream import BUFFERS, COMPARING
from vmdump.check.tree_view import Native, equal
from vmdump.qemu.error_lines import ErrorLines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vmdump.check.checker import Labelled
    from vmdump.check.evaluated.uninitialised import Uninitialised
    from vmdump.check.tree_view import Description, Field, Section

#: A hit of a rule: the rule's id, the path below the section, and facts for its message.
_Found = tuple[str, str, dict[str, Any]]

#: Number of fields that a message names.
_NAMED = 3


def lint(labelled: Labelled) -> list[Finding]:
    """Return the defects and notices of a dump, in the order of the dump.

    >>> import vmdump
    >>> from vmdump.check.checker import Labelled
    >>> [each for each in lint(Labelled("A", vmdump.open())) if each.verdict == "breaks"]
    []
    """
    dump, lines = Native(labelled.dump), ErrorLines.of(labelled.dump)
    findings: dict[tuple[str, str], Finding] = {}
    for section in (*dump.devices.values(), *dump.roots):
        for rule_id, path, facts in _section(section):
            _add(findings, labelled.label, section, rule_id, path, facts, lines)
    for section, others in _duplicates(dump):
        _add(findings, labelled.label, section, "duplicate-section", "", {"others": ", ".join(others)}, lines)
    for defect in labelled.dump.producer.defects:
        found = _finding(labelled.label, defect.device or "", defect.symbol or "", "broken-structure",
                         {"what": str(defect)}, lines)  # fmt: skip
        findings["broken-structure", str(defect)] = found
    return list(findings.values())


def lint_memory(label: str, machine: str, found: Iterable[Uninitialised], lines: ErrorLines) -> list[Finding]:
    """Return notices of sections that send uninitialised memory. ``lines``: error lines of the QEMU."""
    findings = []
    for each in found:
        rest = len(each.fields) - _NAMED
        names = ", ".join(each.fields[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
        facts = {"machine": machine, "section": each.section, "count": each.count, "total": each.total, "fields": names}
        name = each.section.rpartition("/")[2]
        findings.append(
            _finding(label, name, f"{each.section} / {each.fields[0]}", "uninitialised-memory", facts, lines)
        )
    return list({finding.message: finding for finding in findings}.values())


def _add(
    findings: dict[tuple[str, str], Finding], label: str, section: Section, rule_id: str, path: str,
    facts: dict[str, Any], lines: ErrorLines,
) -> None:  # fmt: skip
    name = section.type if section.root is None else section.name
    where = f"{section.name} / {path}" if path else section.name
    finding = _finding(label, name, where, rule_id, {"section": section.name, **facts}, lines)
    findings.setdefault((rule_id, finding.message), finding)


def _finding(label: str, type_: str, path: str, rule_id: str, facts: dict[str, Any], lines: ErrorLines) -> Finding:
    text = rule(rule_id)
    remedy = text.remedy(nested=bool(facts.get("nested")))
    return Finding(
        rule_id, Verdict(text.VERDICT), label, type_, path, text.MESSAGE.format(**facts), remedy=remedy,
        error=text.error(facts, lines),
    )  # fmt: skip


def _section(section: Section) -> Iterator[_Found]:
    """Problems in a section. Visits each description once."""
    seen: set[int] = set()
    stack: list[tuple[Description, bool]] = [(section.vmsd, False)]
    while stack:
        vmsd, nested = stack.pop()
        if vmsd.address in seen:
            continue
        seen.add(vmsd.address)
        yield from _description(vmsd, nested=nested)
        stack += [(field.vmsd, True) for field in vmsd.fields if field.vmsd is not None]
        stack += [(subsection, False) for subsection in vmsd.subsections]


def _description(vmsd: Description, *, nested: bool) -> Iterator[_Found]:
    facts = {"description": vmsd.name, "version": vmsd.version_id, "minimum": vmsd.minimum_version_id}
    if vmsd.minimum_version_id > vmsd.version_id:
        yield "minimum-above-version", vmsd.name, facts
    for field in vmsd.fields:
        for rule_id, more in _field(field, vmsd, nested=nested):
            yield rule_id, f"{vmsd.name} / {field.name}", {**facts, "field": field.name, "nested": nested, **more}
    names: set[str] = set()
    for subsection in vmsd.subsections:
        more = {**facts, "subsection": subsection.name}
        path = f"{vmsd.name} / {subsection.name}"
        if not subsection.name.startswith(vmsd.name) or len(subsection.name) <= len(vmsd.name):
            yield "subsection-prefix", path, more
        if subsection.name in names:
            yield "duplicate-subsection", path, more
        names.add(subsection.name)
        if subsection.detailed and not subsection.needed:
            yield "subsection-without-needed", path, more


def _field(field: Field, vmsd: Description, *, nested: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    gate = {"gate": field.version_id}
    if field.flags & tree_view.MUST_EXIST:
        yield "compared-with-configuration", {"info": "an assertion"}
        return
    if not field.test and field.version_id > vmsd.version_id:
        yield "field-above-version", gate
    elif nested and not field.test and field.version_id > vmsd.minimum_version_id:
        yield "nested-version-guard", gate
    if field.info in COMPARING:
        yield "compared-with-configuration", {"info": field.info}
    if vmsd.detailed and not field.flags & tree_view.VBUFFER:
        if field.flags & tree_view.ARRAY and not field.num:
            yield "size-zero", {"what": "an array without elements"}
        elif field.info in BUFFERS and not field.size:
            yield "size-zero", {"what": "a buffer of 0 bytes"}


def _duplicates(dump: Native) -> Iterator[tuple[Section, list[str]]]:
    """Sections whose name other types use with different contents, with those types."""
    by_name: dict[str, list[Section]] = {}
    for section in dump.devices.values():
        by_name.setdefault(section.name, []).append(section)
    for sections in by_name.values():
        first, *others = sections
        same = equal([first.address] * len(others), [each.address for each in others], nums=dump.nums)
        different = [each.type for each, is_same in zip(others, same, strict=True) if not is_same]
        if different:
            yield first, different


def is_defect(finding: Finding) -> bool:
    """Whether a finding of the linter is a defect, not a notice."""
    return finding.verdict is Verdict.BREAKS
