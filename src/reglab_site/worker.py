"""Runs one snippet, in the process that was made for it: what every artefact comes from.

Nothing heavy is imported at the top, because the parent process imports this module too, for the name of `main`.
"""

from __future__ import annotations
import __future__

import faulthandler
import functools
import importlib.machinery
import io
import itertools
import linecache
import multiprocessing
import operator
import os
import pickle
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reglab_site.artefact import CellResult, Figure, Value
from reglab_site.errors import SiteError, SiteErrors, raise_all
from reglab_site.explain import PrintsTooMuchError, explain
from reglab_site.project import Project
from reglab_site.snippet import NAME, Cell, Snippet

if TYPE_CHECKING:
    from reglab_site.catalogue import Catalogue

PRINT_LIMIT = 20_000  # characters of one cell
VALUE_LIMIT = 2_000  # elements of one value
FUTURE_FLAGS = functools.reduce(
    operator.or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)


@dataclass(frozen=True)
class Job:
    """What to run, and the folder by which parent and worker tell each other how it goes."""

    project: Project
    snippet: Snippet
    folder: Path

    @property
    def cwd(self) -> Path:
        """The current folder of the snippet, empty."""
        return self.folder / "cwd"

    @property
    def log(self) -> Path:
        """What the process writes past Python: the last words of one that dies."""
        return self.folder / "log"

    @property
    def cell(self) -> Path:
        """Holds the name of the cell that is running."""
        return self.folder / "cell"

    @property
    def outcome(self) -> Path:
        """Holds the pickled `Outcome`, once there is one."""
        return self.folder / "outcome"


@dataclass(frozen=True)
class Run:
    """What a run left that went well; see `Artefact`."""

    cells: tuple[CellResult, ...]
    values: dict[str, Value]
    translations: dict[str, str]
    seconds: float


Outcome = Run | list[SiteError]


def main(job: Job) -> None:
    """Run the snippet, write the outcome, and end the process whatever the snippet has left running."""
    os.setsid()
    _die_with_parent()
    _write_past_python_to(job.log)
    outcome: Outcome
    try:
        outcome = _Execution(job).run()
    except SiteError as error:
        outcome = [error]
    except SiteErrors as several:
        outcome = several.errors
    partial = job.folder / "partial"
    partial.write_bytes(pickle.dumps(outcome))
    partial.replace(job.outcome)
    os._exit(0)


def translations(figures: dict[str, Figure], catalogue: Catalogue) -> dict[str, str]:
    """The Chinese of every text that the figures show, as far as the catalogue has it."""
    texts = sorted({text for figure in figures.values() for text in figure.texts})
    return {text: chinese for text in texts if (chinese := catalogue.figure_text(text)) is not None}


class _Execution:
    """One run of one snippet."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.snippet = job.snippet
        self.figures: dict[str, Figure] = {}
        self.printed = _Printed()
        self.complaints = _Printed()
        self.future_flags = 0  # what `from __future__` in the cells so far asks for

    def run(self) -> Run:
        """Run all cells in order in one namespace, as `python snippets/…/x.py` would."""
        import torch

        from reglab_site import style

        torch.set_num_threads(1)
        _import_fresh_from(self.job.project)
        os.chdir(self.job.cwd)
        style.apply()
        namespace = self._main_module().__dict__
        start = time.perf_counter()
        with redirect_stdout(self.printed), redirect_stderr(self.complaints):
            results = tuple(self._run_cell(cell, namespace) for cell in self.snippet.cells)
        values = {
            name: value[0]
            for name, found in dict(namespace).items()
            if not name.startswith("_") and (value := _plain(found, itertools.count()))
        }
        chinese = translations(self.figures, self.catalogue) if self.figures else {}
        return Run(results, values, chinese, time.perf_counter() - start)

    @functools.cached_property
    def catalogue(self) -> Catalogue:
        from reglab_site.catalogue import Catalogue

        return Catalogue.read(self.job.project.catalogue)

    def _main_module(self) -> types.ModuleType:
        """The module that the cells run in, registered so that `inspect`, `pickle` and dataclasses find it."""
        path, source = str(self.snippet.path), self.snippet.source
        module = types.ModuleType("__main__")
        module.__file__ = path
        sys.modules["__main__"] = module
        sys.argv = [path]
        linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
        return module

    @contextmanager
    def _explained(self, cell: Cell) -> Iterator[None]:
        """Make a `SiteError` of whatever the code of `cell` raises or warns."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                yield
        except BaseException as error:
            raise explain(error, self.snippet, cell, self.job.project) from None

    def _run_cell(self, cell: Cell, namespace: dict[str, Any]) -> CellResult:
        self.job.cell.write_text(cell.name, encoding="utf-8")
        start = time.perf_counter()
        with self._explained(cell):
            exec(self._compile(cell), namespace)
            self.printed.check()
        seconds = time.perf_counter() - start
        if text := self.complaints.take().strip():
            raise SiteError(
                f"cell {cell.name!r} writes to sys.stderr: {text[-1000:]}",
                file=self.snippet.path,
                line=cell.line,
                hint="pages do not show it: print to sys.stdout, or nothing",
            )
        return CellResult(cell.name, cell.code, self.printed.take(), self._take_figures(cell), seconds)

    def _compile(self, cell: Cell) -> types.CodeType:
        """The code of a cell, with the line numbers of the file and its `assert` even under `python -O`."""
        source = "\n" * (cell.line - 1) + cell.code
        flags = self.future_flags
        code: types.CodeType = compile(source, str(self.snippet.path), "exec", flags, dont_inherit=True, optimize=0)
        self.future_flags |= code.co_flags & FUTURE_FLAGS
        return code

    def _take_figures(self, cell: Cell) -> tuple[Figure, ...]:
        """Render the figures that the cell left open, in the order of their creation, and close them."""
        import matplotlib.pyplot as plt

        open_figures = [plt.figure(number) for number in plt.get_fignums()]
        taken: list[Figure] = []
        errors: list[SiteError] = []
        if open_figures:
            from reglab_site import figures
        for position, figure in enumerate(open_figures, 1):
            own_name = str(figure.get_label()) or f"{cell.name}_{position}"
            name = cell.name if len(open_figures) == 1 else own_name
            try:
                self._check_figure_name(name, cell)
                rendered = figures.render(
                    figure,
                    stem=self.snippet.stem,
                    name=name,
                    cell=cell.name,
                    snippet_path=self.snippet.path,
                    line=cell.line,
                    catalogue=self.catalogue,
                )
                self.figures[name] = rendered
                taken.append(rendered)
            except SiteError as error:
                errors.append(error)
            except SiteErrors as several:
                errors.extend(several.errors)
        plt.close("all")
        raise_all(errors)
        return tuple(taken)

    def _check_figure_name(self, name: str, cell: Cell) -> None:
        if name in self.figures:
            message, hint = f"two figures are called {name!r}", "give each its own: plt.subplots(num=…)"
        elif not NAME.fullmatch(name):
            message = f"{name!r} is no figure name"
            hint = "use lower-case letters, digits and underscores in plt.subplots(num=…)"
        else:
            return
        raise SiteError(message, file=self.snippet.path, line=cell.line, hint=hint)


