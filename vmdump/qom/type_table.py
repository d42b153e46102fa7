"""The table of types: registration, lookup, initialisation of classes on first use, and listing in GLib's order.

Source: QEMU 8.2.2 and 10.0.13 qom/object.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from threading import RLock

from vmdump._core import ffi, lib
from vmdump.errors import QOMError, VmdumpError
from vmdump.qom.classes import TYPE_INTERFACE, InterfaceClass, ObjectClass, TypeImpl, TypeInfo
from vmdump.qom.inheritance import check_type_info, class_copy, type_is_ancestor


class TypeTable:
    """All registered types by name. QEMU has one global table; here tables are independent objects.

    ``module_load_qom``: called with the name of a missing type; loads the module that provides it, which registers the
    type in this table, and returns a number above 0 on success (``ModuleLoad``). None: no modules are loaded on demand.

    Thread safety: register types on one thread while no other thread uses the table. Afterwards any thread may look up
    and list classes: a lock, held while class_init runs, protects their initialisation.

    >>> from vmdump.qom import register_base_types
    >>> table = TypeTable(lambda typename: 0)
    >>> register_base_types(table)
    >>> table.module_object_class_by_name("qxl")
    Traceback (most recent call last):
    vmdump.errors.QOMError: unknown type 'qxl'
    """

    def __init__(self, module_load_qom: Callable[[str], int] | None = None) -> None:
        self._module_load_qom = module_load_qom
        self._types: dict[str, TypeImpl] = {}
        #: All types with a class, in order of initialisation: ancestors precede descendants.
        self._with_class: list[TypeImpl] = []
        #: Cached results of object_class_get_list, until types or classes change.
        self._lists: dict[tuple[str, bool], list[ObjectClass]] = {}
        self._enumerating = 0
        self._lock = RLock()

    def __repr__(self) -> str:
        """The number of types."""
        return f"<TypeTable: {len(self._types)} types>"

    # Registration

    def type_register(self, info: TypeInfo) -> TypeImpl:
        """Register a type. Its parent and interfaces need not be registered yet.

        Raises:
            QOMError: the name is in use or not printable in a dump, or types are being listed.

        Source: QEMU 8.2.2 qom/object.c type_register, type_new. (QEMU 9.0's stricter type_name_is_valid rejects names
        that older versions use.)

        >>> from vmdump.qom import register_base_types
        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.type_register(TypeInfo("pc-testdev", parent="device", instance_size=160))
        <TypeImpl 'pc-testdev'>
        >>> table.type_register(TypeInfo("pc-testdev", parent="device"))
        Traceback (most recent call last):
        vmdump.errors.QOMError: Registering 'pc-testdev' which already exists
        """
        name = info.name
        check_type_info(info)
        self._check_name_is_free(name)
        if self._enumerating:
            raise QOMError(f"Registering '{name}' while the types are being listed; do it before, not in a class_init")
        impl = self._types[name] = TypeImpl(info)
        self._lists.clear()
        return impl

    @contextmanager
    def registration(self) -> Iterator[None]:
        """Roll back the registrations of the body if it raises.

        Classes that were initialised in the body, including those of older types, are reset, too.

        >>> from vmdump.qom import register_base_types
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
        """Return the type, or None. Nothing is loaded or initialised."""
        return self._types.get(name)

    def object_class_by_name(self, typename: str) -> ObjectClass | None:
        """Return the initialised class of a type, or None. No module is loaded for the type itself.

        Raises:
            QOMError: initialisation failed: missing or cyclic parents, missing interfaces, a size below the parent's, a
                class_type not derived from the parent's, or an exception of class_init.
            VmdumpError: raised by class_init; the type's name is prepended.

        >>> from vmdump.qom import register_base_types
        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.object_class_by_name("device")
        <DeviceClass 'device'>
        """
        impl = self._types.get(typename)
        return None if impl is None else self._type_initialize(impl)

    def module_object_class_by_name(self, typename: str) -> ObjectClass:
        """As object_class_by_name, but load the module that provides an unknown type.

        Raises:
            QOMError: as object_class_by_name, or no module provides the type. Exceptions of the loader pass through.

        >>> from vmdump.qom import TypeInfo, register_base_types
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
        """Return the parent of a type that has no class yet, loading its module if necessary."""
        parent = impl.info.parent
        if parent is None:
            return None
        parent_type = self._type_get_or_load_by_name(parent)
        if parent_type is None:
            raise QOMError(f"Type '{impl.name}' is missing its parent '{parent}'; register it, or install its module")
        return parent_type

    # Casting

    def object_class_get_parent(self, klass: ObjectClass) -> ObjectClass | None:
        """Return the class of the parent, or None for a root type.

        >>> from vmdump.qom import register_base_types
        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> table.object_class_get_parent(table.object_class_by_name("device"))
        <ObjectClass 'object'>
        """
        parent_type = klass.type.parent_type
        return None if parent_type is None else parent_type.klass

    def object_class_is_abstract(self, klass: ObjectClass) -> bool:
        """Return whether a type is abstract: declared so, or without an instance_size."""
        return klass.type.abstract

    def object_class_dynamic_cast(self, klass: ObjectClass, typename: str) -> ObjectClass | None:
        """Return the class if it is or descends from typename, else None.

        For an interface, return the interface's class in this type's implementation, or None if several interfaces of
        the type descend from typename, which is ambiguous.

        >>> from vmdump.qom import register_base_types
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

        >>> from vmdump.qom import register_base_types
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
        """Return the classes that descend from or implement a type, in QEMU's order. Initialises all classes.

        The order depends on the names of all types and the order of their registration: QEMU iterates over a GHashTable
        and prepends each class to the list.

        Raises:
            QOMError: as object_class_by_name, for the first type that can't be initialised.

        Source: QEMU 8.2.2 qom/object.c object_class_get_list, object_class_foreach.

        >>> from vmdump.qom import register_base_types
        >>> table = TypeTable()
        >>> register_base_types(table)
        >>> [klass.get_name() for klass in table.object_class_get_list("object", include_abstract=True)]
        ['device', 'machine', 'bus', 'object']
        """
        with self._lock:
            listed = self._lists.get((implements_type, include_abstract))
            if listed is not None:
                return listed.copy()
            # First, because modules that register types during the enumeration would change its order.
            self._load_missing_parents()
            types = _glib_order(self._types)
            self._enumerating += 1
            try:
                for impl in types:
                    parent = self._types.get(impl.info.parent or "")
                    if impl.klass is None and parent is not None and parent.initialised:  # the common case
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
            if not self._enumerating:  # else called from a class_init: some classes are incomplete
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

    def _implementers(self, typename: str) -> set[TypeImpl]:
        """Return the types with a class that object_class_dynamic_cast casts to typename."""
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
        """Return the class of a type; on first use, initialise it after its ancestors.

        Iterative, as chains of types may be deeper than Python's stack. As in QEMU, a class_init that looks its own
        class up gets the incomplete class.
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
                if type_.klass is None:  # else an ancestor's class_init looked it up
                    self._class_create(type_, ancestor)
                ancestor = type_
            assert impl.klass is not None
            return impl.klass

    def _class_create(self, impl: TypeImpl, parent_type: TypeImpl | None) -> None:
        """Create the class of a type whose parent has one. On failure the type is reset."""
        klass = class_copy(impl, parent_type)
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
        """Create an interface class for each interface of the parent, then for the type's own ones.

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
        """Create the class TYPE::INTERFACE, a copy of parent_type's. Its type is not in the table nor in lists."""
        name = f"{impl.name}::{interface_type.name}"
        self._check_name_is_free(name)
        iface_impl = TypeImpl(TypeInfo(name, parent=parent_type.name, abstract=True))
        self._class_create(iface_impl, parent_type)
        assert isinstance(iface_impl.klass, InterfaceClass)
        iface_impl.klass.interface_type = interface_type
        return iface_impl.klass

    def _drop_classes(self, mark: int) -> None:
        """Reset all types that were initialised since _with_class had ``mark`` entries.

        They include all that depend on a type registered, or whose initialisation began, since then.
        """
        dropped = self._with_class[mark:]
        del self._with_class[mark:]
        self._lists.clear()
        for impl in dropped:
            impl.reset()


def _glib_order(types: Mapping[str, TypeImpl]) -> list[TypeImpl]:
    """The types in the order in which QEMU iterates over them: that of a GHashTable keyed by name."""
    names = "\0".join(types).encode() + b"\0"
    order = ffi.new("uint32_t[]", len(types))
    if lib.vmd_ghash_order(names, len(types), order) != lib.VMD_OK:
        raise MemoryError
    found = list(types.values())
    return [found[index] for index in ffi.unpack(order, len(types))]
