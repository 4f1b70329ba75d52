"""Formulas: what becomes of LaTeX, what is refused, and where Markdown may hold it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree
from markdown import Markdown

from reglab_site import math
from reglab_site.errors import SiteError
from reglab_site.latex import TOKENS
from reglab_site.math import MathError, to_mathml

EXTENSIONS = [
    "admonition",
    "attr_list",
    "def_list",
    "footnotes",
    "md_in_html",
    "tables",
    "toc",
    "pymdownx.details",
    "pymdownx.superfences",
    "reglab_site.math",
]


def inner(latex: str, *, display: bool = False) -> str:
    """The MathML inside `<math>`."""
    markup = to_mathml(latex, display=display)
    start = markup.index(">", markup.index("<math")) + 1
    return markup[start : markup.rindex("</math>")]


def convert(text: str) -> str:
    return str(Markdown(extensions=EXTENSIONS).convert(text))


BAR_OPEN = '<mo stretchy="false" form="prefix">|</mo>'
BAR_CLOSE = '<mo stretchy="false" form="postfix">|</mo>'
NORM_OPEN, NORM_CLOSE = BAR_OPEN.replace("|", "‖"), BAR_CLOSE.replace("|", "‖")
OPEN, CLOSE = '<mo stretchy="false">(</mo>', '<mo stretchy="false">)</mo>'
THIN = '<mspace width="0.1667em"></mspace>'
GAP = '<mspace width="0.4em"></mspace>'
MINUS = '<mo form="prefix">−</mo>'


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        # letters: italic where TeX has them so, upright otherwise
        ("w", "<mi>w</mi>"),
        (r"\lambda", "<mi>λ</mi>"),
        (r"\Phi", '<mi mathvariant="normal">Φ</mi>'),
        (r"\nabla", '<mi mathvariant="normal">∇</mi>'),
        (r"\partial", "<mi>∂</mi>"),
        (r"\epsilon", "<mi>ϵ</mi>"),
        (r"\varepsilon", "<mi>ε</mi>"),
        (r"\infty", "<mi>∞</mi>"),
        ("λ", "<mi>λ</mi>"),
        (r"\mathrm{d}x", '<mi mathvariant="normal">d</mi><mi>x</mi>'),
        (r"\mathrm{ReLU}", "<mi>ReLU</mi>"),
        (r"\operatorname{Var}[X]", '<mi>Var</mi><mo stretchy="false">[</mo><mi>X</mi><mo stretchy="false">]</mo>'),
        # alphabets, by the letters that Unicode has for them
        (r"\boldsymbol{w}", "<mi>𝒘</mi>"),
        (r"\bm{x}", "<mi>𝒙</mi>"),
        (r"\boldsymbol\theta", "<mi>𝜽</mi>"),
        (r"\boldsymbol{\Sigma}", "<mi>𝚺</mi>"),
        (r"\boldsymbol{0}", "<mn>𝟎</mn>"),
        (r"\mathbf{W}", "<mi>𝐖</mi>"),
        (r"\mathbf x", "<mi>𝐱</mi>"),
        (r"\mathbb{E}", "<mi>𝔼</mi>"),
        (r"\mathbb R", "<mi>ℝ</mi>"),
        (r"\mathbb{1}", "<mn>𝟙</mn>"),
        (r"\mathcal{L}", "<mi>ℒ</mi>"),
        (r"\mathcal{N}", "<mi>𝒩</mi>"),
        (r"\mathcal B", "<mi>ℬ</mi>"),
        (r"\mathfrak{C}", "<mi>ℭ</mi>"),
        (r"\mathsf{A}", "<mi>𝖠</mi>"),
        (r"\mathtt{a1}", "<mi>𝚊𝟷</mi>"),
        # numbers
        ("3.14", "<mn>3.14</mn>"),
        (r"1{,}000{,}000", "<mn>1\u2009000\u2009000</mn>"),
        ("10^{-3}", "<msup><mn>10</mn><mrow><mo>−</mo><mn>3</mn></mrow></msup>"),
        (r"50\,\%", f"<mn>50</mn>{THIN}<mi>%</mi>"),
        # signs and operators
        ("-x", "<mo>−</mo><mi>x</mi>"),
        ("a-b", "<mi>a</mi><mo>−</mo><mi>b</mi>"),
        ("a=-b", f"<mi>a</mi><mo>=</mo>{MINUS}<mi>b</mi>"),
        ("(-1)", f"{OPEN}{MINUS}<mn>1</mn>{CLOSE}"),
        ("x-1", "<mi>x</mi><mo>−</mo><mn>1</mn>"),
        (r"a \pm b", "<mi>a</mi><mo>±</mo><mi>b</mi>"),
        (r"W \odot m", "<mi>W</mi><mo>⊙</mo><mi>m</mi>"),
        ("a*b", "<mi>a</mi><mo>∗</mo><mi>b</mi>"),
        ("a < b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
        ("x := 3", "<mi>x</mi><mo>≔</mo><mn>3</mn>"),
        ("1/p", '<mn>1</mn><mo lspace="0" rspace="0">/</mo><mi>p</mi>'),
        (r"a,\dots", "<mi>a</mi><mo>,</mo><mi>…</mi>"),
        # bars: which one opens is told by what stands before it
        ("|x|", f"{BAR_OPEN}<mi>x</mi>{BAR_CLOSE}"),
        ("|-x|-1", f"{BAR_OPEN}{MINUS}<mi>x</mi>{BAR_CLOSE}<mo>−</mo><mn>1</mn>"),
        (r"\lVert w\rVert", f"{NORM_OPEN}<mi>w</mi>{NORM_CLOSE}"),
        (r"1+\lvert x\rvert-1", f"<mn>1</mn><mo>+</mo>{BAR_OPEN}<mi>x</mi>{BAR_CLOSE}<mo>−</mo><mn>1</mn>"),
        (r"\lvert x\rvert\lvert y\rvert", f"{BAR_OPEN}<mi>x</mi>{BAR_CLOSE}{BAR_OPEN}<mi>y</mi>{BAR_CLOSE}"),
        (r"\|w\|", f"{NORM_OPEN}<mi>w</mi>{NORM_CLOSE}"),
        (r"\|w\|_2^2", f"{NORM_OPEN}<mi>w</mi><msubsup>{NORM_CLOSE}<mn>2</mn><mn>2</mn></msubsup>"),
        (r"p(y\mid x)", f'<mi>p</mi>{OPEN}<mi>y</mi><mo stretchy="false">∣</mo><mi>x</mi>{CLOSE}'),
        (r"\left|x\right|", '<mrow><mo form="prefix">|</mo><mi>x</mi><mo form="postfix">|</mo></mrow>'),
        (r"\left(x\right)", '<mrow><mo form="prefix">(</mo><mi>x</mi><mo form="postfix">)</mo></mrow>'),
        (r"\left\{x\right.", '<mrow><mo form="prefix">{</mo><mi>x</mi></mrow>'),
        (r"\bigl(x", '<mo minsize="1.2em" maxsize="1.2em">(</mo><mi>x</mi>'),
        # scripts
        ("x_i^2", "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>"),
        ("f'", "<msup><mi>f</mi><mi>′</mi></msup>"),
        ("f''(x)", f"<msup><mi>f</mi><mi>″</mi></msup>{OPEN}<mi>x</mi>{CLOSE}"),
        (r"W^\top", "<msup><mi>W</mi><mi>⊤</mi></msup>"),
        ("w^*", "<msup><mi>w</mi><mo>∗</mo></msup>"),
        ("{}^2x", "<msup><mrow></mrow><mn>2</mn></msup><mi>x</mi>"),
        ("x^{(l)}", f"<msup><mi>x</mi><mrow>{OPEN}<mi>l</mi>{CLOSE}</mrow></msup>"),
        (r"w_{t+1}", '<msub><mi>w</mi><mrow><mi>t</mi><mo lspace="0" rspace="0">+</mo><mn>1</mn></mrow></msub>'),
        (r"x_\text{max}", "<msub><mi>x</mi><mtext>max</mtext></msub>"),
        # fractions and roots
        (r"\frac{a}{b}", "<mfrac><mi>a</mi><mi>b</mi></mfrac>"),
        (r"\frac12", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
        (r"\dfrac{a}{b}", '<mstyle displaystyle="true" scriptlevel="0"><mfrac><mi>a</mi><mi>b</mi></mfrac></mstyle>'),
        (r"\sqrt2", "<msqrt><mn>2</mn></msqrt>"),
        (r"\sqrt[3]{x}", "<mroot><mi>x</mi><mn>3</mn></mroot>"),
        # accents
        (r"\hat w", '<mover accent="true"><mi>w</mi><mo stretchy="false">ˆ</mo></mover>'),
        (r"\bar{x}", '<mover accent="true"><mi>x</mi><mo stretchy="false">ˉ</mo></mover>'),
        (r"\tilde\ell", '<mover accent="true"><mi>ℓ</mi><mo stretchy="false">˜</mo></mover>'),
        (r"\overline{xy}", '<mover accent="true"><mrow><mi>x</mi><mi>y</mi></mrow><mo>‾</mo></mover>'),
        (r"\hat x_i", '<msub><mover accent="true"><mi>x</mi><mo stretchy="false">ˆ</mo></mover><mi>i</mi></msub>'),
        (
            r"\underbrace{x}_{\text{偏差}}",
            "<munder><munder><mi>x</mi><mo>⏟</mo></munder><mtext>偏差</mtext></munder>",
        ),
        # functions
        (r"\log x", f"<mi>log</mi>{THIN}<mi>x</mi>"),
        (r"\log(x)", f"<mi>log</mi>{OPEN}<mi>x</mi>{CLOSE}"),
        (r"2\log_2 x", f"<mn>2</mn>{THIN}<msub><mi>log</mi><mn>2</mn></msub>{THIN}<mi>x</mi>"),
        (r"\operatorname{erf}(x)", f"<mi>erf</mi>{OPEN}<mi>x</mi>{CLOSE}"),
        # limits: Chromium moves them aside in inline formulas by itself
        (r"\sum_{i}^n", '<munderover><mo lspace="0" rspace="0.1667em">∑</mo><mi>i</mi><mi>n</mi></munderover>'),
        (r"\int_0^1", '<msubsup><mo lspace="0" rspace="0.1667em">∫</mo><mn>0</mn><mn>1</mn></msubsup>'),
        (r"\max_i", '<munder><mo movablelimits="true" lspace="0" rspace="0">max</mo><mi>i</mi></munder>'),
        (
            r"\operatorname*{arg\,min}_w",
            '<munder><mo movablelimits="true" lspace="0" rspace="0">arg\u2009min</mo><mi>w</mi></munder>',
        ),
        (r"\argmax_w", '<munder><mo movablelimits="true" lspace="0" rspace="0">arg\u2009max</mo><mi>w</mi></munder>'),
        # what stands over something
        (
            r"\xrightarrow{f}",
            f"<mover><mo>→</mo><mrow>{GAP}<mi>f</mi>{GAP}</mrow></mover>",
        ),
        (r"a\overset{!}{=}b", "<mi>a</mi><mover><mo>=</mo><mo>!</mo></mover><mi>b</mi>"),
        # text and spaces
        (r"\text{中文 a_b}", "<mtext>中文 a_b</mtext>"),
        (r"x\text{ if }y", "<mi>x</mi><mtext>\u00a0if\u00a0</mtext><mi>y</mi>"),
        (r"a\quad b", '<mi>a</mi><mspace width="1em"></mspace><mi>b</mi>'),
        (r"a\!b", '<mi>a</mi><mspace style="margin-left:-0.1667em"></mspace><mi>b</mi>'),
    ],
)
def test_latex_becomes_mathml(latex: str, expected: str) -> None:
    assert inner(latex) == expected


@pytest.mark.parametrize(
    "latex",
    [
        r"w \leftarrow w - \eta\frac{\partial L}{\partial w}",
        r"w_{t+1} = (1-\eta\lambda)\,w_t - \eta\nabla_w L(w_t)",
        r"\tilde L(\boldsymbol{w}) = L(\boldsymbol{w}) + \frac{\lambda}{2}\lVert\boldsymbol{w}\rVert_2^2",
        r"\|w\|_p = \left(\sum_i |w_i|^p\right)^{1/p}",
        r"\operatorname{Var}[X] = \mathbb{E}\bigl[(X-\mathbb{E}[X])^2\bigr]",
        r"r_i \sim \operatorname{Bernoulli}(1-p),\qquad \tilde x_i = \frac{r_i x_i}{1-p}",
        r"\hat x_i = \frac{x_i-\mu_{\mathcal B}}{\sqrt{\sigma_{\mathcal B}^2+\epsilon}}",
        r"y_i = \gamma\hat x_i+\beta",
        r"\operatorname{softmax}(z)_i = \frac{\exp z_i}{\sum_{j=1}^K \exp z_j}",
        r"\operatorname{GELU}(x) = \frac{x}{2}\left[1+\operatorname{erf}\left(\frac{x}{\sqrt2}\right)\right]",
        r"\operatorname{erf}(z)=\frac{2}{\sqrt{\pi}}\int_0^z e^{-t^2}\,\mathrm{d}t",
        r"\sigma'(x) = \sigma(x)\bigl(1-\sigma(x)\bigr)",
        r"D_{\mathrm{KL}}(p\parallel q)=\int p(x)\log\frac{p(x)}{q(x)}\,\mathrm{d}x",
        r"\left.\frac{\partial f}{\partial x}\right|_{x=0} = -1",
        r"\left\{ x \,\middle|\, \frac{x}{2} > 1 \right\}",
        r"\lambda_{01}=\frac{-\sqrt{2/\pi}}{\operatorname{erfc}(1/\sqrt2)\exp(1/2)-1}",
        r"\binom{n}{k} p^k(1-p)^{n-k}",
        r"\sum_{\substack{i=1\\ i\ne j}}^{n} a_{ij}",
    ],
)
@pytest.mark.parametrize("display", [False, True])
def test_formulas_of_the_subject_hold_nothing_but_mathml(latex: str, display: bool) -> None:
    tree = etree.fromstring(to_mathml(latex, display=display))
    text = "".join(tree.itertext())
    assert not set(text) & set("\\$&{}") - ({"{", "}"} if r"\{" in latex else set())
    assert not [character for character in text if "\ue000" <= character <= "\uf8ff"]
    assert not tree.xpath("//*[self::mfrac or self::msup or self::msub][count(*) != 2]")
    assert not tree.xpath("//mi[not(text())] | //mo[not(text())] | //mn[not(text())]")


def test_aligned_equations_share_an_edge() -> None:
    table = etree.fromstring(inner(r"\begin{aligned} a &= b \\ &= -c & d &= e \end{aligned}", display=True))
    rows = table.findall("mtr")
    assert [len(row) for row in rows] == [2, 4]
    assert [cell.get("style").split(";")[0] for cell in rows[1]] == [
        *("text-align:right", "text-align:left", "text-align:right", "text-align:left"),
    ]
    assert "padding-left:2em" in rows[1][2].get("style")
    equals, minus = rows[1][1].findall("mo")
    assert (equals.text, equals.get("form")) == ("=", "infix")
    assert (minus.text, minus.get("form")) == ("−", "prefix")
    assert table.get("displaystyle") == "true"


@pytest.mark.parametrize(
    ("environment", "opening", "closing"),
    [("pmatrix", "(", ")"), ("bmatrix", "[", "]"), ("Bmatrix", "{", "}"), ("vmatrix", "|", "|"), ("Vmatrix", "‖", "‖")],
)
def test_matrices_have_growing_fences(environment: str, opening: str, closing: str) -> None:
    latex = rf"\begin{{{environment}}} a & b \\ c & d \end{{{environment}}}"
    left, table, right = etree.fromstring(inner(latex))
    assert (left.text, right.text) == (opening, closing)
    assert left.get("stretchy") is right.get("stretchy") is None
    assert ["".join(row.itertext()) for row in table] == ["ab", "cd"]


def test_fenced_things_can_have_scripts() -> None:
    script = etree.fromstring(inner(r"\begin{pmatrix} a \\ b \end{pmatrix}^\top"))
    assert [child.tag for child in script] == ["mrow", "mi"]
    assert "".join(script.itertext()) == "(ab)⊤"
    with pytest.raises(MathError, match="braces"):
        to_mathml(r"\binom{n}{k}^2", display=False)
    assert "".join(etree.fromstring(inner(r"{\binom{n}{k}}^2")).itertext()) == "(nk)2"
    # Chromium sets a large delimiter too low where it is a script's only base
    assert inner(r"\bigr)^2") == (
        '<msup><mrow><mo minsize="1.2em" maxsize="1.2em">)</mo><mspace></mspace></mrow><mn>2</mn></msup>'
    )


def test_cases_are_aligned_left_behind_a_brace() -> None:
    brace, table = etree.fromstring(inner(r"\begin{cases} x & x>0 \\ 0 & \text{否则} \end{cases}"))
    assert brace.text == "{"
    assert {cell.get("style") for cell in table.iter("mtd")} == {"text-align:left"}
    assert "".join(table[1][1].itertext()) == "否则"


@pytest.mark.parametrize(
    ("latex", "message", "hint"),
    [
        (r"\alhpa", r"unknown command \alhpa", r"\alpha"),
        (r"\foo{x}", r"unknown command \foo", None),
        (r"x \\ y", r"a \\ outside", "aligned"),
        (r"\\", r"a \\ outside", "aligned"),
        ("a & b", "a & outside", "aligned"),
        ("", "empty", None),
        ("  ", "empty", None),
        ("{}", "empty", None),
        ("x^{}", "empty argument", None),
        ("x_{}", "empty argument", None),
        ("x^", "without a script", None),
        ("^2", "nothing to stand on", "{}"),
        ("_i", "nothing to stand on", "{}"),
        (r"\frac{}{2}", "empty argument", None),
        (r"\frac{1}{}", "empty argument", None),
        (r"\frac{1}", "argument", "braces"),
        (r"\sqrt{}", r"\sqrt is empty", None),
        (r"\hat{}", "empty argument", None),
        (r"\text{}", r"\text is empty", None),
        (r"\mathbf{}", r"\mathbf is empty", None),
        (r"\xrightarrow{}", "nothing above", r"\to"),
        (r"\begin{aligned}\end{aligned}", "without content", None),
        ("{x", "{ is not closed", None),
        ("x}", "} without its {", None),
        (r"\left(x", r"\left and \right", r"\right."),
        (r"x\right)", r"\left and \right", None),
        (r"\left x\right)", "no delimiter", None),
        (r"\begin{algned}x\end{algned}", "unknown environment 'algned'", "aligned"),
        (r"\begin{aligned}x", r"\begin{aligned} is not closed", None),
        (r"x\end{aligned}", r"\end{aligned} without", None),
        (r"\begin{cases}x\end{aligned}", r"\end{aligned} without", None),
        (r"\begin{aligned}a\\[4pt]b\end{aligned}", "distances", None),
        (r"\begin{array}{l|l}a&b\end{array}", "columns", None),
        ("x_10", "first digit", "braces"),
        ("x^2^3", "two superscripts", "braces"),
        ("x_1_2", "two subscripts", "braces"),
        (r"\mathbf{\hat{x}}", "plain letters", None),
        (r"\mathbb{+}", r"\mathbb has no +", None),
        (r"\text{a $x$}", r"$ within \text", None),
        (r"\operatorname{\alpha}", "more than letters", None),
        ("50%", "comment", r"\%"),
        ("a$b", "a $ within", None),
        ("损失", "'损' is no character", r"\text{损}"),
        ("a\uff0cb", "'\uff0c' is no character", r"\text"),
        ("x\\", "backslash", None),
        (r"\href{javascript:x}{y}", r"unknown command \href", None),
        (r"\newcommand{\x}{y}", r"unknown command \newcommand", None),
        ("{" * 2000 + "x" + "}" * 2000, "parse", None),
    ],
)
def test_what_is_not_understood_is_refused(latex: str, message: str, hint: str | None) -> None:
    with pytest.raises(MathError) as caught:
        to_mathml(latex, display=True)
    assert message in caught.value.message
    assert (hint or "") in (caught.value.hint or "")


def test_every_symbol_can_be_used_alone() -> None:
    alone = [
        command
        for command, token in TOKENS.items()
        if command.startswith("\\") and token.kind not in ("space", "accent")
    ]
    assert len(alone) > 150
    for command in alone:
        tree = etree.fromstring(to_mathml(f"x {command} y", display=False))
        assert TOKENS[command].text in "".join(tree.itertext())


def test_display_formulas_scroll_in_a_box_of_their_own() -> None:
    short, long = to_mathml("x = 1", display=True), to_mathml("x = " + "+".join("abcdefghijklmnop"), display=True)
    assert short.startswith('<div class="math-display"><math display="block">')
    assert long.startswith('<div class="math-display" tabindex="0"><math display="block">')
    assert to_mathml("x = 1", display=False).startswith("<math><mi>x</mi>")


PLACES = {
    "a paragraph": ("文 $q$ 文", "<p>文 <math><mi>q</mi></math> 文</p>"),
    "beside Chinese": ("参数$q$是", "<p>参数<math><mi>q</mi></math>是</p>"),
    "beside punctuation": ("其中,$q$。", "<p>其中,<math><mi>q</mi></math>。</p>"),
    "emphasis": ("**粗 $q$**", "<strong>粗 <math><mi>q</mi></math></strong>"),
    "a link": ("[见 $q$](x.md)", '<a href="x.md">见 <math><mi>q</mi></math></a>'),
    "a heading": ("# 题 $q$ { #id }", '<h1 id="id">题 <math><mi>q</mi></math></h1>'),
    "a list": ("- 项 $q$", "<li>项 <math><mi>q</mi></math></li>"),
    "a table": ("|a|b|\n|-|-|\n|c|$q$|", "<td><math><mi>q</mi></math></td>"),
    "an admonition": ('!!! note "题 $q$"\n    文', '<p class="admonition-title">题 <math><mi>q</mi></math></p>'),
    "a details block": ('??? note "题 $q$"\n    文', "<summary>题 <math><mi>q</mi></math></summary>"),
    "a definition": ("词\n:   义 $q$", "<dd>义 <math><mi>q</mi></math></dd>"),
    "a footnote": ("a[^1]\n\n[^1]: 注 $q$", "<p>注 <math><mi>q</mi></math>"),
    "a caption": (
        '<figure markdown="span">\n<figcaption markdown="span">图 $q$</figcaption>\n</figure>',
        "<figcaption>图 <math><mi>q</mi></math></figcaption>",
    ),
}
Q = '<div class="math-display"><math display="block"><mi>q</mi></math></div>'
DISPLAYED = {
    "a paragraph": ("文\n\n$$q$$\n\n文", f"<p>文</p>\n{Q}\n<p>文</p>"),
    "lines of its own": ("$$\nq\n$$", Q),
    "a list": ("1. 项\n\n    $$\n    q\n    $$\n", f"<p>项</p>\n{Q}\n</li>"),
    "an admonition": ("!!! note\n    文\n\n    $$q$$\n", f"<p>文</p>\n{Q}\n</div>"),
    "a details block": ("??? note\n    $$q$$\n", f"{Q}\n</details>"),
    "a quotation": ("> $$q$$", f"<blockquote>\n{Q}\n</blockquote>"),
    "a definition": ("词\n:   义\n\n    $$q$$\n", f"{Q}\n</dd>"),
}


@pytest.mark.parametrize("place", PLACES)
def test_inline_formulas_work_in(place: str) -> None:
    source, expected = PLACES[place]
    assert expected in convert(source)


@pytest.mark.parametrize("place", DISPLAYED)
def test_display_formulas_work_in(place: str) -> None:
    source, expected = DISPLAYED[place]
    assert expected in convert(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("`$x$`", "<code>$x$</code>"),
        ("```\n$x$ $5\n```", "$x$ $5"),
        ("    $x$\n    y", "$x$"),
        (r"\$5 和 \$6", "<p>$5 和 $6</p>"),
        ("[a](x.md?p=$b)", 'href="x.md?p=$b"'),
        ("|a|b|\n|-|-|\n|`$x`|$y$|", "<td><code>$x</code></td>\n<td><math><mi>y</mi></math></td>"),
    ],
)
def test_dollars_that_are_none_of_ours_stay(source: str, expected: str) -> None:
    assert expected in convert(source)


def test_markdown_does_not_touch_what_is_in_a_formula() -> None:
    assert "<em>" not in convert("$x*y*z_1$ 与 $a_1 * b_1$")
    assert "<mo>&lt;</mo>" in convert("$a<b>c$")
    assert convert("$x_{{i}}$") == "<p><math><msub><mi>x</mi><mi>i</mi></msub></math></p>"


def test_bars_of_formulas_do_not_end_cells_of_tables() -> None:
    table = convert("| 名 | 式 |\n|---|---|\n| 和 | $\\sum_i|w_i|$ |\n| 密度 | $p(x|y)$ 与 $\\|w\\|$ |")
    cells = etree.fromstring(table).findall(".//td")
    assert [("".join(cell.itertext())) for cell in cells] == ["和", "∑i|wi|", "密度", "p(x|y) 与 ‖w‖"]


def test_table_of_contents_has_plain_text() -> None:
    reader = Markdown(extensions=EXTENSIONS)
    reader.convert(r"# 范数 $\ell_2$ { #norm }")
    assert reader.toc_tokens[0]["name"] == "范数 ℓ2"
    assert "<math>" in reader.toc_tokens[0]["html"]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "page.zh.md"
    monkeypatch.setattr(math, "current_page", file)
    return file


@pytest.mark.parametrize(
    ("source", "woven", "line"),
    [
        ("# 题\n\n文 $x$ 与 $\\foo$", None, 3),
        ("文 $x$\n\n- 项\n\n    $$\n    a\n    + \\foo\n    $$", None, 5),
        ("文\n\n$w_{ {{ demo.steps }} } + \\foo$", "文\n\n$w_{ 2000 } + \\foo$", 3),
        ("|a|b|\n|-|-|\n|c|$|\\foo|$|", None, 3),
        ("文\n\n多少 $5 钱", None, 3),
        ("文\n$$x$$", None, 2),
        ("文\n\n$ x $", None, 3),
        ("$$x$$ 与\n\n$y$", None, 1),
        ("文\n\n$$x$$ 与 $$y$$", None, 3),
    ],
)
def test_errors_name_page_and_line(page: Path, source: str, woven: str | None, line: int) -> None:
    page.write_text(source, encoding="utf-8")
    with pytest.raises(SiteError) as caught:
        convert(woven or source)
    assert (caught.value.file, caught.value.line) == (page, line)
    assert caught.value.hint


def test_errors_without_a_page_name_the_formula() -> None:
    with pytest.raises(SiteError, match=r"unknown command \\alhpa, in the formula x\+\\alhpa") as caught:
        convert("$x+\\alhpa$")
    assert caught.value.file is None
    assert caught.value.line is None
