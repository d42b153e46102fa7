"""Lists of initialised classes, as object_class_get_list returns them.

Optimization at link time may inline that function into all of its callers. Then one of them, the function of the QMP
command query-machines, is called up to the g_hash_table_foreach that walks QEMU's table of types, whose arguments are
enough to walk it for other types, too.

Source: QEMU 5.2 to 11.1 qom/object.c object_class_foreach, struct OCFData; hw/core/machine-qmp-cmds.c.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from vmdump.emulator.find_functions import Functions
from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.model import MappedObject
from vmdump.emulator.qmp_commands import QmpCommands
from vmdump.emulator.qobject import QObjects
from vmdump.errors import SourceError

_GET_LIST = "object_class_get_list"

#: Bytes of OCFData: function, implements_type, include_abstract, opaque.
_OCF_DATA_SIZE = 32


class _Walk(NamedTuple):
    """Guest addresses: the table of types, the function that is called for each, and the one that makes the list."""

    table: int
    each: int
    prepend: int


class ClassList:
    """The classes of a QEMU with registered types."""

    def __init__(self, guest: Guest, main: MappedObject, functions: Functions) -> None:
        self._guest, self._main, self._functions = guest, main, functions

    def get(self, implements_type: str, *, include_abstract: bool) -> list[int]:
        """Return the addresses of the initialised classes that implement a type. Raises SourceError."""
        guest = self._guest
        if function := self._functions.find(_GET_LIST):
            head = guest.call(function, guest.string(implements_type), include_abstract)
            return list(guest.slist(head))
        data, head_at = guest.alloc(_OCF_DATA_SIZE), guest.alloc(8)
        walk = self._walk
        guest.write(data, guest.pack("QQ?7xQ", walk.prepend, guest.string(implements_type), include_abstract, head_at))
        guest.call(guest.host_function("g_hash_table_foreach"), walk.table, walk.each, data)
        return list(guest.slist(guest.pointer(head_at)))

    @cached_property
    def _walk(self) -> _Walk:
        guest = self._guest
        walk_at = guest.host_function("g_hash_table_foreach")
        arguments = [QObjects(guest).make({}), guest.alloc(8), guest.alloc(8)]
        if (command := self._command()) and guest.call_until(command, *arguments, pause_at=walk_at):
            table, each, data = guest.arguments(3)
            prepend, implements = guest.words(data, 2)
            is_it = self._main.holds(prepend) and "machine" in guest.text(implements)
            guest.resume()
            if is_it:
                return _Walk(table, each, prepend)
        self._functions.get(_GET_LIST)
        raise AssertionError

    def _command(self) -> int | None:
        """Return the address of the function of query-machines; None if the binary has no such command."""
        try:
            return QmpCommands(self._guest, self._main).find("query-machines")
        except SourceError:  # no list of commands
            return None
