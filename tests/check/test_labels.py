"""Labels of dumps: short, unique, in common terms; baselines stay valid when labels change."""

import datetime
import os
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.check_sample import HOSTILE

from vmdump.bulk.query.database import producers
from vmdump.check.baseline import baseline
from vmdump.check.config import apply, load_config
from vmdump.check.labels import ARROW, Named, labels
from vmdump.check.results import CheckResult, Direction, Dump, Finding, TypeResult, Verdict
from vmdump.dump.producer import Producer

TODAY = datetime.date(2026, 11, 29)


def qemu(
    number: str, package: str | None = None, path: str = "/usr/bin/qemu-system-x86_64", host: str = "x86_64"
) -> Named:
    """A binary with the version line that it prints."""
    return Named(f"QEMU emulator version {number}" + (f" ({package})" if package else ""), host, path)


def file(path: str) -> Named:
    """A dump file as QEMU writes it, without a version."""
    return Named(path=path)


DEB17, DEB18 = "Debian 1:7.2+dfsg-7+deb12u17", "Debian 1:7.2+dfsg-7+deb12u18"


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        # Versions suffice in most cases, regardless of path and builder.
        ([qemu("7.2.22", DEB18), qemu("10.0.13", "Debian 1:10.0.13+ds-0+deb13u1")], ["7.2.22", "10.0.13"]),
        ([qemu("7.2.22", path="/usr/bin/q"), qemu("10.0.13", path="tmp/x/usr/bin/q")], ["7.2.22", "10.0.13"]),
        ([qemu("7.2.22")], ["7.2.22"]),
        ([], []),
        # The distribution's version only where needed.
        ([qemu("7.2.22", DEB17), qemu("7.2.22", DEB18)], [f"7.2.22 ({DEB17})", f"7.2.22 ({DEB18})"]),
        ([qemu("7.2.22"), qemu("7.2.22", DEB18)], ["7.2.22", f"7.2.22 ({DEB18})"]),
        (
            [qemu("7.2.22", DEB17), qemu("7.2.22", DEB18), qemu("10.0.13", DEB18)],
            [f"7.2.22 ({DEB17})", f"7.2.22 ({DEB18})", "10.0.13"],
        ),
        # Then host, file name, directory.
        (
            [qemu("7.2.22", DEB18), qemu("7.2.22", DEB18, host="aarch64")],
            ["7.2.22 (x86_64 host)", "7.2.22 (aarch64 host)"],
        ),
        (
            [qemu("7.2.22", path="/usr/bin/qemu-system-x86_64"), qemu("7.2.22", path="/usr/bin/qemu-system-i386")],
            ["7.2.22 (qemu-system-x86_64)", "7.2.22 (qemu-system-i386)"],
        ),
        ([qemu("7.2.22", path="old/bin/q"), qemu("7.2.22", path="new/bin/q")], ["7.2.22 (old)", "7.2.22 (new)"]),
        ([qemu("7.2.22", path="/usr/bin/q"), qemu("7.2.22", path="/tmp/x/usr/bin/q")], ["7.2.22 (/)", "7.2.22 (x)"]),
        ([qemu("7.2.22", path="q"), qemu("7.2.22", path="build/q")], ["7.2.22 (.)", "7.2.22 (build)"]),
        (
            [qemu("7.2.22", DEB17, "a/q"), qemu("7.2.22", DEB18, "a/q"), qemu("7.2.22", DEB18, "b/q")],
            [f"7.2.22 ({DEB17})", f"7.2.22 ({DEB18}, a)", f"7.2.22 ({DEB18}, b)"],
        ),
        ([qemu("7.2.22", path="q"), qemu("7.2.22", path="./q")], ["7.2.22 (1)", "7.2.22 (2)"]),
        # Without a version: the file's name, or the nearest directory that differs.
        ([file("x/old.json"), file("/y/new.json.xz")], ["old.json", "new.json.xz"]),
        ([file("qemu-7.2/x86_64.json"), file("qemu-10.0/x86_64.json")], ["qemu-7.2", "qemu-10.0"]),
        ([file("/x/7.2/usr/bin/a.json"), file("/x/10.0/usr/bin/a.json")], ["7.2", "10.0"]),
        ([file("a.json"), file("dir/a.json")], [".", "dir"]),
        ([file("a/x/d.json"), file("a/y/d.json"), file("b/x/d.json")], ["a/x", "a/y", "b/x"]),
        ([file("a/x/d.json"), file("b/y/d.json"), file("e.json")], ["x", "y", "e.json"]),
        ([file("x/a.json"), file("x/a.json")], ["a.json (1)", "a.json (2)"]),
        ([file("-"), file("new.json")], ["stdin", "new.json"]),
        ([qemu("7.2.22"), file("new.json")], ["7.2.22", "new.json"]),
        ([qemu("7.2.22"), file("7.2.22")], ["7.2.22 (qemu-system-x86_64)", "7.2.22 (7.2.22)"]),
        ([qemu("7.2.22", path="a/q"), qemu("7.2.22", path="b/d.json", host="")], ["7.2.22 (q)", "7.2.22 (d.json)"]),
        # A version line without a version number.
        ([Named("who knows", path="a.json"), Named("", path="b.json")], ["a.json", "b.json"]),
        # Labels do not contain the separator of directions.
        ([file("a -> b"), file("a → b")], ["a → b", "a → b (2)"]),
        ([file("a -> b/x"), file("c/x")], ["a → b", "c"]),
        ([Named(name="7.2", path="p/x.json"), Named(name="8.0", path="p/x.json")], ["7.2", "8.0"]),
        ([Named(), Named()], ["unnamed (1)", "unnamed (2)"]),
    ],
)  # fmt: skip
def test_labels(sources: list[Named], expected: list[str]) -> None:
    """Labels have the common name of each source and only the parts needed to distinguish them."""
    assert labels(sources) == expected


