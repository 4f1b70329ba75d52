"""The glossary: which Chinese word stands for which English one, and which words are never used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reglab_site.errors import SiteError, raise_all
from reglab_site.project import Project

COLUMNS = ("en", "zh", "never", "search_alias", "note", "definition_en", "definition_zh")
CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True)
class Term:
    """One line of the glossary.

    Attributes:
        en: the English term, without what its brackets explain; several where it stands for several.
        zh: the Chinese term, likewise.
        never: words that are not used for it.
        search_alias: words under which the search finds it, though no page shows them.
        note: for authors.
        line: of the file.
        shown_en: the English term as the glossary shows it, with what its brackets explain.
        shown_zh: the Chinese term, likewise.
        definition: one line of Markdown that says what it is, by language.
    """

    en: tuple[str, ...]
    zh: tuple[str, ...]
    never: tuple[str, ...]
    search_alias: tuple[str, ...]
    note: str
    line: int
    shown_en: str
    shown_zh: str
    definition: dict[str, str]

    @property
    def ambiguous(self) -> bool:
        """Whether the words alone may mean something else: then the glossary explains them in brackets."""
        return "(" in self.shown_en

    @property
    def pairs(self) -> Iterator[tuple[str, str]]:
        """Each Chinese term with its English."""
        names = self.en if len(self.en) == len(self.zh) else self.en[:1] * len(self.zh)
        return zip(self.zh, names, strict=True)


@dataclass(frozen=True)
class Use:
    """A Chinese term, found at `offset`, and its English."""

    offset: int
    word: str
    english: str


@dataclass(frozen=True)
class Misuse:
    """A word that is never used, found at `offset`; `right` is the one to use."""

    offset: int
    word: str
    right: str


@dataclass(frozen=True)
class Glossary:
    """All terms, in the order of the file."""

    path: Path
    terms: tuple[Term, ...]

    @cached_property
    def _never(self) -> dict[str, Term]:
        return {word.lower(): term for term in self.terms for word in term.never}

    @cached_property
    def _words(self) -> re.Pattern[str]:
        """All terms and all words never used, the longest first, so that a term may hold a word never used alone."""
        words = {word.lower() for term in self.terms for word in (*term.zh, *term.en, *term.never)}
        ordered = sorted(words, key=lambda word: (-len(word), word))
        first = "".join(sorted({re.escape(word[0]) for word in ordered}))  # tells fast where no word begins
        return re.compile(rf"(?=[{first}])(?:{'|'.join(map(_pattern, ordered))})", re.IGNORECASE)

    def words(self, text: str) -> Iterator[re.Match[str]]:
        """All words of the glossary in `text`, those never used included; the longest where several overlap."""
        return self._words.finditer(text)

    def misuses(self, text: str) -> Iterator[Misuse]:
        """The words in `text` that are never used, the longest where several overlap."""
        lower = text.lower()
        if not any(word in lower for word in self._never):
            return
        for match in self._words.finditer(text):
            if term := self._never.get(match[0].lower()):
                right = term.zh if CHINESE.search(match[0]) else term.en
                yield Misuse(match.start(), match[0], " / ".join(right))

    def uses(self, text: str) -> list[Use]:
        """The Chinese terms in `text`, the longest where several overlap."""
        english = {word: english for term in reversed(self.terms) for word, english in term.pairs}
        return [
            Use(match.start(), match[0], english[match[0]])
            for match in self._words.finditer(text)
            if match[0] in english
        ]


def anchor(term: Term) -> str:
    """The id of a term on the glossary's page."""
    return re.sub(r"[^a-z0-9]+", "-", term.shown_en.lower()).strip("-")


def _pattern(word: str) -> str:
    """Latin words are found whole only; Chinese has no spaces between words."""
    return re.escape(word) if CHINESE.search(word) else rf"(?<![A-Za-z]){re.escape(word)}(?![A-Za-z])"


def read(project: Project) -> Glossary:
    """Read and check `docs/reference/glossary.tsv`."""
    path = project.docs / "reference" / "glossary.tsv"
    if not path.is_file():
        raise SiteError("there is no glossary", file=path, hint=f"write it, with the columns {', '.join(COLUMNS)}")
    header, *rows = path.read_text(encoding="utf-8").splitlines() or [""]
    if tuple(header.split("\t")) != COLUMNS:
        raise SiteError("the columns are not as they should be", file=path, line=1, hint=f"write {', '.join(COLUMNS)}")
    if not rows:
        raise SiteError("a glossary without terms", file=path, line=1, hint="enter the first on line 2")
    terms: list[Term] = []
    errors: list[SiteError] = []
    seen: dict[str, int] = {}
    for line, row in enumerate(rows, 2):
        cells = row.split("\t")
        if len(cells) > len(COLUMNS) or not all(cell.strip() for cell in (*cells, "", "")[:2]):
            hint = "separate the columns by tabs; the first two are needed"
            errors.append(SiteError("a line that is no entry", file=path, line=line, hint=hint))
            continue
        en, zh, never, alias, note, *definitions = (*cells, *[""] * len(COLUMNS))[: len(COLUMNS)]
        if seen.setdefault(en, line) != line:
            errors.append(SiteError(f"{en!r} is entered twice (first on line {seen[en]})", file=path, line=line))
        definition = {language: text.strip() for language, text in zip(("en", "zh"), definitions, strict=True)}
        names = (_names(en), _names(zh), _list(never), _list(alias))
        terms.append(Term(*names, note.strip(), line, en.strip(), zh.strip(), definition))
    right = {word for term in terms for word in term.zh}
    for term in terms:
        for word in right.intersection(term.never):
            errors.append(SiteError(f"{word!r} is a term and never used", file=path, line=term.line))
    raise_all(errors)
    return Glossary(path, tuple(terms))


def _names(cell: str) -> tuple[str, ...]:
    """`running mean / running variance` are two names; what stands in brackets behind a name explains it."""
    return tuple(re.sub(r"\s*[(（][^)）]*[)）]", "", name).strip() for name in cell.split(" / "))


def _list(cell: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in re.split("[,，]", cell) if word.strip())
