"""Two inline SVGs, one per language, from one figure of a snippet."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import matplotlib.figure
from matplotlib.axis import Axis
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import Formatter

from reglab_site import figure_rules, figure_svg
from reglab_site.artefact import Figure
from reglab_site.catalogue import MATH, Catalogue, numeric
from reglab_site.errors import SiteError, raise_all
from reglab_site.style import CHINESE, LATIN, PIXELS_PER_INCH

SIZE_LIMIT = 120_000  # characters of one SVG

_HAN = re.compile(r"[\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef]")


def render(
    figure: matplotlib.figure.Figure,
    *,
    stem: str,
    name: str,
    cell: str,
    snippet_path: Path,
    line: int,
    catalogue: Catalogue,
) -> Figure:
    """Draw `figure` in English and in Chinese; its texts are English again afterwards.

    Args:
        figure: what the snippet drew, with `style` applied.
        stem: of the snippet, for the ids in the SVG.
        name: of the figure, for the ids too.
        cell: which left the figure, for messages.
        snippet_path: the file, for messages.
        line: where the cell begins, for messages.
        catalogue: has the Chinese of every label.

    Raises:
        SiteError: a label without Chinese, a character that no font has, a colour or size that some cannot read, too
            many points, or whatever matplotlib warns of while drawing (`SiteErrors` for several).
    """
    return _Rendering(
        figure, f"{stem}-{name}", f"figure {name!r} of cell {cell!r}", snippet_path, line, catalogue
    ).run()


class _Rendering:
    """One figure on its way; `what` names it in messages."""

    def __init__(
        self, figure: matplotlib.figure.Figure, prefix: str, what: str, path: Path, line: int, catalogue: Catalogue
    ) -> None:
        self.figure = figure
        self.prefix = prefix
        self.what = what
        self.path = path
        self.line = line
        self.catalogue = catalogue

    def error(self, message: str, hint: str | None = None) -> SiteError:
        return SiteError(f"{self.what}: {message}", file=self.path, line=self.line, hint=hint)

    def missing(self, text: str) -> SiteError:
        what = f"{self.what}: a label"
        return self.catalogue.missing("figure", text, what=what, file=self.path, line=self.line)

    def run(self) -> Figure:
        raise_all([self.error(*problem) for problem in figure_rules.check(self.figure)])
        for axis in _axes(self.figure):
            axis.get_majorticklabels()  # makes the ticks
        for label in self.figure.findobj(Text):
            label.set_gid(label.get_horizontalalignment())  # figure_svg reads it
        english, _ = self.draw("en")
        raise_all([self.error(*problem) for problem in figure_rules.check_size(self.figure)])
        labels = _labels(self.figure)
        originals = list(dict.fromkeys(text for _, text in labels if not numeric(text)))
        translations = self.translate(originals)
        with _translated(self.figure, labels, translations):
            chinese, lines = self.draw("zh", translations)
        known = {part for text in translations.values() for part in text.replace(r"\$", "$").split("\n")}
        raise_all([self.missing(text) for text in dict.fromkeys(lines) if text not in known and not numeric(text)])
        width, height = self.figure.get_size_inches() * PIXELS_PER_INCH
        return Figure(
            name=self.prefix.rpartition("-")[2],
            svg={"zh": chinese, "en": english},
            width=round(float(width), 2),
            height=round(float(height), 2),
            texts=tuple(originals),
        )

    def translate(self, originals: list[str]) -> dict[str, str]:
        """The Chinese of each English text, or all that is wrong with them."""
        errors: list[SiteError] = []
        translations: dict[str, str] = {}
        for text in originals:
            if _HAN.search(text):
                errors.append(self.error(f"the text {text!r} is Chinese", "write English, and Chinese in locale/zh.po"))
            elif (chinese := self.catalogue.figure_text(text)) is None:
                errors.append(self.missing(text))
            else:
                translations[text] = chinese
        raise_all(errors)
        return translations

    def draw(self, language: str, translations: dict[str, str] | None = None) -> tuple[str, list[str]]:
        """The SVG in the language that the texts are in now, and the lines of text in it."""
        with warnings.catch_warnings(record=True) as complaints:
            warnings.simplefilter("always")
            try:
                drawn, lines = figure_svg.draw(self.figure)
            except ValueError as problem:
                raise self.error(f"drawing it fails: {problem}") from problem
        raise_all(
            [
                self.error(f"no font has {character!r} (U+{ord(character):04X}) of the text {text!r}")
                for text in dict.fromkeys(lines)
                for character in _without_glyph(text)
            ]
        )
        raise_all([self.error(f"matplotlib warns: {complaint.message}") for complaint in complaints])
        svg = figure_svg.inline(drawn, f"{self.prefix}-{language}-")
        if len(svg) > SIZE_LIMIT:
            raise self.error(
                f"its SVG has {len(svg) // 1000} kB, and {SIZE_LIMIT // 1000} kB is the limit", "show less"
            )
        return svg, lines


def _axes(figure: matplotlib.figure.Figure) -> list[Axis]:
    return [artist for artist in figure_rules.shown(figure) if isinstance(artist, Axis)]


def _labels(figure: matplotlib.figure.Figure) -> list[tuple[Text, str]]:
    """The visible texts of a figure that has been drawn."""
    texts = (artist for artist in figure_rules.shown(figure) if isinstance(artist, Text))
    return [(artist, artist.get_text()) for artist in dict.fromkeys(texts) if artist.get_text().strip()]


class _Translated(Formatter):
    """Tick labels of another formatter, in Chinese: matplotlib asks for them anew whenever it draws."""

    def __init__(self, inner: Formatter, translations: dict[str, str]) -> None:
        self.inner = inner
        self.translations = translations

    def __call__(self, x: float, pos: int | None = None) -> str:
        text = self.inner(x, pos)
        return self.translations.get(text, text)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        return [self.translations.get(text, text) for text in self.inner.format_ticks(list(values))]

    def get_offset(self) -> str:
        return self.inner.get_offset()


@contextmanager
def _translated(
    figure: matplotlib.figure.Figure, labels: list[tuple[Text, str]], translations: dict[str, str]
) -> Iterator[None]:
    """Put the figure's texts in Chinese for a while."""
    tickers = [ticker for axis in _axes(figure) for ticker in (axis.major, axis.minor)]
    formatters = {ticker: ticker.formatter for ticker in tickers if ticker.formatter is not None}
    families = {label: label.get_fontfamily() for label, _ in labels}
    for ticker, formatter in formatters.items():
        ticker.formatter = _Translated(formatter, translations)
    for label, text in labels:
        chinese = translations.get(text, text)
        label.set_text(chinese)
        if "$" in chinese and _HAN.search(chinese):  # next to math, matplotlib takes characters of the first font only
            label.set_fontfamily([CHINESE, LATIN])
    try:
        yield
    finally:
        for ticker, formatter in formatters.items():
            ticker.formatter = formatter
        for label, text in labels:
            label.set_text(text)
            label.set_fontfamily(families[label])


@cache
def _coverage(family: str) -> frozenset[int]:
    return frozenset(get_font(findfont(family)).get_charmap())


def _without_glyph(text: str) -> list[str]:
    """The characters of a line of text that would be drawn as empty boxes."""
    math = "".join(re.findall(MATH, text))
    plain = re.sub(MATH, "", text)
    latin, chinese = _coverage(LATIN), _coverage(CHINESE)
    lost = [character for character in plain if ord(character) not in latin and ord(character) not in chinese]
    lost += [character for character in math if ord(character) not in latin]
    return [character for character in dict.fromkeys(lost) if not character.isspace()]
