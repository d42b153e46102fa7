"""Compares what every VM of a machine type has: sections, RAM blocks, CPU, properties of the board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmdump.check.evaluated.answers import Wanted
from vmdump.check.results import Finding, Side, TypeResult, Verdict
from vmdump.check.rules import rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vmdump.check.evaluated.answers import Key
    from vmdump.check.evaluated.board import Board, BoardBlock
    from vmdump.qemu.error_lines import ErrorLines

#: Sections that QEMU sends without a SaveStateEntry of the destination, or that are not a device's.
_NOT_COMPARED = ("ram", "dirty-bitmap")

#: Condition of what only VMs without default devices lack.
_NO_DEFAULTS = (
    "the source's VM is started with -nodefaults, as libvirt does, and the destination's command line adds none"
)

#: Numbers of registers and feature words that a message names.
_NAMED = 4


def differing_tests(source: Board, destination: Board) -> list[Wanted]:
    """Return the sections with fields whose tests have different results at reset, and these fields."""
    there = {(each.type, each.description, each.key): each.value for each in destination.tests}
    found: dict[tuple[str | None, str], set[Key]] = {}
    for each in source.tests:
        value = there.get((each.type, each.description, each.key))
        if value is not None and value != each.value:
            found.setdefault((each.type, each.description), set()).add(each.key)
    return [Wanted(type_, description, frozenset(keys)) for (type_, description), keys in found.items()]


class BoardCheck:
    """Compares two boards in one direction."""

    def __init__(
        self,
        direction: str,
        source: Board,
        destination: Board,
        lines: ErrorLines,
        accepts: Callable[[str, int], str | None],
        with_defaults: Callable[[], tuple[Board | None, Board | None]],
    ) -> None:
        """Args:
        direction: its label.
        lines: error lines of the destination.
        accepts: returns why the destination refuses a RAM block of this name and size; None: it does not.
        with_defaults: returns the boards with QEMU's default devices; None: not known.
        """
        self._with_defaults = with_defaults
        self._direction, self._source, self._destination = direction, source, destination
        self._lines, self._accepts = lines, accepts

    def result(self) -> TypeResult:
        """Return the result; its type is the machine type."""
        missing = [*self._missing_sections(), *self._missing_blocks()]
        found = [*self._of_all(missing), *self._resized_blocks(), *self._cpu(), *self._properties()]
        verdict = Verdict.worst(finding.verdict for finding in found)
        return TypeResult(self._source.machine, verdict, self._source.machine, found, ())

    def _of_all(self, missing: list[Finding]) -> Iterator[Finding]:
        """Weaken findings about what only VMs without default devices lack."""
        source, destination = self._with_defaults() if missing else (None, None)
        known = set[tuple[str, str]]()
        if source is not None and destination is not None:
            other = BoardCheck(
                self._direction, source, destination, self._lines, self._accepts, lambda: (None, None)
            )  # fmt: skip
            known = {(each.rule, each.path) for each in (*other._missing_sections(), *other._missing_blocks())}
        for each in missing:
            if (each.rule, each.path) in known:
                yield each
            else:
                message = each.message.replace("every VM of", "a VM of", 1)
                yield each._replace(verdict=Verdict.CONDITIONAL, condition=_NO_DEFAULTS, message=message)

    def _finding(self, rule_id: str, path: str, *, weakened: bool = False, **facts: Any) -> Finding:
        text = rule(rule_id)
        facts = {"machine": self._source.machine, **facts}
        verdict = Verdict.CONDITIONAL if weakened else Verdict(text.VERDICT)
        condition = text.CONDITION.format(**facts) if weakened and text.CONDITION else None
        message = text.MESSAGE.format(**facts)
        side = Side(self._source.machine, f"VM of {self._source.machine}, as booted in the emulator")
        return Finding(
            rule_id, verdict, self._direction, self._source.machine, f"{self._source.machine} / {path}", message, side,
            side, condition, text.REMEDY, text.error(facts, self._lines),
        )  # fmt: skip

    def _missing_sections(self) -> Iterator[Finding]:
        known = {pair for each in self._destination.sections for pair in ((each.idstr, each.instance), *each.aliases)}
        for each in self._source.sections:
            if each.is_sent and (each.idstr, each.instance) not in known and each.idstr not in _NOT_COMPARED:
                yield self._finding("board-section-missing", each.idstr, section=each.idstr, instance=each.instance)

    def _missing_blocks(self) -> Iterator[Finding]:
        there = {each.name for each in self._destination.blocks}
        for each in self._source.blocks:
            if each.name not in there:
                yield self._finding("ram-block-missing", each.name, block=each.name, size=each.size, file=_file(each))

    def _resized_blocks(self) -> Iterator[Finding]:
        there = {each.name: each for each in self._destination.blocks}
        stand_ins = sorted({*self._source.stand_ins, *self._destination.stand_ins})
        for each in self._source.blocks:
            other = there.get(each.name)
            if other is None or other.size == each.size:
                continue
            refusal = self._accepts(each.name, each.size)
            if refusal is not None:
                is_uncertain = bool(stand_ins) and each.file is None and other.file is None
                yield self._finding(
                    "ram-block-resized", each.name, weakened=is_uncertain, block=each.name, size=each.size,
                    file=_file(each), other_size=other.size, other_file=_file(other), refusal=refusal,
                    stand_ins=", ".join(stand_ins),
                )  # fmt: skip

    def _cpu(self) -> Iterator[Finding]:
        source, destination = self._source, self._destination
        if source.cpu != destination.cpu:
            return
        missing = sorted(set(source.registers) - set(destination.registers), key=lambda each: int(each, 16))
        if missing and destination.registers:
            yield self._finding(
                "system-registers-missing", source.cpu, cpu=source.cpu, count=len(missing),
                registers=_some(missing), section="cpu", instance=0,
            )  # fmt: skip
        words = source.features.keys() | destination.features.keys()
        differing = [
            f"{word} {source.features.get(word, 0):#x} -> {destination.features.get(word, 0):#x}"
            for word in sorted(words)
            if source.features.get(word, 0) != destination.features.get(word, 0)
        ]
        if differing:
            yield self._finding("cpu-features-differ", source.cpu, cpu=source.cpu, difference=_some(differing))

    def _properties(self) -> Iterator[Finding]:
        """Yield different properties; devices that share a property and its values are named together."""
        source, destination = self._source.properties, self._destination.properties
        differing: dict[tuple[str, int, int], list[str]] = {}
        for name in sorted(source.keys() & destination.keys()):
            if source[name] != destination[name]:
                type_, _, property_ = name.rpartition(".")
                differing.setdefault((property_, source[name], destination[name]), []).append(type_)
        for (property_, value, other), types in differing.items():
            name = f"{property_} of {_some(types)}"
            yield self._finding("property-differs", property_, property=name, value=value, other_value=other)
        for side, own, other_side in (
            ("source", self._source, self._destination),
            ("destination", self._destination, self._source),
        ):
            for property_, types in self._new_properties(own, other_side).items():
                yield self._finding("new-property-on", property_, property=f"{property_} of {_some(types)}", side=side)

    def _new_properties(self, own: Board, other: Board) -> dict[str, list[str]]:
        """Return the properties that only one side has, and that are on; by name, with the types of their devices.

        Without those that a compat entry sets, and those of devices that the other side does not have.
        """
        compat = {each.rpartition(".")[2] for each in (*own.compat, *other.compat)}
        known = {name.rpartition(".")[0] for name in other.properties}
        found: dict[str, list[str]] = {}
        for name in sorted(own.properties.keys() - other.properties.keys()):
            type_, _, property_ = name.rpartition(".")
            if own.properties[name] == 1 and name in own.booleans and type_ in known and property_ not in compat:
                found.setdefault(property_, []).append(type_)
        return found


def _file(block: BoardBlock) -> str:
    return f", from {block.file}" if block.file else ""


def _some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
