"""Find the functions that save and load a machine, in binaries without symbols.

They are identified by the texts of their trace events and messages, by what they call, and by their callers. Names are
those of QEMU 10.0; functions that a version lacks are not found.

Source: migration/savevm.c, migration/migration.c, migration/qemu-file.c, migration/global_state.c of QEMU 7.2 to 11.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from vmdump.emulator.machine_code import Code

#: Start and end of a function.
_Function = tuple[int, int]

#: Maximum size of functions that only pass their arguments on, in bytes.
_SMALL = 512


class MigrationFunctions:
    """Functions of a binary's migration code."""

    def __init__(self, code: Code) -> None:
        self._code = code

    def find(self, name: str) -> int | None:
        """Return the address of a function by its name in QEMU; None: it is not found, or not known here."""
        finder = FINDERS.get(name)
        found = finder(self) if finder else set()
        return next(iter(found))[0] if len(found) == 1 else None

    def is_complete(self) -> bool:
        """Return whether all functions are found that saving and loading a machine needs."""
        needed = [
            self.store_state, self.flush, self.new_input, self.new_output, self.load_state, self.header, self.set_up,
            self.new_buffer, self.is_blocked, self._non_iterable,
        ]  # fmt: skip
        if self._keeps_writer():
            needed += [self.init_state, self.current_state]
        return all(len(finder()) == 1 for finder in needed)

    def _keeps_writer(self) -> bool:
        """Whether the migration's state has a writer of the description, since 8.2: the set-up starts to write it."""
        return bool(self.set_up() & self._code.functions_that_load(self._code.strings(b"page_size")))

    def _with_text(self, text: bytes) -> set[_Function]:
        """Return the functions that load a string which contains a text."""
        return self._code.functions_that_load(self._code.string_around(text))

    def _named(self, name: bytes) -> set[_Function]:
        """Return the functions that pass their own name to an assertion or an error."""
        return self._code.functions_that_load(self._code.strings(name))

    def _calls(self, function: _Function) -> list[int]:
        return list(self._code.calls(function))

    def _function(self, address: int) -> set[_Function]:
        function = self._code.function(address)
        return {function} if function else set()

    def _only(self, found: set[_Function]) -> _Function | None:
        return next(iter(found)) if len(found) == 1 else None

    # Saving

    def state_blocked(self) -> set[_Function]:
        """qemu_savevm_state_blocked, which compilers may inline into qemu_loadvm_state, too."""
        named = self._named(b"qemu_savevm_state_blocked")
        return {min(named, key=_size)} if named else set()

    def is_blocked(self) -> set[_Function]:
        """migration_is_blocked, the smallest caller of qemu_savevm_state_blocked."""
        blocked = self._only(self.state_blocked())
        callers = self._code.callers(blocked[0]) if blocked else set()
        return {min(callers, key=_size)} if callers else set()

    def header(self) -> set[_Function]:
        """qemu_savevm_state_header, which sends the configuration.

        Since 11.0 another function has its trace event, which compilers may inline here and elsewhere.
        """
        traced = self._with_text(b"savevm_state_header")
        with_section = self._code.functions_that_load(self._code.strings(b"configuration"))
        if not with_section:
            return traced
        return traced & with_section or {each for send in traced for each in with_section & self._code.callers(send[0])}

    def current_state(self) -> set[_Function]:
        """migrate_get_current, which qemu_savevm_state_header calls first, and only once."""
        header = self._only(self.header())
        calls = self._calls(header) if header else []
        return next((self._function(target) for target in calls if calls.count(target) == 1), set())

    def init_state(self) -> set[_Function]:
        """migrate_init, which has two callers: save_snapshot, and qmp_migrate, which asks whether VMs are blocked.

        Compilers may leave qemu_savevm_state in a function of its own, which save_snapshot calls, and inline
        migration_is_blocked. Needed since 8.2 only.
        """
        if not self._keeps_writer():
            return set()
        state, blocked, header = (self._only(found()) for found in (self.state_blocked, self.is_blocked, self.header))
        if state is None or blocked is None or header is None:
            return set()
        savers = self._code.callers(header[0])
        askers = (self._code.callers(blocked[0]) | self._code.callers(state[0])) - {blocked}
        snapshot = self._only(savers & askers or {each for each in savers if askers & self._code.callers(each[0])})
        found = set()
        for target in set(self._calls(snapshot)) if snapshot else ():
            callers = self._code.callers(target)
            if len(callers) == 2 and snapshot in callers and callers <= askers | {snapshot} and target != blocked[0]:
                found |= self._function(target)
        return found

    def set_up(self) -> set[_Function]:
        """qemu_savevm_state_setup; since 11.1 qemu_savevm_state_do_setup."""
        return self._with_text(b"savevm_state_setup")

    def _non_iterable(self) -> set[_Function]:
        found = self._with_text(b"src-non-iterable-saved")
        if found:
            return found
        with_description = self._code.functions_that_load(self._code.strings(b"page_size"))
        return self._with_text(b"bdrv_inactivate_all() failed") & with_description

    def end_precopy(self) -> set[_Function]:
        """qemu_savevm_state_end_precopy, which its callers call after the devices.

        It writes two bytes and the JSON of the description, and asks twice for the latter.
        """
        non_iterable = self._only(self._non_iterable())
        found: set[_Function] = set()
        for caller in self._code.callers(non_iterable[0]) if non_iterable else ():
            calls = self._calls(caller)
            for target in calls[calls.index(non_iterable[0]) + 1 :] if non_iterable else ():
                found |= {function for function in self._function(target) if self._ends_stream(function)}
        return found

    def _ends_stream(self, function: _Function) -> bool:
        calls = self._calls(function)
        counts = Counter(calls)
        is_pair = sorted(counts.values())[-3:] in ([1, 2, 2], [2, 2])
        return 6 <= len(calls) <= 10 and is_pair and counts[calls[0]] == 2

    def non_iterable(self) -> set[_Function]:
        """qemu_savevm_state_non_iterable, which leaves the end of the stream to qemu_savevm_state_end_precopy."""
        return self._non_iterable() if self.end_precopy() else set()

    def complete_non_iterable(self) -> set[_Function]:
        """qemu_savevm_state_complete_precopy_non_iterable, which writes the end of the stream, too."""
        return set() if self.end_precopy() else self._non_iterable()

    def switchover(self) -> set[_Function]:
        """qemu_savevm_maybe_send_switchover_start."""
        return {each for each in self._with_text(b"savevm_send_switchover_start") if _size(each) <= _SMALL}

    def store_state(self) -> set[_Function]:
        """global_state_store, which calls the same function as global_state_store_running.

        Compilers may inline that function, so that both assert what it asserts.
        """
        if found := self._with_text(b"runstate name too big"):
            return found
        running = self._function(next(iter(self._only_in_xen_save()), 0))
        asserting = self._with_text(b"< sizeof(global_state.runstate)")
        if running and running < asserting:
            return asserting - running
        calls = [target for function in running for target in self._calls(function)]
        if len(calls) != 1:
            return set()
        others = self._code.callers(calls[0]) - running
        return {each for each in others if _size(each) <= _SMALL}

    # Files

    def _xen(self, kind: bytes) -> list[int]:
        function = self._only(self._with_text(b"migration-xen-%s-state" % kind))
        return self._calls(function) if function else []

    def _only_in_xen_save(self) -> list[int]:
        load = self._xen(b"load")
        return [target for target in self._xen(b"save") if target not in load]

    def _new_files(self) -> set[tuple[_Function, _Function]]:
        """Functions for output and input that call the same functions, of qmp_xen_save_devices_state and its like."""
        save, load = self._xen(b"save"), self._xen(b"load")
        pairs = set()
        for output in {target for target in save if target not in load}:
            for input_ in {target for target in load if target not in save}:
                first, second = self._code.function(output), self._code.function(input_)
                if first and second and _size(first) <= _SMALL:
                    calls = self._calls(first)
                    if calls and calls == self._calls(second):
                        pairs.add((first, second))
        return pairs

    def new_output(self) -> set[_Function]:
        """qemu_file_new_output."""
        return {output for output, _ in self._new_files()}

    def new_input(self) -> set[_Function]:
        """qemu_file_new_input."""
        return {input_ for _, input_ in self._new_files()}

    def flush(self) -> set[_Function]:
        """qemu_fflush, or the part of it that qemu_fclose calls first."""
        close = self._only(self._with_text(b"qemu_file_fclose"))
        return next((self._function(target) for target in (self._calls(close) if close else ())), set())

    def new_buffer(self) -> set[_Function]:
        """qio_channel_buffer_new: it calls object_new first, others that use the type's name cast to it."""
        users = self._code.functions_that_load(self._code.strings(b"qio-channel-buffer"))
        first = {user: calls[0] for user in users if (calls := self._calls(user))}
        count = Counter(first.values())
        return {user for user, target in first.items() if count[target] == 1}

    def load_state(self) -> set[_Function]:
        """qemu_loadvm_state."""
        return self._with_text(b"Configuration section missing")

    def unlock(self) -> set[_Function]:
        """qemu_mutex_unlock_iothread, up to QEMU 8.2."""
        return self._named(b"qemu_mutex_unlock_iothread")

    def lock(self) -> set[_Function]:
        """qemu_mutex_lock_iothread_impl, up to QEMU 8.2."""
        return self._named(b"qemu_mutex_lock_iothread_impl")


