"""A teacher that is started when it is first asked what nobody has answered yet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from feldspar.teacher.api import Reply, Request, Teacher, asked, key_of
from feldspar.teacher.journal import Journal

_TURNS = 50


class Deferred:
    """A `Teacher` in front of one that may never be needed.

    Args:
        identity: what its replies are stored under.
        journal: where they are.
        start: starts it; called once at most. Whoever gives it sees to its end.
    """

    def __init__(self, identity: str, journal: Journal, start: Callable[[], Awaitable[Teacher]]) -> None:
        self.identity = identity
        self._journal = journal
        self._start = start
        self._starting = asyncio.Lock()
        self._started: Teacher | None = None

    async def ask(self, request: Request) -> Reply:
        """The stored reply, or that of the teacher, who is started for it.

        Raises:
            TeacherError: as the teacher does, or it cannot be started.
        """
        stored = self._journal.reply(key_of(asked(request, self.identity)))
        if stored is not None:
            return stored
        # What is stored is decided within a few turns of the loop: it may be that nobody needs this any more.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if self._started is None:
            async with self._starting:
                if self._started is None:
                    self._started = await self._start()
        return await self._started.ask(request)

    async def close(self) -> None:
        """Has nothing of its own to let go of."""
