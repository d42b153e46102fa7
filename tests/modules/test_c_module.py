"""C modules: their declarations are read without loading them, and their types behave as if written
in Python.

The good ones are those of c_modules/, built with its own Makefile as a device author would; the faulty ones are written
here, each beside the test that it is for. Expected numbers (offsets, sizes) follow from the C structs by the System V
ABI's rules for 64 bits.
"""

import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import EXAMPLES
from support.paths import ROOT, TESTS

from vmdump._core import ffi, lib
from vmdump.errors import ModuleError, QOMError
from vmdump.modules.c_module import CModuleOpener
from vmdump.modules.elf_section import read_section
from vmdump.modules.loader import ModuleLoader
from vmdump.modules.model import ModuleInfo, ModuleLoad
from vmdump.modules.table import read_module_table
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable, register_base_types
from vmdump.sources.session import Session
from vmdump.vmstate import VMSTATE_UINT32, VMStateDescription

INCLUDE = ROOT / "vmdump" / "include"
CC = os.environ.get("CC", "cc")

#: The head of a module that registers one type, without its class_init.
DEVICE = """
#include <vmdump/module.h>
#ifndef PARENT
#define PARENT TYPE_DEVICE
#endif
static void class_init(ObjectClass *klass, void *data);
static const TypeInfo types[] = { { .name = TYPE, .parent = PARENT, .class_init = class_init } };
DEFINE_TYPES(types)
module_obj(TYPE);
VMDUMP_MODULE();
"""

CLASS_INIT = "static void class_init(ObjectClass *klass, void *data) { DEVICE_CLASS(klass)->desc = DESC; }\n"
CLASS_BODY = "static void class_init(ObjectClass *klass, void *data) {{ DeviceClass *dc = DEVICE_CLASS(klass); {} }}\n"


