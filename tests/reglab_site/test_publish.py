from __future__ import annotations

import base64
import os
from pathlib import Path
from threading import Thread

import pytest

from reglab_site import keep, publish
from reglab_site.errors import SiteError


def staged(target: Path, text: str) -> Path:
    folder = publish.stage(target)
    publish.write(folder, "index.html", text)
    return folder


def test_a_site_takes_its_place_whole(tmp_path: Path) -> None:
    target = tmp_path / "site"
    for text in ("first", "second"):
        publish.swap(staged(target, text), target)
        assert (target / "index.html").read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_what_is_not_published_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "site"
    publish.swap(staged(target, "good"), target)
    publish.discard(staged(target, "bad"))
    assert (target / "index.html").read_text(encoding="utf-8") == "good"
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_many_builds_at_once_leave_one_whole_site(tmp_path: Path) -> None:
    target = tmp_path / "site"
    sites = [staged(target, str(number)) for number in range(20)]
    threads = [Thread(target=publish.swap, args=(site, target)) for site in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (target / "index.html").read_text(encoding="utf-8") in {str(number) for number in range(20)}
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_what_killed_builds_left_is_removed_and_running_ones_stay(tmp_path: Path) -> None:
    left, running = tmp_path / ".site.999999999.abc", tmp_path / f".site.{os.getpid()}.abc"
    left.mkdir()
    running.mkdir()
    publish.discard(publish.stage(tmp_path / "site"))
    assert not left.exists()
    assert running.exists()


def test_a_site_that_cannot_be_written_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SiteError, match="cannot be written") as caught:
        publish.stage(tmp_path / "file" / "site")
    assert caught.value.hint


def test_a_site_that_cannot_take_its_place_leaves_the_last_good_one(tmp_path: Path) -> None:
    target = tmp_path / "site"
    target.write_text("in the way of a folder", encoding="utf-8")
    new = staged(target, "new")
    new.rename(tmp_path / "gone")
    with pytest.raises(SiteError, match="take its place"):
        publish.swap(new, target)
    assert target.read_text(encoding="utf-8") == "in the way of a folder"


@pytest.mark.parametrize(("source", "allowed"), [("sums/adding.zh.md", 89_000), ("labs/adding.zh.ipynb", 59_000)])
def test_a_page_too_large_for_a_slow_connection_is_refused(source: str, allowed: int) -> None:
    noise = base64.b85encode(os.urandom(120_000)).decode()  # gzip saves a fifth of it
    publish.check_size(noise[:allowed], source)
    with pytest.raises(SiteError, match="gzipped"):
        publish.check_size(noise[: round(allowed * 1.3)], source)


def test_an_error_stands_on_every_page_of_the_last_good_site(tmp_path: Path) -> None:
    publish.write(tmp_path, "a/index.html", "<html><body class='x'><p>good</p></body></html>")
    publish.show_failure(tmp_path, "docs/a.md:3: a < b")
    page = (tmp_path / "a" / "index.html").read_text(encoding="utf-8")
    assert "docs/a.md:3: a &lt; b" in page
    assert page.index('role="alert"') < page.index("good")


def test_without_a_good_site_the_error_is_the_site(tmp_path: Path) -> None:
    publish.show_failure(tmp_path, "docs/a.md:3: wrong")
    assert "docs/a.md:3: wrong" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "docs/a.md:3: wrong" in (tmp_path / "404.html").read_text(encoding="utf-8")


def test_the_math_font_is_made_once_and_then_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish.math_font(tmp_path / "one", set("xλ"), tmp_path / "cache")
    monkeypatch.setattr("reglab_site.mathfont.subset", None)
    publish.math_font(tmp_path / "two", set("xλ"), tmp_path / "cache")
    font = (tmp_path / "one" / "assets" / "math.woff2").read_bytes()
    assert font[:4] == b"wOF2"
    assert (tmp_path / "two" / "assets" / "math.woff2").read_bytes() == font


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": "k"}', '{"key": "k", "sha256": "0", "text": "a"}'])
def test_a_damaged_entry_of_the_cache_counts_as_missing(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "kept" / "entry.json"
    keep.store(file, "k", "text")
    assert keep.load(file, "k") == "text"
    assert keep.load(file, "other") is None
    file.write_text(damage, encoding="utf-8")
    assert keep.load(file, "k") is None
    keep.store(file, "k", "again")
    assert keep.load(file, "k") == "again"


def test_a_cache_that_cannot_be_written_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("", encoding="utf-8")
    with pytest.raises(SiteError, match="cannot write to the cache") as caught:
        keep.store(tmp_path / "cache" / "labs" / "a.json", "k", "text")
    assert caught.value.hint
