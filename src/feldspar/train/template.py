"""Chat templates: the model's own, a file's, or ours for a base model that has none.

The paper's students are base models, with no chat template and no pad token (§3.3).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from feldspar.errors import StudentError

MAX_TEMPLATE_BYTES = 64 * 1024

START, END, PAD = "<|im_start|>", "<|im_end|>", "<|pad|>"

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Ours: each turn between two tokens of its own, the role on the first line."""

_CONTROL = re.compile(r"<\|[A-Za-z0-9_]{1,40}\|>")


def settle_template(model: Any, tokenizer: Any, choice: str) -> None:
    """Give `tokenizer` the template that `choice` names, and the model what it needs of it.

    Control tokens of a template that the vocabulary lacks (`<|name|>`) are added and the embeddings
    resized; a tokenizer without a pad token gets one.

    Args:
        model: transformers' causal language model; changed in place.
        tokenizer: its tokenizer; changed in place.
        choice: `auto` (its own, or ours if it has none), `keep` (its own), or a path to a Jinja file.

    Raises:
        StudentError: `keep` with no template, or a file that cannot be read.
    """
    own = bool(tokenizer.chat_template)
    if choice == "keep" and not own:
        raise StudentError(
            "the student has no chat template, and chat_template is `keep`",
            "Set student.chat_template to `auto` (ours is added) or to the path of a template.",
        )
    if choice not in {"auto", "keep"}:
        _use(model, tokenizer, _read(Path(choice)))
    elif not own:
        _use(model, tokenizer, CHATML)
    if tokenizer.pad_token_id is None:
        # Padding is masked and never predicted, so the end token serves without growing the vocabulary.
        if tokenizer.eos_token is None:
            _add_tokens(model, tokenizer, [PAD])
        tokenizer.pad_token = tokenizer.eos_token or PAD
    for config in (model.config, model.generation_config):
        if config is not None:
            config.pad_token_id = tokenizer.pad_token_id


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_TEMPLATE_BYTES:
            raise StudentError(
                f"{path}: larger than {MAX_TEMPLATE_BYTES} bytes, which no chat template is",
                "Name a Jinja chat template.",
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise StudentError(
            f"{path}: the chat template cannot be read: {getattr(error, 'strerror', None) or error}",
            "Set student.chat_template to `auto`, `keep` or the path of a Jinja file.",
        ) from error


def _use(model: Any, tokenizer: Any, template: str) -> None:
    vocabulary = tokenizer.get_vocab()
    controls = [token for token in dict.fromkeys(_CONTROL.findall(template)) if token not in vocabulary]
    if tokenizer.pad_token_id is None:
        controls.append(PAD)
    old_end = tokenizer.eos_token_id
    _add_tokens(model, tokenizer, controls)
    if PAD in controls:
        tokenizer.pad_token = PAD
    tokenizer.chat_template = template
    if END in template:
        tokenizer.eos_token = END
        model.config.eos_token_id = tokenizer.eos_token_id
        if model.generation_config is not None:
            ends = {tokenizer.eos_token_id, *([] if old_end is None else [old_end])}
            model.generation_config.eos_token_id = sorted(ends)


def _add_tokens(model: Any, tokenizer: Any, tokens: list[str]) -> None:
    """Add control tokens; their embeddings start near the mean of all, which is near no word."""
    if not tokens:
        return
    tokenizer.add_special_tokens({"additional_special_tokens": tokens}, replace_extra_special_tokens=False)
    new = sorted(tokenizer.convert_tokens_to_ids(tokens))
    old = min(new[0], model.get_input_embeddings().weight.shape[0])
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    random = torch.Generator().manual_seed(0)
    inward, outward = model.get_input_embeddings(), model.get_output_embeddings()
    layers = [inward] if outward is None or outward.weight is inward.weight else [inward, outward]
    with torch.no_grad():
        for layer in layers:
            known = layer.weight[:old]
            spread = known.std().item()
            for token in new:
                noise = torch.randn(known.shape[1], generator=random).to(known) * (0.05 * spread)
                layer.weight[token] = known.mean(dim=0) + noise
