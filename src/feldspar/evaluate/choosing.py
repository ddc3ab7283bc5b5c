"""The score by which checkpoints are chosen (§3.3): what a free answer recalls of its reference.

Log-likelihood would choose too early: once a model has learned to answer in the words of its
document it finds a reference in other words less likely, while it knows more (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from feldspar.evaluate.answers import answer
from feldspar.evaluate.questions import prompt_text
from feldspar.facts import content_words
from feldspar.types import Question


def recalled(model: nn.Module, tokenizer: Any, questions: Sequence[Question]) -> tuple[float, ...]:
    """For each question, what the model's own answer holds of what the reference adds to it.

    Args:
        model: A causal language model of transformers; its training mode is restored.
        tokenizer: Its tokenizer, with a chat template.
        questions: Held out of the training data; their options are not used.

    Returns:
        Shares from 0 to 1 of the content words that stand in the reference and not in the question;
        1 where the reference adds none. One a question, in order.

    Raises:
        StudentError: There is no chat template, or it fails.
        DatasetError: A question is longer than the model's context, or has an empty answer.
    """
    alone = [replace(question, options=(question.answer,)) for question in questions]
    answers = answer(model, tokenizer, alone)
    return tuple(
        added(prompt_text(question), question.answer, given.text)
        for question, given in zip(questions, answers, strict=True)
    )


def added(question: str, reference: str, text: str) -> float:
    """Share of the content words that `reference` adds to `question` and that `text` holds."""
    wanted = content_words(reference) - content_words(question)
    return len(wanted & content_words(text)) / len(wanted) if wanted else 1.0
