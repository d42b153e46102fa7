"""C modules: the sample board of tests/c_modules, loading on demand, the finish entry point."""

import json
import shutil

import pytest
from support.c_modules import CLASS_INIT, DEVICE, FINISH, description, is_loaded

from vmdump.errors import ModuleError
from vmdump.modules.c_module import CModuleOpener
from vmdump.modules.model import ModuleLoad
from vmdump.qom import DeviceCategory, DeviceClass, TypeTable, register_base_types
from vmdump.sources.session import Session

# The tide board ---------------------------------------------------------------------------------------------------


def field(name, size, version_id=0, *, exists=False, num=None, vmsd=None):
    """A field as -dump-vmstate prints it."""
    printed = {"field": name, "version_id": version_id, "field_exists": exists}
    printed |= {} if num is None else {"num": num}
    return printed | {"size": size} | ({} if vmsd is None else {"Description": vmsd})


TIDE_DEVICE = description("tide-device", 2, 1, field("irq_level", 4), field("window", 16, 2))
TIDE_FIFO = description("tide-uart/fifo", 1, 1, field("size", 4), field("data", 0))
TIDE_UART = description(
    "tide-uart", 1, 1,
    field("divisor", 2), field("regs", 1, num=8),
    field("rx", 16, 1, vmsd=TIDE_FIFO), field("tx", 16, 1, vmsd=TIDE_FIFO),
)  # fmt: skip
TIDE_RTC = description(
    "tide-rtc", 3, 2,
    field("parent_obj", 176, vmsd=TIDE_DEVICE),
    field("offset", 8),
    field("alarm", 16, 2, num=3, vmsd=description("tide-rtc/alarm", 1, 1, field("deadline", 8), field("armed", 1))),
    field("timer", 8, exists=True),
    subsections=[description("tide-rtc/latch", 1, 1, field("latch", 1))],
)  # fmt: skip


def test_dump_of_the_tide_board(tide):
    """A session that finds the modules prints their devices as QEMU would."""
    session = Session(module_dirs=[tide], builtin=False, entry_points=False)
    dump = json.loads(session.dump("none").to_bytes())
    session.modules.module_finish()
    assert session.modules.errors == []
    assert {name: device.get("Description") for name, device in dump.items()} == {
        "vmschkmachine": None,
        "tide-device": TIDE_DEVICE,
        "tide-rtc": TIDE_RTC,
        "tide-rtc-battery": TIDE_RTC,
        "tide-uart": TIDE_UART,
        "tide-uart-dma": TIDE_UART,
    }


def test_attributes_that_are_never_printed(tide, registry):
    """Offsets, infos, flags and hooks of a C description are in the model."""
    rtc = registry(tide)["tide-rtc"].vmsd
    assert [(f.name, f.offset, f.info and f.info.name) for f in rtc.fields] == [
        ("parent_obj", 0, None), ("offset", 176, "int64"), ("alarm", 184, None), ("timer", 232, "timer"),
    ]  # fmt: skip
    assert [int(f.flags) for f in rtc.fields] == [0x8, 0x1, 0xC, 0x3]
    (latch,) = rtc.subsections
    assert (bool(latch.needed), bool(rtc.needed), latch.fields[0].offset) == (True, False, 240)


def test_class_members_set_in_c(tide, registry):
    """Members that class_init sets in the C class struct are in Python's class."""
    rtc = registry(tide)["tide-rtc"]
    assert type(rtc) is DeviceClass
    assert (rtc.desc, rtc.categories, rtc.user_creatable) == ("Tide real-time clock", DeviceCategory.MISC, True)


def test_class_members_inherited_in_c(tide, registry):
    """A child inherits members known to Python (bus_type) and those known only to C (fw_class)."""
    types = registry(tide)
    base, rtc, battery = types["tide-device"], types["tide-rtc"], types["tide-rtc-battery"]
    assert (base.bus_type, base.user_creatable, base.fw_name, base.type.abstract) == ("tide", False, None, True)
    assert (rtc.bus_type, rtc.fw_name) == ("tide", "tide")
    assert (battery.bus_type, battery.fw_name, battery.categories) == ("tide", "tide", DeviceCategory.MISC)
    assert battery.vmsd is rtc.vmsd


def test_class_base_init_in_c(tide, registry):
    """class_base_init runs for descendants; here it prevents them from inheriting desc."""
    assert registry(tide)["tide-rtc-battery"].desc is None


def test_class_data_in_c(tide, registry):
    """class_init gets the class_data of its TypeInfo."""
    types = registry(tide)
    assert [types[name].desc for name in ("tide-uart", "tide-uart-dma")] == ["Tide UART", "Tide UART with DMA"]


def test_one_description_of_two_classes_is_one_object(tide, registry):
    """Classes that share a description in C share it in Python."""
    types = registry(tide)
    assert types["tide-uart"].vmsd is types["tide-uart-dma"].vmsd


def test_two_registries_at_once(tide, registry):
    """One shared object serves two registries; one keeps working after the other has finished."""
    first, second = registry(tide), registry(tide)
    assert first["tide-uart"] is not second["tide-uart"]
    first.loader.module_finish()
    assert second["tide-uart-dma"].desc == "Tide UART with DMA"
    assert first.class_error("tide-uart-dma").endswith("it is finished; its types can't be used any more")


