"""`python -m reglab_site check`: whatever can be wrong in the sources without stopping a snippet.

The two languages of a page must hold the same: headings and their ids; cells, figures, displayed formulas, tables and
admonitions, in one order; and, section by section, the same inline formulas, values, claims, citations and links, each
kind in its own order. Every cell of a snippet that a page quotes stands there once, in file order; every claim and
every work is quoted somewhere. The words are read by `lint`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from reglab_site import catalogue as catalogue_module
from reglab_site import docstrings, errata, glossary, items, lint, pages, prose, run
from reglab_site import snippet as snippet_module
from reglab_site.artefact import Artefact
from reglab_site.catalogue import Catalogue
from reglab_site.errors import SiteError, SiteErrors, raise_all
from reglab_site.glossary import Glossary
from reglab_site.pages import Page, Pair
from reglab_site.project import LANGUAGES, Project
from reglab_site.snippet import Snippet
from reglab_site.weave import Weaver

LEAST = {"zh": (800, "Chinese characters"), "en": (500, "words")}
LEAST_CELLS = 2


def check(
    project: Project, snippets: Mapping[str, Snippet], artefacts: Mapping[str, Artefact] | None
) -> list[SiteError]:
    """All that is wrong, by file and line.

    Args:
        project: what is checked.
        snippets: all of them, by name.
        artefacts: what their runs left, by name; None checks only what needs no run.
    """
    found = _Found()
    weaver = Weaver(project, snippets, artefacts or {})
    with found:
        for pair in weaver.pairs.values():
            with found:
                found.errors += check_pair(weaver, pair)
            if artefacts is not None:
                for language in LANGUAGES:
                    with found:
                        weaver.weave(pair.name, language)
        with found:
            terms = glossary.read(project)
            for pair in weaver.pairs.values():
                for language in LANGUAGES:
                    with found:
                        page = weaver.page(pair.name, language)
                        found.errors += lint.page(page, terms, section=pair.name in snippets)
            with found:
                found.errors += check_catalogue(weaver.catalogue, project.src, terms, snippets.values(), artefacts)
            with found:
                found.errors += check_errata(weaver, terms)
        with found:
            found.errors += check_use(weaver, snippets.values())
    unique = {(str(error.file), error.line or 0, error.message): error for error in found.errors}
    return [unique[key] for key in sorted(unique)]


class _Found:
    """Collects errors: as a context, those that end it."""

    def __init__(self) -> None:
        self.errors: list[SiteError] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, SiteError):
            self.errors.append(error)
        elif isinstance(error, SiteErrors):
            self.errors += error.errors
        return isinstance(error, SiteError | SiteErrors)


def _error(page: Page, item: items.Item | None, message: str, hint: str | None = None) -> SiteError:
    return SiteError(message, file=page.path, line=item.line if item else 1, hint=hint)


# The two languages of a page

_BLOCKS = (items.Heading, items.Cell, items.Fence, items.Figure, items.Table, items.Admonition, items.Directive)
_INLINE = {
    "formulas": (items.Math,),
    "values": (items.Value, items.Number),
    "claims": (items.Claim,),
    "citations": (items.Citation,),
    "links": (items.Link,),
}


def check_pair(weaver: Weaver, pair: Pair) -> Iterator[SiteError]:
    """What a page lacks in itself, and against its twin."""
    zh, en = (weaver.page(pair.name, language) for language in LANGUAGES)
    yield from compare(zh, en)
    for page in (zh, en):
        yield from check_blocks(page)
        if any(snippet.name == pair.name for snippet in weaver.snippets.values()):
            yield from check_section(page)
    yield from check_cells(zh, weaver.snippets)


def compare(zh: Page, en: Page) -> Iterator[SiteError]:
    """The first difference of each kind between a page's languages."""
    if differing := zh.front.keys() ^ en.front.keys():
        names = ", ".join(sorted(map(str, differing)))
        yield _error(zh, None, f"front matter in one language only: {names}", f"compare {en.path.name}")
    blocks = [[item for item in page.items if _is_block(item)] for page in (zh, en)]
    yield from _compare(zh, en, "blocks", blocks, by_section=False)
    headings = [[item.shape for item in found if isinstance(item, items.Heading)] for found in blocks]
    for kind, types in _INLINE.items():
        inline = [[item for item in page.items if isinstance(item, types) and not _is_block(item)] for page in (zh, en)]
        yield from _compare(zh, en, kind, inline, by_section=headings[0] == headings[1])


def _is_block(item: items.Item) -> bool:
    return isinstance(item, _BLOCKS) or (isinstance(item, items.Math) and item.display)


