import pickle
from pathlib import Path

import pytest

from reglab_site.errors import SiteError, SiteErrors, nearest, raise_all


def test_an_error_names_file_line_and_mend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    error = SiteError("unknown cell 'trian'", file=tmp_path / "docs/a.zh.md", line=3, hint="did you mean 'train'?")
    assert str(error) == "docs/a.zh.md:3: unknown cell 'trian'\n    → did you mean 'train'?"
    assert str(SiteError("disk full")) == "disk full"


def test_an_error_crosses_processes() -> None:
    error = SiteError("m", file="f", line=2, hint="h")
    again = pickle.loads(pickle.dumps(error))
    assert (again.message, again.file, again.line, again.hint) == ("m", Path("f"), 2, "h")


def test_several_errors_are_raised_together() -> None:
    raise_all([])
    with pytest.raises(SiteError):
        raise_all([SiteError("one")])
    with pytest.raises(SiteErrors, match="one\ntwo") as caught:
        raise_all([SiteError("one"), SiteError("two")])
    assert str(caught.value) == "one\ntwo"


def test_the_nearest_name_is_proposed() -> None:
    assert nearest("trian", ["train", "fit"]) == "did you mean 'train'?"
    assert nearest("zzz", ["b", "a"]) == "there is: a, b"
    assert nearest("zzz", []) == "there is none"
