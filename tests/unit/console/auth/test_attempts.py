from __future__ import annotations

from blemish.console.auth.attempts import FREE_ATTEMPTS, MAX_REMEMBERED, PAUSE_S, Attempts


class Stopwatch:
    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


def test_a_few_are_free_then_one_a_minute() -> None:
    watch = Stopwatch()
    attempts = Attempts(monotonic=watch)

    waits = []
    for _ in range(FREE_ATTEMPTS):
        waits.append(attempts.wait_s("address a", "key k"))
        attempts.failed("address a", "key k")
    held = attempts.wait_s("address a", "key k")
    watch.time += PAUSE_S
    after = attempts.wait_s("address a", "key k")
    attempts.failed("address a", "key k")

    assert waits == [0.0] * FREE_ATTEMPTS
    assert held == PAUSE_S
    assert after == 0.0
    assert attempts.wait_s("address a") == PAUSE_S


def test_one_key_from_many_places_and_many_keys_from_one_are_held_back() -> None:
    attempts = Attempts(monotonic=Stopwatch())

    for number in range(FREE_ATTEMPTS):
        attempts.failed(f"address {number}", "key k")
        attempts.failed("address z", f"key {number}")

    assert attempts.wait_s("address new", "key k") > 0
    assert attempts.wait_s("address z", "key new") > 0
    assert attempts.wait_s("address new", "key new") == 0


def test_who_gets_in_or_rests_has_all_free_again() -> None:
    watch = Stopwatch()
    attempts = Attempts(monotonic=watch)
    for _ in range(FREE_ATTEMPTS):
        attempts.failed("address a", "address b")

    attempts.succeeded("address a")
    watch.time += 2 * PAUSE_S + 1
    attempts.failed("address b")

    assert attempts.wait_s("address a") == 0
    assert attempts.wait_s("address b") == 0


def test_memory_is_bounded() -> None:
    attempts = Attempts(monotonic=Stopwatch())

    for number in range(2 * MAX_REMEMBERED):
        attempts.failed(f"address {number}")

    assert len(attempts._tries) == MAX_REMEMBERED
