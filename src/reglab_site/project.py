"""Where things are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reglab_site.errors import SiteError

LANGUAGES = ("zh", "en")


@dataclass(frozen=True)
class Project:
    """The folders of one checkout.

    Attributes:
        root: the folder that holds `mkdocs.yml`.
    """

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """The project that `start` (default: the current folder) lies in."""
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            if (folder / "mkdocs.yml").is_file():
                return cls(folder)
        raise SiteError(f"no mkdocs.yml in {start} or above it", hint="call this inside a checkout of reglab")

    @property
    def docs(self) -> Path:
        return self.root / "docs"

    @property
    def snippets(self) -> Path:
        return self.root / "snippets"

    @property
    def src(self) -> Path:
        return self.root / "src"

    @property
    def catalogue(self) -> Path:
        """The Chinese of figure labels and code comments."""
        return self.root / "locale" / "zh.po"

    @property
    def cache(self) -> Path:
        """Everything that can be made again; `REGLAB_CACHE` moves it."""
        return Path(os.environ.get("REGLAB_CACHE") or self.root / ".cache")

    def relative(self, path: Path) -> Path:
        """`path` as messages show it."""
        return path.relative_to(self.root) if path.is_relative_to(self.root) else path
