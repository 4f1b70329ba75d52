"""Figures in two languages: their texts, colours, ids and bytes, and what is refused."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import matplotlib
import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pytest
from lxml import etree
from matplotlib.text import Text

from reglab_site import artefact, figure_svg, figures, style
from reglab_site.catalogue import Catalogue
from reglab_site.errors import SiteError, SiteErrors

SNIPPET = Path("snippets/tiny/x.py")
CHINESE = {
    "step": "步",
    "loss": "损失",
    "train": "训练",
    "test": "测试",
    "Train and test": "训练与测试",
    "here": "此处",
    "batch\\nnorm": "批\\n归一化",
    "none": "无",
    "{what} loss": "{what}损失",
    "penalty $\\\\lambda \\\\|w\\\\|^2$": "惩罚项 $\\\\lambda \\\\|w\\\\|^2$",
    "rate {math}": "率 {math}",
    "snowman": "☃\U0001f9ed",
}
SVG = "{http://www.w3.org/2000/svg}"

Render = Callable[[], artefact.Figure]


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    style.apply()
    yield
    plt.close("all")
    matplotlib.rcdefaults()


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    path = tmp_path_factory.mktemp("locale") / "zh.po"
    entries = (f'msgctxt "figure"\nmsgid "{text}"\nmsgstr "{chinese}"\n' for text, chinese in CHINESE.items())
    path.write_text("\n".join(entries), encoding="utf-8")
    return Catalogue.read(path)


@pytest.fixture
def render(catalogue: Catalogue) -> Render:
    """Renders the current figure."""
    return lambda: figures.render(
        plt.gcf(), stem="tiny", name="fit", cell="draw", snippet_path=SNIPPET, line=12, catalogue=catalogue
    )


def refused(render: Render) -> list[str]:
    """What is said about the current figure; every message names file, line, figure and cell."""
    with pytest.raises((SiteError, SiteErrors)) as caught:
        render()
    errors = caught.value.errors if isinstance(caught.value, SiteErrors) else [caught.value]
    for error in errors:
        assert isinstance(error, SiteError)
        assert str(error).startswith("snippets/tiny/x.py:12: figure 'fit' of cell 'draw': ")
    return [str(error) for error in errors]


def texts(svg: str) -> list[str]:
    """The labels of an SVG, as a reader sees them."""
    return [
        "".join(str(part) for part in text.itertext()).replace("\u00a0", " ")
        for text in etree.fromstring(svg.encode()).iter(f"{SVG}text")
    ]


# Languages


def draw_everything() -> None:
    """One of each kind of text."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(5.6, 6))
    figure.suptitle("Train and test")
    above.plot([0, 1, 2], [3, 1, 2], label="train")
    above.plot([0, 1, 2], [3, 2, 3], label="test")
    above.legend(title="loss")
    above.set(xlabel="step", title="train loss")
    above.set_xticks([0, 1, 2], ["none", "1", "2"])
    above.annotate("here", (1, 1), (1.5, 2.5), arrowprops={"arrowstyle": "->"})
    image = below.imshow([[0.0, 1.0], [1.0, 0.5]])
    figure.colorbar(image, label="rate $x_i = 3$")
    below.table([["test", "0.3"]], loc="bottom")
    below.axis("off")


def test_all_texts_are_translated(render: Render) -> None:
    draw_everything()
    found = render()
    words = [text for text in texts(found.svg["en"]) if re.search("[a-z]{2}", text)]
    assert sorted(words) == sorted(
        ["Train and test", "train", "test", "loss", "step", "train loss", "none", "here", "rate xi=3", "test"]
    )
    assert set(found.texts) == {*words} - {"rate xi=3"} | {"rate $x_i = 3$"}
    chinese = texts(found.svg["zh"])
    assert [text for text in chinese if re.search("[a-z]{2}", text)] == ["率 xi=3"]
    assert {"训练与测试", "训练", "测试", "损失", "步", "训练损失", "无", "此处", "率 xi=3"} < set(chinese)
    assert len(chinese) == len(texts(found.svg["en"]))


