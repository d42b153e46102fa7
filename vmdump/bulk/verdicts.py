"""Verdicts of `vmdump check`, kept in a folder of dumps, so that `vmdump query` can ask them too.

They are in verdicts/TARGET.jsonl, one JSON array a type and direction, with the columns below.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import TYPE_CHECKING

from vmdump.output import make_directory, write_file
from vmdump.sources.input_file import read_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.check.finding import CheckResult

#: source and destination are producers' labels; verdict is finding.Verdict; the others are of the first finding that
#: makes it, null where there is none.
VERDICT_COLUMNS = (
    "target",
    "source",
    "destination",
    "type",
    "section",
    "verdict",
    "rule",
    "path",
    "message",
    "condition",
)

#: The largest file of verdicts that is read, in bytes.
_MAX_BYTES = 1 << 30

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._+~-]+")


def write_verdicts(directory: str | os.PathLike[str], target: str, results: list[CheckResult]) -> None:
    """Keeps the results of a target in the place of those before. A dump's first alias is its producer's name.

    Raises OutputError.
    """
    path = _path(directory, target)
    make_directory(os.path.dirname(path))
    lines = [json.dumps(row) + "\n" for result in results for row in _rows(target, result)]
    write_file(path, "".join(lines).encode())


def forget_verdicts(directory: str | os.PathLike[str], target: str) -> None:
    """Removes the results of a target, whose dumps are others now."""
    with contextlib.suppress(OSError):
        os.unlink(_path(directory, target))


def _path(directory: str | os.PathLike[str], target: str) -> str:
    return os.path.join(directory, "verdicts", _NOT_A_NAME.sub("_", target) + ".jsonl")


def read_verdicts(directory: str | os.PathLike[str]) -> tuple[list[list[str | None]], list[str]]:
    """All rows in a folder, none where nothing was kept; and the files that can't be read, with the reason."""
    folder = os.path.join(directory, "verdicts")
    rows: list[list[str | None]] = []
    damaged = []
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        names = []
    except OSError as error:
        return rows, [f"{folder}: {error.strerror}"]
    for name in names:
        if not name.endswith(".jsonl"):
            continue
        path = os.path.join(folder, name)
        try:
            rows += [_row(line) for line in read_input(path, _MAX_BYTES).splitlines()]
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or error
            damaged.append(f"{path}: {reason}; vmdump check --matrix {os.fspath(directory)} writes it anew")
    return rows, damaged


def _row(line: bytes) -> list[str | None]:
    row: list[str | None] = json.loads(line)
    if not isinstance(row, list) or len(row) != len(VERDICT_COLUMNS):
        raise ValueError(f"a line that is no list of {len(VERDICT_COLUMNS)} columns")
    if not all(value is None or isinstance(value, str) for value in row):
        raise ValueError("a column that is neither text nor null")
    "".join(filter(None, row)).encode()  # raises ValueError for halves of UTF-16 surrogate pairs
    return row


def _rows(target: str, result: CheckResult) -> Iterator[list[str | None]]:
    producers = [(*dump.aliases, dump.label)[0] for dump in result.dumps]
    for direction, types in result.results.items():
        source, destination = (producers[index] for index in result.directions[direction])
        for each in types:
            worst = max(each.findings, key=lambda finding: finding.verdict.severity(), default=None)
            why = [worst.rule, worst.path, worst.sentence, worst.condition] if worst is not None else [None] * 4
            yield [target, source, destination, each.type, each.section, str(each.verdict), *why]
