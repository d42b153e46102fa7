"""The search for the file of a module."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.module_loader import ERROR, LOADED, Opener, Setup, Types, self_link

from vmdump.modules.loader import ModuleLoader
from vmdump.modules.model import ModuleInfo


def loader_over(*dirs: Path, openers: list[Opener], table: tuple[ModuleInfo, ...] = ()) -> ModuleLoader:
    return ModuleLoader(table, module_arch=None, search_dirs=dirs, openers=openers, types=Types())


def test_dirs_in_order_past_missing_ones(tmp_path: Path) -> None:
    """ENOENT and ENOTDIR lead to the next dir; the first match is used."""
    file, first, second = tmp_path / "file", tmp_path / "1", tmp_path / "2"
    file.touch()
    for directory in (first, second):
        directory.mkdir()
        (directory / "usb.fake").touch()
    opener = Opener()
    loader = loader_over(tmp_path / "nowhere", file, first, second, openers=[opener])
    assert loader.module_load("", "usb") == LOADED
    assert opener.paths == [f"{first}/usb.fake"]


def test_other_access_error_stops_the_search(tmp_path: Path) -> None:
    """Neither a later dir nor a later suffix is tried."""
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "usb.fake").touch()
    (tmp_path / "usb.py").touch()
    self_link(tmp_path / "usb.fake")
    loader = loader_over(tmp_path, tmp_path / "good", openers=[Opener(), Opener("python", ".py")])
    assert loader.module_load("", "usb") == ERROR
    reason = os.strerror(errno.ELOOP)
    assert [str(error) for error in loader.errors] == [f"error trying to access {tmp_path}/usb.fake: {reason}"]


def test_name_too_long_or_impossible(tmp_path: Path) -> None:
    """ENAMETOOLONG is handled as any access error; so is a NUL, which no C string has."""
    setup = Setup(tmp_path)
    long = "x" * 300
    assert setup.load(long) == (
        ERROR,
        [f"error trying to access {setup.path(long)}: {os.strerror(errno.ENAMETOOLONG)}"],
    )
    result, [text] = setup.load("a\0b")
    assert (result, "\0" in text) == (ERROR, False)
    assert text.startswith(f"error trying to access '{tmp_path}/a\\x00b.fake': ")


def test_suffixes_in_order_within_a_dir(tmp_path: Path) -> None:
    """A dir's second suffix precedes the next dir's first."""
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    for path in (near / "both.so", near / "both.py", near / "usb.py", far / "usb.so"):
        path.touch()
    c, python = Opener("c", ".so"), Opener("python", ".py")
    loader = loader_over(near, far, openers=[c, python])
    loader.module_load("", "both")
    loader.module_load("", "usb")
    assert (c.paths, python.paths) == ([f"{near}/both.so"], [f"{near}/usb.py"])


def test_row_of_a_kind_is_opened_by_that_kind(tmp_path: Path) -> None:
    """The file from which the row was read is opened."""
    (tmp_path / "both.so").touch()
    (tmp_path / "both.py").touch()
    c, python = Opener("c", ".so"), Opener("python", ".py")
    loader = loader_over(tmp_path, openers=[c, python], table=(ModuleInfo("both", kind="python"),))
    assert loader.module_load("", "both") == LOADED
    assert (c.paths, python.paths) == ([], [f"{tmp_path}/both.py"])


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_only_regular_files_are_opened(tmp_path: Path, make: Callable[[str], None]) -> None:
    """Files that are not regular are not opened, as opening a FIFO would block."""
    setup = Setup(tmp_path)
    make(setup.path("usb"))
    assert setup.load("usb") == (
        ERROR,
        [f"failed to open module: {setup.path('usb')}: not a regular file"],
    )
    assert setup.opener.opened == []


def test_configured_path_replaces_the_search(tmp_path: Path) -> None:
    """The configured path is opened, and not the file of that name in the module dir."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    setup = Setup(tmp_path, ModuleInfo("usb", path=str(elsewhere), kind="fake"), files="usb")
    assert setup.load("usb") == (LOADED, [])
    assert setup.opener.paths == [str(elsewhere)]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            ModuleInfo("usb", path="/nowhere/usb.fake"),
            "failed to open module: no such file (module=usb, path=/nowhere/usb.fake)",
        ),
        (
            ModuleInfo("usb", path="/usb.xyz"),
            "failed to open module: unsupported type of file (module=usb, path=/usb.xyz)",
        ),
        (
            ModuleInfo("usb", path="/usb.fake", kind="qemu"),
            "failed to open module: unsupported type of file (module=usb, path=/usb.fake)",
        ),
    ],
)
def test_configured_path_must_be_good(tmp_path: Path, row: ModuleInfo, text: str) -> None:
    """For a configured path, cases that a search skips are errors with module and path."""
    setup = Setup(tmp_path, row, files="usb")
    assert setup.load("usb") == (ERROR, [text])
