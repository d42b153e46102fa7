"""Verdicts of `vmdump check`, kept in a folder of dumps, so that `vmdump query` can ask them too.

They are in verdicts/TARGET.jsonl, one JSON array a type and direction, with the columns below.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import TYPE_CHECKING

from vmdump.errors import SourceError
from vmdump.output import make_directory, write_file

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


def read_verdicts(directory: str | os.PathLike[str]) -> Iterator[list[str | None]]:
    """All rows in a folder; none where nothing was kept. Raises SourceError."""
    folder = os.path.join(directory, "verdicts")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if not name.endswith(".jsonl"):
            continue
        path = os.path.join(folder, name)
        try:
            with open(path, encoding="utf-8") as file:
                for line in file:
                    row = json.loads(line)
                    if len(row) != len(VERDICT_COLUMNS):
                        raise ValueError("a row of another length")
                    yield row
        except (OSError, ValueError, TypeError) as error:
            raise SourceError(f"{path}: {error}; vmdump check --matrix writes it anew") from error


def _rows(target: str, result: CheckResult) -> Iterator[list[str | None]]:
    producers = [(*dump.aliases, dump.label)[0] for dump in result.dumps]
    for direction, types in result.results.items():
        source, destination = (producers[index] for index in result.directions[direction])
        for each in types:
            worst = max(each.findings, key=lambda finding: finding.verdict.severity(), default=None)
            why = [worst.rule, worst.path, worst.sentence, worst.condition] if worst is not None else [None] * 4
            yield [target, source, destination, each.type, each.section, str(each.verdict), *why]
