"""Evaluates sections in an emulated VM: QEMU's own code saves a section while its tests and needed() are traced.

Source: migration/vmstate.c vmstate_save_state, vmstate_section_needed; migration/savevm.c vmstate_save.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from vmdump.check.evaluated.answers import Answer, Answers, Key, Wanted, merge
from vmdump.check.evaluated.board import Board, BoardTest, read_board
from vmdump.check.evaluated.descriptions import Descriptions, Hook, Walk
from vmdump.check.evaluated.handlers import Handler, find_handlers, read_handlers
from vmdump.check.evaluated.hook_code import never_refuses
from vmdump.check.evaluated.memory import Instance, Memory, PropertyField
from vmdump.check.evaluated.section_code import save_section
from vmdump.emulator.machine import Machine
from vmdump.emulator.objects.model import MappedObject
from vmdump.emulator.template import MachineTemplate
from vmdump.emulator.trace import TracedCall, Tracer
from vmdump.errors import SourceError
from vmdump.sources.qemu_image.struct_layout import calibrate

#: Number of properties of a word that are named.
_NAMED = 3

#: Versions of a section that a test is called with.
_VERSIONS_MAX = 32


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
        self._objects = list(machine.objects)
        self._hooks: dict[int, list[Hook]] = {}
        self._type_table = 0
        self._find_type_table(machine)

    def _find_type_table(self, machine: Machine) -> None:
        """Find QOM's table of types, which is static: object_class_by_name looks a type up in it."""
        slot, name = self._guest.alloc(8), machine.text("device")
        self._guest.write_number(slot, machine.functions.get("object_class_by_name"))
        with Tracer(self._guest, [slot]) as tracer:
            self._guest.call(self._guest.pointer(slot), name)
            for call in tracer.take():
                if call.obstacle == "it calls g_hash_table_lookup":
                    tracer.set_constant_table(call.called_with)
                    self._type_table = call.called_with

    def handlers(self) -> list[Handler]:
        """Return the sections of the machine as it is now."""
        return read_handlers(self._guest, self._head)

    def board(self, machine: Machine) -> Board:
        """Return what a complete machine has. Raises SourceError."""
        self._forget_modules()
        memory, handlers = self._memory(machine), self.handlers()
        tests = self._tests(machine, handlers, memory)
        return read_board(machine, self._machine_type, handlers, memory, tests)

    def _tests(self, machine: Machine, handlers: Sequence[Handler], memory: Memory) -> list[BoardTest]:
        """Return the results of fields' tests in all sections."""
        hooks = {hook.slot: hook.key for hook in self.hooks(machine.objects) if hook.key[1]}
        values: dict[tuple[str | None, str, Key], set[int]] = {}
        with Tracer(self._guest, hooks) as tracer:
            for handler in handlers:
                if handler.vmsd:
                    _save(machine, handler)
                    instance, name = memory.at(handler.opaque), self.descriptions.name(handler.vmsd)
                    for call in tracer.take():
                        place = instance and instance.type, name, hooks[call.slot]
                        values.setdefault(place, set()).add(int(call.result))
        return [BoardTest(*place, min(found)) for place, found in values.items() if len(found) == 1]

    def evaluate(self, machine: Machine, wanted: Sequence[Wanted]) -> dict[Wanted, Answers]:
        """Return the answers for those sections that a complete machine has."""
        self._forget_modules()
        memory = self._memory(machine)
        found: dict[Wanted, list[Handler]] = {}
        for handler in self.handlers():
            for each in wanted:
                if handler.vmsd and self._is(each, handler, memory):
                    found.setdefault(each, []).append(handler)
        if not found:
            return {}
        return {
            each: _SectionEvaluation(self, machine, memory, each.keys).run(handlers, self._machine_type)
            for each, handlers in found.items()
        }

    def section(self, machine: Machine, wanted: Wanted) -> Handler | None:
        """Return the first section of a device type and description that a complete machine has; None: it has none."""
        memory = self._memory(machine)
        return next((each for each in self.handlers() if each.vmsd and self._is(wanted, each, memory)), None)

    def never_refuses(self, objects: Sequence[MappedObject], description: str, hook: str) -> bool:
        """Return whether a load hook returns 0 for every state, in all descriptions of the name."""
        self._forget_modules()
        found = [each for each in self.descriptions.find(objects) if self.descriptions.name(each) == description]
        hooks = [address for each in found if (address := self.descriptions.load_hook(each, hook))]
        return bool(hooks) and all(never_refuses(self._guest, each) for each in hooks)

    def _memory(self, machine: Machine) -> Memory:
        return Memory(machine, machine.objects, self._type_table)

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

    def _forget_modules(self) -> None:
        """Forget what was read of modules that the template lacks: another VM may have others at their address."""
        kept = {mapped.bias for mapped in self._objects}
        self._hooks = {bias: hooks for bias, hooks in self._hooks.items() if bias in kept}
        self.descriptions.forget(self._objects)


