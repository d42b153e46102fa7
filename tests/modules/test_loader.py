"""The loader, by the rules of QEMU's util/module.c: return codes, failures, QOM types and states."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from support.module_loader import ALREADY_LOADED, ERROR, LOADED, NOT_FOUND, Setup, self_link

from vmdump.errors import ModuleError, QOMError
from vmdump.modules.model import ModuleInfo, ModuleLoad, ModuleState

# --- return codes ---------------------------------------------------------------------------------------------------


def test_return_codes_are_qemus() -> None:
    """The return codes of util/module.c."""
    assert [int(code) for code in ModuleLoad] == [-1, 0, 1, 2]


def test_loaded_then_already_loaded(tmp_path: Path) -> None:
    """1 the first time, 2 afterwards, and the file is opened once."""
    setup = Setup(tmp_path, files="usb")
    assert [setup.load("usb"), setup.load("usb")] == [(LOADED, []), (ALREADY_LOADED, [])]
    assert setup.opener.paths == [setup.path("usb")]


def test_name_is_prefix_plus_name(tmp_path: Path) -> None:
    """``block_module_load("iscsi")`` is ``module_load("block-", "iscsi")``."""
    setup = Setup(tmp_path, files="block-iscsi")
    assert setup.loader.module_load("block-", "iscsi") == LOADED
    assert setup.loader.module_load("", "block-iscsi") == ALREADY_LOADED


def test_not_installed_is_no_error(tmp_path: Path) -> None:
    """A module in no dir gives 0 without an error; once installed, it loads."""
    setup = Setup(tmp_path)
    assert setup.load("usb") == (NOT_FOUND, [])
    Path(setup.path("usb")).touch()
    assert setup.load("usb") == (LOADED, [])


@pytest.mark.parametrize(
    ("module_arch", "row_arch", "passes"),
    [
        ("x86_64", None, True),
        (None, None, True),
        ("x86_64", "x86_64", True),
        ("x86_64", "s390x", False),
        (None, "s390x", False),
        ("x86_64", "x86", False),
    ],
)
def test_module_check_arch(tmp_path: Path, module_arch: str | None, row_arch: str | None, passes: bool) -> None:
    """A row without arch passes; a loader without module_arch fails; otherwise they must be equal."""
    row = ModuleInfo("usb", arch=row_arch)
    setup = Setup(tmp_path, row, files="usb", arch=module_arch)
    assert setup.loader.module_check_arch(row) is passes
    assert setup.load("usb")[0] == (LOADED if passes else ERROR)


@pytest.mark.parametrize(("module_arch", "expected"), [("x86_64", "x86_64"), (None, "(null)")])
def test_arch_mismatch_text(tmp_path: Path, module_arch: str | None, expected: str) -> None:
    """The text of util/module.c; without a module_arch, "(null)" as printed by glibc's printf."""
    setup = Setup(tmp_path, ModuleInfo("ccw", arch="s390x", deps=("usb",)), files="ccw usb", arch=module_arch)
    assert setup.load("ccw") == (ERROR, [f"module arch does not match: expected '{expected}', got 's390x'"])
    assert setup.opener.opened == []


# --- opening --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (ModuleError("failed to open module: bad magic"), "failed to open module: bad magic"),
        (ModuleError("failed to initialize module: PATH"), "failed to initialize module: PATH"),
        (QOMError("type 'x' is there already"), "failed to initialize module: type 'x' is there already"),
    ],
)
def test_errors_from_opening_carry_module_and_path(tmp_path: Path, raised: Exception, text: str) -> None:
    """The opener's text, then module and file; the cause is kept."""
    setup = Setup(tmp_path, files="usb")
    setup.opener.on_open["usb"] = raised
    errors: list[ModuleError] = []
    assert setup.loader.module_load("", "usb", errors.append) == ERROR
    assert [str(error) for error in errors] == [f"{text} (module=usb, path={setup.path('usb')})"]
    assert errors[0].__cause__ is raised


