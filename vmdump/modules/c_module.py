"""Opener for C modules: shared objects that register QOM types written in C (vmdump/include/vmdump/module.h).

A module's metadata are in its section ``.vmdump.modinfo`` and read without loading it, so modules for other hosts and
broken modules can be listed. Opening a module runs its code in vmdump's process: declarations and results are checked,
but code that crashes or does not return affects vmdump. Only load trusted modules.

A C ``class_init`` works on a C class struct. Before the call, the struct is copied from the nearest ancestor that has
one, and the members that the Python class has, too (vmsd, desc, ...), are written to it. Changed members are read back
afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from vmdump._core import ffi, lib
from vmdump.errors import ModuleError
from vmdump.modules.c_vmstate import vmstate_from_c
from vmdump.modules.elf_section import read_section
from vmdump.modules.model import ModuleInfo
from vmdump.qom import DeviceCategory, DeviceClass, ObjectClass, TypeInfo, TypeTable

if TYPE_CHECKING:
    from vmdump.vmstate import VMStateDescription

__all__ = ["MODINFO_SECTION", "CModuleOpener", "LoadedCModule"]

#: Section of the strings of module_obj() and the other metadata macros.
MODINFO_SECTION = ".vmdump.modinfo"

#: Limit for class structs, in bytes. QEMU's largest has about a thousand.
MAX_CLASS_SIZE = 1 << 20

#: Longer arrays of interfaces count as unterminated. Source: QEMU 8.2.2 qom/object.c MAX_INTERFACES.
MAX_INTERFACES = 32


class CModuleOpener:
    """Opens shared objects that define VMDUMP_MODULE(). An instance belongs to one loader.

    >>> opener = CModuleOpener()
    >>> opener.kind, opener.suffix, opener.read_info(__file__)
    ('c', '.so', None)
    """

    kind = "c"
    suffix = ".so"

    def __init__(self) -> None:
        # Class structs of all open modules: the parent of a class may be in another module.
        self._class_structs: WeakKeyDictionary[ObjectClass, _ClassStruct] = WeakKeyDictionary()

    def read_info(self, path: str) -> ModuleInfo | None:
        """Read the metadata of a module for any host without executing it. See Opener.read_info."""
        section = read_section(path, MODINFO_SECTION)
        if section is None:
            return None
        strings: dict[str, dict[str, None]] = {"obj": {}, "dep": {}, "opts": {}, "arch": {}}
        offset = section.offset
        for record in section.data.split(b"\0"):
            key, equals, value = record.partition(b"=")
            try:
                if record and not (equals and value):
                    raise ValueError
                strings.setdefault(key.decode(), {})[value.decode()] = None
            except ValueError:
                raise ModuleError(
                    f"failed to open module: {path}: at offset {offset:#x}: {MODINFO_SECTION} has {record!r}, which is "
                    'not "KEY=VALUE" in UTF-8; use module_obj() and the other metadata macros'
                ) from None
            offset += len(record) + 1
        if len(strings["arch"]) > 1:
            raise ModuleError(
                f"failed to open module: {path}: it is for {' and '.join(strings['arch'])}; keep one module_arch()"
            )
        return ModuleInfo(
            os.path.basename(path).removesuffix(self.suffix),
            kind=self.kind,
            arch=next(iter(strings["arch"]), None),
            objs=tuple(strings["obj"]),
            deps=tuple(strings["dep"]),
            opts=tuple(strings["opts"]),
        )

    def open(self, name: str, path: str, export_symbols: bool, types: TypeTable) -> LoadedCModule:
        """Load the shared object and run its init functions. See Opener.open.

        Source: QEMU 8.2.2 util/module.c module_load_dso; OpenSSL crypto/conf/conf_mod.c module_load_dso.
        """
        mode = os.RTLD_NOW | (os.RTLD_GLOBAL if export_symbols else os.RTLD_LOCAL)
        handle = lib.dlopen(os.fsencode(os.path.abspath(path)), mode)
        if not handle:
            raise ModuleError(f"failed to open module: {os.fsdecode(ffi.string(lib.dlerror()))}")
        module = LoadedCModule(path, handle, types, self._class_structs)
        try:
            module.initialize()
        except BaseException:
            module.close()
            raise
        return module


class LoadedCModule:
    """An open shared object; created by CModuleOpener.

    An exception in a callback is stored: further callbacks do nothing, and it is raised after the module's function has
    returned.
    """

    def __init__(
        self, path: str, handle: Any, types: TypeTable, class_structs: WeakKeyDictionary[ObjectClass, _ClassStruct]
    ) -> None:
        """Take ownership of ``handle``, from dlopen."""
        self._path, self._handle, self._types, self._class_structs = path, handle, types, class_structs
        self._failed = f"failed to initialize module: {path}"  # prefix of errors
        self._opaque = ffi.new_handle(self)
        self._api = ffi.new(
            "struct vmdump_api *",
            {
                "size": ffi.sizeof("struct vmdump_api"),
                "version": lib.VMDUMP_ABI,
                "opaque": self._opaque,
                "type_register": lib.vmd_module_type_register,
                "error": lib.vmd_module_error,
            },
        )
        self._stamp = ffi.NULL
        self._initialized = False
        self._raised: BaseException | None = None
        # By address, so that descriptions shared in C are shared in Python.
        self._descriptions: dict[int, VMStateDescription] = {}
        self._placeholders: list[Any] = []

    def initialize(self) -> None:
        """Check the stamp, pass the host's functions, and run the module's init functions."""
        self._stamp = self._symbol(f"vmdump_stamp_{lib.VMDUMP_ABI}", "enum vmdump_bind(*)(const struct vmdump_api *)")
        if not self._stamp:
            if self._symbol("vmdump_module_dummy", "void(*)(void)"):
                raise self._failure(". Only modules from the same build can be loaded.")
            raise self._missing(f"vmdump_stamp_{lib.VMDUMP_ABI}", "not a vmdump module; remove the file")
        init = self._symbol("vmdump_module_init", "int(*)(void)")
        call_init = self._symbol("vmdump_module_call_init", "void(*)(void)")
        if not (init and call_init):
            raise self._missing(
                "vmdump_module_call_init" if init else "vmdump_module_init",
                "define it, or write VMDUMP_MODULE() instead of VMDUMP_MODULE_CUSTOM_INIT()",
            )
        with self._called():
            result = init()
        if result != 0:
            raise self._failure(f": vmdump_module_init returned {result}")
        self._initialized = True
        with self._called():
            call_init()
        self._failed = f"C module {self._path}"

    def finish(self) -> None:
        """Run ``vmdump_module_finish``, if defined, and close the module. Further calls have no effect.

        The module's types must not be used afterwards: looking up their classes raises ModuleError.

        Raises:
            ModuleError: the error that the module reported.
        """
        try:
            if self._initialized:
                self._initialized = False
                finish = self._symbol("vmdump_module_finish", "void(*)(void)")
                if finish:
                    with self._called():
                        finish()
        finally:
            self._dlclose()

    def close(self) -> None:
        """Finish a module that failed to initialise, ignoring the errors it reports."""
        with suppress(ModuleError):
            self.finish()

    def _dlclose(self) -> None:
        handle, self._handle, self._stamp = self._handle, ffi.NULL, ffi.NULL
        for klass, struct in list(self._class_structs.items()):
            if struct.module is self:
                del self._class_structs[klass]  # it points into the module
        if handle:
            lib.dlclose(handle)

    def _symbol(self, name: str, c_type: str) -> Any:
        return ffi.cast(c_type, lib.dlsym(self._handle, name.encode()))

    def _failure(self, reason: str) -> ModuleError:
        return ModuleError(f"{self._failed}{reason}")

    def _missing(self, symbol: str, remedy: str) -> ModuleError:
        return self._failure(f": missing {symbol} ({remedy})")

    @contextmanager
    def _called(self) -> Iterator[None]:
        """Provide the host's functions for calls into the module; raise an exception that callbacks stored."""
        if not self._stamp:
            raise self._failure(": it is finished; its types can't be used any more")
        status = self._stamp(self._api)
        if status == lib.VMDUMP_BIND_EARLY:
            raise self._failure(": it called the host from its constructors or threads; register types in type_init()")
        if status != lib.VMDUMP_BOUND:
            raise self._failure(f": it does not support version {lib.VMDUMP_ABI} of vmdump's functions; recompile it")
        try:
            yield
        finally:
            self._stamp(ffi.NULL)
            raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

    # Called by the module

    def on_type_register(self, c_info: Any) -> None:
        """``vmdump_api.type_register``."""
        self._types.type_register(self._type_info(c_info))

    def on_error(self, message: Any) -> None:
        """``vmdump_api.error``."""
        raise self._failure(f": {ffi.string(message).decode(errors='backslashreplace')}")

    def keep_exception(self, function: Callable[[], None]) -> None:
        """Run a callback's body and store its exception. After the first one, further callbacks do nothing."""
        if self._raised is None:
            try:
                function()
            except BaseException as error:
                self._raised = error

    def _type_info(self, c_info: Any) -> TypeInfo:
        name = self.text(c_info.name, "a type's name")
        if name is None:
            raise self._failure(": it registers a type without a name")
        return TypeInfo(
            name,
            parent=self.text(c_info.parent, f"the parent of type '{name}'"),
            class_size=c_info.class_size,
            instance_size=c_info.instance_size,
            abstract=c_info.abstract,
            class_init=self._class_init(c_info.class_init),
            class_base_init=self._class_init(c_info.class_base_init),
            class_data=c_info.class_data or None,
            interfaces=self._interfaces(c_info.interfaces, name),
        )

    def _interfaces(self, array: Any, name: str) -> tuple[str, ...]:
        interfaces: list[str] = []
        while array and (interface := self.text(array[len(interfaces)].type, f"an interface of type '{name}'")):
            interfaces.append(interface)
            if len(interfaces) > MAX_INTERFACES:
                raise self._failure(f": type '{name}' has more than {MAX_INTERFACES} interfaces; end them with {{ }}")
        return tuple(interfaces)

    def text(self, string: Any, what: str) -> str | None:
        """Convert a ``const char *`` to str. Raises: ModuleError."""
        try:
            return str(ffi.string(string).decode()) if string else None
        except UnicodeDecodeError:
            raise self._failure(f": {what} is {ffi.string(string)!r}, which is not UTF-8") from None

    # Class structs

    def _class_init(self, function: Any) -> Callable[[ObjectClass, Any], None] | None:
        """Return a class_init that calls a C one."""
        if not function:
            return None

        def class_init(klass: ObjectClass, data: Any) -> None:
            struct = self._class_struct(klass)
            struct.write(klass)
            with self._called():
                function(struct.klass, data if isinstance(data, ffi.CData) else ffi.NULL)
            struct.read(klass)

        return class_init

    def _class_struct(self, klass: ObjectClass) -> _ClassStruct:
        """Return the C class struct of a class, initially a copy of the parent's, as in QOM."""
        struct = self._class_structs.get(klass)
        if struct is None:
            parent, ancestor = None, klass.type.parent_type
            while ancestor is not None and ancestor.klass is not None and parent is None:
                parent, ancestor = self._class_structs.get(ancestor.klass), ancestor.parent_type
            struct = self._class_structs[klass] = _ClassStruct(klass, self, parent)
        return struct

    def description(self, pointer: Any) -> VMStateDescription | None:
        """Convert a ``const VMStateDescription *``. Equal addresses give the same object."""
        if not pointer:
            return None
        address = int(ffi.cast("uintptr_t", pointer))
        return self._descriptions.get(address) or vmstate_from_c(pointer, self._descriptions)

    def placeholder(self, vmsd: VMStateDescription) -> Any:
        """Return a ``const VMStateDescription *`` for a Python description: name and versions, no fields.

        C code may assign it to its own classes, which then have the Python description.
        """
        name = ffi.new("char[]", vmsd.name.encode(errors="replace"))
        placeholder = ffi.new(
            "VMStateDescription *",
            {
                "name": name,
                "unmigratable": vmsd.unmigratable,
                "early_setup": vmsd.early_setup,
                "version_id": vmsd.version_id,
                "minimum_version_id": vmsd.minimum_version_id,
                "priority": vmsd.priority,
            },
        )
        self._placeholders += [name, placeholder]
        self._descriptions[int(ffi.cast("uintptr_t", placeholder))] = vmsd
        return ffi.cast("const VMStateDescription *", placeholder)


