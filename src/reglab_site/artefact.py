"""What one run of a snippet leaves behind: the only thing that weaving, notebooks and tests read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

Value = bool | int | float | str | list[Any] | dict[str, Any] | None


@dataclass(frozen=True)
class Figure:
    """One figure of a cell.

    Attributes:
        name: how pages quote it, unique in its snippet: the cell's name for a cell's only figure; otherwise what
            `plt.subplots(num="name")` called it, or `cell_1`, `cell_2`, … in the order of creation.
        svg: the inline SVG by language (`zh`, `en`), ids prefixed with the snippet's stem and figure's name.
        width: its width in CSS pixels.
        height: its height in CSS pixels.
        texts: the English label texts that it shows (what the catalogue must hold), for tests and for staleness.
    """

    name: str
    svg: dict[str, str]
    width: float
    height: float
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellResult:
    """What one cell printed and drew. `code` is the cell's source, byte for byte; `seconds` is its wall time."""

    name: str
    code: str
    stdout: str
    figures: tuple[Figure, ...]
    seconds: float


@dataclass(frozen=True)
class Artefact:
    """The whole result of one run.

    Attributes:
        snippet: its full name.
        key: the content address that it was made for.
        cells: one entry a cell, in file order.
        values: every public top-level name of the finished run that is a plain value (bool, int, float, str, or
            list/dict of those; tensors and numpy scalars of one element become numbers).
        translations: figure text -> its Chinese as used in the figures, to tell when the catalogue has moved on.
        assertions: how many `assert` statements of the snippet held (all of them, or there is no artefact).
        seconds: wall time of the run, without starting the process.
        made_at: when, ISO 8601, UTC, whole seconds.
        machine: which machine made it (opaque, stable per machine).
        versions: of python, torch, numpy and matplotlib.
    """

    snippet: str
    key: str
    cells: tuple[CellResult, ...]
    values: dict[str, Value]
    translations: dict[str, str]
    assertions: int
    seconds: float
    made_at: str
    machine: str
    versions: dict[str, str]

    @property
    def stem(self) -> str:
        return self.snippet.rsplit("/", 1)[-1]

    def cell(self, name: str) -> CellResult:
        """The result of the cell of that name; `KeyError` if there is none."""
        for cell in self.cells:
            if cell.name == name:
                return cell
        raise KeyError(name)

    @property
    def figures(self) -> dict[str, Figure]:
        """All figures by name."""
        return {figure.name: figure for cell in self.cells for figure in cell.figures}

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Artefact:
        data = json.loads(text)
        data["cells"] = tuple(
            CellResult(
                **{**cell, "figures": tuple(Figure(**{**f, "texts": tuple(f["texts"])}) for f in cell["figures"])}
            )
            for cell in data["cells"]
        )
        return cls(**data)
