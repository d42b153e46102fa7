"""A baseline: entries of the configuration that accept what a check has found, so that only what is new fails it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.config import NOT_REVIEWED, ConfigError, table_of
from vmdump.check.results import Verdict

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator

    from vmdump.check.results import CheckResult, Finding

_REASON = f"{NOT_REVIEWED}: a baseline of {{}}"


def baseline(result: CheckResult, today: datetime.date, *, table: str = "accept") -> str:
    """TOML with an entry for each finding that can fail and is not accepted yet; it loads as it is, and accepts them.

    Its reasons say that nobody has reviewed them, which reports count until someone writes another. table: the name of
    the entries' table (``tool.vmdump.accept`` for a pyproject.toml).
    """
    versions = {dump.label: dump.producer.version for dump in result.dumps}
    order = [dump.label for dump in result.dumps]
    entries = dict.fromkeys(
        tuple(_keys(finding, order, versions))
        for types in result.results.values()
        for each in types
        for finding in each.findings
        if finding.verdict is not Verdict.SAFE
    )
    reason = _REASON.format(today.isoformat())
    lines = []
    for entry in entries:
        lines += [f"[[{table}]]", *(f"{key} = {_string(value)}" for key, value in (*entry, ("reason", reason))), ""]
    return "\n".join(lines)


def add_to(path: str, entries: str) -> str:
    """The configuration in a file, with entries behind its own. Raises ConfigError where TOML does not allow that."""
    import tomllib

    with open(path, encoding="utf-8", newline="") as file:
        before = file.read().rstrip()
    text = f"{before}\n\n{entries}" if before else entries
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path}: entries in one array can't be added to; write each as [[{table_of(path)}]]"
        ) from error
    return text


def _keys(finding: Finding, order: list[str], versions: dict[str, str | None]) -> Iterator[tuple[str, str]]:
    """Patterns that match the finding, and the same one between other files of the same versions."""
    source, _, destination = finding.direction.partition(" -> ")
    yield from ((key, _pattern(getattr(finding, key))) for key in ("rule", "type", "path"))
    if len(order) == 2 and source in order and destination in order:
        yield "direction", "forward" if order.index(source) < order.index(destination) else "backward"
    else:
        yield "direction", _pattern(finding.direction)
    for key, label in (("source-version", source), ("destination-version", destination)):
        if version := versions.get(label):
            yield key, _pattern(version)


def _pattern(text: str) -> str:
    """A pattern that matches the text alone; a byte that is not UTF-8, for which TOML has no character, by any."""
    from glob import escape

    return "".join("?" if "\ud800" <= char <= "\udfff" else char for char in escape(text))


def _string(text: str) -> str:
    """A TOML string: JSON's, but for DEL."""
    from json import dumps

    return dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
