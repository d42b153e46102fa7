"""The check on real dumps, on load failures that QEMU's script misses, and properties that hold for
any descriptions.
"""

import functools
from collections.abc import Callable, Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import judge
from support.descriptions import array, desc, dump, field, findings, plain, rules, struct, unused, varray, verdicts
from support.dumps import read_real_dump
from support.paths import DATA

import vmdump
from vmdump.check import match_sections as match
from vmdump.check.checker import Labelled, check
from vmdump.check.results import CheckResult, TypeResult, Verdict
from vmdump.check.tree_view import Native
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Defect, Producer
from vmdump.dump.tree import parse
from vmdump.errors import VmdumpError
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo

# Real dumps and real migrations -----------------------------------------------------------------------------------


def real_dump(version: str, target: str) -> DeviceDump:
    """Return a dump that QEMU wrote."""
    return DeviceDump(parse(read_real_dump(version, target)), Producer("file"))


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


# Load failures that QEMU's script misses ----------------------------------------------------------------------------

A, B, C = field("a"), field("b"), field("c")


@pytest.mark.parametrize("of", [lambda each: each, plain], ids=["binary", "dump"])
@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([A], [A, B], "breaks"),
        ([array("a", 3), B], [array("a", 4), B], "breaks"),
        ([A, field("b", field_exists=True)], [A, B], "conditional"),
        ([A, B], [A, field("b", version_id=2)], "breaks"),
    ],
    ids=["field appended", "num changed", "test dropped", "field version above its description's"],
)
def test_misses_of_the_script(ours: list[VMStateField], theirs: list[VMStateField], expected: str, of: object) -> None:
    """Each is detected, with binaries and with dumps that print array lengths."""
    assert callable(of)
    pair = [of(dump(desc("dev", *fields))) for fields in (ours, theirs)]
    assert verdicts(*pair) == {"dev": expected}


def test_unrelated_types_with_one_section_name() -> None:
    """An unrelated device that shares a section name is not taken for the renamed device."""
    pci, isa = (desc("cirrus_vga", *fields) for fields in ([A], [B, C]))
    assert verdicts(dump(cirrus_vga=pci), dump(isa_cirrus_vga=isa)) == {"cirrus-vga": Verdict.ABSENT}
    assert verdicts(dump(cirrus_vga=pci), dump(isa_cirrus_vga=pci)) == {"cirrus-vga": Verdict.SAFE}


# Single cases -----------------------------------------------------------------------------------------------------


def test_goes_on_after_a_break() -> None:
    """The second difference is found after the first."""
    found = findings(dump(desc("dev", A, B, C)), dump(desc("dev", A, field("n"), B, field("m", "uint64"), C)))
    assert [each.path for each in found] == ["dev / n", "dev / m"]
    assert {each.verdict for each in found} == {Verdict.BREAKS}


def test_finding_has_all() -> None:
    """A finding has rule, direction, both sides, QEMU's error, condition and remedy."""
    (found,) = findings(dump(desc("dev", A)), dump(desc("dev", A, B)))
    assert (found.rule, found.direction, found.type, found.path) == ("field-added", "A -> B", "dev", "dev / b")
    assert found.source is None
    assert found.destination == ("dev / dev / b", "4 bytes, uint32")
    assert found.message == "the destination reads b (4 bytes, uint32), which the source does not send"
    assert found.error == "Missing section footer for dev"
    assert found.condition is None
    assert found.remedy is not None


def test_within_a_subsection() -> None:
    """A break inside a subsection is conditional on the subsection being sent."""
    old, new = (desc("dev/s", *fields, needed=True) for fields in ([A], [A, B]))
    (found,) = findings(dump(desc("dev", C, subsections=[old])), dump(desc("dev", C, subsections=[new])))
    assert (found.rule, found.verdict) == ("field-added", Verdict.CONDITIONAL)
    assert found.condition == "dev/s is sent (its needed() returns true)"
    always = [desc("dev/s", *fields) for fields in ([A], [A, B])]
    pair = [dump(desc("dev", C, subsections=[each])) for each in always]
    assert verdicts(*pair) == {"dev": Verdict.BREAKS}


