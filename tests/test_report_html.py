"""The HTML report: one file that needs nothing else, read by a parser and in a real browser."""

import json
import re
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, browser
from check_sample import HOSTILE, make_result

from vmdump.check.results import CheckResult, Dump, Finding, Row, TypeResult, Verdict, WireItem
from vmdump.dump.producer import Producer
from vmdump.report import render
from vmdump.report.options import DEFAULTS, Options, RuleText


class Page(HTMLParser):
    """What an HTML parser sees: elements, and the text of scripts and styles."""

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


def page(result: CheckResult, options: Options = DEFAULTS) -> str:
    """The report."""
    return render(result, "html", options).decode()


def test_deterministic() -> None:
    """The same result gives the same bytes."""
    assert page(make_result(3)) == page(make_result(3))


def test_nothing_is_loaded() -> None:
    """No attribute, style or script names another place; the policy allows this script and style alone."""
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
    """Whatever names are, the parser sees the same elements, and the data reads back."""
    hostile, plain = Page(page(with_names(HOSTILE))), Page(page(with_names([f"n{n}" for n in range(len(HOSTILE))])))
    assert hostile.tags == plain.tags
    assert len(hostile.attributes) == len(plain.attributes)
    strings = json.loads(hostile.raw["data"])["strings"]
    assert HOSTILE[0] in strings
    assert not [char for string in strings for char in string if ord(char) < 32 or char in "\u202e\u2028"]


def with_names(names: list[str] | tuple[str, ...]) -> CheckResult:
    """A check in which everything that can have a name has such a name."""
    types = [
        TypeResult(
            name,
            Verdict.BREAKS,
            name,
            [Finding(name, Verdict.BREAKS, f"{names[0]} -> B", name, name, name, (name, name), None, name, name)],  # type: ignore[arg-type]
            [Row(WireItem(name, 4, name, name, name), WireItem(name, None, name, name, name), "changed")],
        )
        for name in names
    ]
    dumps = [
        Dump(names[0], Producer("file", names[1], names[2], names[3], names[4]), names[5]),
        Dump("B", Producer("file"), "m"),
    ]
    accepted = types[0].findings[0]
    return CheckResult(dumps, {f"{names[0]} -> B": types}, [(accepted, names[1])], list(names))


def test_a_matrix_says_things_once() -> None:
    """What all directions have in common is there once: more directions cost little."""

    def data(dumps: int) -> Any:
        types = [TypeResult(f"t{n}", Verdict.SAFE, "s", [], layout) for n in range(50)]
        labels = [f"L{n}" for n in range(dumps)]
        ways = {f"{a} -> {b}": types for a in labels for b in labels if a != b}
        return Page(page(CheckResult([Dump(label, Producer("file"), "m") for label in labels], ways))).raw["data"]

    layout = [Row(WireItem(f"f{n}", 4), WireItem(f"f{n}", 4), "same") for n in range(500)]
    assert len(data(5)) < 3 * len(data(2))


def test_an_empty_check() -> None:
    """No dumps, no types: a page nevertheless."""
    assert Page(page(CheckResult((), {}))).tags["main"] == 1


# In a browser.

