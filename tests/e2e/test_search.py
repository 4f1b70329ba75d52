"""The search, by typing into its box."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect


def find(browser: Browser, home: str, query: str) -> list[str]:
    """The pages that typing `query` on the page `home` finds, best first, below the root of the language."""
    page = browser.new_page()
    page.goto(home, wait_until="networkidle")
    page.locator(".md-search__input").click()
    page.keyboard.type(query, delay=30)
    page.keyboard.press("End")  # typed Chinese arrives without a key, which an input method would have sent
    expect(page.locator(".md-search-result__meta")).to_contain_text("结果" if "/en/" not in home else "document")
    expect(page.locator(".md-search-result__link").first).to_be_visible()
    links = page.eval_on_selector_all(
        ".md-search-result__link", "links => links.map(link => link.href.split(/[?#]/)[0])"
    )
    page.locator(".md-search-result__link").first.click()
    page.wait_for_load_state("networkidle")
    assert page.url.split("?")[0].split("#")[0] == links[0]
    assert page.locator("article h1").count() == 1
    page.context.close()
    return list(dict.fromkeys(link.removeprefix(home) for link in links))


@pytest.mark.parametrize(
    ("root", "query", "expected"),
    [
        ("", "权重衰减", "regularization/weight_decay/"),
        ("", "权值衰减", "regularization/weight_decay/"),
        ("", "weight decay", "regularization/weight_decay/"),
        ("en/", "weight decay", "regularization/weight_decay/"),
        ("en/", "train eval", "dropout/train_and_eval/"),
        ("", "批归一化", "normalization/batch_norm/"),
        ("", "批标准化", "normalization/batch_norm/"),
        ("", "归一化", "normalization/why_normalize/"),
        ("", "暂退法", "dropout/dropout/"),
        ("en/", "momentum", "normalization/batch_norm/"),
        ("en/", "batch norm", "normalization/batch_norm/"),
    ],
)
def test_typing_finds_the_page(browser: Browser, address: str, root: str, query: str, expected: str) -> None:
    found = find(browser, address + root, query)
    assert found[0] == expected
    assert not any(path.startswith("labs/") and path != "labs/" for path in found)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("批归一化", ["sums/batch_norm/"]),
        ("批标准化", ["sums/batch_norm/"]),
        ("归一化", ["sums/batch_norm/", "sums/layer_norm/"]),
    ],
)
def test_a_term_finds_what_is_a_kind_of_it(
    browser: Browser, small_address: str, query: str, expected: list[str]
) -> None:
    assert sorted(find(browser, small_address, query)) == expected
