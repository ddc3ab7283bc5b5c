"""Asking servers for their load, and whether they live, for as long as they work for us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from feldspar.teacher.answers import Answer, Fault
from feldspar.teacher.endpoints import Patience
from feldspar.teacher.flow import Flow
from feldspar.teacher.load import LARGEST_PAGE, Load, load_in, metrics_url
from feldspar.teacher.wire import Wire

_HTTP_OK = 200
_FIRST, _SEEKING, _SETTLED = 0.1, 0.25, 1.0
"""Seconds between two polls: at the start, when a few are all of the climb; then; and in the end."""
_FIRST_POLLS = 10
_PATIENCE = 5.0
"""Seconds for one poll."""
_FAILURES = 3
"""In a row, after which the load is unknown."""


class Polls:
    """One task for each endpoint that has something in flight.

    It asks for the load where the server tells it, and otherwise, when nothing has come for long,
    whether anything is there at all: a machine that lost its network breaks no connection.

    Args:
        serve: called when limits may have changed.
        lost: called with an endpoint's URL and the fault when nothing is there.
        patience: of silence, as long as of a connection.
    """

    def __init__(
        self, serve: Callable[[], None], lost: Callable[[str, Fault], None], patience: Patience
    ) -> None:
        self._serve = serve
        self._lost = lost
        self._silence = patience.connect
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wires: dict[str, Wire] = {}
        """A connection of their own: behind the requests, the answer would come when it is no news."""
        self._without: set[str] = set()
        """Endpoints that have no metrics."""

    def look(self, url: str, flow: Flow, wire: Wire) -> None:
        """Begins with an endpoint, if need be; it ends by itself once nothing is in flight."""
        if url not in self._tasks and not flow.fixed:
            own = self._wires.setdefault(url, Wire(url, wire.api_key, wire.patience))
            self._tasks[url] = asyncio.get_running_loop().create_task(self._run(url, flow, own))

    async def close(self) -> None:
        """Ends all polling."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(wire.close() for wire in self._wires.values()))

    async def _run(self, url: str, flow: Flow, wire: Wire) -> None:
        try:
            if url not in self._without:
                await self._poll(url, flow, wire)
            while flow.in_flight:
                await asyncio.sleep(self._silence)
                if flow.in_flight and time.monotonic() - flow.replied_at > self._silence:
                    await self._knock(url, wire)
        finally:
            self._tasks.pop(url, None)

    async def _poll(self, url: str, flow: Flow, wire: Wire) -> None:
        failures = polls = 0
        while flow.in_flight:
            answer = await wire.get(metrics_url(url), min(_PATIENCE, self._silence), LARGEST_PAGE)
            load = _load(answer) if isinstance(answer, Answer) else None
            if load is None and flow.load is None:
                if isinstance(answer, Answer):
                    self._without.add(url)  # It answers, and with something else.
                return
            failures = 0 if load is not None else failures + 1
            if load is not None or failures >= _FAILURES:
                flow.told(load, time.monotonic())
                self._serve()
            if isinstance(answer, Fault) and answer.kind == "gone":
                self._lost(url, answer)
            polls += 1
            pause = _SETTLED if flow.settled or failures else _SEEKING
            await asyncio.sleep(_FIRST if polls < _FIRST_POLLS and not flow.settled else pause)

    async def _knock(self, url: str, wire: Wire) -> None:
        # Longer than the wait for a connection, which has a fault of its own.
        answer = await wire.get("/models", 2 * self._silence)
        if isinstance(answer, Fault) and answer.kind == "gone":
            self._lost(url, answer)


def _load(answer: Answer) -> Load | None:
    return load_in(answer.body) if answer.status == _HTTP_OK else None
