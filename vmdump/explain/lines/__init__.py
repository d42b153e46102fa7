"""The known lines: one file a subject, each with a tuple LINES of KnownLine."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmdump.explain.known_line import KnownLine


@cache
def known_lines() -> tuple[KnownLine, ...]:
    """Return all known lines, in the order of the files and of each file."""
    modules = (import_module(f"{__name__}.{name}") for _, name, _ in iter_modules(__path__))
    return tuple(each for module in modules for each in module.LINES)