def _size(function: _Function) -> int:
    return function[1] - function[0]


#: Finders by the name of the function in QEMU.
FINDERS: dict[str, Callable[[MigrationFunctions], set[_Function]]] = {
    "global_state_store": MigrationFunctions.store_state,
    "migrate_get_current": MigrationFunctions.current_state,
    "migrate_init": MigrationFunctions.init_state,
    "migration_is_blocked": MigrationFunctions.is_blocked,
    "qemu_fflush": MigrationFunctions.flush,
    "qemu_file_new_input": MigrationFunctions.new_input,
    "qemu_file_new_output": MigrationFunctions.new_output,
    "qemu_loadvm_state": MigrationFunctions.load_state,
    "qemu_mutex_lock_iothread_impl": MigrationFunctions.lock,
    "qemu_mutex_unlock_iothread": MigrationFunctions.unlock,
    "qemu_savevm_maybe_send_switchover_start": MigrationFunctions.switchover,
    "qemu_savevm_state_blocked": MigrationFunctions.state_blocked,
    "qemu_savevm_state_complete_precopy_non_iterable": MigrationFunctions.complete_non_iterable,
    "qemu_savevm_state_end_precopy": MigrationFunctions.end_precopy,
    "qemu_savevm_state_header": MigrationFunctions.header,
    "qemu_savevm_state_non_iterable": MigrationFunctions.non_iterable,
    "qemu_savevm_state_setup": MigrationFunctions.set_up,
    "qio_channel_buffer_new": MigrationFunctions.new_buffer,
}