def test_the_figure_is_english_again_afterwards(render: Render) -> None:
    draw_everything()
    before = [text.get_text() for text in plt.gcf().findobj(Text)]
    render()
    after = [text.get_text() for text in plt.gcf().findobj(Text)]
    assert {text for text in before if re.search("[a-z]", text)} == {text for text in after if re.search("[a-z]", text)}
    assert "train" in texts(render().svg["en"])


def test_categories_and_lines_of_a_label_are_translated(render: Render) -> None:
    plt.bar(["none", "batch\nnorm"], [1, 2])
    found = render()
    assert found.texts == ("none", "batch\nnorm")
    assert [text for text in texts(found.svg["zh"]) if not text[0].isdigit()] == ["无", "批", "归一化"]
    assert re.findall(r"<text [^>]*text-anchor:middle[^>]*>(批|归一化)<", found.svg["zh"]) == ["批", "归一化"]


def test_shared_axes_are_translated_once(render: Render) -> None:
    _, (left, right) = plt.subplots(1, 2, sharey=True)
    left.set_yticks([0, 1], ["train", "test"])
    right.plot([0, 1])
    assert [text for text in texts(render().svg["zh"]) if not text[0].isdigit()] == ["训练", "测试"]


def test_all_missing_texts_are_told_at_once(render: Render) -> None:
    plt.plot([0, 1], label="validation loss")
    plt.legend()
    plt.xlabel("step")
    plt.ylabel("Accuracy")
    messages = refused(render)
    assert len(messages) == 2
    assert "a label without a Chinese text: 'Accuracy'" in messages[0]
    assert 'zh.po: msgctxt "figure" msgid "Accuracy" msgstr "…"' in messages[0]
    assert "'validation loss' (as '{what} loss': no entry for 'validation')" in messages[1]


def test_chinese_in_the_snippet(render: Render) -> None:
    plt.title("损失")
    (message,) = refused(render)
    assert "the text '损失' is Chinese" in message


def test_invisible_texts_need_no_translation(render: Render) -> None:
    _, (shown, hidden) = plt.subplots(1, 2)
    hidden.set_title("not shown")
    hidden.set_visible(False)
    shown.set_xlabel("neither")
    shown.axis("off")
    assert render().texts == ()


def test_a_glyph_that_no_font_has(render: Render) -> None:
    plt.title("x \U0001f9ed")
    (message,) = refused(render)
    assert "no font has '\U0001f9ed' (U+1F9ED) of the text 'x \U0001f9ed'" in message


def test_a_glyph_missing_from_the_chinese_only(render: Render) -> None:
    plt.title("snowman")
    (message,) = refused(render)
    assert "no font has '\U0001f9ed'" in message


def test_chinese_within_math_has_no_glyph(render: Render) -> None:
    plt.title(r"$\mathrm{损}$")
    messages = refused(render)
    assert "no font has '损'" in messages[0]


def test_math_that_matplotlib_does_not_know(render: Render) -> None:
    plt.title(r"$\nonsense$")
    (message,) = refused(render)
    assert "drawing it fails" in message


def test_warnings_while_drawing(render: Render) -> None:
    figure, axes = plt.subplots()
    axes.set_position([0.1, 0.1, 0.8, 0.8])
    figure.set_layout_engine("tight")
    figure.set_size_inches(0.3, 0.3)
    assert "matplotlib warns" in refused(render)[0]


# Math


def test_math_in_a_row_is_text(render: Render) -> None:
    plt.title(r"rate $\lambda_i = 10^{-3}$")
    found = render()
    assert "率 λi=10−3" in texts(found.svg["zh"])
    assert re.search(r"<tspan [^>]*font-style:italic[^>]*>λ</tspan>", found.svg["zh"])


def test_math_that_stacks_or_has_rare_symbols_is_drawn_as_paths(render: Render) -> None:
    plt.title(r"$\frac{a}{b}$")
    plt.xlabel(r"penalty $\lambda \|w\|^2$")
    found = render()
    assert not [text for text in texts(found.svg["zh"]) if "惩" in text]
    assert found.svg["zh"].count("<use ") > 6


# SVG


