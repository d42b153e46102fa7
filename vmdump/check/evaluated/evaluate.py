"""Evaluates sections in an emulated VM: QEMU's own code saves a section while its tests and needed() are traced.

Source: migration/vmstate.c vmstate_save_state, vmstate_section_needed; migration/savevm.c vmstate_save.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from vmdump.check.evaluated.answers import Answer, Answers, Key, merge
from vmdump.check.evaluated.descriptions import Descriptions, Hook, Walk
from vmdump.check.evaluated.handlers import Handler, find_handlers, read_handlers
from vmdump.check.evaluated.memory import Memory, PropertyField, Read
from vmdump.emulator.elf import MappedObject
from vmdump.emulator.machine import Machine, MachineTemplate
from vmdump.emulator.trace import TracedCall, Tracer
from vmdump.errors import SourceError
from vmdump.sources.qemu_image.struct_layout import calibrate

#: Size of the channel that receives a section, in bytes.
_CHANNEL = 1 << 16

#: Limit of definite calls whose bits are tried; more have the same function and device type.
_TRIED_MAX = 64


class Wanted(NamedTuple):
    """Sections to evaluate: of a device type, or of a standalone VMSD (type: None), by the description's name."""

    type: str | None
    description: str


class Evaluator:
    """Evaluates sections in machines that start from one template."""

    def __init__(self, template: MachineTemplate, machine_type: str) -> None:
        """Raises SourceError: the binary's descriptions can't be read."""
        self._machine_type = machine_type
        machine = template.machine
        self._guest = machine.guest
        devices = list(self._guest.slist(machine.call("object_class_get_list", machine.text("device"), 1)))
        self.descriptions = Descriptions(self._guest, calibrate(self._guest, devices))
        self._head = find_handlers(self._guest, machine.objects[0])
        self._hooks: dict[int, list[Hook]] = {}

    def handlers(self) -> list[Handler]:
        """Return the sections of the machine as it is now."""
        return read_handlers(self._guest, self._head)

    def evaluate(self, machine: Machine, wanted: Sequence[Wanted]) -> dict[Wanted, Answers]:
        """Return the answers for those sections that a complete machine has."""
        memory = Memory(machine, machine.objects)
        found: dict[Wanted, list[Handler]] = {}
        for handler in self.handlers():
            for each in wanted:
                if handler.vmsd and self._is(each, handler, memory):
                    found.setdefault(each, []).append(handler)
        if not found:
            return {}
        return {
            each: _SectionEvaluation(self, machine, memory).run(handlers, self._machine_type)
            for each, handlers in found.items()
        }

    def _is(self, wanted: Wanted, handler: Handler, memory: Memory) -> bool:
        if self.descriptions.name(handler.vmsd) != wanted.description:
            return False
        instance = memory.at(handler.opaque)
        return wanted.type is None or (instance is not None and instance.type == wanted.type)

    def hooks(self, objects: Iterable[MappedObject]) -> list[Hook]:
        """Return the function pointers of all descriptions of the binary and its modules."""
        hooks = []
        for mapped in objects:
            if mapped.bias not in self._hooks:
                self._hooks[mapped.bias] = self.descriptions.hooks(self.descriptions.find([mapped]))
            hooks += self._hooks[mapped.bias]
        return list({hook.slot: hook for hook in hooks}.values())

    def forget(self, objects: Iterable[MappedObject]) -> None:
        """Forget the hooks of objects that are not in the template."""
        kept = {mapped.bias for mapped in objects}
        self._hooks = {bias: hooks for bias, hooks in self._hooks.items() if bias in kept}


