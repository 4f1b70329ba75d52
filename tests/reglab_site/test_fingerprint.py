from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reglab_site import fingerprint
from reglab_site.errors import SiteError
from reglab_site.project import Project
from reglab_site.snippet import find

Write = Callable[[str, str], Path]


def key(project: Project) -> str:
    (snippet,) = find(project).values()
    return fingerprint.key(project, snippet)


@pytest.mark.parametrize(
    ("imports", "counts"),
    [
        ("import package", {"package/__init__.py"}),
        ("import package.inner.deep", {"package/__init__.py", "package/inner/__init__.py", "package/inner/deep.py"}),
        ("from package.inner import deep as d", {"package/__init__.py", "package/inner/deep.py"}),
        ("from package import *", {"package/__init__.py"}),
        ("def f():\n    import alone", {"alone.py"}),
        ("import relative.user", {"relative/user.py", "relative/used.py", "package/__init__.py", "alone.py"}),
        ("import spaces.leaf", {"spaces/leaf.py"}),
        ("import os, sys, torch", set()),
    ],
)
def test_the_key_follows_imports(project: Project, write: Write, imports: str, counts: set[str]) -> None:
    write("snippets/tiny/one.py", f"# %% one\n{imports}\n")
    modules = {
        "package/__init__.py": "",
        "package/inner/__init__.py": "",
        "package/inner/deep.py": "",
        "package/other.py": "",
        "alone.py": "",
        "relative/__init__.py": "",
        "relative/user.py": "from . import used\nfrom .used import name\n",
        "relative/used.py": "from ..package import x\nimport alone, relative.user\nimport package\n",
        "spaces/leaf.py": "",
    }
    for name, text in modules.items():
        write(f"src/{name}", text)
    first = key(project)
    changed = set()
    for name, text in modules.items():
        write(f"src/{name}", f"{text}# edited\n")
        if key(project) != first:
            changed.add(name)
        write(f"src/{name}", text)
        assert key(project) == first
    assert changed >= counts
    assert changed - counts <= {"package/inner/__init__.py", "relative/__init__.py"}
    if not counts:
        assert not changed


def test_the_key_follows_source_versions_and_engine(
    project: Project, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("snippets/tiny/one.py", "# %% one\nx = 1\n")
    keys = [key(project)]
    write("snippets/tiny/one.py", "# %% one\nx = 2\n")
    keys.append(key(project))
    monkeypatch.setattr(fingerprint, "_version", lambda name: "0.0")
    keys.append(key(project))
    monkeypatch.setattr(fingerprint, "ENGINE", "reglab_site.errors")
    keys.append(key(project))
    assert len(set(keys)) == 4


def test_the_engine_is_all_that_shapes_a_result() -> None:
    source = Path(fingerprint.__file__).parents[1]
    engine = fingerprint._closure(source, [fingerprint.ENGINE], only="reglab_site")
    shaping = {f"reglab_site.{name}" for name in ("worker", "figures", "style", "catalogue", "artefact", "snippet")}
    assert shaping <= set(engine)
    assert not {"reglab_site.weave", "reglab_site.run", "reglab_site.cache"} & set(engine)


def test_a_module_that_is_no_python(project: Project, write: Write) -> None:
    write("snippets/tiny/one.py", "# %% one\nimport broken\n")
    path = write("src/broken.py", "x = 1\nif\n")
    with pytest.raises(SiteError, match="this is not Python") as caught:
        key(project)
    assert (caught.value.file, caught.value.line) == (path, 2)


def test_the_key_follows_data(project: Project, write: Write, tmp_path: Path) -> None:
    write("snippets/tiny/one.py", "# ---\n# data: shirts\n# ---\n# %% one\nx = 1\n")
    write(
        "src/reglab/data/locate.py",
        f"""\
        from pathlib import Path

        def shirts():
            folder = Path({str(tmp_path / "shirts")!r})
            return folder if folder.is_dir() else None
        """,
    )
    keys = [key(project)]
    (tmp_path / "shirts").mkdir()
    for name, content in [("a.gz", "one"), ("a.gz", "two"), ("b.gz", "")]:
        (tmp_path / "shirts" / name).write_text(content)
        keys.append(key(project))
        assert key(project) == keys[-1]
    assert len(set(keys)) == 4


def test_unknown_data(project: Project, write: Write) -> None:
    path = write("snippets/tiny/one.py", "# ---\n# data: shirt\n# ---\n# %% one\nx = 1\n")
    write("src/reglab/data/locate.py", "from pathlib import Path\n\ndef shirts(): ...\n")
    with pytest.raises(SiteError, match="unknown data set 'shirt'") as caught:
        key(project)
    assert caught.value.file == path
    assert caught.value.hint == "did you mean 'shirts'?"
