"""Reads the configuration of a check (accepted findings, selected rules, what fails the check), and applies it.

``vmdump.toml``, or ``[tool.vmdump]`` of ``pyproject.toml``::

    fail-on = "conditional"
    ignore = ["subsection-unknown"]         # rules to leave out; select = [...] keeps only the rules listed

    [[accept]]
    rule = "field-removed"                  # a glob pattern, like those below; * also matches "/"
    type = "e1000*"
    path = "* / e1000 / mac_reg"
    direction = "forward"                   # from an earlier argument to a later one; "backward"; or "LABEL -> LABEL"
    source-version = "7.2.*"                # as printed by QEMU's --version
    destination-version = "10.*"
    reason = "our machine types set x-mac-compat=off"
    expires = 2027-06-30                    # the last day on which the entry applies
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.results import Verdict, keep_findings
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import datetime
    import os
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from vmdump.check.results import CheckResult, Dump, Finding

#: Keys of an entry whose values are patterns.
PATTERNS = ("rule", "type", "path", "direction", "source-version", "destination-version")

#: An entry has at least one of these; otherwise it would accept everything.
_NAMING = ("rule", "type", "path")

#: The file shared with other tools; vmdump's configuration is its table tool.vmdump.
PROJECT = "pyproject.toml"

#: Size limit of a configuration file, in bytes.
MAX_BYTES = 16 << 20

#: Prefix of the reasons in a baseline.
NOT_REVIEWED = "not reviewed"


class ConfigError(VmdumpError):
    """Invalid configuration. The message has FILE:LINE, the key, and what to write instead."""


class Accepted(NamedTuple):
    """An entry of the configuration.

    Attributes:
        patterns: By key, a subset of PATTERNS.
        reason: Why the findings are accepted.
        expires: The last day on which the entry applies; None if it does not expire.
        place: ``FILE:LINE``.
    """

    patterns: Mapping[str, str]
    reason: str
    expires: datetime.date | None
    place: str

    def __str__(self) -> str:
        """Describe what it accepts.

        >>> str(Accepted({"rule": "field-removed", "type": "e1000*"}, "known", None, "vmdump.toml:3"))
        "rule 'field-removed', type 'e1000*'"
        """
        return ", ".join(f"{key} {pattern!r}" for key, pattern in self.patterns.items())


class Config(NamedTuple):
    """The contents of a configuration file.

    Attributes:
        path: The file.
        accepted: Entries for accepted findings.
        fail_on: The mildest verdict that fails the check; None if not set.
        select: Patterns of rules, see selection.py.
        ignore: Likewise.
    """

    path: str
    accepted: Sequence[Accepted] = ()
    fail_on: Verdict | None = None
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()


def find_config(directory: str | os.PathLike[str] = ".") -> Config | None:
    """Return the configuration of a directory: vmdump.toml, else the table tool.vmdump of pyproject.toml, else None.

    Raises:
        ConfigError: The file can't be read or is invalid.
    """
    import os

    own, project = (os.path.join(directory, name) for name in ("vmdump.toml", PROJECT))
    if os.path.exists(own):
        return _load(own)
    return _load(project) if os.path.exists(project) and b"vmdump" in read_config(project) else None


def load_config(path: str | os.PathLike[str]) -> Config:
    """Return the configuration in a file; for a pyproject.toml, its table tool.vmdump.

    Raises:
        ConfigError: The file can't be read or is invalid, or the table is missing.
    """
    config = _load(path)
    if config is None:
        raise ConfigError(f"{path}: no table [tool.vmdump]; write accepted findings as [[{table_of(path)}]]")
    return config


def table_of(path: str | os.PathLike[str]) -> str:
    """Name of the table of accepted findings in a file of this name.

    >>> table_of("vmdump.toml")
    'accept'
    """
    import os

    return "tool.vmdump.accept" if os.path.basename(path) == PROJECT else "accept"


def _load(path: str | os.PathLike[str]) -> Config | None:
    import os
    import tomllib

    path = os.path.normpath(path)
    try:
        text = read_config(path).decode()
        table: Any = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8, which TOML requires") from error
    except ValueError as error:  # a TOMLDecodeError; or a number with more digits than Python converts
        raise ConfigError(f"{path}: invalid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: tables or arrays are nested too deeply") from error
    prefix = table_of(path).removesuffix("accept")
    for key in prefix.split(".")[:-1]:
        if not isinstance(table, dict) or key not in table:
            return None
        table = table[key]
    return _Reader(path, text, prefix).config(table)


def read_config(path: str | os.PathLike[str]) -> bytes:
    """Return the contents of a configuration file. Raises ConfigError."""
    from vmdump.files.input_file import read_input

    try:
        return read_input(path, MAX_BYTES, any_kind=True)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name the configuration with --config FILE") from error
    except ValueError as error:  # a NUL in the path
        raise ConfigError(f"{path}: {error}") from error


class _Reader:
    """Converts a parsed table to a Config; its errors have the line in the text."""

    def __init__(self, path: str, text: str, prefix: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._prefix = prefix
        header = f"[[{prefix}accept]]"
        lines = enumerate(self._lines)
        #: Line indices of the entries' headers.
        self._starts = [number for number, line in lines if "".join(line.split()).startswith(header)]

    def config(self, table: Any) -> Config:
        where = f"{self._path}: {self._prefix.rstrip('.')}".removesuffix(": ")
        if not isinstance(table, dict):
            raise ConfigError(f"{where} is {_kind(table)}; make it a table")
        self._check_keys(table, ("accept", "fail-on", "select", "ignore"), self._key_place)
        entries = table.get("accept", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ConfigError(
                f"{self._key_place('accept')}: accept is {_kind(entries)}; write [[{self._prefix}accept]]"
            )
        return Config(
            self._path,
            [self._entry(index, entry) for index, entry in enumerate(entries)],
            self._fail_on(table),
            *(self._rules(table, key) for key in ("select", "ignore")),
        )

    def _rules(self, table: dict[str, Any], key: str) -> list[str]:
        from vmdump.check.selection import patterns

        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ConfigError(f'{self._key_place(key)}: {key} is not an array of strings; write {key} = ["RULE"]')
        try:
            return patterns(value)
        except ValueError as error:
            raise ConfigError(f"{self._key_place(key)}: {key}: {error}") from None

    def _fail_on(self, table: dict[str, Any]) -> Verdict | None:
        value = table.get("fail-on")
        choices = [verdict.value for verdict in Verdict if verdict.severity() > Verdict.ACCEPTED.severity()]
        if value is None or value in choices:
            return None if value is None else Verdict(value)
        raise ConfigError(f"{self._key_place('fail-on')}: fail-on is {value!r}; write one of {', '.join(choices)}")

    def _entry(self, index: int, entry: dict[str, Any]) -> Accepted:
        import datetime

        from vmdump.check.rules import current_id

        def place(key: str | None = None) -> str:
            return self._entry_place(index, key)

        self._check_keys(entry, (*PATTERNS, "reason", "expires"), place)
        for key in (*PATTERNS, "reason"):
            if key in entry and (not isinstance(entry[key], str) or not entry[key].strip()):
                raise ConfigError(f"{place(key)}: {key} is {_kind(entry[key])}; write a string that is not blank")
        if "reason" not in entry:
            raise ConfigError(
                f'{place()}: the entry has no reason; explain why the finding is acceptable: reason = "..."'
            )
        if not any(key in entry for key in _NAMING):
            raise ConfigError(f"{place()}: the entry would accept everything; give it a rule, a type or a path")
        expires = entry.get("expires")
        if expires is not None and type(expires) is not datetime.date:
            raise ConfigError(f"{place('expires')}: expires is {_kind(expires)}; write a date: expires = 2027-06-30")
        patterns = {key: entry[key] for key in PATTERNS if key in entry}
        if "rule" in patterns:
            patterns["rule"] = current_id(patterns["rule"])
        return Accepted(patterns, " ".join(entry["reason"].split()), expires, place())

    def _check_keys(self, table: dict[str, Any], known: Sequence[str], place: Callable[[str], str]) -> None:
        from difflib import get_close_matches

        for key in table:
            if key not in known:
                close = get_close_matches(key.replace("_", "-").lower(), known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
                raise ConfigError(f"{place(key)}: unknown key {key!r}; {hint}")

    # tomllib does not report the lines of keys. For keys in quotes and inline entries, errors have the entry's line or
    # only the file.

    def _entry_place(self, index: int, key: str | None) -> str:
        if index >= len(self._starts):
            return f"{self._path}: [[{self._prefix}accept]] number {index + 1}"
        start = self._starts[index]
        for number in range(start + 1, len(self._lines)):
            if key is None or self._lines[number].lstrip().startswith("["):
                break
            if _is_key(self._lines[number], key):
                return f"{self._path}:{number + 1}"
        return f"{self._path}:{start + 1}"

    def _key_place(self, key: str) -> str:
        inside = not self._prefix
        for number, line in enumerate(self._lines):
            if line.lstrip().startswith("["):
                inside = line.strip().startswith(f"[{self._prefix.rstrip('.')}]")
                if line.strip(" \t[]") == f"{self._prefix}{key}":
                    return f"{self._path}:{number + 1}"
            elif inside and _is_key(line, key):
                return f"{self._path}:{number + 1}"
        return self._path


def _is_key(line: str, key: str) -> bool:
    return line.partition("=")[0].strip().strip("\"'") == key


def _kind(value: Any) -> str:
    """Kind of a value, in TOML's terms."""
    if isinstance(value, str):
        return "a string" if value.strip() else "empty"
    names = {bool: "a boolean", int: "an integer", float: "a float", list: "an array", dict: "a table"}
    return names.get(type(value), f"a {type(value).__name__}")


