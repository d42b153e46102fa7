"""Output of lists: as a table for people, as JSON for programs."""

from __future__ import annotations

from vmdump.cli.environment import printable
from vmdump.cli.terminal.styled import BOLD, CYAN, PLAIN, print_rows

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmdump.cli.environment import Environment

    Column = Sequence[str | int | None]


def print_table(environment: Environment, columns: Mapping[str, Column]) -> None:
    """Print columns of equal length under their heads. Numbers are aligned right; None and "" are printed as -."""
    aligned = [_aligned(head, column) for head, column in columns.items()]
    heads, *rows = zip(*aligned, strict=True)
    print_rows(
        environment,
        [
            [("  ".join(heads), BOLD)],
            *([(first, CYAN), *((f"  {cell}", PLAIN) for cell in others)] for first, *others in rows),
        ],
    )


def _aligned(head: str, column: Column) -> list[str]:
    """Return the head and the cells of a column, padded to one width."""
    cells = [head, *("-" if cell in (None, "") else printable(str(cell)) for cell in column)]
    width = max(map(len, cells))
    if column and all(isinstance(cell, int) for cell in column):
        return [cell.rjust(width) for cell in cells]
    return [cell.ljust(width) for cell in cells]


def print_json(environment: Environment, objects: Sequence[Mapping[str, object]]) -> None:
    """Print a list of objects in ASCII, which every encoding and every file name survives."""
    import json

    environment.print(json.dumps(objects, indent=2))
