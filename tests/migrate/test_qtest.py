"""Scripts of qtest before a save: the same commands in a real QEMU leave the same state."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.commands import run, run_failing
from support.machine_pair import Pair
from support.native_qemu import qtest_arguments, sections
from support.qemu import find_qemu
from support.releases import pair, root_words
from support.stream_comparison import FIXED_CLOCK

from vmdump.migrate.qtest_script import parse_script

pytestmark = pytest.mark.qemu

#: The device at 00:02.0 of a pc: BAR 0 at I/O port 0xc000, memory, I/O and bus master on.
PORTS = "outl 0xcf8 0x80001010\noutl 0xcfc 0xc001\noutl 0xcf8 0x80001004\noutl 0xcfc 0x107\n"

#: Legacy virtio: status (18), features (4), queue (14), its page (8), notify (16). 7: DRIVER_OK.
BALLOON = (
    PORTS
    + """
outb 0xc012 3
inl 0xc000
outl 0xc004 0x10
outw 0xc00e 0
outl 0xc008 0x100
outw 0xc00e 1
outl 0xc008 0x200
outb 0xc012 7
"""
)

NET = (
    PORTS
    + """
outb 0xc012 3
outl 0xc004 0x300f8023
outw 0xc00e 0
outl 0xc008 0x100
outw 0xc00e 1
outl 0xc008 0x200
outw 0xc00e 2
outl 0xc008 0x300
outb 0xc012 7
inb 0xc013
outw 0xc010 1
inw 0xc018
"""
)

#: A read of one sector: header at 2 MiB, data, status; a queue of 256 descriptors at 1 MiB, its ring at 0x101000.
BLOCK = (
    PORTS
    + """
