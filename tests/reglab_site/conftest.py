"""A tiny project to try things on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from reglab_site.artefact import Artefact, CellResult, Figure
from reglab_site.project import Project
from reglab_site.snippet import Snippet, find
from reglab_site.weave import Weaver

Write = Callable[[str, str], Path]

EMPTY_CATALOGUE = """\
msgid ""
msgstr ""
"Language: zh\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without pages and snippets, with an empty catalogue and a cache of its own."""
    monkeypatch.delenv("REGLAB_CACHE", raising=False)
    root = tmp_path / "project"
    for folder in ("docs", "snippets", "locale", "src"):
        (root / folder).mkdir(parents=True)
    (root / "mkdocs.yml").write_text("site_name: tiny\n", encoding="utf-8")
    (root / "src" / "reglab").mkdir()
    (root / "src" / "reglab" / "__init__.py").touch()
    (root / "locale" / "zh.po").write_text(EMPTY_CATALOGUE, encoding="utf-8")
    return Project(root)


@pytest.fixture
def write(project: Project) -> Write:
    """`write("snippets/tiny/hello.py", text)` writes a file of the project, with the text's indentation removed."""

    def write_file(name: str, text: str) -> Path:
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_file


SNIPPET = """\
# %% data
# Ten points
points = 10
print("points:", points)

# %% train
loss = 0.123456789
losses = [1.0, 0.5]
by_name = {"plain": 0.25, "decayed": 0.125}

# %% fit
fit = "the figure"

# %% check
# claim: loss-is-small
assert loss < 0.2

# %% solution_one
print("solved")
"""

PAGE = {
    "zh": """\
---
title: 拟合
description: 一条曲线
---
# 权重衰减（weight decay）能做什么 { #decay }

训练之后，[损失降到 {{ decay.loss:.2f }}](claim:decay:loss-is-small)[@krogh1991]，其中 $\\eta$ 是学习率。

```python {cell="data"}
```

![一条曲线](figure:decay:fit)
: 曲线贴近直线。

```python {cell="train"}
```

```python {cell="fit"}
```

```python {cell="check"}
```

!!! exercise "1. 换一个种子"

    结果一样吗？

??? solution "解答"

    ```python {cell="solution_one"}
    ```

## 来源 { #sources }

{{ bibliography }}
""",
    "en": """\
---
title: Fit
description: A curve
---
# What weight decay does { #decay }

After training, [the loss is down to {{ decay.loss:.2f }}](claim:decay:loss-is-small) [@krogh1991]; $\\eta$ is
the learning rate.

```python {cell="data"}
```

![A curve](figure:decay:fit)
: The curve is close to the line.

```python {cell="train"}
```

```python {cell="fit"}
```

```python {cell="check"}
```

!!! exercise "1. Another seed"

    Is the result the same?

??? solution "Solution"

    ```python {cell="solution_one"}
    ```

## Sources { #sources }

{{ bibliography }}
""",
}

GLOSSARY = """\
en\tzh\tnever\tsearch_alias\tnote\tdefinition_en\tdefinition_zh
weight decay\t权重衰减\t权值衰减\t权值衰减\t\tshrinking by `decay`\t按 `decay` 缩小
batch normalization\t批归一化\t批量归一化,批标准化\t批量归一化\t\tby batch\t按批
batch normalization network\t批量归一化网络\t\t\t\tone with it\t含它的网络
learning rate\t学习率\t\t\t\ta factor\t系数
step (of a stair)\t级\t\t\t\tto climb\t攀登
"""

BIBLIOGRAPHY = """\
@inproceedings{krogh1991,
  author    = {Krogh, Anders and Hertz, John A.},
  title     = {A Simple Weight Decay Can Improve Generalization},
  booktitle = {Advances in Neural Information Processing Systems 4},
  year      = {1991},
  pages     = {950--957},
  url       = {https://papers.nips.cc/paper/1991},
}
"""

TRANSLATED_COMMENT = """
msgctxt "comment"
msgid "Ten points"
msgstr "十个点"
"""


def make_artefact(snippet: Snippet) -> Artefact:
    """The result of a run of `SNIPPET` that never took place."""
    printed = {"data": "points: 10\n", "solution_one": "solved\n"}
    svg = {language: f'<svg viewBox="0 0 9 9"><text>{language}</text></svg>' for language in ("zh", "en")}
    figures = {"fit": (Figure("fit", svg, width=90, height=60),)}
    return Artefact(
        snippet=snippet.name,
        key="key",
        cells=tuple(
            CellResult(cell.name, cell.code, printed.get(cell.name, ""), figures.get(cell.name, ()), 0.1)
            for cell in snippet.cells
        ),
        values={
            "points": 10,
            "loss": 0.123456789,
            "losses": [1.0, 0.5],
            "by_name": {"plain": 0.25, "decayed": 0.125},
            "fit": "the figure",
        },
        translations={},
        assertions=1,
        seconds=0.5,
        made_at="2026-01-01T00:00:00+00:00",
        machine="here",
        versions={"python": "3.11"},
    )


@dataclass
class Site:
    """A project with one section: a snippet, its page in both languages, a glossary and a bibliography."""

    project: Project
    write: Write

    @property
    def snippets(self) -> dict[str, Snippet]:
        return find(self.project)

    @property
    def artefacts(self) -> dict[str, Artefact]:
        return {name: make_artefact(snippet) for name, snippet in self.snippets.items() if snippet.stem == "decay"}

    @property
    def weaver(self) -> Weaver:
        return Weaver(self.project, self.snippets, self.artefacts)

    def weave(self, language: str = "en", **options: Any) -> str:
        return self.weaver.weave("tiny/decay", language, **options)

    def path(self, language: str) -> Path:
        return self.project.docs / "tiny" / f"decay.{language}.md"

    def edit(self, language: str, old: str, new: str) -> None:
        """Change a page, or both of them where `language` is `both`."""
        for one in ("zh", "en") if language == "both" else (language,):
            text = self.path(one).read_text(encoding="utf-8")
            assert old in text
            self.path(one).write_text(text.replace(old, new, 1), encoding="utf-8")

    def add(self, text: str) -> None:
        """Put text before the exercise of both pages."""
        self.edit("both", "!!! exercise", f"{text}\n\n!!! exercise")


@pytest.fixture
def site(project: Project, write: Write) -> Site:
    """A small project in which nothing is wrong, but that its section is short."""
    write("snippets/tiny/decay.py", SNIPPET)
    write("docs/tiny/decay.zh.md", PAGE["zh"])
    write("docs/tiny/decay.en.md", PAGE["en"])
    write("docs/reference/glossary.tsv", GLOSSARY)
    write("docs/reference/references.bib", BIBLIOGRAPHY)
    write("locale/zh.po", EMPTY_CATALOGUE + TRANSLATED_COMMENT)
    return Site(project, write)
