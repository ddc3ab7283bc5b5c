"""Checkpoints: written under a temporary name and renamed last, resumed from, chosen among (§3.3, §4).

A phase's folder::

    step-12/        model.safetensors, config, tokenizer, checkpoint.json
    resume/step-12/ the optimizer's moments at that step; only the newest is kept
    phase.json      the choice; written last, so its presence means that the phase is complete
"""

from __future__ import annotations

import errno
import json
import math
import shutil
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from feldspar.errors import RunError
from feldspar.train.records import Student
from feldspar.train.student import quiet
from feldspar.types import Checkpoint

Scored = tuple[Checkpoint, tuple[float, ...]]
"""A checkpoint with its scores, one a question."""

_STATE = ("exp_avg", "exp_avg_sq", "step")
"""AdamW's two moments and its counter."""

_ANEW = "Delete the phase's folder and give the same command again: it is trained anew."


def select(scores: Sequence[tuple[float, ...]]) -> int:
    """Choose a checkpoint: the earliest whose paired difference to the best is within a standard error.

    "We consciously avoid overtraining" (§3.3): a later checkpoint must be better by more than chance.

    Args:
        scores: for each checkpoint, in order, one number a question (higher is better), the questions
            in the same order. A number that is not finite makes its checkpoint the worst.

    Returns:
        An index into `scores`; the last one if there are no questions.

    Raises:
        ValueError: no checkpoints, or differing numbers of questions.
    """
    if not scores or len({len(row) for row in scores}) > 1:
        raise ValueError("select needs at least one checkpoint, and as many scores for each")
    if not scores[0]:
        return len(scores) - 1
    means = [statistics.fmean(row) if all(map(math.isfinite, row)) else -math.inf for row in scores]
    if max(means) == -math.inf:
        return len(scores) - 1
    best = means.index(max(means))
    for at in range(best):
        if means[at] == -math.inf:
            continue
        differences = [b - a for a, b in zip(scores[at], scores[best], strict=True)]
        if statistics.fmean(differences) <= standard_error(differences):
            return at
    return best


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of `values`; 0 for a single one."""
    if len(values) < 2:
        return 0.0
    return statistics.stdev(values) / math.sqrt(len(values))


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Turn a full disk, and a folder that cannot be written, into a `RunError` that names the folder."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        number = getattr(error, "errno", None)
        if number in {errno.ENOSPC, errno.EDQUOT} or "os error 28" in str(error):
            raise RunError(
                f"the disk is full: {folder}",
                "Make room and run the same command again: training goes on from its last checkpoint.",
            ) from error
        if isinstance(error, OSError):
            raise RunError(
                f"{folder}: cannot be written ({error.strerror or error})", "Check the folder."
            ) from error
        raise


@contextmanager
def renamed_last(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder` that takes its place once everything in it is written."""
    temporary = folder.with_name(f".{folder.name}.partial")
    with disk(folder):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            if folder.exists():
                shutil.rmtree(folder)
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def write_json(path: Path, value: object) -> None:
    """Write `value` under a temporary name and rename it."""
    partial = path.with_name(f".{path.name}.partial")
    with disk(path.parent):
        partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)


def write_weights(student: Student, folder: Path) -> None:
    """Write the model and its tokenizer as plain transformers load them."""
    with quiet():
        student.model.save_pretrained(folder, max_shard_size="50GB")
        student.tokenizer.save_pretrained(folder)


def write_checkpoint(
    student: Student, checkpoint: Checkpoint, scores: Sequence[float], optimizer: Any, fingerprint: str
) -> None:
    """Write a checkpoint and the optimizer's state at it, then forget the older state."""
    folder = Path(checkpoint.folder)
    resume = folder.parent / "resume" / folder.name
    with renamed_last(resume) as partial:
        save_file(_moments(student.model, optimizer), partial / "optimizer.safetensors")
    with renamed_last(folder) as partial:
        write_weights(student, partial)
        record = {
            "phase": checkpoint.phase,
            "step": checkpoint.step,
            "epoch": checkpoint.epoch,
            "losses": list(checkpoint.losses),
            "scores": [value if math.isfinite(value) else None for value in scores],
            "fingerprint": fingerprint,
        }
        write_json(partial / "checkpoint.json", record)
    for older in resume.parent.iterdir():
        if older != resume:
            shutil.rmtree(older, ignore_errors=True)


