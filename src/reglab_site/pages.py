"""Pages: what a Markdown source quotes, states, cites and links, item by item, each with its line.

A page is read once, into a flat list of items in the order of the text. The weaver replaces the span of an item by what
it stands for; the checks compare the items of the two languages. Neither looks at the Markdown itself again.

Code, formulas and HTML comments are opaque: nothing inside them is an item, except values inside formulas.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import yaml

from reglab_site.errors import SiteError, nearest, raise_all
from reglab_site.items import (
    DIRECTIVES,
    Admonition,
    Cell,
    Citation,
    Claim,
    Directive,
    Fence,
    Figure,
    Heading,
    Item,
    Link,
    Math,
    Number,
    Span,
    Table,
    Value,
)
from reglab_site.project import LANGUAGES, Project

MASK = "\ufffc"
CHINESE = "\u3400-\u9fff"


@dataclass(frozen=True)
class Page:
    """One page in one language.

    Attributes:
        path: the file.
        language: `zh` or `en`.
        stem: its file name without suffixes.
        text: the whole source.
        body: where the text behind the front matter begins.
        masked: `text` with everything opaque replaced by as many `MASK`s; line breaks stay.
        front: the front matter.
        items: what stands on the page, in order; an item that holds another comes before it.
        first_line: the line of the file where `text` begins.
    """

    path: Path
    language: str
    stem: str
    text: str
    body: int
    masked: str
    front: dict[str, object]
    items: tuple[Item, ...]
    first_line: int = 1

    @cached_property
    def _starts(self) -> list[int]:
        return _line_starts(self.text)

    def line(self, offset: int) -> int:
        """The line of a place in the text, as its file counts."""
        return bisect_right(self._starts, offset) + self.first_line - 1

    @property
    def title(self) -> str:
        """The text of the first heading, or of the front matter's title."""
        for item in self.items:
            if isinstance(item, Heading):
                return item.text
        return str(self.front.get("title", self.stem))


@dataclass(frozen=True)
class Pair:
    """A page in both languages; `name` is its path below `docs/` without suffixes."""

    name: str
    zh: Path
    en: Path

    def path(self, language: str) -> Path:
        return {"zh": self.zh, "en": self.en}[language]


def find(project: Project) -> list[Pair]:
    """All page pairs, by name; a page without its twin is an error."""
    found: dict[str, dict[str, Path]] = {}
    errors = []
    for path in sorted(project.docs.rglob("*.md")):
        name, _, language = path.relative_to(project.docs).with_suffix("").as_posix().rpartition(".")
        if not name or language not in LANGUAGES:
            hint = f"name it {path.stem}.zh.md or {path.stem}.en.md"
            errors.append(SiteError("a page without a language", file=path, hint=hint))
            continue
        found.setdefault(name, {})[language] = path
    for twins in found.values():
        for language in LANGUAGES:
            if language not in twins:
                (other,) = twins.values()
                missing = other.with_name(other.name.replace(f".{other.suffixes[-2][1:]}.md", f".{language}.md"))
                hint = f"write {project.relative(missing)} with the same headings and items"
                errors.append(SiteError("a page without its twin", file=other, hint=hint))
    raise_all(errors)
    return [Pair(name, twins["zh"], twins["en"]) for name, twins in sorted(found.items())]


# Reading a page

