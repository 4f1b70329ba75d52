"""Notebooks: each snippet as a Jupyter notebook per language, with the outputs of the run that the pages show.

There are two of each: the download, with formulas in LaTeX as Jupyter reads them, and the copy that mkdocs-jupyter
renders as a page of the site, with formulas in MathML.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from mkdocs.structure.toc import get_toc
from mkdocs.utils import get_relative_url

from reglab_site import math
from reglab_site.artefact import Artefact, CellResult, Figure
from reglab_site.errors import SiteError
from reglab_site.project import LANGUAGES

TEMPLATES = Path(__file__).parent / "notebook_templates"  # for mkdocs-jupyter
SUFFIX = ".ipynb"

Json = dict[str, Any]
Localize = Callable[[CellResult], str]

HOW_TO_RUN = {
    "zh": "单独运行这份笔记本之前，先装好它用到的库：`{command}`{where}。下面的输出和图来自构建网站时的那次运行。",
    "en": "To run this notebook by itself, first install the library it uses: `{command}`{where}. "
    "The outputs and figures below are those of the run that made the site.",
}
IN_A_CHECKOUT = {"zh": "（在本项目的代码目录里）", "en": " (in a checkout of the project)"}

ANNOTATION = re.compile(r"[ \t]*(?:#[ \t]*)?\(\d+\)![ \t]*$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s]+)\)(?:\{[^}]*\})?")
FORMULA = re.compile(r"\$\$(?P<display>.+?)\$\$|(?<![\\$])\$(?P<inline>[^$\n]+?)\$(?!\$)", re.DOTALL)


@dataclass(frozen=True)
class Lab:
    """One notebook in one language.

    Attributes:
        stem: of its snippet.
        language: `zh` or `en`.
        title: of the page that explains it.
        page: that page's path below `docs/`, without suffixes, such as `regularization/weight_decay`.
        notebook: the download.
    """

    stem: str
    language: str
    title: str
    page: str
    notebook: Json

    @property
    def path(self) -> str:
        """Where the site offers the download; for MkDocs, also the source of the notebook's page."""
        return self.twin(self.language)

    def twin(self, language: str) -> str:
        """The path of the same notebook in `language`."""
        return f"labs/{self.stem}.{language}{SUFFIX}"

    @property
    def url(self) -> str:
        """Where the site shows the notebook."""
        return f"{_root(self.language)}labs/{self.stem}/"

    @property
    def page_url(self) -> str:
        """Where the page stands that explains it."""
        return f"{_root(self.language)}{self.page}/"


def _root(language: str) -> str:
    return "" if language == LANGUAGES[0] else f"{language}/"


def make(
    artefact: Artefact,
    *,
    language: str,
    title: str,
    introduction: str,
    page: str,
    repository: str,
    localize: Localize,
    describe: Callable[[Figure], str],
) -> Lab:
    """The notebook of one run.

    Args:
        artefact: the run.
        language: of title, introduction and comments.
        title: the heading of the page.
        introduction: its first paragraph, as woven Markdown.
        page: the page's path below `docs/`, without suffixes.
        repository: the address of the project's repository, or empty where it has none.
        localize: gives a cell's code with its comments in the language.
        describe: gives a figure's text alternative.
    """
    command = f"pip install git+{repository}" if repository else "pip install -e ."
    where = "" if repository else IN_A_CHECKOUT[language]
    cells = [
        _markdown("introduction", f"# {title}\n\n{plain_links(introduction)}".rstrip()),
        _markdown("how-to-run", HOW_TO_RUN[language].format(command=command, where=where)),
        *(
            _code(cell, number, localize(cell), [_drawn(figure, language, describe(figure)) for figure in cell.figures])
            for number, cell in enumerate(artefact.cells, 1)
        ),
    ]
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "version": artefact.versions["python"]},
    }
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return Lab(artefact.stem, language, title, page, notebook)


def _markdown(name: str, source: str) -> Json:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}


def _code(cell: CellResult, number: int, code: str, drawn: list[Json]) -> Json:
    """A cell with what it printed and drew; its id comes from its name, so that the same run gives the same bytes."""
    outputs: list[Json] = []
    if cell.stdout:
        outputs.append({"output_type": "stream", "name": "stdout", "text": cell.stdout})
    outputs += drawn
    return {
        "cell_type": "code",
        "execution_count": number,
        "id": f"cell-{cell.name}"[:64],
        "metadata": {},
        "outputs": outputs,
        "source": ANNOTATION.sub("", code),
    }


