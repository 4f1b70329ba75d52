"""One worker process as its parent sees it: starting it, watching what it takes, and saying how it ended.

Workers are forked from a server process that has imported what is slow to import, so each starts fresh in about 0.1 s
and this process never imports it. Files in a temporary folder carry the news: a pipe could be held open by whatever the
snippet leaves running.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import signal
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from reglab_site import worker
from reglab_site.errors import SiteError
from reglab_site.project import Project
from reglab_site.snippet import Snippet

PRELOAD = ["torch", "torch._dynamo", "matplotlib.pyplot"]  # the first step of an optimizer imports torch._dynamo
THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
ENVIRONMENT = {
    **{f"{library}_NUM_THREADS": "1" for library in THREADS},
    "MPLBACKEND": "agg",
    "PYTHONHASHSEED": "0",  # the same order of a set's elements in every run
}
LOG_LIMIT = 10_000_000  # bytes


class WorkerProcess:
    """The process that runs one snippet."""

    def __init__(self, project: Project, snippet: Snippet) -> None:
        self.snippet = snippet
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="reglab-", ignore_cleanup_errors=True)
            self._job = worker.Job(project, snippet, Path(self._folder.name))
            self._job.cwd.mkdir()
        except OSError as error:
            message = f"cannot make a temporary folder: {error.strerror or error}"
            raise SiteError(message, file=tempfile.gettempdir(), hint="make room, or set TMPDIR") from error
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        self._process = context.Process(target=worker.main, args=(self._job,), name=snippet.name)
        with _clean_start():
            self._process.start()
        assert self._process.pid is not None
        self._pid = self._process.pid
        self._started = time.monotonic()

    @property
    def sentinel(self) -> int:
        """Ready when the process has ended, for `multiprocessing.connection.wait`."""
        return self._process.sentinel

    @property
    def cell(self) -> str:
        """The name of the cell that is running."""
        try:
            name = self._job.cell.read_text(encoding="utf-8")
        except FileNotFoundError:
            name = ""
        return name or self.snippet.cells[0].name

    def poll(self) -> worker.Outcome | None:
        """What came of the run, or None while it goes on within its limits."""
        if self._process.exitcode is not None:
            return self._outcome(self._process.exitcode)
        seconds = time.monotonic() - self._started
        if seconds > self.snippet.timeout:
            return self._stop(
                f"still runs after {self.snippet.timeout:g} s",
                "make it faster, or raise `# timeout: …` in the snippet's header",
            )
        if self._megabytes() > self.snippet.memory:
            return self._stop(
                f"uses more than {self.snippet.memory} MB of memory",
                "make it smaller, or raise `# memory: …` in the snippet's header",
            )
        if self._job.log.is_file() and self._job.log.stat().st_size > LOG_LIMIT:
            return self._stop("floods the process's error output", "print less, and with print()")
        return None

    def kill(self) -> None:
        """End the process and all that it started, and remove its folder."""
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        self._process.kill()  # in case it had no group of its own yet
        self._process.join()
        self._folder.cleanup()

    def _megabytes(self) -> float:
        try:
            resident: int = psutil.Process(self._pid).memory_info().rss
        except psutil.Error:
            return 0
        return resident / 1e6

    def _outcome(self, exitcode: int) -> worker.Outcome:
        """What the worker wrote, or how it died without writing it."""
        if self._job.outcome.is_file():
            outcome: worker.Outcome = pickle.loads(self._job.outcome.read_bytes())
            return outcome
        if exitcode < 0:
            how = f"ended with signal {signal.Signals(-exitcode).name}"
        else:
            how = f"ended the process with exit code {exitcode}"
        log = self._read_log()
        last_words = "".join(f"\n    {line[:200]}" for line in log.splitlines()[-12:])
        message = f"cell {self.cell!r} {how}" + (f"; its last words:{last_words}" if last_words else "")
        return [self._error(message, "a snippet runs to its end: see what that cell does", log)]

    def _stop(self, what: str, hint: str) -> worker.Outcome:
        """Ask where the process is, and kill it."""
        before = len(self._read_log())
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGUSR1)  # `worker` answers with a traceback in the log
        self._process.join(0.3)
        error = self._error(f"cell {self.cell!r} {what} and was stopped", hint, self._read_log()[before:])
        self.kill()
        return [error]

    def _error(self, message: str, hint: str, trace: str) -> SiteError:
        """An error with the line of the snippet that the traceback names, or else that of the cell."""
        place = re.search(rf'File "{re.escape(str(self.snippet.path))}", line (\d+)', trace)
        line = int(place[1]) if place else self.snippet.cell(self.cell).line
        return SiteError(message, file=self.snippet.path, line=line, hint=hint)

    def _read_log(self) -> str:
        try:
            with self._job.log.open("rb") as file:
                return file.read(LOG_LIMIT).decode(errors="replace")
        except FileNotFoundError:
            return ""


@contextmanager
def _clean_start() -> Iterator[None]:
    """For the start of a process: the environment that workers need, and a main module that has no file.

    `multiprocessing` would import the parent's main module into each worker, be it `mkdocs` or pytest.
    """
    main, environment = sys.modules["__main__"], {name: os.environ.get(name) for name in ENVIRONMENT}
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in environment.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
