"""A module loader whose opener records what it opens and finishes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from vmdump.errors import ModuleError
from vmdump.modules.loader import ModuleLoader
from vmdump.modules.model import ModuleInfo, ModuleLoad

ERROR, NOT_FOUND, LOADED, ALREADY_LOADED = ModuleLoad


class Types:
    """The part of a type table that the loader uses: a registration that is rolled back on failure."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @contextlib.contextmanager
    def registration(self) -> Iterator[None]:
        before = list(self.names)
        try:
            yield
        except BaseException:
            self.names = before
            raise


class Opener:
    """Opens any file, records opened and finished modules, and raises or calls the entry of ``on_open``."""

    def __init__(self, kind: str = "fake", suffix: str = ".fake") -> None:
        self.kind, self.suffix = kind, suffix
        self.opened: list[str] = []
        self.paths: list[str] = []
        self.exported: list[str] = []
        self.finished: list[str] = []
        self.on_open: dict[str, Exception | Callable[[], object]] = {}
        self.on_finish: dict[str, Exception] = {}

    def read_info(self, path: str) -> ModuleInfo | None:
        text = Path(path).read_text()
        if text == "broken":
            raise ModuleError(f"failed to open module: {path}: broken")
        return ModuleInfo("name-in-file", objs=tuple(text.split()), kind=self.kind) if text else None

    def open(self, name: str, path: str, export_symbols: bool, types: Types) -> Opened:
        self.opened.append(name)
        self.paths.append(path)
        if export_symbols:
            self.exported.append(name)
        types.names.append(f"type-of-{name}")
        action = self.on_open.get(name)
        if isinstance(action, Exception):
            raise action
        if action is not None:
            action()
        return Opened(self, name)


class Opened:
    def __init__(self, opener: Opener, name: str) -> None:
        self.opener, self.name = opener, name

    def finish(self) -> None:
        self.opener.finished.append(self.name)
        if self.name in self.opener.on_finish:
            raise self.opener.on_finish[self.name]


class Setup:
    """A loader over one module dir, with access to its parts."""

    def __init__(self, directory: Path, *table: ModuleInfo, files: str = "", arch: str | None = "x86_64") -> None:
        self.directory, self.opener, self.types = directory, Opener(), Types()
        self.reported: list[ModuleError] = []
        for name in files.split():
            (directory / f"{name}.fake").touch()
        self.loader = ModuleLoader(
            table,
            module_arch=arch,
            search_dirs=[directory],
            openers=[self.opener],
            types=self.types,
            report=self.reported.append,
        )

    def load(self, name: str) -> tuple[ModuleLoad, list[str]]:
        """Return the return code and the texts stored in errp."""
        errors: list[ModuleError] = []
        result = self.loader.module_load("", name, errors.append)
        return result, [str(error) for error in errors]

    def path(self, name: str) -> str:
        return f"{self.directory}/{name}.fake"

    def states(self) -> dict[str, str]:
        return {row.name: row.state.value for row in self.loader.states()}


def self_link(path: Path) -> None:
    """A symlink to itself: access fails with ELOOP, for root too."""
    path.symlink_to(path.name)