class _Printed(io.StringIO):
    """What a cell prints, up to a limit; one stream for the whole run, which log handlers may hold on to."""

    too_much = False

    def write(self, text: str) -> int:
        text.encode()  # as a terminal would refuse it
        if self.tell() + len(text) > PRINT_LIMIT:
            self.too_much = True
        self.check()
        return super().write(text)

    def check(self) -> None:
        """Raise where the limit was passed, even if the cell has caught what `write` raised."""
        if self.too_much:
            raise PrintsTooMuchError(f"prints more than {PRINT_LIMIT:,} characters")

    def take(self) -> str:
        """What was printed since the last time."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


def _plain(value: object, count: Iterator[int], depth: int = 0) -> tuple[Value] | None:
    """`value` as pages quote it, in a tuple; None where it is nothing that JSON could hold, or is large."""
    import numpy as np
    import torch

    if next(count) > VALUE_LIMIT or depth > 8:
        return None
    if isinstance(value, torch.Tensor):
        return _plain(value.item(), count) if value.numel() == 1 and not value.is_meta else None
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.item(), count) if value.size == 1 else None
    if value is None or isinstance(value, bool):
        return (value,)
    if isinstance(value, int):
        return (int(value),) if abs(value) < 10**100 else None
    if isinstance(value, float):
        return (float(value),)  # inf and nan too, which Python's JSON can hold
    if isinstance(value, str):
        return (str(value),) if _is_text(value) else None
    if isinstance(value, list | tuple):
        items = [_plain(item, count, depth + 1) for item in itertools.islice(value, VALUE_LIMIT + 1)]
        return ([item[0] for item in items if item],) if all(items) else None
    if isinstance(value, dict):
        if len(value) > VALUE_LIMIT or not all(isinstance(name, str) and _is_text(name) for name in value):
            return None
        entries = {str(name): _plain(item, count, depth + 1) for name, item in value.items()}
        return ({name: item[0] for name, item in entries.items() if item},) if all(entries.values()) else None
    return None


def _is_text(value: str) -> bool:
    """Whether UTF-8 can hold it and a page could show it."""
    return len(value) <= PRINT_LIMIT and not any("\ud800" <= character <= "\udfff" for character in value)


class _FreshLoader(importlib.machinery.SourceFileLoader):
    """Compiles a module from its source every time.

    Python's own cache of bytecode goes by size and whole seconds of modification: an edit could go unseen.
    """

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        code: types.CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _import_fresh_from(project: Project) -> None:
    """Make src/ importable, read anew, and the project's root not, whose files are in no content address."""
    src = str(project.src)

    def hook(path: str) -> importlib.machinery.FileFinder:
        if not Path(path).is_relative_to(src):
            raise ImportError(path)
        return importlib.machinery.FileFinder(path, (_FreshLoader, [".py"]))

    sys.path = [src, *(path for path in sys.path if path not in ("", src, str(project.root)))]
    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()


def _die_with_parent() -> None:
    """End this process and all that it started when the parent is gone, so that nothing runs on unseen."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _write_past_python_to(log: Path) -> None:
    """Send the process's own output to a file, and where it was running when it crashes or SIGUSR1 asks for that."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    faulthandler.enable(2, all_threads=False)
    faulthandler.register(signal.SIGUSR1, 2, all_threads=False)
