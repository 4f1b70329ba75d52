import time
from argparse import Namespace
from typing import Any

import pytest

from reglab_site import check, run
from reglab_site.errors import SiteError, SiteErrors


def problems(site: Any) -> list[SiteError]:
    """All problems but that the section of the small site is short."""
    found = check.check(site.project, site.snippets, site.artefacts)
    return [error for error in found if "of prose" not in error.message]


def only(site: Any) -> SiteError:
    (error,) = problems(site)
    return error


def test_nothing_is_wrong_in_the_small_site(site: Any) -> None:
    assert problems(site) == []


# The two languages of a page


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "## Sources { #sources }",
            "## Sources { #source }",
            "here the heading `##` `#sources`, but decay.en.md:34 has",
        ),
        ("## Sources", "### Sources", "but decay.en.md:34 has the heading `###` `#sources`"),
        (
            '{cell="data"}',
            '{cell="data" output=false}',
            "the blocks of the languages differ: here the cell `decay:data`",
        ),
        ("!!! exercise", "!!! note", "here the admonition `!!! exercise`, but decay.en.md:25 has the admonition"),
        ("$\\eta$", "$\\mu$", r"the formulas of the languages differ: here the formula `\eta`"),
        ("$\\eta$", "it", "decay.en.md has no more"),
        ("$\\eta$", "$$\n\\eta\n$$", "the blocks of the languages differ"),
        ("{{ decay.loss:.2f }}", "{{ decay.loss:.3f }}", "here the value `decay.loss:.2f`"),
        ("{{ decay.loss:.2f }}", "low", "here the value `decay.loss:.2f`, but decay.en.md has no more"),
        ("[@krogh1991]", "[@krogh1991] [@krogh1991]", "here nothing more, but decay.en.md:7 has the citation"),
        ("rate.\n", "[rate](https://a.b).\n", "here nothing more, but decay.en.md:8 has the link `https://a.b`"),
        ("rate.\n", "rate.\n\n| a |b|\n|---|---|\n| c | d |\n", "has the table `1 rows, 2 columns`"),
        ("{{ bibliography }}", "{{ bibliography }}\n\n{{ bibliography }}", "has the directive `bibliography`"),
        ("description: A curve\n", "", "front matter in one language only: description"),
    ],
)
def test_what_one_language_lacks_is_named_with_both_lines(site: Any, old: str, new: str, message: str) -> None:
    site.edit("en", old, new)
    found = problems(site)
    assert any(message in error.message for error in found), [str(error) for error in found]
    assert all(error.line for error in found)


def test_a_swapped_pair_is_found(site: Any) -> None:
    site.edit("zh", "其中", "{{ decay.points }}，{{ decay.losses[0] }}，其中")
    site.edit("en", "$\\eta$ is", "{{ decay.losses[0] }}, {{ decay.points }}; $\\eta$ is")
    error = only(site)
    assert "here the value `decay.points`, but decay.en.md:7 has the value `decay.losses[0]`" in error.message
    assert (error.file, error.line) == (site.path("zh"), 7)


def test_an_item_that_moved_to_another_section_is_found(site: Any) -> None:
    site.edit("zh", "，其中 $\\eta$ 是学习率。", "。")
    site.edit("zh", "{ #sources }\n", "{ #sources }\n\n其中 $\\eta$ 是学习率。\n")
    assert r"here the formula `\eta` under #sources, but decay.en.md:7 has the formula `\eta` under #decay" in (
        only(site).message
    )


def test_words_in_formulas_and_hosts_of_a_language_may_differ(site: Any) -> None:
    site.edit("zh", "其中", r"$\text{损失} > 1$，[百科](https://zh.wikipedia.org/wiki/A)，其中")
    site.edit("en", "; ", r", $\text{loss}>1$, [see](https://en.wikipedia.org/wiki/A); ")
    assert problems(site) == []


def test_a_page_without_its_twin_is_reported(site: Any) -> None:
    site.path("en").unlink()
    assert only(site).message == "a page without its twin"


# Cells


def test_every_cell_of_a_quoted_snippet_stands_on_the_page(site: Any) -> None:
    site.edit("both", '```python {cell="train"}\n```\n', "")
    assert only(site).message == "cells of decay that the page does not quote: train"


