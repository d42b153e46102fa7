"""What a type may be registered as, which types it descends from, and what its class inherits.

Source: QEMU 8.2.2 and 10.0.13 qom/object.c.
"""

from __future__ import annotations

from vmdump.errors import QOMError
from vmdump.qom.classes import (
    OBJECT_CLASS_SIZE,
    TYPE_DEVICE,
    TYPE_INTERFACE,
    TYPE_OBJECT,
    InterfaceClass,
    ObjectClass,
    TypeImpl,
    TypeInfo,
)

#: Characters that names must not contain: QEMU prints names unescaped, so these would break its JSON or UTF-8.
_UNPRINTABLE = frozenset(map(chr, (*range(0x20), ord('"'), ord("\\"), *range(0xD800, 0xE000))))

#: Class structs of the root types.
_ROOTS: dict[str, type[ObjectClass]] = {TYPE_OBJECT: ObjectClass, TYPE_INTERFACE: InterfaceClass}


def check_type_info(info: TypeInfo) -> None:
    """Raise QOMError if a type can't be registered, whatever the table has."""
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


def type_is_ancestor(type_: TypeImpl | None, target: TypeImpl) -> bool:
    """Return whether an initialised type is target or descends from it.

    >>> from vmdump.qom import TypeTable, register_base_types
    >>> table = TypeTable()
    >>> register_base_types(table)
    >>> type_is_ancestor(table.object_class_by_name("bus").type, table.type_get_by_name("object"))
    True
    """
    while type_ is not None and type_ is not target:
        type_ = type_.parent_type
    return type_ is not None


def class_copy(impl: TypeImpl, parent_type: TypeImpl | None) -> ObjectClass:
    """Return a copy of the parent's class, and set what impl inherits. Raises QOMError before changing impl."""
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
