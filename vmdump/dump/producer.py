"""Producer: the origin of a dump and metadata of its QEMU, as an object and as the JSON object of an extended dump file
(csrc/format/extended.h).
"""

from __future__ import annotations

from collections import namedtuple

from vmdump.errors import SourceError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any


class Defect(namedtuple("Defect", ("what", "address", "symbol", "device"), defaults=(None, None))):
    """A defect of a QEMU binary that reading it tolerated.

    - what: the defect, in words.
    - address: offset in the binary or module, in bytes.
    - symbol: the exported symbol at the address, if any.
    - device: the QOM type whose description has the defect.

    >>> str(Defect("a list of subsections has no terminator; it ends before the next object", 0x1A2B, None, "arm-cpu"))
    "a list of subsections has no terminator; it ends before the next object (at 0x1a2b, device 'arm-cpu')"
    """

    __slots__ = ()

    what: str
    address: int
    symbol: str | None
    device: str | None

    def __str__(self) -> str:
        """The defect and its place on one line."""
        where = [f"at {self.address:#x}"]
        where += [self.symbol] if self.symbol else []
        where += [f"device {self.device!r}"] if self.device else []
        return f"{self.what} ({', '.join(where)})"


class ProducerModule(namedtuple("ProducerModule", ("name", "build_id"), defaults=(None,))):
    """A module that a QEMU loaded: its name, and its build id in hex, if any.

    >>> ProducerModule("hw-usb-host").build_id is None
    True
    """

    __slots__ = ()

    name: str
    build_id: str | None


class Producer(
    namedtuple(
        "Producer",
        ("kind", "path", "version", "build_id", "host", "modules", "defects", "error_lines"),
        defaults=(None, None, None, None, (), (), ()),
    )
):
    """The origin of a dump. Attributes that are not known are None or empty.

    - kind: ``registry`` (classes of this process), ``file`` (a dump file), ``image`` (a QEMU binary that was read) or
      ``qemu`` (a QEMU binary that was run).
    - path: the file or binary.
    - version: the output of ``--version``.
    - build_id: the linker's build id, in hex.
    - host: the architecture that the binary runs on (``x86_64``, ``aarch64``).
    - modules: the loaded modules.
    - defects: the defects of the binary.
    - error_lines: pairs of key and format string; see vmdump.qemu.error_lines.

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
    error_lines: tuple[tuple[str, str], ...]

    def to_plain(self) -> tuple[Any, ...]:
        """Return the producer as nested plain tuples, which marshal can write."""
        *facts, modules, defects, error_lines = self
        return (*facts, tuple(map(tuple, modules)), tuple(map(tuple, defects)), error_lines)

    @classmethod
    def from_plain(cls, plain: tuple[Any, ...]) -> Producer:
        """Return the producer for the result of to_plain."""
        *facts, modules, defects, error_lines = plain
        loaded, found = tuple(ProducerModule(*each) for each in modules), tuple(Defect(*each) for each in defects)
        return cls._make((*facts, loaded, found, error_lines))


#: The attributes in an extended dump file. Without kind and path, so that equal binaries give equal files.
_KEPT = ("version", "build_id", "host", "modules", "defects", "error_lines")


def producer_to_json(producer: Producer) -> bytes:
    """Return the JSON object of an extended dump file, indented for its place in the file."""
    from json import dumps

    facts = {key: value for key, value in producer._asdict().items() if key in _KEPT and value}
    for key in ("modules", "defects"):
        if key in facts:
            facts[key] = [
                {name: item for name, item in each._asdict().items() if item is not None} for each in facts[key]
            ]
    if "error_lines" in facts:
        facts["error_lines"] = dict(facts["error_lines"])
    return dumps(facts, indent=2, ensure_ascii=False).replace("\n", "\n    ").encode()


def producer_from_json(text: bytes, path: str) -> Producer:
    """Return the producer from the JSON object of the dump file at path. Raises SourceError if it is malformed."""
    from json import loads

    try:
        facts: dict[str, Any] = loads(text)
        if unknown := facts.keys() - set(_KEPT):
            raise ValueError(f"unknown key {min(unknown)!r}")
        for key, cls in (("modules", ProducerModule), ("defects", Defect)):
            facts[key] = tuple(_checked(cls(**each)) for each in facts.get(key, ()))
        facts["error_lines"] = _checked_lines(facts.get("error_lines", {}))
        producer = Producer("file", path, **facts)
        _checked(producer)
        return producer
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(f'{path}: at $["vmschkmachine"].producer: {error}; the file may have been edited') from error


def _checked(value: Any) -> Any:
    """Return the named tuple after checking the types of its members."""
    for name, item in value._asdict().items():
        expected = tuple if name in ("modules", "defects", "error_lines") else int if name == "address" else str
        if item is not None and not isinstance(item, expected):
            raise TypeError(f"{name} is {item!r}")
    return value


def _checked_lines(lines: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the format strings of error lines after checking their types."""
    for key, format in lines.items():
        if not isinstance(format, str):
            raise TypeError(f"{key} is {format!r}")
    return tuple(lines.items())
