"""Runs stale snippets: several at once, the longest first, each one in one build only, and shows how they get on."""

from __future__ import annotations

import ast
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from reglab_site import fingerprint, run
from reglab_site.artefact import Artefact
from reglab_site.cache import Cache
from reglab_site.errors import SiteError
from reglab_site.process import WorkerProcess
from reglab_site.project import Project
from reglab_site.snippet import Snippet
from reglab_site.worker import Run

if TYPE_CHECKING:
    from filelock import FileLock

TICK = 0.05  # seconds between looks at what runs
ATTEMPTS = 3  # at a snippet whose modules are edited while it runs


@dataclass
class _Running:
    """A snippet that runs: in which process, for which content address, and since when."""

    process: WorkerProcess
    key: str
    lock: FileLock
    shown: TaskID


class Build:
    """One pass over the stale snippets. `errors` are those of the snippets that failed."""

    def __init__(self, project: Project, stale: list[Snippet], *, jobs: int, force: bool, progress: bool) -> None:
        self.project = project
        self.cache = Cache(project)
        self.jobs = jobs
        self.force = force
        self.errors: list[SiteError] = []
        self._made: dict[str, Artefact] = {}
        # One that never ran may take all the time that it has.
        known = {snippet.name: self.cache.seconds(snippet) or snippet.timeout for snippet in stale}
        self._waiting = sorted(stale, key=lambda snippet: -known[snippet.name])
        self._attempts = dict.fromkeys(known, 0)
        self._running: list[_Running] = []
        self._console = Console(stderr=True, quiet=not progress, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def run(self) -> dict[str, Artefact]:
        """Run all; the artefacts of those that went well."""
        start = time.monotonic()
        try:
            with self._progress:
                while self._waiting or self._running:
                    self._start()
                    wait([running.process.sentinel for running in self._running], TICK)
                    for running in list(self._running):
                        self._progress.update(running.shown, description=self._describe(running))
                        self._collect(running)
        finally:
            for running in list(self._running):
                self._end(running)
        failed = f", {len(self.errors)} errors" if self.errors else ""
        self._console.print(f"{len(self._made)} snippets run in {time.monotonic() - start:.1f} s{failed}")
        return self._made

    def _start(self) -> None:
        """Start what waits, as far as there is room, except for what another build is running now."""
        for snippet in list(self._waiting):
            if len(self._running) >= self.jobs:
                return
            if not (lock := self.cache.lock(snippet)):
                continue
            self._waiting.remove(snippet)
            try:
                artefact = None if self.force else run.load(self.project, snippet)
                if artefact:  # the other build was so kind
                    self._made[snippet.name] = artefact
                    lock.release()
                    continue
                key = fingerprint.key(self.project, snippet)
                process = WorkerProcess(self.project, snippet)
            except SiteError as error:
                self.errors.append(error)
                lock.release()
                continue
            shown = self._progress.add_task(snippet.name, total=None)
            self._attempts[snippet.name] += 1
            self._running.append(_Running(process, key, lock, shown))

    def _collect(self, running: _Running) -> None:
        """Publish the result of a process that has ended, or keep its errors."""
        outcome = running.process.poll()
        if outcome is None:
            return
        snippet = running.process.snippet
        try:
            if not isinstance(outcome, Run):
                self.errors += outcome
                self._console.print(f"[red]failed[/] {snippet.name}")
            elif fingerprint.key(self.project, snippet) == running.key:
                artefact = _artefact(snippet, running.key, outcome)
                self.cache.store(artefact)
                self._made[snippet.name] = artefact
                self._console.print(f"[green]ran[/] {snippet.name} in {outcome.seconds:.1f} s")
            elif self._attempts[snippet.name] < ATTEMPTS:
                self._waiting.append(snippet)  # what it imports was edited meanwhile: nobody knows what it saw
            else:
                message = "the modules that this snippet imports change while it runs"
                self.errors.append(SiteError(message, file=snippet.path, hint="run it again when they are done"))
        finally:
            self._end(running)

    def _end(self, running: _Running) -> None:
        running.process.kill()
        running.lock.release()
        self._progress.remove_task(running.shown)
        self._running.remove(running)

    def _describe(self, running: _Running) -> str:
        return f"{running.process.snippet.name} [dim]{running.process.cell}[/]"


def _artefact(snippet: Snippet, key: str, done: Run) -> Artefact:
    tree = ast.parse(snippet.source)
    return Artefact(
        snippet=snippet.name,
        key=key,
        cells=done.cells,
        values=done.values,
        translations=done.translations,
        assertions=sum(isinstance(node, ast.Assert) for node in ast.walk(tree)),
        seconds=done.seconds,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=run.machine(),
        versions=fingerprint.versions(),
    )
