"""The overview of a folder of dumps: HTML with, for each target, the matrix of its producers and, as a picture, the
verdict of each device from version to version; every cell links to the target's own report. Needs no script.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote

from vmdump.check.results import Verdict
from vmdump.report.html.parts import page_head, read_page_part, text
from vmdump.report.short_labels import short_labels
from vmdump.report.tally import MARKS, VERDICTS, between, counts, verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vmdump.check.results import CheckResult

#: What a cell of a history shows; safe cells, which are most, show as little as possible.
_MARKS = MARKS | {"safe": "·"}

#: With more dumps than this, the cells of a matrix are narrow.
_FEW = 6


def render(results: Mapping[str, CheckResult]) -> str:
    """The page: results by target; the report of TARGET is expected beside it, as TARGET.html."""
    style = read_page_part("page.css") + read_page_part("overview.css")
    matrices = "".join(part for target, result in results.items() for part in _matrix(target, result))
    histories = "".join(part for target, result in results.items() for part in _history(target, result))
    targets = " ".join(f'<a href="#{quote(target)}">{text(target)}</a>' for target in results)
    return (
        f"{page_head('Can they migrate?', style)}<body>\n<main>\n<h1>Can they migrate?</h1>\n"
        f'<p class="links"><a href="devices.html">Devices and machine types</a>: search, and the history of each</p>\n'
        f'<nav class="links" aria-label="Targets">{targets}</nav>\n'
        f"<p class=\"key quiet\">Each cell is the worst verdict from a row's QEMU to a column's, or of a device from "
        f"one version to the next: "
        + "".join(f'<span class="{each}">{_MARKS[each]} {each}</span>' for each in VERDICTS)
        + f"</p>\n{matrices}{_devices(histories)}</main>\n</body>\n</html>\n"
    )


def _devices(histories: str) -> str:
    if not histories:
        return ""
    return f'<section id="devices">\n<h2>Devices from version to version</h2>\n{histories}</section>\n'


def _matrix(target: str, result: CheckResult) -> Iterator[str]:
    labels = [dump.label for dump in result.dumps]
    address = quote(f"{target}.html")
    known = between(result)
    is_dense = len(labels) > _FEW
    yield f'<section id="{text(target)}">\n<h2><a href="{address}">{text(target)}</a></h2>\n'
    yield f'<div class="frame" tabindex="0" role="region" aria-label="{text(target)}, from row to column">'
    yield f'<table class="matrix{" dense" if is_dense else ""}">\n'
    yield f"<thead><tr><td></td>{_heads(labels)}</tr></thead>\n<tbody>"
    for row, (label, name) in enumerate(zip(labels, short_labels(labels), strict=True)):
        cells = (_pair(result, known.get((row, column)), address, is_dense=is_dense) for column in range(len(labels)))
        yield f'<tr><th scope="row" title="{text(label)}"><b class="label">{text(name)}</b></th>'
        yield f"{''.join(cells)}</tr>\n"
    yield "</tbody></table></div>\n</section>\n"


def _heads(labels: Sequence[str], before: str = "") -> str:
    return "".join(
        f'<th scope="col" title="{text(label)}"><b class="label">{before}{text(name)}</b></th>'
        for label, name in list(zip(labels, short_labels(labels), strict=True))[1 if before else 0 :]
    )


def _pair(result: CheckResult, direction: str | None, address: str, *, is_dense: bool) -> str:
    if direction is None:
        return "<td></td>"
    tally = counts(result.results[direction])
    worst = next((verdict for verdict in VERDICTS if tally[verdict]), Verdict.SAFE)
    words = str(worst) if worst is Verdict.SAFE else f"{tally[worst]} {worst}"
    shown = f"{MARKS[worst]}{'' if worst is Verdict.SAFE else f'<b>{tally[worst]}</b>'}" if is_dense else words
    title = text(f"{direction}: {words}")
    return f'<td><a class="cell {worst}" href="{address}" title="{title}" aria-label="{title}">{shown}</a></td>'


def _history(target: str, result: CheckResult) -> Iterator[str]:
    """A row for each device that is not safe in all steps; a cell for each step to the next version."""
    known = between(result)
    labels, address = [dump.label for dump in result.dumps], quote(f"{target}.html")
    steps = [known.get(pair, "") for pair in pairwise(range(len(labels)))]
    by_step = [verdicts(result.results.get(step, ())) for step in steps]
    names = sorted({name for step in by_step for name, verdict in step.items() if verdict is not Verdict.SAFE})
    if not names:
        return
    plural = "device" if len(names) == 1 else "devices"
    yield f"<details><summary>{text(target)}: {len(names)} {plural}</summary>\n"
    yield f'<div class="frame" tabindex="0" role="region" aria-label="{text(target)}, devices">'
    yield '<table class="matrix dense history">\n<thead><tr><td></td>'
    yield f"{_heads(labels, '→ ')}</tr></thead>\n<tbody>"
    for name in names:
        history = f"devices.html#{quote(f'device/{name}', safe='')}"
        yield f'<tr><th scope="row"><a href="{history}">{text(name)}</a></th>'
        for step, verdict in zip(steps, (each.get(name) for each in by_step), strict=True):
            if verdict is None:
                yield '<td><span class="none" title="not there"></span></td>'
                continue
            if verdict is Verdict.SAFE:  # nothing to look at; with links, the page of a distribution had 11 MB
                yield f'<td><span class="cell safe">{_MARKS[verdict]}</span></td>'
                continue
            link = f"{address}#{quote(f'{step}/{name}', safe='')}"
            yield f'<td><a class="cell {verdict}" href="{link}" title="{verdict}">{_MARKS[verdict]}</a></td>'
        yield "</tr>\n"
    yield "</tbody></table></div></details>\n"
