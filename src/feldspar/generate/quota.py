"""Quotas: how many accepted drafts are wanted, of a leaf or of each passage, and when another draw is due.

A leaf's draws take turns over its quotas, in blocks: draws 1 to `block` serve the first, the next
`block` the second, and so on around. So a draw's number says what it serves, whatever came of the
others; once a quota is over, its numbers are passed by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

_CONFIDENT = 19.0
"""Successes that every step is credited with at the start: the first rejections must not bring a flood of
draws. Simulated, 9 to 49 do as well; without any, a fifth of the calls was surplus."""

_LEAF_WEIGHT = 20.0
"""Outcomes of its own at which a leaf's counts weigh as much as those of all leaves."""

_SPARE_DEVIATIONS = 1.5

_SMALL = 16
"""Targets up to which no draw is begun beyond those that may still be kept: of a few draws, what is to be
expected says little, and many small quotas together drew a fifth too much."""


@dataclass(frozen=True, slots=True)
class Rota:
    """How a leaf's draws take turns over its quotas."""

    quotas: int = 1
    block: int = 1

    def quota(self, draw: int) -> int:
        """Which quota a draw serves, from 0."""
        return (draw - 1) // self.block % self.quotas

    def turn(self, draw: int) -> int:
        """The how manieth draw of its quota it is, from 1."""
        return (draw - 1) // (self.block * self.quotas) * self.block + (draw - 1) % self.block + 1

    def draw(self, quota: int, turn: int) -> int:
        """The number of a quota's draw: `quota(draw)` and `turn(draw)` give these back."""
        around, within = divmod(turn - 1, self.block)
        return (around * self.quotas + quota) * self.block + within + 1


ONE_BY_ONE = Rota()
"""One quota, and each draw asks about something else."""


@dataclass(slots=True)
class Quota:
    """How far one quota is."""

    target: int
    budget: int
    """Draws at most."""
    steps: int
    begun: int = 0
    decided: int = 0
    accepted: int = 0
    sound: int = 0
    """Draws that went through every step and wait for their turn to be decided."""
    at: list[int] = field(default_factory=list)
    """Draws under way, by the step that they are at."""

    def __post_init__(self) -> None:
        self.at = [0] * self.steps

    @property
    def over(self) -> bool:
        """Whether no further draw counts: the quota is met, or its budget is spent."""
        return self.accepted >= self.target or self.decided >= self.budget

    def wants(self, chances: Sequence[float], *, spare: bool = False) -> bool:
        """Whether another draw should begin.

        Args:
            chances: For a draw at each step, and for one that waits to be decided, the chance of being
                accepted; one more than there are steps.
            spare: Ask for certainty, not for expectation: the acceptances to expect less one and a
                half standard deviations are too few.
        """
        if self.over or self.begun >= self.budget:
            return False
        if not spare and self.target <= _SMALL and self.accepted + self.sound + sum(self.at) >= self.target:
            return False
        last = chances[-1]
        expected, variance = self.accepted + self.sound * last, self.sound * last * (1 - last)
        for count, chance in zip(self.at, chances, strict=False):
            if count:
                expected += count * chance
                variance += count * chance * (1 - chance)
        if spare:
            return expected - _SPARE_DEVIATIONS * math.sqrt(variance) < self.target - 1e-9
        # Half a draw short is not yet one draw too few.
        return expected < self.target - chances[0] / 2


class Survival:
    """How often drafts survive each step: the leaves' own counts, drawn towards those of all leaves.

    Args:
        steps: How many steps the pipeline has; the decision among the leaf's drafts is one more.
    """

    def __init__(self, steps: int) -> None:
        self._passed = [_CONFIDENT] * (steps + 1)
        self._failed = [0.0] * (steps + 1)

    def leaf(self) -> LeafSurvival:
        """The counts of one more leaf."""
        return LeafSurvival(self, len(self._passed))

    def note(self, step: int, survived: bool) -> None:
        """Count an outcome."""
        (self._passed if survived else self._failed)[step] += 1

    def share(self, step: int) -> float:
        """Share that survived a step, over all leaves."""
        return self._passed[step] / (self._passed[step] + self._failed[step])


class LeafSurvival:
    """One leaf's share in a `Survival`."""

    def __init__(self, all_leaves: Survival, steps: int) -> None:
        self._all = all_leaves
        self._passed = [0] * steps
        self._failed = [0] * steps

    def note(self, step: int, survived: bool) -> None:
        """Count an outcome, for the leaf and for all."""
        (self._passed if survived else self._failed)[step] += 1
        self._all.note(step, survived)

    def chances(self) -> list[float]:
        """For a draft at each step, the chance that it survives this step and all that follow."""
        found, chance = [0.0] * len(self._passed), 1.0
        for step in range(len(found) - 1, -1, -1):
            passed, failed = self._passed[step], self._failed[step]
            shared = _LEAF_WEIGHT * self._all.share(step)
            chance *= (passed + shared) / (passed + failed + _LEAF_WEIGHT)
            found[step] = chance
        return found
