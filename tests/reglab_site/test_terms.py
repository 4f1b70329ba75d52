from typing import Any

from reglab_site import glossary, terms


def explained(site: Any, html: str, language: str = "en") -> str:
    return terms.explain(html, glossary.read(site.project), language, "../glossary/")


def test_the_first_use_of_a_term_leads_to_its_definition(site: Any) -> None:
    html = "<p>Weight decay shrinks; weight decay again. The learning rate.</p>"
    assert explained(site, html) == (
        '<p><a class="rl-term" href="../glossary/#weight-decay" title="shrinking by decay">Weight decay</a> shrinks; '
        "weight decay again. "
        'The <a class="rl-term" href="../glossary/#learning-rate" title="a factor">learning rate</a>.</p>'
    )


def test_chinese_terms_are_found_the_longest_first(site: Any) -> None:
    html = explained(site, "<p>批量归一化网络用权重衰减</p>", "zh")
    assert '#batch-normalization-network" title="含它的网络">批量归一化网络</a>用<a' in html
    assert '#weight-decay" title="按 decay 缩小">权重衰减</a>' in html


def test_headings_code_formulas_links_and_titles_are_left_alone(site: Any) -> None:
    left_alone = (
        '<h2 id="x">Weight decay</h2><p class="admonition-title">Weight decay</p><pre><code>weight decay</code></pre>'
        '<p><a href="#">weight decay</a> <math><mi>weight decay</mi></math><code>weight decay</code></p>'
        '<details><summary>weight decay</summary><p data-text="weight decay"><br/>no term</p></details>'
    )
    assert explained(site, left_alone) == left_alone
    assert explained(site, left_alone + "<p>weight decay</p>").count("rl-term") == 1


def test_words_of_several_meanings_and_parts_of_words_are_left_alone(site: Any) -> None:
    html = "<p>A step, a learning rates table.</p>"
    assert explained(site, html) == html
