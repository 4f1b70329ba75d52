"""Turns what a snippet raised into an error that an author can act on: the line, the claim, the values."""

from __future__ import annotations

import ast
import builtins
import reprlib
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from reglab_site.errors import SiteError
from reglab_site.project import Project
from reglab_site.snippet import Cell, Snippet

ENGINE = Path(__file__).parent
Place = tuple[FrameType, int]

# What the values of a failed assertion are made of: nothing that could change something or take long.
SAFE = (
    ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Constant, ast.Tuple, ast.List,
    ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context,
)  # fmt: skip
SAFE_CALLS = ("abs", "all", "any", "float", "int", "len", "max", "min", "round", "sum")

LONG = 300
REPR = reprlib.Repr()
REPR.maxstring = REPR.maxother = LONG


class PrintsTooMuchError(Exception):
    """A cell printed more than a page can show."""


def explain(error: BaseException, snippet: Snippet, cell: Cell, project: Project) -> SiteError:
    """The error of `snippet` that says what `error`, raised by `cell`, means."""
    places = _own_places(error, snippet, project)
    line = next((line for frame, line in reversed(places) if _is_of(frame, snippet)), cell.line)
    text = _shorten("".join(traceback.format_exception_only(error)).strip(), 2000)
    name, hint = f"cell {cell.name!r}", None
    if isinstance(error, PrintsTooMuchError):
        message = f"{name} {error}"
        hint = "a page shows all that a cell prints: print a summary"
    elif isinstance(error, SystemExit):
        message = f"{name} calls sys.exit({'' if error.code is None else repr(error.code)})"
        hint = "a snippet runs to its end"
    elif isinstance(error, SyntaxError) and error.filename == str(snippet.path):
        message, line = f"{name} is not Python: {error.msg}", error.lineno or line
    elif isinstance(error, Warning):
        message = f"{name} warns: {text}"
        hint = "readers would get this warning too: change the code so that nothing warns"
    elif isinstance(error, AssertionError):
        message = f"{name}: {_explain_assertion(error, snippet, places)}"
    elif isinstance(error, MemoryError):
        message = f"{name} runs out of memory: {text}"
    else:
        message = f"{name} raises {text}"
    return SiteError(message + _show_way(places, project), file=snippet.path, line=line, hint=hint)


def _own_places(error: BaseException, snippet: Snippet, project: Project) -> list[Place]:
    """The frames of the snippet and of the modules in src/ that the error came through, the innermost last."""
    places = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path == snippet.path or (path.is_relative_to(project.src) and not path.is_relative_to(ENGINE)):
            places.append((frame, line))
    return places


def _is_of(frame: FrameType, snippet: Snippet) -> bool:
    return frame.f_code.co_filename == str(snippet.path)


def _show_way(places: list[Place], project: Project) -> str:
    """A short traceback, where the error's own line does not say it all."""
    if len(places) < 2:
        return ""
    lines = [
        f"\n    {project.relative(Path(frame.f_code.co_filename))}:{line}, in {frame.f_code.co_name}"
        for frame, line in places
    ]
    return "".join(lines if len(lines) <= 8 else [*lines[:3], "\n    …", *lines[-4:]])


def _explain_assertion(error: AssertionError, snippet: Snippet, places: list[Place]) -> str:
    """Which claim does not hold, what was asserted, and the values in it."""
    claim = next((claim for place in reversed(places) if (claim := _claim(place, snippet))), None)
    message = f"claim {claim!r} does not hold" if claim else "an assertion does not hold"
    if places and (test := _assertion(places[-1], snippet)):
        frame, _ = places[-1]
        message += f": {_shorten(ast.unparse(test))}"
        message += "".join(f"\n    {name} = {value}" for name, value in _values(test, frame).items())
    if str(error):
        message += f"\n    {_shorten(str(error), 2000)}"
    return message


def _claim(place: Place, snippet: Snippet) -> str | None:
    """The claim that the line of a frame proves: the nearest one above it in its cell."""
    frame, line = place
    if not _is_of(frame, snippet):
        return None
    cell = next(cell for cell in reversed(snippet.cells) if cell.line <= line)
    return next((claim.name for claim in reversed(cell.claims) if claim.line < line), None)


def _assertion(place: Place, snippet: Snippet) -> ast.expr | None:
    """What the `assert` on the line of a frame of the snippet asserts."""
    frame, line = place
    if not _is_of(frame, snippet):
        return None
    for node in ast.walk(ast.parse(snippet.source)):
        if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or node.lineno):
            return node.test
    return None


def _values(test: ast.expr, frame: FrameType) -> dict[str, str]:
    """The parts of an asserted expression and what they are, as far as it is safe to look."""
    values: dict[str, str] = {}
    for part in _parts(test):
        name = ast.unparse(part)
        if name in values or hasattr(builtins, name):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                code = compile(ast.Expression(part), "<assertion>", "eval")
                value = eval(code, frame.f_globals, frame.f_locals)
                values[name] = _shorten(" ".join(REPR.repr(value).split()))
        except Exception:  # such as the variable of a comprehension, which is gone
            continue
    return values


def _parts(node: ast.AST) -> Iterator[ast.expr]:
    """The sides of comparisons, and the variables, in `node` that can be evaluated without effect."""
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and _is_safe(node):
        yield node
        return
    if isinstance(node, ast.Compare):
        sides = (node.left, *node.comparators)
        yield from (side for side in sides if not isinstance(side, ast.Constant) and _is_safe(side))
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.Call) and child is node.func:  # of a method, show what it belongs to
            child = child.value if isinstance(child, ast.Attribute) else ast.Constant(None)
        yield from _parts(child)


def _is_safe(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id in SAFE_CALLS and not node.keywords
        return named and all(_is_safe(argument) for argument in node.args)
    return isinstance(node, SAFE) and all(_is_safe(child) for child in ast.iter_child_nodes(node))


def _shorten(text: str, length: int = LONG) -> str:
    return text if len(text) <= length else text[: length - 2] + " …"