def _save(machine: Machine, handler: Handler) -> None:
    """Save a section. An error ends the section alone."""
    with contextlib.suppress(SourceError):
        save_section(machine, handler)


class _SectionEvaluation:
    """Evaluates the sections of one type in one machine."""

    def __init__(self, evaluator: Evaluator, machine: Machine, memory: Memory, keys: frozenset[Key] | None) -> None:
        self._machine, self._memory, self._keys = machine, memory, keys
        self._guest, self._of = machine.guest, evaluator.descriptions
        self._hooks = {hook.slot: hook for hook in evaluator.hooks(machine.objects) if self._is_wanted(hook.key)}

    def _is_wanted(self, key: Key) -> bool:
        return self._keys is None or key in self._keys

    def run(self, handlers: Sequence[Handler], machine_type: str) -> Answers:
        """Return the answers of all sections together."""
        found: list[tuple[Key, Answer]] = []
        lengths: list[tuple[Key, Answer]] = []
        for handler in handlers:
            with Tracer(self._guest, self._hooks) as tracer:
                _save(self._machine, handler)
                calls = list(dict.fromkeys(tracer.take()))
                walk = Walk(self._of)
                places = [(self._hooks[call.slot].description, call.opaque) for call in calls]
                for description, opaque in dict.fromkeys([(handler.vmsd, handler.opaque), *places]):
                    walk.add(description, opaque, 0)
                found += [(self._hooks[call.slot].key, self._answer(call, walk, tracer)) for call in calls]
            lengths += self._lengths(walk)
        return Answers(machine_type, merge(found), merge(lengths))

    def _answer(self, call: TracedCall, walk: Walk, tracer: Tracer) -> Answer:
        """Return the answer of a call, from what it has read."""
        if call.obstacle is not None:
            return Answer(int(call.result), (), call.obstacle)
        configuration: dict[str, None] = {}
        words: dict[tuple[Instance, int, int], None] = {}
        for address, size in call.reads:
            read = self._memory.classify(address, size)
            migrated = None if read.kind in ("constant", "class") else walk.name_at(address, size)
            if migrated is not None:
                return Answer(int(call.result), (), f"it reads {migrated}, which is migrated")
            if read.kind == "class":
                configuration[f"the class of {read.type}"] = None
            elif read.kind not in ("configuration", "constant"):
                return Answer(int(call.result), (), read.kind)
            for each in read.properties:
                assert read.instance is not None
                if each.is_bit:
                    words[read.instance, each.offset, each.size] = None
                else:
                    configuration[self._value(read.instance, each)] = None
        for instance, offset, size in words:
            bits = _BitWord(self._machine, self._memory, instance, offset, size)
            deciding = bits.deciding(call, self._guest.pointer(call.slot), tracer)
            if deciding is None:
                return Answer(
                    int(call.result), (), f"it reads a bit of {instance.type} that no property sets ({offset:#x})"
                )
            configuration.update(dict.fromkeys(self._value(instance, each) for each in deciding))
            if not deciding:  # no property alone: for example, one of several bits must be set
                configuration[bits.in_words()] = None
        if self._hooks[call.slot].key[1] and self._depends_on_version(call, tracer):
            return Answer(int(call.result), (), "it depends on the version of the section")
        return Answer(int(call.result), tuple(configuration))

    def _depends_on_version(self, call: TracedCall, tracer: Tracer) -> bool:
        """Return whether a field's test has other results for other versions, which a stream may have."""
        versions = range(min(call.argument & 0xFFFFFFFF, _VERSIONS_MAX) + 2)
        try:
            results = [self._guest.call(self._guest.pointer(call.slot), call.opaque, each) & 0xFF for each in versions]
        except SourceError:
            return True
        finally:
            again = tracer.take()
        return any(result != call.result for result in results) or any(each.reads != call.reads for each in again)

    def _value(self, instance: Instance, each: PropertyField) -> str:
        """Return a property and its value, as QEMU prints them."""
        machine = self._machine
        with machine.out_parameters() as (_, errp):
            text = machine.call("object_property_print", instance.start, machine.text(each.name), 0, errp)
            if machine.take_error(errp) is not None or not text:
                return each.name
            value = self._guest.text(text).strip('"')
        return f"{each.name} = {({'true': 'on', 'false': 'off'}).get(value, value)}"

    def _lengths(self, walk: Walk) -> Iterator[tuple[Key, Answer]]:
        """Yield the lengths of arrays that a member of the device sets, and of lists, which are always state."""
        for key, value in walk.lists:
            if self._is_wanted(key):
                yield key, Answer(value, (), "it is a list of the device's state")
        for key, address, size in walk.lengths:
            if not self._is_wanted(key):
                continue
            read, value = self._memory.classify(address, size), walk.value(address, size)
            if walk.name_at(address, size) is not None:
                yield key, Answer(value, (), "it is migrated")
            elif read.kind != "configuration" or read.instance is None:
                yield key, Answer(value, (), read.kind)
            else:
                instance = read.instance
                yield key, Answer(value, tuple(self._value(instance, each) for each in read.properties))


