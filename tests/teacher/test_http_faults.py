"""What goes wrong while many requests are under way: where they go, and what each may cost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from feldspar.errors import TeacherError, TeacherRefused, TeacherUnavailable
from feldspar.teacher import Claim, Fault, HttpTeacher, Patience, Request, answers, busy, scripted_server
from feldspar.teacher.answers import Answer, asked_wait, read_answer
from feldspar.types import Message

HASTY = Patience(total=20.0, request=20.0, connect=2.0, first_pause=0.02, longest_pause=0.2)


def ask(text: str, rank: float = 0.0) -> Request:
    return Request((Message("user", text),), 20, rank=(rank,))


def echo(request: Request) -> str:
    return request.messages[-1].content.upper()


def said(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


async def closing(one: HttpTeacher, work: Awaitable[Any]) -> Any:
    try:
        return await work
    finally:
        await one.close()


def unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_what_waits_goes_in_the_order_of_its_rank() -> None:
    async def run() -> list[str]:
        async with scripted_server(echo, delay=0.005) as server:
            teacher = HttpTeacher("scripted", [server.url], max_in_flight=1, patience=HASTY)
            ranks = [3, 1, 4, 1, 5, 9, 2, 6]
            asks = (teacher.ask(ask(f"{rank}{n}", rank)) for n, rank in enumerate(ranks))
            await closing(teacher, asyncio.gather(*asks))
            return [said(body) for body in server.bodies]

    first, *others = asyncio.run(run())
    assert first == "30"
    assert others == ["11", "13", "26", "42", "54", "67", "95"]


def test_a_request_is_claimed_when_it_is_sent_and_not_before() -> None:
    async def run() -> list[bool]:
        async with scripted_server(echo, delay=0.2) as server:
            teacher = HttpTeacher("scripted", [server.url], max_in_flight=1, patience=HASTY)
            claims = [Claim(), Claim()]
            asks = [Request((Message("user", "x"),), claim=claim) for claim in claims]
            tasks = [asyncio.ensure_future(teacher.ask(one)) for one in asks]
            await asyncio.sleep(0.05)
            seen = [claim.sent for claim in claims]
            assert teacher.waiting == 1
            await closing(teacher, asyncio.gather(*tasks))
            return seen

    assert asyncio.run(run()) == [True, False]


def test_a_request_that_was_cancelled_while_it_waited_is_never_sent() -> None:
    async def run() -> tuple[list[str], int]:
        async with scripted_server(echo, delay=0.05) as server:
            teacher = HttpTeacher("scripted", [server.url], max_in_flight=2, patience=HASTY)
            tasks = [asyncio.ensure_future(teacher.ask(ask(f"q{n}"))) for n in range(40)]
            await asyncio.sleep(0.02)
            for task in tasks[4:]:
                task.cancel()
            await closing(teacher, asyncio.gather(*tasks, return_exceptions=True))
            return [said(body) for body in server.bodies], teacher.state()[0].in_flight

    sent, flying = asyncio.run(run())
    assert sent == ["q0", "q1", "q2", "q3"]
    assert flying == 0


def test_a_request_that_sleeps_off_its_faults_holds_no_slot() -> None:
    """One request always fails; the others go through the single slot meanwhile."""

    async def run() -> float:
        poison = lambda _, body: Fault("status", 500) if said(body) == "poison" else None  # noqa: E731
        async with scripted_server(echo, poison) as server:
            slow = Patience(first_pause=0.5, longest_pause=0.5)
            teacher = HttpTeacher("scripted", [server.url], max_in_flight=1, patience=slow)
            bad = asyncio.ensure_future(teacher.ask(ask("poison", -1.0)))
            began = time.monotonic()
            await asyncio.gather(*(teacher.ask(ask(f"q{n}")) for n in range(50)))
            took = time.monotonic() - began
            bad.cancel()
            await closing(teacher, asyncio.gather(bad, return_exceptions=True))
            return took

    assert asyncio.run(run()) < 2.0


def test_an_endpoint_that_asks_for_a_rest_is_left_alone_while_the_other_works() -> None:
    async def run() -> tuple[list[float], int]:
        seen: list[float] = []

        def resting(number: int, _: object) -> Fault | None:
            seen.append(time.monotonic())
            return busy(503, 0.6) if number == 1 else None

        async with scripted_server(echo, resting) as one, scripted_server(echo, delay=0.02) as two:
            teacher = HttpTeacher("scripted", [one.url, two.url], patience=HASTY)
            await closing(teacher, asyncio.gather(*(teacher.ask(ask(str(n))) for n in range(300))))
            return seen, two.answered

    seen, others = asyncio.run(run())
    refused = [when - seen[0] for when in seen if when - seen[0] > 0.05]
    assert all(pause >= 0.59 for pause in refused)
    assert others >= 50


@pytest.mark.parametrize("kind", ["overload", "transport"])
def test_each_budget_is_its_own(kind: str) -> None:
    """A request meets both kinds of fault; only the one with a small budget ends it."""
    faults = {"overload": busy(429), "transport": Fault("status", 502)}
    other = "transport" if kind == "overload" else "overload"
    small = Patience(overload=0.4, first_pause=0.02, longest_pause=0.05)
    if kind == "transport":
        small = Patience(total=0.4, first_pause=0.02, longest_pause=0.05)

    async def run() -> list[Any]:
        began = time.monotonic()
        async with scripted_server(
            echo, lambda *_: faults[other] if time.monotonic() < began + 1.0 else None
        ) as long:
            teacher = HttpTeacher("scripted", [long.url], patience=small)
            reply = await closing(teacher, teacher.ask(ask("patient")))
        async with scripted_server(echo, lambda *_: faults[kind]) as server:
            teacher = HttpTeacher("scripted", [server.url], patience=small)
            asks = (teacher.ask(ask(f"q{n}")) for n in range(30))
            began = time.monotonic()
            ends = await closing(teacher, asyncio.gather(*asks, return_exceptions=True))
            return [reply, *ends, time.monotonic() - began]

    reply, *ends, took = asyncio.run(run())
    assert reply.text == "PATIENT"
    assert all(isinstance(end, TeacherUnavailable) for end in ends)
    assert 0.3 <= took < 5.0


def test_a_refusal_of_one_request_is_told_from_a_wrong_set_up() -> None:
    words = json.dumps({"error": {"message": "content management policy"}})
    filtered = lambda _, body: Fault("status", 400, words) if said(body) == "bad" else None  # noqa: E731

    async def run(good: bool) -> list[type[BaseException]]:
        async with scripted_server(echo, filtered) as server:
            teacher = HttpTeacher("scripted", [server.url], patience=HASTY)
            if good:
                await teacher.ask(ask("good"))
            ends: list[type[BaseException]] = []
            for _ in range(9):
                with pytest.raises(TeacherError, match="content management policy") as refused:
                    await teacher.ask(ask("bad"))
                ends.append(refused.type)
            reply = await closing(teacher, teacher.ask(ask("good again")))
            assert reply.text == "GOOD AGAIN"
            return ends

    for good in (True, False):
        assert asyncio.run(run(good)) == [TeacherRefused] * 9


def test_a_server_that_begins_to_refuse_everything_ends_the_run() -> None:
    """A model that has crashed, a key that has expired: some hosts answer 400 to it."""
    crashed = Fault("status", 400, json.dumps({"error": "The model has crashed"}))

    async def run(good: int) -> list[type[BaseException]]:
        async with scripted_server(echo, lambda n, _: crashed if n > good else None) as server:
            teacher = HttpTeacher("scripted", [server.url], patience=HASTY)
            for _ in range(good):
                await teacher.ask(ask("good"))
            ends: list[type[BaseException]] = []
            while not ends or ends[-1] is TeacherRefused:
                with pytest.raises(TeacherError, match="has crashed") as refused:
                    await teacher.ask(ask("good"))
                ends.append(refused.type)
            await teacher.close()
            return ends

    assert asyncio.run(run(3)) == [TeacherRefused] * 7 + [TeacherError]
    assert asyncio.run(run(0)) == [TeacherError]


def test_a_request_that_alone_gets_500_is_refused_and_the_others_are_answered() -> None:
    fails = lambda _, body: Fault("status", 500, "Jinja Exception") if said(body) == "bad" else None  # noqa: E731

    async def run() -> tuple[BaseException, list[str]]:
        async with scripted_server(echo, fails) as server:
            hasty = Patience(total=1.0, first_pause=0.01, longest_pause=0.05)
            teacher = HttpTeacher("scripted", [server.url], patience=hasty)
            bad = asyncio.create_task(teacher.ask(ask("bad")))
            texts = []
            while not bad.done():
                texts.append((await teacher.ask(ask("good"))).text)
            await teacher.close()
            error = bad.exception()
            assert error is not None
            return error, texts

    error, texts = asyncio.run(run())
    assert type(error) is TeacherRefused
    assert "Jinja Exception" in str(error)
    assert set(texts) == {"GOOD"}


MISTRAL = json.dumps(
    {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]}
)
OPENAI = json.dumps(
    {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}
)


@pytest.mark.parametrize(
    ("words", "field", "instead"),
    [(MISTRAL, "seed", ""), (OPENAI, "max_tokens", "max_completion_tokens")],
)
def test_a_field_that_a_host_does_not_take_is_left_out_from_then_on(
    words: str, field: str, instead: str
) -> None:
    minds = lambda _, body: Fault("status", 422, words) if field in body else None  # noqa: E731

    async def run() -> list[dict[str, object]]:
        async with scripted_server(echo, minds) as server:
            teacher = HttpTeacher("scripted", [server.url], patience=HASTY)
            asks = [teacher.ask(ask(f"q{n}")) for n in range(4)]
            replies = await closing(teacher, asyncio.gather(*asks, return_exceptions=True))
            assert [str(getattr(reply, "text", reply)) for reply in replies] == ["Q0", "Q1", "Q2", "Q3"]
            return list(server.bodies)

    bodies = asyncio.run(run())
    assert len(bodies) <= 8
    assert all(field not in body and (not instead or body[instead] == 20) for body in bodies[4:])


def test_a_model_that_is_not_listed_is_asked_once_before_it_is_an_error() -> None:
    """Routers take names that they do not list: `model:nitro`, a deployment's."""

    async def run(model: str) -> str:
        listed = web.json_response({"data": [{"id": "scripted"}]})

        async def listing(_: web.Request) -> web.StreamResponse:
            return listed

        async def completion(asked: web.Request) -> web.StreamResponse:
            if (await asked.json())["model"] != "scripted:nitro":
                raise web.HTTPNotFound
            return web.json_response({"choices": [{"message": {"content": "Yes."}}]})

        app = web.Application()
        app.router.add_get("/v1/models", listing)
        app.router.add_post("/v1/chat/completions", completion)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        teacher = HttpTeacher(model, [f"http://127.0.0.1:{runner.addresses[0][1]}/v1"], patience=HASTY)
        try:
            await closing(teacher, teacher.probe())
        except TeacherError as error:
            return error.what
        finally:
            await runner.cleanup()
        return ""

    assert asyncio.run(run("scripted:nitro")) == ""
    assert "does not serve the model 'nobody'" in asyncio.run(run("nobody"))


