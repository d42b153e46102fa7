"""Machine types and machines as read in the emulator, compared with a real QEMU's QMP answers and migration stream."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.native_qemu import NativeQemu, ram_blocks, vmdescription
from support.qemu import find_qemu

import vmdump
from vmdump.emulator.find_migration import MigrationFunctions
from vmdump.machines.mapping import Machines, UnknownMachineError, open_machines
from vmdump.machines.model import CompatProperty, MachineType

pytestmark = pytest.mark.qemu


@pytest.fixture(scope="module")
def machines() -> Machines:
    """The machine types of the installed QEMU."""
    return open_machines(find_qemu("x86_64"), cache=False)


@pytest.fixture(scope="module")
def q35(machines: Machines) -> MachineType:
    """A machine."""
    return machines["q35"]


@pytest.fixture(scope="module")
def native() -> Iterator[NativeQemu]:
    """The same machine of the real QEMU."""
    with NativeQemu(find_qemu("x86_64"), "-M", "q35", "-accel", "tcg") as qemu:
        yield qemu


def test_infos(machines: Machines, native: NativeQemu) -> None:
    """Names, aliases, defaults and deprecation are query-machines' own, in its order."""
    rows = native.qmp("query-machines")
    read = [
        (each.name, each.alias, each.is_default, each.is_deprecated, each.default_cpu_type, each.cpu_max)
        for each in machines.infos
    ]
    assert read == [
        (row["name"], row.get("alias"), row.get("is-default", False), row["deprecated"], row.get("default-cpu-type"),
         row["cpu-max"])
        for row in rows
    ]  # fmt: skip


def test_mapping(machines: Machines) -> None:
    """Aliases are keys, too; an unknown name is a KeyError with a suggestion."""
    assert machines.info("q35").name in machines
    assert "q35" in machines
    assert "nosuch" not in machines
    assert len(list(machines)) == len(machines) == len(machines.infos)
    with pytest.raises(UnknownMachineError, match=r"no machine type 'q53'; did you mean q35\?"):
        machines["q53"]
    assert issubclass(UnknownMachineError, KeyError)


def test_compat_props(machines: Machines) -> None:
    """Compat properties are those of the source. Source: QEMU 7.2 hw/core/machine.c hw_compat_7_1; 7.1's own
    query-machines does not return them.
    """
    if "pc-q35-7.1" not in machines or "pc-q35-8.0" in machines:
        pytest.skip("the installed QEMU is not 7.2")
    assert machines.info("pc-q35-7.2").compat_props == ()
    assert machines.info("pc-q35-7.1").compat_props == (
        CompatProperty("virtio-device", "queue_reset", "false"),
        CompatProperty("virtio-rng-pci", "vectors", "0"),
        CompatProperty("virtio-rng-pci-transitional", "vectors", "0"),
        CompatProperty("virtio-rng-pci-non-transitional", "vectors", "0"),
    )


@pytest.mark.parametrize("target", ["riscv64", "hppa", "avr"])
def test_no_compat_props(target: str) -> None:
    """A target whose machine types are not versioned has no compat properties."""
    binary = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent")) / f"7.2.22/usr/bin/qemu-system-{target}"
    if not binary.exists():
        pytest.skip("needs QEMU 7.2.22 in $VMDUMP_IMAGES: .ci/images DIRECTORY")
    infos = open_machines(str(binary), cache=False).infos
    assert len(infos) > 1
    assert {each.compat_props for each in infos} == {()}


@pytest.mark.slow
def test_objects(q35: MachineType, native: NativeQemu) -> None:
    """The QOM tree is the real one, and so are all values, but for time and what the real main loop changes."""
    expected: dict[str, str] = {}

    def walk(path: str, type_: str) -> None:
        expected[path] = type_
        for row in native.qmp("qom-list", path=path):
            if row["type"].startswith("child<"):
                walk(f"{path}/{row['name']}", row["type"][6:-1])

    walk("/machine", native.qmp("qom-get", path="/machine", property="type"))
    assert {each.path: each.type for each in q35.devices} == expected
    different = []
    for each in q35.devices:
        for known in each.properties:
            if known.error is None and native.qmp("qom-get", path=each.path, property=known.name) != known.value:
                different.append(known.name)
    assert set(different) <= {"date", "rtc-time"}


