"""Keeps artefacts on disk by content address: `<cache>/runs/<stem>/<key>.json`.

An entry appears whole or not at all, and says by a checksum whether it still is what was written; one that is not
counts as missing and is written anew by the next run.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reglab_site.artefact import Artefact
from reglab_site.errors import SiteError
from reglab_site.project import Project
from reglab_site.snippet import Snippet

if TYPE_CHECKING:
    from filelock import FileLock

KEPT = 3  # entries of one snippet, so that going back to the last versions costs nothing
ENTRY = re.compile(r'\{"sha256": "(?P<digest>[0-9a-f]{64})", "artefact": (?P<body>.*)\}\n', re.DOTALL)


class Cache:
    """The artefacts of one project's snippets."""

    def __init__(self, project: Project) -> None:
        self.folder = project.cache / "runs"

    def load(self, snippet: Snippet, key: str) -> Artefact | None:
        """The artefact made for `key`, or None where there is none that is whole."""
        artefact = _read(self._entry(snippet.stem, key))
        return artefact if artefact and (artefact.snippet, artefact.key) == (snippet.name, key) else None

    def store(self, artefact: Artefact) -> None:
        """Publish an artefact and forget the oldest of its snippet. The caller holds the snippet's lock."""
        entry = self._entry(artefact.stem, artefact.key)
        body = artefact.to_json()
        digest = hashlib.sha256(body.encode()).hexdigest()
        with self._writable():
            entry.parent.mkdir(parents=True, exist_ok=True)
            for left_behind in entry.parent.glob("*.tmp"):
                left_behind.unlink()
            partial = entry.with_suffix(".tmp")
            with partial.open("w", encoding="utf-8") as file:
                file.write(f'{{"sha256": "{digest}", "artefact": {body}}}\n')
                file.flush()
                os.fsync(file.fileno())
            partial.replace(entry)
            for old in self._newest(artefact.stem)[KEPT:]:
                old.unlink()

    def seconds(self, snippet: Snippet) -> float | None:
        """How long the latest run of this snippet took that is on record."""
        try:
            found = (_read(entry) for entry in self._newest(snippet.stem))
            return next((artefact.seconds for artefact in found if artefact), None)
        except FileNotFoundError:  # another build has just removed an old entry
            return None

    def lock(self, snippet: Snippet) -> FileLock | None:
        """The right to run this snippet, to be released; None while another build has it."""
        from filelock import FileLock, Timeout  # 50 ms that a warm run does without

        lock = FileLock(self.folder / snippet.stem / "lock")
        with self._writable():
            Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return None
        return lock

    def _entry(self, stem: str, key: str) -> Path:
        return self.folder / stem / f"{key}.json"

    def _newest(self, stem: str) -> list[Path]:
        entries = (self.folder / stem).glob("*.json")
        return sorted(entries, key=lambda entry: entry.stat().st_mtime_ns, reverse=True)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SiteError(
                f"cannot write to the cache: {error.strerror or error}",
                file=self.folder.parent,
                hint="make room in this folder and make it writable, or set REGLAB_CACHE to another folder",
            ) from error


def _read(entry: Path) -> Artefact | None:
    """The artefact in a file, or None where the file is missing, cut off, altered or of another form."""
    try:
        found = ENTRY.fullmatch(entry.read_text(encoding="utf-8"))
        if found is None or hashlib.sha256(found["body"].encode()).hexdigest() != found["digest"]:
            return None
        return Artefact.from_json(found["body"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
