"""How the console answers beside its pages: errors as statuses, bodies of bounded size.

A route raises what went wrong; `register` lets the framework turn it into an answer. The body of
such an answer is one sentence for people, as plain text, and the page shows it.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from structlog.typing import FilteringBoundLogger

from blemish.console.away import DATABASE_AWAY, away_response
from blemish.console.language.messages import later, say
from blemish.console.language.numbers import number_text
from blemish.console.plain_errors import plain_text
from blemish.console.visitor import SignedOutError, Visitor
from blemish.domain.access.policies import PolicyError
from blemish.domain.errors import (
    AccessDeniedError,
    ConflictError,
    InternalServerError,
    ResourceNotFoundError,
    ServiceError,
    ServiceQuotaExceededError,
    ThrottlingError,
    ValidationError,
)
from blemish.engine.errors import EngineError
from blemish.engine.images.decode import ImageError
from blemish.service.access.access_keys import AccessKeyError
from blemish.service.access.passwords import PasswordError
from blemish.service.access.user_accounts import UserError
from blemish.storage.errors import (
    BucketMissingError,
    DatabaseUnavailableError,
    DatabaseWriteError,
    KeyServiceError,
    ObjectError,
    ObjectMissingError,
    StorageError,
    StoreFullError,
    StoreUnavailableError,
)
from blemish.wire.errors import (
    InsufficientStorageError,
    RequestEntityTooLargeError,
    ServiceUnavailableError,
    WireError,
)
from blemish.wire.json_document import check_elements
from blemish.wire.request_body import BufferedBody, ClientGoneError, read_body

logger: FilteringBoundLogger = structlog.get_logger(__name__)

STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (SignedOutError, 401),
    (AccessDeniedError, 403),
    (ResourceNotFoundError, 404),
    (ObjectMissingError, 404),
    (BucketMissingError, 404),
    (ConflictError, 409),
    (ServiceQuotaExceededError, 402),
    (ThrottlingError, 429),
    (InternalServerError, 500),
    (ServiceError, 400),
    (AccessKeyError, 400),
    (UserError, 400),
    (PasswordError, 400),
    (PolicyError, 400),
    (ImageError, 422),
    (EngineError, 422),
    (StoreFullError, 507),
    (StoreUnavailableError, 503),
    (KeyServiceError, 503),
    (ObjectError, 422),
    (DatabaseUnavailableError, 503),
    (DatabaseWriteError, 507),
    (StorageError, 500),
    (RequestEntityTooLargeError, 413),
    (InsufficientStorageError, 507),
    (ServiceUnavailableError, 503),
    (WireError, 400),
)
"""Error -> HTTP status, the first that fits. The messages of all of them are for people."""

EXPECTED = tuple(kind for kind, _ in STATUSES)

IMAGE_REFUSALS = (
    ValidationError,
    ConflictError,
    ThrottlingError,
    ImageError,
    EngineError,
    RequestEntityTooLargeError,
)
"""Errors about one image of several that a page sends, one request each.

Such a request succeeds all the same. Its answer has the member `problem`, as the page goes on with
the other images.
"""

FAULT = later("The server failed. Its log says why.")
"""The message of an error that nobody expected."""

JSON_BYTES = 8 * 1024 * 1024
"""The largest JSON body. Positions of 100,000 images that are selected one by one fit in it."""


def register(application: Starlette) -> None:
    """Answer every expected error of the routes of an application."""
    for kind in (*EXPECTED, ClientGoneError):
        application.add_exception_handler(kind, _error_response)


def status_of(error: Exception) -> int:
    """Return the HTTP status of an expected error."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def is_away(error: Exception) -> bool:
    """Return whether an expected error says that something does not answer for now."""
    return status_of(error) == HTTPStatus.SERVICE_UNAVAILABLE


def problem_text(error: Exception) -> str:
    """Return the message of an error for people."""
    if isinstance(error, DatabaseUnavailableError):
        return say(DATABASE_AWAY)
    return plain_text(str(error)) if isinstance(error, EXPECTED) else say(FAULT)


def stranger_text(error: Exception) -> str:
    """Return the message of an error for people who are not signed in.

    Errors of the storage name files, addresses and keys of the server: the log alone has them.
    """
    if isinstance(error, StorageError) and not isinstance(error, DatabaseUnavailableError):
        logger.error("nobody can sign in", reason=str(error))
        return say(FAULT)
    return problem_text(error)


def image_problem(error: Exception) -> dict[str, Any]:
    """Return an error of `IMAGE_REFUSALS` as the members of an answer.

    `again_s` says how long the page has to wait before it sends the image again.
    """
    members: dict[str, Any] = {"problem": problem_text(error)}
    if isinstance(error, ThrottlingError):
        members["again_s"] = error.retry_after_s
    return members


def request_visitor(request: Request) -> Visitor:
    """Return the sender of a request, which `auth/guard.py` put there."""
    visitor: Visitor = request.state.visitor
    return visitor


async def bounded_body(request: Request, *, limit_bytes: int, subject: str) -> BufferedBody:
    """Read the body of a request.

    Args:
        request: its body has not been read yet.
        limit_bytes: how large the body may be.
        subject: what the body is, for the message: "The image".

    Raises:
        RequestEntityTooLargeError: it has more bytes.
        BodyTimeoutError: nothing came for too long.
        ClientGoneError: the client hung up.
    """
    message = say(
        "{subject} is too large: at most {size_text} are allowed.",
        subject=subject,
        size_text=_size_text(limit_bytes),
    )
    try:
        body = await read_body(request.receive, limit_bytes=limit_bytes, declared_bytes=None)
    except RequestEntityTooLargeError:
        raise RequestEntityTooLargeError(message) from None
    if body.content is None:
        raise RequestEntityTooLargeError(message)
    return body


async def json_body(request: Request) -> Any:
    """Read a JSON body.

    Raises:
        ValidationError: it is not JSON.
        SerializationError: it has too many elements.
        RequestEntityTooLargeError, BodyTimeoutError, ClientGoneError: as `bounded_body`.
    """
    body = await bounded_body(request, limit_bytes=JSON_BYTES, subject=say("The request"))
    check_elements(body.content or b"")
    try:
        return json.loads(body.content or b"")
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"The request is not JSON: {error}.") from None


async def _error_response(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientGoneError):
        return Response(status_code=400)  # nobody reads it
    if is_away(error):
        return away_response(request, problem_text(error))
    headers = {}
    if isinstance(error, ThrottlingError):
        headers["Retry-After"] = str(error.retry_after_s)
    return PlainTextResponse(problem_text(error), status_code=status_of(error), headers=headers)


def _size_text(size_bytes: int) -> str:
    mib = size_bytes / 2**20
    return (
        f"{mib:g} MiB"
        if mib >= 1
        else say("{size_bytes} bytes", size_bytes=number_text(size_bytes))
    )
