"""Compares what a guest finds under one machine type in two QEMUs, and makes the result of a check.

Everything that is compared was read from realized devices in booted machines (vmdump/machines/survey.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmdump.check.abi_objects import pair_objects
from vmdump.check.results import CheckResult, Direction, Dump, Finding, Side, TypeResult, Verdict
from vmdump.check.rules import rule
from vmdump.machines.canonical import same_value
from vmdump.machines.values import both_in_words, in_words, is_inactive, is_time, is_unresolved, shared_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vmdump.machines.model import Cpu, Field, QomObject
    from vmdump.machines.survey import State, Survey

#: Properties of every device that the guest cannot notice.
_QDEV = frozenset({"type", "realized", "hotplugged", "hotpluggable", "parent_bus"})

#: Property of an x86 CPU that feature words cover, and type of all CPUs.
_FEATURE_WORDS = frozenset({"feature-words", "filtered-features", "unavailable-features"})
_CPU = "cpu"

#: QOM types of memory regions, and what the guest notices of them.
_REGIONS = ("memory-region", "qemu:memory-region")
_REGION_PROPERTIES = ("addr", "size")

#: VMStateInfo.name of the PCI configuration space, and names of its first registers by offset.
_PCI_CONFIG = "pci config"
_REGISTERS = {
    0x00: "vendor id", 0x02: "device id", 0x04: "command", 0x06: "status", 0x08: "revision id", 0x09: "class code",
    0x0C: "cache line size", 0x0E: "header type", 0x2C: "subsystem vendor id", 0x2E: "subsystem id",
    0x30: "expansion ROM", 0x34: "capabilities pointer", 0x3C: "interrupt line", 0x3D: "interrupt pin",
}  # fmt: skip

#: Bytes of a buffer that are reported at once.
_WORD = 8

#: Sections that depend on when the machine was saved, not on the device.
_NOT_STATE = ("timer", "globalstate", "configuration")


def abi(pairs: Sequence[tuple[Dump, Survey, Dump, Survey]]) -> CheckResult:
    """Return the findings of each machine type, from the old to the new QEMU.

    Args:
        pairs: for each machine type, the label and the survey of both QEMUs.
    """
    dumps: list[Dump] = []
    results, directions = {}, {}
    for old, before, new, after in pairs:
        label = f"{old.label} -> {new.label}"
        results[label] = _compare(before, after, label)
        directions[label] = Direction(len(dumps), len(dumps) + 1)
        dumps += [old, new]
    return CheckResult(tuple(dumps), results, directions=directions)


def _compare(old: Survey, new: Survey, direction: str) -> list[TypeResult]:
    comparison = _Comparison(old, new, direction)
    comparison.compare()
    return comparison.results()


class _Comparison:
    """Collects findings by type; equal findings of several objects of a type count once."""

    def __init__(self, old: Survey, new: Survey, direction: str) -> None:
        self._old, self._new, self._direction = old, new, direction
        self._found: dict[str, dict[Finding, None]] = {}

    def compare(self) -> None:
        old, new = self._old, self._new
        self._state(old.board, new.board)
        self._cpu(old.cpu, new.cpu)
        for type_, before in old.devices.items():
            if (after := new.devices.get(type_)) is not None:
                self._state(before, after)
        self._not_compared()

    def results(self) -> list[TypeResult]:
        """Return a result for each type that was compared or could not be."""
        return [
            TypeResult(type_, Verdict.worst(each.verdict for each in found), type_, tuple(found), ())
            for type_, found in self._found.items()
        ]

    def _report(self, rule_id: str, type_: str, path: str, old: Any = None, new: Any = None, **facts: Any) -> None:
        """Add a finding; old and new are the values, facts are for the rule's texts."""
        text = rule(rule_id)
        before, after = both_in_words(old, new)
        known = {"old": before, "new": after, **facts}
        finding = Finding(
            rule_id, Verdict(text.VERDICT), self._direction, type_, path, text.MESSAGE.format(**known),
            None if old is None else Side(path, before), None if new is None else Side(path, after),
            text.CONDITION and text.CONDITION.format(**known), text.REMEDY,
        )  # fmt: skip
        self._type(type_)[finding] = None

    def _type(self, type_: str) -> dict[Finding, None]:
        return self._found.setdefault(type_, {})

    # Parts of a machine

    def _state(self, old: State, new: State) -> None:
        """Compare the board, or a device that was added."""
        is_device = bool(old.arguments)
        type_ = old.type if is_device else "machine"
        self._type(type_)
        for side, state in (("source", old), ("destination", new)):
            if state.missed_functions:
                reason = f"it calls {', '.join(state.missed_functions)}, which the emulator lacks"
                self._report("abi-not-compared", type_, "-device", side=side, reason=reason)
        self._objects(type_, old, new)
        if old.arguments != new.arguments:
            reason = f"it needs {' '.join(old.arguments)!r} in the source and {' '.join(new.arguments)!r} there"
            self._report("abi-not-compared", type_, "-device", side="destination", reason=reason)
            return
        blocks = ({each.name: each.size for each in of.ram_blocks} for of in (old, new))
        for name, sizes in _union(*blocks):
            if sizes[0] != sizes[1]:
                before, after = (f"{size:#x} bytes" if size is not None else "not there" for size in sizes)
                self._report("abi-ram-block", type_, name, before, after, name=name)
        self._fields(old.type if is_device else None, old.fields, new.fields)

    def _objects(self, type_: str, old: State, new: State) -> None:
        pairs, only_old, only_new = pair_objects(old.objects, new.objects, self._is_device)
        for side, objects in (("source", only_old), ("destination", only_new)):
            for each in objects:
                facts = (each.type, None) if side == "source" else (None, each.type)
                self._report("abi-device-tree", type_, each.path, *facts, side=side, device=f"{each.type} {each.path}")
        for before, after in pairs:
            if before.type in _REGIONS:
                self._region(type_, before, after)
            elif before.path == "/machine" or self._is_device(before.type):
                self._properties("machine" if before.path == "/machine" else before.type, before, after)

    def _is_device(self, type_: str) -> bool:
        return "device" in self._old.lineage(type_) or "device" in self._new.lineage(type_)

    def _region(self, type_: str, old: QomObject, new: QomObject) -> None:
        for name in _REGION_PROPERTIES:
            values = old.value(name), new.value(name)
            if values[0] != values[1]:
                self._report("abi-memory-region", type_, f"{old.path}.{name}", *values, name=name, region=old.path)

    def _properties(self, type_: str, old: QomObject, new: QomObject) -> None:
        self._type(type_)
        is_cpu = _CPU in self._old.lineage(old.type)
        before, after = (_readable(each, is_cpu) for each in (old, new))
        for name, (ours, theirs) in _union(before, after):
            if name not in before or name not in after:
                self._on_one_side(old.type, type_, name, ours, theirs, is_new=name not in before)
                continue
            ours, theirs = shared_value(ours, theirs)
            if same_value(ours, theirs):
                continue
            unresolved = is_unresolved(ours) != is_unresolved(theirs)
            rule_id = "abi-property-unresolved" if unresolved else "abi-property-changed"
            self._report(rule_id, type_, name, ours, theirs, name=name)

    def _on_one_side(self, qom_type: str, type_: str, name: str, old: Any, new: Any, *, is_new: bool) -> None:
        survey, value, side = (self._new, new, "destination") if is_new else (self._old, old, "source")
        inactive = is_inactive(value) or survey.compat(qom_type, name) is not None
        rule_id = "abi-property-inactive" if inactive else "abi-property-on-one-side"
        self._report(rule_id, type_, name, old, new, name=name, side=side, value=in_words(value))

    def _cpu(self, old: Cpu | None, new: Cpu | None) -> None:
        if old is None or new is None:
            return
        for name, (ours, theirs) in _union(_cpu_values(old), _cpu_values(new)):
            if not same_value(ours or 0, theirs or 0) and (ours or theirs):
                self._report("abi-cpu", old.type, name, ours, theirs, name=name)

    # State after reset

    def _fields(self, type_: str | None, old: Sequence[Field], new: Sequence[Field]) -> None:
        """Compare fields that both sides send with equal sizes; others are a matter of vmdump check."""
        after = {(each.section, each.path): each for each in new}
        for ours in old:
            theirs = after.get((ours.section, ours.path))
            name = ours.section.rpartition(" ")[0].rpartition("/")[2]
            if theirs is None or len(ours.data) != len(theirs.data) or ours.data == theirs.data or name in _NOT_STATE:
                continue
            if is_time(ours.data) and is_time(theirs.data):
                continue
            of = type_ or name
            if ours.type == _PCI_CONFIG:
                self._config(of, name, ours, theirs)
            else:
                self._field(of, name, ours, theirs)

    def _config(self, type_: str, section: str, old: Field, new: Field) -> None:
        for at in range(0, len(old.data), 2):
            words = (int.from_bytes(each.data[at : at + 2], "little") for each in (old, new))
            ours, theirs = (f"{word:#06x}" for word in words)
            if ours != theirs:
                register = f" ({_REGISTERS[at]})" if at in _REGISTERS else ""
                self._report("abi-pci-config", type_, f"{section} / config[{at:#x}]", ours, theirs, offset=at,
                             register=register)  # fmt: skip

    def _field(self, type_: str, section: str, old: Field, new: Field) -> None:
        """Report the first element that differs, and the number of others. A buffer is compared in words."""
        size = min(old.size or len(old.data), _WORD)
        starts = [at for at in range(0, len(old.data), size) if old.data[at : at + size] != new.data[at : at + size]]
        at = starts[0]
        where = f"[{at // size}]" if size == old.size else f"+{at:#x}"
        path = old.path if len(old.data) == size else f"{old.path}{where}"
        more = f" (and {len(starts) - 1} more)" if len(starts) > 1 else ""
        values = [f"0x{each.data[at : at + size].hex()}" for each in (old, new)]
        self._report("abi-reset-state", type_, f"{section} / {path}", *values, field=f"{path}{more}")

    # What could not be compared

    def _not_compared(self) -> None:
        """Report types that QEMU refused on one side or both, but not those that -device never creates."""
        sides = (("source", self._old, self._new), ("destination", self._new, self._old))
        for side, survey, other in sides:
            for type_, reason in survey.refused.items():
                pluggable = not reason.endswith("pluggable device type")
                if pluggable and type_ in other.device_types and (side == "source" or type_ in other.devices):
                    self._report("abi-not-compared", type_, "-device", side=side, reason=reason)


def _readable(each: QomObject, is_cpu: bool) -> dict[str, Any]:
    """Return the values that the guest may notice. CPU features are compared as such, links are wiring."""
    return {
        known.name: known.value
        for known in each.properties
        if known.error is None
        and known.name not in _QDEV
        and not known.type.startswith("link<")
        and not (is_cpu and (isinstance(known.value, bool) or known.name in _FEATURE_WORDS))
    }


def _cpu_values(cpu: Cpu) -> dict[str, Any]:
    words = {
        " ".join(f"{key.removeprefix('cpuid-')}={value}" for key, value in word.items() if key != "features"):
        word.get("features")
        for word in cpu.feature_words
    }  # fmt: skip
    return {**cpu.features, **words, **(cpu.registers or {})}


def _union(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in dict.fromkeys((*old, *new)):
        yield name, (old.get(name), new.get(name))
