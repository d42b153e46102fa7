"""DeviceDump, the result of every source: the device classes of a QEMU and the state that they migrate.

A DeviceDump holds the native tree that the engines write. Model objects are made for the devices that are accessed.
"""

from __future__ import annotations

import os
from _collections_abc import Mapping  # the implementation of collections.abc: one file less to import

from vmdump.dump.output import open_output

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Any, ClassVar

    from vmdump.dump.device import Device, StandaloneVMState
    from vmdump.dump.engine import Engine
    from vmdump.dump.lookup import Part
    from vmdump.dump.producer import Producer
    from vmdump.dump.tree import Tree
    from vmdump.machines.mapping import Machines


class DeviceDump(Mapping[str, "Device"]):
    r"""A mapping from QOM type name to Device, in the order of QEMU's own dump. Immutable; safe to use from any thread.

    Two dumps are equal if they have the same device types with equal descriptions, as QEMU's dump prints them. The
    machine, the order, the producer, and what only the extended form has are not compared. Dumps are not hashable.

    >>> import io, vmdump
    >>> dump = vmdump.open()
    >>> dump.machine, "isa-serial" in dump, len(dump) >= 15
    ('pc-i440fx-10.0', True, True)
    >>> dump == vmdump.open(machine="q35")
    True
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
        """Called by sources; see `vmdump.open`. Functions are called when their result is needed.

        Args:
            tree: what the engines write.
            producer: the origin of the dump, or a function that returns it.
            make_devices: returns the devices, on the first access to one. Default: those of the tree.
            make_detailed: returns a tree of the same devices with all metadata, for the extended form. Default: tree.
        """
        #: The native form, which the engines write.
        self.tree = tree
        self._producer = producer
        self._make_devices = make_devices
        self._make_detailed = make_detailed
        self._devices: Mapping[str, Device] | None = None
        self._machines: Machines | Callable[[], Machines] | None = None

    @property
    def machines(self) -> Machines:
        """The machine types of the QEMU binary that the dump was read from, by name and alias.

        ``dump.machines["pc-q35-7.2"]`` boots the machine in an emulator and returns a
        vmdump.machines.model.MachineType. Raises SourceError for dumps of other sources.
        """
        if self._machines is None:
            from vmdump.errors import SourceError

            name = self.producer.path or "the built-in devices"
            raise SourceError(f"{name}: only a QEMU binary that is read has machine types")
        if callable(self._machines):
            self._machines = self._machines()
        return self._machines

    def set_machines(self, make: Callable[[], Machines]) -> None:
        """Called by vmdump.open; make returns the machine types of the binary."""
        self._machines = make

    @property
    def producer(self) -> Producer:
        """The origin of the dump: kind of source, path, QEMU version."""
        if callable(self._producer):
            self._producer = self._producer()
        return self._producer

    @property
    def detailed_tree(self) -> Tree:
        """The native form with all metadata, from which the extended form is written."""
        if self._make_detailed is not None:
            tree = self._make_detailed()
            if tree.about is None:
                from vmdump.dump.producer import producer_to_json

                tree.set_about(producer_to_json(self.producer))
            self._make_detailed = lambda: tree
            return tree
        return self.tree

    @property
    def standalone(self) -> tuple[StandaloneVMState, ...]:
        """The standalone descriptions. QEMU binaries and extended dumps have them; QEMU's own dump files do not."""
        from vmdump.dump.device import StandaloneVMState

        return tuple(StandaloneVMState(self.tree, index) for index in range(self.tree.native.n_standalone))

    @property
    def roots(self) -> tuple[StandaloneVMState, ...]:
        """Deprecated name of standalone."""
        from vmdump.notices import warn_deprecated

        warn_deprecated("DeviceDump.roots", "DeviceDump.standalone")
        return self.standalone

    def _by_name(self) -> Mapping[str, Device]:
        if self._devices is None:
            from vmdump.dump.device import tree_devices

            devices = self._make_devices() if self._make_devices else tree_devices(self.tree)
            self._devices = {device.name: device for device in devices}
        return self._devices

    @property
    def machine(self) -> str:
        """The machine type as the dump prints it: ``pc-q35-8.2``, not the alias ``q35``."""
        return self.tree.machine

    def __getitem__(self, name: str) -> Device:
        """Return the device class with a type name.

        Raises UnknownDeviceError, a KeyError that names standalone descriptions and similar names.

        >>> import vmdump
        >>> vmdump.open()["isa-serail"]
        Traceback (most recent call last):
        vmdump.dump.device_dump.UnknownDeviceError: no device type 'isa-serail'; did you mean isa-serial?
        """
        try:
            return self._by_name()[name]
        except KeyError:
            raise UnknownDeviceError(self, name) from None

    def __contains__(self, name: object) -> bool:
        """Whether there is a device class with a type name. Standalone descriptions do not count: see `find`."""
        return name in self._by_name()

    def find(self, name: str) -> tuple[Device | StandaloneVMState | Part, ...]:
        """Return everything that has a name: a QOM type, or a name from one of QEMU's error lines.

        Searched in this order: QOM types; sections, by the name of the description, of device types and of standalone
        descriptions; nested descriptions and subsections. A device path, quotes and an instance id around the name are
        ignored: ``0000:00:03.0/virtio-gpu``, ``'cpu' 0``. If nothing matches, letter case is ignored.

        >>> import vmdump
        >>> dump = vmdump.open()
        >>> dump.find("0000:00:01.3/piix4_pm")
        (<Device 'PIIX4_PM' version 3, 54 fields>,)
        >>> "e1000" in dump.find("PCIDevice")[0].holders, dump.find("no-such-device")
        (True, ())
        """
        from vmdump.dump.lookup import find

        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {type(name).__name__}")
        return find(self, self.standalone, self.tree, name)

    def __iter__(self) -> Iterator[str]:
        """Type names in the order of the dump."""
        return iter(self.tree.device_names())

    def __len__(self) -> int:
        """Number of device classes."""
        return len(self.tree)

    def __eq__(self, other: object) -> bool:
        """Whether two dumps have the same device types with equal descriptions."""
        if not isinstance(other, DeviceDump):
            return NotImplemented
        return self.tree is other.tree or _same_devices(self.tree, other.tree)

    #: Dumps are compared by content, which would be too slow to hash.
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __repr__(self) -> str:
        """The machine type and the number of devices."""
        n_standalone = self.tree.native.n_standalone
        standalone = f", {n_standalone} standalone descriptions" if n_standalone else ""
        return f"<DeviceDump of {self.machine!r}: {len(self)} devices{standalone}>"

    def to_bytes(
        self,
        *,
        engine: Engine | None = None,
        extended: bool = False,
        standalone: bool = True,
        roots: bool | None = None,
    ) -> bytes:
        """Return the dump as JSON, in the form of QEMU's -dump-vmstate.

        Args:
            engine: which C code writes QEMU's form; None: the fast one. The bytes are equal.
            extended: write the extended form, with the metadata as further keys. It has only one engine.
            standalone: write the standalone descriptions too; extended form only.
            roots: deprecated name of standalone.

        Raises VMStateError if the dump is larger than vmdump.dump.tree.MAX_DUMP_BYTES, TypeError if both engine and
        extended are given.

        >>> import vmdump
        >>> vmdump.open().to_bytes().splitlines()[1]
        b'  "vmschkmachine": {'
        """
        standalone = _check_form(engine, extended, standalone, roots)
        tree = self.detailed_tree if extended else self.tree
        return tree.dump_bytes(engine, extended=extended, standalone=standalone)

    def write(
        self,
        target: str | os.PathLike[str] | IO[bytes],
        *,
        engine: Engine | None = None,
        extended: bool = False,
        standalone: bool = True,
        roots: bool | None = None,
    ) -> None:
        """Write the dump to a path or a binary file object. Options as in `to_bytes`.

        A regular file is replaced as a whole or not at all: the dump is written to a temporary file in the same
        directory, which is then renamed. Any other path (/dev/stdout, a FIFO) is written to directly. If a file object
        has a descriptor, it is flushed and the descriptor is written to; any other gets the bytes in one ``write``.

        Raises OutputError, what the file object raises, and what `to_bytes` raises.
        """
        standalone = _check_form(engine, extended, standalone, roots)
        tree = self.detailed_tree if extended else self.tree
        if not isinstance(target, (str, bytes, os.PathLike)):
            if not hasattr(target, "write"):
                raise TypeError(f"target must be a path or a binary file, not {type(target).__name__}")
            _write_file(target, tree, engine, extended, standalone)
            return
        with open_output(target) as fd:
            tree.dump_fd(fd, engine, extended=extended, standalone=standalone)


