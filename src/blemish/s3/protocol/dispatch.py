"""From an HTTP request to S3's handler and back, with bodies that stream: the ASGI application.

    who signed it -> operation -> members -> handler, which reads the body -> answer, in blocks

All but the passing of bytes runs in a worker thread, so handlers may block. The signature is
checked before the body comes; what it says of the body is checked when the body has come.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import anyio
import structlog
from anyio import CancelScope, CapacityLimiter, to_thread
from botocore.model import OperationModel, ServiceModel
from structlog.typing import FilteringBoundLogger

from blemish.domain.access.principals import Signer
from blemish.domain.errors import AccessDeniedError as AccessDenied
from blemish.s3.protocol.addressing import path_with_bucket
from blemish.s3.protocol.body import (
    DOCUMENT_BYTES,
    BodyReceiver,
    StreamedBody,
    read_body_headers,
)
from blemish.s3.protocol.errors import (
    AccessDeniedError,
    InternalError,
    MissingContentLengthError,
    NoSuchKeyError,
    S3Error,
    UnsupportedError,
)
from blemish.s3.protocol.offers import checks_body, offers_of
from blemish.s3.protocol.rest_xml import (
    parse_xml_request,
    streaming_payload,
    xml_error_response,
    xml_output_response,
)
from blemish.s3.protocol.signature import as_s3_error, signed_payload, verify
from blemish.wire.asgi import Receive, Scope, Send, client_address, http_request, send_start
from blemish.wire.calls import Call, Gate, Observer, observed
from blemish.wire.canonical import canonical_query, decoded_query, object_path
from blemish.wire.errors import WireError
from blemish.wire.messages import HttpRequest, HttpResponse
from blemish.wire.request_body import ClientGoneError
from blemish.wire.routing import Router
from blemish.wire.signature import SignatureVerifier

logger: FilteringBoundLogger = structlog.get_logger(__name__)

DRAIN_BYTES = 16 * 1024 * 1024
"""Of a body that nobody wants: read, so that its sender comes to see the answer."""

_BODYLESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: a whole body, or blocks that are made while they are sent."""

    response: HttpResponse
    blocks: Iterator[bytes] | None = None


