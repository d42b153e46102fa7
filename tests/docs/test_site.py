"""The documentation site that `make docs` has built, in a browser: requests, width, colours, search."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.browser import Browser, browser
from support.paths import ROOT
from support.requirements import require

SITE = ROOT / "build" / "site"

#: A page of each kind.
PAGES = [
    "index.html",
    "tutorial.html",
    "how-it-works.html",
    "howto/which-vms-break.html",
    "measured.html",
    "reference/commands/check.html",
    "reference/formats/parquet.html",
    "reference/python/checks.html",
    "reference/rules/index.html",
    "reference/rules/field-added.html",
    "source/action.yml.html",
]

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    require((SITE / "index.html").exists(), "the site that make docs builds")
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The site on a web server of this machine."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(SITE))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_page(chromium: Browser, address: str, page: str, scheme: str) -> None:
    """A page makes no request to another host, fits a telephone, has the system's colours, and logs no error."""
    chromium.scheme(scheme)
    for width in (390, 1280):
        chromium.open(f"{address}/{page}", width)
        requests = [each for each in chromium.requests() if not each.startswith(("data:", "about:"))]
        assert requests
        assert [each for each in requests if not each.startswith(f"{address}/")] == []
        assert chromium.run("return document.scrollingElement.scrollWidth") <= width
        colour = chromium.run("return getComputedStyle(document.body).backgroundColor")
        is_dark = sum(int(each) for each in colour.strip("rgb()").split(",")) < 3 * 128
        assert is_dark == (scheme == "dark"), colour
        assert [entry["message"] for entry in chromium.log("browser")] == []


def test_search(chromium: Browser, address: str) -> None:
    """The search finds a rule by its name."""
    chromium.open(f"{address}/index.html")
    chromium.run("document.querySelector('.md-search__input').focus()")
    chromium.press(*"nested-version-ignored")
    found = chromium.run(
        "return new Promise(resolve => { const wait = () => {"
        "const link = document.querySelector('.md-search-result__link');"
        "link ? resolve(link.getAttribute('href')) : setTimeout(wait, 100) }; wait() })"
    )
    assert "reference/rules/nested-version-ignored.html" in found


def test_drawings_have_the_colours_of_the_page(chromium: Browser, address: str) -> None:
    """Drawings are parts of the page: their text has the colour of the page's text, in both schemes."""
    colours = set()
    for scheme in ("light", "dark"):
        chromium.scheme(scheme)
        chromium.open(f"{address}/how-it-works.html")
        assert chromium.count(".drawing svg") == 5
        colour = "return getComputedStyle(document.querySelector(arguments[0])).color"
        assert chromium.run(colour, ".drawing svg") == chromium.run(colour, ".md-content")
        colours.add(chromium.run(colour, ".drawing svg"))
    assert len(colours) == 2
