"""Requests of every kind: none breaks the server, none that is refused changes a row."""

from __future__ import annotations

import pytest

from blemish.api.service_model import service_model
from tests.acceptance.fuzz import play
from tests.acceptance.served import ServedDirectory

pytestmark = pytest.mark.acceptance

REQUESTS = 1_500
"""`python -m benchmarks.fuzz` sends 20,000."""


def test_no_request_breaks_the_server_and_a_refused_one_changes_nothing(
    served: ServedDirectory,
) -> None:
    found = play(served, requests=REQUESTS, seed=1)

    assert found.problems == []
    assert b"Traceback" not in served.log.read_bytes()
    # a run that was refused throughout would prove nothing
    assert len(found.accepted) > len(service_model().operation_names) // 2
