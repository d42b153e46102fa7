"""The configuration of a check: which findings were reviewed and are accepted, and what fails the check.

``vmdump.toml``, or ``[tool.vmdump]`` of ``pyproject.toml``::

    fail-on = "conditional"

    [[accept]]
    rule = "field-removed"                  # a pattern, as those below: * ? [abc], * crosses "/"
    type = "e1000*"
    path = "* / e1000 / mac_reg"
    direction = "forward"                   # from an earlier dump to a later one; backward; or a pattern of "A -> B"
    source-version = "7.2.*"                # what QEMU says of itself
    destination-version = "10.*"
    reason = "our machine types set x-mac-compat=off"
    expires = 2027-06-30                    # the last day that it holds
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.results import Verdict
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import datetime
    import os
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from vmdump.check.results import CheckResult, Finding, TypeResult

#: Keys of an entry that are patterns, and what each of them matches.
PATTERNS = ("rule", "type", "path", "direction", "source-version", "destination-version")

#: The least of them that an entry has: one that names no finding would accept everything.
_NAMING = ("rule", "type", "path")

#: The file that other tools share, where everything of vmdump's is in the table tool.vmdump.
PROJECT = "pyproject.toml"

#: How the reasons begin that a baseline gives: nobody has looked yet.
NOT_REVIEWED = "not reviewed"


class ConfigError(VmdumpError):
    """A configuration that can't be read: FILE:LINE, the key, and what to write instead."""


class Accepted(NamedTuple):
    """An entry: patterns by key (those of PATTERNS), why it is accepted, until when (None: for ever), and its place as
    ``FILE:LINE``.
    """

    patterns: Mapping[str, str]
    reason: str
    expires: datetime.date | None
    place: str

    def __str__(self) -> str:
        """What it accepts, in words.

        >>> str(Accepted({"rule": "field-removed", "type": "e1000*"}, "known", None, "vmdump.toml:3"))
        "rule 'field-removed', type 'e1000*'"
        """
        return ", ".join(f"{key} {pattern!r}" for key, pattern in self.patterns.items())


class Config(NamedTuple):
    """What a file says. path: the file; fail_on: the mildest verdict that fails the check, None: not said."""

    path: str
    accepted: Sequence[Accepted] = ()
    fail_on: Verdict | None = None


def find_config(directory: str | os.PathLike[str] = ".") -> Config | None:
    """The configuration of a directory: vmdump.toml, else pyproject.toml where it has a table tool.vmdump, else None.

    Raises ConfigError.
    """
    import os

    own, project = (os.path.join(directory, name) for name in ("vmdump.toml", PROJECT))
    if os.path.exists(own):
        return _load(own)
    return _load(project) if os.path.exists(project) and b"vmdump" in _read(project) else None


def load_config(path: str | os.PathLike[str]) -> Config:
    """The configuration in a file; in one named pyproject.toml, that of its table tool.vmdump. Raises ConfigError."""
    config = _load(path)
    if config is None:
        raise ConfigError(f"{path}: has no table [tool.vmdump]; accepted findings are [[{table_of(path)}]]")
    return config


def table_of(path: str | os.PathLike[str]) -> str:
    """What the table of accepted findings is called in a file of this name.

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
        text = _read(path).decode()
        table: Any = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; TOML is") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}; that is not TOML") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nests too deeply") from error
    prefix = table_of(path).removesuffix("accept")
    for key in prefix.split(".")[:-1]:
        if not isinstance(table, dict) or key not in table:
            return None
        table = table[key]
    return _Reader(path, text, prefix).config(table)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; --config FILE names the configuration") from error
    except ValueError as error:  # a NUL in the path
        raise ConfigError(f"{path}: {error}") from error


class _Reader:
    """Makes a Config of a table, and errors that say where in the text they are."""

    def __init__(self, path: str, text: str, prefix: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._prefix = prefix
        header = f"[[{prefix}accept]]"
        lines = enumerate(self._lines)
        #: Where entries begin.
        self._starts = [number for number, line in lines if "".join(line.split()).startswith(header)]

    def config(self, table: Any) -> Config:
        where = f"{self._path}: {self._prefix.rstrip('.')}".removesuffix(": ")
        if not isinstance(table, dict):
            raise ConfigError(f"{where} is {_kind(table)}; make it a table")
        self._check_keys(table, ("accept", "fail-on"), self._key_place)
        entries = table.get("accept", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ConfigError(
                f"{self._key_place('accept')}: accept is {_kind(entries)}; write [[{self._prefix}accept]]"
            )
        return Config(
            self._path, [self._entry(index, entry) for index, entry in enumerate(entries)], self._fail_on(table)
        )

    def _fail_on(self, table: dict[str, Any]) -> Verdict | None:
        value = table.get("fail-on")
        choices = [verdict.value for verdict in Verdict if verdict is not Verdict.SAFE]
        if value is None or value in choices:
            return None if value is None else Verdict(value)
        raise ConfigError(f"{self._key_place('fail-on')}: fail-on is {value!r}; take one of {', '.join(choices)}")

    def _entry(self, index: int, entry: dict[str, Any]) -> Accepted:
        import datetime

        def place(key: str | None = None) -> str:
            return self._entry_place(index, key)

        self._check_keys(entry, (*PATTERNS, "reason", "expires"), place)
        for key in (*PATTERNS, "reason"):
            if key in entry and (not isinstance(entry[key], str) or not entry[key].strip()):
                raise ConfigError(f"{place(key)}: {key} is {_kind(entry[key])}; write a string that says something")
        if "reason" not in entry:
            raise ConfigError(f'{place()}: the entry has no reason; say why it is accepted: reason = "..."')
        if not any(key in entry for key in _NAMING):
            raise ConfigError(f"{place()}: the entry would accept everything; give it a rule, a type or a path")
        expires = entry.get("expires")
        if expires is not None and type(expires) is not datetime.date:
            raise ConfigError(f"{place('expires')}: expires is {_kind(expires)}; write a date: expires = 2027-06-30")
        patterns = {key: entry[key] for key in PATTERNS if key in entry}
        return Accepted(patterns, " ".join(entry["reason"].split()), expires, place())

    def _check_keys(self, table: dict[str, Any], known: Sequence[str], place: Callable[[str], str]) -> None:
        from difflib import get_close_matches

        for key in table:
            if key not in known:
                close = get_close_matches(key.replace("_", "-").lower(), known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
                raise ConfigError(f"{place(key)}: unknown key {key!r}; {hint}")

    # tomllib does not tell where a key stood. Whoever writes keys in quotes or entries in one line gets the line of
    # the entry, or the file alone.

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
    """What a value is, in TOML's words."""
    if isinstance(value, str):
        return "a string" if value.strip() else "empty"
    names = {bool: "a boolean", int: "an integer", float: "a float", list: "an array", dict: "a table"}
    return names.get(type(value), f"a {type(value).__name__}")


