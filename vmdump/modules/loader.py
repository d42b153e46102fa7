"""Module table and module loader.

A row of the table holds the metadata of a module, which is read without loading it. The loader resolves rows,
dependencies and search directories with QEMU's rules and return codes. Only openers know the kinds of module files; the
loader uses them through the protocol ``Opener``.

Source: QEMU 8.2.2 util/module.c. Configured paths, the finish entry point and ``module=NAME, path=PATH`` in errors
follow OpenSSL (crypto/conf/conf_mod.c).
"""

from __future__ import annotations

import enum
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from vmdump.errors import ModuleError, VmdumpError

if TYPE_CHECKING:
    from vmdump.qom import TypeTable

__all__ = [
    "LoadedModule",
    "ModuleInfo",
    "ModuleLoad",
    "ModuleLoader",
    "ModuleState",
    "ModuleStatus",
    "Opener",
    "Report",
    "module_search_dirs",
    "read_module_table",
]

#: Receives an error that is not fatal, for example a list's ``append``. The counterpart of QEMU's ``Error **errp``.
Report = Callable[[ModuleError], None]

#: Module directory below the installation prefix. QEMU's CONFIG_QEMU_MODDIR.
MODULE_DIR = "lib/vmdump/modules"


class _Named(msgspec.Struct, frozen=True):
    """Make the name positional and all other members keyword-only."""

    name: str


class ModuleInfo(_Named, frozen=True, kw_only=True):
    """Row of the module table. Source: QEMU 8.2.2 include/qemu/module.h struct QemuModinfo.

    ``arch``: the only supported target architecture, None: any; ``objs``: provided QOM types; ``deps``: modules to load
    first; ``opts``: registered QemuOpts groups; ``path``: file to open instead of searching for the name; ``kind``: the
    ``Opener.kind`` that opens it, "": any.

    >>> ModuleInfo("hw-display-qxl", objs=("qxl", "qxl-vga"), deps=("ui-spice-core",)).objs
    ('qxl', 'qxl-vga')
    """

    arch: str | None = None
    objs: tuple[str, ...] = ()
    deps: tuple[str, ...] = ()
    opts: tuple[str, ...] = ()
    path: str | None = None
    kind: str = ""


class ModuleLoad(enum.IntEnum):
    """Result of ``module_load``. Above zero: the module is loaded.

    >>> ModuleLoad.ALREADY_LOADED > 0 >= ModuleLoad.NOT_FOUND
    True
    """

    ERROR = -1  #: found, but loading failed; an error was reported
    NOT_FOUND = 0  #: the module or one of its dependencies is not installed; no error
    LOADED = 1
    ALREADY_LOADED = 2  #: loaded before, or being loaded (cyclic dependencies)


class ModuleState(enum.StrEnum):
    """State of a module, in words for a listing.

    >>> print(ModuleState.ARCH_MISMATCH)
    arch mismatch
    """

    NOT_LOADED = "not loaded"
    LOADED = "loaded"
    FAILED = "failed"
    ARCH_MISMATCH = "arch mismatch"
    NOT_FOUND = "not found"


class ModuleStatus(ModuleInfo, frozen=True, kw_only=True):
    """Row of the table with the state of the module.

    ``file``: path that was or would be opened; ``error``: why the module is not loaded.

    >>> ModuleStatus("hw-usb-host", state=ModuleState.NOT_FOUND).file is None
    True
    """

    state: ModuleState
    file: str | None = None
    error: str | None = None


class LoadedModule(Protocol):
    """An open module that has registered its types, as returned by an opener."""

    def finish(self) -> None:
        """Run the optional finish entry point and release the module. Called once. Raises: ModuleError."""


class Opener(Protocol):
    """Opens one kind of module file. An instance belongs to one loader and may track exported symbols."""

    @property
    def kind(self) -> str:
        """Name of the kind in listings: "python", "c", "qemu"."""

    @property
    def suffix(self) -> str:
        """File name suffix with the dot."""

    def read_info(self, path: str) -> ModuleInfo | None:
        """Read the module's metadata without loading or executing it; None: not a module of this kind.

        Raises: ModuleError, with ``path`` in its text, if the file can't be read or its metadata are invalid.
        """

    def open(self, name: str, path: str, export_symbols: bool, types: TypeTable) -> LoadedModule:
        """Open the module, which registers its types in ``types``.

        ``export_symbols``: make its symbols available to modules that are opened later.

        Raises: ModuleError ``failed to open module: ...`` or ``failed to initialize module: ...`` after closing the
        module. The loader adds module and path, and unregisters its types.
        """


