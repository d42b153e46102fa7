"""Functions of the host with arguments at the ends of their types: errors of the guest, never of this process."""

import re
import subprocess
import sys

import pytest
from support.elf_builder import X86_64
from support.paths import ROOT

#: A program that calls functions of the host. Its arguments: a platform, and names of functions, which it prints.
PROGRAM = """
import sys
from vmdump.emulator.guest import Guest
from vmdump.emulator.hosts.model import Platform
from vmdump.errors import SourceError

platform, *names = sys.argv[1:]
for name in names:
    print(name, flush=True)
    guest = Guest("guest", {arch}, platform=Platform[platform], memory=64 << 20)
    memory = guest.alloc(8192)
    guest.write(memory, b"text")
    for position in range(4):
        for value in (0, 2**31, 2**32 - 1, 2**63, 2**64 - 1):
            for other in (memory, 0, 5):
                args = [other] * 5
                args[position] = value
                try:
                    guest.set_time(0.1)
                    guest.call(guest.host_function(name), *args)
                except SourceError:
                    pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["LINUX", "MACOS", "WINDOWS"])
def test_extreme_arguments(platform: str) -> None:
    """No argument of a function that the emulator has ends its process, or leads it out of the guest's memory."""
    sources = [path.read_text() for path in (ROOT / "csrc/guest").rglob("*.c")]
    served = "".join("".join(re.split(r"VMD_(?:SERVE|SERVE_ON|NAMES_ON)\(", text)[1:]) for text in sources)
    names = sorted(set(re.findall(r'(?:\{|\b[A-Z]+\()"(\w+)"', served)))
    assert len(names) > 1100
    command = [sys.executable, "-c", PROGRAM.replace("{arch}", str(X86_64)), platform, *names]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, ""), f"in {ended.stdout.split()[-1]}: {ended.stderr}"
    assert ended.stdout.split() == names
