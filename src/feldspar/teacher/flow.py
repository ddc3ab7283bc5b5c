"""How many requests one endpoint is given at once, found while it works.

Where the server tells how many requests wait there (vLLM, SGLang and llama.cpp with metrics), the
limit is steered so that a few always do: with none, a slot idles for the round trip; with hundreds,
their order is no longer ours and they time out. Elsewhere `gradient` finds it from the replies.
Either way a refusal for overload (429, 503, 529) cuts it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from feldspar.teacher.gradient import Gradient
from feldspar.teacher.load import Load

MOST = 4096
"""In flight to one endpoint, whatever it seems to take: more are connections that proxies refuse."""

_CUT = 0.7
_NEAR_REFUSAL = 0.95
_REMEMBERED = 30.0
"""Replies' mean times for which a level that was refused is not tried again."""
_LEAST_REMEMBERED = 1.0
_WAITING_SHARE = 1 / 16
"""Of what a server works on, how many should wait there."""
_FAIR_SHARE = 1 / 4
"""Of what a server works on, what we take and keep where others crowd it."""
_FEW_POLLS = 3
_FEW, _MANY = 8, 64
"""Levels between which growth is fourfold."""
_FIXED = 2
"""A limit of so few is kept as it is: there is nothing to find."""


@dataclass(slots=True)
class Flow:
    """The limit of one endpoint. Times are seconds of any clock that only goes on.

    Args:
        most: what the limit never exceeds.
        first: what it starts at; 0: little, as nothing is known of the server.
        longest: seconds that a reply should not take for waiting at the server.
    """

    most: int = MOST
    first: int = 0
    longest: float = math.inf
    limit: int = 0
    in_flight: int = 0
    load: Load | None = None
    """What the server said last; None where it has no metrics."""
    settled: bool = False
    """Whether the last two polls found the limit right."""
    _gradient: Gradient = field(init=False)
    _level: float = 0.0
    """The limit as steered by the load; 0 where there is none."""
    _full: bool = False
    """Whether the server has had requests waiting: from then on growth is careful."""
    _idle_polls: int = 0
    replied_at: float = 0.0
    _mean: float = 0.0
    """Seconds of a reply, smoothed."""
    _cut_at: float = -1.0
    _refused: float = 0.0
    """The level that was refused, until `_refused_until`."""
    _refused_until: float = 0.0

    def __post_init__(self) -> None:
        self._gradient = Gradient(self.most, self.longest, min(self.first, self.most))
        self.limit = self._gradient.level

    @property
    def fixed(self) -> bool:
        """Whether the limit is so low that there is nothing to find."""
        return self.most <= _FIXED

    def sent(self, now: float) -> None:
        """One more is in flight."""
        self.in_flight += 1
        if not self._level and not self.fixed:
            self._gradient.flying(self.in_flight, now)

    def ended(self, now: float) -> None:
        """One less is in flight, whatever came of it."""
        self.in_flight -= 1
        if not self._level and not self.fixed:
            self._gradient.flying(self.in_flight, now)

    def replied(self, seconds: float, tokens: int, now: float) -> None:
        """Takes a reply in; to be called before `ended`."""
        self.replied_at = now
        self._mean += (seconds - self._mean) * (0.05 if self._mean else 1.0)
        if not self._level and not self.fixed:
            self._gradient.replied(seconds, tokens, now)
        self._settle(now)

    def overloaded(self, sent_at: float, now: float) -> bool:
        """Cuts the limit, once for all that were in flight together.

        Returns:
            Whether this was news.
        """
        if sent_at < self._cut_at:
            return False
        refused = min(self.limit, self.in_flight)
        level = max(1, int(_CUT * refused))
        self._cut_at = now
        self._refused = refused
        self._refused_until = now + max(_LEAST_REMEMBERED, _REMEMBERED * self._mean)
        if self._level:
            self._level = level
        elif not self.fixed:
            self._gradient.cut(level, now)
        self.limit = level
        return True

    def told(self, load: Load | None, now: float) -> None:
        """Takes in what the server said of its queue; None: it says no more."""
        if load is None:
            if self._level:
                self._gradient = Gradient(self.most, self.longest, self.limit)
                self._gradient.cut(self.limit, now)
                self._gradient.flying(self.in_flight, now)
            self.load, self._level = None, 0.0
            return
        was, self.load = self.load, load
        self._level = self._level or float(self.limit)
        self._steer(load, was)
        self._settle(now)

    def _steer(self, load: Load, was: Load | None) -> None:
        wanted = max(1.0, load.running * _WAITING_SHARE)
        asked = self.in_flight >= 0.9 * self._level
        before = self._level
        if load.waiting > 2 * wanted:
            if was is not None and load.running > 1.05 * was.running and load.running > 1:
                return  # It is still taking in what came at once.
            self._full = True
            # Others shrink by their part, if they are like us; we by ours.
            ours = min(1.0, self.in_flight / max(1, load.running + load.waiting))
            # While more is still in flight than the limit, that is what waits there.
            level = max(self._level, self.in_flight) - (load.waiting - wanted) * ours
            fair = min(_FAIR_SHARE * load.running, self._level * (2 if asked else 1))
            self._level = max(fair, level, 1.0)
        elif load.waiting < wanted / 2 and asked:
            seen = load.running + load.waiting >= 0.9 * self.in_flight
            self._idle_polls = 0 if seen else self._idle_polls + 1
            # Not all may have come up there yet; behind a balancer they never do, at this one.
            if seen or self._idle_polls >= _FEW_POLLS:
                self._idle_polls = 0
                careful = max(self._level * 1.1, self._level + wanted)
                # The first reply may show a laptop's server, which is full with these.
                leap = 4 if _FEW <= self._level < _MANY else 2
                self._level = careful if self._full else self._level * leap
        self._level = min(self._level, float(self.most))
        self.settled = abs(self._level - before) <= max(1.0, 0.1 * before) and self._full

    def _settle(self, now: float) -> None:
        limit = int(self._level) if self._level else self._gradient.level
        if now < self._refused_until:
            limit = min(limit, int(_NEAR_REFUSAL * self._refused))
        self.limit = max(1, min(limit, self.most))
