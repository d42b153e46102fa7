"""The page of devices and machine types: HTML with each one's history over releases, and a search that works without a
server. The data is in the page; its script draws what is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.report.characters import visible
from vmdump.report.html.parts import embedded, page_head, read_page_part, text
from vmdump.report.html.subjects import DEVICE, MACHINE, STANDALONE, Gap, State, subjects
from vmdump.report.short_labels import short_labels
from vmdump.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence
    from typing import Any

    from vmdump.report.html.subjects import Release, Subject

_KINDS = (DEVICE, STANDALONE, MACHINE)

#: Numbers in place of those of states.
_GAPS = {Gap.ABSENT: -1, Gap.NO_TARGET: -2, Gap.NOT_READ: -3}


def render(releases: Sequence[Release], labels: Sequence[str], pages: Collection[str] = ()) -> str:
    """The page.

    labels: of the releases, in order. pages: targets that have a page of verdicts beside this one, TARGET.html; with
    any, index.html is there, too.
    """
    found = subjects(releases, labels)
    targets = sorted({release.target for release in releases})
    style = read_page_part("page.css") + read_page_part("devices.css")
    script = "\n".join(("(() => {", *map(read_page_part, ("common.js", "navigation.js", "devices.js")), "})();"))
    names = short_labels(labels)
    span = names[0] if len(labels) == 1 else f"{names[0]} to {names[-1]}"
    counts = [(sum(each.kind == kind for each in found), kind) for kind in _KINDS]
    summary = ", ".join(f"{count:,} {kind}{'' if count == 1 else 's'}" for count, kind in counts if count)
    releases_in_words = f"{len(labels)} release{'' if len(labels) == 1 else 's'}: {', '.join(names)}"
    return read_page_part(
        "devices.html",
        head=page_head(f"Devices and machine types: {span}", style, script),
        script=script,
        data=embedded(_data(found, labels, targets, pages)),
        up='<a href="index.html">Can they migrate?</a>' if pages else "",
        summary=text(f"{summary}. {releases_in_words}"),
        version=text(__version__),
    )


def _data(
    found: Sequence[Subject], labels: Sequence[str], targets: Sequence[str], pages: Collection[str]
) -> dict[str, Any]:
    """The object that the page embeds; page/devices.js reads it."""
    strings: dict[Hashable, int] = {}
    states: dict[State, int] = {}

    def number_of(state: State | Gap) -> int:
        return _GAPS[state] if isinstance(state, Gap) else states.setdefault(state, len(states))

    rows = [
        [
            _KINDS.index(each.kind),
            visible(each.name),
            visible(each.section),
            [
                [[targets.index(name) for name in group.targets], list(map(number_of, group.states))]
                for group in each.groups
            ],
        ]
        for each in found
    ]
    lowered = [
        [
            [strings.setdefault(table, len(strings)) for table in state.tables],
            [strings.setdefault(visible(part), len(strings)) for fact in state.facts for part in fact],
        ]
        for state in states
    ]
    return {
        "kinds": _KINDS,
        "labels": list(map(visible, labels)),
        "names": list(map(visible, short_labels(labels))),
        "targets": list(map(visible, targets)),
        "pages": sorted(map(visible, pages)),
        "subjects": rows,
        "states": lowered,
        "strings": list(strings),
    }
