"""Formulas, from LaTeX to MathML while the site is built: a Python-Markdown extension, and the function behind it.

Inline formulas are written `$…$`, displayed ones `$$…$$` in a paragraph of their own, wherever Markdown is read: in
lists, tables, captions, footnotes, headings. An inline formula becomes a bare `<math>`; a displayed one stands in a
`<div class="math-display">`, which scrolls sideways where the screen is narrow, and takes the keyboard's focus if the
formula is so long that this may happen. The page does not repeat the LaTeX: its Markdown, published beside it, has it.

A formula that is not understood is a `SiteError`, and so is a `$` without its partner.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from markdown import Extension, Markdown
from markdown.blockprocessors import BlockProcessor
from markdown.inlinepatterns import InlineProcessor
from pymdownx.arithmatex import (
    RE_DOLLAR_BLOCK,
    RE_SMART_DOLLAR_INLINE,
    BlockArithmatexProcessor,
    InlineArithmatexPattern,
)
from pymdownx.util import escape_chars

from reglab_site import mathml
from reglab_site.errors import SiteError
from reglab_site.latex import MathError

__all__ = ["MathError", "MathExtension", "current_page", "makeExtension", "to_mathml"]

current_page: Path | None = None
"""The source file of the page being read, which errors name. Whoever reads pages sets it."""

# The narrowest screen, 360 px wide, holds about this many ems of a formula.
_NARROW = 17.0

# Stands for a bar of a formula while Markdown takes tables apart.
_PIPE = "\x1a"


@lru_cache(maxsize=4096)
def to_mathml(latex: str, *, display: bool) -> str:
    """The HTML of a formula; raises `MathError` for what is not understood."""
    math = mathml.build(latex, display)
    if not display:
        return _serialize(math)
    box = Element("div", {"class": "math-display"})
    if mathml.width(math) > _NARROW:
        box.set("tabindex", "0")
    box.append(math)
    return _serialize(box)


def _serialize(element: Element) -> str:
    return tostring(element, encoding="unicode", short_empty_elements=False)


def _on_page(latex: str, *, display: bool) -> str:
    """As `to_mathml`, with an error that says where on the current page the formula stands."""
    try:
        return to_mathml(latex, display=display)
    except MathError as error:
        shown = " ".join(latex.split())
        message = f"{error.message}, in the formula {shown}" if shown else error.message
        raise SiteError(message, file=current_page, line=_line_of_formula(latex), hint=error.hint) from error


def _source() -> str:
    return "" if current_page is None else current_page.read_text(encoding="utf-8")


def _line(text: str) -> int | None:
    """The line of the current page's source that has this text."""
    source = _source()
    return source.count("\n", 0, source.find(text)) + 1 if text in source else None


def _line_of_formula(latex: str) -> int | None:
    """The line where this formula begins, whose source may have other indentation, and values (`{{ name }}`) in it."""
    for found in re.finditer(r"(\$\$?)([^$]+)\1", _source()):
        fixed = ("".join(part.split()) for part in re.split(r"\{\{.*?\}\}", found[2]))
        if re.fullmatch(".*".join(map(re.escape, fixed)), "".join(latex.split())):
            return _line(found[0])
    return _line(latex.partition("\n")[0])


class _Inline(InlineArithmatexPattern):
    """`$…$`, which may touch Chinese characters, but has no space just inside its dollars."""

    def __init__(self, md: Markdown) -> None:
        super().__init__(RE_SMART_DOLLAR_INLINE, {})
        self.md = md

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        if m[1]:  # an escaped backslash before a dollar
            escaped: tuple[str, int, int] = super().handleMatch(m, data)
            return escaped
        markup = _on_page(m[3].replace(_PIPE, "|"), display=False)
        return self.md.htmlStash.store(markup), m.start(), m.end()


class _Display(BlockArithmatexProcessor):
    """`$$…$$` in a paragraph of its own."""

    def __init__(self, md: Markdown) -> None:
        super().__init__(rf"(?s)^{RE_DOLLAR_BLOCK}[ ]*$", {"generic": True}, md)

    def generic_output(self, parent: Element, math: str) -> None:
        paragraph = SubElement(parent, "p")
        paragraph.text = self.parser.md.htmlStash.store(_on_page(math.strip(), display=True))


class _TableRows(BlockProcessor):
    """Hides the bars of formulas from the processor of tables, which would end a cell at each."""

    formula = re.compile(rf"(?P<code>`+).+?(?P=code)|{RE_SMART_DOLLAR_INLINE}")

    def test(self, parent: Element, block: str) -> bool:
        rows = block.split("\n")
        return len(rows) > 1 and set(rows[1]) <= set("|:- ") and "$" in block

    def run(self, parent: Element, blocks: list[str]) -> bool:
        blocks[0] = self.formula.sub(
            lambda found: found[0] if found["code"] else found[0].replace("|", _PIPE), blocks[0]
        )
        return False  # the processor of tables goes on


class _Stray(InlineProcessor):
    """A `$` that belongs to no formula, which readers would see."""

    def handleMatch(self, m: re.Match[str], data: str) -> None:
        following = re.split("[\n\x02\x03]", data[m.start() :])[0][:30]
        raise SiteError(
            f"a $ that belongs to no formula: {following}",
            file=current_page,
            line=_line(following),
            hint=r"write \$ for a dollar sign, $x$ without spaces at its ends, $$…$$ in a paragraph of its own",
        )


class MathExtension(Extension):
    """Formulas, for `markdown_extensions` in mkdocs.yml: `- reglab_site.math`."""

    def extendMarkdown(self, md: Markdown) -> None:
        escape_chars(md, ["$"])
        md.block_level_elements.remove("math")  # or a paragraph that is one inline formula would lose its <p>
        md.inlinePatterns.register(_Inline(md), "math-inline", 189.9)  # after code, before backslash escapes
        md.inlinePatterns.register(_Stray(r"\$", md), "math-stray", 50)  # when code, escapes, links and HTML are gone
        md.parser.blockprocessors.register(_Display(md), "math-display", 79.9)  # after indented code
        md.parser.blockprocessors.register(_TableRows(md.parser), "math-table", 75.5)  # just before tables


def makeExtension(**options: Any) -> MathExtension:
    """What Python-Markdown calls to load this module."""
    return MathExtension(**options)
