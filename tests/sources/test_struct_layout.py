"""Struct layouts of QEMU are detected on images compiled from its declarations, in every combination."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from vmdump._core import lib
from vmdump.dump.raising import description_of
from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.model import MappedObject
from vmdump.emulator.objects.open import open_object
from vmdump.errors import SourceError
from vmdump.sources.qemu_image.struct_layout import Layout, Reader, StructSizes, calibrate

#: The structs as QEMU declares them. Source: include/migration/vmstate.h of QEMU 5.2 (LOAD_STATE_OLD), 8.2, 10.2
#: (ERRP), 11.1 (INDIRECT).
SOURCE = r"""
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef struct VMStateInfo { const char *name; void *functions[4]; } VMStateInfo;
typedef struct VMStateDescription VMStateDescription;
typedef struct VMStateStructMember { uint32_t offset; uint8_t size; } VMStateStructMember;
typedef struct VMStateField {
    const char *name;
#ifndef INDIRECT
    const char *err_hint;
#endif
    size_t offset;
    size_t size;
#ifdef INDIRECT
    VMStateStructMember size_indirect, num_indirect;
    size_t start;
    int num;
#else
    size_t start;
    int num;
    size_t num_offset, size_offset;
#endif
    const VMStateInfo *info;
    int flags;
    const VMStateDescription *vmsd;
    int version_id;
    int struct_version_id;
    bool (*field_exists)(void *opaque, int version_id);
} VMStateField;
struct VMStateDescription {
    const char *name;
#ifdef LOAD_STATE_OLD
    int unmigratable;
#else
    bool unmigratable, early_setup;
#endif
    int version_id;
    int minimum_version_id;
#ifdef LOAD_STATE_OLD
    int minimum_version_id_old;
    int priority;
    int (*load_state_old)(void *opaque, int version_id);
#else
    int priority;
#endif
    int (*pre_load)(void *opaque);
#ifdef ERRP
    bool (*pre_load_errp)(void *opaque);
#endif
    int (*post_load)(void *opaque);
#ifdef ERRP
    bool (*post_load_errp)(void *opaque);
#endif
    int (*pre_save)(void *opaque);
#ifdef ERRP
    bool (*pre_save_errp)(void *opaque);
#endif
    int (*post_save)(void *opaque);
    bool (*needed)(void *opaque);
    bool (*dev_unplug_pending)(void *opaque);
    const VMStateField *fields;
    const VMStateDescription *const *subsections;
};
const size_t sizes[] = {sizeof(VMStateField), sizeof(VMStateDescription)};

static int hook(void *opaque) { return 0; }
static bool test(void *opaque, int version_id) { return true; }
static const VMStateInfo uint32 = {"uint32"};
static const VMStateField inner_fields[] = {
    {.name = "a", .offset = 8, .size = 4, .info = &uint32, .flags = 1},
    {.name = "b", .offset = 12, .size = 4, .info = &uint32, .flags = 1, .version_id = 3, .field_exists = test},
    {.flags = END},
};
static const VMStateDescription inner = {
    .name = "inner", .version_id = 3, .minimum_version_id = 2, .fields = inner_fields, .priority = 2,
};
static const VMStateDescription sub = {
    .name = "device/sub", .version_id = 1, .minimum_version_id = 1, .fields = inner_fields, .needed = (void *)hook,
};
static const VMStateDescription *const subsections[] = {&sub, NULL};
static const VMStateField fields[] = {
    {.name = "regs", .offset = 16, .size = 16, .num = 5, .vmsd = &inner, .flags = 4 | 8},
    {.name = "c", .offset = 200, .size = 4, .info = &uint32, .flags = 1},
    {.flags = END},
};
static const VMStateDescription device = {
    .name = "device", .version_id = 7, .minimum_version_id = 5, .fields = fields, .subsections = subsections,
    .post_load = hook, .pre_save = hook,
};
typedef struct DeviceClass { char before[112 + GAP]; const VMStateDescription *vmsd; char behind[128]; } DeviceClass;
DeviceClass classes[20] = {
    [3] = {.vmsd = &inner}, [7] = {.vmsd = &device}, [8] = {.vmsd = &sub}, [19] = {.vmsd = &device},
};
"""
FIELDS = {104: [], 96: ["-DINDIRECT"]}
DESCRIPTIONS = {104: ["-DLOAD_STATE_OLD"], 88: [], 112: ["-DERRP"]}

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64") or not shutil.which("gcc"), reason="no compiler for 64-bit objects"
)


def compiled(path: Path, *options: str) -> tuple[Guest, MappedObject]:
    """Compile the structs and map them into a guest."""
    path.with_suffix(".c").write_text(SOURCE)
    command = ["gcc", "-w", "-shared", "-fPIC", "-nostdlib", *options, "-o", str(path), str(path.with_suffix(".c"))]
    subprocess.run(command, check=True)
    with open_object(str(path)) as file:
        guest = Guest("guest", file.arch)
        return guest, file.map(guest, is_main=True)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("description", DESCRIPTIONS)
@pytest.mark.parametrize(("end", "gap"), [(0, 8), (0x10000, 16), (0x20000, 0)])
def test_every_combination(field: int, description: int, end: int, gap: int, tmp_path: Path) -> None:
    """Each struct is detected independently: QEMU 10.2's fields of 104 bytes with descriptions of 112, and unreleased
    combinations.
    """
    macros = [*FIELDS[field], *DESCRIPTIONS[description], f"-DEND={end}", f"-DGAP={gap}"]
    guest, mapped = compiled(tmp_path / "image.so", *macros)
    sizes = mapped.symbols["sizes"]
    assert (guest.pointer(sizes), guest.pointer(sizes + 8)) == (field, description)
    size = 112 + gap + 8 + 128
    classes = [mapped.symbols["classes"] + size * index for index in range(20)]
    layout = calibrate(guest, classes)
    assert layout == Layout(StructSizes(field, description), end, 112 + gap)
    reader = Reader(guest, layout.structs, layout.end_flags)
    native = reader.try_read(guest.pointer(classes[7] + layout.vmsd_offset))
    assert native is not None, reader.why()
    hooks = lib.VMD_POST_LOAD | lib.VMD_PRE_SAVE | lib.VMD_NEEDED | lib.VMD_PRE_LOAD | lib.VMD_POST_SAVE
    assert native.traits & hooks == lib.VMD_POST_LOAD | lib.VMD_PRE_SAVE
    assert native.subsections[0].traits & hooks == lib.VMD_NEEDED
    device = description_of(native)
    assert (device.name, device.version_id, device.minimum_version_id) == ("device", 7, 5)
    assert [(each.name, each.offset, each.size, each.num) for each in device.fields] == [
        ("regs", 16, 16, 5),
        ("c", 200, 4, 0),
    ]
    inner = device.fields[0].vmsd
    assert inner is not None
    assert (inner.name, inner.version_id, inner.priority) == ("inner", 3, 2)
    assert [(each.name, each.offset, each.version_id) for each in inner.fields] == [("a", 8, 0), ("b", 12, 3)]
    assert [each.name for each in device.subsections] == ["device/sub"]


def test_none_fits(tmp_path: Path) -> None:
    """An unknown layout is an error."""
    guest = Guest("guest", 62)
    classes = [guest.alloc(512) for _ in range(8)]
    with pytest.raises(SourceError, match="guest: no known layout of VMStateField and VMStateDescription fits"):
        calibrate(guest, classes)
