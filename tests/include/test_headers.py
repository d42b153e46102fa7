"""The VMSTATE_* macros of vmdump/vmstate.h make the same fields as QEMU's and reject the same
mistakes.

What QEMU's make is in data/vmstate_macros.json, made by QEMU's own header and a C compiler.
"""

import json
import os
import re
import shutil
import subprocess

import pytest
from support.paths import DATA, ROOT

INCLUDE = ROOT / "vmdump" / "include"
FACTS = json.loads((DATA / "vmstate_macros.json").read_text())
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wmissing-prototypes", "-Werror"]

DESCRIPTIONS = """
static bool sample_test(void *opaque, int version_id) { return opaque && version_id; }
#define DESCRIPTION(_id, _name) \\
    static const VMStateDescription _id __attribute__((unused)) = { .name = _name }
DESCRIPTION(vmstate_inner, "inner");
DESCRIPTION(vmstate_lane, "lane");
DESCRIPTION(vmstate_element, "element");
DESCRIPTION(vmstate_key, "key");
DESCRIPTION(vmstate_tmp, "sample/tmp");
static const VMStateDescription vmstate_tree[] = { { .name = "element" }, { .name = "key" } };
"""

PREAMBLE = "\n".join(["#include <vmdump/vmstate.h>", *FACTS["sample_c"], DESCRIPTIONS])

PRINTER = r"""
#include <stdio.h>
static void text(const char *key, const char *value)
{
    printf(value ? "\"%s\": \"%s\", " : "\"%s\": null, ", key, value);
}
static void print(const VMStateField *f)
{
    printf("{");
    text("name", f->name);
    text("info", f->info ? f->info->name : NULL);
    text("vmsd", f->vmsd ? f->vmsd->name : NULL);
    text("err_hint", f->err_hint);
    printf("\"offset\": %zu, \"size\": %zu, \"start\": %zu, \"num\": %d, \"num_offset\": %zu, \"size_offset\": %zu, "
           "\"flags\": %d, \"version_id\": %d, \"struct_version_id\": %d, \"field_exists\": %s}\n",
           f->offset, f->size, f->start, f->num, f->num_offset, f->size_offset, (int)f->flags, f->version_id,
           f->struct_version_id, f->field_exists ? "true" : "false");
}
"""

#: From the layout tables of QEMU 8.2's structs on 64-bit hosts: struct: (size, {member: offset}).
LAYOUTS = {
    "VMStateField": (104, {
        "name": 0, "err_hint": 8, "offset": 16, "size": 24, "start": 32, "num": 40, "num_offset": 48, "size_offset": 56,
        "info": 64, "flags": 72, "vmsd": 80, "version_id": 88, "struct_version_id": 92, "field_exists": 96,
    }),
    "VMStateDescription": (88, {
        "name": 0, "unmigratable": 8, "early_setup": 9, "version_id": 12, "minimum_version_id": 16, "priority": 20,
        "pre_load": 24, "post_load": 32, "pre_save": 40, "post_save": 48, "needed": 56, "dev_unplug_pending": 64,
        "fields": 72, "subsections": 80,
    }),
    "VMStateInfo": (24, {"name": 0}),
}  # fmt: skip


def compilers():
    found = {cc: shutil.which(cc) for cc in (os.environ.get("CC", "cc"), "clang")}
    return [pytest.param(path, id=cc, marks=() if path else pytest.mark.skip(f"no {cc}")) for cc, path in found.items()]


def compile_and_run(tmp_path, source, cc=None):
    """Compile a C program, without warnings, and return its standard output."""
    program = tmp_path / "program"
    program.with_suffix(".c").write_text(source)
    command = [cc or os.environ.get("CC", "cc"), "-std=gnu11", *WARNINGS, f"-I{INCLUDE}", "-o", program]
    built = subprocess.run([*command, program.with_suffix(".c")], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="session")
