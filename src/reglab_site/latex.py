"""LaTeX formulas, made ready for latex2mathml, which passes on or misreads much of what it does not know.

`rewrite` refuses every command, environment and character that is not listed here. It puts one private character of
Unicode in place of each symbol, number, name, text and styled letter, so that latex2mathml only has the structure to
parse (groups, scripts, fractions, roots, delimiters, tables). `mathml.py` puts the finished tokens back, and uses the
class that TeX gives each of them (`kind`) to space the formula as TeX would.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass, field

from reglab_site.errors import nearest


class MathError(ValueError):
    """A formula that cannot be shown as it was meant: what is wrong in it, and how to mend it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message} ({hint})" if hint else message)


@dataclass(frozen=True)
class Token:
    """One finished leaf of the MathML tree.

    Attributes:
        tag: its element.
        text: its text.
        kind: the class TeX gives it: `ord`, `op` (a function's name), `limits` (an operator whose scripts go above and
            below in display), `integral`, `bin`, `rel`, `open`, `close`, `fence` (a bar, which may open or close),
            `punct`; or `space`, `accent`, `brace`.
        attributes: its attributes.
    """

    tag: str
    text: str
    kind: str = "ord"
    attributes: dict[str, str] = field(default_factory=dict)


def _pairs(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


_SYMBOLS = {
    "ord": _pairs(r"""
        \alpha α \beta β \gamma γ \delta δ \epsilon ϵ \varepsilon ε \zeta ζ \eta η \theta θ \vartheta ϑ \iota ι \kappa κ
        \lambda λ \mu μ \nu ν \xi ξ \pi π \varpi ϖ \rho ρ \varrho ϱ \sigma σ \varsigma ς \tau τ \upsilon υ \phi ϕ
        \varphi φ \chi χ \psi ψ \omega ω \Gamma Γ \Delta Δ \Theta Θ \Lambda Λ \Xi Ξ \Pi Π \Sigma Σ \Upsilon Υ \Phi Φ
        \Psi Ψ \Omega Ω \ell ℓ \hbar ℏ \imath ı \jmath ȷ \partial ∂ \nabla ∇ \infty ∞ \emptyset ∅ \varnothing ∅
        \forall ∀ \exists ∃ \nexists ∄ \neg ¬ \lnot ¬ \top ⊤ \bot ⊥ \angle ∠ \Re ℜ \Im ℑ \aleph ℵ \degree ° \prime ′
        \dots … \ldots … \cdots ⋯ \vdots ⋮ \ddots ⋱ \% % \# # \_ _ / / . . ! !
    """),
    "bin": _pairs(r"""
        + + - − * ∗ \pm ± \mp ∓ \times × \div ÷ \cdot ⋅ \circ ∘ \bullet ∙ \ast ∗ \star ⋆ \odot ⊙ \oplus ⊕ \ominus ⊖
        \otimes ⊗ \cup ∪ \cap ∩ \setminus ∖ \wedge ∧ \vee ∨ \land ∧ \lor ∨
    """),
    "rel": _pairs(r"""
        = = < < > > : : \lt < \gt > \le ≤ \leq ≤ \ge ≥ \geq ≥ \leqslant ⩽ \geqslant ⩾ \ll ≪ \gg ≫ \ne ≠ \neq ≠ \equiv ≡
        \approx ≈ \sim ∼ \simeq ≃ \cong ≅ \propto ∝ \in ∈ \ni ∋ \notin ∉ \subset ⊂ \supset ⊃ \subseteq ⊆ \supseteq ⊇
        \to → \rightarrow → \gets ← \leftarrow ← \leftrightarrow ↔ \Rightarrow ⇒ \Leftarrow ⇐ \Leftrightarrow ⇔
        \implies ⟹ \impliedby ⟸ \iff ⟺ \mapsto ↦ \longmapsto ⟼ \longrightarrow ⟶ \longleftarrow ⟵ \uparrow ↑ \downarrow
        ↓ \updownarrow ↕ \nearrow ↗ \searrow ↘ \mid ∣ \nmid ∤ \parallel ∥ \perp ⟂ \triangleq ≜ \coloneqq ≔ \doteq ≐
        \lesssim ≲ \gtrsim ≳ \prec ≺ \succ ≻ \preceq ⪯ \succeq ⪰
    """),
    "open": _pairs(r"( ( [ [ \{ { \lbrace { \lvert | \lVert ‖ \langle ⟨ \lfloor ⌊ \lceil ⌈"),
    "close": _pairs(r") ) ] ] \} } \rbrace } \rvert | \rVert ‖ \rangle ⟩ \rfloor ⌋ \rceil ⌉"),
    "fence": _pairs(r"| | \vert | \| ‖ \Vert ‖"),
    "punct": _pairs(r", , ; ; \colon :"),
    "limits": _pairs(
        r"\sum ∑ \prod ∏ \coprod ∐ \bigcup ⋃ \bigcap ⋂ \bigoplus ⨁ \bigotimes ⨂ \bigodot ⨀ \bigvee ⋁ \bigwedge ⋀"
    ),
    "integral": _pairs(r"\int ∫ \iint ∬ \iiint ∭ \oint ∮"),
}

_NAMES = {
    "op": (
        *(r"\arccos", r"\arcsin", r"\arctan", r"\arg", r"\cos", r"\cosh", r"\cot", r"\coth", r"\csc", r"\deg", r"\dim"),
        *(r"\exp", r"\hom", r"\ker", r"\lg", r"\ln", r"\log", r"\sec", r"\sin", r"\sinh", r"\tan", r"\tanh"),
    ),
    "limits": (r"\det", r"\gcd", r"\inf", r"\lim", r"\max", r"\min", r"\Pr", r"\sup"),
}
_LONG_NAMES = {r"\argmax": "arg max", r"\argmin": "arg min", r"\liminf": "lim inf", r"\limsup": "lim sup"}

_SPACES = {
    r"\,": 0.1667, r"\:": 0.2222, r"\>": 0.2222, r"\;": 0.2778, r"\!": -0.1667, r"\ ": 0.25, "~": 0.25,
    r"\quad": 1, r"\qquad": 2,
}  # fmt: skip

# Command -> mark, whether it grows with what it marks, and where it goes. What grows must be stretchable in the font.
_MARKS = {
    r"\hat": ("ˆ", False, "over"),
    r"\check": ("ˇ", False, "over"),
    r"\tilde": ("˜", False, "over"),
    r"\bar": ("ˉ", False, "over"),
    r"\breve": ("˘", False, "over"),
    r"\dot": ("˙", False, "over"),
    r"\ddot": ("¨", False, "over"),
    r"\acute": ("´", False, "over"),
    r"\grave": ("`", False, "over"),
    r"\mathring": ("˚", False, "over"),
    r"\widehat": ("\u0302", True, "over"),
    r"\overline": ("‾", True, "over"),
    r"\overbrace": ("⏞", True, "over"),
    r"\underline": ("_", True, "under"),
    r"\underbrace": ("⏟", True, "under"),
}

# Command -> the Unicode alphabets to take letters and digits from, in order of preference.
_ALPHABETS = {
    r"\mathbf": ["BOLD"],
    r"\boldsymbol": ["BOLD ITALIC", "BOLD"],
    r"\bm": ["BOLD ITALIC", "BOLD"],
    r"\mathbb": ["DOUBLE-STRUCK"],
    r"\mathcal": ["SCRIPT"],
    r"\mathscr": ["SCRIPT"],
    r"\mathfrak": ["FRAKTUR", "BLACK-LETTER"],
    r"\mathsf": ["SANS-SERIF"],
    r"\mathtt": ["MONOSPACE"],
    r"\mathit": ["ITALIC"],
}
_TEXTS = (r"\text", r"\textrm", r"\mbox")
_UPRIGHT = (r"\operatorname", r"\operatorname*", r"\mathrm")

# Where TeX's spaces are not those that browsers give to the character.
_SPACED = {
    ":": {"lspace": "0.2778em", "rspace": "0.2778em"},
    r"\colon": {"lspace": "0", "rspace": "0.2222em"},
    "/": {"lspace": "0", "rspace": "0"},
}

# What latex2mathml parses well, under the names by which it knows it.
_ARROWS = (r"\xrightarrow", r"\xleftarrow")
_SIZES = tuple(rf"\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "m", "r"))
_FRACTIONS = (r"\frac", r"\dfrac", r"\tfrac", r"\binom")
_ARGUMENTS = (*_FRACTIONS, r"\sqrt", r"\overset", r"\underset", r"\stackrel", r"\substack", r"\phantom")
_STRUCTURE = {*_ARROWS, *_SIZES, *_ARGUMENTS, r"\left", r"\right", r"\middle", r"\displaystyle", r"\textstyle", r"\\"}
_ENVIRONMENTS = {
    "aligned": "split",
    "gathered": "displaylines",
    **{name: name for name in ("array", "cases", "matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix")},
}
_DELIMITERS = {*_SYMBOLS["open"], *_SYMBOLS["close"], *_SYMBOLS["fence"], "."}

COMMANDS = {
    *(command for symbols in _SYMBOLS.values() for command in symbols if command.startswith("\\")),
    *(name for names in _NAMES.values() for name in names), *_LONG_NAMES, *_SPACES, *_MARKS, *_ALPHABETS, *_TEXTS,
    *_UPRIGHT, *_STRUCTURE, r"\begin", r"\end",
}  # fmt: skip
"""Every command that formulas of the site may use."""

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<words>\\(?P<words_command>operatorname\*?|mathrm|text|textrm|mbox)(?![A-Za-z])\s*\{(?P<words_body>[^{}]*)\})
    | (?P<styled>\\(?P<styled_command>mathbf|boldsymbol|bm|mathbb|mathcal|mathscr|mathfrak|mathsf|mathtt|mathit)
        (?:\s*\{(?P<styled_body>[^{}]*)\}|\s+(?P<styled_letter>[A-Za-z])|\s*(?P<styled_symbol>\d|\\[A-Za-z]+)))
    | (?P<root>\\sqrt\s*\[(?P<index>\d+|[A-Za-z])\])
    | (?P<newline>\\\\(?P<distance>\s*\[[^\]]*\])?)
    | (?P<environment>\\(?P<side>begin|end)\s*\{(?P<name>[^{}]*)\}(?P<columns>(?<=\{array\})\s*\{[^{}]*\})?)
    | (?P<command>\\(?:operatorname\*|[A-Za-z]+|.|$))
    | (?P<definition>:\s*=)
    | (?P<number>\d+(?:\{,\}\d{3})*(?:\.\d+)?)
    | (?P<character>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_FIRST_PRIVATE = 0xE000
_LAST_PRIVATE = 0xF8FF


def _styled(character: str, alphabets: list[str]) -> str | None:
    """The letter or digit in the first of the alphabets that has it, found by its name in Unicode."""
    name = unicodedata.name(character).replace("LATIN ", "").replace("GREEK ", "").replace(" LETTER ", " ")
    if alphabets[0] == "BOLD ITALIC" and name.startswith("CAPITAL") and character > "Z":
        alphabets = alphabets[1:]  # TeX keeps capital Greek letters upright
    for alphabet in alphabets:
        for candidate in (f"MATHEMATICAL {alphabet} {name}", f"{alphabet} {name}"):
            try:
                return unicodedata.lookup(candidate)
            except KeyError:
                continue
    return None


def italic(character: str) -> str:
    """The letter that a browser shows for a lone `character` in `<mi>`: the italic one, if there is one."""
    if character == "h":
        return "\N{PLANCK CONSTANT}"
    return _styled(character, ["ITALIC"]) or character if character.isalpha() or character in "∂∇" else character


def _upright(letters: str, kind: str = "ord") -> Token:
    if letters.isdigit():
        return Token("mn", letters, kind)
    return Token("mi", letters, kind, {"mathvariant": "normal"} if len(letters) == 1 else {})


def _named(name: str, kind: str) -> Token:
    """A function's name. Only an `<mo>` moves what stands below it to its side in inline formulas."""
    return Token("mo", name, kind, {"movablelimits": "true"}) if kind == "limits" else _upright(name, kind)


def _symbol(command: str, kind: str, character: str) -> Token:
    if kind in ("open", "close", "fence") or character == "∣":
        return Token("mo", character, kind, {"stretchy": "false"})
    if kind != "ord" or character in "/!":
        return Token("mo", character, kind, _SPACED.get(command, {}))
    upright = character.isupper() and unicodedata.name(character).startswith("GREEK")
    return Token("mi", character, kind, {"mathvariant": "normal"} if upright or character == "∇" else {})


def _blank(width: float) -> Token:
    attributes = {"width": f"{width}em"} if width > 0 else {"style": f"margin-left:{width}em"}
    return Token("mspace", "", "space", attributes)


def _tokens() -> dict[str, Token]:
    tokens = {
        command: _symbol(command, kind, character)
        for kind, symbols in _SYMBOLS.items()
        for command, character in symbols.items()
    }
    tokens |= {token.text: token for token in list(tokens.values()) if not token.text.isascii()}
    tokens |= {command: _named(command[1:], kind) for kind, names in _NAMES.items() for command in names}
    tokens |= {command: _named(name.replace(" ", "\N{THIN SPACE}"), "limits") for command, name in _LONG_NAMES.items()}
    tokens |= {command: _blank(width) for command, width in _SPACES.items()}
    return tokens


TOKENS = _tokens()
"""Every command and character that stands for one token."""


class _Rewriter:
    """The state of one `rewrite`: what is written, the tokens taken out, and the braces and environments still open."""

    def __init__(self, latex: str) -> None:
        self.latex = latex
        self.tokens: list[Token] = []
        self.written: list[str] = []
        self.open: list[str] = []

    def run(self) -> str:
        previous = ""
        for match in _TOKEN.finditer(self.latex):
            part = match.lastgroup
            text = match[0]
            if part == "space":
                self.written.append(" ")
                continue
            if part == "words":
                self.put(_words(f"\\{match['words_command']}", match["words_body"]))
            elif part == "styled":
                body = match["styled_body"] or match["styled_letter"] or match["styled_symbol"] or ""
                self.put(_letters(f"\\{match['styled_command']}", body))
            elif part == "newline" and match["distance"]:
                raise MathError(f"{text}: distances between rows are not supported", r"write \\ alone")
            elif part == "environment":
                self.environment(match["side"], match["name"], (match["columns"] or "").strip())
            elif part == "definition":
                self.put(TOKENS[r"\coloneqq"])
            elif part == "root":
                self.written.append(r"\sqrt[")
                self.put(Token("mn" if match["index"].isdigit() else "mi", match["index"]))
                self.written.append("]")
            elif part == "number":
                self.number(text, previous)
            elif part in ("command", "character"):
                self.single(text, previous)
            else:
                self.written.append(text)
            previous = text
        if self.open:
            raise MathError(f"{self.open[-1]} is not closed")
        return "".join(self.written)

    def put(self, token: Token) -> None:
        """Write a token as one private character."""
        code = _FIRST_PRIVATE + len(self.tokens)
        if code > _LAST_PRIVATE:
            raise MathError("the formula is too long", "split it")
        self.tokens.append(token)
        self.written.append(chr(code))

    def number(self, text: str, previous: str) -> None:
        """A number; after a command or script, LaTeX takes its first digit alone."""
        digits = [text]
        if len(text) == 2 and previous in _FRACTIONS:
            digits = list(text)  # \frac12
        elif len(text) > 1 and previous in ("_", "^", *_ARGUMENTS):
            raise MathError(f"{previous}{text}: LaTeX takes the first digit alone", "put it in braces")
        for part in digits:
            self.put(Token("mn", part.replace("{,}", "\N{THIN SPACE}")))

    def environment(self, side: str, name: str, columns: str) -> None:
        if name not in _ENVIRONMENTS:
            hint = (
                "use aligned: formulas are not numbered" if name.startswith("align") else nearest(name, _ENVIRONMENTS)
            )
            raise MathError(f"unknown environment {name!r}", hint)
        if side == "begin":
            if name == "array" and not re.fullmatch(r"\{[lcr]+\}", columns):
                raise MathError(
                    r"\begin{array} without its columns", r"write \begin{array}{lcr}; lines are not supported"
                )
            self.open.append(rf"\begin{{{name}}}")
        elif not self.open or self.open.pop() != rf"\begin{{{name}}}":
            raise MathError(rf"\end{{{name}}} without its \begin{{{name}}}")
        command = rf"\{side}{{{_ENVIRONMENTS[name]}}}{columns}"
        # The braces keep a matrix's fences with it where it has a script.
        self.written.append(f"{{{command}" if side == "begin" else f"{command}}}")

    def single(self, text: str, previous: str) -> None:
        """One command or character."""
        if previous in (r"\left", r"\right", r"\middle", *_SIZES) and text not in _DELIMITERS:
            raise MathError(f"{previous} is followed by {text}, no delimiter", rf"write {previous}( or {previous}.")
        if text == "{":
            self.open.append("{")
        elif text == "}" and (not self.open or self.open.pop() != "{"):
            raise MathError("a } without its {")
        if previous == r"\middle" or (previous in (r"\left", r"\right") and text == "."):
            self.written.append(text)
        elif text in _MARKS:
            mark, stretchy, place = _MARKS[text]
            kind = "brace" if text in (r"\overbrace", r"\underbrace") else "accent"
            self.written.append(rf"\{place}set{{")
            self.put(Token("mo", mark, kind, {} if stretchy else {"stretchy": "false"}))
            self.written.append("}")
        elif text in TOKENS and text != r"\prime":
            self.put(_facing(TOKENS[text], previous))
        elif (
            text in _STRUCTURE
            or text in ("{", "}", "_", "^", "&", "'", r"\prime")
            or (text.isascii() and text.isalpha())
        ):
            self.written.append(text)
        else:
            raise _unknown(text)


def _facing(token: Token, previous: str) -> Token:
    """A bar after \\bigl or \\left opens, after \\bigr or \\right closes."""
    if token.kind == "fence" and previous in (r"\left", r"\bigl", r"\Bigl", r"\biggl", r"\Biggl"):
        return Token("mo", token.text, "open", token.attributes)
    if token.kind == "fence" and previous in (r"\right", r"\bigr", r"\Bigr", r"\biggr", r"\Biggr"):
        return Token("mo", token.text, "close", token.attributes)
    return token


def _unknown(text: str) -> MathError:
    if text in (*_ALPHABETS, *_TEXTS, *_UPRIGHT):
        return MathError(
            f"{text} takes plain letters in braces", f"write {text}{{x}}, with accents and scripts around it"
        )
    if text in (r"\begin", r"\end"):
        return MathError(f"{text} without a name", rf"write {text}{{aligned}}")
    if text == "\\":
        return MathError("the formula ends with a backslash")
    if text.startswith("\\"):
        return MathError(f"unknown command {text}", _nearest_command(text))
    if text == "$":
        return MathError("a $ within the formula", "leave a blank line between displayed formulas")
    if text == "%":
        return MathError("a % begins a comment in LaTeX", r"write \%")
    return MathError(f"{text!r} is no character of a formula", rf"write \text{{{text}}}, or end the formula before it")


def _nearest_command(text: str) -> str:
    close = difflib.get_close_matches(text, COMMANDS, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else "src/reglab_site/latex.py lists the commands that formulas may use"


def _words(command: str, body: str) -> Token:
    """The token for `\\text{…}`, `\\operatorname{…}` or `\\mathrm{…}`."""
    if not body.strip():
        raise MathError(f"{command} is empty")
    plain = re.sub(r"\\([ _%#&])", r"\1", body)
    if command in _TEXTS:
        if found := re.search(r"[\\$]", plain):
            raise MathError(f"{found[0]} within {command}", "close the text before it")
        return Token("mtext", re.sub(r"^\s+|\s+$", "\N{NO-BREAK SPACE}", plain))
    plain = plain.replace(r"\,", "\N{THIN SPACE}").replace(" ", "")
    if not re.fullmatch(r"[\w\u2009*/&%#-]+", plain):
        raise MathError(f"{command}{{{body}}} holds more than letters and digits", r"use \text for words")
    if command == r"\mathrm":
        return _upright(plain)
    return _named(plain, "limits" if command.endswith("*") else "op")


def _letters(command: str, body: str) -> Token:
    """The token for letters of an alphabet: `\\mathbf{W}`, `\\boldsymbol{\\theta}`, `\\mathbb{E}`."""
    if not body.strip():
        raise MathError(f"{command} is empty")
    styled = []
    for part in re.findall(r"\\[A-Za-z]+|\S", body):
        character = _SYMBOLS["ord"].get(part, part)
        letter = _styled(character, _ALPHABETS[command]) if character.isalnum() or character in "∂∇" else None
        if letter is None:
            raise MathError(
                f"{command} has no {part}", "it takes letters and digits, with accents and scripts around it"
            )
        styled.append(letter)
    return Token("mn" if body.strip().isdigit() else "mi", "".join(styled))


def rewrite(latex: str) -> tuple[str, list[Token]]:
    """The formula as latex2mathml is to see it, and the tokens that its private characters stand for."""
    if not latex.strip():
        raise MathError("the formula is empty")
    rewriter = _Rewriter(latex)
    return rewriter.run(), rewriter.tokens


def token_of(text: str, tokens: list[Token]) -> Token | None:
    """The token that a private character stands for; None for other text."""
    index = ord(text) - _FIRST_PRIVATE if len(text) == 1 else -1
    return tokens[index] if 0 <= index < len(tokens) else None
