"""Each rule fires on its hits, not on its near misses, and has complete documentation."""

import re

import pytest
from support.descriptions import (
    array,
    desc,
    dump,
    field,
    findings,
    lint_rules,
    plain,
    rules,
    struct,
    unused,
    validate,
    varray,
)
from support.evaluated import block, board, board_findings, evaluated, section

from vmdump.check.evaluated.answers import Answer
from vmdump.check.evaluated.board import BoardTest
from vmdump.check.evaluated.uninitialised import Uninitialised
from vmdump.check.lint import lint_memory
from vmdump.check.results import Verdict
from vmdump.check.rules import rule, rule_ids
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Defect, Producer
from vmdump.qemu.error_lines import ErrorLines
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo

A, B, C = field("a"), field("b"), field("c")
TESTED = field("t", field_exists=True)
A_ROOT = desc("root", A)
TWICE = desc("dev/sub", C, needed=True)
PAIR = tuple[DeviceDump, DeviceDump]


def pair(source: VMStateDescription, destination: VMStateDescription) -> PAIR:
    """The same type on both sides."""
    return dump(dev=source), dump(dev=destination)


def fields(source: tuple[VMStateField, ...], destination: tuple[VMStateField, ...]) -> PAIR:
    """Descriptions that differ only in their fields."""
    return pair(desc("dev", *source), desc("dev", *destination))


def subsections(source: list[VMStateDescription], destination: list[VMStateDescription]) -> PAIR:
    """Descriptions that differ only in their subsections."""
    return pair(desc("dev", A, subsections=source), desc("dev", A, subsections=destination))


def nested(source: VMStateDescription, destination: VMStateDescription) -> PAIR:
    """Descriptions that differ only in a nested struct."""
    return fields((struct("s", source), B), (struct("s", destination), B))


def sub(name: str = "dev/sub", *more: VMStateField, needed: bool = True, version_id: int = 1) -> VMStateDescription:
    """A subsection."""
    return desc(name, C, *more, needed=needed, version_id=version_id, minimum_version_id=version_id)


def custom(name: str, info: str, size: int = 4) -> VMStateField:
    """A field with the device's own VMStateInfo."""
    return VMStateField(name, info=VMStateInfo(info), size=size, flags=VMStateFlags.SINGLE)


def plains(source: tuple[VMStateField, ...], destination: tuple[VMStateField, ...]) -> PAIR:
    """The same, reduced to what QEMU's own dump prints."""
    one, two = fields(source, destination)
    return plain(one), plain(two)


def on_host(pointer: int, *more: VMStateField) -> tuple[VMStateField, ...]:
    """Fields, with structs of three pointers or more, on a host with that pointer size."""
    structs = (VMStateField(f"s{n}", vmsd=desc(f"s{n}", A), size=n * pointer) for n in range(3, 6))
    return *structs, *more


def versioned(version: int, *more: VMStateField, carrier: int = 40) -> VMStateDescription:
    """A struct whose version is sent before it, in the carrier struct."""
    part = desc("part", field("a", offset=0), *more, version_id=version)
    inner = VMStateField("s", vmsd=part, flags=VMStateFlags.STRUCT, offset=16, size=64)
    return desc("dev", field("s.version", "uint8", offset=carrier), inner)


def buffer(name: str, size: int) -> VMStateField:
    """A field of raw memory."""
    return field(name, "buffer", size=size, flags=VMStateFlags.BUFFER)


def defective(*defects: Defect) -> DeviceDump:
    """A dump of a binary with a reported defect."""
    return DeviceDump(dump(desc("dev", A)).tree, Producer("image", defects=defects))


