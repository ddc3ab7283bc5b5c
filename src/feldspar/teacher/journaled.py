"""A teacher that remembers: what its journal holds is not asked again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from feldspar.teacher.api import Costs, Reply, Request, Teacher, asked, key_of, readable
from feldspar.teacher.journal import Journal


@dataclass(slots=True)
class _Sending:
    task: asyncio.Task[Reply]
    waiters: int = field(default=0)


class Journaled:
    """A `Teacher` in front of another one, with a journal between.

    Equal requests at the same time are sent once. `close` closes the teacher; the journal is
    closed by whoever opened it.
    """

    def __init__(self, teacher: Teacher, journal: Journal) -> None:
        self.identity = teacher.identity
        self.costs = Costs()
        """What this process has asked so far; `journal.costs()` has all processes."""
        self._teacher = teacher
        self._journal = journal
        self._sending: dict[str, _Sending] = {}

    async def ask(self, request: Request) -> Reply:
        """The stored reply, or the teacher's once it is committed.

        Raises:
            TeacherError: the teacher cannot answer.
            JournalError: the reply cannot be stored; it is not handed on.
        """
        text = asked(request, self.identity)
        key = key_of(text)
        sending = self._sending.get(key)
        shared = sending is not None
        if sending is None:
            if (stored := self._journal.reply(key)) is not None:
                self.costs = replace(self.costs, stored=self.costs.stored + 1)
                return stored
            task = asyncio.create_task(self._send(request, text, key))
            sending = self._sending[key] = _Sending(task)
        sending.waiters += 1
        try:
            # Shielded, because one caller that gives up must not take the reply from another.
            reply = await asyncio.shield(sending.task)
        finally:
            sending.waiters -= 1
            if not sending.waiters and not sending.task.done():
                sending.task.cancel()
                # An equal request after this one must not wait for what was just given up.
                if self._sending.get(key) is sending:
                    del self._sending[key]
        if shared:
            self.costs = replace(self.costs, stored=self.costs.stored + 1)
            return replace(reply, stored=True)
        return reply

    async def close(self) -> None:
        """Gives up what is in flight and closes the teacher."""
        tasks = [sending.task for sending in self._sending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._teacher.close()

    async def _send(self, request: Request, text: str, key: str) -> Reply:
        mine = asyncio.current_task()
        try:
            reply = await self._teacher.ask(request)
            # What is handed on now and what a later run reads back must be the same text.
            reply = replace(reply, key=key, text=readable(reply.text), finish=readable(reply.finish))
            await asyncio.wrap_future(self._journal.put(text, reply))
        finally:
            sending = self._sending.get(key)
            if sending is not None and sending.task is mine:
                del self._sending[key]
        was = self.costs
        self.costs = Costs(
            was.sent + 1,
            was.stored,
            was.prompt_tokens + reply.prompt_tokens,
            was.completion_tokens + reply.completion_tokens,
            was.seconds + reply.seconds,
        )
        return reply