pytestmark: list[Any] = []
in_browser = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests; each opens its page anew."""
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Browser]:
    """The browser, which has to have nothing to complain of in the end."""
    chromium.scheme("light")
    yield chromium
    chromium.run("try { localStorage.clear() } catch {}")
    assert [entry["message"] for entry in chromium.log("browser")] == []


def save(tmp_path: Path, result: CheckResult, options: Options = DEFAULTS) -> Path:
    """The report as a file."""
    path = tmp_path / "report.html"
    path.write_text(page(result, options), encoding="utf-8")
    return path


def names(tab: Browser) -> list[str]:
    """The types in the list."""
    found: list[str] = tab.run("return [...document.querySelectorAll('#types .type')].map((each) => each.textContent)")
    return found


def small() -> CheckResult:
    """Four types, one of each verdict, in one direction; three in the other."""
    forward = [
        TypeResult(
            f"type-{verdict}", verdict, f"section-{verdict}", [finding("A -> B", verdict)], [field(f"only_{verdict}")]
        )
        for verdict in Verdict
    ]
    backward = [each._replace(findings=[finding("B -> A", each.verdict)]) for each in forward[:3]]
    dumps = [Dump("A", Producer("file", "a.json"), "pc"), Dump("B", Producer("file", "b.json"), "pc")]
    accepted = finding("A -> B", Verdict.SAFE)._replace(verdict=Verdict.BREAKS, rule="rule-accepted")
    return CheckResult(dumps, {"A -> B": forward, "B -> A": backward}, [(accepted, "known since 7.2")])


def finding(direction: str, verdict: Verdict) -> Finding:
    """The finding of a type of that verdict."""
    return Finding(f"rule-{verdict}", verdict, direction, f"type-{verdict}", "s / d / f", f"message of {verdict}")


def field(path: str) -> Row:
    """An unchanged field."""
    return Row(WireItem(path, 4), WireItem(path, 4), "same")


@in_browser
def test_the_list_at_first(tab: Browser, tmp_path: Path) -> None:
    """The worst come first and are selected; what is safe waits behind its button."""
    tab.open(save(tmp_path, small()))
    assert names(tab) == ["type-breaks", *["type-conditional"] * 2, *["type-absent"] * 2]
    assert tab.text("#detail h2") == "type-breaks"
    assert tab.text("#status").startswith("5 of 7 types")
    tab.click("[data-verdict=safe]")
    assert names(tab)[-2:] == ["type-safe"] * 2


@in_browser
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ABSENT", ["type-absent"] * 2),
        ("section-cond", ["type-conditional"] * 2),
        ("only_breaks", ["type-breaks"]),
        ("message of br", ["type-breaks"]),
        ("rule type-br", ["type-breaks"]),
        ("nowhere", []),
    ],
)
def test_search(tab: Browser, tmp_path: Path, words: str, expected: list[str]) -> None:
    """The search finds types, sections, fields, rules and messages, in any case, every word."""
    tab.open(save(tmp_path, small()))
    tab.press("/", *words)
    assert names(tab) == expected
    assert tab.run("return document.getElementById('search').value") == words
    assert tab.text("#detail").startswith("No type is left" if not expected else "")
    tab.press("Escape")
    assert len(names(tab)) == 5


@in_browser
def test_filters(tab: Browser, tmp_path: Path) -> None:
    """Verdicts, directions and rules filter, together; a card of the summary is its direction's filter."""
    tab.open(save(tmp_path, small()))
    tab.click("[data-verdict=conditional]")
    assert names(tab) == ["type-breaks", *["type-absent"] * 2]
    tab.click(".card[data-direction='1']")
    assert names(tab) == ["type-absent"]
    assert tab.run("return document.querySelector('.card[data-direction=\"1\"]').ariaPressed") == "true"
    tab.click(".card[data-direction='1']")
    choose = "const s = document.getElementById(arguments[0]); s.selectedIndex = [...s.options].findIndex("
    choose += "(o) => o.text === arguments[1]); s.dispatchEvent(new Event('change'))"
    tab.run(choose, "direction", "A → B")
    tab.run(choose, "rule", "rule-absent")
    assert names(tab) == ["type-absent"]
    tab.run(choose, "rule", "rule-conditional")
    assert names(tab) == []


@in_browser
def test_the_keyboard_reaches_a_finding(tab: Browser, tmp_path: Path) -> None:
    """Search, list, the selected type and back, with keys alone; the skip links come first."""
    focus = "return document.activeElement.id || document.activeElement.textContent"
    tab.open(save(tmp_path, small()))
    tab.press("Tab")
    assert tab.run(focus) == "Skip to the search"
    assert tab.run("return document.activeElement.getBoundingClientRect().top") >= 0
    tab.press("/")
    assert tab.run(focus) == "search"
    tab.press("Down")
    assert tab.run(focus) == "types"
    tab.press("Down")
    selected = "return document.getElementById(document.getElementById('types').getAttribute('aria-activedescendant'))"
    assert "type-conditional" in tab.run(f"{selected}.textContent")
    assert tab.run(f"{selected}.getAttribute('aria-selected')") == "true"
    tab.press("Enter")
    assert tab.run(focus) == "detail"
    assert "message of conditional" in tab.text("#detail .finding")
    tab.press("Escape", "End")
    assert tab.run(focus) == "types"
    assert "type-absent" in tab.run(f"{selected}.textContent")
    assert tab.count("[aria-selected=true]") == 1


