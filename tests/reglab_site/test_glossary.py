from pathlib import Path
from typing import Any

import pytest

from reglab_site import glossary
from reglab_site.errors import SiteError, SiteErrors
from reglab_site.glossary import Use
from reglab_site.project import Project

HEADER = "en\tzh\tnever\tsearch_alias\tnote\tdefinition_en\tdefinition_zh\n"
REAL = Project(Path(__file__).parents[2])


def misuses(site: Any, text: str) -> list[tuple[int, str, str]]:
    return [(found.offset, found.word, found.right) for found in glossary.read(site.project).misuses(text)]


def test_a_word_never_used_is_found_with_the_right_one(site: Any) -> None:
    assert misuses(site, "用权值衰减训练") == [(1, "权值衰减", "权重衰减")]


def test_a_longer_term_may_hold_a_word_never_used_alone(site: Any) -> None:
    assert misuses(site, "批量归一化网络里的批量归一化") == [(9, "批量归一化", "批归一化")]


def test_latin_words_are_found_whole_and_in_any_case(site: Any) -> None:
    site.write("docs/reference/glossary.tsv", HEADER + "layer norm\t层归一化\tLayerNorm norm\t\t\n")
    assert misuses(site, "the layernorm norm, a MyLayerNorm norm") == [(4, "layernorm norm", "layer norm")]


def test_terms_are_found_with_their_english_the_longest_where_several_overlap(site: Any) -> None:
    text = (
        HEADER
        + "mode\t模式\ntraining mode / evaluation mode\t训练模式 / 评估模式\ndropout\t随机失活（dropout）\t\t\t\n"
    )
    site.write("docs/reference/glossary.tsv", text)
    assert glossary.read(site.project).uses("评估模式与随机失活") == [
        Use(0, "评估模式", "evaluation mode"),
        Use(5, "随机失活", "dropout"),
    ]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("en\tzh\n", "the columns are not as they should be", 1),
        ("", "the columns are not as they should be", 1),
        (HEADER, "a glossary without terms", 1),
        (HEADER + "weight decay\n", "a line that is no entry", 2),
        (HEADER + "a\t甲\n\t乙\n", "a line that is no entry", 3),
        (HEADER + "a\t甲\na\t乙\n", "'a' is entered twice (first on line 2)", 3),
        (HEADER + "a\t甲\nb\t乙\t甲\n", "'甲' is a term and never used", 3),
    ],
)
def test_a_malformed_glossary_is_reported_with_its_line(site: Any, text: str, message: str, line: int) -> None:
    site.write("docs/reference/glossary.tsv", text)
    with pytest.raises(SiteError) as caught:
        glossary.read(site.project)
    assert (caught.value.message, caught.value.line) == (message, line)


def test_all_malformed_lines_are_reported_together(site: Any) -> None:
    site.write("docs/reference/glossary.tsv", HEADER + "a\nb\n")
    with pytest.raises(SiteErrors) as caught:
        glossary.read(site.project)
    assert [error.line for error in caught.value.errors] == [2, 3]


def test_a_missing_glossary_is_an_error(project: Any) -> None:
    with pytest.raises(SiteError, match="there is no glossary"):
        glossary.read(project)


def test_the_glossary_of_this_site_keeps_three_words_apart() -> None:
    words = [word for word, _ in (pair for term in glossary.read(REAL).terms for pair in term.pairs)]
    assert {"正则化", "归一化", "标准化"} <= set(words)
    assert [found.word for found in glossary.read(REAL).misuses("批标准化、批归一化、标准化、规范化")] == [
        "批标准化",
        "规范化",
    ]
