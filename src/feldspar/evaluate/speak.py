"""The forward passes of evaluation: prompts read once, options scored and answers written from them.

A prompt's keys and values are computed once and serve all its options and its free answer; what
all prompts have in common (the system turn) is computed once for all. Logits are only ever taken
where a token is scored or chosen. Everything works with any causal model of transformers whose
cache keeps keys and values, padded on the left.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor, nn

from feldspar.errors import DatasetError, StudentError
from feldspar.types import Message


@dataclass(frozen=True, slots=True)
class Read:
    """Prompts that a model has read, ready to be gone on with."""

    cache: Any
    """The keys and values, of `rows` rows and `width` places."""
    mask: Tensor
    """(rows, width), 1 where a token stands, 0 where padding does."""
    lengths: Tensor
    """(rows,), tokens of each prompt: the position of the next one."""
    logits: Tensor
    """(rows, vocabulary), float32, for the next token."""

    def take(self, rows: Sequence[int], *, keep: bool = True) -> Read:
        """The given rows, repeats allowed; with `keep`, this one stays usable."""
        index = torch.tensor(rows, dtype=torch.long, device=self.mask.device)
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers] if keep else self.cache.layers
        cache.batch_select_indices(index)
        return Read(cache, self.mask[index], self.lengths[index], self.logits[index])


@contextmanager
def grading(model: nn.Module, *, half: bool = False) -> Iterator[None]:
    """Evaluate inside: no gradients, no dropout; `half` computes in bfloat16. Restores the training mode."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            yield
    finally:
        model.train(was_training)


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> tuple[str, list[int]]:
    """The text and tokens of a conversation up to where the assistant's reply begins.

    Raises:
        StudentError: The tokenizer has no chat template, or its template refuses the conversation.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise StudentError("the model has no chat template", "Set student.chat_template to auto.")
    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        mend = "Set student.chat_template to the path of another."
        raise StudentError(f"the chat template fails: {error}", mend) from error
    return str(text), list(tokenizer(text, add_special_tokens=False)["input_ids"])


def reply_ids(tokenizer: Any, prompt: tuple[str, list[int]], text: str) -> list[int]:
    """The tokens of `text` as the reply to `prompt`, as they come when both are tokenized in one."""
    whole = list(tokenizer(prompt[0] + text, add_special_tokens=False)["input_ids"])
    start = len(prompt[1])
    if whole[:start] == prompt[1] and len(whole) > start:
        return whole[start:]
    # A template whose last character merges with the reply's first: the reply's own tokens then.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def read(model: nn.Module, prompts: Sequence[list[int]]) -> Read:
    """Let the model read prompts.

    Args:
        model: A causal language model.
        prompts: Token ids of each, at least one each.
    """
    device = next(model.parameters()).device
    # The last token of every prompt is left to its own row, whose logits are wanted.
    shared = _shared([ids[:-1] for ids in prompts]) if len(prompts) > 1 else 0
    rows, width = len(prompts), max(len(ids) for ids in prompts) - shared
    tokens = torch.zeros(rows, width, dtype=torch.long)
    mask = torch.zeros(rows, shared + width, dtype=torch.long)
    mask[:, :shared] = 1
    for row, ids in enumerate(prompts):
        own = ids[shared:]
        tokens[row, width - len(own) :] = torch.tensor(own)
        mask[row, shared + width - len(own) :] = 1
    tokens, mask = tokens.to(device), mask.to(device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
    cache = None
    if shared:
        start = torch.tensor([prompts[0][:shared]], device=device)
        cache = model(input_ids=start, use_cache=True, logits_to_keep=1).past_key_values
        cache.batch_repeat_interleave(rows)
    out = model(
        input_ids=tokens,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return Read(out.past_key_values, mask, mask.sum(1), out.logits[:, -1].float())


def _shared(lists: Sequence[list[int]]) -> int:
    """How many leading tokens all have in common: as many as the first and the last in order have."""
    pairs = zip(min(lists), max(lists), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def go_on(model: nn.Module, state: Read, tokens: Tensor, present: Tensor) -> tuple[Read, Tensor]:
    """Let the model read on.

    Args:
        model: The model that read `state`; the state's cache is used up.
        state: Where each row stands.
        tokens: (rows, n) of what comes next, padded on the right.
        present: (rows, n), 1 where a token stands.

    Returns:
        Where each row stands then, and the logits (rows, n, vocabulary) after each token.
    """
    mask = torch.cat([state.mask, present], 1)
    positions = state.lengths[:, None] + torch.arange(tokens.shape[1], device=tokens.device)
    out = model(
        input_ids=tokens,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=state.cache,
        use_cache=True,
    )
    after = Read(out.past_key_values, mask, state.lengths + present.sum(1), out.logits[:, -1].float())
    return after, out.logits


def score(model: nn.Module, state: Read, replies: Sequence[list[int]]) -> list[float]:
    """Mean log-likelihood per token, in nats, of a reply to each row; the state's cache is used up."""
    device, width = state.mask.device, max(len(ids) for ids in replies)
    padded = torch.zeros(len(replies), width, dtype=torch.long, device=device)
    present = torch.zeros_like(padded)
    for row, ids in enumerate(replies):
        padded[row, : len(ids)] = torch.tensor(ids, device=device)
        present[row, : len(ids)] = 1
    totals = state.logits.log_softmax(-1).gather(1, padded[:, :1])[:, 0]
    if width > 1:
        # The last token is predicted but never read.
        _, logits = go_on(model, state, padded[:, :-1], present[:, :-1])
        at = present[:, 1:].bool()
        chosen = logits[at].float().log_softmax(-1).gather(1, padded[:, 1:][at][:, None])[:, 0]
        rows = torch.arange(len(replies), device=device)[:, None].expand_as(at)[at]
        totals = totals.index_add(0, rows, chosen)
    return [float(value) for value in (totals / present.sum(1)).double().tolist()]


