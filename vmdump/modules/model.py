"""Modules as values: rows of the module table, their states, results of loading, and what opens a module file.

Source: QEMU 8.2.2 util/module.c and include/qemu/module.h.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from vmdump.errors import ModuleError

if TYPE_CHECKING:
    from vmdump.qom import TypeTable

#: Receives an error that is not fatal, for example a list's ``append``. The counterpart of QEMU's ``Error **errp``.
Report = Callable[[ModuleError], None]


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
