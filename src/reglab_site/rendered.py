"""Keeps the HTML of pages that have not changed: making it takes most of a build."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from mkdocs.structure.toc import AnchorLink, TableOfContents

from reglab_site import keep

Render = Callable[[MkDocsConfig, Files], None]

PACKAGE = Path(__file__).parent
MAKERS = ("markdown", "mkdocs", "mkdocs-jupyter", "mkdocs-material", "nbconvert", "pygments", "pymdown-extensions")


@lru_cache
def _makers() -> str:
    """What turns Markdown and notebooks into HTML, in its present form."""
    sources = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.j2")])
    return keep.digest(*map(version, MAKERS), *(file.read_text(encoding="utf-8") for file in sources))


def reuse(page: Page, render: Render, source: str, cache: Path, config: MkDocsConfig, files: Files) -> None:
    """Render a page, or give it what `render` made of the same `source` before.

    Where a page links to depends on which pages there are, so these count as well. What MkDocs warned about is not
    kept: it is to warn again.
    """
    settings = Path(config.config_file_path).read_text(encoding="utf-8")
    language = json.dumps(config.mdx_configs.get("toc", {}), sort_keys=True, default=str)
    key = keep.digest(_makers(), settings, language, source, page.url, *sorted(files.src_uris))
    file = cache / "pages" / f"{page.file.src_uri.replace('/', '.')}.json"
    kept = keep.load(file, key)
    if kept is not None:
        _restore(page, json.loads(kept), files)
        return
    with _Warnings() as warnings:
        render(config, files)
    if not warnings.count:
        keep.store(file, key, json.dumps(_state(page), ensure_ascii=False))


def _state(page: Page) -> dict[str, Any]:
    """All that rendering gives a page."""
    links = page.links_to_anchors or {}
    return {
        "content": page.content,
        "toc": [_entry(item) for item in page.toc],
        "title": vars(page).get("_title_from_render"),
        "anchors": None if page.present_anchor_ids is None else sorted(page.present_anchor_ids),
        "links": {file.src_uri: anchors for file, anchors in links.items()},
    }


def _restore(page: Page, state: dict[str, Any], files: Files) -> None:
    page.content = state["content"]
    page.toc = TableOfContents([_anchor(entry) for entry in state["toc"]])
    vars(page)["_title_from_render"] = state["title"]
    page.present_anchor_ids = None if state["anchors"] is None else set(state["anchors"])
    page.links_to_anchors = {files.src_uris[path]: anchors for path, anchors in state["links"].items()}


def _entry(item: AnchorLink) -> dict[str, Any]:
    return {"title": item.title, "id": item.id, "level": item.level, "children": [_entry(one) for one in item.children]}


def _anchor(entry: dict[str, Any]) -> AnchorLink:
    item = AnchorLink(entry["title"], entry["id"], entry["level"])
    item.children = [_anchor(one) for one in entry["children"]]
    return item


class _Warnings(logging.Handler):
    """Counts what MkDocs warns about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1

    def __enter__(self) -> _Warnings:
        logging.getLogger("mkdocs").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("mkdocs").removeHandler(self)
