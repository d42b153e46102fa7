"""Find the functions that save and load a machine, in binaries without symbols.

They are identified by the texts of their trace events and messages, by what they call, and by their callers. Compilers
inline functions, and move rare code, such as trace events, into functions of its own: each function needs evidence of
its body or its callers besides its text. Names are those of QEMU 10.0; functions that a version lacks are not found.

Source: migration/savevm.c, migration/migration.c, migration/qemu-file.c, migration/global_state.c of QEMU 7.2 to 11.1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from vmdump.emulator.machine_code import Code

#: Start and end of a function.
_Function = tuple[int, int]

#: Maximum size of functions that only pass their arguments on, in bytes.
_SMALL = 512

#: Minimum number of functions that return an option of the migration. QEMU 10.0 has 53.
_OPTIONS = 16


class MigrationFunctions:
    """Functions of a binary's migration code. A function is found if exactly one has its evidence."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self._calls_of: dict[_Function | None, list[int]] = {}

    def find(self, name: str) -> int | None:
        """Return the address of a function by its name in QEMU; None: it is not found, or not known here."""
        found: set[_Function] = getattr(self, FINDERS[name]) if name in FINDERS else set()
        function = self._only(found)
        return function[0] if function else None

    def is_complete(self) -> bool:
        """Return whether all functions are found that saving and loading a machine needs."""
        needed = [
            self.store_state, self.flush, self.new_input, self.new_output, self.load_state, self.header, self.set_up,
            self.new_buffer, self.is_blocked,
        ]  # fmt: skip
        if self._keeps_writer:
            needed += [self.init_state, self.current_state]
        if self._code.strings(b"qemu_mutex_lock_iothread_impl"):  # up to 8.2 the set-up acquires the lock itself
            needed += [self.lock, self.unlock]
        if self._code.string_around(b"savevm_send_switchover_start"):
            needed.append(self.switchover)
        needed += [self.non_iterable, self.end_precopy] if self._is_split else [self.complete_non_iterable]
        return all(len(found) == 1 for found in needed)

    @cached_property
    def _keeps_writer(self) -> bool:
        """Whether the migration's state has a writer of the description, since 8.2: the set-up starts to write it."""
        return bool(self.set_up & self._loads(b"page_size"))

    def _loads(self, string: bytes) -> set[_Function]:
        """Return the functions that load a string, for example their own name for an assertion or an error."""
        return self._code.functions_that_load(self._code.strings(string))

    def _with_text(self, text: bytes) -> set[_Function]:
        """Return the functions that load a string which contains a text."""
        return self._code.functions_that_load(self._code.string_around(text))

    def _with_trace(self, event: bytes, has_evidence: Callable[[_Function], bool]) -> set[_Function]:
        """Return the functions with a trace event that have further evidence.

        If there is none, the event may be in parts of functions, split off by the compiler, which only those call.
        """
        traced = self._with_text(event)
        callers = {caller for part in traced for caller in self._code.callers(part[0])}
        return set(filter(has_evidence, traced)) or set(filter(has_evidence, callers))

    def _calls(self, function: _Function | None) -> list[int]:
        if function not in self._calls_of:
            self._calls_of[function] = list(self._code.calls(function)) if function else []
        return self._calls_of[function]

    def _function(self, address: int) -> set[_Function]:
        function = self._code.function(address)
        return {function} if function else set()

    def _only(self, found: set[_Function]) -> _Function | None:
        return next(iter(found)) if len(found) == 1 else None

    def _callers(self, found: set[_Function]) -> set[_Function]:
        """Return the callers of a function, if it is found."""
        function = self._only(found)
        return self._code.callers(function[0]) if function else set()

    def _beside_header(self, function: _Function) -> bool:
        """Whether a function has a caller in common with qemu_savevm_state_header."""
        return not self._callers({function}).isdisjoint(self._savers)

    @cached_property
    def _savers(self) -> set[_Function]:
        return self._callers(self.header)

    # Saving

    @cached_property
    def state_blocked(self) -> set[_Function]:
        """qemu_savevm_state_blocked, which only sets an error; functions into which it is inlined do more."""
        return {each for each in self._loads(b"qemu_savevm_state_blocked") if len({*self._calls(each)}) == 1}

    @cached_property
    def is_blocked(self) -> set[_Function]:
        """migration_is_blocked: other callers of qemu_savevm_state_blocked do not only copy an error."""
        return {each for each in self._callers(self.state_blocked) if len(self._calls(each)) in (3, 4)}

    @cached_property
    def header(self) -> set[_Function]:
        """qemu_savevm_state_header, which sends the configuration, behind two numbers of the same size.

        Since 11.0 the function that sends those has its trace event. Up to 8.1 the configuration has no name.
        """
        event, named = b"savevm_state_header", self._loads(b"configuration")
        return self._with_trace(event, named.__contains__) or self._with_trace(event, self._sends_numbers)

    def _sends_numbers(self, function: _Function) -> bool:
        calls = self._calls(function)
        return len({*calls}) >= 4 and (calls[0] == calls[1] or calls[1] == calls[2])

    @cached_property
    def current_state(self) -> set[_Function]:
        """migrate_get_current, one of the first that qemu_savevm_state_header calls.

        Dozens of functions, which ask for one option of the migration each, call nothing else. Needed since 8.2 only;
        up to 8.0 those are inlined.
        """
        first = self._calls(self._only(self.header))[:3]
        found = {each for target in first for each in self._function(target)}
        return {
            each for each in found if sum(self._only_calls(user, each) for user in self._callers({each})) >= _OPTIONS
        }

    def _only_calls(self, function: _Function, called: _Function) -> bool:
        return self._calls(function) == [called[0]]

    @cached_property
    def init_state(self) -> set[_Function]:
        """migrate_init, which has two callers: save_snapshot, and qmp_migrate, which asks whether VMs are blocked.

        Compilers may leave qemu_savevm_state in a function of its own, which save_snapshot calls, and inline
        migration_is_blocked. Needed since 8.2 only.
        """
        blocked = self._only(self.is_blocked)
        if not self._keeps_writer or blocked is None:
            return set()
        savers = self._savers
        askers = (self._callers(self.is_blocked) | self._callers(self.state_blocked)) - {blocked}
        snapshot = self._only(savers & askers or {each for each in savers if askers & self._code.callers(each[0])})
        found = set()
        for target in set(self._calls(snapshot)) - {blocked[0]}:
            callers = self._code.callers(target)
            if len(callers) == 2 and snapshot in callers and callers <= askers | {snapshot}:
                found |= self._function(target)
        return found

    @cached_property
    def set_up(self) -> set[_Function]:
        """qemu_savevm_state_setup; since 11.1 qemu_savevm_state_do_setup."""
        return self._with_trace(b"savevm_state_setup", self._beside_header)

    @cached_property
    def _non_iterable(self) -> set[_Function]:
        """The function that saves devices, since 6.0.

        Before there were snapshots in the background, its only caller, which may have it inlined, sent RAM pages, too.
        """
        found = self._with_text(b"src-non-iterable-saved")
        if not found and self._code.strings(b"background-snapshot"):
            found = self._with_text(b"bdrv_inactivate_all() failed") & self._loads(b"page_size")
        return {each for each in found if self._beside_header(each)}

    @cached_property
    def _is_split(self) -> bool:
        """Whether the end of the stream is written by another function, since 11.0.

        Then qmp_xen_save_devices_state, whose streams have another end, saves devices with the same function.
        """
        users = self._non_iterable | self._callers(self._non_iterable)
        return not {function[0] for function in users}.isdisjoint(self._xen(b"save"))

    @cached_property
    def end_precopy(self) -> set[_Function]:
        """qemu_savevm_state_end_precopy, which the callers of qemu_savevm_state_non_iterable call, too."""
        if not self._is_split:
            return set()
        targets = {each for caller in self._callers(self._non_iterable) for each in self._calls(caller)}
        return {each for target in targets for each in self._function(target) if self._ends_stream(each)}

    def _ends_stream(self, function: _Function) -> bool:
        """Whether a function writes a byte, ends a JSON array and object, asks for their text, and does both again.

        qemu_savevm_state_header writes a byte and ends an object with the same functions.
        """
        calls = self._calls(function)
        if not 6 <= len(calls) <= 10:
            return False
        byte, _, end_object, text = calls[:4]
        is_twice = calls.count(byte) == calls.count(text) == 2 and byte != text
        return is_twice and self._header_calls.issuperset((byte, end_object))

    @cached_property
    def _header_calls(self) -> set[int]:
        return {*self._calls(self._only(self.header))}

    @cached_property
    def non_iterable(self) -> set[_Function]:
        """qemu_savevm_state_non_iterable, which leaves the end of the stream to qemu_savevm_state_end_precopy."""
        return self._non_iterable if self._is_split else set()

    @cached_property
    def complete_non_iterable(self) -> set[_Function]:
        """qemu_savevm_state_complete_precopy_non_iterable, which writes the end of the stream, too."""
        return set() if self._is_split else self._non_iterable

    @cached_property
    def switchover(self) -> set[_Function]:
        """qemu_savevm_maybe_send_switchover_start."""
        return self._with_trace(b"savevm_send_switchover_start", self._depends_on_option)

    def _depends_on_option(self, function: _Function) -> bool:
        """Whether a small function first asks for an option of the migration."""
        current, calls = self._only(self.current_state), self._calls(function)
        asked = self._code.function(calls[0]) if calls else None
        return bool(current and asked and self._only_calls(asked, current)) and _size(function) <= _SMALL

    @cached_property
    def store_state(self) -> set[_Function]:
        """global_state_store. Since 8.0 it does what global_state_store_running does, behind runstate_get.

        Both call one function, which compilers may inline, so that both assert what it asserts.
        """
        if found := self._with_trace(b"runstate name too big", self._beside_header):
            return found
        load = self._xen(b"load")
        running = self._function(next((each for each in self._xen(b"save") if each not in load), 0))
        calls, users = self._calls(self._only(running)), self._with_text(b"< sizeof(global_state.runstate)")
        if not running < users:
            users = self._code.callers(calls[0]) if len(calls) == 1 else set()
        return {each for each in users - running if self._calls(each)[1:] == calls} if running else set()

    # Files

    def _xen(self, kind: bytes) -> list[int]:
        return self._calls(self._only(self._with_text(b"migration-xen-%s-state" % kind)))

    @cached_property
    def _new_files(self) -> set[tuple[_Function, _Function]]:
        """Functions for output and input, of qmp_xen_save_devices_state and its like.

        They are neighbours, and call the same functions.
        """
        save, load = {*self._xen(b"save")}, {*self._xen(b"load")}
        pairs = set()
        for output in {each for target in save - load for each in self._function(target)}:
            for input_ in self._function(output[0] - 1) | self._function(output[1]):
                calls = self._calls(output)
                if input_[0] in load - save and calls and calls == self._calls(input_):
                    pairs.add((output, input_))
        return pairs

    @cached_property
    def new_output(self) -> set[_Function]:
        """qemu_file_new_output."""
        return {output for output, _ in self._new_files}

    @cached_property
    def new_input(self) -> set[_Function]:
        """qemu_file_new_input."""
        return {input_ for _, input_ in self._new_files}

    @cached_property
    def flush(self) -> set[_Function]:
        """qemu_fflush, or the part of it that qemu_fclose calls; it frees RAM that was sent."""
        found = self._with_text(b"migrate: madvise DONTNEED failed")
        callers = self._callers(found)
        return found if self._with_trace(b"qemu_file_fclose", callers.__contains__) else set()

    @cached_property
    def new_buffer(self) -> set[_Function]:
        """qio_channel_buffer_new: it calls object_new first, as does qio_channel_file_new_path, for Xen's files.

        Others that use the type's name cast to it.
        """
        files = {calls[0] for each in self._xen(b"save") if (calls := self._calls(self._code.function(each)))}
        users = self._loads(b"qio-channel-buffer")
        return {each for each in users if _size(each) <= _SMALL and not files.isdisjoint(self._calls(each)[:1])}

    @cached_property
    def load_state(self) -> set[_Function]:
        """qemu_loadvm_state, which qmp_xen_load_devices_state calls."""
        callees = {*self._xen(b"load")}
        return self._with_trace(b"Configuration section missing", lambda each: each[0] in callees)

    # The lock, up to QEMU 8.2

    @cached_property
    def unlock(self) -> set[_Function]:
        """qemu_mutex_unlock_iothread. Functions into which it is inlined acquire the lock again."""
        lock = {each[0] for each in self.lock}
        named = self._loads(b"qemu_mutex_unlock_iothread")
        return {each for each in named if (calls := self._calls(each)) and lock.isdisjoint(calls)} if lock else set()

    @cached_property
    def lock(self) -> set[_Function]:
        """qemu_mutex_lock_iothread_impl."""
        return self._loads(b"qemu_mutex_lock_iothread_impl")


def _size(function: _Function) -> int:
    return function[1] - function[0]


#: Attributes of MigrationFunctions by the name of the function in QEMU.
FINDERS = {
    "global_state_store": "store_state",
    "migrate_get_current": "current_state",
    "migrate_init": "init_state",
    "migration_is_blocked": "is_blocked",
    "qemu_fflush": "flush",
    "qemu_file_new_input": "new_input",
    "qemu_file_new_output": "new_output",
    "qemu_loadvm_state": "load_state",
    "qemu_mutex_lock_iothread_impl": "lock",
    "qemu_mutex_unlock_iothread": "unlock",
    "qemu_savevm_maybe_send_switchover_start": "switchover",
    "qemu_savevm_state_blocked": "state_blocked",
    "qemu_savevm_state_complete_precopy_non_iterable": "complete_non_iterable",
    "qemu_savevm_state_end_precopy": "end_precopy",
    "qemu_savevm_state_header": "header",
    "qemu_savevm_state_non_iterable": "non_iterable",
    "qemu_savevm_state_setup": "set_up",
    "qio_channel_buffer_new": "new_buffer",
}
