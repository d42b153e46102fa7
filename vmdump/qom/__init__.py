"""QEMU's object model (QOM): the table of types, classes that are initialised when first asked for, and their list.

A type is registered as a TypeInfo: its name, its parent's name and a ``class_init``. Nothing runs until someone asks
for the class; then the parent's class is initialised, copied, and handed to ``class_init`` to be changed. That is how a
device inherits its parent's ``vmsd``. Classes are listed in QEMU's order, which is that of GLib's hash table.

>>> table = TypeTable()
>>> register_base_types(table)
>>> def e1000_class_init(klass, data):
...     klass.desc = "Intel Gigabit Ethernet"
>>> _ = table.type_register(TypeInfo("e1000", parent="device", instance_size=152, class_init=e1000_class_init))
>>> table.object_class_get_list("device", include_abstract=False)
[<DeviceClass 'e1000'>]

Source: QEMU 8.2.2 and 10.0.13, qom/object.c; hw/core/qdev.c; hw/core/machine.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntFlag
from itertools import islice
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from vmdump._core import ffi, lib
from vmdump.errors import QOMError, VmdumpError

if TYPE_CHECKING:
    from vmdump.vmstate import VMStateDescription

TYPE_OBJECT = "object"
TYPE_INTERFACE = "interface"
TYPE_DEVICE = "device"
TYPE_BUS = "bus"
TYPE_MACHINE = "machine"
TYPE_MACHINE_SUFFIX = "-machine"

OBJECT_CLASS_SIZE = 96
"""sizeof(ObjectClass) on 64-bit hosts, in bytes: the class_size of a root type that gives none."""

#: What no name may contain: QEMU prints names unescaped, and these would break its JSON or are no UTF-8.
_UNPRINTABLE = frozenset(map(chr, (*range(0x20), ord('"'), ord("\\"), *range(0xD800, 0xE000))))

ClassInit: TypeAlias = Callable[[Any, Any], None]
"""``class_init(klass, class_data)``: fills in the class; klass is of the type's class_type."""


class ObjectClass:
    """What all objects of a type share: QEMU's ``struct ObjectClass``, and the base of all class structs.

    A class struct of one's own derives from this and declares its members as class attributes, whose values stand for
    C's zero. Python makes instances without ``__init__``; a class_init may set declared members only, as in C.

    >>> class PCIDeviceClass(DeviceClass):
    ...     vendor_id = 0
    >>> TypeInfo("pci-device", parent="device", class_type=PCIDeviceClass, abstract=True).class_type.vendor_id
    0
    """

    type: TypeImpl
    interfaces: tuple[InterfaceClass, ...] = ()

    def get_name(self) -> str:
        """The type's name (QEMU's object_class_get_name).

        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.object_class_by_name("device").get_name()
        'device'
        """
        return self.type.name

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuses undeclared members: a misspelt ``vmsd`` would silently leave a device out of the dump."""
        if not hasattr(self.__class__, name):
            raise QOMError(f"{self.__class__.__name__} has no member '{name}'; declare it in a class_type of your own")
        _set(self, name, value)

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__} '{self.type.name}'>"


class InterfaceClass(ObjectClass):
    """The class struct of an interface, or of one type's implementation of it (named ``TYPE::INTERFACE``).

    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> _ = table.type_register(TypeInfo("nmi", parent="interface"))
    >>> _ = table.type_register(TypeInfo("board", parent="device", interfaces=("nmi",)))
    >>> table.object_class_by_name("board").interfaces
    (<InterfaceClass 'board::nmi'>,)
    """

    interface_type: TypeImpl | None = None
    """The interface that is implemented; None in an interface's own class."""


