"""Failures read from the lines of real QEMUs: 7.2.22 and 10.0.13, and of 11.1 in one line."""

import errno

import pytest

from vmdump.migrate.failure import block_of, local_machine_of, may_be_wrong_guess, read_failure

INSTANCES = {"cpu": [0, 1], "lan9118": [0], "malta": [0]}


@pytest.mark.parametrize(
    ("text", "section", "instance", "field", "cause"),
    [
        (
            "Invalid value 275 expecting positive value <= 258\nFailed to load cpu:cpreg_vmstate_array_len\n"
            "error while loading state for instance 0x0 of device 'cpu'\n",
            "cpu", 0, "cpu:cpreg_vmstate_array_len", "Invalid value 275 expecting positive value <= 258",
        ),
        (
            "lan9118: incoming version_id 2 is too old for local minimum version_id  3\n"
            "error while loading state for instance 0x0 of device 'lan9118'\n",
            "lan9118", 0, None, "lan9118: incoming version_id 2 is too old for local minimum version_id  3",
        ),
        ("MIG_CMD 0xb unknown (len 0x0)\n", None, None, None, "MIG_CMD 0xb unknown (len 0x0)"),
        ("Missing section footer for cpu\n", "cpu", None, None, "Missing section footer for cpu"),
        (
            "Unknown savevm section or instance 'lan9118' 0. Make sure that your current VM setup matches\n",
            "lan9118", 0, None,
            "Unknown savevm section or instance 'lan9118' 0. Make sure that your current VM setup matches",
        ),
        (
            "savevm: unsupported version 3 for 'lan9118' v2\n",
            "lan9118", 0, None, "savevm: unsupported version 3 for 'lan9118' v2",
        ),
        (
            "Size mismatch: pc.bios: 0x10000 != 0x20000: Invalid argument\n"
            "error while loading state for instance 0x0 of device 'ram'\n",
            "ram", 0, None, "Size mismatch: pc.bios: 0x10000 != 0x20000: Invalid argument",
        ),
    ],
)  # fmt: skip
def test_lines(text: str, section: str | None, instance: int | None, field: str | None, cause: str) -> None:
    """Section, instance, field and cause; the last line is that of the caller of qemu_loadvm_state."""
    output = "".join(f"qemu-system-arm: {line}\n" for line in ["warning: old machine", *text.splitlines()])
    found = read_failure(output, "qemu-system-arm", INSTANCES, -errno.EINVAL)
    assert found[:4] == (section, instance, field, cause)
    assert found.lines == (*text.splitlines(), "load of migration failed: Invalid argument")


def test_one_line() -> None:
    """QEMU 11.1 puts all levels into one line."""
    line = "load of migration failed: Invalid argument: error while loading state for instance 0x1 of device 'cpu': no"
    found = read_failure(f"qemu-system-arm: {line}\n", "qemu-system-arm", INSTANCES, -errno.EINVAL)
    assert found[:3] == ("cpu", 1, None)
    assert found.cause == "error while loading state for instance 0x1 of device 'cpu': no"
    assert found.lines == (line,)


def test_no_lines() -> None:
    """Without a message from QEMU, the cause is its error number."""
    found = read_failure("", "qemu-system-arm", {}, -errno.EPERM)
    assert found.cause == "QEMU returned 1 (Operation not permitted) without a reason"


def test_what_to_leave_out() -> None:
    """RAM blocks, and the machine type, are read from the lines."""
    mismatch = read_failure("Size mismatch: pc.bios: 0x10000 != 0x20000: Invalid argument", "q", {}, -22)
    assert block_of(mismatch) == "pc.bios"
    unknown = read_failure('Unknown ramblock "/rom@etc/acpi/tables", cannot accept migration', "q", {}, -22)
    assert block_of(unknown) == "/rom@etc/acpi/tables"
    machine = read_failure("Machine type received is 'pc' and local is 'q35'", "q", {}, -22)
    assert local_machine_of(machine) == "q35"
    assert may_be_wrong_guess(machine)
    assert not may_be_wrong_guess(read_failure("MIG_CMD 0xb unknown (len 0x0)", "q", {}, -22))