#: For each rule about the machine type: a hit and a near miss, two boards each.
BOARD = {
    "board-section-missing": (
        (board(sections=(section("a"), section("b"))), board(sections=(section("a"),))),
        # Found by an alias; not sent at reset.
        (
            board(sections=(section("0000:00:01.0/b", 0), section("c", is_sent=False))),
            board(sections=(section("b", 0, ("0000:00:01.0/b", 0)),)),
        ),
    ),
    "ram-block-missing": (
        (board(blocks=(block("pc.ram", 1), block("pc.rom", 2))), board(blocks=(block("pc.ram", 1),))),
        # Only the destination has it: nothing is sent for it.
        (board(blocks=(block("pc.ram", 1),)), board(blocks=(block("pc.ram", 1), block("pc.rom", 2)))),
    ),
    "ram-block-resized": (
        (board(blocks=(block("pc.rom", 4),)), board(blocks=(block("pc.rom", 2),))),
        (board(blocks=(block("pc.rom", 4),)), board(blocks=(block("pc.rom", 4, "other.bin"),))),
    ),
    "system-registers-missing": (
        (board(cpu="a15", registers=("0x1", "0x2")), board(cpu="a15", registers=("0x1",))),
        # The destination has more, or another CPU.
        (board(cpu="a15", registers=("0x1",)), board(cpu="a15", registers=("0x1", "0x2"))),
    ),
    "cpu-features-differ": (
        (board(cpu="max", features={"CPUID 0x1 EDX": 3}), board(cpu="max", features={"CPUID 0x1 EDX": 1})),
        # A word without features, which only one side knows.
        (board(cpu="max", features={"CPUID 0x7.2 EDX": 0}), board(cpu="max")),
    ),
    "property-differs": (
        (board(properties={"pvpanic.events": 3}), board(properties={"pvpanic.events": 7})),
        (board(properties={"pvpanic.events": 3}), board(properties={"pvpanic.events": 3, "pvpanic.new": 1})),
    ),
    "new-property-on": (
        (
            board(properties={"mch.old": 0}),
            board(properties={"mch.old": 0, "mch.new": 1}, booleans=("mch.old", "mch.new")),
        ),
        # A compat entry sets it, so its value is on purpose.
        (
            board(properties={"mch.old": 0}),
            board(properties={"mch.old": 0, "mch.new": 1}, booleans=("mch.new",), compat=("pci-device.new",)),
        ),
    ),
}

#: Rules whose hits and near misses are in tests of their own.
OTHERS = (
    "decided-by-configuration", "test-differs", "uninitialised-memory", "code-compared", "hook-always-loads",
    "reset-state-refused",
)  # fmt: skip

