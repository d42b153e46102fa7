"""The HTML report in a real browser: search, filters, keyboard, layout, contrast, printing."""

import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.browser import CONTRAST, Browser, browser
from support.check_sample import HOSTILE, make_result
from support.html_report import field, matrix, page, with_names

from vmdump.check.results import CheckResult, Direction, Dump, Finding, Row, StreamItem, TypeResult, Verdict
from vmdump.dump.producer import Producer
from vmdump.report.html.parts import read_page_part
from vmdump.report.options import DEFAULTS, Options, RuleText
from vmdump.report.tally import MARKS, VERDICTS

#: The directions between A and B.
BOTH_WAYS = {"A -> B": Direction(0, 1), "B -> A": Direction(1, 0)}


def in_browser(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs the browser, whose start takes seconds."""
    return pytest.mark.slow(pytest.mark.browser(test))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests; each opens its page anew."""
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Browser]:
    """The browser, checked at the end for errors in its log."""
    chromium.scheme("light")
    yield chromium
    chromium.run("try { localStorage.clear() } catch {}")
    assert [entry["message"] for entry in chromium.log("browser")] == []


def save(tmp_path: Path, result: CheckResult, options: Options = DEFAULTS) -> Path:
    """Write the report to a file."""
    path = tmp_path / "report.html"
    path.write_text(page(result, options), encoding="utf-8")
    return path


def names(tab: Browser) -> list[str]:
    """Return the types in the list."""
    found: list[str] = tab.run("return [...document.querySelectorAll('#types .type')].map((each) => each.textContent)")
    return found


def small() -> CheckResult:
    """A type of each verdict in one direction; all but the worst in the other."""
    forward = [
        TypeResult(
            f"type-{verdict}",
            verdict,
            f"section-{verdict}",
            [] if verdict is Verdict.ACCEPTED else [finding("A -> B", verdict)],
            [field(f"only_{verdict}")],
        )
        for verdict in Verdict
    ]
    both = (Verdict.SAFE, Verdict.ABSENT, Verdict.CONDITIONAL)
    backward = [each._replace(findings=[finding("B -> A", each.verdict)]) for each in forward if each.verdict in both]
    dumps = [Dump("A", Producer("file", "a.json"), "pc"), Dump("B", Producer("file", "b.json"), "pc")]
    accepted = finding("A -> B", Verdict.ACCEPTED)._replace(verdict=Verdict.BREAKS)
    results = {"A -> B": forward, "B -> A": backward}
    return CheckResult(dumps, results, [(accepted, "known since 7.2")], directions=BOTH_WAYS)


#: The types that need attention, as they are listed at first.
LOUD = [f"type-{verdict}" for verdict in VERDICTS if verdict not in ("safe", "accepted")]


def finding(direction: str, verdict: Verdict) -> Finding:
    """Return the finding of the type with that verdict."""
    return Finding(f"rule-{verdict}", verdict, direction, f"type-{verdict}", "s / d / f", f"message of {verdict}")


@in_browser
def test_the_list_at_first(tab: Browser, tmp_path: Path) -> None:
    """Each type once, the worst first and selected; a button shows safe types."""
    tab.open(save(tmp_path, small()))
    assert names(tab) == LOUD
    assert tab.text("#detail h2") == "type-breaks"
    assert tab.text("#status").startswith(f"{len(LOUD)} of {len(Verdict)} types")
    tab.click("[data-verdict=safe]")
    assert names(tab) == [*LOUD, "type-safe"]


@in_browser
def test_both_directions_are_beside_each_other(tab: Browser, tmp_path: Path) -> None:
    """A type is one line with a sign for each way, and one detail that shows either."""
    forward = [TypeResult("t", Verdict.BREAKS, "s", [finding("A -> B", Verdict.BREAKS)], [field("sent")])]
    backward = [TypeResult("t", Verdict.SAFE, "s", [], [field("sent")])]
    tab.open(save(tmp_path, small()._replace(results={"A -> B": forward, "B -> A": backward}, suppressed=())))
    assert tab.run("return [...document.querySelectorAll('#types .sign')].map((each) => each.className)") == [
        *("sign breaks", "sign safe")
    ]
    assert "forward breaks, backward safe" in tab.run("return document.querySelector('#types li').textContent")
    ways = "return [...document.querySelectorAll('.ways button')].map((each) => [each.textContent, each.ariaPressed])"
    assert tab.run(ways) == [["A → B ✕ breaks", "true"], ["B → A ✓ safe", "false"]]
    tab.run("document.querySelector('.ways button:last-child').focus()")
    tab.press("Enter")
    assert tab.run(ways) == [["A → B ✕ breaks", "false"], ["B → A ✓ safe", "true"]]
    assert "No findings" in tab.text("#detail")
    assert tab.run("return document.activeElement.dataset.way") == "1"
    tab.click(".card[data-direction='1']")
    tab.click("[data-verdict=safe]")
    assert tab.run("return [...document.querySelectorAll('#types .sign')].map((each) => each.title)") == [
        *("B → A: safe", "A → B: breaks")
    ]


