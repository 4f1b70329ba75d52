"""Reading the Chinese of labels and comments, and putting it into code."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from reglab_site.catalogue import Catalogue, comments, localize_code, numeric, wrap
from reglab_site.errors import SiteError, SiteErrors
from reglab_site.project import Project

SNIPPET = Path("snippets/tiny/x.py")


def read(tmp_path: Path, *entries: tuple[str, str, str]) -> Catalogue:
    path = tmp_path / "zh.po"
    path.write_text(
        "".join(f'msgctxt "{context}"\nmsgid "{text}"\nmsgstr "{chinese}"\n\n' for context, text, chinese in entries),
        encoding="utf-8",
    )
    return Catalogue.read(path)


def refused(tmp_path: Path, text: str) -> SiteError:
    path = tmp_path / "zh.po"
    path.write_text(dedent(text), encoding="utf-8")
    with pytest.raises(SiteError) as caught:
        Catalogue.read(path)
    assert caught.value.file == path
    return caught.value


# Texts


def test_an_entry_counts_in_its_own_context(tmp_path: Path) -> None:
    catalogue = read(tmp_path, ("figure", "loss", "损失"), ("comment", "loss", "损失函数"))
    assert catalogue.figure_text("loss") == "损失"
    assert catalogue.comment("loss") == "损失函数"
    assert catalogue.figure_text("Loss") is None


def test_a_placeholder_takes_numbers_and_code_as_they_are(tmp_path: Path) -> None:
    catalogue = read(tmp_path, ("figure", "{layer}, step {n}", "第 {n} 步，{layer}"))
    assert catalogue.figure_text("nn.Linear, step 200") == "第 200 步，nn.Linear"


def test_a_placeholder_takes_words_that_have_an_entry(tmp_path: Path) -> None:
    catalogue = read(tmp_path, ("figure", "{data} loss", "{data}损失"), ("figure", "test", "测试"))
    assert catalogue.figure_text("test loss") == "测试损失"
    assert catalogue.figure_text("train loss") is None


def test_the_exact_entry_comes_first_and_then_the_most_specific(tmp_path: Path) -> None:
    catalogue = read(
        tmp_path,
        ("figure", "seed {n}", "种子 {n}"),
        ("figure", "seed {n} of {m}", "共 {m} 个种子中的第 {n} 个"),
        ("figure", "seed 0", "首个种子"),
    )
    assert catalogue.figure_text("seed 3 of 10") == "共 10 个种子中的第 3 个"
    assert catalogue.figure_text("seed 3") == "种子 3"
    assert catalogue.figure_text("seed 0") == "首个种子"


def test_a_repeated_placeholder_stands_for_the_same_text(tmp_path: Path) -> None:
    catalogue = read(tmp_path, ("figure", "{n} by {n} grid", "{n} 乘 {n} 网格"))
    assert catalogue.figure_text("3 by 3 grid") == "3 乘 3 网格"
    assert catalogue.figure_text("3 by 4 grid") is None


def test_braces_in_math_are_no_placeholders(tmp_path: Path) -> None:
    catalogue = read(tmp_path, ("figure", r"norm $\\mathbf{w}_{i}$", r"范数 $\\mathbf{w}_{i}$"))
    assert catalogue.figure_text(r"norm $\mathbf{w}_{i}$") == r"范数 $\mathbf{w}_{i}$"


def test_the_error_for_a_missing_text_says_what_to_add(tmp_path: Path) -> None:
    catalogue = read(tmp_path, ("figure", "{data} loss", "{data}损失"))
    error = catalogue.missing("figure", "train loss", what="a label", file=SNIPPET, line=7)
    assert str(error).startswith("snippets/tiny/x.py:7: a label without a Chinese text: 'train loss'")
    assert error.hint is not None
    assert 'msgctxt "figure" msgid "train" msgstr "…"' in error.hint
    error = catalogue.missing("comment", 'a "b" $\\eta$', what="a comment", file=SNIPPET, line=7)
    assert error.hint is not None
    assert r'msgid "a \"b\" $\\eta$"' in error.hint


def test_unused_entries_are_reported_with_their_line(tmp_path: Path) -> None:
    catalogue = read(
        tmp_path,
        ("figure", "step {n}", "第 {n} 步"),
        ("figure", "old", "旧"),
        ("figure", "test", "测试"),
        ("figure", "{data} loss", "{data}损失"),
        ("comment", "step 3", "第 3 步"),
    )
    errors = catalogue.unused({"figure": ["step 3", "test loss"], "comment": ["test"]})
    assert [(error.line, error.message) for error in errors] == [
        (6, "no figure says 'old' any more"),
        (18, "no comment says 'step 3' any more"),
    ]
    assert not read(tmp_path, ("figure", "old", "旧")).unused({"figure": ["old"]})


# What is wrong with a catalogue


def test_duplicates(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"'a' is translated twice \(first on line 2\)") as caught:
        read(tmp_path, ("figure", "a", "甲"), ("comment", "a", "甲"), ("figure", "a", "乙"))
    assert caught.value.line == 10


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SiteErrors) as caught:
        read(tmp_path, ("figure", "a", ""), ("figure", "b {n}", "乙"), ("figure", "{n}", "{n}"), ("label", "c", "丙"))
    assert [error.line for error in caught.value.errors] == [2, 6, 10, 14]
    messages = str(caught.value)
    assert "'a' has no Chinese" in messages
    assert "{n} of 'b {n}'" in messages
    assert "would match any text" in messages
    assert "has the context 'label'" in messages


def test_fuzzy_entries(tmp_path: Path) -> None:
    error = refused(
        tmp_path,
        """\
        #, fuzzy
        msgctxt "figure"
        msgid "a"
        msgstr "甲"
        """,
    )
    assert error.line == 3
    assert "fuzzy" in error.message


@pytest.mark.parametrize("line", [r'msgid "$\lambda$"', 'msgid "a"b"', 'msgid "a'])
def test_strings_with_a_lone_backslash_or_quotation_mark(tmp_path: Path, line: str) -> None:
    error = refused(tmp_path, f'msgctxt "figure"\n{line}\nmsgstr "甲"\n')
    assert error.line == 2
    assert "backslash twice" in str(error.hint)


def test_what_is_no_catalogue(tmp_path: Path) -> None:
    assert refused(tmp_path, 'msgctxt "figure"\nmsgid "a"\nnonsense\n').line == 3
    assert refused(tmp_path, 'msgctxt "figure"\nmsgid "a"\nmsgid_plural "as"\nmsgstr[0] "甲"\n').line == 2
    (tmp_path / "zh.po").write_bytes(b"\xff\xfe")
    with pytest.raises(SiteError, match="cannot be read"):
        Catalogue.read(tmp_path / "zh.po")
    with pytest.raises(SiteError, match="cannot be read"):
        Catalogue.read(tmp_path / "nowhere.po")


def test_the_catalogue_of_this_project_can_be_read() -> None:
    Catalogue.read(Project.find(Path(__file__)).catalogue)


# What needs no translation


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.5",
        "−3 %",
        "1e-3",
        "10⁻²",
        "28×28",
        "0.5 kB",
        "p = 0.5",
        "β",
        "$x_i^2$",
        r"$\lambda = 10^{-3}$",
        r"$\mathrm{ReLU}(x)$",
        r"$\mathrm{d}x$",
        "ReLU",
        "AdamW",
        "SGD",
        "BatchNorm2d(3, affine=False)",
        "nn.Linear",
        "running_var",
        "L1",
        "(N, C, H, W)",
    ],
)
def test_numeric(text: str) -> None:
    assert numeric(text)


@pytest.mark.parametrize(
    "text",
    [
        "loss",
        "Dropout",
        "Adam",
        "no",
        "10 steps",
        "L1 penalty",
        "p = 0.5 (train)",
        "momentum=0.9",
        r"$\mathrm{train}$",
        r"$L_\text{test}$ and",
        "损失",
    ],
)
def test_not_numeric(text: str) -> None:
    assert not numeric(text)


# Comments

CODE = '''\
# The update of plain SGD,
# with decay (N, C).
w = w - lr * g  # why (1)!
# (N, C, H, W)
# claim: decay-shrinks
assert w < 1
if w:
    # Inside.

    # Apart. (2)!
    s = "# no comment"  # type: ignore[assignment]
    # w @ x.T
    t = """
