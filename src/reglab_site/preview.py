"""`mkdocs serve` that survives mistakes: what is wrong is shown in the terminal and on top of every page."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.commands import serve
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import BuildError

from reglab_site import publish

log = logging.getLogger("mkdocs.plugins.reglab")

Build = Callable[..., None]


def survive(finish: Callable[[bool], None]) -> None:
    """Make the development server go on after a failed build.

    Left alone, it ends when the first build fails, and answers no request while a later one is broken.

    Args:
        finish: called after each build with whether it succeeded.
    """
    original: Build = vars(serve)["build"]

    def build(config: MkDocsConfig, **options: Any) -> None:
        site = Path(config.site_dir)
        try:
            with Heard() as heard:
                original(config, **options)
            finish(True)
        except Exception as error:
            finish(False)
            if not heard.errors:
                heard.errors.append(str(error) if isinstance(error, BuildError) else traceback.format_exc())
                log.error(heard.errors[0])
            publish.show_failure(site, "\n".join(heard.errors))

    vars(serve)["build"] = build


class Heard(logging.Handler):
    """Collects the errors that MkDocs logs while it builds: the exception that ends a build no longer names them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage())

    def __enter__(self) -> Heard:
        logging.getLogger("mkdocs").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("mkdocs").removeHandler(self)
