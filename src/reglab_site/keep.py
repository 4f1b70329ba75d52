"""Keeps small texts that cost time to make, one file each, under a name and for a key."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reglab_site.errors import SiteError


def load(file: Path, key: str) -> str | None:
    """What was kept in `file` for `key`, or None where that is missing, made for another key or damaged."""
    try:
        entry = json.loads(file.read_text(encoding="utf-8"))
        text = entry["text"]
        whole = isinstance(text, str) and entry["key"] == key and entry["sha256"] == digest(text)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return text if whole else None


def store(file: Path, key: str, text: str) -> None:
    """Keep `text` for `key` in place of what was there."""
    write(file, json.dumps({"key": key, "sha256": digest(text), "text": text}, ensure_ascii=False))


def write(file: Path, text: str) -> None:
    """Write a file of the cache: it appears whole or not at all, whoever else writes it at the same time."""
    with writing(file.parent):
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
        partial = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make a folder of the cache, and say what to do where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise SiteError(
            f"cannot write to the cache: {error.strerror or error}",
            file=folder,
            hint="make room in this folder and make it writable, or set REGLAB_CACHE to another folder",
        ) from error


def digest(*texts: str) -> str:
    """A key for what is made from `texts`."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
