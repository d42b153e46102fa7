"""Loadable modules: which there are (the module table) and how one is loaded (the loader).

A row of the table says what a module provides and needs, and is read without loading the module. The loader walks
rows, deps and search dirs by QEMU's rules and return codes; what a module file is and how it is opened is known to
openers alone, which it drives through the protocol ``Opener``. Source: QEMU 8.2.2 util/module.c; the configured path,
the finish entry point and ``module=NAME, path=PATH`` in errors are OpenSSL's (crypto/conf/conf_mod.c).
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

#: Takes an error that does not end the run: a list's ``append``, a printer. QEMU's ``Error **errp``, as a function.
Report = Callable[[ModuleError], None]

#: Where an installation keeps its modules, below its prefix. QEMU's CONFIG_QEMU_MODDIR.
MODULE_DIR = "lib/vmdump/modules"


class _Named(msgspec.Struct, frozen=True):
    """Gives the name the first and only position; all other members of the rows below go by keyword."""

    name: str


class ModuleInfo(_Named, frozen=True, kw_only=True):
    """One row of the module table. Source: QEMU 8.2.2 include/qemu/module.h struct QemuModinfo.

    ``arch``: the only target architecture it is for; ``objs``: QOM types it provides; ``deps``: modules to load
    before it; ``opts``: QemuOpts groups it registers; ``path``: the file to open, instead of a search for the name;
    ``kind``: the ``Opener.kind`` that opens it, "" when any may.

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
    """What ``module_load`` returns. Above zero: the module is there.

    >>> ModuleLoad.ALREADY_LOADED > 0 >= ModuleLoad.NOT_FOUND
    True
    """

    ERROR = -1  #: found, but can't be loaded; an error has been reported
    NOT_FOUND = 0  #: it or one of its deps is not installed; no error
    LOADED = 1
    ALREADY_LOADED = 2  #: loaded before, or being loaded further up (cyclic deps)


class ModuleState(enum.StrEnum):
    """What became of a module so far, in words for a listing.

    >>> print(ModuleState.ARCH_MISMATCH)
    arch mismatch
    """

    NOT_LOADED = "not loaded"
    LOADED = "loaded"
    FAILED = "failed"
    ARCH_MISMATCH = "arch mismatch"
    NOT_FOUND = "not found"


class ModuleStatus(ModuleInfo, frozen=True, kw_only=True):
    """A row of the table and what became of it.

    ``file``: what was or would be opened; ``error``: why it is not loaded.

    >>> ModuleStatus("hw-usb-host", state=ModuleState.NOT_FOUND).file is None
    True
    """

    state: ModuleState
    file: str | None = None
    error: str | None = None


class LoadedModule(Protocol):
    """What an opener returns: a module that is open and has registered its types."""

    def finish(self) -> None:
        """Run the optional finish entry point and let go of the module. Called once. Raises: ModuleError."""


class Opener(Protocol):
    """Knows one kind of module file. One instance serves one loader: it may keep what modules export to each other."""

    @property
    def kind(self) -> str:
        """The word for such modules in a listing: "python", "c", "qemu"."""

    @property
    def suffix(self) -> str:
        """How the files of this kind end, with the dot."""

    def read_info(self, path: str) -> ModuleInfo | None:
        """Read what the file declares, without loading or executing it; None: no module of this kind.

        Raises: ModuleError, with ``path`` in its text, when the file can't be read or declares nonsense.
        """

    def open(self, name: str, path: str, export_symbols: bool, types: TypeTable) -> LoadedModule:
        """Open the file and let it register its types in ``types``.

        ``export_symbols``: modules that are opened later may use its symbols.

        Raises: ModuleError ``failed to open module: ...`` or ``failed to initialize module: ...``; by then the module
        is closed again. The loader adds module and path, and takes back types that were registered.
        """


