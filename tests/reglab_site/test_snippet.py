from pathlib import Path

import pytest

from reglab_site.errors import SiteError, SiteErrors
from reglab_site.project import Project
from reglab_site.snippet import find, parse, select

SOURCE = """# ---
# timeout: 90
# data: fashion_mnist, banknotes
# ---

# %% data

x = 1

# %% check_sum
# claim: one-is-one
assert x == 1
"""


def read(source: str) -> object:
    return parse(Path("snippets/a/b.py"), "a/b", source)


def test_cells_have_names_lines_and_claims() -> None:
    snippet = parse(Path("b.py"), "a/b", SOURCE)
    assert [cell.name for cell in snippet.cells] == ["data", "check_sum"]
    data, check = snippet.cells
    assert (data.code, data.line) == ("x = 1", 8)
    assert SOURCE.splitlines()[check.line - 1] == "# claim: one-is-one"
    assert (data.is_check, check.is_check) == (False, True)
    assert snippet.claims["one-is-one"] is check
    assert (snippet.stem, snippet.chapter) == ("b", "a")


def test_the_header_sets_how_a_snippet_is_run() -> None:
    snippet = parse(Path("b.py"), "a/b", SOURCE)
    assert snippet.timeout == 90
    assert snippet.data == ("fashion_mnist", "banknotes")
    assert parse(Path("b.py"), "a/b", "# %% one\n1").timeout == 120


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("x = 1\n# %% a\nx", 1, "text before the first cell"),
        ("", 1, "without cells"),
        ("# %%\nx", 1, "without a name"),
        ("# %% Train it\nx", 1, "no cell name"),
        ("# %% a\nx\n# %% a\ny", 3, "two cells are called 'a'"),
        ("# %% a\n\n# %% b\nx", 1, "'a' is empty"),
        ("# ---\n# timeout: 3\n# %% a\nx", 1, "not closed"),
        ("# ---\n# timout: 3\n# ---\n# %% a\nx", 1, "unknown option 'timout'"),
        ("# ---\n# timeout: -3\n# ---\n# %% a\nx", 1, "positive number"),
        ("# ---\n# timeout: soon\n# ---\n# %% a\nx", 1, "positive number"),
        ("# ---\n# [\n# ---\n# %% a\nx", 1, "not YAML"),
        ("# %% a\n# claim: One\nx", 2, "no claim name"),
        ("# %% a\n# claim: one\nx\n# %% b\n# claim: one\nx", 5, "two claims are called 'one'"),
    ],
)
def test_what_is_malformed_is_named_with_its_line(source: str, line: int, message: str) -> None:
    with pytest.raises(SiteError, match=message) as caught:
        read(source)
    assert caught.value.line == line
    assert caught.value.where == f"snippets/a/b.py:{line}"


@pytest.fixture
def tree(tmp_path: Path) -> Project:
    for name in ("one/first", "one/second", "two/third"):
        path = tmp_path / "snippets" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# %% a\nx = 1\n")
    (tmp_path / "mkdocs.yml").touch()
    return Project(tmp_path)


def test_snippets_are_chosen_by_name_stem_path_or_chapter(tree: Project) -> None:
    snippets = find(tree)
    assert list(snippets) == ["one/first", "one/second", "two/third"]
    assert [s.name for s in select(snippets, ["third", "snippets/one/first.py"])] == ["two/third", "one/first"]
    assert [s.name for s in select(snippets, ["one"])] == ["one/first", "one/second"]
    assert len(select(snippets, [])) == 3
    with pytest.raises(SiteError, match="no snippet is called 'thrid'") as caught:
        select(snippets, ["thrid"])
    assert "did you mean 'third'" in str(caught.value)


def test_two_snippets_of_one_stem_and_every_other_mistake_are_told_together(tree: Project) -> None:
    (tree.snippets / "two" / "first.py").write_text("# %% a\nx\n")
    (tree.snippets / "two" / "fourth.py").write_bytes(b"# %% a\n\xff\n")
    with pytest.raises(SiteErrors) as caught:
        find(tree)
    text = str(caught.value)
    assert "two snippets have the stem 'first'" in text
    assert "not UTF-8" in text
