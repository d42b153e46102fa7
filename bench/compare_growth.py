"""How time grows with fields, depth and devices. Run by compare.py, which plots each curve.

Read it as: what does a field, a device, a megabyte cost, and how many times that of the tree before? 1 is linear. The
smallest trees lie in a cache, so it is the largest against the one before that is judged; of depths each, against depth
1, by the output's bytes, because indentation grows with it.
"""

import os
from collections.abc import Iterator

from inputs import FIELDS_A_DEVICE, make_nested, make_tree
from measure import Comparison, Goal, Row, cpu_timed, divided

from vmdump.dump.lowering import lower
from vmdump.dump.tree import Tree, parse
from vmdump.vmstate import VMSTATE_UINT32, VMStateDescription

FIELDS = (10**5, 10**6, 10**7)
DEPTHS = (1, 3, 10, 30, 60, 100, 300, 1000)
DEVICES = (10**4, 10**5, 10**6)

#: How much dearer the largest may be and still be called linear or flat.
GOAL = Goal(at_most=1.5)


def compare_growth(quick: bool) -> Iterator[Comparison]:
    """The fast engine to /dev/null, and the parser; --quick without the largest."""
    end = -1 if quick else None
    fields = [make_tree(n // FIELDS_A_DEVICE) for n in FIELDS[:end]]
    yield _curve("dump, fields", "s a field", FIELDS, fields, FIELDS)
    dumps = [tree.dump_bytes() for tree in fields]
    yield _parse_curve(dumps)
    del fields, dumps
    depths = [lower("none", [(f"chip{i}", make_nested(depth)) for i in range(1000 // depth)]) for depth in DEPTHS[:end]]
    yield _curve("dump, depth", "s a MB", DEPTHS, depths, [tree.size / 1e6 for tree in depths])
    vmsd = VMStateDescription("chip", fields=[VMSTATE_UINT32("reg", None)])
    devices = [make_tree(n, vmsd) for n in DEVICES[:end]]
    yield _curve("dump, devices", "s a device", DEVICES, devices, DEVICES)


def _curve(name: str, unit: str, sizes: tuple[int, ...], trees: list[Tree], parts: object) -> Comparison:
    null = os.open(os.devnull, os.O_WRONLY)
    names = [f"{name}: {size:,}" for size, _ in zip(sizes, trees, strict=False)]
    cases = [
        divided(cpu_timed(row, lambda tree=tree: tree.dump_fd(null)), part)
        for row, tree, part in zip(names, trees, parts, strict=False)
    ]
    return Comparison(f"growth: {name}", cases, _rows(name, names, sizes, unit), max_rounds=7)


def _parse_curve(dumps: list[bytes]) -> Comparison:
    names = [f"parse, fields: {size:,}" for size, _ in zip(FIELDS, dumps, strict=False)]
    cases = [
        divided(cpu_timed(row, lambda dump=dump: parse(dump)), size)
        for row, dump, size in zip(names, dumps, FIELDS, strict=False)
    ]
    return Comparison("growth: parse", cases, _rows("parse, fields", names, FIELDS, "s a field"), max_rounds=5)


def _rows(curve: str, names: list[str], sizes: tuple[int, ...], unit: str) -> list[Row]:
    """The last one is judged, against the one before; of depths each, against the first."""
    rows = [Row(names[0], unit=unit, curve=curve, at=sizes[0])]
    for index in range(1, len(names)):
        against = 0 if sizes is DEPTHS else index - 1
        is_judged = sizes is DEPTHS or index == len(names) - 1
        promise = f"growth: {curve}, {sizes[index]:,} against {sizes[against]:,}, {unit[2:]}" if is_judged else ""
        rows.append(Row(names[index], names[against], GOAL if is_judged else None, unit, promise, curve, sizes[index]))
    return rows
