import subprocess
import sys
from pathlib import Path

import pytest

from reglab.data import locate


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the data; its cache folder is `cache` in the returned folder."""
    monkeypatch.delenv("REGLAB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(locate, "DEBIAN", tmp_path / "debian")
    return tmp_path


def put_set(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in locate.FILES:
        (folder / name).touch()
    return folder


def test_nothing_is_found_where_nothing_is(nowhere: Path) -> None:
    assert locate.fashion_mnist() is None


def test_the_cache_folder_comes_before_debians(nowhere: Path) -> None:
    debian = put_set(nowhere / "debian")
    assert locate.fashion_mnist() == debian
    cache = put_set(nowhere / "cache" / "reglab" / "fashion-mnist")
    assert locate.fashion_mnist() == cache == locate.download_folder()


def test_the_folder_in_the_environment_comes_first(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_set(nowhere / "cache" / "reglab" / "fashion-mnist")
    chosen = put_set(nowhere / "chosen")
    monkeypatch.setenv("REGLAB_DATA", str(chosen))
    assert locate.fashion_mnist() == chosen == locate.download_folder()


@pytest.mark.parametrize("missing", locate.FILES)
def test_an_incomplete_set_does_not_count(nowhere: Path, missing: str) -> None:
    cache = put_set(nowhere / "cache" / "reglab" / "fashion-mnist")
    (cache / missing).unlink()
    assert locate.fashion_mnist() is None
    debian = put_set(nowhere / "debian")
    assert locate.fashion_mnist() == debian


def test_without_xdg_the_cache_is_in_the_home_folder(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(nowhere / "home"))
    assert locate.download_folder() == nowhere / "home" / ".cache" / "reglab" / "fashion-mnist"


def test_looking_and_fetching_never_import_torch() -> None:
    program = "import sys, reglab.data.locate, reglab.data.fetch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
