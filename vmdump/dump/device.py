"""The entries of a DeviceDump: device classes, and standalone VMSDs. Model objects are made on first access."""

from __future__ import annotations

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vmdump.dump.tree import Tree
    from vmdump.dump.walk import WalkedField
    from vmdump.vmstate.model import VMStateDescription


class Device:
    """A device class of a dump: its QOM type name, its VMStateDescription, and its parents if the source has them.

    >>> import vmdump
    >>> device = vmdump.open()["mc146818rtc"]
    >>> device
    <Device 'mc146818rtc' version 3, 14 fields>
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
        """Called by sources. None: the source does not have this attribute."""
        self._tree, self._index, self._vmsd = tree, index, vmsd
        #: QOM type name.
        self.name = name
        self.version_id, self.minimum_version_id = tree.device_versions(index)
        #: Names of the parent types, nearest first; None if the source does not have them.
        self.parents = parents
        #: Whether the class is abstract; None if the source does not say.
        self.abstract = abstract
        #: DeviceClass.desc.
        self.desc = desc
        #: The module that registered the type; None for a built-in type, or if the source does not say.
        self.module = module

    @property
    def vmsd(self) -> VMStateDescription:
        """The device's VMStateDescription, made on first access."""
        if self._vmsd is None:
            from vmdump.dump.raising import description_of

            self._vmsd = description_of(self._tree.native.devices[self._index].vmsd)
        return self._vmsd

    @property
    def vmsd_name(self) -> str:
        """The name of the VMStateDescription, which names the section in the migration stream; empty if the device has
        no description. Cheaper than ``vmsd.name``.
        """
        return self._tree.device_vmsd_name(self._index)

    @property
    def description(self) -> str:
        """Deprecated name of vmsd_name."""
        from vmdump.notices import warn_deprecated

        warn_deprecated("Device.description", "Device.vmsd_name")
        return self.vmsd_name

    @property
    def has_description(self) -> bool:
        """Whether the dump has a description of the device.

        QEMU prints only devices that have one. Edited dumps, such as the sample of vmstate-static-checker.py, may have
        others; their vmsd is empty.
        """
        return self._tree.device_has_description(self._index)

    @property
    def n_subsections(self) -> int:
        """Number of subsections of the description itself."""
        return int(self._tree.native.devices[self._index].vmsd.n_subsections)

    @property
    def n_fields(self) -> int:
        """Number of fields that the dump prints for the device, including nested descriptions and subsections."""
        return self._tree.device_fields(self._index)

    def walk(self, pattern: str | None = None) -> Iterator[WalkedField]:
        """Yield every field that the device migrates, nested structs and subsections included: see `WalkedField`.

        pattern: yield only fields whose name or path matches this glob pattern.

        >>> import vmdump
        >>> device = vmdump.open()["isa-serial"]
        >>> [(field.path, field.depth) for field in device.walk()][:3]
        [('state', 0), ('state / divider', 1), ('state / rbr', 1)]
        >>> [(field.path, field.conditions) for field in device.walk("tsr")]
        [('state / serial/tsr / tsr', ('if serial_tsr_needed',))]
        """
        from vmdump.dump.walk import walk

        return walk(self.vmsd, pattern)

    def __repr__(self) -> str:
        """The type, the version and the number of fields."""
        return f"<Device {self.name!r} version {self.version_id}, {self.n_fields} fields>"


def tree_devices(tree: Tree) -> Iterable[Device]:
    """Yield the devices of a tree with the metadata that the tree has."""
    return (Device(tree, index, name, **tree.device_metadata(index)) for index, name in enumerate(tree.device_names()))


class StandaloneVMState:
    """A standalone VMSD: a VMStateDescription that no device class refers to. CPUs, bus state and parts of devices are
    migrated by such descriptions.

    - symbol: the name under which the binary exports the description; None if it does not.
    - uses: how it is used. ``register``: vmstate_register by an owner that is no device; ``save``: vmstate_save_state
      within another device's code; ``VirtioDeviceClass``; ``legacy_vmsd`` of a CPU class; ``GTREE``: keys of a GTREE.
      Empty if no use is found.
    - types: the device types whose classes refer to it.

    A description that gets its name at run time, such as eepro100's, is called ``(null)``.

    >>> import vmdump
    >>> vmdump.open().standalone  # the built-in devices have none; a QEMU binary has dozens
    ()
    >>> issubclass(vmdump.StandaloneVMState, object)
    True
    """

    __slots__ = ("_index", "_tree", "_vmsd", "symbol", "types", "uses")

    def __init__(self, tree: Tree, index: int) -> None:
        """The standalone description at an index of a tree."""
        self._tree, self._index = tree, index
        self._vmsd: VMStateDescription | None = None
        self.symbol, self.uses, self.types = tree.standalone_metadata(index)

    @property
    def vmsd(self) -> VMStateDescription:
        """The VMStateDescription, made on first access."""
        if self._vmsd is None:
            from vmdump.dump.raising import description_of

            self._vmsd = description_of(self._tree.native.standalone[self._index].vmsd)
        return self._vmsd

    @property
    def name(self) -> str:
        """The name of the description. Several standalone descriptions may have the same name."""
        return self._tree.standalone_name(self._index)

    @property
    def n_fields(self) -> int:
        """Number of fields, including nested descriptions and subsections."""
        return int(self._tree.native.standalone[self._index].vmsd.n_total)

    def walk(self, pattern: str | None = None) -> Iterator[WalkedField]:
        """Yield every field, as `Device.walk` does."""
        from vmdump.dump.walk import walk

        return walk(self.vmsd, pattern)

    def __repr__(self) -> str:
        """The name, the uses and the number of fields."""
        uses = ", ".join(self.uses) or "no use found"
        return f"<StandaloneVMState {self.name!r} ({uses}), {self.n_fields} fields>"