def test_a_cell_stands_on_the_page_once(site: Any) -> None:
    site.add('```python {cell="train"}\n```')
    assert "decay:train is quoted twice (first on line 15)" in only(site).message


def test_cells_stand_in_the_order_of_the_file(site: Any) -> None:
    site.edit("both", '```python {cell="train"}\n```\n', "")
    site.add('```python {cell="train"}\n```')
    error = only(site)
    assert error.message == "decay:train is quoted too late"
    assert error.hint == "the order of the file: data, train, fit, check, solution_one"


def test_code_is_not_typed_into_a_page(site: Any) -> None:
    site.add("```python\nprint(1)\n```")
    assert [error.message for error in problems(site)] == ["Python code on a page"] * 2


# Claims, works, snippets


def test_every_claim_is_stated_on_a_page(site: Any) -> None:
    for language in ("zh", "en"):
        site.edit(language, "](claim:decay:loss-is-small)", "](#decay)")
    error = only(site)
    assert (error.message, error.line) == ("no page states the claim 'loss-is-small'", 15)


def test_every_snippet_is_quoted(site: Any) -> None:
    site.write("snippets/tiny/other.py", "# %% one\nx = 1\n")
    assert only(site).message == "no page quotes this snippet"


def test_every_work_is_cited(site: Any) -> None:
    path = site.project.docs / "reference" / "references.bib"
    entry = "\n@misc{other, author={A, B}, title={x}, year={1991}, doi={1}}\n"
    path.write_text(path.read_text() + entry)
    error = only(site)
    assert (error.message, error.line) == ("no page cites 'other'", 10)


# Blocks


def test_an_exercise_has_a_solution_and_the_other_way_round(site: Any) -> None:
    site.add('!!! exercise "0. No solution"\n\n    Think.')
    assert {error.message for error in problems(site)} == {"an exercise without a solution"}
    site.edit("both", '!!! exercise "0. No solution"', '??? solution "0. No exercise"')
    assert {error.message for error in problems(site)} == {"a solution without an exercise"}
    site.edit("both", '??? solution "0. No exercise"', "!!! note")
    site.edit("both", '??? solution "', '??? note "')
    assert {error.message for error in problems(site)} == {"an exercise without a solution"}


def test_a_figure_stands_on_a_page_once_and_is_described_in_words(site: Any) -> None:
    site.add("![$x$ 与](figure:decay:fit)\n: x")
    messages = {error.message for error in problems(site)}
    assert "the figure decay:fit stands on the page twice" in messages
    assert "a formula or code in a text alternative" in messages


# Sections


def test_a_section_has_what_a_section_needs(site: Any) -> None:
    for language in ("zh", "en"):
        site.path(language).write_text('# Short { #short }\n\n```python {cell="data"}\n```\n', encoding="utf-8")
    messages = {error.message for error in check.check(site.project, site.snippets, site.artefacts)}
    assert {
        "0 Chinese characters of prose; a section has at least 800",
        "1 words of prose; a section has at least 500",
        "a section without a figure",
        "a section without a formula",
        "a section without a second code block",
        "a section without a reference list or link to a source",
    } <= messages


def test_a_section_that_is_long_enough_passes(site: Any) -> None:
    site.edit("zh", "之后，", f"之后，{'好' * 800}，")
    site.edit("en", "After training", "word " * 500)
    assert check.check(site.project, site.snippets, site.artefacts) == []


# The catalogue, the errata, the words


def test_the_catalogue_is_read_against_snippets_figures_and_glossary(site: Any) -> None:
    catalogue = site.project.catalogue
    entries = 'msgctxt "comment"\nmsgid "{}"\nmsgstr "{}"\n'
    catalogue.write_text(
        catalogue.read_text().replace("十个点", "批标准化")
        + "\n".join(["", entries.format("gone", "没了"), entries.format("中文", "中文")])
    )
    found = problems(site)
    assert [error.message for error in found] == [
        "'批标准化' is not used here",
        "no comment says 'gone' any more",
        "a msgid in Chinese",
        "no comment says '中文' any more",
    ]
    assert all(error.file == catalogue and error.line for error in found)


