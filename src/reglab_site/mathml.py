"""MathML out of LaTeX: latex2mathml parses the structure, and from its tree this module builds the one browsers need.

MathML Core, which is all that Chromium knows, has no alignment of columns and few kinds of spacing. So cells carry
styles, operators carry spaces where TeX's differ from the browser's, and everything else that the tree may hold is
refused: what was not understood must not be published.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

import latex2mathml.converter
from latex2mathml import exceptions

from reglab_site.latex import TOKENS, MathError, Token, rewrite, token_of

_MEANING = {
    exceptions.ExtraLeftOrMissingRightError: (r"\left and \right do not match", r"write \right. where nothing closes"),
    exceptions.MissingSuperScriptOrSubscriptError: ("_ or ^ without a script", None),
    exceptions.DoubleSubscriptsError: ("two subscripts on one symbol", "put both into one pair of braces"),
    exceptions.DoubleSuperscriptsError: ("two superscripts on one symbol", "put both into one pair of braces"),
    exceptions.MissingEndError: (r"\begin without its \end", None),
    exceptions.NoAvailableTokensError: ("the formula ends where an argument is expected", "put the argument in braces"),
}

# How many operands these elements have, and the LaTeX that makes them.
_OPERANDS = {
    "mfrac": (2, r"\frac"),
    "mroot": (2, r"\sqrt"),
    "msub": (2, "_"),
    "msup": (2, "^"),
    "msubsup": (3, "_ and ^"),
    "munder": (2, r"\underset"),
    "mover": (2, r"\overset"),
    "munderover": (3, "an arrow"),
}
_LIMITS = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}
_ROWS = ("mrow", "mstyle", "mtd", "mpadded", "mphantom", "msqrt")
_KEPT = ("displaystyle", "scriptlevel", "linethickness", "minsize", "maxsize", "form")
_THIN = "0.1667em"
_LEFT_OPERANDS = ("ord", "close", "inner", "delimited")
# What latex2mathml itself puts into the tree: delimiters of matrices, arrows, primes.
_MADE = {token.text: token for token in TOKENS.values() if token.kind in ("open", "close", "fence")}
_MADE |= {arrow: Token("mo", arrow, "rel") for arrow in "→←"} | {prime: Token("mi", prime) for prime in "′″‴⁗"}


@dataclass
class _Part:
    """An element of the new tree, the class TeX gives it, and the operator in it that carries its spaces."""

    element: Element
    kind: str = "ord"
    operator: Element | None = None

    def space(self, left: str, right: str) -> None:
        if self.operator is not None:
            self.operator.attrib |= {"lspace": left, "rspace": right}


def build(latex: str, display: bool) -> Element:
    """The `<math>` element of a formula; raises `MathError` for all that is not understood."""
    rewritten, tokens = rewrite(latex)
    try:
        tree = latex2mathml.converter.convert_to_element(rewritten)
    except Exception as error:
        message, hint = _MEANING.get(type(error), ("the formula does not parse", "check its braces and arguments"))
        raise MathError(message, hint) from error
    math = Element("math", {"display": "block"} if display else {})
    math.extend(_Builder(tokens).row(tree[0], script=False))
    if not len(math):
        raise MathError("the formula is empty")
    return math


def width(element: Element) -> float:
    """Roughly how many ems wide an element is, rather more than less."""
    if element.tag == "mspace":
        return float(element.get("width", "0em").removesuffix("em"))
    if element.text:
        wide = sum(1.0 if ord(character) > 0x2E80 and ord(character) < 0x1D400 else 0.6 for character in element.text)
        return wide + (0.5 if element.tag == "mo" and element.text not in _MADE else 0)
    if element.tag == "mtable":
        return max(sum(1 + width(cell) for cell in row) for row in element)
    widths = [width(child) for child in element]
    if element.tag in ("mfrac", "munder", "mover", "munderover"):
        return max(widths)
    if element.tag in _LIMITS:
        return widths[0] + 0.7 * max(widths[1:])
    return sum(widths)


class _Builder:
    """Builds the new tree, bottom up."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens

    def part(self, node: Element, script: bool) -> _Part:
        if node.tag in _OPERANDS:
            return self.operands(node, script)
        if node.tag == "mtable":
            return _Part(self.table(node, script))
        if node.tag == "mpadded" and "voffset" in node.attrib:
            return _Part(_padded(self.row(node[:-1], script=True)))
        if node.tag in _ROWS:
            return self.group(node, script)
        return self.leaf(node)

    def leaf(self, node: Element) -> _Part:
        text = html.unescape(node.text or "")
        if node.tag == "mi" and text.isascii() and text.isalpha() and len(text) == 1:
            return _Part(_element("mi", text))
        kept = {name: value for name, value in node.attrib.items() if name in _KEPT}
        if not text and "form" in kept:
            return _Part(Element("mrow"))  # the dot of \left. and \right.
        token = token_of(text, self.tokens) or _MADE.get(text)
        if token is None:
            raise MathError(*_stray(node.tag, text))
        attributes = token.attributes | kept
        if text in _MADE or "stretchy" in node.attrib or "minsize" in node.attrib:
            attributes.pop("stretchy", None)  # a delimiter that grows, as browsers' delimiters do by themselves
        element = _element(token.tag, token.text, attributes)
        return _Part(element, token.kind, element if token.tag == "mo" else None)

    def group(self, node: Element, script: bool) -> _Part:
        """A group in braces is an ordinary symbol to its surroundings, whatever it holds: `1{,}5`."""
        attributes = {name: value for name, value in node.attrib.items() if name in _KEPT}
        script = script or attributes.get("scriptlevel", "0") != "0"
        children = self.row(node, script)
        if node.tag == "msqrt" and not children:
            raise MathError(r"\sqrt is empty")
        if node.tag in ("mrow", "mstyle") and len(children) == 1 and not attributes.get("displaystyle"):
            child = children[0]
            if child.tag == "mo" and "form" not in child.attrib:
                child.attrib |= {"lspace": "0", "rspace": "0"}
            return _Part(child)
        element = Element(node.tag, attributes)
        element.extend(children)
        delimited = node.tag == "mrow" and len(node) and node[0].get("form") == "prefix"
        return _Part(element, "delimited" if delimited else "ord")

    def operands(self, node: Element, script: bool) -> _Part:
        count, name = _OPERANDS[node.tag]
        if len(node) != count:
            raise MathError(f"{name} lacks an argument", "put its arguments in braces")
        first = self.operand(node[0], script)
        if _is_empty(first.element) and not (node.tag in _LIMITS and node[0].tag == "mrow"):
            raise MathError(
                f"{name} has nothing to stand on" if node.tag in _LIMITS else f"{name} has an empty argument"
            )
        others = [self.operand(child, script=script or node.tag != "mfrac") for child in node[1:]]
        if any(_is_empty(other.element) for other in others):
            raise MathError(f"{name} has an empty argument", "fill it or remove it")
        tag = node.tag
        attributes = {name: value for name, value in node.attrib.items() if name in _KEPT}
        if tag in _LIMITS and first.kind in ("limits", "brace"):
            tag = _LIMITS[tag]
        kind, operator = first.kind, first.operator
        if tag in ("mover", "munder") and others[0].kind in ("accent", "brace"):
            if others[0].kind == "accent":
                attributes["accent" if tag == "mover" else "accentunder"] = "true"
            kind, operator = ("brace" if others[0].kind == "brace" else "ord"), None
        elif tag == "mfrac":
            kind, operator = "inner", None
        elif kind == "brace":
            kind, operator = "ord", None
        element = Element(tag, attributes)
        element.extend([_propped(first.element), *(other.element for other in others)])
        return _Part(element, kind, operator)

    def operand(self, node: Element, script: bool) -> _Part:
        """An operand: braces around a single symbol leave it what it is, as in `\\overset{!}{=}` and `x^{*}`."""
        while node.tag in ("mrow", "mstyle") and len(node) == 1 and not node.get("displaystyle"):
            node = node[0]
        return self.part(node, script)

    def table(self, node: Element, script: bool) -> Element:
        table = Element("mtable", {"displaystyle": "true"} if node.get("displaystyle") else {})
        aligned = node.get("rowspacing") == "3pt"
        for row in node:
            new_row = SubElement(table, "mtr")
            for column, cell in enumerate(row):
                children = [child for child in cell if not _is_padding(child)]
                continued = aligned and column % 2 == 1
                new_cell = SubElement(new_row, "mtd", _cell_style(cell.get("columnalign"), aligned, column))
                new_cell.extend(self.row(children, script, continued=continued))
        if not len(table):
            raise MathError("an environment without content")
        return table

    def row(self, nodes: Element | list[Element], script: bool, continued: bool = False) -> list[Element]:
        """The symbols of a row, spaced; a `continued` row goes on where another column ended."""
        parts = []
        for node in nodes:
            part = self.part(node, script)
            if part.element.tag == "mrow" and not len(part.element):
                continue
            parts.append(part)
        _face_bars(parts)
        _settle_signs(parts, continued)
        return _space(parts, script)


