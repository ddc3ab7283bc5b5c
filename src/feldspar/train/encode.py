"""Conversations as tokens, with the response marked exactly: only it is trained on (§3.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from feldspar.errors import StudentError
from feldspar.train.records import Encoded
from feldspar.types import Message, Row


def encode(tokenizer: Any, messages: Sequence[Message], context_length: int) -> Encoded | None:
    """Render and tokenize a conversation whose last message is the response.

    Where the response starts is found by rendering the conversation without it, as generation does,
    not by looking for markers. Control tokens that stand in a message's text are taken as plain text.

    Args:
        tokenizer: transformers' tokenizer with a chat template.
        messages: at least one turn and the assistant's response, in order.
        context_length: tokens; a longer conversation is never cut.

    Returns:
        The tokens, the response's end token last; None if there are more than `context_length`.

    Raises:
        StudentError: the template refuses the conversation, or renders the prompt otherwise once the
            response follows.
    """
    if not messages or messages[-1].role != "assistant":
        raise StudentError(
            "a training sample must end with the assistant's message",
            "Mend the row: its last message is the response that is trained on.",
        )
    prompt, prompt_ids = _render(tokenizer, messages[:-1], opened=True)
    full, full_ids = _render(tokenizer, messages, opened=False)
    if not full.startswith(prompt) or len(full) <= len(prompt):
        raise StudentError(
            "the chat template renders a prompt otherwise once its response follows, "
            "so that the response cannot be told from the prompt",
            "Set student.chat_template to the path of a template that only appends.",
        )
    if full_ids[: len(prompt_ids)] != prompt_ids:
        full_ids = _parted(tokenizer, full_ids, prompt_ids)
    ids = _closed(tokenizer, full_ids, len(prompt_ids))
    if len(ids) > context_length:
        return None
    return Encoded(ids=tuple(ids), labels_from=len(prompt_ids))


def encode_rows(
    tokenizer: Any, rows: Sequence[Row], context_length: int
) -> tuple[tuple[Encoded, ...], tuple[str, ...]]:
    """Encode a phase's rows.

    Returns:
        The samples that fit, in order, and the ids of those that are too long.

    Raises:
        StudentError: as `encode`, with the sample's id.
    """
    fitting: list[Encoded] = []
    too_long: list[str] = []
    for row in rows:
        try:
            encoded = encode(tokenizer, row.sample.messages, context_length)
        except StudentError as error:
            raise StudentError(f"sample {row.sample.id}: {error.what}", error.mend) from error
        if encoded is None:
            too_long.append(row.sample.id)
        else:
            fitting.append(encoded)
    return tuple(fitting), tuple(too_long)


def digest(samples: Sequence[Encoded]) -> str:
    """SHA-256 of what is trained on, in order."""
    hashed = hashlib.sha256()
    for sample in samples:
        hashed.update(f"{sample.labels_from}:{','.join(map(str, sample.ids))};".encode())
    return hashed.hexdigest()


def _render(tokenizer: Any, messages: Sequence[Message], opened: bool) -> tuple[str, list[int]]:
    turns = [{"role": message.role, "content": message.content} for message in messages]
    if not turns:
        return "", []
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=opened)
        ids = tokenizer.apply_chat_template(
            turns, add_generation_prompt=opened, return_dict=False, sanitize_control_tokens=True
        )
    except (TemplateError, ValueError, TypeError, LookupError) as error:
        raise StudentError(
            f"the chat template cannot render the conversation ({str(error)[:200]})",
            "Set student.chat_template to a template that takes system, user and assistant turns.",
        ) from error
    return str(text), list(ids)


def _parted(tokenizer: Any, full: list[int], prompt: list[int]) -> list[int]:
    """`full` again, with the prompt's own tokens first.

    Where a prompt ends in white space, its last characters and the response's first can merge into
    one token, which generation, starting from the prompt's tokens, would never meet.
    """
    pairs = zip(full, prompt, strict=False)
    start = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(full), len(prompt)))
    lost = tokenizer.decode(prompt[start:])
    for end in range(start + 1, len(full) + 1):
        merged = tokenizer.decode(full[start:end])
        if merged.startswith(lost) and lost:
            rest = merged[len(lost) :]
            between = tokenizer.encode(rest, add_special_tokens=False) if rest else []
            if tokenizer.decode(between) == rest:
                return [*prompt, *between, *full[end:]]
    raise StudentError(
        "the tokenizer merges the prompt's end with the response's beginning",
        "Set student.chat_template to the path of a template whose prompt ends with a line break.",
    )


def _closed(tokenizer: Any, ids: list[int], start: int) -> list[int]:
    """End the response with its end token: drop the white space behind it, or add one that is missing.

    Generation stops at that token, so nothing behind it is worth learning; and a response that no
    token closes would teach the model never to stop.
    """
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    ends = [at for at in range(start, len(ids)) if ids[at] in special]
    if ends and not tokenizer.decode(ids[ends[-1] + 1 :]).strip():
        return ids[: ends[-1] + 1]
    return ids if tokenizer.eos_token_id is None else [*ids, tokenizer.eos_token_id]
