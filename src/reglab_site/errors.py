"""The one way in which this package says that something in the sources is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class SiteError(Exception):
    """A mistake in a source file: where it is, what was found, and what would be right.

    Args:
        message: what was found, in one sentence.
        file: the file it was found in, shown relative to the current folder where possible.
        line: the line, counted from 1.
        hint: how to mend it, in one sentence.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.file = None if file is None else Path(file)
        self.line = line
        self.hint = hint
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.message, self.file, self.line, self.hint)

    @property
    def where(self) -> str:
        """`docs/page.zh.md:12`, as terminals and editors make clickable."""
        if self.file is None:
            return ""
        path = self.file
        if path.is_absolute() and path.is_relative_to(Path.cwd()):
            path = path.relative_to(Path.cwd())
        return f"{path}:{self.line}" if self.line else str(path)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.file else self.message
        return f"{text}\n    → {self.hint}" if self.hint else text


def _rebuild(message: str, file: Path | None, line: int | None, hint: str | None) -> SiteError:
    return SiteError(message, file=file, line=line, hint=hint)


class SiteErrors(Exception):
    """Several mistakes found in one pass, so that an author can mend them all at once."""

    def __init__(self, errors: Iterable[SiteError]) -> None:
        self.errors = list(errors)
        super().__init__(f"{len(self.errors)} problems")

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def raise_all(errors: list[SiteError]) -> None:
    """Raise nothing, the one error, or all of them together."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise SiteErrors(errors)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word closest to `word`, or lists what there is."""
    known = sorted(set(known))
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there is: {', '.join(known)}" if known else "there is none"
