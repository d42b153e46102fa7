"""Facts of QEMU binaries: formats, names of features, properties; compared with the same QEMU, run."""

import os
from pathlib import Path

import pytest
from support.elf_builder import elf_object
from support.native_qemu import NativeQemu
from support.qemu import find_qemu

import vmdump
from vmdump.explain.explainer import CAUSE, FORMAT, WHERE, explain
from vmdump.explain.image import ImageFacts
from vmdump.explain.known_line import QEMU
from vmdump.explain.lines import known_lines
from vmdump.explain.pattern import Pattern
from vmdump.explain.pci_config import PciConfig, _config_of
from vmdump.explain.virtio_features import DEVICES, STANDARD, TRANSPORT, TRANSPORT_BITS

IMAGES = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))

#: A device of each kind whose features have properties, and arguments that it needs.
DEVICES_WITH_PROPERTIES = {
    "net": ("virtio-net-pci", []),
    "blk": ("virtio-blk-pci,drive=d", ["-blockdev", "null-co,node-name=d"]),
    "scsi": ("virtio-scsi-pci", []),
    "balloon": ("virtio-balloon-pci", []),
    "console": ("virtio-serial-pci", []),
}


@pytest.fixture(scope="module")
def qemu() -> str:
    """The installed QEMU."""
    return find_qemu("x86_64")


@pytest.fixture(scope="module")
def image(qemu: str) -> ImageFacts:
    """Its facts."""
    return ImageFacts(qemu, lambda: vmdump.open(qemu), machines=["pc-q35-7.2", "pc-i440fx-7.2"])


def names_of(path: str, options: str, arguments: list[str]) -> set[str]:
    """The names of the features that a running QEMU's device offers, without VIRTIO_*_F_."""
    with NativeQemu(path, "-M", "pc", *arguments, "-device", f"{options},id=x") as native:
        status = native.qmp("x-query-virtio-status", path="/machine/peripheral/x/virtio-backend")
    features = status["host-features"]
    texts = [*features.get("dev-features", ()), *features.get("transports", ())]
    return {text.partition(":")[0].rpartition("_F_")[2] for text in texts}


@pytest.mark.qemu
@pytest.mark.parametrize("device", DEVICES_WITH_PROPERTIES)
@pytest.mark.slow
def test_properties_against_qemu(qemu: str, image: ImageFacts, device: str) -> None:
    """Turning off each property of the table takes exactly the feature that the table says from the real device."""
    options, arguments = DEVICES_WITH_PROPERTIES[device]
    default = names_of(qemu, options, arguments)
    table = image.features.devices[device]
    assert {name for bit, (name, _) in table.items()} >= default - {name for name, _ in TRANSPORT.values()}
    checked = 0
    for name, prop in table.values():
        if (
            name not in default
            or not prop
            or prop in ("num-queues", "max_ports", "drive", "host_mtu", "failover", "speed")
        ):
            continue
        gone = default - names_of(qemu, f"{options},{prop}=off", arguments)
        # Without the control queue, the features that need it go too.
        assert name in gone if prop == "ctrl_vq" else gone == {name}, prop
        checked += 1
    assert checked >= {"net": 8, "blk": 3, "scsi": 2, "balloon": 0, "console": 1}[device]


@pytest.mark.qemu
def test_properties_are_there(qemu: str, image: ImageFacts) -> None:
    """Every property of the table is one of the real device's."""
    types = {
        "net": "virtio-net-device", "blk": "virtio-blk-device", "scsi": "virtio-scsi-device",
        "balloon": "virtio-balloon-device", "console": "virtio-serial-device", "gpu": "virtio-gpu-device",
        "mem": "virtio-mem",
    }  # fmt: skip
    with NativeQemu(qemu, "-M", "none") as native:
        for device, typename in types.items():
            known = {each["name"] for each in native.qmp("device-list-properties", typename=typename)}
            own = {prop for _, prop in image.features.devices[device].values() if prop}
            assert own <= known | {"virgl", "context_init", "t10_pi"}, device
            common = {prop for _, prop in image.features.transport.values() if prop}
            assert common - {"disable-modern"} <= known


