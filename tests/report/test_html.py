"""The HTML report as text: one self-contained file, checked with a parser."""

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

from support.check_sample import HOSTILE, make_result
from support.html_report import field, matrix, page, with_names

from vmdump.check.results import CheckResult, Direction, Row, StreamItem, TypeResult, Verdict


class Page(HTMLParser):
    """A page as an HTML parser sees it: elements, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.raw: dict[str, str] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        self._inside = dict(attrs).get("id") or tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside] = self.raw.get(self._inside, "") + data


def test_deterministic() -> None:
    """The same result gives the same bytes."""
    assert page(make_result(3)) == page(make_result(3))


def test_nothing_is_loaded() -> None:
    """No attribute, style or script refers to an external resource; the policy allows only this script and style."""
    text = page(make_result())
    parsed = Page(text)
    assert {value for name, value in parsed.attributes if name in ("src", "href", "action")} == {
        *("data:,", "#search", "#types", "#detail")
    }
    assert not re.search(r"url\(|@import|https?:|//[a-z]", parsed.raw["style"] + parsed.raw["script"])
    (policy,) = (value for name, value in parsed.attributes if name == "content" and "default-src" in (value or ""))
    for kind in ("style", "script"):
        digest = b64encode(sha256(parsed.raw[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in str(policy)
    assert "default-src 'none'" in str(policy)
    assert not [name for name, _ in parsed.attributes if name.startswith("on") or name == "style"]


def test_hostile_names_are_text() -> None:
    """For any names the parser sees the same elements, and the data reads back."""
    hostile, plain = Page(page(with_names(HOSTILE))), Page(page(with_names([f"n{n}" for n in range(len(HOSTILE))])))
    assert hostile.tags == plain.tags
    assert len(hostile.attributes) == len(plain.attributes)
    strings = json.loads(hostile.raw["data"])["strings"]
    assert HOSTILE[0] in strings
    assert not [char for string in strings for char in string if ord(char) < 32 or char in "\u202e\u2028"]


def test_a_matrix_stores_things_once() -> None:
    """What directions share is stored once, so further directions cost little."""

    def data(dumps: int) -> Any:
        types = [TypeResult(f"t{n}", Verdict.SAFE, "s", [], layout) for n in range(50)]
        labels = [f"L{n}" for n in range(dumps)]
        return Page(page(matrix(labels, types))).raw["data"]

    layout = [Row(StreamItem(f"f{n}", 4), StreamItem(f"f{n}", 4), "same") for n in range(500)]
    assert len(data(5)) < 3 * len(data(2))


def test_equal_objects_are_read_once() -> None:
    """The rows of a layout that many directions share are asked for once, however many directions there are."""

    class Counted(list[Row]):
        reads = 0

        def __iter__(self) -> Iterator[Row]:
            Counted.reads += 1
            return super().__iter__()

    types = [TypeResult(f"t{n}", Verdict.SAFE, "s", [], Counted([field("f")])) for n in range(10)]
    labels = [f"L{n}" for n in range(8)]
    page(matrix(labels, types))
    assert Counted.reads == 10


def test_an_empty_check() -> None:
    """A check without dumps and types is a page, too."""
    assert Page(page(CheckResult((), {}))).tags["main"] == 1


def _of_machines(names: Sequence[str]) -> CheckResult:
    """A check of two QEMUs under several machine types, each in one direction."""
    known = make_result()
    (types, *_) = known.results.values()
    dumps = [dump._replace(label=f"{dump.label} {name}", machine=name) for name in names for dump in known.dumps[:2]]
    labels = {
        f"{dumps[at].label} -> {dumps[at + 1].label}": Direction(at, at + 1) for at in range(0, len(dumps), 2)
    }  # fmt: skip
    return known._replace(dumps=dumps, results=dict.fromkeys(labels, types), directions=labels)


def test_machine_types() -> None:
    """Several machine types have a section each, many of them a row each; labels do not repeat their names."""
    few = page(_of_machines(["pc-q35-7.2", "pc-q35-<7>"]))
    assert re.findall(r'<h2 class="machine">(.*?)</h2>', few) == ["pc-q35-7.2", "pc-q35-&lt;7&gt;"]
    ways = re.findall(r'<span class="way">(.*?)</span>', few)
    assert len(ways) == 2
    assert not any("pc-q35" in way for way in ways)
    many = page(_of_machines([f"pc-q35-{number}" for number in range(8)]))
    assert re.findall(r'<th scope="row"><b class="label">(.*?)</b>', many) == [f"pc-q35-{each}" for each in range(8)]
    assert many.count('<th scope="col">') == 1
    assert many.count("data-direction=") == 8


def test_directions_between_machine_types() -> None:
    """Machine types that directions connect are not divided."""
    known = _of_machines(["pc-q35-7.2", "pc-q35-7.1"])
    dumps = [dump._replace(machine=f"pc-{at}") for at, dump in enumerate(known.dumps)]
    assert 'class="machine"' not in page(known._replace(dumps=dumps)).partition("<main")[2]


def test_note() -> None:
    """What could not be compared is in the page."""
    known = make_result()
    (label, types), *_ = known.results.items()
    found = next(each for each in types if each.findings)
    noted = found._replace(findings=[found.findings[0]._replace(note="not at reset: it has no elements")])
    text = page(known._replace(results={label: [noted]}, directions={label: known.directions[label]}))
    assert "not at reset: it has no elements" in json.loads(Page(text).raw["data"])["strings"]
