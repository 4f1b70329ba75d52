"""What the posts that this site grew out of said, what is true, and which assertion proves it.

`docs/reference/errata/CHAPTER.yml` is a list of entries:

    - id: wd-update-needs-learning-rate
      source: "003"                       (or a list)
      kind: wrong
      section: regularization/weight_decay
      check: weight_decay:check_update    (snippet:cell)
      claim: sgd-update                   (optional: a claim of that cell)
      said: {zh: …, en: …}
      true: {zh: …, en: …}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from reglab_site.errors import SiteError, nearest, raise_all
from reglab_site.project import LANGUAGES, Project
from reglab_site.snippet import Snippet

SOURCES = {
    "000": {"zh": "《正则化与归一化》（000）", "en": "“Regularization and normalization” (000)"},
    "001": {"zh": "《批量归一化》（001）", "en": "“Batch normalization” (001)"},
    "002": {"zh": "《torch.nn 之 Normalization Layers》（002）", "en": "“Normalization layers of torch.nn” (002)"},
    "003": {"zh": "《weight decay 和 dropout》（003）", "en": "“Weight decay and dropout” (003)"},
    "004": {
        "zh": "《归一化、dropout 与激活函数各层》（004）",
        "en": "“Normalization, dropout and activation layers” (004)",
    },
}
KINDS = {
    "wrong": {"zh": "错误", "en": "wrong"},
    "imprecise": {"zh": "不准确", "en": "imprecise"},
    "outdated": {"zh": "过时", "en": "outdated"},
    "bug": {"zh": "程序错误", "en": "bug"},
}
NEEDED = ("id", "source", "kind", "section", "check", "said", "true")
OPTIONAL = ("claim",)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Sentence:
    """Markdown in one language, and where it stands."""

    text: str
    line: int


@dataclass(frozen=True)
class Entry:
    """One wrong, imprecise or outdated statement, or one bug.

    Attributes:
        id: unique on the site.
        sources: who said it, keys of `SOURCES`.
        kind: a key of `KINDS`.
        section: the page that puts it right, below `docs/`.
        snippet: the stem of the snippet whose `cell` asserts what is true.
        cell: that cell.
        claim: which claim of the cell says it, if one does.
        said: by language.
        true: by language.
        file: where the entry stands.
        line: likewise.
    """

    id: str
    sources: tuple[str, ...]
    kind: str
    section: str
    snippet: str
    cell: str
    claim: str | None
    said: dict[str, Sentence]
    true: dict[str, Sentence]
    file: Path
    line: int


def read(project: Project, snippets: Mapping[str, Snippet]) -> list[Entry]:
    """All entries, in the order of files and lines; everything wrong in them is reported together."""
    by_stem = {snippet.stem: snippet for snippet in snippets.values()}
    entries: list[Entry] = []
    errors: list[SiteError] = []
    for file in sorted((project.docs / "reference" / "errata").glob("*.yml")):
        try:
            nodes = list(_nodes(file))
        except SiteError as error:
            errors.append(error)
            continue
        for node in nodes:
            try:
                entries.append(_Reader(project, by_stem, file).entry(node))
            except SiteError as error:
                errors.append(error)
    seen: dict[str, Entry] = {}
    for entry in entries:
        first = seen.setdefault(entry.id, entry)
        if first is not entry:
            where = f"{first.file.name}, line {first.line}"
            message = f"two entries have the id {entry.id!r} (the first: {where})"
            errors.append(SiteError(message, file=entry.file, line=entry.line))
    raise_all(errors)
    return entries


def _nodes(file: Path) -> Iterator[Node]:
    """The items of the list that the file holds; nodes know their line, as loaded data does not."""
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise SiteError(f"not YAML: {error.problem}", file=file, line=line) from error
    if root is None:
        return
    if not isinstance(root, SequenceNode):
        raise SiteError("no list of entries", file=file, line=1, hint="begin each entry with '- id: …'")
    yield from root.value


class _Reader:
    """Reads the entries of one file."""

    def __init__(self, project: Project, snippets: dict[str, Snippet], file: Path) -> None:
        self.project, self.snippets, self.file = project, snippets, file

    def error(self, message: str, node: Node, hint: str | None = None) -> SiteError:
        return SiteError(message, file=self.file, line=_line(node), hint=hint)

    def entry(self, node: Node) -> Entry:
        fields = self.fields(node, NEEDED, OPTIONAL)
        entry_id = self.text(fields["id"])
        if not _ID.fullmatch(entry_id):
            raise self.error(f"{entry_id!r} is no id", fields["id"], "use lower-case letters, digits and hyphens")
        snippet, cell = self.check(fields["check"])
        return Entry(
            id=entry_id,
            sources=self.sources(fields["source"]),
            kind=self.one_of(fields["kind"], KINDS, "kind"),
            section=self.section(fields["section"]),
            snippet=snippet,
            cell=cell,
            claim=self.claim(fields["claim"], snippet, cell) if "claim" in fields else None,
            said=self.sentences(fields["said"]),
            true=self.sentences(fields["true"]),
            file=self.file,
            line=_line(node),
        )

    def fields(self, node: Node, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Node]:
        if not isinstance(node, MappingNode):
            raise self.error("no mapping", node, f"write {', '.join(needed)}")
        found: dict[str, Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in needed + optional:
                raise self.error(f"unknown field {name!r}", key, nearest(name, needed + optional))
            if name in found:
                raise self.error(f"{name!r} is given twice", key)
            found[name] = value
        if missing := [name for name in needed if name not in found]:
            raise self.error(f"no {', '.join(repr(name) for name in missing)}", node, "add it")
        return found

    def text(self, node: Node) -> str:
        if not isinstance(node, ScalarNode) or not node.value.strip():
            raise self.error("no text", node, "write one sentence")
        return str(node.value).strip()

    def one_of(self, node: Node, known: Mapping[str, object], what: str) -> str:
        name = self.text(node)
        if name not in known:
            raise self.error(f"unknown {what} {name!r}", node, nearest(name, known))
        return name

    def sources(self, node: Node) -> tuple[str, ...]:
        nodes = node.value if isinstance(node, SequenceNode) else [node]
        return tuple(self.one_of(one, SOURCES, "source") for one in nodes)

    def section(self, node: Node) -> str:
        name = self.text(node)
        known = [
            path.relative_to(self.project.docs).as_posix().removesuffix(".zh.md")
            for path in self.project.docs.rglob("*.zh.md")
        ]
        if name not in known:
            raise self.error(f"there is no section {name!r}", node, nearest(name, known))
        if name.split("/")[0] != self.file.stem:
            raise self.error(f"{name} is of another chapter", node, f"move the entry to {name.split('/')[0]}.yml")
        return name

    def check(self, node: Node) -> tuple[str, str]:
        stem, _, cell = self.text(node).rpartition(":")
        stem = stem.rsplit("/", 1)[-1]
        if stem not in self.snippets:
            hint = nearest(stem, self.snippets) if stem else "write snippet:cell"
            raise self.error(f"there is no snippet {stem!r}", node, hint)
        checks = [known.name for known in self.snippets[stem].cells if known.is_check]
        if cell not in checks:
            raise self.error(f"{stem} has no check cell {cell!r}", node, nearest(cell, checks))
        return stem, cell

    def claim(self, node: Node, snippet: str, cell: str) -> str:
        name = self.text(node)
        claims = [claim.name for claim in self.snippets[snippet].cell(cell).claims]
        if name not in claims:
            raise self.error(f"{snippet}:{cell} has no claim {name!r}", node, nearest(name, claims))
        return name

    def sentences(self, node: Node) -> dict[str, Sentence]:
        found = self.fields(node, LANGUAGES)
        sentences = {language: Sentence(self.text(found[language]), _line(found[language])) for language in LANGUAGES}
        for language, sentence in sentences.items():
            if "|" in sentence.text or "\n" in sentence.text:
                hint = r"entries stand in a table: write \vert for a bar, and keep to one paragraph"
                raise self.error("a bar or a line break", found[language], hint)
        return sentences


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
