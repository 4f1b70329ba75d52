from pathlib import Path
from typing import Any

import pytest

from reglab_site import items, pages
from reglab_site.errors import SiteError, SiteErrors


def parse(text: str, name: str = "page.en.md") -> pages.Page:
    return pages.parse(Path(name), text)


def only(text: str, kind: type) -> list[Any]:
    return [item for item in parse(text).items if isinstance(item, kind)]


def errors(text: str) -> list[SiteError]:
    with pytest.raises((SiteError, SiteErrors)) as caught:
        parse(text)
    return caught.value.errors if isinstance(caught.value, SiteErrors) else [caught.value]


def test_items_stand_in_the_order_of_the_text_with_their_lines() -> None:
    page = parse("---\ntitle: x\n---\n# One { #one }\n\ntext $a$ {{ a.b }}\n\n## Two { #two }\n\n[@key]\n")
    assert [(item.what, item.line) for item in page.items] == [
        ("heading", 4),
        ("formula", 6),
        ("value", 6),
        ("heading", 8),
        ("citation", 10),
    ]
    assert (page.front, page.language, page.stem, page.title) == ({"title": "x"}, "en", "page", "One")


def test_nothing_in_code_formulas_and_comments_is_an_item() -> None:
    opaque = "`[@a]` ``{{ b` }}`` $[@c]$ <!-- # d\n[e](claim:f:g) -->\n\n```text\n# h {{ i.j }}\n$k$\n```\n"
    assert [item.what for item in parse(opaque).items] == ["formula", "code block"]


def test_values_are_found_in_formulas_and_inline_code_but_braces_of_latex_are_not() -> None:
    found = only(r"$\eta = {{ net.rate }}$, `lr={{ net.rate }}` and $\frac{{a}}{{{b}}}$", items.Value)
    assert [(value.snippet, value.name) for value in found] == [("net", "rate"), ("net", "rate")]


def test_a_format_in_a_formula_needs_no_space_behind_it() -> None:
    (value,) = only("$T = {{ net.knob[0]:g}}$", items.Value)
    assert (value.name, value.keys, value.format) == ("knob", (0,), "g")


@pytest.mark.parametrize(
    ("text", "keys", "form"),
    [
        ("{{ a.b }}", (), ""),
        ("{{a.b:.2f}}", (), ".2f"),
        ("{{ a.b[3] }}", (3,), ""),
        ("{{ a.b[-1]['x y']:,.1% }}", (-1, "x y"), ",.1%"),
        ('{{ a.b["x"][""] }}', ("x", ""), ""),
    ],
)
def test_a_value_has_keys_and_a_format(text: str, keys: tuple[int | str, ...], form: str) -> None:
    (value,) = only(text, items.Value)
    assert (value.snippet, value.name, value.keys, value.format) == ("a", "b", keys, form)


def test_a_cell_is_of_the_page_s_snippet_unless_another_is_named() -> None:
    fence = "```python {{cell={}}}\n```\n"
    cells = only(
        "\n".join(fence.format(name) for name in ('"one"', '"other:two"', '"chapter/other:three"')), items.Cell
    )
    assert [(cell.snippet, cell.cell) for cell in cells] == [("page", "one"), ("other", "two"), ("other", "three")]


def test_a_cell_has_options_and_knows_whether_it_is_folded_already() -> None:
    text = (
        '```python {cell="a" output=false fold="More of it"}\n```\n\n'
        '??? note "x"\n\n    text\n\n    !!! tip\n\n        ```python {cell="b"}\n        ```\n\n'
        '!!! note\n\n    ```python {cell="c"}\n    ```\n'
    )
    first, second, third = only(text, items.Cell)
    assert (first.output, first.fold, first.folded) == (False, "More of it", False)
    assert (second.output, second.fold, second.folded, second.indent) == (True, None, True, " " * 8)
    assert not third.folded


def test_a_figure_has_a_text_alternative_and_a_caption_of_several_lines() -> None:
    text = "![A *curve*](figure:net:fit)\n: The first line\n  and $x$.\n\nno caption\n"
    (figure,) = only(text, items.Figure)
    assert text[figure.caption.start : figure.caption.end] == "The first line\n  and $x$."
    assert text[figure.alternative.start : figure.alternative.end] == "A *curve*"
    assert [formula.latex for formula in only(text, items.Math)] == ["x"]


def test_a_claim_may_hold_values_and_formulas() -> None:
    found = parse("[at {{ a.b[0] }} it is $x$](claim:net:it-is)").items
    assert [item.what for item in found] == ["claim", "value", "formula"]


def test_tables_have_a_shape() -> None:
    (table,) = only("| a | b |\n|---|:-:|\n| `x | y` | 2 |\n| a \\| b | 3 |\n\ntext\n", items.Table)
    assert (table.rows, table.columns) == (2, 2)


