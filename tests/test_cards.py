from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from feldspar import jsonl
from feldspar.recipe import Recipe, load
from feldspar.stages import cards
from feldspar.stages.work import Work as RunWork
from feldspar.text import printable
from feldspar.types import Document, Leaf, Message, Origin, Sample, Work

CORMORANTS = Work(
    "The cormorants", "https://orrin.example.org/wiki/Cormorants_(birds)", "", "CC-BY-SA-4.0", "Edda Corve"
)
LEAVES = (
    Leaf(
        "knowledge/orrin",
        "knowledge",
        "Orrin",
        (),
        (Document("orrin.md", "…", "CC-BY-SA-4.0"), Document("more.pdf", "…")),
        licence="CC-BY-SA-4.0",
        works=(CORMORANTS, Work("Tarn", revision="https://orrin.example.org/w?a=1&copy=2")),
        created_by="edda",
    ),
    Leaf("compositional_skills/verse", "compositional_skills", "Verse", (), licence="Apache-2.0"),
    Leaf(
        "compositional_skills/none",
        "compositional_skills",
        "None",
        (),
        licence="CC-BY-NC-4.0",
        works=(Work("Left out", creators="somebody"),),
    ),
)


def sample(leaf: str, licence: str, number: int) -> Sample:
    said = (Message("user", "?"), Message("assistant", "!"))
    return Sample(f"{leaf}#{number}", leaf, "knowledge", said, Origin("generated", "x", licence))


SAMPLES = [
    *(sample("knowledge/orrin", "CC-BY-SA-4.0", number) for number in range(3)),
    sample("compositional_skills/verse", "Apache-2.0", 1),
]


@dataclass(frozen=True)
class Page:
    """A card as it is shown."""

    front: dict[str, Any]
    tables: dict[str, list[list[str]]]
    """By the heading above them: rows of cells as HTML."""
    html: str


