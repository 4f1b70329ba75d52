import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import markdown
import pytest

from reglab_site import blocks, fill, run, weave
from reglab_site.errors import SiteError, SiteErrors

EXTENSIONS = [
    "admonition",
    "attr_list",
    "md_in_html",
    "tables",
    "toc",
    "pymdownx.details",
    "pymdownx.highlight",
    "pymdownx.superfences",
    "reglab_site.math",
]


def fails(site: Any, language: str = "en") -> list[SiteError]:
    with pytest.raises((SiteError, SiteErrors)) as caught:
        site.weave(language)
    return caught.value.errors if isinstance(caught.value, SiteErrors) else [caught.value]


def html(site: Any, language: str = "en") -> str:
    rendered = markdown.markdown(site.weave(language, figures="inline"), extensions=EXTENSIONS)
    return weave.inline_figures(rendered, site.weaver, language)


# Code


def test_a_cell_becomes_code_and_what_it_printed(site: Any) -> None:
    expected = """\
```python
# Ten points
points = 10
print("points:", points)
```

```{ .text .output }
points: 10
```
"""
    assert expected in site.weave("en")
    assert expected.replace("Ten points", "十个点") in site.weave("zh")


def test_the_blocks_of_a_woven_page_are_what_pytest_codeblocks_finds(site: Any) -> None:
    found, _ = blocks.extract(site.weave("en"))
    (snippet,) = site.snippets.values()
    assert [block.code for block in found] == [cell.code for cell in snippet.cells]
    assert [block.output for block in found] == ["points: 10\n", None, None, None, "solved\n"]


def test_output_can_be_left_out_and_code_be_folded(site: Any) -> None:
    site.edit("en", '{cell="data"}', '{cell="data" output=false fold="The data"}')
    woven = site.weave("en")
    assert "```{ .text .output }\npoints" not in woven
    assert '??? example "The data"\n\n    ```python\n    # Ten points\n' in woven


def test_checks_and_solutions_are_folded_unless_they_stand_in_a_fold(site: Any) -> None:
    assert '??? check "How we know"\n\n    Every build' in site.weave("en")
    assert '??? check "如何验证"\n\n    每次构建' in site.weave("zh")
    assert '??? solution "Solution"\n\n    ```python\n    print("solved")\n    ```' in site.weave("en")
    site.edit("en", '```python {cell="check"}\n```', '??? note "See"\n\n    ```python {cell="check"}\n    ```')
    assert "??? check" not in site.weave("en")
    assert "{ #check-decay-check .rl-proof }" in site.weave("en")
    site.edit("en", '    ```python {cell="solution_one"}\n    ```', '```python {cell="solution_one"}\n```')
    assert '??? example "Code"' in site.weave("en")


def test_a_cell_keeps_the_indentation_of_its_fence(site: Any) -> None:
    site.edit("en", '```python {cell="data"}\n```', '* item\n\n    ```python {cell="data"}\n    ```')
    assert "    ```python\n    # Ten points\n" in site.weave("en")
    assert "    ```{ .text .output }\n    points: 10\n    ```\n" in site.weave("en")


def test_the_notes_of_annotated_code_come_before_its_output(site: Any) -> None:
    snippet = site.project.snippets / "tiny" / "decay.py"
    snippet.write_text(snippet.read_text().replace("points = 10", "points = 10  # (1)!"))
    site.edit("en", '{cell="data"}\n```\n', '{cell="data"}\n```\n\n1.  How {{ decay.points }} points\n    are made.\n')
    woven = site.weave("en")
    assert re.search(r"# \(1\)!\n.*\n```\n\n1\.  How 10 points\n    are made\.\n\n```\{ \.text \.output \}", woven)
    assert woven.count("How 10 points") == 1


def test_annotations_that_nothing_explains_are_an_error(site: Any) -> None:
    snippet = site.project.snippets / "tiny" / "decay.py"
    snippet.write_text(snippet.read_text().replace("points = 10", "points = 10  # (1)!"))
    (error,) = fails(site)
    assert "annotations that nothing explains" in error.message


def test_printed_text_cannot_end_its_fence() -> None:
    assert fill.fence("text", "a\n  ```\nb") == "````text\na\n  ```\nb\n````"


