"""A service that speaks rest-json: its requests as a whole, its errors by the service model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Unpack

from botocore.model import OperationModel, ServiceModel

from blemish.domain.access.principals import Principal, Signer
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
from blemish.wire.messages import HttpRequest, HttpResponse, may_have_body
from blemish.wire.request_body import EMPTY, IDLE_S, BodyMemory, read_body
from blemish.wire.rest_json import json_error_response, json_output_response, parse_json_request
from blemish.wire.routing import Router
from blemish.wire.signature import CONTENT_SHA256, UNSIGNED_PAYLOAD, Caller, SignatureVerifier
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
    """A request whose body is signed: the signature is checked by the hash of the body.

    Some clients send that hash in a header. Then the signature is checked before the body comes.
    """

    def __init__(self, service: RestJsonService, request: HttpRequest, receive: Receive) -> None:
        self._service = service
        self._request = request
        self._receive = receive
        self._body = EMPTY
        self._is_stored = True
        self._is_read = False
        self._is_broken_off = False
        self.has_body = may_have_body(request)

    def route(self, call: Call) -> None:
        """Find the operation by method and path.

        Raises:
            UnknownOperationError: there is none.
        """
        call.operation = self._service.operation(self._request).name

    def identify(self, call: Call) -> Principal:
        """Find the key; check the signature if that is possible without the body.

        Raises:
            WireError: the request is not signed, the key is unknown, or the signature is wrong.
        """
        service, request = self._service, self._request
        sent_sha256 = request.headers.get(CONTENT_SHA256)
        if self.has_body and sent_sha256 is None:
            return service.verifier.claimed(request)
        if not self.has_body:
            body_sha256 = EMPTY.sha256
        elif sent_sha256 == UNSIGNED_PAYLOAD:
            body_sha256 = ""
        else:
            body_sha256 = sent_sha256 or ""
        call.caller = self._verified(call, body_sha256)
        return call.caller.principal

    def skip_body(self) -> None:
        """Hash the body and store nothing."""
        self._is_stored = False

    @asynccontextmanager
    async def received(self, call: Call) -> AsyncIterator[None]:
        """Read the body, which may take memory.

        Raises:
            ThrottlingError: there is no memory for the body.
            WireError, ClientGoneError: what `read_body` raises.
        """
        if not self.has_body:
            yield
            return
        service, declared_bytes = self._service, _declared_bytes(self._request.headers)
        assert call.operation is not None
        limit_bytes = service.max_body_bytes(call.operation)
        self._is_read = True
        with service.body_memory.room(min(declared_bytes or limit_bytes, limit_bytes)) as room:
            try:
                self._body = await read_body(
                    self._receive,
                    limit_bytes=limit_bytes,
                    declared_bytes=declared_bytes,
                    idle_s=service.idle_s,
                    room=room,
                    is_stored=self._is_stored,
                )
            except (RequestEntityTooLargeError, BodyTimeoutError):
                self._is_broken_off = True
                raise
            yield

    def authenticate(self, call: Call) -> None:
        """Check the signature with the body.

        Raises:
            WireError: the signature is wrong.
        """
        sent_sha256 = self._request.headers.get(CONTENT_SHA256)
        is_right = not self.has_body or sent_sha256 in {self._body.sha256, UNSIGNED_PAYLOAD}
        if call.caller is None or not is_right:
            call.caller = self._verified(call, self._body.sha256)

    def read_members(self, call: Call) -> Mapping[str, Any]:
        """Read the members.

        Raises:
            WireError: a member is not of its type.
            ValidationError: the body is too large.
        """
        assert call.operation is not None
        body, service = self._body, self._service
        if body.content is None:
            raise ValidationError(
                f"The body has {body.size_bytes} bytes; {call.operation} takes at most "
                f"{service.max_body_bytes(call.operation)} bytes."
            )
        operation = service.model.operation_model(call.operation)
        call.members = parse_json_request(operation, replace(self._request, body=body.content))
        return call.members

    def output_response(self, operation: OperationModel, call: Call) -> HttpResponse:
        assert call.answer is not None
        return json_output_response(operation, call.answer)

    async def is_drained(self) -> bool:
        """Return whether all of the body was read, or comes without being waited for."""
        if not self._is_read and "expect" in self._request.headers:
            return False  # the client waits for permission to send it
        return not self._is_broken_off

    def _verified(self, call: Call, body_sha256: str) -> Caller:
        """Return the caller, if the signature is right for this hash of the body.

        Raises:
            WireError: it is not.
        """
        assert call.operation is not None
        operation = self._service.model.operation_model(call.operation)
        return self._service.verifier.verify(
            self._request,
            body_sha256=body_sha256,
            unsigned_body=operation.has_streaming_input and _is_protected(call),
        )


def _is_protected(call: Call) -> bool:
    """Return whether nobody between client and server can change a body."""
    return call.secure or is_loopback_client(call.source_ip)


def _declared_bytes(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None
