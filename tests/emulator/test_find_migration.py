"""Functions of migration code without symbols: those found are the ones that symbols name, and none is guessed.

What functions call and load is that of QEMU 11.1's migration/, and what compilers make of it: see BODIES.
"""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.machine_trees import PARTS
from support.mapped_code import HEADER, Call, functions_of
from support.qemu import find_qemu
from support.releases import pair

from vmdump.emulator.find_functions import Functions
from vmdump.emulator.find_migration import FINDERS, MigrationFunctions
from vmdump.emulator.guest import Guest
from vmdump.emulator.machine import boot
from vmdump.emulator.machine_code import Code
from vmdump.emulator.migration import load_stream, save_stream
from vmdump.emulator.objects.open import open_object
from vmdump.errors import SourceError

Bodies = dict[str, list[str | bytes]]

LEAVES = """
    error_setg_internal error_copy error_propagate qemu_log qemu_put_be32 qemu_put_byte qemu_put_buffer vm_stop vm_start
    json_writer_start_object json_writer_end_object json_writer_start_array json_writer_end_array json_writer_int64
    json_writer_get vmstate_save_vmsd vmstate_save runstate_get qio_channel_writev_all
    object_new object_ref object_dynamic_cast_assert qemu_savevm_command_send migration_incoming_state_destroy
    migrate_get_current
"""

#: Functions of QEMU 11.1 by what they do, in order: they load a text (bytes) or call a function.
BODIES: Bodies = {
    **{name: [] for name in LEAVES.split()},
    **{f"migrate_option_{number}": ["migrate_get_current"] for number in range(50)},
    "migrate_mode": ["migrate_get_current"],
    "migrate_send_switchover_start": ["migrate_get_current"],
    "qemu_savevm_state_blocked": [b"qemu_savevm_state_blocked", "error_setg_internal"],
    "migration_is_blocked": ["migrate_mode", "qemu_savevm_state_blocked", "error_copy", "error_propagate"],
    "qemu_savevm_send_header": ["qemu_put_be32", "qemu_put_be32", b"savevm_state_header\n", "qemu_log"],
    "qemu_savevm_state_header": [
        "migrate_get_current", "qemu_savevm_send_header", "qemu_put_byte", b"configuration",
        "json_writer_start_object", "json_writer_start_object", "vmstate_save_vmsd", "json_writer_end_object",
    ],
    "qemu_savevm_state_do_setup": [
        "migrate_get_current", b"page_size", "json_writer_int64", "json_writer_start_array", "vmstate_save",
        "qemu_put_byte", "qemu_put_be32", b"savevm_state_setup\n", "qemu_log",
    ],
    "qemu_savevm_maybe_send_switchover_start": [
        "migrate_send_switchover_start", "qemu_savevm_command_send", b"savevm_send_switchover_start\n", "qemu_log",
    ],
    "qemu_savevm_state_non_iterable": ["migrate_get_current", "vmstate_save", b"src-non-iterable-saved", "qemu_log"],
    "qemu_savevm_state_end_precopy": [
        "qemu_put_byte", "json_writer_end_array", "json_writer_end_object", "json_writer_get", "qemu_put_byte",
        "qemu_put_be32", "json_writer_get", "qemu_put_buffer",
    ],
    "qemu_savevm_state_complete_precopy": ["qemu_savevm_state_non_iterable", "qemu_savevm_state_end_precopy"],
    "global_state_do_store": [b"strlen(state) < sizeof(global_state.runstate)"],
    "global_state_store": ["runstate_get", "global_state_do_store"],
    "global_state_store_running": ["global_state_do_store"],
    "qemu_file_new_output": ["object_ref"],
    "qemu_file_new_input": ["object_ref"],
    "qemu_fflush": ["qio_channel_writev_all", b"migrate: madvise DONTNEED failed %p %zd: %s"],
    "qemu_fclose": ["qemu_fflush", b"qemu_file_fclose\n", "qemu_log"],
    "qio_channel_file_new_path": [b"qio-channel-file", "object_new", "object_dynamic_cast_assert"],
    "qio_channel_buffer_new": [b"qio-channel-buffer", "object_new", "object_dynamic_cast_assert"],
    "qemu_loadvm_state": [b"Configuration section missing"],
    "migrate_init": ["migrate_mode"],
    "bg_migration_thread": [
        "qemu_savevm_state_header", "qemu_savevm_state_do_setup", b"qio-channel-buffer", "object_dynamic_cast_assert",
        "qemu_savevm_state_non_iterable",
    ],
    "migration_thread": [
        "qemu_savevm_state_header", "qemu_savevm_state_do_setup", "qemu_savevm_maybe_send_switchover_start",
        "qemu_savevm_state_non_iterable", "qemu_savevm_state_end_precopy",
    ],
    "save_snapshot": [
        "migration_is_blocked", "global_state_store", "migrate_init", "qemu_savevm_state_header",
        "qemu_savevm_state_do_setup", "qemu_savevm_state_complete_precopy",
    ],
    "qmp_migrate": ["migration_is_blocked", "migrate_init", "migrate_mode", "error_setg_internal", "error_copy"],
    "qmp_xen_save_devices_state": [
        "vm_stop", "global_state_store_running", "qio_channel_file_new_path", b"migration-xen-save-state",
        "qemu_file_new_output", "qemu_savevm_state_non_iterable", "qemu_fclose", "vm_start",
    ],
    "qmp_xen_load_devices_state": [
        "vm_stop", "qio_channel_file_new_path", b"migration-xen-load-state", "qemu_file_new_input", "qemu_loadvm_state",
        "qemu_fclose", "migration_incoming_state_destroy",
    ],
}  # fmt: skip