def test_an_untranslated_comment_stops_the_chinese_page_only(site: Any) -> None:
    site.write("locale/zh.po", 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n')
    site.weave("en")
    (error,) = fails(site, "zh")
    assert error.message == "a comment without a Chinese text: 'Ten points'"
    assert error.file is not None
    assert error.file.name == "decay.py"


# Figures


def test_a_figure_is_a_link_to_a_file_with_its_caption_below(site: Any) -> None:
    assert "![A curve](../../figures/decay-fit.en.svg)\n\n*The curve is close to the line.*\n" in site.weave("en")
    assert "![一条曲线](pictures/decay-fit.zh.svg)" in site.weave("zh", figure_folder="pictures")


def test_in_html_a_figure_stands_inline_with_its_description_and_caption(site: Any) -> None:
    site.edit("en", "The curve is", "The *curve* at $x_1$ and {{ decay.loss:.1f }} is")
    site.edit("en", "![A curve]", '![A "curve" in [0, 1] & <more> at 50_000_ points]')
    page = html(site)
    assert (
        '<figure class="rl-figure" id="fig-decay-fit"><svg role="img" '
        'aria-label="A &quot;curve&quot; in [0, 1] &amp; &lt;more&gt; at 50_000_ points" viewBox="0 0 9 9">'
        "<text>en</text></svg><figcaption>The <em>curve</em> at <math"
    ) in page
    assert "and 0.1 is close to the line.</figcaption></figure>" in page
    assert "rl-place" not in page


def test_a_figure_in_an_exercise_stands_inline_too(site: Any) -> None:
    figure = "![A curve](figure:decay:fit)\n: The curve is close to the line.\n"
    site.edit("en", figure, "")
    site.edit("en", "    Is the", "    ![A curve](figure:decay:fit)\n    : The caption.\n\n    Is the")
    assert re.search(r'exercise">\s*<p class="admonition-title">.*</p>\s*<figure class="rl-figure"', html(site))


def test_a_caption_of_several_lines_is_joined_without_spaces_in_chinese(site: Any) -> None:
    site.edit("zh", ": 曲线贴近直线。", ": 曲线\n  贴近 `x`\n  直线。")
    assert "*曲线贴近 `x` 直线。*" in site.weave("zh")


def test_a_figure_file_stands_alone(site: Any) -> None:
    files = weave.figure_files(site.artefacts.values())
    assert files["decay-fit.zh.svg"] == (
        '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60" style="background:#fff" viewBox="0 0 9 9">'
        "<text>zh</text></svg>\n"
    )
    assert list(files) == ["decay-fit.zh.svg", "decay-fit.en.svg"]


# Values


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("decay.points", "10"),
        ("decay.loss:.4f", "0.1235"),
        ("decay.loss:.1%", "12.3%"),
        ("decay.losses[-1]", "0.5"),
        ('decay.by_name["plain"]:.3f', "0.250"),
        ("decay.fit", "the figure"),
    ],
)
def test_values_are_formatted_in_text_formulas_and_inline_code(site: Any, value: str, shown: str) -> None:
    site.add(f"It is {{{{ {value} }}}}, and $x = {{{{ {value} }}}}$, or `x={{{{ {value} }}}}`.")
    assert f"It is {shown}, and $x = {shown}$, or `x={shown}`." in site.weave("en")


@pytest.mark.parametrize(("form", "shown"), [(".1e", "1.2×10⁻¹"), ("+.0e", "+1×10⁻¹"), ("010.2e", "001.23×10⁻¹")])
def test_powers_of_ten_are_written_out_in_prose_only(site: Any, form: str, shown: str) -> None:
    site.add(f"It is {{{{ decay.loss:{form} }}}}, or `x={{{{ decay.loss:{form} }}}}`.")
    assert f"It is {shown}, or `x={format(0.12346, form)}`." in site.weave("en")


def test_numbers_typed_on_purpose_are_shown(site: Any) -> None:
    site.add("Between {{ define: 0.9 }} and {{ cited: 0.99 }}.")
    assert "Between 0.9 and 0.99." in site.weave("zh")