def test_within_an_array() -> None:
    """A difference in array elements counts for each element; it is conditional if the array may be empty."""
    old, new = desc("part", A), desc("part", A, B)
    fixed = [dump(desc("dev", struct("s", each, num=3), C)) for each in (old, new)]
    (found,) = findings(*fixed)
    assert (found.verdict, found.path) == (Verdict.BREAKS, "dev / part / s[].b")
    flags = VMStateFlags.STRUCT | VMStateFlags.VARRAY_UINT32
    loose = [dump(desc("dev", VMStateField("s", vmsd=each, flags=flags, num_offset=0))) for each in (old, new)]
    (found,) = findings(*loose)
    assert (found.verdict, found.condition) == (Verdict.CONDITIONAL, "s has elements")


def test_version_within_an_array() -> None:
    """A version guards nothing in an array of structs: QEMU 9.0's virtio-gpu could not load 8.2's state for that
    reason.
    """
    old, new = desc("one-scanout", A), desc("one-scanout", A, field("fb.format", version_id=2), version_id=2)
    pair = [desc("toy-gpu", struct("scanout", each, num=16)) for each in (old, new)]
    for one, two in (map(dump, pair), map(plain, map(dump, pair))):
        (found,) = [each for each in findings(one, two) if each.verdict is not Verdict.UNKNOWN]
        assert (found.rule, found.verdict) == ("nested-version-guards-nothing", Verdict.BREAKS)
        assert found.path == "toy-gpu / one-scanout / scanout[].fb.format"
    # Without a version it is a plain addition, and the remedy proposes no version.
    (found,) = findings(
        *(dump(desc("toy-gpu", struct("scanout", desc("one-scanout", *f), num=2))) for f in ([A], [A, B]))
    )
    assert found.rule == "field-added"
    assert found.remedy is not None
    assert "give it a version_id" not in found.remedy
    # The version of a subsection inside an element is sent.
    sub = [
        desc("one-scanout/s", *f, needed=True, version_id=v) for f, v in (([A], 1), ([A, field("n", version_id=2)], 2))
    ]
    pair = [desc("toy-gpu", struct("s", desc("one-scanout", A, subsections=[each]), num=2)) for each in sub]
    assert verdicts(*map(dump, pair)) == {"toy-gpu": Verdict.SAFE}


def test_number_of_elements_by_configuration() -> None:
    """If no field sends the number of elements, configuration decides it: a break in an element breaks the type."""

    def made(part: VMStateDescription, *more: VMStateField, flags: int = 0) -> DeviceDump:
        flags |= VMStateFlags.STRUCT | VMStateFlags.VARRAY_UINT32
        scanout = VMStateField("scanout", vmsd=part, flags=flags, num_offset=100, offset=0, size=8)
        return dump(desc("virtio-gpu-scanouts", *more, scanout))

    old, new = desc("one", A), desc("one", A, B)
    compared, sent = field("max_outputs", "uint32 equal", offset=100), field("n_outputs", offset=100)
    assert verdicts(made(old), made(new)) == {"virtio-gpu-scanouts": Verdict.BREAKS}
    assert verdicts(made(old, compared), made(new, compared)) == {"virtio-gpu-scanouts": Verdict.BREAKS}
    assert verdicts(made(old, sent), made(new, sent)) == {"virtio-gpu-scanouts": Verdict.CONDITIONAL}
    allocated = [made(each, flags=VMStateFlags.ALLOC) for each in (old, new)]
    assert verdicts(*allocated) == {"virtio-gpu-scanouts": Verdict.CONDITIONAL}
    # A subsection's parent description may send it.
    parts = [
        VMStateField("s", vmsd=each, flags=F.STRUCT | F.VARRAY_UINT32, num_offset=100, offset=0) for each in (old, new)
    ]
    inside = [dump(desc("dev", sent, subsections=[desc("dev/s", each)])) for each in parts]
    (found,) = findings(*inside)
    assert found.condition == "s has elements"


