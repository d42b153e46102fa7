"""Writes the result of a check in formats for people, CI systems and programs; one module per format.

Each module has ``render(result, options) -> str``. All formats are deterministic, and include accepted findings and
stale entries of the configuration. Thread-safe: no shared state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.report.options import DEFAULTS

if TYPE_CHECKING:
    from typing import BinaryIO

    from vmdump.check.results import CheckResult
    from vmdump.report.options import Options

#: Values of ``--format``, the default first; each is a module of this package.
FORMATS = ("text", "concise", "json", "markdown", "html", "junit", "sarif", "github", "gitlab")


def render(result: CheckResult, format: str, options: Options = DEFAULTS) -> bytes:
    r"""Return the report in UTF-8. Raises KeyError for an unknown format.

    Bytes of names that are not UTF-8 (lone surrogates in Python) are written as ``\udcXX``, which JSON parsers restore.

    >>> from vmdump.check.results import CheckResult
    >>> render(CheckResult((), {}), "text").decode()
    'nothing was compared\n'
    """
    if format not in FORMATS:
        raise KeyError(format)
    from importlib import import_module

    text: str = import_module(f"vmdump.report.{format}").render(result, options)
    return text.encode("utf-8", "backslashreplace")


def write(result: CheckResult, format: str, file: BinaryIO, options: Options = DEFAULTS) -> None:
    """Write the report to a binary file. Raises KeyError for an unknown format, and OSError from file."""
    file.write(render(result, format, options))