outb 0xc012 3
outl 0xc004 0
outw 0xc00e 0
outl 0xc008 0x100
outb 0xc012 7
memset 0x200000 16 0
memset 0x201000 512 0xaa
writeb 0x202000 0xff
writeq 0x100000 0x200000
writel 0x100008 16
writel 0x10000c 0x10001
writeq 0x100010 0x201000
writel 0x100018 512
writel 0x10001c 0x20003
writeq 0x100020 0x202000
writel 0x100028 1
writel 0x10002c 2
writew 0x101004 0
writew 0x101002 1
outw 0xc010 0
"""
)

#: Serial port, real-time clock, timer, interrupt controller, keyboard, and registers of an e1000.
BOARD = """
outb 0x3fb 0x80
outb 0x3f8 1
outb 0x3fb 3
outb 0x3f9 1
outb 0x3f8 0x41
outb 0x70 0xb
outb 0x71 0x02
outb 0x43 0x36
outb 0x40 0x00
outb 0x40 0x10
outb 0x20 0x11
outb 0x21 0x20
outb 0x64 0x60
outb 0x60 0x03
outl 0xcf8 0x80001010
outl 0xcfc 0xe0000000
outl 0xcf8 0x80001004
outl 0xcfc 0x107
writel 0xe0000100 0x2
writel 0xe00000d0 0x9d
writel 0xfee000f0 0x1ff
"""

#: virt: its serial port, and a network device at the first free virtio-mmio transport (features, queue).
VIRT = """
writel 0x9000024 0x10
writel 0x9000030 0x301
writel 0x9000038 0x50
writel 0xa003e70 3
writel 0xa003e24 0
writel 0xa003e20 0x8023
writel 0xa003e28 4096
writel 0xa003e30 0
writel 0xa003e38 256
writel 0xa003e40 0x40000
writel 0xa003e70 7
"""

CASES = {
    "balloon": (BALLOON, "-device virtio-balloon-pci,disable-modern=on,page-poison=on"),
    "net": (NET, "-device virtio-net-pci,disable-modern=on,romfile="),
    "block": (
        BLOCK,
        "-blockdev null-co,node-name=d,read-zeroes=on,size=1048576 "
        "-device virtio-blk-pci,disable-modern=on,drive=d,num-queues=1",
    ),
    "board": (BOARD, "-serial null -device e1000,romfile="),
}


def save(qemu: Pair, script: str, args: Sequence[str], path: Path) -> dict[tuple[str, int], bytes]:
    """The sections that vmdump saves."""
    text = path.with_suffix(".qtest")
    text.write_text(script)
    result = run("save", qemu.binary, *root_words(qemu), "-o", path, "--qtest", text, "--", "-nodefaults", *args)
    assert (result.code, result.stdout, result.stderr) == (0, "", "")
    return sections(path.read_bytes())


@pytest.mark.parametrize(
    ("version", "case"),
    [
        ("installed", "net"),
        *(
            pytest.param(version, case, marks=pytest.mark.slow)
            for version in ("installed", "5.2", "10.0", "11.1")
            for case in CASES
        ),
    ],
)
def test_same_state_as_real_qemu(version: str, case: str, tmp_path: Path) -> None:
    """All sections but the clock are equal to those of a real QEMU, which executes the same commands."""
    script, devices = CASES[case]
    args = ["-accel", "tcg", "-M", "pc", "-m", "16", *devices.split()]
    check(version, "x86_64", script, args, tmp_path)


@pytest.mark.slow
def test_another_target(tmp_path: Path) -> None:
    """Memory-mapped devices of a virt machine."""
    args = ["-M", "virt", "-m", "16", "-cpu", "cortex-a57", "-serial", "null", "-device", "virtio-net-device"]
    check("installed", "aarch64", VIRT, args, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/dev/net/tun", os.W_OK), reason="needs a TAP, /dev/net/tun")
def test_tap(tmp_path: Path) -> None:
    """The emulated host's TAP offers the features of this host's, which the guest negotiates."""
    tap = "tap,id=n,ifname=vmdump-test,script=no,downscript=no"
    args = ["-M", "pc", "-m", "16", "-netdev", tap, "-device", "virtio-net-pci,netdev=n,disable-modern=on,romfile="]
    try:
        check("installed", "x86_64", NET.replace("0x300f8023", "0x300fffa3"), args, tmp_path)
    except RuntimeError as error:
        pytest.skip(f"this host gives no TAP: {error}")


@pytest.mark.slow
@pytest.mark.parametrize("version", ["5.2", "11.1"])
def test_clock(version: str, tmp_path: Path) -> None:
    """The clock moves with the accelerator qtest, and timers of devices expire; Debian's 7.2 and 10.0 lack it."""
    script = "outb 0x43 0x34\noutb 0x40 0\noutb 0x40 4\nclock_step 5000000\nclock_set 9000000\nb64read 0x400 9\n"
    args = ["-accel", "qtest", "-M", "pc", "-m", "16"]
    check(version, "x86_64", script, args, tmp_path)


