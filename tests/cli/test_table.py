"""Tables on the terminal."""

import io

import pytest

from vmdump.cli.environment import Environment
from vmdump.cli.terminal.table import _shortened, print_table

COLUMNS = {"NAME": ["a" * 20, "b"], "OLD": ["c" * 40, None], "NEW": ["d" * 30, "e"], "BY": ["default", "board"]}


def test_no_rows() -> None:
    """A table without rows has its heads only, which are not shortened."""
    printed = io.TextIOWrapper(io.BytesIO())
    columns: dict[str, list[str]] = {"NAME": [], "VALUE": []}
    print_table(Environment(stdout=printed, environ={"COLUMNS": "4"}), columns, shorten=("VALUE",))
    printed.seek(0)
    assert printed.read() == "NAME  VALUE\n"


@pytest.mark.parametrize("width", [200, 103, 80, 60, 53, 10])
def test_shortened(width: int) -> None:
    """The widest of the columns to shorten are cut, as far as is needed and not below the least width."""
    found = _shortened(COLUMNS, ("OLD", "NEW"), width)
    widths = [max(len(str(cell)) for cell in column) for column in found.values()]
    assert sum(widths) + 2 * 3 == (103 if width > 103 else max(width, 20 + 10 + 10 + 7 + 6))
    assert (found["NAME"], found["BY"]) == (COLUMNS["NAME"], COLUMNS["BY"])
    assert found["OLD"][1] is None
    for head in ("OLD", "NEW"):
        cell, whole = str(found[head][0]), COLUMNS[head][0]
        assert cell == whole or (cell.endswith("...") and whole.startswith(cell.removesuffix("...")))
    assert widths[1] == 40 or widths[1] >= widths[2] - 1
