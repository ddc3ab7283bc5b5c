"""Proof that what a model is graded on was never in its training data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from rapidfuzz.distance import Indel

from feldspar.evaluate.questions import prompt_text
from feldspar.text import words
from feldspar.types import Question, Sample

ALIKE = 0.9
"""Twice the longest common subsequence over both lengths, in words: from here on two are the same."""
_LONG_ENOUGH = 5
"""Words; a shorter question must be a whole turn or its last paragraph, not words amid a longer one."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A text as its words, and these with a blank around each."""

    words: tuple[str, ...]
    line: str


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
    wanted = [(question, _asked(prompt_text(question))) for question in questions]
    found = []
    for sample in samples:
        turns = [_turn(message.content) for message in sample.messages if message.role == "user"]
        for question, asked in wanted:
            # One instruction serves many contexts: there, the last paragraph alone proves nothing.
            grounded = bool(question.context.strip())
            if any(_occurs(asked, whole, None if grounded else last) for whole, last in turns):
                found.append(f"question {question.id} ({question.question}) occurs in sample {sample.id}")
    return tuple(found)


def _occurs(asked: _Said, whole: _Said, last: _Said | None) -> bool:
    if len(asked.words) >= _LONG_ENOUGH and asked.line in whole.line:
        return True
    return _alike(asked, whole) or (last is not None and _alike(asked, last))


def _alike(one: _Said, other: _Said) -> bool:
    shorter, both = min(len(one.words), len(other.words)), len(one.words) + len(other.words)
    # The ratio cannot reach the bar where the lengths differ too much: spares nearly all of the work.
    if not shorter or 2 * shorter < ALIKE * both:
        return False
    return Indel.normalized_similarity(one.words, other.words, score_cutoff=ALIKE) >= ALIKE


def _turn(text: str) -> tuple[_Said, _Said | None]:
    """A user's turn, and its last paragraph where it has several."""
    last = text.strip().rpartition("\n\n")[2]
    return _said(text), _said(last) if last != text else None


def _said(text: str) -> _Said:
    found = tuple(words(text))
    return _Said(found, f" {' '.join(found)} ")


# The same questions are looked for sample by sample: their words are found once.
_asked = cache(_said)
