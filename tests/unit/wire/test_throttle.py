from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.errors import ThrottlingError, quota_code
from blemish.domain.limits import Quota
from blemish.wire.calls import Call
from blemish.wire.throttle import SECOND_NS, Throttle


class Clock:
    """Nanoseconds that go on when they are told to."""

    def __init__(self) -> None:
        self.now_ns = 123_456_789_012_345

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND_NS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(per_s=5, exempt={"DetectAnomalies"}, clock_ns=clock)


def passes(throttle: Throttle, operation: str | None = "DescribeModel") -> bool:
    call = Call(
        request_id="request",
        received_at=datetime(2024, 5, 1, tzinfo=UTC),
        source_ip=None,
        user_agent=None,
        operation=operation,
    )
    try:
        throttle(call)
    except ThrottlingError:
        return False
    return True


def test_as_many_calls_as_a_second_has_may_come_at_once(throttle: Throttle) -> None:
    assert [passes(throttle) for _ in range(7)] == [True] * 5 + [False] * 2


def test_the_next_call_passes_when_its_share_of_a_second_is_over(
    throttle: Throttle, clock: Clock
) -> None:
    spent = [passes(throttle) for _ in range(5)]
    clock.advance(0.199)
    early = passes(throttle)
    clock.advance(0.001)

    assert (all(spent), early) == (True, False)
    assert [passes(throttle), passes(throttle)] == [True, False]


def test_a_bucket_holds_no_more_than_a_second_however_long_it_was_left(
    throttle: Throttle, clock: Clock
) -> None:
    passes(throttle)
    clock.advance(3_600)

    assert [passes(throttle) for _ in range(6)] == [True] * 5 + [False]


def test_an_operation_has_no_effect_on_another(throttle: Throttle) -> None:
    while passes(throttle, "DescribeModel"):
        pass

    assert [passes(throttle, "ListModels") for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("operation", ["DetectAnomalies", None])
def test_what_is_exempt_is_never_refused(throttle: Throttle, operation: str | None) -> None:
    assert all(passes(throttle, operation) for _ in range(100))


def test_the_refusal_says_when_to_come_back_and_by_which_quota(throttle: Throttle) -> None:
    while passes(throttle, "ListProjects"):
        pass

    with pytest.raises(ThrottlingError) as caught:
        throttle(
            Call(
                request_id="request",
                received_at=datetime(2024, 5, 1, tzinfo=UTC),
                source_ip=None,
                user_agent=None,
                operation="ListProjects",
            )
        )

    assert caught.value.members() == {
        "Message": "ListProjects may be called 5 times a second. Come back in 0.2 seconds.",
        "RetryAfterSeconds": 1,
        "QuotaCode": quota_code(Quota.REQUESTS),
        "ServiceCode": "lookoutvision",
    }


@given(pauses=st.lists(st.integers(0, 2 * SECOND_NS), max_size=60), per_s=st.integers(1, 9))
def test_no_second_has_more_than_twice_its_calls_nor_has_a_long_time_more_than_the_pace(
    pauses: list[int], per_s: int
) -> None:
    clock = Clock()
    throttle = Throttle(per_s=per_s, exempt=(), clock_ns=clock)
    began_ns = clock.now_ns

    passed = 0
    for pause_ns in pauses:
        clock.now_ns += pause_ns
        passed += passes(throttle)

    seconds = (clock.now_ns - began_ns) / SECOND_NS
    assert passed <= per_s * (1 + seconds) + 1e-3
