"""The math font: what it must have, what it is made of, and that it is the same each time."""

from __future__ import annotations

from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from reglab_site import mathfont
from reglab_site.errors import SiteError
from reglab_site.latex import TOKENS
from reglab_site.math import to_mathml


def characters(latex: str) -> set[str]:
    return mathfont.characters(f"<p>文 {to_mathml(latex, display=False)} text</p>")


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        ("x", "x𝑥"),
        ("h", "hℎ"),
        (r"\theta", "θ𝜃"),
        (r"\Phi", "Φ"),
        (r"\boldsymbol{w}", "𝒘"),
        ("a<b", "a𝑎<b𝑏"),
        ("-1", "−1"),
        (r"\sqrt2", "√2"),
        (r"\operatorname{Var}", "Var"),
        (r"\text{偏差 bias}", "bias"),
    ],
)
def test_characters_of_formulas(latex: str, expected: str) -> None:
    assert characters(latex) == set(expected)


def test_prose_needs_no_math_font() -> None:
    assert mathfont.characters("<p>文 text √2</p>") == set()


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("font") / "assets" / "math.woff2"
    mathfont.subset(set("x𝑥()∑→√′"), target)
    return target


def test_subset_has_what_is_used_and_all_its_sizes(font: Path) -> None:
    made = TTFont(font)
    assert set(map(chr, made.getBestCmap())) == set("x𝑥()∑→√′")
    variants = made["MATH"].table.MathVariants
    vertical = dict(zip(variants.VertGlyphCoverage.glyphs, variants.VertGlyphConstruction, strict=True))
    names = made.getBestCmap()
    assert len(vertical[names[ord("(")]].MathGlyphVariantRecord) > 3
    assert vertical[names[ord("(")]].GlyphAssembly is not None
    assert len(vertical[names[ord("∑")]].MathGlyphVariantRecord) > 1
    assert {record.FeatureTag for record in made["GSUB"].table.FeatureList.FeatureRecord} == {"ssty"}


def test_subset_is_small_and_the_same_each_time(font: Path, tmp_path: Path) -> None:
    mathfont.subset(set("′√→∑)(𝑥x"), tmp_path / "again.woff2")
    assert (tmp_path / "again.woff2").read_bytes() == font.read_bytes()
    assert font.stat().st_size < 10_000


def test_arrows_can_be_stretched_and_radicals_are_equally_wide(font: Path) -> None:
    made = TTFont(font)
    names = made.getBestCmap()
    variants = made["MATH"].table.MathVariants
    arrow = variants.HorizGlyphConstruction[variants.HorizGlyphCoverage.glyphs.index(names[ord("→")])]
    shaft, head = arrow.GlyphAssembly.PartRecords
    assert min(shaft.EndConnectorLength, head.StartConnectorLength) >= variants.MinConnectorOverlap
    radical = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(names[ord("√")])]
    widths = {made["hmtx"][record.VariantGlyph][0] for record in radical.MathGlyphVariantRecord}
    widths |= {made["hmtx"][part.glyph][0] for part in radical.GlyphAssembly.PartRecords}
    assert len(widths) == 1


def test_licence_goes_with_the_font(font: Path) -> None:
    notice = font.with_suffix(".LICENSE.txt").read_text(encoding="utf-8")
    assert "STIX Fonts Project Authors" in notice
    assert "SIL Open Font License" in notice
    assert "SIL Open Font License" in TTFont(font)["name"].getDebugName(13)


def test_a_missing_glyph_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="lacks: 文"):
        mathfont.subset({"x", "文"}, tmp_path / "font.woff2")
    assert not list(tmp_path.iterdir())


def test_no_formulas_need_no_glyphs(tmp_path: Path) -> None:
    mathfont.subset(set(), tmp_path / "font.woff2")
    assert not TTFont(tmp_path / "font.woff2").getBestCmap()


def test_font_has_every_symbol_that_formulas_may_use(tmp_path: Path) -> None:
    symbols = {character for token in TOKENS.values() for character in token.text if not character.isspace()}
    mathfont.subset(symbols, tmp_path / "font.woff2")
    assert set(map(chr, TTFont(tmp_path / "font.woff2").getBestCmap())) == symbols
