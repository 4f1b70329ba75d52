from pathlib import Path

from reglab_site import pages
from reglab_site.prose import length, prose


def words(text: str, *, link_texts: bool = True) -> str:
    page = pages.parse(Path("page.en.md"), text)
    found = prose(page, link_texts=link_texts)
    assert len(found) == len(text)
    assert found.count("\n") == text.count("\n")
    return " ".join(found.replace(pages.MASK, "").split())


def test_prose_is_text_without_markup() -> None:
    assert words("---\ntitle: x\n---\n## One two { #some-id }\n\nthree {: .wide }\n") == "## One two three"
    assert words('!!! note inline "Title"\n\n    text\n').endswith('"Title" text')
    assert words("1. one\n10. two\n") == "one two"
    assert words('a <span class="b">c</span> <span lang="zh">中文</span> d <!-- e -->') == "a c d"


def test_code_formulas_values_and_citations_are_no_prose() -> None:
    assert words("a `b` $c$ {{ d.e }} {{ define: 9 }} [@f] g\n\n```text\nh\n```\n\n{{ bibliography }}\n") == "a g"


def test_captions_text_alternatives_and_statements_are_prose() -> None:
    assert words("![alt](figure:a:b)\n: caption of [a claim](claim:a:b)\n  in two lines\n") == (
        "alt caption of a claim in two lines"
    )


def test_the_text_of_links_is_prose_where_wanted_but_addresses_are_not() -> None:
    text = "see [the paper](https://a.b/10) and <https://c.d>"
    assert words(text) == "see the paper and"
    assert words(text, link_texts=False) == "see and"


def test_length_counts_chinese_characters_or_english_words() -> None:
    assert length(pages.parse(Path("page.zh.md"), "# 权重衰减（weight decay） { #a }\n\n好 `不算`。\n")) == 5
    assert length(pages.parse(Path("page.en.md"), "# It's well-known { #a }\n\nok `not` $x$.\n")) == 3
