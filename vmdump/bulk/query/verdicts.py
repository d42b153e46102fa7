"""Stores the verdicts of vmdump check in an output directory of vmdump bulk, for vmdump query.

verdicts/TARGET.jsonl has one JSON array for each type and direction, with the columns below.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from typing import TYPE_CHECKING

from vmdump.dump.output import make_directory, replacement
from vmdump.errors import OutputError
from vmdump.files.input_file import read_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.check.results import CheckResult

#: source and destination: labels of producers. verdict: a results.Verdict. rule and what follows: of the first finding
#: with that verdict, or null.
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


def write_verdicts(directory: str | os.PathLike[str], target: str, results: list[CheckResult]) -> None:
    """Store the results of a target, in place of earlier ones. Raises OutputError.

    A dump's first alias is the name of its producer. The directory may come from elsewhere: links in it are not
    followed.
    """
    path = _path(directory, target)
    folder = os.path.dirname(path)
    if os.path.islink(folder):
        raise OutputError(errno.ELOOP, "a symbolic link, which is not followed", folder)
    make_directory(folder)
    lines = [json.dumps(row) + "\n" for result in results for row in _rows(target, result)]
    try:
        with replacement(path) as fd, open(fd, "wb", closefd=False) as file:
            file.write("".join(lines).encode())
    except OSError as error:
        raise OutputError(error.errno, error.strerror, path) from error


def forget_verdicts(directory: str | os.PathLike[str], target: str) -> None:
    """Remove the results of a target whose dumps have changed."""
    with contextlib.suppress(OSError):
        os.unlink(_path(directory, target))


def _path(directory: str | os.PathLike[str], target: str) -> str:
    return os.path.join(directory, "verdicts", f"{target}.jsonl")


def read_verdicts(directory: str | os.PathLike[str]) -> tuple[list[list[str | None]], list[str]]:
    """Return all stored rows, and the unreadable files with the reason."""
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
            damaged.append(f"{path}: {reason}; vmdump check --matrix {os.fspath(directory)} rewrites it")
    return rows, damaged


def _row(line: bytes) -> list[str | None]:
    row: list[str | None] = json.loads(line)
    if not isinstance(row, list) or len(row) != len(VERDICT_COLUMNS):
        raise ValueError(f"a line is not an array of {len(VERDICT_COLUMNS)} columns")
    if not all(value is None or isinstance(value, str) for value in row):
        raise ValueError("a column is neither a string nor null")
    "".join(filter(None, row)).encode()  # raises ValueError for lone surrogates
    return row


def _rows(target: str, result: CheckResult) -> Iterator[list[str | None]]:
    producers = [(*dump.aliases, dump.label)[0] for dump in result.dumps]
    for direction, types in result.results.items():
        source, destination = (producers[index] for index in result.directions[direction])
        for each in types:
            worst = max(each.findings, key=lambda finding: finding.verdict.severity(), default=None)
            why = [worst.rule, worst.path, worst.sentence, worst.condition] if worst is not None else [None] * 4
            yield [target, source, destination, each.type, each.section, str(each.verdict), *why]
