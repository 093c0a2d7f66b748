"""From an HTTP request to the handler of its operation and back: the ASGI application.

    route -> read the body -> who signed it -> members -> gates -> constraints -> handler -> answer

Reading is asynchronous; all that follows runs in a worker thread, so gates and handlers may block.
A handler whose work has to wait its turn returns a future instead, which is waited for without a
thread: however many of them wait, the others are answered.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar, TypeVarTuple, Unpack

import structlog
from anyio import CapacityLimiter, to_thread
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel
from structlog.typing import FilteringBoundLogger

from blemish.domain.access.principals import Signer
from blemish.domain.errors import InternalServerError, ServiceError, ValidationError
from blemish.wire.asgi import Receive, Scope, Send, client_address, http_request, send_start
from blemish.wire.calls import Call, Gate, Observer, observed
from blemish.wire.constraints import check_constraints
from blemish.wire.errors import (
    BodyTimeoutError,
    RequestEntityTooLargeError,
    UnknownOperationError,
    WireError,
)
from blemish.wire.messages import HttpRequest, HttpResponse
from blemish.wire.request_body import IDLE_S, BodyMemory, BufferedBody, ClientGoneError, read_body
from blemish.wire.rest_json import json_error_response, json_output_response, parse_json_request
from blemish.wire.routing import Router
from blemish.wire.signature import SignatureVerifier

logger: FilteringBoundLogger = structlog.get_logger(__name__)

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")
Handler = Callable[..., Mapping[str, Any]]
Answer = Mapping[str, Any] | Future[Mapping[str, Any]]


WORKER_THREADS = 4
"""Requests that are worked on at once; others wait.

Every statement of SQLite gives up the interpreter and has to win it back. On two quiet cores 300
requests a second are answered within 0.15 s by 4 threads, within 1.2 s by 8, and 32 fall behind
without end, each waiting for the others.