def _element(tag: str, text: str, attributes: dict[str, str] | None = None) -> Element:
    element = Element(tag, attributes or {})
    element.text = text
    return element


def _is_empty(element: Element) -> bool:
    return element.tag != "mspace" and not len(element) and not element.text


def _is_padding(node: Element) -> bool:
    """latex2mathml opens the right column of an alignment with an empty `<mi>`."""
    return node.tag == "mi" and node.text is None


def _stray(tag: str, text: str) -> tuple[str, str | None]:
    if text == "&":
        return "a & outside of an environment", r"put the formula between \begin{aligned} and \end{aligned}"
    if tag == "mspace":
        return r"a \\ outside of an environment", r"put the formula between \begin{aligned} and \end{aligned}"
    if not text:
        return "a script with nothing to stand on", "write {} before it where that is meant"
    return f"{text} was not understood", None


def _padded(children: list[Element]) -> Element:
    """The text above an arrow, with room at both ends: latex2mathml pads it in a way that browsers have dropped."""
    if not children:
        raise MathError("an arrow with nothing above it", r"write \to or \rightarrow")
    row = Element("mrow")
    row.append(Element("mspace", {"width": "0.4em"}))
    row.extend(children)
    row.append(Element("mspace", {"width": "0.4em"}))
    return row


