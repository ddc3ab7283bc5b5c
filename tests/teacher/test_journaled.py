"""No reply is paid for twice: not by equal requests, not after an interruption."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from feldspar.errors import JournalError, NotStored, TeacherError
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


def test_a_reply_is_handed_on_after_its_commit(tmp_path: Path) -> None:
    async def run() -> None:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(ScriptedTeacher(shout), journal)
            for n in range(20):
                reply = await one.ask(ask(str(n)))
                with Journal(tmp_path / "j", readonly=True) as another:
                    stored = another.reply(reply.key)
                assert stored is not None
                assert (stored.text, reply.stored) == (reply.text, False)

    asyncio.run(run())


def test_of_three_the_last_alone_keeps_the_request_going(tmp_path: Path) -> None:
    teacher = ScriptedTeacher(shout, delay=0.1)

    async def run() -> None:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(teacher, journal)
            three = [asyncio.create_task(one.ask(ask())) for _ in range(3)]
            await asyncio.sleep(0.01)
            three[0].cancel()
            three[1].cancel()
            reply = await three[2]
            assert reply.text == "Q"
            assert [task.cancelled() for task in three] == [True, True, False]
            assert one.costs.sent == 1

    asyncio.run(run())
    assert len(teacher.requests) == 1


def test_where_nobody_may_be_asked_only_what_is_stored_is_answered(tmp_path: Path) -> None:
    first, second = ScriptedTeacher(shout), ScriptedTeacher(shout)

    async def run() -> Costs:
        with Journal(tmp_path / "j") as journal:
            await Journaled(first, journal).ask(ask("old"))
            one = Journaled(second, journal, stored_only=True)
            assert (await one.ask(ask("old"))).text == "OLD"
            with pytest.raises(NotStored, match="no reply to the request") as caught:
                await one.ask(ask("new"))
            assert caught.value.mend
            assert isinstance(caught.value, TeacherError)
            assert journal.count() == 1
            return one.costs

    assert asyncio.run(run()) == Costs(stored=1)
    assert second.requests == []


def test_alternatives_and_seconds_come_along(tmp_path: Path) -> None:
    said = Reply("3", "stop", 5, 6, seconds=0.5, alternatives=((("3", -0.1), ("2", -2.0)),))

    class Judge:
        identity = "judge"

        async def ask(self, request: Request) -> Reply:
            return said

        async def close(self) -> None:
            pass

    async def run() -> tuple[Reply, Reply]:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(Judge(), journal)
            return await one.ask(ask()), await one.ask(ask())

    now, later = asyncio.run(run())
    assert now == replace(said, key=now.key)
    assert later == replace(said, key=now.key, stored=True)


def test_nobody_waits_for_what_is_being_given_up(tmp_path: Path) -> None:
    times = 0

    class Slow:
        identity = "slow"

        async def ask(self, request: Request) -> Reply:
            nonlocal times
            times += 1
            if times == 1:
                try:
                    await asyncio.sleep(60)
                finally:
                    # As where a connection has to be closed first.
                    await asyncio.sleep(0.05)
            return Reply("second")

        async def close(self) -> None:
            pass

    async def run() -> str:
        with Journal(tmp_path / "j") as journal:
            one = Journaled(Slow(), journal)
            first = asyncio.create_task(one.ask(ask()))
            await asyncio.sleep(0.01)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            text = (await one.ask(ask())).text
            await one.close()
            return text

    assert asyncio.run(run()) == "second"
