"""Errors as statuses, and bodies of bounded size, as a browser gets them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import blemish.domain.errors
import blemish.engine.errors
import blemish.storage.errors
from blemish.console.http import (
    EXPECTED,
    FAULT,
    STATUSES,
    bounded_body,
    image_problem,
    json_body,
    problem_text,
    register,
    status_of,
)
from blemish.console.visitor import SignedOutError
from blemish.domain.errors import (
    AccessDeniedError,
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ThrottlingError,
    ValidationError,
)
from blemish.engine.images.decode import ImageError
from blemish.storage.errors import BucketMissingError, ObjectReadError, StorageError

NAMED: dict[str, Any] = {"resource_type": ResourceType.MODEL, "resource_id": "plates/1"}

ERRORS = [
    (SignedOutError("The session is over."), 401),
    (AccessDeniedError("Not allowed."), 403),
    (ResourceNotFoundError("No such model.", **NAMED), 404),
    (BucketMissingError("No such bucket."), 404),
    (ConflictError("Busy.", **NAMED), 409),
    (ValidationError("Wrong."), 400),
    (ImageError("Too small."), 422),
    (ObjectReadError("Unreadable."), 422),
    (StorageError("Broken."), 500),
]


def exchange(method: str, path: str, **content: Any) -> httpx.Response:
    """Send a request to routes that fail as their path says, or that read a body."""

    async def fail(request: Request) -> Response:
        raise ERRORS[request.path_params["number"]][0]

    async def throttle(_: Request) -> Response:
        raise ThrottlingError("Too many.", retry_after_s=7)

    async def read(request: Request) -> Response:
        body = await bounded_body(request, limit_bytes=1_000, subject="The image")
        return Response(body.content)

    async def read_json(request: Request) -> Response:
        return JSONResponse(await json_body(request))

    application = Starlette(
        routes=[
            Route("/fail/{number:int}", fail),
            Route("/throttle", throttle),
            Route("/read", read, methods=["POST"]),
            Route("/json", read_json, methods=["POST"]),
        ]
    )
    register(application)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
            return await client.request(method, path, **content)

    return asyncio.run(send())


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_an_error_is_a_status_and_its_sentence(number: int) -> None:
    error, status = ERRORS[number]

    answer = exchange("GET", f"/fail/{number}")

    assert (answer.status_code, answer.text) == (status, str(error))
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_throttled_request_says_when_to_come_back() -> None:
    answer = exchange("GET", "/throttle")

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_a_body_is_read_up_to_a_limit() -> None:
    whole, over, far_over = (
        exchange("POST", "/read", content=bytes(size)) for size in (999, 1_001, 99_999)
    )

    assert len(whole.content) == 999
    assert [over.status_code, far_over.status_code] == [413, 413]
    assert over.text == "The image is too large: at most 1,000 bytes are allowed."


def test_a_body_that_is_not_json_is_refused() -> None:
    assert exchange("POST", "/json", json={"a": [1]}).json() == {"a": [1]}
    assert exchange("POST", "/json", content=b"{").status_code == 400
    assert exchange("POST", "/json", content=b"[" * 100_000).status_code == 400


@pytest.mark.parametrize(
    "module", [blemish.domain.errors, blemish.engine.errors, blemish.storage.errors]
)
def test_every_error_of_the_layers_below_has_a_status(module: Any) -> None:
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type)]
    errors = [kind for kind in kinds if issubclass(kind, Exception)]

    assert errors
    assert all(issubclass(kind, EXPECTED) for kind in errors)


def test_a_status_that_a_later_row_gives_is_never_hidden() -> None:
    for row, (kind, status) in enumerate(STATUSES):
        hidden = [earlier for earlier, _ in STATUSES[:row] if issubclass(kind, earlier)]
        assert not hidden, f"{kind} -> {status} never applies"


def test_only_expected_errors_show_their_message() -> None:
    assert problem_text(ValidationError("Wrong.")) == "Wrong."
    assert problem_text(KeyError("secret")) == FAULT
    assert status_of(ValidationError("Wrong.")) == 400


def test_a_page_waits_before_it_sends_an_image_again() -> None:
    busy = ThrottlingError("Busy.", retry_after_s=2)

    assert image_problem(busy) == {"problem": "Busy.", "again_s": 2}
    assert image_problem(ImageError("Small.")) == {"problem": "Small."}
