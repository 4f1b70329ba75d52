"""Fills in one page: each item becomes Markdown of the page's language."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from textwrap import indent
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reglab_site import axes, bibliography, docstrings, errata, gallery, items, layers, overviews, pages
from reglab_site.artefact import Artefact, Value
from reglab_site.bibliography import Work
from reglab_site.catalogue import localize_code
from reglab_site.errors import SiteError, SiteErrors, nearest, raise_all
from reglab_site.items import Span
from reglab_site.pages import Page
from reglab_site.snippet import Snippet

if TYPE_CHECKING:
    from reglab_site.weave import Weaver

WORDS = {
    "zh": {
        "check": "如何验证",
        "solution": "参考代码",
        "proof": "每次构建都会运行下面的断言，任何一条不成立，网站就不会发布。",
        "proven": "如何验证：断言 {claim}",
        "said": "原文：",
        "true": "实际：",
        "erratum": "勘误",
        "citation": "（{works}）",
        "between": "；",
        "columns": "原文 | 类型 | 说法 | 实际 | 章节与断言",
    },
    "en": {
        "check": "How we know",
        "solution": "Code",
        "proof": "Every build runs the assertions below, and publishes nothing if one of them fails.",
        "proven": "How we know: the assertion {claim}",
        "said": "Said: ",
        "true": "True: ",
        "erratum": "erratum",
        "citation": "({works})",
        "between": "; ",
        "columns": "Source | Kind | Said | True | Section, assertion",
    },
}
ERRATA_PAGE = "reference/errata"
_SCIENTIFIC = re.compile(r"e([+-])0*(\d+)$")
_RAISED = str.maketrans("+-0123456789", "\u207a\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def anchor(stem: str, cell: str) -> str:
    """The id of a check cell in a page."""
    return f"check-{stem}-{cell}"


def figure_file(stem: str, name: str, language: str) -> str:
    """The name of a figure's file."""
    return f"{stem}-{name}.{language}.svg"


@dataclass(frozen=True)
class Filled:
    """What an item has become, and where the text goes on behind it."""

    text: str
    end: int