#: For each rule of the check: a hit and a near miss, two dumps each.
CHECK: dict[str, tuple[PAIR, PAIR]] = {
    "section-version-too-new": (
        pair(desc("dev", A, version_id=2), desc("dev", A)),
        pair(desc("dev", A), desc("dev", A, version_id=2)),
    ),
    "section-version-too-old": (
        pair(desc("dev", A), desc("dev", A, version_id=2, minimum_version_id=2)),
        pair(desc("dev", A, version_id=2), desc("dev", A, version_id=3, minimum_version_id=2)),
    ),
    "section-renamed": (
        pair(desc("npcm7xx-gcr", A), desc("npcm-gcr", A)),
        # Only the type's name differs.
        (dump(npcm7xx_gcr=desc("gcr", A)), dump(npcm_gcr=desc("gcr", A))),
    ),
    "type-absent": ((dump(desc("dev", A)), dump(desc("other", A))), (dump(desc("dev", A)), dump(other=desc("dev", A)))),
    "type-moved": (
        (dump(desc("ide", A)), dump(desc("other", A), roots=((desc("ide", A), "register"),))),
        (dump(desc("ide", A)), dump(desc("ide", A), roots=((desc("ide", A), "register"),))),
    ),
    "unmigratable": (
        pair(desc("dev", A, unmigratable=True), desc("dev", A)),
        # A state that could not be sent is no longer sent.
        pair(desc("dev", A, unmigratable=True), desc("dev", A, unmigratable=True)),
    ),
    "unmigratable-destination": (
        pair(desc("dev", A), desc("dev", A, unmigratable=True)),
        # QEMU asks sections, not their parts.
        nested(desc("part", A), desc("part", A, unmigratable=True)),
    ),
    "unmigratable-on-both-sides": (
        pair(desc("dev", A, unmigratable=True), desc("dev", A, unmigratable=True)),
        pair(desc("dev", A), desc("dev", A)),
    ),
    "section-missing": (
        (dump(desc("dev", A), roots=((desc("css", A), "register"),)), dump(desc("dev", A), roots=((A_ROOT, "save"),))),
        # A destination device has the section; and a description that is not a section.
        (
            dump(desc("dev", A), roots=((desc("css", A), "register"), (desc("part", A), "save"))),
            dump(desc("css", A), desc("dev", A), roots=((A_ROOT, "save"),)),
        ),
    ),
    "code-not-compared": (
        fields((A, custom("b", "virtio")), (A, custom("b", "virtio"))),
        # QEMU's own code for PCI writes as many bytes as the field has.
        fields((A, field("b", "pci config", size=256)), (A, field("b", "pci config", size=256))),
    ),
    "field-size-unknown": (
        plains((A, custom("b", "virtio", 0)), (A, custom("b", "virtio", 0))),
        plains((A, unused(0)), (A, unused(0))),
    ),
    "regrouping-not-compared": (
        plains((A, field("b", size=4), array("r", 2)), (A, field("c", size=8), array("r", 2))),
        plains((A, field("b", size=4), array("r", 2)), (A, field("c", size=4), array("r", 2))),
    ),
    "array-length-unknown": (
        plains((A, B), (A, B)),  # not a dump of QEMU 8.2 or newer, which print numbers of elements
        plains((A, array("b", 2)), (A, array("b", 2))),
    ),
    "description-incomplete": (
        (defective(Defect("a list of fields has no terminator", 0x40, device="dev")), defective()),
        # Of another type.
        (defective(Defect("a list of fields has no terminator", 0x40, device="other")), defective()),
    ),
    "hook-added": (
        pair(desc("dev", A), desc("dev", A, post_load=True)),
        # The source's hook refuses nothing; a save hook does not run at load.
        pair(desc("dev", A, post_load=True, pre_load=True), desc("dev", A, post_load=True, pre_save=True)),
    ),
    "word-size-differs": (
        plains(on_host(8, field("t", "timer")), on_host(4, field("t", "timer", size=4))),
        # Between hosts of equal word size it is a number that has shrunk.
        plains(on_host(8, field("t", "timer")), on_host(8, field("t", "timer", size=4))),
    ),
    "field-of-newer-version": (
        pair(versioned(8, field("n", offset=4, field_exists=True)), versioned(7)),
        # The number lies elsewhere: it is not a member of the struct.
        pair(versioned(8, field("n", offset=4, field_exists=True), carrier=8), versioned(7, carrier=8)),
    ),
    "field-added": (fields((A,), (A, B)), pair(desc("dev", A), desc("dev", A, field("b", version_id=2), version_id=2))),
    "field-removed": (fields((A, B), (A,)), fields((A, B), (A, unused(4)))),
    "field-size-changed": (fields((A, B), (field("a", "uint64"), B)), fields((A, B), (field("a", "int32"), B))),
    "array-length-changed": (
        fields((array("a", 333), B), (array("a", 384), B)),
        fields((array("a", 4), B), (array("a", 3), field("a3"), B)),
    ),
    "nested-version-guards-nothing": (
        nested(desc("part", A), desc("part", A, field("n", version_id=2), version_id=2)),
        # Both sides have it, regardless of versions.
        nested(desc("part", A, field("n")), desc("part", A, field("n", version_id=2), version_id=2)),
    ),
    "nested-version-ignored": (
        nested(
            desc("part", custom("a", "tlb"), version_id=2),
            desc("part", custom("a", "tlb"), version_id=3, minimum_version_id=3),
        ),
        # A version that the destination reads, and a description without state written by code.
        (
            dump(
                dev=desc("dev", struct("s", desc("part", custom("a", "tlb"), version_id=2))),
                other=desc("other", struct("s", desc("part", A, version_id=2))),
            ),
            dump(
                dev=desc("dev", struct("s", desc("part", custom("a", "tlb"), version_id=3, minimum_version_id=2))),
                other=desc("other", struct("s", desc("part", A, version_id=3, minimum_version_id=3))),
            ),
        ),
    ),
    "field-never-sent": (
        fields((A, B), (A, field("b", version_id=2))),
        fields((A, field("b", version_id=2)), (A, field("b", version_id=2), unused(0))),
    ),
    "field-added-with-test": (fields((A,), (A, TESTED)), fields((A, TESTED), (A, TESTED, unused(0)))),
    "field-removed-with-test": (fields((A, TESTED), (A,)), fields((A, TESTED), (A, TESTED, unused(0)))),
    "test-dropped": (
        fields((A, field("b", field_exists=True)), (A, B)),
        fields((A, field("b", field_exists=True)), (field("x"), field("b", field_exists=True))),
    ),
    "test-added": (
        fields((A, B), (A, field("b", field_exists=True))),
        # If there is a test, the version is not checked.
        fields(
            (A, field("b", field_exists=True)), (A, field("b", field_exists=True, version_id=9)),
        ),
    ),
    "run-time-length": (
        fields((varray("a"), B), (varray("a", "uint8"), B)),
        fields((varray("a"), B), (varray("renamed_a"), B)),
    ),
    "encoding-unknown": (
        fields((custom("a", "fsr"), B), (field("env.a"), B)),
        fields((custom("a", "fsr"), B), (custom("env.a", "fsr"), B)),
    ),
    "encoding-misload": (
        fields((array("a", 2), B), (buffer("a", 8), B)),
        fields((array("a", 8, "uint8"), B), (buffer("a", 8), B)),
    ),
    "fields-swapped-misload": (fields((A, B, C), (B, A, C)), fields((A, B, C), (field("x"), field("y"), C))),
    "shifted-misload": (
        fields((field("n"), A, B, C), (A, B, C, field("m"))),
        # The totals agree except for bytes that are never read.
        fields((field("n"), A, B, C), (A, B, C, field("m", "uint64"))),
    ),
    "test-shifted-misload": (
        fields(
            (A, field("mig_x", field_exists=True), C, field("n")), (A, field("x", field_exists=True), C),
        ),
        fields((A, field("x", field_exists=True), C, field("n")), (A, field("x", field_exists=True), C)),
    ),
    "value-compared": (
        fields((A, B), (A, field("b", "uint32 equal"))),
        fields((A, field("b", "uint32 equal")), (field("x"), field("b", "uint32 equal"))),
    ),
    "subsection-unknown": (subsections([sub()], []), subsections([sub()], [sub(), sub("dev/other")])),
    "subsection-always-sent": (subsections([sub(needed=False)], []), subsections([sub()], [])),
    "subsection-version": (
        subsections([sub(version_id=2)], [sub()]),
        subsections([sub()], [desc("dev/sub", C, version_id=2, needed=True)]),
    ),
    "subsection-duplicate-name": (
        subsections([sub(), sub("dev/sub", B)], [sub(), sub("dev/sub", B)]),
        # One that is listed twice loads the same fields.
        subsections([TWICE, TWICE], [sub(), sub("dev/sub", B)]),
    ),
    "subsection-not-found": (
        nested(desc("part", A, subsections=[sub("part/x")]), desc("piece", A, subsections=[sub("part/x")])),
        nested(desc("part", A, subsections=[sub("part/x")]), desc("par", A, subsections=[sub("part/x")])),
    ),
    "subsection-added": (subsections([], [sub()]), subsections([sub()], [])),
    "field-renamed": (fields((A, B), (field("x"), B)), fields((A, B), (A, field("b", "int32")))),
    "fields-regrouped": (
        fields((A, B, C), (array("ab", 2), C)),
        fields((A, B, C), (field("x"), field("y"), C)),
    ),
    "field-retired": (fields((A, B), (unused(4), B)), fields((unused(4), B), (field("a"), B))),
    "field-revived": (fields((unused(4), B), (A, B)), fields((A, B), (unused(4), B))),
}  # fmt: skip


