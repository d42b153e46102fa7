"""Findings of equal shapes: compared once with placeholders for names, and filled in for each device.

The shape of a description is all that is in it but its own name. Only descriptions of plain fields have one here;
nested descriptions and subsections may be compared by names, so those sections are compared one by one.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from vmdump.check.results import Finding, Side, TypeResult
from vmdump.check.tree_view import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.check.results import Row
    from vmdump.check.tree_view import Description, Native

# Placeholders. Names have no NUL: the C core separates them by it.
TYPE, SECTION, OTHER_SECTION = "\0\1type\0", "\0\1section\0", "\0\1other\0"

#: Index of the direction in a finding.
_DIRECTION = Finding._fields.index("direction")

#: Findings by the names that were filled in, by the content of a template without its direction.
Filled = dict[tuple[tuple[Any, ...], ...], dict[tuple[str, str, str], tuple[Finding, ...]]]


class Shapes:
    """Descriptions of shapes, by Section.shape."""

    def __init__(self) -> None:
        """Start empty."""
        self._descriptions: dict[int, Description] = {}

    def description(self, section: Section) -> Description:
        """The description of a section's shape, with a placeholder for its name."""
        found = self._descriptions.get(section.shape)
        if found is None:
            found = self._descriptions[section.shape] = section.vmsd.renamed(SECTION, -section.shape)
        return found


class TemplateSection(Section):
    """A section with placeholders for its names."""

    __slots__ = ("_vmsd",)

    def __init__(self, dump: Native, section: Section, name: str, vmsd: Description | None) -> None:
        """Args:
        vmsd: the description with placeholders; None: it is not read.
        """
        row = (section.address if vmsd is None else vmsd.address, section.version_id, section.minimum_version_id)
        super().__init__(dump, TYPE, name, row, None)
        self._vmsd = vmsd

    @property
    def vmsd(self) -> Description:
        """The description with a placeholder for its name."""
        assert self._vmsd is not None
        return self._vmsd


class Template:
    """The result of a type with placeholders for names."""

    def __init__(self, result: TypeResult, filled: Filled) -> None:
        """Take the result apart: texts with placeholders, joined by NUL, and how findings are made of them.

        filled: shared by the templates of a check.
        """
        self._direction = result.findings[0].direction if result.findings else ""
        alike = tuple([finding[:_DIRECTION] + finding[_DIRECTION + 1 :] for finding in result.findings])
        #: Findings by names. Those of another direction are equal but for it, and share their strings.
        self._filled = filled.setdefault(alike, {})
        texts: dict[str, None] = {}
        for finding in result.findings:
            for value in (*finding, *(finding.source or ()), *(finding.destination or ())):
                if isinstance(value, str) and "\0" in value:
                    texts[value] = None
        # By type and value: a Verdict equals its text.
        places: dict[tuple[type, object], int] = {(str, text): at for at, text in enumerate(texts)}
        constants: list[Any] = []

        def place(value: Any) -> int:
            key = (type(value), value)
            if key not in places:
                places[key] = len(texts) + len(constants)
                constants.append(value)
            return places[key]

        sides = list(dict.fromkeys(s for f in result.findings for s in (f.source, f.destination) if s is not None))
        self._sides = [itemgetter(place(side.path), place(side.facts)) for side in sides]
        for finding in result.findings:
            for value in finding:
                if not isinstance(value, Side):
                    place(value)
        first_side = len(texts) + len(constants)
        places.update(((Side, side), first_side + at) for at, side in enumerate(sides))
        self._findings = [itemgetter(*map(place, finding)) for finding in result.findings]
        self._joined, self._constants = "\0".join(texts), constants
        self.layout, self._verdict = result.layout, result.verdict

    def fill(self, type_: str, section: str, other: str, layout: Sequence[Row]) -> TypeResult:
        """Return the result with names in place of placeholders. other: the destination's section."""
        names = type_, section, other
        findings = self._filled.get(names)
        if findings is None:
            findings = self._filled[names] = self._fill(type_, section, other)
        elif findings and findings[0].direction != self._direction:
            direction, new = (self._direction,), tuple.__new__
            findings = tuple(
                [new(Finding, each[:_DIRECTION] + direction + each[_DIRECTION + 1 :]) for each in findings]
            )  # smaller than a list
        return TypeResult(type_, self._verdict, section, findings, layout)

    def _fill(self, type_: str, section: str, other: str) -> tuple[Finding, ...]:
        text = self._joined.replace(TYPE, type_).replace(SECTION, section).replace(OTHER_SECTION, other)
        pool: list[Any] = text.split("\0")
        pool += self._constants
        new = tuple.__new__  # of a NamedTuple, without the call of Python code in _make
        pool += [new(Side, get(pool)) for get in self._sides]
        return tuple([new(Finding, get(pool)) for get in self._findings])
