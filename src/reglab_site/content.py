"""All that a build of the site shows, gathered before anything of the site is touched."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

from reglab_site import labs, run, snippet
from reglab_site.artefact import Artefact, CellResult
from reglab_site.catalogue import localize_code
from reglab_site.check import check
from reglab_site.errors import SiteError, raise_all
from reglab_site.glossary import Glossary
from reglab_site.items import Figure
from reglab_site.labs import Lab
from reglab_site.project import LANGUAGES, Project
from reglab_site.thumbnail import TooLarge, thumbnail
from reglab_site.weave import Weaver, figure_files

FIGURES = "figures"


@dataclass(frozen=True)
class Section:
    """A page that opens with a figure, as the home page shows it; `drawing` is a thumbnail of the figure."""

    title: str
    text: str
    drawing: str


@dataclass(frozen=True)
class Content:
    """What the pages of all languages are made from.

    Attributes:
        weaver: knows all pages and results.
        pages: the woven Markdown of each page by its path below `docs/`, with places for its figures.
        files: further files of the site, by path: figures, and the Markdown of each page beside its HTML.
        labs: the notebooks of all languages by their path.
        sections: pages with figures by their address below the site's.
        glossary: the words that the search knows.
    """

    weaver: Weaver
    pages: dict[str, str]
    files: dict[str, str]
    labs: dict[str, Lab]
    sections: dict[str, Section]
    glossary: Glossary


def gather(project: Project, *, repository: str) -> Content:
    """Run what is stale, check and weave every page, make every notebook.

    Raises:
        SiteErrors: everything that is wrong in the sources.
    """
    snippets = snippet.find(project)
    artefacts = run.run(project)
    raise_all(check(project, snippets, artefacts))
    weaver = Weaver(project, snippets, artefacts)
    woven = {(name, language): _woven(weaver, name, language) for name in weaver.pairs for language in LANGUAGES}
    files = {f"{FIGURES}/{name}": svg for name, svg in figure_files(artefacts.values()).items()}
    for (name, language), (_, markdown) in woven.items():
        files[f"{address(name, language)}index.md"] = _published(markdown, name, weaver)
    files["llms.txt"] = overview(weaver)
    files["sections.json"] = listing(weaver)
    notebooks = {
        lab.path: lab
        for artefact in artefacts.values()
        for language in LANGUAGES
        if (lab := _lab(artefact, language, weaver, woven, repository))
    }
    return Content(
        weaver=weaver,
        pages={f"{name}.{language}.md": markdown for (name, language), (markdown, _) in woven.items()},
        files=files,
        labs=notebooks,
        sections={
            address(name, language): found for name, language in woven if (found := _section(weaver, name, language))
        },
        glossary=weaver.glossary,
    )


def address(name: str, language: str) -> str:
    """Where the site shows a page, below its own address."""
    folder = PurePosixPath("" if language == LANGUAGES[0] else language, name)
    folder = folder.parent if folder.name == "index" else folder
    return "" if folder == PurePosixPath() else f"{folder}/"


def _woven(weaver: Weaver, name: str, language: str) -> tuple[str, str]:
    """A page for the site, and as plain Markdown."""
    up = "../" * address(name, language).count("/")
    shown = weaver.weave(name, language, figures="inline")
    return shown, weaver.weave(name, language, figure_folder=f"{up}{FIGURES}")


def overview(weaver: Weaver) -> str:
    """`llms.txt`: what the site holds, for programs that read, with links to the Markdown of each page."""
    lines = [
        "# reglab",
        "",
        "> Regularization, dropout, normalization and activations in PyTorch: every page is Markdown.",
    ]
    for language, heading in (("en", "English"), ("zh", "中文")):
        lines += ["", f"## {heading}", ""]
        for name in weaver.pairs:
            page = weaver.page(name, language)
            text = f": {page.front['description']}" if "description" in page.front else ""
            lines.append(f"- [{page.title}]({address(name, language)}index.md){text}")
    return "\n".join(lines) + "\n"


def listing(weaver: Weaver) -> str:
    """`sections.json`: all pages with their titles, descriptions and addresses in both languages."""
    sections = []
    for name in weaver.pairs:
        fronts = {language: weaver.page(name, language).front for language in LANGUAGES}
        sections.append(
            {
                "name": name,
                "title": {language: weaver.title(name, language) for language in LANGUAGES},
                "description": {language: str(front.get("description", "")) for language, front in fronts.items()},
                "url": {language: address(name, language) for language in LANGUAGES},
                "markdown": {language: f"{address(name, language)}index.md" for language in LANGUAGES},
            }
        )
    return json.dumps(sections, ensure_ascii=False, indent=1) + "\n"


_LINK = re.compile(r"\]\((?P<path>[^()\s#:]+)\.md(?P<fragment>#[^()\s]*)?\)")


def _published(markdown: str, name: str, weaver: Weaver) -> str:
    """Plain Markdown of a page for its place in the site, where each page is an `index.md` in a folder of its own."""

    def relink(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), link["path"]))
        if target not in weaver.pairs:
            return link[0]
        here, there = address(name, LANGUAGES[0]) or ".", address(target, LANGUAGES[0])
        return f"]({posixpath.relpath(f'{there}index.md', here)}{link['fragment'] or ''})"

    return _LINK.sub(relink, markdown)


def _lab(
    artefact: Artefact, language: str, weaver: Weaver, woven: dict[tuple[str, str], tuple[str, str]], repository: str
) -> Lab | None:
    """The notebook of a run; None where no page explains it."""
    found = (weaver.quoting_page(artefact.stem, cell.name, artefact.snippet) for cell in artefact.cells)
    name = next((page for page in found if page), None)
    if name is None:
        return None
    shown = "".join(markdown for (_, spoken), (markdown, _) in woven.items() if spoken == language)
    places = re.findall(rf'data-figure="{artefact.stem}:(\w+)" data-text="([^"]*)"', shown)
    alternatives = {name: unquote(text) for name, text in places}
    return labs.make(
        artefact,
        language=language,
        title=weaver.page(name, language).title,
        introduction=first_paragraph(woven[name, language][1]),
        page=name,
        repository=repository,
        localize=_localize(artefact, language, weaver),
        describe=lambda figure: alternatives.get(figure.name, figure.name),
    )


def _localize(artefact: Artefact, language: str, weaver: Weaver) -> Callable[[CellResult], str]:
    source = weaver.snippets[artefact.stem]

    def localize(cell: CellResult) -> str:
        line = source.cell(cell.name).line
        return localize_code(cell.code, language, weaver.catalogue, file=source.path, line=line)

    return localize


def first_paragraph(markdown: str) -> str:
    """The first paragraph of text below the first heading."""
    for block in re.split(r"\n{2,}", markdown):
        if re.match(r"[^\W\d_]|[`$\[*“]", block.strip()) and not block.startswith("```"):
            return block.strip()
    return ""


def _section(weaver: Weaver, name: str, language: str) -> Section | None:
    page = weaver.page(name, language)
    figures = [item for item in page.items if isinstance(item, Figure)]
    if not figures:
        return None
    title, text = (str(page.front.get(key, "")) for key in ("title", "description"))
    for figure in figures:  # the first that is simple enough
        drawn = weaver.figure(figure.snippet, figure.name)
        with suppress(TooLarge):
            return Section(title or page.title, text, thumbnail(drawn.svg[language]))
    message = "no figure makes a small drawing for the home page"
    raise SiteError(message, file=page.path, line=figures[0].line, hint="one of them should be simpler")
