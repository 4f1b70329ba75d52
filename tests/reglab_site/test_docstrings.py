"""The library's docstrings in both languages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import griffe
import pytest

from reglab_site import docstrings
from reglab_site.catalogue import Catalogue
from reglab_site.project import Project

Write = Callable[[str, str], Path]

SCALE = '''\
"""Scaling."""

FACTOR = 2
"""What to scale by."""

_SECRET = 3


def double(x: float) -> float:
    """Twice a number,
    no more.

    Formula: $2x$.

    Args:
        x: a number, and a line
            that goes on.

    Raises:
        ValueError: `x` is not finite.

    Source:
        Euclid, Elements.

    Example:
        >>> double(1.5)
        3.0
    """
    return FACTOR * x


class Doubler:
    """Doubles."""

    def forward(self, x: float) -> float:
        """Double."""
        return double(x)

    def undo(self, x: float) -> float:
        """Halve."""
        return x / FACTOR


def undocumented() -> None:
    pass
'''
CHINESE = {
    "Scaling.": "缩放。",
    "What to scale by.": "乘以几。",
    "Twice a number, no more.": "一个数的两倍。",
    "Formula: $2x$.": "公式：$2x$。",
    "a number, and a line that goes on.": "一个数。",
    "`x` is not finite.": "`x` 不是有限的数。",
    "Doubles.": "翻倍。",
    "Halve.": "减半。",
}


@pytest.fixture
def library(project: Project, write: Write) -> griffe.Module:
    write("src/reglab/scale.py", SCALE)
    write("src/reglab/_hidden.py", SCALE)
    return docstrings.library(project.src)


@pytest.fixture
def catalogue(project: Project, write: Write) -> Catalogue:
    entries = "".join(f'msgctxt "docstring"\nmsgid "{en}"\nmsgstr "{zh}"\n\n' for en, zh in CHINESE.items())
    return Catalogue.read(write("locale/zh.po", entries))


def test_public_and_documented_names_are_shown(library: griffe.Module) -> None:
    assert [shown.path for shown in docstrings.documented(library)] == [
        "reglab.scale",
        "reglab.scale.FACTOR",
        "reglab.scale.double",
        "reglab.scale.Doubler",
        "reglab.scale.Doubler.undo",
    ]


def test_names_taken_from_private_modules_are_shown_where_they_are_offered(project: Project, write: Write) -> None:
    write("src/reglab/_scale.py", SCALE)
    write("src/reglab/tools/__init__.py", '"""Tools."""\nfrom reglab._scale import double\n__all__ = ["double"]\n')
    shown = docstrings.reference(docstrings.library(project.src), None)
    assert "::: reglab.tools\n" in shown
    assert "::: reglab.tools.double\n" in shown
    assert "_scale" not in shown


def test_texts_are_paragraphs_and_items(library: griffe.Module) -> None:
    assert docstrings.texts(library["scale.double"]) == [
        "Twice a number, no more.",
        "Formula: $2x$.",
        "a number, and a line that goes on.",
        "`x` is not finite.",
    ]


def test_chinese_keeps_names_code_and_sources(library: griffe.Module, catalogue: Catalogue) -> None:
    assert docstrings.localize(library["scale.double"].docstring.value, catalogue) == (
        "一个数的两倍。\n\n公式：$2x$。\n\nArgs:\n    x: 一个数。\n\nRaises:\n    ValueError: `x` 不是有限的数。\n\n"
        "Source: 出处\n    Euclid, Elements.\n\nExamples:\n    >>> double(1.5)\n    3.0"
    )


def test_english_stays_but_for_the_title_that_griffe_knows(library: griffe.Module) -> None:
    english = docstrings.localize(library["scale.double"].docstring.value, None)
    assert english.startswith("Twice a number, no more.\n\nFormula: $2x$.\n\nArgs:\n")
    assert "Source:\n    Euclid" in english
    assert "Examples:\n    >>> double" in english


def test_griffe_parses_what_comes_out(library: griffe.Module, catalogue: Catalogue) -> None:
    docstring = library["scale.double"].docstring
    docstring.value = docstrings.localize(docstring.value, catalogue)
    sections = {section.kind.value: section for section in docstring.parse("google")}
    assert sections["parameters"].value[0].description == "一个数。"
    assert str(sections["raises"].value[0].annotation) == "ValueError"
    assert sections["examples"].value
    assert sections["admonition"].title == "出处"


def test_a_text_without_chinese_is_an_error_that_names_it(library: griffe.Module, project: Project) -> None:
    path = project.catalogue
    path.write_text('msgctxt "docstring"\nmsgid "Scaling."\nmsgstr "缩放。"\n', encoding="utf-8")
    errors = list(docstrings.missing(library, Catalogue.read(path)))
    assert len(errors) == len(CHINESE) - 1
    assert errors[0].message == "the docstring of reglab.scale.FACTOR without a Chinese text: 'What to scale by.'"
    assert (errors[0].file, errors[0].line) == (project.src / "reglab" / "scale.py", 4)
    assert 'msgctxt "docstring"' in str(errors[0].hint)


def test_with_all_chinese_nothing_is_missing(library: griffe.Module, catalogue: Catalogue) -> None:
    assert list(docstrings.missing(library, catalogue)) == []


def test_the_reference_for_readers_of_markdown_holds_the_docstrings(
    library: griffe.Module, catalogue: Catalogue
) -> None:
    plain = docstrings.reference(library, catalogue, plain=True)
    assert "## `reglab.scale`\n\n缩放。" in plain
    assert "### `reglab.scale.double`\n\n```text\n一个数的两倍。" in plain


def test_the_extension_puts_docstrings_into_chinese_while_griffe_reads(
    library: griffe.Module, catalogue: Catalogue, project: Project
) -> None:
    extension = docstrings.Localized(catalogue=str(catalogue.path))
    read = griffe.load("reglab", search_paths=[project.src], extensions=griffe.load_extensions(extension))
    assert read["scale.Doubler.undo"].docstring.value == "减半。"


def test_a_page_shows_the_library(site: Any) -> None:
    site.write("src/reglab/scale.py", SCALE)
    for language in ("zh", "en"):
        site.write(f"docs/reference/page.{language}.md", "# Page { #page }\n\n{{ library }}\n")
    woven = site.weaver.weave("reference/page", "en", figures="inline")
    assert "::: reglab.scale\n    options: {heading_level: 2, members: false}" in woven
    assert "::: reglab.scale.Doubler\n    options: {heading_level: 3}" in woven
