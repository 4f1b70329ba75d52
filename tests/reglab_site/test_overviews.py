from typing import Any

import pytest

from reglab_site.errors import SiteError, SiteErrors


def page(site: Any, text: str, language: str = "en") -> str:
    """A page of the reference part, woven."""
    for spoken in ("zh", "en"):
        site.write(f"docs/reference/page.{spoken}.md", f"# Page {{ #page }}\n\n{text}\n")
    return str(site.weaver.weave("reference/page", language))


def test_the_glossary_shows_terms_in_the_order_of_each_language_with_their_definitions(site: Any) -> None:
    english, chinese = page(site, "{{ glossary }}"), page(site, "{{ glossary }}", "zh")
    mark = '<span class="rl-row" id="weight-decay"></span>'
    assert f'| {mark}weight decay | <span lang="zh">权重衰减</span> | shrinking by `decay` |' in english
    assert f"| {mark}权重衰减 | weight decay | 按 `decay` 缩小 |" in chinese
    assert 'id="step-of-a-stair"></span>step (of a stair)' in english


def test_a_bar_in_a_definition_does_not_end_the_cell(site: Any) -> None:
    path = site.project.docs / "reference" / "glossary.tsv"
    text = path.read_text(encoding="utf-8").replace("shrinking by `decay`", "|w| falls, `a|b`, $|w|$")
    site.write("docs/reference/glossary.tsv", text)
    assert r" | \|w\| falls, `a|b`, $|w|$ |" in page(site, "{{ glossary }}")


def test_a_term_without_a_definition_is_named_with_its_line(site: Any) -> None:
    path = site.project.docs / "reference" / "glossary.tsv"
    site.write("docs/reference/glossary.tsv", path.read_text(encoding="utf-8").replace("\ta factor", "\t"))
    with pytest.raises((SiteError, SiteErrors)) as caught:
        page(site, "{{ glossary }}")
    assert "'learning rate' is not defined in en" in str(caught.value)
    assert "glossary.tsv:5" in str(caught.value)


def test_all_works_are_listed_with_the_pages_that_cite_them(site: Any) -> None:
    english, chinese = page(site, "{{ works }}"), page(site, "{{ works }}", "zh")
    assert english.count("- Krogh, A. & Hertz, J. A. (1991).") == 1
    assert "(cited in [Fit](../tiny/decay.md))" in english
    assert "（引用于[拟合](../tiny/decay.md)）" in chinese


def test_runs_are_listed_with_what_the_recorded_run_took(site: Any) -> None:
    assert "| [Fit](../tiny/decay.md) | 1 | 0.5 s | 2026-01-01 |" in page(site, "{{ runs }}")
    assert "| [拟合](../tiny/decay.md) | 1 | 0.5 秒 | 2026-01-01 |" in page(site, "{{ runs }}", "zh")


def test_a_page_quotes_numbers_of_the_whole_site(site: Any) -> None:
    assert "1 of 1, 0.5 s, 3.11" in page(
        site, "{{ site.claims }} of {{ site.assertions }}, {{ site.seconds:.1f}} s, {{ site.python }}"
    )


def test_an_unknown_number_of_the_site_is_answered_with_the_nearest(site: Any) -> None:
    with pytest.raises((SiteError, SiteErrors), match=r"site has no value 'asertions'(.|\n)*did you mean 'assertions'"):
        page(site, "{{ site.asertions }}")