class ModuleLoader:
    """Loads modules into a type table, each at most once. Loaders are independent of each other.

    ``table``: rows with unique names, in the order of ``module_load_qom_all``; ``module_arch``: the target
    architecture, None: ignore modules for a specific architecture; ``search_dirs``: see ``module_search_dirs``;
    ``openers``: order in which their suffixes are tried in each directory; ``report``: called with each error that has
    no ``errp``, in addition to its being appended to ``errors``.

    Errors are passed as in QEMU: methods return a code and pass the error to ``errp``, a function of one ModuleError
    (``errors.append``), or, without one, to ``errors`` and ``report``. Failing modules do not raise.

    Thread safety: each method holds the loader's lock, so no module is half loaded when a call returns. A module's init
    function runs under the lock: it may load further modules, but must not wait for another thread that does.

    Raises:
        ModuleError: two rows have the same name.

    >>> from vmdump.qom import TypeTable
    >>> loader = ModuleLoader(
    ...     [ModuleInfo("hw-s390x-virtio-gpu-ccw", arch="s390x", objs=("virtio-gpu-ccw",))],
    ...     module_arch="x86_64", search_dirs=["/nowhere"], openers=[], types=TypeTable(),
    ... )
    >>> loader.module_load("hw-", "usb-host")
    <ModuleLoad.NOT_FOUND: 0>
    >>> loader.module_load("hw-s390x-", "virtio-gpu-ccw", lambda error: print(error))
    module arch does not match: expected 'x86_64', got 's390x'
    <ModuleLoad.ERROR: -1>
    """

    def __init__(
        self,
        table: Sequence[ModuleInfo],
        *,
        module_arch: str | None,
        search_dirs: Sequence[str | os.PathLike[str]],
        openers: Sequence[Opener],
        types: TypeTable,
        report: Report | None = None,
    ) -> None:
        self.errors: list[ModuleError] = []
        self._table: dict[str, ModuleInfo] = {}
        for row in table:
            if row.name in self._table:
                raise ModuleError(f"two rows of the module table are named '{row.name}'; keep one")
            self._table[row.name] = row
        self._needed_by_others = {dep for row in table for dep in row.deps if dep != row.name}
        self._module_arch = module_arch
        self._search_dirs = [os.fspath(directory) for directory in search_dirs]
        self._openers = list(openers)
        self._types = types
        self._report = report
        self._lock = threading.RLock()
        self._loaded_modules: set[str] = set()  # including modules being loaded
        self._to_finish: list[tuple[str, LoadedModule]] = []  # in the order of opening
        self._outcomes: dict[str, ModuleStatus] = {}
        self._loaded_qom_all = False

    def module_check_arch(self, row: ModuleInfo) -> bool:
        """Return whether the module supports the target. Source: QEMU 8.2.2 util/module.c module_check_arch."""
        return row.arch is None or row.arch == self._module_arch

    def module_load(self, prefix: str, name: str, errp: Report | None = None) -> ModuleLoad:
        """Load the module PREFIX + NAME after its dependencies. Source: QEMU 8.2.2 util/module.c module_load."""
        with self._lock:
            try:
                return self._load(prefix + name)
            except ModuleError as error:
                self._error_propagate(error, errp)
                return ModuleLoad.ERROR

    def module_load_qom(self, typename: str | None, errp: Report | None = None) -> ModuleLoad:
        """Load the module that provides a QOM type. Source: QEMU 8.2.2 util/module.c module_load_qom."""
        if typename is None:
            self._error_propagate(ModuleError("type is NULL"), errp)
            return ModuleLoad.ERROR
        with self._lock:
            result = ModuleLoad.NOT_FOUND
            for row in self._table.values():
                if typename not in row.objs or not self.module_check_arch(row):
                    continue
                if result > 0:
                    self._error_propagate(ModuleError(f"multiple modules providing '{typename}'"), errp)
                    return ModuleLoad.ERROR
                result = self.module_load("", row.name, errp)
                if result < 0:
                    break
            return result

    def module_load_qom_all(self) -> None:
        """Load all modules that provide QOM types, once. Failures are reported and do not stop the others.

        Source: QEMU 8.2.2 util/module.c module_load_qom_all, without its abort at the second failure (fixed since).
        """
        with self._lock:
            if self._loaded_qom_all:
                return
            for row in self._table.values():
                if row.objs and self.module_check_arch(row):
                    self.module_load("", row.name)
            self._loaded_qom_all = True

    def module_finish(self) -> None:
        """Run the finish entry points, last loaded first. The modules' types must not be used afterwards.

        Failures are reported. The modules remain loaded: they are neither loaded again nor finished twice.
        """
        with self._lock:
            self._finish(since=0)

    def states(self) -> list[ModuleStatus]:
        """Return the state of each row in table order, then of requested modules without a row."""
        with self._lock:
            unlisted = [outcome for name, outcome in self._outcomes.items() if name not in self._table]
            return [self._status(row) for row in self._table.values()] + unlisted

    def _error_propagate(self, error: ModuleError, errp: Report | None) -> None:
        if errp is not None:
            errp(error)
            return
        self.errors.append(error)
        if self._report is not None:
            self._report(error)

    def _load(self, name: str) -> ModuleLoad:
        """As module_load, but raise errors.

        Iterative, as chains of dependencies may be deeper than Python's stack. If a dependency does not load, all
        modules below it on the stack get the same result.
        """
        begun: list[tuple[str, Iterator[str]]] = []  # modules and their dependencies still to load
        state, reason = ModuleState.NOT_LOADED, None
        try:
            result = self._begin(name, begun)
            while begun and result > 0:
                module, deps = begun[-1]
                dep = next(deps, None)
                if dep is not None:
                    result = self._begin(dep, begun)
                elif (result := self._open(module)) > 0:
                    begun.pop()
            if begun:
                state, reason = ModuleState.NOT_FOUND, f"module '{begun[-1][0]}' is not in any module directory"
            return result
        except ModuleError as error:
            state, reason = ModuleState.FAILED, str(error)
            raise
        finally:
            for module, _ in begun:
                self._loaded_modules.discard(module)
                self._set_outcome(module, state, error=reason)

    def _begin(self, name: str, begun: list[tuple[str, Iterator[str]]]) -> ModuleLoad:
        """Push a module and its dependencies on the stack. It counts as loaded from now on, which ends cycles."""
        if name in self._loaded_modules:
            return ModuleLoad.ALREADY_LOADED
        self._loaded_modules.add(name)
        row = self._table.get(name, ModuleInfo(name))
        begun.append((name, iter(row.deps)))
        if not self.module_check_arch(row):
            raise ModuleError(self._arch_mismatch(row))
        return ModuleLoad.LOADED

    def _open(self, name: str) -> ModuleLoad:
        """Find and open the file of a module whose dependencies are loaded. A failure is rolled back."""
        found = self._find(self._table.get(name, ModuleInfo(name)))
        if found is None:
            return ModuleLoad.NOT_FOUND
        opener, path = found
        opened_before = len(self._to_finish)
        module = None
        try:
            with self._types.registration():
                module = opener.open(name, path, name in self._needed_by_others, self._types)
        except VmdumpError as error:
            text = str(error) if isinstance(error, ModuleError) else f"failed to initialize module: {error}"
            raise ModuleError(f"{text} (module={name}, path={path})") from error
        finally:
            if module is None:
                # Modules loaded on demand by its init function registered their types in the same registration.
                for nested in self._finish(since=opened_before):
                    self._loaded_modules.discard(nested)
                    self._outcomes.pop(nested, None)
        self._to_finish.append((name, module))
        self._set_outcome(name, ModuleState.LOADED, file=path)
        return ModuleLoad.LOADED

    def _find(self, row: ModuleInfo) -> tuple[Opener, str] | None:
        """Return the opener and path of a module's file; None: not installed. Raises: ModuleError."""
        openers = [opener for opener in self._openers if row.kind in ("", opener.kind)]
        if row.path is not None:
            if not row.kind:
                openers = [opener for opener in openers if row.path.endswith(opener.suffix)]
            if not openers:
                raise ModuleError(
                    f"failed to open module: unsupported type of file (module={row.name}, path={row.path})"
                )
            if not _access(row.path):
                # Unlike a search, a configured path must exist.
                raise ModuleError(f"failed to open module: no such file (module={row.name}, path={row.path})")
            return openers[0], row.path
        for directory in self._search_dirs:
            for opener in openers:
                path = f"{directory}/{row.name}{opener.suffix}"
                if _access(path):
                    return opener, path
        return None

    def _finish(self, since: int) -> list[str]:
        """Finish the modules from position ``since`` of ``_to_finish`` on, last first, and return their names."""
        names = []
        while len(self._to_finish) > since:
            name, module = self._to_finish.pop()
            names.append(name)
            try:
                module.finish()
            except ModuleError as error:
                self._error_propagate(error, None)
        return names

    def _arch_mismatch(self, row: ModuleInfo) -> str:
        # Without a module_arch QEMU passes NULL to printf.
        return f"module arch does not match: expected '{self._module_arch or '(null)'}', got '{row.arch}'"

    def _set_outcome(self, name: str, state: ModuleState, file: str | None = None, error: str | None = None) -> None:
        row = self._table.get(name, ModuleInfo(name))
        self._outcomes[name] = ModuleStatus(**msgspec.structs.asdict(row), state=state, file=file, error=error)

    def _status(self, row: ModuleInfo) -> ModuleStatus:
        """Return the state of a row; for a module that is not loaded, with the file that would be opened."""
        outcome = self._outcomes.get(row.name)
        if outcome is not None and outcome.state is ModuleState.LOADED:
            return outcome
        if outcome is None:
            outcome = ModuleStatus(**msgspec.structs.asdict(row), state=ModuleState.NOT_LOADED)
        if not self.module_check_arch(row):
            outcome = msgspec.structs.replace(outcome, state=ModuleState.ARCH_MISMATCH, error=self._arch_mismatch(row))
        try:
            found = self._find(row)
        except ModuleError as error:
            return msgspec.structs.replace(outcome, error=outcome.error or str(error))
        return msgspec.structs.replace(outcome, file=found[1] if found else None)