class _BitWord:
    """A word of an object whose bits are properties, or may be anything else."""

    def __init__(self, machine: Machine, memory: Memory, instance: Instance, offset: int, size: int) -> None:
        self._machine, self._guest, self._instance = machine, machine.guest, instance
        self._address, self._size = instance.start + offset, size
        self._before = self._guest.number(self._address, size)
        self._fields = [
            each for each in memory.properties(instance) if each.is_bit and (each.offset, each.size) == (offset, size)
        ]

    def deciding(self, call: TracedCall, function: int, tracer: Tracer) -> list[PropertyField] | None:
        """Return the properties on which the result of a call depends, or what it reads.

        Returns None if it depends on other bits as well. Those are flipped one by one and together, the properties' one
        by one, and the function is called again.
        """
        named = self._bits()
        all_bits = (1 << 8 * self._size) - 1
        others = all_bits & ~sum(1 << bit for bit in named)
        masks = [1 << bit for bit in range(8 * self._size) if others >> bit & 1]
        masks += [others & self._before, others & ~self._before, others]
        if any(mask and self._changes(call, function, tracer, mask) for mask in masks):
            return None
        return [each for bit, each in sorted(named.items()) if self._changes(call, function, tracer, 1 << bit)]

    def in_words(self) -> str:
        """Return the names of the properties in the word."""
        names = [each.name for each in self._fields]
        rest = len(names) - _NAMED
        return f"{', '.join(names[:_NAMED])}{f' and {rest} more properties' if rest > 0 else ''}, not one alone"

    def _changes(self, call: TracedCall, function: int, tracer: Tracer, mask: int) -> bool:
        """Return whether the function returns or reads something else with some bits flipped."""
        with self._holding(self._before ^ mask):
            try:
                self._guest.call(function, call.opaque, call.argument)
            except SourceError:
                tracer.take()
                return True
        again = tracer.take()
        return not again or (again[0].result, again[0].reads, again[0].obstacle) != (call.result, call.reads, None)

    def _bits(self) -> dict[int, PropertyField]:
        """Return the properties by their bit's number, which the values of the properties show.

        Numbers are read bit by bit: for each binary digit the word holds a pattern in which exactly the bits are set
        whose numbers have that digit.
        """
        count, numbers = 8 * self._size, dict.fromkeys(self._fields, 0)
        with self._holding(0):
            candidates = [each for each in self._fields if not self._is_set(each)]
        with self._holding((1 << count) - 1):
            candidates = [each for each in candidates if self._is_set(each)]
        for digit in range(count.bit_length() - 1):
            with self._holding(sum(1 << bit for bit in range(count) if bit >> digit & 1)):
                for each in candidates:
                    numbers[each] |= self._is_set(each) << digit
        return {numbers[each]: each for each in candidates}

    @contextlib.contextmanager
    def _holding(self, value: int) -> Iterator[None]:
        """Replace the word."""
        self._guest.write_number(self._address, value, self._size)
        try:
            yield
        finally:
            self._guest.write_number(self._address, self._before, self._size)

    def _is_set(self, each: PropertyField) -> bool:
        machine = self._machine
        with machine.out_parameters() as (_, errp):
            name = machine.text(each.name)
            return bool(machine.call("object_property_get_bool", self._instance.start, name, errp) & 0xFF)
