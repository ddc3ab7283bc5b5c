from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar.errors import RunError
from feldspar.evaluate import compare, retention
from feldspar.types import Answer


def given_answers(chosen: list[int | None], group: str = "g", loglik: float = -1.0) -> list[Answer]:
    return [Answer(f"{group}{k}", group, one, loglik, 5, None) for k, one in enumerate(chosen)]


def test_paired_difference_and_its_error_are_those_of_the_textbook() -> None:
    base, tuned = given_answers([1, 2, 0, 1, 3]), given_answers([0, 0, 0, 2, 0], loglik=-0.5)
    scores = {(score.metric, score.group): score for score in compare(base, tuned)}
    choice = scores["choice", "g"]
    differences = [1, 1, 0, 0, 1]
    assert (choice.base, choice.tuned, choice.count) == (pytest.approx(0.2), pytest.approx(0.8), 5)
    assert choice.difference == pytest.approx(0.6)
    assert choice.error == pytest.approx(statistics.stdev(differences) / math.sqrt(5))
    assert choice.base_error == pytest.approx(statistics.stdev([0, 0, 1, 0, 0]) / math.sqrt(5))
    assert scores["loglik", "all"].difference == pytest.approx(0.5)
    assert scores["loglik", "all"].error == pytest.approx(0)


def test_a_metric_that_no_question_has_is_left_out() -> None:
    metrics = [score.metric for score in compare(given_answers([None]), given_answers([None]))]
    assert metrics == ["loglik", "loglik"]


def test_order_does_not_matter_and_groups_stay_apart() -> None:
    base = given_answers([0, 1], "a") + given_answers([1, 1], "b")
    tuned = given_answers([0, 0], "a") + given_answers([1, 0], "b")
    scores = compare(base, list(reversed(tuned)))
    assert [score.group for score in scores if score.metric == "choice"] == ["a", "b", "all"]
    assert [score.difference for score in scores if score.metric == "choice"] == [0.5, 0.5, 0.5]
    assert next(score.count for score in scores if score.group == "all") == 4


@pytest.mark.parametrize("tuned", [given_answers([0]), given_answers([0, 0, 0]), given_answers([0, 0], "h")])
def test_other_questions_are_refused(tuned: list[Answer]) -> None:
    with pytest.raises(RunError, match="same questions"):
        compare(given_answers([0, 0]), tuned)


def test_one_question_has_no_error_and_none_no_score() -> None:
    assert compare(given_answers([1]), given_answers([0]))[0].error == 0
    assert compare([], []) == ()
    assert retention([], []) is None


def test_retention_weighs_tokens() -> None:
    base = [Answer("a", "t", None, -1.0, 30, None), Answer("b", "t", None, -4.0, 10, None)]
    tuned = [Answer("a", "t", None, -1.2, 30, None), Answer("b", "t", None, -4.0, 10, None)]
    score = retention(base, tuned)
    assert score is not None
    assert (score.base, score.tuned) == (pytest.approx(1.75), pytest.approx(1.9))
    assert score.difference / score.base == pytest.approx(0.15 / 1.75)
    assert score.error > 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30))
def test_difference_is_tuned_less_base(pairs: list[tuple[int, int]]) -> None:
    scores = compare(given_answers([x for x, _ in pairs]), given_answers([y for _, y in pairs]))
    for score in scores:
        assert score.difference == pytest.approx(score.tuned - score.base)
        assert score.error >= 0
        assert score.error <= score.base_error + score.tuned_error + 1e-9