def test_duplicate_subsections_without_offsets() -> None:
    """QEMU's own dump does not tell one description that is listed twice from two that look alike."""
    source, destination = subsections([TWICE, TWICE], [TWICE, TWICE])
    assert "subsection-duplicate-name" not in rules(source, destination)
    assert "subsection-duplicate-name" in rules(plain(source), plain(destination))
    assert "duplicate-subsection" in lint_rules(plain(source))


#: For each rule of the linter: a hit and a near miss.
LINT: dict[str, tuple[DeviceDump, DeviceDump]] = {
    "minimum-above-version": (dump(desc("dev", A, minimum_version_id=2)), dump(desc("dev", A, minimum_version_id=1))),
    "field-above-version": (dump(desc("dev", field("a", version_id=2))), dump(desc("dev", field("a", version_id=1)))),
    "nested-version-guard": (
        dump(desc("dev", struct("s", desc("part", field("a", version_id=2), version_id=2)))),
        dump(desc("dev", field("a", version_id=2), version_id=2)),
    ),
    "subsection-prefix": (dump(desc("dev", A, subsections=[sub("x")])), dump(desc("dev", A, subsections=[sub()]))),
    "duplicate-subsection": (
        dump(desc("dev", A, subsections=[sub(), sub()])),
        dump(desc("dev", A, subsections=[sub(), sub("dev/sub2")])),
    ),
    "duplicate-section": (
        dump(one=desc("dev", A), two=desc("dev", B)),
        dump(one=desc("dev", A), two=desc("dev", A)),
    ),
    "subsection-without-needed": (
        dump(desc("dev", A, subsections=[sub(needed=False)])),
        dump(desc("dev", A, subsections=[sub()])),
    ),
    "compared-with-configuration": (dump(desc("dev", field("a", "uint32 equal"))), dump(desc("dev", A))),
    "size-zero": (dump(desc("dev", unused(0))), dump(desc("dev", varray("a")))),
    "broken-structure": (defective(Defect("a list of fields has no terminator", 0x40)), defective()),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECK)
