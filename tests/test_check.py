"""The check against real dumps, against proven misses of QEMU's script, and what must hold of any descriptions."""

import functools

import judge
import pytest
from conftest import DATA, read_real_dump
from descriptions import array, desc, dump, field, findings, plain, rules, struct, unused, varray, verdicts
from hypothesis import given
from hypothesis import strategies as st

import vmdump
from vmdump.check.checker import Labelled, check
from vmdump.check.results import TypeResult, Verdict
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Producer
from vmdump.dump.tree import parse
from vmdump.errors import VmdumpError
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo

# Real dumps and real migrations -----------------------------------------------------------------------------------


def real_dump(version: str, target: str) -> DeviceDump:
    """A dump that QEMU wrote."""
    return DeviceDump(parse(read_real_dump(version, target)), Producer("file"))


@functools.cache
def x86_64_forward(kind: str) -> dict[str, TypeResult]:
    """The types of x86_64, 7.2 -> 10.0: of QEMU's own dumps, or of what binaries tell."""
    if kind == "dumps":
        pair = [real_dump(version, "x86_64") for version in ("7.2.22", "10.0.13")]
    else:
        pair = [vmdump.open(DATA / "extended" / f"qemu-{version}-x86_64.json.xz") for version in ("7.2.22", "10.0.13")]
    result = check([Labelled(label, each) for label, each in zip("AB", pair, strict=True)], directions=[(0, 1)])
    return {each.type: each for each in result.results["A -> B"]}


