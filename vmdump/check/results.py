"""What the compatibility check says: findings, verdicts, and both sides' bytes side by side. Plain values: the check
makes them, reports and the command line read them.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmdump.dump.producer import Producer


class Verdict(enum.StrEnum):
    """Whether a type's state, or a part of it, can be loaded. Ordered: the worst of the parts is the whole's.

    >>> max([Verdict.SAFE, Verdict.BREAKS, Verdict.CONDITIONAL], key=Verdict.severity)
    <Verdict.BREAKS: 'breaks'>
    """

    SAFE = "safe"  #: always, as far as its description tells
    ABSENT = "absent"  #: the destination has no such type, under any name
    CONDITIONAL = "conditional"  #: unless a named condition holds
    BREAKS = "breaks"  #: never, whatever the VM does

    def severity(self) -> int:
        """0 for safe, up to 3 for breaks."""
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
    destination: what each side has there, None where it has nothing; message: what will happen at run time, the error
    that QEMU prints included where it is known; condition: of ``conditional`` findings, what must hold for it to fail;
    remedy: what is usually done about it.
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
    """

    type: str
    verdict: Verdict
    section: str
    findings: Sequence[Finding]
    layout: Sequence[Row]
    covers: Sequence[str] = ()


class Dump(NamedTuple):
    """One side: its label in directions (``A``, or a file's name where that tells apart), and where it comes from."""

    label: str
    producer: Producer
    machine: str


class CheckResult(NamedTuple):
    """A whole check: the dumps, and for each direction (``A -> B``) the types of its source in order.

    suppressed: findings that a reviewed entry accepts, with its reason; they are in no verdict and in no TypeResult's
    findings. stale: entries that matched nothing or are expired, in words.
    """

    dumps: Sequence[Dump]
    results: Mapping[str, Sequence[TypeResult]]
    suppressed: Sequence[tuple[Finding, str]] = ()
    stale: Sequence[str] = ()
