"""A search index per language, that knows the terms of the glossary.

Material's search plugin makes one index of all pages. Here it learns to cut Chinese text into the glossary's terms, and
what it made is split by language. A field that is searched and never shown, `words`, holds for each section

* the parts of its compound terms, so that 归一化 finds 批归一化;
* other words for its terms (`search_alias` of the glossary), so that 批标准化 finds 批归一化.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jieba

from reglab_site.glossary import Glossary
from reglab_site.project import LANGUAGES

HAN = re.compile(r"[\u3400-\u9fff]+")
BETWEEN_WORDS = "\u200b"


def teach(glossary: Glossary) -> None:
    """Make jieba, which the search plugin calls, keep the glossary's Chinese words in one piece."""
    jieba.setLogLevel("WARNING")
    for word in sorted(_chinese(glossary)):
        jieba.add_word(word, freq=1_000_000)


def _chinese(glossary: Glossary) -> set[str]:
    words = {word for term in glossary.terms for word in (*term.zh, *term.search_alias)}
    return {word for word in words if HAN.fullmatch(word) and len(word) > 1}


def words(text: str, glossary: Glossary) -> str:
    """What finds `text` beside its own words: parts of its compound terms, and aliases of its terms."""
    plain = re.sub(r"<[^>]*>", " ", text).replace(BETWEEN_WORDS, "").lower()
    known = _chinese(glossary)
    used = {word for run in HAN.findall(plain) for word in jieba.cut(run) if word in known}
    parts = {part for word in used for part in known if part != word and part in word}
    terms = [term for term in glossary.terms if any(name.lower() in plain for name in (*term.zh, *term.en))]
    return " ".join(sorted(parts | {alias for term in terms for alias in term.search_alias}))


_MARKUP = re.compile(r'<a class="headerlink".*?</a>|</?(?:a|div|figure|math|m[a-z]+|span)\b[^>]*>', re.DOTALL)


def text_of(content: str) -> str:
    """A page as the search plugin reads it, without the markup that it would only skip, which takes long.

    What it must know stays: headings with their ids, paragraphs, lists, code, and what is excluded.
    """
    return _MARKUP.sub("", content)


def split(index: dict[str, Any], glossary: Glossary) -> dict[str, dict[str, Any]]:
    """One index per language, with locations relative to the root of the language."""
    split: dict[str, dict[str, Any]] = {language: {"config": index["config"], "docs": []} for language in LANGUAGES}
    default, *others = LANGUAGES
    for entry in index["docs"]:
        language = next((other for other in others if entry["location"].startswith(f"{other}/")), default)
        location = entry["location"].removeprefix(f"{language}/")
        hidden = words(f"{entry['title']} {entry['text']}", glossary) if language == "zh" else ""
        split[language]["docs"].append({**entry, "location": location, **({"words": hidden} if hidden else {})})
    return split


def write(site: Path, glossary: Glossary) -> None:
    """Replace the search plugin's index in `site` by one per language."""
    path = site / "search" / "search_index.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    for language, index in split(whole, glossary).items():
        folder = site if language == LANGUAGES[0] else site / language
        (folder / "search").mkdir(parents=True, exist_ok=True)
        text = json.dumps(index, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        (folder / "search" / "search_index.json").write_text(text, encoding="utf-8")
