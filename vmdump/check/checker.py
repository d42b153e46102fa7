"""Check every section of one dump against its counterpart in another, in one direction or both.

result = check([Labelled("A", vmdump.open("old.json")), Labelled("B", vmdump.open("new.json"))])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmdump.activity import counted
from vmdump.check.checked_dump import CheckedDump
from vmdump.check.direction import DirectionCheck
from vmdump.check.results import CheckResult, Direction, Dump
from vmdump.check.shared import Shared
from vmdump.check.tree_view import Contents, number_shapes
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.check.evaluated.evaluations import Evaluations
    from vmdump.check.results import TypeResult
    from vmdump.dump.device_dump import DeviceDump


class Labelled(NamedTuple):
    """A dump, its label in directions, and further labels that a configuration may use.

    >>> import vmdump
    >>> Labelled("7.2", vmdump.open())
    Labelled(label='7.2', dump=<DeviceDump of 'pc-i440fx-10.0': 64 devices>, aliases=())
    """

    label: str
    dump: DeviceDump
    aliases: Sequence[str] = ()


def check(
    dumps: Sequence[Labelled],
    *,
    directions: Iterable[tuple[int, int]] | None = None,
    types: Sequence[str] = (),
    evaluations: Evaluations | None = None,
) -> CheckResult:
    """Check dumps against each other.

    Args:
        dumps: their labels must differ; they identify the directions.
        directions: pairs of indices of dumps, source first. Default: each pair in both directions.
        types: glob patterns of QOM types, or names as in QEMU's error lines (see vmdump.dump.lookup), of which one must
            match. Default: all types.
        evaluations: boots VMs of the dumps, which decide what depends on run time.

    Raises:
        VmdumpError: a description nests others too deeply, or has too many fields with theirs.

    >>> import vmdump
    >>> pc = vmdump.open()
    >>> result = check([Labelled("A", pc), Labelled("B", pc)])
    >>> list(result.results), {each.verdict for each in result.results["A -> B"]}
    (['A -> B', 'B -> A'], {<Verdict.SAFE: 'safe'>})
    """
    shared = Shared()
    contents = Contents() if len(dumps) > 2 else None  # for two dumps, reading all descriptions costs more
    natives = [CheckedDump(each.dump, contents) for each in dumps]
    number_shapes([section for each in natives for section in each.sections])
    if types:
        from vmdump.dump.type_patterns import type_patterns

        types = type_patterns([each.dump for each in dumps], types)
    if directions is None:
        directions = [(i, j) for i in range(len(dumps)) for j in range(len(dumps)) if i != j]
    results: dict[str, list[TypeResult]] = {}
    pairs = {f"{dumps[i].label} -> {dumps[j].label}": Direction(i, j) for i, j in directions}
    compared = [DirectionCheck(label, natives[i], natives[j], types, shared) for label, (i, j) in pairs.items()]
    try:
        for each in counted("checking", compared):
            results[each.label] = list(each.results())
        if evaluations is not None:
            from vmdump.check.decide import decide

            decide(results, [(pairs[each.label], each) for each in compared], evaluations, boards=not types)
    except RecursionError:
        raise VmdumpError(f"{each.label}: descriptions nest deeper than can be compared; flatten them") from None
    sides = [Dump(each.label, each.dump.producer, each.dump.machine, each.aliases) for each in dumps]
    return CheckResult(sides, results, directions=pairs)