TEXTS = st.sampled_from(["7.2.22", "a", "b", "a (1)", "unnamed", "->", " -> ", "/", "a/b", "../a", "", *HOSTILE])


@given(
    st.lists(
        st.builds(
            Named,
            st.none() | TEXTS.map(lambda text: f"QEMU emulator version {text} ({text})") | TEXTS,
            st.none() | TEXTS,
            st.none() | TEXTS | st.tuples(TEXTS, TEXTS).map("/".join),
            st.none() | TEXTS,
        ),
        max_size=6,
    )
)
def test_labels_are_unique(sources: list[Named]) -> None:
    """For any versions and paths, labels are unique, not empty, and without an arrow."""
    made = labels(sources)
    assert len(made) == len(sources)
    assert len(set(made)) == len(made)
    assert all(made)
    assert not any(ARROW in each or "->" in each for each in made)


# Baselines --------------------------------------------------------------------------------------------------------


def result(*versions: str | None, aliases: tuple[str, ...] = ()) -> CheckResult:
    """A check of QEMUs of these versions, in which a device breaks in each direction."""
    sources = [qemu(each, path=f"{n}/q") if each else file(f"{n}/d.json") for n, each in enumerate(versions)]
    names = labels(sources)
    dumps = [
        Dump(label, Producer("image", source.path, source.version), "pc", aliases[number : number + 1])
        for number, (label, source) in enumerate(zip(names, sources, strict=True))
    ]
    directions = {f"{names[a]} -> {names[b]}": Direction(a, b) for a, b in permutations(range(len(names)), 2)}
    found = [Finding("r", Verdict.BREAKS, direction, "dev", "p", "m") for direction in directions]
    results = {each.direction: [TypeResult("dev", each.verdict, "s", [each], [])] for each in found}
    return CheckResult(dumps, results, directions=directions)


def left(checked: CheckResult, path: Path) -> list[str]:
    """The directions with findings that are not accepted."""
    applied = apply(checked, load_config(path), TODAY)
    return [direction for direction, (each,) in applied.results.items() if each.findings]


