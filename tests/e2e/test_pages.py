"""Every page, in both languages and both schemes, as a reader's browser shows it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Request
from playwright.sync_api import TimeoutError as PlaywrightTimeout

LANGUAGES = ("zh", "en")
LARGEST = 90_000
RAW_LATEX = re.compile(r"\$\$|\\[A-Za-z]+|\\[()\[\]]|\{\{|\}\}")


def pages(site: Path, language: str) -> list[str]:
    """The addresses of all pages of a language, below the site's."""
    found = [file.parent.relative_to(site).as_posix() for file in site.rglob("index.html")]
    english = {path for path in found if path == "en" or path.startswith("en/")}
    chosen = sorted(english if language == "en" else set(found) - english)
    return ["" if path == "." else f"{path}/" for path in chosen]


class Reader:
    """A tab that notes what goes wrong while it shows pages."""

    def __init__(self, browser: Browser, address: str, *, scheme: str = "light", width: int = 1280) -> None:
        self.address = address
        self.problems: list[str] = []
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.note(f"script error: {error}"))
        self.page.on("console", lambda message: message.type in ("error", "warning") and self.note(message.text))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", lambda request: self._local(request.url))
        self.page.on("response", lambda answer: answer.status >= 400 and self.note(f"{answer.status} {answer.url}"))

    def note(self, problem: str) -> None:
        self.problems.append(f"{self.page.url}: {problem}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the icon of a page that has been left
            self.note(f"request failed: {request.url} ({request.failure})")

    def _local(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != urlsplit(self.address).netloc:
            self.note(f"asks another host: {url}")

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path, wait_until="networkidle")
        return self.page

    def close(self) -> None:
        self.page.context.close()


SHOWN_TEXT = """() => {
    const copy = document.querySelector("article").cloneNode(true);
    copy.querySelectorAll("pre, script, style").forEach((element) => element.remove());
    const unfilled = copy.textContent.match(/\\{\\{ ?\\w+[.:]/);
    copy.querySelectorAll("code").forEach((element) => element.remove());
    return copy.textContent + (unfilled ?? "");
}"""
INVISIBLE = """(selector) => [...document.querySelectorAll(selector)].filter((element) => {
    if (element.closest("details:not([open]), .tabbed-block:not(:first-child)")) return false;
    const box = element.getBoundingClientRect();
    return box.width < 2 || box.height < 2;
}).map((element) => element.outerHTML.slice(0, 120))"""


WIDER = """() => [...document.querySelectorAll("body *")].filter((element) => {
    if (element.closest(".md-sidebar, .md-header, .md-search, .md-overlay, .md-top")) return false;
    for (let box = element.parentElement; box; box = box.parentElement)
        if (/auto|scroll|hidden/.test(getComputedStyle(box).overflowX) && box !== document.body) return false;
    return element.getBoundingClientRect().right > innerWidth + 1;
}).slice(0, 3).map((element) => element.outerHTML.slice(0, 120))"""


def look(reader: Reader, scheme: str) -> None:
    """Note what is wrong with the open page in the scheme that the system prefers."""
    reader.page.emulate_media(color_scheme=scheme)
    expected = "slate" if scheme == "dark" else "default"
    try:
        reader.page.locator(f"body[data-md-color-scheme={expected}]").wait_for(timeout=5000)
    except PlaywrightTimeout:
        reader.note("another colour scheme than the system's")
    for hidden in reader.page.evaluate(INVISIBLE, ".rl-figure svg, .rl-figure img, math"):
        reader.note(f"invisible: {hidden}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_shown_as_it_should_be(browser: Browser, site: Path, address: str, language: str) -> None:
    """One visit a page: in the light scheme and the dark one, then on a phone."""
    reader = Reader(browser, address)
    for path in pages(site, language):
        reader.page.set_viewport_size({"width": 1280, "height": 900})
        page = reader.open(path)
        if page.locator("html").get_attribute("lang") != language:
            reader.note("another language than its address")
        if found := RAW_LATEX.search(page.evaluate(SHOWN_TEXT)):
            reader.note(f"raw LaTeX or a placeholder: {found[0]}")
        for other in LANGUAGES:
            expected = address + ("en/" if other == "en" else "") + path.removeprefix("en/")
            if (target := switch(page, other).evaluate("(link) => link.href")) != expected:
                reader.note(f"the switch to {other} leads to {target}")
        if not page.locator("[role=dialog]").get_attribute("aria-label"):
            reader.note("the search dialog has no name")
        if page.locator(".rl-figure svg:not([aria-label]), .rl-figure img:not([alt])").count():
            reader.note("a figure without a text alternative")
        for scheme in ("dark", "light"):
            look(reader, scheme)
        page.set_viewport_size({"width": 360, "height": 900})
        if (width := page.evaluate("document.scrollingElement.scrollWidth")) > 360:
            reader.note(f"{width} px wide: {page.evaluate(WIDER)}")
        for wide in page.evaluate(WIDER):
            reader.note(f"cut off: {wide}")
    reader.close()
    assert reader.problems == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_opened_in_the_dark_is_dark(browser: Browser, address: str, language: str) -> None:
    reader = Reader(browser, address, scheme="dark")
    reader.open("" if language == "zh" else "en/")
    look(reader, "dark")
    reader.close()
    assert reader.problems == []


def switch(page: Page, language: str) -> Locator:
    return page.locator(f".md-header .md-select__link[hreflang={language}]")


@pytest.mark.parametrize("path", ["", "regularization/weight_decay/", "labs/weight_decay/", "reference/errata/"])
def test_the_language_switch_stays_on_the_page(browser: Browser, address: str, path: str) -> None:
    reader = Reader(browser, address)
    page = reader.open(path)
    for language, expected in (("en", f"en/{path}"), ("zh", path)):
        page.locator(".md-header .md-select button").hover()
        switch(page, language).click()
        page.wait_for_url(address + expected, wait_until="networkidle")
        if page.locator("html").get_attribute("lang") != language:
            reader.note(f"the switch to {language} led to another language")
    reader.close()
    assert reader.problems == []


def test_the_scheme_can_be_chosen(browser: Browser, address: str) -> None:
    reader = Reader(browser, address)
    page = reader.open("")
    shown = []
    for _ in range(3):
        page.locator("form[data-md-component=palette] label:not([hidden])").click()
        shown.append(page.locator("body").get_attribute("data-md-color-scheme"))
    reader.close()
    assert shown == ["default", "slate", "default"]


def test_code_blocks_add_no_landmarks(browser: Browser, address: str) -> None:
    reader = Reader(browser, address)
    page = reader.open("regularization/weight_decay/")
    page.mouse.wheel(0, 20_000)  # the theme adds its buttons to what comes into view
    page.locator("nav.md-code__nav").first.wait_for(state="attached")
    assert page.locator("nav.md-code__nav:not([role=group])").count() == 0
    reader.close()
    assert reader.problems == []


def test_the_errata_can_be_filtered_by_source_and_kind_and_are_all_there_without_a_script(
    browser: Browser, address: str
) -> None:
    reader = Reader(browser, address)
    page = reader.open("reference/errata/")
    rows = page.locator("tr:has(.rl-erratum)")
    everything = rows.count()
    page.locator(".rl-filter select[name=kind]").select_option("bug")
    bugs = page.locator("tr:has(.rl-erratum):not([hidden])").count()
    assert 0 < bugs == page.locator(".rl-erratum[data-kind=bug]").count() < everything
    page.locator(".rl-filter select[name=source]").select_option("003")
    both = page.locator("tr:has(.rl-erratum):visible").count()
    assert both == page.locator(".rl-erratum[data-kind=bug][data-source~='003']").count()
    assert str(both) in page.locator(".rl-filter output").inner_text()
    reader.close()
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(f"{address}reference/errata/")
    assert plain.locator("tr:has(.rl-erratum):visible").count() == everything
    assert plain.locator(".rl-filter:visible").count() == 0
    context.close()


def test_a_term_leads_to_its_entry_in_the_glossary(browser: Browser, address: str) -> None:
    reader = Reader(browser, address)
    for path, word in (
        ("regularization/weight_decay/", "学习率"),
        ("en/regularization/weight_decay/", "learning rate"),
    ):
        term = reader.open(path).locator(f'a.rl-term:text-is("{word}")')
        assert term.count() == 1
        assert len(term.get_attribute("title") or "") > 5
        term.click()
        assert reader.page.url.endswith("reference/glossary/#learning-rate")
        assert reader.page.locator("#learning-rate").count() == 1
    reader.close()


@pytest.mark.parametrize("script", [True, False])
def test_a_knob_is_turned_by_keyboard_and_needs_no_script(browser: Browser, address: str, script: bool) -> None:
    context = browser.new_context(java_script_enabled=script)
    page = context.new_page()
    page.goto(f"{address}activations/softmax/")
    knob = page.locator(".tabbed-set:has(.rl-figure)")
    drawn = knob.locator(".tabbed-block")
    assert drawn.count() == knob.locator("input[type=radio]").count() > 3
    shown = [position for position in range(drawn.count()) if drawn.nth(position).is_visible()]
    assert shown == [0]
    knob.locator("input[type=radio]").first.focus()
    page.keyboard.press("ArrowRight")
    assert not drawn.nth(0).is_visible()
    assert drawn.nth(1).is_visible()
    context.close()