# no comment either
"""'''


def test_comments_are_joined_into_paragraphs() -> None:
    found = [(comment.first, comment.last, comment.text, comment.marks) for comment in comments(CODE)]
    assert found == [
        (1, 2, "The update of plain SGD, with decay (N, C).", ""),
        (3, 3, "why", " (1)!"),
        (8, 8, "Inside.", ""),
        (10, 10, "Apart.", " (2)!"),
    ]


def test_an_empty_comment_a_claim_and_a_mark_end_a_paragraph() -> None:
    code = "# One.\n#\n# Two.\n# claim: a-b\n# Three. (1)!\n# Four.\n"
    assert [comment.text for comment in comments(code)] == ["One.", "Two.", "Three.", "Four."]


def test_code_in_chinese(tmp_path: Path) -> None:
    catalogue = read(
        tmp_path,
        ("comment", "The update of plain SGD, with decay (N, C).", "普通 SGD 带权重衰减的更新 (N, C)。"),
        ("comment", "why", "原因"),
        ("comment", "Inside.", "里面。"),
        ("comment", "Apart.", "另一段。"),
    )
    expected = CODE.replace("# The update of plain SGD,\n# with decay (N, C).", "# 普通 SGD 带权重衰减的更新 (N, C)。")
    for english, chinese in (("why", "原因"), ("Inside.", "里面。"), ("Apart.", "另一段。")):
        expected = expected.replace(f"# {english}", f"# {chinese}")
    assert localize_code(CODE, "zh", catalogue, file=SNIPPET, line=5) == expected
    assert localize_code(CODE, "en", catalogue, file=SNIPPET, line=5) == CODE


def test_missing_comments_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    catalogue = read(tmp_path, ("comment", "why", "原因"))
    with pytest.raises(SiteErrors) as caught:
        localize_code(CODE, "zh", catalogue, file=SNIPPET, line=5)
    assert [error.line for error in caught.value.errors] == [5, 12, 14]
    assert 'msgctxt "comment" msgid "Inside." msgstr "…"' in str(caught.value)


def test_long_chinese_is_wrapped(tmp_path: Path) -> None:
    sentence = "批归一化先减去小批量的均值，再除以标准差（`running_var` 只在评估模式下使用），最后乘以 gamma。"
    catalogue = read(tmp_path, ("comment", "Long.", sentence * 3))
    code = localize_code("if x:\n    # Long.\n    pass", "zh", catalogue, file=SNIPPET, line=1)
    first, *middle, last = code.split("\n")
    assert (first, last) == ("if x:", "    pass")
    assert len(middle) > 2
    texts = [line.removeprefix("    # ") for line in middle]
    assert "".join(texts).replace(" ", "") == (sentence * 3).replace(" ", "")
    for line in middle:
        assert line.startswith("    # ")
        assert sum(2 if ord(character) > 0x2FFF else 1 for character in line) <= 88
        assert line[6] not in "，。）"
        assert line[-1] not in "（"


def test_wrapping_keeps_words_and_code_whole() -> None:
    assert wrap("甲乙 `a b` 丙丁", 7) == ["甲乙", "`a b`", "丙丁"]
    assert wrap("learning rate 学习率", 10) == ["learning", "rate 学习", "率"]
    assert wrap("甲乙。", 4) == ["甲", "乙。"]
