"""A service that speaks rest-json: its requests as a whole, its errors by the service model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Unpack

from botocore.model import OperationModel, ServiceModel

from blemish.domain.access.principals import Signer
from blemish.domain.errors import InternalServerError, ServiceError, ValidationError
from blemish.wire.asgi import Receive, is_loopback_client
from blemish.wire.calls import Call
from blemish.wire.constraints import check_constraints
from blemish.wire.dispatch import Dispatcher, DispatchOptions
from blemish.wire.errors import (
    BodyTimeoutError,
    RequestEntityTooLargeError,
    UnknownOperationError,
    WireError,
)
from blemish.wire.handlers import BoundHandler, bind_handlers
from blemish.wire.messages import HttpRequest, HttpResponse
from blemish.wire.request_body import IDLE_S, BodyMemory, BufferedBody, read_body
from blemish.wire.rest_json import json_error_response, json_output_response, parse_json_request
from blemish.wire.routing import Router
from blemish.wire.signature import SignatureVerifier
from blemish.wire.wrong_secrets import WrongSecrets

WORKER_THREADS = 4
"""Requests that are worked on at once; others wait.

Every statement of SQLite gives up the interpreter and has to win it back. On two quiet cores 300
requests a second are answered within 0.15 s by 4 threads, within 1.2 s by 8, and 32 fall behind
without end, each waiting for the others.

Source: benchmarks/load.py.
"""

BODY_MEMORY_BYTES = 256 * 1024 * 1024


def rest_json_dispatcher(
    model: ServiceModel,
    handlers: Iterable[object],
    *,
    signer: Callable[[str], Signer | None],
    max_body_bytes: Callable[[str], int],
    body_memory: BodyMemory | None = None,
    idle_s: float = IDLE_S,
    clock_skew_s: int = 900,
    worker_threads: int = WORKER_THREADS,
    wrong_secrets: WrongSecrets | None = None,
    **options: Unpack[DispatchOptions],
) -> Dispatcher:
    """Return the application that answers the operations of a service by methods of some objects.

    An operation without a method is unknown to it.

    Args:
        model: the service model.
        handlers: objects with methods, as `wire.handlers` describes them.
        signer: returns the holder of an access key id, None if the key is unknown or disabled.
        max_body_bytes: returns the limit of an operation, by its name.
        body_memory: for all bodies over `SMALL_BYTES` together; by default `BODY_MEMORY_BYTES`.
        idle_s: a client that sends nothing of its body for so long is refused.
        clock_skew_s: how far a client's clock may be from ours.
        worker_threads: requests that are worked on at once.
        wrong_secrets: counts wrong signatures, for several services together.
        **options: see `Dispatcher`.

    Raises:
        TypeError: a method does not take the members of its operation.
    """
    verifier = SignatureVerifier(
        services={model.signing_name},
        signer=signer,
        clock=options["clock"],
        clock_skew_s=clock_skew_s,
        wrong_secrets=wrong_secrets,
    )
    service = RestJsonService(
        model,
        bind_handlers(model, handlers, complete=True),
        verifier=verifier,
        max_body_bytes=max_body_bytes,
        body_memory=body_memory or BodyMemory(BODY_MEMORY_BYTES),
        idle_s=idle_s,
    )
    return Dispatcher(service, worker_threads=worker_threads, **options)


class RestJsonService:
    """Reads and answers requests; see `wire.dispatch.ServiceProtocol`."""

    request_id_header = "x-amzn-requestid"

    def __init__(
        self,
        model: ServiceModel,
        handlers: Mapping[str, BoundHandler],
        *,
        verifier: SignatureVerifier,
        max_body_bytes: Callable[[str], int],
        body_memory: BodyMemory,
        idle_s: float,
    ) -> None:
        self.model = model
        self.handlers = handlers
        self.verifier = verifier
        self.max_body_bytes = max_body_bytes
        self.body_memory = body_memory
        self.idle_s = idle_s
        self._router = Router(model)

    def incoming(self, request: HttpRequest, receive: Receive) -> RestJsonRequest:
        return RestJsonRequest(self, request, receive)

    def operation(self, request: HttpRequest) -> OperationModel:
        """Return the operation that a request is for.

        Raises:
            UnknownOperationError: there is none, or it has no handler.
        """
        operation = self._router.operation(request.method, request.path)
        if operation.name not in self.handlers:
            raise UnknownOperationError(f"{operation.name} is not supported by this server.")
        return operation

    def check(self, handler: BoundHandler, members: Mapping[str, Any]) -> None:
        shape = self.model.operation_model(handler.operation).input_shape
        if shape:
            check_constraints(shape, members)

    def error_response(self, error: Exception, *, path: str, request_id: str) -> HttpResponse:
        del path, request_id
        assert isinstance(error, ServiceError | WireError)
        return json_error_response(self.model, error)

    def client_error(self, error: Exception, call: Call) -> Exception | None:
        del call
        return error if isinstance(error, ServiceError | WireError) else None

    def internal_error(self, message: str, call: Call) -> Exception:
        return InternalServerError(f"{message} Request id: {call.request_id}")


class RestJsonRequest:
    """A request whose body is read before its signature is checked: the body is signed, too."""

    def __init__(self, service: RestJsonService, request: HttpRequest, receive: Receive) -> None:
        self._service = service
        self._request = request
        self._receive = receive
        self._body: BufferedBody | None = None
        self._is_broken_off = False

    @asynccontextmanager
    async def received(self, call: Call) -> AsyncIterator[None]:
        """Find the operation by method and path, and read the body, which may take memory.

        Raises:
            UnknownOperationError: there is no such operation.
            ThrottlingError: there is no memory for the body.
            WireError, ClientGoneError: what `read_body` raises.
        """
        service, headers = self._service, self._request.headers
        call.operation = service.operation(self._request).name
        limit_bytes = service.max_body_bytes(call.operation)
        declared_bytes = _declared_bytes(headers)
        with service.body_memory.room(min(declared_bytes or limit_bytes, limit_bytes)) as room:
            try:
                self._body = await read_body(
                    self._receive,
                    limit_bytes=limit_bytes,
                    declared_bytes=declared_bytes,
                    idle_s=service.idle_s,
                    room=room,
                )
            except (RequestEntityTooLargeError, BodyTimeoutError):
                self._is_broken_off = True
                raise
            yield

    def identify(self, call: Call) -> Mapping[str, Any]:
        """Check the signature, and read the members.

        Raises:
            WireError: the signature is wrong, or a member is not of its type.
            ValidationError: the body is too large.
        """
        assert self._body is not None
        assert call.operation is not None
        body, service = self._body, self._service
        operation = service.model.operation_model(call.operation)
        call.caller = service.verifier.verify(
            self._request,
            body_sha256=body.sha256,
            unsigned_body=operation.has_streaming_input and _is_protected(call),
        )
        if body.content is None:
            raise ValidationError(
                f"The body has {body.size_bytes} bytes; {call.operation} takes at most "
                f"{service.max_body_bytes(call.operation)} bytes."
            )
        call.members = parse_json_request(operation, replace(self._request, body=body.content))
        return call.members

    def output_response(self, operation: OperationModel, call: Call) -> HttpResponse:
        assert call.answer is not None
        return json_output_response(operation, call.answer)

    async def is_drained(self) -> bool:
        """Return whether the body was not broken off."""
        return not self._is_broken_off


def _is_protected(call: Call) -> bool:
    """Return whether nobody between client and server can change a body."""
    return call.secure or is_loopback_client(call.source_ip)


def _declared_bytes(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None
