"""`HttpTeacher` against a real server on a real socket, with faults put in."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from feldspar.errors import TeacherError, TeacherUnavailable
from feldspar.teacher import Fault, HttpTeacher, Patience, Reply, Request, schema_text, scripted_server
from feldspar.teacher.scripted import Faults
from feldspar.types import Message

HASTY = Patience(total=30.0, request=30.0, connect=5.0, first_pause=0.01, longest_pause=0.05)
SCHEMA = schema_text({"type": "object", "properties": {"q": {"type": "string"}}})


def ask(text: str = "hello", schema: str = "") -> Request:
    return Request((Message("user", text),), 20, schema=schema)


def echo(request: Request) -> str:
    return request.messages[-1].content.upper()


def teacher(*urls: str, model: str = "scripted", patience: Patience = HASTY, **more: object) -> HttpTeacher:
    return HttpTeacher(model, urls, patience=patience, **more)  # type: ignore[arg-type]


async def closing(one: HttpTeacher, work: Callable[[HttpTeacher], Awaitable[object]]) -> object:
    try:
        return await work(one)
    finally:
        await one.close()


def played(faults: Faults | None, asks: int = 1, schema: str = "") -> tuple[list[Reply], int]:
    """Replies, and how many requests the server saw."""

    async def run() -> tuple[list[Reply], int]:
        async with scripted_server(echo, faults) as server:
            one = teacher(server.url)
            try:
                replies = [await one.ask(ask(f"q{n}", schema)) for n in range(asks)]
            finally:
                await one.close()
            return replies, len(server.bodies)

    return asyncio.run(run())


def failing(faults: Faults | None, patience: Patience = HASTY, **more: object) -> TeacherError:
    async def run() -> None:
        async with scripted_server(echo, faults) as server:
            await closing(teacher(server.url, patience=patience, **more), lambda t: t.ask(ask()))

    with pytest.raises(TeacherError) as caught:
        asyncio.run(run())
    return caught.value


def unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_question_is_answered() -> None:
    (reply,), _ = played(None)
    assert (reply.text, reply.finish, reply.stored) == ("Q0", "stop", False)
    assert reply.prompt_tokens == reply.completion_tokens == 1
    assert reply.seconds > 0


@pytest.mark.parametrize(
    "fault",
    [Fault("status", 500), Fault("status", 429), Fault("status", 503), Fault("reset"), Fault("garbage")],
)
def test_a_passing_fault_is_tried_again(fault: Fault) -> None:
    (reply,), seen = played(lambda n, _: fault if n < 3 else None)
    assert (reply.text, seen) == ("Q0", 3)


@pytest.mark.parametrize("fault", [Fault("status", 401), Fault("status", 404), Fault("html")])
def test_after_a_first_success_bad_signs_are_waited_out(fault: Fault) -> None:
    replies, seen = played(lambda n, _: fault if 2 <= n < 6 else None, asks=2)
    assert [r.text for r in replies] == ["Q0", "Q1"]
    assert seen == 6


def test_a_hanging_server_is_given_up_on_and_asked_again() -> None:
    async def run() -> Reply:
        async with scripted_server(echo, lambda n, _: Fault("hang") if n == 1 else None) as server:
            hasty = Patience(total=30.0, request=1.0, first_pause=0.01)
            one = teacher(server.url, patience=hasty)
            try:
                return await one.ask(ask())
            finally:
                await one.close()

    assert asyncio.run(run()).text == "HELLO"


def test_retry_after_is_honoured() -> None:
    busy = Fault("status", 429, headers=(("Retry-After", "1"),))
    began = time.monotonic()
    played(lambda n, _: busy if n == 1 else None)
    assert 1.0 <= time.monotonic() - began < 20.0


def test_a_fault_without_end_is_unavailable_and_says_how_to_go_on() -> None:
    error = failing(lambda n, _: Fault("status", 503, "asleep"), Patience(overload=0.2, first_pause=0.01))
    assert isinstance(error, TeacherUnavailable)
    assert "answers 503: asleep" in error.what
    assert "same command again" in error.mend


def test_a_wait_longer_than_the_patience_is_not_begun() -> None:
    busy = Fault("status", 429, headers=(("Retry-After", "900"),))
    began = time.monotonic()
    assert isinstance(failing(lambda n, _: busy, Patience(overload=30.0)), TeacherUnavailable)
    assert time.monotonic() - began < 10.0


def test_a_wrong_key_names_the_variable_and_not_the_key() -> None:
    async def run() -> None:
        async with scripted_server(echo, api_key="right") as server:
            good = teacher(server.url, api_key="right")
            assert (await good.ask(ask())).text == "HELLO"
            await good.close()
            bad = teacher(server.url, api_key="sk-wrong", key_env="MY_KEY")
            for verb in (bad.probe(), bad.ask(ask())):
                with pytest.raises(TeacherError, match="answers 401") as caught:
                    await verb
                assert "MY_KEY" in caught.value.mend
                assert "sk-wrong" not in str(caught.value)
            await bad.close()

    asyncio.run(run())


def test_html_asks_for_v1() -> None:
    error = failing(lambda n, _: Fault("html"))
    assert error.what.endswith("answers HTML, not the OpenAI API: does the URL end in /v1?")


def test_garbage_without_end_is_an_error_after_a_few_tries() -> None:
    assert "what is not JSON" in failing(lambda n, _: Fault("garbage")).what


def test_nothing_answers() -> None:
    url = f"http://127.0.0.1:{unused_port()}/v1"
    for verb in (lambda t: t.ask(ask()), lambda t: t.probe()):
        began = time.monotonic()
        with pytest.raises(TeacherError, match=f"nothing answers at {url}"):
            asyncio.run(closing(teacher(url), verb))
        assert time.monotonic() - began < 10.0


def test_an_unknown_model_names_those_that_are_served() -> None:
    async def run() -> None:
        async with scripted_server(echo, models=("granite", "mixtral")) as server:
            for verb in (lambda t: t.ask(ask()), lambda t: t.probe()):
                with pytest.raises(TeacherError, match="does not serve the model 'granit'") as caught:
                    await closing(teacher(server.url, model="granit"), verb)
                assert "granite, mixtral" in caught.value.mend

    asyncio.run(run())


def test_probing_is_content_with_a_server_that_lists_nothing_or_is_busy() -> None:
    async def run() -> None:
        async with scripted_server(echo, models=None) as server:
            await closing(teacher(server.url, model="any"), lambda t: t.probe())
            up_and_down = (server.url, f"http://127.0.0.1:{unused_port()}/v1")
            await closing(teacher(*up_and_down, model="any"), lambda t: t.probe())

    asyncio.run(run())


def test_a_url_without_v1_is_said() -> None:
    async def run() -> None:
        async with scripted_server(echo) as server:
            await closing(teacher(server.url.removesuffix("/v1")), lambda t: t.ask(ask()))

    with pytest.raises(TeacherError) as caught:
        asyncio.run(run())
    assert "/v1" in caught.value.mend


def test_a_request_too_long_is_named_with_its_size() -> None:
    words = json.dumps({"error": {"message": "maximum context length is 8 tokens"}})
    error = failing(lambda n, _: Fault("status", 400, words))
    assert "1 messages and 5 characters" in error.what
    assert "maximum context length is 8" in error.what
    assert "'hello'" in error.mend


def test_another_400_is_told_in_the_servers_words() -> None:
    words = json.dumps({"error": {"message": "top_p must be nice " + "x" * 500}})
    error = failing(lambda n, _: Fault("status", 400, words), api_key="k-123")
    assert "top_p must be nice" in error.what
    assert len(error.what) < 400


def test_a_schema_that_is_rejected_is_left_out_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    refused = Fault("status", 400, json.dumps({"error": {"message": "response_format: no"}}))
    with caplog.at_level(logging.WARNING):
        replies, seen = played(lambda n, body: refused if "response_format" in body else None, 3, SCHEMA)
    assert [r.text for r in replies] == ["Q0", "Q1", "Q2"]
    # Without the schema, and whole once more: a stray refusal says nothing of schemas.
    assert seen == 5
    assert sum("without that schema" in line for line in caplog.messages) == 1


def test_log_probabilities_that_are_rejected_are_left_out_from_then_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = Fault("status", 400, json.dumps({"error": {"message": "logprobs: no"}}))
    bodies: list[dict[str, Any]] = []

    def minds(number: int, body: dict[str, Any]) -> Fault | None:
        bodies.append(body)
        return refused if "logprobs" in body else None

    async def asked() -> list[Reply]:
        async with scripted_server(lambda request: "ok", minds) as server:
            teacher = HttpTeacher("scripted", [server.url])
            try:
                request = Request((Message("user", "score"),), schema=SCHEMA, top_logprobs=5)
                return [await teacher.ask(replace(request, seed=n)) for n in range(3)]
            finally:
                await teacher.close()

    with caplog.at_level(logging.WARNING):
        assert [reply.text for reply in asyncio.run(asked())] == ["ok"] * 3
    assert ["logprobs" in body for body in bodies] == [True, False, True, False, False]
    assert all("response_format" in body for body in bodies)
    assert sum("no log-probabilities" in line for line in caplog.messages) == 1


def test_a_stray_refusal_turns_no_schema_off() -> None:
    refused = Fault("status", 400, json.dumps({"error": {"message": "not now"}}))
    replies, seen = played(lambda n, body: refused if n == 1 else None, 3, SCHEMA)
    assert ([r.text for r in replies], seen) == (["Q0", "Q1", "Q2"], 5)


def test_a_bad_request_is_not_blamed_on_its_schema() -> None:
    async def run() -> None:
        answer = Fault("status", 400, "seed must be small")
        async with scripted_server(echo, lambda n, _: answer) as server:
            await closing(teacher(server.url), lambda t: t.ask(ask(schema=SCHEMA)))

    with pytest.raises(TeacherError, match="seed must be small"):
        asyncio.run(run())


def test_no_more_in_flight_than_allowed() -> None:
    async def run() -> int:
        async with scripted_server(echo, delay=0.02) as server:
            one = teacher(server.url, max_in_flight=3)
            await asyncio.gather(*(one.ask(ask(str(n))) for n in range(15)))
            await one.close()
            return server.most_in_flight

    assert asyncio.run(run()) == 3


def test_two_endpoints_share_the_work_and_one_that_fails_is_set_aside() -> None:
    async def run() -> tuple[int, int, int]:
        down = lambda n, _: Fault("reset") if n > 4 else None  # noqa: E731
        async with scripted_server(echo, down, delay=0.01) as one, scripted_server(echo, delay=0.01) as two:
            slower = Patience(first_pause=0.05, longest_pause=5.0)
            both = teacher(one.url, two.url, max_in_flight=4, patience=slower)
            replies = await asyncio.gather(*(both.ask(ask(str(n))) for n in range(60)))
            await both.close()
            assert [r.text for r in replies] == [str(n) for n in range(60)]
            return one.answered, two.answered, len(one.bodies)

    first, second, tried = asyncio.run(run())
    assert first == 4
    assert second == 56
    assert tried < 30, "the failing endpoint was hammered"


def test_a_redirect_is_not_followed() -> None:
    async def run() -> int:
        followed = 0

        async def there(_: web.Request) -> web.StreamResponse:
            nonlocal followed
            followed += 1
            return web.Response()

        async def here(_: web.Request) -> web.StreamResponse:
            raise web.HTTPTemporaryRedirect("/elsewhere")

        app = web.Application()
        app.router.add_post("/v1/chat/completions", here)
        app.router.add_post("/elsewhere", there)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        with pytest.raises(TeacherError, match="a redirect"):
            await closing(teacher(url), lambda t: t.ask(ask()))
        await runner.cleanup()
        return followed

    assert asyncio.run(run()) == 0


def test_what_does_not_speak_http_is_an_error() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"SSH-2.0-hello\r\n\r\n")
        await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            await closing(teacher(f"http://127.0.0.1:{port}/v1"), lambda t: t.ask(ask()))

    with pytest.raises(TeacherError, match="does not speak HTTP"):
        asyncio.run(run())


def test_the_address_is_no_part_of_the_identity_but_the_revision_is() -> None:
    async def run() -> list[str]:
        made = [teacher("http://a/v1"), teacher("http://b/v1"), teacher("http://a/v1", identity="r2")]
        return [one.identity for one in made]

    first, second, third = asyncio.run(run())
    assert first == second == "scripted"
    assert third == "scripted@r2"


def test_bad_settings_are_refused() -> None:
    for make in (
        lambda: HttpTeacher("m", []),
        lambda: HttpTeacher("m", ["http://a/v1"], max_in_flight=0),
        lambda: HttpTeacher("m", ["http://a/v1"], api_key="a\nb"),
    ):
        with pytest.raises(TeacherError):
            make()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_web_server_of_other_things_is_named_at_once(tmp_path: Path) -> None:
    """Python's own answers 404 to GET and 501 to POST, with pages: no overload to wait out."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        one = teacher(f"http://127.0.0.1:{server.server_port}/v1", patience=Patience(total=60.0))
        with pytest.raises(TeacherError) as caught:
            asyncio.run(closing(one, lambda t: t.ask(ask())))
        server.shutdown()
    assert not isinstance(caught.value, TeacherUnavailable)
    assert caught.value.what.endswith("answers 501: a page of HTML")
    assert "/v1" in caught.value.mend
