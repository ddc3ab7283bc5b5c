"""Tokens a second of Feldspar's training step against the plain loop that people write first.

The baseline is transformers' own loss over batches of eight in the order they come, padded to the
longest, logits at every position, float32. Both do forward and backward over the same samples of
the first lab with the embedded model, twice, in turn; the ratio is of the second, warm passes.

    .venv/bin/python benchmarks/train_step.py
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import yaml

from feldspar.teacher import embedded_model
from feldspar.train import Encoded, Student, encode, load_student
from feldspar.train.batches import collate, micro_batches, steps_of
from feldspar.train.loss import autocast, loss_sum, settle_precision
from feldspar.types import Message

EXAMPLE = Path(__file__).parents[1] / "examples" / "first-lab"
BATCH, BUDGET = 8, 1024


def conversations() -> list[list[Message]]:
    """Questions and answers of the example, in the order they stand there: short beside long."""
    found = [
        [Message(turn["role"], turn["content"]) for turn in json.loads(line)["messages"]]
        for line in (EXAMPLE / "foundational.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    leaf = EXAMPLE / "taxonomy" / "knowledge" / "islands" / "ondry" / "qna.yaml"
    for seed in yaml.safe_load(leaf.read_text(encoding="utf-8"))["seed_examples"]:
        for pair in seed["questions_and_answers"]:
            found.append([Message("user", pair["question"]), Message("assistant", pair["answer"])])
    return found


def ours(student: Student, samples: Sequence[Encoded]) -> None:
    """As `train_phase` does it."""
    precision = settle_precision("auto", torch.device("cpu"))
    for step in steps_of(range(len(samples)), BATCH):
        chosen = [samples[at] for at in step]
        labels = sum(sample.labels for sample in chosen)
        for group in micro_batches([len(sample.ids) for sample in chosen], BUDGET):
            batch = collate([chosen[at] for at in group], student.tokenizer.pad_token_id)
            with autocast(precision, torch.device("cpu")):
                loss = loss_sum(student.model, batch)
            (loss / labels).backward()
        student.model.zero_grad()


def plain(student: Student, samples: Sequence[Encoded]) -> None:
    """Labels of -100 on prompts and padding, logits everywhere."""
    for step in steps_of(range(len(samples)), BATCH):
        chosen = [samples[at] for at in step]
        batch = collate(chosen, student.tokenizer.pad_token_id)
        labels = batch.ids.masked_fill(batch.mask == 0, -100)
        for row, sample in enumerate(chosen):
            labels[row, : sample.labels_from] = -100
        student.model(input_ids=batch.ids, attention_mask=batch.mask, labels=labels).loss.backward()
        student.model.zero_grad()


def timed(
    step: Callable[[Student, Sequence[Encoded]], None], student: Student, samples: list[Encoded]
) -> float:
    started = time.perf_counter()
    step(student, samples)
    return sum(len(sample.ids) for sample in samples) / (time.perf_counter() - started)


def main() -> int:
    student = load_student(str(embedded_model()))
    encoded = [encode(student.tokenizer, messages, 1024) for messages in conversations()]
    samples = [sample for sample in encoded if sample is not None]
    rates: dict[str, float] = {}
    for _ in range(2):
        for name, step in (("plain", plain), ("feldspar", ours)):
            rates[name] = timed(step, student, samples)
            print(f"{name}: {rates[name]:.0f} tokens/s over {len(samples)} samples", flush=True)
    print(json.dumps({"ratio": round(rates["feldspar"] / rates["plain"], 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
