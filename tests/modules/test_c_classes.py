"""Classes of C modules: parents and children in Python and C, hooks that fail, interfaces."""

import pytest
from support.c_modules import CLASS_INIT, DEVICE

from vmdump.qom import DeviceCategory, TypeInfo
from vmdump.vmstate import VMSTATE_UINT32, VMStateDescription

CLASS_BODY = "static void class_init(ObjectClass *klass, void *data) {{ DeviceClass *dc = DEVICE_CLASS(klass); {} }}\n"


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
