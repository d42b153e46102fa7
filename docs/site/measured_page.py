"""The page of measurements, from the files that make judge and make bench write."""

from __future__ import annotations

import re
from collections.abc import Iterator

from links import ROOT

_INTRODUCTION = """# Measured accuracy and speed

This page is made of the files that `tests/support/judge.py` (`make judge`) and `bench/compare.py` (`make bench`) write;
nothing in it is entered by hand.
"""

#: The files, and their headings in the page.
_FILES = {"bench/ACCURACY.md": "Accuracy", "bench/RESULTS.md": "Speed"}

#: Columns of the summary: of a table in ACCURACY.md, and in words.
_COLUMNS = {"failed": "failed", "caught": "reported", "migrated": "migrated", "false": "false alarms"}


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for name, title in _FILES.items():
        text = re.sub(r"\A# .*\n", "", (ROOT / name).read_text())
        parts += [f"## {title}", *(summary(text) if title == "Accuracy" else ())]
        parts.append(re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE))
    return "\n".join(parts)


def summary(text: str) -> Iterator[str]:
    """Yield a table of the totals of all tables of device types in ACCURACY.md."""
    yield "\n| | " + " | ".join(_COLUMNS.values()) + " | conditional | unknown |\n|---|" + "--:|" * (len(_COLUMNS) + 2)
    for name, head, total in re.findall(r"^## (.*)\n\n```text\n( .*)\n(?:.*\n)*?total (.*)", text, re.MULTILINE):
        cells = dict(zip(_unique(head.split()), total.split(), strict=True))
        shares = (f"{100 * float(cells[f'{column} share']):.1f} %" for column in ("conditional", "unknown"))
        yield f"| {name} | " + " | ".join([*(cells[column] for column in _COLUMNS), *shares]) + " |"
    yield ""


def _unique(names: list[str]) -> Iterator[str]:
    """Yield the names of columns; a share is of the column before it."""
    for before, name in zip(["", *names], names, strict=False):
        yield f"{before} share" if name == "share" else name
