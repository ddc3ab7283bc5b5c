"""Proof that what a model is graded on was never in its training data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rapidfuzz.distance import Indel

from feldspar.evaluate.questions import prompt_text
from feldspar.types import Question, Sample

ALIKE = 0.9
"""Twice the longest common subsequence over both lengths, in words: from here on two are the same."""
_LONG_ENOUGH = 5
"""Words; a shorter question must be a whole turn or its last paragraph, not words amid a longer one."""
_WORD = re.compile(r"\w+")


def contamination(questions: Sequence[Question], samples: Iterable[Sample]) -> tuple[str, ...]:
    """Find held-out questions that occur in the training data.

    A question occurs in a sample if a user's turn, or its last paragraph, is the same words or
    nearly so (word-level longest common subsequence ratio of 0.9), or if it stands there word by
    word. A question with a context occurs only with its context: one instruction serves many texts.

    Args:
        questions: What the models are graded on.
        samples: What the tuned model was trained on.

    Returns:
        One line for each question and sample, with both their ids; empty is the proof.
    """
    wanted = [(question, _words(prompt_text(question))) for question in questions]
    found = []
    for sample in samples:
        turns = [message.content for message in sample.messages if message.role == "user"]
        for question, words in wanted:
            if any(_occurs(words, turn, grounded=bool(question.context.strip())) for turn in turns):
                found.append(f"question {question.id} ({question.question}) occurs in sample {sample.id}")
    return tuple(found)


def _occurs(words: list[str], turn: str, *, grounded: bool) -> bool:
    there = _words(turn)
    if len(words) >= _LONG_ENOUGH and f" {' '.join(words)} " in f" {' '.join(there)} ":
        return True
    if _alike(words, there):
        return True
    last = turn.strip().rpartition("\n\n")[2]
    return not grounded and last != turn and _alike(words, _words(last))


def _alike(one: list[str], other: list[str]) -> bool:
    if not one or not other:
        return False
    # The ratio cannot reach the bar where the lengths differ too much: spares nearly all of the work.
    if 2 * min(len(one), len(other)) < ALIKE * (len(one) + len(other)):
        return False
    return Indel.normalized_similarity(one, other) >= ALIKE


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
