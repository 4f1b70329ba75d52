"""What MkDocs calls while it builds the site: a thin layer over the plain functions of this package.

The site is built once per language: mkdocs-static-i18n builds the second one from within `on_post_build` of the first.
What is expensive, running snippets and weaving pages, is done once, before anything of the site is touched.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import mkdocs.utils
import mkdocs_jupyter.config
from jinja2 import Environment, FileSystemBytecodeCache
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort, PluginError
from mkdocs.plugins import CombinedEvent, event_priority
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page
from mkdocs.utils.templates import TemplateContext
from mkdocstrings import MkdocstringsExtension, MkdocstringsPlugin

from reglab_site import keep, labs, math, mathfont, preview, publish, rendered, search, terms
from reglab_site.content import Content, address, gather
from reglab_site.errors import SiteError, SiteErrors
from reglab_site.project import LANGUAGES, Project
from reglab_site.weave import inline_figures

GLOSSARY_PAGE = "reference/glossary"
PERMALINK = {"zh": "本节的链接", "en": "Link to this section"}

# Notebooks are pages, made with a template of ours.
vars(mkdocs.utils)["markdown_extensions"] += (labs.SUFFIX,)
mkdocs_jupyter.config.settings.templates_dir = str(labs.TEMPLATES)

P = ParamSpec("P")
R = TypeVar("R")


class Build:
    """A build of the site under way, in all languages.

    Attributes:
        config: of MkDocs; its `site_dir` is `staged` until the build is over.
        project: what is built.
        target: where the site is to be in the end.
        staged: where it is built.
        content: all that it shows.
        formulas: the characters of all formulas.
    """

    def __init__(self, config: MkDocsConfig) -> None:
        self.config = config
        self.project = Project(Path(config.config_file_path).parent)
        self.target = Path(config.site_dir)
        self.staged = publish.stage(self.target)
        self.content: Content | None = None
        self.formulas: set[str] = set()


_build: Build | None = None


def _current() -> tuple[Build, Content]:
    """The build under way and what it shows."""
    assert _build is not None, "MkDocs calls on_config first"
    assert _build.content is not None, "MkDocs calls on_pre_build first"
    return _build, _build.content


def _i18n(config: MkDocsConfig) -> Any:
    return config.plugins["i18n"]


def _inner(config: MkDocsConfig) -> bool:
    """Whether this is the build of a further language, inside that of the first."""
    return bool(_i18n(config).building)


def _language(config: MkDocsConfig) -> str:
    return str(_i18n(config).current_language or LANGUAGES[0])


def _reported(function: Callable[P, R]) -> Callable[P, R]:
    """Let MkDocs report what is wrong in the sources by its message, without a traceback."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (SiteError, SiteErrors) as error:
            raise PluginError(str(error)) from error

    return call


# Around a build


