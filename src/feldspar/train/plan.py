"""What a phase is going to do, settled before its first step: its samples, steps, rate and checkpoints."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feldspar.errors import RunError
from feldspar.train.batches import steps_of
from feldspar.train.checkpoints import trained
from feldspar.train.encode import digest, encode_rows
from feldspar.train.loss import settle_precision
from feldspar.train.records import Encoded, Precision, Student, TrainSettings
from feldspar.types import Phase, PhaseData


@dataclass(frozen=True, slots=True)
class Plan:
    """What one phase is going to do, settled before its first step."""

    phase: Phase
    samples: tuple[Encoded, ...]
    too_long: tuple[str, ...]
    steps: int
    save_after: frozenset[int]
    """Epochs, from 1, that end in a checkpoint."""
    fingerprint: str
    """Digest of the data, the phase, the seed and the weights at the start."""
    seed: int
    token_budget: int
    precision: Precision


def rate(phase: Phase, step: int) -> float:
    """The learning rate of a step, from 1: linear warm-up over `warmup_steps`, then constant (Table 2)."""
    if step >= phase.warmup_steps:
        return phase.learning_rate
    return phase.learning_rate * step / phase.warmup_steps


def usable_cpus() -> int:
    """CPUs that this process may use: its affinity, and the control group's quota where there is one."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return max(1, min(cpus, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        return cpus


def make_plan(student: Student, data: PhaseData, settings: TrainSettings) -> Plan:
    """Settle what a phase will do.

    Raises:
        RunError: a setting below 1, or no sample fits the context.
        StudentError: the chat template cannot render a row.
    """
    phase = data.phase
    if phase.epochs < 1 or phase.batch_size < 1 or settings.checkpoints < 1 or settings.token_budget < 1:
        raise RunError(
            f"phase {phase.name}: epochs, batch_size, checkpoints and token_budget must be at least 1",
            "Mend the phase in the recipe.",
        )
    samples, too_long = encode_rows(student.tokenizer, data.rows, phase.context_length)
    if not samples:
        raise RunError(
            f"phase {phase.name}: all {len(too_long)} samples are longer than its context of "
            f"{phase.context_length} tokens (the first: {too_long[0]})",
            "Raise the phase's context_length.",
        )
    kept = min(settings.checkpoints, phase.epochs)
    terms = (
        digest(samples), phase.name, phase.learning_rate, phase.warmup_steps, phase.batch_size,
        phase.epochs, settings.seed, kept, _weights_digest(student.model),
    )  # fmt: skip
    return Plan(
        phase=phase,
        samples=samples,
        too_long=too_long,
        steps=phase.epochs * len(steps_of(range(len(samples)), phase.batch_size)),
        save_after=frozenset(-(-phase.epochs * part // kept) for part in range(1, kept + 1)),
        fingerprint=hashlib.sha256(repr(terms).encode()).hexdigest(),
        seed=settings.seed,
        token_budget=settings.token_budget,
        precision=settle_precision(settings.precision, student.model.device),
    )


def _weights_digest(model: Any) -> str:
    """Digest of some 1,000 numbers of each tensor: enough to tell one model from another, in no time."""
    hashed = hashlib.sha256()
    for name, value in trained(model):
        flat = value.detach().flatten()
        some = flat[:: max(1, flat.numel() // 1000)].double().cpu()
        hashed.update(f"{name} {tuple(value.shape)}".encode() + some.numpy().tobytes())
    return hashed.hexdigest()


def remarks(plan: Plan, step: int) -> str:
    """What a person should know before the first step; `step`: how many were done before."""
    notes = [f"resumed after step {step}"] if step else []
    if plan.phase.warmup_steps > plan.steps:
        notes.append(
            f"the warm-up of {plan.phase.warmup_steps} steps is longer than the phase of {plan.steps}: "
            f"the rate reaches {rate(plan.phase, plan.steps):.2g}"
        )
    if plan.too_long:
        notes.append(
            f"{len(plan.too_long)} samples are longer than {plan.phase.context_length} tokens and are "
            f"left out, the first of them {plan.too_long[0]}"
        )
    return "; ".join(notes)