class StreamingDispatcher:
    """Answers the operations of S3's model by the methods of an object.

    A method is named like its operation, in snake_case, and takes members as keyword arguments in
    snake_case. What it takes is what is offered: a request with any other member is answered
    NotImplemented, but for what says how the body is sent and checked, which is seen to here.

    A body that streams arrives as a `StreamedBody`. A method returns the members of the answer by
    their names in the model; a body that streams as an iterator of bytes with ContentLength, and
    `StatusCode` where the status is not the usual one.
    """

    def __init__(
        self,
        model: ServiceModel,
        handlers: object,
        *,
        signer: Callable[[str], Signer | None],
        clock: Callable[[], datetime],
        request_ids: Callable[[], str],
        base_host_names: Collection[str] = (),
        gates: Sequence[Gate] = (),
        observers: Sequence[Observer] = (),
        clock_skew_s: int = 900,
        faults: Mapping[type[Exception], str] = MappingProxyType({}),
        worker_threads: int = 32,
    ) -> None:
        """Put the parts together.

        `signer` knows whose an access key id is, and None for one that opens nothing. A
        bucket may stand in front of each of the host names. A call passes the gates, in their
        order, and the observers are told of it when its answer is known. `faults` is what a client
        is told of errors that it may learn about; of all others it learns the request id alone.

        Raises:
            TypeError: a method does not take what its operation demands, or takes something else.
        """
        self._router = Router(model)
        self._offers = offers_of(model, handlers)
        self._verifier = SignatureVerifier(
            services={model.signing_name},
            signer=signer,
            clock=clock,
            clock_skew_s=clock_skew_s,
            unsigned_payload=True,
            path_form=object_path,
            query_forms=(canonical_query, decoded_query),
        )
        self._clock = clock
        self._request_ids = request_ids
        self._gates = gates
        self._observers = observers
        self._base_host_names = base_host_names
        self._faults = faults
        self._worker_threads = CapacityLimiter(worker_threads)

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return self._worker_threads.statistics().tasks_waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        incoming = BodyReceiver(receive)
        request = http_request(scope)
        call = Call(
            request_id=self._request_ids(),
            received_at=self._clock(),
            source_ip=client_address(scope),
            user_agent=request.headers.get("user-agent"),
            secure=scope.get("scheme") == "https",
        )
        with observed(call, self._observers):
            answer = await self._settled(request, incoming, call)
        if answer is None:
            return
        headers = {**answer.response.headers, "x-amz-request-id": call.request_id}
        if not await _is_drained(incoming, request):
            headers["connection"] = "close"
        response = replace(answer.response, headers=headers)
        if answer.blocks is None:
            await _send_whole(send, response, method=request.method)
        else:
            await self._send_blocks(send, receive, response, answer.blocks)

    async def _settled(
        self, request: HttpRequest, incoming: BodyReceiver, call: Call
    ) -> Answer | None:
        """Return the answer to a call, whatever went wrong; None if the client is gone."""
        try:
            answer = await to_thread.run_sync(
                self._perform, request, incoming, call, limiter=self._worker_threads
            )
        except ClientGoneError as error:
            call.error = error
            return None
        except (S3Error, WireError, AccessDenied) as error:
            call.error = told = _told(error, call)
            answer = _error_answer(told, request, call.request_id)
        except Exception as error:  # the edge: whatever it was, the client gets an answer
            logger.exception("the request failed")
            reasons = (text for kind, text in self._faults.items() if isinstance(error, kind))
            call.error = told = InternalError(next(reasons, "The server failed."))
            answer = _error_answer(told, request, call.request_id)
        call.status = answer.response.status
        return answer

    def _perform(self, request: HttpRequest, incoming: BodyReceiver, call: Call) -> Answer:
        call.caller, signer = verify(self._verifier, request)
        payload = signed_payload(request)
        request = _with_hoisted_headers(self._addressed(request))
        operation = self._router.operation(
            request.method, request.path, query=request.query, headers=request.headers
        )
        call.operation = operation.name
        offer = self._offers.get(operation.name)
        if offer is None:
            raise UnsupportedError(f"{operation.name} is not offered by this server.")
        said = read_body_headers(request.headers, payload=payload, checked=checks_body(operation))
        body = StreamedBody(incoming.pull, said, signer=signer)
        streamed = streaming_payload(operation.input_shape)
        if streamed is None:
            request = replace(request, body=body.read_all(DOCUMENT_BYTES))
        elif said.size_bytes is None:
            raise MissingContentLengthError("The request lacks Content-Length.")
        call.members = parse_xml_request(operation, request)
        for gate in self._gates:
            gate(call)
        members = dict(call.members)
        if streamed is not None:
            members[streamed] = body
        call.answer = offer.call(members, call)
        return _answer(operation, call.answer)

    def _addressed(self, request: HttpRequest) -> HttpRequest:
        path = path_with_bucket(
            request.path,
            host=request.headers.get("host", ""),
            base_host_names=self._base_host_names,
        )
        return replace(request, path=path)

    async def _send_blocks(
        self, send: Send, receive: Receive, response: HttpResponse, blocks: Iterator[bytes]
    ) -> None:
        """Send a body block by block; an error on the way breaks the connection off."""
        try:
            await send_start(send, response.status, response.headers)
            async with anyio.create_task_group() as group:
                group.start_soon(_cancel_when_gone, receive, group.cancel_scope)
                while (block := await self._next(blocks)) is not None:
                    await send({"type": "http.response.body", "body": block, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
                group.cancel_scope.cancel()
        finally:
            _close(blocks)

    async def _next(self, blocks: Iterator[bytes]) -> bytes | None:
        return await to_thread.run_sync(next, blocks, None, limiter=self._worker_threads)


def _with_hoisted_headers(request: HttpRequest) -> HttpRequest:
    """Take `x-amz-` parameters of a presigned link as the headers that they stand for.

    The framing of aws-chunked is taken off the content's coding, too: it is not the object's.
    """
    headers = {
        name.lower(): value
        for name, value in parse_qsl(request.query, keep_blank_values=True)
        if name.lower().startswith("x-amz-")
    } | dict(request.headers)
    codings = [each.strip() for each in headers.pop("content-encoding", "").split(",")]
    if kept := [each for each in codings if each and each.lower() != "aws-chunked"]:
        headers["content-encoding"] = ",".join(kept)
    return replace(request, headers=headers)


def _answer(operation: OperationModel, output: Mapping[str, Any]) -> Answer:
    streamed = streaming_payload(operation.output_shape)
    blocks = output.get(streamed) if streamed else None
    try:
        return Answer(
            xml_output_response(operation, output), cast("Iterator[bytes] | None", blocks)
        )
    except (ValueError, S3Error):
        _close(blocks)
        raise


def _told(error: S3Error | WireError | AccessDenied, call: Call) -> S3Error:
    match error:
        case NoSuchKeyError() if call.concealment is not None:
            return AccessDeniedError(call.concealment)
        case WireError():
            return as_s3_error(error)
        case AccessDenied():
            return AccessDeniedError(error.message)
        case _:
            return error


def _error_answer(error: S3Error, request: HttpRequest, request_id: str) -> Answer:
    resource = unquote(request.path, errors="replace")
    return Answer(xml_error_response(error, resource=resource, request_id=request_id))


async def _is_drained(incoming: BodyReceiver, request: HttpRequest) -> bool:
    """Read what is left of a body; tell whether that was all of it."""
    if not incoming.begun and "expect" in request.headers:
        return False  # the client waits to be told to send it
    left = DRAIN_BYTES
    try:
        while left > 0 and not incoming.ended:
            left -= len(await incoming.next_block())
    except (ClientGoneError, S3Error):
        return False
    return incoming.ended


async def _send_whole(send: Send, response: HttpResponse, *, method: str) -> None:
    headers, body = dict(response.headers), response.body
    if response.status in _BODYLESS:
        headers.pop("content-type", None)
        headers.pop("content-length", None)
        body = b""
    else:
        headers.setdefault("content-length", str(len(body)))
    await send_start(send, response.status, headers)
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


async def _cancel_when_gone(receive: Receive, scope: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _close(blocks: object) -> None:
    close = getattr(blocks, "close", None)
    if close is not None:
        close()
