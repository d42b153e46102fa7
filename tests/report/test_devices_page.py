"""The page of devices and machine types: data, hostile names, and in a browser search, keyboard, layout, contrast."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browser import CONTRAST, Browser, browser
from support.check_sample import HOSTILE
from support.descriptions import desc, dump, field
from support.html_report import release_of
from support.paths import DATA

import vmdump
from vmdump.report.html import devices
from vmdump.report.html.subjects import Release


def page(releases: list[Release], pages: tuple[str, ...] = ()) -> str:
    """Return the page; releases are in the order of their labels."""
    return devices.render(releases, list(dict.fromkeys(each.label for each in releases)), pages)


def data_of(text: str) -> Any:
    """Return the data in a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


def machine(name: str, **more: Any) -> dict[str, Any]:
    """Return the row of a machine type."""
    return {"kind": "machine", "machine": name, "is_default": False, "is_deprecated": False, **more}


def sample() -> list[Release]:
    """Two releases of which a device changes, one is new, one is removed, and one stays."""
    fields = [field(f"quiet{number}") for number in range(40)]
    old = dump(nic=desc("nic", *fields, field("gone")), stays=desc("stays", field("a")), old=desc("old"))
    new = dump(nic=desc("nic", *fields, field("fresh", "uint8")), stays=desc("stays", field("a")), new=desc("new"))
    compat = {"kind": "compat", "machine": "pc-1", "type": "nic", "name": "speed"}
    before = [machine("pc-1", alias="pc"), {**compat, "value": "10"}, {**compat, "kind": "section", "name": "timer",
              "version_id": 1, "instance_id": 0}]  # fmt: skip
    after = [machine("pc-1"), {**compat, "value": "100"}, machine("pc-2", alias="pc")]
    return [release_of("1.0", "arm", old, before), release_of("2.0", "arm", new, after)]


def test_hostile_names() -> None:
    """Names from files are data in one element and escaped text elsewhere, whatever they contain."""
    releases = [
        release_of(label, name, dump(), [machine(name, error=name)])  # names that no dump can have are refused earlier
        for label, name in zip(("1", *HOSTILE[1:]), HOSTILE, strict=True)
    ]
    text = page(releases, HOSTILE)
    assert text.count("<script") == 2
    assert "<img" not in text
    assert "<svg" not in text
    assert "\x1b" not in text
    strings = data_of(text)["strings"]
    assert HOSTILE[0] in strings
    assert not [char for string in strings for char in string if ord(char) < 32 or char in "\u202e\u2028"]


def test_equal_states_are_stored_once() -> None:
    """A device that is the same in many releases and targets costs a number for each."""
    fields = [field(f"f{number}") for number in range(500)]

    def size(n: int) -> int:
        return len(page([release_of(str(each), "arm", dump(dev=desc("dev", *fields))) for each in range(n)]))

    assert size(20) - size(2) < 500


def test_links_to_verdicts() -> None:
    """With pages of verdicts there are links to them; alone the page has none."""
    assert 'href="index.html"' in page(sample(), ("arm",))
    assert data_of(page(sample(), ("arm",)))["pages"] == ["arm"]
    assert "index.html" not in page(sample())


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture
def tab(chromium: Browser, tmp_path: Path) -> Iterator[Browser]:
    """The browser with the sample, checked at the end for errors in its log."""
    (tmp_path / "devices.html").write_text(page(sample(), ("arm",)))
    chromium.scheme("light")
    chromium.open(tmp_path / "devices.html")
    yield chromium
    assert [entry["message"] for entry in chromium.log("browser")] == []


def names(tab: Browser) -> list[str]:
    """Return the names in the list."""
    found: list[str] = tab.run(
        "return [...document.querySelectorAll('#subjects .name')].map((each) => each.textContent)"
    )
    return found


def rows(tab: Browser) -> dict[str, list[str]]:
    """Return the rows of the tables by key."""
    found = tab.run("return [...document.querySelectorAll('.history tbody tr')].map((row) =>"
                    "[...row.children].map((each) => each.textContent))")  # fmt: skip
    return {key: cells for key, *cells in found}


@pytest.mark.slow
@pytest.mark.browser
def test_search(tab: Browser) -> None:
    """Names come first, then what has such a field or property, which the list shows."""
    assert names(tab) == ["new", "nic", "old", "stays", "pc-1", "pc-2"]
    tab.press("/", *"quiet7")
    assert names(tab) == ["nic"]
    assert tab.text("#subjects .hits") == "quiet7"
    tab.press("Escape", "Escape", "/", *"SPEED")
    assert names(tab) == ["pc-1"]
    tab.press("Escape", "Escape", "/", *"s")
    assert names(tab)[0] == "stays"
    tab.press("Escape", "Escape", "/", *"nowhere")
    assert names(tab) == []
    assert "Nothing is left" in tab.text("#detail")


@pytest.mark.slow
@pytest.mark.browser
def test_filters(tab: Browser) -> None:
    """By kind, by target, and by what became of a device."""
    choose = (
        "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change'))"
    )
    tab.run(choose, "changed", "changed")
    assert names(tab) == ["nic", "pc-1"]
    tab.run(choose, "changed", "partly")
    assert names(tab) == ["new", "old", "pc-2"]
    tab.click("[data-kind=device]")
    assert names(tab) == ["pc-2"]
    tab.run(choose, "target", "arm")
    assert names(tab) == ["pc-2"]