@pytest.mark.parametrize("of", [lambda each: each, plain], ids=["binary", "dump"])
@pytest.mark.parametrize("name", ["vitio-balloon-device/page-poison", "virtio-balloon-device"])
def test_subsection_that_is_never_found(name: str, of: Callable[[DeviceDump], DeviceDump]) -> None:
    """A subsection whose name does not begin with its parent's is never looked up. Real QEMU 5.2 -> 5.2 and 5.2 -> 7.2,
    which has the right name, both end with `Missing section footer for 0000:00:02.0/virtio-balloon` if the guest uses
    the feature.
    """
    number = array("stat", 2)  # so that the dump prints numbers of elements
    wrong, right = (
        of(dump(desc("virtio-balloon-device", number, subsections=[desc(each, A, needed=True)])))
        for each in (name, "virtio-balloon-device/page-poison")
    )
    for destination in (wrong, right):
        (found,) = [each for each in findings(wrong, destination) if each.verdict is not Verdict.SAFE]
        assert (found.rule, found.verdict) == ("subsection-not-found", Verdict.CONDITIONAL)
        assert found.condition == f"{name} is sent (its needed() returns true)"
        assert found.error == "Missing section footer for virtio-balloon-device"
    assert set(verdicts(right, right).values()) == {Verdict.SAFE}
    always = dump(desc("virtio-balloon-device", subsections=[desc(name, A)]))
    assert verdicts(always, always) == {"virtio-balloon-device": Verdict.BREAKS}


def test_lint_defects_break_a_load() -> None:
    """Every lint defect that stops a load is also found between two equal sides."""
    refused = dump(desc("dev", A, version_id=1, minimum_version_id=2))
    assert verdicts(refused, refused) == {"dev": Verdict.BREAKS}
    within = dump(desc("dev", A, subsections=[desc("dev/s", A, needed=True, minimum_version_id=2)]))
    assert rules(within, within) == ["subsection-version"]


def test_the_same_build_needs_no_comparing() -> None:
    """If the build ids are equal, state written by code counts as loadable."""
    made = [dump(desc("dev", field("a", "virtio"))).tree for _ in "AB"]
    one, two = (DeviceDump(tree, Producer("image", build_id="ab")) for tree in made)
    assert verdicts(one, two) == {"dev": Verdict.SAFE}
    other = DeviceDump(made[1], Producer("image", build_id="cd"))
    assert verdicts(one, other) == {"dev": Verdict.UNKNOWN}


def test_hosts_of_unlike_word_size() -> None:
    """Sizes of pointers and timers depend on the host: the dump of Debian's QEMU 7.2.22 for i386 is loadable by its
    amd64 build. tests/data/hosts has what ``qemu-system-x86_64 -M none -dump-vmstate`` of Debian's i386 package wrote.
    """
    narrow = vmdump.open(DATA / "hosts" / "qemu-7.2.22-i386-x86_64.json.xz")
    wide = real_dump("7.2.22", "x86_64")
    for pair in ((narrow, wide), (wide, narrow)):
        assert set(verdicts(*pair).values()) == {Verdict.SAFE, Verdict.UNKNOWN}
        timers = {each.type for each in findings(*pair) if each.rule == "word-size-differs"}
        assert {"ich9-usb-uhci1", "usb-ehci", "sdhci-pci"} <= timers
    # Other differences still break.
    assert verdicts(narrow, real_dump("10.0.13", "x86_64"))["am53c974"] is Verdict.BREAKS