def read_checkpoints(folder: Path, fingerprint: str) -> list[Scored]:
    """The complete checkpoints of a phase's folder with their scores, in order of their steps.

    Raises:
        RunError: one cannot be read, or was trained from other data, settings or weights.
    """
    found: list[Scored] = []
    for path in folder.glob("step-*/checkpoint.json"):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            known = str(record["fingerprint"])
            scores = tuple(math.nan if value is None else float(value) for value in record["scores"])
            known_scores = bool(scores) and all(map(math.isfinite, scores))
            checkpoint = Checkpoint(
                phase=str(record["phase"]),
                step=int(record["step"]),
                epoch=int(record["epoch"]),
                folder=str(path.parent),
                score=statistics.fmean(scores) if known_scores else None,
                error=standard_error(scores) if known_scores else None,
                losses=tuple(float(loss) for loss in record["losses"]),
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise RunError(f"{path}: damaged ({error})", _ANEW) from error
        if known != fingerprint:
            raise RunError(f"{path.parent}: trained from other data, settings or weights", _ANEW)
        found.append((checkpoint, scores))
    return sorted(found, key=lambda pair: pair[0].step)


def resumable(folder: Path, found: Sequence[Scored]) -> Checkpoint | None:
    """The newest checkpoint that has both its weights and the optimizer's state; None: start anew."""
    for checkpoint, _ in reversed(found):
        state = folder / "resume" / f"step-{checkpoint.step}" / "optimizer.safetensors"
        if state.is_file() and any(Path(checkpoint.folder).glob("*.safetensors")):
            return checkpoint
    return None


def restore_optimizer(model: Any, optimizer: Any, folder: Path) -> None:
    """Give `optimizer` the moments of `folder/optimizer.safetensors`.

    Raises:
        RunError: the file is damaged or of another model.
    """
    path = folder / "optimizer.safetensors"
    try:
        kept = load_file(path)
        for name, parameter in trained(model):
            # A fused AdamW keeps its step counter beside the parameter, as a tensor of its own.
            optimizer.state[parameter] = {
                key: kept.pop(f"{name}:{key}").to(parameter.device) for key in _STATE
            }
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise RunError(f"{path}: damaged or of another model ({error})", _ANEW) from error


def trained(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    """The parameters that are trained, by name; tied ones once."""
    return [(name, value) for name, value in model.named_parameters() if value.requires_grad]


def _moments(model: Any, optimizer: Any) -> dict[str, torch.Tensor]:
    return {
        f"{name}:{key}": optimizer.state[parameter][key].detach().contiguous()
        for name, parameter in trained(model)
        for key in _STATE
    }


def finish(folder: Path, found: Sequence[Scored], report: dict[str, Any]) -> int:
    """Choose among a phase's checkpoints and write `phase.json`; the index of the chosen one."""
    chosen = select([scores for _, scores in found])
    write_json(folder / "phase.json", {**report, "selected": found[chosen][0].step})
    return chosen


def read_finished(folder: Path, fingerprint: str) -> tuple[Checkpoint, ...] | None:
    """The checkpoints of a phase that is complete, the chosen one marked; None if it is not complete.

    Raises:
        RunError: it was trained from other data, settings or weights.
    """
    path = folder / "phase.json"
    if not path.is_file():
        return None
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        known, step = str(report["fingerprint"]), int(report["selected"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunError(f"{path}: damaged ({error})", _ANEW) from error
    if known != fingerprint:
        raise RunError(f"{folder}: trained from other data, settings or weights", _ANEW)
    return mark([checkpoint for checkpoint, _ in read_checkpoints(folder, fingerprint)], step)


def mark(checkpoints: Sequence[Checkpoint], step: int) -> tuple[Checkpoint, ...]:
    """The checkpoints, the one of `step` marked as selected."""
    return tuple(replace(checkpoint, selected=checkpoint.step == step) for checkpoint in checkpoints)


def prune(folder: Path, selected: Checkpoint) -> int:
    """Delete the weights of all checkpoints of a finished phase but `selected`, and the optimizer's state.

    Their `checkpoint.json`, with losses and scores, stays.

    Returns:
        The bytes that were freed.
    """
    freed = 0
    for path in sorted(folder.glob("step-*/*")) + sorted(folder.glob("resume/*/*")):
        if path.parent.name == f"step-{selected.step}" and path.parent.parent == folder:
            continue
        if path.name != "checkpoint.json" and path.is_file():
            freed += path.stat().st_size
            path.unlink()
    shutil.rmtree(folder / "resume", ignore_errors=True)
    return freed