def _check_form(engine: Engine | None, extended: bool, standalone: bool, roots: bool | None) -> bool:
    """Return standalone, or its deprecated alias roots if that is given."""
    if extended and engine is not None:
        raise TypeError("engine= and extended= exclude each other: the extended form has only one engine")
    if roots is None:
        return standalone
    from vmdump.notices import warn_deprecated

    warn_deprecated("roots=", "standalone=", stacklevel=4)
    return roots


def _write_file(file: IO[bytes], tree: Tree, engine: Engine | None, extended: bool, standalone: bool) -> None:
    try:
        fd = file.fileno()
    except (AttributeError, OSError):
        file.write(tree.dump_bytes(engine, extended=extended, standalone=standalone))
        return
    file.flush()
    tree.dump_fd(fd, engine, extended=extended, standalone=standalone)


def _same_devices(a: Tree, b: Tree) -> bool:
    """Whether the devices of two trees print the same text, in any order. The machine has no part in it."""
    if a.size - len(a.machine.encode()) != b.size - len(b.machine.encode()) or len(a) != len(b):
        return False
    # Sections of the text end with the only line that is indented by two blanks and has nothing but a brace.
    sections = [tree.dump_bytes().removesuffix(b"\n  }\n}\n").split(b"\n  },\n")[1:] for tree in (a, b)]
    return sections[0] == sections[1] or sorted(sections[0]) == sorted(sections[1])


class UnknownDeviceError(KeyError):
    """A type name that a dump does not have. The message is made when it is printed, as many lookups only try."""

    def __init__(self, dump: DeviceDump, name: object) -> None:
        """The dump and the name."""
        super().__init__(name)
        self._dump = dump

    def __str__(self) -> str:
        """What the dump has instead: standalone descriptions of that name, or similar type names."""
        from vmdump.suggestion import did_you_mean

        name = self.args[0]
        message = f"no device type {name!r}"
        if any(each.name == name for each in self._dump.standalone):
            message += "; standalone descriptions have that name: see dump.standalone, or dump.find(...)"
        if isinstance(name, str):
            other = "" if "standalone" in message else "list(dump) has all names, dump.find(...) searches sections too"
            hint = did_you_mean(name, self._dump, other)
            message += f"; {hint}" if hint else ""
        return message

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle is a KeyError with the message: a dump can't be pickled."""
        return KeyError, (str(self),)
