"""The loss of a micro-batch, with logits at the label positions alone."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from feldspar.train.batches import Batch
from feldspar.train.records import Precision


def label_logits(model: Any, batch: Batch) -> torch.Tensor:
    """The logits that predict the batch's targets, (labels, vocabulary).

    The hidden states are picked on their way into the output layer, inside the model's own forward
    pass: whatever a model does to its logits afterwards (scaling, soft caps) is thus kept, and the
    logits of prompts and padding, most of the memory at large vocabularies, are never computed.
    """
    head = model.get_output_embeddings()
    shape = batch.predicts.shape

    def pick(_: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        return (given[0][batch.predicts], *given[1:]) if given[0].shape[:2] == shape else None

    hook = head.register_forward_pre_hook(pick) if head is not None else None
    try:
        logits = model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).logits
    finally:
        if hook is not None:
            hook.remove()
    picked: torch.Tensor = logits if logits.dim() == 2 else logits[batch.predicts]
    return picked


def loss_sum(model: Any, batch: Batch) -> torch.Tensor:
    """The sum of the negative log-likelihoods of the batch's label tokens, in nats, in float32."""
    logits = label_logits(model, batch)
    return torch.nn.functional.cross_entropy(logits.float(), batch.targets, reduction="sum")


def settle_precision(wanted: Precision, device: torch.device) -> Precision:
    """`auto` as float32 or bfloat16: bfloat16 where the device multiplies it natively."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("flags")[2].partition("\n")[0]
    except OSError:
        return "float32"
    return "bfloat16" if {"avx512_bf16", "amx_bf16"} & set(flags.split()) else "float32"


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Multiply in bfloat16 from float32 weights, or do nothing."""
    if precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