def _compare(
    zh: Page, en: Page, kind: str, found: Sequence[Sequence[items.Item]], *, by_section: bool
) -> Iterator[SiteError]:
    """The first place where two lists of items differ, with both lines."""
    sections = [_sections(page) if by_section else {} for page in (zh, en)]
    for left, right in zip_longest(*found):
        same_section = (left and sections[0].get(left.start)) == (right and sections[1].get(right.start))
        if left and right and left.shape == right.shape and same_section:
            continue
        place = left or found[0][-1] if found[0] else None
        there = f"{en.path.name}:{right.line} has {_shown(right)}" if right else f"{en.path.name} has no more"
        here = f"{_shown(left)}" if left else "nothing more"
        if left and right and left.shape == right.shape:
            here, there = f"{here} under #{sections[0][left.start]}", f"{there} under #{sections[1][right.start]}"
        hint = "both languages hold the same, in the same order"
        yield _error(zh, place, f"the {kind} of the languages differ: here {here}, but {there}", hint)
        return


def _sections(page: Page) -> dict[int, str]:
    """The id of the heading that each item stands under, by where it begins."""
    under, section = {}, ""
    for item in page.items:
        if isinstance(item, items.Heading):
            section = item.id
        under[item.start] = section
    return under


def _shown(item: items.Item) -> str:
    what, *parts = item.shape
    return " ".join([f"the {what}", *(f"`{part}`" for part in parts)])


# One page


def check_blocks(page: Page) -> Iterator[SiteError]:
    """What a page itself must be like."""
    figures: set[tuple[str, str]] = set()
    exercise: items.Admonition | None = None
    for item in page.items:
        if isinstance(item, items.Fence) and re.match(r"py(?:thon)?\b", item.info):
            hint = 'put it into a snippet and quote it: ```python {cell="name"}'
            yield _error(page, item, "Python code on a page", hint)
        elif isinstance(item, items.Figure):
            if (item.snippet, item.name) in figures:
                hint = "refer to it in words"
                yield _error(page, item, f"the figure {item.snippet}:{item.name} stands on the page twice", hint)
            figures.add((item.snippet, item.name))
            if pages.MASK in page.masked[item.alternative.start : item.alternative.end]:
                hint = "a screen reader speaks it: write words"
                yield _error(page, item, "a formula or code in a text alternative", hint)
        elif isinstance(item, items.Admonition) and item.type in ("exercise", "solution"):
            if item.type == "exercise":
                if exercise:
                    yield _error(page, exercise, "an exercise without a solution", 'add ??? solution "…" below it')
                exercise = item
            elif exercise:
                exercise = None
            else:
                yield _error(page, item, "a solution without an exercise", 'add !!! exercise "…" above it')
    if exercise:
        yield _error(page, exercise, "an exercise without a solution", 'add ??? solution "…" below it')


def check_cells(page: Page, snippets: Mapping[str, Snippet]) -> Iterator[SiteError]:
    """Each cell of a snippet that a page quotes stands there once, in file order."""
    quoted: dict[str, list[items.Cell]] = {}
    for item in page.items:
        if isinstance(item, items.Cell) and item.snippet in snippets:
            quoted.setdefault(item.snippet, []).append(item)
    for stem, cells in quoted.items():
        order = [cell.name for cell in snippets[stem].cells]
        known = [item for item in cells if item.cell in order]
        last = -1
        seen: dict[str, int] = {}
        for item in known:
            if item.cell in seen:
                yield _error(page, item, f"{stem}:{item.cell} is quoted twice (first on line {seen[item.cell]})")
            elif order.index(item.cell) < last:
                hint = f"the order of the file: {', '.join(order)}"
                yield _error(page, item, f"{stem}:{item.cell} is quoted too late", hint)
            last = max(last, order.index(item.cell))
            seen.setdefault(item.cell, item.line)
        if missing := [name for name in order if name not in seen]:
            hint = "quote every cell, so that the page's code runs; fold what is no reading"
            yield _error(page, cells[0], f"cells of {stem} that the page does not quote: {', '.join(missing)}", hint)


def check_section(page: Page) -> Iterator[SiteError]:
    """The page of a snippet is long enough and has what a section has."""
    least, unit = LEAST[page.language]
    if (words := prose.length(page)) < least:
        yield _error(page, None, f"{words} {unit} of prose; a section has at least {least}")
    has_source = any(
        (isinstance(item, items.Directive) and item.name == "bibliography")
        or (isinstance(item, items.Link) and item.target.startswith("http"))
        for item in page.items
    )
    for there, what in (
        (any(isinstance(item, items.Figure) for item in page.items), "figure"),
        (any(isinstance(item, items.Math) for item in page.items), "formula"),
        (sum(isinstance(item, items.Cell) for item in page.items) >= LEAST_CELLS, "second code block"),
        (has_source, "reference list or link to a source"),
    ):
        if not there:
            yield _error(page, None, f"a section without a {what}")