class Filling:
    """One page on its way."""

    def __init__(self, weaver: Weaver, page: Page, name: str, language: str, figure_folder: str | None) -> None:
        self.weaver = weaver
        self.page = page
        self.name = name
        self.language = language
        self.figure_folder = figure_folder
        self.words = WORDS[language]
        self.errors: list[SiteError] = []
        self._fill_item: dict[type[items.Item], Callable[[Any], str | Filled]] = {
            items.Cell: self.cell,
            items.Figure: self.drawn,
            items.Value: self.value,
            items.Number: lambda number: number.text,
            items.Claim: self.claim,
            items.Citation: self.citation,
            items.Directive: self.directive,
        }

    def whole(self) -> str:
        """The whole page, or all that is wrong with it."""
        text = self.fill(Span(self.page.body, len(self.page.text)))
        self.check_citations()
        # A data file that is malformed is read, and reported, for each item that needs it.
        raise_all(list({(error.file, error.line, error.message): error for error in self.errors}.values()))
        return text

    def fill(self, span: Span) -> str:
        """A part of the page with its items filled in."""
        parts: list[str] = []
        at = span.start
        for item in self.page.items:
            if item.start < at or item.end > span.end or type(item) not in self._fill_item:
                continue
            parts.append(self.page.text[at : item.start])
            try:
                filled = self._fill_item[type(item)](item)
            except SiteError as error:
                self.errors.append(error)
                filled = ""
            except SiteErrors as several:
                self.errors += several.errors
                filled = ""
            if isinstance(filled, str):
                filled = Filled(filled, item.end)
            parts.append(filled.text)
            at = filled.end
        return "".join([*parts, self.page.text[at : span.end]])

    def error(self, message: str, item: items.Item, hint: str | None = None) -> SiteError:
        return SiteError(message, file=self.page.path, line=item.line, hint=hint)

    # What a page refers to

    def snippet(self, stem: str, item: items.Item) -> Snippet:
        if stem not in self.weaver.snippets:
            raise self.error(f"there is no snippet {stem!r}", item, nearest(stem, self.weaver.snippets))
        return self.weaver.snippets[stem]

    def artefact(self, stem: str, item: items.Item) -> Artefact:
        snippet = self.snippet(stem, item)
        if stem not in self.weaver.artefacts:
            raise self.error(f"{snippet.name} has not run", item, f"call: python -m reglab_site run {stem}")
        return self.weaver.artefacts[stem]

    def page_link(self, name: str, fragment: str = "") -> str:
        """A link to a page or to a place on it, relative to this page."""
        place = f"#{fragment}" if fragment else ""
        if name == self.name:
            return place
        return f"{posixpath.relpath(name, posixpath.dirname(self.name) or '.')}.md{place}"

    def check_link(self, stem: str, cell: str, item: items.Item) -> str:
        page = self.weaver.quoting_page(stem, cell, self.name)
        if page is None:
            hint = f'quote it on the page of {stem}: ```python {{cell="{cell}"}}'
            raise self.error(f"no page shows the cell {stem}:{cell}, which proves this", item, hint)
        return self.page_link(page, anchor(stem, cell))

    def proof(self, stem: str, cell: str, claim: str, item: items.Item) -> str:
        """A small mark that leads to the assertion."""
        title = self.words["proven"].format(claim=claim)
        return f'[✓]({self.check_link(stem, cell, item)}){{ .rl-claim title="{title}" aria-label="{title}" }}'

    # Cells

    def cell(self, item: items.Cell) -> Filled:
        """Code, its annotations, and what it printed, folded where it is a check or a solution."""
        snippet = self.snippet(item.snippet, item)
        names = [cell.name for cell in snippet.cells]
        if item.cell not in names:
            raise self.error(f"{snippet.name} has no cell {item.cell!r}", item, nearest(item.cell, names))
        cell = snippet.cell(item.cell)
        code = localize_code(cell.code, self.language, self.weaver.catalogue, file=snippet.path, line=cell.line)
        parts = [fence("python", code)]
        end = item.end
        if re.search(r"#.*\(\d+\)!\s*$", cell.code, re.MULTILINE):
            end = _list_end(self.page.text, item.end, item.indent)
            if end == item.end:
                hint = "write an ordered list right below it, an item for each '# (1)!'"
                raise self.error(f"the cell {item.cell!r} has annotations that nothing explains", item, hint)
            notes = self.fill(Span(item.end, end)).strip("\n")
            parts.append("\n".join(line.removeprefix(item.indent) for line in notes.split("\n")))
        printed = self.artefact(item.snippet, item).cell(item.cell).stdout
        if item.output and printed.strip():
            parts.append(fence("{ .text .output }", printed.rstrip()))
        title = item.fold
        if cell.is_check:
            parts.insert(0, f"{self.words['proof']}\n{{ #{anchor(item.snippet, item.cell)} .rl-proof }}")
            title = title or self.words["check"]
        elif is_solution(item.cell):
            title = title or self.words["solution"]
        text = "\n\n".join(parts)
        if title and not item.folded:
            text = f'??? {"check" if cell.is_check else "example"} "{title}"\n\n{nested(text, "    ")}'
        return Filled(nested(text, item.indent).removeprefix(item.indent), end)

    # Figures

    def drawn(self, item: items.Figure) -> str:
        """A figure and its caption."""
        figures = self.artefact(item.snippet, item).figures
        if item.name not in figures:
            raise self.error(f"{item.snippet} draws no figure {item.name!r}", item, nearest(item.name, figures))
        alternative = _plain(self.fill(item.alternative))
        caption = _one_line(self.fill(item.caption))
        if self.figure_folder is None:
            place = f'<span class="rl-place" data-figure="{item.snippet}:{item.name}" data-text="{quote(alternative)}">'
            return f"{place}</span>{caption}"
        file = figure_file(item.snippet, item.name, self.language)
        return f"![{alternative}]({self.figure_folder}/{file})\n\n{item.indent}*{caption}*"

    # Values

    def value(self, item: items.Value) -> str:
        """A value of a run, formatted."""
        values = self.weaver.totals if item.snippet == items.SITE else self.artefact(item.snippet, item).values
        if item.name not in values:
            raise self.error(f"{item.snippet} has no value {item.name!r}", item, nearest(item.name, values))
        value, name = values[item.name], f"{item.snippet}.{item.name}"
        for key in item.keys:
            value = self.indexed(value, key, name, item)
            name += f"[{key!r}]"
        if value is None or isinstance(value, list | dict):
            hint = f"quote one entry, such as {name}[0]" if isinstance(value, list) else "quote one entry"
            raise self.error(f"{name} is no single value", item, hint)
        if not item.format and isinstance(value, float) and len(repr(value)) > 6:
            raise self.error(f"{name} is {value!r}: too long to show", item, f"give it a format: {name}:.3f")
        try:
            shown = format(value, item.format)
        except ValueError as error:
            hint = "formats are Python's, such as .4f, .1%, d"
            raise self.error(f"{item.format!r} does not format {value!r}: {error}", item, hint) from error
        in_prose = self.page.masked[item.start] != pages.MASK  # and not within a formula or code
        return _SCIENTIFIC.sub(_power_of_ten, shown) if in_prose and isinstance(value, int | float) else shown

    def indexed(self, value: Value, key: int | str, name: str, item: items.Value) -> Value:
        entry: Value
        if isinstance(value, dict) and key in value:
            entry = value[str(key)]
            return entry
        if isinstance(value, list) and isinstance(key, int) and -len(value) <= key < len(value):
            entry = value[key]
            return entry
        if isinstance(value, dict):
            hint = nearest(str(key), value)
        else:
            hint = f"it has {len(value)} entries" if isinstance(value, list) else "it is a single value"
        raise self.error(f"{name} has no entry {key!r}", item, hint)

    # Statements and their proofs

    def claim(self, item: items.Claim) -> str:
        """A statement with a mark that leads to its assertion."""
        claims = self.snippet(item.snippet, item).claims
        if item.name not in claims:
            raise self.error(f"{item.snippet} claims no {item.name!r}", item, nearest(item.name, claims))
        statement = self.fill(item.statement)
        return statement + self.proof(item.snippet, claims[item.name].name, item.name, item)

    # Citations

    @cached_property
    def cited(self) -> dict[str, Work]:
        """The known works that the page cites, in the order of a reference list."""
        keys = {key for item in self.page.items if isinstance(item, items.Citation) for key in item.keys}
        works = [self.weaver.works[key] for key in keys if key in self.weaver.works]
        works.sort(key=lambda work: (work.label("en").casefold(), work.year, work.key))
        return {work.key: work for work in works}

    def citation(self, item: items.Citation) -> str:
        suffixes = bibliography.suffixes(self.cited.values())
        links = []
        for key in item.keys:
            if key not in self.cited:
                raise self.error(f"there is no work {key!r}", item, nearest(key, self.weaver.works))
            links.append(f"[{self.cited[key].label(self.language)}{suffixes[key]}](#ref-{key})")
        return self.words["citation"].format(works=self.words["between"].join(links))

    def check_citations(self) -> None:
        """Whatever is cited must stand in a reference list on the page."""
        listed = any(isinstance(item, items.Directive) and item.name == "bibliography" for item in self.page.items)
        cited = next((item for item in self.page.items if isinstance(item, items.Citation)), None)
        if cited and not listed:
            self.errors.append(
                self.error("a citation on a page without a reference list", cited, "add {{ bibliography }}")
            )

    # Directives

    def directive(self, item: items.Directive) -> str:
        lines: dict[str, Callable[[items.Directive], str]] = {
            "axes": self.axes,
            "bibliography": self.bibliography,
            "errata": self.errata_box,
            "errata_table": self.errata_table,
            "gallery": self.gallery,
            "glossary": lambda _: overviews.glossary(self.weaver.glossary, self.language),
            "layers": lambda item: layers.cards(self.artefact(layers.SNIPPET, item), self.language),
            "library": self.library,
            "runs": lambda _: overviews.runs(self.weaver, self.language, self.page_link),
            "works": lambda _: overviews.works(self.weaver, self.language, self.page_link),
        }
        return indent(lines[item.name](item), item.indent).removeprefix(item.indent)

    def axes(self, item: items.Directive) -> str:
        """Which cells share their statistics: pictures to choose from, or a table where there is no HTML around it."""
        run = self.artefact(axes.SNIPPET, item)
        return axes.picture(run, self.language) if self.figure_folder is None else axes.table(run, self.language)

    def gallery(self, item: items.Directive) -> str:
        """Every activation module of torch, with drawings where there is HTML around them."""
        run = self.artefact(gallery.SNIPPET, item)
        return gallery.cards(run, self.language, drawings=self.figure_folder is None)

    def library(self, item: items.Directive) -> str:
        """What the library offers, by its docstrings."""
        catalogue = None if self.language == "en" else self.weaver.catalogue
        return docstrings.reference(self.weaver.library, catalogue, plain=self.figure_folder is not None)

    def bibliography(self, item: items.Directive) -> str:
        if not self.cited:
            raise self.error("a reference list on a page that cites nothing", item, "cite a work: [@key]")
        suffixes = bibliography.suffixes(self.cited.values())
        return "\n".join(
            f"{number}. {work.entry(self.language, suffixes[work.key])}\n   {{ #ref-{work.key} }}"
            for number, work in enumerate(self.cited.values(), 1)
        )

    def errata_box(self, item: items.Directive) -> str:
        """What the posts said about the subject of this page."""
        entries = [entry for entry in self.weaver.errata if entry.section == self.name]
        if not entries:
            hint = f"add them to docs/reference/errata/{self.name.split('/')[0]}.yml, or remove this"
            raise self.error(f"there are no errata for {self.name}", item, hint)
        blocks = ['!!! errata ""']  # without a title: the heading above it is one
        for entry in entries:
            more = ""
            if ERRATA_PAGE in self.weaver.pairs:
                more = f" [{self.words['erratum']}]({self.page_link(ERRATA_PAGE, entry.id)})"
            blocks += [
                f"    - **{self.sources(entry)}** · {errata.KINDS[entry.kind][self.language]}{more}",
                f"        {self.words['said']}{self.sentence(entry.said, entry)}",
                f"        {self.words['true']}{self.sentence(entry.true, entry)}{self.entry_proof(entry, item)}",
            ]
        return "\n\n".join(blocks)

    def errata_table(self, item: items.Directive) -> str:
        """All that the posts said; each row has an id, and data attributes for a script that filters."""
        if not self.weaver.errata:
            raise self.error("there are no errata", item, "add them to docs/reference/errata/, or remove this")
        filters = "" if self.figure_folder is not None else f"{overviews.errata_filter(self.weaver, self.language)}\n\n"
        rows = [f"{filters}| {self.words['columns']} |", "|---|---|---|---|---|"]
        for entry in self.weaver.errata:
            data = f'id="{entry.id}" data-source="{" ".join(entry.sources)}" data-kind="{entry.kind}"'
            cells = [
                f'<span class="rl-row rl-erratum" {data}></span>{self.numbers(entry)}',
                errata.KINDS[entry.kind][self.language],
                self.labelled("said", self.sentence(entry.said, entry)),
                self.labelled("true", self.sentence(entry.true, entry)),
                f"[{self.weaver.title(entry.section, self.language)}]({self.page_link(entry.section)}) "
                f"{self.entry_proof(entry, item)}",
            ]
            rows.append(f"| {' | '.join(cells)} |")
        return "\n".join(rows)

    def labelled(self, word: str, text: str) -> str:
        """A cell that says what it is, for where the rows of a table become cards and its head is gone."""
        label = self.words[word].strip()
        return text if self.figure_folder is not None else f'{text} {{ data-label="{label}" }}'

    def numbers(self, entry: errata.Entry) -> str:
        """The numbers of the sources, with their names as tooltips."""
        names = [(source, errata.SOURCES[source][self.language]) for source in entry.sources]
        return " ".join(f'<abbr title="{name}">{source}</abbr>' for source, name in names)

    def sources(self, entry: errata.Entry) -> str:
        between = "、" if self.language == "zh" else ", "
        return between.join(errata.SOURCES[source][self.language] for source in entry.sources)

    def sentence(self, sentences: dict[str, errata.Sentence], entry: errata.Entry) -> str:
        """A sentence of an entry, with its values filled in."""
        found = sentences[self.language]
        page = pages.sentence(found.text, entry.file, found.line, self.language)
        for item in page.items:
            if not isinstance(item, items.Value | items.Number | items.Math | items.Link):
                hint = "use text, values, formulas and links"
                raise SiteError(f"a {item.what} in an erratum", file=entry.file, line=found.line, hint=hint)
        return Filling(self.weaver, page, self.name, self.language, self.figure_folder).whole()

    def entry_proof(self, entry: errata.Entry, item: items.Item) -> str:
        return self.proof(entry.snippet, entry.cell, entry.claim or f"{entry.snippet}:{entry.cell}", item)


