"""Text to integers: strtol and its relatives, compared with those of this system's C library."""

import ctypes
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.guests import call

from vmdump.emulator.guest import Guest
from vmdump.emulator.hosts.model import Platform
from vmdump.files.elf_header import HostArch

LIBC = ctypes.CDLL(None, use_errno=True)
#: Errors that have these numbers on all platforms.
EINVAL, ERANGE = 22, 34
SPACES, SIGNS, PREFIXES = ["", " \t\n\v\f\r", "\xa0"], ["", "+", "-", "+-"], ["", "0", "0x", "00X"]
DIGITS = ["", "0", "8", "f", "G", "zZ", "_1", "1 2", "7fffffff", "80000000", "80000001", "ffffffff", "100000000",
          "2147483647", "2147483648", "2147483649", "4294967295", "4294967296", "9223372036854775807",
          "9223372036854775808", "9223372036854775809", "18446744073709551615", "18446744073709551616",
          "7fffffffffffffff", "8000000000000000", "ffffffffffffffff", "10000000000000000", "1" * 70]  # fmt: skip
TEXTS = ["".join(parts) for parts in itertools.product(SPACES, SIGNS, PREFIXES, DIGITS)]
BASES = [0, 8, 10, 16, 36]
#: A value, the number of characters that were read, and errno.
Result = tuple[int, int, int]


class Numbers:
    """A guest whose functions read numbers."""

    def __init__(self, machine: HostArch, platform: Platform, errno: str) -> None:
        self.guest = Guest("guest", machine, platform=platform)
        self.text, self.end = self.guest.alloc(256), self.guest.alloc(8)
        self.errno = call(self.guest, errno)

    def read(self, name: str, text: str, base: int, bits: int) -> Result:
        """Call a function; its result has this many bits."""
        self.guest.write(self.text, text.encode("latin-1") + b"\0")
        self.guest.write(self.end, b"\x55" * 8)
        self.guest.write_number(self.errno, 0, 4)
        value = call(self.guest, name, self.text, self.end, base & 0xFFFFFFFF) % 2**bits
        length = self.guest.pointer(self.end) - self.text
        return value, length, self.guest.number(self.errno, 4)


def of_libc(name: str, text: str, base: int) -> Result:
    """Return what this system's function does with the text."""
    function = getattr(LIBC, name)
    function.restype = ctypes.c_int64
    data, end = ctypes.create_string_buffer(text.encode("latin-1")), ctypes.c_void_p()
    ctypes.set_errno(0)
    value = function(data, ctypes.byref(end), base)
    assert end.value is not None
    return value, end.value - ctypes.addressof(data), ctypes.get_errno()


@pytest.fixture(scope="module")
def linux() -> Numbers:
    """A guest whose long has 64 bits."""
    return Numbers(HostArch.X86_64, Platform.LINUX, "__errno_location")


@pytest.fixture(scope="module")
def windows() -> Numbers:
    """A guest whose long has 32 bits."""
    return Numbers(HostArch.X86_64, Platform.WINDOWS, "_errno")


NAMES = ["strtol", "strtoul", "strtoll", "strtoull", "strtoimax", "strtoumax"]


@pytest.mark.parametrize("name", NAMES)
def test_like_libc(linux: Numbers, name: str) -> None:
    """Values, ends and errors are those of this system's functions."""
    for text, base in itertools.product(TEXTS, BASES):
        value, length, error = of_libc(name, text, base)
        assert linux.read(name, text, base, 64) == (value % 2**64, length, error), (text, base)


@given(st.text("0123456789aAbBxXzZ+- \t", max_size=24), st.sampled_from([0, *range(2, 37)]), st.sampled_from(NAMES))
def test_any_text_like_libc(linux: Numbers, text: str, base: int, name: str) -> None:
    """The same for any text and base."""
    value, length, error = of_libc(name, text, base)
    assert linux.read(name, text, base, 64) == (value % 2**64, length, error)


def test_long_of_32_bits(windows: Numbers) -> None:
    """Where long has 32 bits, other values than those of 32 bits are out of range; long long has 64 bits."""
    for text, base in itertools.product(TEXTS, BASES):
        value, length, _ = of_libc("strtoll", text, base)
        signed, unsigned = min(max(value, -(2**31)), 2**31 - 1), value if abs(value) < 2**32 else 2**32 - 1
        error = [ERANGE if each != value else 0 for each in (signed, unsigned)]
        assert windows.read("strtol", text, base, 32) == (signed % 2**32, length, error[0]), (text, base)
        assert windows.read("strtoul", text, base, 32) == (unsigned % 2**32, length, error[1]), (text, base)
        value, length, found = of_libc("strtoull", text, base)
        assert windows.read("_strtoui64", text, base, 64) == (value % 2**64, length, found), (text, base)


@pytest.mark.parametrize("name", ["strtol", "strtoull", "g_ascii_strtoll", "g_ascii_strtoull", "__isoc23_strtol"])
@pytest.mark.parametrize("base", [-1, 1, 37])
def test_invalid_base(linux: Numbers, name: str, base: int) -> None:
    """An invalid base is an error. No text is read: GLib (glib/gstrfuncs.c) and musl store its start as the end."""
    assert linux.read(name, "12", base, 64) == (0, 0, EINVAL)


@pytest.mark.parametrize(
    ("text", "base", "result"),
    [
        ("0b101", 0, (5, 5, 0)), ("-0B11", 2, (-3 % 2**64, 5, 0)), ("0b", 0, (0, 1, 0)), ("0b2", 2, (0, 1, 0)),
        ("0b1", 16, (0xB1, 3, 0)), ("0x0b1", 0, (0xB1, 5, 0)), ("0b1", 10, (0, 1, 0)),
    ],
)  # fmt: skip
def test_binary(linux: Numbers, text: str, base: int, result: Result) -> None:
    """Functions of C23 read a prefix of base 2 (7.24.1.7), others do not, whichever this system's are."""
    assert linux.read("__isoc23_strtol", text, base, 64) == result
    assert linux.read("__isoc23_strtoull", text, base, 64) == result
    assert linux.read("strtol", "0b101", 0, 64) == (0, 1, 0)


@pytest.mark.parametrize("machine", list(HostArch))
def test_int_from_text(machine: HostArch) -> None:
    """An int is returned with its sign extended, as the ABIs of RISC-V and z require."""
    guest = Guest("guest", machine)
    for text in ("-5", " 2147483647", "4294967295", "8589934592"):
        assert call(guest, "atoi", text) == LIBC.atoi(text.encode()) % 2**64
    assert call(guest, "atol", "8589934592") == 2**33
    assert call(guest, "atoll", "-8589934592") == -(2**33) % 2**64
