"""Weaving: a page's source and the results of the snippets become plain Markdown in one language.

Two kinds of it: with figures as links to .svg files, which any reader of Markdown understands; and for the HTML site,
with a place for each figure that `inline_figures` fills once Markdown has been rendered.
"""

from __future__ import annotations

import argparse
import html
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import griffe

from reglab_site import bibliography, docstrings, errata, glossary, overviews, pages, run
from reglab_site import snippet as snippet_module
from reglab_site.artefact import Artefact, Value
from reglab_site.artefact import Figure as DrawnFigure
from reglab_site.bibliography import Work
from reglab_site.catalogue import Catalogue
from reglab_site.errors import SiteError, SiteErrors, nearest, raise_all
from reglab_site.fill import Filling
from reglab_site.fill import figure_file as figure_file
from reglab_site.items import Cell
from reglab_site.pages import Page, Pair
from reglab_site.project import LANGUAGES, Project
from reglab_site.snippet import Snippet

Figures = Literal["link", "inline"]


class Weaver:
    """Weaves the pages of a project.

    Args:
        project: where the pages are.
        snippets: all of them, by name.
        artefacts: what their runs left, by name.
    """

    def __init__(self, project: Project, snippets: Mapping[str, Snippet], artefacts: Mapping[str, Artefact]) -> None:
        self.project = project
        self.snippets = {snippet.stem: snippet for snippet in snippets.values()}
        self.artefacts = {artefact.stem: artefact for artefact in artefacts.values()}
        self._pages: dict[Path, Page] = {}

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        """All pages, by name."""
        return {pair.name: pair for pair in pages.find(self.project)}

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue.read(self.project.catalogue)

    @cached_property
    def works(self) -> dict[str, Work]:
        return bibliography.read(self.project)

    @cached_property
    def errata(self) -> list[errata.Entry]:
        return errata.read(self.project, {snippet.name: snippet for snippet in self.snippets.values()})

    @cached_property
    def glossary(self) -> glossary.Glossary:
        return glossary.read(self.project)

    @cached_property
    def library(self) -> griffe.Module:
        """The library that the snippets use, as its reference shows it."""
        return docstrings.library(self.project.src)

    @cached_property
    def totals(self) -> dict[str, Value]:
        """What pages quote about the whole site."""
        return overviews.totals(self)

    @cached_property
    def _quoted_on(self) -> dict[tuple[str, str], list[str]]:
        """Which pages quote a cell. A page that cannot be read says so when it is woven itself."""
        where: dict[tuple[str, str], list[str]] = {}
        for pair in self.pairs.values():
            try:
                page = self.page(pair.name, LANGUAGES[0])
            except (SiteError, SiteErrors):
                continue
            for item in page.items:
                if isinstance(item, Cell):
                    where.setdefault((item.snippet, item.cell), []).append(pair.name)
        return where

    def page(self, name: str, language: str) -> Page:
        """The source of a page, read once."""
        pair = self.pairs.get(name)
        if not pair:
            raise SiteError(f"there is no page {name!r}", hint=nearest(name, self.pairs))
        path = pair.path(language)
        if path not in self._pages:
            self._pages[path] = pages.parse(path)
        return self._pages[path]

    def title(self, name: str, language: str) -> str:
        """The short title of a page, as the navigation shows it."""
        page = self.page(name, language)
        return str(page.front.get("title") or page.title)

    def weave(self, name: str, language: str, *, figures: Figures = "link", figure_folder: str | None = None) -> str:
        """The page's Markdown with everything filled in, without its front matter.

        Args:
            name: the page's path below `docs/` without suffixes; with them does as well.
            language: `zh` or `en`.
            figures: `link` to .svg files, or leave a place to put them `inline` (see `inline_figures`).
            figure_folder: how a link leads from the page to the folder of figures; by default as `main` writes them.

        Raises:
            SiteErrors: everything on the page that is misspelt.
        """
        name = name.removesuffix(f".{language}.md")
        page = self.page(name, language)
        if figure_folder is None:
            figure_folder = "../" * (name.count("/") + 1) + "figures"
        return Filling(self, page, name, language, None if figures == "inline" else figure_folder).whole()

    def quoting_page(self, stem: str, cell: str, nearest_to: str) -> str | None:
        """A page that quotes the cell: the given one, that of the snippet's name, or any other."""
        found = self._quoted_on.get((stem, cell), [])
        snippet = self.snippets.get(stem)
        preferred = [name for name in (nearest_to, snippet.name if snippet else "") if name in found]
        return next(iter([*preferred, *found]), None)

    def figure(self, stem: str, name: str) -> DrawnFigure:
        """A figure by its names; `KeyError` if there is none."""
        return self.artefacts[stem].figures[name]


