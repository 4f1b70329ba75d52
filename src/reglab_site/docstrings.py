"""The library's docstrings as its reference shows them: read without importing anything, in Chinese by `locale/zh.po`.

mkdocstrings turns them into HTML. `Localized`, an extension of Griffe, which reads them for mkdocstrings, puts each
paragraph and each item of a list of arguments into the language of the page. Code, sources and names stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import griffe

from reglab_site.catalogue import Catalogue, numeric
from reglab_site.errors import SiteError

PACKAGE = "reglab"
HIDDEN = ("forward", "extra_repr")  # methods that nobody calls by name

_ITEMS = ("Args", "Attributes", "Raises")  # sections whose items are `name: text`
_PLAIN = ("Returns", "Shape")
_KEPT = ("Example", "Source")
_TITLES = {"Shape": "形状", "Source": "出处"}  # sections that Griffe does not know: mkdocstrings shows their own titles


@dataclass(frozen=True)
class Text:
    """A stretch of a docstring: `before`, then `text` to be translated (if any), then the end of the line."""

    before: str
    text: str = ""


def library(src: Path) -> griffe.Module:
    """The package as Griffe reads it."""
    module = griffe.load(PACKAGE, search_paths=[src], try_relative_path=False)
    assert isinstance(module, griffe.Module)
    return module


def modules(package: griffe.Module) -> Iterator[griffe.Module]:
    """The modules that have public names of their own, in alphabetical order, packages before what is in them."""
    for module in sorted(package.modules.values(), key=lambda module: module.name):
        if not module.name.startswith("_"):
            if names(module):
                yield module
            yield from modules(module)


def names(module: griffe.Module) -> list[griffe.Object | griffe.Alias]:
    """What a module offers: its documented functions, classes and constants, and what its `__all__` takes from others.

    In the order of the source; what is taken from others in alphabetical order.
    """
    own = [
        member
        for member in module.members.values()
        if not member.is_alias and not member.is_module and member.is_public and member.has_docstring
    ]
    return own + [module.members[name] for name in sorted(map(str, module.exports or []))]


def documented(package: griffe.Module) -> Iterator[griffe.Object]:
    """Everything whose docstring the reference shows."""
    for module in modules(package):
        yield module
        for name in names(module):
            found = name.final_target if isinstance(name, griffe.Alias) else name
            yield found
            if found.is_class:
                yield from (
                    member
                    for member in found.members.values()
                    if isinstance(member, griffe.Object)
                    and member.is_public
                    and member.has_docstring
                    and member.name not in HIDDEN
                )


# Docstrings


def split(docstring: str) -> list[Text]:
    """The lines of a docstring, those of a paragraph joined, so that each is one text.

    Google's sections are known by their titles at the margin. `Example` and `Source` are taken as they are.
    """
    pieces: list[Text] = []
    section, open_item = "", False
    for line in docstring.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        stripped = line.strip()
        title = re.fullmatch(r"([A-Z]\w*):", line)
        if title and title[1] in (*_ITEMS, *_PLAIN, *_KEPT):
            section, open_item = title[1], False
            pieces.append(Text(line))
        elif not stripped:
            open_item = False
            pieces.append(Text(""))
        elif section in _KEPT and indent:
            pieces.append(Text(line))
        elif section in _ITEMS and len(indent) == 4:
            name, _, text = stripped.partition(": ")
            pieces.append(Text(f"{indent}{name}: ", text))
            open_item = True
        elif open_item:
            pieces[-1] = Text(pieces[-1].before, f"{pieces[-1].text} {stripped}")
        else:
            section = section if indent else ""
            pieces.append(Text(indent, stripped))
            open_item = True
    return pieces


def texts(shown: griffe.Object) -> list[str]:
    """What of an object's docstring needs Chinese."""
    pieces = split(shown.docstring.value) if shown.docstring else []
    return [piece.text for piece in pieces if piece.text and not numeric(piece.text)]


def localize(docstring: str, catalogue: Catalogue | None) -> str:
    """A docstring for Griffe's parser: in Chinese where there is a catalogue, with sections that the parser knows.

    Texts without Chinese are left in English; `missing` reports them.
    """
    lines = []
    for piece in split(docstring):
        title = piece.before.removesuffix(":")
        if title == "Example":  # Griffe renders the plural as code
            lines.append("Examples:")
        elif catalogue and title in _TITLES:
            lines.append(f"{title}: {_TITLES[title]}")
        else:
            chinese = catalogue.docstring(piece.text) if catalogue and piece.text else None
            lines.append(piece.before + (chinese or piece.text))
    return "\n".join(lines)


def missing(package: griffe.Module, catalogue: Catalogue) -> Iterator[SiteError]:
    """An error for each text of the reference that has no Chinese, by the file and line of its docstring."""
    for shown in documented(package):
        for text in texts(shown):
            if catalogue.docstring(text) is None:
                assert shown.docstring is not None
                assert isinstance(shown.filepath, Path)
                what, line = f"the docstring of {shown.path}", shown.docstring.lineno or 1
                yield catalogue.missing("docstring", text, what=what, file=shown.filepath, line=line)


def reference(package: griffe.Module, catalogue: Catalogue | None, *, plain: bool = False) -> str:
    """All that the library offers, module by module.

    Args:
        package: the library.
        catalogue: has the Chinese; None for English.
        plain: the docstrings themselves, for readers of Markdown; else what mkdocstrings takes for a page.
    """
    blocks = []
    for module in modules(package):
        path = module.path
        if plain:
            docstring = module.docstring.value if module.docstring else ""
            blocks.append(f"## `{path}`\n\n{localize(docstring, catalogue)}")
        else:
            blocks.append(f"::: {path}\n    options: {{heading_level: 2, members: false}}")
        for name in names(module):
            if plain:
                docstring = name.docstring.value if name.docstring else ""
                blocks.append(f"### `{path}.{name.name}`\n\n```text\n{localize(docstring, catalogue)}\n```")
            else:
                blocks.append(f"::: {path}.{name.name}\n    options: {{heading_level: 3}}")
    return "\n\n".join(blocks)


class Localized(griffe.Extension):
    """Griffe's side: docstrings in the language of the site that is being built."""

    def __init__(self, catalogue: str = "") -> None:
        """`catalogue`: the file that has the Chinese; empty for English."""
        self.catalogue = Catalogue.read(Path(catalogue)) if catalogue else None

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        """Called for each object when its package has been read."""
        if obj.docstring is not None:
            obj.docstring.value = localize(obj.docstring.value, self.catalogue)
