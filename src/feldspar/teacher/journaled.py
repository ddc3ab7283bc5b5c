"""A teacher that remembers: what its journal holds is not asked again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from feldspar.errors import BudgetSpent, NotStored
from feldspar.teacher.api import Claim, Costs, Reply, Request, Teacher, asked, key_of, readable
from feldspar.teacher.budget import Budget
from feldspar.teacher.journal import Journal

_HOMEWARD = 600.0  # seconds that what is in flight is waited for when a budget is reached


@dataclass(slots=True, eq=False)
class _Sending:
    """A request under way, and those that wait for its reply; the first is who began it."""

    waiters: list[asyncio.Future[Reply]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    claim: Claim | None = None


class Journaled:
    """A `Teacher` in front of another one, with a journal between.

    Equal requests at the same time are sent once. `close` closes the teacher; the journal is
    closed by whoever opened it.

    Args:
        teacher: who is asked what is not stored.
        journal: where replies are kept.
        stored_only: ask nobody: what is not stored raises `NotStored`.
        budget: what may be spent; once it is reached, what only waits is given up, what is in
            flight is waited for by `close`, and nothing is sent any more.
    """

    def __init__(
        self, teacher: Teacher, journal: Journal, stored_only: bool = False, budget: Budget | None = None
    ) -> None:
        self.identity = teacher.identity
        self._teacher = teacher
        self._journal = journal
        self._stored_only = stored_only
        self._budget = budget
        self._paused = False
        if budget is not None:
            budget.listen(self._pause)
        self._sending: dict[str, _Sending] = {}
        self._sent = self._stored = self._prompt_tokens = self._completion_tokens = 0
        self._seconds = 0.0

    @property
    def costs(self) -> Costs:
        """What this process has asked so far; `journal.costs()` has all processes."""
        return Costs(self._sent, self._stored, self._prompt_tokens, self._completion_tokens, self._seconds)

    async def ask(self, request: Request) -> Reply:
        """The stored reply, or the teacher's once it is committed.

        Raises:
            TeacherError: the teacher cannot answer.
            BudgetSpent: it would have to be sent, and nothing may be.
            NotStored: it is not stored, and nobody may be asked.
            JournalError: the reply cannot be stored; it is not handed on.
        """
        text = asked(request, self.identity)
        key = key_of(text)
        sending = self._sending.get(key)
        shared = sending is not None
        if sending is None:
            if (stored := self._journal.reply(key)) is not None:
                self._stored += 1
                return stored
            if self._stored_only:
                raise NotStored(
                    f"The journal has no reply to the request {key[:12]}…, and nobody may be asked for one.",
                    "Generate with the same recipe first, or let the teacher be asked.",
                )
            if self._budget is not None:
                self._budget.check()
                request = request if request.claim else replace(request, claim=Claim())
            sending = self._sending[key] = _Sending(claim=request.claim)
            sending.task = asyncio.create_task(self._send(request, text, key, sending))
        # Each waits for a future of its own: one that gives up must not take the reply from another.
        mine: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        sending.waiters.append(mine)
        try:
            reply = await mine
        except asyncio.CancelledError:
            self._left(sending, mine, key)
            raise
        if shared:
            self._stored += 1
            return replace(reply, stored=True)
        return reply

    async def close(self) -> None:
        """Gives up what is in flight and closes the teacher."""
        tasks = [sending.task for sending in self._sending.values() if sending.task is not None]
        if self._paused and tasks:
            # These are paid for.
            await asyncio.wait(tasks, timeout=_HOMEWARD)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._teacher.close()

    def _left(self, sending: _Sending, mine: asyncio.Future[Reply], key: str) -> None:
        """One gave up; with the last of them, the request is given up, too."""
        if mine.done() and not mine.cancelled():
            mine.exception()  # looked at, or its loss would be complained of
        sending.waiters.remove(mine)
        if self._paused and sending.claim is not None and sending.claim.sent:
            return
        if not sending.waiters and sending.task is not None:
            sending.task.cancel()
            # An equal request after this one must not wait for what was just given up.
            if self._sending.get(key) is sending:
                del self._sending[key]

    def _pause(self, spent: BudgetSpent) -> None:
        """Gives up what was not sent yet."""
        self._paused = True
        for sending in self._sending.values():
            if sending.task is not None and sending.claim is not None and not sending.claim.sent:
                _tell(sending, spent)
                sending.task.cancel()

    async def _send(self, request: Request, text: str, key: str, sending: _Sending) -> None:
        """Asks, stores, and tells all that wait how it went."""
        try:
            reply = await self._answered(request, text, key)
        except Exception as error:  # whatever it is belongs to those who asked
            _tell(sending, error)
        except BaseException:
            for waiter in sending.waiters:
                waiter.cancel()
            raise
        else:
            _tell(sending, reply)
        finally:
            if self._sending.get(key) is sending:
                del self._sending[key]

    async def _answered(self, request: Request, text: str, key: str) -> Reply:
        said = await self._teacher.ask(request)
        reply = Reply(
            # What is handed on now and what a later run reads back must be the same text.
            readable(said.text),
            readable(said.finish),
            said.prompt_tokens,
            said.completion_tokens,
            said.stored,
            key,
            said.seconds,
            said.alternatives,
        )
        await self._journal.keep(key, text, reply)
        self._sent += 1
        self._prompt_tokens += reply.prompt_tokens
        self._completion_tokens += reply.completion_tokens
        self._seconds += reply.seconds
        if self._budget is not None:
            if request.claim is not None:
                # Not every teacher marks it.
                request.claim.sent = True
            self._budget.note(self.identity, reply)
        return reply


def _tell(sending: _Sending, outcome: Reply | Exception) -> None:
    for waiter in sending.waiters:
        if waiter.done():
            continue
        if isinstance(outcome, Reply):
            waiter.set_result(outcome)
        else:
            waiter.set_exception(outcome)
