"""What a teacher is asked and what it answers: the contract of this package (§3.2).

A `Teacher` is anything with an `identity`, an `ask` and a `close`. `HttpTeacher`,
`ScriptedTeacher` and `Journaled` are three; a person's own needs nothing more.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from feldspar.types import Message

_LARGEST_SEED = 2**31 - 1
_canonical = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def canonical(value: object) -> str:
    """JSON in one spelling: no spaces, ASCII, keys in the order in which they stand.

    The order counts: a server writes an object's properties in the order of its schema, and a judge
    is to give its reason before its score. ASCII because a lone surrogate, which JSON may carry,
    then still has bytes to be hashed.
    """
    return _canonical(value)


def schema_text(schema: Mapping[str, Any]) -> str:
    """A JSON Schema in the form that `Request.schema` takes: text, so that a request is hashable."""
    return canonical(schema)


@dataclass(slots=True)
class Claim:
    """A request's place in a teacher's queue, for whoever asks to look at."""

    sent: bool = False
    """Whether a server has been sent it: what only waits can be given up without loss."""


@dataclass(frozen=True, slots=True)
class Request:
    """One chat completion to be asked for."""

    messages: tuple[Message, ...]
    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    """Any integer of 0 or more; on the wire it is folded to 31 bits, which every server takes."""
    schema: str = ""
    """A JSON Schema as `schema_text` writes it; empty for free text."""
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0
    """How many alternatives to each token, with their log-probabilities, the server is asked for."""
    rank: tuple[float, ...] = field(default=(), compare=False)
    """Who goes first of those that wait for a turn: the lowest. No part of what is sent."""
    claim: Claim | None = field(default=None, compare=False, repr=False)
    """Marked by the teacher once the request is sent; no part of it."""
    _turns: list[str] = field(default_factory=list, init=False, compare=False, repr=False)
    """The messages in canonical JSON, once they were needed: the journal's key and the body share it."""

    def text(self, model: str, with_schema: bool = True) -> str:
        """The body of `POST /v1/chat/completions` in canonical JSON: `payload`, made once and faster.

        Args:
            model: the model's name, or a teacher's identity in its place.
            with_schema: False leaves `response_format` out, for a server that does not know it.

        Raises:
            ValueError: the temperature or `top_p` is not finite.
        """
        if not self._turns:
            self._turns.append(_canonical([{"role": m.role, "content": m.content} for m in self.messages]))
        settings = _canonical(self._settings())
        schema = f',"response_format":{_response_format(self.schema)}' if self.schema and with_schema else ""
        return f'{{"model":{_canonical(model)},"messages":{self._turns[0]},{settings[1:-1]}{schema}}}'

    def body(self, model: str, with_schema: bool = True) -> bytes:
        """`text` as the bytes that go over the wire."""
        return self.text(model, with_schema).encode("ascii")

    def payload(self, model: str) -> dict[str, Any]:
        """The body of `POST /v1/chat/completions`, with `response_format` where there is a schema."""
        body: dict[str, Any] = json.loads(self.text(model))
        return body

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed % _LARGEST_SEED,
        }
        if self.stop:
            settings["stop"] = self.stop
        if self.top_logprobs:
            settings |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        return settings


@functools.lru_cache(maxsize=256)
def _response_format(schema: str) -> str:
    """What asks for a schema, in canonical JSON; a run has a handful of them."""
    described = {"name": "reply", "schema": json.loads(schema), "strict": True}
    return canonical({"type": "json_schema", "json_schema": described})


Alternatives = tuple[tuple[tuple[str, float], ...], ...]
"""Position by position, tokens with their natural log-probabilities."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the teacher said."""

    text: str
    finish: str = "stop"
    """The server's `finish_reason`: `length` means that the text was cut at `max_tokens`."""
    prompt_tokens: int = 0
    """As the server counts them; 0 where it does not say."""
    completion_tokens: int = 0
    stored: bool = False
    """Whether it was already there, in the journal or on its way for an equal request."""
    key: str = ""
    """The journal's key; empty where no journal is."""
    seconds: float = 0.0
    """From sending to the last byte, without waiting for a turn and without failed tries."""
    alternatives: Alternatives = ()
    """Where log-probabilities were asked for: what else could have stood in place of each number of
    the text, the token that does stand there among it. At most the last 16 positions, since a judge's
    score comes last; () where the server gives none."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What has been asked so far."""

    sent: int = 0
    """Requests that a server answered."""
    stored: int = 0
    """Requests that needed no server."""
    prompt_tokens: int = 0
    """Tokens of the requests sent, as the server counts them."""
    completion_tokens: int = 0
    seconds: float = 0.0
    """Time of the requests sent, added up: with eight in flight, eight a second."""


class Teacher(Protocol):
    """Anything that answers a `Request`."""

    identity: str
    """What the replies depend on besides the request: the model, its weights' digest, its revision."""

    async def ask(self, request: Request) -> Reply:
        """Answers, however long that takes; raises `TeacherError` when it cannot."""
        ...

    async def close(self) -> None:
        """Lets go of connections; the teacher is not asked again."""
        ...


def respelled(body: bytes, spellings: Mapping[str, str]) -> bytes:
    """A request's body with some fields under another name, or left out where that is empty."""
    fields: dict[str, Any] = json.loads(body)
    named = ((spellings.get(name, name), value) for name, value in fields.items())
    return _canonical({name: value for name, value in named if name}).encode("ascii")


def asked(request: Request, identity: str) -> str:
    """The canonical JSON of a request to a teacher: the payload, with the identity for its model."""
    return request.text(identity)


def key_of(asked_text: str) -> str:
    """The journal's key: SHA-256 of what `asked` gives, in hexadecimal."""
    return hashlib.sha256(asked_text.encode()).hexdigest()


def readable(text: str) -> str:
    """The text with lone surrogates replaced: JSON may carry them, UTF-8 may not."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
