"""HTML reports of made-up results."""

from typing import Any

from vmdump.check.results import CheckResult, Direction, Dump, Finding, Row, StreamItem, TypeResult, Verdict
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Producer
from vmdump.report import render
from vmdump.report.html.subjects import Release
from vmdump.report.options import DEFAULTS, Options


def page(result: CheckResult, options: Options = DEFAULTS) -> str:
    """Return the report."""
    return render(result, "html", options).decode()


def with_names(names: list[str] | tuple[str, ...]) -> CheckResult:
    """A check with this name in every place that can have one."""
    types = [
        TypeResult(
            name,
            Verdict.BREAKS,
            name,
            [Finding(name, Verdict.BREAKS, f"{names[0]} -> B", name, name, name, (name, name), None, name, name)],  # type: ignore[arg-type]
            [Row(StreamItem(name, 4, name, name, name), StreamItem(name, None, name, name, name), "changed")],
        )
        for name in names
    ]
    dumps = [
        Dump(names[0], Producer("file", names[1], names[2], names[3], names[4]), names[5]),
        Dump("B", Producer("file"), "m"),
    ]
    accepted = types[0].findings[0]
    return CheckResult(dumps, {f"{names[0]} -> B": types}, [(accepted, names[1])], list(names))


def matrix(labels: list[str], types: list[TypeResult]) -> CheckResult:
    """The same in each direction."""
    pairs = [(i, j) for i in range(len(labels)) for j in range(len(labels)) if i != j]
    directions = {f"{labels[i]} -> {labels[j]}": Direction(i, j) for i, j in pairs}
    dumps = [Dump(label, Producer("file"), "m") for label in labels]
    return CheckResult(dumps, dict.fromkeys(directions, types), directions=directions)


def field(path: str) -> Row:
    """An unchanged field."""
    return Row(StreamItem(path, 4), StreamItem(path, 4), "same")


def release_of(label: str, target: str, dump: DeviceDump, machine_rows: list[dict[str, Any]] | None = None) -> Release:
    """A target of a release whose dump and machine types are in memory."""
    return Release(label, target, lambda: dump, lambda: machine_rows)
