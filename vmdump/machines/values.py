"""Values of properties: as text, and classified without knowledge of the property."""

from __future__ import annotations

import json
from typing import Any

#: Values that leave the choice to the device or to QEMU: auto, and -1 of signed and unsigned types.
_UNRESOLVED = ("auto", -1, (1 << 8) - 1, (1 << 16) - 1, (1 << 32) - 1, (1 << 64) - 1)

#: Values that leave a device as it is without the property.
_INACTIVE: tuple[Any, ...] = (None, "off", 0, "", "none", [], {})

#: The emulated host's clock at start, and the time within which alarms are due, in nanoseconds.
#: Source: csrc/guest/host/time.c.
_CLOCK, _RUN = 1_700_000_000 * 10**9, 86400 * 10**9

#: Characters of a value in words.
_MOST = 60

#: Equal characters before the first difference of long values.
_CONTEXT = 8


def is_unresolved(value: Any) -> bool:
    """Return whether the value leaves the choice to QEMU.

    >>> is_unresolved("auto"), is_unresolved(-1), is_unresolved(1), is_unresolved(True)
    (True, True, False, False)
    """
    return not isinstance(value, bool) and value in _UNRESOLVED


def is_inactive(value: Any) -> bool:
    """Return whether a property with this value leaves the device as it is without the property.

    >>> is_inactive(False), is_inactive("off"), is_inactive("on"), is_inactive(4096), is_inactive({})
    (True, True, False, False, True)
    """
    return value in _INACTIVE


def is_time(data: bytes) -> bool:
    """Return whether a field holds the host's time in nanoseconds, which differs from run to run.

    >>> is_time((1_700_000_001 * 10**9).to_bytes(8, "big")), is_time(bytes(8))
    (True, False)
    """
    return len(data) == 8 and 0 <= int.from_bytes(data, "big") - _CLOCK < _RUN


def shared_value(old: Any, new: Any) -> tuple[Any, Any]:
    """Return both values; of structs, also nested ones, only the members that both have.

    >>> shared_value({"cpus": 1, "a": {"b": 1}}, {"cpus": 2, "modules": 1, "a": {"b": 1, "c": 2}})
    ({'cpus': 1, 'a': {'b': 1}}, {'cpus': 2, 'a': {'b': 1}})
    """
    if isinstance(old, dict) and isinstance(new, dict):
        members = {key: shared_value(old[key], new[key]) for key in old if key in new}
        return {key: each for key, (each, _) in members.items()}, {key: each for key, (_, each) in members.items()}
    return old, new


def both_in_words(old: Any, new: Any) -> tuple[str, str]:
    """Return two different values on one line each; long ones from where they differ.

    >>> both_in_words("a" * 100 + "b", "a" * 100 + "c")
    ('...aaaaaaaab', '...aaaaaaaac')
    """
    ours, theirs = in_words(old), in_words(new)
    if ours != theirs:
        return ours, theirs
    before, after = (each if isinstance(each, str) else json.dumps(each) for each in (old, new))
    pairs = enumerate(zip(before, after, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), min(len(before), len(after)))
    start = max(same - _CONTEXT, 0)
    return f"...{in_words(before[start:])}", f"...{in_words(after[start:])}"


def in_words(value: Any) -> str:
    """Return a value on one line.

    >>> in_words(True), in_words("a"), in_words(None), in_words({"a": [1]})
    ('true', 'a', 'not there', '{"a": [1]}')
    """
    if value is None:
        return "not there"
    text = value if isinstance(value, str) else json.dumps(value)
    text = text or '""'
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."
