"""The picture of which cells share their statistics, as a reader uses it: by keyboard, with and without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

PATHS = {"zh": "normalization/which_norm/", "en": "en/normalization/which_norm/"}


def shown(page: Page) -> list[str]:
    """The layers whose pictures are to be seen, by their code."""
    return page.locator(".rl-axes__one:visible figcaption code").all_inner_texts()


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("language", list(PATHS))
def test_a_layer_is_chosen_with_the_arrow_keys(browser: Browser, address: str, language: str, scripts: bool) -> None:
    context = browser.new_context(java_script_enabled=scripts, viewport={"width": 360, "height": 800})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address + PATHS[language], wait_until="networkidle")
    buttons = page.get_by_role("group").get_by_role("radio")
    assert buttons.count() == page.locator(".rl-axes__one").count() > 5
    assert shown(page) == ["BatchNorm2d(6)"]
    buttons.first.focus()
    for position in (1, 2, 3):
        page.keyboard.press("ArrowRight")
        assert buttons.nth(position).is_checked()
        assert len(shown(page)) == 1
    assert shown(page) == ["LayerNormOverChannels((6,))"]
    page.keyboard.press("ArrowUp")
    assert shown(page) == ["LayerNorm((6, 3, 3))"]
    page.get_by_text("GroupNorm", exact=True).first.click()
    assert shown(page) == ["GroupNorm(3, 6)"]
    box = page.locator(".rl-axes__one:visible svg").bounding_box()
    assert box is not None
    assert box["width"] > 150
    assert box["x"] + box["width"] <= 360
    assert all(url.startswith((address, "data:")) for url in asked)
    context.close()


def test_without_a_style_sheet_all_pictures_are_there(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.route("**/*.css", lambda route: route.abort())
    page.goto(address + PATHS["zh"])
    assert len(shown(page)) == page.locator(".rl-axes > input").count()
    context.close()


def test_the_buttons_say_what_they_show(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(address + PATHS["en"])
    button = page.get_by_role("radio", name="InstanceNorm")
    described = page.locator(f"#{button.get_attribute('aria-describedby')}")
    assert "24 pairs in this block" in (described.text_content() or "")
    for svg in page.locator(".rl-axes svg").all():
        assert (svg.get_attribute("aria-label") or "").strip()
    context.close()
