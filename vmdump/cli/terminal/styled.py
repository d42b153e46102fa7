"""Rows of text on stdout: drawn by rich on a terminal that wants it, plain elsewhere. The text is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.cli.environment import Environment

#: Styles, as rich calls them.
PLAIN, BOLD, DIM, GREEN, CYAN = "", "bold", "dim", "green", "cyan"

#: Text and its style; printable already.
Part = tuple[str, str]


def print_rows(environment: Environment, rows: Iterable[Sequence[Part]]) -> None:
    """Prints rows, without the blanks at their ends. Raises OutputError."""
    environment.print(_drawn(rows) if environment.draws else "\n".join(map(_plain, rows)))


def _plain(row: Sequence[Part]) -> str:
    return "".join(text for text, _ in row).rstrip()


def _drawn(rows: Iterable[Sequence[Part]]) -> str:
    from rich.console import Console
    from rich.text import Text

    console = Console(force_terminal=True, color_system="standard")
    with console.capture() as capture:
        for row in rows:
            line = Text.assemble(*row)
            line.rstrip()
            console.print(line, soft_wrap=True)
    return capture.get()
