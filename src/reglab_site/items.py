"""The items of a page: what it quotes, states, cites and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

DIRECTIVES = (
    "axes",
    "bibliography",
    "errata",
    "errata_table",
    "gallery",
    "glossary",
    "layers",
    "library",
    "runs",
    "works",
)
SITE = "site"  # the name under which pages quote values of the whole site, such as {{ site.assertions }}


@dataclass(frozen=True)
class Item:
    """One thing on a page, at `text[start:end]`; `shape` is what both languages must have in common."""

    line: int
    start: int
    end: int
    what: ClassVar[str] = "item"

    @property
    def shape(self) -> tuple[object, ...]:
        return (self.what,)


@dataclass(frozen=True)
class Heading(Item):
    """`## text { #id }`."""

    level: int
    id: str
    text: str
    what: ClassVar[str] = "heading"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.what, "#" * self.level, f"#{self.id}"


@dataclass(frozen=True)
class Cell(Item):
    """A fence that quotes a cell.

    Attributes:
        snippet: the stem of the snippet.
        cell: the cell's name.
        output: whether what it printed is shown.
        fold: the title under which it is folded.
        indent: the white space before the fence.
        folded: whether the fence stands in a folded block already.
    """

    snippet: str
    cell: str
    output: bool
    fold: str | None
    indent: str
    folded: bool
    what: ClassVar[str] = "cell"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.what, f"{self.snippet}:{self.cell}", *((option,) if (option := self._options()) else ())

    def _options(self) -> str:
        return " ".join(["output=false"] * (not self.output) + ["fold"] * (self.fold is not None))


@dataclass(frozen=True)
class Fence(Item):
    """Any other fenced block, with its info string."""

    info: str
    what: ClassVar[str] = "code block"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.what, self.info


@dataclass(frozen=True)
class Span:
    """A part of a page's text that is Markdown itself."""

    start: int
    end: int


@dataclass(frozen=True)
class Figure(Item):
    """`![text alternative](figure:snippet:name)` with its caption below."""

    snippet: str
    name: str
    alternative: Span
    caption: Span
    indent: str
    what: ClassVar[str] = "figure"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.what, f"{self.snippet}:{self.name}"


@dataclass(frozen=True)
class Value(Item):
    """`{{ snippet.name[3]["key"]:format }}`: `keys` are the indexes behind the name."""

    snippet: str
    name: str
    keys: tuple[int | str, ...]
    format: str
    what: ClassVar[str] = "value"

    @property
    def shape(self) -> tuple[object, ...]:
        keys = "".join(f"[{key!r}]" for key in self.keys)
        return self.what, f"{self.snippet}.{self.name}{keys}{':' if self.format else ''}{self.format}"


@dataclass(frozen=True)
class Number(Item):
    """`{{ define: 0.9 }}` or `{{ cited: 0.9 }}`: a number typed on purpose."""

    kind: str
    text: str
    what: ClassVar[str] = "number"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.what, self.kind, self.text


@dataclass(frozen=True)
class Claim(Item):
    """`[statement](claim:snippet:name)`."""

    snippet: str
    name: str
    statement: Span
    what: ClassVar[str] = "claim"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.what, f"{self.snippet}:{self.name}"


@dataclass(frozen=True)
class Citation(Item):
    """`[@key]` or `[@one; @two]`."""

    keys: tuple[str, ...]
    what: ClassVar[str] = "citation"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.what, "; ".join(sorted(self.keys))


@dataclass(frozen=True)
class Math(Item):
    """A formula."""

    latex: str
    display: bool
    what: ClassVar[str] = "formula"

    @property
    def shape(self) -> tuple[object, ...]:
        """The LaTeX without its spacing and without what `\\text{…}` says, which differs between languages."""
        worded = re.sub(r"(\\text\w*)\s*\{[^{}]*\}", r"\1{}", self.latex)
        plain = re.sub(r"\s+", " ", worded).strip()
        return self.what, re.sub(r"(?<![A-Za-z]) | (?![A-Za-z])", "", plain)


@dataclass(frozen=True)
class Table(Item):
    """A table with `rows` below its header."""

    rows: int
    columns: int
    what: ClassVar[str] = "table"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.what, f"{self.rows} rows, {self.columns} columns"


@dataclass(frozen=True)
class Link(Item):
    """A link or an image that is not a figure; `label` is its text, empty where the address is shown."""

    target: str
    label: Span
    what: ClassVar[str] = "link"

    @property
    def shape(self) -> tuple[object, ...]:
        """The target; a site that has its languages on zh. and en. hosts counts as one."""
        return self.what, re.sub(r"^https?://(?:zh|en)\.", "https://", self.target)


@dataclass(frozen=True)
class Admonition(Item):
    """`!!! type "title"` or `??? type "title"`; exercises and solutions are such."""

    type: str
    mark: str
    what: ClassVar[str] = "admonition"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.what, f"{self.mark} {self.type}"


@dataclass(frozen=True)
class Directive(Item):
    """`{{ name }}` alone on its line."""

    name: str
    indent: str
    what: ClassVar[str] = "directive"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.what, self.name
