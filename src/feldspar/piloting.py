"""What a run will need, by a few draws of each leaf: yields, calls, tokens, time and cost with intervals."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from feldspar import jsonl, models, stages
from feldspar.generate.forecast import Forecast, Range, forecast
from feldspar.generate.outlay import Trial
from feldspar.progress import duration
from feldspar.stages import MEASURES, Pilot, Work
from feldspar.story import columns
from feldspar.teacher import Journal

_ASKED = ("calls", "prompt_tokens", "completion_tokens")
_UNLIKELY = 0.9
"""Chance of reaching its target below which a leaf is named."""


@dataclass(frozen=True, slots=True)
class PilotedLeaf:
    """What a leaf will need, by its pilot."""

    leaf: str
    pipeline: str
    samples: int
    """Accepted samples wanted."""
    tried: int
    """Draws of the pilot; fewer where the leaf needed no more."""
    kept: int
    reasons: Mapping[str, int]
    """Of the others."""
    yields: Range
    """Share of draws that are accepted."""
    chance: float
    """That the leaf reaches its target within `max_draws_per_sample`."""
    needs: Mapping[str, Range]
    """`draws`, `accepted`, `calls`, `prompt_tokens`, `completion_tokens`, `seconds` (of requests, added
    up) and `cost`, of the whole run, the pilot's included."""


@dataclass(frozen=True, slots=True)
class PilotPlan:
    """What a run will need, by a pilot; intervals hold 90 % of what may come."""

    draws: int
    """Of each leaf, at most."""
    leaves: tuple[PilotedLeaf, ...]
    calibration: Mapping[str, float]
    """What measuring the judges took, by the same names; it is in `needs`, too."""
    chance: float
    """That every leaf reaches its target."""
    yields: Range
    needs: Mapping[str, Range]
    at_once: float
    """Requests that the teacher worked on at once in the pilot; 0: not known."""
    time: Range | None
    """Seconds of the whole run, at as many requests at once; None: not known."""
    priced: bool
    teacher: str
    pack: str
    judges: tuple[str, ...]
    """What calibration found, a line each."""
    spent: Mapping[str, float]
    """By the run's journal so far: `calls`, `prompt_tokens`, `completion_tokens`, `seconds`."""
    problems: tuple[str, ...] = ()
    """Budgets that may be reached."""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows: list[Sequence[str]] = [
            ("leaf", "kept", "yield", "samples", "draws", "calls", "prompt tokens", "reply tokens")
        ]
        for one in self.leaves:
            kept = f"{one.kept} of {one.tried}"
            rows.append((one.leaf, kept, _share(one.yields), str(one.samples), *_cells(one.needs)))
        if self.calibration["calls"]:
            asked = [f"{self.calibration[name]:,.0f}" for name in _ASKED]
            rows.append(("calibration of the judges", "", "", "", "", *asked))
        wanted = str(sum(one.samples for one in self.leaves))
        rows.append(("all", "", _share(self.yields), wanted, *_cells(self.needs)))
        return "\n".join([*columns(rows), *self._lines()])

    def _lines(self) -> Iterator[str]:
        if self.time is not None:
            middle, low, high = map(duration, (self.time.middle, self.time.low, self.time.high))
            yield f"time: {middle} ({low} to {high}), at {self.at_once:.1f} requests at once"
        if self.priced:
            cost = self.needs["cost"]
            yield f"cost: {cost.middle:,.2f} ({cost.low:,.2f} to {cost.high:,.2f})"
        yield (
            f"paid already: {self.spent['calls']:,.0f} calls, "
            f"{self.spent['prompt_tokens'] + self.spent['completion_tokens']:,.0f} tokens"
        )
        for one in sorted(self.leaves, key=lambda leaf: leaf.chance):
            if one.chance < _UNLIKELY:
                found = f"{one.needs['accepted'].middle:.0f} of {one.samples}"
                yield f"problem: {one.leaf}: a chance of {one.chance:.0%} to reach its target; expect {found}"
        yield from (f"problem: {problem}" for problem in self.problems)
        reasons = Counter[str]()
        for one in self.leaves:
            reasons.update(one.reasons)
        if reasons:
            ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
            yield "rejected: " + ", ".join(f"{count} {reason}" for reason, count in ranked)
        yield from self.judges
        yield f"teacher: {self.teacher}, prompts: {self.pack}"
        yield from (f"note: {note}" for note in self.notes)


def _share(share: Range) -> str:
    return f"{share.middle:.0%} ({100 * share.low:.0f} to {100 * share.high:.0f})"


