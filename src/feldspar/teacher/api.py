"""What a teacher is asked and what it answers: the contract of this package (§3.2).

A `Teacher` is anything with an `identity`, an `ask` and a `close`. `HttpTeacher`,
`ScriptedTeacher` and `Journaled` are three; a person's own needs nothing more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from feldspar.types import Message

_LARGEST_SEED = 2**31 - 1


def canonical(value: object) -> str:
    """JSON in one spelling: no spaces, ASCII, keys in the order in which they stand.

    The order counts: a server writes an object's properties in the order of its schema, and a judge
    is to give its reason before its score. ASCII because a lone surrogate, which JSON may carry,
    then still has bytes to be hashed.
    """
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def schema_text(schema: Mapping[str, Any]) -> str:
    """A JSON Schema in the form that `Request.schema` takes: text, so that a request is hashable."""
    return canonical(schema)


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

    def payload(self, model: str) -> dict[str, Any]:
        """The body of `POST /v1/chat/completions`, with `response_format` where there is a schema."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": m.role, "content": m.content} for m in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed % _LARGEST_SEED,
        }
        if self.stop:
            body["stop"] = list(self.stop)
        if self.schema:
            described = {"name": "reply", "schema": json.loads(self.schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": described}
        return body


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


def asked(request: Request, identity: str) -> str:
    """The canonical JSON of a request to a teacher: the payload, with the identity for its model."""
    return canonical(request.payload(identity))


def key_of(asked_text: str) -> str:
    """The journal's key: SHA-256 of what `asked` gives, in hexadecimal."""
    return hashlib.sha256(asked_text.encode()).hexdigest()


def readable(text: str) -> str:
    """The text with lone surrogates replaced: JSON may carry them, UTF-8 may not."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
