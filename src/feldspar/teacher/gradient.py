"""How many requests a server can use at once, found from its replies alone.

Most servers queue in silence: asked for more than they can work on, they answer later, not more.
So the throughput is measured at a level of concurrency and at a lower one. Where it rises with the
level the server has room; where it does not, what is above only waits there, out of our order.

Throughput is the number in flight over the time in flight (Little's law), in completion tokens
where they explain that time and in replies where they do not. Counting what comes in a stretch of
time would see the bursts in which equal replies come, not the rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

FIRST = 4
"""Requests in flight before anything is known. A laptop's server works on one or two, where 64 would be
an hour of waiting. The price, in simulation on 256 slots that queue in silence: 2,800 calls use 0.71 of
the slots, from 64 they would use 0.82; 28,000 use 0.95 and 0.97. The first steps are fourfold for that."""

_ABOVE = 1.15
"""The level over the knee: enough that no slot waits for the next request to arrive."""
_BELOW = 0.8
"""The level that is compared, over the settled one: a little under the knee, so that it shows."""
_DEEP = 0.6
"""The same, once two comparisons have found nothing but waiting."""
_FLAT = 1.025
"""Throughput of the one over the other, up to which both are above the knee."""
_CAREFUL = 64
"""The level from which on the steps of the start are twofold."""
_FEW = 8
"""Below this level a step is so large that comparing costs more than being one off."""
_LAPTOP = 3
"""Up to this level one is as good as the next: no cause to compare again soon."""
_CURVE = 0.45
"""The start goes on while throughput grows by at least this power of the level's growth."""
_RISING = 0.95
"""Of the growth in level, how much in throughput says that nothing waited at either."""
_CLIMB = 1.4
_FEWEST_REPLIES, _MOST_REPLIES = 12, 512
_ERROR = 0.04
"""Of the ratio of two rates, once they agree; twice that while they do not."""
_MOST_REST = 16
"""Windows between two comparisons, once they agree."""
_DECAY = 0.995


@dataclass(slots=True)
class Window:
    """What was seen at one level."""

    level: int
    began: float
    skip: int
    """Replies still to be left out: they were asked for at another level."""
    replies: int = 0
    tokens: int = 0
    waited: float = 0.0
    """Seconds of those replies in flight, added up."""
    area: float = 0.0
    """Requests in flight, integrated over the time since `counted_from`."""
    counted_from: float = 0.0

    def in_flight(self, now: float) -> float:
        """The mean number in flight."""
        return self.area / max(1e-9, now - self.counted_from)

    def rate(self, now: float, tokens: bool) -> float:
        """Tokens or replies a second."""
        return self.in_flight(now) * (self.tokens if tokens else self.replies) / max(1e-9, self.waited)


@dataclass(slots=True)
class Explained:
    """Whether the time of replies follows their tokens; older replies count less."""

    count: float = 0.0
    sums: list[float] = field(default_factory=lambda: [0.0] * 5)

    def add(self, seconds: float, tokens: int) -> None:
        """Takes a reply in."""
        self.count = self.count * _DECAY + 1
        new = (seconds, tokens, seconds * seconds, tokens * tokens, seconds * tokens)
        self.sums = [old * _DECAY + one for old, one in zip(self.sums, new, strict=True)]

    def scatter(self) -> tuple[float, bool]:
        """How much seconds vary, over their mean squared, and whether that is about so many a token."""
        s, t, ss, tt, st = self.sums
        if s <= 0:
            return 0.0, False
        plain = ss - s * s / self.count
        each = s / t if t > 0 else 0.0
        told = ss - 2 * each * st + each * each * tt if t > 0 else plain
        return max(0.0, min(plain, told)) * self.count / (s * s), told < plain


