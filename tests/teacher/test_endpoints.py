"""Which endpoint is next, and which addresses are taken."""

from __future__ import annotations

import pytest

from feldspar.errors import TeacherError
from feldspar.teacher.endpoints import Endpoint, Patience, base_url, pick


def test_the_one_with_the_fewest_in_flight_is_next() -> None:
    a, b = Endpoint("a", in_flight=3), Endpoint("b", in_flight=2)
    assert pick([a, b], 0.0) is b


def test_one_that_rests_is_left_alone() -> None:
    a, b = Endpoint("a", resting_until=5.0), Endpoint("b", in_flight=9)
    assert pick([a, b], 1.0) is b
    assert pick([a], 1.0) is None
    assert pick([a], 5.0) is a


def test_one_that_failed_gets_a_single_request_to_prove_itself() -> None:
    a, b = Endpoint("a", failures=1, in_flight=1), Endpoint("b", in_flight=40)
    assert pick([a, b], 9.0) is b
    a.in_flight = 0
    assert pick([a, b], 9.0) is a
    assert pick([Endpoint("a", failures=1, in_flight=1)], 9.0) is not None


def test_failing_together_is_one_failure_and_rests_grow() -> None:
    patience, endpoint = Patience(first_pause=1.0, longest_pause=4.0), Endpoint("a")
    assert endpoint.failed(10.0, patience)
    assert not endpoint.failed(10.1, patience)
    assert endpoint.failures == 1
    rests = []
    for _ in range(6):
        now = endpoint.resting_until
        endpoint.failed(now, patience)
        rests.append(endpoint.resting_until - now)
    assert rests[0] >= 1.0
    assert 2.0 <= rests[-1] <= 4.0


def test_a_wait_that_the_server_asked_for_is_kept() -> None:
    endpoint = Endpoint("a")
    endpoint.failed(0.0, Patience(), wait=50.0)
    assert endpoint.resting_until == 50.0


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
