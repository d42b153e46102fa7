"""vmdump query: ask a folder that vmdump bulk has filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmdump.cli.environment import ExitStatus
from vmdump.cli.source_arguments import UsageError, add_directory

if TYPE_CHECKING:
    import argparse

    from vmdump.bulk.query.database import Answer
    from vmdump.cli.environment import Environment

HELP = "ask what is in a folder of dumps, in SQL or by a question's name"
EPILOG = """\
examples:
  vmdump query --list
  vmdump query device dumps --with device=e1000*
  vmdump query field dumps --with field=mig_config --with device=spapr*
  vmdump query "SELECT info, count(*) FROM fields GROUP BY info" dumps

DIR is what vmdump bulk --format parquet has written. SQL is DuckDB's, one
SELECT over these views; it can't write, nor read anything else:
  rows          everything, with producer and target; a row each for
                devices, descriptions, fields and subsections
  devices, descriptions, fields, subsections, producers
  verdicts      what vmdump check has said, where it was kept in DIR
DESCRIBE fields tells a view's columns.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("query", nargs="?", metavar="SQL|QUESTION", help="a SELECT, or a question's name (--list)")
    add_directory(parser, "dir", nargs="?", metavar="DIR", help="the folder")
    parser.add_argument(
        "--with",
        action="append",
        default=[],
        type=_parameter,
        metavar="NAME=VALUE",
        help="a question's parameter, or SQL's $NAME; may be repeated",
    )
    parser.add_argument(
        "--format", default="table", choices=["table", "csv", "json"], help="how the rows are printed (default: table)"
    )
    parser.add_argument("--list", action="store_true", help="the questions that have names, and their parameters")


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Asks, and prints the answer."""
    if args.list:
        _list(environment)
        return ExitStatus.DONE
    if args.query is None or args.dir is None:
        raise UsageError("SQL or a question's name, and DIR; vmdump query --list has the questions")
    from vmdump.bulk.query.database import query

    sql, parameters = _ask(args.query, dict(getattr(args, "with")))
    _print(query(args.dir, sql, parameters), args.format, environment)
    return ExitStatus.DONE


def _ask(text: str, given: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The SQL that is meant, and its parameters. Raises UsageError."""
    from vmdump.bulk.query.named import QUESTIONS

    question = QUESTIONS.get(text)
    if question is None:
        if text.isidentifier():
            raise UsageError(f"no question {text!r}; vmdump query --list has them all")
        return text, given
    if unknown := sorted(given.keys() - question.parameters.keys()):
        raise UsageError(f"{text} has no parameter {unknown[0]!r}; it has {', '.join(question.parameters)}")
    values = {name: given.get(name, default) for name, (_, default) in question.parameters.items()}
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
    """Names that are all different: of equal ones all but the first get a number."""
    return [name if name not in names[:index] else f"{name}_{index + 1}" for index, name in enumerate(names)]


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _cell(value: Any) -> str | int | None:
    """A value as a cell has it."""
    if isinstance(value, (list, tuple)):
        return " ".join(str(each) for each in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if value is None or isinstance(value, int) else str(value)
