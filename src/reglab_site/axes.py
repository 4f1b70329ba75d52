"""The picture of which cells share their statistics, layer by layer, from what its snippet found out by probing torch.

A reader chooses a layer with radio buttons, by mouse or with the arrow keys, and sees its picture. No script is needed:
each button is followed by its label and its figure, and the style sheet hides the figures of those not chosen. Without
the style sheet, and on paper, all of them are there, one below the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from math import prod
from typing import Any

from reglab_site.artefact import Artefact

SNIPPET, VALUE = "which_norm", "axes"
LETTERS = "NCHW"  # the axes in their order, which the keys of an artefact do not keep
CELL, GAP, MARGIN = 10, 8, 20  # of the drawing, in its own units: a cell, between two feature maps, for labels

WORDS: dict[str, dict[str, Any]] = {
    "zh": {
        "legend": "选一层，看谁与带点的那一格共用统计量",
        "hint": "每一列是一个样本，每一行是一个通道，每个方块是一张 {H}×{W} 的特征图。",
        "samples": "N：{N} 个样本",
        "channels": "C：{C} 个通道",
        "each": {"N": "每个样本", "C": "每个通道", "group": "每组通道", "HW": "每个位置", "H": "每一行"},
        "same": {"N": "同一样本", "C": "同一通道", "group": "同一组通道", "HW": "同一位置", "H": "同一行"},
        "between": ("、", "、"),
        "pair": "{each}各有一对均值和方差，由 {product} 个数算出；这一块里共有 {statistics} 对。",
        "square": "{each}各有一个均方，由 {product} 个数算出，不求均值；这一块里共有 {statistics} 个。",
        "constant": "不看这一块的统计量：减去的均值和除以的标准差都是训练时记下的常数，每个格子只取决于自己。",
        "gamma": "γ 的形状是 {shape}。",
        "no_gamma": "默认没有 γ。",
        "picture": "{name}：与选中的格子共用统计量的有 {count} 格，{same}。",
        "alone": "{name}：没有别的格子与选中的格子共用统计量。",
        "columns": "层 | 沿这些轴求统计量 | 每组统计量由几个数算出 | 这一块里有几组 | γ 的形状",
        "block": "一块数据有 {N} 个样本、{C} 个通道，每张特征图 {H}×{W}。",
        "some": "C（组内）",
        "no_mean": "（只有均方）",
        "nothing": "无",
        "join": "、",
    },
    "en": {
        "legend": "Choose a layer: which cells share their statistics with the dotted one?",
        "hint": "A column is a sample, a row is a channel, each square is a feature map of {H}×{W}.",
        "samples": "N: {N} samples",
        "channels": "C: {C} channels",
        "each": {"N": "sample", "C": "channel", "group": "group of channels", "HW": "position", "H": "row"},
        "same": {"N": "sample", "C": "channel", "group": "group of channels", "HW": "position", "H": "row"},
        "between": (", ", " and "),
        "pair": "One mean and one variance for each {each}, from {product} numbers; {statistics} pairs in this block.",
        "square": "One mean square for each {each}, from {product} numbers, and no mean; {statistics} in this block.",
        "constant": (
            "No statistics of this block: the mean that is subtracted and the standard deviation that divides are "
            "constants noted in training, and each cell depends on itself alone."
        ),
        "gamma": "γ has the shape {shape}.",
        "no_gamma": "There is no γ by default.",
        "picture": "{name}: {count} cells share their statistics with the chosen one, those of the same {same}.",
        "alone": "{name}: no other cell shares its statistics with the chosen one.",
        "columns": "Layer | Averages over | Numbers in each statistic | Statistics in the block | Shape of γ",
        "block": "The block has {N} samples and {C} channels, with feature maps of {H}×{W}.",
        "some": "C (in its group)",
        "no_mean": " (mean square only)",
        "nothing": "none",
        "join": ", ",
    },
}

Layer = dict[str, Any]


def picture(run: Artefact, language: str) -> str:
    """The choice and its pictures, as HTML that Markdown leaves alone."""
    found, words = _found(run), WORDS[language]
    block, chosen = found["block"], found["chosen"]
    parts = [
        f'<fieldset class="rl-axes"><legend>{words["legend"]}</legend>',
        f'<p class="rl-axes__hint">{words["hint"].format(**block)}</p>',
    ]
    for number, layer in enumerate(found["layers"]):
        key = f"axes-{re.sub(r'[^a-z]+', '-', layer['name'].lower()).strip('-')}"
        checked = "" if number else " checked"
        parts += [
            f'<input type="radio" name="rl-axes" id="{key}" aria-describedby="{key}-text"{checked}>'
            f'<label for="{key}">{escape(layer["name"])}</label>',
            f'<figure class="rl-axes__one">{drawing(layer, block, chosen, words)}<figcaption id="{key}-text">'
            f"<p><code>{escape(layer['code'])}</code></p><p>{sentence(layer, block, words)}</p></figcaption></figure>",
        ]
    return "\n".join([*parts, "</fieldset>"])


def table(run: Artefact, language: str) -> str:
    """The same in words and numbers, as a table in Markdown."""
    found, words = _found(run), WORDS[language]
    rows = [f"{words['block'].format(**found['block'])}\n", f"| {words['columns']} |", "|---|---|---|---|---|"]
    for layer in found["layers"]:
        over = words["join"].join(words["some"] if how == "some" else letter for letter, how in axes_of(layer))
        alone = not layer["statistics"]
        cells = [
            f"`{layer['code']}`",
            words["nothing"] if alone else over + words["no_mean"] * (not layer["mean"]),
            "–" if alone else product(layer, found["block"]),
            str(layer["statistics"]),
            shape(layer["gamma"]) or words["nothing"],
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _found(run: Artefact) -> dict[str, Any]:
    found = run.values[VALUE]
    assert isinstance(found, dict)
    return found


def sentence(layer: Layer, block: dict[str, int], words: dict[str, Any]) -> str:
    """How many statistics there are, from how many numbers each, and the shape of γ."""
    kind = "constant" if not layer["statistics"] else "pair" if layer["mean"] else "square"
    each = listed([words["each"][key] for key in apart(layer)], words)
    text: str = words[kind].format(each=each, product=product(layer, block), statistics=layer["statistics"])
    gamma: str = words["gamma"].format(shape=shape(layer["gamma"])) if layer["gamma"] else words["no_gamma"]
    return f"{text}{' ' * text.endswith('.')}{gamma}"


def apart(layer: Layer) -> list[str]:
    """What cells must have in common to share their statistics: the axes that the layer does not average over."""
    over = layer["over"]
    channel = {"all": [], "some": ["group"]}.get(over.get("C", ""), ["C"])
    place = "".join(letter for letter in "HW" if letter not in over)
    return [*(["N"] if "N" not in over else []), *channel, *([place] if place else [])]


def axes_of(layer: Layer) -> list[tuple[str, str]]:
    """The axes that the layer averages over, each with `all` or `some`."""
    return [(letter, layer["over"][letter]) for letter in LETTERS if letter in layer["over"]]


def product(layer: Layer, block: dict[str, int]) -> str:
    """`N·H·W = 4·3·3 = 36`, the numbers that make one statistic."""
    over = axes_of(layer)
    whole = prod(block[letter] for letter, how in over if how == "all")
    letters = [letter if how == "all" else f"{letter}/G" for letter, how in over]
    sizes = [block[letter] if how == "all" else layer["count"] // whole for letter, how in over]
    parts = ["·".join(letters), "·".join(map(str, sizes)), str(layer["count"])]
    return " = ".join(dict.fromkeys(parts))  # one axis alone makes two parts the same


def shape(sizes: Sequence[int] | None) -> str:
    """`6×3×3`; empty where there is none."""
    return "×".join(map(str, sizes or ()))


def listed(parts: Sequence[str], words: dict[str, Any]) -> str:
    """`sample, channel and row`."""
    comma, last = words["between"]
    return str(last.join([comma.join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts))


def drawing(layer: Layer, block: dict[str, int], chosen: Sequence[int], words: dict[str, Any]) -> str:
    """The block, flattened: its cells, those that share their statistics filled, the chosen one with a dot."""
    shared = [int(index) for index in layer["shared"].split()]
    width = MARGIN + block["N"] * (block["W"] * CELL + GAP)
    height = MARGIN + block["C"] * (block["H"] * CELL + GAP)
    key = "picture" if layer["statistics"] else "alone"
    same = listed([words["same"][one] for one in apart(layer)], words)
    text = words[key].format(name=layer["name"], count=layer["count"], same=same)
    own = sum(index * size for index, size in zip(chosen, _strides(block), strict=True))
    x, y = place(own, block)
    middle_x, middle_y = (MARGIN + width - GAP) // 2, (MARGIN + height - GAP) // 2
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(text)}">'
        f'<text x="{middle_x}" y="12" text-anchor="middle">{words["samples"].format(**block)}</text>'
        f'<text transform="translate(12 {middle_y}) rotate(-90)" text-anchor="middle">'
        f"{words['channels'].format(**block)}</text>"
        f'<path class="rl-axes__cells" d="{squares(range(prod(block.values())), block)}"/>'
        f'<path class="rl-axes__shared" d="{squares(shared, block)}"/>'
        f'<path class="rl-axes__chosen" d="{squares([own], block)}"/>'
        f'<circle cx="{x + (CELL - 1) / 2:g}" cy="{y + (CELL - 1) / 2:g}" r="2"/></svg>'
    )


def _strides(block: dict[str, int]) -> list[int]:
    sizes = [block[letter] for letter in LETTERS]
    return [prod(sizes[axis + 1 :]) for axis in range(len(sizes))]


def place(index: int, block: dict[str, int]) -> tuple[int, int]:
    """Where the cell of that number is drawn: samples go to the right, channels down, and within them W and H."""
    n, c, h, w = (index // stride % block[letter] for stride, letter in zip(_strides(block), LETTERS, strict=True))
    return MARGIN + n * (block["W"] * CELL + GAP) + w * CELL, MARGIN + c * (block["H"] * CELL + GAP) + h * CELL


def squares(indices: Sequence[int] | range, block: dict[str, int]) -> str:
    """An SVG path of one square a cell."""
    side = CELL - 1
    return "".join("M{} {}h{side}v{side}h-{side}z".format(*place(index, block), side=side) for index in indices)