class DeviceCategory(IntFlag):
    """What a device is for: the bits of ``DeviceClass.categories`` (QEMU's DEVICE_CATEGORY_* are the bits' numbers).

    >>> DeviceCategory.NETWORK | DeviceCategory.USB
    <DeviceCategory.USB|NETWORK: 10>
    """

    BRIDGE = 1 << 0
    USB = 1 << 1
    STORAGE = 1 << 2
    NETWORK = 1 << 3
    INPUT = 1 << 4
    DISPLAY = 1 << 5
    SOUND = 1 << 6
    MISC = 1 << 7
    CPU = 1 << 8
    WATCHDOG = 1 << 9


class DeviceClass(ObjectClass):
    """The class struct of devices. A device without ``vmsd`` has no place in the dump.

    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> table.object_class_by_name("device").user_creatable
    True
    """

    vmsd: VMStateDescription | None = None
    desc: str | None = None
    categories: DeviceCategory = DeviceCategory(0)
    user_creatable: bool = False
    hotpluggable: bool = False
    bus_type: str | None = None
    fw_name: str | None = None


class MachineClass(ObjectClass):
    """The class struct of machine types. Children inherit all but ``name``: alias and is_default too, as in QEMU.

    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> _ = table.type_register(TypeInfo("none-machine", parent="machine"))
    >>> table.object_class_by_name("none-machine").name
    'none'
    """

    name: str = ""
    """The type's name without "-machine"; empty in abstract machine types."""
    alias: str | None = None
    desc: str | None = None
    is_default: bool = False
    deprecation_reason: str | None = None
    family: str | None = None


class _Named(msgspec.Struct, frozen=True):
    """Keeps the name positional: msgspec's kw_only speaks for the fields of one class."""

    name: str


class TypeInfo(_Named, frozen=True, kw_only=True):
    """What is registered about a type (QEMU's ``struct TypeInfo``).

    >>> TypeInfo("isa-serial", parent="device", instance_size=640).parent
    'device'
    """

    parent: str | None = None
    """The parent's name. Only "object" and "interface" have none."""
    class_size: int = 0
    """sizeof the C class struct, in bytes; 0: the parent's. Types from Python need none."""
    class_type: type[ObjectClass] | None = None
    """Python's class struct, derived from the parent's; None: the parent's."""
    instance_size: int = 0
    """sizeof the C state struct, in bytes; 0: the parent's. A type whose ancestors have none either is abstract."""
    abstract: bool = False
    class_init: ClassInit | None = None
    class_base_init: ClassInit | None = None
    """Called for every descendant's class, before that one's class_init, with the descendant's class_data."""
    class_data: Any = None
    interfaces: tuple[str, ...] = ()
    """Names of the interfaces that the type adds to its parent's."""


class TypeImpl:
    """A type in the table. Sizes, ``abstract`` and ``parent_type`` are final once the class is initialised.

    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> table.object_class_by_name("bus").type.parent_type
    <TypeImpl 'object'>
    """

    __slots__ = (
        "abstract",
        "base_inits",
        "class_size",
        "info",
        "initialised",
        "instance_size",
        "klass",
        "name",
        "parent_type",
    )

    def __init__(self, info: TypeInfo) -> None:
        self.name = info.name
        self.info = info
        self.reset()

    def reset(self) -> None:
        """Back to the state of a type that is registered and not initialised."""
        info = self.info
        self.class_size: int = info.class_size
        self.instance_size: int = info.instance_size
        self.abstract: bool = info.abstract
        self.parent_type: TypeImpl | None = None
        self.klass: ObjectClass | None = None
        self.initialised: bool = False
        #: The ancestors' class_base_init functions, the nearest first; the parent's own tuple where they are the same.
        self.base_inits: tuple[ClassInit, ...] = ()

    def __repr__(self) -> str:
        return f"<TypeImpl '{self.name}'>"


def type_is_ancestor(type_: TypeImpl | None, target: TypeImpl) -> bool:
    """Whether type_, which is initialised, is target or descends from it through parents.

    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> type_is_ancestor(table.object_class_by_name("bus").type, table.type_get_by_name("object"))
    True
    """
    while type_ is not None and type_ is not target:
        type_ = type_.parent_type
    return type_ is not None


