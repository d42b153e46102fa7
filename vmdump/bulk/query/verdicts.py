"""Verdicts of `vmdump check`, kept in a folder of dumps, so that `vmdump query` can ask them too.

They are in verdicts/TARGET.jsonl, one JSON array a type and direction, with the columns below.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from vmdump.dump.output import make_directory, write_file
from vmdump.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.check.results import CheckResult

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
    """Keeps the results of a target, whose dumps are labelled as its producers are, in the place of those before.

    Raises OutputError.
    """
    folder = os.path.join(directory, "verdicts")
    make_directory(folder)
    lines = [json.dumps(row) + "\n" for result in results for row in _rows(target, result)]
    write_file(os.path.join(folder, _NOT_A_NAME.sub("_", target) + ".jsonl"), "".join(lines).encode())


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
    for direction, types in result.results.items():
        source, _, destination = direction.partition(" -> ")
        for each in types:
            worst = max(each.findings, key=lambda finding: finding.verdict.severity(), default=None)
            why = [worst.rule, worst.path, worst.message, worst.condition] if worst is not None else [None] * 4
            yield [target, source, destination, each.type, each.section, str(each.verdict), *why]