def test_numbers_typed_on_purpose_are_shown_in_formulas_too(site: Any) -> None:
    site.add(r"It is $\ln 2 \approx {{ define: 0.69 }}$.")
    assert r"It is $\ln 2 \approx 0.69$." in site.weave("en")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("{{ decai.loss:.2f }}", "there is no snippet 'decai'", "did you mean 'decay'?"),
        ("{{ decay.los:.2f }}", "decay has no value 'los'", "did you mean 'loss'?"),
        ("{{ decay.loss }}", "too long to show", "give it a format"),
        ("{{ decay.loss:.2q }}", "'.2q' does not format", "formats are Python's"),
        ("{{ decay.losses }}", "is no single value", "quote one entry, such as decay.losses[0]"),
        ("{{ decay.losses[2] }}", "decay.losses has no entry 2", "it has 2 entries"),
        ('{{ decay.losses["a"] }}', "decay.losses has no entry 'a'", "it has 2 entries"),
        ('{{ decay.by_name["plane"] }}', "decay.by_name has no entry 'plane'", "did you mean 'plain'?"),
        ("{{ decay.points[0] }}", "decay.points has no entry 0", "it is a single value"),
        ("[x](claim:decay:loss-is-smal)", "decay claims no 'loss-is-smal'", "did you mean 'loss-is-small'?"),
        ("![x](figure:decay:fat)\n: x", "decay draws no figure 'fat'", "did you mean 'fit'?"),
        ('```python {cell="dota"}\n```', "tiny/decay has no cell 'dota'", "did you mean 'data'?"),
        ("[@krogh1992]", "there is no work 'krogh1992'", "did you mean 'krogh1991'?"),
        ("{{ errata }}", "there are no errata for tiny/decay", "docs/reference/errata/tiny.yml"),
        ("{{ errata_table }}", "there are no errata", "docs/reference/errata/"),
    ],
)
def test_what_is_misspelt_is_named_with_its_line_and_the_nearest_right_name(
    site: Any, text: str, message: str, hint: str
) -> None:
    site.add(text)
    (error,) = fails(site)
    line = site.path("en").read_text().split(text)[0].count("\n") + 1
    assert message in error.message
    assert hint in (error.hint or "")
    assert (error.file, error.line) == (site.path("en"), line)


def test_all_that_is_misspelt_is_reported_together(site: Any) -> None:
    site.add("{{ decay.a }} {{ decay.b }} [x](claim:decay:c)")
    assert len(fails(site)) == 3


def test_a_malformed_data_file_is_reported_once(site: Any) -> None:
    site.write("docs/reference/references.bib", "@misc{one}\n")
    site.add("[@krogh1991] [@krogh1991]")
    (error,) = fails(site)
    assert error.message == "one: no title"


def test_a_snippet_that_has_not_run_is_named(site: Any) -> None:
    site.write("snippets/tiny/other.py", "# %% one\nx = 1\n")
    site.add("{{ other.x }}")
    (error,) = fails(site)
    assert (error.message, error.hint) == ("tiny/other has not run", "call: python -m reglab_site run other")


# Claims


def test_a_statement_leads_to_the_assertion_that_proves_it(site: Any) -> None:
    title = "How we know: the assertion loss-is-small"
    mark = f'[✓](#check-decay-check){{ .rl-claim title="{title}" aria-label="{title}" }}'
    assert f"the loss is down to 0.12{mark} (" in site.weave("en")
    page = html(site)
    assert f'aria-label="{title}" class="rl-claim" href="#check-decay-check"' in page
    assert re.search(
        r'<details class="check">\s*<summary>.*</summary>\s*<p class="rl-proof" id="check-decay-check">', page
    )


def test_a_statement_on_another_page_leads_to_the_page_with_the_assertion(site: Any) -> None:
    for name in ("docs/other/far", "docs/home"):
        for language in ("zh", "en"):
            site.write(f"{name}.{language}.md", "[Small](claim:decay:loss-is-small)\n")
    assert "[✓](../tiny/decay.md#check-decay-check)" in site.weaver.weave("other/far", "en")
    assert "[✓](tiny/decay.md#check-decay-check)" in site.weaver.weave("home.zh.md", "zh")


def test_an_assertion_that_no_page_shows_proves_nothing(site: Any) -> None:
    site.edit("zh", '```python {cell="check"}\n```', "")
    (error,) = fails(site, "zh")
    assert "no page shows the cell decay:check" in error.message


# Works


def test_citations_lead_to_the_reference_list(site: Any) -> None:
    assert "([Krogh & Hertz, 1991](#ref-krogh1991))" in site.weave("en")
    assert "（[Krogh 与 Hertz，1991](#ref-krogh1991)）" in site.weave("zh")
    assert re.search(r'<ol>\s*<li id="ref-krogh1991">Krogh, A\. &amp; Hertz, J\. A\. \(1991\)\.', html(site))


def test_works_of_one_label_are_told_apart(site: Any) -> None:
    site.write(
        "docs/reference/references.bib",
        "".join(
            f"@misc{{{key}, author={{He, Kaiming}}, title={{{key}}}, year={{2015}}, eprint={{1.{key}}}}}\n"
            for key in ("krogh1991", "other")
        ),
    )
    site.add("[@other; @krogh1991]")
    assert "([He, 2015b](#ref-other); [He, 2015a](#ref-krogh1991))" in site.weave("en")
    assert "He, K. (2015b). other." in site.weave("en")


