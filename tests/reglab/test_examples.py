"""The examples that the library's reference shows."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

from reglab_site import docstrings

SRC = Path(__file__).parents[2] / "src"
LIBRARY = docstrings.library(SRC)
DEFINING = sorted({shown.module.path for shown in docstrings.documented(LIBRARY) if not shown.is_module})
CALLED = [
    shown
    for shown in docstrings.documented(LIBRARY)
    if (shown.is_function or (shown.is_class and "Error" not in shown.name))
    and shown.parent is not None
    and shown.parent.is_module
]


@pytest.mark.parametrize("shown", CALLED, ids=lambda shown: str(shown.path))
def test_every_public_function_and_class_has_an_example(shown: docstrings.griffe.Object) -> None:
    assert shown.docstring is not None
    assert re.search(r"Example:\s+>>> ", shown.docstring.value)


@pytest.mark.parametrize("name", DEFINING)
def test_the_examples_hold(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0