class _SectionEvaluation:
    """Evaluates the sections of one type in one machine."""

    def __init__(self, evaluator: Evaluator, machine: Machine, memory: Memory) -> None:
        self._evaluator, self._machine, self._memory = evaluator, machine, memory
        self._guest = machine.guest
        self._of = evaluator.descriptions
        self._hooks = {hook.slot: hook for hook in evaluator.hooks(machine.objects)}
        self._functions: dict[int, int] = {slot: self._guest.pointer(slot) for slot in self._hooks}

    def run(self, handlers: Sequence[Handler], machine_type: str) -> Answers:
        """Return the answers of all sections together."""
        found: list[tuple[Key, Answer]] = []
        lengths: list[tuple[Key, Answer]] = []
        for handler in handlers:
            calls = self._save(handler)
            walk = Walk(self._of)
            places = [(self._hooks[call.slot].description, call.opaque) for call in calls]
            for description, opaque in dict.fromkeys([(handler.vmsd, handler.opaque), *places]):
                walk.add(description, opaque, 0)
            found += [(self._hooks[call.slot].key, self._answer(call, walk)) for call in calls]
            lengths += self._lengths(walk)
        return Answers(machine_type, merge(found), merge(lengths))

    def _save(self, handler: Handler) -> list[TracedCall]:
        """Save a section into a buffer that is dropped; return the calls of its functions."""
        machine = self._machine
        channel = machine.call("qio_channel_buffer_new", _CHANNEL)
        opening = "qemu_file_new_output" if machine.has("qemu_file_new_output") else "qemu_fopen_channel_output"
        file = machine.call(opening, channel)
        needed = next(
            (name for name in ("vmstate_section_needed", "vmstate_save_needed") if machine.has(name)), None
        )  # fmt: skip
        with Tracer(self._guest, self._hooks) as tracer, machine.out_parameters() as (_, errp):
            with contextlib.suppress(SourceError):  # what was traced until then counts
                if needed is None or machine.call(needed, handler.vmsd, handler.opaque) & 0xFF:
                    machine.call("vmstate_save_state", file, handler.vmsd, handler.opaque, 0, errp)
            return tracer.take()

    def _answer(self, call: TracedCall, walk: Walk) -> Answer:
        """Return the answer of a call, from what it has read."""
        if call.obstacle is not None:
            return Answer(call.result, (), call.obstacle)
        properties: dict[tuple[int, str], str] = {}
        for address, size in call.reads:
            read = self._memory.classify(address, size)
            if read.kind == "configuration" and walk.holds(address, size):
                read = Read(f"it reads {read.properties[0].name}, which is migrated")
            if read.kind == "configuration":
                obstacle = self._add_properties(call, address, read, properties)
            else:
                obstacle = None if read.kind == "constant" else read.kind
            if obstacle is not None:
                return Answer(call.result, (), obstacle)
        return Answer(call.result, tuple(properties.values()))

    def _add_properties(
        self, call: TracedCall, address: int, read: Read, properties: dict[tuple[int, str], str]
    ) -> str | None:
        """Add the properties that a call has read. Returns an obstacle: the result depends on other bits, too."""
        assert read.instance is not None
        start = read.instance.start
        whole = [each for each in read.properties if not each.is_bit]
        for each in whole:
            properties[start, each.name] = self._value(start, each)
        words = {(each.offset, each.size) for each in read.properties if each.is_bit}
        for offset, size in words:
            bits = [each for each in read.properties if each.is_bit and each.offset == offset]
            named = self._bits(start + offset, size, start, bits)
            deciding = self._deciding_bits(call, start + offset, size, set(named))
            if deciding is None:
                return f"it reads a bit of {read.instance.type} that no property sets (offset {offset:#x})"
            for bit in deciding:
                properties[start, named[bit].name] = self._value(start, named[bit])
        return None

    def _bits(self, address: int, size: int, instance: int, bits: Sequence[PropertyField]) -> dict[int, PropertyField]:
        """Return the properties of a word's bits by bit number: the property whose value changes with the bit."""
        known: dict[int, PropertyField] = {}
        before = self._guest.read(address, size)
        values = {each: self._is_set(instance, each) for each in bits}
        for bit in range(8 * size):
            with self._flipped(address, before, 1 << bit):
                changed = [each for each in bits if self._is_set(instance, each) != values[each]]
            if len(changed) == 1:
                known[bit] = changed[0]
        return known

    def _deciding_bits(self, call: TracedCall, address: int, size: int, named: set[int]) -> list[int] | None:
        """Return the bits of properties that change the result; None: other bits change it, too.

        Other bits are flipped one by one and all together.
        """
        before = self._guest.read(address, size)
        others = sum(1 << bit for bit in range(8 * size) if bit not in named)
        word = int.from_bytes(before, "little")
        masks = [1 << bit for bit in range(8 * size) if bit not in named]
        masks += [others & word, others & ~word, others]
        for mask in masks:
            if mask and self._again(call, address, before, mask) != call.result:
                return None
        return [bit for bit in sorted(named) if self._again(call, address, before, 1 << bit) != call.result]

    def _again(self, call: TracedCall, address: int, before: bytes, mask: int) -> bool | None:
        """Call a function with some bits of memory flipped; None: it fails."""
        with self._flipped(address, before, mask):
            try:
                result = self._guest.call(self._functions[call.slot], call.opaque, call.argument)
            except SourceError:
                return None
        return bool(result & 0xFF)

    @contextlib.contextmanager
    def _flipped(self, address: int, before: bytes, mask: int) -> Iterator[None]:
        value = int.from_bytes(before, "little") ^ mask
        self._guest.write(address, value.to_bytes(len(before), "little"))
        try:
            yield
        finally:
            self._guest.write(address, before)

    def _is_set(self, instance: int, each: PropertyField) -> bool:
        machine = self._machine
        with machine.out_parameters() as (_, errp):
            return bool(machine.call("object_property_get_bool", instance, machine.text(each.name), errp) & 0xFF)

    def _value(self, instance: int, each: PropertyField) -> str:
        """Return a property and its value, as QEMU prints them."""
        machine = self._machine
        with machine.out_parameters() as (_, errp):
            text = machine.call("object_property_print", instance, machine.text(each.name), 0, errp)
            if machine.take_error(errp) is not None or not text:
                return each.name
            value = self._guest.text(text).strip('"')
        return f"{each.name} = {({'true': 'on', 'false': 'off'}).get(value, value)}"

    def _lengths(self, walk: Walk) -> Iterator[tuple[Key, Answer]]:
        """Yield the lengths of arrays that a member of the device sets."""
        for key, address, size in walk.lengths:
            read = self._memory.classify(address, size)
            value = walk.value(address, size)
            if read.kind != "configuration" or walk.holds(address, size):
                obstacle = "it is migrated" if walk.holds(address, size) else read.kind
                yield key, Answer(value, (), obstacle)
                continue
            assert read.instance is not None
            yield key, Answer(value, tuple(self._value(read.instance.start, each) for each in read.properties))