@pytest.mark.qemu
def test_formats(image: ImageFacts) -> None:
    """A line of this QEMU is found as its own format, with the exported function that prints it."""
    (found,) = explain("Features 0x3 unsupported. Allowed features: 0x1", image)
    assert (found.format, found.function) == ("Features 0x%lx unsupported. Allowed features: 0x%lx", "virtio_load")
    (other,) = explain("virtio-blk failed to set host notifier (-12)", image)
    assert (other.kind, dict(other.arguments)) == (FORMAT, {"1": "-12"})
    (newer,) = explain("VQ 0 vring.num 1024 exceeds allocated max 8", image)
    assert newer.kind == CAUSE
    assert any("does not print this line" in text for _, text in newer.rows)


@pytest.mark.qemu
def test_types(image: ImageFacts) -> None:
    """Types behind a section, the encoding of a field, and machine types come from the binary."""
    log = "Failed to load PCIDevice:config\nerror while loading state for instance 0x0 of device '0000:00:02.0/e1000'"
    field, section = explain(log, image)
    assert any(text.startswith("pci config: ") for _, text in field.rows)
    (nested,) = explain("Failed to load e1000:parent_obj", image)
    assert ("encoding", "a struct, with the description PCIDevice") in nested.rows
    (version,) = explain("e1000: incoming version_id 9 is too new for local version_id 2", image)
    assert ("in the binary", "version 2, minimum 1") in version.rows
    (other,) = explain("e1000: incoming version_id 2 is too new for local version_id 1", image)
    assert any("accepts version 2: another QEMU printed the line" in text for _, text in other.rows)
    (blocked,) = explain("State blocked by non-migratable device '0000:00:05.0/nvme'", image)
    assert ("in the binary", "unmigratable") in blocked.rows
    (able,) = explain("State blocked by non-migratable device '0000:00:05.0/e1000'", image)
    assert any("can be migrated" in text for _, text in able.rows)
    (types,) = [text for label, text in section.rows if label == "types"]
    assert "e1000" in types.split(", ")
    (machine,) = explain("Machine type received is 'pc-q35-9.0' and local is 'pc-q35-7.2'", image)
    text = "qemu-system-x86_64 does not have the machine type pc-q35-9.0; it has pc-q35-7.2"
    assert ("in the binary", text) in machine.rows


@pytest.mark.qemu
@pytest.mark.parametrize("machine", [pytest.param("pc-q35-7.2", marks=pytest.mark.slow), "pc-q35-7.1"])
@pytest.mark.slow
def test_values_under_a_machine_type(qemu: str, machine: str) -> None:
    """With a machine type, the value of the property is the one that a real device has."""
    facts = ImageFacts(qemu, lambda: vmdump.open(qemu), machines=[machine], machine=machine)
    log = (
        "Features 0x10130afffa7 unsupported. Allowed features: 0x179bfffe7\n"
        "error while loading state for instance 0x0 of device '0000:00:02.0/virtio-net'"
    )
    with NativeQemu(qemu, "-M", machine, "-device", "virtio-net-pci,id=x") as native:
        real = native.qmp("qom-get", path="/machine/peripheral/x", property="queue_reset")
    (values,) = [text for each in explain(log, facts) for label, text in each.rows if label == "values"]
    assert values == f"queue_reset={'on' if real else 'off'}, emulated (-M {machine} -device virtio-net-pci)"
    assert real == (machine == "pc-q35-7.2")


@pytest.mark.qemu
@pytest.mark.slow
def test_rom(qemu: str, image: ImageFacts) -> None:
    """The ROM's file, and the size of its block in a real QEMU."""
    line = "Size mismatch: 0000:00:03.0/virtio-net-pci.rom: 0x80000 != 0x40000"
    (found,) = explain(line, image)
    (text,) = [text for label, text in found.rows if label == "file"]
    with NativeQemu(qemu, "-M", "pc", "-device", "virtio-net-pci") as native:
        blocks = native.qmp("x-query-ramblock")["human-readable-text"]
    (size,) = [int(row.split()[-1], 16) for row in blocks.splitlines() if "virtio-net-pci.rom" in row]
    assert "efi-virtio.rom: " in text
    assert f"{size >> 10} KiB in this system" in text


