"""Evaluation in VMs of a real QEMU 7.2, compared with what a running one sends."""

from pathlib import Path

import pytest
from support.native_qemu import NativeQemu, ram_blocks, vmdescription
from support.qemu import find_qemu

from vmdump.check.evaluated.answers import Answer, Answers, Wanted
from vmdump.check.evaluated.board import Board
from vmdump.check.evaluated.evaluate import Evaluator
from vmdump.check.evaluated.evaluation import Evaluation, ImageOfMachine
from vmdump.check.evaluated.memory import Memory
from vmdump.check.evaluated.uninitialised import find_uninitialised
from vmdump.emulator.template import boot_template

pytestmark = pytest.mark.qemu

MACHINE = "pc-q35-7.2"
DEVICES = ("virtio-gpu-pci,id=g", "virtio-net-pci,id=n")


@pytest.fixture(scope="module")
def answers() -> dict[str, Answers]:
    """The answers for all sections of a VM, by device type or description."""
    template = boot_template(find_qemu("x86_64"), ["-M", MACHINE, "-accel", "tcg"])
    evaluator = Evaluator(template, MACHINE)
    with template.boot(*DEVICES) as machine:
        memory = Memory(machine, machine.objects)
        wanted = set()
        for handler in evaluator.handlers():
            if handler.vmsd:
                instance = memory.at(handler.opaque)
                wanted.add(Wanted(instance.type if instance else None, evaluator.descriptions.name(handler.vmsd)))
        found = evaluator.evaluate(machine, sorted(wanted, key=repr))
    return {each.type or each.description: answers for each, answers in found.items()}


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a running QEMU with the same devices sends."""
    arguments = [each for device in DEVICES for each in ("-device", device)]
    with NativeQemu(find_qemu("x86_64"), "-M", MACHINE, "-accel", "tcg", *arguments) as native:
        return native.save(tmp_path_factory.mktemp("native") / "stream")


def is_sent(subsection: str, stream: bytes) -> bool:
    """Whether a stream has a subsection: QEMU_VM_SUBSECTION, the length of the name, the name."""
    return b"\5" + bytes([len(subsection)]) + subsection.encode() in stream


@pytest.mark.slow
def test_needed_is_the_real_one(answers: dict[str, Answers], stream: bytes) -> None:
    """A running QEMU sends exactly the subsections whose needed() returned true."""
    found: dict[str, set[int]] = {}
    for each in answers.values():
        for (description, field, _), answer in each.to_plain().found:
            if not field and "/" in description:  # else a section's own
                found.setdefault(description, set()).add(answer.value)
    assert len(found) > 60
    assert {name for name, values in found.items() if (1 in values) != is_sent(name, stream)} == set()


def test_definite(answers: dict[str, Answers]) -> None:
    """needed() functions that read a property alone, by the source of QEMU 7.2, and those that read state."""
    expected = {
        ("fw_cfg_io", "fw_cfg/dma"): Answer(1, ("dma_enabled = on",)),  # hw/nvram/fw_cfg.c fw_cfg_dma_enabled
        ("isa-pcspk", "pcspk"): Answer(1, ("migrate = on",)),  # hw/audio/pcspk.c migrate_needed
        ("i8042", "pckbd/extended_state"): Answer(1, ("extended-state = on",)),  # hw/input/pckbd.c
        ("virtio-gpu-device", "virtio_pci/modern_state"): Answer(1, ("disable-modern = off",)),
    }
    for (type_, description), answer in expected.items():
        assert answers[type_].get((description, "", 0)) == answer
    for type_, description in (
        ("virtio-net-device", "virtio/broken"),  # vdev->broken
        ("virtio-net-device", "virtio/virtqueues"),  # VIRTIO_F_VERSION_1 is no property
        ("ICH9-LPC", "ICH9LPC/rst_cnt"),
        ("qemu64-x86_64-cpu", "cpu/pkru"),
        ("qemu64-x86_64-cpu", "cpu/svm_guest"),  # tcg_enabled()
        ("qemu64-x86_64-cpu", "cpu/mcg_ext_ctl"),  # cpu->enable_lmce, which -cpu host switches on
    ):
        answer = answers[type_].get((description, "", 0))
        assert answer is not None
        assert not answer.is_definite, description


@pytest.mark.parametrize("machine", ["pc-i440fx-7.2", pytest.param("pc-i440fx-2.11", marks=pytest.mark.slow)])
def test_compat_properties_decide(machine: str, tmp_path: Path) -> None:
    """PIIX4_PM sends the fields whose tests are true, which compat properties and the machine's class decide."""
    wanted = Wanted("PIIX4_PM", "piix4_pm")
    answers = Evaluation(ImageOfMachine(find_qemu("x86_64"), machine), print).evaluate([wanted])[wanted]
    assert isinstance(answers, Answers)
    with NativeQemu(find_qemu("x86_64"), "-M", f"{machine},suppress-vmdesc=off", "-accel", "tcg") as native:
        devices = vmdescription(native.save(tmp_path / "stream"))["devices"]
    (description,) = (each for each in devices if each["name"].endswith("/piix4_pm"))
    sent = {field["name"] for field in description["fields"]}
    for field, configuration in (
        ("acpi_pci_hotplug.hotplug_select", ["acpi-pci-hotplug-with-bridge-support"]),
        ("acpi_pci_hotplug.acpi_index", ["acpi-pci-hotplug-with-bridge-support", "x-not-migrate-acpi-index"]),
        ("smb", [f"the class of {machine}-machine"]),
    ):
        answer = answers.get(("piix4_pm", field, 0))
        assert answer is not None
        assert answer.is_definite
        assert [each.partition(" = ")[0] for each in answer.configuration] == configuration
        assert bool(answer.value) == (field in sent)


