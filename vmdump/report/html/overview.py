"""The overview of a folder of dumps: HTML with, for each target, the matrix of its producers and, as a picture, what
became of each device from version to version; every cell leads into the target's own report. Needs no script.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote

from vmdump.check.results import Verdict
from vmdump.report.characters import visible
from vmdump.report.html import read_page_part
from vmdump.report.tally import verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from vmdump.check.results import CheckResult

#: What a cell of a history shows: a mark that is no colour alone.
_MARKS = {Verdict.BREAKS: "✕", Verdict.CONDITIONAL: "?", Verdict.ABSENT: "∅", Verdict.SAFE: "·"}


def render(results: Mapping[str, CheckResult]) -> str:
    """The page: results by target; the report of TARGET is expected beside it, as TARGET.html."""
    style = read_page_part("page.css") + read_page_part("overview.css")
    policy = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
    body = "".join(part for target, result in results.items() for part in _target(target, result))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Can they migrate?</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{style}</style>\n'
        f"<main>\n<h1>Can they migrate?</h1>\n"
        f"<p class=\"key quiet\">Each cell is the worst verdict from a row's QEMU to a column's, or of a device from "
        f"one version to the next: "
        + "".join(f'<span class="{each}">{_MARKS[each]} {each}</span>' for each in reversed(Verdict))
        + f"</p>\n{body}</main>\n</html>\n"
    )


def _target(target: str, result: CheckResult) -> Iterator[str]:
    labels = [dump.label for dump in result.dumps]
    names = dict(zip(labels, _short(labels), strict=True))
    address = quote(f"{target}.html")
    yield f'<section id="{_text(target)}">\n<h2><a href="{address}">{_text(target)}</a></h2>\n'
    yield f'<h3>From row to column</h3>\n<div class="scroll"><table>\n<tr><th></th>{_heads(names.values())}</tr>\n'
    for source in labels:
        cells = "".join(_pair(result, f"{source} -> {destination}", address) for destination in labels)
        yield f'<tr><th scope="row" title="{_text(source)}">{_text(names[source])}</th>{cells}</tr>\n'
    yield "</table></div>\n"
    yield from _history(result, names, address)
    yield "</section>\n"


def _short(labels: Sequence[str]) -> Sequence[str]:
    """The versions that labels begin with, where these tell them apart.

    >>> _short(["7.2.22-Debian", "10.0.13-Debian"]), _short(["7.2-a", "7.2-b"])
    (['7.2.22', '10.0.13'], ['7.2-a', '7.2-b'])
    """
    versions = [label.partition("-")[0] for label in labels]
    return versions if len(set(versions)) == len(labels) else labels


def _heads(labels: Iterable[str]) -> str:
    return "".join(f'<th scope="col">{_text(label)}</th>' for label in labels)


def _pair(result: CheckResult, direction: str, address: str) -> str:
    types = result.results.get(direction)
    if types is None:
        return '<td><span class="none">–</span></td>'
    worst = max((each.verdict for each in types), key=Verdict.severity, default=Verdict.SAFE)
    number = sum(each.verdict is worst for each in types)
    words = str(worst) if worst is Verdict.SAFE else f"{number} {worst}"
    return f'<td><a class="{worst}" href="{address}" title="{_text(direction)}">{words}</a></td>'


def _history(result: CheckResult, labels: Mapping[str, str], address: str) -> Iterator[str]:
    """A row a device that did not stay safe throughout: a cell for each step to the next version."""
    steps = [f"{old} -> {new}" for old, new in pairwise(labels)]
    told = [verdicts(result.results.get(step, ())) for step in steps]
    names = sorted({name for step in told for name, verdict in step.items() if verdict is not Verdict.SAFE})
    if not names:
        return
    yield '<h3>Devices from version to version</h3>\n<div class="scroll"><table class="history">\n'
    yield f"<tr><th></th>{_heads([f'→ {new}' for new in list(labels.values())[1:]])}</tr>\n"
    for name in names:
        yield f'<tr><th scope="row">{_text(name)}</th>'
        for step, verdict in zip(steps, (each.get(name) for each in told), strict=True):
            if verdict is None:
                yield '<td><span class="none" title="not there"></span></td>'
                continue
            link = f"{address}#{quote(f'{step}/{name}', safe='')}"
            title = f"{name}, {step}: {verdict}"
            yield f'<td><a class="{verdict}" href="{link}" title="{_text(title)}">{_MARKS[verdict]}</a></td>'
        yield "</tr>\n"
    yield "</table></div>\n"


def _text(text: str) -> str:
    return escape(visible(text))
