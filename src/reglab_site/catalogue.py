"""The Chinese of figure labels, code comments and docstrings, read from `locale/zh.po`.

Every entry has a context, `figure`, `comment` or `docstring`. The msgid of each may hold placeholders outside `$…$`,
such as `seed {n}`, which stands for `seed 3`; what a placeholder stands for needs no translation or has an entry of its
own.

What needs no translation (`numeric`) is decided by form, not by a list of words:

* numbers with signs, units and percent, and punctuation;
* `$math$`, unless `\\mathrm`, `\\text` and the like hold a word;
* single letters, and acronyms of two to four capitals (SGD, BN);
* code: names with a dot, an underscore, a digit behind a letter or a capital inside (`nn.Linear`, `running_var`,
  `Dropout2d`, `ReLU`), also when called: `BatchNorm2d(3, affine=False)`.
"""

from __future__ import annotations

import io
import re
import tokenize
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import PoFileError, PoFileParser

from reglab_site.errors import SiteError, raise_all

CONTEXTS = ("figure", "comment", "docstring")
WIDTH = 88

MATH = r"(?<!\\)\$(?:[^$\\]|\\.)+\$"
_MATH_WORDS = re.compile(r"\\(?:math(?:rm|it|bf|sf|tt|regular|default)|text\w*|operatorname)\s*\{([^{}]*)\}")
_PLACEHOLDER = re.compile(rf"(?P<math>{MATH})|\{{(?P<name>[a-z][a-z0-9_]*)\}}")
_QUOTED = re.compile(r'"(?:[^"\\]|\\[n"\\])*"')


# What needs no translation

_CODE = r"""
    [A-Za-z_]\w*(?:\.\w+)+              # nn.Linear
  | [A-Za-z_]*_\w*                      # running_var
  | [A-Za-z]+\d\w*                      # Dropout2d, L1
  | [A-Za-z]*[a-z][A-Z][A-Za-z]*        # ReLU, AdamW
  | [A-Z]{2,}[a-z]+[A-Za-z]*            # PReLU, BNet
  | [A-Z]{2,4}                          # SGD, BN
"""
_NUMBER = r"\d+(?:[.,]\d+)*(?:[eE][-+−]?\d+)?"
_UNIT = r"(?:%|‰|°|[kMG]?B|ms|[µμ]s|s|px|k|M)"
_UNTRANSLATED = re.compile(
    rf"""
    {MATH}
  | {_NUMBER}\s?{_UNIT}?(?![A-Za-z])
  | (?<![^\W\d_])(?:{_CODE})(?![^\W\d_])(?:\([^()]*\))?
  | (?<![^\W\d_])[^\W\d_](?![^\W\d_])   # x, H, β
  | [^\w]
    """,
    re.VERBOSE,
)
_SHORT = re.compile(r"(?<![^\W\d_])[A-Za-z]{1,2}(?![^\W\d_])")


def numeric(text: str) -> bool:
    """Whether `text` reads the same in every language: numbers, math, single letters, acronyms and code."""
    words = " ".join(words for math in re.findall(MATH, text) for words in _MATH_WORDS.findall(math))
    if re.search(r"[A-Za-z]{3}", words) and not numeric(words):
        return False
    return not re.sub(_UNTRANSLATED, "", text)


def _speechless(comment: str) -> bool:
    """Whether a comment says nothing in words, such as `(N, C, H, W)`: `numeric`, or with words of two letters."""
    return numeric(_SHORT.sub("x", comment))


# Reading the catalogue


