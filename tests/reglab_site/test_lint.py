from pathlib import Path
from typing import Any

import pytest

from reglab_site import glossary, lint, pages


def page(text: str, language: str) -> pages.Page:
    return pages.parse(Path(f"page.{language}.md"), text)


def typed(text: str) -> list[str]:
    return [error.message.removeprefix("a typed number: ") for error in lint.typed_numbers(page(text, "zh"))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("训练 2000 步", ["2000"]),
        ("训练2000步", ["2000"]),
        ("after 2000 steps", ["2000"]),
        ("p 取 0.5。", ["0.5"]),
        ("in 3. And 12.", ["12"]),
        ("高出 5%", ["5%"]),
        ("高出 5 ％", ["5 ％"]),
        ("10,000 个 1", ["10,000"]),
        ("学习率 1e-3", ["1e-3"]),
        ("a 2000-step run", ["2000"]),
        ("an MLP of 1-200-200-1", ["200", "200"]),
        ("10k images in 20ms", ["10", "20"]),
        ("| a | b |\n|---|---|\n| 64 | 2 |\n", ["64"]),
        ("## 用 50 层 { #deep-50 }", ["50"]),
        ("![a](figure:b:c)\n: 用了 50 层\n", ["50"]),
        ("[10 of 10 seeds](claim:a:b)", ["10", "10"]),
        ("(1850)", ["1850"]),
    ],
)
def test_measured_numbers_and_hyper_parameters_are_not_typed(text: str, found: list[str]) -> None:
    assert typed(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "三层，4 个种子，从 1 到 9",
        "Dropout2d, BatchNorm1d, L1, float64, CIFAR-10, ResNet-50, a 64-bit float, LeNet5",
        "28×28 pixels, 3×32×32",
        "PyTorch 2.13 on Python 3.11 under CC BY-SA 4.0",
        "2014 年，2014年, in 2014, since 2014, (2014)",
        "2012 [@hinton2012] and [@krogh1991], 1991",
        "文章 003 与 000，issue #198",
        "10. ten\n11. eleven\n",
        "`0.5` $0.5$ {{ a.b }} {{ define: 0.5 }} {{ cited: 98.5 % }}",
        "[6.1 weight decay](https://a.b/2.0)",
        "```text\n0.5\n```",
        "<!-- 0.5 -->",
    ],
)
def test_names_sizes_versions_years_and_marked_numbers_are_free(text: str) -> None:
    assert typed(text) == []


def test_the_hint_for_a_typed_number_names_the_ways_out() -> None:
    (error,) = lint.typed_numbers(page("\n\n0.5", "zh"))
    assert error.line == 3
    assert error.hint == "quote it: {{ page.name }}; or mark it: {{ define: 0.5 }}, {{ cited: 0.5 }}"


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("好,不好.", [",", "."]),
        ("权重衰减(weight decay)", ["("]),
        ("[好](claim:a:b),", [","]),
        ("**好**: `x`", [":"]),
        ("dropout(随机)", ["(", ")"]),
        ("ReLU,它", [","]),
        ("好吗?好!", ["?", "!"]),
        ("![甲](figure:a:b)\n: 乙;丙", [";"]),
    ],
)
def test_half_width_punctuation_in_chinese_is_found(text: str, marks: list[str]) -> None:
    found = list(lint.half_width(page(text, "zh")))
    assert [error.message.split("'")[1] for error in found] == marks


@pytest.mark.parametrize(
    "text",
    ["好，不好。", "好（weight decay, L2）", "[好](a.md) 好", "`好,`好", "$x$, $y$", "# 好 { #a }", "- 好\n- 好"],
)
def test_full_width_punctuation_and_markup_are_right(text: str) -> None:
    assert list(lint.half_width(page(text, "zh"))) == []


def test_chinese_on_an_english_page_is_found_where_it_is_no_code_or_marked_name() -> None:
    text = '---\ntitle: 好\n---\nA `代码` <span lang="zh">中文</span> b，\n\n![甲](figure:a:b)\n: c\n'
    assert [(error.line, error.message[-3:]) for error in lint.chinese(page(text, "en"))] == [
        (2, "'好'"),
        (4, "'，'"),
        (6, "'甲'"),
    ]


def first_uses(site: Any, text: str) -> list[str]:
    return [error.message for error in lint.first_uses(page(text, "zh"), glossary.read(site.project))]


@pytest.mark.parametrize(
    "text",
    [
        "# 权重衰减（weight decay）：公式 { #a }\n\n权重衰减\n",
        "# 权重衰减 { #a }\n\n**权重衰减**（weight decay，L2 惩罚）之后，权重衰减\n",
        "# 优化器 { #a }\n\n权重衰减\n",
        "没有标题\n",
    ],
)
def test_a_term_of_the_title_carries_its_english(site: Any, text: str) -> None:
    assert first_uses(site, text) == []


def test_a_term_of_the_title_without_its_english_is_found(site: Any) -> None:
    text = "# 学习率与权重衰减 { #a }\n\n学习率（learning rate）与权重衰减，权重衰减（weight decay）\n"
    assert first_uses(site, text) == ["'权重衰减' stands in the title without its English"]


def test_words_that_the_glossary_excludes_are_found_in_prose_only(site: Any) -> None:
    text = "权值衰减 `权值衰减` [权值衰减](claim:a:b)\n\n![权值衰减](figure:a:b)\n: 权值衰减\n"
    found = list(lint.misuses(page(text, "zh"), glossary.read(site.project)))
    assert [error.line for error in found] == [1, 1, 3, 4]
    assert found[0].hint == "write 权重衰减"


def test_a_page_is_read_by_the_rules_of_its_language(site: Any) -> None:
    terms = glossary.read(site.project)
    chinese = list(lint.page(page("# 权重衰减 { #a }\n\n好, 20\n", "zh"), terms, section=True))
    assert len(chinese) == 3
    assert len(list(lint.page(page("# 权重衰减 { #a }\n\n好, 20\n", "zh"), terms, section=False))) == 2
    assert len(list(lint.page(page("# Weight decay, 好 { #a }\n\n20\n", "en"), terms, section=True))) == 2
