"""What a check found, in the formats that people, CI systems and programs read: one file a format.

Each format's module has ``render(result, options) -> str``. All are deterministic, show accepted (suppressed) findings
as such, and entries of the configuration that are unused or expired. Thread-safe: they share nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.report.options import DEFAULTS

if TYPE_CHECKING:
    from typing import BinaryIO

    from vmdump.check.results import CheckResult
    from vmdump.report.options import Options

#: What ``--format`` takes, the default first; each is a module of this package.
FORMATS = ("text", "json", "junit", "sarif", "github", "html")


def render(result: CheckResult, format: str, options: Options = DEFAULTS) -> bytes:
    r"""The report, in UTF-8. Raises KeyError for a format that there is not.

    Bytes of names that are not UTF-8 (Python's lone surrogates) come as ``\udcXX``, which JSON reads back.

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
    """Writes the report to a binary file. Raises KeyError as render does, and OSError where file does."""
    file.write(render(result, format, options))
