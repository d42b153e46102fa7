"""Lines of real QEMUs are explained; others get the nearest one; hostile ones cost little."""

import re
import time
from collections import defaultdict

import pytest
from support.paths import DATA

from vmdump.explain.explainer import CAUSE, MAX_EXPLANATIONS, NEAREST, NOTE, UNKNOWN, WHERE, Explanation, explain, find
from vmdump.explain.lines import known_lines
from vmdump.explain.log_text import MAX_LINE
from vmdump.explain.pattern import Pattern

#: One line of each form that QEMU 5.2, 7.2, 10.0 and 11.1 printed in 7,000 migrations of 20 targets.
RECORDED = (DATA / "error_lines.txt").read_text().splitlines()

#: Lines of public reports (qemu-devel, bug trackers, vendors' articles), and a text that the explanation must contain.
REPORTED = [
    ("Features 0x1c0010130afffaf unsupported. Allowed features: 0x10179bfffef", "bit 54: GUEST_USO4"),
    ("kvm: Features 0x1c0010130afffa7 unsupported. Allowed features: 0x10179bfffe7", "property guest_uso6"),
    ("qemu-8.2: Features 0x10130afffa7 unsupported. Allowed features: 0x179bfffe7", "RING_RESET; property queue_reset"),
    ("Features 0x130000002 unsupported. Allowed features: 0x179000000\n"
     "Failed to load virtio-vhost_vsock:virtio", "bit 1: SEQPACKET; property seqpacket"),
    ("error while loading state for instance 0x0 of device '0000:00:02.0:00.0/virtio-net'", "virtio-net"),
    ("Missing section footer for 0000:00:01.3/piix4_pm", "0000:00:01.3/piix4_pm"),
    ("Unknown savevm section or instance 's390_css' 0", "channel subsystem"),
    ("Unknown savevm section or instance 'kvmclock' 0", "not with TCG"),
    ("virtio-gpu-scanouts: incoming version_id 2 is too new for local version_id 1", "up to version 1"),
    ("Size mismatch: 0000:00:03.0/virtio-net-pci.rom: 0x80000 != 0x40000", "source 512 KiB, destination 256 KiB"),
    ("Failed to load cpu:cpreg_vmstate_array_len", "system registers"),
    ("Invalid value 236 expecting positive value <= 162\nFailed to load cpu:cpreg_vmstate_array_len",
     "236 system registers"),
    ("get_pci_config_device: Bad config data: i=0x10a read: 40 device: 0 cmask: ff wmask: 0 w1cmask:0",
     "Uncorrectable Error Mask"),
    ("get_pci_config_device: Bad config data: i=0x10a read: 40 device: 0 cmask: ff wmask: 0 w1cmask:0",
     "x-pcie-err-unc-mask"),
    ("get_pci_config_device: Bad config data: i=0x34 read: 84 device: 98 cmask: ff wmask: 0 w1cmask:0",
     "Capabilities Pointer"),
    ("Failed to load PCIDevice:config", "can't change"),
    ('Unknown ramblock "0000:00:04.0:01.0/e1000.rom", cannot accept migration', "option ROM"),
    ("Failed to load virtio-gpu:virtio", "refused by its load function"),
    ("Machine type received is 'virt-6.2' and local is 'virt-7.1'", "the same family; the source's type is older"),
    ("savevm: unsupported version 1 for 'arm_gicv3_its' v0", "up to version 0"),
    ("VQ 0 vring.num 1024 exceeds allocated max 8", "QEMU 11.1 checks"),
    ("operation failed: guest CPU doesn't match specification: extra features: ht", "ht"),
    ("guest CPU doesn't match specification: missing features: waitpkg", "waitpkg"),
    ('unsupported machine type: "pc-i440fx-wily"', "vendor"),
    ("qemu-system-x86_64: load of migration failed: Invalid argument", "does not fit"),
]  # fmt: skip


def text_of(explanations: list[Explanation]) -> str:
    """All texts."""
    rows = (f"{label}: {value}" for each in explanations for label, value in each.rows)
    return "\n".join([*(f"{each.what}\n{each.remedy}" for each in explanations), *rows])


@pytest.mark.parametrize("line", RECORDED)
def test_recorded(line: str) -> None:
    """Each line that occurred in recorded migrations is known, not only near to a known one."""
    assert all(each.kind in (CAUSE, WHERE, NOTE) and each.what for each in explain(line))


