"""Machine types: names, aliases, the default, and the order of -M help, compared with a real QEMU's."""

import doctest
import random
import subprocess

import pytest
from support.qemu import find_qemu

from vmdump.errors import QOMError
from vmdump.qom import TypeInfo, TypeTable, register_base_types
from vmdump.qom import machines as machine
from vmdump.qom.machines import find_default_machine, find_machine, machine_list


def members(**values):
    """Return a class_init that sets these members."""

    def class_init(klass, data):
        for name, value in values.items():
            setattr(klass, name, value)

    return class_init


def make_table(**machines: dict) -> TypeTable:
    """A table of machine types, by name, with their members; "_" stands for "-"."""
    table = TypeTable()
    register_base_types(table)
    for name, values in machines.items():
        typename = name.replace("_", "-") + "-machine"
        table.type_register(TypeInfo(typename, parent="machine", class_init=members(**values)))
    return table


def test_examples():
    """The examples in the docstrings run."""
    assert doctest.testmod(machine).failed == 0
    assert doctest.testmod(machine).attempted > 10


def test_find_machine():
    """Machine types are found by name and alias; the name is the type's without its suffix."""
    table = make_table(pc_q35={"alias": "q35"}, none={})
    assert find_machine(table, "q35") is find_machine(table, "pc-q35") is table.object_class_by_name("pc-q35-machine")
    assert find_machine(table, "none").name == "none"


@pytest.mark.parametrize("name", ["pc", "none-machine", "", "machine", "abstract"])
def test_find_machine_unknown(name):
    """Unknown and abstract machine types are QEMU's error with its hint, on one line."""
    table = make_table(none={})
    table.type_register(TypeInfo("abstract-machine", parent="machine", abstract=True))
    with pytest.raises(QOMError) as info:
        find_machine(table, name)
    assert str(info.value) == f"unsupported machine type '{name}'; use -M help to list supported machines"


def test_find_default_machine():
    """The type with is_default, or None."""
    assert find_default_machine(make_table(none={})) is None
    assert find_default_machine(make_table(none={}, pc={"is_default": True})).name == "pc"


def test_several_defaults():
    """Several defaults are an error; QEMU asserts. A child inherits is_default, as in QEMU."""
    table = make_table(pc={"is_default": True})
    table.type_register(TypeInfo("child-machine", parent="pc-machine"))
    with pytest.raises(QOMError, match=r"^Multiple default machines: child, pc; "):
        find_default_machine(table)


def test_children_inherit_the_alias():
    """machine_class_base_init sets a child's name and leaves the other members."""
    table = make_table(pc={"alias": "p", "family": "f", "desc": "d", "deprecation_reason": "r"})
    table.type_register(TypeInfo("child-machine", parent="pc-machine"))
    child = find_machine(table, "child")
    assert (child.name, child.alias, child.family, child.desc, child.deprecation_reason) == (
        "child",
        "p",
        "f",
        "d",
        "r",
    )


def test_name_without_suffix():
    """A missing suffix is an error except for abstract types; QEMU asserts."""
    table = make_table()
    table.type_register(TypeInfo("pc-base", parent="machine", abstract=True))
    assert table.object_class_by_name("pc-base").name == ""
    table.type_register(TypeInfo("pc", parent="pc-base"))
    with pytest.raises(QOMError, match=r"^type 'pc': the name of a non-abstract machine type must end in '-machine'$"):
        table.object_class_by_name("pc")


#: Lines of `qemu-system-x86_64 -M help` of QEMU 7.2, in order.
HELP = [
    "microvm", "pc-i440fx-7.2", "pc-i440fx-2.9", "pc-i440fx-2.12", "pc-i440fx-2.10", "pc-i440fx-2.1", "pc-i440fx-2.0",
    "pc-q35-7.2", "pc-q35-4.0.1", "pc-q35-4.0", "pc-q35-2.4", "pc-q35-2.12", "isapc", "none", "x-remote",
]  # fmt: skip
#: MachineClass.family as set by the boards' class_init. Source: QEMU 8.2.2 hw/i386/.
FAMILIES = {"microvm": "microvm_i386", "pc-i440fx": "pc_piix", "pc-q35": "pc_q35"}


def check_order(help_names: list[str]) -> None:
    shuffled = random.Random(4).sample(help_names, len(help_names))
    family = {name: next((FAMILIES[key] for key in FAMILIES if name.startswith(key)), None) for name in shuffled}
    table = make_table(**{name: {"family": family[name]} for name in shuffled})
    assert [klass.name for klass in machine_list(table)] == help_names


def test_machine_list():
    """Sorted by family, newest first, then those without; compared as strings, so 2.9 precedes 2.12."""
    check_order(HELP)


@pytest.mark.qemu
def test_machine_list_of_a_real_qemu():
    """The list has all machine types of the installed QEMU."""
    output = subprocess.run([find_qemu("x86_64"), "-M", "help"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in output.splitlines()[1:] if "(alias of " not in line]
    names = [line.split()[0] for line in lines]
    assert len(names) > 10
    check_order(names)
