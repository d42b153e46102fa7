"""Evaluation of Debian's 7.2 and 10.0, compared with real migrations (tests/data/migrations)."""

import os
from pathlib import Path

import pytest

from vmdump.check.checker import Labelled, check
from vmdump.check.evaluated.evaluation import ImageOfMachine, image_of
from vmdump.check.evaluated.evaluations import Evaluations
from vmdump.check.evaluated.uninitialised import Uninitialised, find_uninitialised
from vmdump.check.results import CheckResult, TypeResult
from vmdump.sources.image_cache import open_image

pytestmark = pytest.mark.slow

FORWARD, BACKWARD = "7.2 -> 10.0", "10.0 -> 7.2"


def image(version: str, target: str) -> str:
    """Path of a binary below $VMDUMP_IMAGES."""
    path = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"), version, "usr/bin", f"qemu-system-{target}")
    if not path.exists():
        pytest.skip("no images: $VMDUMP_IMAGES says where they are")
    return str(path)


@pytest.fixture(scope="module", params=["pc-q35-7.2", "pc-i440fx-7.2"])
def result(request: pytest.FixtureRequest) -> CheckResult:
    """Both directions under one machine type."""
    dumps = [open_image(image(version, "x86_64")).dump(request.param) for version in ("7.2.22", "10.0.13")]
    evaluations = Evaluations([image_of(each, None, None) for each in dumps], print)
    labelled = [Labelled(label, each) for label, each in zip(("7.2", "10.0"), dumps, strict=True)]
    return check(labelled, evaluations=evaluations)


def types(result: CheckResult, direction: str, verdict: str) -> set[str]:
    """The types with a verdict."""
    return {each.type for each in result.results[direction] if each.verdict == verdict}


def of(result: CheckResult, direction: str, type_: str) -> TypeResult:
    """The result of a type."""
    return next(each for each in result.results[direction] if each.type == type_)


def test_forward(result: CheckResult) -> None:
    """Nothing depends on conditions: the tests of e1000e, virtio-mem and virtio-gpu read properties alone."""
    assert types(result, FORWARD, "conditional") == set()
    machine = of(result, FORWARD, "e1000e").findings[-1].message.split()[1]
    assert [
        each.message for each in of(result, FORWARD, "e1000e").findings if each.rule == "decided-by-configuration"
    ] == [f"under {machine} the destination's test of core.timadj returns false, reads only migrate-timadj = off"]
    for direction in (FORWARD, BACKWARD):
        for type_, reads in (
            ("e1000e", "migrate-timadj = off"),
            ("virtio-mem", "x-early-migration = off"),
            ("virtio-gpu-device", "x-scanout-vmstate-version = 1"),
        ):
            found = of(result, direction, type_)
            assert found.verdict == "safe"
            assert any(each.message.endswith(f"reads only {reads}") for each in found.findings)


def test_code(result: CheckResult) -> None:
    """Code that saves and loads fields is compared, but for queues that are empty at reset."""
    for type_ in ("e1000e", "nec-usb-xhci", "virtio-net-device", "virtio-rng-device"):
        assert any(each.rule == "code-compared" for each in of(result, FORWARD, type_).findings), type_
    assert of(result, FORWARD, "scsi-hd").verdict == "unknown"
    assert any(each.rule == "hook-always-loads" for each in of(result, FORWARD, "rtl8139").findings)


def test_virtio_ring_size() -> None:
    """QEMU 11.1 refuses queues of 1024 entries, which 10.0 sends for all that are not set up."""
    roots = (
        Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"), "roots", each) for each in ("trixie-amd64", "forky-amd64")
    )
    binaries = [root / "usr/bin/qemu-system-x86_64" for root in roots]
    if not all(each.exists() for each in binaries):
        pytest.skip("no images: $VMDUMP_IMAGES says where they are")
    dumps = [open_image(str(each)).dump("pc-q35-10.0") for each in binaries]
    evaluations = Evaluations([image_of(each, None, None) for each in dumps], print)
    labelled = [Labelled(label, each) for label, each in zip(("10.0", "11.1"), dumps, strict=True)]
    found = check(labelled, directions=[(0, 1)], types=["virtio-rng-device"], evaluations=evaluations)
    (each,) = found.results["10.0 -> 11.1"]
    assert (each.verdict, each.findings[-1].rule) == ("breaks", "reset-state-refused")
    assert "VQ 0 vring.num 1024 exceeds allocated max 8" in str(each.findings[-1].error)


def test_backward(result: CheckResult) -> None:
    """What remains conditional reads state, or is not in such a VM; each finding says which."""
    assert types(result, BACKWARD, "conditional") == {
        "acpi-ged", "sd-card", "sd-card-spi", "sdmmc-common", "kvm-i8259", "pic-common", "isa-i8259",
        "virtio-net-device", "cpu", "VFIOPCIDevice",
    }  # fmt: skip
    for type_ in ("isa-i8259", "virtio-net-device", "sd-card", "cpu"):
        for each in of(result, BACKWARD, type_).findings:
            if each.verdict == "conditional":
                assert each.note is not None
                assert "not at reset" in each.note
    note = of(result, BACKWARD, "cpu").findings[0].note
    assert note is not None
    assert note.endswith("it depends on the accelerator and the host (variable xen_mode)")
    note = of(result, BACKWARD, "isa-i8259").findings[0].note
    assert note is not None
    assert note.endswith("it reads ltim, which is migrated")


def test_board(result: CheckResult) -> None:
    """Every VM's sections and RAM blocks load in both directions, as all real migrations of these types do."""
    for direction, results in result.results.items():
        found = results[-1]
        assert found.type.startswith("pc-")
        assert {each.verdict for each in found.findings} <= {"unknown"}, direction
        assert any(each.rule == "property-differs" for each in found.findings)


def test_uninitialised_memory() -> None:
    """QEMU 10.0's imx.serial sends the elements of a FIFO that was never filled."""
    found = find_uninitialised(ImageOfMachine(image("10.0.13", "aarch64"), "imx25-pdk"))
    assert set(found) == {Uninitialised("imx.serial", 128, 184, ("rx_fifo.fifo.data",))}