@in_browser
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ABSENT", ["type-absent"]),
        ("section-cond", ["type-conditional"]),
        ("only_breaks", ["type-breaks"]),
        ("message of br", ["type-breaks"]),
        ("rule type-br", ["type-breaks"]),
        ("nowhere", []),
    ],
)
def test_search(tab: Browser, tmp_path: Path, words: str, expected: list[str]) -> None:
    """Search finds types, sections, fields, rules and messages, case-insensitively, by every word."""
    tab.open(save(tmp_path, small()))
    tab.press("/", *words)
    assert names(tab) == expected
    assert tab.run("return document.getElementById('search').value") == words
    assert tab.text("#detail").startswith("Nothing is left" if not expected else "")
    tab.press("Escape")
    assert names(tab) == LOUD


@in_browser
def test_filters(tab: Browser, tmp_path: Path) -> None:
    """Verdict, direction and rule filters combine; a summary card filters its direction."""
    tab.open(save(tmp_path, small()))
    tab.click("[data-verdict=conditional]")
    rest = [name for name in LOUD if name != "type-conditional"]
    assert names(tab) == rest
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
    """Search, list and selected type are reachable by keyboard; skip links come first."""
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
    assert "type-unknown" in tab.run(f"{selected}.textContent")
    assert tab.count("[aria-selected=true]") == 1


@in_browser
def test_accepted_findings(tab: Browser, tmp_path: Path) -> None:
    """An accepted finding is marked as such with its reason, and its type is accepted, not safe."""
    tab.open(save(tmp_path, small()))
    tab.press("/", *"rule-accepted")
    tab.click("[data-verdict=accepted]")
    assert names(tab) == ["type-accepted"]
    assert "known since 7.2" in tab.text(".finding.accepted")
    assert "accepted" in tab.text("#detail .badge")


@in_browser
def test_rules_explain_themselves(tab: Browser, tmp_path: Path) -> None:
    """A finding has its rule's documentation, with line breaks kept."""
    tab.open(save(tmp_path, small(), Options(rules={"rule-breaks": RuleText("In short", "Line one.\nLine two.")})))
    assert tab.text(".finding .why") == "In short"
    tab.click(".finding .why summary")
    assert "Line one.\nLine two." in tab.text(".finding .why")


@in_browser
def test_an_address_opens_a_type(tab: Browser, tmp_path: Path) -> None:
    """The address has the selection, and opens it again regardless of filters."""
    tab.open(save(tmp_path, small()))
    tab.run(
        "return new Promise((done) => { addEventListener('hashchange', () => done(), { once: true });"
        "location.hash = '#' + encodeURIComponent('B -> A/type-safe'); })"
    )
    assert tab.text("#detail h2") == "type-safe"
    assert tab.text("#detail .about").startswith("B → A")
    tab.click(".ways button")
    assert tab.text("#detail .about").startswith("A → B")
    assert tab.run("return decodeURIComponent(location.hash)") == "#A -> B/type-safe"