def test_check_rule(name: str) -> None:
    """The rule fires on its hit and not on its near miss."""
    hit, miss = CHECK[name]
    assert name in rules(*hit)
    assert name not in rules(*miss)


@pytest.mark.parametrize("name", LINT)
def test_lint_rule(name: str) -> None:
    """The rule fires on its hit and not on its near miss."""
    hit, miss = LINT[name]
    assert name in lint_rules(hit)
    assert name not in lint_rules(miss)


def test_copies_of_a_description() -> None:
    """A nested description is reported once, whether shared or copied, as in a cached image."""
    shared = desc("part", A, post_load=True)
    for first, second in ((shared, shared), (shared, desc("part", A, post_load=True))):
        source, destination = fields(
            (struct("s", desc("part", A)), struct("t", desc("part", A))), (struct("s", first), struct("t", second))
        )
        assert rules(source, destination) == ["hook-added"]
    old, new = (desc("part", custom("a", "tlb"), version_id=n, minimum_version_id=n) for n in (2, 3))
    copy = desc("part", custom("a", "tlb"), version_id=3, minimum_version_id=3)
    for second in (new, copy):
        source, destination = fields((struct("s", old), struct("t", old)), (struct("s", new), struct("t", second)))
        assert rules(source, destination).count("nested-version-ignored") == 1


def test_validation_is_compared() -> None:
    """A new assertion in the destination is reported as a comparison; one with another name in its
    place is the same.
    """
    assert rules(*fields((A,), (A, validate("a in range")))) == ["value-compared"]
    assert rules(*fields((A, validate("a must match")), (A, validate("a in range")))) == []
    assert "compared-with-configuration" in lint_rules(dump(desc("dev", A, validate("a in range"))))