def apply(result: CheckResult, config: Config, today: datetime.date) -> CheckResult:
    """Return the result with accepted findings moved to ``suppressed``.

    The verdict of a type is then the worst of its remaining findings, at best ``accepted``. Expired entries accept
    nothing. Entries that match nothing, have expired or were never reviewed are reported in ``stale``.
    """
    matcher = _Matcher(result, [entry for entry in config.accepted if not _expired(entry, today)])
    suppressed = list(result.suppressed)
    results = {}
    for direction, types in result.results.items():
        remaining = []
        for each in types:
            reasons = [matcher.reason(finding) for finding in each.findings]
            pairs = list(zip(each.findings, reasons, strict=True))
            suppressed += [(finding, reason) for finding, reason in pairs if reason is not None]
            remaining.append(keep_findings(each, [finding for finding, reason in pairs if reason is None]))
        results[direction] = remaining
    stale = [*result.stale, *_stale(config, matcher.used, today)]
    return result._replace(results=results, suppressed=suppressed, stale=stale)


def _expired(entry: Accepted, today: datetime.date) -> bool:
    return entry.expires is not None and entry.expires < today


class _Matcher:
    """Finds the entry that accepts a finding. used: places of the entries that accepted one."""

    def __init__(self, result: CheckResult, accepted: Sequence[Accepted]) -> None:
        versions = [dump.producer.version or "" for dump in result.dumps]
        #: By direction: its names in entries, and the versions of source and destination.
        self._directions = {
            label: (
                (direction.way, *_aliases(*(result.dumps[index] for index in direction))),
                versions[direction.source],
                versions[direction.destination],
            )
            for label, direction in result.directions.items()
        }
        #: Entries by type; those with a pattern for the type under None. A baseline has hundreds of entries.
        self._accepted: dict[str | None, list[tuple[Accepted, dict[str, Callable[[str], Any]]]]] = {}
        for entry in accepted:
            patterns = {key: _pattern(text) for key, text in entry.patterns.items()}
            name = entry.patterns.get("type", "*")
            self._accepted.setdefault(None if set(name) & set("*?[") else name, []).append((entry, patterns))
        self.used: set[str] = set()

    def reason(self, finding: Finding) -> str | None:
        """Reason why a finding is accepted; None if it is not accepted, or safe."""
        if finding.verdict is Verdict.SAFE:
            return None
        facts = self._facts(finding)
        reasons = []
        for entry, patterns in (*self._accepted.get(finding.type, ()), *self._accepted.get(None, ())):
            if all(any(match(fact) for fact in facts[key]) for key, match in patterns.items()):
                self.used.add(entry.place)
                reasons.append(entry.reason)
        return reasons[0] if reasons else None

    def _facts(self, finding: Finding) -> dict[str, Sequence[str]]:
        names, source, destination = self._directions.get(finding.direction, ((), "", ""))
        return {
            "rule": (finding.rule,),
            "type": (finding.type,),
            "path": (finding.path,),
            "direction": (finding.direction, *names),
            "source-version": (source,),
            "destination-version": (destination,),
        }


