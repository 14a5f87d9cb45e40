"""The site as `nox -s docs` has built it, opened from its files: every page, wide and narrow.

Its name keeps it out of the other sessions, where no site is built.
"""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SITE = Path(__file__).parents[2] / "docs" / "_build" / "html"
PAGES = sorted(SITE.rglob("*.html"))
# What of the page is wider than the window and does not scroll in itself. On a narrow window Furo lets
# the column of the text scroll: that counts as the page.
TOO_WIDE = """
() => [document.documentElement, document.querySelector(".content")].flatMap((whole) =>
  whole.scrollWidth <= whole.clientWidth
    ? []
    : [...whole.querySelectorAll("*")]
        .filter((part) => part.getBoundingClientRect().right > whole.clientWidth + 1)
        .map((part) => `${part.tagName} ${part.className} ${part.textContent.slice(0, 60)}`)
        .slice(0, 5)
)
"""


def test_there_is_a_site():
    assert (SITE / "index.html").exists(), "build the site first: python -m nox -s docs"


class Links(HTMLParser):
    """What a page links to and loads, and the names of its places."""

    def __init__(self, path):
        super().__init__()
        self.targets, self.places = set(), {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.targets.add(value)
            elif name == "id":
                self.places.add(value)


def test_links_lead_somewhere():
    """Within the site. Those to other sites are asked by `nox -s docs -- --links`."""
    links = {path: Links(path) for path in PAGES}
    lost = []
    for path, page in links.items():
        for target in page.targets:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                continue
            file = (path.parent / unquote(url.path)).resolve() if url.path else path
            there = links[file].places if file in links else {"", url.fragment}
            if not file.is_file() or unquote(url.fragment) not in there:
                lost.append(f"{path.relative_to(SITE)}: {target}")
    assert not lost, "\n".join(lost)


def test_every_page(page):
    """The fixture fails what logs an error or asks the network for anything."""
    too_wide = {}
    for path in PAGES:
        page.goto(path.as_uri())
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 844})
            if parts := page.evaluate(TOO_WIDE):
                too_wide[f"{path.relative_to(SITE)}, {width} pixels"] = parts
    assert not too_wide, "\n".join(f"{where}: {parts}" for where, parts in too_wide.items())


def test_the_search_finds(page):
    page.goto((SITE / "search.html").as_uri() + "?q=zero_grad")
    page.wait_for_selector('#search-results a[href*="backpropagation.html"]')
