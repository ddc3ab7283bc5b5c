"""What draws take, from a few of each leaf: a mean and how far it may be off, by leaf and by fate.

A draw that is kept takes more than one that is rejected half-way. Leaves of a kind lend each other
what few draws tell (one-way analysis of variance), and what no draw has shown is wide open.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

_UNSEEN = 0.5
"""Standard deviation, as a share, of costs that no draw has shown."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A draw of the pilot."""

    kept: bool
    quota: int
    spent: tuple[float, ...]
    """What it took, measure by measure."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A leaf, and its draws of the pilot."""

    leaf: str
    kind: str
    """Its pipeline: leaves of one kind tell of each other."""
    target: int
    max_draws: int
    quotas: int
    tried: tuple[Tried, ...]


@dataclass(frozen=True, slots=True)
class _Level:
    """What a draw of one fate takes, of one measure: over a kind's leaves, and within a leaf."""

    mean: float
    error: float
    """Standard error of the mean."""
    freedom: int
    between: float
    """Variance of the leaves' means."""
    within: float
    """Variance of a leaf's draws."""

    def draw(self, roll: random.Random) -> float:
        if not self.error:
            return self.mean
        wider = math.sqrt(self.freedom / (2 * roll.gammavariate(self.freedom / 2, 1))) if self.freedom else 1
        return max(0.0, self.mean + self.error * wider * roll.gauss(0, 1))


class Costs:
    """What draws of a kind take, kept ones and others, measure by measure.

    Args:
        trials: The kind's leaves, with their draws of the pilot.
        measures: How many figures `Tried.spent` has.
    """

    def __init__(self, trials: Sequence[Trial], measures: int) -> None:
        self._seen: dict[str, list[tuple[list[float], list[float]]]] = {}
        for trial in trials:
            self._seen[trial.leaf] = [
                (
                    [one.spent[place] for one in trial.tried if one.kept],
                    [one.spent[place] for one in trial.tried if not one.kept],
                )
                for place in range(measures)
            ]
        self._levels: list[tuple[_Level, _Level]] = []
        for place in range(measures):
            kept = [seen[place][0] for seen in self._seen.values() if seen[place][0]]
            lost = [seen[place][1] for seen in self._seen.values() if seen[place][1]]
            dearest = max((max(group) for group in lost), default=0.0)
            one = _level(kept) if kept else _unseen(dearest)
            self._levels.append((one, _level(lost) if lost else _unseen(one.mean)))

    def levels(self, roll: random.Random) -> list[tuple[float, float]]:
        """The means over leaves as they may be, measure by measure: of kept draws, and of others."""
        return [(kept.draw(roll), lost.draw(roll)) for kept, lost in self._levels]

    def of(
        self, leaf: str, place: int, fates: tuple[int, int], levels: tuple[float, float], roll: random.Random
    ) -> float:
        """What so many kept draws and so many others of a leaf take."""
        total = 0.0
        for fate, number in enumerate(fates):
            if number <= 0:
                continue
            level, seen = self._levels[place][fate], self._seen[leaf][place][fate]
            mean = _leaf_mean(level, levels[fate], seen, roll)
            noise = math.sqrt(number * level.within) * roll.gauss(0, 1) if level.within else 0.0
            total += max(0.0, number * mean + noise)
        return total


def _leaf_mean(level: _Level, around: float, seen: Sequence[float], roll: random.Random) -> float:
    if not level.between:
        return around
    known = len(seen) / level.within if level.within else 0.0
    if seen and not level.within:
        return sum(seen) / len(seen)
    precision = known + 1 / level.between
    own = sum(seen) / len(seen) if seen else 0.0
    return (known * own + around / level.between) / precision + roll.gauss(0, 1) / math.sqrt(precision)


def _level(groups: Sequence[Sequence[float]]) -> _Level:
    """One-way analysis of variance: a group's draws around its mean, the means around theirs."""
    total, count = sum(map(len, groups)), len(groups)
    if total == 1:
        return _unseen(groups[0][0])
    grand = sum(map(sum, groups)) / total
    means = [sum(group) / len(group) for group in groups]
    inside = sum((value - mean) ** 2 for group, mean in zip(groups, means, strict=True) for value in group)
    outside = sum(len(group) * (mean - grand) ** 2 for group, mean in zip(groups, means, strict=True))
    if total == count:
        # One draw a leaf cannot tell leaves from draws: half of each.
        inside = outside = outside / 2
        within, between = inside / (total - 1), outside / (total - 1)
    else:
        within = inside / (total - count)
        typical = (total - sum(len(group) ** 2 for group in groups) / total) / (count - 1) if count > 1 else 1
        between = max(0.0, (outside / (count - 1) - within) / typical) if count > 1 else 0.0
    weights = [1 / (between + within / len(group)) if between + within else 1.0 for group in groups]
    mean = sum(weight * one for weight, one in zip(weights, means, strict=True)) / sum(weights)
    error = 1 / math.sqrt(sum(weights)) if between + within else 0.0
    return _Level(mean, error, max(1, (count if between else total) - 1), between, within)


def _unseen(guess: float) -> _Level:
    spread = _UNSEEN * guess
    return _Level(guess, spread, 0, 0.0, spread * spread)