#: Names that 11.1 has not, or that only QEMU up to 8.2 has.
LACKING = {
    "qemu_mutex_lock_iothread_impl", "qemu_mutex_unlock_iothread", "qemu_savevm_state_complete_precopy_non_iterable",
}  # fmt: skip

#: The set-up is found by its name in QEMU 10.0.
RENAMED = {"qemu_savevm_state_setup": "qemu_savevm_state_do_setup"}


def found_in(bodies: Bodies) -> tuple[dict[str, str | None], bool]:
    """Return the name of the function that is found for each name, and whether all are found."""
    code, addresses = functions_of(bodies)
    names = {address: name for name, address in addresses.items()}
    functions = MigrationFunctions(code)
    found = {name: functions.find(name) for name in FINDERS}
    return {name: None if at is None else names.get(at, "?") for name, at in found.items()}, functions.is_complete()


def changed(name: str, body: list[str | bytes] | None = None, **others: list[str | bytes]) -> Bodies:
    """Return BODIES with other functions; name: one that is replaced, or removed."""
    bodies = {each: list(items) for each, items in BODIES.items() if each != name or body is not None}
    return bodies | ({name: body} if body is not None else {}) | others


def moved(name: str, text: bytes) -> Bodies:
    """Return BODIES with a text of a function in a part that is split off."""
    body: list[str | bytes] = [f"{name}.cold" if item == text else item for item in BODIES[name] if item != "qemu_log"]
    return changed(name, body, **{f"{name}.cold": [text, "qemu_log"]})


def test_all() -> None:
    """Every function of QEMU 11.1 is found."""
    found, is_complete = found_in(BODIES)
    assert found == {name: None if name in LACKING else RENAMED.get(name, name) for name in FINDERS}
    assert is_complete


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("qemu_savevm_state_do_setup", b"savevm_state_setup\n"),
        ("qemu_savevm_maybe_send_switchover_start", b"savevm_send_switchover_start\n"),
        ("qemu_fclose", b"qemu_file_fclose\n"),
    ],
)
def test_parts(name: str, text: bytes) -> None:
    """A trace event in a part that the compiler has split off, as Clang does, names the function, not the part."""
    assert found_in(moved(name, text)) == found_in(BODIES)


SAVER = ["qemu_savevm_state_header", "qemu_savevm_state_do_setup"]