@pytest.mark.parametrize("name", BOARD)
def test_board_rule(name: str) -> None:
    """The rule fires on its hit and not on its near miss."""
    hit, miss = BOARD[name]
    assert [each.rule for each in board_findings(*hit)] == [name]
    assert name not in [each.rule for each in board_findings(*miss)]


def test_board_findings() -> None:
    """The texts of findings: what differs, by which file, and the line that QEMU prints."""
    source = board(blocks=(block("pc.bios", 262144, "bios-256k.bin"),), sections=(section("kvmclock"),))
    destination = board(blocks=(block("pc.bios", 131072),))
    missing, resized = board_findings(source, destination, "Size too large: pc.bios: 0x40000 > 0x20000")
    assert missing.message == (
        "every VM of pc-q35-7.2 sends section 'kvmclock', instance 0, which the destination's VM lacks"
    )
    assert missing.error == "Unknown savevm section or instance 'kvmclock' 0"
    assert resized.message == (
        "RAM block 'pc.bios' has 262144 bytes in the source, from bios-256k.bin and 131072 bytes in the destination"
    )
    assert (resized.verdict, resized.error) == ("breaks", "Size too large: pc.bios: 0x40000 > 0x20000")
    assert board_findings(board(blocks=source.blocks), destination, None) == []
    # With stand-ins for firmware the sizes are not those of real VMs.
    stand_in = board(blocks=(block("pc.bios", 262144),), stand_ins=("bios-256k.bin",))
    (unsure,) = board_findings(stand_in, destination)
    assert (unsure.verdict, "bios-256k.bin" in unsure.condition) == ("conditional", True)


def test_missing_with_default_devices() -> None:
    """What only VMs without default devices lack is conditional."""
    flash, bare = board(sections=(section("m25p80"),)), board()
    for boards, verdict in (((flash, flash), "conditional"), ((None, None), "conditional"), ((flash, bare), "breaks")):
        (finding,) = board_findings(flash, bare, with_defaults=boards)
        assert (finding.rule, finding.verdict) == ("board-section-missing", verdict)
        assert ("-nodefaults" in str(finding.condition)) == (verdict == "conditional")


def test_properties_of_several_devices() -> None:
    """Devices of one type with different values are compared one by one; names of types may have dots."""
    source = board(properties={"imx.i2c[0].at": 1, "imx.i2c[1].at": 2})
    destination = board(properties={"imx.i2c[0].at": 1, "imx.i2c[1].at": 3})
    (finding,) = board_findings(source, destination)
    assert finding.message.startswith("at of imx.i2c[1] is 2 in the source and 3 in the destination")


def test_decided_by_configuration() -> None:
    """The rule fires if a test reads configuration alone, and not if it reads state."""
    old, new = fields((A,), (A, TESTED))
    for obstacle, expected in ((None, ["decided-by-configuration"]), ("it reads state", ["field-added-with-test"])):
        answers = {(1, "dev"): {("dev", "t", 0): Answer(0, (), obstacle)}}
        assert [each.rule for each in evaluated((old, new), answers).findings] == expected


def test_test_differs() -> None:
    """The rule fires if both sides' tests of a field read configuration and differ, not if one reads state."""
    key, dumps = ("dev", "t", 0), fields((A, TESTED), (A, TESTED))
    boards = [board(tests=(BoardTest("dev", "dev", key, value),)) for value in (1, 0)]
    on, off = Answer(1, ("x-t = on",)), Answer(0, ("x-t = off",))
    result = evaluated(dumps, {(0, "dev"): {key: on}, (1, "dev"): {key: off}}, None, boards)
    assert (result.verdict, [each.rule for each in result.findings]) == (Verdict.BREAKS, ["test-differs"])
    assert result.findings[0].message == (
        "under pc-q35-7.2, the source's test of t returns true, reads only x-t = on, but the destination's test of t "
        "returns false, reads only x-t = off"
    )
    for answer in (off._replace(obstacle="it reads state"), on):
        answers = {(0, "dev"): {key: on}, (1, "dev"): {key: answer}}
        assert evaluated(dumps, answers, None, boards).verdict is Verdict.SAFE
    assert evaluated(dumps, {}, None, [boards[0]] * 2).verdict is Verdict.SAFE


