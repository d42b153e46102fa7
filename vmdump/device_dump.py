"""DeviceDump, what every source yields and everything downstream takes: the device classes of a QEMU and their state.

It holds the native tree that the engine writes. Model objects are made for those devices alone that someone looks at.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping

from vmdump.output import open_output

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Any

    from vmdump.engine import Tree
    from vmdump.engines import Engine
    from vmdump.vmstate.model import VMStateDescription


class Producer(namedtuple("Producer", ("kind", "path", "version"), defaults=(None, None))):
    """Where a dump comes from.

    kind is ``registry`` (this process's classes), ``file`` (a dump file), ``image`` (a QEMU binary that was read) or
    ``qemu`` (one that was run); path is the file or binary; version is what QEMU says of itself (``--version``), where
    it is known.

    >>> import vmdump
    >>> vmdump.open().producer
    Producer(kind='registry', path=None, version=None)
    """

    __slots__ = ()

    kind: str
    path: str | None
    version: str | None


class Device:
    """A device class of a dump: its QOM type name, its description, and its parents where the source knows them.

    >>> import vmdump
    >>> device = vmdump.open()["mc146818rtc"]
    >>> device.version_id, device.minimum_version_id, device.vmsd.fields[0].name
    (3, 1, 'cmos_data')
    >>> device.parents
    ('isa-device', 'device', 'object')
    """

    __slots__ = ("_index", "_tree", "_vmsd", "abstract", "desc", "minimum_version_id", "module", "name", "parents",
                 "version_id")  # fmt: skip

    def __init__(
        self,
        tree: Tree,
        index: int,
        name: str,
        *,
        vmsd: VMStateDescription | None = None,
        parents: tuple[str, ...] | None = None,
        abstract: bool | None = None,
        desc: str | None = None,
        module: str | None = None,
    ) -> None:
        """Sources make devices; None is what the source does not know."""
        self._tree, self._index, self._vmsd = tree, index, vmsd
        #: QOM type name.
        self.name = name
        self.version_id, self.minimum_version_id = tree.device_versions(index)
        #: Names of the parent types, nearest first; None where the source does not tell.
        self.parents = parents
        #: Whether the class is abstract; None where the source does not tell.
        self.abstract = abstract
        #: DeviceClass.desc.
        self.desc = desc
        #: The module that registered the type; None for a built-in type and where the source does not tell.
        self.module = module

    @property
    def vmsd(self) -> VMStateDescription:
        """The device's VMStateDescription, made when first asked for."""
        if self._vmsd is None:
            from vmdump.lowering import description_of

            self._vmsd = description_of(self._tree, self._index)
        return self._vmsd

    @property
    def n_fields(self) -> int:
        """How many fields the dump prints for the device, those of nested descriptions and subsections included."""
        return self._tree.device_fields(self._index)

    def __repr__(self) -> str:
        """For people: the type and the version."""
        return f"<Device {self.name!r} version {self.version_id}>"


class DeviceDump(Mapping[str, Device]):
    r"""The device classes of one QEMU, by type name, in the order of QEMU's own dump. Immutable; usable from threads.

    >>> import io, vmdump
    >>> dump = vmdump.open()
    >>> dump.machine, "isa-serial" in dump, len(dump) >= 15
    ('pc-i440fx-10.0', True, True)
    >>> with io.BytesIO() as file:
    ...     dump.write(file)
    ...     file.getvalue()[:21]
    b'{\n  "vmschkmachine": '
    """

    def __init__(
        self, tree: Tree, producer: Producer, make_devices: Callable[[], Iterable[Device]] | None = None
    ) -> None:
        """Sources make dumps: see `vmdump.open`. make_devices is called when someone first looks at a device."""
        #: The native form, which the engine writes.
        self.tree = tree
        #: Where the dump comes from.
        self.producer = producer
        self._make_devices = make_devices or self._bare_devices
        self._devices: Mapping[str, Device] | None = None

    def _bare_devices(self) -> Iterable[Device]:
        """Devices of which no more is known than what the dump prints."""
        return (Device(self.tree, index, name) for index, name in enumerate(self.tree.device_names()))

    def _by_name(self) -> Mapping[str, Device]:
        if self._devices is None:
            self._devices = {device.name: device for device in self._make_devices()}
        return self._devices

    @property
    def machine(self) -> str:
        """The machine's name, as the dump prints it: ``pc-q35-8.2``, not the alias ``q35``."""
        return self.tree.machine

    def __getitem__(self, name: str) -> Device:
        """The device class of a type name. Raises KeyError."""
        return self._by_name()[name]

    def __iter__(self) -> Iterator[str]:
        """Type names in the order of the dump."""
        return iter(self._by_name())

    def __len__(self) -> int:
        """How many device classes there are."""
        return len(self.tree)

    def __repr__(self) -> str:
        """For people: the machine and how many devices."""
        return f"<DeviceDump of {self.machine!r}: {len(self)} devices>"

    def to_bytes(self, *, engine: Engine | None = None) -> bytes:
        """The dump as QEMU's -dump-vmstate writes it; engine None: the fast one.

        Raises VMStateError if it passes vmdump.engine.MAX_DUMP_BYTES.

        >>> import vmdump
        >>> vmdump.open().to_bytes().splitlines()[1]
        b'  "vmschkmachine": {'
        """
        return self.tree.dump_bytes(engine)

    def write(self, target: Any, *, engine: Engine | None = None) -> None:
        """Writes the dump to a path or a binary file object, as QEMU's -dump-vmstate does.

        A file appears whole or not at all: it is written beside its place and renamed. A path that is no regular file
        (/dev/stdout, a FIFO) is written to directly. A file object that has a descriptor is flushed and its descriptor
        written to; any other gets the bytes in one ``write``.

        Raises OutputError (and what a file object raises), VMStateError if the dump would be too large.
        """
        if hasattr(target, "write"):
            self._write_file(target, engine)
            return
        with open_output(target) as fd:
            self.tree.dump_fd(fd, engine)

    def _write_file(self, file: IO[bytes], engine: Engine | None) -> None:
        try:
            fd = file.fileno()
        except (AttributeError, OSError):
            file.write(self.to_bytes(engine=engine))
            return
        file.flush()
        self.tree.dump_fd(fd, engine)
