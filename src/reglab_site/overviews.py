"""What is listed over the whole site: the glossary, all works cited, all runs, and the numbers of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from reglab_site import errata, items
from reglab_site.artefact import Value
from reglab_site.errors import SiteError
from reglab_site.glossary import Glossary, anchor
from reglab_site.project import LANGUAGES

if TYPE_CHECKING:
    from reglab_site.weave import Weaver

Link = Callable[[str], str]

WORDS = {
    "zh": {
        "terms": "术语 | English | 含义",
        "runs": "实验 | 断言 | 用时 | 运行于",
        "seconds": "{:.1f} 秒",
        "cited": "引用于",
        "between": "、",
        "source": "来源",
        "kind": "类型",
        "all": "全部",
        "shown": "显示 {} 条",
    },
    "en": {
        "terms": "Term | 中文 | Meaning",
        "runs": "Experiment | Assertions | Time | Run on",
        "seconds": "{:.1f} s",
        "cited": "cited in",
        "between": ", ",
        "source": "Source",
        "kind": "Kind",
        "all": "all",
        "shown": "{} entries shown",
    },
}


def totals(weaver: Weaver) -> dict[str, Value]:
    """The numbers that pages quote as `{{ site.NAME }}`: of everything that this build rests on."""
    runs = weaver.artefacts.values()
    versions = {name: version for run in runs for name, version in run.versions.items()}
    return {
        "experiments": len(runs),
        "assertions": sum(run.assertions for run in runs),
        "claims": sum(len(weaver.snippets[run.stem].claims) for run in runs),
        "figures": sum(len(run.figures) for run in runs),
        "seconds": sum(run.seconds for run in runs),
        "errata": len(weaver.errata),
        "works": len(weaver.works),
        **versions,
    }


def glossary(terms: Glossary, language: str) -> str:
    """All terms as a table, each with an id for links."""
    rows = [f"| {WORDS[language]['terms']} |", "|---|---|---|"]
    for term in terms.terms:
        if not term.definition[language]:
            hint = "write one line in English and one in Chinese into the last two columns"
            raise SiteError(
                f"{term.shown_en!r} is not defined in {language}", file=terms.path, line=term.line, hint=hint
            )
        english, chinese = term.shown_en, term.shown_zh
        first, second = (chinese, english) if language == "zh" else (english, f'<span lang="zh">{chinese}</span>')
        mark = f'<span class="rl-row" id="{anchor(term)}"></span>'
        rows.append(f"| {mark}{_cell(first)} | {_cell(second)} | {_cell(term.definition[language])} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    """Markdown for a cell of a table: a bar would end it, but for those of formulas and code."""
    return re.sub(r"\$[^$]+\$|`[^`]+`|\|", lambda found: r"\|" if found[0] == "|" else found[0], text)


def runs(weaver: Weaver, language: str, link: Link) -> str:
    """All snippets with what their recorded run took, so that a build that runs nothing shows the same."""
    words = WORDS[language]
    rows = [f"| {words['runs']} |", "|---|---|---|---|"]
    for run in sorted(weaver.artefacts.values(), key=lambda run: run.snippet):
        page = next(
            (page for cell in run.cells if (page := weaver.quoting_page(run.stem, cell.name, run.snippet))), None
        )
        title = f"[{weaver.title(page, language)}]({link(page)})" if page else f"`{run.snippet}`"
        rows.append(f"| {title} | {run.assertions} | {words['seconds'].format(run.seconds)} | {run.made_at[:10]} |")
    return "\n".join(rows)


def works(weaver: Weaver, language: str, link: Link) -> str:
    """All works of the bibliography in the order of a reference list, each with the pages that cite it."""
    if not weaver.works:
        raise SiteError("the bibliography is empty", hint="add works to docs/reference/references.bib")
    cited: dict[str, list[str]] = {}
    for name in weaver.pairs:
        keys = {
            key
            for item in weaver.page(name, LANGUAGES[0]).items
            if isinstance(item, items.Citation)
            for key in item.keys
        }
        for key in keys:
            cited.setdefault(key, []).append(name)
    words = WORDS[language]
    ordered = sorted(weaver.works.values(), key=lambda work: (work.label("en").casefold(), work.year, work.key))
    lines = []
    for work in ordered:
        links = words["between"].join(
            f"[{weaver.title(name, language)}]({link(name)})" for name in cited.get(work.key, ())
        )
        note = f"（{words['cited']}{links}）" if language == "zh" else f" ({words['cited']} {links})"
        lines.append(f"- {work.entry(language)}{note if links else ''}\n  {{ #ref-{work.key} }}")
    return "\n".join(lines)


def errata_filter(weaver: Weaver, language: str) -> str:
    """Two menus above the table of errata, hidden until a script makes them work."""
    words = WORDS[language]
    sources = {key: names[language] for key, names in errata.SOURCES.items()}
    kinds = {key: names[language] for key, names in errata.KINDS.items()}
    menus = []
    for name, options, counted in (
        ("source", sources, [source for entry in weaver.errata for source in entry.sources]),
        ("kind", kinds, [entry.kind for entry in weaver.errata]),
    ):
        choices = f'<option value="">{words["all"]}</option>' + "".join(
            f'<option value="{key}">{escape(text)} · {counted.count(key)}</option>' for key, text in options.items()
        )
        menus.append(f'<label>{words[name]} <select name="{name}">{choices}</select></label>')
    shown = f'<output data-text="{words["shown"]}"></output>'
    return f'<form class="rl-filter" hidden>{"".join(menus)}{shown}</form>'