@pytest.mark.parametrize(
    "fault", [Fault("truncated"), Fault("garbage"), Fault("reset"), Fault("status", 408)]
)
def test_a_fault_in_five_costs_no_reply(fault: Fault) -> None:
    async def run() -> list[str]:
        async with scripted_server(echo, lambda n, _: fault if n % 5 == 4 else None, delay=0.002) as server:
            teacher = HttpTeacher("scripted", [server.url], patience=HASTY)
            asks = asyncio.gather(*(teacher.ask(ask(f"q{n}")) for n in range(200)))
            return [reply.text for reply in await closing(teacher, asks)]

    assert asyncio.run(run()) == [f"Q{n}" for n in range(200)]


def test_one_endpoint_of_three_dies_and_comes_back() -> None:
    port, count = unused_port(), 3000

    async def until(true: Callable[[], bool]) -> float:
        began = time.monotonic()
        while not true():
            await asyncio.sleep(0.005)
            assert time.monotonic() - began < 10.0
        return time.monotonic() - began

    async def run() -> tuple[list[str], float, float]:
        async with contextlib.AsyncExitStack() as stack:
            others = [
                await stack.enter_async_context(scripted_server(echo, delay=0.02, slots=8)) for _ in range(2)
            ]
            dying = contextlib.AsyncExitStack()
            third = await dying.enter_async_context(scripted_server(echo, delay=0.02, slots=8, port=port))
            patience = Patience(first_pause=0.1, longest_pause=0.5)
            teacher = HttpTeacher("scripted", [one.url for one in [*others, third]], patience=patience)
            asked = asyncio.gather(*(teacher.ask(ask(f"q{n}", n)) for n in range(count)))
            await until(lambda: third.answered > 100)
            await dying.aclose()
            shifted = await until(lambda: teacher.state()[2].in_flight == 0)
            await asyncio.sleep(0.3)
            before = sum(one.answered for one in others)
            third = await stack.enter_async_context(scripted_server(echo, delay=0.02, slots=8, port=port))
            returned = await until(lambda: third.answered >= 30)
            assert sum(one.answered for one in others) > before
            replies = await closing(teacher, asked)
            return [reply.text for reply in replies], shifted, returned

    texts, shifted, returned = asyncio.run(run())
    assert texts == [f"Q{n}" for n in range(count)]
    assert shifted < 2.0
    assert returned < 3.0


