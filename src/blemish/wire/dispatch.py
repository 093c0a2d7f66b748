"""From an HTTP request to the handler of its operation and back: the ASGI application.

    route -> read the body -> who signed it -> members -> constraints -> handler -> answer

Reading is asynchronous; all that follows runs in a worker thread, so handlers may block.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from anyio import CapacityLimiter, to_thread
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel

from blemish.domain.errors import InternalServerError, ServiceError, ValidationError
from blemish.wire.asgi import Receive, Scope, Send, request_of, send_start
from blemish.wire.constraints import check_constraints
from blemish.wire.errors import RequestEntityTooLargeError, UnknownOperationError, WireError
from blemish.wire.messages import HttpRequest, HttpResponse
from blemish.wire.protocol import parse_request, serialize_error, serialize_output
from blemish.wire.reading import Body, ClientGoneError, read_body
from blemish.wire.routing import Router
from blemish.wire.signature import SignatureVerifier

logger = logging.getLogger("blemish.wire")

Handler = Callable[..., Mapping[str, Any]]


class Dispatcher:
    """Answers the operations of a service model by the methods of an object.

    A method is named like its operation, in snake_case. It is called with the members that the
    request has, as keyword arguments in snake_case, and returns the members of the answer by their
    names in the model. An operation without a method is unknown here.
    """

    def __init__(
        self,
        model: ServiceModel,
        handlers: object,
        *,
        secret: Callable[[str], str | None],
        clock: Callable[[], datetime],
        request_ids: Callable[[], str],
        max_body_bytes: Callable[[str], int],
        clock_skew_s: int = 900,
        faults: Mapping[type[Exception], str] = MappingProxyType({}),
        worker_threads: int = 32,
    ) -> None:
        """Put the parts together.

        `secret` knows the secret access key of an access key id, and None for an unknown one;
        `max_body_bytes` the limit of an operation, by its name. As many requests as there are
        worker threads are worked on at once; others wait. `faults` is what a client is told of
        errors that it may learn about; of all others it learns the request id alone.

        Raises:
            TypeError: a method does not take the members of its operation.
        """
        self._model = model
        self._router = Router(model)
        self._handlers = _handlers_of(model, handlers)
        self._verifier = SignatureVerifier(
            services={model.signing_name}, secret=secret, clock=clock, clock_skew_s=clock_skew_s
        )
        self._request_ids = request_ids
        self._max_body_bytes = max_body_bytes
        self._faults = faults
        self._worker_threads = CapacityLimiter(worker_threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request_id = self._request_ids()
        try:
            response = await self._response(scope, receive)
        except ClientGoneError:
            return
        except (ServiceError, WireError) as error:
            response = serialize_error(self._model, error)
        except Exception as error:  # the edge: whatever it was, the client gets an answer
            logger.exception("request %s failed", request_id)
            told = (text for kind, text in self._faults.items() if isinstance(error, kind))
            reason = next(told, "The server failed.")
            response = serialize_error(
                self._model, InternalServerError(f"{reason} Request id: {request_id}")
            )
        await _send_response(send, response, request_id=request_id, method=scope["method"])

    async def _response(self, scope: Scope, receive: Receive) -> HttpResponse:
        request = request_of(scope)
        operation = self._router.operation(request.method, request.path)
        if operation.name not in self._handlers:
            raise UnknownOperationError(f"{operation.name} is not offered by this server.")
        body = await read_body(
            receive,
            limit_bytes=self._max_body_bytes(operation.name),
            declared_bytes=_declared_bytes(request.headers),
        )
        request = replace(request, body=body.content or b"")
        return await to_thread.run_sync(
            self._perform, operation, request, body, limiter=self._worker_threads
        )

    def _perform(self, operation: OperationModel, request: HttpRequest, body: Body) -> HttpResponse:
        self._verifier.verify(request, body_sha256=body.sha256)
        if body.content is None:
            raise ValidationError(
                f"The body has {body.size_bytes} bytes; {operation.name} takes at most "
                f"{self._max_body_bytes(operation.name)} bytes."
            )
        members = parse_request(operation, request)
        if operation.input_shape:
            check_constraints(operation.input_shape, members)
        output = self._handlers[operation.name](**arguments_of(members))
        return serialize_output(operation, output)


def _handlers_of(model: ServiceModel, methods: object) -> dict[str, Handler]:
    handlers: dict[str, Handler] = {}
    for name in model.operation_names:
        handler = getattr(methods, xform_name(name), None)
        if handler is None:
            continue
        shape = model.operation_model(name).input_shape
        if shape:
            # what it lacks shows when the server is put together, not when a client asks
            inspect.signature(handler).bind(**arguments_of(shape.members))
            inspect.signature(handler).bind(**arguments_of(dict.fromkeys(shape.required_members)))
        handlers[name] = handler
    return handlers


def arguments_of(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return members as a handler is called with them."""
    return {xform_name(name): value for name, value in members.items()}


def _declared_bytes(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


async def _send_response(
    send: Send, response: HttpResponse, *, request_id: str, method: str
) -> None:
    headers = {
        **response.headers,
        "content-length": str(len(response.body)),
        "x-amzn-requestid": request_id,
    }
    if response.status == RequestEntityTooLargeError.status:
        headers["connection"] = "close"  # the rest of the body is not waited for
    await send_start(send, response.status, headers)
    body = b"" if method == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})
