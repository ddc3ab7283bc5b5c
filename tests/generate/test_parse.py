from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar.generate.parse import Unreadable, as_field, as_line, as_score, as_text, as_verdicts, clean


@pytest.mark.parametrize(
    "reply",
    [
        '{"question": "How deep is it?"}',
        '```json\n{"question": "How deep is it?"}\n```',
        'Here you are: {"question": "How deep is it?"} I hope it helps {or not}.',
        '{not json} {"other": 1} {"question": "How deep is it?"}',
        '<think>{"question": "no"}</think> {"question": "How deep is it?"}',
    ],
)
def test_a_field_is_found_wherever_its_object_stands(reply: str) -> None:
    assert as_field(reply, "question") == "How deep is it?"


@pytest.mark.parametrize(
    "reply",
    ["", "How deep is it?", '{"question": 3}', '{"question": " "}', '["question"]', '{"question": "a'],
)
def test_a_reply_without_the_field_is_unreadable(reply: str) -> None:
    assert isinstance(as_field(reply, "question"), Unreadable)


@pytest.mark.parametrize(("said", "score"), [("2", 2), ('"3"', 3), ("1.0", 1)])
def test_scores(said: str, score: int) -> None:
    verdict = as_score(f'{{"explanation": "Well.", "score": {said}}}', "pair", 1, 3, 2)
    assert not isinstance(verdict, Unreadable)
    assert (verdict.score, verdict.keep, verdict.reason) == (score, score >= 2, "Well.")


@pytest.mark.parametrize(
    "said", ["0", "4", "2.5", "true", "null", "NaN", '"²"', '"two"', "[2]", "1e400", "9" * 5000]
)
def test_a_score_off_the_scale_is_unreadable_and_never_a_number(said: str) -> None:
    assert isinstance(as_score(f'{{"score": {said}}}', "pair", 1, 3, 2), Unreadable)


def test_verdicts_need_every_judge() -> None:
    sound = {"a_because": "x", "a_verdict": "Yes.", "b_because": "y", "b_verdict": False}
    verdicts = as_verdicts(json.dumps(sound), ["a", "b"])
    assert not isinstance(verdicts, Unreadable)
    assert [(v.judge, v.keep, v.score, v.reason) for v in verdicts] == [
        ("a", True, None, "x"),
        ("b", False, None, "y"),
    ]
    lacking = as_verdicts('{"a_verdict": "yes", "b_verdict": "perhaps"}', ["a", "b"])
    assert isinstance(lacking, Unreadable)
    assert "`b`" in lacking.reason


def test_lines_and_labels() -> None:
    assert as_line("\n  Question: How deep?  \nAnswer: no", ["Question:"], False) == "How deep?"
    assert as_line("Question:\nHow deep?", ["Question:"], False) == "How deep?"
    assert as_text("ANSWER: One.\n\nTwo.", ["Answer:"], False) == "One.\n\nTwo."


def test_a_reply_that_was_cut_off_is_unreadable_unless_its_first_line_is_whole() -> None:
    assert isinstance(as_text("It is 41 met", [], True), Unreadable)
    assert isinstance(as_line("How deep is th", [], True), Unreadable)
    assert as_line("How deep is it?\nIt is 41 met", [], True) == "How deep is it?"


@given(st.text() | st.text(alphabet='{}[]":,a1\\ '), st.booleans())
def test_no_reply_breaks_the_reading(reply: str, cut_off: bool) -> None:
    for read in (as_text(reply, ["a:"], cut_off), as_line(reply, ["a:"], cut_off), as_field(reply, "a")):
        if isinstance(read, str):
            assert read
            assert read == read.strip()
            read.encode()
    as_verdicts(reply, ["a"])
    as_score(reply, "a", 1, 3, 2)


def test_hostile_replies_cost_little() -> None:
    for reply in ("{" * 200_000, '{"a":' * 100_000, "[" * 200_000, "<think>" * 50_000):
        assert isinstance(as_field(reply, "a"), Unreadable)


def test_half_characters_and_control_characters_go() -> None:
    assert clean("a\x00b\ud800c\r\nd\te") == "ab?c\nd\te"
