"""Lists of classes of binaries without object_class_get_list: by the function of query-machines."""

from types import SimpleNamespace
from typing import cast

import pytest
from support.elf_builder import DATA as AT
from support.elf_builder import X86_64, elf_object

from vmdump.emulator.class_list import ClassList
from vmdump.emulator.find_functions import Functions
from vmdump.emulator.guest import Guest, InstructionError, TimeLimitError
from vmdump.emulator.objects.elf import ElfFile
from vmdump.emulator.qmp_commands import QmpCommands
from vmdump.errors import SourceError


def class_list(code: str, monkeypatch: pytest.MonkeyPatch, *, has_command: bool = True) -> ClassList:
    """Return the list of a binary whose function of query-machines has this code, and that has no other function."""
    guest = Guest("guest", X86_64, timeout=0.1)
    main = ElfFile(elf_object(data=bytes.fromhex(code)), "file").map(guest, is_main=True)
    if has_command:
        monkeypatch.setattr(QmpCommands, "find", lambda self, name: main.bias + AT)
    functions = SimpleNamespace(find=lambda name: None)
    functions.get = lambda name: Functions(guest, main).get(name)
    return ClassList(guest, main, cast(Functions, functions))


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        ("ebfe", TimeLimitError, "the limit for all of its start-up is"),  # jmp .
        ("62f17c4858c0c3", InstructionError, "its code uses an AVX-512 instruction"),  # vaddps %zmm0, %zmm0, %zmm0
        ("48a10000000000000000", SourceError, "function at 0x1000: "),  # movabs 0, %rax
    ],
    ids=["endless", "AVX-512", "invalid access"],
)
def test_errors_of_the_command(
    code: str, error: type[SourceError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the function is reported as itself, not as a function that is missing."""
    with pytest.raises(error, match=message):
        class_list(code, monkeypatch).get("machine", include_abstract=False)


@pytest.mark.parametrize("has_command", [True, False])
def test_without_the_function(has_command: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that walks no classes, or none, is an error that names what is missing."""
    classes = class_list("c3", monkeypatch, has_command=has_command)
    with pytest.raises(SourceError, match="object_class_get_list was not found: not a QEMU system emulator, or built"):
        classes.get("machine", include_abstract=False)
