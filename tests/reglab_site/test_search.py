from __future__ import annotations

import json
from pathlib import Path

import pytest

from reglab_site import search
from reglab_site.glossary import Glossary, read
from reglab_site.project import Project

GLOSSARY = """\
en\tzh\tnever\tsearch_alias\tnote\tdefinition_en\tdefinition_zh
normalization\t归一化\t规范化\t规范化\tthe family of layers
batch normalization\t批归一化\t\t批标准化,批量归一化\t
weight decay\t权重衰减\t\t权值衰减\t
training mode / evaluation mode\t训练模式 / 评估模式\t\t\t
"""


@pytest.fixture
def glossary(project: Project) -> Glossary:
    file = project.docs / "reference" / "glossary.tsv"
    file.parent.mkdir()
    file.write_text(GLOSSARY, encoding="utf-8")
    glossary = read(project)
    search.teach(glossary)
    return glossary


def test_jieba_learns_to_keep_terms_in_one_piece(glossary: Glossary) -> None:
    assert list(search.jieba.cut("卷积层后面的批归一化有什么用"))[-4:] == ["批归一化", "有", "什么", "用"]


def test_a_section_is_found_by_parts_and_aliases_of_its_terms(glossary: Glossary) -> None:
    found = search.words("<p>\u200b批归一化\u200b的\u200b用法</p>", glossary)
    assert found.split() == ["归一化", "批标准化", "批量归一化", "规范化"]


def test_text_without_terms_needs_no_further_words(glossary: Glossary) -> None:
    assert search.words("<p>\u200b画图\u200b</p>", glossary) == ""


def test_the_index_is_split_by_language(tmp_path: Path, glossary: Glossary) -> None:
    site = tmp_path / "site"
    (site / "search").mkdir(parents=True)
    docs = [
        {"location": "", "title": "首页", "text": ""},
        {"location": "regularization/weight_decay/#idea", "title": "权重衰减", "text": "<p>想法</p>"},
        {"location": "en/", "title": "Home", "text": ""},
        {"location": "en/regularization/weight_decay/", "title": "Weight decay", "text": "<p>energy</p>"},
    ]
    index = {"config": {"lang": ["en"]}, "docs": docs}
    (site / "search" / "search_index.json").write_text(json.dumps(index), encoding="utf-8")

    search.write(site, glossary)

    chinese = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    english = json.loads((site / "en" / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert [entry["location"] for entry in chinese["docs"]] == ["", "regularization/weight_decay/#idea"]
    assert [entry["location"] for entry in english["docs"]] == ["", "regularization/weight_decay/"]
    assert chinese["docs"][1]["words"] == "权值衰减"
    assert chinese["config"] == english["config"] == {"lang": ["en"]}
