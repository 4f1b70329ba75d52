from typing import Any

import pytest

from reglab_site import errata
from reglab_site.errors import SiteError, SiteErrors

ENTRY = """\
- id: one
  source: "003"
  kind: wrong
  section: tiny/decay
  check: decay:check
  claim: loss-is-small
  said: {zh: 说过, en: said}
  true:
    zh: 实际
    en: true
"""


def read(site: Any, text: str) -> list[errata.Entry]:
    site.write("docs/reference/errata/tiny.yml", text)
    return errata.read(site.project, site.snippets)


def test_an_entry_knows_what_was_said_what_is_true_and_who_proves_it(site: Any) -> None:
    (entry,) = read(site, ENTRY)
    assert (entry.id, entry.sources, entry.kind, entry.section) == ("one", ("003",), "wrong", "tiny/decay")
    assert (entry.snippet, entry.cell, entry.claim, entry.line) == ("decay", "check", "loss-is-small", 1)
    assert entry.said["zh"] == errata.Sentence("说过", 7)
    assert entry.true["en"] == errata.Sentence("true", 10)


def test_a_source_needs_no_quotation_marks(site: Any) -> None:
    assert read(site, ENTRY.replace('"003"', "003"))[0].sources == ("003",)


def test_several_posts_may_have_said_it_and_the_claim_may_be_left_out(site: Any) -> None:
    text = ENTRY.replace('"003"', '["000", "003"]').replace("  claim: loss-is-small\n", "")
    (entry,) = read(site, text)
    assert (entry.sources, entry.claim) == (("000", "003"), None)


@pytest.mark.parametrize(
    ("old", "new", "message", "line", "hint"),
    [
        ("kind:", "kynd:", "unknown field 'kynd'", 3, "did you mean 'kind'?"),
        ("  kind: wrong\n", "", "no 'kind'", 1, "add it"),
        ("kind: wrong", "kind: wrong\n  kind: bug", "'kind' is given twice", 4, ""),
        ("kind: wrong", "kind: wrongg", "unknown kind 'wrongg'", 3, "did you mean 'wrong'?"),
        ('"003"', '"005"', "unknown source '005'", 2, "did you mean"),
        ('"003"', '["003", "013"]', "unknown source '013'", 2, "did you mean"),
        ("id: one", "id: One", "'One' is no id", 1, "lower-case"),
        ("tiny/decay", "tiny/decai", "there is no section 'tiny/decai'", 4, "did you mean 'tiny/decay'?"),
        ("decay:check", "decai:check", "there is no snippet 'decai'", 5, "did you mean 'decay'?"),
        ("decay:check", "decay:chek", "decay has no check cell 'chek'", 5, "did you mean 'check'?"),
        ("decay:check", "decay:data", "decay has no check cell 'data'", 5, "check"),
        ("decay:check", "check", "there is no snippet ''", 5, "write snippet:cell"),
        (
            "loss-is-small",
            "loss-is-smol",
            "decay:check has no claim 'loss-is-smol'",
            6,
            "did you mean 'loss-is-small'?",
        ),
        ("{zh: 说过, en: said}", "{zh: 说过}", "no 'en'", 7, "add it"),
        ("en: true", 'en: ""', "no text", 10, "write one sentence"),
        ("zh: 实际", "zh: 实|际", "a bar or a line break", 9, "vert"),
        ("{zh: 说过, en: said}", "{zh: 说过, en: said", "not YAML", 8, ""),
        ("- id: one", "- one\n- id: one", "no mapping", 1, "write id"),
    ],
)
def test_what_is_wrong_in_an_entry_is_named_with_its_line(
    site: Any, old: str, new: str, message: str, line: int, hint: str
) -> None:
    text = ENTRY.replace(old, new, 1)
    with pytest.raises(SiteError) as caught:
        read(site, text)
    assert message in caught.value.message
    assert caught.value.line == line
    assert hint in (caught.value.hint or "")


def test_an_entry_stands_in_the_file_of_its_chapter(site: Any) -> None:
    site.write("docs/reference/errata/other.yml", ENTRY)
    with pytest.raises(SiteError) as caught:
        errata.read(site.project, site.snippets)
    assert caught.value.hint == "move the entry to tiny.yml"


def test_ids_are_unique_and_everything_wrong_is_reported_together(site: Any) -> None:
    with pytest.raises(SiteErrors) as caught:
        read(site, ENTRY + ENTRY + ENTRY.replace("wrong", "odd"))
    assert [error.message for error in caught.value.errors] == [
        "unknown kind 'odd'",
        "two entries have the id 'one' (the first: tiny.yml, line 1)",
    ]


def test_a_file_may_be_empty_but_must_hold_a_list(site: Any) -> None:
    assert read(site, "# nothing yet\n") == []
    with pytest.raises(SiteError, match="no list of entries"):
        read(site, "id: one\n")


def test_every_source_and_kind_is_named_in_both_languages() -> None:
    for names in (*errata.SOURCES.values(), *errata.KINDS.values()):
        assert set(names) == {"zh", "en"}
    assert sorted(errata.SOURCES) == ["000", "001", "002", "003", "004"]
