"""Runs the snippets whose results are missing or stale, and loads all others from the cache.

What only a real run needs (processes, locks, a progress display) is imported when there is one, and torch never: a
warm run takes a few milliseconds a snippet.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import uuid
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from reglab_site import fingerprint
from reglab_site.artefact import Artefact
from reglab_site.cache import Cache
from reglab_site.catalogue import Catalogue
from reglab_site.errors import SiteError, raise_all
from reglab_site.project import Project
from reglab_site.snippet import Snippet, find, select
from reglab_site.worker import translations


def run(
    project: Project,
    names: Iterable[str] = (),
    *,
    jobs: int | None = None,
    force: bool = False,
    progress: bool = True,
) -> dict[str, Artefact]:
    """The artefacts of the snippets by full name, made now where the cache has none that is valid.

    Args:
        project: whose snippets.
        names: full names, stems or chapters; all snippets if there is none.
        jobs: how many snippets run at once; as many as there are cores if not given.
        force: run even what is in the cache.
        progress: show on stderr what runs.

    Raises:
        SiteError, SiteErrors: what went wrong, all of it; the results of the other snippets are in the cache then.
    """
    chosen = select(find(project), names)
    _catalogue(project)  # every figure needs it: nothing runs while it is malformed
    artefacts: dict[str, Artefact] = {}
    errors: list[SiteError] = []
    stale: list[Snippet] = []
    for snippet in chosen:
        try:
            artefact = None if force else load(project, snippet)
        except SiteError as error:
            errors.append(error)
            continue
        if artefact:
            artefacts[snippet.name] = artefact
        else:
            stale.append(snippet)
    if stale:
        from reglab_site.build import Build

        build = Build(project, stale, jobs=jobs or os.cpu_count() or 1, force=force, progress=progress)
        artefacts |= build.run()
        errors += build.errors
    raise_all(errors)
    return {snippet.name: artefacts[snippet.name] for snippet in chosen}


def load(project: Project, snippet: Snippet) -> Artefact | None:
    """The valid artefact of a snippet in the cache, or None: then it has to run."""
    artefact = Cache(project).load(snippet, fingerprint.key(project, snippet))
    if artefact and artefact.figures and artefact.translations != translations(artefact.figures, _catalogue(project)):
        return None
    return artefact


def _catalogue(project: Project) -> Catalogue:
    path = project.catalogue
    return _read_catalogue(path, path.read_bytes() if path.is_file() else b"")


@lru_cache(maxsize=1)
def _read_catalogue(path: Path, content: bytes) -> Catalogue:
    """The catalogue, read again when its `content` has changed."""
    return Catalogue.read(path)


@lru_cache
def machine() -> str:
    """A name for this machine that is always the same and tells nothing about it."""
    identity = Path("/etc/machine-id")
    number = identity.read_text().strip() if identity.is_file() else ""
    processors = Path("/proc/cpuinfo")
    model = re.search(r"model name.*", processors.read_text()) if processors.is_file() else None
    facts = (platform.node(), number or str(uuid.getnode()), model[0] if model else platform.processor())
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `python -m reglab_site run` takes."""
    parser.add_argument("names", nargs="*", help="snippets (chapter/stem or stem) or chapters; all if none is given")
    parser.add_argument("--jobs", type=_positive, metavar="N", help="run at most N at once (default: one per core)")
    parser.add_argument("--force", action="store_true", help="run even what has a valid result in the cache")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of jobs")
    return int(text)


def main(project: Project, arguments: argparse.Namespace) -> None:
    """`python -m reglab_site run`: bring all results up to date."""
    artefacts = run(project, arguments.names, jobs=arguments.jobs, force=arguments.force)
    print(f"{len(artefacts)} snippets are up to date")
