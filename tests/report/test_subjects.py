"""The history of devices and machine types, against the JSON of real QEMUs' dumps, and made-up releases."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from support.descriptions import desc, dump, field, struct
from support.dumps import read_real_dump
from support.html_report import release_of
from support.paths import DATA

import vmdump
from vmdump.report.html.subjects import (
    DEVICE,
    MACHINE,
    MAX_FIELDS,
    STANDALONE,
    Gap,
    Release,
    State,
    Subject,
    machine_states,
    subjects,
)

VERSIONS = ("7.2.22", "10.0.13")


def fields_of(description: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Yield path and size of every field of a description in QEMU's own JSON, in order."""
    for each in description.get("Fields", ()):
        yield " / ".join((*path, each["field"])), each["size"]
        if "Description" in each:
            yield from fields_of(each["Description"], (*path, each["field"]))
    for each in description.get("Subsections", ()):
        yield from fields_of(each, (*path, each["name"]))


def numbered(fields: Iterator[tuple[str, int]]) -> dict[str, str]:
    """Return sizes by path in the page's words; later fields of one path are numbered."""
    uses: Counter[str] = Counter()
    found = {}
    for path, size in fields:
        uses[path] += 1
        words = "1 byte" if size == 1 else f"{size} bytes"
        found[path if uses[path] == 1 else f"{path} ({uses[path]})"] = words
    return found


def by_name(found: list[Subject], kind: str = DEVICE) -> dict[str, Subject]:
    """Return the subjects of a kind."""
    return {each.name: each for each in found if each.kind == kind}


def facts(state: object, table: str) -> dict[str, str]:
    """Return the facts of a state's table."""
    assert isinstance(state, State)
    return {key: value for of, key, value in state.facts if of == table}


@pytest.mark.parametrize("target", ["s390x", "sparc"])
def test_every_field_of_real_dumps(target: str) -> None:
    """Each device of QEMU's JSON is there, with versions and the fields that a walk of the JSON finds."""
    paths = [DATA / "dumps" / f"qemu-{version}" / f"{target}.json.xz" for version in VERSIONS]
    releases = [release_of(v, target, vmdump.open(path)) for v, path in zip(VERSIONS, paths, strict=True)]
    found = by_name(subjects(releases, VERSIONS))
    names = set()
    for index, version in enumerate(VERSIONS):
        read = json.loads(read_real_dump(version, target))
        del read["vmschkmachine"]
        names |= read.keys()
        for name, device in read.items():
            (group,) = found[name].groups
            state = group.states[index]
            words = {key: value.partition(",")[0] for key, value in facts(state, "Fields").items()}
            assert words == numbered(fields_of(device["Description"])), name
            assert facts(state, "Description") == {
                "section": device["Description"]["name"],
                "version": str(device["Description"]["version_id"]),
                "minimum version": str(device["Description"]["minimum_version_id"]),
            }
        for name in found.keys() - read.keys():
            assert found[name].groups[0].states[index] is Gap.ABSENT
    assert found.keys() == names


def test_targets_with_the_same_history_are_one_group() -> None:
    """Targets are joined if their states agree wherever both are there; a release without the target says nothing."""
    one, two = desc("dev", field("a")), desc("dev", field("a"), field("b"))
    releases = [
        release_of("1", "arm", dump(dev=one)),
        release_of("2", "arm", dump(dev=two)),
        release_of("2", "riscv64", dump(dev=two)),
        release_of("1", "sparc", dump(dev=two)),
        release_of("2", "sparc", dump(other=one)),
    ]
    found = by_name(subjects(releases, ("1", "2")))
    assert [group.targets for group in found["dev"].groups] == [("arm", "riscv64"), ("sparc",)]
    assert [type(state) for state in found["dev"].groups[0].states] == [State, State]
    assert found["dev"].groups[1].states[1] is Gap.ABSENT
    assert [(group.targets, group.states[0]) for group in found["other"].groups] == [(("sparc",), Gap.ABSENT)]


def test_targets_that_are_never_in_one_release_are_not_joined() -> None:
    """A target that ends before another begins says nothing about the other's device."""
    one, two = desc("dev", field("a")), desc("dev", field("a"), field("b"))
    releases = [release_of("1", "cris", dump(dev=one)), release_of("2", "loongarch64", dump(dev=two))]
    (cris, loongarch) = by_name(subjects(releases, ("1", "2")))["dev"].groups
    assert (cris.targets, cris.states[1]) == (("cris",), Gap.NO_TARGET)
    assert (loongarch.targets, loongarch.states[0]) == (("loongarch64",), Gap.NO_TARGET)


def test_each_dump_is_opened_once() -> None:
    """Dumps are opened one at a time, and each once, also if they have details that another lacks."""
    opened: list[str] = []

    def release(label: str, path: str) -> Release:
        def open_dump() -> vmdump.DeviceDump:
            opened.append(label)
            return vmdump.open(DATA / path)

        return Release(label, "m68k", open_dump)

    paths = {"1": "extended/qemu-10.0.13-m68k.json.xz", "2": "dumps/qemu-10.0.13/m68k.json.xz"}
    subjects([release(*each) for each in paths.items()], list(paths))
    assert opened == ["1", "2"]


