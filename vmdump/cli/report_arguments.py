"""The report of a check: the options --format, -o, --statistics, --select, --ignore, --config, --write-baseline and
--fail-on, for every command that checks::

    add_arguments(parser)                                   # where the command's arguments are defined
    return finish(result, args, environment, rules=...)     # at the end of its run function
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
    from collections.abc import Callable, Collection, Mapping

    from vmdump.check.config import Config
    from vmdump.check.results import CheckResult
    from vmdump.check.selection import Selection
    from vmdump.cli.environment import Environment
    from vmdump.report.options import Options, RuleText

#: vmdump.report.FORMATS, and the verdicts that can fail a check. Restated, so that building a parser does not import
#: them; tests compare them.
FORMATS = ("text", "concise", "json", "markdown", "html", "junit", "sarif", "github", "gitlab")
FAIL_ON = ("breaks", "conditional", "absent", "unknown")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options of a report."""
    group = parser.add_argument_group("report")
    group.add_argument("-v", "--verbose", action="store_true", help="also list compatible changes and each absent type")
    group.add_argument(
        "--format",
        choices=FORMATS,
        default=FORMATS[0],
        metavar="FORMAT",
        help=f"report format: {', '.join(FORMATS)} (default: text)",
    )
    add_selection(group)
    add_file(group, "-o", "--output", default="-", metavar="FILE", help="output file (default: -, standard output)")
    group.add_argument(
        "--fail-on",
        choices=FAIL_ON,
        help="exit with 1 for this verdict or worse (default: fail-on of the configuration, else breaks)",
    )
    add_file(
        group,
        "--config",
        metavar="FILE",
        help="configuration with accepted findings (default: ./vmdump.toml, else [tool.vmdump] in ./pyproject.toml)",
    )
    add_file(
        group,
        "--write-baseline",
        metavar="FILE",
        help="write a configuration that accepts all findings, or add new entries to the one in use",
    )


def add_selection(parser: argparse._ActionsContainer) -> None:
    """Define the options that select rules and count findings."""
    parser.add_argument(
        "--select",
        action="append",
        default=[],
        metavar="RULE",
        help="report only findings of these rules: ids or patterns (field-*), separated by commas; may be repeated",
    )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="RULE",
        help="ignore findings of these rules in verdicts and exit code; reports give their number",
    )
    parser.add_argument(
        "--statistics", action="store_true", help="print the number of findings of each rule instead (text, json)"
    )


def selection(args: argparse.Namespace, config: Config | None = None) -> Selection:
    """Return the rules selected by the options, else by the configuration. Raises UsageError for unknown rules."""
    from vmdump.check.selection import Selection, patterns

    chosen = []
    for option in ("select", "ignore"):
        try:
            found = patterns(getattr(args, option))
        except ValueError as error:
            raise UsageError(f"--{option}: {error}") from None
        chosen.append(found or (getattr(config, option) if config else ()))
    return Selection(*chosen)


def check_statistics(args: argparse.Namespace) -> None:
    """Raise UsageError for --statistics with a format that has none."""
    if args.statistics and args.format not in ("text", "concise", "json"):
        raise UsageError(f"--statistics does not apply to --format {args.format}; use text or json")


def finish(
    result: CheckResult,
    args: argparse.Namespace,
    environment: Environment,
    *,
    rules: Mapping[str, RuleText] = MappingProxyType({}),
    render: Callable[[CheckResult, Options], bytes] | None = None,
    undecided: Collection[str] = (),
) -> ExitStatus:
    """Apply the configuration, write baseline and report, and return the exit status.

    A baseline does not affect the report and exit status of the run that writes it.

    Args:
        result: of the check.
        args: see add_arguments.
        environment: of the command.
        rules: texts of rules by id, for the report.
        render: makes the report of what remains; default: vmdump.report.render.
        undecided: rules whose findings let a check without failures end as FAILED.

    Raises ConfigError, OutputError and UsageError.
    """
    check_statistics(args)
    accepted, options, config = accept(result, args, rules, environment)
    if args.write_baseline is not None:
        from datetime import date

        _write_baseline(accepted, args.write_baseline, config, date.today())
    if render is None:
        from vmdump.report import render as render_format

        report = render_format(accepted, args.format, options)
    else:
        report = render(accepted, options)
    write_report(report, args, environment)
    status = status_of(accepted, options)
    if status == ExitStatus.DONE and any(each.rule in undecided for each in accepted.findings):
        return ExitStatus.FAILED
    return status


def rule_texts(format: str) -> Mapping[str, RuleText]:
    """Return the texts of the rules for formats that include them."""
    if format not in ("sarif", "html"):
        return {}
    from vmdump.check.rules import rule, rule_ids
    from vmdump.report.options import RuleText

    return {each: RuleText(rule(each).WHAT, rule(each).text()) for each in rule_ids()}


def accept(
    result: CheckResult,
    args: argparse.Namespace,
    rules: Mapping[str, RuleText],
    environment: Environment | None = None,
) -> tuple[CheckResult, Options, Config | None]:
    """Return the result without ignored and accepted findings, the options of reports, and the configuration.

    environment: text is wrapped for its terminal. Raises ConfigError, UsageError.
    """
    from vmdump.check.config import apply, find_config, load_config
    from vmdump.check.results import Verdict
    from vmdump.report.options import Options

    config = find_config() if args.config is None else load_config(args.config)
    chosen = selection(args, config)
    everything = result
    if any(chosen):
        from vmdump.check.selection import select

        result = select(result, chosen)
    if config is not None:
        from datetime import date

        result = apply(result, config, date.today())
        if result.ignored:  # an entry is stale only if it matches no finding, ignored or not
            result = result._replace(stale=apply(everything, config, date.today()).stale)
    fail_on = Verdict(args.fail_on) if args.fail_on else config.fail_on if config else None
    options = Options(
        fail_on or Verdict.BREAKS, rules, args.verbose, getattr(args, "matrix", False), statistics=args.statistics
    )
    if environment is not None and args.output == "-":
        options = options._replace(width=environment.width, colours=environment.draws)
    return result, options, config


def status_of(result: CheckResult, options: Options) -> ExitStatus:
    """Return FINDINGS if the check failed, else DONE."""
    from vmdump.report.tally import worst

    return ExitStatus.FINDINGS if options.fails(worst(result)) else ExitStatus.DONE


def _write_baseline(result: CheckResult, path: str, config: Config | None, today: datetime.date) -> None:
    """Write entries for new findings to a new file, or append them to the configuration in use."""
    import os

    from vmdump.check.baseline import add_to, baseline
    from vmdump.check.config import table_of

    new = baseline(result, today, table=table_of(path))
    if os.path.isfile(path):
        if config is None or not os.path.samefile(path, config.path):
            raise UsageError(f"--write-baseline: {path} exists; use --config {path} to add new entries to it")
        new = add_to(path, new)
    write_file(path, new.encode())


def write_report(report: bytes, args: argparse.Namespace, environment: Environment) -> None:
    """Write a report to the file --output, or to standard output for "-". Raises OutputError."""
    if args.output == "-":
        # Text has colours on a terminal, and has escaped all other control characters.
        environment.print(report.decode(), end="", is_drawn=args.format in ("text", "concise"))
    else:
        write_file(args.output, report)