class ModuleLoader:
    """Loads modules into one type table, each at most once. Two loaders know nothing of each other.

    ``table``: the rows, in the order of ``module_load_qom_all``, no name twice; ``module_arch``: the architecture of
    the target, None: modules that are for one architecture are ignored; ``search_dirs``: see ``module_search_dirs``;
    ``openers``: in each dir their suffixes are tried in this order; ``report``: is told every error that has no
    ``errp`` to go to (all of these are in ``errors`` too).

    Errors travel as in QEMU: a method returns the code, and the error goes to ``errp``, a function of one ModuleError
    (``errors.append``), or without one to ``errors`` and ``report``. No failing module raises.

    Thread safety: every method holds the loader's lock from start to end, so a module that another thread is loading is
    loaded or forgotten when a call returns. A module's init function runs under the lock: it may load further modules,
    but must not wait for another thread that does. Raises: ModuleError for two rows of one name.

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
        self._loaded_modules: set[str] = set()  # and those that are being loaded
        self._to_finish: list[tuple[str, LoadedModule]] = []  # in the order in which they were opened
        self._outcomes: dict[str, ModuleStatus] = {}
        self._loaded_qom_all = False

    def module_check_arch(self, row: ModuleInfo) -> bool:
        """Whether the module may be loaded for this target. Source: QEMU 8.2.2 util/module.c module_check_arch."""
        return row.arch is None or row.arch == self._module_arch

    def module_load(self, prefix: str, name: str, errp: Report | None = None) -> ModuleLoad:
        """Load the module PREFIX + NAME, its deps first. Source: QEMU 8.2.2 util/module.c module_load."""
        with self._lock:
            try:
                return self._load(prefix + name)
            except ModuleError as error:
                self._error_propagate(error, errp)
                return ModuleLoad.ERROR

    def module_load_qom(self, typename: str | None, errp: Report | None = None) -> ModuleLoad:
        """Load the one module that provides a QOM type. Source: QEMU 8.2.2 util/module.c module_load_qom."""
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
        """Load every module that provides QOM types, at most once; one that fails is reported and the next one tried.

        Source: QEMU 8.2.2 util/module.c module_load_qom_all, but for its abort at the second failure (fixed since).
        """
        with self._lock:
            if self._loaded_qom_all:
                return
            for row in self._table.values():
                if row.objs and self.module_check_arch(row):
                    self.module_load("", row.name)
            self._loaded_qom_all = True

    def module_finish(self) -> None:
        """Run the finish entry points, last loaded first. For when nobody uses the modules' types any more.

        One that fails is reported. The modules still count as loaded: none is loaded again, none finished twice.
        """
        with self._lock:
            self._finish(since=0)

    def states(self) -> list[ModuleStatus]:
        """What became of each row, in table order, then of modules that have no row but were asked for."""
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
        """module_load, but errors are raised.

        Deps are walked on a stack of our own, as a chain of them may be longer than Python's stack is deep. A dep that
        does not load ends every module below it on that stack with its own result, so one result serves all.
        """
        begun: list[tuple[str, Iterator[str]]] = []  # modules and what of their deps is still to be loaded
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
                state, reason = ModuleState.NOT_FOUND, f"module '{begun[-1][0]}' is in no module dir"
            return result
        except ModuleError as error:
            state, reason = ModuleState.FAILED, str(error)
            raise
        finally:
            for module, _ in begun:
                self._loaded_modules.discard(module)
                self._set_outcome(module, state, error=reason)

    def _begin(self, name: str, begun: list[tuple[str, Iterator[str]]]) -> ModuleLoad:
        """Count a module as loaded from here on, so that cyclic deps end, and put it and its deps on the stack."""
        if name in self._loaded_modules:
            return ModuleLoad.ALREADY_LOADED
        self._loaded_modules.add(name)
        row = self._table.get(name, ModuleInfo(name))
        begun.append((name, iter(row.deps)))
        if not self.module_check_arch(row):
            raise ModuleError(self._arch_mismatch(row))
        return ModuleLoad.LOADED

    def _open(self, name: str) -> ModuleLoad:
        """Find and open the file of a module whose deps are loaded. One that fails leaves nothing behind."""
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
                # Modules that its init function loaded on demand registered their types inside its registration.
                for nested in self._finish(since=opened_before):
                    self._loaded_modules.discard(nested)
                    self._outcomes.pop(nested, None)
        self._to_finish.append((name, module))
        self._set_outcome(name, ModuleState.LOADED, file=path)
        return ModuleLoad.LOADED

    def _find(self, row: ModuleInfo) -> tuple[Opener, str] | None:
        """The file of a module and who opens it; None: not installed. Raises: ModuleError when that can't be told."""
        openers = [opener for opener in self._openers if row.kind in ("", opener.kind)]
        if row.path is not None:
            if not row.kind:
                openers = [opener for opener in openers if row.path.endswith(opener.suffix)]
            if not openers:
                raise ModuleError(
                    f"failed to open module: nothing opens such a file (module={row.name}, path={row.path})"
                )
            if not _access(row.path):
                # A search may come up empty, a path in the configuration is a promise.
                raise ModuleError(f"failed to open module: no such file (module={row.name}, path={row.path})")
            return openers[0], row.path
        for directory in self._search_dirs:
            for opener in openers:
                path = f"{directory}/{row.name}{opener.suffix}"
                if _access(path):
                    return opener, path
        return None

    def _finish(self, since: int) -> list[str]:
        """Finish the modules from position ``since`` of ``_to_finish``, last first; their names in that order."""
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
        """The outcome of a row; one that is not loaded is looked for, to say what would be opened."""
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
    """Whether a module's file is there. Raises: ModuleError when it can't be told, or when it is no regular file.

    Opening a FIFO would wait for ever and a device never end, so this is asked before any opener sees the path.
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
    """The dirs in which modules are looked for, in order: ``module_dirs`` and then QEMU's three.

    $QEMU_MODULE_DIR is one dir, not a list of dirs; set but empty it counts as not set. ``executable`` is the path of
    the running program in its bin dir (``sys.executable``, symlinks left alone so that a virtual environment has its
    own modules), from which the module dir is reached as in a relocated installation; empty or None, as in an
    embedded Python: no such dir. With ``upgrades``, ``version`` names a dir for the modules of a program that was
    upgraded while this one runs.

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
    """The rows of all modules in the search dirs, then those of ``installed`` (entry points); nothing is loaded.

    Within a dir they are sorted by name. The first row of a name wins, also when it is a broken one, as its file is
    what the loader would open. Dirs that are not there and files that are no modules are passed over in silence; a
    dir that can't be read and a module that declares nonsense are told to ``report``, and the rest is read.

    >>> read_module_table(["/nowhere"], [], report=print)
    []
    """
    table: dict[str, ModuleInfo | None] = {}  # None: a broken one
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
    """Names of the files that may be modules, and who may open each; sorted by name, then in the openers' order."""
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