def test_svg_takes_colour_and_width_of_the_page(render: Render) -> None:
    draw_everything()
    found = render()
    assert (found.name, found.width, found.height) == ("fit", 616.0, 660.0)
    for svg in found.svg.values():
        root = etree.fromstring(svg.encode())
        assert svg.startswith("<svg ")
        assert not {"width", "height", "id"} & set(root.attrib)
        assert root.get("viewBox") == "0 0 403.2 432"
        assert root.get("style") == "max-width:616px"
        assert "currentColor" in svg
        assert style.INK not in svg
        assert "DejaVu" not in svg
        assert "Noto" not in svg
        for tag in ("metadata", "style", "script"):
            assert root.find(f".//{SVG}{tag}") is None
        assert "xlink" not in svg
        assert "<!--" not in svg
        assert not re.search(r"\d\.\d{3}", re.sub(r'transform="[^"]*scale[^"]*"|href="data:[^"]*"', "", svg))


def test_ids_begin_with_stem_name_and_language_and_are_all_used(render: Render) -> None:
    plt.plot([0, 1, 2], "C0o-")
    plt.bar([0, 1], [1, 2], hatch="//")
    plt.title(r"$\sqrt{x}$")
    for language, svg in render().svg.items():
        root = etree.fromstring(svg.encode())
        ids = [str(element.get("id")) for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids)) >= 4
        assert all(name.startswith(f"tiny-fit-{language}-") for name in ids)
        assert set(ids) == set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg))


def test_bytes_are_the_same_in_another_process(render: Render, catalogue: Catalogue) -> None:
    def digest(figure: artefact.Figure) -> str:
        return hashlib.sha256((figure.svg["zh"] + figure.svg["en"]).encode()).hexdigest()

    draw_everything()
    here = digest(render())
    program = f"""\
    import hashlib, importlib.util
    from pathlib import Path
    spec = importlib.util.spec_from_file_location("test_figures", {__file__!r})
    test_figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(test_figures)
    from reglab_site.catalogue import Catalogue
    test_figures.style.apply()
    test_figures.draw_everything()
    found = test_figures.figures.render(
        test_figures.plt.gcf(), stem="tiny", name="fit", cell="draw", snippet_path=Path("x.py"), line=1,
        catalogue=Catalogue.read(Path({str(catalogue.path)!r})),
    )
    print(hashlib.sha256((found.svg["zh"] + found.svg["en"]).encode()).hexdigest())
    """
    run = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=True, env={"MPLBACKEND": "agg"}
    )
    assert run.stdout.strip() == here


def test_images_are_small_and_crisp(render: Render) -> None:
    plt.imshow(np.arange(64).reshape(8, 8))
    svg = render().svg["en"]
    (image,) = etree.fromstring(svg.encode()).iter(f"{SVG}image")
    assert image.get("href", "").startswith("data:image/png;base64,")
    assert image.get("style") == "image-rendering:pixelated"
    assert len(svg) < 8000


def test_drawing_is_quick(render: Render) -> None:
    plt.plot(np.linspace(0, 1, 200), label="train")
    plt.legend()
    render()
    start = time.process_time()
    render()
    assert time.process_time() - start < 1.5  # 0.3 s on an idle machine


# Colours


def test_black_becomes_the_ink_of_the_page(render: Render) -> None:
    plt.plot([0, 1], "k--")
    plt.axhline(0.5, color="black")
    plt.scatter([0], [1], color="k")
    plt.vlines([0.2], 0, 1, color="0")
    plt.annotate("here", (0, 0), color="black")
    svg = render().svg["en"]
    assert "#000" not in svg
    assert "#" not in re.sub(r"url\(#|href=\"#", "", svg)


def test_text_on_an_image_keeps_its_colour(render: Render) -> None:
    plt.imshow([[0.0, 1.0]], cmap="gray")
    plt.text(0, 0, "0.0", color="white")
    assert "fill:#ffffff" in render().svg["en"]


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: plt.plot([0, 1], color="yellow", label="train"), "a curve 'train' is drawn in #ffff00"),
        (lambda: plt.plot([0, 1], "w"), "a curve is drawn in #ffffff"),
        (lambda: plt.plot([0, 1], "o", color="navy"), "a curve (its marker) is drawn in #000080"),
        (lambda: plt.plot([0, 1], alpha=0.3, label="train"), "a curve 'train' is drawn in #2f63f24c"),
        (lambda: plt.text(0, 0, "here", color="lightgray"), "the text 'here' is drawn in #d3d3d3"),
        (lambda: plt.hlines([0], 0, 1, color="navy"), "a band or bundle of lines is drawn in #000080"),
        (lambda: plt.gca().set_facecolor("white"), "a background is filled with #ffffff"),
        (lambda: plt.text(0, 0, "here", bbox={"facecolor": "w"}), "the text 'here' has a box"),
    ],
)
def test_colours_that_some_cannot_see(render: Render, call: Callable[[], Any], what: str) -> None:
    call()
    (message,) = refused(render)
    assert what in message