def test_a_comment_without_chinese_is_reported_once(site: Any) -> None:
    snippet = site.project.snippets / "tiny" / "decay.py"
    snippet.write_text(snippet.read_text() + "\n# New words\n")
    error = only(site)
    assert (error.message, error.file) == ("a comment without a Chinese text: 'New words'", snippet)


ENTRY = """\
- id: one
  source: "003"
  kind: wrong
  section: tiny/decay
  check: decay:check
  said: {zh: 权值衰减取 0.5, en: weight decay of 0.5}
  true: {zh: 实际, en: true}
"""


def test_the_errata_are_shown_and_may_say_what_was_said(site: Any) -> None:
    site.write("docs/reference/errata/tiny.yml", ENTRY)
    assert only(site).message == "tiny/decay does not show its errata"
    site.add("{{ errata }}")
    assert problems(site) == []


def test_what_is_true_is_said_in_the_words_of_the_site(site: Any) -> None:
    text = ENTRY.replace("zh: 实际, en: true", "zh: '权值衰减,它', en: '取 0.5'")
    site.write("docs/reference/errata/tiny.yml", text)
    site.add("{{ errata }}")
    assert [(error.message, error.line) for error in problems(site)] == [
        ("'权值衰减' is not used here", 7),
        ("Chinese on an English page: '取'", 7),
        ("a typed number: 0.5", 7),
        ("half-width ',' in Chinese: …权值衰减,它…", 7),
    ]


def test_the_words_of_pages_are_read(site: Any) -> None:
    site.edit("zh", "曲线贴近直线", "批标准化贴近直线")
    site.edit("en", "close to the line", "close to the 线")
    assert sorted(error.message for error in problems(site)) == [
        "'批标准化' is not used here",
        "Chinese on an English page: '线'",
    ]


# All together


def test_everything_is_reported_together_sorted_and_once(site: Any) -> None:
    site.edit("zh", "其中", "{{ decay.nothing }} 权值衰减 20 ，其中")
    site.edit("en", "; ", ", {{ decay.nothing }}; ")
    site.write("docs/tiny/broken.zh.md", "# No id\n")
    site.write("docs/tiny/broken.en.md", "# No id\n")
    found = problems(site)
    places = [(str(error.file), error.line) for error in found]
    assert places == sorted(places)
    assert len({(place, error.message) for place, error in zip(places, found, strict=True)}) == len(found)
    messages = {error.message for error in found}
    assert {"decay has no value 'nothing'", "'权值衰减' is not used here", "a typed number: 20"} <= messages
    assert "the heading 'No id' has no id" in messages


def test_without_runs_everything_else_is_checked(site: Any) -> None:
    site.edit("zh", "其中", "{{ decay.nothing }} 20，其中")
    site.edit("en", "; ", ", {{ decay.nothing }}; ")
    found = check.check(site.project, site.snippets, None)
    messages = [error.message for error in found if "of prose" not in error.message]
    assert messages == ["a typed number: 20"]


def test_the_command_reports_what_is_wrong(
    site: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "run", lambda project: site.artefacts)
    with pytest.raises(SiteErrors, match="at least 800"):
        check.main(site.project, Namespace())
    site.edit("zh", "之后，", f"之后，{'好' * 800}，")
    site.edit("en", "After training", "word " * 500)
    check.main(site.project, Namespace())
    assert capsys.readouterr().out == "all pages agree in both languages and with their runs\n"


def test_a_large_site_is_checked_in_seconds(site: Any) -> None:
    snippet = (site.project.snippets / "tiny" / "decay.py").read_text()
    prose = "Words about $x^2$, `code` and {{ decay.points }} of them, in a line of some length. " * 40
    for number in range(29):
        site.write(f"snippets/tiny/decay{number}.py", snippet)
        for language in ("zh", "en"):
            text = site.path(language).read_text().replace("decay:", f"decay{number}:")
            site.write(f"docs/tiny/decay{number}.{language}.md", f"{text}\n{prose}\n\n{prose}\n")
    start = time.process_time()
    found = check.check(site.project, site.snippets, None)
    assert time.process_time() - start < 2
    assert {error.message.split(" ", 1)[1] for error in found} == {
        "Chinese characters of prose; a section has at least 800",
        "words of prose; a section has at least 500",
    }
