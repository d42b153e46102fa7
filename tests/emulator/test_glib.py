"""GLib's containers and string functions as an emulated QEMU sees them, compared with the real GLib."""

import ctypes
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.elf_builder import HOSTS
from support.glib import load_glib
from support.requirements import require

from vmdump.emulator.guest import Guest

VOID = ctypes.c_void_p


@pytest.fixture(scope="module")
def glib() -> ctypes.CDLL:
    """The real GLib."""
    require(load_glib(), "libglib-2.0.so.0")
    return ctypes.CDLL("libglib-2.0.so.0")


@pytest.fixture(scope="module", params=HOSTS, ids=HOSTS.values())
def guest(request: pytest.FixtureRequest) -> Guest:
    """A guest of each host."""
    return Guest("guest", request.param)


def call(guest: Guest, name: str, *args: int | bytes) -> int:
    """Calls a function of the host; bytes are C strings."""
    return guest.call(guest.host_function(name), *(new_text(guest, a) if isinstance(a, bytes) else a for a in args))


def new_text(guest: Guest, text: bytes) -> int:
    address = guest.alloc(len(text) + 1)
    guest.write(address, text + b"\0")
    return address


def text_at(guest: Guest, address: int) -> bytes | None:
    if not address:
        return None
    data = bytes(guest.memory[address - guest.base : address - guest.base + 4096])
    return data.partition(b"\0")[0]


def function(glib: ctypes.CDLL, name: str, restype: object, *argtypes: object) -> object:
    found = getattr(glib, name)
    found.restype, found.argtypes = restype, argtypes
    return found


TEXT = st.binary(max_size=12).map(lambda data: data.replace(b"\0", b"/"))
WORDS = st.text("ab-_. |/X1", max_size=12).map(str.encode)
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@relaxed
@given(text=WORDS, delimiter=st.text("ab-_.", min_size=1, max_size=2).map(str.encode), most=st.integers(-1, 4))
def test_split(glib, guest, text, delimiter, most):
    """g_strsplit and g_strsplit_set, with and without a limit."""
    for name in ("g_strsplit", "g_strsplit_set"):
        split = function(glib, name, VOID, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int)
        real = ctypes.cast(split(text, delimiter, most), ctypes.POINTER(ctypes.c_char_p))
        expected = []
        while real[len(expected)] is not None:
            expected.append(real[len(expected)])
        strv = call(guest, name, text, delimiter, most & 0xFFFFFFFF)
        found = []
        while address := guest.pointer(strv + 8 * len(found)):
            found.append(text_at(guest, address))
        assert found == expected, name
        assert call(guest, "g_strv_length", strv) == len(expected)


