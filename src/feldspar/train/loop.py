"""One phase of training (§3.3, Table 2): exact batches, linear warm-up, then a constant rate."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from feldspar.errors import RunError
from feldspar.train import checkpoints as store
from feldspar.train.batches import collate, epoch_order, micro_batches, steps_of
from feldspar.train.encode import digest, encode_rows
from feldspar.train.export import load_weights
from feldspar.train.loss import autocast, loss_sum, settle_precision
from feldspar.train.records import Encoded, Precision, Student, TrainEvent, TrainSettings
from feldspar.types import Checkpoint, Phase, PhaseData

CLIP = 1.0
"""The norm that gradients are clipped to."""

Scored = tuple[Checkpoint, tuple[float, ...]]
Scorer = Callable[[], tuple[float, ...]]
Watcher = Callable[[TrainEvent], None]


@dataclass(frozen=True, slots=True)
class _Plan:
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

    @property
    def steps_per_epoch(self) -> int:
        return self.steps // self.phase.epochs


def rate(phase: Phase, step: int) -> float:
    """The learning rate of a step, from 1: linear warm-up over `warmup_steps`, then constant (Table 2)."""
    if step >= phase.warmup_steps:
        return phase.learning_rate
    return phase.learning_rate * step / phase.warmup_steps


def train_phase(
    student: Student,
    data: PhaseData,
    folder: Path,
    *,
    score: Scorer | None = None,
    settings: TrainSettings | None = None,
    watch: Watcher = lambda event: None,
) -> tuple[Checkpoint, ...]:
    """Train the student on a phase's rows, from the weights it has, and choose the best checkpoint.

    Stopped at any moment and called again with the same student, data and settings, it goes on from
    its last checkpoint and ends with the weights of an undisturbed run. AdamW (betas 0.9 and 0.95, no
    weight decay) starts fresh; dropout is off. Call `load_weights` with the chosen checkpoint
    afterwards: the student is left with the last step's weights, or as it was where nothing ran.

    Args:
        student: its model is trained in place.
        data: the phase and its rows; a sample above the phase's context is left out and reported.
        folder: the phase's own; made if it is not there.
        score: log-likelihoods of the held-out references under the student's current weights, one a
            question; called at each checkpoint. None: the last checkpoint is chosen.
        settings: how to train.
        watch: told of everything as it happens.

    Returns:
        The checkpoints in order, one of them `selected`; none if the phase is skipped.

    Raises:
        RunError: no sample fits, the loss is no longer a number, the disk is full or too small, or
            the folder holds a phase trained from something else.
        StudentError: the chat template cannot render a row.
    """
    if data.skipped or not data.rows:
        return ()
    plan = _plan(student, data, settings or TrainSettings())
    finished = store.read_finished(folder, plan.fingerprint)
    if finished is not None:
        watch(_event("end", plan, plan.steps, plan.phase.epochs, note="already trained"))
        return finished
    with store.disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
    found = store.read_checkpoints(folder, plan.fingerprint)
    if settings is not None and settings.threads > 0:
        torch.set_num_threads(settings.threads)
    else:
        torch.set_num_threads(min(torch.get_num_threads(), usable_cpus()))
    found = _train(student, plan, folder, found, (score, watch))
    report = {
        "fingerprint": plan.fingerprint,
        "phase": plan.phase.name,
        "steps": plan.steps,
        "samples": len(plan.samples),
        "left_out": list(plan.too_long),
        "precision": plan.precision,
        "token_budget": plan.token_budget,
    }
    chosen = found[store.finish(folder, found, report)][0]
    watch(_event("end", plan, plan.steps, plan.phase.epochs, score=chosen.score, note=f"step {chosen.step}"))
    return store.mark([checkpoint for checkpoint, _ in found], chosen.step)


def usable_cpus() -> int:
    """CPUs that this process may use: its affinity, and the control group's quota where there is one."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return max(1, min(cpus, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        return cpus