def test_formulas_are_compared_without_spacing_and_words() -> None:
    one, other, third = only(r"$a_{i} + \text{loss}$ $a_{i}+ \text{损失}$ $a_{j} + \text{loss}$", items.Math)
    assert one.shape == other.shape != third.shape
    apart, together = only(r"$\alpha x$ $\alphax$", items.Math)
    assert apart.shape != together.shape


def test_links_know_their_targets() -> None:
    targets = [link.target for link in only("[a](b.md#c) ![d](e_(f).png) <https://g.h> [i `]` j](k)", items.Link)]
    assert targets == ["b.md#c", "e_(f).png", "https://g.h", "k"]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("# One\n", "has no id", 1),
        ("# One { #Ü }\n", "'Ü' is no id", 1),
        ("# One { #a }\n\n## Two { #a }\n", "two headings have the id 'a' (the first is on line 1)", 3),
        ("text\n\nTwo\n---\n", "an underlined heading", 3),
        ("\n```text\nnever closed\n", "a fence that is not closed", 2),
        ("text <!-- never closed\n", "a comment that is not closed", 1),
        ('```python {cel="a"}\n```\n', "unknown option 'cel'", 1),
        ("```python {output=false}\n```\n", "names no cell", 1),
        ('```python {cell="a" x}\n```\n', "'x' is no option", 1),
        ('```python {cell="a" output=no}\n```\n', "neither true nor false", 1),
        ('```python {cell="a"}\nprint(1)\n```\n', "code below a quotation", 1),
        ('- ```python {cell="a"}\n  ```\n', "a fence must begin its line", 1),
        ("![x](figure:a:b)\n", "without a caption", 1),
        ("![](figure:a:b)\n: caption\n", "without a text alternative", 1),
        ("text ![x](figure:a:b)\n: caption\n", "must stand alone", 1),
        ("![x](figure:a)\n: caption\n", "names no figure", 1),
        ("[x](claim:a)\n", "names no claim", 1),
        ("[ ](claim:a:b)\n", "without a statement", 1),
        ("\n{{ a }}\n", "neither a value nor a directive", 2),
        ("{{ biblography }}\n", "neither a value nor a directive", 1),
        ("see {{ bibliography }}\n", "must stand alone", 1),
        ("[@a, p. 3]\n", "is no citation", 1),
        ("[a]()\n", "a link without a target", 1),
        ("| a | b |\n|---|---|\n| 1 |\n", "a table row with 1 cells in a table of 2 columns", 3),
        ("| a | b |\n|---|---|\n| $|x|$ | 2 |\n", "a | in a formula in a table", 3),
        ("---\ntitle: [\n---\n", "front matter is not YAML", 3),
        ("---\n- a\n---\n", "front matter is no mapping", 1),
    ],
)
def test_what_is_malformed_is_reported_with_its_line(text: str, message: str, line: int) -> None:
    found = errors(text)
    assert any(message in error.message and error.line == line for error in found), [str(error) for error in found]


def test_a_misspelt_directive_is_answered_with_the_nearest() -> None:
    (error,) = errors("{{ biblography }}\n")
    assert "did you mean 'bibliography'?" in (error.hint or "")


def test_everything_malformed_is_reported_together() -> None:
    assert [error.line for error in errors("# One\n\n[](claim:a)\n\n{{ b }}\n")] == [1, 3, 3, 5]


def test_pages_come_in_pairs(project: Any, write: Any) -> None:
    for name in ("a/one.zh.md", "a/one.en.md", "index.zh.md", "index.en.md"):
        write(f"docs/{name}", "# x { #x }\n")
    assert [pair.name for pair in pages.find(project)] == ["a/one", "index"]
    assert pages.find(project)[0].path("en").name == "one.en.md"


def test_a_page_without_its_twin_is_an_error(project: Any, write: Any) -> None:
    write("docs/a/one.zh.md", "")
    write("docs/two.md", "")
    with pytest.raises(SiteErrors) as caught:
        pages.find(project)
    alone, bare = sorted(caught.value.errors, key=lambda error: error.message, reverse=True)
    assert alone.message == "a page without its twin"
    assert "docs/a/one.en.md" in (alone.hint or "")
    assert bare.message == "a page without a language"


def test_a_sentence_of_a_data_file_knows_the_line_that_it_stands_on() -> None:
    sentence = pages.sentence("is {{ a.b }}", Path("errata.yml"), 7, "zh")
    assert [item.line for item in sentence.items] == [7]
    assert (sentence.line(3), sentence.language) == (7, "zh")
    with pytest.raises(SiteError) as caught:
        pages.sentence("is {{ a }}", Path("errata.yml"), 7, "zh")
    assert caught.value.line == 7