def apply(result: CheckResult, config: Config, today: datetime.date) -> CheckResult:
    """The result without the findings that the configuration accepts: they are in suppressed then, and the verdict of
    a type is the worst of what is left. An entry that is expired accepts nothing; it, entries that accepted nothing,
    and entries that nobody has reviewed are told in stale.
    """
    matcher = _Matcher(result, [entry for entry in config.accepted if not _expired(entry, today)])
    suppressed = list(result.suppressed)
    results = {}
    for direction, types in result.results.items():
        left = []
        for each in types:
            reasons = [matcher.reason(finding) for finding in each.findings]
            pairs = list(zip(each.findings, reasons, strict=True))
            suppressed += [(finding, reason) for finding, reason in pairs if reason is not None]
            left.append(_without(each, [finding for finding, reason in pairs if reason is None]))
        results[direction] = left
    stale = [*result.stale, *_stale(config, matcher.used, today)]
    return result._replace(results=results, suppressed=suppressed, stale=stale)


def _expired(entry: Accepted, today: datetime.date) -> bool:
    return entry.expires is not None and entry.expires < today


def _without(each: TypeResult, left: Sequence[Finding]) -> TypeResult:
    """The type with these findings left; a verdict that is worse than its findings explain stays."""
    if len(left) == len(each.findings):
        return each
    explained = _worst(each.findings)
    verdict = each.verdict if explained.severity() < each.verdict.severity() else _worst(left)
    return each._replace(findings=left, verdict=verdict)


def _worst(findings: Sequence[Finding]) -> Verdict:
    return max((finding.verdict for finding in findings), key=Verdict.severity, default=Verdict.SAFE)


class _Matcher:
    """Finds the entry that accepts a finding; used: the entries that accepted one."""

    def __init__(self, result: CheckResult, accepted: Sequence[Accepted]) -> None:
        labels = [dump.label for dump in result.dumps]
        versions = {dump.label: dump.producer.version or "" for dump in result.dumps}
        #: By direction: the words for it, and both sides' versions.
        self._directions = {
            f"{source} -> {destination}": (order, versions[source], versions[destination])
            for at, source in enumerate(labels)
            for to, destination in enumerate(labels)
            if (order := "forward" if at < to else "backward")
        }
        #: Entries for one type by its name, all others under None: a baseline has hundreds.
        self._accepted: dict[str | None, list[tuple[Accepted, dict[str, Callable[[str], Any]]]]] = {}
        for entry in accepted:
            patterns = {key: _pattern(text) for key, text in entry.patterns.items()}
            name = entry.patterns.get("type", "*")
            self._accepted.setdefault(None if set(name) & set("*?[") else name, []).append((entry, patterns))
        self.used: set[str] = set()

    def reason(self, finding: Finding) -> str | None:
        """Why it is accepted; None: it is not. A harmless difference needs no accepting."""
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
        order, source, destination = self._directions.get(finding.direction, ("", "", ""))
        return {
            "rule": (finding.rule,),
            "type": (finding.type,),
            "path": (finding.path,),
            "direction": (finding.direction, order),
            "source-version": (source,),
            "destination-version": (destination,),
        }


def _pattern(text: str) -> Callable[[str], Any]:
    import fnmatch
    import re

    match = re.compile(fnmatch.translate(text)).match
    return lambda fact: fact == text or match(fact)  # "ring[0]" is first of all itself


def _stale(config: Config, used: set[str], today: datetime.date) -> list[str]:
    lines = []
    for entry in config.accepted:
        if _expired(entry, today):
            lines.append(f"{entry.place}: expired on {entry.expires}, accepts nothing any more: {entry}")
        elif entry.place not in used:
            lines.append(f"{entry.place}: accepts nothing that is found, remove it: {entry}")
    unread = sum(entry.reason.startswith(NOT_REVIEWED) and entry.place in used for entry in config.accepted)
    if unread:
        lines.append(
            f"{config.path}: {unread} used {'entry is' if unread == 1 else 'entries are'} {NOT_REVIEWED}; say why"
        )
    return lines
