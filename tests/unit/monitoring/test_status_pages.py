from __future__ import annotations

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from blemish.monitoring.readiness import Readiness
from blemish.monitoring.status_pages import StatusPages
from tests.asgi_client import Answer, converse

LOOPBACK, ELSEWHERE = "127.0.0.1", "192.0.2.7"


def pages(*, token: str | None = None, problem: str | None = None) -> StatusPages:
    registry = CollectorRegistry()
    Counter("blemish_lamps", "Lamps.", registry=registry)
    readiness = Readiness({"disk": lambda: problem})
    return StatusPages(readiness=readiness, registry=registry, token=token)


def ask(
    app: StatusPages,
    path: str,
    *,
    client: str | None = LOOPBACK,
    method: str = "GET",
    **headers: str,
) -> Answer:
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
        "client": (client, 50_000) if client else None,
    }
    return converse(app, scope, [])


def test_a_process_that_answers_is_healthy() -> None:
    answer = ask(pages(problem="it is full"), "/healthz", client=ELSEWHERE)

    assert (answer.status, answer.body) == (200, b"ok\n")


@pytest.mark.parametrize(("problem", "status"), [(None, 200), ("it is full", 503)])
def test_a_server_that_lacks_something_is_not_ready(problem: str | None, status: int) -> None:
    answer = ask(pages(problem=problem), "/readyz")

    assert answer.status == status
    assert json.loads(answer.body) == {
        "ready": problem is None,
        "checks": {"disk": problem or "ok"},
    }


def test_elsewhere_nobody_learns_what_is_wrong() -> None:
    answer = ask(pages(problem="it is full"), "/readyz", client=ELSEWHERE)

    assert answer.status == 503
    assert json.loads(answer.body) == {"ready": False}


@pytest.mark.parametrize("client", [LOOPBACK, "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_on_this_machine_metrics_are_read_without_a_token(client: str) -> None:
    answer = ask(pages(), "/metrics", client=client)

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert b"blemish_lamps_total 0.0" in answer.body


@pytest.mark.parametrize("client", [ELSEWHERE, "::ffff:192.0.2.7", "a name", None])
def test_from_elsewhere_they_are_not(client: str | None) -> None:
    answer = ask(pages(), "/metrics", client=client)

    assert answer.status == 403
    assert b"BLEMISH_METRICS_TOKEN" in answer.body
    assert b"lamps" not in answer.body


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example:8000", 403),
        ("localhost.evil.example", 403),
        ("evil.example@localhost", 403),
        ("127.0.0.1.evil.example", 403),
        ("[::1", 403),
        ("192.0.2.7", 403),
        ("", 403),
    ],
)
def test_a_page_that_gave_its_name_this_address_reads_nothing(host: str, status: int) -> None:
    assert ask(pages(), "/metrics", host=host).status == status
    assert ("checks" in json.loads(ask(pages(), "/readyz", host=host).body)) == (status == 200)


@pytest.mark.parametrize("header", ["forwarded", "via", "x_forwarded_for", "x_real_ip"])
def test_what_a_proxy_forwards_is_from_elsewhere(header: str) -> None:
    assert ask(pages(), "/metrics", **{header: LOOPBACK}).status == 403


@pytest.mark.parametrize(
    ("sent", "status"),
    [("Bearer open sesame", 200), ("Bearer open", 403), ("open sesame", 403), ("", 403)],
)
def test_a_token_opens_them_from_anywhere_and_is_then_needed_everywhere(
    sent: str, status: int
) -> None:
    app = pages(token="open sesame")

    for client in (LOOPBACK, ELSEWHERE):
        assert ask(app, "/metrics", client=client, authorization=sent).status == status


def test_only_reading_is_offered() -> None:
    assert ask(pages(), "/metrics", method="POST").status == 405
    head = ask(pages(), "/healthz", method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, "3", b"")
