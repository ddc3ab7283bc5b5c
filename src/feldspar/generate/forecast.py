"""What a run will need, from a few draws of each leaf: yields, draws and costs, each with a 90 % interval.

Leaves of one pipeline have something in common: their acceptance rates are taken for draws from one
Beta distribution, whose mean and spread are not known either and are weighed on a grid by how well
they explain the pilot (a beta-binomial hierarchy). A replicate draws a mean and a spread, then each
leaf's rate given its own draws, then how many more draws its quotas take (negative binomial, cut off
at the budget), then what these draws take, which depends on whether they are kept. Intervals are
quantiles over replicates, so that what is not known about all leaves alike widens the totals, too.

What a pilot cannot see is not in it: near-duplicates become more as a leaf fills.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from feldspar.generate.outlay import Costs, Trial

_LOW, _HIGH = 0.05, 0.95
_MOST, _FEWEST = 1000, 200
"""Replicates."""

_WORK = 400_000
"""Leaves (or quotas' samples) over all replicates: a few seconds."""

_MEANS = tuple((place + 0.5) / 50 for place in range(50))
_SPREADS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Draws that the prior of a rate is worth: few where leaves differ much."""

_EXACT = 30.0
"""Poisson means up to which they are drawn exactly."""


@dataclass(frozen=True, slots=True)
class Range:
    """A figure that is not known yet."""

    middle: float
    """The median: where costs were seen once or twice, the mean is the few wildest replicates'."""
    low: float
    """The 5 % quantile."""
    high: float
    """The 95 % quantile."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a leaf, or a whole run, needs in all, its pilot included."""

    share: Range
    """Of draws that are accepted."""
    draws: Range
    accepted: Range
    spent: tuple[Range, ...]
    """Measure by measure."""
    chance: float
    """That every quota is met within its budget."""


def forecast(
    trials: Sequence[Trial], measures: int, *, seed: int = 0, replicates: int = 0
) -> tuple[Mapping[str, Forecast], Forecast]:
    """Tell what generating will need.

    Args:
        trials: The pilot, a trial a leaf.
        measures: How many figures `Tried.spent` has.
        seed: Of the replicates: the same pilot gives the same forecast.
        replicates: How many; 0: as many as take a few seconds.

    Returns:
        A forecast by leaf, and that of all leaves together.
    """
    work = sum(_work(trial) for trial in trials)
    count = replicates or max(_FEWEST, min(_MOST, _WORK // max(1, work)))
    roll = random.Random(f"forecast {seed}")  # noqa: S311
    kinds: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        kinds[trial.kind].append(trial)
    rows = {trial.leaf: _Rows(measures, count) for trial in trials}
    whole = _Rows(measures, count)
    for members in kinds.values():
        rates, costs = _Rates(members, count, roll), Costs(members, measures)
        for replicate in range(count):
            mean, spread = rates.drawn[replicate]
            levels = costs.levels(roll)
            for trial in members:
                one = _replicate(trial, mean, spread, costs, levels, roll)
                rows[trial.leaf].put(replicate, one)
                whole.put(replicate, one)
    return {leaf: found.told() for leaf, found in rows.items()}, whole.told(of_draws=True)


@dataclass(slots=True)
class _Replicate:
    """One way that a leaf may come out."""

    rate: float
    draws: int
    accepted: int
    met: bool
    spent: list[float]


class _Rows:
    """Replicates, added up."""

    def __init__(self, measures: int, count: int) -> None:
        self.rates = [0.0] * count
        self.draws = [0] * count
        self.accepted = [0] * count
        self.met = [True] * count
        self.spent = [[0.0] * count for _ in range(measures)]

    def put(self, place: int, one: _Replicate) -> None:
        self.rates[place] += one.rate
        self.draws[place] += one.draws
        self.accepted[place] += one.accepted
        self.met[place] &= one.met
        for column, value in zip(self.spent, one.spent, strict=True):
            column[place] += value

    def told(self, of_draws: bool = False) -> Forecast:
        pairs = zip(self.accepted, self.draws, strict=True)
        shares = [kept / draws if draws else 0.0 for kept, draws in pairs]
        return Forecast(
            _range(shares if of_draws else self.rates),
            _range(self.draws),
            _range(self.accepted),
            tuple(_range(column) for column in self.spent),
            sum(self.met) / len(self.met),
        )


def _range(values: Sequence[float]) -> Range:
    ranked = sorted(values)
    last = len(ranked) - 1
    low, high = float(ranked[round(_LOW * last)]), float(ranked[round(_HIGH * last)])
    return Range(float(ranked[round(0.5 * last)]), low, high)


class _Rates:
    """The mean and the spread of a kind's acceptance rates, as the pilot leaves them open."""

    def __init__(self, trials: Sequence[Trial], count: int, roll: random.Random) -> None:
        seen = Counter((len(trial.tried), sum(one.kept for one in trial.tried)) for trial in trials)
        grid = [(mean, spread) for mean in _MEANS for spread in _SPREADS]
        logs = [
            sum(times * _log_chance(draws, kept, *place) for (draws, kept), times in seen.items())
            for place in grid
        ]
        highest = max(logs)
        weights = [math.exp(value - highest) for value in logs]
        self.drawn = roll.choices(grid, cum_weights=list(accumulate(weights)), k=count)


def _log_chance(draws: int, kept: int, mean: float, spread: float) -> float:
    """Of so many acceptances, where rates are Beta(mean × spread, (1 - mean) × spread)."""
    one, other = mean * spread, (1 - mean) * spread
    return _log_beta(one + kept, other + draws - kept) - _log_beta(one, other)


def _log_beta(one: float, other: float) -> float:
    return math.lgamma(one) + math.lgamma(other) - math.lgamma(one + other)


def _work(trial: Trial) -> int:
    return trial.target if trial.quotas > 1 else 1


def _replicate(
    trial: Trial,
    mean: float,
    spread: float,
    costs: Costs,
    levels: Sequence[tuple[float, float]],
    roll: random.Random,
) -> _Replicate:
    drawn, kept = Counter[int](), Counter[int]()
    for one in trial.tried:
        drawn[one.quota] += 1
        kept[one.quota] += one.kept
    had, good = len(trial.tried), sum(kept.values())
    rate = roll.betavariate(mean * spread + good, (1 - mean) * spread + had - good)
    rate = min(max(rate, 1e-9), 1 - 1e-12)
    more = won = 0
    met = True
    target, budget = trial.target // trial.quotas, trial.max_draws // trial.quotas
    for quota in range(trial.quotas):
        wanted, room = target - kept[quota], budget - drawn[quota]
        if wanted <= 0:
            continue
        took, got = _further(wanted, max(0, room), rate, roll)
        more, won, met = more + took, won + got, met and got == wanted
    spent = [
        sum(one.spent[place] for one in trial.tried)
        + costs.of(trial.leaf, place, (won, more - won), levels[place], roll)
        for place in range(len(levels))
    ]
    return _Replicate(rate, had + more, good + won, met, spent)


def _further(wanted: int, room: int, rate: float, roll: random.Random) -> tuple[int, int]:
    """How many draws so many acceptances take, and how many there are within the room."""
    lost = _poisson(roll.gammavariate(wanted, 1) * (1 - rate) / rate, roll)
    if wanted + lost <= room:
        return wanted + lost, wanted
    # The budget is spent first: fewer than were wanted, as near as the rate has it.
    deviation = math.sqrt(room * rate * (1 - rate))
    return room, min(wanted - 1, room, max(0, round(room * rate + deviation * roll.gauss(0, 1))))


def _poisson(mean: float, roll: random.Random) -> int:
    if mean > _EXACT:
        return max(0, round(mean + math.sqrt(mean) * roll.gauss(0, 1)))
    limit, product, count = math.exp(-mean), roll.random(), 0
    while product > limit:
        product *= roll.random()
        count += 1
    return count
