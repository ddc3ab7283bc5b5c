"""Which endpoint is next, and which addresses are taken."""

from __future__ import annotations

import pytest

from feldspar.errors import TeacherError
from feldspar.teacher.endpoints import Endpoint, Patience, base_url, next_awake, pick
from feldspar.teacher.flow import Flow

CALM = Patience(first_pause=1.0, longest_pause=4.0)


def endpoint(name: str, in_flight: int = 0, limit: int = 10) -> Endpoint:
    return Endpoint(name, Flow(first=limit, in_flight=in_flight))


def test_the_one_with_the_largest_share_of_free_slots_is_next() -> None:
    a, b = endpoint("a", 30, 100), endpoint("b", 4, 10)
    assert pick([a, b], 0.0, CALM) is a
    a.flow.in_flight = 61
    assert pick([a, b], 0.0, CALM) is b


def test_full_ones_get_no_more() -> None:
    assert pick([endpoint("a", 10), endpoint("b", 12)], 0.0, CALM) is None


def test_one_fault_does_not_set_an_endpoint_aside_and_five_in_a_row_do() -> None:
    a = endpoint("a")
    assert not any(a.failed(n, n + 0.5, CALM) for n in range(4))
    assert pick([a], 4.5, CALM) is a
    a.answered(0.1, 1, 4.6)
    assert not any(a.failed(n, n + 0.5, CALM) for n in range(5, 9))
    assert a.failed(9.0, 9.5, CALM)
    assert pick([a], 9.5, CALM) is None
    assert a.failures == 9


def test_one_that_is_gone_is_set_aside_at_once_and_gets_single_requests() -> None:
    a, b = endpoint("a"), endpoint("b", 9)
    assert a.failed(0.0, 1.0, CALM, gone=True)
    assert pick([a, b], 1.0, CALM) is b
    assert next_awake([a]) > 1.0
    awake = next_awake([a])
    assert pick([a, b], awake, CALM) is a
    a.flow.sent(awake)
    assert pick([a, b], awake, CALM) is b
    # That one may hang: another follows.
    assert pick([a, b], awake + 1.01 * CALM.longest_pause, CALM) is a
    assert a.answered(0.5, 3, awake + 4.5)
    assert a.share(awake + 4.5, CALM) > 0.5


def test_what_hangs_on_a_dead_endpoint_is_not_taken_for_the_trial() -> None:
    a = endpoint("a", 7)
    a.failed(0.0, 1.0, CALM, gone=True)
    a.flow.ended(1.0)
    awake = next_awake([a])
    assert a.share(awake, CALM) == 1.0
    a.flow.sent(awake)
    assert a.share(awake, CALM) == 0.0


def test_failing_together_is_one_failure_and_rests_grow() -> None:
    a = endpoint("a")
    assert a.failed(0.0, 10.0, CALM, gone=True)
    assert not any(a.failed(5.0, 10.1, CALM, gone=True) for _ in range(60))
    assert a.aside == 1
    rests = []
    for _ in range(6):
        now = next_awake([a])
        assert a.failed(now, now, CALM)
        rests.append(next_awake([a]) - now)
    assert rests[0] >= 1.0
    assert 2.0 <= rests[-1] <= 4.0


def test_a_wait_that_the_server_asked_for_is_kept_even_if_it_answers_meanwhile() -> None:
    for fault in ("failed", "overloaded"):
        a = endpoint("a", 2)
        getattr(a, fault)(0.0, 0.0, Patience(), wait=50.0)
        a.answered(0.1, 1, 1.0)
        a.flow.in_flight = 0
        assert pick([a], 49.9, CALM) is None
        assert pick([a], 50.0, CALM) is a


def test_overload_shrinks_and_does_not_set_aside_until_nothing_else_comes() -> None:
    a = endpoint("a", 10)
    assert a.overloaded(0.0, 1.0, CALM)
    assert a.flow.limit == 7
    assert a.share(1.0, CALM) <= 0.0
    a.flow.in_flight = 0
    assert pick([a], 1.0, CALM) is a
    assert a.overloaded(1.1, 1.2, CALM)
    assert a.overloaded(1.3, 1.4, CALM)
    assert pick([a], 1.4, CALM) is None


def test_a_time_out_where_others_are_answered_means_that_too_many_wait() -> None:
    a = endpoint("a", 10)
    assert not a.failed(0.0, 600.0, CALM)
    assert a.flow.limit == 10
    a.answered(300.0, 5, 700.0)
    assert not a.failed(200.0, 800.0, CALM)
    assert a.flow.limit == 7


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1"),
        (" https://host/api/v1", "https://host/api/v1"),
        ("http://[::1]:80/v1/chat/completions", "http://[::1]:80/v1"),
    ],
)
def test_addresses(given: str, kept: str) -> None:
    assert base_url(given) == kept


@pytest.mark.parametrize(
    "given", ["", "host:8000", "ftp://host/v1", "http://", "http://h:port/v1", "http://[x/v1"]
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(TeacherError, match="no http or https URL"):
        base_url(given)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(TeacherError) as caught:
        base_url("https://me:hunter2@host/v1?key=hunter2")
    assert "hunter2" not in str(caught.value)