@pytest.mark.parametrize(
    ("name", "bodies"),
    [
        pytest.param(
            "qemu_savevm_state_blocked",
            changed(
                "qemu_savevm_state_blocked",
                migration_is_blocked=[
                    "migrate_mode", b"qemu_savevm_state_blocked", "error_setg_internal", "error_copy",
                    "error_propagate",
                ],
            ),
            id="inlined into its only caller",
        ),
        pytest.param(
            "migration_is_blocked",
            changed("migration_is_blocked", save_snapshot=["qemu_savevm_state_blocked", "error_copy", *SAVER, "vm_stop",
                    "migrate_init", "qemu_savevm_state_complete_precopy"],
                    qmp_migrate=["qemu_savevm_state_blocked", "migrate_init", "error_copy", "migrate_mode", "vm_stop"]),
            id="inlined into both callers",
        ),
        pytest.param(
            "migrate_get_current",
            changed("qemu_savevm_state_header", ["qemu_put_be32", "qemu_put_be32", "qemu_put_byte", b"configuration",
                    b"savevm_state_header\n", "json_writer_start_object", "json_writer_start_object",
                    "vmstate_save_vmsd", "json_writer_end_object"]),
            id="inlined",
        ),
        pytest.param(
            "qemu_savevm_state_end_precopy",
            changed("qemu_savevm_state_end_precopy", [*BODIES["qemu_savevm_state_end_precopy"][:4], "qemu_put_byte"]),
            id="a function that only begins like it",
        ),
        pytest.param(
            "qemu_savevm_state_end_precopy",
            changed("qemu_savevm_state_end_precopy", ["qemu_put_byte", "qemu_put_be32", "migrate_get_current",
                    "qemu_put_byte", "qemu_put_be32", "qemu_log", "qemu_log"]),
            id="one that writes a section's header and footer",
        ),
        pytest.param(
            "global_state_store",
            changed("global_state_store", migration_stop_vm=["vm_stop", "runstate_get", "global_state_do_store"],
                    save_snapshot=[*BODIES["save_snapshot"][:1], *BODIES["save_snapshot"][2:], "runstate_get",
                                   "global_state_do_store"]),
            id="inlined into its callers",
        ),
        pytest.param(
            "qemu_file_new_input",
            changed("qemu_file_new_input", qemu_file_new_input=["object_ref", "object_new"]),
            id="not the twin of that for output",
        ),
        pytest.param(
            "qemu_file_new_input",
            {"qemu_file_new_input": ["object_ref"], **changed("qemu_file_new_input")},
            id="not beside that for output",
        ),
        pytest.param(
            "qemu_loadvm_state",
            changed("qemu_loadvm_state", ["vm_stop"], qemu_loadvm_state_header=[b"Configuration section missing"]),
            id="its header alone",
        ),
    ],
)  # fmt: skip
def test_nothing_is_guessed(name: str, bodies: Bodies) -> None:
    """Without its evidence a function is not found, and machines are not saved; the others are still right."""
    found, is_complete = found_in(bodies)
    assert found[name] is None
    assert not is_complete
    assert {each: at for each, at in found.items() if at not in (None, RENAMED.get(each, each))} == {}


def test_call_across_functions() -> None:
    """A call that the table of functions cuts in two is no error."""
    bodies = changed("qemu_savevm_state_complete_precopy", [Call("qemu_savevm_state_non_iterable")])
    assert found_in(bodies)[0] == found_in(BODIES)[0]


@given(st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=8))), st.integers(0, 900), st.binary())
def test_damaged_code(changes: list[tuple[int, bytes]], at: int, table: bytes) -> None:
    """Any code and table of functions give functions or none, or a SourceError."""
    code, addresses = functions_of(BODIES)
    for offset, data in changes:
        code.guest.write(min(addresses.values()) + offset, data)
    code.guest.write(code.mapped.bias + HEADER + at, table)
    try:
        functions = MigrationFunctions(Code(code.mapped))
        found = {functions.find(name) for name in FINDERS}
        assert functions.is_complete() <= (len(found) > 10)
    except SourceError as error:
        assert "\n" not in str(error)


LOCKS: Bodies = {
    "qemu_mutex_unlock_impl": [],
    "qemu_mutex_lock_iothread_impl": [b"qemu_mutex_lock_iothread_impl"],
    "qemu_mutex_unlock_iothread": [b"qemu_mutex_unlock_iothread", "qemu_mutex_unlock_impl"],
    "cpu_remove_sync": [
        b"qemu_mutex_unlock_iothread", "qemu_mutex_unlock_impl", "qemu_mutex_lock_iothread_impl",
    ],
}  # fmt: skip


