"""A teacher is anything that answers a `Request` (§3.2): `HttpTeacher`, `ScriptedTeacher`, yours.

`serve` gives an `HttpTeacher` something to talk to where there is no server: llama.cpp in a child
process. `Journaled` puts a `Journal` in front of any of them, so that no reply is paid for twice.
"""

from __future__ import annotations

from feldspar.teacher.api import Claim, Costs, Reply, Request, Teacher, asked, key_of, schema_text
from feldspar.teacher.budget import Budget, Price
from feldspar.teacher.deferred import Deferred
from feldspar.teacher.embedded import (
    EMBEDDED_MODEL,
    EmbeddedServer,
    context_length,
    digest,
    embedded_model,
    serve,
)
from feldspar.teacher.endpoints import EndpointState, Patience
from feldspar.teacher.http import HttpTeacher
from feldspar.teacher.journal import Journal
from feldspar.teacher.journaled import Journaled
from feldspar.teacher.scripted import (
    Fault,
    ScriptedServer,
    ScriptedTeacher,
    busy,
    request_of,
    scripted_server,
)
from feldspar.teacher.tokens import CountTokens, approximate_counter, token_counter

__all__ = [
    "EMBEDDED_MODEL",
    "Budget",
    "Claim",
    "Costs",
    "CountTokens",
    "Deferred",
    "EmbeddedServer",
    "EndpointState",
    "Fault",
    "HttpTeacher",
    "Journal",
    "Journaled",
    "Patience",
    "Price",
    "Reply",
    "Request",
    "ScriptedServer",
    "ScriptedTeacher",
    "Teacher",
    "approximate_counter",
    "asked",
    "busy",
    "context_length",
    "digest",
    "embedded_model",
    "key_of",
    "request_of",
    "schema_text",
    "scripted_server",
    "serve",
    "token_counter",
]
