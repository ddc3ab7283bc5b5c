"""Whatever a server answers, it becomes a reply or a fault."""

from __future__ import annotations

import email.utils
import json
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar.teacher.answers import (
    Answer,
    Fault,
    alternatives_in,
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
        (408, "wait"), (413, "refused"), (422, "refused"), (429, "overload"), (500, "wait"), (502, "wait"),
        (503, "overload"), (529, "overload"),
    ],
)  # fmt: skip
def test_statuses(status: int, kind: str) -> None:
    outcome = read(status, b"{}")
    assert isinstance(outcome, Fault)
    assert outcome.kind == kind


def completion(content: object = "Half a sent", finish: str = "stop", **more: object) -> bytes:
    return json.dumps(
        {"choices": [{"message": {"content": content}, "finish_reason": finish, **more}]}
    ).encode()


@pytest.mark.parametrize("finish", ["error", "abort", "insufficient_system_resource"])
def test_half_a_reply_is_no_reply(finish: str) -> None:
    outcome = read(200, completion(finish=finish))
    assert isinstance(outcome, Fault)
    assert outcome.kind == "wait"
    inside = read(200, completion(error={"code": 502, "message": "gone"}))
    assert isinstance(inside, Fault)
    assert inside.kind == "wait"


def test_what_ended_a_reply_is_told_in_one_word() -> None:
    cut = read(200, completion(finish="model_length"))
    assert isinstance(cut, Reply)
    assert cut.finish == "length"
    filtered = read(200, completion(finish="content_filter"))
    assert isinstance(filtered, Fault)
    assert filtered.kind == "refused"


def test_a_message_in_parts_is_its_text() -> None:
    parts = [{"type": "thinking", "thinking": [{"text": "Hm"}]}, {"type": "text", "text": "Yes."}]
    reply = read(200, completion(parts))
    assert isinstance(reply, Reply)
    assert reply.text == "Yes."
    assert isinstance(read(200, completion([{"type": "image"}])), Reply)


@pytest.mark.parametrize(
    ("status", "error", "kind", "words"),
    [
        (200, {"code": 429, "message": "Rate limited"}, "overload", "Rate limited"),
        (200, {"code": 502, "message": "Down", "metadata": {"raw": "no GPU"}}, "wait", "Down (no GPU)"),
        (200, {"code": 400, "message": "Bad"}, "refused", "Bad"),
        (200, {"message": "?"}, "wait", "?"),
        (402, {"message": "Insufficient Balance"}, "setup", "Insufficient Balance"),
        (403, {"message": "Content violates usage guidelines."}, "refused", "guidelines"),
        (403, {"message": "Forbidden for your plan"}, "setup", "your plan"),
        (429, {"message": "Your quota", "type": "insufficient_quota", "code": None}, "setup", "Your quota"),
        (429, {"message": "Too fast: see billing", "type": "requests"}, "overload", "Too fast"),
        (500, {"message": "Context size has been exceeded."}, "overload", "exceeded"),
        (504, {"message": "upstream"}, "wait", "upstream"),
    ],
)
def test_what_hosts_mean_by_their_errors(
    status: int, error: dict[str, object], kind: str, words: str
) -> None:
    outcome = read(status, json.dumps({"error": error}).encode())
    assert isinstance(outcome, Fault)
    assert outcome.kind == kind
    assert words in outcome.what
    assert outcome.slow == (status == 504)
    assert ("credit" in outcome.mend) == (status == 402 or error.get("type") == "insufficient_quota")


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


def at(token: object, *others: object, logprob: object = -0.5) -> dict[str, Any]:
    listed = [{"token": t, "logprob": p, "bytes": None} for t, p in others]  # type: ignore[misc]
    return {"token": token, "logprob": logprob, "bytes": None, "top_logprobs": listed}


def chosen(*positions: object) -> Reply:
    message = {"role": "assistant", "content": '{"score": 3}'}
    choice = {
        "message": message,
        "finish_reason": "stop",
        "logprobs": {"content": positions, "refusal": None},
    }
    reply = read(200, json.dumps({"choices": [choice]}).encode())
    assert isinstance(reply, Reply)
    return reply


def test_alternatives_are_kept_where_a_number_stands() -> None:
    reply = chosen(at("{"), at(" 3", (" 3", -0.1), (" 2", -2.5)), at("}"), at("1", ("1", 0.0), ("no", -9)))
    assert reply.alternatives == (((" 3", -0.1), (" 2", -2.5)), (("1", 0.0), ("no", -9.0)))


def test_alternatives_in_llama_cpps_form() -> None:
    # What its server answered where a grammar forced the 3: the likeliest do not hold it.
    said = {
        "id": 35, "token": "3", "bytes": [51], "logprob": -4.25,
        "top_logprobs": [{"id": 33, "token": "1", "bytes": [49], "logprob": -0.75}],
    }  # fmt: skip
    assert chosen(said).alternatives == ((("1", -0.75), ("3", -4.25)),)


def test_the_last_numbers_are_kept_for_a_judge_scores_last() -> None:
    reply = chosen(*(at(str(n), (str(n), -0.1)) for n in range(40)))
    assert [position[0][0] for position in reply.alternatives] == [str(n) for n in range(24, 40)]


@pytest.mark.parametrize(
    "value", [-math.inf, math.nan, math.inf, -9999.0, -3.4e38, 0.5, True, False, "-1", None, [], 10**400]
)
def test_what_is_no_log_probability_is_left_out(value: object) -> None:
    assert chosen(at("3", ("2", value), ("1", -1.0), logprob=value)).alternatives == ((("1", -1.0),),)
    assert chosen(at("3", logprob=value)).alternatives == ()


@pytest.mark.parametrize("token", [None, 3, "", "three", "3.", "²", "٣", "3" * 40])
def test_what_is_no_number_is_not_kept(token: object) -> None:
    assert chosen(at(token, ("3", -0.1))).alternatives == ()


def test_twenty_alternatives_are_enough() -> None:
    assert len(chosen(at("0", *((str(n), -1.0) for n in range(500)))).alternatives[0]) == 20


@settings(deadline=None)
@given(JSON, JSON)
def test_wild_log_probabilities_never_break_the_reader(inner: object, listed: object) -> None:
    assert isinstance(chosen(inner, {"token": "3", "logprob": inner, "top_logprobs": listed}), Reply)
    for logprobs in (inner, {"content": inner}):
        assert isinstance(alternatives_in({"logprobs": logprobs}), tuple)


def test_a_good_answer_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"choices": [{"message": {"content": "a"}}]}'
    times: list[int] = []
    whole = json.loads
    monkeypatch.setattr(json, "loads", lambda text: times.append(1) or whole(text))
    assert isinstance(read(200, body), Reply)
    assert len(times) == 1
