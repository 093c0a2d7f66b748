from __future__ import annotations

from contextlib import suppress

import pytest

from blemish.wire.errors import InvalidSignatureError, TooManyWrongSecretsError
from blemish.wire.wrong_secrets import (
    FREE_ATTEMPTS,
    MAX_REMEMBERED,
    PAUSE_S,
    PENDING_S,
    TooManyAttemptsError,
    WrongSecrets,
    address_group,
)


class Stopwatch:
    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


def sign_wrongly(secrets: WrongSecrets, address: str, key_id: str) -> None:
    for _ in range(FREE_ATTEMPTS):
        with (
            pytest.raises(InvalidSignatureError),
            secrets.counted(address, key_id),
        ):
            raise InvalidSignatureError("wrong")


def test_a_few_are_free_then_one_a_minute() -> None:
    watch = Stopwatch()
    secrets = WrongSecrets(monotonic=watch)

    waits = []
    for _ in range(FREE_ATTEMPTS):
        waits.append(secrets.wait_s("a"))
        secrets.note("a")
    pause_s = secrets.wait_s("a")
    watch.time += PAUSE_S
    after_s = secrets.wait_s("a")
    secrets.note("a")

    assert waits == [0.0] * FREE_ATTEMPTS
    assert pause_s == PAUSE_S
    assert after_s == 0.0
    assert secrets.wait_s("a") == PAUSE_S
    assert secrets.wait_s("b") == 0.0


def test_a_correct_secret_and_a_rest_make_all_free_again() -> None:
    watch = Stopwatch()
    secrets = WrongSecrets(monotonic=watch)
    for _ in range(FREE_ATTEMPTS):
        secrets.note("a")
        secrets.note("b")

    secrets.forget("a")
    watch.time += 2 * PAUSE_S + 1
    secrets.note("b")

    assert secrets.wait_s("a") == 0
    assert secrets.wait_s("b") == 0


def test_attempts_that_are_checked_at_once_are_no_more_than_those_in_a_row() -> None:
    watch = Stopwatch()
    secrets = WrongSecrets(monotonic=watch)

    begun = [secrets.begin("a") == 0 for _ in range(2 * FREE_ATTEMPTS)]
    for _ in range(FREE_ATTEMPTS):
        secrets.end("a", wrong=True)
    pause_s = secrets.begin("a")
    watch.time += PAUSE_S
    after = [secrets.begin("a") == 0 for _ in range(2)]
    secrets.end("a", wrong=True)

    assert begun == [True] * FREE_ATTEMPTS + [False] * FREE_ATTEMPTS
    assert pause_s == PAUSE_S
    assert after == [True, False]
    assert secrets.begin("a") == PAUSE_S


def test_a_correct_attempt_forgives_no_wrong_ones() -> None:
    secrets = WrongSecrets(monotonic=Stopwatch())
    for _ in range(FREE_ATTEMPTS):
        assert secrets.begin("a") == 0
        secrets.end("a", wrong=False)
    for _ in range(FREE_ATTEMPTS - 1):
        secrets.note("a")

    assert secrets.begin("a") == 0
    secrets.end("a", wrong=False)
    secrets.note("a")

    assert secrets.begin("a") == PAUSE_S


def test_wrong_signatures_stop_the_address_and_not_the_key_or_its_neighbours() -> None:
    secrets = WrongSecrets(monotonic=Stopwatch())

    sign_wrongly(secrets, "192.0.2.1", "KEY")

    with pytest.raises(TooManyWrongSecretsError, match=r"192\.0\.2\.1"):
        secrets.counted("192.0.2.1", "KEY").__enter__()
    with secrets.counted("192.0.2.2", "KEY"), secrets.counted("192.0.2.1", "OTHER"):
        pass


def test_a_correct_signature_ends_the_count() -> None:
    secrets = WrongSecrets(monotonic=Stopwatch())
    for _ in range(FREE_ATTEMPTS - 1):
        secrets.note("192.0.2.1 KEY")

    with secrets.counted("192.0.2.1", "KEY"):
        pass
    secrets.note("192.0.2.1 KEY")

    assert secrets.wait_s("192.0.2.1 KEY") == 0


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("a name", "a name"),
        (None, "None"),
    ],
)
def test_a_network_of_ipv6_counts_as_one_address(address: str | None, group: str) -> None:
    assert address_group(address) == group


@pytest.mark.parametrize("is_begun", [False, True])
def test_memory_is_bounded(is_begun: bool) -> None:
    secrets = WrongSecrets(monotonic=Stopwatch())

    for number in range(2 * MAX_REMEMBERED):
        act = secrets.begin if is_begun else secrets.note
        act(f"{number}")

    assert len(secrets._failures) == MAX_REMEMBERED


def test_correct_attempts_leave_nothing_behind() -> None:
    secrets = WrongSecrets(monotonic=Stopwatch())

    with secrets.attempt("a", wrong=ValueError):
        pass
    secrets.forget("b")

    assert not secrets._failures


def test_a_correct_secret_forgives_no_attempt_that_is_being_checked() -> None:
    secrets = WrongSecrets(monotonic=Stopwatch())
    for _ in range(FREE_ATTEMPTS):
        assert secrets.begin("a") == 0

    secrets.end("a", wrong=False)
    secrets.forget("a")
    waits = [secrets.begin("a") for _ in range(2)]

    assert waits == [0.0, PENDING_S]


def test_an_attempt_counts_before_it_ends_and_says_how_long_others_wait() -> None:
    secrets = WrongSecrets(monotonic=Stopwatch(), free=1)

    with secrets.attempt("a", wrong=ValueError), pytest.raises(TooManyAttemptsError) as at_once:
        secrets.attempt("a", wrong=ValueError).__enter__()
    with suppress(ValueError), secrets.attempt("a", wrong=ValueError):
        raise ValueError("a guess")
    with pytest.raises(TooManyAttemptsError) as afterwards:
        secrets.attempt("a", wrong=ValueError).__enter__()

    assert (at_once.value.seconds, afterwards.value.seconds) == (PENDING_S, PAUSE_S)
