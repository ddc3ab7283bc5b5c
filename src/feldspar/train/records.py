"""The records that training passes about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Student:
    """A causal language model with its tokenizer, as float32 master weights.

    The model and the tokenizer are transformers' own objects, which carry no types.
    """

    model: Any
    tokenizer: Any
    source: str
    """What it was loaded from: a folder, a GGUF file or a Hugging Face id."""
    embedded: bool
    """Whether it came out of a GGUF file, and its weights were thus quantized once."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One conversation in tokens; `ids[labels_from:]` is the response, which alone is trained on."""

    ids: tuple[int, ...]
    labels_from: int

    @property
    def labels(self) -> int:
        """How many tokens are trained on."""
        return len(self.ids) - self.labels_from


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a phase is trained, beyond what Table 2 says of it."""

    seed: int = 0
    precision: Precision = "auto"
    """auto: bfloat16 autocast where the hardware multiplies it; the master weights stay float32."""
    token_budget: int = 1024
    """Tokens of a micro-batch, padding included; a longer sample makes one alone."""
    checkpoints: int = 10
    """At most so many checkpoints a phase, at ends of epochs, spread evenly, the last included."""
    threads: int = 0
    """CPU threads; 0: as many as this process may use."""


@dataclass(frozen=True, slots=True)
class TrainEvent:
    """What `train_phase` tells its watcher: at the start, after each step and each checkpoint, at the end."""

    kind: Literal["start", "step", "scoring", "checkpoint", "end"]
    phase: str
    step: int
    """Optimizer steps done in this phase."""
    steps: int
    """Optimizer steps of the whole phase."""
    epoch: int
    epochs: int
    loss: float | None = None
    """Mean over the step's label tokens, in nats; None where the event is no step."""
    learning_rate: float = 0.0
    gradient_norm: float = 0.0
    """Before clipping."""
    tokens: int = 0
    """Tokens of this step, padding not counted."""
    seconds: float = 0.0
    """How long this step took."""
    samples: int = 0
    """Samples that the phase trains on."""
    left_out: int = 0
    """Samples longer than the phase's context, which are not trained on."""
    score: float | None = None
    """Of a checkpoint: the mean of its scores."""
    note: str = ""
    """What a person should know: resumed from where, a warm-up longer than its phase, what was left out."""
