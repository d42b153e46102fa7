"""The check of real dumps: its verdicts beside those of QEMU's script and of real migrations."""

import functools

import pytest
from support import judge
from support.checks import real_dump
from support.descriptions import verdicts
from support.paths import DATA

import vmdump
from vmdump.check.checker import Labelled, check
from vmdump.check.results import TypeResult, Verdict


@functools.cache
def x86_64_forward(kind: str) -> dict[str, TypeResult]:
    """The type results of x86_64, 7.2 -> 10.0, from QEMU's own dumps or from binaries."""
    if kind == "dumps":
        pair = [real_dump(version, "x86_64") for version in ("7.2.22", "10.0.13")]
    else:
        pair = [vmdump.open(DATA / "extended" / f"qemu-{version}-x86_64.json.xz") for version in ("7.2.22", "10.0.13")]
    result = check([Labelled(label, each) for label, each in zip("AB", pair, strict=True)], directions=[(0, 1)])
    return {each.type: each for each in result.results["A -> B"]}


#: Each type that QEMU's script reports on the full dumps of x86_64, 7.2 -> 10.0, and the correct verdict.
ANSWERS = {
    # eitr_intr_pending became unused bytes, itr_intr_pending too; timadj has a test that old machine types switch off.
    "e1000e": ("conditional", "field-added-with-test"),
    # ghes_addr_le is called hw_error_le.
    "acpi-ged": ("safe", "field-renamed"),
    "acpi-ged-x86": ("safe", "type-moved"),
    # Abstract parents, children and siblings, whose sections other types cover.
    "pci-piix3": ("safe", "type-moved"),
    "PIIX3-xen": ("safe", "type-moved"),
    "virtio-vga-gl": ("safe", "type-moved"),
    "virtio-vga-gl-base-type": ("safe", "type-moved"),
    # An unrelated type has a section of that name with different contents.
    "serial-mm": ("absent", "type-absent"),
    # Not built any more for this target, or (qxl) not in this build.
    "sysbus-ahci": ("absent", "type-absent"),
    "qxl": ("absent", "type-absent"),
    "qxl-vga": ("absent", "type-absent"),
    "pci-qxl": ("absent", "type-absent"),
    # drq_state was added at the end, without a test: Missing section footer for pciespscsi.
    "am53c974": ("breaks", "test-shifted-misload"),
    "dc390": ("breaks", "test-shifted-misload"),
    "sysbus-esp": ("breaks", "test-shifted-misload"),
    # num_timers is called num_timers_save.
    "hpet": ("safe", "field-renamed"),
}


@pytest.mark.parametrize("kind", ["dumps", "extended"])
@pytest.mark.parametrize("name", ANSWERS)
def test_reports_of_the_script(name: str, kind: str) -> None:
    """Each report of QEMU's script is judged correctly, from dumps and from binaries."""
    result = x86_64_forward(kind)[name]
    verdict, rule = ANSWERS[name]
    # Ignore what both sides have: state written by code, hooks, and lengths that dumps lack.
    known = max((f.verdict for f in result.findings if f.verdict is not Verdict.UNKNOWN), key=Verdict.severity)
    assert known == verdict
    assert rule in [finding.rule for finding in result.findings]


def test_the_list_is_complete() -> None:
    """The list above has every type that the script reports."""
    lines = judge.classic_lines("x86_64", "7.2", "10.0")
    assert {name for name, said in lines.items() if said} == set(ANSWERS)


@pytest.mark.slow
def test_accuracy_with_binaries() -> None:
    """On recorded migrations nearly all reported breaks failed, all failures are reported, few verdicts are
    conditional.
    """
    scores = judge.judge(judge.ask(judge.check_images))
    score = judge.total(scores)
    assert score.precision is not None
    assert score.precision >= 0.97
    assert score.recall == 1
    assert score.conditional_share is not None
    assert score.conditional_share <= 0.05
    assert {(each.src, each.type) for each in score.misloads} == {("10.0", "am53c974"), ("10.0", "dc390")}


def test_accuracy_with_dumps() -> None:
    """7.2's dumps lack array lengths; the one failure missed for that reason, usb_dwc3's, is unknown."""
    score = judge.total(judge.judge(judge.ask(judge.check_dumps)))
    assert score.precision is not None
    assert score.precision >= 0.97
    assert not score.misses
    assert [each.type for each in score.unsure] == ["usb_dwc3"]


@pytest.mark.parametrize("version", ["7.2.22", "8.2.2", "10.0.13"])
def test_against_itself(version: str) -> None:
    """A real dump against itself has no findings but those for parts that cannot be compared."""
    same = [Labelled(label, real_dump(version, "x86_64")) for label in "AB"]
    result = check(same)
    assert list(result.results) == ["A -> B", "B -> A"]
    assert {label: each.way for label, each in result.directions.items()} == {"A -> B": "forward", "B -> A": "backward"}
    found = {finding.verdict for types in result.results.values() for each in types for finding in each.findings}
    assert found == {Verdict.UNKNOWN}


def test_binary_against_its_own_dump() -> None:
    """A binary and its own dump differ in nothing that both contain, apart from standalone descriptions. State written
    by code is unknown, as the dump does not identify the build.
    """
    binary = vmdump.open(DATA / "extended" / "qemu-10.0.13-m68k.json.xz")
    written = real_dump("10.0.13", "m68k")
    for pair in ((binary, written), (written, binary)):
        assert set(verdicts(*pair).values()) == {Verdict.SAFE, Verdict.UNKNOWN}


def test_layout() -> None:
    """In the side-by-side layout the destination's drq_state is added and has no counterpart."""
    layout = x86_64_forward("extended")["am53c974"].layout
    added = [row for row in layout if row.change == "added" and row.destination]
    assert [row.destination.path for row in added if row.destination] == ["esp.drq_state"]
    assert added[0].destination is not None
    assert added[0].destination.size == 1
    same = x86_64_forward("extended")["isa-serial"].layout
    assert len(same) > 10
    assert {row.change for row in same} == {"same"}


def test_cpu_covers_its_models() -> None:
    """A CPU's section belongs to no device class; its result names the CPU models."""
    cpu = x86_64_forward("extended")["cpu"]
    assert "qemu64-x86_64-cpu" in cpu.covers


def test_state_inside_virtio() -> None:
    """A VirtioDeviceClass's description counts for the device type: 10.0 may send a subsection that 7.2 lacks."""
    new, old = (vmdump.open(DATA / "extended" / f"qemu-{v}-x86_64.json.xz") for v in ("10.0.13", "7.2.22"))
    result = check([Labelled("A", new), Labelled("B", old)], types=["virtio-net-device"])
    (found,) = [f for each in result.results["A -> B"] for f in each.findings if f.verdict is not Verdict.UNKNOWN]
    assert (found.rule, found.type) == ("subsection-unknown", "virtio-net-device")
    assert found.path == "virtio-net / virtio-net-device / virtio-net-device/backend"