@pytest.mark.slow
@pytest.mark.browser
def test_the_history_of_a_device(tab: Browser) -> None:
    """What differs between releases is shown at its place; the rest is folded, and opened by a button."""
    tab.press("/", *"nic", "Enter", "Enter")
    assert tab.run("return document.activeElement.id") == "detail"
    found = rows(tab)
    assert found["gone"] == ["4 bytes of uint32", "− removed"]
    assert found["fresh"] == ["–", "+ 1 byte of uint8"]
    assert "40 that did not change" in found
    assert "quiet3" not in found
    tab.click(".fold button")
    assert rows(tab)["quiet3"] == ["4 bytes of uint32", "="]
    assert list(rows(tab))[-2:] in (["gone", "fresh"], ["fresh", "gone"])
    assert tab.run("return document.activeElement.tagName") == "TR"
    assert tab.run("return document.querySelector('.targets a').getAttribute('href')") == (
        "arm.html#1.0%20-%3E%202.0%2Fnic"
    )


@pytest.mark.slow
@pytest.mark.browser
def test_the_history_of_a_machine_type(tab: Browser) -> None:
    """Compat properties are compared; what was not read of a release is not called removed."""
    tab.press("/", *"pc-1")
    found = rows(tab)
    assert found["nic.speed"] == ["10", "100"]
    assert found["alias"] == ["pc", "none"]
    assert found["timer"] == ["version 1", "not read"]


@pytest.mark.slow
@pytest.mark.browser
def test_what_was_not_read_is_no_difference(tab: Browser, tmp_path: Path) -> None:
    """A release whose machine types were not read is between the others, and is neither equal nor different."""
    section = {"kind": "section", "machine": "pc-1", "name": "timer", "version_id": 1, "instance_id": 0}
    stays, changes = machine("pc-1", alias="pc"), machine("pc-2", alias="q")
    rows_of = [[stays, section, changes], None, [stays, changes], [stays, machine("pc-2")]]
    releases = [release_of(str(number), "arm", dump(), each) for number, each in enumerate(rows_of, 1)]
    (tmp_path / "gaps.html").write_text(page(releases))
    tab.open(tmp_path / "gaps.html")

    def heads() -> list[str]:
        found = tab.run("return [...document.querySelectorAll('.history thead th')].map((each) => each.innerText)")
        return [" ".join(each.split()) for each in found]

    tab.press("/", *"pc-1")
    assert heads() == ["1", "2 not read", "3 – 4 2 releases"]
    assert rows(tab)["alias"] == ["pc", "not read", "="]
    assert rows(tab)["timer"] == ["version 1", "not read", "not read"]
    assert tab.run("return document.querySelectorAll('#subjects .changed').length") == 0
    tab.press("Escape", "Escape", "/", *"pc-2")
    assert heads() == ["1", "2 not read", "3", "4 differs"]
    assert tab.run("return document.querySelectorAll('#subjects .changed').length") == 1


@pytest.mark.slow
@pytest.mark.browser
def test_keyboard_and_address(tab: Browser, tmp_path: Path) -> None:
    """Skip links, search, list and detail are reached by keyboard; the address opens what it names."""
    focus = "return document.activeElement.id || document.activeElement.textContent"
    tab.press("Tab")
    assert tab.run(focus) == "Skip to the search"
    tab.press("/", "Down", "Down", "Down")
    assert tab.run(focus) == "subjects"
    assert tab.text("[aria-selected=true] .name") == "old"
    assert tab.run("return decodeURIComponent(location.hash)") == "#device/old"
    tab.press("Enter")
    assert tab.run(focus) == "detail"
    tab.press("Escape", "End")
    assert tab.text("#detail h2") == "pc-2"
    tab.run("return new Promise((done) => { addEventListener('hashchange', () => done(), { once: true });"
            "location.hash = '#' + encodeURIComponent('device/nic'); })")  # fmt: skip
    assert tab.text("#detail h2") == "nic"


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_layout_and_contrast(tab: Browser, tmp_path: Path, scheme: str, width: int) -> None:
    """On a phone and a desktop nothing is wider than the page, all text can be read, and nothing is requested."""
    releases = [
        release_of(version, "x86_64", vmdump.open(DATA / "dumps" / f"qemu-{version}" / "x86_64.json.xz"))
        for version in ("7.2.22", "8.2.2", "10.0.13")
    ]
    path = tmp_path / "real.html"
    path.write_text(page(releases))
    tab.scheme(scheme)
    tab.open(path, width=width, height=844)
    tab.press("/", *"timadj")
    assert tab.text("#detail h2") == "e1000e"
    assert rows(tab)["core.timadj"] == ["–", "+ 8 bytes, if a test passes", "="]
    assert tab.run("return document.scrollingElement.scrollWidth") == width
    found = tab.run(CONTRAST)
    assert len(found) > 30
    assert [each for each in found if each[0] < 4.5] == []
    assert [each for each in tab.requests() if not each.startswith(("file:", "data:"))] == []
