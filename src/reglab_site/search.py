"""A search index per language, that knows the terms of the glossary.

Material's search plugin makes one index of all pages. Here it learns to cut Chinese text into the glossary's terms, and
what it made is split by language. A field that is searched and never shown, `words`, holds for each section

* the parts of its compound terms, so that 归一化 finds 批归一化;
* other words for its terms (`search_alias` of the glossary), so that 批标准化 finds 批归一化.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jieba

from reglab_site.project import LANGUAGES

HAN = re.compile(r"[\u3400-\u9fff]+")
BETWEEN_WORDS = "\u200b"


@dataclass(frozen=True)
class Terms:
    """The words that the search knows from the glossary.

    Attributes:
        chinese: all Chinese terms and aliases: each is one word.
        aliases: term -> other words that readers may type for it.
    """

    chinese: frozenset[str] = frozenset()
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, glossary: Path) -> Terms:
        """The terms of `glossary.tsv`; its form is checked by the lint, which runs before."""
        chinese: set[str] = set()
        aliases: dict[str, tuple[str, ...]] = {}
        header, *rows = (line.split("\t") for line in glossary.read_text(encoding="utf-8").splitlines() if line)
        for cells in rows:
            row = dict(zip(header, cells, strict=False))
            terms = [term for words in row["zh"].split("/") for term in HAN.findall(words)]
            others = tuple(word.strip() for word in row.get("search_alias", "").split(",") if word.strip())
            chinese.update(terms, (word for other in others for word in HAN.findall(other)))
            for term in (*terms, *(english.strip().lower() for english in row["en"].split("/"))):
                if others:
                    aliases[term] = (*aliases.get(term, ()), *others)
        return cls(frozenset(term for term in chinese if len(term) > 1), aliases)


def teach(terms: Terms) -> None:
    """Make jieba, which the search plugin calls, keep the glossary's terms in one piece."""
    jieba.setLogLevel("WARNING")
    for term in sorted(terms.chinese):
        jieba.add_word(term, freq=1_000_000)


def words(text: str, terms: Terms) -> str:
    """What finds `text` beside its own words: parts of its compound terms, and aliases of its terms."""
    plain = re.sub(r"<[^>]*>", " ", text)
    known = terms.chinese
    found = {word for run in HAN.findall(plain.replace(BETWEEN_WORDS, "")) for word in jieba.cut(run)}
    parts = {part for word in found for part in known if part != word and part in word and word in known}
    lower = plain.replace(BETWEEN_WORDS, "").lower()
    others = {alias for term, aliases in terms.aliases.items() if term in lower for alias in aliases}
    return " ".join(sorted(parts | others))


def split(index: dict[str, Any], terms: Terms) -> dict[str, dict[str, Any]]:
    """One index per language, with locations relative to the root of the language."""
    split: dict[str, dict[str, Any]] = {language: {"config": index["config"], "docs": []} for language in LANGUAGES}
    default, *others = LANGUAGES
    for entry in index["docs"]:
        language = next((other for other in others if entry["location"].startswith(f"{other}/")), default)
        location = entry["location"].removeprefix(f"{language}/")
        hidden = words(f"{entry['title']} {entry['text']}", terms) if language == "zh" else ""
        split[language]["docs"].append({**entry, "location": location, **({"words": hidden} if hidden else {})})
    return split


def write(site: Path, terms: Terms) -> None:
    """Replace the search plugin's index in `site` by one per language."""
    path = site / "search" / "search_index.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    for language, index in split(whole, terms).items():
        folder = site if language == LANGUAGES[0] else site / language
        (folder / "search").mkdir(parents=True, exist_ok=True)
        text = json.dumps(index, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        (folder / "search" / "search_index.json").write_text(text, encoding="utf-8")
