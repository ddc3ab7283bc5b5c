"""A teacher behind one or more OpenAI-compatible servers.

Before anything was answered, a wrong address, key or model is an error that a person mends at
once; after the first success of the process the same signs are faults to wait out, since a
server restarts behind its proxy with just such answers.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from feldspar.errors import TeacherError, TeacherUnavailable
from feldspar.teacher.answers import (
    Answer,
    Fault,
    models_in,
    not_json,
    parsed,
    read_answer,
    refusal,
    unknown_model,
)
from feldspar.teacher.api import Reply, Request, canonical
from feldspar.teacher.endpoints import Endpoint, Patience, base_url, pick

log = logging.getLogger("feldspar.teacher")

_LARGEST_BODY = 64 << 20  # bytes; a chat completion is far below
_HTTP_OK = 200
_NOTHING = "Start the server, or mend teacher.endpoints."


@dataclass(slots=True)
class _Struggle:
    """One request's trouble so far."""

    since: float | None = None
    tries: int = 0
    last: Fault | None = None


class HttpTeacher:
    """A `Teacher` over HTTP.

    Args:
        model: the name that the endpoints serve.
        endpoints: base URLs, each ending in /v1. The one with the fewest in flight is asked next.
        api_key: sent as a bearer token; empty: no header.
        max_in_flight: requests at a time, over all endpoints.
        identity: what the replies depend on besides the model's name: the digest of the weights
            where they are a file, the recipe's revision, or both. Never an address.
        key_env: the environment variable to name when the key is not accepted.
        patience: how long faults are waited out.

    Raises:
        TeacherError: no endpoints, one that is no URL, or a key that cannot be sent.
    """

    def __init__(
        self,
        model: str,
        endpoints: Sequence[str],
        api_key: str = "",
        max_in_flight: int = 64,
        identity: str = "",
        key_env: str = "FELDSPAR_API_KEY",
        patience: Patience | None = None,
    ) -> None:
        if not endpoints:
            raise TeacherError("teacher.endpoints is empty.", "Give at least one base URL.")
        if max_in_flight < 1:
            raise TeacherError(f"teacher.max_in_flight is {max_in_flight}.", "Give 1 or more.")
        if not (api_key.isascii() and api_key.isprintable()):
            raise TeacherError(
                f"The key in {key_env} holds a character that no header can carry.",
                "See whether a line break was copied with it.",
            )
        self.model = model
        self.identity = f"{model}@{identity}" if identity else model
        self._endpoints = [Endpoint(url) for url in dict.fromkeys(base_url(text) for text in endpoints)]
        self._api_key = api_key
        self._key_env = key_env
        self._patience = patience or Patience()
        self._turn = asyncio.Semaphore(max_in_flight)
        self._session: aiohttp.ClientSession | None = None
        self._proven = False

    async def ask(self, request: Request) -> Reply:
        """One chat completion, through whichever endpoint answers.

        Raises:
            TeacherError: the request is rejected; or, before anything was answered, the address,
                the key or the model is wrong.
            TeacherUnavailable: faults went on for longer than the patience.
        """
        async with self._turn:
            struggle = _Struggle()
            while True:
                endpoint = await self._next(struggle)
                outcome = await self._try(endpoint, request)
                if isinstance(outcome, Reply):
                    return outcome
                await self._after(outcome, endpoint, request, struggle)

    async def probe(self) -> None:
        """Asks each endpoint for its models, before anything is generated.

        A server without that verb, or one that is busy, is fine; so is one that is down while
        another is up.

        Raises:
            TeacherError: nothing answers, HTML or what is not JSON does, the key is not accepted,
                or the model is not among those listed (which are named).
        """
        faults = await asyncio.gather(*(self._probe(endpoint) for endpoint in self._endpoints))
        down: list[Fault] = []
        for fault in faults:
            if fault is not None and fault.kind == "setup":
                raise fault.error()
            if fault is not None and fault.kind == "down":
                down.append(fault)
        if len(down) == len(self._endpoints):
            raise down[0].error()
        for fault in down:
            log.warning("%s It is left out until it answers.", fault.what)

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _probe(self, endpoint: Endpoint) -> Fault | None:
        fault: Fault | None = None
        for turn in range(self._patience.quick_tries):
            if turn:
                await asyncio.sleep(self._patience.pause(turn))
            fault = await self._models_fault(endpoint)
            if fault is None or fault.kind != "down":
                return fault
        return fault

    async def _models_fault(self, endpoint: Endpoint) -> Fault | None:
        answer = await self._get_models(endpoint)
        if isinstance(answer, Fault):
            return answer if answer.kind in {"down", "setup"} else None
        if answer.status != _HTTP_OK:
            outcome = read_answer(answer, endpoint.url, self._key_env, self._api_key)
            # Any other status is a server that lacks this verb, or one that is busy.
            return outcome if isinstance(outcome, Fault) and answer.status in {401, 403} else None
        listed = models_in(answer.body)
        if listed is None:
            return not_json(answer, endpoint.url) if parsed(answer.body) is None else None
        return None if self.model in listed else unknown_model(endpoint.url, self.model, listed)

    async def _next(self, struggle: _Struggle) -> Endpoint:
        """The endpoint to try, once one is awake."""
        began = time.monotonic()
        while True:
            now = time.monotonic()
            if (endpoint := pick(self._endpoints, now)) is not None:
                return endpoint
            wake = min(e.resting_until for e in self._endpoints)
            deadline = (struggle.since if struggle.since is not None else began) + self._patience.total
            if wake > deadline:
                raise self._unavailable(struggle, wake - now)
            # A little apart, so that not all who wait come back in the same instant.
            await asyncio.sleep(max(0.0, wake - now) + self._patience.pause(1) * 0.1)

    async def _try(self, endpoint: Endpoint, request: Request) -> Reply | Fault:
        payload = request.payload(self.model)
        dropped = request.schema in endpoint.refused_schemas
        if dropped:
            payload.pop("response_format", None)
        started = time.monotonic()
        endpoint.in_flight += 1
        try:
            outcome = await self._post(endpoint, payload)
        finally:
            endpoint.in_flight -= 1
        if isinstance(outcome, Reply):
            endpoint.failures, endpoint.resting_until = 0, 0.0
            self._proven = True
            return replace(outcome, seconds=time.monotonic() - started)
        if outcome.kind == "refused" and request.schema and not dropped:
            return await self._without_schema(endpoint, request, outcome)
        return outcome

    async def _without_schema(self, endpoint: Endpoint, request: Request, refused: Fault) -> Reply | Fault:
        """Asks once more without the schema: if that is what the server minds, it is left out there."""
        outcome = await self._try(endpoint, replace(request, schema=""))
        if isinstance(outcome, Reply):
            endpoint.refused_schemas.add(request.schema)
            log.warning("%s So it is asked without that schema from now on.", refused.what)
            return outcome
        return refused if outcome.kind == "refused" else outcome

    async def _post(self, endpoint: Endpoint, payload: dict[str, Any]) -> Reply | Fault:
        body = canonical(payload).encode()
        answer = await self._exchange("POST", endpoint, "/chat/completions", body)
        if isinstance(answer, Fault):
            return answer
        return read_answer(answer, endpoint.url, self._key_env, self._api_key)

    async def _get_models(self, endpoint: Endpoint) -> Answer | Fault:
        return await self._exchange("GET", endpoint, "/models", None)

    async def _after(self, fault: Fault, endpoint: Endpoint, request: Request, struggle: _Struggle) -> None:
        """Raises what ends the request; otherwise notes the fault and waits where that helps."""
        if fault.kind == "refused":
            raise refusal(fault, request, self._api_key)
        if not self._proven and fault.kind == "missing":
            fault = await self._explained(fault, endpoint)
        if not self._proven and fault.kind == "setup":
            raise fault.error()
        now = time.monotonic()
        struggle.since = now if struggle.since is None else struggle.since
        struggle.tries += 1
        struggle.last = fault
        if endpoint.failed(now, self._patience, fault.wait):
            log.warning("%s It is tried again.", fault.what)
        enough = max(self._patience.quick_tries, 2 * len(self._endpoints) - 1)
        if not self._proven and fault.kind == "down" and struggle.tries >= enough:
            raise fault.error()
        if now - struggle.since > self._patience.total:
            raise self._unavailable(struggle)
        if struggle.tries >= len(self._endpoints):
            await asyncio.sleep(self._patience.pause(struggle.tries - len(self._endpoints) + 1))

    async def _explained(self, fault: Fault, endpoint: Endpoint) -> Fault:
        """What a 404 means: another model's name, or another path."""
        answer = await self._get_models(endpoint)
        listed = models_in(answer.body) if isinstance(answer, Answer) and answer.status == _HTTP_OK else None
        if listed is None:
            return replace(fault, kind="setup", mend="Does the URL end in /v1, and is teacher.model right?")
        if self.model not in listed:
            return unknown_model(endpoint.url, self.model, listed)
        return replace(fault, kind="setup")

    def _unavailable(self, struggle: _Struggle, rest: float = 0.0) -> TeacherUnavailable:
        """The error of a fault that went on too long; `rest`: seconds for which nothing may be tried."""
        said = struggle.last.what if struggle.last else f"{self._endpoints[0].url} has not been answering."
        minutes = self._patience.total / 60
        told = f"It was waited for, for {minutes:.3g} minutes."
        if rest:
            told = f"It rests for {rest / 60:.3g} more minutes; {minutes:.3g} in all are waited for."
        return TeacherUnavailable(
            f"{said} {told}",
            "Run the same command again once it answers: every reply so far is kept.",
        )

    async def _exchange(self, verb: str, endpoint: Endpoint, path: str, body: bytes | None) -> Answer | Fault:
        url = endpoint.url
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        try:
            options: dict[str, Any] = {"headers": headers, "allow_redirects": False, "data": body}
            async with self._connected().request(verb, url + path, **options) as response:
                return Answer(response.status, response.headers, await _bounded(response))
        except aiohttp.ClientSSLError:
            return Fault(
                "setup", f"{url}: the TLS connection fails.", "Is it http, or its certificate unknown?"
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Fault("down", f"nothing answers at {url}.", _NOTHING)
        except aiohttp.InvalidURL:
            return Fault("setup", f"{url} is no URL.", _NOTHING)
        except aiohttp.ClientResponseError:
            return Fault("down", f"what answers at {url} does not speak HTTP.", _NOTHING)
        except TimeoutError:
            return Fault("wait", f"{url} has not answered within {self._patience.request:g} s.")
        except (aiohttp.ClientError, OSError) as error:
            return Fault("wait", f"{url} broke off ({type(error).__name__}).")

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = aiohttp.ClientTimeout(total=self._patience.request, sock_connect=self._patience.connect)
            # The semaphore bounds the requests; a second bound here would only make them queue unseen.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=limits, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body; a `ClientPayloadError` if it is larger than any answer can be."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > _LARGEST_BODY:
            raise aiohttp.ClientPayloadError("too large")
        parts.append(part)
    return b"".join(parts)