def test_names() -> None:
    """Machine types of the same family are listed in the order of versions."""
    machines = ["pc-q35-10.0", "pc-q35-9.2", "pc-i440fx-9.2", "none", "q35x"]
    facts = ImageFacts("/x/qemu", lambda: vmdump.open(None), machines=machines)
    assert facts.machines_like("pc-q35-2.12") == ["pc-q35-9.2", "pc-q35-10.0"]
    assert facts.machines_like("pc-i440fx-wily") == ["pc-i440fx-9.2"]
    assert facts.machines_like("q35") == ["q35x"]
    assert facts.names_like("0000:00:02.0/e1001") == ["e1000"]


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("line", "device", "words"),
    [
        # RHBZ 2155749, with this very QEMU as destination.
        ("i=0x34 read: 84 device: 98 cmask: ff wmask: 0 w1cmask:0", "0000:00:03.0/virtio-rng",
         "source 0x84 (Vendor-Specific), destination 0x98 (MSI-X)"),
        # qemu-devel 2023-05.
        ("i=0x10a read: 40 device: 0 cmask: ff wmask: 0 w1cmask:0", "0000:00:02.0/e1000e",
         "Advanced Error Reporting (AER) at 0x100: Uncorrectable Error Mask, byte 2"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_pci_config(image: ImageFacts, line: str, device: str, words: str) -> None:
    """The capabilities of the emulated device name the register of a report."""
    log = f"Bad config data: {line}\nerror while loading state for instance 0x0 of device '{device}'"
    rows = [text for each in explain(log, image) for _, text in each.rows]
    assert any(words in text for text in rows)
    # QEMU 7.2 has no x-pcie-err-unc-mask, which is what the report was about.
    assert any("lacks: x-pcie-err-unc-mask" in text for text in rows) == ("e1000e" in device)


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("options", "section", "path"),
    [
        ("e1000e", "e1000e", "0000:00:02.0"),
        pytest.param("virtio-net-pci", "virtio-net", "0000:00:02.0", marks=pytest.mark.slow),
        pytest.param("virtio-net-pci", "virtio-net", "0000:00:02.0:00.0", marks=pytest.mark.slow),
    ],
)
def test_pci_config_against_qemu(
    qemu: str, image: ImageFacts, options: str, section: str, path: str, tmp_path: Path
) -> None:
    """The configuration space is the one in a real QEMU's stream, on the root bus and behind a port."""
    emulated = image.pci_config(f"{path}/{section}", 0x100)
    assert emulated.data is not None, emulated.origin
    port = ["-device", "pcie-root-port,id=p,chassis=1"] if path.count(":") > 2 else []
    bus = ",bus=p" if port else ""
    with NativeQemu(qemu, "-M", "q35", *port, "-device", options + bus) as native:
        assert _config_of(native.save(tmp_path / "stream"), section) == emulated.data


def test_few_devices_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that names hundreds of devices starts eight of them, each once."""
    started = []

    def read_config(binary: object, section: str, *_: object, **__: object) -> PciConfig:
        started.append(section)
        return PciConfig(None, "not here")

    monkeypatch.setattr("vmdump.explain.pci_config.read_config", read_config)
    facts = ImageFacts("/x/qemu", lambda: vmdump.open(None))
    texts = [facts.pci_config(f"0000:00:{number:02x}.0/e1000", 0x40).origin for number in range(200)] * 2
    assert len(started) == 8
    assert texts[7] == "not here"
    assert "only 8 devices" in texts[8]


def test_binary_without_facts(tmp_path: Path) -> None:
    """An ELF object that has none of what is looked for gives the standards' names, and no formats."""
    path = tmp_path / "qemu"
    path.write_bytes(elf_object())
    facts = ImageFacts(str(path), lambda: vmdump.open(None))
    assert facts.features.devices["net"][54] == ("GUEST_USO4", "")
    (found,) = explain("Features 0x3 unsupported. Allowed features: 0x1", facts)
    assert found.format is None
    assert any("does not print this line" in text for _, text in found.rows)


# Binaries of all versions ------------------------------------------------------------------------------------------


def binaries() -> list[Path]:
    """One binary of each release: 5.2, 7.2, 10.0, 11.1; hosts x86-64 and AArch64."""
    return sorted(IMAGES.glob("roots/*/usr/bin/qemu-system-x86_64"))


@pytest.mark.parametrize("path", binaries(), ids=str)
def test_tables_agree(path: Path) -> None:
    """The built-in names and properties are those of each binary, where it has any."""
    features = ImageFacts(str(path), lambda: vmdump.open(path)).features
    is_old = "bullseye" in str(path)  # 5.2 has no names, which 7.1 introduced
    for device, table in (("", features.transport), *features.devices.items()):
        standard = TRANSPORT if device == "" else DEVICES[device]
        for bit, (name, prop) in table.items():
            wanted = standard.get(bit, ("", ""))
            assert name in (wanted[0], {"PERSISTENT_SUSPEND": "PERSISTENT_SUSPND"}.get(wanted[0]),
                            {"ZERO_LENGTH_REQUEST": "ZERO_LEGNTH_REQUEST"}.get(wanted[0])), (device, bit)  # fmt: skip
            assert prop in ("", wanted[1]), (device, bit)
    assert features.devices["net"][0] == ("CSUM", "csum")
    assert features.devices["net"][54][1] == ("" if is_old or "bookworm" in str(path) else "guest_uso4")


def test_own_tables() -> None:
    """Bits of the transport are in no device's table, and the other way round."""
    assert set(TRANSPORT) <= set(TRANSPORT_BITS)
    assert not any(bit in TRANSPORT_BITS for table in DEVICES.values() for bit in table)
    assert STANDARD.feature("net", 28).property == "indirect_desc"
    assert STANDARD.feature(None, 56).name == ""


#: Lines of other targets (s390x, ppc64, Arm boards) and of older releases, and those that QEMU composes.
NOT_IN_BINARIES = {
    "accelerator", "audio_driver", "blocked_confidential", "cpu_feature_missing", "device_not_dynamic",
    "device_not_pluggable", "efuse", "firmware_missing", "guest_clock", "image_missing", "interrupt_mode",
    "memory_hotplug", "nand_block", "nic_peer", "property_missing", "pseries_higher", "pseries_lower", "pseries_pvr",
    "ram_size", "ram_too_large", "register_missing", "register_unknown", "s390_devno", "timer_period",
}  # fmt: skip


@pytest.mark.skipif(len(binaries()) < 4, reason="needs VMDUMP_IMAGES with all releases")
def test_templates_are_formats() -> None:
    """Each template has the text of a format in some release; those that none has are known."""
    images = [ImageFacts(str(path), lambda: vmdump.open(None)) for path in binaries() if "amd64" in str(path)]
    missing = {
        each.key for each in known_lines() if each.printed_by == QEMU
        for template in each.templates if not any(image.prints([Pattern.of_template(template)]) for image in images)
    }  # fmt: skip
    assert missing == NOT_IN_BINARIES


@pytest.mark.slow
@pytest.mark.skipif(not (IMAGES / "roots/bullseye-amd64").exists(), reason="needs QEMU 5.2 in VMDUMP_IMAGES")
def test_defects() -> None:
    """The misspelt subsection of virtio-balloon, for which QEMU 5.2 itself prints the line, is named."""
    path = IMAGES / "roots/bullseye-amd64/usr/bin/qemu-system-x86_64"
    image = ImageFacts(str(path), lambda: vmdump.open(path))
    (found,) = explain("Missing section footer for 0000:00:02.0/virtio-balloon", image)
    assert any(label == "defect" and "[subsection-prefix]" in text for label, text in found.rows)
    (other,) = explain("Missing section footer for 0000:00:02.0/virtio-scsi", image)
    assert all(label != "defect" for label, _ in other.rows)


@pytest.mark.slow
@pytest.mark.parametrize("path", binaries(), ids=str)
def test_lines_of_each_version(path: Path) -> None:
    """With any binary, lines are explained; the name of the function is optional."""
    image = ImageFacts(str(path), lambda: vmdump.open(path))
    for line in ("Missing section footer for cpu", "Features 0x3 unsupported. Allowed features: 0x1"):
        (found,) = explain(line, image)
        assert found.kind in (CAUSE, WHERE)
        assert found.format is not None
