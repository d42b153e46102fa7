"""The page of a run's results, RESULTS.md (compare.py --results)."""

from promises import markdown_table

PAGE = """# Results of one run

Written by `python bench/compare.py --results bench/RESULTS.md`; `make bench` repeats it. What is compared takes turns;
figures are medians of the rounds, ratios medians of ratios within a round, in CPU time. +- is half the distance between
the quartiles, and a goal that lies between them is neither met nor missed but unclear.

{machine}

{table}
"""


def results_page(machine: dict[str, str], rounds: int, rows: list[tuple[str, ...]]) -> str:
    """Return the page; rows as promises.py makes them."""
    lines = [f"- {name}: {value}" for name, value in {**machine, "rounds": f"{rounds} at most"}.items()]
    return PAGE.format(machine="\n".join(lines), table=markdown_table(rows))