def test_uninitialised_memory() -> None:
    """The linter reports each section with uninitialised bytes, and none without."""
    found = [Uninitialised("0000:00:01.0/imx.serial", 128, 184, ("a", "b", "c", "d", "e"))]
    (finding,) = lint_memory("A", "imx25-pdk", found, ErrorLines({}))
    assert (finding.type, finding.rule, finding.verdict) == ("imx.serial", "uninitialised-memory", "safe")
    assert finding.message.endswith("128 of 184 bytes from uninitialised memory under imx25-pdk: a, b, c and 2 more")
    assert lint_memory("A", "imx25-pdk", [], ErrorLines({})) == []


def test_every_rule_has_both() -> None:
    """Each rule file in the package has a hit and a near miss, and there are no others."""
    elsewhere = ("abi", "migrate", "gate")  # test_abi.py, test_findings.py, test_gate.py
    others = [each for each in rule_ids() if rule(each).command in elsewhere]
    assert sorted([*CHECK, *LINT, *BOARD, *OTHERS, *others]) == rule_ids()


@pytest.mark.parametrize("name", rule_ids())
def test_rule_explains_itself(name: str) -> None:
    """Each rule has all texts; misload rules are named so, conditional rules name their condition."""
    found = rule(name)
    assert all((found.WHAT, found.WHY, found.EXAMPLE, found.REMEDY, found.REFERENCES, found.MESSAGE))
    assert found.VERDICT in set(Verdict) - {Verdict.ACCEPTED}
    sometimes = ("section-version-too-old", "section-missing", "ram-block-resized")
    assert (found.CONDITION is not None) == (found.VERDICT == "conditional" or name in sometimes)
    is_checked = name not in (*LINT, "uninitialised-memory")
    assert found.LEVEL in ((None,) if is_checked else ("defect", "notice"))
    assert all("QEMU" in reference for reference in found.REFERENCES)


@pytest.mark.parametrize("name", rule_ids())
def test_no_remedy_gives_a_nested_field_a_version(name: str) -> None:
    """No remedy for a nested struct proposes a version, as it is not sent."""
    remedy = rule(name).remedy(nested=True)
    about_sections = ("section-version-too-old", "section-version-too-new", "minimum-above-version")
    assert name in about_sections or not re.search(
        r"give it a version_id|[Rr]aise (the description's )?version", remedy
    )


@pytest.mark.parametrize("name", ["", "field_added", "fields-added", "../finding", "__init__"])
def test_no_such_rule(name: str) -> None:
    """An unknown rule id is a KeyError."""
    with pytest.raises(KeyError):
        rule(name)


def errors(rule_id: str, source: DeviceDump, destination: DeviceDump) -> list[str | None]:
    """Return the error lines quoted by a rule's findings."""
    return [each.error for each in findings(source, destination) if each.rule == rule_id]


def test_error_lines() -> None:
    """If QEMU has two error lines for a rule, the finding quotes the one that is printed; messages quote none. Source:
    QEMU 10.0.13 migration/vmstate.c vmstate_load_state.
    """
    old, new = sub(), sub(version_id=2)
    too_new = "dev/sub: incoming version_id 2 is too new for local version_id 1"
    too_old = "dev/sub: incoming version_id 1 is too old for local minimum version_id  2"
    assert errors("subsection-version", *subsections([new], [old])) == [too_new]
    assert errors("subsection-version", *subsections([old], [new])) == [too_old]
    assertion = "Input validation failed: dev/a in range"
    assert errors("value-compared", *fields((A,), (A, validate("a in range")))) == [assertion]
    assert errors("value-compared", *fields((A,), (field("a", "uint32 equal"),))) == ["Failed to load dev:a"]
    assert errors("field-renamed", *fields((A, B), (A, C))) == [None]
    assert not any("`" in rule(each).MESSAGE for each in rule_ids())
