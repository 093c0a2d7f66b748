"""The pipeline from an HTTP request to the handler of its operation and back, for any protocol.

    head -> key, signature of the head, operation -> action -> room, body -> signature of the body
         -> members -> gates: the resources -> checks -> handler -> response

Identity comes before cost: whoever is not known, or may not do such a thing at all, is refused
before the body comes. The head comes from the server, which bounds it. `Dispatcher._response` has
the order of the steps, for every protocol; a `ServiceProtocol` says how requests are read and how
responses are written.

Bodies come without a thread; the rest runs in worker threads, so gates and handlers may block. A
handler may return a coroutine function, or be one: this runs in the event loop, where a request
that waits holds no thread. The coroutine may end in a function that makes the output; it runs in
the worker thread that writes the response.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Protocol, Required, TypedDict, TypeVar, TypeVarTuple, Unpack

import structlog
from anyio import CapacityLimiter, to_thread
from botocore.model import OperationModel, ServiceModel
from structlog.typing import FilteringBoundLogger

from blemish.domain.access.principals import Principal
from blemish.domain.errors import AccessDeniedError
from blemish.wire.asgi import Receive, Scope, Send, client_address, http_request
from blemish.wire.calls import ActionGate, Call, Gate, Observer, observed
from blemish.wire.errors import RETRY_AFTER_S, WireError
from blemish.wire.handlers import BoundHandler
from blemish.wire.messages import HttpRequest, HttpResponse
from blemish.wire.request_body import ClientGoneError
from blemish.wire.sending import send_response

logger: FilteringBoundLogger = structlog.get_logger(__name__)

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")
Output = Mapping[str, Any]
Waiting = Callable[[], Awaitable[Output | Callable[[], Output]]]
"""What a handler waits for in the event loop."""

DEDICATED_THREADS = 2
"""Worker threads of each group of operations that do not share the others."""

UNKNOWN_CAUSE = "The server failed."


class DispatchOptions(TypedDict, total=False):
    """Arguments of a `Dispatcher` that functions pass on."""

    clock: Required[Callable[[], datetime]]
    request_ids: Required[Callable[[], str]]
    action_gate: ActionGate | None
    gates: Sequence[Gate]
    observers: Sequence[Observer]
    error_messages: Mapping[type[Exception], str | WireError]
    logged_errors: tuple[type[Exception], ...]
    dedicated: Sequence[Collection[str]]


class IncomingRequest(Protocol):
    """A request while a protocol reads it, by the steps of the pipeline."""

    #: whether something may come after the head
    has_body: bool

    def route(self, call: Call) -> None:
        """Find the operation of a call, if method and path alone name it, in the event loop."""

    def identify(self, call: Call) -> Principal | None:
        """Find caller and operation of a call by its head, in a worker thread.

        Returns:
            The holder of the key that the head names; None if the body names it. The call has a
            caller only if the signature of the head alone shows that it is this one.
        """

    def skip_body(self) -> None:
        """Store nothing of the body, which may be needed to check the signature all the same."""

    def received(self, call: Call) -> AbstractAsyncContextManager[None]:
        """Return a context in which the parts that no worker thread may wait for have arrived."""

    def authenticate(self, call: Call) -> None:
        """Make sure that the call has its caller, in a worker thread."""

    def read_members(self, call: Call) -> Mapping[str, Any]:
        """Read the members of a call, in a worker thread.

        Returns:
            The members for the handler, a streamed body among them.
        """

    def output_response(self, operation: OperationModel, call: Call) -> HttpResponse:
        """Return the response with the members that `call.answer` holds."""

    async def is_drained(self) -> bool:
        """Return whether the connection can be used again: no more of the body will come."""


class ServiceProtocol(Protocol):
    """How the requests to a service are read, and how they are answered."""

    model: ServiceModel
    handlers: Mapping[str, BoundHandler]
    #: the header that names the request in a response
    request_id_header: str

    def incoming(self, request: HttpRequest, receive: Receive) -> IncomingRequest:
        """Start to read a request."""

    def check(self, handler: BoundHandler, members: Mapping[str, Any]) -> None:
        """Accept the members of a call that has passed the gates, or raise an error for clients."""

    def error_response(self, error: Exception, *, path: str, request_id: str) -> HttpResponse:
        """Return the response with an error that `client_error` or `internal_error` returned."""

    def client_error(self, error: Exception, call: Call) -> Exception | None:
        """Return an error as the protocol expresses it, or None if clients must not see it."""

    def internal_error(self, message: str, call: Call) -> Exception:
        """Return the error that replaces one that clients must not see."""


class Dispatcher:
    """Answers the operations of a service: an ASGI application, and a function for the console."""

    def __init__(
        self,
        protocol: ServiceProtocol,
        *,
        clock: Callable[[], datetime],
        request_ids: Callable[[], str],
        worker_threads: int,
        action_gate: ActionGate | None = None,
        gates: Sequence[Gate] = (),
        observers: Sequence[Observer] = (),
        error_messages: Mapping[type[Exception], str | WireError] = MappingProxyType({}),
        logged_errors: tuple[type[Exception], ...] = (),
        dedicated: Sequence[Collection[str]] = (),
    ) -> None:
        """Create a dispatcher.

        Args:
            protocol: reads requests and writes responses.
            clock: the time at which a request came.
            request_ids: returns a new id.
            worker_threads: requests that are worked on at once; others wait.
            action_gate: refuses who may not do such a thing at all, before the body comes.
            gates: each lets a call pass or refuses it, in this order.
            observers: called at the end of each call.
            error_messages: messages of internal errors that clients may see, or the errors that
                they see instead; for other errors they see only the request id.
            logged_errors: internal errors that others log, and the dispatcher does not.
            dedicated: groups of operations. Each group has its own worker threads, and waits for
                no others.
        """
        self._protocol = protocol
        self._clock = clock
        self._request_ids = request_ids
        self._action_gate = action_gate
        self._gates = gates
        self._observers = observers
        self._error_messages = error_messages
        self._logged_errors = logged_errors
        self._worker_threads = CapacityLimiter(worker_threads)
        self._dedicated_threads = {
            frozenset(operations): CapacityLimiter(DEDICATED_THREADS) for operations in dedicated
        }

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a thread."""
        limiters = self._worker_threads, *self._dedicated_threads.values()
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
        incoming = self._protocol.incoming(request, receive)
        with observed(call, self._observers):
            response = await self._response_or_error(incoming, call, path=request.path)
        if response is None:
            return
        headers = {**response.headers, self._protocol.request_id_header: call.request_id}
        if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.setdefault("retry-after", RETRY_AFTER_S)
        if not await incoming.is_drained():
            headers["connection"] = "close"
        await send_response(
            replace(response, headers=headers),
            method=request.method,
            receive=receive,
            send=send,
            threads=self._worker_threads,
        )

    async def invoke(self, call: Call) -> Output:
        """Answer a call from inside the process, which passes the same gates and checks.

        Args:
            call: with its caller, its operation and its members.

        Returns:
            The members of the output by their names in the model; those that are None are absent.

        Raises:
            ServiceError, WireError: the error that a client would get.
        """
        try:
            with observed(call, self._observers):
                return await self._invoked(call)
        finally:
            call.error = None  # the caller has it, with frames that hold the call

    async def _invoked(self, call: Call) -> Output:
        assert call.operation is not None
        operation = self._protocol.model.operation_model(call.operation)
        try:
            output = await self._in_thread(call, self._start, call.members, call)
            if callable(output):
                output = await self._in_thread(call, _final_output, await output())
        except Exception as error:
            call.error = self._visible_error(error, call)
            call.status = self._error_response(call.error, call).status
            _forget_frames(error)
            if call.error is error:
                raise
            raise call.error from error
        call.answer, call.status = output, operation.http.get("responseCode", 200)
        return output

    async def _response_or_error(
        self, incoming: IncomingRequest, call: Call, *, path: str
    ) -> HttpResponse | None:
        """Return the response to a call, whatever goes wrong; None if the client is gone."""
        try:
            response = await self._response(incoming, call)
        except ClientGoneError as error:
            call.error = error
            _forget_frames(error)
            return None
        except Exception as error:  # noqa: BLE001 - the edge: the client gets an answer
            call.error = self._visible_error(error, call)
            response = self._error_response(call.error, call, path=path)
            _forget_frames(error)
        call.status = response.status
        return response

    async def _response(self, incoming: IncomingRequest, call: Call) -> HttpResponse:
        denial = None
        incoming.route(call)
        if incoming.has_body:
            denial = await self._in_thread(call, self._admit, incoming, call)
        async with incoming.received(call):
            started = await self._in_thread(call, self._perform, incoming, call, denial)
            if isinstance(started, HttpResponse):
                return started
            output = await started()
            return await self._in_thread(call, self._output_response, incoming, call, output)

    def _admit(self, incoming: IncomingRequest, call: Call) -> AccessDeniedError | None:
        """Refuse a request by its head.

        Returns:
            The error of a caller who may not do this and whose signature needs the body: only the
            holder of a key may learn what the key may do.
        """
        principal = incoming.identify(call)
        if principal is None or self._action_gate is None or call.operation is None:
            return None
        try:
            self._action_gate(principal, call.operation)
        except AccessDeniedError as denial:
            if call.caller is not None:
                raise
            incoming.skip_body()
            return denial
        return None

    def _perform(
        self, incoming: IncomingRequest, call: Call, denial: AccessDeniedError | None
    ) -> HttpResponse | Waiting:
        if not incoming.has_body:
            denial = self._admit(incoming, call)
        incoming.authenticate(call)
        if denial is not None:
            raise denial
        started = self._start(incoming.read_members(call), call)
        return started if callable(started) else self._output_response(incoming, call, started)

    def _start(self, members: Mapping[str, Any], call: Call) -> Output | Waiting:
        """Return the output of a handler, or what it waits for."""
        assert call.operation is not None
        handler = self._protocol.handlers[call.operation]
        for gate in self._gates:
            gate(call)
        self._protocol.check(handler, members)
        if handler.is_async:
            return partial(handler, members, call)
        started: Output | Waiting = handler(members, call)
        return started

    def _output_response(
        self, incoming: IncomingRequest, call: Call, output: Output | Callable[[], Output]
    ) -> HttpResponse:
        assert call.operation is not None
        call.answer = _final_output(output)
        operation = self._protocol.model.operation_model(call.operation)
        return incoming.output_response(operation, call)

    def _visible_error(self, error: Exception, call: Call) -> Exception:
        """Return the error that the client sees; others are logged."""
        visible = self._protocol.client_error(error, call)
        if visible is not None:
            return visible
        if not isinstance(error, self._logged_errors):
            logger.error("the request failed", exc_info=error)
        messages = (text for kind, text in self._error_messages.items() if isinstance(error, kind))
        message = next(messages, UNKNOWN_CAUSE)
        if isinstance(message, WireError):
            return self._protocol.client_error(message, call) or message
        return self._protocol.internal_error(message, call)

    def _error_response(self, error: Exception, call: Call, *, path: str = "") -> HttpResponse:
        return self._protocol.error_response(error, path=path, request_id=call.request_id)

    async def _in_thread(
        self,
        call: Call,
        function: Callable[[Unpack[Arguments]], Result],
        *arguments: *Arguments,
    ) -> Result:
        limiter = self._limiter(call.operation)
        return await to_thread.run_sync(function, *arguments, limiter=limiter)

    def _limiter(self, operation: str | None) -> CapacityLimiter:
        for operations, limiter in self._dedicated_threads.items():
            if operation in operations:
                return limiter
        return self._worker_threads


def _final_output(output: Output | Callable[[], Output]) -> Output:
    return output() if callable(output) else output


def _forget_frames(error: BaseException | None) -> None:
    """Let an error, and those that it came from, go without the frames that it passed.

    Those hold the call, which holds the error: the request with its body would stay in memory until
    a collection of garbage, which would have more to do.
    """
    passed: set[int] = set()
    errors = [error]
    while errors:
        error = errors.pop()
        if error is None or id(error) in passed:  # a cause may come from its effect
            continue
        passed.add(id(error))
        error.__traceback__ = None
        errors += [error.__cause__, error.__context__]
        if isinstance(error, BaseExceptionGroup):
            errors += error.exceptions
