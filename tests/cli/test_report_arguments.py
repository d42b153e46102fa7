"""Report options: formats, output files, --fail-on, configurations, baselines, and the exit code."""

import argparse
import errno
import io
import json
from pathlib import Path

import pytest
from support.check_sample import make_result

from vmdump.check.config import ConfigError
from vmdump.check.results import CheckResult, Dump, Finding, TypeResult, Verdict
from vmdump.cli import report_arguments as report_options
from vmdump.cli.environment import Environment, ExitStatus
from vmdump.cli.parser import Parser
from vmdump.cli.source_arguments import UsageError
from vmdump.dump.producer import Producer
from vmdump.errors import OutputError
from vmdump.report import FORMATS


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a directory without a configuration."""
    monkeypatch.chdir(tmp_path)


def finish(result: CheckResult, *argv: str) -> tuple[ExitStatus, str]:
    """Return exit code and output."""
    parser = Parser()
    report_options.add_arguments(parser)
    stdout = io.TextIOWrapper(io.BytesIO(), "utf-8")
    args: argparse.Namespace = parser.parse_args(argv)
    status = report_options.finish(result, args, Environment(stdout=stdout, environ={}))
    return status, stdout.buffer.getvalue().decode()  # type: ignore[attr-defined]


def with_verdict(verdict: Verdict) -> CheckResult:
    """A result of one type with one finding."""
    finding = Finding("r", verdict, "A -> B", "t", "p", "m")
    dumps = [Dump("A", Producer("file"), "pc"), Dump("B", Producer("file"), "pc")]
    return CheckResult(dumps, {"A -> B": [TypeResult("t", verdict, "s", [finding], [])]})


def test_choices() -> None:
    """The options offer all formats, and all verdicts that can fail."""
    assert report_options.FORMATS == FORMATS
    assert set(report_options.FAIL_ON) == set(Verdict) - {Verdict.SAFE, Verdict.ACCEPTED}


@pytest.mark.parametrize(
    ("fail_on", "failing"),
    [
        (None, "breaks"),
        ("breaks", "breaks"),
        ("conditional", "breaks conditional"),
        ("absent", "breaks conditional absent"),
        ("unknown", "breaks conditional absent unknown"),
    ],
)
@pytest.mark.parametrize("verdict", list(Verdict))
def test_exit_codes(verdict: Verdict, fail_on: str | None, failing: str) -> None:
    """Exit code 1 for verdicts at least as bad as --fail-on, else 0; without the option the configuration decides."""
    expected = ExitStatus.FINDINGS if verdict in failing.split() else ExitStatus.DONE
    assert finish(with_verdict(verdict), *(["--fail-on", fail_on] if fail_on else []))[0] == expected
    if fail_on:
        Path("vmdump.toml").write_text(f'fail-on = "{fail_on}"')
        assert finish(with_verdict(verdict))[0] == expected
        assert finish(with_verdict(verdict), "--fail-on", "unknown")[0] == (
            verdict.severity() > Verdict.ACCEPTED.severity()
        )


@pytest.mark.parametrize("format", FORMATS)
def test_formats(format: str) -> None:
    """Each format is the same on stdout and in a file."""
    result = make_result()
    printed = finish(result, "--format", format)[1]
    assert finish(result, "--format", format, "-o", "file") == (ExitStatus.FINDINGS, "")
    assert Path("file").read_text() == printed
    assert printed.endswith("\n")


def test_accepted_findings_do_not_fail() -> None:
    """Findings accepted by the directory's configuration or --config do not fail, and the report lists them."""
    Path("vmdump.toml").write_text('[[accept]]\nrule = "r"\nreason = "known"')
    status, printed = finish(with_verdict(Verdict.BREAKS))
    assert (status, "reason: known" in printed) == (ExitStatus.DONE, True)
    Path("other.toml").write_text("")
    assert finish(with_verdict(Verdict.BREAKS), "--config", "other.toml")[0] == ExitStatus.FINDINGS
    with pytest.raises(ConfigError, match=r"none\.toml"):
        finish(with_verdict(Verdict.BREAKS), "--config", "none.toml")


def test_a_baseline() -> None:
    """Writing a baseline does not change the run's result; the next run accepts everything."""
    Path("empty.toml").touch()
    assert finish(make_result(), "--write-baseline", "vmdump.toml") == finish(make_result(), "--config", "empty.toml")
    status, printed = finish(make_result(), "--format", "json")
    assert status == ExitStatus.DONE
    assert "not reviewed" in json.loads(printed)["stale"][-1]


def test_a_baseline_is_added_to() -> None:
    """New entries are appended to the configuration in use, none twice; other files are not changed."""
    own = '# ours\n[[accept]]\nrule = "r"\ndirection = "backward"\nreason = "known"'
    Path("vmdump.toml").write_text(own)
    for _ in range(2):
        finish(with_verdict(Verdict.BREAKS), "--write-baseline", "vmdump.toml")
        text = Path("vmdump.toml").read_text()
        assert text.startswith(own + "\n\n[[accept]]\n")
        assert text.count("[[accept]]") == 2
    Path("other.toml").write_text("precious")
    with pytest.raises(UsageError, match=r"other\.toml exists; use --config other\.toml"):
        finish(with_verdict(Verdict.BREAKS), "--write-baseline", "other.toml")
    assert Path("other.toml").read_text() == "precious"


def test_a_baseline_into_an_array() -> None:
    """If TOML syntax does not allow appending entries, that is an error and the file is unchanged."""
    own = 'accept = [{rule = "x", reason = "y"}]'
    Path("vmdump.toml").write_text(own)
    with pytest.raises(ConfigError, match=r"vmdump\.toml: .* write each entry as \[\[accept\]\]"):
        finish(with_verdict(Verdict.BREAKS), "--write-baseline", "vmdump.toml")
    assert Path("vmdump.toml").read_text() == own


def test_a_report_that_cannot_be_written() -> None:
    """A full disk and a missing directory are reported."""
    with pytest.raises(OutputError) as error:
        finish(make_result(), "-o", "/dev/full")
    assert error.value.errno == errno.ENOSPC
    with pytest.raises(OutputError, match="none/x: No such file"):
        finish(make_result(), "-o", "none/x")
