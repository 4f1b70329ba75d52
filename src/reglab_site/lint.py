"""What can be said of a page's words without understanding them.

**Words.** Those in the glossary's column `never` are not used, on Chinese pages or in the catalogue.

**First use.** On the Chinese page of a section, a term of the glossary that stands in the title carries its English in
brackets, in the title or where the text uses it first: 权重衰减（weight decay）.

**Languages.** No Chinese, and no Chinese punctuation, on English pages, except in code and in
`<span lang="zh">…</span>`.

**Punctuation.** In Chinese, punctuation is full-width: none of `, . : ; ? ! ( )` directly behind a Chinese character,
and none of `, : ; ? ! (` directly before one.

**Typed numbers.** A measured number or a hyper-parameter is quoted from the run (`{{ snippet.name }}`), or typed on
purpose (`{{ define: 0.9 }}`, `{{ cited: 0.9 }}`). Refused in prose, captions, tables and headings are decimals,
percentages and integers from 10. Free are, besides code, formulas and the text of links:

* parts of names: `Dropout2d`, `float64`, `CIFAR-10`, `64-bit`;
* sizes: 28×28;
* versions behind a product's name: PyTorch 2.13, Python 3.11;
* years: 2014 年, in 2014, since 2014, (2014), and next to a citation;
* numbers with a leading zero, as the posts have them (003), and with a `#` before them;
* the numbers of list items.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reglab_site import items
from reglab_site.errors import SiteError
from reglab_site.glossary import Glossary, Use
from reglab_site.pages import Page
from reglab_site.prose import prose

_HAN = r"[\u3400-\u9fff]"
_FOREIGN = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]+")
_HALF_WIDTH = re.compile(rf"(?<={_HAN})[*_ ]*(?P<behind>[,.:;?!()])|(?P<before>[,:;?!(])(?={_HAN})")
_FULL_WIDTH = dict(zip(",.:;?!()", "，。：；？！（）", strict=True))

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:[eE][-+−]?\d+)?(?:[ \t]?[%％])?")
_NAME_BEFORE = re.compile(r"[A-Za-z_][-‑]?$|[\w)]×$|#$")
_NAME_BEHIND = re.compile(r"(?!(?:k|M|ms|s|x)(?![A-Za-z]))[A-Za-z_]|-bit\b|×")
_VERSION = re.compile(r"(?:Python|PyTorch|torch|NumPy|Matplotlib|CUDA|BY-SA)[ \t]v?$", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d")
_YEAR_BEFORE = re.compile(r"(?:\b(?:in|since|of|from|until)[ \t]|[(（])$", re.IGNORECASE)
_YEAR_BEHIND = re.compile(r"[ \t]?年")
NEAR = 24  # characters between a year and its citation


def page(source: Page, glossary: Glossary, *, section: bool) -> Iterator[SiteError]:
    """Everything that the lints find on a page; `section` says that it is the page of a snippet."""
    if source.language == "zh":
        yield from misuses(source, glossary)
        yield from half_width(source)
        if section:
            yield from first_uses(source, glossary)
    else:
        yield from chinese(source)
    yield from typed_numbers(source)


def misuses(source: Page, glossary: Glossary) -> Iterator[SiteError]:
    """Words that the glossary excludes."""
    for found in glossary.misuses(prose(source)):
        yield _error(source, found.offset, f"{found.word!r} is not used here", f"write {found.right}")


def half_width(source: Page) -> Iterator[SiteError]:
    """Punctuation of half width in Chinese."""
    words = prose(source)
    for match in _HALF_WIDTH.finditer(words):
        mark = match["behind"] or match["before"]
        shown = words[max(0, match.start() - 6) : match.end() + 6].replace("\n", " ").strip()
        message = f"half-width {mark!r} in Chinese: …{shown}…"
        yield _error(source, match.start(), message, f"write {_FULL_WIDTH[mark]}")


def first_uses(source: Page, glossary: Glossary) -> Iterator[SiteError]:
    """Terms of the title that never carry their English."""
    title = next((item for item in source.items if isinstance(item, items.Heading)), None)
    if not title:
        return
    words = prose(source)
    uses = glossary.uses(words)
    for use in uses:
        if len(use.word) < 2 or not title.start <= use.offset < title.end:
            continue
        later = [other for other in uses if other.word == use.word and other.offset >= title.end]
        if not any(_has_english(words, candidate) for candidate in (use, *later[:1])):
            hint = f"write {use.word}（{use.english}） in the title, or where the text uses it first"
            yield _error(source, use.offset, f"{use.word!r} stands in the title without its English", hint)


def _has_english(words: str, use: Use) -> bool:
    behind = re.match(r"[*_]*[（(](?P<english>[^）)]*)", words[use.offset + len(use.word) :])
    return behind is not None and use.english.casefold() in behind["english"].casefold()


def chinese(source: Page) -> Iterator[SiteError]:
    """Chinese on an English page."""
    front = source.text[: source.body]
    for match in _FOREIGN.finditer(front + prose(source)[source.body :]):
        hint = 'translate it, or mark a name as <span lang="zh">…</span>'
        yield _error(source, match.start(), f"Chinese on an English page: {match[0]!r}", hint)


def typed_numbers(source: Page) -> Iterator[SiteError]:
    """Numbers that should come from the run."""
    words = prose(source, link_texts=False)
    citations = [item for item in source.items if isinstance(item, items.Citation)]
    for match in _NUMBER.finditer(words):
        number = match[0]
        if number.isdigit() and (int(number) < 10 or (number[0] == "0" and len(number) > 1)):
            continue
        before, behind = words[max(0, match.start() - 16) : match.start()], words[match.end() : match.end() + 8]
        if _NAME_BEFORE.search(before) or _NAME_BEHIND.match(behind) or _VERSION.search(before):
            continue
        if _YEAR.fullmatch(number):
            cited = any(_distance(match.start(), match.end(), item) <= NEAR for item in citations)
            if cited or _YEAR_BEFORE.search(before) or _YEAR_BEHIND.match(behind):
                continue
        hint = (
            f"quote it: {{{{ {source.stem}.name }}}}; or mark it: {{{{ define: {number} }}}}, {{{{ cited: {number} }}}}"
        )
        yield _error(source, match.start(), f"a typed number: {number}", hint)


def _distance(start: int, end: int, item: items.Item) -> int:
    return max(item.start - end, start - item.end, 0)


def _error(source: Page, offset: int, message: str, hint: str) -> SiteError:
    return SiteError(message, file=source.path, line=source.line(offset), hint=hint)
