"""The content address of a run: a hash of everything that its result depends on.

Nothing is imported to find it out, so it costs milliseconds: imports are read from the sources with `ast`, versions
from the packages' metadata.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import runpy
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from reglab_site.errors import SiteError, nearest
from reglab_site.project import Project
from reglab_site.snippet import Snippet

ENGINE = "reglab_site.worker"  # it imports all that shapes a result: figures, style, catalogue
FONTS = "noto-cjk-sans-otc"  # figures measure their texts with it


def key(project: Project, snippet: Snippet) -> str:
    """The content address of a run of `snippet` now: 64 hexadecimal digits."""
    engine = Path(__file__).parents[1]
    imported = _imports(snippet.source.encode(), snippet.path, package="")
    content = {
        "snippet": [snippet.name, snippet.source],
        "modules": _closure(project.src, imported),
        "engine": _closure(engine, [ENGINE], only="reglab_site"),
        "versions": versions() | {"fonts": _version(FONTS)},
        "data": {name: _data_digest(project, snippet, name) for name in snippet.data},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """The versions of python and of the packages that compute and draw."""
    packages = {name: _version(name) for name in ("torch", "numpy", "matplotlib")}
    return {"python": platform.python_version(), **packages}


@lru_cache
def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def parse(source: bytes, path: Path) -> ast.Module:
    """The syntax tree of a source file; `SiteError` where it is no Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run itself reports them
        try:
            return ast.parse(source, str(path))
        except SyntaxError as error:
            raise SiteError(f"this is not Python: {error.msg}", file=path, line=error.lineno) from error
        except ValueError as error:
            raise SiteError(f"this is not Python: {error}", file=path) from error


def _closure(folder: Path, names: Iterable[str], *, only: str = "") -> dict[str, str]:
    """The digests of the modules in `folder` among `names`, and of those that they import in their turn.

    Args:
        folder: one that is on `sys.path`.
        names: modules to begin with; those that lie elsewhere are left out.
        only: the beginning of the names that count, where `folder` holds other projects' modules too.
    """
    digests: dict[str, str] = {}
    here = {path.stem for path in folder.iterdir()} if folder.is_dir() else set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        if name in digests or name.partition(".")[0] not in here or not name.startswith(only):
            continue
        if (path := _find(folder, name)) is None:
            continue
        source = path.read_bytes()
        digests[name] = hashlib.sha256(source).hexdigest()
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting |= _imports(source, path, package)
    return digests


def _find(folder: Path, module: str) -> Path | None:
    base = folder.joinpath(*module.split("."))
    for path in (base / "__init__.py", base.with_name(base.name + ".py")):
        if path.is_file():
            return path
    return None


@lru_cache(maxsize=1000)
def _imports(source: bytes, path: Path, package: str) -> frozenset[str]:
    """The names that may be modules among all that `source` imports, wherever it does, parents included.

    Args:
        source: of a module.
        path: of the same, for errors.
        package: what its relative imports start from.
    """
    found: set[str] = set()
    for node in ast.walk(parse(source, path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            found |= {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    return frozenset(found - {""})


def _data_digest(project: Project, snippet: Snippet, name: str) -> str:
    """What a data set on this machine holds; `absent` where it is not installed."""
    path = _locator(project, snippet, name)()
    if path is None:
        return "absent"
    digests = []
    for file in _files(path):
        stat = file.stat()
        digests.append((file.name, _file_digest(file, stat.st_size, stat.st_mtime_ns)))
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def _locator(project: Project, snippet: Snippet, name: str) -> Callable[[], Path | None]:
    """The function of `reglab.data.locate` of the name that a header gives.

    The file is run by itself: importing it as a module would run its packages, and keep an edit from being seen.
    """
    path = project.src / "reglab" / "data" / "locate.py"
    found = runpy.run_path(str(path), run_name="reglab.data.locate") if path.is_file() else {}
    locators = {
        function.__name__: function
        for function in found.values()
        if getattr(function, "__module__", None) == "reglab.data.locate" and not function.__name__.startswith("_")
    }
    if name not in locators:
        raise SiteError(
            f"the header names an unknown data set {name!r}", file=snippet.path, line=1, hint=nearest(name, locators)
        )
    locator: Callable[[], Path | None] = locators[name]
    return locator


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from sorted(file for file in path.rglob("*") if file.is_file())


@lru_cache(maxsize=100)
def _file_digest(path: Path, size: int, modified: int) -> str:
    """The content of a file, read again when `size` or `modified` has changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
