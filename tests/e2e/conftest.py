"""The real site, served on this machine, and a browser to read it in."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve(site: Path) -> Iterator[str]:
    """The address at which `site` can be read."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def published(build_site: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built for an address with a path and with a repository."""
    public = {"SITE_URL": "https://example.org/reglab/", "REPO_URL": "https://github.com/example/reglab"}
    return build_site(tmp_path_factory.mktemp("published") / "site", **public)


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """Where the built site can be read."""
    with serve(site) as address:
        yield address


@pytest.fixture(scope="session")
def small_address(
    small_site: Callable[[Path], Path], build_site: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the site of a small project can be read, with pages on two normalization layers."""
    project = small_site(tmp_path_factory.mktemp("small") / "project")
    with serve(build_site(project / "site", project=project, REGLAB_CACHE=str(project / ".cache"))) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.fail("no Chromium: install it, on Debian with `apt-get install chromium`", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()
