from __future__ import annotations

import sys
import time

import pytest

from blemish.runners.cluster.check import BEING_CHECKED, ClusterCheck

ADDRESS = "head.example.org:6379"


def check(program: str) -> ClusterCheck:
    return ClusterCheck(ADDRESS, command=(sys.executable, "-c", program))


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("print('{\"problem\": null}')", None),
        ("import sys; print('{\"problem\": \"' + sys.argv[1] + ' is old\"}')", f"{ADDRESS} is old"),
        (
            "raise SystemExit(7)",
            f"The check of the Ray cluster at {ADDRESS} ended with exit status 7.",
        ),
    ],
)
def test_the_process_says_what_is_wrong(program: str, problem: str | None) -> None:
    assert check(program).check() == problem


@pytest.mark.parametrize("name", ["BLEMISH_DATABASE_URL", "AWS_SECRET_ACCESS_KEY"])
def test_the_process_gets_no_secret(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "postgresql://blemish:secret@rows")
    program = f'import json, os; print(json.dumps({{"problem": os.getenv("{name}")}}))'

    assert check(program).check() is None


def test_the_server_goes_on_while_the_cluster_is_checked_and_ends_the_check() -> None:
    checking = check("import time; time.sleep(600)")

    checking.start()
    problem = checking.problem()
    checking.stop()

    assert problem == BEING_CHECKED
    assert not checking._thread.is_alive()


def test_the_result_of_the_check_is_remembered() -> None:
    checking = check('print(\'{"problem": "a node is old"}\')')

    checking.start()
    try:
        while checking.problem() == BEING_CHECKED:
            time.sleep(0.01)
        assert checking.problem() == "a node is old"
    finally:
        checking.stop()