@relaxed
@given(text=WORDS, other=WORDS)
def test_two_strings(glib, guest, text, other):
    """Functions of two strings that return a number or a place."""
    for name in ("g_str_has_prefix", "g_str_has_suffix"):
        real = function(glib, name, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
        assert call(guest, name, text, other) == real(text, other)
    for name in ("g_ascii_strcasecmp",):
        real = function(glib, name, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
        found = call(guest, name, text, other) & 0xFFFFFFFF
        assert (found - (1 << 32) if found >> 31 else found) == real(text, other)
    buffer = ctypes.create_string_buffer(text)
    for name, size in (("g_strrstr", None), ("g_strstr_len", 5)):
        args = (buffer, other) if size is None else (buffer, size, other)
        types = (VOID, ctypes.c_char_p) if size is None else (VOID, ctypes.c_ssize_t, ctypes.c_char_p)
        found = function(glib, name, VOID, *types)(*args)
        address = new_text(guest, text)
        mine = call(guest, name, address, *((other,) if size is None else (size, other)))
        assert (mine and mine - address) == (found - ctypes.addressof(buffer) if found else 0), name


@relaxed
@given(text=WORDS, valid=st.text("ab-1", min_size=1, max_size=3).map(str.encode))
def test_change_in_place(glib, guest, text, valid):
    """Functions that change a string where it is."""
    for name, args in (
        ("g_strcanon", (valid, ord("?"))),
        ("g_strdelimit", (valid, ord("?"))),
        ("g_strdelimit", (None, ord("-"))),
        ("g_strchug", ()),
        ("g_strchomp", ()),
        ("g_strreverse", ()),
    ):
        buffer = ctypes.create_string_buffer(text)
        types = (ctypes.c_char_p, ctypes.c_char, *())[: len(args)]
        function(glib, name, VOID, VOID, *types)(buffer, *args)
        address = new_text(guest, text)
        call(guest, name, address, *(0 if each is None else each for each in args))
        assert text_at(guest, address) == buffer.value, name


@relaxed
@given(text=WORDS)
def test_one_string(glib, guest, text):
    """Functions that make a new string of one."""
    for name in ("g_path_get_basename", "g_path_get_dirname", "g_strdup"):
        real = function(glib, name, ctypes.c_char_p, ctypes.c_char_p)(text)
        assert text_at(guest, call(guest, name, text)) == real, name
    for name in ("g_ascii_strup", "g_ascii_strdown"):
        real = function(glib, name, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ssize_t)(text, -1)
        assert text_at(guest, call(guest, name, text, (1 << 64) - 1)) == real, name


@relaxed
@given(data=st.binary(max_size=8), number=st.integers(0, 0x10FFFF))
def test_utf8(glib, guest, data, number):
    """g_utf8_validate of any bytes, g_unichar_to_utf8 of any character."""
    data = data.replace(b"\0", b"")
    validate = function(glib, "g_utf8_validate", ctypes.c_int, ctypes.c_char_p, ctypes.c_ssize_t, VOID)
    assert call(guest, "g_utf8_validate", data, (1 << 64) - 1, 0) == validate(data, -1, None)
    encode = function(glib, "g_unichar_to_utf8", ctypes.c_int, ctypes.c_uint32, VOID)
    real, mine = ctypes.create_string_buffer(8), guest.alloc(8)
    assert call(guest, "g_unichar_to_utf8", number, mine) == encode(number, real)
    assert guest.read(mine, 6) == real.raw[:6]


@relaxed
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("append", "prepend", "insert", "erase", "truncate", "append_c")), WORDS, st.integers(0, 6)
        )
    )
)
def test_gstring(glib, guest, steps):
    """A GString through any history."""
    function(glib, "g_string_new", VOID, ctypes.c_char_p)
    real, mine = glib.g_string_new(b"begin"), call(guest, "g_string_new", b"begin")
    for step, text, number in steps:
        length = guest.pointer(mine + 8)
        args: tuple[object, ...] = {
            "append": (text,),
            "prepend": (text,),
            "insert": (min(number, length), text),
            "erase": (min(number, length), (1 << 64) - 1),
            "truncate": (number,),
            "append_c": (ord("x"),),
        }[step]
        if step == "append_c":  # a macro, in part
            function(glib, "g_string_append_c", VOID, VOID, ctypes.c_char)
        else:
            types = [ctypes.c_char_p if isinstance(each, bytes) else ctypes.c_size_t for each in args]
            function(glib, f"g_string_{step}", VOID, VOID, *types)
        getattr(glib, f"g_string_{step}")(real, *args)
        call(guest, f"g_string_{step}", mine, *args)
        expected = ctypes.string_at(ctypes.cast(real, ctypes.POINTER(VOID))[0])
        assert text_at(guest, guest.pointer(mine)) == expected
        assert guest.pointer(mine + 8) == len(expected)


ELEMENTS = st.lists(st.integers(0, 50), max_size=30)


def items(guest: Guest, link: int, *, doubly: bool) -> list[int]:
    found, prev = [], 0
    while link:
        found.append(guest.pointer(link))
        if doubly:
            assert guest.pointer(link + 16) == prev
        prev, link = link, guest.pointer(link + 8)
    return found