@dataclass(frozen=True)
class Entry:
    """One translation, and the line of its msgid."""

    context: str
    msgid: str
    msgstr: str
    line: int

    @property
    def placeholders(self) -> frozenset[str]:
        return _placeholders(self.msgid)

    @property
    def literal(self) -> int:
        """How many characters of the msgid are fixed: the more, the more specific it is."""
        return len(_PLACEHOLDER.sub(lambda found: found["math"] or "", self.msgid).replace(" ", ""))

    def match(self, text: str) -> dict[str, str] | None:
        """What the placeholders stand for in `text`, or None where it is another text."""
        pattern, end, seen = "", 0, set()
        for found in _PLACEHOLDER.finditer(self.msgid):
            name = found["name"]
            if name is None:
                continue
            pattern += re.escape(self.msgid[end : found.start()])
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
            end = found.end()
            seen.add(name)
        whole = re.fullmatch(pattern + re.escape(self.msgid[end:]), text)
        return whole.groupdict() if whole else None

    def fill(self, parts: dict[str, str]) -> str:
        """The msgstr with its placeholders replaced."""
        return _PLACEHOLDER.sub(lambda found: found["math"] or parts[found["name"]], self.msgstr)


def _placeholders(text: str) -> frozenset[str]:
    return frozenset(found["name"] for found in _PLACEHOLDER.finditer(text) if found["name"])


class _Messages(Catalog):
    """Collects what Babel's parser finds, duplicates too, which Babel itself would merge."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Message] = []

    def __setitem__(self, id: object, message: Message) -> None:
        self.found.append(message)


def _entries(path: Path) -> Iterator[Entry | SiteError]:
    """The entries of a PO file, and what is wrong with it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        yield SiteError(f"the catalogue cannot be read: {error}", file=path, hint="it must be a UTF-8 PO file")
        return
    for number, written in enumerate(lines, 1):
        keyword, quote, rest = written.strip().partition('"')
        if quote and not keyword.startswith("#") and not _QUOTED.fullmatch(quote + rest):
            yield SiteError(
                "a malformed string",
                file=path,
                line=number,
                hint=r'write it as "…", a quotation mark as \" and a backslash twice: "$\\lambda$"',
            )
            return
    messages = _Messages()
    try:
        PoFileParser(messages, ignore_obsolete=True, abort_invalid=True).parse(lines)
    except PoFileError as error:
        yield SiteError(f"not a PO file: {error}", file=path, line=error.lineno + 1)
        return
    for message in messages.found:
        line = message.lineno or 1
        if message.id == "":
            continue
        if not isinstance(message.id, str) or not isinstance(message.string, str):
            yield SiteError("plural forms are not used here", file=path, line=line)
        elif message.context not in CONTEXTS:
            yield SiteError(
                f"{message.id!r} has the context {message.context!r}",
                file=path,
                line=line,
                hint='put msgctxt "figure", msgctxt "comment" or msgctxt "docstring" above it',
            )
        elif not message.string.strip():
            yield SiteError(f"{message.id!r} has no Chinese", file=path, line=line, hint="fill in its msgstr")
        elif message.fuzzy:
            yield SiteError(
                f"{message.id!r} is marked fuzzy", file=path, line=line, hint="check the msgstr and remove the mark"
            )
        else:
            yield Entry(message.context, message.id, message.string, line)


def _check(entry: Entry, path: Path) -> SiteError | None:
    """What is wrong with the placeholders of an entry, if anything."""
    given, used = entry.placeholders, _placeholders(entry.msgstr)
    if given != used:
        names = ", ".join(f"{{{name}}}" for name in sorted(given ^ used))
        return SiteError(
            f"{names} of {entry.msgid!r}: msgid and msgstr must name the same placeholders",
            file=path,
            line=entry.line,
        )
    if given and not entry.literal:
        return SiteError(f"{entry.msgid!r} would match any text", file=path, line=entry.line, hint="give it a word")
    return None


