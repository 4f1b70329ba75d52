"""The site as MkDocs builds and serves it, of a small project."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

COMMAND = "import sys; from mkdocs.__main__ import cli"
CHECKED = f"{COMMAND}; cli(standalone_mode=False); sys.exit('torch' in sys.modules)"


def environment(project: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("SITE_URL", "REPO_URL")}
    return {**kept, "SOURCE_DATE_EPOCH": "0", "REGLAB_CACHE": str(project / ".cache"), "PYTHONUNBUFFERED": "1"}


def build(project: Path, program: str = f"{COMMAND}; cli()", site: str = "site") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, "build", "--strict", "--site-dir", site]
    return subprocess.run(command, cwd=project, env=environment(project), capture_output=True, text=True)


def digests(site: Path) -> dict[str, str]:
    files = (file for file in sorted(site.rglob("*")) if file.is_file())
    return {str(file.relative_to(site)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def project(small_site: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose site has been built."""
    project = small_site(tmp_path_factory.mktemp("small") / "project")
    done = build(project)
    assert done.returncode == 0, done.stderr
    return project


def test_pages_of_both_languages_are_there_and_no_scratch_folder(project: Path) -> None:
    for name in ("", "sums/adding_up/", "labs/", "labs/adding/", "en/", "en/sums/adding_up/", "en/labs/adding/"):
        assert (project / "site" / name / "index.html").is_file()
    assert sorted(path.name for path in project.iterdir() if "site" in path.name) == ["site"]


def test_a_page_shows_what_was_woven(project: Path) -> None:
    page = (project / "site" / "sums" / "adding_up" / "index.html").read_text(encoding="utf-8")
    assert "和是 6" in page
    assert "<math" in page
    assert "# 和" in page
    assert "total 6" in page
    assert 'lang="zh"' in page
    english = (project / "site" / "en" / "sums" / "adding_up" / "index.html").read_text(encoding="utf-8")
    assert "# the sum" in english
    assert 'lang="en"' in english


def test_the_markdown_stands_beside_each_page_with_links_to_the_markdown_of_others(project: Path) -> None:
    assert "](sums/adding_up/index.md)" in (project / "site" / "index.md").read_text(encoding="utf-8")
    english = (project / "site" / "en" / "sums" / "adding_up" / "index.md").read_text(encoding="utf-8")
    assert "$\\sum_i x_i$" in english


def test_a_section_leads_to_its_notebook_and_back(project: Path) -> None:
    section = (project / "site" / "sums" / "adding_up" / "index.html").read_text(encoding="utf-8")
    lab = (project / "site" / "labs" / "adding" / "index.html").read_text(encoding="utf-8")
    assert 'href="../../labs/adding/"' in section
    assert 'href="../../sums/adding_up/"' in lab
    assert 'href="../adding.zh.ipynb" download' in lab
    download = json.loads((project / "site" / "labs" / "adding.zh.ipynb").read_text(encoding="utf-8"))
    assert "$\\sum_i x_i$" in download["cells"][0]["source"]
    assert "labs/adding" not in (project / "site" / "search" / "search_index.json").read_text(encoding="utf-8")


