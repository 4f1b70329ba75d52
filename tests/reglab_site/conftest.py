"""A tiny project to try things on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from reglab_site.project import Project

Write = Callable[[str, str], Path]

EMPTY_CATALOGUE = """\
msgid ""
msgstr ""
"Language: zh\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without pages and snippets, with an empty catalogue and a cache of its own."""
    monkeypatch.delenv("REGLAB_CACHE", raising=False)
    root = tmp_path / "project"
    for folder in ("docs", "snippets", "locale", "src"):
        (root / folder).mkdir(parents=True)
    (root / "mkdocs.yml").write_text("site_name: tiny\n", encoding="utf-8")
    (root / "locale" / "zh.po").write_text(EMPTY_CATALOGUE, encoding="utf-8")
    return Project(root)


@pytest.fixture
def write(project: Project) -> Write:
    """`write("snippets/tiny/hello.py", text)` writes a file of the project, with the text's indentation removed."""

    def write_file(name: str, text: str) -> Path:
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_file
