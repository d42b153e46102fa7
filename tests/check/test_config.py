"""Accepted findings: matching of configuration entries, reports about the configuration itself, and baselines."""

import datetime
import tomllib
from pathlib import Path

import pytest
from support.check_sample import HOSTILE, make_result

from vmdump.check.baseline import baseline
from vmdump.check.config import Config, ConfigError, apply, find_config, load_config
from vmdump.check.results import CheckResult, Direction, Dump, Finding, TypeResult, Verdict
from vmdump.check.rules import RENAMED, rule
from vmdump.dump.producer import Producer

TODAY = datetime.date(2026, 11, 25)


def config(tmp_path: Path, text: str, name: str = "vmdump.toml") -> Config:
    """Parse a configuration."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def finding(rule: str = "field-removed", type: str = "e1000", path: str = "e1000 / e1000 / mac_reg[0]") -> Finding:
    """Return a finding that breaks, forward."""
    return Finding(rule, Verdict.BREAKS, "A -> B", type, path, "m")


def result(*findings: Finding) -> CheckResult:
    """Return a check of two dumps with these findings in both directions."""
    dumps = [Dump("A", Producer("file", version="7.2.22"), "pc"), Dump("B", Producer("file", version="10.0.13"), "pc")]
    return CheckResult(
        dumps,
        {
            direction: [
                TypeResult("e1000", Verdict.BREAKS, "e1000", [f._replace(direction=direction) for f in findings], [])
            ]
            for direction in ("A -> B", "B -> A")
        },
        directions={"A -> B": Direction(0, 1), "B -> A": Direction(1, 0)},
    )


def accepted_in(tmp_path: Path, keys: str) -> list[str]:
    """Return the directions in which an entry with these keys accepts the finding."""
    entry = f'[[accept]]\nreason = "known"\n{keys}'
    applied = apply(result(finding()), config(tmp_path, entry), TODAY)
    return [each.direction for each, _ in applied.suppressed]


BOTH = ["A -> B", "B -> A"]


@pytest.mark.parametrize(
    ("keys", "directions"),
    [
        ('rule = "field-removed"', BOTH),
        ('rule = "field-*"', BOTH),
        ('rule = "field-added"', []),
        ('rule = "field"', []),
        ('type = "e1000"', BOTH),
        ('type = "e*0"', BOTH),
        ('type = "E1000"', []),
        ('type = "e1000e"', []),
        ('path = "*/mac_reg[[]0]"', []),
        ('path = "* / mac_reg[[]0]"', BOTH),
        ('path = "* / mac_reg[0]"', []),
        ('path = "e1000 / e1000 / mac_reg[0]"', BOTH),
        ('rule = "*"\ndirection = "forward"', ["A -> B"]),
        ('rule = "*"\ndirection = "backward"', ["B -> A"]),
        ('rule = "*"\ndirection = "B -> *"', ["B -> A"]),
        ('rule = "*"\nsource-version = "7.2.*"', ["A -> B"]),
        ('rule = "*"\ndestination-version = "7.2.*"', ["B -> A"]),
        ('rule = "*"\nsource-version = "7.2"', []),
        ('rule = "field-removed"\ntype = "e1000e"', []),
        ('rule = "*"\nexpires = 2026-11-25', BOTH),
        ('rule = "*"\nexpires = 2026-11-24', []),
    ],
)
def test_what_an_entry_accepts(tmp_path: Path, keys: str, directions: list[str]) -> None:
    """All keys of an entry must match, as full, case-sensitive patterns; its last day is included."""
    assert accepted_in(tmp_path, keys) == directions


def test_the_verdict_of_the_remaining_findings(tmp_path: Path) -> None:
    """A type has the worst verdict of its remaining findings; accepted ones are listed with their reason."""
    mild = finding("subsection-unknown")._replace(verdict=Verdict.CONDITIONAL)
    one = config(tmp_path, '[[accept]]\nrule = "field-removed"\nreason = "not\\n  ours"')
    applied = apply(result(finding(), mild), one, TODAY)
    (each,) = applied.results["A -> B"]
    assert (each.verdict, [left.rule for left in each.findings]) == (Verdict.CONDITIONAL, ["subsection-unknown"])
    assert applied.suppressed[0] == (finding(), "not ours")
    both = config(tmp_path, '[[accept]]\ntype = "e1000"\nreason = "not ours"')
    assert apply(result(finding(), mild), both, TODAY).results["A -> B"][0].verdict is Verdict.ACCEPTED


def test_a_verdict_that_no_finding_explains(tmp_path: Path) -> None:
    """A type whose verdict is worse than its findings keeps it when these are accepted."""
    mild = finding()._replace(verdict=Verdict.CONDITIONAL)
    applied = apply(result(mild), config(tmp_path, '[[accept]]\ntype = "*"\nreason = "r"'), TODAY)
    assert applied.results["A -> B"][0].verdict is Verdict.BREAKS


def test_harmless_findings_need_no_accepting(tmp_path: Path) -> None:
    """Safe findings are not accepted and use no entry."""
    safe = finding()._replace(verdict=Verdict.SAFE)
    applied = apply(result(safe), config(tmp_path, '[[accept]]\ntype = "*"\nreason = "r"'), TODAY)
    assert not applied.suppressed
    assert len(applied.results["A -> B"][0].findings) == len(applied.stale) == 1


def test_stale_entries(tmp_path: Path) -> None:
    """Entries that match nothing or have expired are reported with their line; others are not."""
    text = """
        [[accept]]
        rule = "field-removed"
        reason = "used"

        [[ accept ]]  # with a comment
        rule = "field-added"
        reason = "unused"

        [[accept]]
        reason = "expired"
        type = "e1000"
        expires = 2026-01-31
    """
    unused, expired = apply(result(finding()), config(tmp_path, text), TODAY).stale
    assert unused == f"{tmp_path}/vmdump.toml:6: matches no finding; remove it: rule 'field-added'"
    assert expired.startswith(f"{tmp_path}/vmdump.toml:10: expired on 2026-01-31 and accepts nothing: ")


def test_misspelt_rule(tmp_path: Path) -> None:
    """An entry for an unknown rule gets a suggestion, not the advice to remove it."""
    text = '[[accept]]\nrule = "field-remove"\nreason = "r"\n[[accept]]\nrule = "feild-*"\nreason = "r"'
    misspelt, pattern = apply(result(finding()), config(tmp_path, text), TODAY).stale
    assert "no rule 'field-remove'; did you mean field-removed" in misspelt
    assert "matches no finding" in pattern


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_renamed_rule(old: str, new: str, tmp_path: Path) -> None:
    """Ids of earlier releases are accepted in entries, select and ignore."""
    assert rule(old).id == new
    loaded = config(tmp_path, f'ignore = ["{old}"]\n[[accept]]\nrule = "{old}"\nreason = "r"\n')
    assert loaded.ignore == [new]
    applied = apply(result(finding(new)), loaded, TODAY)
    assert (len(applied.suppressed), applied.stale) == (2, [])


def test_two_entries_for_one_finding(tmp_path: Path) -> None:
    """Both entries count as used; the finding is accepted once."""
    text = '[[accept]]\ntype = "e1000"\nreason = "one"\n[[accept]]\nrule = "*"\nreason = "two"'
    applied = apply(result(finding()), config(tmp_path, text), TODAY)
    assert [reason for _, reason in applied.suppressed] == ["one", "one"]
    assert not applied.stale


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[accept]]\nrule = "a"', ":1: the entry has no reason; explain why the finding is acceptable"),
        ('[[accept]]\nrule = "a"\nreason = " "', ":3: reason is empty; "),
        ('[[accept]]\nrule = 1\nreason = "a"', ":2: rule is an integer; write a string"),
        ('[[accept]]\nreason = "a"\n\ndirection = "forward"', ":1: the entry would accept everything; "),
        ('[[accept]]\nrule = "a"\nreason = "a"\nexpires = "2026-01-01"', ":4: expires is a string; write a date: "),
        ('[[accept]]\nrule = "a"\nreason = "a"\nexpires = 2026-01-01T00:00:00', ":4: expires is a datetime; "),
        ('[[accept]]\nrule = "a"\nreason = "a"\n[[accept]]\ntipe = "b"', ":5: unknown key 'tipe'; did you mean type?"),
        ('[[accept]]\nsource_version = "1"', ":2: unknown key 'source_version'; did you mean source-version?"),
        ('[[accept]]\nxyzzy = "1"', ":2: unknown key 'xyzzy'; known keys: rule, type, path, "),
        ('\n[[acept]]\nrule = "a"', ":2: unknown key 'acept'; did you mean accept?"),
        ('accept = [{rule = "a"}]', ": [[accept]] number 1: the entry has no reason"),
        ('accept = "all"', ":1: accept is a string; write [[accept]]"),
        ('fail-on = "warning"', ":1: fail-on is 'warning'; write one of unknown, absent, conditional, breaks"),
        ("fail-on = []", ":1: fail-on is []; write one of"),
        ("[[accept]]\nrule = a", "vmdump.toml: invalid TOML: "),
        ("a = " + "[" * 10000, "vmdump.toml: tables or arrays are nested too deeply"),
    ],
)
def test_errors(tmp_path: Path, text: str, message: str) -> None:
    """Each error is one line with file, line, key, and what to write instead."""
    with pytest.raises(ConfigError) as error:
        config(tmp_path, text)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/vmdump.toml:")
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing files, directories, and text that is not UTF-8 are errors."""
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_config(tmp_path)
    (tmp_path / "vmdump.toml").write_bytes(b'a = "\xff"')
    with pytest.raises(ConfigError, match="byte 5 is not UTF-8"):
        find_config(tmp_path)