def test_version_tests_are_not_definite(answers: dict[str, Answers]) -> None:
    """A test of the version alone depends on the stream: hw/nvram/fw_cfg.c is_version_1."""
    answer = answers["fw_cfg_io"].get(("fw_cfg", "cur_offset", 0))
    assert answer == Answer(0, (), "it depends on the version of the section")


def test_board(tmp_path: Path) -> None:
    """Sections and RAM blocks of the board are those of a running QEMU; properties are the effective ones."""
    board = Evaluation(ImageOfMachine(find_qemu("x86_64"), MACHINE), print).board()
    assert isinstance(board, Board)
    with NativeQemu(find_qemu("x86_64"), "-M", MACHINE, "-accel", "tcg") as native:
        stream = native.save(tmp_path / "stream")
    names = [(each["name"], each["instance_id"]) for each in vmdescription(stream)["devices"]]
    assert [(each.idstr, each.instance) for each in board.sections if (each.idstr, each.instance) in names] == names
    assert [(each.name, each.size) for each in board.blocks] == ram_blocks(stream)
    assert board.properties["fw_cfg_io.dma_enabled"] == 1
    assert board.cpu == "qemu64-x86_64-cpu"
    assert board.features["CPUID 0x1 EDX"] & 1


@pytest.mark.slow
def test_devices_are_added_on_demand() -> None:
    """Devices that the board lacks are booted with backends, controllers and containers as far as they need any."""
    evaluation = Evaluation(ImageOfMachine(find_qemu("x86_64"), MACHINE), print)
    wanted = [Wanted("virtio-mem", "virtio-mem"), Wanted("sd-card", "sd-card"), Wanted("no-such-type", "x")]
    found = evaluation.evaluate(wanted)
    assert all(isinstance(found[each], Answers) for each in wanted[:2])
    assert found[wanted[2]] == "not evaluated: no VM has a device of this type itself, which is abstract or unknown"


def test_failures_are_one_line() -> None:
    """A VM that can't be booted is reported once, and nothing is concluded."""
    reported: list[object] = []
    evaluation = Evaluation(ImageOfMachine(find_qemu("x86_64"), "no-such-machine"), reported.append)
    wanted = Wanted("e1000e", "e1000e")
    assert evaluation.evaluate([wanted]) == {wanted: "not evaluated: no VM of type no-such-machine could be booted"}
    assert evaluation.board() is None
    (line,) = map(str, reported)
    assert "unsupported machine type" in line
    assert "\n" not in line


def test_devices_take_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the time is up, no further devices are booted; what the board has is evaluated all the same."""
    monkeypatch.setattr("vmdump.check.evaluated.evaluation._SECONDS", 0.0)
    evaluation = Evaluation(ImageOfMachine(find_qemu("x86_64"), MACHINE), print)
    wanted = [Wanted("isa-i8259", "i8259"), Wanted("e1000e", "e1000e")]
    found = evaluation.evaluate(wanted)
    assert isinstance(found[wanted[0]], Answers)
    assert found[wanted[1]] == "not evaluated: 0 seconds were not enough; allow more with --timeout"


def test_time_limit() -> None:
    """A machine that takes longer than the limit is reported on one line, too."""
    reported: list[object] = []
    image = ImageOfMachine(find_qemu("x86_64"), MACHINE)
    evaluation = Evaluation(image, reported.append, timeout=0.05)
    wanted = Wanted("isa-i8259", "i8259")
    assert evaluation.evaluate([wanted]) == {wanted: f"not evaluated: no VM of type {MACHINE} could be booted"}
    (line,) = map(str, reported)
    assert "was not read within 0.05 seconds; allow more with --timeout; what a VM of" in line


def test_resizing_is_the_destinations_answer() -> None:
    """The destination's own code accepts or refuses the size of a RAM block."""
    evaluation = Evaluation(ImageOfMachine(find_qemu("x86_64"), MACHINE), print)
    assert evaluation.accepts("pc.bios", 262144) is None
    refusal = evaluation.accepts("pc.bios", 131072)
    assert refusal is not None
    assert "pc.bios: 0x20000" in refusal


@pytest.mark.slow
@pytest.mark.parametrize(("target", "machine", "expected"), [("x86_64", MACHINE, []), ("aarch64", "imx25-pdk", [])])
def test_initialised_memory(target: str, machine: str, expected: list[str]) -> None:
    """QEMU 7.2's boards send nothing uninitialised: imx.serial has its Fifo32 since 8.1."""
    assert [each.section for each in find_uninitialised(ImageOfMachine(find_qemu(target), machine))] == expected
