"""What goes over the wire, and what a journal's key depends on."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar.teacher import Request, asked, key_of, request_of, schema_text
from feldspar.types import Message

ASK = (Message("system", "Be brief."), Message("user", "Which bird?"))
SCHEMA = {"type": "object", "properties": {"why": {"type": "string"}, "score": {"type": "integer"}}}


def test_payload_is_a_chat_completion() -> None:
    body = Request(ASK, 40, 0.7, 0.9, 11, schema_text(SCHEMA), ("\n\n",)).payload("granite")
    assert body["model"] == "granite"
    assert body["messages"][1] == {"role": "user", "content": "Which bird?"}
    assert (body["max_tokens"], body["temperature"], body["top_p"], body["seed"]) == (40, 0.7, 0.9, 11)
    assert body["stop"] == ["\n\n"]
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert body["response_format"]["json_schema"]["strict"] is True


def test_payload_without_schema_or_stop_names_neither() -> None:
    assert set(Request(ASK).payload("m")).isdisjoint({"response_format", "stop"})


def test_a_schema_keeps_the_order_of_its_properties() -> None:
    turned = {"type": "object", "properties": dict(reversed(SCHEMA["properties"].items()))}  # type: ignore[attr-defined]
    first, second = (Request(ASK, schema=schema_text(s)) for s in (SCHEMA, turned))
    sent = first.payload("m")["response_format"]["json_schema"]["schema"]["properties"]
    assert list(sent) == ["why", "score"]
    assert key_of(asked(first, "m")) != key_of(asked(second, "m"))


@pytest.mark.parametrize(
    "other",
    [
        Request((*ASK, Message("user", "x")), 40),
        Request(ASK, 41),
        Request(ASK, 40, 0.1),
        Request(ASK, 40, 0.0, 0.9),
        Request(ASK, 40, seed=1),
        Request(ASK, 40, schema="{}"),
        Request(ASK, 40, stop=("a",)),
    ],
)
def test_each_part_of_a_request_changes_its_key(other: Request) -> None:
    assert key_of(asked(Request(ASK, 40), "m")) != key_of(asked(other, "m"))


def test_the_identity_changes_the_key() -> None:
    assert key_of(asked(Request(ASK), "m@1")) != key_of(asked(Request(ASK), "m@2"))


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=2**70))
def test_a_seed_fits_31_bits_on_the_wire(seed: int) -> None:
    sent = Request(ASK, seed=seed).payload("m")["seed"]
    assert 0 <= sent < 2**31
    assert seed >= 2**31 - 1 or sent == seed


@settings(deadline=None)
@given(st.text(st.characters()), st.integers(0, 2**31 - 2), st.lists(st.text(), max_size=3))
def test_any_text_can_be_asked_and_read_back(text: str, seed: int, stop: list[str]) -> None:
    request = Request((Message("user", text + "\ud800"),), 5, 0.5, 0.9, seed, "", tuple(stop))
    line = asked(request, "m")
    assert request_of(json.loads(line)) == request
    assert len(key_of(line)) == 64