@relaxed
@given(ELEMENTS, st.integers(0, 50), st.integers(-1, 31))
def test_lists(guest, elements, value, position):
    """GSList and GList against what their documentation says, as Python's list does it; links back are right."""
    for kind, doubly in (("g_slist", False), ("g_list", True)):
        head = 0
        for each in elements:
            head = call(guest, f"{kind}_append", head, each)
        assert items(guest, head, doubly=doubly) == elements
        head = call(guest, f"{kind}_prepend", head, value)
        expected = [value, *elements]
        head = call(guest, f"{kind}_insert", head, 99, position & 0xFFFFFFFF)
        expected.insert(position if 0 <= position <= len(expected) else len(expected), 99)
        assert items(guest, head, doubly=doubly) == expected
        head = call(guest, f"{kind}_remove", head, value)
        expected.remove(value)
        assert items(guest, head, doubly=doubly) == expected
        head = call(guest, f"{kind}_reverse", head)
        expected.reverse()
        copy = call(guest, f"{kind}_copy", head)
        assert items(guest, copy, doubly=doubly) == expected
        head = call(guest, f"{kind}_concat", head, copy)
        assert items(guest, head, doubly=doubly) == expected * 2
        assert call(guest, f"{kind}_length", head) == 2 * len(expected)
        call(guest, f"{kind}_free", head)


@relaxed
@given(st.lists(st.text("abc", max_size=3).map(str.encode), max_size=20))
def test_sorting(guest, texts):
    """Sorts are stable and call the guest's function: here strcmp, which the host serves."""
    compare = guest.host_function("strcmp")
    addresses = [new_text(guest, text) for text in texts]
    head = 0
    for address in addresses:
        head = call(guest, "g_list_append", head, address)
    head = call(guest, "g_list_sort", head, compare)
    assert items(guest, head, doubly=True) == sorted(addresses, key=lambda each: text_at(guest, each) or b"")
    inserted = 0
    for address in addresses:
        inserted = call(guest, "g_slist_insert_sorted", inserted, address, compare)
    assert [text_at(guest, each) for each in items(guest, inserted, doubly=False)] == sorted(texts)


@relaxed
@given(
    st.lists(
        st.tuples(st.sampled_from(("append", "prepend", "insert", "remove", "size")), st.integers(0, 9)), max_size=40
    )
)
def test_arrays(guest, steps):
    """A GArray of 4-byte elements and a GPtrArray through any history, as Python's list does it."""
    array, pointers = call(guest, "g_array_new", 1, 1, 4), call(guest, "g_ptr_array_new")
    expected: list[int] = []
    ours: list[int] = []
    value = guest.alloc(4)
    for number, (step, index) in enumerate(steps, 1):
        guest.write(value, guest.pack("I", number))
        if step == "append":
            call(guest, "g_array_append_vals", array, value, 1)
            call(guest, "g_ptr_array_add", pointers, number)
            expected.append(number)
            ours.append(number)
        elif step == "prepend":
            call(guest, "g_array_prepend_vals", array, value, 1)
            call(guest, "g_ptr_array_insert", pointers, 0, number)
            expected.insert(0, number)
            ours.insert(0, number)
        elif step == "insert" and index <= len(expected):
            call(guest, "g_array_insert_vals", array, index, value, 1)
            call(guest, "g_ptr_array_insert", pointers, index, number)
            expected.insert(index, number)
            ours.insert(index, number)
        elif step == "remove" and index < len(expected):
            call(guest, "g_array_remove_index", array, index)
            assert call(guest, "g_ptr_array_remove_index_fast", pointers, index) == ours[index]
            del expected[index]
            ours[index] = ours[-1]
            ours.pop()
        elif step == "size":
            call(guest, "g_array_set_size", array, index)
            call(guest, "g_ptr_array_set_size", pointers, index)
            expected = (expected + [0] * index)[:index]
            ours = (ours + [0] * index)[:index]
        length = guest.number(array + 8, 4)
        data = guest.read(guest.pointer(array), 4 * (length + 1))
        assert list(struct.unpack(guest.order + f"{length + 1}I", data)) == [*expected, 0]
        length = guest.number(pointers + 8, 4)
        assert [guest.pointer(guest.pointer(pointers) + 8 * i) for i in range(length)] == ours


