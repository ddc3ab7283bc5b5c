"""What a person sees while a long verb works: a live table, or plain lines where there is no terminal.

`Live` consumes events and shows them on stderr; results go to stdout. Every text that comes from a
file or a model is shown as plain text: no markup and no control character of it takes effect.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TextIO

from feldspar.events import (
    Calibrating,
    Event,
    LeafProgress,
    Note,
    StageDone,
    StageStarted,
    Tokens,
    TrainProgress,
)
from feldspar.text import counted, printable

EVERY = 10.0
"""Seconds between two plain lines."""

_WINDOW = 30.0
"""Seconds over which a rate is taken."""


@dataclass
class State:
    """What the events have told so far."""

    stage: str = ""
    started: float = 0.0
    calibrating: Calibrating | None = None
    leaves: dict[str, LeafProgress] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    """What each leaf had done when a reply was first sent for: stored work is no pace."""
    drawing: float = 0.0
    """Since when there is a pace."""
    replies: int = 0
    stored: int = 0
    completion: int = 0
    recent: deque[tuple[float, int]] = field(default_factory=deque)
    train: TrainProgress | None = None
    train_from: tuple[float, int] = (0.0, 0)


def apply(state: State, event: Event, now: float) -> None:
    """Take an event into the state; `now` in seconds, from any clock that does not go back."""
    if isinstance(event, StageStarted):
        state.stage, state.started, state.train = event.name, now, None
        state.calibrating, state.drawing = None, now
        state.leaves, state.first, state.recent = {}, {}, deque()
        state.replies = state.stored = state.completion = 0
    elif isinstance(event, Calibrating):
        # A calibration that is given up, because it is not stored, never comes to its end.
        ended = event.done >= event.total or bool(state.leaves)
        state.calibrating = None if ended else event
        state.drawing = state.drawing if state.leaves else now
    elif isinstance(event, LeafProgress):
        state.calibrating = None
        state.leaves[event.leaf] = event
        if state.replies == state.stored:
            state.first[event.leaf], state.drawing = _way(event)[0], now
    elif isinstance(event, Tokens):
        state.replies += 1
        state.stored += event.stored
        if not event.stored:
            state.completion += event.completion
            state.recent.append((now, event.completion))
            while state.recent and state.recent[0][0] < now - _WINDOW:
                state.recent.popleft()
    elif isinstance(event, TrainProgress):
        if state.train is None or state.train.phase != event.phase:
            state.train_from = (now, event.step)
        state.train = event


def rate(state: State, now: float) -> float:
    """The teacher's completion tokens a second, over the last half minute."""
    recent = [(when, count) for when, count in state.recent if when >= now - _WINDOW]
    span = min(_WINDOW, now - state.started)
    return sum(count for _, count in recent) / span if span > 0 else 0.0


def left(state: State, now: float) -> float | None:
    """Seconds that the stage will still take at its pace so far; None where there is none yet."""
    if state.train is not None:
        since, first = state.train_from
        done, missing = state.train.step - first, state.train.steps - state.train.step
        return (now - since) * missing / done if done > 0 else None
    if not state.leaves:
        return None
    ways = [(*_way(leaf), state.first.get(leaf.leaf, 0)) for leaf in state.leaves.values()]
    fresh = sum(done - first for done, _, first in ways)
    missing = sum(max(0, wanted - done) for done, wanted, _ in ways)
    if missing and fresh <= 0:
        return None
    return (now - state.drawing) * missing / fresh if missing else 0.0


def _way(leaf: LeafProgress) -> tuple[int, int]:
    """How much of a leaf is done, and of how much: draws of a pilot, else samples."""
    done, wanted = (leaf.drawn, leaf.draws) if leaf.draws else (leaf.accepted, leaf.target)
    return done, done if leaf.done else wanted


def summary(state: State, now: float) -> str:
    """The state as one line."""
    if state.train is not None:
        step = state.train
        parts = [
            f"phase {step.phase}",
            f"epoch {step.epoch}/{step.epochs}",
            f"step {step.step}/{step.steps}",
            f"loss {step.loss:.3f}",
            f"rate {step.learning_rate:.1e}",
        ]
        if step.tokens_per_second:
            parts.append(f"{step.tokens_per_second:,.0f} tokens/s")
    else:
        parts = [*_drawn(state), *_asked(state, now)]
    remaining = left(state, now)
    if remaining:
        parts.append(f"{duration(remaining)} left")
    return "  ".join([state.stage, *map(printable, parts)])