def test_baseline_survives_other_labels(tmp_path: Path) -> None:
    """A baseline of a version matrix stays valid if another QEMU makes the labels longer."""
    path = tmp_path / "vmdump.toml"
    path.write_text(baseline(result("7.2.22", "8.2.2", "10.0.13"), TODAY))
    assert left(result("7.2.22", "8.2.2", "10.0.13"), path) == []
    longer = result("7.2.22", "8.2.2", "10.0.13", "10.0.13")  # two of one version, so that labels need paths
    assert [dump.label for dump in longer.dumps] == ["7.2.22", "8.2.2", "10.0.13 (2)", "10.0.13 (3)"]
    assert left(longer, path) == ["10.0.13 (2) -> 10.0.13 (3)", "10.0.13 (3) -> 10.0.13 (2)"]
    assert left(result("8.2.2", "7.2.22"), path) == ["8.2.2 -> 7.2.22", "7.2.22 -> 8.2.2"]


def test_baseline_without_versions(tmp_path: Path) -> None:
    """Dumps without versions are identified by labels, per direction."""
    path = tmp_path / "vmdump.toml"
    checked = result(None, None, None)
    path.write_text(baseline(checked, TODAY))
    assert left(checked, path) == []
    one = '[[accept]]\nrule = "r"\ndirection = "0 -> 2"\nreason = "known"\n'
    path.write_text(one)
    assert left(checked, path) == ["0 -> 1", "1 -> 0", "1 -> 2", "2 -> 0", "2 -> 1"]


def test_directions_of_older_configurations(tmp_path: Path) -> None:
    """Entries that name files, as labels once did, or a folder's producers, still match."""
    path = tmp_path / "vmdump.toml"
    path.write_text('[[accept]]\nrule = "r"\ndirection = "old.json -> new.json"\nreason = "known"\n')
    checked = result("7.2.22", "10.0.13", aliases=("old.json", "new.json"))
    assert left(checked, path) == ["10.0.13 -> 7.2.22"]


def test_labels_of_a_folder(tmp_path: Path) -> None:
    """Producers in a bulk output directory are labelled by version, with more only for equal versions."""

    def entry(label: str, version: str | None, target: str) -> dict[str, object]:
        lists = {"outputs": [f"{label}/{target}/pc.json"], "rows": [], "files": [], "machines": [], "reports": []}
        producer = {"label": label, "version": version, "build_id": None, "host": "x86_64"}
        facts = {"source": f"in/{label}", "member": None, "key": label, "error": None, "siblings": 1, "digest": None}
        more = {"machine_types": [], "arguments": [], "targets": [target], "producer": producer}
        return {**facts, **lists, **more}

    import json

    debian = f"QEMU emulator version 7.2.22 ({DEB17})", f"QEMU emulator version 7.2.22 ({DEB18})"
    entries = [
        entry("7.2.22-Debian_1_17", debian[0], "arm"),
        entry("7.2.22-Debian_1_18", debian[1], "x86_64"),
        entry("10.0.13-Debian", "QEMU emulator version 10.0.13 (Debian)", "x86_64"),
        entry("8.2.2", None, "x86_64"),
    ]
    (tmp_path / "manifest.json").write_text(json.dumps({"vmdump_manifest": 1, "entries": entries}))
    found = producers(tmp_path)
    assert [(each.target, each.label) for each in found] == [
        ("arm", f"7.2.22 ({DEB17})"),
        ("x86_64", f"7.2.22 ({DEB18})"),
        ("x86_64", "8.2.2"),
        ("x86_64", "10.0.13"),
    ]
    assert [each.producer for each in found] == ["7.2.22-Debian_1_17", "7.2.22-Debian_1_18", "8.2.2", "10.0.13-Debian"]
    assert {each.path for each in producers(tmp_path, "arm")} == {
        os.path.join(tmp_path, "7.2.22-Debian_1_17/arm/pc.json")
    }