def _access(path: str) -> bool:
    """Return whether a module's file exists. Raises: ModuleError if it is not a regular file or can't be accessed.

    Openers only get regular files: opening a FIFO blocks, and a device may have no end.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ModuleError(f"error trying to access {path}: {error.strerror}") from error
    except ValueError as error:  # a NUL or half a surrogate pair in the name
        raise ModuleError(f"error trying to access {path!r}: {error}") from error
    if not stat.S_ISREG(mode):
        raise ModuleError(f"failed to open module: {path}: not a regular file")
    return True


def module_search_dirs(
    module_dirs: Sequence[str | os.PathLike[str]] = (),
    *,
    environ: Mapping[str, str],
    executable: str | None,
    version: str,
    upgrades: bool = True,
) -> list[str]:
    """Return the search path for modules: ``module_dirs``, then QEMU's three directories.

    $QEMU_MODULE_DIR is a single directory; empty counts as unset. ``executable``: path of the running program in its
    bin directory (``sys.executable``; symlinks are not followed, so that a virtual environment has its own modules),
    relative to which the module directory is found as in a relocated installation. Empty or None, as in an embedded
    Python: none. ``upgrades``: add the directory, named by ``version``, that keeps the modules of a running program
    after an upgrade.

    Source: QEMU 8.2.2 util/module.c module_load, util/cutils.c get_relocated_path.

    >>> module_search_dirs(["./mine"], environ={}, executable="/opt/vmdump/bin/python3", version="1.0 (rc1)")
    ['./mine', '/opt/vmdump/bin/../lib/vmdump/modules', '/var/run/qemu/1.0__rc1_']
    """
    dirs = [os.fspath(directory) for directory in module_dirs]
    if environ.get("QEMU_MODULE_DIR"):
        dirs.append(environ["QEMU_MODULE_DIR"])
    if executable:
        dirs.append(f"{os.path.dirname(os.path.abspath(executable))}/../{MODULE_DIR}")
    if upgrades:
        version_dir = "".join(
            char if char.isascii() and (char.isalnum() or char in "+-.~") else "_" for char in version
        )
        dirs.append(f"/var/run/qemu/{version_dir}")
    return dirs


def read_module_table(
    search_dirs: Sequence[str | os.PathLike[str]],
    openers: Sequence[Opener],
    *,
    report: Report,
    installed: Iterable[ModuleInfo] = (),
) -> list[ModuleInfo]:
    """Return the rows of modules in the search path, then ``installed`` ones (entry points). Loads nothing.

    Rows of a directory are sorted by name. The first file of a name hides later ones even if it is broken, because it
    is the one that the loader would open. Missing directories and files that are not modules are skipped; unreadable
    directories and modules with invalid metadata are reported and skipped.

    >>> read_module_table(["/nowhere"], [], report=print)
    []
    """
    table: dict[str, ModuleInfo | None] = {}  # None: broken
    for directory in (os.fspath(each) for each in search_dirs):
        for name, opener in _module_files(directory, openers, report):
            if name in table:
                continue
            path = f"{directory}/{name}{opener.suffix}"
            try:
                info = opener.read_info(path) if _access(path) else None
            except ModuleError as error:
                table[name] = None
                report(error)
            else:
                if info is not None:
                    table[name] = msgspec.structs.replace(info, name=name)
    for info in installed:
        table.setdefault(info.name, info)
    return [row for row in table.values() if row is not None]


def _module_files(directory: str, openers: Sequence[Opener], report: Report) -> list[tuple[str, Opener]]:
    """Return names of potential modules with their openers, sorted by name, then in the openers' order."""
    try:
        files = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        report(ModuleError(f"error trying to access {directory}: {getattr(error, 'strerror', error)}"))
        return []
    named = (
        (file.removesuffix(opener.suffix), order)
        for file in files
        for order, opener in enumerate(openers)
        if file.endswith(opener.suffix)
    )
    return [(name, openers[order]) for name, order in sorted(named)]
