"""Snippets: percent-format Python files with named cells.

A file may open with a header of comments, as Jupytext writes it, that sets how it is run:

    # ---
    # timeout: 90        (seconds; default 120)
    # memory: 4000       (MB; default 4000)
    # data: fashion_mnist  (data sets that the result depends on)
    # ---

Then come the cells, each `# %% name`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from reglab_site.errors import SiteError, SiteErrors, nearest, raise_all
from reglab_site.project import Project

CELL = re.compile(r"^# %%(?P<rest>.*)$")
NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Claim:
    """A statement that the assertions below it prove: `# claim: name` above one or more `assert`."""

    name: str
    line: int


@dataclass(frozen=True)
class Cell:
    """One cell: `code` without its `# %%` line and without blank lines around it; `line` is where `code` begins."""

    name: str
    line: int
    code: str
    claims: tuple[Claim, ...] = ()

    @property
    def is_check(self) -> bool:
        """Whether this cell asserts what a page claims (its name begins with `check`)."""
        return self.name == "check" or self.name.startswith("check_")


@dataclass(frozen=True)
class Snippet:
    """One file of `snippets/`.

    Attributes:
        name: its path below `snippets/` without the ending, such as `regularization/weight_decay`.
        path: the file.
        source: its whole text.
        cells: its cells, in order.
        timeout: seconds that a run may take.
        memory: megabytes that a run may use.
        data: names of the data sets that its result depends on.
    """

    name: str
    path: Path
    source: str
    cells: tuple[Cell, ...]
    timeout: float = 120.0
    memory: int = 4000
    data: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        return self.name.rsplit("/", 1)[-1]

    @property
    def chapter(self) -> str:
        return self.name.split("/", 1)[0]

    def cell(self, name: str) -> Cell:
        """The cell of that name; `KeyError` if there is none."""
        for cell in self.cells:
            if cell.name == name:
                return cell
        raise KeyError(name)

    @property
    def claims(self) -> dict[str, Cell]:
        """Which cell proves which claim."""
        return {claim.name: cell for cell in self.cells for claim in cell.claims}


CLAIM = re.compile(r"^\s*# claim: (?P<name>\S+)\s*$")
CLAIM_NAME = re.compile(r"[a-z][a-z0-9-]*")
OPTIONS = {"timeout": float, "memory": int, "data": str}


def _header(path: Path, lines: list[str]) -> tuple[dict[str, object], int]:
    """The options of the `# ---` header, and the index of the first line below it."""
    if not lines or lines[0].rstrip() != "# ---":
        return {}, 0
    for end in range(1, len(lines)):
        if lines[end].rstrip() == "# ---":
            break
    else:
        raise SiteError("the header is not closed", file=path, line=1, hint="end it with a line '# ---'")
    text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[1:end])
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise SiteError(f"the header is not YAML: {error}", file=path, line=1) from error
    if not isinstance(found, dict):
        raise SiteError("the header is no mapping", file=path, line=1, hint="write lines such as '# timeout: 90'")
    for key, value in found.items():
        if key not in OPTIONS:
            raise SiteError(f"unknown option {key!r} in the header", file=path, line=1, hint=nearest(str(key), OPTIONS))
        number = OPTIONS[key] in (int, float)
        if number and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
            raise SiteError(f"{key} must be a positive number, not {value!r}", file=path, line=1)
    return found, end + 1


def parse(path: Path, name: str, source: str | None = None) -> Snippet:
    """Read one snippet, raising `SiteError` for anything malformed."""
    if source is None:
        try:
            source = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise SiteError("the file is not UTF-8", file=path, hint="save it as UTF-8") from error
    lines = source.splitlines()
    options, start = _header(path, lines)
    starts: list[tuple[int, str]] = []
    for index in range(start, len(lines)):
        if not (match := CELL.match(lines[index])):
            continue
        cell_name = match["rest"].strip()
        if not NAME.fullmatch(cell_name):
            raise SiteError(
                f"{cell_name!r} is no cell name" if cell_name else "a cell without a name",
                file=path,
                line=index + 1,
                hint="write '# %% name', with a name of lower-case letters, digits and underscores",
            )
        for line, other in starts:
            if other == cell_name:
                raise SiteError(
                    f"two cells are called {cell_name!r} (the first is on line {line + 1})",
                    file=path,
                    line=index + 1,
                    hint="a cell is quoted by its name: give each its own",
                )
        starts.append((index, cell_name))
    before = starts[0][0] if starts else len(lines)
    for index in range(start, before):
        if lines[index].strip():
            raise SiteError(
                "text before the first cell", file=path, line=index + 1, hint="open the file with '# %% name'"
            )
    if not starts:
        raise SiteError("a snippet without cells", file=path, line=1, hint="open the file with '# %% name'")
    cells = []
    seen: dict[str, int] = {}
    for number, (index, cell_name) in enumerate(starts):
        end = starts[number + 1][0] if number + 1 < len(starts) else len(lines)
        first, last = index + 1, end
        while first < last and not lines[first].strip():
            first += 1
        while last > first and not lines[last - 1].strip():
            last -= 1
        if first == last:
            raise SiteError(f"cell {cell_name!r} is empty", file=path, line=index + 1, hint="fill it or remove it")
        claims = []
        for at in range(first, last):
            if not (found := CLAIM.match(lines[at])):
                continue
            claim = found["name"]
            if not CLAIM_NAME.fullmatch(claim):
                raise SiteError(
                    f"{claim!r} is no claim name",
                    file=path,
                    line=at + 1,
                    hint="write '# claim: name', with a name of lower-case letters, digits and hyphens",
                )
            if claim in seen:
                raise SiteError(
                    f"two claims are called {claim!r} (the first is on line {seen[claim]})", file=path, line=at + 1
                )
            seen[claim] = at + 1
            claims.append(Claim(claim, at + 1))
        cells.append(Cell(cell_name, first + 1, "\n".join(lines[first:last]), tuple(claims)))
    data = options.get("data", ())
    return Snippet(
        name=name,
        path=path,
        source=source,
        cells=tuple(cells),
        timeout=float(str(options.get("timeout", 120.0))),
        memory=int(str(options.get("memory", 4000))),
        data=tuple(data.replace(",", " ").split()) if isinstance(data, str) else tuple(data),  # type: ignore[arg-type]
    )


def find(project: Project) -> dict[str, Snippet]:
    """All snippets by name, sorted; stems are unique, since a stem alone names a snippet everywhere."""
    snippets: dict[str, Snippet] = {}
    errors: list[SiteError] = []
    stems: dict[str, Path] = {}
    for path in sorted(project.snippets.rglob("*.py")):
        name = path.relative_to(project.snippets).with_suffix("").as_posix()
        if path.stem in stems:
            errors.append(
                SiteError(
                    f"two snippets have the stem {path.stem!r} (the other is {project.relative(stems[path.stem])})",
                    file=path,
                    hint="a stem alone names a snippet everywhere: rename one",
                )
            )
            continue
        stems[path.stem] = path
        try:
            snippets[name] = parse(path, name)
        except SiteError as error:
            errors.append(error)
        except SiteErrors as several:
            errors.extend(several.errors)
    raise_all(errors)
    return snippets


def select(snippets: dict[str, Snippet], names: Iterable[str]) -> list[Snippet]:
    """The snippets of the given names, each a full name, a stem or a chapter; all of them if none is given."""
    names = list(names)
    if not names:
        return list(snippets.values())
    chosen: dict[str, Snippet] = {}
    for name in names:
        wanted = name.removeprefix("snippets/").removesuffix(".py").rstrip("/")
        found = [s for s in snippets.values() if wanted in (s.name, s.stem, s.chapter)]
        if not found:
            known = {s.stem for s in snippets.values()} | set(snippets)
            raise SiteError(f"no snippet is called {name!r}", hint=nearest(wanted, known))
        chosen.update((s.name, s) for s in found)
    return list(chosen.values())