def _propped(base: Element) -> Element:
    """The base of a script. Alone there, a delimiter such as that of `\\bigr)^2` hangs too low in Chromium."""
    if "minsize" not in base.attrib:
        return base
    row = Element("mrow")
    row.extend([base, Element("mspace")])
    return row


def _cell_style(alignment: str | None, aligned: bool, column: int) -> dict[str, str]:
    if alignment is None:
        return {}
    style = f"text-align:{alignment}"
    if aligned:
        style += (
            ";padding-left:2em;padding-right:0" if column and column % 2 == 0 else ";padding-left:0;padding-right:0"
        )
    return {"style": style}


def _face_bars(parts: list[_Part]) -> None:
    """Tell which bars open and which close, where it is not said from their surroundings."""
    opened: list[str] = []
    for part in parts:
        text = "" if part.operator is None else part.operator.text or ""
        if part.kind == "fence":
            part.kind = "close" if opened and opened[-1] == text else "open"
        if text and text in "|‖" and part.operator is not None and part.kind in ("open", "close"):
            # Browsers take a bar amid other symbols for a relation, and space it so.
            part.operator.set("form", "prefix" if part.kind == "open" else "postfix")
        if part.kind == "open":
            opened.append(text)
        elif part.kind == "close" and opened:
            if text in "|‖":
                opened.pop()
                continue
            while opened and opened.pop() in "|‖":
                pass


def _settle_signs(parts: list[_Part], continued: bool) -> None:
    """Where an operand is missing, `−` and the like are signs, and stand closer to what follows."""
    visible = [part for part in parts if part.kind != "space"]
    kinds = ["ord" if continued else "none", *(part.kind for part in visible), "none"]
    for index, part in enumerate(visible, start=1):
        if part.operator is None or part.kind not in ("bin", "rel"):
            continue
        has_left = kinds[index - 1] in _LEFT_OPERANDS
        has_right = kinds[index + 1] not in ("none", "rel", "close", "punct")
        signed = (part.operator.text or "") in "+−±∓"  # the operators that browsers space by their position
        if part.kind == "bin" and not (has_left and has_right):
            kinds[index] = part.kind = "ord"
            if not signed:
                part.space("0", "0")
            elif part is not parts[0]:
                part.operator.set("form", "prefix")
        elif part is parts[0] and (signed or continued):
            part.operator.set("form", "infix")


def _space(parts: list[_Part], script: bool) -> list[Element]:
    """Space the names of functions, and close the row up in scripts, as TeX does."""
    elements: list[Element] = []
    edge = _Part(Element("mrow"), "none")
    row = [edge, *parts, edge]
    for before, part, after in zip(row, row[1:], row[2:], strict=False):
        left = before.kind in _LEFT_OPERANDS
        right = after.kind in ("ord", "op", "inner", "limits", "integral")
        thin = [Element("mspace", {"width": _THIN})]
        elements += thin * (left and part.kind == "op")
        elements.append(part.element)
        elements += thin * (right and part.kind == "op")
        if part.kind in ("bin", "rel", "punct") and script and len(parts) > 1:
            part.space("0", "0")
        elif part.kind == "limits" and part.operator is not None and "movablelimits" in part.operator.attrib:
            part.space(_THIN if left else "0", _THIN if right else "0")
        elif part.kind in ("limits", "integral") and not left:
            part.space("0", _THIN)
    return elements