def test_struct_put_around_fields() -> None:
    """The stream does not mark structs: adding or removing a struct around fields changes nothing."""
    flat = dump(desc("dev", A, B, C))
    deep = dump(desc("dev", A, struct("s", desc("part", B, version_id=7, minimum_version_id=7)), C))
    assert rules(flat, deep) == rules(deep, flat) == []


def test_nested_version_is_not_enforced() -> None:
    """A nested description's version is not checked: 7 > 6 loads."""
    six, seven = (dump(desc("dev", struct("s", desc("part", A, version_id=each)))) for each in (6, 7))
    assert verdicts(seven, six) == verdicts(six, seven) == {"dev": Verdict.SAFE}


def test_field_of_a_later_version() -> None:
    """In the section itself a version guards: 1 -> 2 loads, 2 -> 1 is refused."""
    one = dump(desc("dev", A))
    two = dump(desc("dev", A, field("b", version_id=2), version_id=2))
    assert verdicts(one, two) == {"dev": Verdict.SAFE}
    assert verdicts(two, one) == {"dev": Verdict.BREAKS}


def test_sizes_of_structs_in_memory() -> None:
    """A struct's size in memory does not matter (PCIDevice grew)."""
    part = desc("part", A)
    ours, theirs = (VMStateField("s", vmsd=part, flags=VMStateFlags.STRUCT, size=size) for size in (2608, 2736))
    assert rules(dump(desc("dev", ours)), dump(desc("dev", theirs))) == []


def test_less_is_known_of_dumps() -> None:
    """A verdict that rests on missing metadata says so."""
    found, _ = findings(plain(dump(desc("dev", A))), plain(dump(desc("dev", A, B))))
    assert found.note is not None
    assert found.note.startswith("judged by sizes alone: a dump lacks types")
    (known,) = findings(dump(desc("dev", A)), dump(desc("dev", A, B)))
    assert known.note is None


def test_vstruct_version() -> None:
    """A VSTRUCT is sent in struct_version_id, on both sides."""
    part = desc("part", A, field("b", version_id=2), version_id=2)
    one, two = (
        VMStateField("s", vmsd=part, flags=VMStateFlags.VSTRUCT, struct_version_id=version) for version in (1, 2)
    )
    assert rules(dump(desc("dev", one)), dump(desc("dev", two))) == ["field-added"]
    assert rules(dump(desc("dev", one)), dump(desc("dev", A))) == []


def test_state_saved_by_own_code() -> None:
    """State that code saves in a device's section counts for that device, identified by name."""
    old, new = (desc("virtio-gpu-scanouts", *fields) for fields in ([A], [A, B]))
    device = desc("virtio-gpu", VMStateField("virtio-gpu", info=VMStateInfo("virtio-gpu")))
    pair = [dump(virtio_gpu_device=device, other=desc("virtio", A), roots=((each, "save"),)) for each in (old, new)]
    assert verdicts(*pair) == {"virtio-gpu-device": Verdict.BREAKS, "other": Verdict.SAFE}


def test_section_on_no_device_class() -> None:
    """A standalone description is compared like a section, with a verdict of its own. If the other side lacks it, the
    load fails where it is sent, which registration does not show. A CPU's is always sent.
    """
    old, new = (dump(desc("dev", A), roots=((desc("cpu", *fields), "register"),)) for fields in ([A], [A, B]))
    assert verdicts(old, new) == {"dev": Verdict.SAFE, "cpu": Verdict.BREAKS}
    other = dump(desc("dev", A), roots=((desc("timer", A), "register"),))
    assert verdicts(old, other) == {"dev": Verdict.SAFE, "cpu": Verdict.CONDITIONAL}
    legacy = dump(desc("dev", A), roots=((desc("cpu", A), "legacy_vmsd"),))
    (found,) = findings(legacy, other)
    assert (found.rule, found.verdict, found.condition) == ("section-missing", Verdict.BREAKS, None)
    assert found.error == "Unknown savevm section or instance 'cpu' 0"
    # A dump file contains none, which is not a finding.
    assert verdicts(old, plain(old)).keys() == {"dev"}