#: Each type of which QEMU's script says something on the full dumps of x86_64, 7.2 -> 10.0, and what is so.
ANSWERS = {
    # eitr_intr_pending became unused bytes, itr_intr_pending too; timadj has a test that old machine types switch off.
    "e1000e": ("conditional", "field-added-with-test"),
    # ghes_addr_le is called hw_error_le.
    "acpi-ged": ("safe", "field-renamed"),
    "acpi-ged-x86": ("safe", "type-moved"),
    # Abstract parents, children and siblings, whose sections other types have.
    "pci-piix3": ("safe", "type-moved"),
    "PIIX3-xen": ("safe", "type-moved"),
    "virtio-vga-gl": ("safe", "type-moved"),
    "virtio-vga-gl-base-type": ("safe", "type-moved"),
    # What has a section of its name is no kin, and sends other bytes.
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
def test_answers(name: str, kind: str) -> None:
    """What QEMU's script alarms about is answered, from dumps and from binaries alike."""
    result = x86_64_forward(kind)[name]
    verdict, rule = ANSWERS[name]
    assert result.verdict == verdict
    assert rule in [finding.rule for finding in result.findings]


def test_all_of_the_script_is_answered() -> None:
    """The list above is all that the script says."""
    lines = judge.classic_lines("x86_64", "7.2", "10.0")
    assert {name for name, said in lines.items() if said} == set(ANSWERS)


def test_judged_with_binaries() -> None:
    """Against real migrations: nearly all that is said to break did, all that failed is told, few are conditional."""
    scores = judge.judge(judge.ask(judge.check_images))
    score = judge.total(scores)
    assert score.precision is not None
    assert score.precision >= 0.97
    assert score.recall == 1
    assert score.conditional_share is not None
    assert score.conditional_share <= 0.05
    assert {(each.src, each.type) for each in score.misloads} == {("10.0", "am53c974"), ("10.0", "dc390")}


def test_judged_with_dumps() -> None:
    """Dumps of 7.2 lack the lengths of arrays: the one failure that is missed for that is usb_dwc3's."""
    score = judge.total(judge.judge(judge.ask(judge.check_dumps)))
    assert score.precision is not None
    assert score.precision >= 0.97
    assert [each.type for each in score.misses] == ["usb_dwc3"]


@pytest.mark.parametrize("version", ["7.2.22", "8.2.2", "10.0.13"])
def test_against_itself(version: str) -> None:
    """A real dump can load what it sends: nothing is found."""
    same = [Labelled(label, real_dump(version, "x86_64")) for label in "AB"]
    result = check(same)
    assert list(result.results) == ["A -> B", "B -> A"]
    assert not any(each.findings for types in result.results.values() for each in types)


def test_binary_against_its_own_dump() -> None:
    """A dump of the same QEMU differs in nothing that both tell; what is on no device class is left out."""
    binary = vmdump.open(DATA / "extended" / "qemu-10.0.13-m68k.json.xz")
    written = real_dump("10.0.13", "m68k")
    for pair in ((binary, written), (written, binary)):
        assert set(verdicts(*pair).values()) == {Verdict.SAFE}


def test_layout() -> None:
    """Both sides beside each other: the destination's drq_state is added, and has no counterpart."""
    layout = x86_64_forward("extended")["am53c974"].layout
    added = [row for row in layout if row.change == "added" and row.destination]
    assert [row.destination.path for row in added if row.destination] == ["esp.drq_state"]
    assert added[0].destination is not None
    assert added[0].destination.size == 1
    same = x86_64_forward("extended")["isa-serial"].layout
    assert len(same) > 10
    assert {row.change for row in same} == {"same"}


def test_cpu_covers_its_models() -> None:
    """A CPU's section hangs on no device class; its models are named."""
    cpu = x86_64_forward("extended")["cpu"]
    assert "qemu64-x86_64-cpu" in cpu.covers


def test_state_inside_virtio() -> None:
    """What VirtioDeviceClass refers to belongs to the device type: 10.0 may send a subsection that 7.2 lacks."""
    new, old = (vmdump.open(DATA / "extended" / f"qemu-{v}-x86_64.json.xz") for v in ("10.0.13", "7.2.22"))
    result = check([Labelled("A", new), Labelled("B", old)], types=["virtio-net-device"])
    (found,) = [finding for each in result.results["A -> B"] for finding in each.findings]
    assert (found.rule, found.type) == ("subsection-unknown", "virtio-net-device")
    assert found.path == "virtio-net / virtio-net-device / virtio-net-device/backend"


# The misses that are proven for QEMU's script -----------------------------------------------------------------------

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
    """Each is caught, with binaries and with dumps that tell lengths."""
    assert callable(of)
    pair = [of(dump(desc("dev", *fields))) for fields in (ours, theirs)]
    assert verdicts(*pair) == {"dev": expected}


def test_no_kin() -> None:
    """A device of another kind whose section happens to have the same name is not what it has become."""
    pci, isa = (desc("cirrus_vga", *fields) for fields in ([A], [B, C]))
    assert verdicts(dump(cirrus_vga=pci), dump(isa_cirrus_vga=isa)) == {"cirrus-vga": Verdict.ABSENT}
    assert verdicts(dump(cirrus_vga=pci), dump(isa_cirrus_vga=pci)) == {"cirrus-vga": Verdict.SAFE}


# Particulars ------------------------------------------------------------------------------------------------------


def test_goes_on_after_a_break() -> None:
    """The second difference is found behind the first."""
    found = findings(dump(desc("dev", A, B, C)), dump(desc("dev", A, field("n"), B, field("m", "uint64"), C)))
    assert [each.path for each in found] == ["dev / n", "dev / m"]
    assert {each.verdict for each in found} == {Verdict.BREAKS}


def test_finding_has_all() -> None:
    """Rule, direction, both sides, QEMU's error, condition, remedy."""
    (found,) = findings(dump(desc("dev", A)), dump(desc("dev", A, B)))
    assert (found.rule, found.direction, found.type, found.path) == ("field-added", "A -> B", "dev", "dev / b")
    assert found.source is None
    assert found.destination == ("dev / dev / b", "4 bytes, uint32")
    assert "`Missing section footer for dev`" in found.message
    assert found.condition is None
    assert found.remedy is not None


def test_within_a_subsection() -> None:
    """What breaks a subsection breaks only where it is sent."""
    old, new = (desc("dev/s", *fields, needed=True) for fields in ([A], [A, B]))
    (found,) = findings(dump(desc("dev", C, subsections=[old])), dump(desc("dev", C, subsections=[new])))
    assert (found.rule, found.verdict) == ("field-added", Verdict.CONDITIONAL)
    assert found.condition == "dev/s is sent (its needed says so)"
    always = [desc("dev/s", *fields) for fields in ([A], [A, B])]
    pair = [dump(desc("dev", C, subsections=[each])) for each in always]
    assert verdicts(*pair) == {"dev": Verdict.BREAKS}


def test_within_an_array() -> None:
    """What differs in elements counts for each; of an array that may have none it is conditional."""
    old, new = desc("part", A), desc("part", A, B)
    fixed = [dump(desc("dev", struct("s", each, num=3), C)) for each in (old, new)]
    (found,) = findings(*fixed)
    assert (found.verdict, found.path) == (Verdict.BREAKS, "dev / part / s[].b")
    flags = VMStateFlags.STRUCT | VMStateFlags.VARRAY_UINT32
    loose = [dump(desc("dev", VMStateField("s", vmsd=each, flags=flags, num_offset=0))) for each in (old, new)]
    (found,) = findings(*loose)
    assert (found.verdict, found.condition) == (Verdict.CONDITIONAL, "s has elements")


def test_struct_put_around_fields() -> None:
    """Nothing on the wire marks a struct: one around fields, or one less, is the same."""
    flat = dump(desc("dev", A, B, C))
    deep = dump(desc("dev", A, struct("s", desc("part", B, version_id=7, minimum_version_id=7)), C))
    assert rules(flat, deep) == rules(deep, flat) == []


def test_nested_version_is_not_enforced() -> None:
    """A nested 7 > 6 loads."""
    six, seven = (dump(desc("dev", struct("s", desc("part", A, version_id=each)))) for each in (6, 7))
    assert verdicts(seven, six) == verdicts(six, seven) == {"dev": Verdict.SAFE}


def test_field_of_a_later_version() -> None:
    """A version guards in the section itself: 1 -> 2 loads, 2 -> 1 is refused."""
    one = dump(desc("dev", A))
    two = dump(desc("dev", A, field("b", version_id=2), version_id=2))
    assert verdicts(one, two) == {"dev": Verdict.SAFE}
    assert verdicts(two, one) == {"dev": Verdict.BREAKS}


def test_sizes_of_structs_in_memory() -> None:
    """The size of a struct is the compiler's business: PCIDevice grew, and nobody noticed."""
    part = desc("part", A)
    ours, theirs = (VMStateField("s", vmsd=part, flags=VMStateFlags.STRUCT, size=size) for size in (2608, 2736))
    assert rules(dump(desc("dev", ours)), dump(desc("dev", theirs))) == []


def test_less_is_known_of_dumps() -> None:
    """A verdict that rests on less says so."""
    (found,) = findings(plain(dump(desc("dev", A))), plain(dump(desc("dev", A, B))))
    assert "Judged by sizes alone" in found.message


def test_vstruct_version() -> None:
    """A VSTRUCT travels in struct_version_id, on both sides."""
    part = desc("part", A, field("b", version_id=2), version_id=2)
    one, two = (
        VMStateField("s", vmsd=part, flags=VMStateFlags.VSTRUCT, struct_version_id=version) for version in (1, 2)
    )
    assert rules(dump(desc("dev", one)), dump(desc("dev", two))) == ["field-added"]
    assert rules(dump(desc("dev", one)), dump(desc("dev", A))) == []


def test_state_saved_by_own_code() -> None:
    """What a device's code saves inside its section belongs to the device; names tell whose it is."""
    old, new = (desc("virtio-gpu-scanouts", *fields) for fields in ([A], [A, B]))
    device = desc("virtio-gpu", VMStateField("virtio-gpu", info=VMStateInfo("virtio-gpu")))
    pair = [dump(virtio_gpu_device=device, other=desc("virtio", A), roots=((each, "save"),)) for each in (old, new)]
    assert verdicts(*pair) == {"virtio-gpu-device": Verdict.BREAKS, "other": Verdict.SAFE}


def test_section_on_no_device_class() -> None:
    """It is a section like others, and has a verdict of its own; one that the other side lacks is absent."""
    old, new = (dump(desc("dev", A), roots=((desc("cpu", *fields), "register"),)) for fields in ([A], [A, B]))
    assert verdicts(old, new) == {"dev": Verdict.SAFE, "cpu": Verdict.BREAKS}
    other = dump(desc("dev", A), roots=((desc("timer", A), "register"),))
    assert verdicts(old, other) == {"dev": Verdict.SAFE, "cpu": Verdict.ABSENT}
    # A dump file tells of none: that is no finding.
    assert verdicts(old, plain(old)) == {"dev": Verdict.SAFE}


def test_absent_as_far_as_a_dump_tells() -> None:
    """A dump file does not tell what is registered by other means; the finding says so."""
    (found,) = findings(plain(dump(desc("dev", A))), plain(dump(desc("other", B))))
    assert found.verdict is Verdict.ABSENT
    assert "unless by other means than a device class" in found.message


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
        # The code of a buffer gets the size; that of a member in memory says nothing.
        (
            field("a", "pci config", size=256, flags=F.BUFFER),
            field("a", "pci config", size=4096, flags=F.BUFFER),
            "conditional",
        ),
        (field("a", "virtqueue", size=96), field("a", "virtqueue", size=104), "safe"),
        # A marker byte before each element; a byte before each and one behind the last.
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
    """What decides the bytes of a field beside what its name and its elements' size say."""
    one, two = dump(desc("dev", A, ours, B)), dump(desc("dev", A, theirs, B))
    assert verdicts(one, two) == verdicts(two, one) == {"dev": expected}


def test_made_up_for() -> None:
    """A field that is gone breaks, unless run time may decide to send as many bytes in its place."""
    gone = [A, B, C], [A, C]
    in_its_place = [A, B, C], [A, field("n", "uint16", field_exists=True), field("m", "uint16"), C]
    may_be = [A, B, C], [A, varray("n", "uint8"), C]
    for (ours, theirs), expected in ((gone, "breaks"), (in_its_place, "conditional"), (may_be, "conditional")):
        assert verdicts(dump(desc("dev", *ours)), dump(desc("dev", *theirs))) == {"dev": expected}


def test_too_deep() -> None:
    """Deeper than Python's stack is an error that says so; equal ones are no matter."""

    def deep(innermost: VMStateField) -> VMStateDescription:
        vmsd = desc("d", innermost)
        for _ in range(900):
            vmsd = desc("d", struct("s", vmsd))
        return vmsd

    assert findings(dump(deep(A)), dump(deep(A))) == []
    with pytest.raises(VmdumpError, match="A -> B: descriptions nest deeper than can be compared"):
        findings(dump(deep(A)), dump(deep(B)))


def test_types() -> None:
    """Patterns choose types."""
    both = dump(desc("dev-a", A), desc("dev-b", A))
    result = check([Labelled("A", both), Labelled("B", both)], types=["*-b"])
    assert [each.type for each in result.results["A -> B"]] == ["dev-b"]


def test_too_much() -> None:
    """Descriptions that share others exponentially end in an error, not in all of memory."""
    vmsd = desc("d0", A)
    for level in range(40):
        vmsd = desc(f"d{level + 1}", struct("x", vmsd), struct("y", vmsd))
    with pytest.raises(VmdumpError, match="nest each other too often"):
        findings(dump(dev=vmsd), dump(dev=desc("d40", A)))
    assert findings(dump(dev=vmsd), dump(dev=vmsd)) == []


# What must hold of any descriptions ---------------------------------------------------------------------------------

NAMES = st.sampled_from([f"f{number}" for number in range(12)])


@st.composite
def field_lists(draw: st.DrawFn) -> list[VMStateField]:
    """Fields of different names: values, arrays, unused bytes, some with a test."""
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
    """A -> A is safe, from a binary and from a dump."""
    assert findings(dump(vmsd), dump(vmsd)) == []
    assert set(verdicts(dump(vmsd), plain(dump(vmsd))).values()) == {Verdict.SAFE}


@given(field_lists(), st.data())
def test_renaming_is_safe(fields: list[VMStateField], data: st.DataObject) -> None:
    """A field under a name that no other has is the same field."""
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
    """A run of unused bytes may be cut anywhere."""
    cut = data.draw(st.integers(1, size - 1))
    whole = dump(desc("dev", *before, unused(size), *after))
    split = dump(desc("dev", *before, unused(cut), unused(size - cut), *after))
    assert verdicts(whole, split) == verdicts(split, whole) == {"dev": Verdict.SAFE}


@given(field_lists(), st.sampled_from(["uint8", "uint32", "timer"]))
def test_appending_breaks(fields: list[VMStateField], info: str) -> None:
    """A field that is appended without a guard breaks both ways."""
    old, new = (dump(desc("dev", *each)) for each in (fields, [*fields, field("appended", info)]))
    assert verdicts(old, new) == verdicts(new, old) == {"dev": Verdict.BREAKS}


def test_the_same_bytes_at_other_places() -> None:
    """Fields of the same bytes in all are not regrouped where one is read from what was sent of another."""
    ours, theirs = (dump(desc("dev", field("a", one), field("b", two), field("c", three))) for one, two, three in (
        ("uint8", "uint32", "uint16"), ("uint32", "uint8", "uint16"),
    ))  # fmt: skip
    assert verdicts(ours, theirs) == verdicts(theirs, ours) == {"dev": "breaks"}
    joined = dump(desc("dev", field("ab", "uint32"), field("x", "uint8"), field("c", "uint16")))
    assert verdicts(ours, joined) == verdicts(joined, ours) == {"dev": "safe"}


def test_namesakes_are_told_apart_by_place() -> None:
    """A subsection is read as its namesake in the same list, however deep, and not as one of another struct."""

    def part(*names: str) -> VMStateDescription:
        fields = {"same": field("a"), "other": field("a", "uint64")}
        return desc("part", field("x"), subsections=[desc("part/sub", fields[name], needed=True) for name in names])

    nested = [
        dump(desc("dev", struct("s", part(*names)))) for names in (("same", "other"), ("same", "same"), ("same",))
    ]
    assert rules(nested[0], nested[0]) == ["subsection-namesake"]
    assert rules(nested[1], nested[1]) == []
    assert rules(nested[2], nested[0]) == []  # the destination never finds its second
    two = dump(desc("dev", struct("s", part("same")), struct("t", part("other"))))
    assert rules(two, two) == []


@given(field_lists(), field_lists())
def test_symmetry(ours: list[VMStateField], theirs: list[VMStateField]) -> None:
    """Without versions and subsections what is safe one way is safe the other: what one sends, the other reads."""
    one, two = dump(desc("dev", *ours)), dump(desc("dev", *theirs))
    assert (verdicts(one, two) == {"dev": "safe"}) == (verdicts(two, one) == {"dev": "safe"})
    known = [[each for each in side if not each.field_exists and each.num_offset is None] for side in (ours, theirs)]
    one, two = [dump(desc("dev", *side)) for side in known]
    assert verdicts(one, two) == verdicts(two, one)


@given(field_lists(), field_lists())
def test_never_safe_with_other_bytes(ours: list[VMStateField], theirs: list[VMStateField]) -> None:
    """Where all bytes are known and differ in all, it is not safe: summed up here once more."""
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