def made_by_header(tmp_path_factory):
    """The field that each recorded invocation makes with vmdump's header, in their order."""
    invocations = "".join(f"    {fact['c']},\n" for fact in FACTS["fields"])
    source = (
        f"{PREAMBLE}{PRINTER}static const VMStateField fields[] = {{\n{invocations}}};\n"
        "int main(void)\n{\n"
        "    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {\n        print(&fields[i]);\n    }\n"
        "    return vmstate_tree[0].name == NULL;\n}\n"
    )
    lines = compile_and_run(tmp_path_factory.mktemp("macros"), source).splitlines()
    assert len(lines) == len(FACTS["fields"])
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("index", range(len(FACTS["fields"])), ids=[fact["c"] for fact in FACTS["fields"]])
def test_macro_makes_the_field_of_qemus(made_by_header, index):
    """Every attribute of the field equals that of QEMU's macro."""
    assert made_by_header[index] == FACTS["fields"][index]["field"]


def test_all_macros_are_there_with_qemus_parameters():
    """All macros of QEMU's header exist, with its parameter names in its order."""
    header = (INCLUDE / "vmdump" / "vmstate.h").read_text().replace("\\\n", " ")
    found = {
        name: [parameter.strip() for parameter in parameters.split(",") if parameter.strip()]
        for name, parameters in re.findall(r"^#define (VMSTATE_\w+)\(([^)]*)\)", header, re.MULTILINE)
    }
    assert {name: found.get(name) for name in FACTS["macros"]} == FACTS["macros"]


def test_infos_have_qemus_names(tmp_path):
    """The vmstate_info_* constants have the names used in QEMU's streams."""
    lines = "".join(f"    puts({info}.name);\n" for info in FACTS["infos"])
    names = compile_and_run(
        tmp_path, f"#include <stdio.h>\n#include <vmdump/vmstate.h>\nint main(void)\n{{\n{lines}    return 0;\n}}\n"
    )
    assert names.splitlines() == list(FACTS["infos"].values())


def test_layouts_are_qemus(tmp_path):
    """Every member has QEMU 8.2's offset."""
    sizes = [f"sizeof({struct})" for struct in LAYOUTS]
    offsets = [f"offsetof({struct}, {member})" for struct, (_, members) in LAYOUTS.items() for member in members]
    numbers = compile_and_run(
        tmp_path,
        "#include <stdio.h>\n#include <vmdump/vmstate.h>\nint main(void)\n{\n"
        + "".join(f'    printf("%zu\\n", {number});\n' for number in sizes + offsets)
        + "    return 0;\n}\n",
    )
    expected = [size for size, _ in LAYOUTS.values()]
    expected += [offset for _, members in LAYOUTS.values() for offset in members.values()]
    assert [int(number) for number in numbers.split()] == expected


@pytest.mark.parametrize("cc", compilers())
@pytest.mark.parametrize("standard", ["c11", "gnu11", "gnu17"])
def test_headers_compile_without_warnings(tmp_path, cc, standard):
    """A module with every kind of statement compiles without warnings in every supported C standard."""
    source = tmp_path / "module.c"
    source.write_text(
        PREAMBLE.replace("vmstate.h", "module.h") + "enum Level { LOW, HIGH };\n"
        "typedef struct OddState { enum Level level; volatile uint32_t shared; const uint8_t rom[4]; } OddState;\n"
        "const VMStateField odd[] = { VMSTATE_UINT32(level, OddState), VMSTATE_UINT32(shared, OddState),\n"
        "                             VMSTATE_BUFFER(rom, OddState),\n"
        "                             VMSTATE_BOOL_TEST(flag, SampleState, sample_test),\n"
        "                             VMSTATE_GTREE_V(tree, SampleState, 0, vmstate_tree, KeyState, ElementState),\n"
        "                             VMSTATE_END_OF_LIST() };\n"
        'static const TypeInfo infos[] = { { .name = "odd", .parent = TYPE_DEVICE } };\n'
        "DEFINE_TYPES(infos)\n"
        'static void register_more(void) { vmdump_error("%s", "no more"); }\n'
        "type_init(register_more)\n"
        'module_obj("odd"); module_arch("x86_64"); module_dep("bus"); module_opts("odd");\n'
        "VMDUMP_MODULE();\n"
    )
    command = [cc, f"-std={standard}", *WARNINGS, "-fPIC", f"-I{INCLUDE}", "-c", "-o", tmp_path / "module.o", source]
    built = subprocess.run(command, capture_output=True, text=True)
    assert (built.returncode, built.stderr) == (0, "")