def test_failing_module_leaves_no_types_behind(tmp_path: Path) -> None:
    """Types registered before a failure are removed."""
    setup = Setup(tmp_path, files="good bad")
    setup.opener.on_open["bad"] = ModuleError("failed to initialize module: no")
    setup.load("good")
    setup.load("bad")
    assert setup.types.names == ["type-of-good"]


def test_module_loaded_on_demand_is_removed_with_the_failed_one(tmp_path: Path) -> None:
    """A module loaded within a failing registration is finished and forgotten with it."""
    setup = Setup(tmp_path, ModuleInfo("outer"), ModuleInfo("inner"), files="outer inner")

    def load_inner_then_fail() -> None:
        assert setup.load("inner") == (LOADED, [])
        raise ModuleError("failed to initialize module: no")

    setup.opener.on_open["outer"] = load_inner_then_fail
    assert setup.load("outer")[0] == ERROR
    assert (setup.opener.finished, setup.types.names) == (["inner"], [])
    assert setup.states() == {"outer": "failed", "inner": "not loaded"}
    assert setup.load("inner") == (LOADED, [])


def test_interrupt_passes_through_and_forgets(tmp_path: Path) -> None:
    """SIGINT in a module's init propagates; nothing stays half-loaded."""
    setup = Setup(tmp_path, ModuleInfo("top", deps=("usb",)), files="top usb")

    def interrupt() -> None:
        raise KeyboardInterrupt

    setup.opener.on_open["usb"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        setup.load("top")
    assert (setup.types.names, setup.states(), setup.reported) == (
        [],
        {"top": "not loaded", "usb": "not loaded"},
        [],
    )
    del setup.opener.on_open["usb"]
    assert setup.load("top") == (LOADED, [])


def test_error_without_errp_is_kept_and_reported(tmp_path: Path) -> None:
    """With errp an error is stored only there, otherwise in errors and report."""
    setup = Setup(tmp_path, ModuleInfo("ccw", arch="s390x"))
    assert setup.load("ccw")[0] == ERROR
    assert (setup.loader.errors, setup.reported) == ([], [])
    setup.loader.module_load("", "ccw")
    assert [str(error) for error in setup.reported] == ["module arch does not match: expected 'x86_64', got 's390x'"]
    assert setup.loader.errors == setup.reported


def test_two_rows_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two rows of one name are an error; QEMU's table, made from file names, has none."""
    with pytest.raises(ModuleError, match="two rows of the module table are named 'usb'"):
        Setup(tmp_path, ModuleInfo("usb"), ModuleInfo("usb", arch="s390x"))


def test_two_threads_open_a_module_once(tmp_path: Path) -> None:
    """The second thread waits for the first and then finds the module loaded."""
    setup = Setup(tmp_path, files="usb")
    opening, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        opening.set()
        assert go_on.wait(10)

    setup.opener.on_open["usb"] = wait
    results: list[ModuleLoad] = []
    threads = [threading.Thread(target=lambda: results.append(setup.load("usb")[0])) for _ in range(2)]
    threads[0].start()
    assert opening.wait(10)
    threads[1].start()
    threads[1].join(0.05)
    assert results == []
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == [LOADED, ALREADY_LOADED]
    assert setup.opener.opened == ["usb"]


def test_loaders_are_independent(tmp_path: Path) -> None:
    """Loaders share no loaded modules."""
    first, second = Setup(tmp_path, files="usb"), Setup(tmp_path)
    assert (first.load("usb"), second.load("usb")) == ((LOADED, []), (LOADED, []))


# --- QOM types ------------------------------------------------------------------------------------------------------


def load_qom(setup: Setup, typename: str | None) -> tuple[ModuleLoad, list[str]]:
    errors: list[ModuleError] = []
    return setup.loader.module_load_qom(typename, errors.append), [str(error) for error in errors]


def test_module_load_qom_loads_the_provider(tmp_path: Path) -> None:
    """By type name: 2 once loaded; 0 for a type in no row or whose module is not installed."""
    setup = Setup(tmp_path, ModuleInfo("usb", objs=("u1", "u2")), ModuleInfo("gone", objs=("g",)), files="usb u1")
    assert load_qom(setup, "u2") == (LOADED, [])
    assert load_qom(setup, "u1") == (ALREADY_LOADED, [])
    assert load_qom(setup, "g") == (NOT_FOUND, [])
    assert load_qom(setup, "unknown") == (NOT_FOUND, [])
    assert setup.opener.opened == ["usb"]


def test_module_load_qom_needs_a_type(tmp_path: Path) -> None:
    """NULL fails, as in QEMU."""
    assert load_qom(Setup(tmp_path), None) == (ERROR, ["type is NULL"])


def test_two_providers_are_an_error(tmp_path: Path) -> None:
    """A second provider is an error; the first is loaded by then."""
    setup = Setup(tmp_path, ModuleInfo("one", objs=("usb",)), ModuleInfo("two", objs=("usb",)), files="one two")
    assert load_qom(setup, "usb") == (ERROR, ["multiple modules providing 'usb'"])
    assert setup.opener.opened == ["one"]
    assert load_qom(setup, "usb") == (ERROR, ["multiple modules providing 'usb'"])


def test_second_provider_counts_only_when_the_first_is_there(tmp_path: Path) -> None:
    """Providers that are not installed or for another arch do not count."""
    table = [
        ModuleInfo("gone", objs=("usb",)),
        ModuleInfo("ccw", arch="s390x", objs=("usb",)),
        ModuleInfo("two", objs=("usb",)),
    ]
    setup = Setup(tmp_path, *table, files="ccw two")
    assert load_qom(setup, "usb") == (LOADED, [])
    assert setup.opener.opened == ["two"]


def test_failing_provider_ends_the_search(tmp_path: Path) -> None:
    """-1 with its error; the next provider is not tried."""
    setup = Setup(tmp_path, ModuleInfo("one", objs=("usb",)), ModuleInfo("two", objs=("usb",)), files="one two")
    setup.opener.on_open["one"] = ModuleError("failed to open module: no")
    text = f"failed to open module: no (module=one, path={setup.path('one')})"
    assert load_qom(setup, "usb") == (ERROR, [text])
    assert setup.opener.opened == ["one"]


def test_load_qom_all_goes_on_after_every_failure(tmp_path: Path) -> None:
    """Rows in table order, skipping those without objs or for another arch; failures are reported and loading
    continues.
    """
    table = [
        ModuleInfo("z", objs=("t1",)),
        ModuleInfo("bad1", objs=("t2",)),
        ModuleInfo("ui", opts=("spice",)),
        ModuleInfo("ccw", arch="s390x", objs=("t3",)),
        ModuleInfo("bad2", objs=("t4",)),
        ModuleInfo("gone", objs=("t5",)),
        ModuleInfo("a", objs=("t6",)),
    ]
    setup = Setup(tmp_path, *table, files="z bad1 ui ccw bad2 a")
    setup.opener.on_open = {name: ModuleError("failed to open module: no") for name in ("bad1", "bad2")}
    setup.loader.module_load_qom_all()
    assert setup.opener.opened == ["z", "bad1", "bad2", "a"]
    assert [str(error) for error in setup.reported] == [
        f"failed to open module: no (module={name}, path={setup.path(name)})" for name in ("bad1", "bad2")
    ]
    assert setup.loader.errors == setup.reported


def test_load_qom_all_runs_once(tmp_path: Path) -> None:
    """The second call does nothing."""
    setup = Setup(tmp_path, ModuleInfo("bad", objs=("t",)), files="bad")
    setup.opener.on_open["bad"] = ModuleError("failed to open module: no")
    setup.loader.module_load_qom_all()
    setup.loader.module_load_qom_all()
    assert setup.opener.opened == ["bad"]
    assert len(setup.loader.errors) == 1


# --- finish and states ----------------------------------------------------------------------------------------------


def test_finish_in_reverse_order_and_once(tmp_path: Path) -> None:
    """Last loaded first; failures are reported and the rest finished; afterwards nothing is loaded again."""
    setup = Setup(tmp_path, ModuleInfo("top", deps=("lib",)), files="top lib other")
    setup.load("other")
    setup.load("top")
    setup.opener.on_finish["lib"] = ModuleError("failed to finish module: no")
    setup.loader.module_finish()
    setup.loader.module_finish()
    assert setup.opener.finished == ["top", "lib", "other"]
    assert [str(error) for error in setup.reported] == ["failed to finish module: no"]
    assert setup.load("top") == (ALREADY_LOADED, [])


def test_states_of_all_rows(tmp_path: Path) -> None:
    """One row for each module: kind, state, file, reason."""
    table = [
        ModuleInfo("ok", objs=("t",), opts=("spice",), kind="fake"),
        ModuleInfo("bad"),
        ModuleInfo("ccw", arch="s390x"),
        ModuleInfo("gone"),
        ModuleInfo("top", deps=("gone",)),
        ModuleInfo("idle"),
        ModuleInfo("loop"),
        ModuleInfo("ccw-loop", arch="s390x"),
    ]
    setup = Setup(tmp_path, *table, files="ok bad ccw top idle extra")
    self_link(tmp_path / "loop.fake")
    self_link(tmp_path / "ccw-loop.fake")
    setup.opener.on_open["bad"] = ModuleError("failed to open module: no")
    for name in ("ok", "bad", "ccw", "top", "extra", "nothing"):
        setup.load(name)
    rows = {row.name: row for row in setup.loader.states()}
    assert {name: (row.state.value, row.file and Path(row.file).name, row.error) for name, row in rows.items()} == {
        "ok": ("loaded", "ok.fake", None),
        "bad": ("failed", "bad.fake", f"failed to open module: no (module=bad, path={setup.path('bad')})"),
        "ccw": ("arch mismatch", "ccw.fake", "module arch does not match: expected 'x86_64', got 's390x'"),
        "gone": ("not found", None, "module 'gone' is not in any module directory"),
        "top": ("not found", "top.fake", "module 'gone' is not in any module directory"),
        "idle": ("not loaded", "idle.fake", None),
        "loop": (
            "not loaded",
            None,
            f"error trying to access {setup.path('loop')}: {os.strerror(errno.ELOOP)}",
        ),
        "ccw-loop": ("arch mismatch", None, "module arch does not match: expected 'x86_64', got 's390x'"),
        "extra": ("loaded", "extra.fake", None),
        "nothing": ("not found", None, "module 'nothing' is not in any module directory"),
    }
    assert list(rows) == [row.name for row in table] + ["extra", "nothing"]
    assert (rows["ok"].kind, rows["ok"].objs, rows["ok"].opts, rows["ccw"].arch) == (
        "fake",
        ("t",),
        ("spice",),
        "s390x",
    )
    assert rows["top"].deps == ("gone",)


def test_arch_mismatch_shows_before_loading(tmp_path: Path) -> None:
    """module_load_qom_all skips such a row without an error; its state has the reason."""
    setup = Setup(tmp_path, ModuleInfo("ccw", arch="s390x", objs=("t",)), files="ccw")
    setup.loader.module_load_qom_all()
    [row] = setup.loader.states()
    assert (row.state, row.error) == (
        ModuleState.ARCH_MISMATCH,
        "module arch does not match: expected 'x86_64', got 's390x'",
    )
    assert setup.loader.errors == []


def test_a_later_success_replaces_the_failure(tmp_path: Path) -> None:
    """States have the last outcome, not the worst."""
    setup = Setup(tmp_path, ModuleInfo("usb"))
    setup.load("usb")
    assert setup.states() == {"usb": "not found"}
    Path(setup.path("usb")).touch()
    setup.load("usb")
    assert setup.states() == {"usb": "loaded"}
