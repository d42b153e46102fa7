"""HTML: one file for people, with everything in it, that works without network and from a disk.

The page's parts lie beside this in page/. The summary is in the document itself; what can be searched and opened is
data that the page's script draws on demand, so that hundreds of types cost little. Names come from files
and may be hostile: the data can't end its element, the script makes text of it only, and a policy (CSP) with the
hashes of the page's own script and style keeps everything else from running or being loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.results import Verdict
from vmdump.report.html.data import page_data
from vmdump.report.html.parts import embedded, page_head, read_page_part, text
from vmdump.report.short_labels import short_labels
from vmdump.report.tally import MARKS, VERDICTS, between, counts
from vmdump.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.check.results import CheckResult, Dump, TypeResult
    from vmdump.report.options import Options

#: Up to this many dumps, the matrix has wide cells and the page shows the origin of each dump.
_FEW = 6

#: What the signs in a dense matrix mean.
_KEY = "the worst verdict and how many types have it; " + ", ".join(f"{MARKS[each]} {each}" for each in VERDICTS)

#: The parts of the script, in the order in which they need each other.
_SCRIPTS = ("common.js", "navigation.js", "data.js", "layout.js", "detail.js", "list.js", "main.js")


def render(result: CheckResult, options: Options) -> str:
    """The page."""
    style = read_page_part("page.css")
    script = "\n".join(("(() => {", *map(read_page_part, _SCRIPTS), "})();"))
    return read_page_part(
        "page.html",
        head=page_head(f"Can it migrate? {_title(result)}", style, script),
        script=script,
        data=embedded(page_data(result, options)),
        dumps="".join(_dumps(result.dumps)),
        summary="".join(_summary(result)),
        stale="".join(_stale(result.stale)),
        version=text(__version__),
    )


def _title(result: CheckResult) -> str:
    labels = [dump.label for dump in result.dumps]
    shown = labels if len(labels) <= _FEW else [labels[0], "…", labels[-1]]
    return " · ".join(shown) or "nothing compared"


def _dumps(dumps: Sequence[Dump]) -> Iterator[str]:
    """The origin of each dump; more than a few are folded."""
    items = f'<ul class="dumps" aria-label="What was compared">{"".join(map(_dump, dumps))}</ul>'
    is_long = len(dumps) > _FEW
    yield f"<details><summary>{len(dumps)} QEMUs were compared</summary>{items}</details>" if is_long else items


def _dump(dump: Dump) -> str:
    producer = dump.producer
    facts = [dump.machine, producer.host, producer.path]
    build = [f"build {producer.build_id[:12]}"] if producer.build_id else []
    about = " · ".join(text(fact) for fact in (*facts, *build) if fact)
    version = f" <strong>{text(producer.version)}</strong>" if producer.version else ""
    return f'<li><b class="label">{text(dump.label)}</b>{version} <span>{about}</span></li>'


def _stale(entries: Sequence[str]) -> Iterator[str]:
    if entries:
        plural = "entry" if len(entries) == 1 else "entries"
        yield f'<details class="stale" open><summary>Configuration: {len(entries)} {plural} to look at</summary><ul>'
        yield from (f"<li>{text(entry)}</li>" for entry in entries)
        yield "</ul></details>"


def _summary(result: CheckResult) -> Iterator[str]:
    """The directions, by machine type if there are several: a card each, or a matrix of more than two dumps."""
    machines = _machines(result)
    if len(machines) <= 1:
        yield from _directions(result, range(len(result.dumps)), "")
        return
    if len(machines) > _FEW and all(len(members) <= 2 for members in machines.values()):
        yield from _table(result, machines)
        return
    for machine, members in machines.items():
        yield f'<section aria-label="{text(machine)}"><h2 class="machine">{text(machine)}</h2>'
        yield from _directions(result, members, machine)
        yield "</section>"


def _machines(result: CheckResult) -> dict[str, list[int]]:
    """The dumps of each machine type, if no direction leads from one to another; else none."""
    pairs = result.directions.values()
    if any(result.dumps[source].machine != result.dumps[destination].machine for source, destination in pairs):
        return {}
    machines: dict[str, list[int]] = {}
    for index, dump in enumerate(result.dumps):
        machines.setdefault(dump.machine, []).append(index)
    return machines


def _table(result: CheckResult, machines: dict[str, list[int]]) -> Iterator[str]:
    """Many machine types: a row for each, with its directions."""
    known, numbers = between(result), {direction: number for number, direction in enumerate(result.results)}
    rows: dict[str, dict[str, str]] = {}
    for (source, _), way in known.items():
        machine = result.dumps[source].machine
        rows.setdefault(machine, {})[_without(way, machine)] = way
    ways = list(dict.fromkeys(way for row in rows.values() for way in row))
    heads = "".join(f'<th scope="col"><b class="label">{_arrow(way)}</b></th>' for way in ways)
    yield '<p class="caption" id="machines-caption">Types that break, and that may break, by machine type</p>'
    yield '<div class="scroll frame" tabindex="0" role="region" aria-labelledby="machines-caption">'
    yield f'<table class="matrix" aria-labelledby="machines-caption"><thead><tr><td></td>{heads}</tr></thead><tbody>'
    for machine in machines:
        yield f'<tr><th scope="row"><b class="label">{text(machine)}</b></th>'
        for way in ways:
            direction = rows.get(machine, {}).get(way)
            if direction is None:
                yield "<td></td>"
            else:
                yield _cell(direction, numbers[direction], result.results[direction], is_dense=False)
        yield "</tr>"
    yield "</tbody></table></div>"


def _directions(result: CheckResult, dumps: Sequence[int], machine: str) -> Iterator[str]:
    """A card for each direction; a matrix for more than two dumps. machine: left out of labels."""
    known = between(result)
    numbers = {direction: number for number, direction in enumerate(result.results)}
    if len(dumps) <= 2:
        ways = [way for pair, way in known.items() if set(pair) <= set(dumps)]
        yield '<div class="cards">'
        yield from (_card(way, numbers[way], result.results[way], machine) for way in numbers if way in ways)
        yield "</div>"
        return
    is_dense = len(dumps) > _FEW
    caption = f"From the row's QEMU to the column's: {_KEY if is_dense else 'types that break, and that may break'}"
    name = f"matrix-caption-{dumps[0]}"
    yield f'<p class="caption" id="{name}">{caption}</p>'
    yield f'<div class="scroll frame" tabindex="0" role="region" aria-labelledby="{name}">'
    yield f'<table class="matrix{" dense" if is_dense else ""}" aria-labelledby="{name}">'
    labels = short_labels([_without(result.dumps[each].label, machine) for each in dumps])
    names = dict(zip(dumps, labels, strict=True))
    heads = "".join(_head(result.dumps[each], names[each], "col") for each in dumps)
    yield f"<thead><tr><td></td>{heads}</tr></thead><tbody>"
    for row in dumps:
        yield f"<tr>{_head(result.dumps[row], names[row], 'row')}"
        for column in dumps:
            direction = known.get((row, column))
            if direction is None:
                yield "<td></td>"
            else:
                yield _cell(direction, numbers[direction], result.results[direction], is_dense=is_dense)
        yield "</tr>"
    yield "</tbody></table></div>"


def _without(label: str, machine: str) -> str:
    """A label or direction without the machine type that the heading names."""
    return label.replace(f" {machine}", "") if machine else label


def _head(dump: Dump, name: str, scope: str) -> str:
    title = f' title="{text(dump.producer.version)}"' if dump.producer.version else ""
    return f'<th scope="{scope}"{title}><b class="label">{text(name)}</b></th>'


def _card(direction: str, number: int, types: Sequence[TypeResult], machine: str) -> str:
    way = _arrow(_without(direction, machine))
    return (
        f'<button class="card" type="button" data-direction="{number}"><span class="way">{way}</span>'
        f'{_bar(types)}<span class="counts">{"".join(_counts(types))}</span></button>'
    )


def _cell(direction: str, number: int, types: Sequence[TypeResult], *, is_dense: bool) -> str:
    tally = counts(types)
    worst = next((verdict for verdict in VERDICTS if tally[verdict]), Verdict.SAFE)
    label = f"{direction}: {', '.join(f'{count} {verdict}' for verdict, count in tally.items())}"
    if is_dense:
        number_of = "" if worst is Verdict.SAFE else f"<b>{tally[worst]}</b>"
        shown = f'<span class="counts" aria-hidden="true">{MARKS[worst]}{number_of}</span>'
    else:
        shown = (
            f'<span class="counts" aria-hidden="true"><b>{tally[Verdict.BREAKS]}</b>'
            f'<span class="and">+{tally[Verdict.CONDITIONAL]}</span></span>{_bar(types)}'
        )
    return (
        f'<td><button class="cell {worst}" type="button" data-direction="{number}" title="{text(label)}" '
        f'aria-label="{text(label)}">{shown}</button></td>'
    )


def _arrow(direction: str) -> str:
    return text(direction).replace(" -&gt; ", " → ")


def _counts(types: Sequence[TypeResult]) -> Iterator[str]:
    for verdict, count in counts(types).items():
        yield f'<span class="count {verdict}{"" if count else " none"}"><b>{count}</b> {verdict}</span>'


def _bar(types: Sequence[TypeResult]) -> str:
    """The number of types with each verdict, as a bar; every number above 0 is visible."""
    total, at, boxes = max(len(types), 1), 0.0, []
    widths = {verdict: max(count / total * 100, 1.5) if count else 0 for verdict, count in counts(types).items()}
    for verdict, width in widths.items():
        share = width / max(sum(widths.values()), 1) * 100
        boxes.append(f'<rect class="{verdict}" x="{at:.2f}" width="{share:.2f}" height="1"/>' if width else "")
        at += share
    return f'<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{"".join(boxes)}</svg>'
