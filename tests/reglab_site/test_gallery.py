"""The gallery of activation functions and the reference of layers."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from reglab_site import gallery, layers

RELU: dict[str, Any] = {
    "name": "ReLU",
    "formula": r"\max(0,x)",
    "defaults": "",
    "input": "",
    "curve": "0 0 0 2 4",
    "gradient": "0 0 0 1 1",
    "low": 0.0,
    "high": None,
    "steepest": 1.0,
    "blocked": 0.5,
    "parameters": 0,
}
GLU: dict[str, Any] = RELU | {"name": "GLU", "defaults": "dim=-1", "input": "(1, x)", "low": -0.5, "blocked": 0.001}
BATCH: dict[str, Any] = {
    "name": "BatchNorm1d",
    "signature": "num_features, eps=1e-05",
    "input": ["(N, C)", "(N, C, L)"],
    "any_input": False,
    "over": {"N": "all", "L": "all"},
    "parameters": {"weight": "C"},
    "buffers": {"running_mean": "C", "num_batches_tracked": ""},
    "lazy": True,
    "random": False,
    "modes": True,
}
DROPOUT: dict[str, Any] = BATCH | {
    "name": "Dropout",
    "any_input": True,
    "over": {},
    "parameters": {},
    "buffers": {},
    "lazy": False,
    "random": True,
}


def test_a_card_has_a_formula_and_what_was_measured() -> None:
    english, chinese = (gallery.card(RELU, language, drawings=False) for language in ("en", "zh"))
    assert english == (
        "### ReLU { #relu }\n\n$\\max(0,x)$\n\nRange 0 to ∞; the derivative reaches 1 in absolute value; "
        "almost no gradient for 50% of standard normal inputs."
    )
    assert "值域 0 到 ∞；导数的绝对值最大 1；" in chinese


def test_a_card_says_what_is_particular() -> None:
    card = gallery.card(GLU | {"parameters": 1}, "en", drawings=False)
    assert "Range −0.5 to ∞" in card
    assert "almost no gradient" not in card
    assert card.endswith("learns 1 parameter; arguments `dim=-1`; drawn for the input $(1, x)$.")


def test_a_drawing_is_small_and_says_what_it_shows() -> None:
    image = etree.fromstring(gallery.card(RELU, "en", drawings=True).split("\n\n")[1])
    assert image.get("aria-label") == "The curve of ReLU (solid) and its derivative (dashed)"
    assert [path.get("class") for path in image] == ["rl-curve__axes", "rl-curve__slope", "rl-curve__line"]


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ("0 0 0", "M0 120L320 120"),  # the point on the straight line is left out
        ("0 1 0", "M0 120L160 80L320 120"),
        ("0 0 1 2 3", "M0 120L80 120L320 0"),
    ],
)
def test_points_on_straight_lines_are_left_out(values: str, drawn: str) -> None:
    assert gallery.path(values) == drawn


def test_a_layer_lists_its_shapes_axes_and_tensors() -> None:
    assert layers.card(BATCH, "normalization", layers.WORDS["en"]) == (
        "### BatchNorm1d { #batchnorm1d }\n\nThe number of channels is taken from the first input.\n\n"
        "- **constructor**: `BatchNorm1d(num_features, eps=1e-05)`\n- **input**: `(N, C)`, `(N, C, L)`\n"
        "- **averages over**: N, L\n- **parameters**: `weight` C\n"
        "- **buffers**: `running_mean` C, `num_batches_tracked` scalar\n"
        "- **training and evaluation**: statistics of the batch in training, running ones in evaluation"
    )


def test_axes_and_tensors_stand_in_the_order_of_torch_whatever_the_order_of_the_result() -> None:
    tensors = {"bias": "C", "weight": "C"}
    buffers = {"num_batches_tracked": "", "running_mean": "C", "running_var": "C"}
    over = {"D": "all", "H": "all", "N": "all", "W": "all"}
    layer = BATCH | {"over": over, "parameters": tensors, "buffers": buffers}
    card = layers.card(layer, "normalization", layers.WORDS["en"])
    assert "- **averages over**: N, D, H, W\n- **parameters**: `weight` C, `bias` C\n" in card
    assert "`running_mean` C, `running_var` C, `num_batches_tracked` scalar\n" in card


def test_a_layer_without_tensors_says_so_once() -> None:
    card = layers.card(DROPOUT, "dropout", layers.WORDS["zh"])
    assert "- **输入**：任意形状\n- **沿这些轴共用掩码**：无，每个元素各抽一次\n- **参数与缓冲区**：无\n" in card
    assert card.endswith("- **训练与评估**：训练时随机，评估时原样返回输入")


def test_some_of_an_axis_and_no_modes() -> None:
    group = BATCH | {"over": {"C": "some", "H": "all"}, "modes": False}
    card = layers.card(group, "normalization", layers.WORDS["en"])
    assert "- **averages over**: C (some), H\n" in card
    assert card.endswith("no difference")
