"""The site's own math font: STIX Two Math, out of the ziamath package, cut down to what the formulas use.

Browsers need a font with a MATH table, and few systems have one. The whole font is 560 kB, the subset some 30 kB.
"""

from __future__ import annotations

import html
import re
from importlib.metadata import distribution
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

from reglab_site.errors import SiteError
from reglab_site.latex import italic

_FORMULA = re.compile(r"<math\b.*?</math>", re.DOTALL)
_LONE_LETTER = re.compile(r"<mi>(.)</mi>", re.DOTALL)
_TEXT = re.compile(r"<mtext>.*?</mtext>", re.DOTALL)
_COPYRIGHT, _LICENCE, _LICENCE_URL = 0, 13, 14


def characters(page: str) -> set[str]:
    """The characters that the math font must have for the formulas of an HTML page.

    Those inside `<mtext>` are words in the language of the page, which may be Chinese: only the Latin ones count.
    """
    found: set[str] = set()
    for formula in _FORMULA.findall(page):
        words = "".join(_TEXT.findall(formula))
        symbols = html.unescape(re.sub(r"<[^>]*>", "", _TEXT.sub("", formula)))
        latin = {character for character in html.unescape(re.sub(r"<[^>]*>", "", words)) if character < "\u0250"}
        found |= set(symbols) | latin
        found |= {italic(letter) for letter in _LONE_LETTER.findall(formula)}
        found |= {"√"} if "<msqrt" in formula or "<mroot" in formula else set()
    return found - set(" \n")


def subset(characters: set[str], target: Path) -> None:
    """Write the font with these characters to `target` (.woff2), the same bytes each time, and its licence beside it.

    Whatever the MATH table reaches from them comes along: larger delimiters, the pieces of stretched ones, primes.
    """
    source = distribution("ziamath").locate_file("ziamath/fonts/STIXTwoMath-Regular.ttf")
    font = TTFont(source, recalcTimestamp=False)
    if missing := characters - set(map(chr, font.getBestCmap())):
        raise SiteError(
            f"formulas use characters that STIX Two Math lacks: {' '.join(sorted(missing))}",
            hint="use other symbols, or put words into \\text{…}",
        )
    names = {key: font["name"].getDebugName(key) for key in (_COPYRIGHT, _LICENCE, _LICENCE_URL)}
    options = Options(flavor="woff2", layout_features=["ssty"], hinting=False, notdef_outline=True, bidi_closure=False)
    options.name_IDs += list(names)
    options.drop_tables += ["DSIG", "GPOS"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[ord(character) for character in sorted(characters)])
    subsetter.subset(font)
    _mend_arrows(font)
    _narrow_radicals(font)
    font.flavor = "woff2"
    target.parent.mkdir(parents=True, exist_ok=True)
    font.save(target, reorderTables=False)
    notice = f"STIX Two Math, reduced to the glyphs that this site uses.\n\n{names[_COPYRIGHT]}\n\n{names[_LICENCE]}\n"
    target.with_suffix(".LICENSE.txt").write_text(notice, encoding="utf-8")


def _mend_arrows(font: TTFont) -> None:
    """Make → stretchable: this version of the font says that its head joins the shaft at the tip, so nothing joins."""
    variants = font["MATH"].table.MathVariants
    for construction in variants.HorizGlyphConstruction if variants else ():
        parts = construction.GlyphAssembly.PartRecords if construction.GlyphAssembly else []
        if len(parts) > 1 and parts[-1].StartConnectorLength == 0:
            head = parts[-1]
            head.StartConnectorLength, head.EndConnectorLength = head.EndConnectorLength, 0


def _narrow_radicals(font: TTFont) -> None:
    """Make all sizes of √ as wide as the smallest: Chromium reserves room for the widest, and leaves a gap after √2."""
    variants = font["MATH"].table.MathVariants
    radical = (font.getBestCmap() or {}).get(ord("√"))
    if radical is None:
        return
    construction = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(radical)]
    larger = {record.VariantGlyph for record in construction.MathGlyphVariantRecord}
    larger |= {part.glyph for part in construction.GlyphAssembly.PartRecords}
    width = font["hmtx"][radical][0]
    for name in sorted(larger - {radical}):
        glyph = font["glyf"][name]
        glyph.coordinates.scale((width / font["hmtx"][name][0], 1))
        glyph.coordinates.toInt()
        glyph.recalcBounds(font["glyf"])
        font["hmtx"][name] = (width, glyph.xMin)