@pytest.mark.parametrize(("line", "words"), REPORTED)
def test_reported(line: str, words: str) -> None:
    """Each line of a public report is known, and its values are explained."""
    found = explain(line)
    assert {each.kind for each in found} <= {CAUSE, WHERE}
    assert words in text_of(found)


@pytest.mark.parametrize(
    "line",
    [
        "2025-09-23T07:06:14.915843Z qemu-8.2: %s",
        "2023-05-01 10:11:12.123+0000: 4711: error : qemuProcessReportLogError:2051 : internal error: %s",
        "Sep 23 07:06:14 host1 libvirtd[991]: %s",
        "\x1b[31m[   12.5] /usr/bin/qemu-system-x86_64: %s\x1b[0m",
        "qemu-system-x86_64: -incoming tcp:0:4444: %s",
    ],
)
def test_prefixes(line: str) -> None:
    """Times, levels, programs and colours in front of the message do not matter."""
    message = "e1000: incoming version_id 9 is too new for local version_id 2"
    (found,) = explain(line % message)
    assert (found.key, dict(found.arguments)) == (
        "version_too_new", {"description": "e1000", "version": "9", "local": "2"}
    )  # fmt: skip


NEAR_MISSES = [
    ("Missing section footers for x", "missing_footer"),
    ("Features 0xg unsupported. Allowed features: 0x1", "virtio_features"),
    ("Features 0x1 unsupported. Allowed: 0x1", "virtio_features"),
    ("Size mismatch: pc.ram: 10 != 20", "ram_size"),
    ("Invalid value -x expecting positive value <= 2", "length"),
    ("Unknown savevm section or instance 'x'", "unknown_section"),
    ("Unknown ramblock x, cannot accept migration", "ram_unknown"),
    ("Bad config data: i=10a", "pci_config"),
    ("VQ x vring.num 1024 exceeds allocated max 8", "virtio_ring_size"),
]


@pytest.mark.parametrize(("line", "key"), NEAR_MISSES)
def test_near_misses(line: str, key: str) -> None:
    """A line that is nearly a known one is not taken for it, and is called the nearest."""
    assert key not in [each.key for each, _ in find(line)]
    assert {each.kind for each in explain(line)} <= {NEAREST, UNKNOWN}


@pytest.mark.parametrize("line", ["", " ", "\n\n", "hello", "1", "!=", ": ", "'", "{}", "%s%s%n"])
def test_no_lines(line: str) -> None:
    """Text that is no line of QEMU is not explained."""
    assert all(each.kind == UNKNOWN for each in explain(line))


def test_not_equal() -> None:
    """The line of values that must be equal has little text, so it must be a whole message."""
    assert [each.key for each in explain("qemu-system-x86_64: 9 != 8")] == ["not_equal"]
    assert find("the numbers 9 != 8 differ") == []


def test_chain() -> None:
    """A line of QEMU 11.1 has the places where it happened, then the cause."""
    line = (
        "qemu-system-x86_64: load of migration failed: Invalid argument: error while loading state for instance 0x0 of "
        "device '0000:00:02.0/e1000': Loading VM subsection 'e1000/full_mac_state' in 'e1000' failed: "
        "e1000/full_mac_state: incoming version_id 9 is too new for local version_id 1"
    )
    found = explain(line)
    assert [(each.key, each.kind) for each in found] == [
        ("load_of_migration_failed", WHERE), ("load_failed", WHERE), ("subsection_failed", WHERE),
        ("version_too_new", CAUSE),
    ]  # fmt: skip
    assert dict(found[-1].arguments)["description"] == "e1000/full_mac_state"


def test_context() -> None:
    """Later lines of one failure name the device of the cause; those of the next failure do not."""
    log = """
    Features 0x3 unsupported. Allowed features: 0x1
    Failed to load virtio-balloon:virtio
    error while loading state for instance 0x0 of device '0000:00:05.0/virtio-balloon'
    load of migration failed: Operation not permitted
    Features 0x6 unsupported. Allowed features: 0x4
    error while loading state for instance 0x0 of device '0000:00:06.0/virtio-scsi'
    """
    first, *_, second, _ = explain(log)
    assert ("device", "virtio-balloon") in first.rows
    assert ("refused", "bit 1: STATS_VQ; no property") in first.rows
    assert ("device", "virtio-scsi") in second.rows
    assert ("refused", "bit 1: HOTPLUG; property hotplug") in second.rows


