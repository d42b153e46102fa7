"""HTML: one file for people, with everything in it, that works without network and from a disk.

The page's parts lie beside this in page/. The summary is in the document itself; what can be searched and opened is
data that the page's script draws when it is looked at, so that hundreds of types are no burden. Names come from files
and may be hostile: the data can't end its element, the script makes text of it only, and a policy (CSP) with the
hashes of the page's own script and style keeps everything else from running or being loaded.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

from vmdump.check.results import Verdict
from vmdump.report.characters import visible
from vmdump.report.html.data import page_data
from vmdump.report.tally import VERDICTS, counts
from vmdump.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.check.results import CheckResult, Dump, TypeResult
    from vmdump.report.options import Options

_PAGE = Path(__file__).with_name("page")

#: The parts of the script, in the order in which they need each other.
_SCRIPTS = ("data.js", "layout.js", "detail.js", "list.js", "main.js")


def render(result: CheckResult, options: Options) -> str:
    """The page."""
    style = read_page_part("page.css")
    script = "\n".join(("(() => {", *map(read_page_part, _SCRIPTS), "})();"))
    parts = {
        "policy": f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        "style": style,
        "script": script,
        "data": _data(result, options),
        "title": _text(_title(result)),
        "dumps": "".join(map(_dump, result.dumps)),
        "summary": "".join(_summary(result)),
        "stale": "".join(_stale(result.stale)),
        "version": _text(__version__),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], read_page_part("page.html"))


def read_page_part(name: str) -> str:
    """A file of page/."""
    return (_PAGE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _text(text: str) -> str:
    return escape(visible(text))


def _data(result: CheckResult, options: Options) -> str:
    """JSON that HTML's parser sees nothing in."""
    text = dumps(page_data(result, options), separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _title(result: CheckResult) -> str:
    return " · ".join(_name(dump) for dump in result.dumps) or "nothing compared"


def _name(dump: Dump) -> str:
    return dump.producer.version or dump.label


def _dump(dump: Dump) -> str:
    producer = dump.producer
    facts = [dump.machine, producer.host, producer.path]
    build = [f"build {producer.build_id[:12]}"] if producer.build_id else []
    text = " · ".join(_text(fact) for fact in (*facts, *build) if fact)
    return (
        f'<li><b class="label">{_text(dump.label)}</b> <strong>{_text(_name(dump))}</strong> <span>{text}</span></li>'
    )


def _stale(entries: Sequence[str]) -> Iterator[str]:
    if entries:
        plural = "entry" if len(entries) == 1 else "entries"
        yield f'<details class="stale" open><summary>Configuration: {len(entries)} {plural} to look at</summary><ul>'
        yield from (f"<li>{_text(entry)}</li>" for entry in entries)
        yield "</ul></details>"


def _summary(result: CheckResult) -> Iterator[str]:
    """A card a direction; a matrix, where there are more than two dumps."""
    numbers = {direction: number for number, direction in enumerate(result.results)}
    labels = [dump.label for dump in result.dumps]
    if len(labels) <= 2:
        yield '<div class="cards">'
        yield from (_card(direction, number, result.results[direction]) for direction, number in numbers.items())
        yield "</div>"
        return
    yield '<div class="scroll"><table class="matrix">'
    yield "<caption>Types that break, and that may break: from the row's dump to the column's</caption>"
    yield f"<thead><tr><td></td>{''.join(_head(dump, 'col') for dump in result.dumps)}</tr></thead><tbody>"
    for dump in result.dumps:
        yield f"<tr>{_head(dump, 'row')}"
        for label in labels:
            direction = f"{dump.label} -> {label}"
            known = direction in numbers
            yield _cell(direction, numbers[direction], result.results[direction]) if known else "<td></td>"
        yield "</tr>"
    yield "</tbody></table></div>"


def _head(dump: Dump, scope: str) -> str:
    return f'<th scope="{scope}"><b class="label">{_text(dump.label)}</b> {_text(_name(dump))}</th>'


def _card(direction: str, number: int, types: Sequence[TypeResult]) -> str:
    return (
        f'<button class="card" type="button" data-direction="{number}"><span class="way">{_arrow(direction)}</span>'
        f'{_bar(types)}<span class="counts">{"".join(_counts(types))}</span></button>'
    )


def _cell(direction: str, number: int, types: Sequence[TypeResult]) -> str:
    tally = counts(types)
    worst = next((verdict for verdict in VERDICTS if tally[verdict]), Verdict.SAFE)
    label = f"{direction}: {', '.join(f'{count} {verdict}' for verdict, count in tally.items())}"
    return (
        f'<td><button class="cell {worst}" type="button" data-direction="{number}" title="{_text(label)}" '
        f'aria-label="{_text(label)}"><span class="counts" aria-hidden="true">'
        f'<b>{tally[Verdict.BREAKS]}</b><span class="and">+{tally[Verdict.CONDITIONAL]}</span></span>{_bar(types)}'
        "</button></td>"
    )


def _arrow(direction: str) -> str:
    return _text(direction).replace(" -&gt; ", " → ")


def _counts(types: Sequence[TypeResult]) -> Iterator[str]:
    for verdict, count in counts(types).items():
        yield f'<span class="count {verdict}{"" if count else " none"}"><b>{count}</b> {verdict}</span>'


def _bar(types: Sequence[TypeResult]) -> str:
    """How many types have each verdict, as a bar; what is there at all is seen."""
    total, at, boxes = max(len(types), 1), 0.0, []
    widths = {verdict: max(count / total * 100, 1.5) if count else 0 for verdict, count in counts(types).items()}
    for verdict, width in widths.items():
        share = width / max(sum(widths.values()), 1) * 100
        boxes.append(f'<rect class="{verdict}" x="{at:.2f}" width="{share:.2f}" height="1"/>' if width else "")
        at += share
    return f'<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{"".join(boxes)}</svg>'