def test_the_projects_file(tmp_path: Path) -> None:
    """pyproject.toml is used if it has tool.vmdump, with its own lines and key names in messages; vmdump.toml takes
    precedence.
    """
    assert find_config(tmp_path) is None
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nname = "vmdump-user"\n')
    assert find_config(tmp_path) is None
    with pytest.raises(ConfigError, match=r"no table \[tool.vmdump\]"):
        load_config(project)
    text = '[tool.other]\nfail-on = 1\n[tool.vmdump]\nfail-on = "conditional"\n[[tool.vmdump.accept]]\nrule = "a"\n'
    project.write_text(text)
    with pytest.raises(ConfigError, match=r"pyproject.toml:5: the entry has no reason"):
        find_config(tmp_path)
    project.write_text(text + 'reason = "known"\n')
    found = find_config(tmp_path)
    assert found is not None
    assert (found.fail_on, found.accepted[0].place) == (Verdict.CONDITIONAL, f"{project}:5")
    project.write_text(text.replace('"conditional"', '"x"') + 'reason = "known"\n')
    with pytest.raises(ConfigError, match=r"pyproject\.toml:4: fail-on"):
        find_config(tmp_path)
    (tmp_path / "vmdump.toml").write_text('fail-on = "absent"')
    found = find_config(tmp_path)
    assert found is not None
    assert found.fail_on is Verdict.ABSENT


