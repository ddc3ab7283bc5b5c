"""Exact effective batches: each step has its samples, however they are cut into micro-batches (§3.3)."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from feldspar.train.records import Encoded


@dataclass(frozen=True, slots=True)
class Batch:
    """A micro-batch of `B` samples padded on the right to `T` tokens."""

    ids: torch.Tensor
    """(B, T), int64."""
    mask: torch.Tensor
    """(B, T), int64: 1 on tokens, 0 on padding."""
    predicts: torch.Tensor
    """(B, T), bool: the positions whose next token is trained on."""
    targets: torch.Tensor
    """(labels,), int64: those next tokens, row by row."""


def epoch_order(count: int, seed: int, phase: str, epoch: int) -> list[int]:
    """A permutation of `range(count)` that depends on the seed, the phase and the epoch alone."""
    key = hashlib.sha256(f"{seed}\n{phase}\n{epoch}".encode()).digest()
    order = list(range(count))
    random.Random(key).shuffle(order)  # noqa: S311  (a shuffle, not a secret)
    return order


def steps_of(order: Sequence[int], batch_size: int) -> list[list[int]]:
    """Cut an epoch into steps of exactly `batch_size` samples; the last may be smaller."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    return [list(order[at : at + batch_size]) for at in range(0, len(order), batch_size)]


def micro_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Group a step's samples by length so that each group, padded, stays within `token_budget` tokens.

    Args:
        lengths: tokens of each sample of the step.
        token_budget: tokens of a micro-batch, padding included; a sample above it is alone.

    Returns:
        Indexes into `lengths`, each exactly once, the longest first.
    """
    groups: list[list[int]] = []
    widest = 0
    for at in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if groups and widest * (len(groups[-1]) + 1) <= token_budget:
            groups[-1].append(at)
        else:
            groups.append([at])
            widest = lengths[at]
    return groups


def collate(samples: Sequence[Encoded], pad: int, device: torch.device | str = "cpu") -> Batch:
    """Pad samples on the right to the longest and mark what is predicted from where."""
    width = max(len(sample.ids) for sample in samples)
    ids = torch.full((len(samples), width), pad, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    predicts = torch.zeros(ids.shape, dtype=torch.bool)
    targets: list[int] = []
    for row, sample in enumerate(samples):
        ids[row, : len(sample.ids)] = torch.tensor(sample.ids)
        mask[row, : len(sample.ids)] = 1
        # The token at t is predicted at t - 1; nothing predicts the first token.
        first = max(sample.labels_from, 1)
        predicts[row, first - 1 : len(sample.ids) - 1] = True
        targets.extend(sample.ids[first:])
    return Batch(
        ids=ids.to(device),
        mask=mask.to(device),
        predicts=predicts.to(device),
        targets=torch.tensor(targets, dtype=torch.int64, device=device),
    )
