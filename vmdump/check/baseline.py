"""A baseline: entries of the configuration that accept what a check has found, so that only what is new fails it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.config import NOT_REVIEWED, ConfigError, read_config, table_of
from vmdump.check.finding import Verdict

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator

    from vmdump.check.finding import CheckResult, Finding

_REASON = f"{NOT_REVIEWED}: a baseline of {{}}"


def baseline(result: CheckResult, today: datetime.date, *, table: str = "accept") -> str:
    """TOML with an entry for each finding that can fail and is not accepted yet; it loads as it is, and accepts them.

    Its reasons say that nobody has reviewed them, which reports count until someone writes another. table: the name of
    the entries' table (``tool.vmdump.accept`` for a pyproject.toml).
    """
    versions = [dump.producer.version for dump in result.dumps]
    # Labels depend on what else is compared. Versions and the way say the same wherever they are one dump's alone.
    is_told = len(versions) == 2 or (all(versions) and len(set(versions)) == len(versions))
    entries = dict.fromkeys(
        tuple(_keys(finding, result, is_told=is_told))
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

    before = read_config(path).decode().rstrip()
    text = f"{before}\n\n{entries}" if before else entries
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path}: entries in one array can't be added to; write each as [[{table_of(path)}]]"
        ) from error
    return text


def _keys(finding: Finding, result: CheckResult, *, is_told: bool) -> Iterator[tuple[str, str]]:
    """Patterns that match the finding, and the same one between other files of the same versions; is_told: the way and
    both versions say which direction it is.
    """
    direction = result.directions.get(finding.direction)
    yield from ((key, _pattern(getattr(finding, key))) for key in ("rule", "type", "path"))
    yield "direction", direction.way if direction and is_told else _pattern(finding.direction)
    for key, index in zip(("source-version", "destination-version"), direction or (), strict=False):
        if version := result.dumps[index].producer.version:
            yield key, _pattern(version)


def _pattern(text: str) -> str:
    """A pattern that matches the text alone; a byte that is not UTF-8, for which TOML has no character, by any."""
    from glob import escape

    return "".join("?" if "\ud800" <= char <= "\udfff" else char for char in escape(text))


def _string(text: str) -> str:
    """A TOML string: JSON's, but for DEL."""
    from json import dumps

    return dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
