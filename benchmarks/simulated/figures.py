"""What a server's log says of a client's work."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SLOTS = 256
_FULL = 0.95


@dataclass(frozen=True, slots=True)
class Call:
    """One line of the server's log, in seconds."""

    draw: str
    step: int
    arrival: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of one client's work."""

    calls: int
    share: float
    ideal: float
    """The share of the same calls without any delay, the earliest step first."""
    surplus: float
    """Share of the calls that belong to no draw on file."""
    full: float | None
    """Seconds until 95 % of the slots were busy for the first time; None: never."""
    wall: float
    """Seconds from the first arrival to the last end."""
    cpu: float
    """Of the client and its children, without its imports."""
    busy: float
    """The same, over the time that the client ran."""


def ideal(calls: Sequence[Call]) -> float:
    """The share that the earliest step first gets of these draws, without a delay anywhere."""
    chains: dict[str, dict[int, float]] = {}
    for call in calls:
        chains.setdefault(call.draw, {})[call.step] = call.end - call.start
    lengths = [[chain[step] for step in sorted(chain)] for chain in chains.values()]
    ready = [(0, draw) for draw in range(len(lengths))]
    running: list[tuple[float, int, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < SLOTS:
            step, draw = heapq.heappop(ready)
            heapq.heappush(running, (now + lengths[draw][step], draw, step))
        now, draw, step = heapq.heappop(running)
        if step + 1 < len(lengths[draw]):
            heapq.heappush(ready, (step + 1, draw))
    return sum(map(sum, lengths)) / SLOTS / now


def full(calls: Sequence[Call]) -> float | None:
    """Seconds from the first arrival to the moment when 95 % of the slots are busy."""
    busy = 0
    for at, change in sorted([(call.end, -1) for call in calls] + [(call.start, 1) for call in calls]):
        busy += change
        if busy >= _FULL * SLOTS:
            return at - min(call.arrival for call in calls)
    return None


def figures(log: Sequence[Sequence[Any]], told: Mapping[str, Any]) -> Figures:
    """What a log and a client's own words come to.

    Raises:
        RuntimeError: The client asked for nothing.
    """
    # What belongs to no draw is a peer's test whether the model is there.
    all_calls = [Call(*line[:5]) for line in log if line[0]]
    answered = [Call(*line[:5]) for line in log if line[0] and line[5]]
    if not answered:
        raise RuntimeError("no request was answered")
    on_file = set(told["draws"]) if "draws" in told else {call.draw for call in answered}
    # A call that was made twice counts once.
    made = {(call.draw, call.step): call for call in answered if call.draw in on_file}
    useful = sorted(made.values(), key=lambda call: call.arrival)
    wall = max(call.end for call in all_calls) - min(call.arrival for call in all_calls)
    held = sum(call.end - call.start for call in useful)
    surplus = sum(call.draw not in on_file for call in all_calls) / len(all_calls)
    return Figures(
        calls=len(all_calls),
        share=held / SLOTS / wall,
        ideal=ideal(useful),
        surplus=surplus,
        full=full(all_calls),
        wall=wall,
        cpu=told["cpu"],
        busy=told["cpu"] / told["seconds"],
    )
