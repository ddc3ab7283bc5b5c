"""Base and tuned side by side: paired differences with their standard errors (§4, Table 3).

Both models answer the same questions, so the error that matters is that of the differences,
question by question; it is far smaller than that of either mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from feldspar.errors import RunError
from feldspar.types import Answer, Score

METRICS = ("choice", "loglik", "recall")


def compare(base: Sequence[Answer], tuned: Sequence[Answer]) -> tuple[Score, ...]:
    """Compare two models' answers to the same questions.

    Args:
        base: The answers of the model before; each question once.
        tuned: Those of the model after, to the same questions, in any order.

    Returns:
        For each group in order, and at the end for the group `all`: `choice` and `recall`, from 0
        to 1, and `loglik`, in nats per token; a metric that no question of the group has is left
        out. `count` is the number of questions that have the metric.

    Raises:
        RunError: The two did not answer the same questions.
    """
    pairs = _pairs(base, tuned)
    groups: dict[str, list[tuple[Answer, Answer]]] = {}
    for pair in pairs:
        groups.setdefault(pair[0].group, []).append(pair)
    scores = []
    for group, members in [*groups.items(), ("all", pairs)]:
        for metric in METRICS:
            values = [(_value(metric, before), _value(metric, after)) for before, after in members]
            both = [(x, y) for x, y in values if x is not None and y is not None]
            if both:
                scores.append(_score(metric, group, both, [1.0] * len(both)))
    return tuple(scores)


def retention(base: Sequence[Answer], tuned: Sequence[Answer]) -> Score | None:
    """How much likelihood the model lost on what it could do before.

    Args:
        base: What `retained` gave for the model before.
        tuned: The same for the model after.

    Returns:
        A score whose values are negative log-likelihoods in nats per token, over all tokens alike;
        `difference / base` is the relative rise (0.05 is five per cent worse). None without answers.

    Raises:
        RunError: The two did not answer the same questions.
    """
    pairs = _pairs(base, tuned)
    if not pairs:
        return None
    values = [(-before.loglik, -after.loglik) for before, after in pairs]
    return _score("retention", "all", values, [float(before.tokens) for before, _ in pairs])


def _pairs(base: Sequence[Answer], tuned: Sequence[Answer]) -> list[tuple[Answer, Answer]]:
    after = {answer.question: answer for answer in tuned}
    before = {answer.question: answer for answer in base}
    if len(before) != len(base) or len(after) != len(tuned) or before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys()) or ["one of them twice"]
        raise RunError(
            f"base and tuned did not answer the same questions: {', '.join(odd[:3])}",
            "Evaluate both again with the same questions.",
        )
    return [(answer, after[answer.question]) for answer in base]


def _value(metric: str, answer: Answer) -> float | None:
    if metric == "choice":
        return None if answer.chosen is None else float(answer.chosen == 0)
    return answer.loglik if metric == "loglik" else answer.recall


def _score(metric: str, group: str, values: Sequence[tuple[float, float]], weights: Sequence[float]) -> Score:
    before, after = [x for x, _ in values], [y for _, y in values]
    (base, base_error), (tuned, tuned_error) = _mean(before, weights), _mean(after, weights)
    difference, error = _mean([y - x for x, y in values], weights)
    return Score(metric, group, base, tuned, difference, error, len(values), base_error, tuned_error)


def _mean(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    """Weighted mean and its standard error, that of a ratio estimator; the usual one for equal weights."""
    total, count = math.fsum(weights), len(values)
    if total <= 0:
        return 0.0, 0.0
    mean = math.fsum(w * v for w, v in zip(weights, values, strict=True)) / total
    if count < 2:
        return mean, 0.0
    spread = math.fsum((w / total * (v - mean)) ** 2 for w, v in zip(weights, values, strict=True))
    return mean, math.sqrt(spread * count / (count - 1))