Source: benchmarks/load.py.
"""

APART_THREADS = 2
"""Requests that are worked on at once apart from the others; each is through soon."""


class Dispatcher:
    """Answers the operations of a service model by the methods of some objects.

    A method is named like its operation, in snake_case. It is called with the members that the
    request has, as keyword arguments in snake_case, and with the `call` if it has an argument of
    this name. It returns the members of the answer by their names in the model, or a future of
    them. An operation without a method is unknown here.
    """

    def __init__(
        self,
        model: ServiceModel,
        handlers: Iterable[object],
        *,
        signer: Callable[[str], Signer | None],
        clock: Callable[[], datetime],
        request_ids: Callable[[], str],
        max_body_bytes: Callable[[str], int],
        body_room_bytes: int = 256 * 1024 * 1024,
        idle_s: float = IDLE_S,
        gates: Sequence[Gate] = (),
        observers: Sequence[Observer] = (),
        clock_skew_s: int = 900,
        faults: Mapping[type[Exception], str] = MappingProxyType({}),
        worker_threads: int = WORKER_THREADS,
        apart: Collection[str] = (),
    ) -> None:
        """Put the parts together.

        `signer` knows whose an access key id is, and None for one that opens nothing;
        `max_body_bytes` the limit of an operation, by its name; all bodies over `SMALL_BYTES`
        together take no more than `body_room_bytes`, and nobody may send nothing of one for
        `idle_s`. A call passes the gates, in their order, and the observers are told of it at its
        end, whatever that is. As many requests as there are worker threads are worked on at once;
        others wait. The operations that are `apart` have threads of their own, for which they wait
        behind no other. `faults` is what a client is told of errors that it may learn about; of
        all others it learns the request id alone.

        Raises:
            TypeError: a method does not take the members of its operation.
        """
        self._model = model
        self._router = Router(model)
        self._handlers = _handlers_of(model, list(handlers))
        self._verifier = SignatureVerifier(
            services={model.signing_name}, signer=signer, clock=clock, clock_skew_s=clock_skew_s
        )
        self._clock = clock
        self._request_ids = request_ids
        self._gates = gates
        self._observers = observers
        self._max_body_bytes = max_body_bytes
        self._body_room = BodyMemory(body_room_bytes)
        self._idle_s = idle_s
        self._faults = faults
        self._worker_threads = CapacityLimiter(worker_threads)
        self._apart = apart
        self._apart_threads = CapacityLimiter(APART_THREADS)

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        limiters = self._worker_threads, self._apart_threads
        return sum(limiter.statistics().tasks_waiting for limiter in limiters)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = http_request(scope)
        call = Call(
            request_id=self._request_ids(),
            received_at=self._clock(),
            source_ip=client_address(scope),
            user_agent=request.headers.get("user-agent"),
            secure=scope.get("scheme") == "https",
        )
        with observed(call, self._observers):
            response = await self._settled(request, receive, call)
        if response is not None:
            await _send_response(send, response, request_id=call.request_id, method=request.method)

    async def invoke(self, call: Call) -> Mapping[str, Any]:
        """Answer a call that came by no request of its own, but has passed the same gates.

        Args:
            call: with its caller, its operation and its members.

        Returns:
            The members of the answer, by their names in the model; those that are None have no
            value.

        Raises:
            ServiceError, WireError: what a client would be told.
        """
        assert call.operation is not None
        with observed(call, self._observers):
            try:
                operation = self._model.operation_model(call.operation)
                answer = await self._in_thread(self._answer, operation, call)
                if isinstance(answer, Future):
                    answer = await asyncio.wrap_future(answer)
            except (ServiceError, WireError) as error:
                call.error = error
                call.status = json_error_response(self._model, error).status
                raise
            except Exception as error:  # the edge, as for a request
                logger.exception("the request failed")
                call.error = self._fault(call, error)
                call.status = json_error_response(self._model, call.error).status
                raise call.error from error
            call.answer, call.status = answer, operation.http.get("responseCode", 200)
            return answer

    async def _settled(
        self, request: HttpRequest, receive: Receive, call: Call
    ) -> HttpResponse | None:
        """Return the answer to a call, whatever went wrong; None if the client is gone."""
        try:
            response = await self._response(request, receive, call)
        except ClientGoneError as error:
            call.error = error
            return None
        except (ServiceError, WireError) as error:
            call.error = error
            response = json_error_response(self._model, error)
        except Exception as error:  # the edge: whatever it was, the client gets an answer
            logger.exception("the request failed")
            call.error = self._fault(call, error)
            response = json_error_response(self._model, call.error)
        call.status = response.status
        return response

    def _fault(self, call: Call, error: Exception) -> InternalServerError:
        """Return what the caller is told of an error that it may not learn."""
        told = (text for kind, text in self._faults.items() if isinstance(error, kind))
        reason = next(told, "The server failed.")
        return InternalServerError(f"{reason} Request id: {call.request_id}")

    async def _response(self, request: HttpRequest, receive: Receive, call: Call) -> HttpResponse:
        operation = self._router.operation(request.method, request.path)
        if operation.name not in self._handlers:
            raise UnknownOperationError(f"{operation.name} is not offered by this server.")
        call.operation = operation.name
        limit_bytes = self._max_body_bytes(operation.name)
        declared_bytes = _declared_bytes(request.headers)
        with self._body_room.reserve(min(_expected_bytes(request.headers), limit_bytes)):
            body = await read_body(
                receive,
                limit_bytes=limit_bytes,
                declared_bytes=declared_bytes,
                idle_s=self._idle_s,
            )
            request = replace(request, body=body.content or b"")
            done = await self._in_thread(self._perform, operation, request, body, call)
            if isinstance(done, HttpResponse):
                return done
            call.answer = await asyncio.wrap_future(done)
            return await self._in_thread(json_output_response, operation, call.answer)

    async def _in_thread(
        self,
        function: Callable[[OperationModel, Unpack[Arguments]], Result],
        operation: OperationModel,
        *arguments: *Arguments,
    ) -> Result:
        apart = operation.name in self._apart
        limiter = self._apart_threads if apart else self._worker_threads
        return await to_thread.run_sync(function, operation, *arguments, limiter=limiter)

    def _perform(
        self, operation: OperationModel, request: HttpRequest, body: BufferedBody, call: Call
    ) -> HttpResponse | Future[Mapping[str, Any]]:
        call.caller = self._verifier.verify(request, body_sha256=body.sha256)
        if body.content is None:
            raise ValidationError(
                f"The body has {body.size_bytes} bytes; {operation.name} takes at most "
                f"{self._max_body_bytes(operation.name)} bytes."
            )
        call.members = parse_json_request(operation, request)
        answer = self._answer(operation, call)
        if isinstance(answer, Future):
            return answer
        call.answer = answer
        return json_output_response(operation, answer)

    def _answer(self, operation: OperationModel, call: Call) -> Answer:
        for gate in self._gates:
            gate(call)
        if operation.input_shape:
            check_constraints(operation.input_shape, call.members)
        return self._handlers[operation.name](call)


def _handlers_of(model: ServiceModel, groups: list[object]) -> dict[str, Callable[[Call], Answer]]:
    handlers: dict[str, Callable[[Call], Answer]] = {}
    for name in model.operation_names:
        found = [getattr(group, xform_name(name), None) for group in groups]
        method = next(filter(None, found), None)
        if method is None:
            continue
        signature = inspect.signature(method)
        extra = {"call": None} if "call" in signature.parameters else {}
        shape = model.operation_model(name).input_shape
        if shape:
            # what it lacks shows when the server is put together, not when a client asks
            signature.bind(**arguments_of(shape.members), **extra)
            signature.bind(**arguments_of(dict.fromkeys(shape.required_members)), **extra)
        handlers[name] = partial(_handle, method, takes_call=bool(extra))
    return handlers


def _handle(method: Callable[..., Answer], call: Call, *, takes_call: bool) -> Answer:
    extra = {"call": call} if takes_call else {}
    return method(**arguments_of(call.members), **extra)


def arguments_of(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return members as a handler is called with them."""
    return {xform_name(name): value for name, value in members.items()}


def _declared_bytes(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _expected_bytes(headers: Mapping[str, str]) -> int:
    """Return how large a body will be at most; one that comes in chunks may be of any size."""
    return sys.maxsize if "transfer-encoding" in headers else _declared_bytes(headers) or 0


_UNREAD = {RequestEntityTooLargeError.code, BodyTimeoutError.code}
"""Errors of which the rest of the body is not read."""


async def _send_response(
    send: Send, response: HttpResponse, *, request_id: str, method: str
) -> None:
    headers = {
        **response.headers,
        "content-length": str(len(response.body)),
        "x-amzn-requestid": request_id,
    }
    if response.headers.get("x-amzn-errortype") in _UNREAD:
        headers["connection"] = "close"  # the rest of the body is not waited for
    await send_start(send, response.status, headers)
    body = b"" if method == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})