def test_sections(q35: MachineType, native: NativeQemu, tmp_path: Path) -> None:
    """Sections and RAM blocks are those of the real migration stream."""
    stream = native.save(tmp_path / "stream")
    devices = vmdescription(stream)["devices"]
    read = [(each.idstr, each.instance_id, each.version) for each in q35.sections if each.idstr != "ram"]
    assert read == [(each["name"], each["instance_id"], each["version"]) for each in devices]
    assert [(each.name, each.size) for each in q35.ram_blocks] == ram_blocks(stream)


def test_cpu(q35: MachineType, native: NativeQemu) -> None:
    """The CPU's type and feature words are the real ones."""
    path = native.qmp("query-cpus-fast")[0]["qom-path"]
    assert q35.cpu is not None
    assert q35.cpu.type == native.qmp("qom-get", path=path, property="type")
    assert list(q35.cpu.feature_words) == native.qmp("qom-get", path=path, property="feature-words")


def test_defaults(q35: MachineType, native: NativeQemu) -> None:
    """RAM size and default devices are QEMU's. Source: hw/i386/pc_q35.c pc_q35_machine_options."""
    assert q35.ram_size == native.qmp("query-memory-size-summary")["base-memory"]
    assert {"VGA", "e1000e", "ide-cd", "isa-serial"} <= set(q35.default_devices)
    assert q35.missed_functions == ()


def test_json(q35: MachineType) -> None:
    """The JSON object has the documented keys."""
    known = q35.to_json()
    assert list(known) == [
        "name", "alias", "default", "deprecated", "compat_props", "devices", "sections", "ram_blocks", "cpu"
    ]  # fmt: skip
    assert known["alias"] == "q35"
    assert {"idstr": "fw_cfg", "instance_id": 0, "version": 2} in known["sections"]
    assert set(known["ram_blocks"][0]) == {"name", "size"}


@pytest.mark.slow
def test_properties(machines: Machines) -> None:
    """Effective values are a realized device's of the real QEMU; each has the origin that changes it."""
    name = "pc-q35-5.2"
    with NativeQemu(find_qemu("x86_64"), "-M", name, "-accel", "tcg", "-device", "e1000e,id=vmdump") as native:
        path = "/machine/peripheral/vmdump"
        rows = [row for row in native.qmp("qom-list", path=path) if not row["type"].startswith(("child<", "link<"))]
        expected = {}
        for row in rows:
            if not row["name"].startswith("legacy-"):
                expected[row["name"]] = native.qmp("qom-get", path=path, property=row["name"])
        defaults = {
            row["name"]: row["default-value"]
            for row in native.qmp("device-list-properties", typename="e1000e")
            if "default-value" in row
        }
    found = machines.properties("e1000e", name, ["-global", "e1000e.subsys=7"])
    known = {each.name: each for each in found.properties}
    assert found.why_unrealized is None
    assert {each: known[each].effective for each in expected} == {**expected, "subsys": 7}
    assert {each: known[each].default for each in defaults} == defaults
    assert known["init-vet"].set_by == "compat e1000e.init-vet=off"
    assert known["subsys"].set_by == "-global e1000e.subsys=7"
    assert known["realized"].set_by == "board or realize"
    assert known["multifunction"].set_by == "default"


@pytest.mark.slow
def test_accelerator(machines: Machines) -> None:
    """Arguments choose the accelerator: kvmclock is a default with KVM only (target/i386/kvm/kvm-cpu.c)."""
    for argv, is_on in ((["-accel", "kvm"], True), ([], False)):
        found = machines.properties("qemu64-x86_64-cpu", "pc-q35-7.2", argv)
        assert {each.name: each.effective for each in found.properties}["kvmclock"] is is_on
    survey = machines.survey("pc-q35-7.2", ["-accel", "kvm"], devices=())
    assert "kvmclock" in {each.idstr for each in survey.board.sections}


