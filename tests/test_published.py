"""What is published is what is tested: every code block of every woven page runs, and prints what the page shows.

A block that is, to the byte, a cell whose result is valid and was made by a run on this machine has been executed by
that run. All others run here: those of results from elsewhere, and those that stand on a page itself.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest
from lxml import html

from reglab_site import docstrings, pages, run, snippet
from reglab_site.blocks import Block, bare, execute, extract, same_output
from reglab_site.content import address
from reglab_site.project import LANGUAGES, Project
from reglab_site.weave import Weaver

PROJECT = Project.find(Path(__file__).parent)
NAMES = [pair.name for pair in pages.find(PROJECT)]


@pytest.fixture(scope="session")
def weaver() -> Weaver:
    """All pages, with the results of all snippets, which are run now where they are stale."""
    return Weaver(PROJECT, snippet.find(PROJECT), run.run(PROJECT))


def namespaces(blocks: list[Block], weaver: Weaver) -> dict[str, list[Block]]:
    """The blocks by the snippet that they are a cell of; those of the page itself under an empty name."""
    cells = {cell.code: stem for stem, artefact in weaver.artefacts.items() for cell in artefact.cells}
    ordered = sorted(blocks, key=lambda block: cells.get(block.code, ""))
    return {stem: list(group) for stem, group in groupby(ordered, key=lambda block: cells.get(block.code, ""))}


def printed(stem: str, blocks: list[Block], weaver: Weaver) -> list[str]:
    """What the blocks print: as their run on this machine recorded it, or in a run of their own."""
    if stem and weaver.artefacts[stem].machine == run.machine():
        recorded = {cell.code: cell.stdout for cell in weaver.artefacts[stem].cells}
        return [recorded[block.code] for block in blocks]
    return execute([block.code for block in blocks], path=[PROJECT.src])


@pytest.mark.parametrize("name", NAMES)
def test_every_block_runs_and_prints_what_the_page_shows(name: str, weaver: Weaver) -> None:
    blocks, _ = extract(weaver.weave(name, "en"))
    for stem, group in namespaces(blocks, weaver).items():
        for block, actual in zip(group, printed(stem, group, weaver), strict=True):
            if block.output is not None:
                assert same_output(block.output, actual), f"{name}.en.md, block at line {block.line} of the woven page"


@pytest.mark.parametrize("name", NAMES)
def test_the_chinese_blocks_are_the_english_ones_up_to_comments(name: str, weaver: Weaver) -> None:
    english, _ = extract(weaver.weave(name, "en"))
    chinese, _ = extract(weaver.weave(name, "zh"))
    assert len(chinese) == len(english)
    for ours, theirs in zip(chinese, english, strict=True):
        assert bare(ours.code) == bare(theirs.code), f"{name}.zh.md, block at line {ours.line} of the woven page"
        assert ours.output == theirs.output


def classes(element: html.HtmlElement) -> set[str]:
    return set(element.get("class", "").split())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_no_code_block_of_the_site_is_missed(name: str, language: str, weaver: Weaver, site: Path) -> None:
    """Examples of docstrings are mkdocstrings' blocks, not the page's: tests/reglab/test_examples.py runs them."""
    woven = weaver.weave(name, language, figures="inline")
    _, fences = extract(woven)
    examples = sum(
        len(re.findall(r"^Example:$", shown.docstring.value, re.MULTILINE))
        for shown in docstrings.documented(weaver.library)
        if shown.docstring and "\n::: " in woven
    )
    page = html.fromstring((site / address(name, language) / "index.html").read_text(encoding="utf-8"))
    blocks = [element for element in page.iter("div") if "highlight" in classes(element)]
    shown = [element for element in blocks if "doc-signature" not in classes(element)]
    assert len(shown) == fences + examples
    assert sum("language-pycon" in classes(element) for element in shown) == examples


def test_a_result_from_another_machine_is_executed_again(weaver: Weaver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "machine", lambda: "another")
    artefact = min(weaver.artefacts.values(), key=lambda artefact: artefact.seconds)
    blocks = [Block(1, cell.code, cell.stdout) for cell in artefact.cells]
    outputs = printed(artefact.stem, blocks, weaver)
    assert all(same_output(cell.stdout, output) for cell, output in zip(artefact.cells, outputs, strict=True))
