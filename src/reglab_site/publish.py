"""Putting a finished site where readers find it, and telling an author in the browser when it could not be finished.

A build writes into a hidden folder beside the site and takes its place by renaming: whoever reads the site sees the
last good one until the new one is complete, and a build that fails leaves nothing behind.
"""

from __future__ import annotations

import base64
import errno
import gzip
import html
import json
import os
import shutil
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import psutil

from reglab_site import keep, mathfont
from reglab_site.errors import SiteError


def stage(target: Path) -> Path:
    """A new empty folder beside `target`, on the same file system; what killed builds left there is removed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f".{target.name}.*"):
            pid = left.name.removeprefix(f".{target.name}.").split(".")[0]
            if pid.isdigit() and not psutil.pid_exists(int(pid)):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.{os.getpid()}.", dir=target.parent))
        folder.chmod(0o755)
    except OSError as error:
        raise SiteError(f"the site cannot be written: {error}", hint="build elsewhere with --site-dir") from error
    return folder


def swap(staged: Path, target: Path) -> None:
    """Let `staged` take the place of `target`.

    Two builds may do so at once, since each renames what is there at that moment to a name of its own: the later one
    stays. Where the exchange fails, the last good site returns.
    """
    old = staged.with_name(f"{staged.name}.old")
    try:
        while True:
            with suppress(FileNotFoundError):
                target.rename(old)
            try:
                staged.rename(target)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    if old.exists() and not target.exists():
                        old.rename(target)
                    raise
                shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise SiteError(f"the finished site cannot take its place: {error}", file=target) from error
    shutil.rmtree(old, ignore_errors=True)


def discard(staged: Path) -> None:
    """Forget a site that did not become complete."""
    shutil.rmtree(staged, ignore_errors=True)


def write(site: Path, path: str, content: str | bytes) -> None:
    """Write one file of the site."""
    file = site / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def math_font(site: Path, characters: set[str], cache: Path) -> None:
    """Write the math font with these characters, which takes seconds to make, and its licence."""
    kept = cache / "mathfont" / "files.json"
    key = keep.digest("".join(sorted(characters)), version("fonttools"), version("ziamath"))
    files = keep.load(kept, key)
    if files is None:
        with tempfile.TemporaryDirectory() as folder:
            mathfont.subset(characters, Path(folder, "math.woff2"))
            made = {file.name: base64.b64encode(file.read_bytes()).decode() for file in sorted(Path(folder).iterdir())}
        files = json.dumps(made)
        keep.store(kept, key, files)
    for name, content in json.loads(files).items():
        write(site, f"assets/{name}", base64.b64decode(content))


_BANNER = (
    '<div role="alert" class="rl-failed" style="position:sticky;top:0;z-index:99;padding:.8rem 1rem;'
    'background:#8c1d18;color:#fff;font:14px/1.5 monospace;white-space:pre-wrap;max-height:60vh;overflow:auto">{}</div>'
)


def show_failure(site: Path, message: str) -> None:
    """Put `message` on top of every page of the last good site; without one, it is all there is to see."""
    banner = _BANNER.format(html.escape(message))
    pages = list(site.rglob("*.html"))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        body = text.find(">", text.find("<body")) + 1
        page.write_text(text[:body] + banner + text[body:], encoding="utf-8")
    if not pages:
        # 404.html is what the server shows for every address it does not know.
        for name in ("index.html", "404.html"):
            write(site, name, f"<!doctype html><meta charset=utf-8><title>reglab</title><body>{banner}</body>")


LARGEST_PAGE = 90_000  # bytes, gzipped
LARGEST_LAB = 60_000


def check_size(page: str, source: str) -> None:
    """Refuse a page that takes too long over a slow connection."""
    largest = LARGEST_LAB if source.startswith("labs/") else LARGEST_PAGE
    size = len(gzip.compress(page.encode("utf-8"), mtime=0))
    if size > largest:
        raise SiteError(
            f"{source} has {size:,} bytes as a gzipped page; at most {largest:,} are allowed",
            hint="draw fewer points, or move a figure to a page of its own",
        )