def test_unknown_type(machines: Machines) -> None:
    """An unknown type gets a suggestion, an abstract one its subtypes."""
    with pytest.raises(vmdump.SourceError, match=r"no QOM type 'e1000ee'; did you mean e1000e or e1000\?"):
        machines.properties("e1000ee", "none")
    with pytest.raises(vmdump.SourceError, match="pci-device is an abstract type; give a subtype"):
        machines.properties("pci-device", "none")


def test_open() -> None:
    """vmdump.open gives the machine types of a binary; other sources have none."""
    machines = vmdump.open(find_qemu("x86_64"), details=False).machines
    assert isinstance(machines, vmdump.Machines)
    with pytest.raises(vmdump.SourceError, match="only a QEMU binary that is read has machine types"):
        _ = vmdump.open().machines


@pytest.mark.slow
def test_machine_that_cannot_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A binary whose migration functions are not found has devices, and no sections; the reason is named."""
    path = find_qemu("x86_64-microvm")
    monkeypatch.setattr(MigrationFunctions, "is_complete", lambda self: False)
    machine = open_machines(path, cache=False)["microvm"]
    assert machine.sections == ()
    assert (machine.why_no_sections or "").endswith("and its migration code was not found")
    assert machine.device("fw_cfg_io").path == "/machine/fw_cfg"


@pytest.mark.slow
def test_value_that_is_not_determined(machines: Machines) -> None:
    """isa-applesmc's default osk has no terminating NUL: what QEMU returns differs from run to run."""
    values = []
    for _ in range(2):
        with NativeQemu(find_qemu("x86_64"), "-M", "q35", "-device", "isa-applesmc,id=vmdump") as native:
            values.append(native.qmp("qom-get", path="/machine/peripheral/vmdump", property="osk"))
    assert values[0] != values[1]
    device = machines.survey("pc-q35-7.2", [], devices=("isa-applesmc",)).devices["isa-applesmc"]
    (osk,) = [each for each in device.objects[0].properties if each.name == "osk"]
    assert (osk.value, osk.error) == (None, "not determined: the string has no terminating NUL")


@pytest.mark.slow
def test_properties_of_a_binary_without_exports(tmp_path: Path) -> None:
    """Effective values are those of the real QEMU; SET BY says if a default is not known."""
    path = find_qemu("x86_64-microvm")
    found = open_machines(path, cache=False).properties("virtio-rng-device", "microvm")
    assert found.added == "driver=virtio-rng-device,id=vmdump"
    by_name = {each.name: each for each in found.properties}
    assert (by_name["event_idx"].default, by_name["event_idx"].effective, by_name["event_idx"].set_by) == (
        True, True, "default"
    )  # fmt: skip
    assert by_name["realized"].set_by == "not known"
    binary = find_qemu("x86_64")
    with NativeQemu(binary, "-M", "microvm", "-device", "virtio-rng-device,id=vmdump") as native:
        for name in ("event_idx", "max-bytes", "period", "any_layout", "iommu_platform"):
            assert by_name[name].effective == native.qmp("qom-get", path="/machine/peripheral/vmdump", property=name)


@pytest.mark.slow
def test_arm(tmp_path: Path) -> None:
    """An Arm machine has its system registers, sections and RAM blocks."""
    machine = open_machines(find_qemu("aarch64"), cache=False)["virt"]
    with NativeQemu(find_qemu("aarch64"), "-M", "virt", "-accel", "tcg") as native:
        stream = native.save(tmp_path / "stream")
    assert [(each.name, each.size) for each in machine.ram_blocks] == ram_blocks(stream)
    assert machine.cpu is not None
    assert machine.cpu.registers
    assert machine.cpu.registers["0x40200000000f0800"] == "0xc50078"  # SCTLR of cortex-a15 after reset


def test_no_functions() -> None:
    """A binary whose QMP commands are not found is an error, or is read; never an internal error."""
    path = find_qemu("x86_64-microvm")
    try:
        infos = open_machines(path, cache=False).infos
    except vmdump.SourceError as error:
        assert "the QMP command query-machines was not found" in str(error)
    else:
        assert "microvm" in [each.name for each in infos]