@in_browser
def test_bytes_are_drawn_at_their_place(tab: Browser, tmp_path: Path) -> None:
    """Each field is a box at its offset; bytes on one side only are marked, and moved fields listed."""
    rows = [
        Row(StreamItem("desc", 0), StreamItem("desc", 0), "same"),
        Row(StreamItem("a", 14), StreamItem("a", 14), "same"),
        Row(StreamItem("b", 4), StreamItem("b", 8), "changed"),
        Row(StreamItem("c", 1), None, "removed"),
        Row(StreamItem("d", 2), StreamItem("e", 2), "renamed"),
        Row(StreamItem("v", None, "n elements"), StreamItem("v", None, "n elements"), "same"),
        Row(StreamItem("f", 5000), StreamItem("f", 5000), "same"),
        Row(StreamItem("desc/sub", 0, condition="sub_needed()"), None, "removed"),
        Row(StreamItem("g", 4), None, "removed"),
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
    rows = [*(field(f"f{n}") for n in range(30)), Row(StreamItem("x", 1), None, "removed")]
    tab.open(save(tmp_path, CheckResult((), {"A -> B": [TypeResult("t", Verdict.BREAKS, "s", [], rows)]})))
    assert tab.count(".wire .row") == 4
    assert "27 unchanged fields, 108 bytes" in tab.text(".fold")
    tab.click(".fold button")
    assert tab.count(".wire .row") == 31
    assert "f0" in tab.run("return document.activeElement.textContent")


@in_browser
def test_many_types(tab: Browser, tmp_path: Path) -> None:
    """Of twelve hundred types a few are drawn at first; the keyboard reaches the last, the scroll bar the next."""
    tab.open(save(tmp_path, make_result(2, 1200)))
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
    """More than two dumps give a matrix, whose cells show the worst verdict and filter."""
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
    assert tab.count(".others > button") == 10


@in_browser
def test_a_matrix_of_forty(tab: Browser, tmp_path: Path) -> None:
    """It fits 1280 pixels, and what does not fit the height scrolls inside its frame, below and beside its heads."""
    labels = [f"{5 + n // 4}.{n % 4}.{n}" for n in range(40)]
    dumps = [Dump(label, Producer("file"), "pc") for label in labels]
    types = [TypeResult("t", Verdict.BREAKS, "s", [], [field("f")])] * 120
    path = save(tmp_path, matrix(labels, types)._replace(dumps=dumps))
    frame = "const f = document.querySelector('.frame');"
    tab.open(path, width=1280)
    assert tab.run("return document.scrollingElement.scrollWidth") == 1280
    assert tab.run(f"{frame} return f.scrollWidth - f.clientWidth") == 0
    tab.open(path, width=390, height=844)
    assert tab.run("return document.scrollingElement.scrollWidth") == 390
    heads = (
        f"{frame} const box = f.getBoundingClientRect();"
        "const at = (q) => f.querySelector(q).getBoundingClientRect();"
        "const [column, row] = [at('thead th:last-child'), at('tbody tr:last-child th')];"
        "return [Math.round(column.top - box.top), Math.round(row.left - box.left), f.scrollTop > 0, f.scrollLeft > 0];"
    )
    tab.run(f"{frame} f.scrollTo(10000, 10000)")
    top, left, *scrolled = tab.run(heads)
    assert scrolled == [True, True]
    assert 0 <= top <= 2
    assert 0 <= left <= 2
    assert "40 QEMUs" in tab.text("header > details summary")


@pytest.mark.parametrize("verdict", [*Verdict, "accepted", "unknown"])
def test_each_verdict_has_a_sign_and_colours(verdict: str) -> None:
    """No verdict is shown by colour alone, and each has one wherever there are colours."""
    assert len(set(MARKS.values())) == len(MARKS)
    assert MARKS[verdict]
    style = read_page_part("page.css")
    places = ('.toggle[aria-pressed="true"].{}', ".badge.{}", ".sign.{}", ".count.{}", ".bar .{}", ".dense .{}")
    assert [place for place in places if place.format(verdict) + " " not in style.replace(",", " ")] == []


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("dumps", [2, 3])
def test_contrast(tab: Browser, tmp_path: Path, scheme: str, dumps: int) -> None:
    """All text has a contrast of at least 4.5 in both themes."""
    tab.scheme(scheme)
    tab.open(save(tmp_path, make_result(dumps, 40)))
    tab.click("[data-verdict=safe]")
    found = tab.run(CONTRAST)
    assert len(found) > 100
    assert [each for each in found if each[0] < 4.5] == []


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("verdict", ["unknown", "accepted"])
def test_contrast_of_what_is_not_compared_or_accepted(tab: Browser, tmp_path: Path, verdict: str, scheme: str) -> None:
    """Cells of a matrix, cards, buttons, signs and badges of these verdicts can be read in both schemes."""
    types = [each for each in small().results["A -> B"] if each.verdict == verdict]
    tab.scheme(scheme)
    for labels in (["A", "B"], [f"L{n}" for n in range(8)]):
        tab.open(save(tmp_path, matrix(labels, types)))
        assert tab.run("return document.querySelector(arguments[0]).ariaPressed", f".toggle.{verdict}") == "true"
        assert tab.count(f"#detail .badge.{verdict}") > 0
        found = tab.run(CONTRAST)
        assert [each for each in found if each[0] < 4.5] == []


@in_browser
def test_themes(tab: Browser, tmp_path: Path) -> None:
    """The page follows the system's light or dark theme until its button is used; the choice is stored."""
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
    for _ in range(50):  # the browser stores it asynchronously
        tab.open(tmp_path / "report.html")
        if tab.run(ground) == dark:
            break
        time.sleep(0.1)
    assert tab.run(ground) == dark


@in_browser
def test_no_requests(tab: Browser, tmp_path: Path) -> None:
    """Only the file itself is requested."""
    path = save(tmp_path, make_result(3, 30, HOSTILE))
    tab.open(path)
    tab.run("document.getElementById('types').focus()")
    tab.press(*["Down"] * 10)
    assert [url for url in tab.requests() if not url.startswith("data:")] == [path.as_uri()]


@in_browser
def test_hostile_names_do_nothing(tab: Browser, tmp_path: Path) -> None:
    """Names with scripts and elements are shown as text everywhere."""
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
def test_focusable_elements_have_names(tab: Browser, tmp_path: Path) -> None:
    """Every focusable element has a name in the accessibility tree, and the page has its landmarks."""
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
    """The printed page has the findings of all types that pass the filters."""
    tab.open(save(tmp_path, small()))
    assert b64decode(tab.print()).startswith(b"%PDF")
    printed = tab.run("return document.getElementById('printed').textContent")
    assert printed.count("message of") == len(LOUD)
    assert "message of safe" not in printed