def test_absent_in_a_dump_file() -> None:
    """For a dump file the finding says that a standalone VMSD may have the name."""
    (found,) = findings(plain(dump(desc("dev", A))), plain(dump(desc("other", B))))
    assert found.verdict is Verdict.ABSENT
    assert "a standalone VMSD may have that name" in found.message


F = VMStateFlags


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        # n * num elements; n times size bytes
        (
            field("a", flags=F.VARRAY_UINT32 | F.MULTIPLY_ELEMENTS, num=2),
            field("a", flags=F.VARRAY_UINT32 | F.MULTIPLY_ELEMENTS, num=3),
            "conditional",
        ),
        (
            field("a", "buffer", size=2, flags=F.VBUFFER | F.MULTIPLY),
            field("a", "buffer", size=3, flags=F.VBUFFER | F.MULTIPLY),
            "conditional",
        ),
        # The code of a buffer gets the size; a custom VMStateInfo's size in memory says nothing.
        (
            field("a", "pci config", size=256, flags=F.BUFFER),
            field("a", "pci config", size=4096, flags=F.BUFFER),
            "breaks",
        ),
        (field("a", "virtqueue", size=96), field("a", "virtqueue", size=104), "unknown"),
        # A marker byte before each element; or a byte before each and one after the last.
        (
            struct("a", desc("part", A), num=3),
            VMStateField(
                "a", vmsd=desc("part", A), num=3,
                flags=F.STRUCT | F.ARRAY | F.ARRAY_OF_POINTER | F.ARRAY_OF_POINTER_AUTO_ALLOC,
            ),
            "breaks",
        ),
        (
            VMStateField("a", vmsd=desc("part", A), info=VMStateInfo("qtailq")),
            VMStateField("a", vmsd=desc("part", A), flags=F.STRUCT | F.VARRAY_UINT32, num_offset=0),
            "conditional",
        ),
    ],
)  # fmt: skip
def test_lengths(ours: VMStateField, theirs: VMStateField, expected: str) -> None:
    """Attributes besides name and element size that decide a field's size in the stream."""
    one, two = dump(desc("dev", A, ours, B)), dump(desc("dev", A, theirs, B))
    assert verdicts(one, two) == verdicts(two, one) == {"dev": expected}


def test_removed_field_with_replacement() -> None:
    """A removed field breaks, unless a run-time length may send as many bytes in its place."""
    gone = [A, B, C], [A, C]
    in_its_place = [A, B, C], [A, field("n", "uint16", field_exists=True), field("m", "uint16"), C]
    may_be = [A, B, C], [A, varray("n", "uint8"), C]
    for (ours, theirs), expected in ((gone, "breaks"), (in_its_place, "conditional"), (may_be, "conditional")):
        assert verdicts(dump(desc("dev", *ours)), dump(desc("dev", *theirs))) == {"dev": expected}


def test_too_deep() -> None:
    """Descriptions nested deeper than Python's stack are an error; if both sides are equal they are safe."""

    def deep(innermost: VMStateField) -> VMStateDescription:
        vmsd = desc("d", innermost)
        for _ in range(900):
            vmsd = desc("d", struct("s", vmsd))
        return vmsd

    assert findings(dump(deep(A)), dump(deep(A))) == []
    with pytest.raises(VmdumpError, match="A -> B: descriptions nest deeper than can be compared"):
        findings(dump(deep(A)), dump(deep(B)))


def test_types() -> None:
    """Patterns select types."""
    both = dump(desc("dev-a", A), desc("dev-b", A))
    result = check([Labelled("A", both), Labelled("B", both)], types=["*-b"])
    assert [each.type for each in result.results["A -> B"]] == ["dev-b"]


