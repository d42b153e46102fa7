"""The check case by case, and load failures that QEMU's script misses."""

from collections.abc import Callable

import pytest
from support.checks import A, B, C, real_dump
from support.descriptions import array, desc, dump, field, findings, plain, rules, struct, varray, verdicts
from support.paths import DATA

import vmdump
from vmdump.check.checker import Labelled, check
from vmdump.check.results import Verdict
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Producer
from vmdump.errors import VmdumpError
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo


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