@in_browser
def test_accepted_findings(tab: Browser, tmp_path: Path) -> None:
    """An accepted finding is shown as such, with its reason, and does not change its type's verdict."""
    tab.open(save(tmp_path, small()))
    tab.press("/", *"rule-accepted")
    tab.click("[data-verdict=safe]")
    assert names(tab) == ["type-safe"]
    assert "known since 7.2" in tab.text(".finding.accepted")
    assert "safe" in tab.text("#detail .badge")


@in_browser
def test_rules_explain_themselves(tab: Browser, tmp_path: Path) -> None:
    """What is known of a finding's rule is with it, its lines kept."""
    tab.open(save(tmp_path, small(), Options(rules={"rule-breaks": RuleText("In short", "Line one.\nLine two.")})))
    assert tab.text(".finding .why") == "In short"
    tab.click(".finding .why summary")
    assert "Line one.\nLine two." in tab.text(".finding .why")


@in_browser
def test_an_address_opens_a_type(tab: Browser, tmp_path: Path) -> None:
    """What is selected is in the address, which opens it again, whatever the filters would hide."""
    tab.open(save(tmp_path, small()))
    tab.run(
        "return new Promise((done) => { addEventListener('hashchange', () => done(), { once: true });"
        "location.hash = '#' + encodeURIComponent('B -> A/type-safe'); })"
    )
    assert tab.text("#detail h2") == "type-safe"
    assert tab.text("#detail .about").startswith("B → A")
    tab.click(".others button")
    assert tab.text("#detail .about").startswith("A → B")
    assert tab.run("return decodeURIComponent(location.hash)") == "#A -> B/type-safe"


@in_browser
def test_bytes_are_drawn_at_their_place(tab: Browser, tmp_path: Path) -> None:
    """A box a field, at its offset on the ruler; bytes that only one side has are marked, and what moved is told."""
    rows = [
        Row(WireItem("desc", 0), WireItem("desc", 0), "same"),
        Row(WireItem("a", 14), WireItem("a", 14), "same"),
        Row(WireItem("b", 4), WireItem("b", 8), "changed"),
        Row(WireItem("c", 1), None, "removed"),
        Row(WireItem("d", 2), WireItem("e", 2), "renamed"),
        Row(WireItem("v", None, "n elements"), WireItem("v", None, "n elements"), "same"),
        Row(WireItem("f", 5000), WireItem("f", 5000), "same"),
        Row(WireItem("desc/sub", 0, condition="sub_needed()"), None, "removed"),
        Row(WireItem("g", 4), None, "removed"),
    ]
    types = [TypeResult("t", Verdict.BREAKS, "s", [], rows)]
    dumps = [Dump("A", Producer("file"), "pc"), Dump("B", Producer("file"), "pc")]
    tab.open(save(tmp_path, CheckResult(dumps, {"A -> B": types})))
    drawn = tab.run(
        "return [...document.querySelectorAll('.wire .row')].map((row) => ['source', 'destination'].map((side) => ["
        "row.querySelector(`.offset.${side}`).textContent,"
        "...[...row.querySelectorAll(`.bytes.${side} i`)].map((box) => box.style.gridColumn + ' ' + box.className)]))"
    )
    assert drawn == [
        [["0x00", "1 / span 14 same"]] * 2,
        [["0x0e", "15 / span 2 changed", "1 / span 2 changed"]] * 1
        + [["0x0e", "15 / span 2 changed", "1 / span 2 changed", "3 / span 4 changed more"]],
        [["0x12", "3 / span 1 removed"], ["", "7 / span 1 gap"]],
        [["0x13", "4 / span 2 renamed"], ["0x16", "7 / span 2 renamed"]],
        [["0x15", "1 / -1 open same"], ["0x18", "1 / -1 open same"]],
        [["n+0x00", "1 / span 16 same", "1 / span 16 same", "1 / -1 rest same"]] * 2,
        [["0x00", "1 / span 4 removed"], ["", "1 / span 4 gap"]],
    ]
    moved = tab.run("return [...document.querySelectorAll('.wire .source.moved')].map((each) => each.textContent)")
    assert moved == ["0x13", "0x15"]
    assert "5,000 bytes" in tab.text(".wire")
    heading = tab.run("return [...document.querySelectorAll('.wire .heading')].at(-1).innerText")
    assert all(words in heading for words in ("desc/sub", "sub_needed()", "only A has it"))
    assert tab.count(".map .col") == 7
    assert "5,021 bytes + n" in tab.text(".wire thead") or "5,025 bytes + n" in tab.text(".wire thead")