@pytest.fixture(scope="session")
def tide(tmp_path_factory):
    """The directory with the built modules of c_modules/."""
    build = tmp_path_factory.mktemp("tide")
    make = ["make", "-s", "-C", TESTS / "c_modules", f"BUILD={build}", f"PYTHON={sys.executable}", f"CC={CC}"]
    subprocess.run(make, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    return build


@pytest.fixture
def build(tmp_path):
    """A function that compiles a module from source into the test's directory."""

    def build(name, source, **macros):
        file = tmp_path / f"{name}.so"
        command = [CC, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-fPIC", "-shared"]
        command += [f"-I{INCLUDE}", *(f'-D{macro}="{value}"' for macro, value in macros.items())]
        subprocess.run([*command, "-o", file, "-xc", "-"], input=source, text=True, check=True)
        return file

    return build


class Registry:
    """A loader of C modules and its type table, as in a Session."""

    def __init__(self, *dirs, arch="x86_64"):
        self.opener = CModuleOpener()
        self.types = TypeTable(lambda typename: self.loader.module_load_qom(typename))
        register_base_types(self.types)
        errors = []
        table = read_module_table(dirs, [self.opener], report=errors.append)
        assert errors == []
        self.loader = ModuleLoader(
            table, module_arch=arch, search_dirs=dirs, openers=[self.opener], types=self.types, report=None
        )

    def load(self, name):
        """Return the result of loading a module, and its error if any."""
        errors = []
        result = self.loader.module_load("", name, errors.append)
        return (result, str(errors[0])) if errors else result

    def load_error(self, name):
        """Return the reason why a module does not load, without the loader's suffix."""
        result, text = self.load(name)
        assert result is ModuleLoad.ERROR
        text, found, path = text.partition(f" (module={name}, path=")
        assert found, "the error does not say which module it is about"
        assert not is_loaded(path.removesuffix(")")), "a module that failed is still open"
        return text

    def class_error(self, typename):
        """Return the reason why a class cannot be initialised."""
        with pytest.raises((ModuleError, QOMError)) as caught:
            self.types.module_object_class_by_name(typename)
        return str(caught.value)

    def __getitem__(self, typename):
        """Return the class of a type, loading its module if needed."""
        return self.types.module_object_class_by_name(typename)


@pytest.fixture
def registry(tmp_path):
    """A function that makes registries; after the test their modules are finished, and checked to be closed."""
    with contextlib.ExitStack() as stack:

        def registry(*dirs, **options):
            dirs = [str(directory) for directory in dirs or (tmp_path,)]
            made = Registry(*dirs, **options)
            stack.callback(made.loader.module_finish)
            files.extend(file for directory in dirs for file in Path(directory).glob("*.so"))
            return made

        files = []
        yield registry
    assert [file for file in files if is_loaded(file)] == []


def is_loaded(file):
    """Whether a shared object is mapped into this process."""
    handle = lib.dlopen(os.fsencode(file), os.RTLD_NOW | os.RTLD_NOLOAD)
    if handle:
        lib.dlclose(handle)
    return bool(handle)


# Declarations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "info",
    [
        ModuleInfo("tide-bus", kind="c", objs=("tide-device",)),
        ModuleInfo("tide-rtc", kind="c", objs=("tide-rtc", "tide-rtc-battery"), deps=("tide-bus",)),
        ModuleInfo("tide-uart", kind="c", objs=("tide-uart", "tide-uart-dma"), opts=("tide-uart",)),
        ModuleInfo("tide-ccw", kind="c", objs=("tide-ccw",), arch="s390x"),
    ],
    ids=lambda info: info.name,
)
def test_modinfo_is_read_without_loading(tide, info):
    """A module's declarations are read in order, without mapping its code."""
    file = tide / f"{info.name}.so"
    assert CModuleOpener().read_info(str(file)) == info
    assert not is_loaded(file)


def test_modinfo_survives_the_linker(tmp_path, tide):
    """Neither --gc-sections nor strip removes the declarations."""
    command = [CC, "-std=gnu11", "-O2", "-ffunction-sections", "-fdata-sections", "-fPIC", "-shared", f"-I{INCLUDE}"]
    source = TESTS / "c_modules" / "src" / "tide-ccw.c"
    file = tmp_path / "tide-ccw.so"
    subprocess.run([*command, "-Wl,--gc-sections", "-s", "-o", file, source], check=True)
    opener = CModuleOpener()
    assert opener.read_info(str(file)) == opener.read_info(str(tide / "tide-ccw.so"))


def test_module_that_provides_nothing(build):
    """VMDUMP_MODULE() alone makes a shared object a module."""
    file = build("idle", "#include <vmdump/module.h>\nVMDUMP_MODULE();\n")
    assert CModuleOpener().read_info(str(file)) == ModuleInfo("idle", kind="c")


def test_other_files_are_skipped(build, tmp_path):
    """A shared object without declarations and a file that is not ELF are skipped."""
    foreign = build("foreign", "int answer(void);\nint answer(void) { return 42; }\n")
    (tmp_path / "text.so").write_text("INPUT(libc.so)")
    (tmp_path / "empty.so").touch()
    opener = CModuleOpener()
    assert [opener.read_info(str(file)) for file in (foreign, tmp_path / "text.so", tmp_path / "empty.so")] == [
        None
    ] * 3


@pytest.mark.parametrize(
    ("records", "text"),
    [
        (b"obj=a\0obj\0", "at offset 0x46: .vmdump.modinfo has b'obj', which is not \"KEY=VALUE\""),
        (b"obj=\0", "at offset 0x40: .vmdump.modinfo has b'obj='"),
        (b"obj=\xff\0", "at offset 0x40: .vmdump.modinfo has b'obj=\\xff'"),
        (b"arch=arm\0arch=x86_64\0", "it is for arm and x86_64; keep one module_arch()"),
    ],
)
def test_malformed_declarations(tmp_path, records, text):
    """Errors name the file, the offset and the record."""
    file = tmp_path / "odd.so"
    file.write_bytes(make_elf(records))
    with pytest.raises(ModuleError) as caught:
        CModuleOpener().read_info(str(file))
    assert str(caught.value).startswith(f"failed to open module: {file}: {text}")


def test_declarations_of_later_headers_are_skipped(tmp_path):
    """Unknown keys and padding between object files are skipped."""
    file = tmp_path / "new.so"
    file.write_bytes(make_elf(b"\0\0obj=a\0\0\0kconfig=PCI\0obj=b\0obj=a\0"))
    assert CModuleOpener().read_info(str(file)) == ModuleInfo("new", kind="c", objs=("a", "b"))


# ELF --------------------------------------------------------------------------------------------------------------

#: Layout of the ELF files built here: modinfo, section names, section headers.
NAMES = b"\0.shstrtab\0.vmdump.modinfo\0"


def make_elf(data, *, bits=64, order="<", machine=62, name_at=11, names_index=2, sh_type=1, extended=False):
    """Return an ELF file with sections 0, 1 (the modinfo) and 2 (the names). Source: System V ABI, chapter 4."""
    word = {64: "Q", 32: "I"}[bits]
    header_size, entry_size = {64: (64, 64), 32: (52, 40)}[bits]
    data_at = header_size
    names_at = data_at + len(data)
    table_at = names_at + len(NAMES)
    ident = b"\x7fELF" + bytes([bits // 32, "<>".index(order) + 1, 1]) + bytes(9)
    count, index = (0, 0xFFFF) if extended else (3, names_index)
    header = struct.pack(
        f"{order}HHI3{word}I6H", 3, machine, 1, 0, 0, table_at, 0, header_size, 0, 0, entry_size, count, index
    )

    def section(name, type_, offset, size, link=0):
        return struct.pack(f"{order}II4{word}II2{word}", name, type_, 0, 0, offset, size, link, 0, 1, 0)

    first = section(0, 0, 0, 3, names_index) if extended else section(0, 0, 0, 0)
    table = first + section(name_at, sh_type, data_at, len(data)) + section(1, 3, names_at, len(NAMES))
    return ident + header + data + NAMES + table


@pytest.mark.parametrize("extended", [False, True], ids=["", "extended numbering"])
@pytest.mark.parametrize(("bits", "order", "machine"), [(64, "<", 183), (64, ">", 22), (32, "<", 40), (32, ">", 20)])
def test_section_of_any_machine(tmp_path, bits, order, machine, extended):
    """Modules for foreign architectures are read: aarch64, s390x, arm, ppc."""
    file = tmp_path / "far.so"
    file.write_bytes(make_elf(b"arch=s390x\0obj=a\0", bits=bits, order=order, machine=machine, extended=extended))
    assert CModuleOpener().read_info(str(file)) == ModuleInfo("far", kind="c", arch="s390x", objs=("a",))
    section = read_section(str(file), ".vmdump.modinfo")
    assert (section.offset, section.data) == ({64: 64, 32: 52}[bits], b"arch=s390x\0obj=a\0")


def test_section_names_are_compared_whole(tmp_path):
    """A section whose name has modinfo's as a prefix or suffix is another section."""
    file = tmp_path / "a.so"
    file.write_bytes(make_elf(b"obj=a\0"))
    assert read_section(str(file), ".vmdump") is None
    assert read_section(str(file), "modinfo") is None
    assert read_section(str(file), ".shstrtab").data == NAMES


def test_stripped_of_section_headers(tmp_path):
    """Without section headers there are no declarations."""
    elf = bytearray(make_elf(b"obj=a\0"))
    elf[40:48] = bytes(8)  # e_shoff
    (tmp_path / "bare.so").write_bytes(elf)
    assert CModuleOpener().read_info(str(tmp_path / "bare.so")) is None


def patched(at, *values):
    """Return the 64-bit ELF file with bytes replaced. Its data is at 0x40, its section headers at 0x61."""
    elf = bytearray(make_elf(b"obj=a\0"))
    elf[at : at + len(values)] = values
    return bytes(elf)


@pytest.mark.parametrize(
    ("elf", "text"),
    [
        (patched(4, 3), "at offset 0x4: unsupported ELF identification: class 3, byte order 1, version 1"),
        (patched(5, 0), "at offset 0x4: unsupported ELF identification: class 2, byte order 0, version 1"),
        (make_elf(b"")[:30], "at offset 0x10: the ELF header takes 48 bytes, but the file ends at 0x1e"),
        (patched(58, 43), "at offset 0x10: section headers of 43 bytes are too short"),
        (patched(60, 4), "at offset 0x61: the table of 4 section headers takes 256 bytes, but the file ends at 0x121"),
        (patched(62, 3), "at offset 0x61: the section names are in section 3, but the file has 3 sections"),
        (patched(0x61 + 64, 99), "at offset 0xa1: the name of section 1 is outside section 2"),
        (patched(0x61 + 64 + 4, 8), "at offset 0x40: section 1 (.vmdump.modinfo) has no bytes in the file"),
        (patched(0x61 + 64 + 32, 255, 255), "at offset 0x40: section 1 (.vmdump.modinfo) takes 65535 bytes, but"),
        (patched(0x61 + 64 + 24, *b"\xff" * 8), "at offset 0xffffffffffffffff: section 1 (.vmdump.modinfo) takes 6"),
        (make_elf(b"\0" * (1 << 22) + b"\0"), "takes 4194305 bytes, more than the limit of 4194304"),
    ],
)  # fmt: skip
def test_elf_files_that_contradict_themselves(tmp_path, elf, text):
    """Errors name what was read, its offset, and the conflict."""
    file = tmp_path / "odd.so"
    file.write_bytes(elf)
    with pytest.raises(ModuleError) as caught:
        read_section(str(file), ".vmdump.modinfo")
    assert str(caught.value).startswith(f"failed to open module: {file}: ")
    assert text in str(caught.value)


def test_truncated_everywhere(tmp_path):
    """A truncated file is either not an ELF file or an error with an offset."""
    elf = make_elf(b"obj=a\0", bits=32, order=">")
    file = tmp_path / "short.so"
    file.write_bytes(elf)
    for size in range(len(elf) - 1, 3, -1):
        os.truncate(file, size)
        with pytest.raises(ModuleError, match="at offset 0x"):
            read_section(str(file), ".vmdump.modinfo")
    os.truncate(file, 3)
    assert read_section(str(file), ".vmdump.modinfo") is None


@settings(max_examples=2 * EXAMPLES)
@given(st.data())
def test_hostile_elf_files(tmp_path_factory, data):
    """Any bytes give a section, none, or a ModuleError."""
    elf = bytearray(make_elf(b"obj=a\0", bits=data.draw(st.sampled_from([32, 64])), extended=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(4, len(elf) - 8))
        elf[at : at + 8] = data.draw(st.binary(min_size=8, max_size=8))
    file = tmp_path_factory.getbasetemp() / "hostile.so"
    file.write_bytes(elf)
    with contextlib.suppress(ModuleError):
        CModuleOpener().read_info(str(file))


def test_unreadable_file(tmp_path):
    """The error has the system's reason."""
    with pytest.raises(ModuleError) as caught:
        CModuleOpener().read_info(str(tmp_path / "absent.so"))
    assert str(caught.value) == f"failed to open module: {tmp_path}/absent.so: No such file or directory"


# The tide board ---------------------------------------------------------------------------------------------------


def field(name, size, version_id=0, *, exists=False, num=None, vmsd=None):
    """A field as -dump-vmstate prints it."""
    printed = {"field": name, "version_id": version_id, "field_exists": exists}
    printed |= {} if num is None else {"num": num}
    return printed | {"size": size} | ({} if vmsd is None else {"Description": vmsd})


def description(name, version_id, minimum_version_id, *fields, subsections=None):
    """A description as -dump-vmstate prints it."""
    printed = {"name": name, "version_id": version_id, "minimum_version_id": minimum_version_id, "Fields": [*fields]}
    return printed if subsections is None else printed | {"Subsections": subsections}


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


# Modules that fail to load ----------------------------------------------------------------------------------------


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


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """The file to which FINISH modules append a line when they are finished."""
    file = tmp_path / "finished"
    file.touch()
    monkeypatch.setenv("TEST_FINISHED", str(file))
    return file


FINISH = """
#include <stdio.h>
#include <stdlib.h>
void vmdump_module_finish(void)
{
    FILE *file = fopen(getenv("TEST_FINISHED"), "a");
    fprintf(file, "%s\\n", TYPE);
    fclose(file);
}
"""


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


# Classes between Python and C -------------------------------------------------------------------------------------


def python_type(types, name, parent="device", **members):
    """Register a type whose Python class_init sets members."""

    def class_init(klass, data):
        for member, value in members.items():
            setattr(klass, member, value)

    types.types.type_register(TypeInfo(name, parent=parent, class_init=class_init))


#: Writes into desc what a C class_init finds in its class.
TELLS = """
#include <stdio.h>
static char seen[200];
static void class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    const VMStateDescription *vmsd = dc->vmsd;
    snprintf(seen, sizeof(seen), "%s: %s/%d/%d/%d/%s %s %s %d%d %lx", object_class_get_name(klass),
             vmsd->name, vmsd->version_id, vmsd->minimum_version_id, vmsd->priority, vmsd->fields ? "fields" : "none",
             dc->desc ? dc->desc : "-", dc->fw_name ? dc->fw_name : "-",
             dc->user_creatable, dc->hotpluggable, dc->categories[0]);
    dc->desc = seen;
}
"""


def test_c_child_of_a_python_type(build, registry):
    """C sees Python's members (of a vmsd: name and versions); unmodified ones are kept."""
    build("child", DEVICE + TELLS, TYPE="child", PARENT="python-base")
    types = registry()
    vmsd = VMStateDescription(
        "béta", version_id=5, minimum_version_id=3, priority=2, fields=[VMSTATE_UINT32("x", None)]
    )
    python_type(types, "python-base", vmsd=vmsd, fw_name="fw", hotpluggable=False, categories=DeviceCategory.USB)
    child = types["child"]
    assert child.desc == "child: béta/5/3/2/none - fw 10 2"
    assert child.vmsd is vmsd
    assert (child.fw_name, child.hotpluggable, child.categories) == ("fw", False, DeviceCategory.USB)
    assert types["python-base"].desc is None


def test_python_child_of_a_c_type(tide, registry):
    """A Python type inherits from a C type as a C type would, and can change members without changing the parent."""
    types = registry(tide)
    python_type(types, "my-rtc", "tide-rtc", fw_name="mine")
    mine, rtc = types["my-rtc"], types["tide-rtc"]
    assert mine.vmsd is rtc.vmsd
    assert (mine.fw_name, rtc.fw_name, mine.bus_type, mine.desc) == ("mine", "tide", "tide", None)


def test_c_child_of_a_python_child_of_a_c_type(tide, build, registry, tmp_path):
    """The C child sees Python's changes, and has the C members of the nearest C ancestor."""
    build("grandchild", DEVICE + TELLS, TYPE="grandchild", PARENT="my-rtc")
    types = registry(tide, tmp_path)
    python_type(
        types, "my-rtc", "tide-rtc", fw_name="mine", desc="gone", vmsd=VMStateDescription("my-rtc", version_id=9)
    )
    grandchild = types["grandchild"]
    assert grandchild.desc == "grandchild: my-rtc/9/0/0/none - mine 11 80"
    assert grandchild.vmsd is types["my-rtc"].vmsd


def test_c_child_sees_its_c_parents_description(tide, build, registry, tmp_path):
    """A description from C is visible to C itself, through a Python type too."""
    build("grandchild", DEVICE + TELLS, TYPE="grandchild", PARENT="my-rtc")
    types = registry(tide, tmp_path)
    python_type(types, "my-rtc", "tide-rtc")
    assert types["grandchild"].desc == "grandchild: tide-rtc/3/2/0/fields - tide 11 80"
    assert types["grandchild"].vmsd is types["tide-rtc"].vmsd


def test_c_removes_the_description(build, registry):
    """NULL becomes None, for a description and for a string."""
    build("mute", DEVICE + CLASS_BODY.format("dc->vmsd = NULL; dc->fw_name = NULL;"), TYPE="mute", PARENT="python-base")
    types = registry()
    python_type(types, "python-base", vmsd=VMStateDescription("base"), fw_name="fw")
    assert (types["mute"].vmsd, types["mute"].fw_name) == (None, None)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('dc->desc = "\\xff";', "C module {file}: desc is b'\\xff', which is not UTF-8"),
        ('vmdump_error("no %s", dc->parent_class.type->name); dc->desc = "x";', "C module {file}: no odd"),
        ("dc[1].vmsd = dc->vmsd; ((char *)dc)[sizeof(*dc)] = 1;", None),
        ("dc->desc = NULL; type_register(&types[0]);", "Registering 'odd' which already exists"),
    ],
    ids=["not UTF-8", "vmdump_error", "within the struct", "registers a type"],
)
def test_class_init_that_fails(build, registry, body, text):
    """The error names the type; the class is not created, and each request fails again."""
    source = DEVICE.replace(".class_init", ".class_size = sizeof(DeviceClass[2]), .class_init") + CLASS_BODY.format(
        body
    )
    file = build("odd", source, TYPE="odd")
    types = registry()
    if text is None:
        assert types["odd"].desc is None
        return
    expected = f"type 'odd': {text.format(file=file)}"
    assert [types.class_error("odd"), types.class_error("odd")] == [expected, expected]


def test_class_init_that_writes_behind_its_struct(build, registry):
    """A type that is not a device has no DeviceClass; writes beyond its struct are detected and overwrite nothing."""
    source = DEVICE + CLASS_BODY.format("dc->vmsd = (void *)1;")
    build("no-device", source, TYPE="no-device", PARENT="object")
    assert registry().class_error("no-device") == (
        "type 'no-device': it writes beyond its class struct of 96 bytes; give the type a class_size, or, if it is a "
        "device, a parent that descends from 'device'"
    )


def test_class_size_without_bounds(build, registry):
    """An implausible class size is refused without allocation."""
    source = DEVICE.replace(".class_init", ".class_size = (size_t)1 << 40, .class_init") + CLASS_INIT
    build("vast", source, TYPE="vast", DESC="")
    assert registry().class_error("vast") == (
        "type 'vast': class_size 1099511627776 is more than the limit of 1048576 bytes"
    )


def test_interfaces_in_c(build, registry):
    """A type that implements an interface, both in C, is listed among the interface's."""
    build(
        "user",
        "#include <vmdump/module.h>\nstatic const TypeInfo types[] = {\n"
        '    { .name = "hotplug-handler", .parent = TYPE_INTERFACE, .class_size = sizeof(InterfaceClass) + 8 },\n'
        '    { .name = "user", .parent = TYPE_DEVICE,\n'
        '      .interfaces = (const InterfaceInfo[]) { { "hotplug-handler" }, { NULL } } },\n'
        '};\nDEFINE_TYPES(types)\nmodule_obj("user");\nVMDUMP_MODULE();\n',
    )
    types = registry()
    user = types["user"]
    assert types.types.object_class_get_list("hotplug-handler", include_abstract=False) == [user]


def test_c_gives_pythons_description_to_another_class(build, registry):
    """A Python description that C copies to another class is the same Python object."""
    saves = "static const VMStateDescription *saved;\n"
    saves += CLASS_BODY.format("if (dc->vmsd) { saved = dc->vmsd; } else { dc->vmsd = saved; }")
    saves += 'static const TypeInfo other = { .name = "other", .parent = TYPE_DEVICE, .class_init = class_init };\n'
    saves += "static void register_other(void) { type_register(&other); }\ntype_init(register_other)\n"
    build("saves", DEVICE + saves, TYPE="saves", PARENT="python-base")
    types = registry()
    vmsd = VMStateDescription("base", fields=[VMSTATE_UINT32("x", None)])
    python_type(types, "python-base", vmsd=vmsd)
    assert types["saves"].vmsd is vmsd
    assert types["other"].vmsd is vmsd