def test_locks() -> None:
    """Where functions acquire the lock, both of its functions are needed; another may have the second inlined."""
    found, is_complete = found_in(BODIES | LOCKS)
    assert {name: found[name] for name in LOCKS if name in FINDERS} == {
        "qemu_mutex_lock_iothread_impl": "qemu_mutex_lock_iothread_impl",
        "qemu_mutex_unlock_iothread": "qemu_mutex_unlock_iothread",
    }
    assert is_complete
    for name in ("qemu_mutex_lock_iothread_impl", "qemu_mutex_unlock_iothread"):
        found, is_complete = found_in(BODIES | LOCKS | {f"{name}.part.0": LOCKS[name]})
        assert (found[name], is_complete) == (None, False)


# Real binaries ----------------------------------------------------------------------------------------------------

#: Names up to 7.1, and since 11.1.
OTHER_NAMES = {
    "qemu_file_new_input": "qemu_fopen_channel_input",
    "qemu_file_new_output": "qemu_fopen_channel_output",
    "qemu_savevm_state_setup": "qemu_savevm_state_do_setup",
}


class RealFunctions:
    """Functions of a binary that has symbols: as they are found without, and as they are named."""

    def __init__(self, path: str) -> None:
        with open_object(path) as file:
            main = file.map(Guest(path, file.arch, platform=file.platform, place=file.place), is_main=True)
        functions = Functions(main.guest, main)
        self.bias = main.bias
        self.has_symbols, functions.exported = functions.exported, False
        self.found = {name: functions.find(name) for name in FINDERS}
        self.can_save = functions.can_save
        self.named = {name: main.symbols.get(name, main.symbols.get(OTHER_NAMES.get(name, ""))) for name in FINDERS}
        if self.found["qemu_fflush"] not in main.symbols.values():  # the part of it that qemu_fclose calls
            self.found["qemu_fflush"] = self.named["qemu_fflush"]

    def wrong(self) -> dict[str, int]:
        """Return the functions that are found at another address than the symbol's, or have none."""
        return {name: at for name, at in self.found.items() if at not in (None, self.named[name])}


@pytest.mark.qemu
@pytest.mark.parametrize("target", ["x86_64", "aarch64"])
def test_installed(target: str) -> None:
    """All functions of the installed QEMU are found but those that are needed since 8.2 only."""
    functions = RealFunctions(find_qemu(target))
    expected = functions.named | ({} if functions.found["migrate_init"] else NEWER)
    assert functions.found == expected
    assert functions.can_save


#: Functions that are not looked for up to QEMU 8.1.
NEWER = {"migrate_get_current": None, "migrate_init": None}


@pytest.mark.slow
@pytest.mark.parametrize("target", ["x86_64", "aarch64", "avr", "sparc"])
@pytest.mark.parametrize("version", PARTS)
def test_versions_and_hosts(version: str, target: str) -> None:
    """What is found in Debian's binaries is right; from 7.2 on, all that saving needs."""
    path = pair(version, target).binary
    functions = RealFunctions(str(path))
    assert functions.has_symbols
    assert functions.wrong() == {}
    assert functions.can_save == (version != "5.2")


BUILDS = sorted(Path(os.environ.get("VMDUMP_BUILDS", "/nonexistent")).glob("binaries/*/*/qemu-system-*"))


@pytest.mark.slow
@pytest.mark.parametrize("binary", BUILDS, ids=["-".join(path.parts[-3:-1]) for path in BUILDS])
def test_builds(binary: Path) -> None:
    """What is found in binaries that were built in many ways, some optimized at link time, is what nm names so."""
    lines = subprocess.run(["nm", str(binary)], capture_output=True, text=True).stdout.splitlines()
    symbols = {(name, int(address, 16)) for address, _, name in (line.split() for line in lines if line[0] != " ")}
    functions = RealFunctions(str(binary))
    found = {(name, at - functions.bias) for name, at in functions.found.items() if at is not None}
    assert not symbols or found <= symbols


@pytest.mark.slow
@pytest.mark.parametrize("version", [each for each in PARTS if each != "5.2"])
def test_streams(version: str) -> None:
    """A machine is saved and loaded by functions that are found as by those that symbols name."""
    arguments, streams = ["-M", "pc", "-accel", "tcg"], []
    for exported in (True, False):
        machine = boot(pair(version, "x86_64").binary, arguments)
        machine.functions.exported = exported
        streams.append(save_stream(machine))
    assert streams[0] == streams[1]
    machine = boot(pair(version, "x86_64").binary, [*arguments, "-incoming", "defer"])
    machine.functions.exported = False
    assert load_stream(machine, streams[1]) == 0