def _plan(student: Student, data: PhaseData, settings: TrainSettings) -> _Plan:
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
    return _Plan(
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
    for name, value in store.trained(model):
        flat = value.detach().flatten()
        some = flat[:: max(1, flat.numel() // 1000)].double().cpu()
        hashed.update(f"{name} {tuple(value.shape)}".encode() + some.numpy().tobytes())
    return hashed.hexdigest()


def _train(
    student: Student, plan: _Plan, folder: Path, found: Sequence[Scored], hooks: tuple[Scorer | None, Watcher]
) -> list[Scored]:
    """Train from the newest checkpoint in `folder`, or from the start, to the phase's end."""
    score, watch = hooks
    torch.manual_seed(plan.seed)
    last = store.resumable(folder, found)
    done = [pair for pair in found if last is not None and pair[0].step <= last.step]
    step, epoch = (last.step, last.epoch) if last else (0, 0)
    _check_room(student, folder, sum(after > epoch for after in plan.save_after))
    if last:
        load_weights(student, Path(last.folder))
    optimizer = _optimizer(student.model)
    if last:
        store.restore_optimizer(student.model, optimizer, folder / "resume" / f"step-{step}")
    watch(_event("start", plan, step, epoch, note=_note(plan, step)))
    losses: list[float] = []
    for epoch in range(epoch + 1, plan.phase.epochs + 1):
        order = epoch_order(len(plan.samples), plan.seed, plan.phase.name, epoch)
        for chosen in steps_of(order, plan.phase.batch_size):
            step += 1
            began = time.perf_counter()
            loss, norm = _step(student, optimizer, plan, step, [plan.samples[at] for at in chosen])
            losses.append(loss)
            watch(
                _event(
                    "step", plan, step, epoch, loss=loss, learning_rate=rate(plan.phase, step),
                    gradient_norm=norm, tokens=sum(len(plan.samples[at].ids) for at in chosen),
                    seconds=time.perf_counter() - began,
                )
            )  # fmt: skip
        if epoch in plan.save_after:
            watch(_event("scoring", plan, step, epoch))
            done.append(_save(student, plan, folder, (step, epoch, losses), optimizer, score))
            watch(_event("checkpoint", plan, step, epoch, score=done[-1][0].score))
            losses = []
    return done


def _step(
    student: Student, optimizer: Any, plan: _Plan, step: int, samples: Sequence[Encoded]
) -> tuple[float, float]:
    """One optimizer step on exactly these samples; its mean loss a label token, and the gradient's norm."""
    model = student.model
    model.eval()  # what `eval` switches off is dropout; gradients flow all the same
    labels = sum(sample.labels for sample in samples)
    total = 0.0
    for group in micro_batches([len(sample.ids) for sample in samples], plan.token_budget):
        batch = collate([samples[at] for at in group], student.tokenizer.pad_token_id, model.device)
        with autocast(plan.precision, model.device):
            loss = loss_sum(model, batch)
        (loss / labels).backward()
        total += loss.item()
    norm = float(torch.nn.utils.clip_grad_norm_([value for _, value in store.trained(model)], CLIP))
    if not (math.isfinite(total) and math.isfinite(norm)):
        raise RunError(
            f"phase {plan.phase.name}: the loss is no longer a number at step {step}",
            "Lower the phase's learning_rate, or train in float32.",
        )
    for parameters in optimizer.param_groups:
        parameters["lr"] = rate(plan.phase, step)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total / labels, norm


def _save(
    student: Student, plan: _Plan, folder: Path, at: tuple[int, int, list[float]], optimizer: Any,
    score: Scorer | None,
) -> Scored:  # fmt: skip
    """Score the weights as they are and write them as a checkpoint."""
    step, epoch, losses = at
    scores = tuple(score()) if score is not None else ()
    known = bool(scores) and all(map(math.isfinite, scores))
    checkpoint = Checkpoint(
        phase=plan.phase.name,
        step=step,
        epoch=epoch,
        folder=str(folder / f"step-{step}"),
        score=math.fsum(scores) / len(scores) if known else None,
        error=store.standard_error(scores) if known else None,
        losses=tuple(losses),
    )
    store.write_checkpoint(student, checkpoint, scores, optimizer, plan.fingerprint)
    return checkpoint, scores


def _optimizer(model: Any) -> torch.optim.AdamW:
    """A fresh AdamW, fused: one pass over the parameters instead of several."""
    parameters = [value for _, value in store.trained(model)]
    return torch.optim.AdamW(parameters, lr=0.0, betas=(0.9, 0.95), weight_decay=0.0, fused=True)


def _check_room(student: Student, folder: Path, saves: int) -> None:
    """Refuse now what would fill the disk in an hour: `saves` checkpoints and two optimizer states."""
    weights = sum(value.numel() * value.element_size() for _, value in store.trained(student.model))
    needed = weights * (saves + 4)
    free = shutil.disk_usage(folder).free
    if saves and needed > free:
        raise RunError(
            f"{folder}: {saves} checkpoints need {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            "Make room, or keep fewer checkpoints a phase.",
        )


def _sweep(folder: Path) -> None:
    """Remove what an interrupted write left behind."""
    for left in [*folder.glob(".step-*.partial"), *folder.glob("resume/.step-*.partial")]:
        shutil.rmtree(left, ignore_errors=True)


def _note(plan: _Plan, step: int) -> str:
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


def _event(kind: Any, plan: _Plan, step: int, epoch: int, **more: Any) -> TrainEvent:
    return TrainEvent(
        kind=kind,
        phase=plan.phase.name,
        step=step,
        steps=plan.steps,
        epoch=epoch,
        epochs=plan.phase.epochs,
        samples=len(plan.samples),
        left_out=len(plan.too_long),
        **more,
    )
