"""What answers stand on, without a judge: facts, words, and the sentences that hold them."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar import jsonl
from feldspar.facts import ENGLISH, content_words
from feldspar.generate.checks import Flaw
from feldspar.generate.grounding import grounded, support
from feldspar.generate.language import lexicon
from feldspar.generate.pack import Grounding
from feldspar.text import sentences
from feldspar.types import Draft, Passage, Verdict

PASSAGE = "Quarl is 41 metres deep. Captain Imra Holt sails the Sandpiper from Dunn in April."
BEFORE = "# Lakes\n\nMany lakes lie in Vesmar.\n\n"
DOCUMENT = (
    f"{BEFORE}Quarl is a lake in the north. It is 41 metres deep. The ferry Sandpiper crosses it in two "
    "hours, from Dunn to Harlow.\n\nFishermen catch silver perch from April on. The village of Dunn lies "
    "on its shore."
)


def passage(document: str = DOCUMENT, start: int = len(BEFORE)) -> Passage:
    return Passage("lakes.md", ("Lakes",), document[start:], start, len(document))


def spans(answer: str, language: str = "English", of: Passage | None = None) -> list[str]:
    of = of or passage()
    found = support(answer, of, lexicon(language))
    assert all(of.start <= span.start < span.end <= of.end for span in found.spans)
    return [of.text[span.start - of.start : span.end - of.start] for span in found.spans]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The lake Quarl is 41 metres deep.", ["Quarl is a lake in the north. It is 41 metres deep."]),
        ("They catch silver perch from April on.", ["Fishermen catch silver perch from April on."]),
        (
            "The Sandpiper takes two hours; silver perch are caught from April on.",
            [
                "The ferry Sandpiper crosses it in two hours, from Dunn to Harlow.",
                "Fishermen catch silver perch from April on.",
            ],
        ),
        # One common word more is chance.
        ("They catch silver perch on its shore.", ["Fishermen catch silver perch from April on."]),
        # Dunn stands in two sentences: the earliest of equals.
        ("Dunn.", ["The ferry Sandpiper crosses it in two hours, from Dunn to Harlow."]),
        ("Nothing whatsoever about volcanoes.", []),
        ("", []),
    ],
)
def test_the_sentences_that_an_answer_stands_on(answer: str, expected: list[str]) -> None:
    assert spans(answer) == expected


def test_spans_are_places_in_the_document() -> None:
    found = support("It is 41 metres deep.", passage())
    assert [DOCUMENT[span.start : span.end] for span in found.spans] == ["It is 41 metres deep."]


def test_what_supports_a_draft_is_kept_with_it() -> None:
    found = support("Fishermen catch silver perch.", passage())
    draft = Draft("k#1", "k", 1, passage=passage(), support=found.spans)
    (kept,) = jsonl.from_json(Draft, json.loads(jsonl.line(draft))).support
    assert DOCUMENT[kept.start : kept.end] == "Fishermen catch silver perch from April on."


def test_what_nothing_supports_is_named_as_it_is_spelled() -> None:
    found = support("Quarl gleams under Golden sunshine, 57 metres deep.", passage())
    assert found.lacking == ("gleams", "Golden", "sunshine", "57")
    assert support(
        "昂德里岛很小。", Passage("a", (), "昂德里岛位于北海。", 0, 9), lexicon("Chinese")
    ).lacking == ("岛很小",)


@pytest.mark.parametrize(
    ("language", "text", "answer", "expected"),
    [
        (
            "German",
            "Der See liegt im Norden. Er ist 41 Meter tief. Die Fähre braucht zwei Stunden.",
            "Die Überfahrt mit den Fähren dauert 2 Stunden.",
            "Die Fähre braucht zwei Stunden.",
        ),
        ("Chinese", "湖在北方。湖深41米。渡船需要两个小时。", "渡船要两个小时。", "渡船需要两个小时。"),
        (
            "Japanese",
            "湖は北にあります。深さは41メートルです。",
            "湖の深さは41メートル。",
            "深さは41メートルです。",
        ),
        (
            "Arabic",
            "تقع البحيرة في الشمال. يبلغ عمقها ٤١ مترا. تستغرق العبارة ساعتين.",
            "عمقها 41 مترا.",
            "يبلغ عمقها ٤١ مترا.",
        ),
    ],
)
def test_support_in_other_languages(language: str, text: str, answer: str, expected: str) -> None:
    assert spans(answer, language, Passage("a.md", (), text, 0, len(text))) == [expected]


@given(st.text(max_size=120), st.text(max_size=200))
def test_support_lies_in_the_passage_and_holds_what_it_says(answer: str, text: str) -> None:
    of = Passage("a.md", (), text, 7, 7 + len(text))
    found = support(answer, of)
    places = [(span.start, span.end) for span in found.spans]
    assert places == sorted(places)
    assert all(7 <= start < end <= 7 + len(text) for start, end in places)
    assert all(one[1] <= other[0] for one, other in pairwise(places))
    # With all sentences chosen nothing more could be held than with those that were.
    wanted = content_words(answer)
    whole = frozenset[str]().union(*(content_words(text[a:b]) for a, b in sentences(text)))
    assert bool(found.lacking) == bool(wanted - whole)
    assert found == support(answer, of, ENGLISH)


@given(st.text(max_size=300))
def test_a_text_is_grounded_in_itself(text: str) -> None:
    for language in ("English", "German", "Chinese"):
        assert isinstance(grounded(text, text, text, "", Grounding(), lexicon(language)), Verdict)


def test_the_verdict_names_what_the_passage_lacks() -> None:
    found = grounded("How deep is Quarl?", "Quarl is a wonderfully deep lake.", PASSAGE, "", Grounding())
    assert isinstance(found, Verdict)
    told = "50% of the answer's content words and 100% of the question's are in the passage"
    assert found.reason == f"{told}, not: wonderfully, lake"


@pytest.mark.parametrize(
    ("question", "answer", "lacking"),
    [
        ("How deep is Quarl?", "Quarl is 42 metres deep.", "42"),
        ("Who sails the ferry?", "The ferry is sailed by Captain Odo Holt.", "Odo"),
        ("Who sails from Dunn to Harlow?", "Captain Imra Holt does.", "Harlow"),
    ],
)
def test_invented_numbers_and_names_are_ungrounded(question: str, answer: str, lacking: str) -> None:
    found = grounded(question, answer, PASSAGE, "The lake", Grounding())
    assert isinstance(found, Flaw)
    assert lacking in found.words


def test_what_is_known_around_the_passage_is_no_invention() -> None:
    answer = "In the land of Vesmar, the lake Quarl is forty-one metres deep."
    assert isinstance(grounded("How deep is Quarl?", answer, PASSAGE, "", Grounding()), Flaw)
    found = grounded("How deep is Quarl?", answer, PASSAGE, "Lakes of Vesmar", Grounding())
    assert isinstance(found, Verdict)
    assert found.score == pytest.approx(4 / 7, abs=0.01)


def test_coverage_gates_where_the_pack_says_so_and_is_recorded_elsewhere() -> None:
    question, answer = "How deep is Quarl?", "Quarl gleams wonderfully under golden evening sunshine."
    assert isinstance(grounded(question, answer, PASSAGE, "", Grounding()), Verdict)
    gate = Grounding(answer_coverage=0.8)
    found = grounded(question, answer, PASSAGE, "", gate)
    assert isinstance(found, Flaw)
    assert found.score is not None
    assert found.score < 0.8
    asked = grounded(
        "Which bakers sell cheese cakes?",
        "Quarl is 41 metres deep.",
        PASSAGE,
        "",
        Grounding(question_coverage=0.5),
    )
    assert isinstance(asked, Flaw)
    echo = grounded("Is Quarl deep?", "Quarl is deep.", PASSAGE, "", Grounding(adds=1))
    assert isinstance(echo, Flaw)
    assert echo.reason == "echo"