def on_startup(*, command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
    """The development server, should it be what starts, is to survive what stops a build."""
    preview.survive(_finish)


def on_shutdown() -> None:
    """`mkdocs build` calls this in a `finally`: where no exception is on its way, even the strict checks passed."""
    _finish(sys.exc_info()[0] is None)


def on_build_error(*, error: Exception) -> None:
    """What is wrong in a page has been logged with its file and line when it gets here; no traceback adds to that."""
    if isinstance(error, SiteError | SiteErrors):
        raise Abort("Aborted: the last good site stays as it is.") from error


def _finish(succeeded: bool) -> None:
    """Publish what was built, or remove it."""
    global _build
    if _build is None:
        return
    build, _build = _build, None
    build.config.site_dir = str(build.target)
    if succeeded:
        try:
            publish.swap(build.staged, build.target)
        except SiteError as error:
            raise Abort(str(error)) from error
    else:
        publish.discard(build.staged)


@event_priority(100)
@_reported
def _first_config(config: MkDocsConfig) -> MkDocsConfig:
    """Build into a folder beside the site."""
    global _build
    if not config.repo_url:
        config.edit_uri = None
    if not _inner(config):
        _build = Build(config)
        config.site_dir = str(_build.staged)
    _configure_reference(config)
    return config


def _configure_reference(config: MkDocsConfig) -> None:
    """Let mkdocstrings speak the language of the build, and start anew: the build before left its traces."""
    language, settings = _language(config), config.plugins["mkdocstrings"].config
    catalogue = "" if language == "en" else str(Project(Path(config.config_file_path).parent).catalogue)
    settings.locale = language
    settings.handlers["python"]["options"]["extensions"] = [{"reglab_site.docstrings": {"catalogue": catalogue}}]
    config.markdown_extensions = [
        extension for extension in config.markdown_extensions if not isinstance(extension, MkdocstringsExtension)
    ]
    config.extra_css = [sheet for sheet in config.extra_css if sheet != MkdocstringsPlugin.css_filename]


@event_priority(-150)
def _last_config(config: MkDocsConfig) -> MkDocsConfig:
    """Words of Markdown extensions in the language that mkdocs-static-i18n has just chosen."""
    config.mdx_configs["toc"]["permalink_title"] = PERMALINK[_language(config)]
    return config


on_config = CombinedEvent(_first_config, _last_config)


@_reported
def on_env(env: Environment, *, config: MkDocsConfig, files: Files) -> Environment:
    """Keep the compiled templates."""
    build, _ = _current()
    folder = build.project.cache / "templates"
    with keep.writing(folder):
        env.bytecode_cache = FileSystemBytecodeCache(str(folder))
    return env


@_reported
def on_pre_build(*, config: MkDocsConfig) -> None:
    """Run what is stale, weave and check all pages, make the notebooks: nothing of the site has been touched yet."""
    if not _inner(config) and _build is not None:
        _build.content = gather(_build.project, repository=config.repo_url or "")
        search.teach(_build.content.glossary)


# Files and pages


@event_priority(-200)
def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the notebooks, behind mkdocs-static-i18n, which knows no generated files."""
    build, content = _current()
    language = _language(config)
    notebooks = {lab.path: _notebook_file(lab, build, config) for lab in content.labs.values()}
    for lab in content.labs.values():
        file = notebooks[lab.path]
        file.alternates = {other: notebooks[lab.twin(other)] for other in LANGUAGES}
        if lab.language == language:
            files.append(file)
    _i18n(config).i18n_files_per_language[language] = files.documentation_pages()
    return files


def _notebook_file(lab: labs.Lab, build: Build, config: MkDocsConfig) -> Any:
    """The file that mkdocs-jupyter renders, with all that mkdocs-static-i18n expects of a page."""
    source = str(build.project.cache / lab.path)
    file: Any = File.generated(config, lab.path, abs_src_path=source, inclusion=InclusionLevel.NOT_IN_NAV)
    file.name = lab.stem
    file.url = lab.url
    file.dest_uri = f"{lab.url}index.html"
    file.abs_dest_path = str(Path(config.site_dir, file.dest_uri))
    file.norm_src_uri = f"labs/{lab.stem}{labs.SUFFIX}"
    file.locale = file.localization = file.locale_alternate_of = lab.language
    return file


@event_priority(-100)
def on_pre_page(page: Page, *, config: MkDocsConfig, files: Files) -> Page:
    """Render only what has changed. mkdocs-jupyter has just given the pages of notebooks a `render` of its own."""
    build, content = _current()
    if lab := content.labs.get(page.file.src_uri):
        render, source = labs.tidied(page, page.render), labs.rendering(lab)
        keep.write(Path(str(page.file.abs_src_path)), source)  # not below docs/, which `mkdocs serve` watches
    else:
        render, source = page.render, content.pages[page.file.src_uri]
    vars(page)["render"] = functools.partial(rendered.reuse, page, render, source, build.project.cache)
    return page


@event_priority(100)
def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Give MkDocs the woven page in place of its source."""
    _, content = _current()
    if lab := content.labs.get(page.file.src_uri):
        page.meta = {"title": labs.HEADING[lab.language].format(title=lab.title), "search": {"exclude": True}}
        return markdown
    math.current_page = Path(page.file.abs_src_path) if page.file.abs_src_path else None
    return content.pages[page.file.src_uri]


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead from a page to its notebook and back, and from terms to the glossary."""
    _, content = _current()
    if lab := content.labs.get(page.file.src_uri):
        return labs.below_title(html, labs.lab_links(lab))
    language = _language(config)
    glossary = address(GLOSSARY_PAGE, language)
    if GLOSSARY_PAGE in content.weaver.pairs and page.url != glossary:
        html = terms.explain(html, content.glossary, language, mkdocs.utils.get_relative_url(glossary, page.url))
    for lab in content.labs.values():
        if lab.page_url == page.url:
            return labs.below_title(html, labs.page_links(lab, page.url))
    return html


@event_priority(50)
def _first_context(context: TemplateContext, *, page: Page, config: MkDocsConfig, nav: Navigation) -> None:
    """Show the search plugin the text of the page alone: it needs a second for the markup of a formula-heavy page."""
    vars(page)["whole_content"] = page.content
    page.content = search.text_of(page.content or "")


@event_priority(-50)
def _last_context(context: TemplateContext, *, page: Page, config: MkDocsConfig, nav: Navigation) -> dict[str, Any]:
    """Put figures into the page, and name the page's twin even on the home pages."""
    _, content = _current()
    whole = vars(page).pop("whole_content")
    page.content = inline_figures(whole, content.weaver, _language(config))
    twins: dict[str, File] = vars(page.file)["alternates"]
    for alternate in vars(config.extra)["alternate"]:
        alternate["link"] = twins[alternate["lang"]].url
    language = _language(config)
    spoken = [lab for lab in content.labs.values() if lab.language == language]
    sections = {other.url: content.sections[other.url] for other in nav.pages if other.url in content.sections}
    return {**context, "labs": spoken, "sections": sections}


on_page_context = CombinedEvent(_first_context, _last_context)


@_reported
def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """Note the characters of the page's formulas, and refuse a page that is too large for a slow connection."""
    build, _ = _current()
    build.formulas |= mathfont.characters(output)
    publish.check_size(output, page.file.src_uri)
    return output


def on_post_template(output: str, *, template_name: str, config: MkDocsConfig) -> str:
    """One 404.html, of the default language; a sitemap only where the site's address is known."""
    if template_name == "404.html" and _inner(config):
        return ""
    if template_name == "sitemap.xml" and not config.site_url:
        return ""
    return output


@event_priority(-200)
@_reported
def on_post_build(*, config: MkDocsConfig) -> None:
    """When all languages are built: the search indexes, the math font, and what machines and offline readers want."""
    if _inner(config):
        return
    build, content = _current()
    search.write(build.staged, content.glossary)
    publish.math_font(build.staged, build.formulas, build.project.cache)
    for lab in content.labs.values():
        publish.write(build.staged, lab.path, labs.to_json(lab.notebook))
    for path, text in content.files.items():
        publish.write(build.staged, path, text)
