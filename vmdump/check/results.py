"""Results of the compatibility check: verdicts, findings, and both sides' streams side by side.

Plain values: the check creates them, reports and the command line read them.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vmdump.dump.producer import Producer


class Verdict(enum.StrEnum):
    """Whether the state of a type, or a part of it, can be loaded; members are ordered from best to worst.

    >>> Verdict.worst([Verdict.SAFE, Verdict.BREAKS, Verdict.CONDITIONAL])
    <Verdict.BREAKS: 'breaks'>
    """

    SAFE = "safe"  #: compared, and found loadable
    ACCEPTED = "accepted"  #: types only: the configuration accepts everything worse than safe that was found
    UNKNOWN = "unknown"  #: a part could not be compared; the rest is loadable
    ABSENT = "absent"  #: the destination has no such type, under any name
    CONDITIONAL = "conditional"  #: the load fails if a named condition holds
    BREAKS = "breaks"  #: the load fails in every state of the VM

    def severity(self) -> int:
        """Rank of the verdict: 0 for safe, the greatest for breaks."""
        return _SEVERITIES[self]

    @staticmethod
    def worst(verdicts: Iterable[Verdict]) -> Verdict:
        """Return the verdict of a whole from the verdicts of its parts; safe if there are none."""
        return max(verdicts, key=_SEVERITIES.__getitem__, default=Verdict.SAFE)


_SEVERITIES = {verdict: severity for severity, verdict in enumerate(Verdict)}


class Side(NamedTuple):
    """What one side of a finding has: its path, as ``section / description / field``, and a description in words."""

    path: str
    facts: str


class Finding(NamedTuple):
    """A difference and its consequence for the load.

    Attributes:
        rule: Stable id; ``vmdump explain`` documents it.
        verdict: Its verdict, which ranks its consequence.
        direction: ``A -> B``, the labels of the two dumps.
        type: QOM type of the source; for a standalone VMSD, its name.
        path: ``section / description / field``.
        message: What happens at run time.
        source: What the source has there; None if nothing.
        destination: What the destination has there; None if nothing.
        condition: For ``conditional`` findings, when the load fails.
        remedy: The usual fix.
        error: The line that QEMU prints when the load fails; None if it prints none.
        note: What could not be compared, because a dump contains less than a binary.

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
        """The message followed by the error line, for formats with one place for both.

        >>> Finding("r", Verdict.BREAKS, "A -> B", "t", "p", "the load fails", error="Missing section footer").sentence
        'the load fails: `Missing section footer`'
        """
        return self.message if self.error is None else f"{self.message}: `{self.error}`"

    def __repr__(self) -> str:
        """The verdict, the rule, the place and the message."""
        return f"<Finding {self.verdict} [{self.rule}] {self.direction}: {self.path}: {self.message}>"


class StreamItem(NamedTuple):
    """The bytes of a field in the migration stream.

    Attributes:
        path: Field names from the section's description down (``parent_obj.config``).
        size: Bytes; None if known only at run time.
        length: How the bytes are counted if size is None, in words.
        info: VMStateInfo.name; None if unknown.
        condition: When the field is sent, in words; None if always.
    """

    path: str
    size: int | None
    length: str | None = None
    info: str | None = None
    condition: str | None = None


class Row(NamedTuple):
    """Items of both sides at one place of the stream; None if that side has none.

    change: ``same``, ``renamed`` (same bytes, another name), ``regrouped`` (same bytes, split or merged), ``changed``
    (another size or encoding), ``removed`` or ``added``.
    """

    source: StreamItem | None
    destination: StreamItem | None
    change: str


class TypeResult(NamedTuple):
    """Result for one type in one direction.

    Attributes:
        type: QOM type of the source; for a standalone VMSD, its name.
        verdict: The worst of its findings.
        section: Name of its section.
        findings: In stream order.
        layout: The section's state: fields, then each subsection. Rows of a section or subsection itself have size 0
            and its name as path.
        covers: Types without a description of their own whose state this section holds (CPU models: ``cpu``); the
            verdict applies to them too.

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


def keep_findings(result: TypeResult, kept: Sequence[Finding]) -> TypeResult:
    """Return the result with some of its findings: its verdict is then the worst of those, at best ``accepted``.

    A verdict that is worse than all findings of the result stays as it is.
    """
    if len(kept) == len(result.findings):
        return result
    explained = Verdict.worst(finding.verdict for finding in result.findings)
    if explained.severity() < result.verdict.severity():
        return result._replace(findings=kept)
    verdict = Verdict.worst([Verdict.ACCEPTED, *(finding.verdict for finding in kept)])
    return result._replace(findings=kept, verdict=verdict)


class Dump(NamedTuple):
    """A dump that was checked.

    Attributes:
        label: Its name in directions (``7.2.22``, see labels.py).
        producer: The QEMU or file it was read from.
        machine: Machine type.
        aliases: Other names that directions in a configuration may use.
    """

    label: str
    producer: Producer
    machine: str
    aliases: Sequence[str] = ()


class Direction(NamedTuple):
    """Source and destination of a migration, as indices into CheckResult.dumps.

    >>> Direction(0, 1).way, Direction(1, 0).way
    ('forward', 'backward')
    """

    source: int
    destination: int

    @property
    def way(self) -> str:
        """``forward`` if the source was given before the destination, else ``backward``."""
        return "forward" if self.source < self.destination else "backward"


class CheckResult(NamedTuple):
    """Result of a check.

    Attributes:
        dumps: In the order given.
        results: By direction (``A -> B``), the types of its source in the order of the dump.
        suppressed: Findings that an entry of the configuration accepts, each with the entry's reason. They count for no
            verdict and are in no TypeResult.
        stale: Entries of the configuration that match nothing, have expired or were never reviewed, in words.
        directions: Source and destination of each key of results.
        ignored: By direction, the number of findings worse than safe whose rules were not selected.

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
