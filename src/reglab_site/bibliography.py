"""The works that pages cite: read from BibTeX, shown in the manner of each language."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pybtex.database import BibliographyData, BibliographyDataError, Entry, Person, parse_string
from pybtex.scanner import PybtexSyntaxError

from reglab_site.errors import SiteError, raise_all
from reglab_site.project import Project

MOST_AUTHORS = 6
_PLACE = ("journal", "booktitle", "publisher", "howpublished")


@dataclass(frozen=True)
class Author:
    """A name; `initials` such as `G. E.` are empty for a group."""

    last: str
    initials: str

    def full(self, language: str) -> str:
        if not self.initials:
            return self.last
        return f"{self.last}, {self.initials}" if language == "en" else f"{self.last} {self.initials.replace('.', '')}"


@dataclass(frozen=True)
class Work:
    """One entry of the bibliography; `url` leads to it, and `link` is what the reader sees of that."""

    key: str
    line: int
    authors: tuple[Author, ...]
    title: str
    year: str
    place: str
    details: str
    link: str
    url: str

    def label(self, language: str) -> str:
        """`Srivastava et al., 2014`, `Srivastava 等，2014`."""
        names = [author.last for author in self.authors]
        if len(names) > 2:
            who = f"{names[0]} et al." if language == "en" else f"{names[0]} 等"
        else:
            who = (" & " if language == "en" else " 与 ").join(names)
        return f"{who}, {self.year}" if language == "en" else f"{who}，{self.year}"

    def entry(self, language: str, suffix: str = "") -> str:
        """The work as a reference list shows it, in Markdown; `suffix` tells works of one label apart."""
        names = [author.full(language) for author in self.authors[:MOST_AUTHORS]]
        more = len(self.authors) > MOST_AUTHORS
        if language == "en":
            who = (
                ", ".join([*names, "et al."])
                if more
                else " & ".join([*([", ".join(names[:-1])] * (len(names) > 1)), names[-1]])
            )
            place = f" *{self.place}*{f', {self.details}' if self.details else ''}." if self.place else ""
            return f"{who} ({self.year}{suffix}). {self.title}.{place} [{self.link}]({self.url})"
        who = "，".join(names) + (" 等" if more else "")
        place = f"*{self.place}*{f'，{self.details}' if self.details else ''}。" if self.place else ""
        return f"{who}（{self.year}{suffix}）。{self.title}。{place}[{self.link}]({self.url})"


def read(project: Project) -> dict[str, Work]:
    """All works of `docs/reference/references.bib` by key."""
    path = project.docs / "reference" / "references.bib"
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    lines = {
        match["key"]: text.count("\n", 0, match.start()) + 1
        for match in re.finditer(r"^@\w+\{(?P<key>[^,\s]+),", text, re.M)
    }
    try:
        data: BibliographyData = parse_string(text, "bibtex")
    except PybtexSyntaxError as error:
        raise SiteError(f"not BibTeX: {error}", file=path, line=error.lineno) from error
    except BibliographyDataError as error:
        raise SiteError(str(error), file=path) from error
    works: dict[str, Work] = {}
    errors: list[SiteError] = []
    for key, entry in data.entries.items():
        line = lines.get(key, 1)
        try:
            works[key] = _work(key, entry, line)
        except SiteError as error:
            errors.append(SiteError(f"{key}: {error.message}", file=path, line=line, hint=error.hint))
    raise_all(errors)
    return works


def _work(key: str, entry: Entry, line: int) -> Work:
    fields = {name.lower(): _plain(value) for name, value in entry.fields.items()}
    for needed in ("title", "year"):
        if not fields.get(needed):
            raise SiteError(f"no {needed}", hint="add it")
    persons = entry.persons.get("author", [])
    if not persons:
        raise SiteError("no author", hint="add it")
    if doi := fields.get("doi"):
        link, url = f"doi:{doi}", f"https://doi.org/{doi}"
    elif arxiv := fields.get("eprint"):
        link, url = f"arXiv:{arxiv}", f"https://arxiv.org/abs/{arxiv}"
    elif url := fields.get("url", ""):
        link = url.split("/")[2]
    else:
        raise SiteError("nothing that leads to it", hint="add doi, eprint (of arXiv) or url")
    place = next((fields[name] for name in _PLACE if fields.get(name)), "")
    volume = fields.get("volume", "") + (f"({fields['number']})" if fields.get("number") else "")
    details = ", ".join(part for part in (volume, fields.get("pages", "").replace("--", "–")) if part)
    authors = tuple(_author(person) for person in persons)
    return Work(key, line, authors, fields["title"].rstrip("."), fields["year"], place, details, link, url)


def _author(person: Person) -> Author:
    last = _plain(" ".join([*person.prelast_names, *person.last_names, *person.lineage_names]))
    first = [_plain(name) for name in (*person.first_names, *person.middle_names)]
    return Author(last, " ".join("-".join(f"{part[0]}." for part in name.split("-") if part) for name in first))


def _plain(text: str) -> str:
    """The text without BibTeX's braces, which guard capitals and group names."""
    return re.sub(r"[{}]", "", text).strip()


def suffixes(works: Iterable[Work]) -> dict[str, str]:
    """`a`, `b`, … behind the year of works that would have the same label, by key."""
    same: dict[str, list[str]] = {}
    for work in works:
        same.setdefault(work.label("en"), []).append(work.key)
    return {
        key: "abcdefghijklmnopqrstuvwxyz"[index] if len(keys) > 1 else ""
        for keys in same.values()
        for index, key in enumerate(keys)
    }