# Loading ----------------------------------------------------------------------------------------------------------


def test_types_are_loaded_on_demand(tide, registry):
    """A request for a type loads its module and first the module's deps, whose types are registered first."""
    types = registry(tide)
    assert types.types.type_get_by_name("tide-device") is None
    assert types.loader.module_load_qom("tide-rtc-battery") is ModuleLoad.LOADED
    assert list(types.types._types)[-3:] == ["tide-device", "tide-rtc", "tide-rtc-battery"]
    assert types.load("tide-bus") is ModuleLoad.ALREADY_LOADED


def test_symbols_are_shared_with_modules_that_depend_on_them(tide, registry):
    """tide-rtc embeds a description that tide-bus exports."""
    types = registry(tide)
    assert types["tide-rtc"].vmsd.fields[0].vmsd.name == "tide-device"


def test_symbols_are_not_shared_with_others(tide, registry):
    """A module without dependents is opened with local symbols."""
    types = registry()
    bus = types.opener.open("tide-bus", str(tide / "tide-bus.so"), False, types.types)
    try:
        with pytest.raises(ModuleError, match=r"^failed to open module: .*undefined symbol: vmstate_tide_device"):
            types.opener.open("tide-rtc", str(tide / "tide-rtc.so"), False, types.types)
    finally:
        bus.finish()


def test_arch_mismatch(tide, registry):
    """A module is opened for its own target only."""
    assert registry(tide).load("tide-ccw") == (
        ModuleLoad.ERROR,
        "module arch does not match: expected 'x86_64', got 's390x'",
    )
    assert registry(tide, arch="s390x")["tide-ccw"].vmsd.fields == ()


def test_missing_dep(tide, registry, tmp_path):
    """A module whose dep is not installed counts as not installed, without an error."""
    shutil.copy(tide / "tide-rtc.so", tmp_path)
    assert registry().load("tide-rtc") is ModuleLoad.NOT_FOUND


RING = "#include <vmdump/module.h>\nmodule_obj(SELF);\nmodule_dep(OTHER);\nVMDUMP_MODULE();\n"


def test_cyclic_deps(build, registry):
    """Modules with cyclic deps are loaded, each once."""
    build("ring-a", RING, SELF="a", OTHER="ring-b")
    build("ring-b", RING, SELF="b", OTHER="ring-a")
    types = registry()
    assert types.load("ring-a") is ModuleLoad.LOADED
    assert types.load("ring-b") is ModuleLoad.ALREADY_LOADED


def test_two_modules_for_one_type(build, registry):
    """If two modules provide a type, loading it is an error; the second module cannot be loaded beside the first."""
    for name in ("twin-a", "twin-b"):
        build(name, DEVICE + CLASS_INIT, TYPE="twin", DESC=name)
    types, errors = registry(), []
    assert types.loader.module_load_qom("twin", errors.append) is ModuleLoad.ERROR
    assert [str(error) for error in errors] == ["multiple modules providing 'twin'"]
    assert types.load_error("twin-b") == "failed to initialize module: Registering 'twin' which already exists"
    assert types["twin"].desc == "twin-a"


def test_unreadable_directory(tmp_path, registry):
    """A directory that cannot be searched is an error. (A link loop, as root can read everything else.)"""
    types = registry()
    types.loader._search_dirs.append(str(tmp_path / "loop"))
    (tmp_path / "loop").symlink_to("loop")
    assert types.load("any") == (
        ModuleLoad.ERROR,
        f"error trying to access {tmp_path}/loop/any.so: Too many levels of symbolic links",
    )


# Finish -----------------------------------------------------------------------------------------------------------


def test_finish(build, registry, finished):
    """Modules are finished once, last first, and then closed."""
    for name in ("first", "second"):
        build(name, DEVICE + CLASS_INIT + FINISH, TYPE=name, DESC="")
    types = registry()
    assert (types["first"].desc, types["second"].desc) == ("", "")
    types.loader.module_finish()
    types.loader.module_finish()
    assert finished.read_text() == "second\nfirst\n"
    assert not is_loaded(finished.parent / "first.so")


def test_finish_twice(build, finished):
    """A second call does nothing."""
    opener, types = CModuleOpener(), TypeTable()
    register_base_types(types)
    file = build("once", DEVICE + CLASS_INIT + FINISH, TYPE="once", DESC="")
    module = opener.open("once", str(file), False, types)
    module.finish()
    module.finish()
    assert (finished.read_text(), is_loaded(file)) == ("once\n", False)


def test_finish_that_fails(build, registry):
    """A finish function's error is reported, and the module closed."""
    file = build(
        "sad", '#include <vmdump/module.h>\nVMDUMP_MODULE();\nvoid vmdump_module_finish(void) { vmdump_error("no"); }'
    )
    types = registry()
    assert types.load("sad") is ModuleLoad.LOADED
    types.loader.module_finish()
    assert [str(error) for error in types.loader.errors] == [f"C module {file}: no"]
