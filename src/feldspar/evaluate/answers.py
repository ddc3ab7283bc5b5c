"""A model's answers: the likeliest option, the reference's likelihood, a free answer (§4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from feldspar.errors import DatasetError
from feldspar.evaluate.questions import choices, expected_facts, prompt_text
from feldspar.evaluate.speak import (
    check_fits,
    grading,
    prompt_ids,
    read,
    reply_ids,
    room,
    score,
    stop_ids,
    write,
)
from feldspar.facts import holds
from feldspar.types import Answer, Message, Question

FREE_TOKENS = 64
"""The most that a free answer runs to."""
BATCH_TOKENS = 4096
"""Prompt and option tokens of a batch, padding included."""

Watch = Callable[[int, int], None]
"""Called with the questions done and their number."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question in tokens."""

    place: int
    question: Question
    prompt: list[int]
    replies: list[list[int]]

    @property
    def cost(self) -> int:
        """Tokens in memory: each option has the prompt's cache before it."""
        return len(self.prompt) * len(self.replies) + sum(len(ids) for ids in self.replies)


def answer(
    model: nn.Module,
    tokenizer: Any,
    questions: Sequence[Question],
    *,
    free: bool = True,
    watch: Watch | None = None,
    batch_tokens: int = BATCH_TOKENS,
    half: bool = False,
) -> tuple[Answer, ...]:
    """Let a model answer questions.

    Each option is scored as the assistant's reply, by its mean log-likelihood per token; a tie goes
    against the reference. The free answer is greedy and at most 64 tokens long.

    Args:
        model: A causal language model of transformers; its training mode is restored.
        tokenizer: Its tokenizer, with a chat template.
        questions: What to ask; questions without options offer their group's other references.
        free: Whether to write free answers; without, `recall` is None and `text` empty.
        watch: Told of the progress.
        batch_tokens: Bounds the memory; padding included.
        half: Compute in bfloat16, faster where the processor knows it, to about three digits.

    Returns:
        One answer a question, in order. The same arguments give the same answers.

    Raises:
        StudentError: There is no chat template, or it fails.
        DatasetError: A question is longer than the model's context, or has an empty answer.
    """
    asked = [
        _ask(model, tokenizer, place, question, options)
        for place, (question, options) in enumerate(zip(questions, choices(questions), strict=True))
    ]
    return _answer(model, tokenizer, asked, free=free, watch=watch, batch_tokens=batch_tokens, half=half)


def retained(
    model: nn.Module,
    tokenizer: Any,
    questions: Sequence[Question],
    texts: Sequence[str],
    *,
    half: bool = False,
) -> tuple[Answer, ...]:
    """The likelihood of what the model could do before: references of questions, and plain texts.

    The first token of a text is only read; a text longer than the model's context is read in
    stretches, each from its own start.

    Returns:
        One answer for each question and then for each text (`text 1`, …), with `loglik` and
        `tokens` alone, for `retention`.

    Raises:
        StudentError: There is no chat template, or it fails.
        DatasetError: As `answer`, or a text has fewer than two tokens.
    """
    asked = [
        _ask(model, tokenizer, place, question, (question.answer,))
        for place, question in enumerate(questions)
    ]
    found = _answer(model, tokenizer, asked, free=False, watch=None, batch_tokens=BATCH_TOKENS, half=half)
    windows = [_windows(model, tokenizer, text, number) for number, text in enumerate(texts, start=1)]
    likely = _window_logliks(model, windows, half=half)
    plain = tuple(
        Answer(f"text {number}", "texts", None, mean, sum(len(ids) - 1 for ids in own), None)
        for number, (mean, own) in enumerate(zip(likely, windows, strict=True), start=1)
    )
    return found + plain


def _ask(model: nn.Module, tokenizer: Any, place: int, question: Question, options: Sequence[str]) -> _Asked:
    prompt = prompt_ids(tokenizer, [Message("user", prompt_text(question))])
    replies = [reply_ids(tokenizer, prompt, option.strip()) for option in options]
    if not all(replies):
        raise DatasetError(f"question {question.id} has an empty answer", "Write one, or drop the question.")
    check_fits(model, f"question {question.id}", len(prompt[1]) + max(len(ids) for ids in replies))
    return _Asked(place, question, prompt[1], replies)


def _answer(
    model: nn.Module,
    tokenizer: Any,
    asked: Sequence[_Asked],
    *,
    free: bool,
    watch: Watch | None,
    batch_tokens: int,
    half: bool,
) -> tuple[Answer, ...]:
    stops = stop_ids(model, tokenizer) if free and asked else frozenset()
    answers: dict[int, Answer] = {}
    for batch in _batches(asked, batch_tokens):
        with grading(model, half=half):
            state = read(model, [one.prompt for one in batch])
            rows = [row for row, one in enumerate(batch) for _ in one.replies]
            flat = [ids for one in batch for ids in one.replies]
            likely = iter(score(model, state.take(rows), flat))
            limit = min(FREE_TOKENS, room(model) - max(len(one.prompt) for one in batch))
            written = write(model, state, stops, limit) if free else [[] for _ in batch]
        for one, tokens in zip(batch, written, strict=True):
            values = [next(likely) for _ in one.replies]
            text = str(tokenizer.decode(tokens, skip_special_tokens=True)).strip()
            answers[one.place] = _grade(one, values, text, free=free)
        if watch is not None:
            watch(len(answers), len(asked))
    return tuple(answers[one.place] for one in asked)


def _grade(one: _Asked, values: Sequence[float], text: str, *, free: bool) -> Answer:
    facts = expected_facts(one.question) if free else ()
    return Answer(
        question=one.question.id,
        group=one.question.group,
        chosen=max(range(len(values)), key=lambda place: (values[place], place)) if len(values) > 1 else None,
        loglik=values[0],
        tokens=len(one.replies[0]),
        recall=sum(holds(text, fact) for fact in facts) / len(facts) if facts else None,
        text=text,
    )


def _batches(asked: Sequence[_Asked], batch_tokens: int) -> Iterator[list[_Asked]]:
    """Questions of like length together, within the budget; one that exceeds it goes alone."""
    batch: list[_Asked] = []
    spent = 0
    for one in sorted(asked, key=lambda one: (len(one.prompt), one.place)):
        if batch and spent + one.cost > batch_tokens:
            yield batch
            batch, spent = [], 0
        batch.append(one)
        spent += one.cost
    if batch:
        yield batch


def _windows(model: nn.Module, tokenizer: Any, text: str, number: int) -> list[list[int]]:
    ids = list(tokenizer(text)["input_ids"])
    if len(ids) < 2:
        raise DatasetError(f"text {number} is too short to score", "Write a sentence, or drop it.")
    size = min(room(model), BATCH_TOKENS)
    # A stretch begins with the last token of the one before: every token but the first is scored.
    return [ids[at : at + size] for at in range(0, len(ids) - 1, size - 1)]


def _window_logliks(model: nn.Module, texts: Sequence[list[list[int]]], *, half: bool) -> tuple[float, ...]:
    device = next(model.parameters()).device
    means = []
    with grading(model, half=half):
        for windows in texts:
            total = 0.0
            for ids in windows:
                tokens = torch.tensor([ids], device=device)
                logits = model(input_ids=tokens[:, :-1], use_cache=False).logits[0].float()
                total += float(logits.log_softmax(-1).gather(1, tokens[0, 1:, None]).double().sum())
            means.append(total / sum(len(ids) - 1 for ids in windows))
    return tuple(means)