class _ClassStruct:
    """C class struct of a class. The Python class is authoritative; the struct mirrors it while C code runs."""

    def __init__(self, klass: ObjectClass, module: LoadedCModule, parent: _ClassStruct | None) -> None:
        """``parent``: struct of the nearest ancestor that has one; provides members that are unknown to Python."""
        self.module = module
        self._size = klass.type.class_size
        if self._size > MAX_CLASS_SIZE:
            raise ModuleError(f"class_size {self._size} is more than the limit of {MAX_CLASS_SIZE} bytes")
        # A multiple of DeviceClass, so that DEVICE_CLASS() of another class stays within the allocation.
        self._memory = ffi.new("DeviceClass[]", -(-self._size // ffi.sizeof("DeviceClass")))
        self._parent = parent  # keeps its strings alive
        self._strings: list[Any] = []
        #: C values of members, and the Python values that they represent.
        self._agreed: dict[str, tuple[Any, Any]] = {}
        if parent is not None:
            ffi.memmove(self._memory, parent._memory, parent._size)
            self._agreed.update(parent._agreed)
        self._type = ffi.new("struct TypeImpl *", {"name": self._string(klass.type.name)})
        self._memory[0].parent_class.type = self._type

    @property
    def klass(self) -> Any:
        """``ObjectClass *``."""
        return ffi.cast("ObjectClass *", self._memory)

    def write(self, klass: ObjectClass) -> None:
        """Copy members from the Python class. Values unchanged since read() keep their addresses."""
        if not isinstance(klass, DeviceClass):
            return
        device = self._memory[0]
        for member in ("vmsd", "desc", "fw_name", "bus_type"):
            value = getattr(klass, member)
            if member not in self._agreed or self._agreed[member][1] is not value:
                to_c = self.module.placeholder if member == "vmsd" else self._string
                self._agreed[member] = (ffi.NULL if value is None else to_c(value), value)
            setattr(device, member, self._agreed[member][0])
        device.user_creatable, device.hotpluggable = klass.user_creatable, klass.hotpluggable
        device.categories[0] = klass.categories

    def read(self, klass: ObjectClass) -> None:
        """Copy members to the Python class. Raises: ModuleError for invalid strings and writes beyond the struct."""
        if any(ffi.buffer(self._memory)[self._size :]):
            raise ModuleError(
                f"it writes beyond its class struct of {self._size} bytes; give the type a class_size, or, if it is a "
                "device, a parent that descends from 'device'"
            )
        if not isinstance(klass, DeviceClass):
            return
        device = self._memory[0]
        for member in ("vmsd", "desc", "fw_name", "bus_type"):
            pointer = getattr(device, member)
            if pointer != self._agreed[member][0]:
                value = self.module.description(pointer) if member == "vmsd" else self.module.text(pointer, member)
                self._agreed[member] = (pointer, value)
                setattr(klass, member, value)
        klass.user_creatable, klass.hotpluggable = device.user_creatable, device.hotpluggable
        klass.categories = DeviceCategory(device.categories[0])

    def _string(self, text: str) -> Any:
        self._strings.append(ffi.new("char[]", text.encode(errors="replace")))
        return ffi.cast("const char *", self._strings[-1])


@ffi.def_extern(name="vmd_module_type_register")
def _type_register(opaque: Any, c_info: Any) -> None:
    module = ffi.from_handle(opaque)
    module.keep_exception(lambda: module.on_type_register(c_info))


@ffi.def_extern(name="vmd_module_error")
def _error(opaque: Any, message: Any) -> None:
    module = ffi.from_handle(opaque)
    module.keep_exception(lambda: module.on_error(message))
