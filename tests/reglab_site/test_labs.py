from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from reglab_site import labs
from reglab_site.artefact import Artefact, CellResult, Figure
from reglab_site.labs import Lab

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><path d="M0 0L9 9"/></svg>'
FIT = Figure("fit", {"zh": SVG, "en": SVG}, 10, 10)
CELLS = (
    CellResult("data", "numbers = range(3)\nlast = numbers[-1]  # the last (1)!\nprint(last)", "2\n", (), 0.1),
    CellResult("fit", "total = sum(numbers)  # (2)!", "", (FIT,), 0.1),
    CellResult("check", "assert total == 3", "", (), 0.1),
)
RUN = Artefact("basics/adding", "key", CELLS, {}, {}, 1, 0.2, "2026-01-01T00:00:00+00:00", "m", {"python": "3.11.7"})
INTRODUCTION = "Why $1 + 1$ is [two](../basics/two.md), as [they say](https://example.org/sums)."


def make(language: str = "en", repository: str = "") -> Lab:
    return labs.make(
        RUN,
        language=language,
        title="Adding",
        introduction=INTRODUCTION,
        page="basics/adding",
        repository=repository,
        localize=lambda cell: cell.code,
        describe=lambda figure: f"the <{figure.name}>",
    )


def sources(lab: Lab) -> list[str]:
    return [cell["source"] for cell in lab.notebook["cells"]]


def test_the_notebook_opens_with_title_and_introduction_of_its_page() -> None:
    opening = sources(make())[0]
    assert opening == "# Adding\n\nWhy $1 + 1$ is two, as [they say](https://example.org/sums)."


@pytest.mark.parametrize(
    ("repository", "command"),
    [("https://example.org/reglab", "pip install git+https://example.org/reglab"), ("", "pip install -e .")],
)
def test_it_says_how_to_run_it_alone(repository: str, command: str) -> None:
    assert f"`{command}`" in sources(make(repository=repository))[1]


def test_code_has_no_marks_of_annotations() -> None:
    assert sources(make())[2] == "numbers = range(3)\nlast = numbers[-1]  # the last\nprint(last)"
    assert sources(make())[3] == "total = sum(numbers)"


def test_outputs_are_those_of_the_run() -> None:
    cells = make().notebook["cells"]
    assert cells[2]["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "2\n"}]
    svg = cells[3]["outputs"][0]["data"]["image/svg+xml"]
    assert svg == SVG.replace("<svg ", '<svg role="img" aria-label="the &lt;fit&gt;" ')


def test_it_is_a_valid_notebook_and_the_same_bytes_each_time() -> None:
    text = labs.to_json(make().notebook)
    assert text == labs.to_json(make().notebook)
    nbformat.validate(nbformat.reads(text, as_version=4))
    assert [cell["id"] for cell in json.loads(text)["cells"]][2:] == ["cell-data", "cell-fit", "cell-check"]


def test_it_runs_alone(tmp_path: Path) -> None:
    code = "\n\n".join(cell["source"] for cell in make().notebook["cells"] if cell["cell_type"] == "code")
    program = tmp_path / "notebook.py"
    program.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "2\n"


def test_the_copy_for_the_site_has_mathml_and_the_download_latex() -> None:
    lab = make()
    assert "$1 + 1$" in labs.to_json(lab.notebook)
    assert "<math" in labs.rendering(lab)
    assert "$1" not in labs.rendering(lab)


@pytest.mark.parametrize(("language", "root"), [("zh", ""), ("en", "en/")])
def test_page_and_notebook_lead_to_each_other(language: str, root: str) -> None:
    lab = make(language)
    assert lab.url == f"{root}labs/adding/"
    up = "../../" if language == "zh" else "../../../"
    assert 'href="../../labs/adding/"' in labs.page_links(lab, lab.page_url)
    assert f'href="{up}labs/adding.{language}.ipynb" download' in labs.page_links(lab, lab.page_url)
    assert 'href="../../basics/adding/"' in labs.lab_links(lab)


def test_links_stand_below_the_title() -> None:
    assert labs.below_title("<h1>A</h1><p>b</p>", "<p>bar</p>") == "<h1>A</h1><p>bar</p><p>b</p>"
    assert labs.below_title("<p>b</p>", "<p>bar</p>") == "<p>bar</p><p>b</p>"


RENDERED = """\
<h1 id="">Adding<a class="anchor-link" href="#">¶</a></h1>
<div class="highlight-ipynb hl-python"><pre><span></span><span class="n">x</span>
</pre></div>
<div class="clipboard-copy-txt" id="cell-1">x</div>

        <style>
        [".highlight-ipynb {}"]
        </style>
        """


def test_what_mkdocs_jupyter_renders_gets_the_markup_of_this_site() -> None:
    assert labs.tidy(RENDERED) == (
        "<h1>Adding</h1>\n"
        '<div class="language-python highlight"><pre><span></span><code><span class="n">x</span>\n</code></pre></div>\n'
    )