@relaxed
@given(st.lists(st.tuples(st.booleans(), st.text("abcd", min_size=1, max_size=2).map(str.encode)), max_size=40))
def test_tree(guest, steps):
    """A GTree of strings: sorted whatever its history."""
    tree = call(guest, "g_tree_new", guest.host_function("strcmp"))
    expected: dict[bytes, int] = {}
    for number, (is_insert, key) in enumerate(steps, 1):
        if is_insert:
            call(guest, "g_tree_insert", tree, key, number)
            expected[key] = number
        else:
            assert call(guest, "g_tree_remove", tree, key) == (expected.pop(key, None) is not None)
        assert call(guest, "g_tree_nnodes", tree) == len(expected)
        assert call(guest, "g_tree_lookup", tree, key) == expected.get(key, 0)
    call(guest, "g_tree_destroy", tree)


def test_queue(guest):
    """A GQueue at both ends."""
    queue = call(guest, "g_queue_new")
    for number in (1, 2, 3):
        call(guest, "g_queue_push_tail", queue, number)
    call(guest, "g_queue_push_head", queue, 9)
    assert call(guest, "g_queue_get_length", queue) == 4
    assert [call(guest, "g_queue_pop_head", queue), call(guest, "g_queue_pop_tail", queue)] == [9, 3]
    assert [call(guest, "g_queue_peek_head", queue), call(guest, "g_queue_peek_tail", queue)] == [1, 2]
    assert call(guest, "g_queue_remove", queue, 1) == 1
    assert call(guest, "g_queue_pop_head", queue) == 2
    assert call(guest, "g_queue_pop_head", queue) == 0
    assert call(guest, "g_queue_is_empty", queue) == 1


@pytest.mark.parametrize("name", ["g_str_hash", "g_int_hash", "g_direct_hash"])
def test_hashes(glib, guest, name):
    """Hash functions, called directly."""
    data = b"\x81\x02\x03\x84\x05\x06\x07\x88\0"
    real = function(glib, name, ctypes.c_uint32, VOID)
    buffer = ctypes.create_string_buffer(data)
    address = guest.alloc(16)
    guest.write(address, data[3::-1] if name == "g_int_hash" and guest.byte_order == "big" else data)
    if name == "g_direct_hash":
        assert call(guest, name, 0x123456789A) == real(0x123456789A)
    else:
        assert call(guest, name, address) == real(buffer)


@relaxed
@given(
    st.sampled_from(["%d", "%5.3d", "%-8x|", "%#o", "%+ld", "%llu", "%hhd", "%hx", "%05i", "% d", "%zu"]),
    st.integers(0, 2**64 - 1),
)
def test_printf_integers(glib, guest, form, value):
    """Integers as the real snprintf prints them."""
    libc = ctypes.CDLL(None)
    buffer = ctypes.create_string_buffer(128)
    libc.snprintf(buffer, 128, form.encode(), ctypes.c_uint64(value))
    assert text_at(guest, call(guest, "g_strdup_printf", form.encode(), value)) == buffer.value


@relaxed
@given(st.binary(max_size=20).map(lambda data: data.replace(b"\0", b"1")), st.sampled_from([0, 8, 10, 16, 36]))
def test_strtol(guest, text, base):
    """strtol and strtoul, their end and their error, as the real ones."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name, restype in (("strtoll", ctypes.c_int64), ("strtoull", ctypes.c_uint64)):
        real = getattr(libc, name)
        real.restype, real.argtypes = restype, [VOID, ctypes.POINTER(VOID), ctypes.c_int]
        buffer, end = ctypes.create_string_buffer(text), VOID()
        value = real(buffer, ctypes.byref(end), base)
        address, mine = new_text(guest, text), guest.alloc(8)
        assert call(guest, name, address, mine, base) == value & (2**64 - 1)
        assert guest.pointer(mine) - address == end.value - ctypes.addressof(buffer)
