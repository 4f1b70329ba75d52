from pathlib import Path
from typing import Any

import pytest

from reglab_site import bibliography
from reglab_site.bibliography import Work
from reglab_site.errors import SiteError, SiteErrors
from reglab_site.project import Project

REAL = Project(Path(__file__).parents[2])


def read(site: Any, text: str) -> dict[str, Work]:
    site.write("docs/reference/references.bib", text)
    return bibliography.read(site.project)


def one(site: Any, **fields: str) -> Work:
    defaults = {"author": "Krogh, Anders and Hertz, John A.", "title": "{A} Title", "year": "1991", "doi": "10.1/x"}
    text = ", ".join(f"{name}={{{value}}}" for name, value in (defaults | fields).items() if value)
    (work,) = read(site, f"@article{{key, {text}}}\n").values()
    return work


@pytest.mark.parametrize(
    ("authors", "en", "zh"),
    [
        ("Krogh, Anders", "Krogh, 1991", "Krogh，1991"),
        ("Krogh, A. and Hertz, J.", "Krogh & Hertz, 1991", "Krogh 与 Hertz，1991"),
        ("Krogh, A. and Hertz, J. and Palmer, R.", "Krogh et al., 1991", "Krogh 等，1991"),
        ("van der Maaten, Laurens", "van der Maaten, 1991", "van der Maaten，1991"),
        ("{The PyTorch team}", "The PyTorch team, 1991", "The PyTorch team，1991"),
    ],
)
def test_a_label_names_the_authors_and_the_year(site: Any, authors: str, en: str, zh: str) -> None:
    work = one(site, author=authors)
    assert (work.label("en"), work.label("zh")) == (en, zh)


def test_an_entry_is_written_in_the_manner_of_each_language(site: Any) -> None:
    work = one(site, journal="Neural Networks", volume="4", number="2", pages="1--9")
    link = "[doi:10.1/x](https://doi.org/10.1/x)"
    assert work.entry("en") == f"Krogh, A. & Hertz, J. A. (1991). A Title. *Neural Networks*, 4(2), 1–9. {link}"
    assert work.entry("zh", "b") == f"Krogh A，Hertz J A（1991b）。A Title。*Neural Networks*，4(2), 1–9。{link}"


def test_many_authors_are_cut(site: Any) -> None:
    work = one(site, author=" and ".join(f"Name{letter}, Jean-Luc" for letter in "ABCDEFG"))
    assert work.entry("en").startswith("NameA, J.-L., NameB, J.-L.,")
    assert "NameF, J.-L., et al. (1991)" in work.entry("en")
    assert "NameG" not in work.entry("en")
    assert "NameF J-L 等（1991）" in work.entry("zh")


@pytest.mark.parametrize(
    ("fields", "link", "url"),
    [
        ({"eprint": "1711.05101", "doi": ""}, "arXiv:1711.05101", "https://arxiv.org/abs/1711.05101"),
        ({"url": "https://a.org/b/c.html", "doi": ""}, "a.org", "https://a.org/b/c.html"),
        ({"eprint": "1711.05101"}, "doi:10.1/x", "https://doi.org/10.1/x"),
    ],
)
def test_an_entry_leads_to_the_work(site: Any, fields: dict[str, str], link: str, url: str) -> None:
    work = one(site, **fields)
    assert (work.link, work.url) == (link, url)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"title": ""}, "key: no title"),
        ({"year": ""}, "key: no year"),
        ({"author": ""}, "key: no author"),
        ({"doi": ""}, "key: nothing that leads to it"),
    ],
)
def test_what_an_entry_lacks_is_named(site: Any, fields: dict[str, str], message: str) -> None:
    with pytest.raises(SiteError) as caught:
        one(site, **fields)
    assert (caught.value.message, caught.value.line) == (message, 1)


def test_everything_lacking_is_reported_together_with_its_line(site: Any) -> None:
    with pytest.raises(SiteErrors) as caught:
        read(site, "@misc{one, title={x}}\n\n@misc{two, title={x}}\n")
    assert [error.line for error in caught.value.errors] == [1, 3]


def test_text_that_is_no_bibtex_is_an_error_with_its_line(site: Any) -> None:
    with pytest.raises(SiteError) as caught:
        read(site, "@misc{one,\n  title = {x}\n  year = {1991},\n}\n")
    assert (caught.value.message[:10], caught.value.line) == ("not BibTeX", 3)


def test_a_key_given_twice_is_an_error(site: Any) -> None:
    entry = "@misc{one, author={A, B}, title={x}, year={1991}, doi={1}}\n"
    with pytest.raises(SiteError, match="one"):
        read(site, entry + entry)


def test_works_of_one_label_get_letters(site: Any) -> None:
    first, second = one(site, author="He, K."), one(site, author="He, Q.")
    works = [first, Work(**(vars(second) | {"key": "other"})), Work(**(vars(one(site)) | {"key": "third"}))]
    assert bibliography.suffixes(works) == {"key": "a", "other": "b", "third": ""}


def test_the_works_of_this_site_can_be_shown_in_both_languages() -> None:
    works = bibliography.read(REAL)
    assert works["srivastava2014"].label("zh") == "Srivastava 等，2014"
    assert all(work.url.startswith("https://") and work.entry("zh") != work.entry("en") for work in works.values())
