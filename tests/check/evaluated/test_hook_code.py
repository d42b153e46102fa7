"""Which load hooks provably accept every state, by their machine code."""

from typing import Any

import pytest

from vmdump.check.evaluated.hook_code import never_refuses
from vmdump.emulator.hosts import HOSTS
from vmdump.emulator.hosts.model import Platform
from vmdump.files.elf_header import HostArch


class Guest:
    """Memory with one function."""

    def __init__(self, arch: HostArch, code: str) -> None:
        self.host, self._code = HOSTS[arch, Platform.LINUX], bytes.fromhex(code)

    def read(self, address: int, size: int) -> bytes:
        """Return the function, and what follows."""
        return self._code.ljust(size, b"\xcc")


# Assembled by GNU as 2.40.
X86_64 = {
    "31c0c3": True,  # xor %eax,%eax; ret
    "f30f1efa4883ec08e80000000031c04883c40831ffc3": True,  # QEMU 10.0 hw/pci/pci.c pci_post_load
    "c687600500000331c0c3": True,  # QEMU 7.2 hw/timer/hpet.c hpet_pre_load
    "31c0c6876005000003c3": True,  # xor %eax,%eax; movb $3,0x560(%rdi); ret
    "b800000000c3": True,  # mov $0,%eax; ret
    "b801000000c3": False,  # mov $1,%eax; ret
    "31c08b07c3": False,  # xor %eax,%eax; mov (%rdi),%eax; ret
    "31c0e800000000c3": False,  # xor %eax,%eax; call; ret
    "85ff740331c0c3c3": False,  # test %edi,%edi; je; xor %eax,%eax; ret
    "31c0e900000000": False,  # xor %eax,%eax; jmp
    "31c0ffe0": False,  # xor %eax,%eax; jmp *%rax
    "31d2c3": False,  # xor %edx,%edx; ret
    "31c089d8c3": False,  # xor %eax,%eax; mov %ebx,%eax; ret
    "4531c0c3": False,  # xor %r8d,%r8d; ret
    "06": False,  # no instruction
}
AARCH64 = {
    "00008052c0035fd6": True,  # mov w0,#0; ret
    "3f2303d5fd7bbfa9fd03009169280094fd7bc1a8bf2303d500008052100080d2110080d2c0035fd6": True,  # pci_post_load
    "20008052c0035fd6": False,  # mov w0,#1; ret
    "00008052000040b9c0035fd6": False,  # mov w0,#0; ldr w0,[x0]; ret
    "000080526928009400008052c0035fd6": True,  # mov w0,#0; bl; mov w0,#0; ret
    "0000805269280094c0035fd6": False,  # mov w0,#0; bl; ret
    "4000003400008052c0035fd6": False,  # cbz w0; mov w0,#0; ret
    "0000805200000014": False,  # mov w0,#0; b
    "00001fd6": False,  # br x0
}


@pytest.mark.parametrize(
    ("arch", "code", "expected"),
    [(HostArch.X86_64, *each) for each in X86_64.items()] + [(HostArch.AARCH64, *each) for each in AARCH64.items()],
)
def test_never_refuses(arch: HostArch, code: str, expected: bool) -> None:  # a parameter
    """Only a function without branches that sets its result to 0 last always returns 0."""
    guest: Any = Guest(arch, code)
    assert never_refuses(guest, 0) is expected
