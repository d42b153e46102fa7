"""Results of functions that decide what a section contains, and of array lengths, under one machine type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

#: A function or length: description name, field name (empty: needed() of the description), and which of the fields of
#: that name in the description.
Key = tuple[str, str, int]


class Wanted(NamedTuple):
    """Sections to evaluate, and which of their functions and lengths.

    Attributes:
        type: the device type; None: a standalone VMSD.
        description: name of the description.
        keys: functions and array lengths; None: all.
    """

    type: str | None
    description: str
    keys: frozenset[Key] | None = None


class Answer(NamedTuple):
    """What a test, a needed() or an array length is in a VM at reset.

    Attributes:
        value: the result of the function, or the length.
        configuration: the device properties it depends on, as ``name = value``.
        obstacle: why it can change in other VMs or later; None: it depends on configuration and constants alone.
    """

    value: int
    configuration: tuple[str, ...] = ()
    obstacle: str | None = None

    @property
    def is_definite(self) -> bool:
        """Whether it is the same in every VM with this configuration, at any time."""
        return self.obstacle is None

    def in_words(self, what: str) -> str:
        """Describe the result of a function.

        >>> Answer(0, ("migrate-timadj = off",)).in_words("the test")
        'the test returns false, reads only migrate-timadj = off'
        >>> Answer(0, (), "it reads the device's state").in_words("needed()")
        "not at reset: needed() returns false there, but it reads the device's state"
        """
        result = "true" if self.value else "false"
        if self.obstacle is None:
            return f"{what} returns {result}, reads only {', '.join(self.configuration) or 'constants'}"
        start = f"not at reset: {what} returns false there" if not self.value else f"{what} returns true at reset"
        return f"{start}, but {self.obstacle}"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Answers as they are stored; why: the reason if there are none."""

    found: list[tuple[Key, Answer]]
    lengths: list[tuple[Key, Answer]]
    why: str | None = None


class Answers:
    """The answers for the sections of one type.

    Attributes:
        machine: the machine type of the VM.
        used: the definite answers that a lowering has used.
    """

    def __init__(self, machine: str, found: Mapping[Key, Answer], lengths: Mapping[Key, Answer] | None = None) -> None:
        self.machine = machine
        self._found, self._lengths = dict(found), dict(lengths or {})
        self.used: dict[Key, Answer] = {}

    def to_plain(self) -> Evaluated:
        """Return the answers as a value that can be stored."""
        return Evaluated(list(self._found.items()), list(self._lengths.items()))

    def get(self, key: Key) -> Answer | None:
        """Return the answer of a test or needed(); None: not evaluated."""
        return self._found.get(key)

    def get_length(self, key: Key) -> Answer | None:
        """Return the length of an array or list; None: not evaluated."""
        return self._lengths.get(key)

    def test(self, description: str, field: str, index: int) -> bool | None:
        """Return the definite result of a field's test; None: there is none."""
        return self._definite((description, field, index))

    def needed(self, description: str) -> bool | None:
        """Return the definite result of the hook that decides about a description; None: there is none."""
        return self._definite((description, "", 0))

    def length(self, description: str, field: str, index: int) -> int | None:
        """Return the definite length of an array; None: there is none."""
        answer = self._lengths.get((description, field, index))
        return answer.value if answer is not None and answer.is_definite else None

    def _definite(self, key: Key) -> bool | None:
        answer = self._found.get(key)
        if answer is None or not answer.is_definite:
            return None
        self.used[key] = answer
        return bool(answer.value)


def merge(answers: Iterable[tuple[Key, Answer]]) -> dict[Key, Answer]:
    """Return one answer for each key: definite only if all answers for it are definite and equal.

    >>> merge([(("d", "f", 0), Answer(1)), (("d", "f", 0), Answer(0))])[("d", "f", 0)].obstacle
    'it differs between instances'
    """
    merged: dict[Key, Answer] = {}
    for key, answer in answers:
        known = merged.get(key)
        if known is None or (known.is_definite and not answer.is_definite):
            differs = known is not None and known.value != answer.value
            merged[key] = answer._replace(value=known.value | answer.value) if differs and known else answer
        elif known.value != answer.value:
            obstacle = known.obstacle or "it differs between instances"
            merged[key] = known._replace(value=known.value | answer.value, obstacle=obstacle)
        elif known.is_definite:
            merged[key] = known._replace(
                configuration=tuple(dict.fromkeys((*known.configuration, *answer.configuration)))
            )
    return merged
