"""What goes over the wire, and what a journal's key depends on."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar.teacher import Request, asked, key_of, request_of, schema_text
from feldspar.teacher.api import canonical, readable
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


@pytest.mark.parametrize(
    ("request_", "key"),
    [
        (Request(ASK), "1832a560543efa338b8a68ff6b79b166b7d8706c28b7a9b7b4667aa7b4467c41"),
        (
            Request(ASK, 40, 0.7, 0.9, 2**40, schema_text(SCHEMA), ("\n\n", "</a>")),
            "252b67a5f6d15067185d2912a2cdf37fd41583d30cabfcac9a67a1f168816f4a",
        ),
        (
            Request(
                (
                    Message("user", 'Zwölf "Vögel" \\ \x00 \u2028 😀 \ud800 </s>'),
                    Message("assistant", ""),
                    Message("user", "ok"),
                ),
                5, 1, 1, 3, '{"b": 1.0, "a": "é"}',
            ),
            "4511bdd67a05e4f9e883c1348749346047dcfdda487c5373a1fa968be84da7f2",
        ),
        (
            Request((), 1, 1e-7, 0.95, 2**31 - 1),
            "b129d32de495524183ac4d35ee066d6fdb16ca73c90de8d1438f4607da72068d",
        ),
    ],
)  # fmt: skip
def test_keys_are_those_that_old_journals_hold(request_: Request, key: str) -> None:
    assert key_of(asked(request_, 'gra"nite@é')) == key
    assert key_of(asked(request_, 'gra"nite@é')) == key


REQUESTS = st.builds(
    Request,
    st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), st.text())).map(tuple),
    st.integers(1, 10**6),
    st.floats(0, 2),
    st.floats(0, 1),
    st.integers(0, 2**70),
    st.sampled_from(["", schema_text(SCHEMA), "{}", '{"a" : [1.5, null]}']),
    st.lists(st.text(), max_size=3).map(tuple),
    st.integers(0, 5),
    st.lists(st.floats(0, 1), max_size=2).map(tuple),
)


@settings(deadline=None)
@given(REQUESTS, st.text())
def test_the_text_is_the_canonical_json_of_the_body(request: Request, model: str) -> None:
    body = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed % (2**31 - 1),
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if request.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    bare = canonical(body)
    if request.schema:
        described = {"name": "reply", "schema": json.loads(request.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": described}
    assert request.text(model) == canonical(body)
    assert request.body(model) == canonical(body).encode()
    assert request.text(model, with_schema=False) == replace(request, schema="").text(model) == bare
    assert request.payload(model) == body


def test_who_goes_first_is_no_part_of_a_request() -> None:
    first, second = Request(ASK, rank=(1.0,)), Request(ASK, rank=(2.0,))
    first.text("m")
    assert first == second
    assert hash(first) == hash(second)
    assert asked(first, "m") == asked(second, "m")


def test_alternatives_are_part_of_a_request() -> None:
    assert asked(Request(ASK, top_logprobs=5), "m") != asked(Request(ASK), "m")
    assert Request(ASK, top_logprobs=5).payload("m")["logprobs"] is True


def test_a_temperature_that_is_no_number_is_not_sent() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        Request(ASK, temperature=float("nan")).body("m")


@given(st.text(st.characters(exclude_categories=())))
def test_readable_text_has_bytes_and_keeps_what_it_can(text: str) -> None:
    said = readable(text)
    said.encode()
    assert said == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