@dataclass(frozen=True)
class Catalogue:
    """The translations of `locale/zh.po`, by context and msgid."""

    path: Path
    entries: dict[tuple[str, str], Entry]

    @classmethod
    def read(cls, path: Path) -> Catalogue:
        """Read and check the catalogue; `SiteError` or `SiteErrors` name the lines that are wrong."""
        entries: dict[tuple[str, str], Entry] = {}
        errors: list[SiteError] = []
        for entry in _entries(path):
            if isinstance(entry, SiteError):
                errors.append(entry)
                continue
            first = entries.setdefault((entry.context, entry.msgid), entry)
            if first is not entry:
                message = f"{entry.msgid!r} is translated twice (first on line {first.line})"
                errors.append(SiteError(message, file=path, line=entry.line, hint="remove one"))
            if wrong := _check(entry, path):
                errors.append(wrong)
        raise_all(errors)
        return cls(path, entries)

    def figure_text(self, text: str) -> str | None:
        """The Chinese of a figure label, or None where there is none."""
        return self._translate("figure", text, [])

    def comment(self, text: str) -> str | None:
        """The Chinese of a comment (a paragraph of comment lines is one text), or None where there is none."""
        return self._translate("comment", text, [])

    def docstring(self, text: str) -> str | None:
        """The Chinese of a paragraph of a docstring, or None where there is none."""
        return self._translate("docstring", text, [])

    def unused(self, texts: Mapping[str, Iterable[str]]) -> list[SiteError]:
        """An error for each entry that translates none of these texts, by context: it outlived what it translated."""
        used: list[Entry] = []
        for context, some in texts.items():
            for text in some:
                self._translate(context, text, used)
        alive = {(entry.context, entry.msgid) for entry in used}
        return [
            SiteError(
                f"no {entry.context} says {entry.msgid!r} any more",
                file=self.path,
                line=entry.line,
                hint="remove the entry",
            )
            for key, entry in self.entries.items()
            if key not in alive
        ]

    def missing(self, context: str, text: str, *, what: str, file: Path, line: int) -> SiteError:
        """The error for a text of a snippet without Chinese; `what` it is opens the message."""
        for entry in self._patterns(context):
            parts = entry.match(text) or {}
            lacking = [part for part in parts.values() if self._part(context, part, []) is None]
            if lacking:
                text = f"{text!r} (as {entry.msgid!r}: no entry for {lacking[0]!r})"
                break
        else:
            lacking, text = [text], repr(text)
        msgid = lacking[0].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return SiteError(
            f"{what} without a Chinese text: {text}",
            file=file,
            line=line,
            hint=f'add to {self.path.parent.name}/{self.path.name}: msgctxt "{context}" msgid "{msgid}" msgstr "…"',
        )

    def _patterns(self, context: str) -> list[Entry]:
        """The entries with placeholders, the most specific first."""
        found = [entry for entry in self.entries.values() if entry.context == context and entry.placeholders]
        return sorted(found, key=lambda entry: (-entry.literal, entry.msgid))

    def _translate(self, context: str, text: str, used: list[Entry]) -> str | None:
        """The Chinese of `text`; the entries that gave it are added to `used`."""
        if exact := self.entries.get((context, text)):
            used.append(exact)
            return exact.msgstr
        for entry in self._patterns(context):
            taken = [entry]
            parts = {name: self._part(context, part, taken) for name, part in (entry.match(text) or {}).items()}
            complete = {name: part for name, part in parts.items() if part is not None}
            if parts and len(complete) == len(parts):
                used.extend(taken)
                return entry.fill(complete)
        return None

    def _part(self, context: str, part: str, used: list[Entry]) -> str | None:
        """The Chinese of what a placeholder stands for: shorter than its text, so this ends."""
        return self._translate(context, part, used) or (part if numeric(part) else None)


# Comments in code

_DIRECTIVE = re.compile(r"claim:|type:|noqa\b|ruff:|fmt:|pragma:|mypy:")
_MARKS = re.compile(r"(?:(?:^|\s+)\(\d+\)!)+$")