# What all pages together must use


def check_use(weaver: Weaver, snippets: Iterable[Snippet]) -> Iterator[SiteError]:
    """Snippets, claims, works and errata that no page uses."""
    cells: set[str] = set()
    claims: set[tuple[str, str]] = set()
    works: set[str] = set()
    with_errata: set[str] = set()
    for pair in weaver.pairs.values():
        try:
            page = weaver.page(pair.name, LANGUAGES[0])
        except (SiteError, SiteErrors):
            return  # reported already; whatever this page uses would seem unused
        for item in page.items:
            if isinstance(item, items.Cell):
                cells.add(item.snippet)
            elif isinstance(item, items.Claim):
                claims.add((item.snippet, item.name))
            elif isinstance(item, items.Citation):
                works.update(item.keys)
            elif isinstance(item, items.Directive) and item.name == "errata":
                with_errata.add(pair.name)
    for snippet in snippets:
        if snippet.stem not in cells:
            yield SiteError(
                "no page quotes this snippet", file=snippet.path, line=1, hint=f"write docs/{snippet.name}.zh.md"
            )
            continue
        for cell in snippet.cells:
            for claim in cell.claims:
                if (snippet.stem, claim.name) not in claims:
                    hint = f"write [statement](claim:{snippet.stem}:{claim.name})"
                    message = f"no page states the claim {claim.name!r}"
                    yield SiteError(message, file=snippet.path, line=claim.line, hint=hint)
    bib = weaver.project.docs / "reference" / "references.bib"
    for work in weaver.works.values():
        if work.key not in works:
            yield SiteError(f"no page cites {work.key!r}", file=bib, line=work.line, hint="cite it or remove it")
    for entry in weaver.errata:
        if entry.section not in with_errata:
            hint = "put {{ errata }} on a line there"
            yield SiteError(f"{entry.section} does not show its errata", file=entry.file, line=entry.line, hint=hint)


# The catalogue and the errata


def check_catalogue(
    catalogue: Catalogue,
    src: Path,
    terms: Glossary,
    snippets: Iterable[Snippet],
    artefacts: Mapping[str, Artefact] | None,
) -> Iterator[SiteError]:
    """Texts without Chinese, entries without a text, words that are never used."""
    package = docstrings.library(src)
    yield from docstrings.missing(package, catalogue)
    comments: list[str] = []
    for snippet in snippets:
        for cell in snippet.cells:
            for comment in catalogue_module.comments(cell.code):
                comments.append(comment.text)
                if catalogue.comment(comment.text) is None:
                    line = cell.line + comment.first - 1
                    yield catalogue.missing("comment", comment.text, what="a comment", file=snippet.path, line=line)
    if artefacts is not None:
        texts = [text for made in artefacts.values() for figure in made.figures.values() for text in figure.texts]
        described = [text for shown in docstrings.documented(package) for text in docstrings.texts(shown)]
        yield from catalogue.unused({"figure": texts, "comment": comments, "docstring": described})
    for entry in catalogue.entries.values():
        if prose.HAN.search(entry.msgid):
            hint = "snippets are written in English"
            yield SiteError("a msgid in Chinese", file=catalogue.path, line=entry.line, hint=hint)
        for found in terms.misuses(entry.msgstr):
            message = f"{found.word!r} is not used here"
            yield SiteError(message, file=catalogue.path, line=entry.line, hint=f"write {found.right}")


def check_errata(weaver: Weaver, terms: Glossary) -> Iterator[SiteError]:
    """The words of the errata: what was said may be said in any words, and with any numbers."""
    for entry in weaver.errata:
        for language in LANGUAGES:
            said, true = (
                _sentence(sentences[language], entry.file, language) for sentences in (entry.said, entry.true)
            )
            if language == "zh":
                yield from lint.misuses(true, terms)
                yield from (*lint.half_width(said), *lint.half_width(true))
            else:
                yield from (*lint.chinese(said), *lint.chinese(true))
            yield from lint.typed_numbers(true)


def _sentence(sentence: errata.Sentence, file: Path, language: str) -> Page:
    return pages.sentence(sentence.text, file, sentence.line, language)


# The command line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`python -m reglab_site check` takes nothing: it checks everything."""


def main(project: Project, arguments: argparse.Namespace) -> None:
    """`python -m reglab_site check`: run what is stale, then report all that is wrong."""
    snippets = snippet_module.find(project)
    artefacts = run.run(project)
    raise_all(check(project, snippets, artefacts))
    print("all pages agree in both languages and with their runs")