def test_binaries_beside_dump_files() -> None:
    """With a dump of QEMU itself, what only binaries have is left out, so that nothing seems to differ."""
    path = DATA / "dumps" / "qemu-10.0.13" / "m68k.json.xz"
    extended = DATA / "extended" / "qemu-10.0.13-m68k.json.xz"
    releases = [release_of("1", "m68k", vmdump.open(path)), release_of("2", "m68k", vmdump.open(extended))]
    found = by_name(subjects(releases, ("1", "2")))
    assert len(found) > 20
    assert [each.name for each in found.values() if each.groups[0].states[0] != each.groups[0].states[1]] == []


def test_details_of_a_binary() -> None:
    """Types and conditions are named."""
    release = release_of("1", "x86_64", vmdump.open(DATA / "extended" / "qemu-10.0.13-x86_64.json.xz"))
    found = subjects([release], ("1",))
    serial = facts(by_name(found)["isa-serial"].groups[0].states[0], "Fields")
    assert serial["state / divider"] == "2 bytes of uint16, since version 2 of serial"
    assert serial["state / serial/poll / modem_status_poll"] == "8 bytes of timer, if serial/poll is needed"


def test_standalone_descriptions() -> None:
    """They are subjects of their own, also several of the same name."""
    roots = ((desc("cpu", field("a")), "register"), (desc("cpu", field("b")), "save"), (desc("timer"), "register"))
    found = by_name(subjects([release_of("1", "arm", dump(cpu=desc("cpu"), roots=roots))], ("1",)), STANDALONE)
    assert sorted(found) == ["cpu", "cpu (2)", "timer"]
    assert [facts(found[name].groups[0].states[0], "Fields") for name in ("cpu", "cpu (2)")] == [
        {"a": "4 bytes of uint32"}, {"b": "4 bytes of uint32"}
    ]  # fmt: skip


def test_too_many_fields() -> None:
    """Descriptions that share others stand for any number of fields: these are counted, not listed."""
    shared = desc("leaf", field("x"))
    for _ in range(20):
        shared = desc("d", struct("f", shared), struct("g", shared))
    (group,) = by_name(subjects([release_of("1", "arm", dump(dev=shared))], ("1",)))["dev"].groups
    assert facts(group.states[0], "Description")["fields"].endswith(", too many to list")
    assert isinstance(group.states[0], State)
    assert group.states[0].tables == ("Description",)


@pytest.mark.parametrize(("count", "is_listed"), [(MAX_FIELDS, True), (MAX_FIELDS + 1, False)])
def test_the_most_fields(count: int, is_listed: bool) -> None:
    """Up to the limit, fields are listed."""
    many = desc("dev", *[field(f"f{number}") for number in range(count)])
    (group,) = by_name(subjects([release_of("1", "arm", dump(dev=many))], ("1",)))["dev"].groups
    assert len(facts(group.states[0], "Fields")) == (count if is_listed else 0)
    assert ("fields" in facts(group.states[0], "Description")) is not is_listed


def test_machine_types() -> None:
    """The last compat property counts; sections and RAM blocks are known of a machine that was booted."""
    rows: list[dict[str, Any]] = [
        {"kind": "machine", "machine": "pc-1", "alias": "pc", "is_default": True, "is_deprecated": False},
        {"kind": "compat", "machine": "pc-1", "type": "nic", "name": "p", "value": "on"},
        {"kind": "compat", "machine": "pc-1", "type": "nic", "name": "p", "value": "off"},
        {"kind": "section", "machine": "pc-1", "name": "timer", "instance_id": 0, "version_id": 2},
        {"kind": "section", "machine": "pc-1", "name": "cpu", "instance_id": 1, "version_id": 12},
        {"kind": "ram_block", "machine": "pc-1", "name": "pc.ram", "size": 1 << 20},
        {"kind": "machine", "machine": "none", "is_default": False, "is_deprecated": True, "error": "why"},
    ]
    states = dict(machine_states(rows))
    pc, none = states["pc-1"], states["none"]
    assert facts(pc, "Machine type") == {"alias": "pc", "default": "yes", "deprecated": "no"}
    assert facts(pc, "Compat properties") == {"nic.p": "off"}
    assert facts(pc, "Sections") == {"timer": "version 2", "cpu (instance 1)": "version 12"}
    assert facts(pc, "RAM blocks") == {"pc.ram": "1,048,576 bytes"}
    assert facts(none, "Machine type")["does not start"] == "why"
    assert none.tables == ("Machine type", "Compat properties")
    releases = [release_of("1", "x", dump(dev=desc("dev"))), release_of("2", "x", dump(dev=desc("dev")), rows)]
    found = by_name(subjects(releases, ("1", "2")), MACHINE)
    assert found["pc-1"].groups[0].states == (Gap.NOT_READ, pc)