def test_faint_curves_and_bands_without_label_are_fine(render: Render) -> None:
    for seed in range(10):
        plt.plot([0, 1], [seed, 1], color="C0", alpha=0.3)
    plt.fill_between([0, 1], [0, 1], [1, 2], alpha=0.2)
    assert "currentColor" in render().svg["en"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: plt.bar([0], [1], color="lightblue"),
        lambda: plt.fill_between([0, 1], [0, 1], color="lightyellow"),
        lambda: plt.scatter([0, 1], [0, 1], c=[0, 1]),
    ],
)
def test_pale_fills_and_mapped_colours_get_an_outline(render: Render, call: Callable[[], Any]) -> None:
    call()
    plt.axis("off")
    assert "stroke:currentColor" in render().svg["en"]


def test_an_image_gets_a_frame(render: Render) -> None:
    plt.imshow([[0.0, 1.0]])
    plt.axis("off")
    assert render().svg["en"].count("stroke:currentColor") == 4


def test_curves_that_look_the_same(render: Render) -> None:
    plt.plot([0, 1], "C0", label="train")
    plt.plot([1, 0], "C0", label="test")
    (message,) = refused(render)
    assert "the curves 'train' and 'test' look the same" in message


def test_dashes_tell_curves_of_one_colour_apart(render: Render) -> None:
    plt.plot([0, 1], "C0", label="train")
    plt.plot([1, 0], "C0--", label="test")
    assert "stroke-dasharray" in render().svg["en"]


# Sizes


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: plt.plot(np.zeros(201), label="train"), "a curve 'train' has 201 points, and 200 is the limit"),
        (lambda: plt.plot(np.zeros(1001), "o"), "a curve has 1001 points, and 1000 is the limit"),
        (lambda: plt.scatter(np.zeros(1001), np.zeros(1001)), "a scatter plot has 1001 marks, and 1000"),
        (lambda: plt.fill_between(np.arange(300), np.ones(300)), "a band or bundle of lines has 603 vertices"),
        (lambda: plt.hist([0, 1], bins=300, histtype="stepfilled"), "a shape has 1201 vertices"),
        (lambda: plt.pcolormesh(np.zeros((40, 40))), "a mesh has 1600 cells"),
    ],
)
def test_crowded_figures(render: Render, call: Callable[[], Any], what: str) -> None:
    call()
    messages = refused(render)
    assert what in messages[0]
    assert "→" in messages[0]


def test_two_hundred_points_are_fine(render: Render) -> None:
    x = np.arange(200)
    plt.plot(x, x)
    plt.fill_between(x, x - 1, x + 1, alpha=0.2)
    assert render().texts == ()


def test_labels_too_small_for_a_phone(render: Render) -> None:
    figure, axes = plt.subplots(figsize=(10, 3))
    axes.plot([0, 1])
    (message,) = refused(render)
    assert "pixels high on a phone" in message
    assert "5.6 inches" in message
    figure.set_size_inches(5.6, 3)
    assert render().width == 616.0


def test_an_svg_that_is_too_large(render: Render) -> None:
    plt.imshow(np.random.default_rng(0).random((200, 200)))
    (message,) = refused(render)
    assert "kB, and 120 kB is the limit" in message


@pytest.mark.parametrize(
    ("drawn", "written"),
    [
        ("M1 2L3 2.5L3 1z", "M1 2l2 0.5l0 -1.5z"),
        ("M0.1 0.2L0.3 0.3C1 1 2 2 3 3L4 4", "M0.1 0.2l0.2 0.1C1 1 2 2 3 3l1 1"),
        ("M1 1L2 2M5 5L5 6", "M1 1l1 1M5 5l0 1"),
    ],
)
def test_lines_say_how_far_they_go(drawn: str, written: str) -> None:
    assert figure_svg._relative(drawn) == written