def test_a_downloaded_notebook_runs_alone(project: Path, tmp_path: Path) -> None:
    download = json.loads((project / "site" / "labs" / "adding.en.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in download["cells"] if cell["cell_type"] == "code"]
    program = "\n\n".join(cell["source"] for cell in code)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "".join(output["text"] for cell in code for output in cell["outputs"])


def test_an_overview_leads_to_the_markdown_of_every_page(project: Path) -> None:
    overview = (project / "site" / "llms.txt").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", overview)
    assert len(links) == 10
    assert all((project / "site" / link).is_file() for link in links)


def test_a_list_of_the_pages_says_where_they_are_in_both_languages(project: Path) -> None:
    sections = json.loads((project / "site" / "sections.json").read_text(encoding="utf-8"))
    assert len(sections) == 5
    for section in sections:
        assert set(section["title"]) == set(section["url"]) == {"zh", "en"}
        for language in ("zh", "en"):
            assert section["title"][language]
            assert (project / "site" / section["url"][language] / "index.html").is_file()
            assert (project / "site" / section["markdown"][language]).is_file()


def test_a_warm_build_imports_no_torch_and_gives_the_same_bytes(project: Path) -> None:
    done = build(project, CHECKED, site="again")
    assert done.returncode == 0, done.stderr
    assert digests(project / "again") == digests(project / "site")


def test_two_builds_at_once_leave_one_whole_site(project: Path) -> None:
    before = digests(project / "site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    pipe = subprocess.PIPE
    builds = [
        subprocess.Popen(command, cwd=project, env=environment(project), stdout=pipe, stderr=pipe, text=True)
        for _ in range(2)
    ]
    for one in builds:
        _, errors = one.communicate()
        assert one.returncode == 0, errors
    assert digests(project / "site") == before


@pytest.mark.parametrize(
    ("files", "old", "new", "message"),
    [
        ("docs/sums/adding_up.zh.md", "adding.total", "adding.totl", "adding_up.zh.md:6: adding has no value 'totl'"),
        ("docs/sums/adding_up.*.md", "\\sum_i", "\\sumi", "docs/sums/adding_up.zh.md:6: "),
        ("docs/index.*.md", "sums/adding_up.md", "sums/nothing.md", "'index.zh.md' contains a link 'sums/nothing.md'"),
        (
            "docs/index.*.md",
            "adding_up.md",
            "adding_up.md#none",
            "'index.zh.md' contains a link 'sums/adding_up.md#none'",
        ),
        ("snippets/sums/adding.py", "total == 6", "total == 7", "snippets/sums/adding.py:7: "),
        ("locale/zh.po", 'msgid "the sum"', 'msgid "a sum"', "a comment without a Chinese text: 'the sum'"),
    ],
)
def test_a_failed_build_names_the_place_once_and_leaves_the_last_good_site(
    project: Path, files: str, old: str, new: str, message: str
) -> None:
    good = {file: file.read_text(encoding="utf-8") for file in project.glob(files)}
    before = digests(project / "site")
    try:
        for file in good:
            edit(file, old, new)
        done = build(project)
    finally:
        for file, text in good.items():
            file.write_text(text, encoding="utf-8")
    assert done.returncode == 1
    assert done.stderr.count(message) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert digests(project / "site") == before
    assert sorted(path.name for path in project.iterdir() if "site" in path.name) == ["site"]


# The development server


class Server:
    """`mkdocs serve` of a project, and what it says."""

    def __init__(self, project: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.log = project / "serve.log"
        command = [sys.executable, "-c", f"{COMMAND}; cli()", "serve", "--dev-addr", self.address]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=project, env=environment(project), stdout=log, stderr=log)

    def until(self, path: str, text: str, seconds: float) -> float:
        """Wait until the page at `path` shows `text`; how long that took."""
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            try:
                with urllib.request.urlopen(f"http://{self.address}/{path}", timeout=seconds) as answer:
                    page = answer.read().decode()
            except urllib.error.HTTPError as error:
                page = error.read().decode()
            except OSError:
                page = ""
            if text in page:
                return time.monotonic() - start
            time.sleep(0.05)
        raise AssertionError(f"no {text!r} at {path} within {seconds} s:\n{self.log.read_text()}")

    def libraries(self) -> str:
        """The files that the server's process has in memory."""
        return Path(f"/proc/{self.process.pid}/maps").read_text()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)


@pytest.fixture
def server(project: Path) -> Iterator[Server]:
    server = Server(project)
    yield server
    server.stop()


def test_edits_show_and_mistakes_are_told_until_they_are_mended(project: Path, server: Server) -> None:
    page = project / "docs" / "sums" / "adding_up.zh.md"
    address = "sums/adding_up/"
    server.until(address, "和是 6", seconds=30)

    edit(page, "和是", "总和是")
    assert server.until(address, "总和是 6", seconds=15) < 6  # 3 s on a machine that does nothing else
    assert "libtorch" not in server.libraries()

    edit(page, "adding.total", "adding.totl")
    place = "docs/sums/adding_up.zh.md:6: adding has no value"
    for path in ("", "en/", address):
        server.until(path, place, seconds=15)
    server.until(address, "总和是 6", seconds=1)
    assert place in server.log.read_text()

    edit(page, "adding.totl", "adding.total")
    edit(page, "总和是", "和是")
    server.until(address, "和是 6", seconds=15)
    assert server.process.poll() is None


def test_the_server_starts_with_a_mistake_and_shows_it(project: Path) -> None:
    page = project / "docs" / "sums" / "adding_up.en.md"
    edit(page, "adding.total", "adding.totl")
    server = Server(project)
    try:
        server.until("en/sums/adding_up/", "docs/sums/adding_up.en.md:6: adding has no value", seconds=30)
        edit(page, "adding.totl", "adding.total")
        server.until("en/sums/adding_up/", "The sum is 6", seconds=15)
    finally:
        server.stop()