@dataclass(slots=True)
class Gradient:
    """The level of one server. Times are seconds of any clock that only goes on."""

    most: int
    longest: float = math.inf
    """Seconds that a reply should not take for waiting at the server."""
    level: int = 0
    """What may be in flight just now."""
    settled: int = 0
    """The level that is returned to after a comparison; 0 while starting."""
    _window: Window = field(default_factory=lambda: Window(0, 0.0, 0))
    _before: tuple[int, float] = (0, 0.0)
    """Level and rate of the window before: of the start, or of the settled level."""
    _rest: int = 0
    """How many windows long the settled level is kept before the next comparison."""
    _flat: int = 0
    """Comparisons in a row that found both levels above the knee."""
    _explained: Explained = field(default_factory=Explained)
    _last: float = 0.0
    _flying: int = 0

    def __post_init__(self) -> None:
        self.level = min(self.level or FIRST, self.most)

    def flying(self, count: int, now: float) -> None:
        """Takes note of how many are in flight from now on."""
        window = self._window
        if not window.level:
            self._open(self.level, now, 0)
            window = self._window
        window.area += self._flying * (now - max(self._last, window.counted_from))
        self._flying, self._last = count, now

    def replied(self, seconds: float, tokens: int, now: float) -> None:
        """Takes a reply in, before `flying` is told that it is no longer in flight."""
        self._explained.add(seconds, tokens)
        self.flying(self._flying, now)
        window = self._window
        if window.skip and self._flying > window.level:
            return  # Still draining to this level.
        if window.skip:
            window.skip -= 1
            if not window.skip:
                window.area, window.counted_from = 0.0, now
            return
        window.replies += 1
        window.tokens += tokens
        window.waited += seconds
        if not self.settled:
            self._start(now)
        elif window.replies >= self._enough(window.level):
            self._compare(now)

    def cut(self, level: int, now: float) -> None:
        """Goes on from a lower level: the server refused."""
        self.settled = max(1, min(level, self.most))
        self._rest = self._flat = 0
        self._open(self.settled, now, self.settled)

    def _open(self, level: int, now: float, skip: int) -> None:
        self.level = max(1, min(level, self.most))
        self._window = Window(self.level, now, skip, counted_from=now)

    def _start(self, now: float) -> None:
        """Doubles while that pays; the first steps are fourfold."""
        window, (level, rate) = self._window, self._before
        passed = max(1e-9, now - window.began)
        least = rate * (window.level / level) ** _CURVE if level else 0.0
        if window.replies < window.level and (not least or passed < window.level / least):
            return
        if window.in_flight(now) < 0.7 * window.level:
            self._open(window.level, now, 0)  # Too little was asked for: nothing to be learnt.
            return
        seen = window.replies / passed
        further = 4 if window.level < _CAREFUL else 2
        in_time = window.waited / window.replies * further < self.longest
        if seen >= least and window.level < self.most and in_time:
            self._before = (window.level, seen)
            self._open(window.level * further, now, 0)
            return
        knee = level * seen / rate if level else window.level
        # At the level before, throughput still grew: the knee is there or above.
        least_settled = level + 1 if 0 < level < _FEW else max(1, level)
        self.settled = min(window.level, max(least_settled, round(1.3 * knee)))
        self._open(self.settled, now, self.settled)

    def _enough(self, level: int) -> int:
        """Replies that tell the rate at a level well enough."""
        scatter, _ = self._explained.scatter()
        error = max(_ERROR if self._rest else 2 * _ERROR, 0.5 / level)
        told = min(_MOST_REPLIES, int(2 * scatter / error**2))
        fewest = _FEWEST_REPLIES if level < 3 else 2 * _FEWEST_REPLIES
        return max(fewest, 2 * level, told) * (1 + (self._rest if level >= self.settled else 0))

    def _compare(self, now: float) -> None:
        window = self._window
        _, tokens = self._explained.scatter()
        if window.in_flight(now) < 0.9 * window.level:
            self._open(self.settled, now, self.settled)
            return
        rate = window.rate(now, tokens)
        if window.level < self.settled:
            self._decide(window.level, rate, now)
        elif self.settled == 1:
            self.settled = 2  # There is no lower one to compare it with.
            self._open(2, now, 1)
        else:
            self._before = (window.level, rate)
            self._lower(now)

    def _lower(self, now: float) -> None:
        """Looks at a level below the settled one."""
        depth = _BELOW if self._flat < 2 else _DEEP
        level = max(1, min(int(self.settled * depth), self.settled - 2))
        self._open(level, now, level)

    def _decide(self, lower: int, rate: float, now: float) -> None:
        upper, above = self._before
        gain = above / max(1e-9, rate)
        was_steady, whole = self._rest > 1, upper / lower
        if gain < _FLAT and lower > 1 and not was_steady:
            self.settled, self._before = lower, (lower, rate)
            self._rest = 0
            self._flat += 1
            self._lower(now)
            return
        self._flat = 0
        knee = lower * min(max(gain, 1.0), whole)
        wanted = max(round(_ABOVE * knee), int(knee) + 1)
        rising = gain > _RISING * whole
        if rising:
            # Nothing waited at all: the knee may be far.
            wanted = max(wanted, upper + 1, upper if was_steady else round(_CLIMB * upper))
        small = lower < _FEW and wanted > _LAPTOP
        grows = small and (rising or (wanted > upper and not was_steady))
        if grows or abs(wanted - upper) > max(1, 0.1 * upper):
            self._rest = 0
        elif (lower < _FEW and wanted <= upper) or _FLAT <= gain <= _RISING * whole:
            self._rest = min(_MOST_REST, 2 * self._rest + 1)
        else:
            self._rest //= 2
        if was_steady:
            wanted = (upper + wanted + (wanted > upper)) // 2  # One comparison is a guess.
        self.settled = min(wanted, self.most)
        self._open(self.settled, now, self.settled)
