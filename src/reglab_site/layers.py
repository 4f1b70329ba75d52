"""The reference of torch's layers: a card for each, from what its snippet found out by probing torch."""

from __future__ import annotations

from typing import Any

from reglab_site.artefact import Artefact

SNIPPET, VALUE = "layer_modules", "layers"
AXES = "NCDHWL"  # in the order in which torch has them; results of runs come sorted by their letters
TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

WORDS = {
    "zh": {
        "normalization": "归一化层",
        "dropout": "随机失活层",
        "input": "输入",
        "any": "任意形状",
        "over": {"normalization": "统计量沿这些轴求", "dropout": "沿这些轴共用掩码"},
        "some": "（部分）",
        "none": {"normalization": "无", "dropout": "无，每个元素各抽一次"},
        "parameters": "参数",
        "buffers": "缓冲区",
        "neither": "参数与缓冲区",
        "nothing": "无",
        "modes": "训练与评估",
        "random": "训练时随机，评估时原样返回输入",
        "statistics": "训练时用批量统计量，评估时用滑动统计量",
        "same": "没有分别",
        "signature": "构造",
        "lazy": "通道数由第一次的输入决定。",
        "between": "、",
        "colon": "：",
        "scalar": "标量",
    },
    "en": {
        "normalization": "Normalization layers",
        "dropout": "Dropout layers",
        "input": "input",
        "any": "any shape",
        "over": {"normalization": "averages over", "dropout": "one mask along"},
        "some": " (some)",
        "none": {"normalization": "nothing", "dropout": "nothing, each element has its own"},
        "parameters": "parameters",
        "buffers": "buffers",
        "neither": "parameters and buffers",
        "nothing": "none",
        "modes": "training and evaluation",
        "random": "random in training, the input itself in evaluation",
        "statistics": "statistics of the batch in training, running ones in evaluation",
        "same": "no difference",
        "signature": "constructor",
        "lazy": "The number of channels is taken from the first input.",
        "between": ", ",
        "colon": ": ",
        "scalar": "scalar",
    },
}


def cards(run: Artefact, language: str) -> str:
    """All cards as Markdown, family by family."""
    families = run.values[VALUE]
    assert isinstance(families, dict)
    words: dict[str, Any] = WORDS[language]
    parts = []
    for family in ("normalization", "dropout"):
        parts.append(f"## {words[family]} {{ #{family} }}")
        parts += [card(layer, family, words) for layer in families[family]]
    return "\n\n".join(parts)


def card(layer: dict[str, Any], family: str, words: dict[str, Any]) -> str:
    """One card: a heading and a list of facts."""
    over = sorted(layer["over"].items(), key=lambda found: AXES.index(found[0]))
    axes = [f"{axis}{'' if how == 'all' else words['some']}" for axis, how in over]
    inputs = words["any"] if layer["any_input"] else words["between"].join(f"`{shape}`" for shape in layer["input"])
    modes = "random" if layer["random"] else "statistics" if layer["modes"] else "same"
    facts = [
        (words["signature"], f"`{layer['name']}({layer['signature']})`"),
        (words["input"], inputs),
        (words["over"][family], words["between"].join(axes) or words["none"][family]),
        *((words[kind], shapes(layer[kind], words)) for kind in ("parameters", "buffers") if layer[kind]),
        (words["modes"], words[modes]),
    ]
    if not layer["parameters"] and not layer["buffers"]:
        facts.insert(-1, (words["neither"], words["nothing"]))
    lines = [f"- **{name}**{words['colon']}{fact}" for name, fact in facts]
    note = [words["lazy"]] if layer["lazy"] else []
    return "\n\n".join([f"### {layer['name']} {{ #{layer['name'].lower()} }}", *note, "\n".join(lines)])


def shapes(tensors: dict[str, str], words: dict[str, Any]) -> str:
    """Names of tensors with the axes of their shapes."""
    ordered = sorted(tensors.items(), key=lambda tensor: TENSORS.index(tensor[0]))
    found = [f"`{name}` {axes or words['scalar']}" for name, axes in ordered]
    return str(words["between"].join(found))
