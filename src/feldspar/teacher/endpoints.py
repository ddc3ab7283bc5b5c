"""The servers an `HttpTeacher` may ask: which one is next, and which are set aside for a while."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from feldspar.errors import TeacherError


@dataclass(frozen=True, slots=True)
class Patience:
    """How long faults are waited out. All in seconds but `quick_tries`."""

    total: float = 600.0
    """Of one request, from its first fault to giving up."""
    request: float = 600.0
    """Of one try, until the last byte has come."""
    connect: float = 10.0
    first_pause: float = 0.5
    longest_pause: float = 30.0
    quick_tries: int = 3
    """Tries at what has never answered, before that is an error."""

    def pause(self, failures: int) -> float:
        """How long to wait after so many failures in a row, with jitter: it doubles each time."""
        whole = min(self.longest_pause, self.first_pause * 2.0 ** min(failures - 1, 30))
        return whole * random.uniform(0.5, 1.0)  # noqa: S311 (it spreads retries and guards nothing)


@dataclass(slots=True)
class Endpoint:
    """One base URL and how it has been doing."""

    url: str
    in_flight: int = 0
    failures: int = 0
    """Since its last answer."""
    resting_until: float = 0.0
    refused_schemas: set[str] = field(default_factory=set)
    """Schemas that it rejected: those requests go to it without `response_format`."""

    def failed(self, now: float, patience: Patience, wait: float = 0.0) -> bool:
        """Sets the endpoint aside, for `wait` seconds if the server asked for so many.

        Returns:
            Whether this is news: what was in flight when it went down fails together, and that is
            one failure, not sixty.
        """
        news = now >= self.resting_until
        if news:
            self.failures += 1
            self.resting_until = now + patience.pause(self.failures)
        self.resting_until = max(self.resting_until, now + wait)
        return news


def pick(endpoints: Sequence[Endpoint], now: float) -> Endpoint | None:
    """The one with the fewest in flight; None while all rest.

    One that failed last time gets a single request to show that it is back, unless there is no other.
    """
    awake = [e for e in endpoints if e.resting_until <= now]
    good = [e for e in awake if not e.failures or not e.in_flight] or awake
    return min(good, key=lambda e: e.in_flight, default=None)


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
