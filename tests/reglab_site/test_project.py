from pathlib import Path

import pytest

from reglab_site.errors import SiteError
from reglab_site.project import Project


def test_the_project_is_found_from_any_folder_below(tmp_path: Path) -> None:
    (tmp_path / "mkdocs.yml").touch()
    below = tmp_path / "docs" / "chapter"
    below.mkdir(parents=True)
    project = Project.find(below)
    assert project.root == tmp_path.resolve()
    assert project.relative(project.catalogue) == Path("locale/zh.po")
    assert project.relative(Path("/elsewhere")) == Path("/elsewhere")


def test_outside_a_project_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"no mkdocs.yml in .* or above it"):
        Project.find(tmp_path)


def test_the_cache_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGLAB_CACHE", raising=False)
    assert Project(tmp_path).cache == tmp_path / ".cache"
    monkeypatch.setenv("REGLAB_CACHE", str(tmp_path / "other"))
    assert Project(tmp_path).cache == tmp_path / "other"