@in_browser
def test_unchanged_fields_are_folded(tab: Browser, tmp_path: Path) -> None:
    """A long run of unchanged fields is one line until it is opened; then the keyboard is where it was."""
    rows = [*(field(f"f{n}") for n in range(30)), Row(WireItem("x", 1), None, "removed")]
    tab.open(save(tmp_path, CheckResult((), {"A -> B": [TypeResult("t", Verdict.BREAKS, "s", [], rows)]})))
    assert tab.count(".wire .row") == 4
    assert "27 unchanged fields, 108 bytes" in tab.text(".fold")
    tab.click(".fold button")
    assert tab.count(".wire .row") == 31
    assert "f0" in tab.run("return document.activeElement.textContent")


@in_browser
def test_many_types(tab: Browser, tmp_path: Path) -> None:
    """Of twelve hundred types a few are drawn at first; the keyboard reaches the last, the scroll bar the next."""
    tab.open(save(tmp_path, make_result(2, 600)))
    tab.click("[data-verdict=safe]")
    assert tab.count("#types li") == 100
    tab.run("const l = document.getElementById('listing'); l.scrollTop = l.scrollHeight")
    tab.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert tab.count("#types li") == 200
    tab.run("document.getElementById('types').focus()")
    tab.press("End")
    assert tab.count("#types li") == 1200
    assert tab.run(
        "const box = document.querySelector('[aria-selected=true]').getBoundingClientRect();"
        "return box.bottom <= innerHeight && box.top >= 0"
    )


@in_browser
def test_a_matrix(tab: Browser, tmp_path: Path) -> None:
    """More than two dumps are a matrix, whose cells say what is worst and filter."""
    tab.open(save(tmp_path, make_result(4, 30)))
    assert tab.count(".matrix tbody tr") == tab.count(".matrix thead th") == 4
    assert tab.count(".matrix .cell") == 12
    tab.click(".matrix .cell[data-direction='5']")
    ways = tab.run("return [...new Set([...document.querySelectorAll('#types .notes')].map((e) => e.textContent))]")
    assert all("→" not in way for way in ways)
    assert tab.text("#detail .about").startswith("B → D")
    assert tab.count(".others > button") == 5
    tab.run(
        "return new Promise((done) => { const more = document.querySelector('.others details');"
        "more.addEventListener('toggle', () => done()); more.querySelector('summary').click(); })"
    )
    assert tab.count(".others > button") == 11


#: The contrast of each piece of text that is seen with what is behind it (WCAG 2.2, 1.4.3), the lowest first.
CONTRAST = """
const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
const light = (color) => color.slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => {
    for (; element; element = element.parentElement) {
        const color = parse(getComputedStyle(element).backgroundColor);
        if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node; (node = walker.nextNode());) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest("script, noscript, .unseen")) continue;
    const [one, two] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    found.push([(one + 0.05) / (two + 0.05), element.className, node.data.slice(0, 40)]);
}
return found.sort((a, b) => a[0] - b[0]);
"""


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("dumps", [2, 3])
def test_contrast(tab: Browser, tmp_path: Path, scheme: str, dumps: int) -> None:
    """All text has at least the contrast 4.5 with what is behind it, in both themes."""
    tab.scheme(scheme)
    tab.open(save(tmp_path, make_result(dumps, 40)))
    tab.click("[data-verdict=safe]")
    found = tab.run(CONTRAST)
    assert len(found) > 100
    assert [each for each in found if each[0] < 4.5] == []


