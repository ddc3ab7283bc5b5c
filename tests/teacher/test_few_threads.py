"""A server that keeps a thread for each open connection and has few, as llama.cpp's has."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import socket

import pytest

from feldspar.teacher import HttpTeacher, Reply, Request
from feldspar.types import Message

THREADS, IDLE, WORK = 3, 4.0, 0.02
"""Threads; seconds that an idle connection keeps one; seconds of a reply."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "llama.cpp", ""
    timeout = IDLE
    server: Few

    def version_string(self) -> str:
        return self.server.name

    def do_GET(self) -> None:
        counts = f"llamacpp:requests_processing {self.server.working}\nllamacpp:requests_deferred 0\n"
        self.reply(counts if self.path == "/metrics" else json.dumps({"data": [{"id": "m"}]}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.working += 1
        time.sleep(WORK)
        self.server.working -= 1
        message = {"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
        self.reply(json.dumps({"choices": [message], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}))

    def reply(self, body: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


class Few(HTTPServer):
    request_queue_size = 64
    working = 0

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.name = name
        self.pool = ThreadPoolExecutor(THREADS)

    def process_request(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        self.pool.submit(self.work, request, client_address)

    def work(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        try:
            self.finish_request(request, client_address)
        finally:
            self.shutdown_request(request)


@pytest.fixture
def few(request: pytest.FixtureRequest) -> Iterator[Few]:
    server = Few(request.param)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.pool.shutdown()
    server.server_close()


async def replies(server: Few, count: int, at_once: int) -> list[Reply]:
    teacher = HttpTeacher("m", [f"http://127.0.0.1:{server.server_port}/v1"], max_in_flight=at_once)
    try:
        await teacher.probe()
        asks = [Request((Message("user", f"Is it {n}?"),), 8, 0.8, 0.95, n) for n in range(count)]
        return await asyncio.gather(*map(teacher.ask, asks))
    finally:
        await teacher.close()


@pytest.mark.parametrize("few", ["llama.cpp"], indirect=True)
def test_no_request_waits_behind_idle_connections(few: Few) -> None:
    got = asyncio.run(replies(few, 60, 12))
    assert max(reply.seconds for reply in got) < IDLE / 2


@pytest.mark.parametrize("few", ["another"], indirect=True)
def test_elsewhere_connections_are_kept(few: Few) -> None:
    accepted = 0
    plain = few.process_request

    def counted(request: socket | tuple[bytes, socket], client_address: object) -> None:
        nonlocal accepted
        accepted += 1
        plain(request, client_address)

    few.process_request = counted  # type: ignore[method-assign]
    asyncio.run(replies(few, 20, 2))
    assert accepted <= 4