def test_what_hangs_on_an_endpoint_that_is_gone_goes_to_the_others() -> None:
    """The listener dies, and its connections stay open without a word, as where a network breaks."""
    port = unused_port()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async def run() -> float:
        async with scripted_server(echo, delay=0.01) as good:
            bad = await asyncio.start_server(silent, "127.0.0.1", port)
            patience = Patience(request=60.0, connect=0.3, first_pause=0.02, longest_pause=0.2)
            teacher = HttpTeacher("scripted", [good.url, f"http://127.0.0.1:{port}/v1"], patience=patience)
            began = time.monotonic()
            first = asyncio.gather(*(teacher.ask(ask(f"q{n}")) for n in range(8)))
            await asyncio.sleep(0.1)
            assert teacher.state()[1].in_flight > 0
            bad.close()
            second = asyncio.gather(*(teacher.ask(ask(f"r{n}")) for n in range(300)))
            await closing(teacher, asyncio.gather(first, second))
            return time.monotonic() - began

    assert asyncio.run(run()) < 10.0


def test_the_rest_that_a_server_asks_for_is_read_from_its_headers() -> None:
    assert asked_wait({"Retry-After-Ms": "1500", "Retry-After": "9"}) == 1.5
    assert asked_wait({"Retry-After": "9"}) == 9.0
    used_up = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2.5s"}
    assert asked_wait(used_up) == 62.5
    assert asked_wait({**used_up, "x-ratelimit-remaining-tokens": "12"}) == 0.0
    assert asked_wait({**used_up, "x-ratelimit-reset-tokens": "soon"}) == 0.0
    assert asked_wait({}) == 0.0


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [("overload", (429, 503, 529)), ("wait", (408, 500, 502, 504)), ("refused", (400, 422))],
)
def test_a_status_is_one_kind_of_fault(kind: str, statuses: tuple[int, ...]) -> None:
    for status in statuses:
        fault = read_answer(Answer(status, {"Retry-After": "2"}, b"words"), "http://h/v1", "KEY", "")
        assert isinstance(fault, answers.Fault)
        assert (fault.kind, fault.wait) == (kind, 0.0 if kind == "refused" else 2.0)
