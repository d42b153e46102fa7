"""printf and sscanf, compared with those of this system's C library."""

import ctypes
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.guests import call

from vmdump.emulator.guest import Guest
from vmdump.emulator.hosts.model import Platform
from vmdump.files.elf_header import HostArch

LIBC = ctypes.CDLL(None)
ROOM = 1024


@pytest.fixture(scope="module")
def guest() -> Guest:
    """A guest of this platform."""
    return Guest("guest", HostArch.X86_64)


@pytest.fixture(scope="module")
def windows() -> Guest:
    """A guest of Windows, whose arguments are all passed as integers."""
    return Guest("guest", HostArch.X86_64, platform=Platform.WINDOWS)


def printed(guest: Guest, text: str, *arguments: int) -> tuple[int, bytes]:
    """Return the result and the output of the guest's snprintf."""
    out = guest.alloc(ROOM)
    length = call(guest, "snprintf", out, ROOM, text, *arguments) & 0xFFFFFFFF
    return length, guest.read(out, ROOM).split(b"\0")[0]


def printed_by_libc(text: str, *arguments: ctypes.c_uint64 | bytes) -> tuple[int, bytes]:
    """Return those of this system's snprintf."""
    out = ctypes.create_string_buffer(ROOM)
    length = LIBC.snprintf(out, ROOM, text.encode(), *arguments)
    return length, out.value


FLAGS = st.text("-+ #0'I", max_size=4)
WIDTHS = st.one_of(st.just(""), st.integers(1, 40).map(str))
PRECISIONS = st.one_of(st.just(""), st.just("."), st.integers(0, 40).map(".{}".format))
LENGTHS = st.sampled_from(["", "hh", "h", "l", "ll", "q", "j", "z", "t"])
NUMBERS = st.one_of(st.integers(0, 2**64 - 1), st.integers(-300, 300).map(lambda n: n % 2**64))


@given(FLAGS, WIDTHS, PRECISIONS, LENGTHS, st.sampled_from("diuxXo"), NUMBERS)
@example("I", "", "", "", "d", 2**32 - 1)
@example("", "", ".0", "", "d", 0)
def test_integers(
    guest: Guest, flags: str, width: str, precision: str, length: str, conversion: str, number: int
) -> None:
    """Integers of all lengths, with all flags."""
    text = f"<%{flags}{width}{precision}{length}{conversion}>"
    assert printed(guest, text, number) == printed_by_libc(text, ctypes.c_uint64(number)), text


@given(FLAGS.map(lambda flags: flags.replace("I", "")), WIDTHS, PRECISIONS, st.text("abc d%", max_size=50))
def test_strings(guest: Guest, flags: str, width: str, precision: str, argument: str) -> None:
    """Strings, of which a precision is the maximal length."""
    text = f"<%{flags}{width}{precision}s>"
    assert printed(guest, text, guest.string(argument)) == printed_by_libc(text, argument.encode()), text


@given(FLAGS, WIDTHS, st.integers(0, 255))
def test_characters(guest: Guest, flags: str, width: str, number: int) -> None:
    """Characters, one of which may be NUL; and a percent sign."""
    text = f"<%{flags.replace('I', '')}{width}c>%%"
    assert printed(guest, text, number) == printed_by_libc(text, ctypes.c_uint64(number)), text


@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        ("%Id", [2**64 - 1], b"-1"), ("%Iu", [2**64 - 1], b"18446744073709551615"), ("%I32d", [2**64 - 2], b"-2"),
        ("%I32x", [2**32 + 1], b"1"), ("%5I64d|", [2**64 - 3], b"   -3|"), ("%I64x", [2**40], b"10000000000"),
        ("%ld", [2**32 + 5], b"5"), ("%lu", [2**64 - 1], b"4294967295"), ("%lld", [2**64 - 4], b"-4"),
        ("%zu", [2**40], b"1099511627776"), ("%lx %s", [2**64 - 1, "a"], b"ffffffff a"),
    ],
)  # fmt: skip
def test_windows(windows: Guest, text: str, arguments: list[int | str], expected: bytes) -> None:
    """I is a length on Windows, where long has 32 bits. Source: Microsoft, "Format specification syntax"."""
    values = [windows.string(each) if isinstance(each, str) else each for each in arguments]
    assert printed(windows, text, *values) == (len(expected), expected)


def scanned(guest: Guest, text: str, conversion: str) -> tuple[int, bytes]:
    """Return the result of sscanf with one argument, and the eight bytes there: 0x55 where not written."""
    to = guest.alloc(16)
    guest.write(to, b"\x55" * 8)
    return call(guest, "sscanf", text, conversion, to) & 0xFFFFFFFF, guest.read(to, 8)


@given(
    LENGTHS, st.sampled_from("diuxo"),
    st.one_of(st.integers(-(2**31), 2**31 - 1).map(str), st.text("0123456789abfxXz+- \t", max_size=20)),
)  # fmt: skip
@example("", "i", "0x1f")
@example("l", "i", "-010")
def test_scanned_integers(guest: Guest, length: str, conversion: str, text: str) -> None:
    """Integers are stored with the size of their length; the rest of the memory is left as it is."""
    to = ctypes.create_string_buffer(b"\x55" * 8, 8)
    expected = LIBC.sscanf(text.encode(), f"%{length}{conversion}".encode(), to) & 0xFFFFFFFF, to.raw
    assert scanned(guest, text, f"%{length}{conversion}") == expected, (length, conversion)


def test_scanned_on_windows(windows: Guest) -> None:
    """On Windows a long has 32 bits and a double 64, which l stands for as well."""
    assert scanned(windows, "-2", "%ld") == (1, struct.pack("<i", -2) + b"\x55" * 4)
    assert scanned(windows, "-2", "%lld") == scanned(windows, "-2", "%I64d") == (1, struct.pack("<q", -2))
    assert scanned(windows, "1.5", "%lf") == (1, struct.pack("<d", 1.5))
    assert scanned(windows, "1.5", "%f") == (1, struct.pack("<f", 1.5) + b"\x55" * 4)
