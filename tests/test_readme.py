"""The picture in the README is what the project draws."""

from pathlib import Path

import pytest
from lxml import etree

from reglab_site import run
from reglab_site.project import LANGUAGES, Project
from reglab_site.weave import standalone

PROJECT = Project.find(Path(__file__).parent)


def shape(svg: str) -> list[tuple[str, str]]:
    """The elements and texts of a drawing; where its curves run depends a little on the machine."""
    return [(str(element.tag), element.text or "") for element in etree.fromstring(svg).iter("{*}*")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_picture_is_that_of_the_weight_decay_page(language: str) -> None:
    (artefact,) = run.run(PROJECT, ["weight_decay"]).values()
    committed = (PROJECT.root / ".github" / f"picture.{language}.svg").read_text(encoding="utf-8")
    assert shape(committed) == shape(standalone(artefact.figures["fit"], language)), "draw it anew with `make picture`"
