"""Module loader: resolves rows of the module table, dependencies and search directories with QEMU's rules and codes.

Only openers know the kinds of module files; the loader uses them through the protocol ``Opener``.

Source: QEMU 8.2.2 util/module.c. Configured paths, the finish entry point and ``module=NAME, path=PATH`` in errors
follow OpenSSL (crypto/conf/conf_mod.c).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from vmdump.errors import ModuleError, VmdumpError
from vmdump.modules.model import LoadedModule, ModuleInfo, ModuleLoad, ModuleState, ModuleStatus, Opener, Report
from vmdump.modules.table import module_file_exists

if TYPE_CHECKING:
    from vmdump.qom import TypeTable


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
            if not module_file_exists(row.path):
                # Unlike a search, a configured path must exist.
                raise ModuleError(f"failed to open module: no such file (module={row.name}, path={row.path})")
            return openers[0], row.path
        for directory in self._search_dirs:
            for opener in openers:
                path = f"{directory}/{row.name}{opener.suffix}"
                if module_file_exists(path):
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
