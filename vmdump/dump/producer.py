"""Producer: where a dump comes from, and what is known of the QEMU behind it; as an object, and as the JSON of an
extended dump file (csrc/extended.h).
"""

from __future__ import annotations

from collections import namedtuple

from vmdump.errors import SourceError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any


class Defect(namedtuple("Defect", ("what", "address", "symbol", "device"), defaults=(None, None))):
    """Something wrong in a QEMU binary, that the reading got over.

    what is wrong, in words; address: where, as an offset in the binary or module; symbol: what the binary calls that
    place, where it exports it; device: the QOM type that it was found on.

    >>> str(Defect("a list of subsections has no terminator; it ends before the next object", 0x1A2B, None, "arm-cpu"))
    "a list of subsections has no terminator; it ends before the next object (at 0x1a2b, device 'arm-cpu')"
    """

    __slots__ = ()

    what: str
    address: int
    symbol: str | None
    device: str | None

    def __str__(self) -> str:
        """One line."""
        where = [f"at {self.address:#x}"]
        where += [self.symbol] if self.symbol else []
        where += [f"device {self.device!r}"] if self.device else []
        return f"{self.what} ({', '.join(where)})"


class ProducerModule(namedtuple("ProducerModule", ("name", "build_id"), defaults=(None,))):
    """A loaded module of a QEMU: its name and, where it has one, its build id in hex.

    >>> ProducerModule("hw-usb-host").build_id is None
    True
    """

    __slots__ = ()

    name: str
    build_id: str | None


class Producer(
    namedtuple(
        "Producer",
        ("kind", "path", "version", "build_id", "host", "modules", "defects"),
        defaults=(None, None, None, None, (), ()),
    )
):
    """Where a dump comes from.

    kind is ``registry`` (this process's classes), ``file`` (a dump file), ``image`` (a QEMU binary that was read) or
    ``qemu`` (one that was run); path is the file or binary; version is what QEMU says of itself (``--version``),
    build_id the linker's (in hex), host the architecture that the binary is for (``x86_64``, ``aarch64``), modules what
    was loaded, defects what was wrong: each where it is known.

    >>> import vmdump
    >>> vmdump.open().producer.kind
    'registry'
    """

    __slots__ = ()

    kind: str
    path: str | None
    version: str | None
    build_id: str | None
    host: str | None
    modules: tuple[ProducerModule, ...]
    defects: tuple[Defect, ...]

    def to_plain(self) -> tuple[Any, ...]:
        """The same made of plain tuples, as marshal takes them."""
        *facts, modules, defects = self
        return (*facts, tuple(map(tuple, modules)), tuple(map(tuple, defects)))

    @classmethod
    def from_plain(cls, plain: tuple[Any, ...]) -> Producer:
        """The producer that to_plain was called of."""
        *facts, modules, defects = plain
        loaded, found = tuple(ProducerModule(*each) for each in modules), tuple(Defect(*each) for each in defects)
        return cls._make((*facts, loaded, found))


#: What an extended dump file keeps: not where the binary lay, so that equal binaries give equal files.
_KEPT = ("version", "build_id", "host", "modules", "defects")


def producer_to_json(producer: Producer) -> bytes:
    """The JSON object that an extended dump file has; on lines of its own, as its place in the file wants them."""
    from json import dumps

    facts = {key: value for key, value in producer._asdict().items() if key in _KEPT and value}
    for key in ("modules", "defects"):
        if key in facts:
            facts[key] = [
                {name: item for name, item in each._asdict().items() if item is not None} for each in facts[key]
            ]
    return dumps(facts, indent=2, ensure_ascii=False).replace("\n", "\n    ").encode()


def producer_from_json(text: bytes, path: str) -> Producer:
    """The producer that a dump file at path tells of. Raises SourceError when it is not such an object."""
    from json import loads

    try:
        facts: dict[str, Any] = loads(text)
        if unknown := facts.keys() - set(_KEPT):
            raise ValueError(f"unknown key {min(unknown)!r}")
        for key, cls in (("modules", ProducerModule), ("defects", Defect)):
            facts[key] = tuple(_checked(cls(**each)) for each in facts.get(key, ()))
        producer = Producer("file", path, **facts)
        _checked(producer)
        return producer
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(f'{path}: at $["vmschkmachine"].producer: {error}; was it edited?') from error


def _checked(value: Any) -> Any:
    """The named tuple, whose members that are strings or numbers are such."""
    for name, item in value._asdict().items():
        expected = tuple if name in ("modules", "defects") else int if name == "address" else str
        if item is not None and not isinstance(item, expected):
            raise TypeError(f"{name} is {item!r}")
    return value
