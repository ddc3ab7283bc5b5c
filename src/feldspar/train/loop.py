"""One phase of training (§3.3, Table 2): exact batches, linear warm-up, then a constant rate."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from feldspar.errors import RunError
from feldspar.train import checkpoints as store
from feldspar.train.batches import collate, epoch_order, micro_batches, steps_of
from feldspar.train.checkpoints import Scored
from feldspar.train.export import load_weights
from feldspar.train.loss import autocast, loss_sum
from feldspar.train.plan import Plan, make_plan, rate, remarks, usable_cpus
from feldspar.train.records import Encoded, Student, TrainEvent, TrainSettings
from feldspar.types import Checkpoint, PhaseData

CLIP = 1.0
"""The norm that gradients are clipped to."""

DEFAULTS = TrainSettings()

Scorer = Callable[[], tuple[float, ...]]
Watcher = Callable[[TrainEvent], None]


def train_phase(
    student: Student,
    data: PhaseData,
    folder: Path,
    *,
    score: Scorer | None = None,
    settings: TrainSettings = DEFAULTS,
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
        score: how well the student's current weights do on held-out questions, one number a question,
            higher is better; called at each checkpoint. None: the last checkpoint is chosen.
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
    plan = make_plan(student, data, settings)
    finished = store.read_finished(folder, plan.fingerprint)
    if finished is not None:
        watch(_event("end", plan, plan.steps, plan.phase.epochs, note="already trained"))
        return finished
    with store.disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
    found = store.read_checkpoints(folder, plan.fingerprint)
    torch.set_num_threads(settings.threads or min(torch.get_num_threads(), usable_cpus()))
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


def _train(
    student: Student, plan: Plan, folder: Path, found: Sequence[Scored], hooks: tuple[Scorer | None, Watcher]
) -> list[Scored]:
    """Train from the newest checkpoint in `folder`, or from the start, to the phase's end."""
    score, watch = hooks
    torch.manual_seed(plan.seed)
    last = store.resumable(folder, found)
    done = [pair for pair in found if last is not None and pair[0].step <= last.step]
    step, begun = (last.step, last.epoch) if last else (0, 0)
    _check_room(student, folder, sum(after > begun for after in plan.save_after))
    if last:
        load_weights(student, Path(last.folder))
    optimizer = _optimizer(student.model)
    if last:
        store.restore_optimizer(student.model, optimizer, folder / "resume" / f"step-{step}")
    watch(_event("start", plan, step, begun, note=remarks(plan, step)))
    losses: list[float] = []
    for epoch in range(begun + 1, plan.phase.epochs + 1):
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
    student: Student, optimizer: Any, plan: Plan, step: int, samples: Sequence[Encoded]
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
        torch.autograd.backward(loss / labels)
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
    student: Student, plan: Plan, folder: Path, at: tuple[int, int, list[float]], optimizer: Any,
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


def _event(kind: Any, plan: Plan, step: int, epoch: int, **more: Any) -> TrainEvent:
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
