"""vmdump gate: can every device of an old QEMU migrate to a new one? For CI of packages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vmdump.cli.bulk import add_reading, missing_packages, read_sources
from vmdump.cli.check_folder import accept_targets, check_targets, set_defaults
from vmdump.cli.environment import ExitStatus, printable
from vmdump.cli.pages import pages_of, write_pages
from vmdump.cli.report_arguments import FAIL_ON, rule_texts, status_of
from vmdump.cli.source_arguments import add_directory, add_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from vmdump.check.results import CheckResult
    from vmdump.cli.environment import Environment
    from vmdump.report.options import Options

HELP = "check every target of an update of QEMU, for CI"
EPILOG = """\
examples:
  vmdump gate old/ new/
  vmdump gate old/*.deb new/*.deb -o out         one package each
  vmdump gate old/ new/ --format github          annotations in GitHub Actions

OLD and NEW are directories of packages or binaries, or packages, binaries or
dumps; none of them is executed. OLD is the source and NEW the destination,
whatever their names and versions.

  DIR/dumps            what was read; a later run reads only what has changed,
                       so let CI cache it
  DIR/pages            index.html, a page for each target, and devices.html
  DIR/summary.md       for a comment on a merge request
  DIR/check.json       and check.sarif, junit.xml, code-quality.json (GitLab)

Reviewed differences are listed in vmdump.toml, each with a reason: see --config
and --write-baseline of vmdump check.

exit codes:
  0 nothing breaks; 1 something breaks (or has the --fail-on verdict or worse; a
  target that NEW lacks is absent, and breaks if NEW has none of the targets);
  2 usage error; 3 not everything could be read
"""

#: Values of --format: what standard output has.
_FORMATS = ("text", "github", "markdown")

#: Reports in the output directory, and their formats.
_REPORTS = {
    "summary.md": "markdown",
    "check.json": "json",
    "check.sarif": "sarif",
    "junit.xml": "junit",
    "code-quality.json": "gitlab",
}

#: Types listed on standard output, so that the summary fits a screen.
_MAX_TYPES = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_file(parser, "old", metavar="OLD", help="directory, package, binary or dump that VMs run on now")
    add_file(parser, "new", metavar="NEW", help="the same for what replaces it")
    add_directory(
        parser, "-o", "--output", default="migration", metavar="DIR", help="output directory (default: migration)"
    )
    parser.add_argument("--target", default="*", metavar="GLOB", help="only these targets (default: all)")
    parser.add_argument(
        "--format", choices=_FORMATS, default=_FORMATS[0], help="what standard output has (default: text)"
    )
    parser.add_argument(
        "--fail-on",
        choices=FAIL_ON,
        help="exit with 1 for this verdict or worse (default: fail-on of the configuration, else breaks)",
    )
    add_file(
        parser,
        "--config",
        metavar="FILE",
        help="configuration with accepted findings (default: ./vmdump.toml, else [tool.vmdump] in ./pyproject.toml)",
    )
    add_reading(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Read both sides, check them, and write the reports."""
    from vmdump.bulk.tasks import Options as ReadOptions
    from vmdump.check.targets import joined
    from vmdump.dump.output import write_file
    from vmdump.report import render

    directory = os.path.join(args.output, "dumps")
    set_defaults(args, directory, direction="forward", between_sources=True)
    # Parquet is smaller, and vmdump query reads it; the check needs neither.
    format = "extended" if missing_packages("parquet") else "parquet"
    options = ReadOptions(format=format, timeout=args.timeout, max_size=args.max_size)
    tally = read_sources([args.old, args.new], directory, options, environment, jobs=args.jobs)
    checked = check_targets(args, environment, is_update=True)
    accepted = accept_targets(checked.results, args, rule_texts("html"))
    pages = os.path.join(args.output, "pages")
    write_pages(pages_of(directory, accepted, target=args.target, max_size=args.max_size), pages)
    whole = joined({target: result for target, (result, _) in accepted.items()})
    _, report_options = next(iter(accepted.values()))
    for name, format in _REPORTS.items():
        write_file(os.path.join(args.output, name), render(whole, format, report_options))
    if args.format == "text":
        environment.print("\n".join(_summary(accepted, os.path.join(pages, "index.html"))))
    else:
        environment.print(render(whole, args.format, report_options).decode(), end="")
    statuses = [status_of(*each) for each in accepted.values()]
    failed = ExitStatus.DONE if checked.is_whole and not tally.errors else ExitStatus.FAILED
    return max(failed, *statuses)


def _summary(accepted: Mapping[str, tuple[CheckResult, Options]], page: str) -> Iterator[str]:
    """Yield the lines of a screen: the verdicts of each target, what fails, and where the report is."""
    from vmdump.check.targets import TARGET_ABSENT
    from vmdump.report.tally import direction_totals, findings

    width = max(map(len, accepted))
    for target, (result, _) in accepted.items():
        absent = [each for each in findings(result) if each.rule == TARGET_ABSENT]
        lines = [f"{each.direction}: {each.verdict}: {each.message}" for each in absent]
        for line in lines or direction_totals(result).values():
            yield f"{printable(target):{width}}  {printable(line)}"
    failing: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for target, (result, options) in accepted.items():
        for each in findings(result):
            if options.fails(each.verdict):
                text = f"{each.message} [{each.rule}]"
                failing.setdefault((str(each.verdict), each.type), []).append((target, text))
    if failing:
        yield ""
    for (verdict, type_), found in list(failing.items())[:_MAX_TYPES]:
        targets = {target for target, _ in found}
        place = f"{len(targets)} targets" if len(targets) > 1 else found[0][0]
        others = len({text for _, text in found}) - 1
        more = f" (and {others} more)" if others else ""
        yield printable(f"{verdict}  {type_} ({place}): {found[0][1]}{more}")
    if len(failing) > _MAX_TYPES:
        yield f"... and {len(failing) - _MAX_TYPES} more types"
    yield ""
    yield f"report: {printable(page)}"