def _cells(needs: Mapping[str, Range]) -> Iterator[str]:
    for name in ("draws", *_ASKED):
        one = needs[name]
        yield f"{_short(one.middle)} ({_short(one.low)} to {_short(one.high)})"


def _short(value: float) -> str:
    for limit, size, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e5, 1e3, "k")):
        if value >= limit:
            return f"{value / size:.3g}{letter}" if value / size < 100 else f"{value / size:.0f}{letter}"
    return f"{value:,.0f}"


def piloted(work: Work, pilot: Pilot, draws: int) -> PilotPlan:
    """What the run will need, and `pilot.json` in its folder."""
    by_leaf, whole = forecast(pilot.trials, len(MEASURES), seed=work.recipe.generate.seed)
    before = _earlier(work)
    at_once = pilot.at_once or before
    drawn = _needs(whole)
    needs = {name: _and(one, pilot.beside.get(name, 0)) for name, one in drawn.items()}
    price, own = models.prices(work.recipe, work.judges)
    with Journal(work.run.folder / "journal.sqlite", readonly=True) as journal:
        costs = journal.costs()
    notes = [*pilot.nothing]
    if pilot.at_once and not pilot.filled:
        notes.append("the pilot had too few draws to keep the teacher busy: the run may be faster")
    seen = [one.spent for trial in pilot.trials for one in trial.tried]
    prompt, completion = (
        total - sum(one[MEASURES.index(name)] for one in seen)
        for name, total in (
            ("prompt_tokens", costs.prompt_tokens),
            ("completion_tokens", costs.completion_tokens),
        )
    )
    budgets = _budgets(work, drawn, prompt + completion, price.of(prompt, completion))
    made = PilotPlan(
        draws=draws,
        leaves=tuple(
            _leaf(trial, by_leaf[trial.leaf], pilot.reasons.get(trial.leaf, {})) for trial in pilot.trials
        ),
        calibration=pilot.beside,
        chance=whole.chance,
        yields=whole.share,
        needs=needs,
        at_once=at_once,
        time=_scaled(needs["seconds"], at_once) if at_once else None,
        priced=bool(price.prompt or price.completion or own),
        teacher=work.teacher.model,
        pack=work.pack.name,
        judges=pilot.calibration.lines if pilot.calibration is not None else (),
        spent={
            "calls": costs.sent,
            "prompt_tokens": costs.prompt_tokens,
            "completion_tokens": costs.completion_tokens,
            "seconds": costs.seconds,
        },
        problems=tuple(budgets),
        notes=tuple(notes),
    )
    stages.write_json(work.run.folder / "pilot.json", jsonl.to_json(made))
    return made


def _leaf(trial: Trial, found: Forecast, reasons: Mapping[str, int]) -> PilotedLeaf:
    return PilotedLeaf(
        trial.leaf,
        trial.kind,
        trial.target,
        len(trial.tried),
        sum(one.kept for one in trial.tried),
        dict(reasons),
        found.share,
        found.chance,
        _needs(found),
    )


def _needs(found: Forecast) -> dict[str, Range]:
    ranges = dict(zip(MEASURES, found.spent, strict=True))
    return {"draws": found.draws, "accepted": found.accepted, **ranges}


def _and(one: Range, more: float) -> Range:
    return Range(one.middle + more, one.low + more, one.high + more)


def _scaled(one: Range, by: float) -> Range:
    return Range(one.middle / by, one.low / by, one.high / by)


def _earlier(work: Work) -> float:
    """How many requests at once an earlier pilot reached, whose replies this one finds in the journal."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads((work.run.folder / "pilot.json").read_text(encoding="utf-8"))
        return max(0.0, float(kept["at_once"]))
    return 0.0


def _budgets(work: Work, needs: Mapping[str, Range], beside: float, cost_beside: float) -> Iterator[str]:
    """Budgets that may be reached.

    `needs` are those of draws; `beside`: tokens for no draw of the pilot, as calibration takes them.
    """
    budget = work.recipe.generate.budget
    prompt, completion, cost = needs["prompt_tokens"], needs["completion_tokens"], needs["cost"]
    middle, high = (beside + prompt.middle + completion.middle, beside + prompt.high + completion.high)
    if budget.tokens is not None and high > budget.tokens:
        told = f"about {_short(middle)}, up to {_short(high)}"
        yield f"generate.budget.tokens is {budget.tokens:,}, and the run needs {told}: it may pause"
    if budget.cost is not None and cost_beside + cost.high > budget.cost:
        told = f"about {cost_beside + cost.middle:,.2f}, up to {cost_beside + cost.high:,.2f}"
        yield f"generate.budget.cost is {budget.cost:,.2f}, and the run needs {told}: it may pause"