def test_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptions that expand exponentially end in an error, not in exhausted memory."""
    monkeypatch.setattr("vmdump.check.stream.MAX_ITEMS", 50_000)
    vmsd = desc("d0", A)
    for level in range(40):
        vmsd = desc(f"d{level + 1}", struct("x", vmsd), struct("y", vmsd))
    with pytest.raises(VmdumpError, match="nested descriptions expand to more than"):
        findings(dump(dev=vmsd), dump(dev=desc("d40", A)))
    assert findings(dump(dev=vmsd), dump(dev=vmsd)) == []


# Properties of any descriptions -------------------------------------------------------------------------------------

NAMES = st.sampled_from([f"f{number}" for number in range(12)])


@st.composite
def field_lists(draw: st.DrawFn) -> list[VMStateField]:
    """Fields with unique names: values, arrays, unused bytes, some with a test."""
    made = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=8, unique=True)):
        kind = draw(st.sampled_from(["value", "array", "varray", "unused"]))
        info = draw(st.sampled_from(["uint8", "uint16", "uint32", "uint64", "bool", "timer"]))
        if kind == "value":
            made.append(field(name, info, field_exists=draw(st.sampled_from([None, True]))))
        elif kind == "array":
            made.append(array(name, draw(st.integers(1, 9)), info))
        elif kind == "varray":
            made.append(varray(name, info))
        else:
            made.append(unused(draw(st.integers(2, 64))))
    return made


@st.composite
def descriptions(draw: st.DrawFn) -> VMStateDescription:
    """A description with nested ones and subsections."""
    fields = draw(field_lists())
    if draw(st.booleans()):
        part = desc("part", *draw(field_lists()), version_id=draw(st.integers(1, 3)))
        more = draw(st.sampled_from([{}, {"num": 3}]))
        fields.insert(draw(st.integers(0, len(fields))), struct("s", part, **more))
    subsections = [desc("dev/sub", *draw(field_lists()), needed=True)] if draw(st.booleans()) else None
    return desc("dev", *fields, subsections=subsections)


@given(descriptions())
def test_any_description_loads_itself(vmsd: VMStateDescription) -> None:
    """A -> A is safe for a binary; for a dump without array lengths it is unknown."""
    assert findings(dump(vmsd), dump(vmsd)) == []
    assert set(verdicts(dump(vmsd), plain(dump(vmsd))).values()) <= {Verdict.SAFE, Verdict.UNKNOWN}


@given(field_lists(), st.data())
def test_renaming_is_safe(fields: list[VMStateField], data: st.DataObject) -> None:
    """A renamed field is the same field."""
    index = data.draw(st.integers(0, len(fields) - 1))
    old = fields[index]
    kept = {name: getattr(old, name) for name in old.__struct_fields__}
    renamed = [*fields[:index], VMStateField(**{**kept, "name": "another"}), *fields[index + 1 :]]
    for pair in ((fields, renamed), (renamed, fields)):
        assert verdicts(*[dump(desc("dev", *each)) for each in pair]) == {"dev": Verdict.SAFE}


@given(field_lists(), field_lists(), st.integers(2, 64), st.data())
def test_splitting_unused_is_safe(
    before: list[VMStateField], after: list[VMStateField], size: int, data: st.DataObject
) -> None:
    """Unused bytes may be split anywhere."""
    cut = data.draw(st.integers(1, size - 1))
    whole = dump(desc("dev", *before, unused(size), *after))
    split = dump(desc("dev", *before, unused(cut), unused(size - cut), *after))
    assert verdicts(whole, split) == verdicts(split, whole) == {"dev": Verdict.SAFE}


@given(field_lists(), st.sampled_from(["uint8", "uint32", "timer"]))
def test_appending_breaks(fields: list[VMStateField], info: str) -> None:
    """An unguarded appended field breaks in both directions."""
    old, new = (dump(desc("dev", *each)) for each in (fields, [*fields, field("appended", info)]))
    assert verdicts(old, new) == verdicts(new, old) == {"dev": Verdict.BREAKS}


def test_the_same_bytes_at_other_places() -> None:
    """Fields with equal total size are not regrouped if one would be read from another's bytes."""
    ours, theirs = (dump(desc("dev", field("a", one), field("b", two), field("c", three))) for one, two, three in (
        ("uint8", "uint32", "uint16"), ("uint32", "uint8", "uint16"),
    ))  # fmt: skip
    assert verdicts(ours, theirs) == verdicts(theirs, ours) == {"dev": "breaks"}
    joined = dump(desc("dev", field("ab", "uint32"), field("x", "uint8"), field("c", "uint16")))
    assert verdicts(ours, joined) == verdicts(joined, ours) == {"dev": "safe"}