class TypeTable:
    """All types that are known, by name. QEMU has one; here it is a value, and tables know nothing of each other.

    module_load_qom is called with the name of a type that is missing; it loads the module that provides the type, which
    registers it here, and returns above 0 if there is one (``ModuleLoad``). Without it nothing is loaded on demand.

    Thread safety: register types from one thread, while no other uses the table. After that any thread may look up and
    list classes: their initialisation is protected by a lock, which is held while class_init runs.

    >>> table = TypeTable(lambda typename: 0)
    >>> register_base_types(table)
    >>> table.module_object_class_by_name("qxl")
    Traceback (most recent call last):
    vmdump.errors.QOMError: unknown type 'qxl'
    """

    def __init__(self, module_load_qom: Callable[[str], int] | None = None) -> None:
        self._module_load_qom = module_load_qom
        self._types: dict[str, TypeImpl] = {}
        #: Every type whose class exists, in order of initialisation: so a type stands behind its ancestors.
        self._with_class: list[TypeImpl] = []
        #: What object_class_get_list has found, until types or classes change.
        self._lists: dict[tuple[str, bool], list[ObjectClass]] = {}
        self._enumerating = 0
        self._lock = RLock()

    # Registration

    def type_register(self, info: TypeInfo) -> TypeImpl:
        """Adds a type. Its parent and its interfaces need not be there yet.

        Raises QOMError for a name that is taken, or that the dump could not print, and while types are being listed.
        Source: QEMU 8.2.2 qom/object.c type_register, type_new. (QEMU 9.0's stricter type_name_is_valid would refuse
        names that older versions have.)

        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.type_register(TypeInfo("pc-testdev", parent="device", instance_size=160))
        <TypeImpl 'pc-testdev'>
        >>> table.type_register(TypeInfo("pc-testdev", parent="device"))
        Traceback (most recent call last):
        vmdump.errors.QOMError: Registering 'pc-testdev' which already exists
        """
        name = info.name
        if not isinstance(name, str) or not name or not _UNPRINTABLE.isdisjoint(name):
            raise QOMError(
                f"Registering {name!r} with illegal type name: it is empty, or has a quote, a backslash, "
                "a control character or a lone surrogate"
            )
        if info.parent is None and name not in (TYPE_OBJECT, TYPE_INTERFACE):
            raise QOMError(f"Registering '{name}' without a parent; name one, such as parent=\"{TYPE_DEVICE}\"")
        if isinstance(info.interfaces, str):
            raise QOMError(f"Registering '{name}' with a string as interfaces; write ({info.interfaces!r},)")
        self._check_name_is_free(name)
        if self._enumerating:
            raise QOMError(f"Registering '{name}' while the types are being listed; do it before, not in a class_init")
        impl = self._types[name] = TypeImpl(info)
        self._lists.clear()
        return impl

    @contextmanager
    def registration(self) -> Iterator[None]:
        """Registers all or nothing: when the body raises, the types that it registered are gone again.

        So are the classes that were initialised in the body, even those of older types; they are initialised anew.

        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> try:
        ...     with table.registration():
        ...         _ = table.type_register(TypeInfo("half", parent="device"))
        ...         raise OSError("the module is broken")
        ... except OSError:
        ...     print(table.type_get_by_name("half"))
        None
        """
        n_types, n_classes = len(self._types), len(self._with_class)
        try:
            yield
        except BaseException:
            self._drop_classes(n_classes)
            while len(self._types) > n_types:
                self._types.popitem()
            self._lists.clear()
            raise

    def _check_name_is_free(self, name: str) -> None:
        if name in self._types:
            raise QOMError(f"Registering '{name}' which already exists")

    # Looking up

    def type_get_by_name(self, name: str) -> TypeImpl | None:
        """The type, or None; nothing is loaded or initialised.

        >>> TypeTable().type_get_by_name("device")
        """
        return self._types.get(name)

    def object_class_by_name(self, typename: str) -> ObjectClass | None:
        """The type's class, initialised, or None; no module is loaded for it.

        Raises what initialisation can raise: QOMError for a type that can't be initialised (missing or cyclic parents,
        missing interfaces, sizes below the parent's, class_type not derived from the parent's, a class_init that
        raised); a VmdumpError that class_init raised passes through, with the type named.

        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.object_class_by_name("device")
        <DeviceClass 'device'>
        """
        impl = self._types.get(typename)
        return None if impl is None else self._type_initialize(impl)

    def module_object_class_by_name(self, typename: str) -> ObjectClass:
        """As object_class_by_name, but an unknown type is looked for in modules.

        Raises QOMError when no module provides it, and what the loader raises.

        >>> def load(typename):
        ...     table.type_register(TypeInfo(typename, parent="device", instance_size=160))
        ...     return 1
        >>> table = TypeTable(load)
        >>> register_base_types(table)
        >>> table.module_object_class_by_name("qxl")
        <DeviceClass 'qxl'>
        """
        impl = self._type_get_or_load_by_name(typename)
        if impl is None:
            raise QOMError(f"unknown type '{typename}'")
        return self._type_initialize(impl)

    def _type_get_or_load_by_name(self, name: str) -> TypeImpl | None:
        impl = self._types.get(name)
        if impl is None and self._module_load_qom is not None and self._module_load_qom(name) > 0:
            impl = self._types.get(name)
        return impl

    def _type_get_parent(self, impl: TypeImpl) -> TypeImpl | None:
        """The parent of a type whose class does not exist yet."""
        parent = impl.info.parent
        if parent is None:
            return None
        parent_type = self._type_get_or_load_by_name(parent)
        if parent_type is None:
            raise QOMError(f"Type '{impl.name}' is missing its parent '{parent}'; register it, or install its module")
        return parent_type

    # Casting

    def object_class_get_parent(self, klass: ObjectClass) -> ObjectClass | None:
        """The parent's class; None of a root.

        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.object_class_get_parent(table.object_class_by_name("device"))
        <ObjectClass 'object'>
        """
        parent_type = klass.type.parent_type
        return None if parent_type is None else parent_type.klass

    def object_class_is_abstract(self, klass: ObjectClass) -> bool:
        """Whether there can be no instances: declared so, or without an instance_size.

        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.object_class_is_abstract(table.object_class_by_name("interface"))
        True
        """
        return klass.type.abstract

    def object_class_dynamic_cast(self, klass: ObjectClass, typename: str) -> ObjectClass | None:
        """The class itself if it is or descends from typename, else None.

        For an interface: its class in this type's implementation; None also when two of the type's interfaces descend
        from typename, because it is unclear which is meant.

        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.object_class_dynamic_cast(table.object_class_by_name("bus"), "object")
        <ObjectClass 'bus'>
        >>> table.object_class_dynamic_cast(table.object_class_by_name("bus"), "device")
        """
        if klass.type.name == typename:
            return klass
        target = self._types.get(typename)
        # A class's ancestors and interfaces have classes, so a type that has none is no ancestor.
        if target is None or target.klass is None:
            return None
        if klass.interfaces and isinstance(target.klass, InterfaceClass):
            found = [iface for iface in klass.interfaces if type_is_ancestor(iface.interface_type, target)]
            return found[0] if len(found) == 1 else None
        return klass if type_is_ancestor(klass.type, target) else None

    def object_class_dynamic_cast_assert(self, klass: ObjectClass, typename: str) -> ObjectClass:
        """As object_class_dynamic_cast, but raises QOMError instead of returning None.

        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.object_class_dynamic_cast_assert(table.object_class_by_name("bus"), "device")
        Traceback (most recent call last):
        vmdump.errors.QOMError: class 'bus' is not an instance of type 'device'
        """
        cast = self.object_class_dynamic_cast(klass, typename)
        if cast is None:
            raise QOMError(f"class '{klass.get_name()}' is not an instance of type '{typename}'")
        return cast

    # Listing

    def object_class_get_list(self, implements_type: str, include_abstract: bool) -> list[ObjectClass]:
        """The classes that descend from implements_type or implement it, in QEMU's order. Initialises all classes.

        The order depends on the names of all types and on the order of their registration: QEMU walks through a
        GHashTable, and puts each class in front of those before.

        Raises what object_class_by_name does, for the first type that can't be initialised.
        Source: QEMU 8.2.2 qom/object.c object_class_get_list, object_class_foreach.

        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> [klass.get_name() for klass in table.object_class_get_list("object", include_abstract=True)]
        ['device', 'machine', 'bus', 'object']
        """
        with self._lock:
            listed = self._lists.get((implements_type, include_abstract))
            if listed is not None:
                return listed.copy()
            # Beforehand: a module that registers types in the middle of the enumeration would change its order.
            self._load_missing_parents()
            types = self._types_in_glib_order()
            self._enumerating += 1
            try:
                for impl in types:
                    parent = self._types.get(impl.info.parent or "")
                    if impl.klass is None and parent is not None and parent.initialised:  # so it is with most
                        self._class_create(impl, parent)
                    elif not impl.initialised:
                        self._type_initialize(impl)
            finally:
                self._enumerating -= 1
            found = self._implementers(implements_type)
            listed = [
                impl.klass
                for impl in reversed(types)
                if impl in found and impl.klass is not None and (include_abstract or not impl.abstract)
            ]
            if not self._enumerating:  # else it is a class_init that asks, and not all classes are whole yet
                self._lists[implements_type, include_abstract] = listed
            return listed.copy()

    def _load_missing_parents(self) -> None:
        seen = 0
        while seen < len(self._types):
            new = list(islice(self._types.values(), seen, None))
            seen += len(new)
            for impl in new:
                if impl.klass is None and impl.info.parent not in self._types:
                    self._type_get_parent(impl)

    def _types_in_glib_order(self) -> list[TypeImpl]:
        types = list(self._types.values())
        order = ffi.new("uint32_t[]", len(types))
        names = "\0".join(self._types).encode() + b"\0"
        if lib.vmd_ghash_order(names, len(types), order) != lib.VMD_OK:
            raise MemoryError
        return [types[index] for index in ffi.unpack(order, len(types))]

    def _implementers(self, typename: str) -> set[TypeImpl]:
        """The types with a class that object_class_dynamic_cast would cast to typename, found in one pass."""
        target = self._types.get(typename)
        if target is None or target.klass is None:
            return set()
        is_interface = isinstance(target.klass, InterfaceClass)
        found: set[TypeImpl] = set()
        for impl in self._with_class:
            if is_interface and impl.klass is not None and impl.klass.interfaces:
                if self.object_class_dynamic_cast(impl.klass, typename) is not None:
                    found.add(impl)
            elif impl is target or impl.parent_type in found:
                found.add(impl)
        return found

    # Initialisation

    def _type_initialize(self, impl: TypeImpl) -> ObjectClass:
        """The class of a type, made on first use, after its ancestors'.

        In a loop: a chain may be deeper than Python's stack. A class_init that asks for its own type's class gets it as
        it is at that moment, as in QEMU.
        """
        if impl.initialised and impl.klass is not None:
            return impl.klass
        with self._lock:
            chain: dict[TypeImpl, None] = {}
            ancestor: TypeImpl | None = impl
            while ancestor is not None and ancestor.klass is None:
                if ancestor in chain:
                    raise QOMError(f"Type '{ancestor.name}' descends from itself, through '{ancestor.info.parent}'")
                chain[ancestor] = None
                ancestor = self._type_get_parent(ancestor)
            for type_ in reversed(chain):
                if type_.klass is None:  # else an ancestor's class_init asked for it
                    self._class_create(type_, ancestor)
                ancestor = type_
            assert impl.klass is not None
            return impl.klass

    def _class_create(self, impl: TypeImpl, parent_type: TypeImpl | None) -> None:
        """Makes the class of a type whose parent has one. On failure the type is as if it had never been tried."""
        klass = _class_copy(impl, parent_type)
        mark = len(self._with_class)
        self._with_class.append(impl)
        impl.klass = klass
        try:
            if impl.info.interfaces or (parent_type and parent_type.klass and parent_type.klass.interfaces):
                self._implement_interfaces(impl, klass)
            for class_base_init in impl.base_inits:
                class_base_init(klass, impl.info.class_data)
            if impl.info.class_init is not None:
                impl.info.class_init(klass, impl.info.class_data)
        except BaseException as exc:
            self._drop_classes(mark)
            if isinstance(exc, VmdumpError):
                exc.args = (f"type '{impl.name}': {exc}",)
            elif isinstance(exc, (Exception, SystemExit)):
                reason = " ".join(f"{type(exc).__name__}: {exc}".split())
                raise QOMError(f"type '{impl.name}': class_init failed: {reason}") from exc
            raise
        impl.initialised = True

    def _implement_interfaces(self, impl: TypeImpl, klass: ObjectClass) -> None:
        """Gives the class an interface class for each interface of its parent's, then for its own.

        Source: QEMU 8.2.2 qom/object.c type_initialize.
        """
        parent_class = impl.parent_type.klass if impl.parent_type else None
        inherited = parent_class.interfaces if parent_class else ()
        if not inherited and not impl.info.interfaces:
            return
        interfaces: list[InterfaceClass] = []
        for iface in inherited:
            assert iface.interface_type is not None
            interfaces.append(self._interface_create(impl, iface.interface_type, iface.type))
        for name in impl.info.interfaces:
            interface_type = self._types.get(name)
            if interface_type is None:
                raise QOMError(f"missing interface '{name}'; register it first")
            if not isinstance(self._type_initialize(interface_type), InterfaceClass):
                raise QOMError(f"'{name}' is not an interface: it does not descend from '{TYPE_INTERFACE}'")
            if not any(type_is_ancestor(iface.interface_type, interface_type) for iface in interfaces):
                interfaces.append(self._interface_create(impl, interface_type, interface_type))
        klass.interfaces = tuple(interfaces)

    def _interface_create(self, impl: TypeImpl, interface_type: TypeImpl, parent_type: TypeImpl) -> InterfaceClass:
        """The class TYPE::INTERFACE, a copy of parent_type's. Its type is not in the table, so it is never listed."""
        name = f"{impl.name}::{interface_type.name}"
        self._check_name_is_free(name)
        iface_impl = TypeImpl(TypeInfo(name, parent=parent_type.name, abstract=True))
        self._class_create(iface_impl, parent_type)
        assert isinstance(iface_impl.klass, InterfaceClass)
        iface_impl.klass.interface_type = interface_type
        return iface_impl.klass

    def _drop_classes(self, mark: int) -> None:
        """Uninitialises what was initialised since _with_class had mark entries.

        Among it is all that depends on a type which was registered, or whose initialisation began, after that.
        """
        dropped = self._with_class[mark:]
        del self._with_class[mark:]
        self._lists.clear()
        for impl in dropped:
            impl.reset()


