from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from reglab_site.artefact import Artefact, CellResult, Figure
from reglab_site.cache import Cache
from reglab_site.project import Project
from reglab_site.snippet import Snippet, parse


@pytest.fixture
def snippet() -> Snippet:
    return parse(Path("one.py"), "tiny/one", "# %% one\nx = 1\n")


@pytest.fixture
def artefact() -> Artefact:
    figure = Figure("one", {"zh": "<svg>图</svg>", "en": "<svg/>"}, 10.0, 20.0, ("figure",))
    return Artefact(
        snippet="tiny/one",
        key="a" * 64,
        cells=(CellResult("one", "x = 1", 'print}\n"', (figure,), 0.1),),
        values={"x": 1, "infinite": float("inf")},
        translations={"figure": "图"},
        assertions=0,
        seconds=0.1,
        made_at="2026-01-01T00:00:00+00:00",
        machine="m",
        versions={"python": "3"},
    )


def test_what_is_stored_is_loaded(project: Project, snippet: Snippet, artefact: Artefact) -> None:
    cache = Cache(project)
    assert cache.load(snippet, artefact.key) is None
    cache.store(artefact)
    assert cache.load(snippet, artefact.key) == artefact
    assert cache.load(snippet, "b" * 64) is None
    assert cache.seconds(snippet) == 0.1


def test_an_entry_made_for_another_key_or_snippet_does_not_count(
    project: Project, snippet: Snippet, artefact: Artefact
) -> None:
    cache = Cache(project)
    cache.store(artefact)
    folder = project.cache / "runs" / "one"
    (folder / f"{artefact.key}.json").rename(folder / f"{'b' * 64}.json")
    assert cache.load(snippet, "b" * 64) is None
    cache.store(replace(artefact, snippet="other/one"))
    assert cache.load(snippet, artefact.key) is None


def test_an_entry_of_another_form_does_not_count(project: Project, snippet: Snippet, artefact: Artefact) -> None:
    class Older(Artefact):
        def to_json(self) -> str:
            return super().to_json().replace('"machine"', '"computer"')

    cache = Cache(project)
    cache.store(Older(**{name: getattr(artefact, name) for name in artefact.__dataclass_fields__}))
    assert cache.load(snippet, artefact.key) is None


def test_only_the_newest_entries_are_kept(project: Project, artefact: Artefact) -> None:
    cache = Cache(project)
    folder = project.cache / "runs" / "one"
    for age, letter in enumerate("edcba"):
        cache.store(replace(artefact, key=letter * 64))
        os.utime(folder / f"{letter * 64}.json", (age, age))
    (folder / "left behind.tmp").touch()
    cache.store(replace(artefact, key="f" * 64))
    assert {path.name[0] for path in folder.iterdir()} == {"a", "b", "f"}


def test_one_build_at_a_time_has_a_snippet(project: Project, snippet: Snippet) -> None:
    mine = Cache(project).lock(snippet)
    assert mine is not None
    assert Cache(project).lock(snippet) is None
    mine.release()
    again = Cache(project).lock(snippet)
    assert again is not None
    again.release()
