from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.story import LETTERS, ORRIN, draft, full

from feldspar.report import ReportData, render
from feldspar.report.bars import funnel
from feldspar.report.curves import _ticks, phases
from feldspar.report.stories import spread
from feldspar.report.style import CSS
from feldspar.types import Answer, Checkpoint, Question, Score, Verdict

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\x00"
VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Holds what a browser would see, and fails on tags that do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self.open else ""


def test_page_is_well_formed_and_tells_the_numbers() -> None:
    page = Reader(render(full()))
    for told in (
        "2 knowledge leaves and 1 skill, taught with 90 generated samples.",
        "75 % of 28 held-out questions, the base model to 40 %: +35 ± 9 points",
        "A clear gain.",
        "rose by 2.5 %",
        "+1.56 ± 0.21",
        "−3.46 ± 0.20",
        "135 drawn, 90 accepted, 45 rejected",
        "Nothing was accepted: this leaf teaches nothing.",
        "skipped: no data",
        "6.5e−6",
        "345,678",
        "model: embedded",
        "The judge is at chance",
        "20 of 90 generated samples",
        "10 of 45 rejected drafts",
        "Nobody knows q#0.",
        "orrin.md, characters 100 to",
    ):
        assert told in page.text, told


def test_sections_stand_in_order_and_are_labelled() -> None:
    tags = Reader(render(full())).tags
    found = [attrs["id"] for tag, attrs in tags if tag == "section"]
    assert found == [
        "scores", "retention", "funnel", "phases", "samples", "answers", "rejected", "costs", "recipe",
    ]  # fmt: skip
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert all(attrs["aria-labelledby"] in ids for tag, attrs in tags if tag == "section")
    for tag, attrs in tags:
        if tag == "svg":
            assert attrs.get("aria-label") or attrs.get("aria-hidden") == "true"


def test_nothing_is_fetched_and_nothing_can_run() -> None:
    page = render(full())
    reader = Reader(page)
    assert not {"script", "link", "img", "iframe", "object", "embed"} & {tag for tag, _ in reader.tags}
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert not any(name in ("src", "href", "style") for _, attrs in reader.tags for name in attrs)
    policy = next(attrs["content"] for _, attrs in reader.tags if "http-equiv" in attrs)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert policy is not None
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def evil(text: str) -> ReportData:
    """A run in which every text is `text`."""
    one = draft(ORRIN, 1)
    passage = one.passage
    assert passage is not None
    poisoned = replace(
        one,
        id=text,
        leaf=text,
        instruction=text,
        context=text,
        response=text,
        passage=replace(passage, document=text, heading=(text,), text=text),
        verdicts=(Verdict(text, True, 1.0, text),),
    )
    whole = full()
    phase = whole.phases[0]
    return ReportData(
        title=text,
        leaves=(replace(whole.leaves[0], path=text, task=text),),
        accepted=(poisoned,),
        rejected=(replace(poisoned, rejected=text),),
        phases=(replace(phase, phase=replace(phase.phase, name=text), skipped=text),),
        checkpoints=(Checkpoint(text, 1, 1, text, 0.5, 0.1, True, (1.0,)),),
        scores=(Score(text, text, 0, 1, 1, 0.1, 2),),
        questions=(Question(text, text, text, text, context=text),),
        base=(Answer(text, text, 0, -1, 1, None, text),),
        tuned=(Answer(text, text, 0, -1, 1, None, text),),
        costs={text: text, "nested": {text: [text]}},
        recipe=text,
        notes=(text,),
    )


def test_every_text_is_escaped() -> None:
    page = render(evil(EVIL))
    tags = {tag for tag, _ in Reader(page).tags}
    assert "script" not in tags
    assert "img" not in tags
    assert "\x00" not in page
    assert page.count("&lt;script&gt;") > 15


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_any_text_gives_a_well_formed_page(text: str) -> None:
    plain = {tag for tag, _ in Reader(render(evil("x"))).tags}
    assert {tag for tag, _ in Reader(render(evil(text))).tags} <= plain | {"details", "summary", "pre"}


