"""Creates a baseline: configuration entries that accept all current findings, so that only new ones fail the check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.config import NOT_REVIEWED, ConfigError, read_config, table_of
from vmdump.check.results import Verdict

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator

    from vmdump.check.results import CheckResult, Finding

_REASON = f"{NOT_REVIEWED}: a baseline of {{}}"


def baseline(result: CheckResult, today: datetime.date, *, table: str = "accept") -> str:
    """Return TOML with an entry for each finding worse than safe that is not accepted yet.

    Args:
        result: The check.
        today: Date for the entries' reason, which marks them as not reviewed.
        table: Name of the entries' table (``tool.vmdump.accept`` in a pyproject.toml).
    """
    versions = [dump.producer.version for dump in result.dumps]
    # Labels depend on what else is compared. If versions are unique, they and the way identify a direction.
    versions_identify = len(versions) == 2 or (all(versions) and len(set(versions)) == len(versions))
    entries = dict.fromkeys(
        tuple(_keys(finding, result, versions_identify=versions_identify))
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
    """Return the text of a configuration file with entries appended.

    Raises:
        ConfigError: The file can't be read, or defines its entries as an inline array, which TOML can't extend.
    """
    import tomllib

    before = read_config(path).decode().rstrip()
    text = f"{before}\n\n{entries}" if before else entries
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path}: can't append to an inline array of entries; write each entry as [[{table_of(path)}]]"
        ) from error
    return text


def _keys(finding: Finding, result: CheckResult, *, versions_identify: bool) -> Iterator[tuple[str, str]]:
    """Keys and patterns of an entry that matches the finding, also between other files of the same versions.

    versions_identify: the way and both versions identify the direction, so that its labels are not needed.
    """
    direction = result.directions.get(finding.direction)
    yield from ((key, _pattern(getattr(finding, key))) for key in ("rule", "type", "path"))
    yield "direction", direction.way if direction and versions_identify else _pattern(finding.direction)
    for key, index in zip(("source-version", "destination-version"), direction or (), strict=False):
        if version := result.dumps[index].producer.version:
            yield key, _pattern(version)


def _pattern(text: str) -> str:
    """A pattern that matches the text only. Bytes that are not UTF-8, which TOML can't represent, become ``?``."""
    from glob import escape

    return "".join("?" if "\ud800" <= char <= "\udfff" else char for char in escape(text))


def _string(text: str) -> str:
    """A TOML basic string: as in JSON, except for DEL."""
    from json import dumps

    return dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
