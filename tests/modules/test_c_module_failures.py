"""C modules that fail to load: the error of each, and what is rolled back."""

import os

import pytest
from support.c_modules import CLASS_INIT, DEVICE, FINISH

from vmdump._core import ffi, lib
from vmdump.modules.model import ModuleLoad


def test_no_shared_object(tmp_path, registry):
    """The dynamic linker's reason is passed on."""
    (tmp_path / "text.so").write_text("not a shared object, but long enough to have an ELF header if it were one" * 9)
    assert registry().load_error("text") == f"failed to open module: {tmp_path}/text.so: invalid ELF header"


def test_unresolved_symbol(build, registry):
    """All symbols are resolved when the module is opened."""
    build("lacks", "int absent(void);\nint uses(void);\nint uses(void) { return absent(); }\n")
    assert registry().load_error("lacks").endswith("lacks.so: undefined symbol: absent")


def test_foreign_shared_object(build, registry):
    """A shared object that is not a module is distinguished from one of another build."""
    file = build("foreign", "int answer(void);\nint answer(void) { return 42; }\n")
    assert registry().load_error("foreign") == (
        f"failed to initialize module: {file}: missing vmdump_stamp_1 (not a vmdump module; remove the file)"
    )


def test_other_builds_stamp(build, registry):
    """A module whose stamp has another number is not called."""
    file = build(
        "old",
        "#include <stdlib.h>\nvoid vmdump_stamp_0(void) { }\nvoid vmdump_module_dummy(void) { }\n"
        "int vmdump_module_init(void) { abort(); }\n",
    )
    assert registry().load_error("old") == (
        f"failed to initialize module: {file}. Only modules from the same build can be loaded."
    )


@pytest.mark.parametrize(("size", "version", "bound"), [(0, 0, 0), (-1, 0, 1), (8, 0, 0), (0, 1, 1)])
def test_module_refuses_another_hosts_table(build, size, version, bound):
    """A table that is smaller or of another version than the module was compiled for is refused; a larger one is
    accepted.
    """
    file = build("picky", "#include <vmdump/module.h>\nVMDUMP_MODULE();\n")
    handle = lib.dlopen(os.fsencode(file), os.RTLD_NOW)
    stamp = ffi.cast("enum vmdump_bind(*)(const struct vmdump_api *)", lib.dlsym(handle, b"vmdump_stamp_1"))
    api = ffi.new("struct vmdump_api *", {"size": ffi.sizeof("struct vmdump_api") + size, "version": 1 + version})
    assert stamp(api) == bound
    assert stamp(ffi.NULL) == lib.VMDUMP_BOUND
    lib.dlclose(handle)


def test_missing_init(build, registry):
    """vmdump_module_init is mandatory."""
    file = build("headless", "#include <vmdump/module.h>\nVMDUMP_MODULE_CUSTOM_INIT();\n")
    assert registry().load_error("headless") == (
        f"failed to initialize module: {file}: missing vmdump_module_init "
        "(define it, or write VMDUMP_MODULE() instead of VMDUMP_MODULE_CUSTOM_INIT())"
    )


INIT = "#include <vmdump/module.h>\nVMDUMP_MODULE_CUSTOM_INIT();\nint vmdump_module_init(void) { %s }\n"


def test_failing_init(build, registry):
    """The return value of a failing init function is quoted."""
    file = build("refuses", INIT % "return 3;")
    assert registry().load_error("refuses") == f"failed to initialize module: {file}: vmdump_module_init returned 3"


def test_init_that_reports_an_error(build, registry):
    """The first error that the module reports is the reason, whatever it returns."""
    file = build("explains", INIT % 'vmdump_error("%d timers are missing \\xff", 2); vmdump_error("more"); return 0;')
    assert registry().load_error("explains") == f"failed to initialize module: {file}: 2 timers are missing \\xff"


def test_failing_init_has_registered_nothing(build, registry):
    """Types are registered after the init function, and not at all if it fails."""
    source = DEVICE.replace("VMDUMP_MODULE()", "VMDUMP_MODULE_CUSTOM_INIT()") + CLASS_INIT
    build("late", f"{source}int vmdump_module_init(void) {{ return 1; }}\n", TYPE="late", DESC="")
    types = registry()
    assert types.load_error("late").endswith("vmdump_module_init returned 1")
    assert types.types.type_get_by_name("late") is None


def test_types_registered_in_a_constructor(build, registry):
    """Registration before the host's call is an error, not a crash."""
    file = build(
        "hasty",
        '#include <vmdump/module.h>\nstatic const TypeInfo info = { .name = "hasty", .parent = TYPE_DEVICE };\n'
        "__attribute__((constructor)) static void early(void) { type_register_static(&info); }\nVMDUMP_MODULE();\n",
    )
    assert registry().load_error("hasty") == (
        f"failed to initialize module: {file}: it called the host from its constructors or threads; "
        "register types in type_init()"
    )


def test_rollback(build, registry, finished):
    """If one type cannot be registered, the module's other types are removed, and it is finished and closed."""
    source = DEVICE + CLASS_INIT + FINISH + "static const TypeInfo again = { .name = TYPE, .parent = TYPE_DEVICE };\n"
    source += "static void register_again(void) { type_register(&again); }\ntype_init(register_again)\n"
    build("half", source, TYPE="half", DESC="")
    types = registry()
    assert types.load_error("half") == "failed to initialize module: Registering 'half' which already exists"
    assert types.types.type_get_by_name("half") is None
    assert finished.read_text() == "half\n"


@pytest.mark.parametrize(
    ("members", "text"),
    [
        (".parent = TYPE_DEVICE", "it registers a type without a name"),
        ('.name = "a\\xff", .parent = TYPE_DEVICE', "a type's name is b'a\\xff', which is not UTF-8"),
        ('.name = "a", .parent = "\\xff"', "the parent of type 'a' is b'\\xff', which is not UTF-8"),
        ('.name = "a", .parent = TYPE_DEVICE, .interfaces = endless', "type 'a' has more than 32 interfaces; end them"),
    ],
)  # fmt: skip
def test_malformed_type_info(build, registry, members, text):
    """An invalid TypeInfo is an error with the type and the reason."""
    file = build(
        "odd",
        "#include <vmdump/module.h>\nstatic InterfaceInfo endless[99];\nstatic void register_types(void)\n{\n"
        '    for (int i = 0; i < 99; i++) {\n        endless[i].type = "i";\n    }\n'
        f"    const TypeInfo info = {{ {members} }};\n    type_register(&info);\n}}\n"
        "type_init(register_types)\nVMDUMP_MODULE();\n",
    )
    assert registry().load_error("odd").startswith(f"failed to initialize module: {file}: {text}")


def test_types_in_the_order_of_their_inits(build, registry):
    """Queued init functions run in order, which decides the order of the dump."""
    one = 'static const TypeInfo i{0} = {{ .name = "type-{0}", .parent = TYPE_DEVICE }};\n'
    one += "static void f{0}(void) {{ type_register_static(&i{0}); }}\ntype_init(f{0})\n"
    types = "".join(one.format(index) for index in range(20))
    build("many", f"#include <vmdump/module.h>\n{types}VMDUMP_MODULE();\n")
    loaded = registry()
    assert loaded.load("many") is ModuleLoad.LOADED
    assert list(loaded.types._types)[-20:] == [f"type-{index}" for index in range(20)]