#: Invocations that must not compile, and the expected error.
WRONG = {
    "VMSTATE_UINT64(u32, SampleState)": "SampleState.u32 is not uint64_t",
    "VMSTATE_INT32(u32, SampleState)": "SampleState.u32 is not int32_t",
    "VMSTATE_UINT32(u32_ptr, SampleState)": "SampleState.u32_ptr is not uint32_t",
    "VMSTATE_UINT32(absent, SampleState)": "absent",
    "VMSTATE_UINT32_ARRAY(u32_array, SampleState, 12)": "SampleState.u32_array is not uint32_t[12]",
    "VMSTATE_UINT32_ARRAY(u32_ptr, SampleState, 1)": "SampleState.u32_ptr is not uint32_t[1]",
    "VMSTATE_UINT8_2DARRAY(u8_2d, SampleState, 3, 2)": "SampleState.u8_2d is not uint8_t[3][2]",
    "VMSTATE_UINT16_SUB_ARRAY(u32_array, SampleState, 2, 3)": "SampleState.u32_array[2] is not uint16_t",
    "VMSTATE_BUFFER(u32_array, SampleState)": "SampleState.u32_array is not an array of uint8_t",
    "VMSTATE_STRUCT(queue, SampleState, 1, vmstate_inner, InnerState)": "SampleState.queue is not InnerState",
    "VMSTATE_STRUCT_POINTER(inner, SampleState, vmstate_inner, InnerState)": "SampleState.inner is not InnerState *",
    "VMSTATE_STRUCT_VARRAY_UINT8(inner_ptr, SampleState, count_u8, 1, vmstate_inner, InnerState)":
        "SampleState.inner_ptr is a pointer, not an array",
    "VMSTATE_STRUCT_VARRAY_UINT8(inner_array, SampleState, count_u16, 1, vmstate_inner, InnerState)":
        "SampleState.count_u16 is not uint8_t",
    "VMSTATE_VBUFFER(vbuffer, SampleState, 0, NULL, size_u32)": "SampleState.size_u32 is not int32_t",
    "VMSTATE_WITH_TMP(InnerState, TmpState, vmstate_tmp)": "TmpState.parent is not InnerState *",
    "VMSTATE_WITH_TMP(SampleState, LateState, vmstate_tmp)": "LateState.parent is not the first",
    "VMSTATE_BOOL_TEST(flag, SampleState, wrong_test)": "incompatible",
}  # fmt: skip


@pytest.fixture(scope="session")
def refusals(tmp_path_factory):
    """The compiler's errors for each wrong invocation by line, from a single run."""
    source = tmp_path_factory.mktemp("wrong") / "wrong.c"
    head = (
        f"{PREAMBLE}typedef struct LateState {{ int first; SampleState *parent; }} LateState;\nint wrong_test(int);\n"
    )
    head += "const VMStateField good = VMSTATE_UINT32(u32, SampleState);\n"
    lines = [f"const VMStateField wrong{index} = {invocation};" for index, invocation in enumerate(WRONG)]
    source.write_text(head + "\n".join(lines) + "\n")
    cc = os.environ.get("CC", "cc")
    is_clang = "clang" in subprocess.run([cc, "--version"], capture_output=True, text=True, check=True).stdout
    # By default gcc attributes errors to the header's lines instead of the invocation.
    option = "-ferror-limit=0" if is_clang else "-ftrack-macro-expansion=0"
    command = [cc, "-std=gnu11", "-Werror", "-fsyntax-only", option, f"-I{INCLUDE}", source]
    stderr = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stderr
    errors = re.findall(rf"^{re.escape(str(source))}:(\d+):\d+: error: (.*)$", stderr, re.MULTILINE)
    by_line: dict[int, list[str]] = {}
    for line, text in errors:
        by_line.setdefault(int(line) - head.count("\n") - 1, []).append(text)
    return by_line


@pytest.mark.parametrize(("index", "text"), list(enumerate(WRONG.values())), ids=list(WRONG))
def test_wrong_member_does_not_compile(refusals, index, text):
    """A member of another type, length or kind than the macro expects is an error that names it."""
    assert any(text in error for error in refusals.get(index, ())), refusals.get(index)


def test_right_member_compiles_beside_the_wrong_ones(refusals):
    """All errors are in the wrong lines."""
    assert set(refusals) == set(range(len(WRONG)))
