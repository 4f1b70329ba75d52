"""Code blocks of woven pages, found by pytest-codeblocks, run as published, and their outputs compared.

A page's blocks share one namespace per snippet, in the order of the page, as a reader who types them in has it.
"""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?(?!\w)")


@dataclass(frozen=True)
class Block:
    """One Python block of a woven page: its line there, its code, and the output that the page shows below it."""

    line: int
    code: str
    output: str | None


def extract(markdown: str) -> tuple[list[Block], int]:
    """The Python blocks of a woven page with their outputs, and the number of fences of every kind."""
    from pytest_codeblocks import extract_from_buffer

    found = extract_from_buffer(io.StringIO(markdown), max_num_lines=1_000_000)
    skipped = [block for block in found if block.marks or block.importorskip]
    if skipped:
        raise ValueError(f"line {skipped[0].lineno}: no block of a page may be skipped")
    blocks = []
    for index, block in enumerate(found):
        if block.syntax != "python":
            continue
        below = found[index + 1] if index + 1 < len(found) else None
        shown = below.code if below is not None and is_output(below.syntax) else None
        blocks.append(Block(block.lineno, block.code.rstrip("\n"), shown))
    return blocks, len(found)


def is_output(info: str | None) -> bool:
    """Whether a fence with this info string shows what the block above it printed."""
    return info is not None and "output" in info


def bare(code: str) -> list[tuple[int, str]]:
    """The tokens of `code` without comments and layout: equal for the two languages of one cell."""
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE)
    tokens = tokenize.generate_tokens(io.StringIO(code + "\n").readline)
    return [(token.type, token.string) for token in tokens if token.type not in layout]


def same_output(expected: str, actual: str, *, relative: float = 0.05, absolute: float = 0.02) -> bool:
    """Whether two outputs agree: the same text, and floats within a tolerance (they depend on CPU and torch build).

    Integers must agree exactly; a float may differ by `absolute` or by `relative` times the larger one.
    """
    if NUMBER.sub("#", expected).split() != NUMBER.sub("#", actual).split():
        return False
    for left, right in zip(NUMBER.findall(expected), NUMBER.findall(actual), strict=True):
        if left == right:
            continue
        if left.lstrip("+-").isdigit() and right.lstrip("+-").isdigit():
            return False
        if not math.isclose(float(left), float(right), rel_tol=relative, abs_tol=absolute):
            return False
    return True


class BlockError(Exception):
    """A block raised: the number of the block (from 0) and the traceback."""

    def __init__(self, index: int, traceback: str) -> None:
        self.index = index
        super().__init__(f"block {index + 1} raised\n{traceback}")


def execute(codes: Sequence[str], *, path: Iterable[Path] = (), timeout: float = 300) -> list[str]:
    """Run `codes` in one namespace of a fresh process, and return what each printed; `BlockError` if one raises."""
    request = json.dumps({"codes": list(codes), "path": [str(folder) for folder in path]})
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=request,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=folder,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"the process of the blocks ended with {done.returncode}\n{done.stderr[-2000:]}")
    answer = json.loads(done.stdout)
    if answer["traceback"] is not None:
        raise BlockError(len(answer["outputs"]), answer["traceback"])
    return [str(output) for output in answer["outputs"]]


def _serve() -> None:
    """The other end of `execute`: blocks as JSON on stdin, outputs as JSON on stdout."""
    import contextlib
    import linecache
    import os
    import traceback
    import types
    import warnings

    os.environ["MPLBACKEND"] = "agg"
    request = json.load(sys.stdin)
    sys.path[:0] = request["path"]
    warnings.simplefilter("error")
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    outputs: list[str] = []
    failed = None
    for index, code in enumerate(request["codes"]):
        name = f"<block {index + 1}>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(code, name, "exec"), module.__dict__)
        except BaseException:
            failed = traceback.format_exc()
            break
        outputs.append(printed.getvalue())
    json.dump({"outputs": outputs, "traceback": failed}, sys.stdout)


if __name__ == "__main__":
    _serve()
