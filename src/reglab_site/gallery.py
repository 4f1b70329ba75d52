"""The gallery of activation functions: a card for each, from what its snippet found out by probing torch.

The curves are small drawings of their own, without words, half a kilobyte each.
"""

from __future__ import annotations

from typing import Any

from reglab_site.artefact import Artefact

SNIPPET, VALUE = "activation_modules", "activations"
SPAN, TOP = 4.0, 3.0  # the drawing shows x from -SPAN to SPAN and y from -TOP to TOP
UNIT = 40  # of the drawing, in its own units

WORDS = {
    "zh": {
        "range": "值域 {low} 到 {high}",
        "steepest": "导数的绝对值最大 {steepest:g}",
        "blocked": "标准正态输入中有 {blocked:.0%} 几乎没有梯度",
        "defaults": "参数 `{defaults}`",
        "input": "图中的输入为 ${input}$",
        "learned": "学习 {parameters} 个参数",
        "between": "；",
        "end": "。",
        "drawing": "{name} 的曲线（实线）与导数（虚线）",
    },
    "en": {
        "range": "range {low} to {high}",
        "steepest": "the derivative reaches {steepest:g} in absolute value",
        "blocked": "almost no gradient for {blocked:.0%} of standard normal inputs",
        "defaults": "arguments `{defaults}`",
        "input": "drawn for the input ${input}$",
        "learned": "learns {parameters} parameter",
        "between": "; ",
        "end": ".",
        "drawing": "The curve of {name} (solid) and its derivative (dashed)",
    },
}


def cards(run: Artefact, language: str, *, drawings: bool) -> str:
    """All cards as Markdown, with or without drawings."""
    found = run.values[VALUE]
    assert isinstance(found, list)
    return "\n\n".join(card(activation, language, drawings=drawings) for activation in found)


def card(activation: dict[str, Any], language: str, *, drawings: bool) -> str:
    """One card: heading, drawing, formula, and what was measured."""
    words = WORDS[language]
    name = activation["name"]
    low = "−∞" if activation["low"] is None else f"{activation['low']:g}".replace("-", "−")
    high = "∞" if activation["high"] is None else f"{activation['high']:g}"
    facts = [words["range"].format(low=low, high=high), words["steepest"].format(**activation)]
    if activation["blocked"] >= 0.005:
        facts.append(words["blocked"].format(**activation))
    if activation["parameters"]:
        facts.append(words["learned"].format(**activation))
    if activation["defaults"]:
        facts.append(words["defaults"].format(**activation))
    if activation["input"]:
        facts.append(words["input"].format(**activation))
    text = words["between"].join(facts) + words["end"]
    text = text[0].upper() + text[1:]
    heading = f"### {name} {{ #{name.lower()} }}"
    drawn = drawing(activation["curve"], activation["gradient"], words["drawing"].format(name=name))
    parts = [heading, *([drawn] if drawings else []), f"${activation['formula']}$", text]
    return "\n\n".join(parts)


def drawing(curve: str, gradient: str, title: str) -> str:
    """The curve and, dashed, its derivative, as an SVG image of a few hundred bytes."""
    width, height = 2 * SPAN * UNIT, 2 * TOP * UNIT
    axes = f"M0 {height / 2:g}H{width:g}M{width / 2:g} 0V{height:g}"
    return (
        f'<svg class="rl-curve" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{title}">'
        f'<path class="rl-curve__axes" d="{axes}"/>'
        f'<path class="rl-curve__slope" d="{path(gradient)}"/><path class="rl-curve__line" d="{path(curve)}"/></svg>'
    )


def path(listed: str) -> str:
    """An SVG path through evenly spaced values, in whole units, without the points that lie on a straight line."""
    values = [float(value) for value in listed.split()]
    step = 2 * SPAN * UNIT / (len(values) - 1)
    points = [(round(i * step), round((TOP - value) * UNIT)) for i, value in enumerate(values)]
    kept = points[:1]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        cross = (here[0] - before[0]) * (after[1] - here[1]) - (here[1] - before[1]) * (after[0] - here[0])
        if cross:
            kept.append(here)
    kept.append(points[-1])
    return "M" + "L".join(f"{x} {y}" for x, y in kept)