def shown(card: str) -> Page:
    _, front, body = card.split("---\n", 2)
    page = MarkdownIt("commonmark").enable("table").render(body)
    tables = {}
    for heading, table in re.findall(r"<h2>(.*?)</h2>(?:(?!<h2>).)*?<table>(.*?)</table>", page, re.DOTALL):
        rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        tables[heading] = [re.findall(r"<t[hd]>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return Page(yaml.safe_load(front), tables, page)


def test_the_dataset_card_says_what_the_samples_are_made_of() -> None:
    page = shown(cards.dataset_card(LEAVES, SAMPLES, "big (r2)"))
    assert page.front["license"] == ["apache-2.0", "cc-by-sa-4.0"]
    assert page.front["configs"] == [{"config_name": "default", "data_files": "accepted.jsonl"}]
    assert "lab" in page.front["tags"]
    assert "4 training conversations from 2 leaves" in page.html
    assert "big (r2)" in page.html
    assert page.tables["Licences"][1:] == [["Apache-2.0", "1"], ["CC-BY-SA-4.0", "3"]]
    assert page.tables["Leaves"][1:] == [
        ["knowledge/orrin", "knowledge", "CC-BY-SA-4.0", "edda", "3"],
        ["compositional_skills/verse", "compositional_skills", "Apache-2.0", "", "1"],
        ["compositional_skills/none", "compositional_skills", "CC-BY-NC-4.0", "", "0"],
    ]
    assert page.tables["Documents"][1:] == [
        ["knowledge/orrin", "orrin.md", "CC-BY-SA-4.0"],
        ["knowledge/orrin", "more.pdf", "CC-BY-SA-4.0"],
    ]
    first, second = page.tables["Attributions"][1:]
    assert first[1:] == [
        '<a href="https://orrin.example.org/wiki/Cormorants_(birds)">The cormorants</a>',
        "Edda Corve",
        "CC-BY-SA-4.0",
    ]
    assert second[1] == 'Tarn (<a href="https://orrin.example.org/w?a=1&amp;copy=2">revision</a>)'
    assert second[2:] == ["not said", "not said"]
    assert "Left out" not in page.html, "no sample is made of it"


def test_the_same_samples_give_the_same_card_in_any_order() -> None:
    cards_of = {cards.dataset_card(LEAVES, samples, "t") for samples in (SAMPLES, SAMPLES[::-1])}
    assert len(cards_of) == 1


@pytest.mark.parametrize(
    ("licences", "front"),
    [
        (["MIT"], "mit"),
        (["CC BY-SA 4.0", "CC-BY-SA-4.0"], "cc-by-sa-4.0"),
        (["CC-BY-4.0 AND MIT"], ["cc-by-4.0", "mit"]),
        (["GFDL-1.1-or-later"], "gfdl"),
        (["GPL-2.0-or-later", "LGPL-3.0-only"], ["gpl-2.0", "lgpl-3.0"]),
        (["ODbL-1.0"], "odbl"),
        (["MIT OR Apache-2.0"], "other"),
        (["MIT", "LicenseRef-Own"], "other"),
        (["MIT", ""], "other"),
        (["CC-BY-3.0-US"], "other"),
        ([], "other"),
    ],
)
def test_the_front_matter_names_licences_as_the_hub_does(licences: list[str], front: object) -> None:
    samples = [sample("knowledge/orrin", licence, number) for number, licence in enumerate(licences)]
    assert shown(cards.dataset_card(LEAVES, samples, "t")).front["license"] == front


def recipe(folder: Path, text: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return load(path)


def test_the_model_card(tmp_path: Path) -> None:
    settings = recipe(
        tmp_path,
        "teacher: {model: big, revision: r2}\nstudent: {model: owner/base-1b}\nphases: laptop\n"
        "foundational: [{path: own/f.jsonl, licence: CC BY 4.0}, {path: g.jsonl}]\n",
    )
    page = shown(cards.model_text("first lab", settings, LEAVES, {"kt1": 12}, {"f": "CC BY 4.0"}))
    assert page.front["base_model"] == "owner/base-1b"
    assert page.front["library_name"] == "transformers"
    assert "license" not in page.front, "the base model's is not known"
    assert "Tuned from owner/base-1b" in page.html
    assert "The teacher was big (r2)" in page.html
    assert [row[0] for row in page.tables["Phases"][1:]] == ["kt1", "kt2", "st"]
    assert page.tables["Phases"][1][3] == "12"
    assert page.tables["Licences"][3] == [
        "compositional_skills/none",
        "compositional_skills",
        "CC-BY-NC-4.0",
        "",
    ]
    assert len(page.tables["Attributions"]) == 4
    assert page.tables["Datasets"][1:] == [["f.jsonl", "CC-BY-4.0"], ["g.jsonl", "not said"]]
    assert str(tmp_path) not in page.html


def test_the_model_card_of_a_run(tmp_path: Path) -> None:
    settings = recipe(
        tmp_path,
        f"student: {{model: {tmp_path}/tuned}}\nphases: laptop\nfoundational: [{{path: owner/name}}]\n",
    )

    @dataclass(frozen=True)
    class Run:
        folder: Path
        recipe: Recipe

        @property
        def run(self) -> Run:
            return self

        def path(self, stage: str, name: str) -> Path:
            return self.folder / stage / name

    for phase in settings.phases:
        path = tmp_path / "3-phases" / f"{phase.name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}\n" * 7)
    # What nobody said in the recipe was found on the dataset's card.
    (tmp_path / "3-phases" / "phases.json").write_text(
        '{"datasets": [{"name": "owner/name", "licence": "MIT"}]}'
    )
    (tmp_path / "1-leaves").mkdir()
    jsonl.write(tmp_path / "1-leaves" / "leaves.jsonl", LEAVES)
    page = shown(cards.model_card(cast(RunWork, Run(tmp_path, settings))))
    assert page.tables["Phases"][1][3] == "7"
    assert "Tuned from tuned with" in page.html
    assert "base_model" not in page.front
    assert page.tables["Licences"][1][0] == "knowledge/orrin"
    assert page.tables["Datasets"][1:] == [["owner/name", "MIT"]]


WILD = st.text(
    st.sampled_from("abc |\\`*_[]()<>#~!&;:/.$@\"'\n\r\t\x1b\u2028\u202eé-+=1")
    | st.characters(codec="utf-8"),
    max_size=40,
)
ADDRESSES = (
    WILD | st.builds("https://x.example.org/{}".format, WILD) | st.builds("javascript:{}".format, WILD)
)


HOSTILE = "<b>|</td>|`x`|[a](https://b.example.org)|![](x)|&copy;|**b**|~~c~~|https://x.example.org www.x"


def text_of(cell: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", cell))


@settings(deadline=None)
@given(WILD, ADDRESSES, ADDRESSES, WILD)
@example(HOSTILE, f"https://x.example.org/{HOSTILE}", "javascript://x.example.org/%0aalert(1)", HOSTILE)
@example("a\nb\r\n\n# c", "https://x.example.org/a|b>c)d\\e", "https://x.example.org/?a&lt;b", "\\|\\\\|")
def test_what_strangers_write_is_text_and_nothing_else(
    title: str, address: str, revision: str, creators: str
) -> None:
    works = (Work(title, address, revision, creators, creators),)
    leaf = Leaf(title, "knowledge", "x", (), (Document(creators, ""),), works=works, created_by=creators)
    card = cards.dataset_card([leaf], [sample(title, creators, 1)], title)
    page = shown(card)
    flat = printable(" ".join(creators.split()))
    assert text_of(page.tables["Attributions"][1][2]) == (flat if creators else "not said")
    assert text_of(page.tables["Leaves"][1][3]) == flat
    assert text_of(page.tables["Attributions"][1][1]).startswith(printable(" ".join(title.split())))
    assert {len(row) for row in page.tables["Attributions"]} == {4}
    assert {len(row) for row in page.tables["Leaves"]} == {5}
    assert {len(table) for table in page.tables.values()} == {2}
    tags = set(re.findall(r"<(/?[a-z0-9]+)", page.html))
    plain = {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "code"}
    assert {tag.removeprefix("/") for tag in tags} <= plain | {"a"}
    assert page.html.count("<code>") == 6, "our own file names"
    for target in re.findall(r'<a href="([^"]*)"', page.html):
        assert target.startswith(("https://x.example.org/", "https://x.example.org")), target
    assert page.html.count("<a ") <= 2
    body = re.sub(r"\(<[^>]*>\)", "", card.split("---\n", 2)[2])
    assert not re.search(r"https?://|www\.", body), "GitHub would make a link of it"


def test_a_stranger_s_words_are_bounded() -> None:
    leaf = Leaf("knowledge/x", "knowledge", "x", (), created_by="w" * 1_000_000)
    assert len(cards.model_text("r", Recipe(), [leaf], {}, {})) < 4_000
    assert cards.cell("a\n b\x1b") == "a b\N{REPLACEMENT CHARACTER}"
    assert cards.link("", "https://x.example.org/" + "y" * 2_000).endswith("…")
    assert (
        cards.link("t", "https://good.example.org@evil.example.org/")
        == "t, https:&#47;/good.example.org@evil.example.org/"
    )
    assert cards.link("t", "javascript://x.example.org/%0aalert(1)").startswith("t, javascript:")
    assert cards.link("t", "https://[") == "t, https:&#47;/\\["
