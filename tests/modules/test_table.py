"""The search path for modules and the module table."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from support.module_loader import Opener, self_link

from vmdump.errors import ModuleError
from vmdump.modules.model import ModuleInfo
from vmdump.modules.table import module_search_dirs, read_module_table

# --- where modules are ----------------------------------------------------------------------------------------------


def test_search_dirs_in_order() -> None:
    """The explicit ones, $QEMU_MODULE_DIR (one dir, colons included), the relocated one, the one for upgrades."""
    assert module_search_dirs(
        ["mine", Path("/yours")],
        environ={"QEMU_MODULE_DIR": "/env:/x"},
        executable="/opt/v/bin/python3",
        version="8.2.2 (Debian 1:8.2.2+ds-1~bpo12+1)",
    ) == [
        "mine",
        "/yours",
        "/env:/x",
        "/opt/v/bin/../lib/vmdump/modules",
        "/var/run/qemu/8.2.2__Debian_1_8.2.2+ds-1~bpo12+1_",
    ]


@pytest.mark.parametrize("executable", ["", None])
def test_search_dirs_with_empty_settings(executable: str | None) -> None:
    """Empty settings count as unset."""
    arguments = {"environ": {"QEMU_MODULE_DIR": ""}, "executable": executable, "version": "1"}
    assert module_search_dirs(**arguments, upgrades=False) == []
    assert module_search_dirs(**arguments) == ["/var/run/qemu/1"]


def test_version_dir_keeps_only_plain_characters() -> None:
    """Digits and letters of other scripts are outside G_CSET_* as well; slashes are replaced."""
    [directory] = module_search_dirs(environ={}, executable=None, version="../٣é_A-z.9~+/x")
    assert directory == "/var/run/qemu/..____A-z.9~+_x"


def test_relocation_does_not_follow_the_link_of_a_virtual_environment(tmp_path: Path) -> None:
    """A virtual environment's python is a link to the system's; modules are looked up in the environment."""
    for path in ("system/bin", "venv/bin", "venv/lib/vmdump/modules"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "system/bin/python3").touch()
    (tmp_path / "venv/bin/python3").symlink_to(tmp_path / "system/bin/python3")
    [directory] = module_search_dirs(
        environ={}, executable=str(tmp_path / "venv/bin/python3"), version="1", upgrades=False
    )
    assert os.path.samefile(directory, tmp_path / "venv/lib/vmdump/modules")


# --- the table ------------------------------------------------------------------------------------------------------


def test_table_is_sorted_within_a_dir_and_first_dir_wins(tmp_path: Path) -> None:
    """Names come from the files; the second dir adds names absent from the first; installed ones come last."""
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    (near / "z.fake").write_text("z-type z-other")
    (near / "a.fake").write_text("a-type")
    (near / "a-b.fake").write_text("ab-type")
    (far / "a.fake").write_text("never")
    (far / "m.fake").write_text("m-type")
    errors: list[ModuleError] = []
    installed = [ModuleInfo("z", objs=("never",)), ModuleInfo("e", path="/e.py")]
    table = read_module_table([near, str(far)], [Opener()], report=errors.append, installed=installed)
    assert [(row.name, row.objs) for row in table] == [
        ("a", ("a-type",)),
        ("a-b", ("ab-type",)),
        ("z", ("z-type", "z-other")),
        ("m", ("m-type",)),
        ("e", ()),
    ]
    assert {row.kind for row in table[:4]} == {"fake"}
    assert errors == []


def test_table_asks_the_openers_in_order(tmp_path: Path) -> None:
    """For one name the first opener that accepts the file is used; two kinds may share a suffix."""
    (tmp_path / "both.so").write_text("from-so")
    (tmp_path / "both.py").write_text("from-py")
    (tmp_path / "plain.so").write_text("")
    (tmp_path / "plain.py").write_text("from-py")
    c, python, other = Opener("c", ".so"), Opener("python", ".py"), Opener("qemu", ".so")
    other.read_info = lambda path: ModuleInfo("x", kind="qemu")  # type: ignore[method-assign]
    table = read_module_table([tmp_path], [c, python], report=pytest.fail)
    assert [(row.name, row.kind) for row in table] == [("both", "c"), ("plain", "python")]
    table = read_module_table([tmp_path], [c, other], report=pytest.fail)
    assert [(row.name, row.kind) for row in table] == [("both", "c"), ("plain", "qemu")]


def test_table_skips_other_files(tmp_path: Path) -> None:
    """Missing dirs, files without modinfo, other suffixes and dangling links are skipped."""
    (tmp_path / "empty.fake").touch()
    (tmp_path / "readme.txt").write_text("text")
    (tmp_path / "dangling.fake").symlink_to("nowhere")
    assert (
        read_module_table([tmp_path / "gone", tmp_path / "readme.txt", tmp_path], [Opener()], report=pytest.fail) == []
    )


def test_table_reports_what_it_can_not_read_and_goes_on(tmp_path: Path) -> None:
    """Unreadable dirs and broken modules are reported; a broken one hides a later one of its name, as in the loader."""
    loop, near, far = tmp_path / "loop", tmp_path / "near", tmp_path / "far"
    self_link(loop)
    near.mkdir()
    far.mkdir()
    (near / "bad.fake").write_text("broken")
    (far / "bad.fake").write_text("type")
    (near / "good.fake").write_text("type")
    self_link(near / "linked.fake")
    os.mkfifo(near / "pipe.fake")
    errors: list[ModuleError] = []
    table = read_module_table([loop, "nul\0", near, far], [Opener()], report=errors.append)
    assert [row.name for row in table] == ["good"]
    texts = [str(error) for error in errors]
    assert texts[0] == f"error trying to access {loop}: {os.strerror(errno.ELOOP)}"
    assert texts[1].startswith("error trying to access ")
    assert texts[2:] == [
        f"failed to open module: {near}/bad.fake: broken",
        f"error trying to access {near}/linked.fake: {os.strerror(errno.ELOOP)}",
        f"failed to open module: {near}/pipe.fake: not a regular file",
    ]