def write(
    model: nn.Module,
    state: Read,
    stops: frozenset[int],
    limit: int,
    pick: Callable[[Tensor], Tensor] = lambda logits: logits.argmax(-1),
) -> list[list[int]]:
    """Let the model write an answer to each row; a finished row costs nothing more.

    Args:
        model: The model that read `state`; the state's cache is used up.
        state: The prompts read.
        stops: Tokens that end an answer; they are not part of it.
        limit: At most so many tokens each.
        pick: From logits (rows, vocabulary) the next token of each row; the likeliest by default.
    """
    answers: list[list[int]] = [[] for _ in range(len(state.mask))]
    alive = list(range(len(answers)))
    for step in range(limit):
        chosen = pick(state.logits)
        ids = [int(token) for token in chosen.tolist()]
        kept = [place for place, token in enumerate(ids) if token not in stops]
        for place in kept:
            answers[alive[place]].append(ids[place])
        if not kept or step == limit - 1:
            break
        if len(kept) < len(alive):
            state, chosen = state.take(kept, keep=False), chosen[kept]
            alive = [alive[place] for place in kept]
        state, _ = go_on(model, state, chosen[:, None], torch.ones_like(chosen[:, None]))
    return answers


def stop_ids(model: nn.Module, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a reply: the tokenizer's, the model's, and what the template puts after a reply."""
    found = {tokenizer.eos_token_id}
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    found.update(configured if isinstance(configured, (list, tuple)) else [configured])
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Goodbye"}]
    after = str(tokenizer.apply_chat_template(turns, tokenize=False)).rpartition("Goodbye")[2]
    following = list(tokenizer(after, add_special_tokens=False)["input_ids"])
    special = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    if following and following[0] in special:
        found.add(following[0])
    return frozenset(token for token in found if token is not None)


def room(model: nn.Module) -> int:
    """The most tokens that the model reads at once."""
    most = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    return most if isinstance(most, int) and most > 0 else 2048


def check_fits(model: nn.Module, name: str, tokens: int) -> None:
    """Raise a DatasetError that names the question where it is longer than the model's context."""
    if tokens > room(model):
        raise DatasetError(
            f"{name} takes {tokens} tokens; the model reads at most {room(model)}", "Shorten its context."
        )


def reply(
    model: nn.Module,
    tokenizer: Any,
    messages: Sequence[Message],
    max_tokens: int = 256,
    *,
    temperature: float = 0.0,
    seed: int = 0,
) -> str:
    """The model's reply to a conversation.

    Args:
        model: A causal language model of transformers.
        tokenizer: Its tokenizer, with a chat template.
        messages: The conversation; the last is the user's.
        max_tokens: At most so many tokens are written.
        temperature: 0 takes the likeliest token; otherwise tokens are drawn.
        seed: Of the draws: the same seed, the same reply.

    Raises:
        StudentError: There is no chat template, or it fails.
        DatasetError: The conversation is longer than the model's context.
    """
    _, ids = prompt_ids(tokenizer, messages)
    check_fits(model, "the conversation", len(ids) + 1)
    generator = torch.Generator().manual_seed(seed)

    def draw(logits: Tensor) -> Tensor:
        weights = (logits / temperature).softmax(-1).cpu()
        return torch.multinomial(weights, 1, generator=generator)[:, 0].to(logits.device)

    with grading(model):
        limit = min(max_tokens, room(model) - len(ids))
        pick = (lambda logits: logits.argmax(-1)) if temperature <= 0 else draw
        (written,) = write(model, read(model, [ids]), stop_ids(model, tokenizer), limit, pick)
    return str(tokenizer.decode(written, skip_special_tokens=True)).strip()