def test_a_citation_needs_a_reference_list_and_the_other_way_round(site: Any) -> None:
    site.edit("en", "{{ bibliography }}\n", "")
    (error,) = fails(site)
    assert "without a reference list" in error.message
    site.edit("zh", "[@krogh1991]", "")
    (error,) = fails(site, "zh")
    assert "a page that cites nothing" in error.message


# Errata

ENTRY = """\
- id: rate-matters
  source: ["000", "003"]
  kind: imprecise
  section: tiny/decay
  check: decay:check
  claim: loss-is-small
  said: {zh: 与 $\\eta$ 无关, en: independent of $\\eta$}
  true: {zh: "损失是 {{ decay.loss:.2f }}", en: "the loss is {{ decay.loss:.2f }}"}
"""


def test_the_errata_of_a_section_stand_in_a_box(site: Any) -> None:
    site.write("docs/reference/errata/tiny.yml", ENTRY)
    site.add("{{ errata }}")
    woven = site.weave("en")
    assert '!!! errata ""\n\n    - **' in woven
    assert "(000), " in woven
    assert "        Said: independent of $\\eta$\n\n        True: the loss is 0.12[✓](#check-decay-check)" in woven
    assert "原文：与 $\\eta$ 无关" in site.weave("zh")
    assert '<div class="admonition errata">\n<ul>' in html(site)


def test_the_errata_page_has_a_row_for_each_entry_that_a_script_can_filter(site: Any) -> None:
    site.write("docs/reference/errata/tiny.yml", ENTRY)
    for language in ("zh", "en"):
        site.write(f"docs/reference/errata.{language}.md", "# Errata { #errata }\n\n{{ errata_table }}\n")
    site.add("{{ errata }}")
    assert "[erratum](../reference/errata.md#rate-matters)" in site.weave("en")
    woven = site.weaver.weave("reference/errata", "en")
    assert (
        '<span class="rl-row rl-erratum" id="rate-matters" data-source="000 003" data-kind="imprecise"></span>' in woven
    )
    assert "[✓](../tiny/decay.md#check-decay-check)" in woven
    assert "[Fit](../tiny/decay.md)" in woven
    table = markdown.markdown(woven, extensions=EXTENSIONS)
    assert len(re.findall("<td>", table)) == 5
    assert "<form" not in woven
    shown = site.weaver.weave("reference/errata", "zh", figures="inline")
    assert '<option value="imprecise">不准确 · 1</option>' in shown
    assert '<option value="001">' in shown
    cards = markdown.markdown(shown, extensions=EXTENSIONS)
    assert re.findall('<td data-label="(.*?)">(..)', cards) == [("原文：", "与 "), ("实际：", "损失")]


def test_a_sentence_of_the_errata_can_quote_values_but_not_works(site: Any) -> None:
    site.write("docs/reference/errata/tiny.yml", ENTRY.replace("the loss is", "[@krogh1991]"))
    site.add("{{ errata }}")
    (error,) = fails(site)
    assert (error.message, error.line) == ("a citation in an erratum", 8)


# The command line


def test_the_command_writes_pages_and_figures(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "run", lambda project: site.artefacts)
    weave.main(site.project, Namespace(to=tmp_path / "out"))
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert written == {"zh/tiny/decay.md", "en/tiny/decay.md", "figures/decay-fit.zh.svg", "figures/decay-fit.en.svg"}
    page = (tmp_path / "out/en/tiny/decay.md").read_text(encoding="utf-8")
    assert page.startswith("---\ntitle: Fit\n")
    (link,) = re.findall(r"!\[A curve\]\((.*)\)", page)
    assert (tmp_path / "out/en/tiny" / link).resolve().is_file()


def test_the_command_writes_nothing_when_something_is_wrong(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "run", lambda project: site.artefacts)
    site.add("{{ decay.nothing }}")
    with pytest.raises(SiteErrors) as caught:
        weave.main(site.project, Namespace(to=tmp_path / "out"))
    assert len(caught.value.errors) == 2
    assert not (tmp_path / "out").exists()


def test_an_unknown_page_is_answered_with_the_nearest(site: Any) -> None:
    with pytest.raises(SiteError) as caught:
        site.weaver.weave("tiny/decai", "en")
    assert caught.value.hint == "did you mean 'tiny/decay'?"