def is_solution(cell: str) -> bool:
    """Whether a cell of that name belongs to the solution of an exercise."""
    return cell == "solution" or cell.startswith("solution_")


def nested(text: str, indentation: str) -> str:
    """The text as part of a block; its blank lines too, since pytest-codeblocks drops those that are less indented."""
    return indent(text, indentation, lambda line: True)


def fence(info: str, text: str) -> str:
    """A fenced block that `text` cannot end."""
    longest = max((len(run) for run in re.findall(r"^[ \t]*(`{3,})", text, re.MULTILINE)), default=2)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{info}\n{text}\n{ticks}"


def _list_end(text: str, start: int, spaces: str) -> int:
    """Where the ordered list ends that follows `start` directly; `start` itself where there is none."""
    blank = r"(?:[ \t]*\n)*"
    item = rf"{spaces}\d+\.[ \t][^\n]*\n?(?:{blank}{spaces}[ \t]+\S[^\n]*\n?)*"
    match = re.compile(rf"\n{blank}{item}(?:{blank}{item})*").match(text, start)
    return match.end() - match[0].endswith("\n") if match else start


def _power_of_ten(exponent: re.Match[str]) -> str:
    """`e-07`, the end of a number, as people write it: ×10⁻⁷."""
    return "×10" + f"{exponent[1].strip('+')}{exponent[2]}".translate(_RAISED)


def _plain(markdown: str) -> str:
    """Markdown of a text alternative as plain text."""
    return re.sub(r"[`*]|\\(?=\W)", "", _one_line(markdown))


def _one_line(text: str) -> str:
    """The lines of a paragraph as one: Chinese is joined without a space."""
    wide = rf"[{pages.CHINESE}，。：；？！、（）“”]"
    return " ".join(re.sub(rf"(?<={wide})\s*\n\s*(?={wide})", "", text).split())
