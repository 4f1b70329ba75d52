"""What the built files say: addresses, languages, links and sizes."""

from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

PUBLIC = "https://example.org/reglab/"


class Links(HTMLParser):
    """All that a page links to or loads, and the ids it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.alternates: dict[str, str] = {}
        self.canonical: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.found += [given[name] for name in ("href", "src") if given.get(name)]
        if tag == "link" and given.get("hreflang"):
            self.alternates[given["hreflang"]] = given["href"]
        if tag == "link" and given.get("rel") == "canonical":
            self.canonical = given["href"]


def pages(site: Path) -> dict[str, Links]:
    """All pages by their address below the site's."""
    return {
        file.relative_to(site).as_posix().removesuffix("index.html"): Links(file.read_text(encoding="utf-8"))
        for file in sorted(site.rglob("index.html"))
    }


def twin(path: str) -> str:
    return path.removeprefix("en/") if path.startswith("en/") else f"en/{path}"


def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    dead = []
    for path, links in pages(site).items():
        for link in links.found:
            url = urlsplit(urljoin(f"http://site/{path}", link))
            if url.netloc != "site" or url.scheme != "http":
                continue
            target = site / unquote(url.path).lstrip("/")
            if not (target.is_file() or (target / "index.html").is_file()):
                dead.append(f"{path}: {link}")
    assert dead == []


def test_without_an_address_alternates_are_relative_and_nothing_is_canonical(site: Path) -> None:
    for path, links in pages(site).items():
        assert links.canonical is None
        assert set(links.alternates) == {"zh", "en"}
        targets = {urljoin(f"http://site/{path}", link) for link in links.alternates.values()}
        assert targets == {f"http://site/{path}", f"http://site/{twin(path)}"}
        assert not any(urlsplit(link).netloc or link.startswith("/") for link in links.alternates.values())
    assert not (site / "sitemap.xml").exists()


def test_with_an_address_canonical_and_alternates_are_whole(published: Path) -> None:
    found = pages(published)
    for path, links in found.items():
        assert links.canonical == PUBLIC + path
        chinese, english = sorted((path, twin(path)), key=lambda one: one.startswith("en/"))
        assert links.alternates == {"zh": PUBLIC + chinese, "en": PUBLIC + english}
    sitemap = (published / "sitemap.xml").read_text(encoding="utf-8")
    assert set(re.findall("<loc>(.*?)</loc>", sitemap)) == {PUBLIC + path for path in found}


def test_error_page_finds_its_assets_below_the_address(published: Path) -> None:
    links = Links((published / "404.html").read_text(encoding="utf-8")).found
    local = [link for link in links if not urlsplit(link).netloc and not link.startswith(("#", "data:", "javascript:"))]
    assert local
    assert all(link.startswith("/reglab/") for link in local)


def test_the_repository_is_linked_and_not_asked(site: Path, published: Path) -> None:
    page = (published / "regularization" / "weight_decay" / "index.html").read_text(encoding="utf-8")
    assert 'href="https://github.com/example/reglab/edit/main/docs/regularization/weight_decay.zh.md"' in page
    assert 'href="https://github.com/example/reglab"' in page
    assert 'data-md-component="source"' not in page  # Material's script would ask GitHub how many stars it has
    notebook = (published / "labs" / "weight_decay.en.ipynb").read_text(encoding="utf-8")
    assert "pip install git+https://github.com/example/reglab" in notebook
    assert not [file for file in site.rglob("*.html") if 'rel="edit"' in file.read_text(encoding="utf-8")]


@pytest.mark.parametrize(("pattern", "limit"), [("**/index.html", 90_000), ("**/labs/*/index.html", 60_000)])
def test_pages_are_small(site: Path, pattern: str, limit: int) -> None:
    sizes = {file: len(gzip.compress(file.read_bytes())) for file in site.glob(pattern)}
    assert sizes
    assert {file: size for file, size in sizes.items() if size > limit} == {}


def test_no_page_names_a_host_to_load_from(site: Path) -> None:
    loading = re.compile(
        r'<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc="(?:https?:)?//|<link[^>]*rel="stylesheet"[^>]*//'
    )
    assert [file for file in site.rglob("*.html") if loading.search(file.read_text(encoding="utf-8"))] == []