# Figures in HTML and in files

_PLACE = re.compile(
    r'<p><span class="rl-place" data-figure="(?P<stem>[^":]+):(?P<name>[^"]+)" data-text="(?P<text>[^"]*)"></span>'
    r"(?P<caption>.*?)</p>",
    re.DOTALL,
)


def inline_figures(content: str, weaver: Weaver, language: str) -> str:
    """Rendered HTML with the figures in their places."""

    def put(place: re.Match[str]) -> str:
        stem, name = place["stem"], place["name"]
        svg = described(weaver.figure(stem, name).svg[language], unquote(place["text"]))
        caption = f"<figcaption>{place['caption'].strip()}</figcaption>"
        return f'<figure class="rl-figure" id="fig-{stem}-{name}">{svg}{caption}</figure>'

    return _PLACE.sub(put, content)


_SVG = re.compile(r"<svg\b(?P<attributes>[^>]*)>")


def described(svg: str, text: str) -> str:
    """An SVG that a screen reader reads as one image with `text` as its description."""
    opening = _SVG.search(svg)
    assert opening, "a figure is an SVG"
    attributes = re.sub(r'\s(?:role|aria-\w+|xmlns)="[^"]*"', "", opening["attributes"])
    return f'<svg role="img" aria-label="{html.escape(text)}"{attributes}>' + svg[opening.end() :]


def standalone(figure: DrawnFigure, language: str) -> str:
    """The SVG of a figure as a file of its own, with its size and its namespace, on white: its ink is black there."""
    svg = figure.svg[language]
    opening = _SVG.search(svg)
    assert opening, "a figure is an SVG"
    attributes = re.sub(r'\s(?:width|height|xmlns|style)="[^"]*"', "", opening["attributes"])
    size = f'width="{figure.width:g}" height="{figure.height:g}" style="background:#fff"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}{attributes}>{svg[opening.end() :].rstrip()}\n'


def figure_files(artefacts: Iterable[Artefact]) -> dict[str, str]:
    """All figures of these runs as files, by name."""
    return {
        figure_file(artefact.stem, figure.name, language): standalone(figure, language)
        for artefact in artefacts
        for figure in artefact.figures.values()
        for language in LANGUAGES
    }


# The command line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `python -m reglab_site weave` takes."""
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder to write to")


def main(project: Project, arguments: argparse.Namespace) -> None:
    """`python -m reglab_site weave`: write DIR/zh/…/NAME.md, DIR/en/…/NAME.md and DIR/figures/….svg."""
    snippets = snippet_module.find(project)
    weaver = Weaver(project, snippets, run.run(project))
    files: dict[str, str] = {}
    errors: list[SiteError] = []
    for name in weaver.pairs:
        for language in LANGUAGES:
            try:
                front = weaver.page(name, language)
                files[f"{language}/{name}.md"] = front.text[: front.body] + weaver.weave(name, language)
            except SiteError as error:
                errors.append(error)
            except SiteErrors as several:
                errors += several.errors
    raise_all(errors)
    for name, svg in figure_files(weaver.artefacts.values()).items():
        files[f"figures/{name}"] = svg
    for name, text in files.items():
        path = arguments.to / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"{len(files)} files in {arguments.to}")