def test_empty_run_says_what_is_missing() -> None:
    page = Reader(render(ReportData("nothing yet")))
    for told in ("not been compared", "Nothing has been drawn", "Nothing has been trained", "no samples"):
        assert told in page.text


def test_same_data_same_bytes() -> None:
    assert render(full()) == render(full())


def test_no_clear_difference_is_not_called_a_gain() -> None:
    near = Score("choice", "all", 0.5, 0.6, 0.1, 0.06, 20)
    text = Reader(render(ReportData("t", scores=(near,)))).text
    assert "no clear difference" in text
    assert "A clear gain" not in text


def test_bars_are_drawn_to_scale() -> None:
    tags = Reader(funnel(full())).tags
    widths = [float(a["width"] or 0) for tag, a in tags if tag == "rect" and a.get("height") == "14"]
    assert widths[0] == pytest.approx(1000 * 60 / 90 - 2, abs=0.1)
    assert all(0 < width <= 1000 for width in widths)


def test_curves_survive_odd_numbers() -> None:
    odd = (
        Checkpoint("p", 1, 1, "a", float("nan"), None, False, (float("inf"),)),
        Checkpoint("p", 2, 1, "b", -1.0, 0.0, True, (2.0,)),
    )
    drawn = phases(ReportData("t", checkpoints=odd))
    assert "nan" not in re.sub(r"<title>.*?</title>", "", drawn)
    assert "<polyline" in drawn
    assert phases(ReportData("t", checkpoints=(Checkpoint("p", 0, 0, "a"),)))


@pytest.mark.parametrize("span", [0.0, 0.1, 0.79, 0.85, 0.99, 1.0, 8.5, 9.999, 10.0, 85.0, 3e7])
def test_a_few_round_ticks_cover_any_range(span: float) -> None:
    ticks = _ticks(0.3, 0.3 + span)
    assert 2 <= len(ticks) <= 6
    assert ticks[0] <= 0.3
    assert ticks[-1] >= 0.3 + span - 1e-9 * max(1.0, span)


@pytest.mark.parametrize("span", [0.0, 0.3, 1.0, 1.6, 3.9, 7.9, 8.1, 9.99, 10.0, 2e-7])
def test_every_range_of_losses_can_be_drawn(span: float) -> None:
    checkpoint = Checkpoint("p", 2, 1, "a", None, None, True, (4.0 + span, 4.0))
    assert "<polyline" in phases(ReportData("t", checkpoints=(checkpoint,)))


def test_samples_are_spread_over_the_leaves_and_always_the_same() -> None:
    drafts = [draft(ORRIN, k) for k in range(1, 50)] + [draft(LETTERS, k) for k in range(1, 4)]
    chosen = spread(drafts, 20)
    assert len(chosen) == 20
    assert sum(one.leaf == LETTERS for one in chosen) == 3
    assert chosen == spread(list(reversed(drafts)), 20)
    assert len(spread(drafts[:2], 20)) == 2


def test_headline_tells_recall_too() -> None:
    score = Score("recall", "all", 0.05, 0.51, 0.46, 0.09, 26)
    text = Reader(render(ReportData("t", scores=(score,)))).text
    assert "recalls 51 % of the key facts, the base model 5 %: +46 ± 9 points" in text


def light(colour: str) -> float:
    """Relative luminance, 0 to 1, as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_have_contrast_in_light_and_dark() -> None:
    schemes = [dict(re.findall(r"--(\w+): #(\w{6});", block)) for block in CSS.split(":root")[1:3]]
    assert len(schemes) == 2
    for scheme in schemes:
        for name, colour in scheme.items():
            if name in ("ground", "raised", "line"):
                continue
            pale, dark = sorted((light(colour), light(scheme["ground"])), reverse=True)
            least = 4.5 if name in ("ink", "quiet", "accent", "held", "bad") else 3.0
            assert (pale + 0.05) / (dark + 0.05) >= least, (name, colour)
