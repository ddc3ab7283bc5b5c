"""A teacher behind one or more OpenAI-compatible servers.

Before anything was answered, a wrong address, key or model is an error that a person mends at
once; after the first success of the process the same signs are faults to wait out, since a
server restarts behind its proxy with just such answers.

What waits for a slot waits in `turns`; how many slots there are, each endpoint's `flow` finds out. A
request that met a fault goes back there, with its rank, and holds no slot meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from feldspar.errors import TeacherError, TeacherRefused, TeacherUnavailable
from feldspar.teacher.answers import Fault, Unlisted, minded, read_answer, refusal
from feldspar.teacher.api import Reply, Request, respelled
from feldspar.teacher.endpoints import Endpoint, EndpointState, Patience, base_url, next_awake, pick
from feldspar.teacher.flow import MOST, Flow
from feldspar.teacher.listing import explained, models_fault
from feldspar.teacher.poll import Polls
from feldspar.teacher.struggle import Struggle
from feldspar.teacher.turns import Turns
from feldspar.teacher.wire import Wire
from feldspar.types import Message

log = logging.getLogger("feldspar.teacher")


_LEAST_TRIES = 8
_FEW_REFUSALS = 8
"""Requests refused in a row, after which the plainest one shows whether all would be."""
_PLAINEST = Request((Message("user", "Is water wet? Answer in one word."),), max_tokens=16)


class HttpTeacher:
    """A `Teacher` over HTTP.

    Args:
        model: the name that the endpoints serve.
        endpoints: base URLs, each ending in /v1. They share the load by what each delivers.
        api_key: sent as a bearer token; empty: no header.
        max_in_flight: requests at a time, over all endpoints, at most; None: as many as are of use.
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
        max_in_flight: int | None = None,
        identity: str = "",
        key_env: str = "FELDSPAR_API_KEY",
        patience: Patience | None = None,
    ) -> None:
        if not endpoints:
            raise TeacherError("teacher.endpoints is empty.", "Give at least one base URL.")
        if max_in_flight is not None and max_in_flight < 1:
            raise TeacherError(f"teacher.max_in_flight is {max_in_flight}.", "Give 1 or more.")
        if not (api_key.isascii() and api_key.isprintable()):
            raise TeacherError(
                f"The key in {key_env} holds a character that no header can carry.",
                "See whether a line break was copied with it.",
            )
        self.model = model
        self.identity = f"{model}@{identity}" if identity else model
        self._api_key = api_key
        self._key_env = key_env
        self._patience = patience or Patience()
        urls = list(dict.fromkeys(base_url(text) for text in endpoints))
        self._most = max_in_flight if max_in_flight is not None else MOST * len(urls)
        longest = self._patience.request / 2
        first = -(-max_in_flight // len(urls)) if max_in_flight is not None else 0
        self._endpoints = [Endpoint(url, Flow(min(MOST, self._most), first, longest)) for url in urls]
        self._wires = {url: Wire(url, api_key, self._patience) for url in urls}
        self._turns = Turns(self._take, self._free)
        self._polls = Polls(self._turns.serve, self._lost, self._patience)
        self._in_flight = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._proven = False
        self._refusals = 0
        self._trouble = Struggle()

    @property
    def limit(self) -> int:
        """How many it has in flight at most just now, over all endpoints."""
        now = time.monotonic()
        return min(self._most, sum(endpoint.limit(now) for endpoint in self._endpoints))

    @property
    def waiting(self) -> int:
        """How many wait here for their turn."""
        return len(self._turns)

    def state(self) -> tuple[EndpointState, ...]:
        """How each endpoint is doing just now."""
        now = time.monotonic()
        return tuple(endpoint.state(now) for endpoint in self._endpoints)

    async def ask(self, request: Request) -> Reply:
        """One chat completion, through whichever endpoint answers.

        Raises:
            TeacherError: the request is rejected; or, before anything was answered, the address,
                the key or the model is wrong.
            TeacherRefused: the request is rejected by a server that has answered others.
            TeacherUnavailable: faults went on for longer than the patience.
        """
        arrival = self._turns.arrive()
        struggle: Struggle | None = None
        while True:
            endpoint = await self._turns.wait(request.rank, arrival, request.claim)
            try:
                sent_at = time.monotonic()
                outcome = await self._try(endpoint, request, sent_at)
                if isinstance(outcome, Fault) and outcome.kind != "refused":
                    # Before the slot is free: the next must not go where this one failed.
                    self._note(outcome, endpoint, sent_at, time.monotonic())
            finally:
                self._free(endpoint)
            if isinstance(outcome, Reply):
                return outcome
            if request.claim is not None:
                request.claim.sent = False
            struggle = struggle or Struggle(least=_LEAST_TRIES)
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
            if fault is not None and fault.kind in {"down", "gone"}:
                down.append(fault)
        if len(down) == len(self._endpoints):
            raise down[0].error()
        for fault in down:
            log.warning("%s It is left out until it answers.", fault.what)

    async def close(self) -> None:
        """Closes the connections."""
        if self._alarm is not None:
            self._alarm.cancel()
        await self._polls.close()
        await asyncio.gather(*(wire.close() for wire in self._wires.values()))

    def _take(self) -> Endpoint | None:
        """A slot at the endpoint with the most room, taken; None while there is none."""
        if self._in_flight >= self._most:
            return None
        now = time.monotonic()
        endpoint = pick(self._endpoints, now, self._patience)
        if endpoint is None:
            self._wake_at(now)
            return None
        self._in_flight += 1
        endpoint.flow.sent(now)
        self._polls.look(endpoint.url, endpoint.flow, self._wires[endpoint.url])
        return endpoint

    def _free(self, endpoint: Endpoint) -> None:
        self._in_flight -= 1
        endpoint.flow.ended(time.monotonic())
        self._turns.serve()

    def _wake_at(self, now: float) -> None:
        """Sees to it that those who wait are served when an endpoint's rest ends, if nothing else does."""
        if not any(e.aside or e.rests_until > now for e in self._endpoints):
            return
        due = [e.rests_until for e in self._endpoints if e.rests_until > now]
        pause = min(due) - now if due else self._patience.longest_pause
        loop = asyncio.get_running_loop()
        if self._alarm is not None:
            if self._alarm.when() <= loop.time() + pause:
                return
            # Set for one that rests for long, before another began a short rest.
            self._alarm.cancel()
        self._alarm = loop.call_later(pause, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self._turns.serve()

    async def _try(self, endpoint: Endpoint, request: Request, sent_at: float) -> Reply | Fault:
        body = self._body(endpoint, request)
        outcome = await self._post(endpoint, body)
        if isinstance(outcome, Fault):
            if outcome.kind != "refused":
                return outcome
            sent_at = time.monotonic()
            outcome = await self._respelled(endpoint, request, outcome, body)
            if isinstance(outcome, Fault) and outcome.kind == "refused":
                outcome = await self._plainer(endpoint, request, outcome)
            if isinstance(outcome, Fault):
                return outcome
        now = time.monotonic()
        if endpoint.answered(now - sent_at, outcome.completion_tokens, now):
            log.warning("%s answers again.", endpoint.url)
        self._proven = True
        self._refusals = 0
        if self._trouble.last is not None:
            self._trouble = Struggle()
        return replace(outcome, seconds=now - sent_at)

    def _body(
        self, endpoint: Endpoint, request: Request, logprobs: bool = True, schema: bool = True
    ) -> bytes:
        """The body without what this endpoint has refused before, or is not to be asked for now."""
        if request.top_logprobs and (endpoint.no_logprobs or not logprobs):
            request = replace(request, top_logprobs=0)
        body = request.body(self.model, schema and request.schema not in endpoint.refused_schemas)
        return respelled(body, endpoint.spellings) if endpoint.spellings else body

    async def _respelled(
        self, endpoint: Endpoint, request: Request, refused: Fault, body: bytes
    ) -> Reply | Fault:
        """Asks again without the fields that the server says it does not take."""
        while True:
            field = minded(refused.words)
            if field is not None and field[0] not in endpoint.spellings:
                endpoint.spellings[field[0]] = field[1]
                log.warning("%s So it gets no %s from now on.", refused.what, field[0])
            again = self._body(endpoint, request)
            if again == body:  # Otherwise it, or another request, has just shown what to leave out.
                return refused
            outcome = await self._post(endpoint, again)
            if isinstance(outcome, Reply) or outcome.kind != "refused":
                return outcome
            refused, body = outcome, again

    async def _plainer(self, endpoint: Endpoint, request: Request, refused: Fault) -> Reply | Fault:
        """Asks again without log-probabilities, then without the schema: what it minds is left out there.

        It minds that if it refuses the whole request once more: a server may refuse one for no reason.
        """
        if request.top_logprobs and not endpoint.no_logprobs:
            outcome = await self._post(endpoint, self._body(endpoint, request, logprobs=False))
            if isinstance(outcome, Reply):
                whole = await self._post(endpoint, self._body(endpoint, request))
                if isinstance(whole, Reply):
                    return whole
                if whole.kind == "refused":
                    endpoint.no_logprobs = True
                    log.warning("%s So it is asked for no log-probabilities from now on.", refused.what)
            if isinstance(outcome, Reply) or outcome.kind != "refused":
                return outcome
        if request.schema and request.schema not in endpoint.refused_schemas:
            outcome = await self._post(endpoint, self._body(endpoint, request, schema=False))
            if isinstance(outcome, Reply):
                whole = await self._post(endpoint, self._body(endpoint, request))
                if isinstance(whole, Reply):
                    return whole
                if whole.kind == "refused":
                    endpoint.refused_schemas.add(request.schema)
                    log.warning("%s So it is asked without that schema from now on.", refused.what)
            if isinstance(outcome, Reply) or outcome.kind != "refused":
                return outcome
        return refused

    async def _post(self, endpoint: Endpoint, body: bytes) -> Reply | Fault:
        answer = await self._wires[endpoint.url].post("/chat/completions", body)
        if isinstance(answer, Fault):
            return answer
        return read_answer(answer, endpoint.url, self._key_env, self._api_key)

    async def _after(self, fault: Fault, endpoint: Endpoint, request: Request, struggle: Struggle) -> None:
        """Raises what ends the request; otherwise waits where that helps."""
        if fault.kind == "refused":
            error = refusal(fault, request, self._api_key)
            self._refusals += 1
            look = not self._proven or self._refusals % _FEW_REFUSALS == 0
            if look and await self._refuses_all(endpoint):
                raise TeacherError(f"{error.what} It refuses the plainest request, too.", error.mend)
            raise TeacherRefused(error.what, error.mend)
        if not self._proven and fault.kind == "missing":
            fault = await explained(fault, self._wires[endpoint.url], self.model)
        if not self._proven and fault.kind == "setup":
            raise fault.error()
        now = time.monotonic()
        enough = max(self._patience.quick_tries, 2 * len(self._endpoints) - 1)
        awake = max(now, next_awake(self._endpoints))
        lost = self._trouble.spent(fault, awake, self._patience)
        if struggle.spent(fault, awake, self._patience):
            since = struggle.transport_since
            if fault.words and since and any(e.flow.replied_at > since for e in self._endpoints):
                raise TeacherRefused(f"{fault.what} It answers others, and to this one no more than that.")
            raise self._unavailable(fault, awake - now)
        if not self._proven and fault.kind in {"down", "gone"} and struggle.tries >= enough:
            raise fault.error()
        if lost:
            self._turns.fail(lambda: self._unavailable(fault, awake - now))
        self._turns.serve()
        if fault.kind != "overload" and struggle.tries >= len(self._endpoints) and awake <= now:
            # Every endpoint had its try, and they answer others: it is this request that has trouble.
            await asyncio.sleep(self._patience.pause(struggle.tries - len(self._endpoints) + 1))

    async def _refuses_all(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint refuses what nobody can mind: then refusals are no news of the requests."""
        outcome = await self._post(endpoint, self._body(endpoint, _PLAINEST))
        if isinstance(outcome, Reply):
            self._proven = True
            self._refusals = 0
        return isinstance(outcome, Fault) and outcome.kind == "refused"

    def _note(self, fault: Fault, endpoint: Endpoint, sent_at: float, now: float) -> None:
        """Lets the endpoint have the fault, and takes what hangs on a dead one from it."""
        if fault.kind == "overload":
            news = endpoint.overloaded(sent_at, now, self._patience, fault.wait)
        else:
            gone = fault.kind == "gone"
            news = endpoint.failed(sent_at, now, self._patience, gone, fault.wait, slow=fault.slow)
            if news and fault.kind == "gone" and endpoint.aside > 1:
                self._wires[endpoint.url].drop()
        if news:
            log.warning("%s It is tried again.", fault.what)

    def _lost(self, url: str, fault: Fault) -> None:
        """Nothing is there any more, which no request may have noticed."""
        now = time.monotonic()
        for endpoint in self._endpoints:
            if endpoint.url == url:
                self._note(fault, endpoint, now, now)

    async def _probe(self, endpoint: Endpoint) -> Fault | None:
        fault: Fault | None = None
        for turn in range(self._patience.quick_tries):
            if turn:
                await asyncio.sleep(self._patience.pause(turn))
            fault = await models_fault(self._wires[endpoint.url], self.model, self._key_env)
            if isinstance(fault, Unlisted) and await self._serves_unlisted(endpoint):
                log.warning("%s It answers by that name all the same.", fault.what)
                return None
            if fault is None or fault.kind not in {"down", "gone"}:
                return fault
        return fault

    async def _serves_unlisted(self, endpoint: Endpoint) -> bool:
        """Whether a model that is not listed is there: routers list few of the names that they take."""
        if self._wires[endpoint.url].llama:
            return False
        return isinstance(await self._post(endpoint, self._body(endpoint, _PLAINEST)), Reply)

    def _unavailable(self, fault: Fault, rest: float) -> TeacherUnavailable:
        """The error of a fault that went on too long; `rest`: seconds for which nothing may be tried."""
        budget = self._patience.overload if fault.kind == "overload" else self._patience.total
        told = f"It was waited for, for {budget / 60:.3g} minutes."
        if rest > 0:
            told = f"It rests for {rest / 60:.3g} more minutes; {budget / 60:.3g} in all are waited for."
        return TeacherUnavailable(
            f"{fault.what} {told}",
            "Run the same command again once it answers: every reply so far is kept.",
        )