@dataclass(frozen=True)
class Comment:
    """A comment of a cell that is to be translated: one at the end of a line, or a paragraph of comment lines.

    Attributes:
        text: what it says, its lines joined by a space.
        first: its first line in the code, counted from 1.
        last: its last line.
        column: where its `#` stands.
        own_lines: whether it has its lines to itself.
        marks: the marks of Material's code annotations at its end, such as ` (1)!`.
    """

    text: str
    first: int
    last: int
    column: int
    own_lines: bool
    marks: str


@lru_cache(maxsize=4096)  # a build reads each cell for both languages, as a page, as Markdown and as a notebook
def comments(code: str) -> tuple[Comment, ...]:
    """The comments of `code` that are to be translated, paragraphs joined.

    Comment lines of the same indent that follow each other are a paragraph. An empty comment, a directive
    (`# claim: …`, `# type: …`, `#!…`) and a `# (1)!` mark end it. What says nothing in words is left out.
    """
    found: list[Comment] = []
    if "#" not in code:
        return ()
    lines = code.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type != tokenize.COMMENT:
            continue
        row, column = token.start
        body = token.string.removeprefix("#")
        marks = _MARKS.search(body)
        text = _MARKS.sub("", body).strip()
        if body.startswith("!") or not text or _DIRECTIVE.match(text):
            continue
        own = not lines[row - 1][:column].strip()
        comment = Comment(text, row, row, column, own, f" {marks[0].strip()}" if marks else "")
        above = found[-1] if found else None
        if own and above and above.own_lines and not above.marks and (above.last, above.column) == (row - 1, column):
            found.pop()
            comment = Comment(f"{above.text} {text}", above.first, row, column, True, comment.marks)
        found.append(comment)
    return tuple(comment for comment in found if not _speechless(comment.text))


def localize_code(code: str, language: str, catalogue: Catalogue, *, file: Path, line: int) -> str:
    """`code` with its comments in the language of the page.

    Args:
        code: the code of a cell.
        language: `en` leaves the code as it is; `zh` takes the comments from the catalogue.
        catalogue: the translations.
        file: the snippet, for messages.
        line: the line of the snippet where `code` begins.

    Raises:
        SiteError: a comment without Chinese (`SiteErrors` for several).
    """
    if language == "en":
        return code
    lines = code.split("\n")
    errors: list[SiteError] = []
    for comment in reversed(comments(code)):
        chinese = catalogue.comment(comment.text)
        if chinese is None:
            at = line + comment.first - 1
            errors.insert(0, catalogue.missing("comment", comment.text, what="a comment", file=file, line=at))
            continue
        before = lines[comment.first - 1][: comment.column]
        if comment.own_lines:
            wrapped = wrap(chinese, WIDTH - comment.column - 2)
            wrapped[-1] += comment.marks
        else:
            wrapped = [chinese + comment.marks]
        lines[comment.first - 1 : comment.last] = [f"{before}# {text}" for text in wrapped]
    raise_all(errors)
    return "\n".join(lines)


_NOT_FIRST = "，。、；：？！）】》”’…,.;:?!)]"
_NOT_LAST = "（【《“‘(["


def wrap(text: str, width: int) -> list[str]:
    """Chinese text in lines of at most `width` columns, a Chinese character taking two.

    A line may end behind any Chinese character, but not within a word or formula of Latin letters, before closing
    or behind opening punctuation.
    """
    atoms: list[str] = []
    for piece in re.findall(r"`[^`]*`|\s+|.", text.strip()):
        glued = atoms and not (atoms[-1][-1].isspace() or piece[0].isspace())
        wide = glued and (_columns(piece) > len(piece) or _columns(atoms[-1][-1]) > 1)
        breakable = wide and piece not in _NOT_FIRST and atoms[-1][-1] not in _NOT_LAST
        if glued and not breakable:
            atoms[-1] += piece
        else:
            atoms.append(" " if piece.isspace() else piece)
    lines = [""]
    for atom in atoms:
        if lines[-1] and _columns(lines[-1] + atom) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += atom.lstrip() if not lines[-1] else atom
    return lines


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