@in_browser
def test_themes(tab: Browser, tmp_path: Path) -> None:
    """The page is as the system is, light or dark, until its button says otherwise; that is remembered."""
    ground = "return getComputedStyle(document.body).backgroundColor"
    tab.open(save(tmp_path, small()))
    light = tab.run(ground)
    tab.scheme("dark")
    dark = tab.run(ground)
    assert light != dark
    tab.click("#theme")
    assert (tab.text("#theme"), tab.run(ground)) == ("Theme: light", light)
    tab.press("t")
    tab.scheme("light")
    assert (tab.text("#theme"), tab.run(ground)) == ("Theme: dark", dark)
    for _ in range(50):  # the browser keeps it when it finds the time
        tab.open(tmp_path / "report.html")
        if tab.run(ground) == dark:
            break
        time.sleep(0.1)
    assert tab.run(ground) == dark


@in_browser
def test_nothing_is_asked_for(tab: Browser, tmp_path: Path) -> None:
    """Nothing but the file is requested, whatever is opened in it."""
    path = save(tmp_path, make_result(3, 30, HOSTILE))
    tab.open(path)
    tab.run("document.getElementById('types').focus()")
    tab.press(*["Down"] * 10)
    assert [url for url in tab.requests() if not url.startswith("data:")] == [path.as_uri()]


@in_browser
def test_hostile_names_do_nothing(tab: Browser, tmp_path: Path) -> None:
    """Names that are scripts and elements elsewhere are text here, wherever they stand."""
    tab.open(save(tmp_path, with_names(HOSTILE), Options(rules={name: RuleText(name, name) for name in HOSTILE})))
    before = tab.run("return document.title")
    for _ in HOSTILE:
        assert tab.count("script") == 2
        assert tab.count("img, #detail svg, iframe, object") == 0
        tab.run("document.getElementById('types').focus()")
        tab.press("Down")
    tab.run("dispatchEvent(new Event('beforeprint'))")
    assert tab.count("img, script script, #printed svg") == 0
    assert tab.run("return document.title") == before
    assert HOSTILE[0] in names(tab)


@in_browser
@pytest.mark.parametrize("dumps", [2, 5, 6])
@pytest.mark.parametrize("width", [320, 500, 900, 1400])
def test_narrow_screens(tab: Browser, tmp_path: Path, width: int, dumps: int) -> None:
    """The page is never wider than the screen, down to 320 pixels."""
    tab.open(save(tmp_path, make_result(dumps, 30, HOSTILE)), width=width)
    assert tab.run("return document.scrollingElement.scrollWidth") <= width
    tab.press("/", *"e1000")
    assert tab.run("return document.scrollingElement.scrollWidth") <= width


@in_browser
def test_what_can_be_used_has_a_name(tab: Browser, tmp_path: Path) -> None:
    """Everything that takes the focus has a name in the accessibility tree, and the page has its landmarks."""
    tab.open(save(tmp_path, make_result(3, 30)))
    nodes = [node for node in tab.command("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    roles = Counter(node["role"]["value"] for node in nodes)
    used = {"button", "searchbox", "combobox", "listbox", "option", "link"}
    unnamed = [node["role"] for node in nodes if node["role"]["value"] in used and not node["name"]["value"].strip()]
    assert unnamed == []
    assert used <= set(roles)
    assert {"main", "banner", "contentinfo", "article", "status", "search"} <= set(roles)


@in_browser
def test_printing(tab: Browser, tmp_path: Path) -> None:
    """On paper are the findings of all types that the filters leave."""
    tab.open(save(tmp_path, small()))
    assert b64decode(tab.print()).startswith(b"%PDF")
    printed = tab.run("return document.getElementById('printed').textContent")
    assert printed.count("message of") == 5
    assert "message of safe" not in printed