_set = object.__setattr__  # past the class's own, which refuses what is not declared


def _class_copy(impl: TypeImpl, parent_type: TypeImpl | None) -> ObjectClass:
    """A class for impl that is a copy of its parent's; sets what impl inherits. Raises before it changes impl."""
    info = impl.info
    parent_class = None if parent_type is None else parent_type.klass
    base = _ROOTS[impl.name] if parent_class is None else parent_class.__class__
    class_type = info.class_type or base
    class_size = info.class_size or (parent_type.class_size if parent_type else OBJECT_CLASS_SIZE)
    instance_size = info.instance_size or (parent_type.instance_size if parent_type else 0)
    if class_type is not base and (
        not issubclass(class_type, base) or issubclass(class_type, InterfaceClass) != issubclass(base, InterfaceClass)
    ):
        raise QOMError(
            f"Type '{impl.name}': class_type {class_type.__name__} is not derived from {base.__name__}, "
            f"the class_type of its parent '{info.parent}'"
        )
    if (instance_size or info.interfaces) and issubclass(base, InterfaceClass):
        raise QOMError(f"Type '{impl.name}' is an interface: it can have no instance_size and no interfaces")
    if parent_type is not None:
        if class_size < parent_type.class_size:
            raise _size_error(impl, "class_size", class_size, parent_type, parent_type.class_size)
        if instance_size < parent_type.instance_size:
            raise _size_error(impl, "instance_size", instance_size, parent_type, parent_type.instance_size)

    klass = object.__new__(class_type)
    members = klass.__dict__
    if parent_class is not None:
        members.update(parent_class.__dict__)
    members["type"] = impl
    members["interfaces"] = ()
    impl.class_size = class_size
    impl.instance_size = instance_size
    impl.abstract = info.abstract or not instance_size
    if parent_type is not None:
        impl.parent_type = parent_type
        own = parent_type.info.class_base_init
        impl.base_inits = parent_type.base_inits if own is None else (own, *parent_type.base_inits)
    return klass


