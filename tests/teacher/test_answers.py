"""Whatever a server answers, it becomes a reply or a fault."""

from __future__ import annotations

import email.utils
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar.teacher.answers import (
    Answer,
    Fault,
    models_in,
    read_answer,
    retry_after,
    unknown_model,
    words_of,
)
from feldspar.teacher.api import Reply

URL = "http://127.0.0.1:1/v1"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "usage", "error", "data", "id", "finish_reason"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def read(status: int, body: bytes, **headers: str) -> Reply | Fault:
    return read_answer(Answer(status, headers, body), URL, "A_KEY", "sk-secret")


@settings(deadline=None)
@given(st.integers(100, 599), st.binary(max_size=200), st.text(max_size=20))
def test_wild_bytes_are_a_fault(status: int, body: bytes, header: str) -> None:
    assert isinstance(read(status, body, **{"Retry-After": header}), Fault)


@settings(deadline=None)
@given(JSON)
def test_wild_json_is_read_or_is_a_fault(value: object) -> None:
    body = json.dumps(value).encode()
    outcome = read(200, body)
    assert isinstance(outcome, Reply | Fault)
    models_in(body)
    words_of(body, "k")


@settings(deadline=None)
@given(JSON, JSON)
def test_wild_choices_never_break_the_reader(message: object, usage: object) -> None:
    outcome = read(200, json.dumps({"choices": [{"message": message}], "usage": usage}).encode())
    if isinstance(outcome, Reply):
        outcome.text.encode()
        assert outcome.prompt_tokens >= 0


def test_a_reply_with_a_lone_surrogate_can_be_stored() -> None:
    body = rb'{"choices": [{"message": {"content": "a\ud800b"}, "finish_reason": "length"}]}'
    reply = read(200, body)
    assert isinstance(reply, Reply)
    assert (reply.text, reply.finish) == ("a\ufffdb", "length")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, "setup"), (400, "refused"), (401, "setup"), (402, "setup"), (403, "setup"), (404, "missing"),
        (408, "wait"), (413, "refused"), (422, "refused"), (429, "wait"), (500, "wait"), (529, "wait"),
    ],
)  # fmt: skip
def test_statuses(status: int, kind: str) -> None:
    outcome = read(status, b"{}")
    assert isinstance(outcome, Fault)
    assert outcome.kind == kind


def test_the_servers_words_are_one_line_cut_and_without_the_key() -> None:
    body = json.dumps({"error": {"message": "no key sk-secret\n\x1b[31m" + "x" * 1000}}).encode()
    words = words_of(body, "sk-secret")
    assert words.startswith("no key *** ")
    assert words.isprintable()
    assert len(words) == 300


def test_retry_after_reads_seconds_and_dates() -> None:
    assert retry_after("7") == 7
    assert 50 < retry_after(email.utils.formatdate(time.time() + 60, usegmt=True)) <= 60
    for nothing in ("", "soon", "-3", "nan", "Mon, 99 Foo"):
        assert retry_after(nothing) == 0
    assert retry_after("1e300") == 3600


def test_an_unknown_model_names_the_nearest_first() -> None:
    listed = [f"other-{n}" for n in range(20)] + ["granite-8b"]
    fault = unknown_model(URL, "granite-8", listed)
    assert fault.mend.startswith("It serves: granite-8b, other-")
    assert "and 13 more" in fault.mend
