"""Machine code of load hooks: whether a hook can refuse a state at all.

A function without branches that sets its result to 0 before it returns does so for every state. Only such functions are
recognised; any other may refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.emulator.hosts.model import Effect

if TYPE_CHECKING:
    from vmdump.emulator.guest import Guest

#: Limit of a function's size, in bytes.
_SIZE_MAX = 512


def never_refuses(guest: Guest, function: int) -> bool:
    """Return whether a function always returns 0; False: unknown."""
    is_zero = False
    for effect in guest.host.effects(guest.read(function, _SIZE_MAX)):
        if effect is Effect.RETURN:
            return is_zero
        if effect is Effect.BRANCH:
            return False
        is_zero = effect is Effect.ZERO or (is_zero and effect is Effect.KEEP)
    return False
