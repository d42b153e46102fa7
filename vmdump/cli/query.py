"""vmdump query: query an output directory of vmdump bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmdump.cli.environment import ExitStatus
from vmdump.cli.source_arguments import UsageError, add_directory
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse

    from vmdump.bulk.query.database import Answer
    from vmdump.cli.environment import Environment

HELP = "query an output directory of vmdump bulk"
EPILOG = """\
examples:
  vmdump query --list
  vmdump query device dumps --with device=e1000*
  vmdump query field dumps --with field=mig_config --with device=spapr*
  vmdump query "SELECT info, count(*) FROM fields GROUP BY info" dumps

DIR is an output directory of vmdump bulk --format parquet. SQL is a single
SELECT in DuckDB's dialect. It cannot write, and reads only the views
  rows          a row for each device, description, field and subsection,
                with producer and target
  devices, descriptions, fields, subsections, producers
  verdicts      results of vmdump check --matrix DIR
  machine_types, compat_props, properties, sections, ram_blocks
                of the machine types of vmdump bulk --boot
DESCRIBE fields lists the columns of a view.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("query", nargs="?", metavar="SQL|NAME", help="a SELECT, or the name of a query (see --list)")
    add_directory(parser, "dir", nargs="?", metavar="DIR", help="the output directory")
    parser.add_argument(
        "--with",
        action="append",
        default=[],
        type=_parameter,
        metavar="NAME=VALUE",
        help="set a parameter of the named query, or $NAME in SQL; may be repeated",
    )
    parser.add_argument(
        "--format", default="table", choices=["table", "csv", "json"], help="output format (default: table)"
    )
    parser.add_argument("--list", action="store_true", help="list the named queries and their parameters")


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Run the query and print the result."""
    if args.list:
        _list(environment)
        return ExitStatus.DONE
    if args.query is None or args.dir is None:
        raise UsageError("SQL or the name of a query, and DIR, are required; vmdump query --list lists the names")
    from vmdump.bulk.query.database import has_machine_types, query
    from vmdump.bulk.query.named import QUESTIONS

    sql, parameters = _resolve(args.query, dict(getattr(args, "with")))
    answer = query(args.dir, sql, parameters)
    for each in answer.skipped:
        environment.error(f"skipped unreadable verdicts: {each}")
    question = QUESTIONS.get(args.query)
    if question is not None and question.of_machines and not has_machine_types(args.dir):
        raise VmdumpError(f"{args.dir}: no machine types to query; vmdump bulk --boot GLOB stores them")
    _print(answer, args.format, environment)
    return ExitStatus.FAILED if answer.is_incomplete else ExitStatus.DONE


def _resolve(text: str, given: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return the SQL of a query, and its parameters. Raises UsageError."""
    from vmdump.bulk.query.named import QUESTIONS

    question = QUESTIONS.get(text)
    if question is None:
        if text.isidentifier():
            from vmdump.suggestion import did_you_mean

            hint = did_you_mean(text, QUESTIONS, "vmdump query --list lists the names")
            raise UsageError(f"no query {text!r}; {hint}")
        return text, given
    if unknown := sorted(given.keys() - question.parameters.keys()):
        from vmdump.suggestion import did_you_mean

        hint = did_you_mean(unknown[0], question.parameters, f"choose from {', '.join(question.parameters)}")
        raise UsageError(f"{text} has no parameter {unknown[0]!r}; {hint}")
    values = {name: given.get(name, default) for name, (_, default) in question.parameters.items()}
    if device := values.get("device"):
        from vmdump.dump.lookup import section_name

        values["device"] = section_name(device)
    for name, value in values.items():
        if value is None:
            raise UsageError(f"{text} needs --with {name}=VALUE: {question.parameters[name][0]}")
    return question.sql, {name: value for name, value in values.items() if value is not None}


def _list(environment: Environment) -> None:
    from vmdump.bulk.query.named import QUESTIONS

    lines = []
    for question in QUESTIONS.values():
        lines.append(f"{question.name}: {question.asks}")
        for name, (meaning, default) in question.parameters.items():
            lines.append(f"  --with {name}=...  {meaning}" + ("" if default is None else f" (default: {default})"))
    environment.print("\n".join(lines))


def _print(answer: Answer, format: str, environment: Environment) -> None:
    if format == "json":
        from vmdump.cli.terminal.table import print_json

        print_json(environment, [dict(zip(answer.columns, map(_plain, row), strict=True)) for row in answer.rows])
    elif format == "csv":
        import csv
        import io

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows([_cell(value) for value in row] for row in answer.rows)
        environment.print(text.getvalue())
    else:
        from vmdump.cli.terminal.table import print_table

        columns = zip(*answer.rows, strict=True) if answer.rows else [()] * len(answer.columns)
        heads = _distinct([name.upper() for name in answer.columns])
        print_table(
            environment, {head: [_cell(value) for value in column] for head, column in zip(heads, columns, strict=True)}
        )


def _distinct(names: list[str]) -> list[str]:
    """Return distinct names: all but the first of equal ones get a number."""
    return [name if name not in names[:index] else f"{name}_{index + 1}" for index, name in enumerate(names)]


def _plain(value: Any) -> Any:
    """Return a value for JSON."""
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _cell(value: Any) -> str | int | None:
    """Return a value for a cell of a table or CSV file."""
    if isinstance(value, (list, tuple)):
        return " ".join(str(each) for each in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if value is None or isinstance(value, int) else str(value)
