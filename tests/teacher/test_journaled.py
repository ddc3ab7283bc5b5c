"""No reply is paid for twice: not by equal requests, not after an interruption."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from feldspar.errors import JournalError, TeacherError
from feldspar.teacher import Costs, Journal, Journaled, Reply, Request, ScriptedTeacher
from feldspar.types import Message


def ask(text: str = "q", seed: int = 0) -> Request:
    return Request((Message("user", text),), seed=seed)


def shout(request: Request) -> str:
    return request.messages[-1].content.upper()


def test_what_is_stored_is_not_asked_again(tmp_path: Path) -> None:
    async def run(teacher: ScriptedTeacher, count: int) -> tuple[list[Reply], Costs]:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(teacher, journal)
            replies = [await one.ask(ask(str(n))) for n in range(count)]
            await one.close()
            return replies, one.costs

    first, second = ScriptedTeacher(shout), ScriptedTeacher(shout)
    before, costs = asyncio.run(run(first, 5))
    assert (costs.sent, costs.stored, costs.prompt_tokens) == (5, 0, 5)
    after, costs = asyncio.run(run(second, 7))
    assert (costs.sent, costs.stored) == (2, 5)
    assert [r.messages[0].content for r in second.requests] == ["5", "6"]
    assert [(r.text, r.key) for r in before] == [(r.text, r.key) for r in after[:5]]
    assert [r.stored for r in after] == [True] * 5 + [False] * 2
    with Journal(tmp_path / "j", readonly=True) as journal:
        found = journal.get(after[6].key)
        assert found is not None
        assert found[0]["messages"][0]["content"] == "6"


def test_another_seed_or_another_teacher_is_another_request(tmp_path: Path) -> None:
    async def run() -> int:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(ScriptedTeacher(shout), journal)
            other = Journaled(ScriptedTeacher(shout, identity="other"), journal)
            await one.ask(ask(seed=1))
            await one.ask(ask(seed=2))
            assert not (await other.ask(ask(seed=1))).stored
            return journal.count()

    assert asyncio.run(run()) == 3


def test_equal_requests_at_once_are_sent_once(tmp_path: Path) -> None:
    teacher = ScriptedTeacher(shout, delay=0.02)

    async def run() -> tuple[list[Reply], Costs]:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(teacher, journal)
            return await asyncio.gather(*(one.ask(ask()) for _ in range(5))), one.costs

    replies, costs = asyncio.run(run())
    assert len(teacher.requests) == 1
    assert [r.stored for r in replies] == [False, True, True, True, True]
    assert (costs.sent, costs.stored) == (1, 4)


def test_one_who_gives_up_does_not_take_the_reply_from_the_others(tmp_path: Path) -> None:
    teacher = ScriptedTeacher(shout, delay=0.05)

    async def run() -> Reply:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(teacher, journal)
            first, second = (asyncio.create_task(one.ask(ask())) for _ in range(2))
            await asyncio.sleep(0.01)
            first.cancel()
            return await second

    assert asyncio.run(run()).text == "Q"
    assert len(teacher.requests) == 1


def test_when_all_give_up_the_next_one_asks_anew(tmp_path: Path) -> None:
    teacher = ScriptedTeacher(shout, delay=0.05)

    async def run() -> tuple[Reply, int]:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(teacher, journal)
            first = asyncio.create_task(one.ask(ask()))
            await asyncio.sleep(0.01)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            reply = await one.ask(ask())
            await one.close()
            return reply, journal.count()

    reply, count = asyncio.run(run())
    assert (reply.text, reply.stored, count, len(teacher.requests)) == ("Q", False, 1, 2)


def test_a_failure_is_everyones_and_is_not_remembered(tmp_path: Path) -> None:
    tries = 0

    def once_bad(request: Request) -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise TeacherError("no")
        return "yes"

    async def run() -> str:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(ScriptedTeacher(once_bad, delay=0.01), journal)
            both = await asyncio.gather(one.ask(ask()), one.ask(ask()), return_exceptions=True)
            assert [type(outcome) for outcome in both] == [TeacherError, TeacherError]
            return (await one.ask(ask())).text

    assert asyncio.run(run()) == "yes"


def test_a_reply_that_cannot_be_stored_is_not_handed_on(tmp_path: Path) -> None:
    async def run() -> None:
        with Journal(tmp_path / "j") as journal:
            await Journaled(ScriptedTeacher(shout), journal).ask(ask("small"))
            journal._connection.execute("PRAGMA max_page_count = 20")
            with pytest.raises(JournalError, match="the disk is full"):
                await Journaled(ScriptedTeacher(lambda _: "x" * 200_000), journal).ask(ask("large"))

    asyncio.run(run())


def test_the_reply_now_and_the_reply_later_are_the_same_text(tmp_path: Path) -> None:
    async def run() -> tuple[str, str]:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(ScriptedTeacher(lambda _: "a\ud800b"), journal)
            return (await one.ask(ask())).text, (await one.ask(ask())).text

    now, later = asyncio.run(run())
    assert now == later


def test_closing_gives_up_what_is_in_flight(tmp_path: Path) -> None:
    async def run() -> None:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(ScriptedTeacher(shout, delay=60), journal)
            waiting = asyncio.create_task(one.ask(ask()))
            await asyncio.sleep(0.01)
            await one.close()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(run())
