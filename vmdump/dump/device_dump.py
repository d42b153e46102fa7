"""DeviceDump, what every source yields and everything downstream takes: the device classes of a QEMU and their state.

It holds the native tree that the engine writes. Model objects are made for those devices alone that someone looks at.
"""

from __future__ import annotations

from _collections_abc import Mapping  # where collections.abc has it from: one file less to import

from vmdump.dump.output import open_output

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Any

    from vmdump.dump.engine import Engine
    from vmdump.dump.producer import Producer
    from vmdump.dump.tree import Tree
    from vmdump.vmstate.model import VMStateDescription


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
            from vmdump.dump.lowering import description_of

            self._vmsd = description_of(self._tree.native.devices[self._index].vmsd)
        return self._vmsd

    @property
    def description(self) -> str:
        """The name of its VMStateDescription, under which its state travels."""
        return self._tree.device_description(self._index)

    @property
    def n_subsections(self) -> int:
        """How many subsections its description has itself."""
        return int(self._tree.native.devices[self._index].vmsd.n_subsections)

    @property
    def n_fields(self) -> int:
        """How many fields the dump prints for the device, those of nested descriptions and subsections included."""
        return self._tree.device_fields(self._index)

    def __repr__(self) -> str:
        """For people: the type and the version."""
        return f"<Device {self.name!r} version {self.version_id}>"


def tree_devices(tree: Tree) -> Iterable[Device]:
    """Devices of which no more is known than what their tree tells."""
    return (Device(tree, index, name, **tree.device_facts(index)) for index, name in enumerate(tree.device_names()))


class Root:
    """A description of a dump that is on no device class: what holds CPUs, bus state, parts of devices.

    symbol is what the binary exports it as; uses says how it is used: ``register`` (vmstate_register, by an owner that
    is no device), ``save`` (vmstate_save_state, inside another device's own code), ``VirtioDeviceClass``,
    ``legacy_vmsd`` (of a CPU class); where no use is found it is empty. types are the device types whose classes refer
    to it. One that gets its name at run time, as eepro100's do, is called ``(null)``.

    >>> import vmdump
    >>> vmdump.open().roots  # the registry has none; a QEMU binary has dozens
    ()
    >>> issubclass(Root, object)
    True
    """

    __slots__ = ("_index", "_tree", "_vmsd", "symbol", "types", "uses")

    def __init__(self, tree: Tree, index: int) -> None:
        """The root at an index of a tree."""
        self._tree, self._index = tree, index
        self._vmsd: VMStateDescription | None = None
        self.symbol, self.uses, self.types = tree.root_facts(index)

    @property
    def vmsd(self) -> VMStateDescription:
        """The VMStateDescription, made when first asked for."""
        if self._vmsd is None:
            from vmdump.dump.lowering import description_of

            self._vmsd = description_of(self._tree.native.roots[self._index].vmsd)
        return self._vmsd

    @property
    def name(self) -> str:
        """The description's name. Other roots may have the same."""
        return self._tree.root_name(self._index)

    @property
    def n_fields(self) -> int:
        """How many fields it has, those of nested descriptions and subsections included."""
        return int(self._tree.native.roots[self._index].vmsd.n_total)

    def __repr__(self) -> str:
        """For people: the name and the uses."""
        return f"<Root {self.name!r} used by {', '.join(self.uses) or 'unknown'}>"


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
        self,
        tree: Tree,
        producer: Producer | Callable[[], Producer],
        make_devices: Callable[[], Iterable[Device]] | None = None,
        make_detailed: Callable[[], Tree] | None = None,
    ) -> None:
        """Sources make dumps: see `vmdump.open`. Functions are called when they are needed: producer when someone asks
        where the dump comes from; make_devices when someone first looks at a device; make_detailed when someone wants
        the extended form: a tree of the same devices with all that is known of them (default: tree itself).
        """
        #: The native form, which the engine writes.
        self.tree = tree
        self._producer = producer
        self._make_devices = make_devices or (lambda: tree_devices(tree))
        self._make_detailed = make_detailed
        self._devices: Mapping[str, Device] | None = None

    @property
    def producer(self) -> Producer:
        """Where the dump comes from."""
        if callable(self._producer):
            self._producer = self._producer()
        return self._producer

    @property
    def detailed_tree(self) -> Tree:
        """The native form with all that is known: what the extended form is written from."""
        if self._make_detailed is not None:
            tree = self._make_detailed()
            if tree.about is None:
                from vmdump.dump.producer import producer_to_json

                tree.set_about(producer_to_json(self.producer))
            self._make_detailed = lambda: tree
            return tree
        return self.tree

    @property
    def roots(self) -> tuple[Root, ...]:
        """The descriptions that are on no device class, as far as the source tells: binaries do, dump files do not."""
        return tuple(Root(self.tree, index) for index in range(self.tree.native.n_roots))

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

    def to_bytes(self, *, engine: Engine | None = None, extended: bool = False, roots: bool = True) -> bytes:
        """The dump as QEMU's -dump-vmstate writes it; extended: with all else that is known, as further keys, and, if
        roots says so, the descriptions that are on no device class. engine None: the fast one.

        Raises VMStateError if it passes vmdump.dump.tree.MAX_DUMP_BYTES.

        >>> import vmdump
        >>> vmdump.open().to_bytes().splitlines()[1]
        b'  "vmschkmachine": {'
        """
        return (self.detailed_tree if extended else self.tree).dump_bytes(engine, extended=extended, roots=roots)

    def write(self, target: Any, *, engine: Engine | None = None, extended: bool = False, roots: bool = True) -> None:
        """Writes the dump to a path or a binary file object, as QEMU's -dump-vmstate does; options as in to_bytes.

        A file appears whole or not at all: it is written beside its place and renamed. A path that is no regular file
        (/dev/stdout, a FIFO) is written to directly. A file object that has a descriptor is flushed and its descriptor
        written to; any other gets the bytes in one ``write``.

        Raises OutputError (and what a file object raises), VMStateError if the dump would be too large.
        """
        tree = self.detailed_tree if extended else self.tree
        if hasattr(target, "write"):
            _write_file(target, tree, engine, extended, roots)
            return
        with open_output(target) as fd:
            tree.dump_fd(fd, engine, extended=extended, roots=roots)


def _write_file(file: IO[bytes], tree: Tree, engine: Engine | None, extended: bool, roots: bool) -> None:
    try:
        fd = file.fileno()
    except (AttributeError, OSError):
        file.write(tree.dump_bytes(engine, extended=extended, roots=roots))
        return
    file.flush()
    tree.dump_fd(fd, engine, extended=extended, roots=roots)
