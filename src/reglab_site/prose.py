"""The prose of a page: its text without markup, for the lints that read words.

What is blanked becomes spaces, so that every place keeps its offset, and with it its line.
"""

from __future__ import annotations

import re

from reglab_site import items
from reglab_site.pages import MASK, Page

HAN = re.compile(r"[\u3400-\u9fff]")
_ATTRIBUTES = re.compile(r"\{:?[ \t]*[#.][^{}\n]*\}")
_CHINESE_NAME = re.compile(r'<span lang="zh">[^<]*</span>')
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_LIST_NUMBER = re.compile(r"^[ \t]*\d+\.(?=[ \t])", re.MULTILINE)


def prose(page: Page, *, link_texts: bool = True) -> str:
    """The page's words at their places: headings, paragraphs, captions, text alternatives, table cells, titles.

    Code and formulas stay as `MASK`s, and so do values and numbers that are typed on purpose.
    """
    text = list(page.masked)
    _blank(text, 0, page.body)
    for item in page.items:
        if isinstance(item, items.Value | items.Number):
            _blank(text, item.start, item.end, MASK)
        elif isinstance(item, items.Citation | items.Directive):
            _blank(text, item.start, item.end)
        elif isinstance(item, items.Claim):
            _keep(text, item, item.statement)
        elif isinstance(item, items.Figure):
            _keep(text, item, item.alternative, item.caption)
        elif isinstance(item, items.Link):
            _keep(text, item, *([item.label] if link_texts else []))
        elif isinstance(item, items.Admonition):
            _blank(text, item.start, item.start + len(f"{item.mark} {item.type}") + 1)
    words = "".join(text)
    for markup in (_ATTRIBUTES, _CHINESE_NAME, _TAG, _LIST_NUMBER):
        words = markup.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), words)
    return words


def _blank(text: list[str], start: int, end: int, character: str = " ") -> None:
    for at in range(start, end):
        if text[at] != "\n":
            text[at] = character


def _keep(text: list[str], item: items.Item, *spans: items.Span) -> None:
    """Blank an item but for some parts of it."""
    at = item.start
    for span in spans:
        _blank(text, at, span.start)
        at = span.end
    _blank(text, at, item.end)


def length(page: Page) -> int:
    """How much a page says: its Chinese characters, or its English words."""
    words = prose(page)
    if page.language == "zh":
        return len(HAN.findall(words))
    return len(re.findall(r"[A-Za-z]+(?:['’-][A-Za-z]+)*", words))