def test_subsections_with_equal_names_match_by_place() -> None:
    """A subsection matches the one of that name in the same list, at any depth, not one of another struct."""

    def part(*names: str) -> VMStateDescription:
        fields = {"same": field("a"), "other": field("a", "uint64")}
        return desc("part", field("x"), subsections=[desc("part/sub", fields[name], needed=True) for name in names])

    nested = [
        dump(desc("dev", struct("s", part(*names)))) for names in (("same", "other"), ("same", "same"), ("same",))
    ]
    assert rules(nested[0], nested[0]) == ["subsection-duplicate-name"]
    assert rules(nested[1], nested[1]) == ["subsection-duplicate-name"]  # the second's values are read into the first
    assert rules(nested[2], nested[0]) == []  # the destination never finds its second
    two = dump(desc("dev", struct("s", part("same")), struct("t", part("other"))))
    assert rules(two, two) == []


@given(field_lists(), field_lists())
def test_symmetry(ours: list[VMStateField], theirs: list[VMStateField]) -> None:
    """Without versions and subsections, what is safe in one direction is safe in the other."""
    one, two = dump(desc("dev", *ours)), dump(desc("dev", *theirs))
    assert (verdicts(one, two) == {"dev": "safe"}) == (verdicts(two, one) == {"dev": "safe"})
    known = [[each for each in side if not each.field_exists and each.num_offset is None] for side in (ours, theirs)]
    one, two = [dump(desc("dev", *side)) for side in known]
    assert verdicts(one, two) == verdicts(two, one)


@given(field_lists(), field_lists())
def test_never_safe_with_other_bytes(ours: list[VMStateField], theirs: list[VMStateField]) -> None:
    """If all sizes are known and the totals differ, the verdict is not safe; totals are computed independently here."""
    bytes_of = {"uint8": 1, "bool": 1, "uint16": 2, "uint32": 4, "uint64": 8, "timer": 8}

    def total(fields: list[VMStateField]) -> int:
        return sum(
            each.size if each.name == "unused" else bytes_of[(each.info or VMStateInfo("")).name] * (each.num or 1)
            for each in fields
        )

    known = [[each for each in side if not each.field_exists and each.num_offset is None] for side in (ours, theirs)]
    if total(known[0]) != total(known[1]):
        pair = [dump(desc("dev", *fields)) for fields in known]
        assert verdicts(*pair) == {"dev": Verdict.BREAKS}


def test_many_sections_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each meets the one whose type is called most like it, and few are looked at for it."""
    looked_at = []
    likeness = match._likeness
    monkeypatch.setattr(match, "_likeness", lambda *pair: (looked_at.append(1), likeness(*pair))[1])
    part = desc("part", field("a"))
    source = dump(**{f"type{n:04}_old": part for n in range(600)})
    destination = dump(**{f"type{n:04}_new": part for n in range(600)})
    sides = Native(source), Native(destination)
    matcher = match.Matcher(*sides, nums=True)
    for n, section in enumerate(sides[0].devices.values()):
        found = matcher.match(section)
        assert found is not None
        assert (found.section.type, found.kind) == (f"type{n:04}-new", "section")
    assert len(looked_at) <= 600 * match._MANY


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
