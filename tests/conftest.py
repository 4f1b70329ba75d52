"""While tests run, beartype checks the annotations of `reglab` (an int may stand for a float); torch has one thread."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Tests interrupt what they start, and what a shell starts with `&` ignores interrupts: children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads on a busy machine are many times slower than one
# Commands in the README find this environment even where it is not activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
install_import_hook("reglab", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

TESTS = Path(__file__).parent


@pytest.fixture(scope="session")
def small_site() -> Callable[[Path], Path]:
    """`small_site(folder)` makes a project with a few pages and one snippet, for the site's own hook and theme."""

    def copy(folder: Path) -> Path:
        shutil.copytree(TESTS / "small_site", folder)
        shutil.copytree(TESTS.parent / "docs" / "assets", folder / "docs" / "assets")
        sources = TESTS.parent / "src" / "reglab_site"
        (folder / "mkdocs.yml").write_text(
            f"INHERIT: {TESTS.parent / 'mkdocs.yml'}\n"
            f"hooks: [{sources / 'hook.py'}]\n"
            f"theme: {{custom_dir: {sources / 'theme'}}}\n"
            "watch: [snippets, locale]\n"
            "nav: [index.md, sums/adding_up.md, sums/batch_norm.md, sums/layer_norm.md, labs/index.md]\n",
            encoding="utf-8",
        )
        return folder

    return copy


@pytest.fixture(scope="session")
def build_site() -> Callable[..., Path]:
    """`build_site(folder, SITE_URL="…")` is `mkdocs build --strict` of this project, or another, into `folder`."""

    def build(folder: Path, *, project: Path = TESTS.parent, **environment: str) -> Path:
        known = {name: value for name, value in os.environ.items() if name not in ("SITE_URL", "REPO_URL")}
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
        variables = {"SOURCE_DATE_EPOCH": "0", **known, **environment}
        done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return folder

    return build


@pytest.fixture(scope="session")
def site(build_site: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make build` builds it."""
    return build_site(tmp_path_factory.mktemp("built") / "site")
