"""Output of lists: as a table for people, as JSON for programs."""

from __future__ import annotations

from vmdump.cli.environment import printable
from vmdump.cli.terminal.styled import BOLD, CYAN, PLAIN, print_rows

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmdump.cli.environment import Environment

    Column = Sequence[str | int | None]


#: Least characters of a cell that is shortened.
_LEAST = 10


def print_table(environment: Environment, columns: Mapping[str, Column], *, shorten: Sequence[str] = ()) -> None:
    """Print columns of equal length under their heads. Numbers are aligned right; None and "" are printed as -.

    Args:
        environment: where to print.
        columns: by their heads.
        shorten: heads of columns whose cells are shortened if a row would be wider than the terminal.
    """
    columns = _shortened(columns, shorten, environment.width) if shorten else columns
    aligned = [_aligned(head, column) for head, column in columns.items()]
    heads, *rows = zip(*aligned, strict=True)
    print_rows(
        environment,
        [
            [("  ".join(heads), BOLD)],
            *([(first, CYAN), *((f"  {cell}", PLAIN) for cell in others)] for first, *others in rows),
        ],
    )


def _shortened(columns: Mapping[str, Column], shorten: Sequence[str], width: int) -> Mapping[str, Column]:
    """Return columns that fit into a width, as far as possible; the widest of those to shorten are cut first."""
    widths = {head: max(map(len, [head, *(str(cell or "-") for cell in column)])) for head, column in columns.items()}
    excess = sum(widths.values()) + 2 * (len(widths) - 1) - width
    steps = min(excess, sum(max(0, widths[head] - _LEAST) for head in shorten))
    for _ in range(steps):
        widths[max(shorten, key=lambda head: widths[head])] -= 1
    return {
        head: [_cut(cell, widths[head]) for cell in column] if head in shorten else column
        for head, column in columns.items()
    }


def _cut(cell: str | int | None, width: int) -> str | int | None:
    return f"{cell[: width - 3]}..." if isinstance(cell, str) and len(cell) > width else cell


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
