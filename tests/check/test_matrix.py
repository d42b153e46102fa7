"""Checks of many dumps: what directions share changes no result."""

from collections.abc import Sequence
from itertools import combinations

import pytest
from support.descriptions import array, desc, dump, field, plain, unused
from support.paths import DATA

import vmdump
from vmdump.check.checker import Labelled, check
from vmdump.check.results import CheckResult, TypeResult
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Defect, Producer
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags


def same_as_each_pair(dumps: list[Labelled]) -> CheckResult:
    """The check of all of the dumps, which says of each pair what the check of these two says, all in all."""
    matrix = check(dumps)

    def told(types: Sequence[TypeResult]) -> list[TypeResult]:
        """With layouts that can be compared, of some of those that are safe: they take long."""
        drawn = {
            id(each): each.layout for n, each in enumerate(types) if each.findings or n % 16 == 0
        }  # they take long
        return [each._replace(layout=list(drawn.get(id(each), ())), findings=list(each.findings)) for each in types]

    for i, j in combinations(range(len(dumps)), 2):
        pair = check([dumps[i], dumps[j]])
        for (label, types), (source, destination) in zip(pair.results.items(), ((i, j), (j, i)), strict=True):
            assert told(types) == told(matrix.results[label]), label
            assert matrix.directions[label] == (source, destination)
        assert pair.dumps == [matrix.dumps[i], matrix.dumps[j]]
        assert pair[2:4] == matrix[2:4]
    return matrix


@pytest.mark.parametrize(
    ("target", "versions"),
    [("m68k", ["7.2.22", "10.0.13"]), pytest.param("x86_64", ["7.2.22", "8.2.2", "10.0.13"], marks=pytest.mark.slow)],
)
def test_a_matrix_says_what_each_pair_says(target: str, versions: list[str]) -> None:
    """What directions share changes no verdict, finding or layout; equal types are one object."""
    files = [DATA / "dumps" / f"qemu-{each}" / f"{target}.json.xz" for each in versions]
    files += [DATA / "extended" / f"qemu-{each}-m68k.json.xz" for each in ("7.2.22", "10.0.13")]
    dumps = [Labelled(str(index), vmdump.open(path)) for index, path in enumerate(files)]
    results = same_as_each_pair(dumps).results
    every = [each for types in results.values() for each in types]
    assert any(finding.rule == "hook-added" for each in every for finding in each.findings)
    assert len({id(each.layout) for each in every}) < len(every) / 2


def test_a_matrix_keeps_unlike_things_apart() -> None:
    """What is equal but for a hook, an error line, a build, a place in memory or a word size is not taken for one."""

    def lists(at: int, width: str) -> VMStateDescription:
        element = desc("element", field("a"), field("b", width))
        flags = VMStateFlags.STRUCT | VMStateFlags.VARRAY_UINT32
        of_elements = VMStateField("list", vmsd=element, flags=flags, num_offset=at, offset=16)
        return desc("lists", field("n", offset=8), of_elements)

    def namesakes(which: str) -> VMStateDescription:
        parts = {letter: desc("twice/sub", field("x"), needed=True) for letter in "ab"}
        return desc("twice", field("a"), subsections=[parts[letter] for letter in which])

    def made(hook: object, at: int, which: str, width: str, info: str, **more: object) -> DeviceDump:
        hooked = desc("hooked", field("a"), **({"post_load": True} if hook else {}))
        wide, coded = desc("wide", field("w", width)), desc("coded", field("c", info))
        source = dump(lists(at, width), namesakes(which), hooked, wide, coded)
        return DeviceDump(source.tree, Producer("image")._replace(**more))

    dumps = [
        made(False, 8, "aab", "uint32", "own code"),
        made(False, 40, "abb", "uint32", "own code"),
        made(True, 8, "aa", "uint32", "own code", version="QEMU emulator version 10.2.0"),
        made(False, 40, "ab", "uint64", "own code", build_id="aa"),
        made(True, 40, "ab", "uint64", "other code", build_id="aa"),
        made(True, 8, "ab", "uint32", "other code", error_lines=(("missing_footer", "No section footer for %s"),)),
        plain(made(False, 8, "aa", "uint32", "own code")),
        plain(made(True, 40, "ab", "uint64", "other code")),
        made(False, 8, "aab", "uint32", "own code", defects=(Defect("what", 0, device="wide"),)),
    ]
    result = same_as_each_pair([Labelled(str(index), each) for index, each in enumerate([*dumps, dumps[0]])])
    found = {finding.rule for types in result.results.values() for each in types for finding in each.findings}
    assert {"hook-added", "subsection-duplicate-name", "code-not-compared", "encoding-unknown"} <= found
    assert "field-size-changed" in found
    assert {finding.error for types in result.results.values() for each in types for finding in each.findings} >= {
        *("Missing section footer for wide", "No section footer for wide")
    }


@pytest.mark.parametrize("kind", ["extended", "plain"])
def test_templates_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections of equal shapes, which are compared once, have the results of those that are compared one by one."""
    a, b = field("a"), field("b", "uint16")
    shapes = [((a, b), (a,)), ((a,), (field("a", "uint64"),)), ((a,), (field("new_a"),)), ((a, b), (b, a)),
              ((a, array("c", 3)), (a, array("c", 4))), ((field("a", "own"),), (field("a", "own"),)),
              ((a,), (field("a", "uint32 equal"),)), ((a, unused(4)), (a, field("d"))),
              ((a,), (a, field("t", field_exists=True)))]  # fmt: skip
    pairs = {f"dev-{n}-{at}": pair for n, pair in enumerate(shapes) for at in range(3)}
    old = {name: desc(f"sec/{name}", *pair[0], version_id=2) for name, pair in pairs.items()}
    new = {
        name: desc(f"sec/{name}", *pair[1], version_id=2 + (n % 5 == 4)) for n, (name, pair) in enumerate(pairs.items())
    }
    old.update({f"{kind}{n}": desc(f"{kind}{n}", a, b) for kind in ("gone", "renamed", "newer") for n in range(2)})
    new.update({f"renamed{n}": desc(f"other{n}", a, b) for n in range(2)})
    new.update({f"newer{n}": desc(f"newer{n}", a, version_id=3, minimum_version_id=3) for n in range(2)})
    sides = [dump(**old), dump(**new)]
    sides = [plain(each) for each in sides] if kind == "plain" else sides

    def results() -> list[tuple[object, ...]]:
        found = check([Labelled(label, each) for label, each in zip("AB", sides, strict=True)]).results
        return [(*each[:3], list(each.findings), list(each.layout)) for side in found.values() for each in side]

    fast = results()
    monkeypatch.setattr("vmdump.check.direction.DirectionCheck._template_key", lambda *_: None)
    assert fast == results()
    assert {finding.rule for each in fast for finding in each[3]} >= {"type-absent", "section-renamed"}  # type: ignore[attr-defined]