@pytest.mark.parametrize("dumps", [2, 3])
def test_a_baseline_accepts_what_was_found(tmp_path: Path, dumps: int) -> None:
    """A baseline loads unchanged, accepts every finding that can fail the check, including hostile names, and says that
    nobody reviewed it.
    """
    odd = (*HOSTILE, "[!a]*?", "tab\there \x7f", b"caf\xe9".decode("utf-8", "surrogateescape"))
    found = make_result(dumps, 60, odd)
    loaded = config(tmp_path, baseline(found, TODAY))
    applied = apply(found, loaded, TODAY)
    before, after = ([each for types in r.results.values() for each in types] for r in (found, applied))
    accepted = [each.verdict is not Verdict.SAFE for each in before]
    assert [each.verdict for each in after] == [Verdict.ACCEPTED if each else Verdict.SAFE for each in accepted]
    expected = sum(f.verdict is not Verdict.SAFE for types in found.results.values() for t in types for f in t.findings)
    assert len(applied.suppressed) - len(found.suppressed) == expected > 10
    assert applied.stale[-1].endswith(f"{len(loaded.accepted)} used entries are not reviewed; replace the reason")
    assert baseline(applied, TODAY) == ""


def test_a_baseline_accepts_nothing_else(tmp_path: Path) -> None:
    """An entry matches its finding only: no other rule, type, path or direction."""
    one = result(finding())
    only = one._replace(results={"A -> B": one.results["A -> B"], "B -> A": []})
    loaded = config(tmp_path, baseline(only, TODAY))
    other = result(finding(), finding(rule="other"), finding(type="e1000e"), finding(path="e1000 / e1000 / mac_reg0"))
    assert [each for each, _ in apply(other, loaded, TODAY).suppressed] == [finding()]


def test_a_baseline_of_a_project(tmp_path: Path) -> None:
    """A baseline for pyproject.toml uses that file's table names."""
    text = baseline(result(finding()), TODAY, table="tool.vmdump.accept")
    assert len(tomllib.loads(text)["tool"]["vmdump"]["accept"]) == 2
    assert len(config(tmp_path, text, "pyproject.toml").accepted) == 2
