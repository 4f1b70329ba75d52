"""All that a build of the site shows, gathered before anything of the site is touched."""

from __future__ import annotations

from dataclasses import dataclass, field

from reglab_site.labs import Lab
from reglab_site.search import Terms


@dataclass(frozen=True)
class Section:
    """A page with a figure, as the home page shows it."""

    title: str
    text: str
    url: str
    figure: str


@dataclass(frozen=True)
class Content:
    """What the pages of all languages are made from.

    Attributes:
        pages: the woven Markdown of each page by its path below `docs/`, without front matter.
        figures: SVG by the path of its file in the site.
        labs: the notebooks of all languages by their path.
        sections: what the home page of a language leads to.
        terms: what the search knows.
    """

    pages: dict[str, str] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)
    labs: dict[str, Lab] = field(default_factory=dict)
    sections: dict[str, list[Section]] = field(default_factory=dict)
    terms: Terms = field(default_factory=Terms)
