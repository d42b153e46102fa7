"""What becomes of a check's result: the options --format, -o, --config, --write-baseline and --fail-on, for every
command that checks::

    add_arguments(parser)                                   # where the command's arguments are defined
    return finish(result, args, environment, rules=...)     # its last line
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.source_arguments import UsageError, add_file
from vmdump.dump.output import write_file

if TYPE_CHECKING:
    import argparse
    import datetime
    from collections.abc import Mapping

    from vmdump.check.config import Config
    from vmdump.check.results import CheckResult
    from vmdump.cli.environment import Environment
    from vmdump.report.options import Options, RuleText

#: The formats of vmdump.report.FORMATS, and the verdicts that can fail a check; restated, so that building a parser
#: loads none of it. The tests compare them.
FORMATS = ("text", "json", "junit", "sarif", "github", "html")
FAIL_ON = ("breaks", "conditional", "absent")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    group = parser.add_argument_group("report")
    group.add_argument("-v", "--verbose", action="store_true", help="with what is safe, and each type that is absent")
    group.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="what is written (default: text)")
    add_file(group, "-o", "--output", default="-", metavar="FILE", help="where to write (default: -, standard output)")
    group.add_argument(
        "--fail-on",
        choices=FAIL_ON,
        help="the mildest verdict for which the exit code is 1 (default: what the configuration says, else breaks)",
    )
    add_file(
        group,
        "--config",
        metavar="FILE",
        help="accepted findings, as TOML (default: vmdump.toml here, else [tool.vmdump] of pyproject.toml)",
    )
    add_file(
        group,
        "--write-baseline",
        metavar="FILE",
        help="write a configuration that accepts what is found; to the configuration in use, what is new is added",
    )


def finish(
    result: CheckResult,
    args: argparse.Namespace,
    environment: Environment,
    *,
    rules: Mapping[str, RuleText] = MappingProxyType({}),
) -> ExitStatus:
    """Accepts what the configuration accepts, writes baseline and report, and says whether the check failed.

    rules: what reports say of rules, by id. A baseline changes neither report nor exit code of the run that writes it.
    Raises ConfigError, OutputError and UsageError.
    """
    from vmdump.report import render

    accepted, options, config = accept(result, args, rules)
    if args.write_baseline is not None:
        from datetime import date

        _write_baseline(accepted, args.write_baseline, config, date.today())
    report = render(accepted, args.format, options)
    put_report(report, args.output, environment)
    return status_of(accepted, options)


def accept(
    result: CheckResult, args: argparse.Namespace, rules: Mapping[str, RuleText]
) -> tuple[CheckResult, Options, Config | None]:
    """The result without what the configuration accepts, what reports are told, and the configuration. Raises
    ConfigError.
    """
    from vmdump.check.config import apply, find_config, load_config
    from vmdump.check.results import Verdict
    from vmdump.report.options import Options

    config = find_config() if args.config is None else load_config(args.config)
    if config is not None:
        from datetime import date

        result = apply(result, config, date.today())
    fail_on = Verdict(args.fail_on) if args.fail_on else config.fail_on if config else None
    return result, Options(fail_on or Verdict.BREAKS, rules, args.verbose, getattr(args, "matrix", False)), config


def status_of(result: CheckResult, options: Options) -> ExitStatus:
    """Whether the check failed."""
    from vmdump.report.tally import worst

    return ExitStatus.FINDINGS if options.fails(worst(result)) else ExitStatus.DONE


def _write_baseline(result: CheckResult, path: str, config: Config | None, today: datetime.date) -> None:
    """Writes entries for what is new: behind those of the configuration in use, or to a new file."""
    import os

    from vmdump.check.baseline import add_to, baseline
    from vmdump.check.config import table_of

    new = baseline(result, today, table=table_of(path))
    if os.path.isfile(path):
        if config is None or not os.path.samefile(path, config.path):
            raise UsageError(f"--write-baseline: {path} is there already; --config {path} adds to it what is new")
        new = add_to(path, new)
    write_file(path, new.encode())


def put_report(report: bytes, path: str, environment: Environment) -> None:
    """Writes a report to a file, or for - to standard output. Raises OutputError."""
    if path == "-":
        environment.print(report.decode(), end="")
    else:
        write_file(path, report)
