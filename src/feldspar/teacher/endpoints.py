"""The servers an `HttpTeacher` may ask: which one is next, and which are set aside for a while."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from feldspar.errors import TeacherError
from feldspar.teacher.flow import Flow


@dataclass(frozen=True, slots=True)
class Patience:
    """How long faults are waited out. All in seconds but `quick_tries`."""

    total: float = 600.0
    """Of one request, from its first transport fault (no connection, a reset, 500) to giving up."""
    request: float = 600.0
    """Of one try, until the last byte has come."""
    connect: float = 10.0
    first_pause: float = 0.5
    longest_pause: float = 10.0
    """Also how long an endpoint that is back may stay unnoticed."""
    quick_tries: int = 3
    """Tries at what has never answered, before that is an error."""
    overload: float = 3600.0
    """Of one request, from its first refusal for overload (429, 503, 529): such a server is alive."""

    def pause(self, failures: int) -> float:
        """How long to wait after so many failures in a row, with jitter: it doubles each time."""
        whole = min(self.longest_pause, self.first_pause * 2.0 ** min(failures - 1, 30))
        return whole * random.uniform(0.5, 1.0)  # noqa: S311 (it spreads retries and guards nothing)


_FAULTS_IN_A_ROW = 5
"""Of one endpoint, that set it aside: at one fault in five, a hundredth of what one in a row would."""
_REFUSALS_IN_A_ROW = 3
_NEARLY = 0.95


@dataclass(frozen=True, slots=True)
class EndpointState:
    """How one endpoint is doing, for display."""

    url: str
    in_flight: int
    limit: int
    """What it is given at most just now."""
    waiting: int | None
    """Requests that wait at the server, whoever sent them; None where it does not say."""
    replies: int
    failures: int
    """Tries that brought no reply."""
    aside: bool
    """Whether it is left alone, or gets single requests to show that it is back."""


@dataclass(slots=True)
class Endpoint:
    """One base URL and how it has been doing."""

    url: str
    flow: Flow = field(default_factory=Flow)
    asked_until: float = 0.0
    """How long it asked to be left alone for: kept to, whatever comes from it."""
    aside: int = 0
    """Times that it was set aside since its last reply."""
    replies: int = 0
    failures: int = 0
    refused_schemas: set[str] = field(default_factory=set)
    """Schemas that it rejected: those requests go to it without `response_format`."""
    no_logprobs: bool = False
    """Whether it rejected requests for log-probabilities: it is asked for none."""
    spellings: dict[str, str] = field(default_factory=dict)
    """Fields that it does not take, with their names there; empty: they are left out."""
    _faults: int = 0
    """In a row."""
    _refusals: int = 0
    """Bursts of them, in a row."""
    _aside_at: float = -1.0
    _aside_until: float = 0.0
    _stuck: int = 0
    """What was in flight when it was set aside, and still is."""

    @property
    def rests_until(self) -> float:
        """When it may be asked again; in the past where it may be now."""
        return max(self.asked_until, self._aside_until)

    def answered(self, seconds: float, tokens: int, now: float) -> bool:
        """Takes a reply in; whether it was set aside until now."""
        self.flow.replied(seconds, tokens, now)
        self.replies += 1
        self._faults = self._refusals = 0
        back, self.aside, self._aside_until = self.aside > 0, 0, 0.0
        return back

    def failed(
        self,
        sent_at: float,
        now: float,
        patience: Patience,
        gone: bool = False,
        wait: float = 0.0,
        *,
        slow: bool = False,
    ) -> bool:
        """Takes a transport fault in: repeated, or with nothing there, it sets the endpoint aside.

        Args:
            sent_at: when the request was sent.
            now: on the same clock.
            patience: how long a set aside endpoint rests.
            gone: no connection came about.
            wait: seconds for which it asked to be left alone.
            slow: it, or a gateway before it, found that this took too long.

        Returns:
            Whether it is set aside anew: what was in flight then fails together, and that is one
            failure, not sixty.
        """
        self.failures += 1
        self._faults += 1
        self.asked_until = max(self.asked_until, now + wait if wait else 0.0)
        trial = self.aside > 0
        if sent_at < self._aside_at:
            self._stuck -= 1
            return False
        slow = slow or now - sent_at >= _NEARLY * patience.request
        if slow and self.flow.replied_at > sent_at:
            self.flow.overloaded(sent_at, now)  # It answers: this one waited there for too long.
        if not (gone or trial or self._faults >= _FAULTS_IN_A_ROW):
            return False
        self._set_aside(now, patience)
        return True

    def overloaded(self, sent_at: float, now: float, patience: Patience, wait: float = 0.0) -> bool:
        """Takes a refusal for overload in: fewer from now on, and none for `wait` seconds.

        Returns:
            Whether this is news: what was in flight together is refused together.
        """
        self.failures += 1
        news = self.flow.overloaded(sent_at, now)
        if news:
            self._refusals += 1
            if self._refusals >= _REFUSALS_IN_A_ROW and not wait:
                self._set_aside(now, patience)
        self.asked_until = max(self.asked_until, now + wait if wait else 0.0)
        return news

    def share(self, now: float, patience: Patience) -> float:
        """The share of its slots that is free; 0 if it may not be asked now."""
        flow = self.flow
        if self.asked_until > now or self._aside_until > now:
            return 0.0
        if self.aside:
            # One that hangs may hold the single request for long: another follows now and then.
            tries = 1 + int((now - self.rests_until) / patience.longest_pause)
            return 1.0 if flow.in_flight - max(0, self._stuck) < min(tries, flow.limit) else 0.0
        return 1.0 - flow.in_flight / flow.limit

    def limit(self, now: float) -> int:
        """What it is given at most just now: one request while it has to show that it is back."""
        return 1 if self.aside or self.rests_until > now else self.flow.limit

    def state(self, now: float) -> EndpointState:
        """A record of it as it is."""
        flow = self.flow
        aside = self.aside > 0 or self.rests_until > now
        waiting = flow.load.waiting if flow.load else None
        return EndpointState(
            self.url, flow.in_flight, self.limit(now), waiting, self.replies, self.failures, aside
        )

    def _set_aside(self, now: float, patience: Patience) -> None:
        self.aside += 1
        if self.aside == 1:
            self._stuck = self.flow.in_flight - 1  # The one that failed is about to leave.
        self._aside_at = now
        self._aside_until = now + patience.pause(self.aside)


def pick(endpoints: Sequence[Endpoint], now: float, patience: Patience) -> Endpoint | None:
    """The one with the largest share of its slots free; None where none is.

    So each gets what it delivers: one that is twice as fast frees its slots twice as often.
    """
    best, most = None, 0.0
    for endpoint in endpoints:
        if (share := endpoint.share(now, patience)) > most:
            best, most = endpoint, share
    return best


def next_awake(endpoints: Sequence[Endpoint]) -> float:
    """When the first of them may be asked: in the past where one may be now."""
    return min(endpoint.rests_until for endpoint in endpoints)


def base_url(text: str) -> str:
    """The base URL without a closing slash.

    Raises:
        TeacherError: not http or https, no host, or a password in it.
    """
    try:
        parts = urlsplit(text.strip())
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise TeacherError(
            f"teacher.endpoints: {text!r} is no http or https URL.", "Write it as http://localhost:8000/v1."
        )
    if parts.username or parts.password or parts.query:
        shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        raise TeacherError(
            f"teacher.endpoints: {shown} carries a password or a query.",
            "Give the key through the environment variable that teacher.api_key_env names.",
        )
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