def _drawn(figure: Figure, language: str, text: str) -> Json:
    """A figure as an output: an image that a screen reader describes, on a light ground in a dark Jupyter."""
    svg = figure.svg[language].replace("<svg ", f'<svg role="img" aria-label="{html.escape(text)}" ', 1)
    data = {"image/svg+xml": svg, "text/plain": text}
    return {"output_type": "display_data", "data": data, "metadata": {"needs_background": "light"}}


def plain_links(markdown: str) -> str:
    """`markdown` without links that lead nowhere outside the site: of those only the text stays."""
    return LINK.sub(lambda link: link[0] if "://" in link["target"] else link["text"], markdown)


def to_json(notebook: Json) -> str:
    """The notebook as a file, the same bytes for the same content."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def rendering(lab: Lab) -> str:
    """The copy for the site, as a file: formulas are MathML, since no script renders them in the reader's browser."""

    def mathml(formula: re.Match[str]) -> str:
        display = formula["display"]
        latex = formula["inline"] if display is None else display.strip()
        try:
            return math.to_mathml(latex, display=display is not None)
        except math.MathError as error:
            page = Path("docs", f"{lab.page}.{lab.language}.md")
            raise SiteError(f"{error.message}, in the formula {latex}", file=page, hint=error.hint) from error

    cells = [
        cell | {"source": FORMULA.sub(mathml, cell["source"])} if cell["cell_type"] == "markdown" else cell
        for cell in lab.notebook["cells"]
    ]
    return to_json(lab.notebook | {"cells": cells})


_STYLE = re.compile(r"\s*<style>(?:(?!<style>).)*</style>\s*\Z", re.DOTALL)
_CLIPBOARD = re.compile(r'<div [^>]*class="clipboard-copy-txt"[^>]*>.*?</div>\s*', re.DOTALL)
_HEADING_ID = re.compile(r'(?<=<h1) id="[^"]*"')
_ANCHOR = re.compile(r'<a class="anchor-link"[^>]*>.*?</a>', re.DOTALL)
_CODE = re.compile(
    r'<div class="highlight-ipynb hl-(?P<language>\w+)[^"]*"><pre>(?:<span></span>)?(?P<code>.*?)</pre></div>',
    re.DOTALL,
)


def tidy(content: str) -> str:
    """What mkdocs-jupyter rendered, with the markup of this site's code blocks and without its style sheet."""
    for surplus in (_STYLE, _CLIPBOARD, _ANCHOR, _HEADING_ID):
        content = surplus.sub("", content)
    return _CODE.sub(
        lambda block: (
            f'<div class="language-{block["language"]} highlight"><pre><span></span>'
            f"<code>{block['code']}</code></pre></div>"
        ),
        content,
    )


def tidied(page: Page, render: Callable[[MkDocsConfig, Files], None]) -> Callable[[MkDocsConfig, Files], None]:
    """mkdocs-jupyter's way to `render` a notebook's page, with the site's own markup in the end."""

    def render_tidily(config: MkDocsConfig, files: Files) -> None:
        render(config, files)
        page.content = tidy(page.content or "")
        page.toc = get_toc([])

    return render_tidily


HEADING = {"zh": "{title}：笔记本", "en": "{title}: notebook"}
LINKS = {
    "zh": {"lab": "实验笔记本", "download": "下载", "page": "讲解页面"},
    "en": {"lab": "Notebook", "download": "download", "page": "Explained on"},
}


def page_links(lab: Lab, at: str) -> str:
    """On the page that explains the experiment (its address is `at`): the ways to the notebook and its download."""
    words = LINKS[lab.language]
    return _bar(
        f'<a href="{get_relative_url(lab.url, at)}">{words["lab"]}</a>',
        f'<a href="{get_relative_url(lab.path, at)}" download>{words["download"]} .ipynb</a>',
    )


def lab_links(lab: Lab) -> str:
    """On the notebook's page: the ways back to the explanation and to the download."""
    words = LINKS[lab.language]
    return _bar(
        f'{words["page"]} <a href="{get_relative_url(lab.page_url, lab.url)}">{html.escape(lab.title)}</a>',
        f'<a href="{get_relative_url(lab.path, lab.url)}" download>{words["download"]} .ipynb</a>',
    )


def _bar(*links: str) -> str:
    return f'<p class="rl-lab" data-search-exclude>{" · ".join(links)}</p>'


def below_title(content: str, bar: str) -> str:
    """`content` with `bar` below its first heading."""
    title, heading, rest = content.partition("</h1>")
    return f"{title}{heading}{bar}{rest}" if heading else bar + content