_OPAQUE = re.compile(
    r"""
    ^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})(?P<info>[^\n`]*)\n
        (?P<body>.*?) (?:^[ \t]*(?P=fence)[`~]*[ \t]*$ | (?P<open>\Z))
  | <!-- .*? (?: --> | (?P<unclosed>\Z))
  | (?<!\\)\$\$ (?P<display>.+?) \$\$
  | (?<![\\`])(?P<ticks>`+)(?!`) (?P<code>(?:(?!\n[ \t]*\n).)+?) (?<!`)(?P=ticks)(?!`)
  | (?<![\\$])\$(?![\s$]) (?P<inline>(?:\\.|(?!\n[ \t]*\n)[^\\$])+?) (?<!\s)\$
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_HEADING = re.compile(
    r"(?P<indent>[ \t]*)(?P<marks>#{1,6})[ \t]+(?P<text>.*?)[ \t]*(?:\{(?P<attributes>[^{}]*)\})?[ \t]*"
)
_UNDERLINE = re.compile(r"[ \t]*(?:=+|-+)[ \t]*")
_ID = re.compile(r"#(\S+)")
_ID_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_ADMONITION = re.compile(r"(?P<indent>[ \t]*)(?P<mark>!!!|\?\?\?\+?)[ \t]+(?P<type>[\w-]+)(?:[ \t].*)?")
_DELIMITER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_CELL_INFO = re.compile(r"python[ \t]*\{(?P<options>.*)\}[ \t]*")
_OPTION = re.compile(r'(?P<name>[\w-]+)=(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s"]+))')
_CELL_OPTIONS = ("cell", "output", "fold")
_INLINE = re.compile(
    r"""
    (?P<image>!)?\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)
        (?:[ \t]+"[^"\n]*")?\)
  | \[(?P<citation>@[^\[\]]*)\]
  | \{\{(?P<braces>[^{}]*)\}\}
  | <(?P<auto>https?://[^<>\s]+)>
    """,
    re.VERBOSE,
)
_VALUE = re.compile(
    r"""(?P<snippet>[A-Za-z_]\w*)\.(?P<name>[A-Za-z_]\w*)(?P<keys>(?:\[(?:-?\d+|"[^"]*"|'[^']*')\])*)(?::(?P<format>.*))?"""
)
_KEY = re.compile(r"""\[(?:(?P<index>-?\d+)|"(?P<double>[^"]*)"|'(?P<single>[^']*)')\]""")
_INNER_VALUE = re.compile(r"\{\{\s(?P<braces>(?:[a-z]\w*\.[A-Za-z_]|define:|cited:)[^{}]*?)\s?\}\}")
_NUMBER = re.compile(r"(?P<kind>define|cited):[ \t]*(?P<text>\S.*)")
_KEYS = re.compile(r"@(?P<key>[A-Za-z][\w:-]*)")
_FIGURE_LINE = re.compile(r"(?P<indent>[ \t]*)!\[[^\n]*\]\(figure:[^()\s]*\)[ \t]*")
_CAPTION = re.compile(r"\n[ \t]*:[ \t]+(?P<caption>[^\n]*\S[^\n]*(?:\n[ \t]*\S[^\n]*)*)")


def parse(path: Path, text: str | None = None) -> Page:
    """Read a page; `SiteErrors` names everything in it that is malformed."""
    if text is None:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise SiteError("the file is not UTF-8", file=path, hint="save it as UTF-8") from error
    stem, _, language = path.name.removesuffix(".md").rpartition(".")
    return _Reader(path, text, stem, language).page()


def sentence(text: str, path: Path, line: int, language: str) -> Page:
    """Markdown that stands outside a page, at `line` of a data file, read as a page of its own."""
    return _Reader(path, text, path.stem, language, line).page()


class _Reader:
    """Reads one page: first what is opaque, then lines, then what stands in the lines."""

    def __init__(self, path: Path, text: str, stem: str, language: str, first_line: int = 1) -> None:
        self.path, self.text, self.stem, self.language = path, text, stem, language
        self.shift = first_line - 1
        self.starts = _line_starts(text)
        self.items: list[Item] = []
        self.errors: list[SiteError] = []

    def page(self) -> Page:
        self.front, self.body = self._front_matter()
        self.masked = self._mask_opaque()
        self._read_lines()
        self._read_inline(self.body, len(self.text))
        self._check_ids()
        raise_all(sorted(self.errors, key=lambda error: error.line or 0))
        items = sorted(self.items, key=lambda item: (item.start, -item.end))
        if self.shift:
            items = [replace(item, line=item.line + self.shift) for item in items]
        return Page(
            path=self.path,
            language=self.language,
            stem=self.stem,
            text=self.text,
            body=self.body,
            masked=self.masked,
            front=self.front,
            items=tuple(items),
            first_line=self.shift + 1,
        )

    def line(self, offset: int) -> int:
        """The line of the text; the file may count it higher (see `sentence`)."""
        return bisect_right(self.starts, offset)

    def error(self, message: str, offset: int, hint: str | None = None) -> None:
        self.errors.append(SiteError(message, file=self.path, line=self.line(offset) + self.shift, hint=hint))

    def _front_matter(self) -> tuple[dict[str, object], int]:
        match = re.match(r"---[ \t]*\n(?P<yaml>.*?)^---[ \t]*(?:\n|\Z)", self.text, re.DOTALL | re.MULTILINE)
        if not match:
            return {}, 0
        try:
            front = yaml.safe_load(match["yaml"]) or {}
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 2 if mark else 1
            raise SiteError("the front matter is not YAML", file=self.path, line=line) from error
        if not isinstance(front, dict):
            raise SiteError("the front matter is no mapping", file=self.path, line=1, hint="write lines 'title: …'")
        return front, match.end()

    # What is opaque

    def _mask_opaque(self) -> str:
        """The text with code, formulas and comments masked; fences and formulas become items."""
        masked = [self.text[: self.body]]
        end = self.body
        self.fences: list[re.Match[str]] = []
        for match in _OPAQUE.finditer(self.text, self.body):
            start = match.end("indent") if match["fence"] else match.start()
            masked += [self.text[end:start], re.sub(r"[^\n]", MASK, self.text[start : match.end()])]
            end = match.end()
            if match["fence"]:
                self.fences.append(match)
                if match["open"] is not None:
                    self.error("a fence that is not closed", start, f"end it with a line {match['fence']}")
            elif match["unclosed"] is not None:
                self.error("a comment that is not closed", start, "end it with -->")
            elif match["code"] is not None and len(match["ticks"]) >= 3 and "\n" in match["code"]:
                self.error("a fence must begin its line", start, "put it on a line of its own, indented")
            elif (latex := match["display"] or match["inline"]) is not None:
                self.items.append(Math(self.line(start), start, end, latex.strip(), match["display"] is not None))
                self._read_values_inside(match)
            elif match["code"] is not None:
                self._read_values_inside(match)
        return "".join([*masked, self.text[end:]])

    def _read_values_inside(self, opaque: re.Match[str]) -> None:
        """Values within a formula or code, where other braces have a meaning of their own."""
        for match in _INNER_VALUE.finditer(self.text, opaque.start(), opaque.end()):
            self._read_braces(match)

    # Line by line

    def _read_lines(self) -> None:
        """Headings, admonitions, tables, and the fences with the blocks that they stand in."""
        fence_at = {self.line(match.end("indent")): match for match in self.fences}
        inside = {
            line
            for match in self.fences
            for line in range(self.line(match.end("indent")) + 1, self.line(match.end()) + 1)
        }
        lines = self.masked.split("\n")
        blocks: list[tuple[int, bool]] = []
        skip_table = 0
        for number in range(self.line(self.body), len(lines) + 1):
            line = lines[number - 1]
            if number in inside or not line.strip():
                continue
            indent = len(line) - len(line.lstrip())
            while blocks and indent <= blocks[-1][0]:
                blocks.pop()
            if fence := fence_at.get(number):
                self._read_fence(fence, number, folded=any(folded for _, folded in blocks))
            elif heading := _HEADING.fullmatch(line):
                self._read_heading(heading, number)
            elif admonition := _ADMONITION.fullmatch(line):
                start = self.starts[number - 1] + indent
                end = self.starts[number - 1] + len(line)
                self.items.append(Admonition(number, start, end, admonition["type"], admonition["mark"][:3]))
                blocks.append((indent, admonition["mark"] != "!!!"))
            elif number >= skip_table and number < len(lines) and "|" in line and _is_delimiter(lines[number]):
                skip_table = self._read_table(lines, number)
            elif _UNDERLINE.fullmatch(line) and number > 1 and _is_paragraph(lines[number - 2]):
                self.error("an underlined heading", self.starts[number - 2], "write '## text { #id }'")

    def _read_heading(self, match: re.Match[str], number: int) -> None:
        offset = self.starts[number - 1]
        start, end = offset + match.start("marks"), offset + match.end()
        text = self.text[offset + match.start("text") : offset + match.end("text")]
        ids = _ID.findall(match["attributes"] or "")
        if len(ids) != 1:
            self.error(
                f"the heading {text!r} has no id", start, "give it one, the same in both languages: { #some-id }"
            )
            return
        if not _ID_NAME.fullmatch(ids[0]):
            self.error(f"{ids[0]!r} is no id for a heading", start, "use lower-case letters, digits and hyphens")
            return
        self.items.append(Heading(number, start, end, len(match["marks"]), ids[0], text))

    def _check_ids(self) -> None:
        seen: dict[str, int] = {}
        for item in self.items:
            if isinstance(item, Heading) and seen.setdefault(item.id, item.line) != item.line:
                self.error(f"two headings have the id {item.id!r} (the first is on line {seen[item.id]})", item.start)

    def _read_table(self, lines: list[str], number: int) -> int:
        """Read the table whose header is on line `number`; the line below it is returned."""
        columns = _columns(lines[number])
        last = number + 1
        while last < len(lines) and "|" in lines[last]:
            last += 1
        for row in (number, *range(number + 2, last + 1)):
            if (found := _columns(lines[row - 1])) != columns:
                message = f"a table row with {found} cells in a table of {columns} columns"
                self.error(message, self.starts[row - 1], r"write a | that is no border as \|")
        for formula in self.items:
            if isinstance(formula, Math) and number <= formula.line <= last and "|" in formula.latex:
                self.error("a | in a formula in a table", formula.start, r"write \vert: a | ends the cell")
        start = self.starts[number - 1]
        self.items.append(Table(number, start, start + len(lines[number - 1]), last - number - 1, columns))
        return last + 1

    def _read_fence(self, match: re.Match[str], number: int, *, folded: bool) -> None:
        start, end = match.end("indent"), match.end()
        info = match["info"].strip()
        quotation = _CELL_INFO.fullmatch(info)
        if not quotation:
            if "{" in info and "cell" in info:
                self.error(f"{info!r} quotes no cell", start, 'write ```python {cell="name"}')
            self.items.append(Fence(number, start, end, info))
            return
        options = self._fence_options(quotation["options"], start)
        if options is None:
            return
        if match["body"].strip():
            self.error("code below a quotation of a cell", start, "leave it empty: the code comes from the snippet")
        output = options.get("output", "true")
        if output not in ("true", "false"):
            self.error(f"output={output} is neither true nor false", start)
        snippet, _, cell = options["cell"].rpartition(":")
        fold = options.get("fold")
        snippet = _stem(snippet) or self.stem
        self.items.append(Cell(number, start, end, snippet, cell, output == "true", fold, match["indent"], folded))

    def _fence_options(self, text: str, start: int) -> dict[str, str] | None:
        found = {match["name"]: match["quoted"] or match["bare"] or "" for match in _OPTION.finditer(text)}
        rest = _OPTION.sub("", text).strip()
        if rest:
            self.error(f"{rest!r} is no option of a quotation", start, 'write name="value"')
            return None
        for name in found:
            if name not in _CELL_OPTIONS:
                self.error(f"unknown option {name!r}", start, nearest(name, _CELL_OPTIONS))
                return None
        if not found.get("cell"):
            self.error("a quotation that names no cell", start, 'write ```python {cell="name"}')
            return None
        return found

    # Within the lines

    def _read_inline(self, start: int, end: int) -> None:
        for match in _INLINE.finditer(self.masked, start, end):
            if match["braces"] is not None:
                self._read_braces(match)
            elif match["citation"] is not None:
                self._read_citation(match)
            elif match["auto"] is not None:
                self._add_link(match, match["auto"], Span(match.start(), match.start()))
            elif match["target"].startswith("figure:"):
                self._read_figure(match)
            else:
                if match["target"].startswith("claim:"):
                    self._read_claim(match)
                else:
                    self._add_link(match, match["target"], Span(*match.span("text")))
                self._read_inline(*match.span("text"))

    def _add_link(self, match: re.Match[str], target: str, label: Span) -> None:
        if not target:
            self.error("a link without a target", match.start())
        self.items.append(Link(self.line(match.start()), *match.span(), target, label))

    def _read_braces(self, match: re.Match[str]) -> None:
        start, end = match.span()
        # From the source, since a masked part would not be recognized.
        inner = self.text[slice(*match.span("braces"))].strip()
        line = self.line(start)
        if value := _VALUE.fullmatch(inner):
            keys = tuple(
                int(key["index"]) if key["index"] else (key["double"] or key["single"] or "")
                for key in _KEY.finditer(value["keys"])
            )
            self.items.append(Value(line, start, end, value["snippet"], value["name"], keys, value["format"] or ""))
        elif number := _NUMBER.fullmatch(inner):
            self.items.append(Number(line, start, end, number["kind"], number["text"]))
        elif inner in DIRECTIVES:
            before = self.text[self.starts[line - 1] : start]
            after = self.text[end:].split("\n", 1)[0]
            if before.strip() or after.strip():
                self.error(f"{{{{ {inner} }}}} must stand alone on its line", start)
            self.items.append(Directive(line, start, end, inner, before))
        else:
            known = [*DIRECTIVES, "define: 0.9", "cited: 0.9"]
            hint = f"{nearest(inner, known)} A value is written {{{{ snippet.name:.2f }}}}"
            self.error(f"{{{{ {inner} }}}} is neither a value nor a directive", start, hint)

    def _read_citation(self, match: re.Match[str]) -> None:
        parts = [part.strip() for part in match["citation"].split(";")]
        found = [_KEYS.fullmatch(part) for part in parts]
        if None in found:
            self.error(f"[{match['citation']}] is no citation", match.start(), "write [@key] or [@one; @two]")
            return
        keys = tuple(key["key"] for key in found if key)
        self.items.append(Citation(self.line(match.start()), *match.span(), keys))

    def _target(self, match: re.Match[str], what: str) -> tuple[str, str] | None:
        """The snippet's stem and the name in `figure:snippet:name` or `claim:snippet:name`."""
        parts = match["target"].split(":")
        if len(parts) != 3 or not all(parts):
            self.error(f"{match['target']!r} names no {what}", match.start(), f"write {what}:snippet:name")
            return None
        return _stem(parts[1]), parts[2]

    def _read_claim(self, match: re.Match[str]) -> None:
        if match["image"]:
            self.error("a claim is no image", match.start(), "remove the '!'")
        if not match["text"].strip():
            self.error("a claim without a statement", match.start(), "write [statement](claim:snippet:name)")
        if target := self._target(match, "claim"):
            self.items.append(Claim(self.line(match.start()), *match.span(), *target, Span(*match.span("text"))))

    def _read_figure(self, match: re.Match[str]) -> None:
        start = match.start()
        first = self.line(start)
        line = self.masked[self.starts[first - 1] :].split("\n", 1)[0]
        target = self._target(match, "figure")
        if not match["image"] or not _FIGURE_LINE.fullmatch(line):
            self.error("a figure must stand alone on its line", start, "write ![text alternative](figure:snippet:name)")
            return
        if not match["text"].strip():
            self.error("a figure without a text alternative", start, "describe it: ![what is to be seen](figure:…)")
        caption = _CAPTION.match(self.masked, self.starts[first - 1] + len(line))
        if not caption:
            self.error("a figure without a caption", start, "write it on the next line: ': what the figure shows'")
            return
        if target:
            indent = line[: len(line) - len(line.lstrip())]
            spans = Span(*match.span("text")), Span(*caption.span("caption"))
            self.items.append(Figure(first, start, caption.end(), *target, *spans, indent))
        self._read_inline(*match.span("text"))


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _stem(name: str) -> str:
    """The stem of a snippet that may be named with its chapter."""
    return name.rsplit("/", 1)[-1]


def _is_delimiter(line: str) -> bool:
    return "|" in line and _DELIMITER.fullmatch(line) is not None


def _is_paragraph(line: str) -> bool:
    return bool(line.strip()) and MASK not in line and "|" not in line and not _UNDERLINE.fullmatch(line)


def _columns(row: str) -> int:
    return len(re.split(r"(?<!\\)\|", row.strip().removeprefix("|").removesuffix("|")))


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """The paragraphs of a text and where they begin."""
    for match in re.finditer(r"(?:[^\n]*\S[^\n]*\n?)+", text):
        yield match.start(), match[0]
