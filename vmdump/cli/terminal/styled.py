"""Rows of styled text on stdout: styled by rich on a terminal, plain elsewhere. The text is the same."""

from __future__ import annotations

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.cli.environment import Environment

#: Names of rich's styles.
PLAIN, BOLD, DIM, GREEN, CYAN = "", "bold", "dim", "green", "cyan"

#: Printable text and its style.
Part = tuple[str, str]


def print_rows(environment: Environment, rows: Iterable[Sequence[Part]]) -> None:
    """Print rows without trailing blanks. Raises OutputError."""
    if environment.draws:
        environment.print(_drawn(rows), is_drawn=True)
    else:
        environment.print("\n".join(map(_plain, rows)))


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
