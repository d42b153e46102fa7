"""Code of functions in a guest, with a table of their starts, and no symbols."""

import struct
from collections.abc import Mapping, Sequence
from functools import partial

from vmdump.emulator.guest import Guest
from vmdump.emulator.machine_code import Code
from vmdump.emulator.objects.elf import _function_starts
from vmdump.emulator.objects.model import MappedObject, MappedSegment

#: Address of the table of functions.
HEADER = 0x10000


class MappedCode(MappedObject):
    """Code in a guest, and a table of functions."""

    def __init__(self, guest: Guest, bias: int, address: int, code: bytes, header_at: int) -> None:
        self.guest, self.bias = guest, bias
        end = bias + address + len(code)
        self.segments = [MappedSegment(bias + address, end, True, False, len(code), False)]
        self._find_functions = partial(_function_starts, [bias + header_at], [])


def object_with_functions(machine: int, address: int, code: bytes, others: list[int]) -> Code:
    """Code loaded at an address, and functions elsewhere, all listed in an .eh_frame_hdr."""
    header_at, order = HEADER, ">" if machine == 22 else "<"
    starts = sorted([address, address + len(code), *others])
    top = starts[-1] + 0x10000
    header = b"\x01\x1b\x03\x3b" + struct.pack(order + "iI", 0, len(starts))
    header += b"".join(struct.pack(order + "ii", start - header_at, 0) for start in starts)
    guest = Guest("x", machine)
    bias = guest.alloc(top, 0x10000)
    guest.write(bias + address, code)
    guest.write(bias + header_at, header)
    return Code(MappedCode(guest, bias, address, code, header_at))


#: Address of the code of functions_of.
START = 0x400000


class Call(str):
    """A call of a function; a start of a function within the instruction is listed, as in a damaged table."""


def functions_of(bodies: Mapping[str, Sequence[str | bytes]]) -> tuple[Code, dict[str, int]]:
    """Return x86-64 code of functions, and their addresses by name.

    bodies: what a function does, in order: loads a text (bytes), or calls a function (its name).
    """
    addresses, end = {}, START
    for name, body in bodies.items():
        addresses[name] = end
        end += sum(7 if isinstance(item, bytes) else 5 for item in body) + 1
    code, texts, further = b"", b"\0", []
    for body in bodies.values():
        for item in body:
            at = START + len(code)
            if isinstance(item, bytes):
                code += b"\x48\x8d\x3d" + struct.pack("<i", end + len(texts) - at - 7)  # lea disp32(%rip), %rdi
                texts += item + b"\0"
            else:
                code += b"\xe8" + struct.pack("<i", addresses[item] - at - 5)
                further += [at + 1] if isinstance(item, Call) else []
        code += b"\xc3"
    found = object_with_functions(62, START, code + texts, [*list(addresses.values())[1:], *further, end])
    return found, {name: found.mapped.bias + address for name, address in addresses.items()}