def _drawn(state: State) -> Iterator[str]:
    """What the judges or the leaves have so far."""
    if state.calibrating is not None:
        yield f"calibrating the judges: {state.calibrating.done} of {state.calibrating.total}"
    elif state.leaves:
        leaves = state.leaves.values()
        drawn, accepted = sum(leaf.drawn for leaf in leaves), sum(leaf.accepted for leaf in leaves)
        if all(leaf.draws for leaf in leaves):
            yield f"{drawn} of {sum(_way(leaf)[1] for leaf in leaves)} drafted"
            yield f"{accepted} accepted"
        else:
            yield f"{drawn} drafted"
            yield f"{accepted} of {sum(leaf.target for leaf in leaves)} accepted"
        yield f"{sum(sum(leaf.rejected.values()) for leaf in leaves)} rejected"
    elif state.replies:
        yield counted(state.replies, "reply", "replies")


def _asked(state: State, now: float) -> Iterator[str]:
    """What the teacher does for it."""
    if state.replies > state.stored or (state.leaves and not state.stored):
        yield f"{rate(state, now):,.0f} tokens/s"
    if state.stored:
        yield f"{state.stored} of {state.replies} replies from the journal"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def reasons(leaf: LeafProgress) -> str:
    """`3 ungrounded, 1 unparsable`: the commonest first."""
    counts = sorted(leaf.rejected.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {printable(reason)}" for reason, count in counts if count)


def _begins(event: Event) -> bool:
    """Whether something has begun that can take minutes before its first sign of life."""
    return isinstance(event, Calibrating) and event.done == 0


class Live:
    """A `Watch` that shows what it is told, until the block ends.

    Args:
        out: Where to; a terminal gets a live table, anything else a line every `EVERY` seconds.
        quiet: Show nothing at all.
    """

    def __init__(self, out: TextIO | None = None, *, quiet: bool = False) -> None:
        self.out = out if out is not None else sys.stderr
        self.quiet = quiet
        self.state = State(started=time.monotonic())
        self._guard = threading.RLock()
        self._said = 0.0
        self._view: Any = None

    def __enter__(self) -> Self:
        if not self.quiet and self.out.isatty():
            from rich.console import Console
            from rich.live import Live as RichLive

            console = Console(file=self.out, highlight=False, markup=False)
            self._view = RichLive(
                console=console, get_renderable=self._table, refresh_per_second=4, transient=True
            )
            self._view.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._view is not None:
            self._view.stop()
            self._view = None

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        with self._guard:
            apply(self.state, event, now)
            if self.quiet:
                return
            if isinstance(event, Note):
                self._say(event.text)
            elif isinstance(event, StageStarted):
                self._said = now
                if self._view is None:
                    self._say(event.name)
            elif isinstance(event, StageDone):
                if self._view is None and not event.skipped and (self.state.leaves or self.state.train):
                    self._say(summary(self.state, now))
                told = "complete already" if event.skipped else f"done in {duration(event.seconds)}"
                self._say(f"{event.name}  {told}")
            elif self._view is None and (now - self._said >= EVERY or _begins(event)):
                self._said = now
                self._say(summary(self.state, now))

    def _say(self, text: str) -> None:
        text = printable(text)
        if self._view is not None:
            from rich.text import Text

            self._view.console.print(Text(text))
            return
        try:
            self.out.write(text + "\n")
            self.out.flush()
        except (OSError, ValueError):
            # Whoever listened has gone; the work goes on.
            self.quiet = True

    def _table(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        with self._guard:
            line = Text(summary(self.state, now))
            if self.state.train is not None or not self.state.leaves:
                return line
            table = Table(box=None, padding=(0, 2, 0, 0))
            # The unfinished first: a screen holds some thirty lines, a taxonomy thousands of leaves.
            leaves = sorted(self.state.leaves.values(), key=lambda leaf: (leaf.done, leaf.leaf))
            room = max(4, self._view.console.size.height - 6) if self._view is not None else 20
            for heading in ("leaf", "drafted", "accepted", "rejected"):
                justify: Any = "left" if heading in ("leaf", "rejected") else "right"
                table.add_column(heading, justify=justify, no_wrap=heading != "rejected")
            for leaf in leaves[:room]:
                of_draws, of_samples = f"/{_way(leaf)[1]}" * bool(leaf.draws), f"/{leaf.target}"
                table.add_row(
                    Text(printable(leaf.leaf)),
                    Text(f"{leaf.drawn}{of_draws}"),
                    Text(f"{leaf.accepted}{'' if leaf.draws else of_samples}"),
                    Text(reasons(leaf)),
                )
            if len(leaves) > room:
                table.add_row(Text(f"and {len(leaves) - room} more"))
            return Group(line, table)
