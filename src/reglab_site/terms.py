"""Explains terms where a page uses them first: a link to the glossary, with the definition as its tooltip.

A link works everywhere: with a mouse the definition appears over it, on a phone a tap leads to it.
"""

from __future__ import annotations

import re
from html import escape, unescape

from reglab_site.glossary import Glossary, Term, anchor

_TAG = re.compile(r"(<!--.*?-->|<[^>]+>)", re.DOTALL)
_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)")
_ELSEWHERE = {
    "a",
    "button",
    "code",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "math",
    "pre",
    "script",
    "style",
    "summary",
    "svg",
}


def explain(content: str, glossary: Glossary, language: str, page: str) -> str:
    """The rendered page with the first use of each term marked, outside headings, code, formulas and links.

    Args:
        content: HTML.
        glossary: terms whose words have several meanings are left alone.
        language: of the page.
        page: the address of the glossary's page, relative to this one.
    """
    terms = _terms(glossary, language)
    parts = _TAG.split(content)
    inside: list[str] = []  # the open elements that are left alone
    for index, part in enumerate(parts):
        if index % 2 == 0:
            if terms and not inside:
                parts[index] = _marked(part, glossary, terms, language, page)
        elif name := _NAME.match(part):
            _follow(inside, name[1].lower(), part)
    return "".join(parts)


def _terms(glossary: Glossary, language: str) -> dict[str, Term]:
    """Words, in lower case, with the term that each stands for."""
    return {
        word.lower(): term
        for term in reversed(glossary.terms)
        if term.definition[language] and not term.ambiguous
        for word in (term.zh if language == "zh" else term.en)
    }


def _follow(inside: list[str], name: str, tag: str) -> None:
    """Enter or leave an element that is left alone; a title of a box is a paragraph of a class."""
    if tag.startswith("</"):
        if inside and inside[-1] == name:
            inside.pop()
    elif not tag.endswith("/>") and (inside[-1:] == [name] or name in _ELSEWHERE or "admonition-title" in tag):
        inside.append(name)


def _marked(text: str, glossary: Glossary, terms: dict[str, Term], language: str, page: str) -> str:
    """Text with its new terms marked; they are taken out of `terms`."""
    parts: list[str] = []
    at = 0
    for use in glossary.words(text):
        term = terms.get(use[0].lower())
        if term is None:
            continue
        for word in [word for word, known in terms.items() if known is term]:
            del terms[word]
        title = escape(unescape(term.definition[language].replace("`", "")))
        parts += [
            text[at : use.start()],
            f'<a class="rl-term" href="{page}#{anchor(term)}" title="{title}">{use[0]}</a>',
        ]
        at = use.end()
    return "".join([*parts, text[at:]])