def test_no_cause() -> None:
    """Where no line says why, as in 181 recorded migrations of Arm machines, the usual cause is named."""
    log = (
        "error while loading state for instance 0x0 of device 'cpu'\nload of migration failed: Operation not permitted"
    )
    assert any("system registers" in text for _, text in explain(log)[0].rows)
    with_cause = explain(f"Invalid value 275 expecting positive value <= 258\n{log}")
    assert not any(label in ("cause", "usual cause") for each in with_cause[1:] for label, _ in each.rows)


def test_repeated_lines() -> None:
    """A line that a log repeats is explained once, and the number of explanations is limited."""
    assert len(explain("Missing section footer for x\n" * 1000)) == 1
    many = "\n".join(f"Missing section footer for x{number}" for number in range(1000))
    assert len(explain(many)) == MAX_EXPLANATIONS
    log = "\n".join(f"an unrelated message, number {number}" for number in range(1000))
    assert explain(f"{log}\nMissing section footer for x")[-1].key == "missing_footer"


HUGE = "9" * 100_000
HOSTILE = [
    f"Features 0x{'f' * 40} unsupported. Allowed features: 0x0",
    f"Features 0x{'f' * 100_000} unsupported. Allowed features: 0x{'f' * 100_000}",
    f"Invalid value {HUGE} expecting positive value <= {HUGE}",
    f"Bad config data: i=0x{'f' * 39} read: 0 device: 0 cmask: 0 wmask: 0 w1cmask:0",
    "Missing section footer for \u202egpj.exe\u2066",
    "Missing section footer for " + "a" * 1_000_000,
    "Failed to load " * 100_000,
    ": incoming version_id " * 100_000,
    "'" * 1_000_000,
    "\0" * 1000 + "Missing section footer for x",
    "\n".join("error while loading state for instance 0x" + "0" * n for n in range(1, 2000)),
    "Machine type received is '" + "a-" * 2000 + "1.2' and local is 'b'",
    "Machine type received is 'x-" + "9" * 500 + ".1' and local is 'x-1." + "9" * 500 + "'",
    'Unknown ramblock "' + "/" * 4000 + '", cannot accept migration',
    "\x1b[" + "0;" * 100_000 + "mMissing section footer for x",
    "qemu: " * 100_000,
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile(line: str) -> None:
    """Long lines, huge numbers and control characters cost neither time nor an exception."""
    begin = time.process_time()
    found = explain(line)
    assert time.process_time() - begin < 5
    assert len(found) <= 2 * MAX_EXPLANATIONS
    assert all(len(each.line) <= MAX_LINE for each in found)
    assert all(len(value) < 10_000 for each in found for _, value in each.rows)


def test_wide_masks() -> None:
    """QEMU 11.1 prints 128 bits."""
    line = "Features 0x00000000000000020000000100000000 unsupported. Allowed features: 0x" + "0" * 15 + "0" + "0" * 16
    (found,) = explain(f"{line}\nerror while loading state for instance 0x0 of device '0000:00:02.0/virtio-net'")[:1]
    assert any("bit 65: GUEST_UDP_TUNNEL_GSO" in text for _, text in found.rows)


def test_table() -> None:
    """Keys are unique; texts use arguments that every template has; each names its source."""
    keys = [each.key for each in known_lines()]
    assert len(keys) == len(set(keys))
    for each in known_lines():
        names = [{name for name, _ in Pattern.of_template(template).arguments} for template in each.templates]
        used = set(re.findall(r"\{(\w+)\}", each.what))
        optional = {"accelerator", "module_missing"}
        assert each.source
        assert (
            each.what[0].islower()
            or each.what.startswith(("QEMU", "RDMA", "KVM", "Arm", "CPU", "COLO"))
            or "{" in each.what[:2]
        )
        assert each.key in optional or all(used <= given for given in names), each.key
        each.what.format_map(defaultdict(str))


@pytest.mark.parametrize("line", known_lines(), ids=lambda each: each.key)
def test_own_templates(line: object) -> None:
    """Each template, with values, is found as its own line."""
    for template in line.templates:  # type: ignore[attr-defined]
        text = re.sub(
            r"\{(\w+)(?::(\w+))?\}", lambda each: {"d": "7", "x": "1f", "line": "a b"}.get(each[2], "v"), template
        )
        assert line.key in [each.key for each, _ in find(text)], text  # type: ignore[attr-defined]
        assert all(each.kind in (CAUSE, WHERE, NOTE) for each in explain(text))
