"""Calls of host functions in guests."""

from vmdump.emulator.guest import Guest


def call(guest: Guest, name: str, *args: int | str) -> int:
    """Call a host function as the guest would."""
    return guest.call(
        guest.host_function(name), *(guest.string(each) if isinstance(each, str) else each for each in args)
    )