def check(version: str, target: str, script: str, args: list[str], tmp_path: Path) -> None:
    """Compare the saved sections with a real QEMU's."""
    qemu = pair(version, target)
    args = [*args, *FIXED_CLOCK]
    emulated = save(qemu, script, args, tmp_path / "emulated")
    socket = tmp_path / "qtest"
    with qemu.native(*args, *qtest_arguments(socket), seconds=60) as native:
        answers = native.qtest(socket, [each.text for each in parse_script("", script).commands])
        assert all(each.startswith("OK") for each in answers)
        real = sections(native.save(tmp_path / "real"))
    assert emulated.keys() == real.keys()
    assert [key for key in real if emulated[key] != real[key]] == []
    untouched = save(qemu, "", args, tmp_path / "untouched")
    assert [key for key in real if untouched[key] != real[key]]


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("5.2", "Missing section footer for 0000:00:02.0/virtio-balloon"),
        pytest.param("installed", None, marks=pytest.mark.slow),
    ],
)
def test_page_poison(version: str, line: str | None, tmp_path: Path) -> None:
    """A balloon that has negotiated page poison: QEMU 5.2 does not load its own stream; a subsection is misspelt."""
    qemu = pair(version, "x86_64")
    args = ["-accel", "tcg", "-M", "pc", "-m", "16", "-device", "virtio-balloon-pci,disable-modern=on,page-poison=on"]
    path = tmp_path / "vm.save"
    save(qemu, BALLOON, args, path)
    result = run("load", path, qemu.binary, *root_words(qemu), "--", "-nodefaults", *args)
    assert result.code == (0 if line is None else 1)
    if line is not None:
        assert f"0000:00:02.0/virtio-balloon: {line}" in result.stdout
    script = tmp_path / "balloon"
    script.write_text(BALLOON)
    tried = run(
        "migrate", qemu.binary, qemu.binary, *root_words(qemu), "--qtest", script, "--", "-nodefaults", *args
    )  # fmt: skip
    assert tried.code == result.code
    assert line is None or line in tried.stdout
    with qemu.native(*args, "-incoming", "defer", seconds=60) as native:
        native.qmp("migrate-incoming", uri=f"exec:cat {path}")
        if line is None:
            while native.qmp("query-status")["status"] == "inmigrate":
                time.sleep(0.02)
            return
        assert native.process.stderr
        assert line in native.process.stderr.read()  # until it exits


@pytest.mark.slow
def test_features_that_the_destination_lacks(tmp_path: Path) -> None:
    """Negotiated features of a network device are state: a destination without one refuses it."""
    installed, qemu, path = pair("installed", "x86_64"), find_qemu("x86_64"), tmp_path / "vm.save"
    args = ["-M", "pc", "-m", "16", "-device", "virtio-net-pci,disable-modern=on,romfile="]
    save(installed, NET, args, path)
    assert run("load", path, qemu, "--", "-nodefaults", *args).code == 0
    result = run("load", path, qemu, "--", "-nodefaults", *args[:-1], f"{args[-1]},mac=52:54:00:12:34:56,mrg_rxbuf=off")
    assert result.code == 1
    assert "unsupported. Allowed features" in result.stdout


@pytest.mark.parametrize(
    ("script", "line", "reason"),
    [
        ("outb 0x70 1\n\nfoo 1\n", "3: foo 1", "Unknown command 'foo'"),
        ("# comment\noutb 0x70\n", "2: outb 0x70", "words[1] && words[2]"),
        pytest.param("clock_step\n", "1: clock_step", "need -accel qtest", marks=pytest.mark.slow),
        pytest.param("outb 0x64 0xfe\n", "1: outb 0x64 0xfe", "requests a reset", marks=pytest.mark.slow),
        pytest.param("read 0x0 0x10000000000\n", "1: read", "memory", marks=pytest.mark.slow),
        pytest.param("outb " + "9" * 999 + " 1\n", "1: outb 999", "QEMU ends", marks=pytest.mark.slow),
    ],
)
def test_errors(script: str, line: str, reason: str, tmp_path: Path) -> None:
    """An error is one line with the script, the number of the line, the command and QEMU's reason."""
    path, saved = tmp_path / "script", tmp_path / "vm.save"
    path.write_text(script)
    words = ("save", find_qemu("x86_64"), "-o", saved, "--qtest", path, "--", "-nodefaults", "-M", "pc", "-m", "16")
    message = run_failing(3, *words)
    assert f"{path}:{line}" in message
    assert reason in message
    assert message.count("\n") <= 1
    assert not saved.exists()


def test_script_files(tmp_path: Path) -> None:
    """A script must be there, and be a text of limited size."""
    words = ("save", sys.executable, "-o", tmp_path / "x", "--qtest")
    assert "No such file" in run_failing(3, *words, tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"outb\0 1")
    assert "not text" in run_failing(3, *words, tmp_path / "binary")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(17 << 20)
    assert "limit" in run_failing(3, *words, tmp_path / "large")
