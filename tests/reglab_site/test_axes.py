"""The picture of which cells share their statistics."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import markdown
import pytest
from lxml import html

from reglab_site import axes
from reglab_site.artefact import Artefact

BATCH: dict[str, Any] = {
    "name": "BatchNorm",
    "code": "BatchNorm2d(2)",
    "shared": "0 1 2 6 7 8",
    "over": {"N": "all", "H": "all", "W": "all"},
    "count": 6,
    "statistics": 2,
    "mean": True,
    "gamma": [2],
}
EVAL = BATCH | {"name": "BatchNorm · eval()", "shared": "1", "over": {}, "count": 1, "statistics": 0}
GROUP = BATCH | {
    "name": "GroupNorm",
    "shared": "0 1 2",
    "over": {"C": "some", "H": "all", "W": "all"},
    "count": 3,
    "statistics": 4,
}
ROW = BATCH | {
    "name": "LayerNorm · W",
    "shared": "0 1 2",
    "over": {"W": "all"},
    "count": 3,
    "statistics": 4,
    "gamma": None,
}
RMS = BATCH | {
    "name": "RMSNorm",
    "over": {"C": "all", "H": "all", "W": "all"},
    "count": 6,
    "shared": "0 1 2 3 4 5",
    "statistics": 2,
    "mean": False,
    "gamma": [2, 1, 3],
}
BLOCK = {"N": 2, "C": 2, "H": 1, "W": 3}
FOUND = {"block": BLOCK, "chosen": [0, 0, 0, 1], "layers": [BATCH, EVAL, GROUP, ROW, RMS]}
# An artefact is kept as JSON with sorted keys.
RUN = cast(Artefact, SimpleNamespace(values=json.loads(json.dumps({"axes": FOUND}, sort_keys=True))))
LANGUAGES = ("zh", "en")


def rendered(language: str) -> html.HtmlElement:
    """The picture as Markdown passes it on, between two paragraphs."""
    text = markdown.markdown(
        f"Before.\n\n{axes.picture(RUN, language)}\n\nBehind.", extensions=["md_in_html", "attr_list"]
    )
    page = html.fromstring(f"<div>{text}</div>")
    assert [child.tag for child in page] == ["p", "fieldset", "p"]
    return page[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_button_is_followed_by_its_label_and_its_figure(language: str) -> None:
    fieldset = rendered(language)
    assert fieldset[0].tag == "legend"
    buttons = fieldset.findall("input")
    assert [button.get("type") for button in buttons] == ["radio"] * len(FOUND["layers"])
    assert len({button.get("name") for button in buttons}) == 1
    assert len({button.get("id") for button in buttons}) == len(buttons)
    for button, layer in zip(buttons, cast(list[dict[str, Any]], FOUND["layers"]), strict=True):
        label = button.getnext()
        figure = label.getnext()
        assert (label.tag, label.get("for"), label.text) == ("label", button.get("id"), layer["name"])
        assert figure.find("svg").get("role") == "img"
        assert figure.find("svg").get("aria-label").startswith(layer["name"])
        assert figure.find("figcaption").get("id") == button.get("aria-describedby")
    assert [button.get("checked") is not None for button in buttons] == [True, False, False, False, False]


def test_both_languages_have_the_same_choices_and_drawings() -> None:
    found = [rendered(language) for language in LANGUAGES]
    for path in (".//input/@id", ".//label/text()", ".//path/@d", ".//circle/@cx", ".//figcaption/p/code/text()"):
        assert found[0].xpath(path) == found[1].xpath(path) != []


def test_what_shares_its_statistics_is_filled() -> None:
    fieldset = rendered("en")
    first = fieldset.find("figure").find("svg")
    shared = first.find("path[@class='rl-axes__shared']").get("d")
    assert shared.count("M") == 6
    assert first.find("path[@class='rl-axes__cells']").get("d").count("M") == 12
    assert first.find("path[@class='rl-axes__chosen']").get("d") == axes.squares([1], BLOCK)
    # Samples lie to the right of each other, channels below.
    (x, y), (right, same), (left, below) = (axes.place(index, BLOCK) for index in (0, 6, 3))
    assert right > x
    assert (same, left) == (y, x)
    assert below > y


@pytest.mark.parametrize(
    ("layer", "english", "chinese"),
    [
        (
            BATCH,
            "One mean and one variance for each channel, from N·H·W = 2·1·3 = 6 numbers; 2 pairs in this block. "
            "γ has the shape 2.",
            "每个通道各有一对均值和方差，由 N·H·W = 2·1·3 = 6 个数算出；这一块里共有 2 对。γ 的形状是 2。",
        ),
        (
            GROUP,
            "One mean and one variance for each sample and group of channels, from C/G·H·W = 1·1·3 = 3 numbers; "
            "4 pairs in this block. γ has the shape 2.",
            "每个样本、每组通道各有一对均值和方差，由 C/G·H·W = 1·1·3 = 3 个数算出；这一块里共有 4 对。γ 的形状是 2。",
        ),
        (
            ROW,
            "One mean and one variance for each sample, channel and row, from W = 3 numbers; 4 pairs in this block. "
            "There is no γ by default.",
            "每个样本、每个通道、每一行各有一对均值和方差，由 W = 3 个数算出；这一块里共有 4 对。默认没有 γ。",
        ),
        (
            RMS,
            "One mean square for each sample, from C·H·W = 2·1·3 = 6 numbers, and no mean; 2 in this block. "
            "γ has the shape 2×1×3.",
            "每个样本各有一个均方，由 C·H·W = 2·1·3 = 6 个数算出，不求均值；这一块里共有 2 个。γ 的形状是 2×1×3。",
        ),
    ],
)
def test_a_sentence_says_how_many_and_from_what(layer: dict[str, Any], english: str, chinese: str) -> None:
    assert axes.sentence(layer, BLOCK, axes.WORDS["en"]) == english
    assert axes.sentence(layer, BLOCK, axes.WORDS["zh"]) == chinese


def test_a_layer_without_statistics_of_the_block_says_so() -> None:
    assert axes.sentence(EVAL, BLOCK, axes.WORDS["en"]).startswith("No statistics of this block")
    figure = rendered("en").findall("figure")[1]
    assert "no other cell" in figure.find("svg").get("aria-label")


def test_programs_read_a_table() -> None:
    english, chinese = (axes.table(RUN, language) for language in ("en", "zh"))
    assert english.split("\n\n")[0] == "The block has 2 samples and 2 channels, with feature maps of 1×3."
    rows = english.split("\n\n")[1].splitlines()
    assert rows[2:] == [
        "| `BatchNorm2d(2)` | N, H, W | N·H·W = 2·1·3 = 6 | 2 | 2 |",
        "| `BatchNorm2d(2)` | none | – | 0 | 2 |",
        "| `BatchNorm2d(2)` | C (in its group), H, W | C/G·H·W = 1·1·3 = 3 | 4 | 2 |",
        "| `BatchNorm2d(2)` | W | W = 3 | 4 | none |",
        "| `BatchNorm2d(2)` | C, H, W (mean square only) | C·H·W = 2·1·3 = 6 | 2 | 2×1×3 |",
    ]
    assert len(chinese.splitlines()) == len(english.splitlines())
    assert "| C（组内）、H、W | C/G·H·W = 1·1·3 = 3 | 4 | 2 |" in chinese
    assert "<" not in english + chinese