def _aliases(source: Dump, destination: Dump) -> list[str]:
    """The direction in terms of both dumps' aliases."""
    return [f"{one} -> {other}" for one, other in zip(source.aliases, destination.aliases, strict=False)]


def _pattern(text: str) -> Callable[[str], Any]:
    import fnmatch
    import re

    match = re.compile(fnmatch.translate(text)).match
    return lambda fact: fact == text or match(fact)  # "ring[0]" matches itself, although it is a pattern


def _stale(config: Config, used: set[str], today: datetime.date) -> list[str]:
    lines = []
    for entry in config.accepted:
        if _expired(entry, today):
            lines.append(f"{entry.place}: expired on {entry.expires} and accepts nothing: {entry}")
        elif entry.place not in used:
            what = _misspelt(entry) or "matches no finding; remove it"
            lines.append(f"{entry.place}: {what}: {entry}")
    unreviewed = sum(entry.reason.startswith(NOT_REVIEWED) and entry.place in used for entry in config.accepted)
    if unreviewed:
        lines.append(
            f"{config.path}: {unreviewed} used {'entry is' if unreviewed == 1 else 'entries are'} {NOT_REVIEWED}; "
            "replace the reason"
        )
    return lines


def _misspelt(entry: Accepted) -> str | None:
    """Error message if the rule of an entry is neither a pattern nor the id of a rule, else None."""
    from vmdump.check.rules import rule_ids, unknown_rule

    name = entry.patterns.get("rule", "*")
    return None if set(name) & set("*?[") or name in rule_ids() else unknown_rule(name)
