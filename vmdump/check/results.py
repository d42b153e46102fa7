"""What the compatibility check says: findings, verdicts, and both sides' bytes side by side. Plain values: the check
makes them, reports and the command line read them.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmdump.dump.producer import Producer


class Verdict(enum.StrEnum):
    """Whether a type's state, or a part of it, can be loaded. Ordered: the worst of the parts is the whole's.

    >>> max([Verdict.SAFE, Verdict.BREAKS, Verdict.CONDITIONAL], key=Verdict.severity)
    <Verdict.BREAKS: 'breaks'>
    """

    SAFE = "safe"  #: compared, and found loadable
    ACCEPTED = "accepted"  #: of a type only: what was found worse than safe is accepted by the configuration
    UNKNOWN = "unknown"  #: a part could not be compared, and what was compared is loadable
    ABSENT = "absent"  #: the destination has no such type, under any name
    CONDITIONAL = "conditional"  #: unless a named condition holds
    BREAKS = "breaks"  #: never, whatever the VM does

    def severity(self) -> int:
        """0 for safe; breaks has the greatest."""
        return _SEVERITIES[self]


_SEVERITIES = {verdict: severity for severity, verdict in enumerate(Verdict)}


class Side(NamedTuple):
    """One side's facts of a finding: what they are of, as ``section / description / field``, and the facts in words."""

    path: str
    facts: str


class Finding(NamedTuple):
    """One difference that was judged.

    rule: the stable id, which ``vmdump explain`` knows; direction: ``A -> B``, labels of the two dumps; type: QOM type
    of the source (of a description on no device class: its name); path: ``section / description / field``; source and
    destination: what each side has there, None where it has nothing; message: what will happen at run time; condition:
    of ``conditional`` findings, what must hold for it to fail; remedy: what is usually done about it; error: the line
    that QEMU prints when the load fails, None where it prints none; note: what could not be compared, where dumps say
    less than binaries.

    >>> Finding("field-added", Verdict.BREAKS, "7.2 -> 10.0", "e1000", "e1000 / x", "the destination reads more")
    <Finding breaks [field-added] 7.2 -> 10.0: e1000 / x: the destination reads more>
    """

    rule: str
    verdict: Verdict
    direction: str
    type: str
    path: str
    message: str
    source: Side | None = None
    destination: Side | None = None
    condition: str | None = None
    remedy: str | None = None
    error: str | None = None
    note: str | None = None

    @property
    def sentence(self) -> str:
        """The message with the error line, for readers with one place for both.

        >>> Finding("r", Verdict.BREAKS, "A -> B", "t", "p", "the load fails", error="Missing section footer").sentence
        'the load fails: `Missing section footer`'
        """
        return self.message if self.error is None else f"{self.message}: `{self.error}`"

    def __repr__(self) -> str:
        """The verdict, the rule, the place and the message."""
        return f"<Finding {self.verdict} [{self.rule}] {self.direction}: {self.path}: {self.message}>"


class WireItem(NamedTuple):
    """Bytes that travel for a field. path: names from the section's description down (``parent_obj.config``); size:
    bytes, None: known at run time only; length: how they are counted then, in words; info: VMStateInfo.name where it is
    known; condition: in words, when they travel; None: always.
    """

    path: str
    size: int | None
    length: str | None = None
    info: str | None = None
    condition: str | None = None


class Row(NamedTuple):
    """A piece of the wire with both sides' items beside each other; None: nothing on that side.

    change: ``same``, ``renamed`` (the same bytes under another name), ``regrouped`` (the same bytes, split or merged),
    ``changed`` (bytes of another size or meaning), ``removed``, ``added``.
    """

    source: WireItem | None
    destination: WireItem | None
    change: str


class TypeResult(NamedTuple):
    """What was found of one type in one direction. layout: the state, fields first, then each subsection; subsection
    and section names are WireItem.path of rows whose size is 0. covers: device types that have no description of their
    own and whose state this section holds (CPU models: ``cpu``); the verdict is theirs, too.

    >>> TypeResult("e1000", Verdict.SAFE, "e1000", (), ())
    <TypeResult 'e1000': safe, 0 findings>
    """

    type: str
    verdict: Verdict
    section: str
    findings: Sequence[Finding]
    layout: Sequence[Row]
    covers: Sequence[str] = ()

    def __repr__(self) -> str:
        """The type, the verdict and the number of findings."""
        return f"<TypeResult {self.type!r}: {self.verdict}, {len(self.findings)} findings>"


def without(each: TypeResult, left: Sequence[Finding]) -> TypeResult:
    """The type with these findings left; a verdict that is worse than its findings explain stays."""
    if len(left) == len(each.findings):
        return each
    explained = _worst(each.findings)
    if explained.severity() < each.verdict.severity():
        return each._replace(findings=left)
    verdict = max(Verdict.ACCEPTED, _worst(left), key=Verdict.severity)
    return each._replace(findings=left, verdict=verdict)


def _worst(findings: Sequence[Finding]) -> Verdict:
    return max((finding.verdict for finding in findings), key=Verdict.severity, default=Verdict.SAFE)


class Dump(NamedTuple):
    """One side: its label in directions (``7.2.22``, see labels.py), where it comes from, and further names that the
    directions of a configuration may have.
    """

    label: str
    producer: Producer
    machine: str
    aliases: Sequence[str] = ()


class Direction(NamedTuple):
    """Source and destination of a migration, as indices into CheckResult.dumps, which are in the order given.

    >>> Direction(0, 1).way, Direction(1, 0).way
    ('forward', 'backward')
    """

    source: int
    destination: int

    @property
    def way(self) -> str:
        """``forward``: from an earlier dump to a later one, in the order given; else ``backward``."""
        return "forward" if self.source < self.destination else "backward"


class CheckResult(NamedTuple):
    """A whole check: the dumps, and for each direction (``A -> B``) the types of its source in order.

    suppressed: findings that a reviewed entry accepts, with its reason; they are in no verdict and in no TypeResult's
    findings. stale: entries that matched nothing or are expired, in words. directions: the source and the destination
    behind each key of results. ignored: by direction, how many findings worse than safe were left out, as they are of
    rules that were not asked for.

    >>> result = CheckResult((), {"A -> B": [TypeResult("e1000", Verdict.SAFE, "e1000", (), ())]})
    >>> result, list(result.findings)
    (<CheckResult: A -> B: 1 safe>, [])
    """

    dumps: Sequence[Dump]
    results: Mapping[str, Sequence[TypeResult]]
    suppressed: Sequence[tuple[Finding, str]] = ()
    stale: Sequence[str] = ()
    directions: Mapping[str, Direction] = MappingProxyType({})
    ignored: Mapping[str, int] = MappingProxyType({})

    @property
    def findings(self) -> Sequence[Finding]:
        """The findings of all types in all directions, in the order of results."""
        return [finding for types in self.results.values() for each in types for finding in each.findings]

    def __repr__(self) -> str:
        """The number of types with each verdict, worst first, by direction."""
        totals = []
        for direction, types in self.results.items():
            counts = dict.fromkeys(sorted(Verdict, key=Verdict.severity, reverse=True), 0)
            for each in types:
                counts[each.verdict] += 1
            words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
            totals.append(f"{direction}: {words or 'no types'}")
        return f"<CheckResult: {'; '.join(totals)}>"
