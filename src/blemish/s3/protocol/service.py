"""S3's own protocol: requests with bodies that stream, errors in XML, buckets in the host's name.

The signature is checked before the body comes. It says what of the body is signed; that is checked
when the body has come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Unpack, cast
from urllib.parse import parse_qsl, unquote

from anyio import CapacityLimiter
from botocore.model import OperationModel, ServiceModel

from blemish.domain.access.principals import Principal, Signer
from blemish.domain.errors import AccessDeniedError as PolicyDeniedError
from blemish.domain.errors import ThrottlingError
from blemish.s3.protocol.addressing import path_with_bucket
from blemish.s3.protocol.body import DOCUMENT_BYTES, BodyReceiver, StreamedBody, read_body_headers
from blemish.s3.protocol.browser_safety import SANDBOX, sandboxed
from blemish.s3.protocol.checksums import PREFIX
from blemish.s3.protocol.chunks import ChunkSigner
from blemish.s3.protocol.errors import (
    InternalError,
    MissingContentLengthError,
    NoSuchKeyError,
    S3AccessDeniedError,
    S3Error,
    SlowDownError,
    UnsupportedError,
)
from blemish.s3.protocol.post_object import PostObject, is_form
from blemish.s3.protocol.rest_xml import (
    parse_xml_request,
    streaming_payload,
    xml_error_response,
    xml_output_response,
)
from blemish.s3.protocol.signature import as_s3_error, signed_payload, verify
from blemish.s3.protocol.signature_v2 import is_version_2, verify_version_2, without_signature
from blemish.wire.asgi import Receive
from blemish.wire.calls import Call
from blemish.wire.canonical import canonical_query, decoded_query, object_path
from blemish.wire.dispatch import Dispatcher, DispatchOptions
from blemish.wire.errors import WireError
from blemish.wire.handlers import BoundHandler, bind_handlers
from blemish.wire.http_bindings import members_with_location, wire_name
from blemish.wire.messages import HttpRequest, HttpResponse, may_have_body
from blemish.wire.request_body import BodyMemory, ClientGoneError
from blemish.wire.routing import Router
from blemish.wire.sending import close_blocks
from blemish.wire.signature import UNSIGNED_PAYLOAD, SignatureVerifier
from blemish.wire.wrong_secrets import WrongSecrets

WORKER_THREADS = 32

FIRST_BYTES = 64 * 1024
"""Of a body that streams: received before a worker thread waits for the rest."""

SENT_DOCUMENT_BYTES = DOCUMENT_BYTES + DOCUMENT_BYTES // 4
"""Of a document as it comes, perhaps in signed chunks."""

DOCUMENTS_BYTES = 64 * 1024 * 1024
"""Memory for all documents together."""

DRAIN_BYTES = 16 * 1024 * 1024
"""Of a body that no handler reads: read here, so that its sender comes to see the response."""


def s3_dispatcher(
    model: ServiceModel,
    handlers: object,
    *,
    signer: Callable[[str], Signer | None],
    base_host_names: Collection[str] = (),
    clock_skew_s: int = 900,
    worker_threads: int = WORKER_THREADS,
    wrong_secrets: WrongSecrets | None = None,
    **options: Unpack[DispatchOptions],
) -> Dispatcher:
    """Return the application that answers the operations of S3 by the methods of an object.

    A request with a member that the method does not take is answered NotImplemented, except for
    members that describe the body, which the protocol deals with. A streamed body arrives as a
    `StreamedBody`, and is returned as an iterator of bytes with its ContentLength. `StatusCode` in
    the output replaces the usual status.

    Args:
        model: the service model of S3.
        handlers: an object with methods, as `wire.handlers` describes them.
        signer: returns the holder of an access key id, None if the key is unknown or disabled.
        base_host_names: names of the server; a bucket may stand in front of each.
        clock_skew_s: how far a client's clock may be from ours.
        worker_threads: requests that are worked on at once.
        wrong_secrets: counts wrong signatures, for several services together.
        **options: see `Dispatcher`.

    Raises:
        TypeError: a method does not take what its operation demands, or takes something else.
    """
    verifier = SignatureVerifier(
        services={model.signing_name},
        signer=signer,
        clock=options["clock"],
        clock_skew_s=clock_skew_s,
        path_form=object_path,
        query_forms=(canonical_query, decoded_query),
        wrong_secrets=wrong_secrets,
    )
    service = S3Service(
        model,
        bind_handlers(model, [handlers], complete=False),
        verifier=verifier,
        base_host_names=base_host_names,
        long_bodies=max(1, worker_threads * 3 // 4),
    )
    return Dispatcher(service, worker_threads=worker_threads, **options)


class S3Service:
    """Reads and answers requests to S3; see `wire.dispatch.ServiceProtocol`."""

    request_id_header = "x-amz-request-id"

    def __init__(
        self,
        model: ServiceModel,
        handlers: Mapping[str, BoundHandler],
        *,
        verifier: SignatureVerifier,
        base_host_names: Collection[str],
        long_bodies: int,
    ) -> None:
        self.model = model
        self.handlers = handlers
        self.verifier = verifier
        self._base_host_names = base_host_names
        self.document_memory = BodyMemory(DOCUMENTS_BYTES)
        self.long_bodies = CapacityLimiter(long_bodies)
        self._router = Router(model)
        self._body_members = {
            name: frozenset(_body_members(model.operation_model(name))) for name in handlers
        }

    def incoming(self, request: HttpRequest, receive: Receive) -> S3Request:
        return S3Request(self, request, BodyReceiver(receive))

    def addressed(self, request: HttpRequest) -> HttpRequest:
        """Return a request with its bucket in the path."""
        path = path_with_bucket(
            request.path,
            host=request.headers.get("host", ""),
            base_host_names=self._base_host_names,
        )
        return replace(request, path=path)

    def operation(self, request: HttpRequest) -> OperationModel:
        """Return the operation that a request is for.

        Raises:
            UnknownOperationError: S3 has none.
            UnsupportedError: it has no handler.
        """
        operation = self._router.operation(
            request.method, request.path, query=request.query, headers=request.headers
        )
        if operation.name not in self.handlers:
            raise UnsupportedError(f"{operation.name} is not supported by this server.")
        return operation

    def streams(self, operation: str) -> bool:
        """Return whether a handler reads the body of an operation while it comes."""
        return streaming_payload(self.model.operation_model(operation).input_shape) is not None

    def check(self, handler: BoundHandler, members: Mapping[str, Any]) -> None:
        for name in members.keys() - handler.members - self._body_members[handler.operation]:
            raise UnsupportedError(f"{handler.operation} is not supported with {name}.")

    def output_response(self, operation: OperationModel, call: Call) -> HttpResponse:
        output = call.answer or {}
        streamed = streaming_payload(operation.output_shape)
        blocks = cast("Iterator[bytes] | None", output.get(streamed) if streamed else None)
        try:
            response = replace(xml_output_response(operation, output), blocks=blocks)
        except (ValueError, S3Error):
            close_blocks(blocks)
            raise
        if streamed is None:
            return replace(response, headers={**response.headers, **SANDBOX})
        return sandboxed(response, presigned=call.caller is not None and call.caller.presigned)

    def error_response(self, error: Exception, *, path: str, request_id: str) -> HttpResponse:
        assert isinstance(error, S3Error)
        resource = unquote(path, errors="replace")
        response = xml_error_response(error, resource=resource, request_id=request_id)
        return replace(response, headers={**response.headers, **SANDBOX})

    def client_error(self, error: Exception, call: Call) -> Exception | None:
        match error:
            case NoSuchKeyError() if call.concealment is not None:
                return S3AccessDeniedError(call.concealment)
            case WireError():
                return as_s3_error(error)
            case ThrottlingError():
                return SlowDownError(error.message)
            case PolicyDeniedError():
                return S3AccessDeniedError(error.message)
            case S3Error():
                return error
            case _:
                return None

    def internal_error(self, message: str, call: Call) -> Exception:
        del call  # S3 has an element of its own for the request id
        return InternalError(message)


class S3Request:
    """A request whose head is signed, so that the caller is known before the body comes.

    A document comes before a worker thread takes it. A handler reads a streamed body while it
    comes, and begins when the first part is there. Of a form, the fields are signed.
    """

    def __init__(self, service: S3Service, request: HttpRequest, receiver: BodyReceiver) -> None:
        self._service = service
        self._request = request
        self._receiver = receiver
        self._form: PostObject | None = None
        self._signed = request
        self._signer: ChunkSigner | None = None
        self._is_form = is_form(request)
        self.has_body = may_have_body(request)

    def route(self, call: Call) -> None:
        """Do nothing: the signature is checked first."""

    def identify(self, call: Call) -> Principal | None:
        """Check the signature, and find the operation; a form has both in its body.

        Raises:
            WireError, S3Error: the request is refused.
        """
        if self._is_form:
            return None
        service = self._service
        request, self._signer = self._verified(call)
        self._signed = _with_hoisted_headers(request)
        call.operation = service.operation(self._signed).name
        assert call.caller is not None
        return call.caller.principal

    def skip_body(self) -> None:
        """Do nothing: nothing of a body is stored before the caller is known."""

    @asynccontextmanager
    async def received(self, call: Call) -> AsyncIterator[None]:
        """Receive a document; of a longer body as much as a worker thread begins with.

        Raises:
            ThrottlingError: there is no memory for the document.
            S3Error, ClientGoneError: what `BodyReceiver.fill` raises.
        """
        try:
            async with self._first_part(call):
                yield
        except BaseException:
            self._receiver.stop()
            raise

    @asynccontextmanager
    async def _first_part(self, call: Call) -> AsyncIterator[None]:
        service, receiver = self._service, self._receiver
        if not self.has_body:
            yield
        elif call.operation is None or service.streams(call.operation):
            if "expect" not in self._request.headers:  # else it waits for the handler to ask
                await receiver.fill(FIRST_BYTES)
            if receiver.has_ended:
                yield
                return
            async with service.long_bodies:
                yield
        else:
            with service.document_memory.room(SENT_DOCUMENT_BYTES) as room:
                await receiver.fill(SENT_DOCUMENT_BYTES, room=room)
                yield

    def authenticate(self, call: Call) -> None:
        """Check the signature of a form, as that of any other request has been.

        Raises:
            WireError, S3Error: the form is refused.
        """
        if not self._is_form:
            return
        service = self._service
        form = PostObject(service.addressed(self._request), self._receiver.pull)
        verifier = service.verifier
        with verifier.counted(self._request, "of a form"):
            call.caller = form.verified(signer=verifier.signer, now=verifier.clock())
        self._form = form
        self._signed = form.put_request()
        call.operation = service.operation(self._signed).name

    def read_members(self, call: Call) -> Mapping[str, Any]:
        """Read the members.

        Raises:
            WireError, S3Error: the request is refused.
        """
        service, request = self._service, self._signed
        assert call.operation is not None
        operation = service.model.operation_model(call.operation)
        body_headers = read_body_headers(
            request.headers,
            payload=UNSIGNED_PAYLOAD if self._form else signed_payload(self._request),
            checked=_checks_body(operation),
        )
        pull = self._form.pull_file if self._form else self._receiver.pull
        body = StreamedBody(pull, body_headers, signer=self._signer)
        streamed = streaming_payload(operation.input_shape)
        if streamed is None:
            request = replace(request, body=body.read_all(DOCUMENT_BYTES))
        elif body_headers.size_bytes is None and self._form is None:
            raise MissingContentLengthError("The request lacks Content-Length.")
        call.members = parse_xml_request(operation, request)
        return {**call.members, streamed: body} if streamed else call.members

    def output_response(self, operation: OperationModel, call: Call) -> HttpResponse:
        response = self._service.output_response(operation, call)
        return self._form.response(response) if self._form else response

    def _verified(self, call: Call) -> tuple[HttpRequest, ChunkSigner | None]:
        """Find out the caller; return the request with its bucket, and the signer of its chunks."""
        verifier, request = self._service.verifier, self._service.addressed(self._request)
        if is_version_2(request):
            with verifier.counted(request, "of version 2"):
                call.caller = verify_version_2(
                    self._request, path=request.path, signer=verifier.signer, now=verifier.clock()
                )
            return without_signature(request), None
        call.caller, signer = verify(verifier, self._request)
        return request, signer

    async def is_drained(self) -> bool:
        """Read what is left of the body, up to a limit; return whether that was all of it."""
        receiver = self._receiver
        if not receiver.has_started and "expect" in self._request.headers:
            return False  # the client waits for permission to send it
        left_bytes = DRAIN_BYTES
        try:
            while left_bytes > 0 and not receiver.has_ended:
                left_bytes -= len(await receiver.next_block())
        except (ClientGoneError, S3Error):
            return False
        finally:
            receiver.stop()
        return receiver.has_ended


def _with_hoisted_headers(request: HttpRequest) -> HttpRequest:
    """Return a request in which `x-amz-` parameters of a presigned URL are headers.

    The content encoding loses `aws-chunked`: that is how the body travels, not what it is.
    """
    headers = {
        name.lower(): value
        for name, value in parse_qsl(request.query, keep_blank_values=True)
        if name.lower().startswith("x-amz-")
    } | dict(request.headers)
    codings = [coding.strip() for coding in headers.pop("content-encoding", "").split(",")]
    if lasting := [coding for coding in codings if coding and coding.lower() != "aws-chunked"]:
        headers["content-encoding"] = ",".join(lasting)
    return replace(request, headers=headers)


def _body_members(operation: OperationModel) -> Iterator[str]:
    """Yield the members that describe the body of an operation."""
    shape = operation.input_shape
    if shape is None:
        return
    for name, member in members_with_location(shape, "header").items():
        header = wire_name(member).lower()
        is_checksum = header.startswith(PREFIX) or header == "x-amz-sdk-checksum-algorithm"
        if header in {"content-length", "content-md5"} or (is_checksum and _checks_body(operation)):
            yield name


def _checks_body(operation: OperationModel) -> bool:
    """Return whether the checksums in the headers of an operation are those of its body."""
    return "requestAlgorithmMember" in operation.http_checksum
