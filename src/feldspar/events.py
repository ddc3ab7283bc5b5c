"""What a long verb tells while it works: the events that a progress display consumes.

`lab` turns what the stages report into these, `progress` shows them; neither knows the other.
An event is a fact of the moment: a consumer that misses one loses a line of display, no result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage of the run has begun."""

    name: str
    """`1-leaves`, `2-samples`, …: the folder's name."""


@dataclass(frozen=True, slots=True)
class StageDone:
    """A stage of the run is complete."""

    name: str
    seconds: float = 0.0
    skipped: bool = False
    """It was complete already, from equal settings and inputs."""


@dataclass(frozen=True, slots=True)
class LeafProgress:
    """Where one leaf stands: all its counts so far, not what was added (§3.2)."""

    leaf: str
    drawn: int
    accepted: int
    target: int
    """Accepted samples that are wanted."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Drafts by the short name of the reason."""
    done: bool = False
    """The leaf has its samples, or has used up its draws."""
    draws: int = 0
    """Draws after which it ends whatever is still wanted, as a pilot's leaves do; 0: there are none."""


@dataclass(frozen=True, slots=True)
class Calibrating:
    """How far the measuring of the judges is, before anything is drawn (§3.2)."""

    done: int
    """Verdicts that are there."""
    total: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """One reply of the teacher: what it cost, to be added up by the consumer."""

    prompt: int
    completion: int
    seconds: float = 0.0
    """How long the reply took; 0 if it was stored."""
    stored: bool = False
    """It came from the journal: nothing was sent."""


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """One optimizer step of a phase is done (§3.3)."""

    phase: str
    epoch: int
    """From 1."""
    epochs: int
    step: int
    """From 1, counted within the phase."""
    steps: int
    loss: float
    """Mean over the step's label tokens, in nats."""
    learning_rate: float
    tokens_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should read, which stays in view: a warning, a thing left out."""

    text: str


Event = StageStarted | StageDone | Calibrating | LeafProgress | Tokens | TrainProgress | Note

Watch = Callable[[Event], None]
"""Whoever wants to know. Called from any thread; must not raise."""


def silent(event: Event) -> None:
    """A `Watch` that shows nothing."""