def _size_error(impl: TypeImpl, what: str, size: int, parent_type: TypeImpl, parent_size: int) -> QOMError:
    return QOMError(
        f"Type '{impl.name}': {what} {size} is smaller than {parent_size} of its parent "
        f"'{parent_type.name}'; its struct must begin with the parent's"
    )


#: The types that have no parent, and their class structs.
_ROOTS: dict[str, type[ObjectClass]] = {TYPE_OBJECT: ObjectClass, TYPE_INTERFACE: InterfaceClass}


def _device_class_init(klass: DeviceClass, data: Any) -> None:
    klass.hotpluggable = True
    klass.user_creatable = True


def _machine_class_base_init(klass: MachineClass, data: Any) -> None:
    """Source: QEMU 8.2.2 hw/core/machine.c machine_class_base_init."""
    if klass.type.abstract:
        return
    if not klass.get_name().endswith(TYPE_MACHINE_SUFFIX):
        raise QOMError(f"the name of a machine type that is not abstract must end in '{TYPE_MACHINE_SUFFIX}'")
    klass.name = klass.get_name().removesuffix(TYPE_MACHINE_SUFFIX)


#: Sizes are those of QEMU 10.0's structs (InterfaceClass, Object, DeviceClass, DeviceState, ...) on 64-bit hosts.
_BASE_TYPES = (
    TypeInfo(TYPE_INTERFACE, class_size=104, abstract=True),
    TypeInfo(TYPE_OBJECT, class_size=OBJECT_CLASS_SIZE, instance_size=40, abstract=True),
    TypeInfo(
        TYPE_DEVICE,
        parent=TYPE_OBJECT,
        class_type=DeviceClass,
        class_size=184,
        instance_size=152,
        abstract=True,
        class_init=_device_class_init,
    ),
    TypeInfo(TYPE_BUS, parent=TYPE_OBJECT, class_size=152, instance_size=120, abstract=True),
    TypeInfo(
        TYPE_MACHINE,
        parent=TYPE_OBJECT,
        class_type=MachineClass,
        class_size=392,
        instance_size=392,
        abstract=True,
        class_base_init=_machine_class_base_init,
    ),
)


def register_base_types(table: TypeTable) -> None:
    """Registers the types that all others build on: interface, object, device, bus, machine.

    Differs from QEMU in that "device" and "bus" implement no interfaces (vmstate-if, resettable): they say nothing
    about migrated state.

    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> table.type_get_by_name("machine")
    <TypeImpl 'machine'>
    """
    for info in _BASE_TYPES:
        table.type_register(info)
