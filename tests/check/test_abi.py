"""The rules of vmdump abi: each fires on its hit, not on its near miss."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from vmdump.check.abi import abi
from vmdump.check.results import CheckResult, Dump, Verdict
from vmdump.check.rules import rule_ids
from vmdump.dump.producer import Producer
from vmdump.machines.model import CompatProperty, Cpu, Field, Property, QomObject, RamBlock
from vmdump.machines.survey import State, Survey

PARENTS = {"device": "object", "object": None, "nic": "device", "cpu": "device", "x-cpu": "cpu", "pc-machine": "object",
           "memory-region": "object", "disk": "device"}  # fmt: skip


def qom(path: str, type_: str, **values: Any) -> QomObject:
    """An object of a QOM tree with properties."""
    return QomObject(path, type_, tuple(Property(name.replace("_", "-"), "x", value) for name, value in values.items()))


def survey(*objects: QomObject, compat: Sequence[CompatProperty] = (), cpu: Cpu | None = None, **more: Any) -> Survey:
    """A survey of a board with these objects, or with the parts of a State."""
    board = State("pc", (), (qom("/machine", "pc-machine"), *objects), **more)
    return Survey("pc", "QEMU emulator version 7.2.0", tuple(compat), PARENTS, ("nic", "disk"), board, cpu)


def compare(old: Survey, new: Survey) -> CheckResult:
    """The result of comparing two surveys."""
    dumps = [Dump(label, Producer("image"), "pc") for label in ("old", "new")]
    return abi([(dumps[0], old, dumps[1], new)])


def rules(old: Survey, new: Survey) -> list[str]:
    """Ids of the rules that fire, in order."""
    return [each.rule for each in compare(old, new).findings]


def nic(**values: Any) -> Survey:
    """A board with a NIC."""
    return survey(qom("/machine/nic", "nic", **values))


def registers(data: bytes, type_: str = "uint16", size: int = 2, section: str = "0000:00:03.0/nic 0") -> Survey:
    """A board with a NIC whose section has a field."""
    return survey(fields=(Field(section, "regs", data, size, type_),))


def cpu(**features: bool) -> Survey:
    """A board with a CPU."""
    return survey(cpu=Cpu("x-cpu", dict(features)))


def plugged(*arguments: str, refused: str | None = None) -> Survey:
    """A machine that a disk was added to, or refused."""
    state = {"disk": State("disk", arguments)}
    return replace(survey(), **({"refused": {"disk": refused}} if refused else {"devices": state}))


#: By rule: two surveys for which it fires, and two for which it does not.
CASES: dict[str, tuple[tuple[Survey, Survey], tuple[Survey, Survey]]] = {
    "abi-property-changed": ((nic(streams=False), nic(streams=True)), (nic(streams=False), nic(streams="off"))),
    "abi-property-unresolved": ((nic(rombar=1), nic(rombar=-1)), (nic(rombar=-1), nic(rombar=-1))),
    "abi-property-on-one-side": ((nic(), nic(fast=True)), (nic(), nic(fast=False))),
    "abi-property-inactive": ((nic(), nic(fast=False)), (nic(fast=False), nic(fast=False))),
    "abi-device-tree": (
        (nic(), survey()),
        (survey(qom("/machine/unattached/device[3]", "nic")), survey(qom("/machine/unattached/device[9]", "nic"))),
    ),
    "abi-memory-region": (
        (survey(qom("/machine/nic/bar[0]", "memory-region", size=4096)),
         survey(qom("/machine/nic/bar[0]", "memory-region", size=8192))),
        (survey(qom("/machine/nic/bar[0]", "memory-region", size=4096)),
         survey(qom("/machine/nic/bar[0]", "memory-region", size=4096, priority=1))),
    ),
    "abi-ram-block": (
        (survey(ram_blocks=(RamBlock("rom", 4096),)), survey(ram_blocks=(RamBlock("rom", 8192),))),
        (survey(ram_blocks=(RamBlock("a", 1), RamBlock("b", 1))),
         survey(ram_blocks=(RamBlock("b", 1), RamBlock("a", 1)))),
    ),
    "abi-cpu": ((cpu(avx=True), cpu(avx=False)), (cpu(avx=True), cpu(avx=True, new=False))),
    "abi-pci-config": (
        (registers(bytes(256), "pci config", 256), registers(b"\x86\x80" + bytes(254), "pci config", 256)),
        (registers(bytes(256), "pci config", 256), registers(bytes(64), "pci config", 64)),
    ),
    "abi-reset-state": (
        (registers(b"\0\4\0\0"), registers(b"\0\5\0\0")),
        (registers((1_700_000_000 * 10**9).to_bytes(8, "big"), "int64", 8),
         registers((1_700_000_001 * 10**9).to_bytes(8, "big"), "int64", 8)),
    ),
    "abi-not-compared": (
        (plugged(refused="needs a file"), plugged("driver=disk")),
        (plugged(refused="'driver' expects a pluggable device type"), plugged("driver=disk")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_rule(name: str) -> None:
    """A rule fires on its hit, not on its near miss."""
    hit, miss = CASES[name]
    assert name in rules(*hit)
    assert name not in rules(*miss)


def test_every_rule_has_both() -> None:
    """Each abi rule has a case."""
    assert sorted(CASES) == [each for each in rule_ids() if each.startswith("abi-")]


def test_finding() -> None:
    """A finding names both values; the type's verdict is its worst finding's."""
    result = compare(nic(streams=False, rombar=1), nic(streams=True, rombar=-1))
    first, second = result.findings
    assert first.message == "streams is false in the source and true in the destination"
    assert (first.type, first.path, first.direction) == ("nic", "streams", "old -> new")
    assert first.source is not None
    assert first.source.facts == "false"
    assert second.condition == "the device takes 1 and -1 to mean different things"
    verdicts = {each.type: each.verdict for each in result.results["old -> new"]}
    assert verdicts == {"machine": Verdict.SAFE, "nic": Verdict.BREAKS}


def test_new_property_with_compat() -> None:
    """A new property that a compat property of the machine type sets is no change, whatever its value."""
    compat = (CompatProperty("device", "fast", "on"),)
    new = survey(qom("/machine/nic", "nic", fast=True), compat=compat)
    assert rules(nic(), new) == ["abi-property-inactive"]


def test_moved_device() -> None:
    """A device that moved in the tree is compared with itself; of unequal numbers, all are named."""
    old = survey(qom("/machine/unattached/device[8]", "nic", irq=8))
    assert rules(old, survey(qom("/machine/isa/rtc", "nic", irq=8))) == []
    assert rules(old, survey(qom("/machine/isa/rtc", "nic", irq=9))) == ["abi-property-changed"]
    two = survey(qom("/machine/isa/rtc", "nic", irq=8), qom("/machine/isa/rtc2", "nic", irq=8))
    assert rules(old, two) == ["abi-device-tree"] * 3


def test_equal_findings_count_once() -> None:
    """Several devices of a type with the same difference give one finding."""

    def two(value: int) -> Survey:
        return survey(*(qom(f"/machine/unattached/device[{number}]", "nic", irq=value) for number in (1, 2)))

    assert rules(two(1), two(2)) == ["abi-property-changed"]


def test_structs() -> None:
    """Of structs, the members that both sides have are compared."""
    assert rules(nic(smp={"cpus": 1}), nic(smp={"cpus": 1, "modules": 1})) == []
    assert rules(nic(smp={"cpus": 1}), nic(smp={"cpus": 2, "modules": 1})) == ["abi-property-changed"]


def test_buffers_and_arrays() -> None:
    """The first word that differs is named, and how many others do."""
    old, new = bytes(32), bytes(8) + b"\1" * 16 + bytes(8)
    (finding,) = compare(registers(old, "buffer", 32), registers(new, "buffer", 32)).findings
    assert finding.message.startswith("regs+0x8 (and 1 more) is 0x0000000000000000 in the source and 0x01")
    (finding,) = compare(registers(bytes(4)), registers(b"\0\0\0\1")).findings
    assert finding.message == "regs[1] is 0x0000 in the source and 0x0001 in the destination"


@pytest.mark.parametrize("make", [nic, cpu, survey])
def test_equal(make: Callable[[], Survey]) -> None:
    """A machine is equal to itself."""
    assert rules(make(), make()) == []


def test_arguments_differ() -> None:
    """Devices that were created differently are not compared further."""
    result = compare(plugged("driver=disk"), plugged("driver=disk,romfile="))
    (finding,) = result.findings
    assert finding.rule == "abi-not-compared"
    assert "'driver=disk,romfile='" in finding.message
