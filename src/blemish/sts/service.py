"""AWS STS over the query protocol: GetCallerIdentity, which needs no permission.

Requests for services that this server does not have are refused in the form of that protocol.

Source: AWS Security Token Service API Reference, "GetCallerIdentity" and "Common errors"; Smithy,
"AWS query protocol".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Unpack
from urllib.parse import parse_qsl

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from blemish.domain.access.principals import Principal, Signer
from blemish.wire.asgi import Receive
from blemish.wire.calls import Call
from blemish.wire.dispatch import Dispatcher, DispatchOptions
from blemish.wire.errors import (
    BodyTimeoutError,
    IncompleteSignatureError,
    InvalidSignatureError,
    MissingAuthenticationTokenError,
    ProtocolError,
    RequestEntityTooLargeError,
    UnrecognizedClientError,
    WireError,
)
from blemish.wire.handlers import BoundHandler, bind_handlers
from blemish.wire.messages import HttpRequest, HttpResponse, may_have_body
from blemish.wire.request_body import BufferedBody, read_body
from blemish.wire.signature import SignatureVerifier
from blemish.wire.signature_claims import read_signature_claim
from blemish.wire.wrong_secrets import WrongSecrets
from blemish.wire.xml_writer import members_to_xml, text_element

MAX_BODY_BYTES = 64 * 1024
WORKER_THREADS = 1
VERSION = "2011-06-15"
SERVICE = "sts"

CODES: Mapping[type[WireError], tuple[str, int]] = {
    BodyTimeoutError: ("RequestExpired", 400),
    IncompleteSignatureError: ("IncompleteSignature", 400),
    InvalidSignatureError: ("SignatureDoesNotMatch", 403),
    MissingAuthenticationTokenError: ("MissingAuthenticationToken", 403),
    RequestEntityTooLargeError: ("ValidationError", 400),
    UnrecognizedClientError: ("InvalidClientTokenId", 403),
}
"""Codes and statuses of STS for the errors that all services have in common."""


class StsError(ProtocolError):
    """An error in the words of STS."""

    code: ClassVar[str] = "InternalFailure"
    status: ClassVar[int] = 500


class InvalidActionError(StsError):
    """The request names no operation that this server has."""

    code = "InvalidAction"
    status = 400


class UnknownServiceError(StsError):
    """The request is signed for a service that this server does not have."""

    code = "UnknownService"
    status = 400


class CallerIdentityOperations:
    """The handler of GetCallerIdentity."""

    def __init__(self, *, account: str) -> None:
        self._account = account

    def get_caller_identity(self, *, call: Call) -> dict[str, Any]:
        assert call.caller is not None
        principal = call.caller.principal
        return {
            "UserId": principal.access_key_id,
            "Account": self._account,
            "Arn": principal.arn,
        }


def sts_model() -> ServiceModel:
    """Return the model of STS, which is botocore's own."""
    return ServiceModel(Loader().load_service_model(SERVICE, "service-2"), service_name=SERVICE)


def sts_dispatcher(
    *,
    account: str,
    signer: Callable[[str], Signer | None],
    clock_skew_s: int = 900,
    wrong_secrets: WrongSecrets | None = None,
    **options: Unpack[DispatchOptions],
) -> Dispatcher:
    """Return the application that answers GetCallerIdentity.

    Args:
        account: the account of the server.
        signer: returns the holder of an access key id, None if the key is unknown or disabled.
        clock_skew_s: how far a client's clock may be from ours.
        wrong_secrets: counts wrong signatures, for several services together.
        **options: see `Dispatcher`.
    """
    model = sts_model()
    verifier = SignatureVerifier(
        services={SERVICE},
        signer=signer,
        clock=options["clock"],
        clock_skew_s=clock_skew_s,
        wrong_secrets=wrong_secrets,
    )
    operations = CallerIdentityOperations(account=account)
    service = StsService(
        model, bind_handlers(model, [operations], complete=True), verifier=verifier
    )
    return Dispatcher(service, worker_threads=WORKER_THREADS, **options)


class StsService:
    """Reads and answers requests to STS; see `wire.dispatch.ServiceProtocol`."""

    request_id_header = "x-amzn-requestid"

    def __init__(
        self,
        model: ServiceModel,
        handlers: Mapping[str, BoundHandler],
        *,
        verifier: SignatureVerifier,
    ) -> None:
        self.model = model
        self.handlers = handlers
        self.verifier = verifier

    def incoming(self, request: HttpRequest, receive: Receive) -> StsRequest:
        return StsRequest(self, request, receive)

    def check(self, handler: BoundHandler, members: Mapping[str, Any]) -> None:
        """Accept everything: GetCallerIdentity has no members."""

    def error_response(self, error: Exception, *, path: str, request_id: str) -> HttpResponse:
        del path
        code, status = _code_and_status(error)
        sender = "Sender" if status < 500 else "Receiver"
        elements = {"Type": sender, "Code": code, "Message": str(error)}
        inside = "".join(text_element(tag, text) for tag, text in elements.items())
        request = text_element("RequestId", request_id)
        return _xml(status, "ErrorResponse", f"<Error>{inside}</Error>{request}")

    def client_error(self, error: Exception, call: Call) -> Exception | None:
        del call
        return error if isinstance(error, ProtocolError) else None

    def internal_error(self, message: str, call: Call) -> Exception:
        del call
        return StsError(message)


class StsRequest:
    """A request whose parameters are a form in the body, or the query of a presigned URL."""

    def __init__(self, service: StsService, request: HttpRequest, receive: Receive) -> None:
        self._service = service
        self._request = request
        self._receive = receive
        self._body: BufferedBody | None = None
        self.has_body = may_have_body(request)

    def route(self, call: Call) -> None:
        """Do nothing: the body names the operation."""

    def identify(self, call: Call) -> Principal:
        """Find the key; the operation, and what the signature signs, are in the body.

        Raises:
            WireError: the request is not signed, or the key is unknown.
            UnknownServiceError: it is for another service.
        """
        del call
        _check_service(read_signature_claim(self._request).service)
        return self._service.verifier.claimed(self._request)

    def skip_body(self) -> None:
        """Do nothing: the body is small."""

    @asynccontextmanager
    async def received(self, call: Call) -> AsyncIterator[None]:
        """Read the body, which is small."""
        del call
        self._body = await read_body(self._receive, limit_bytes=MAX_BODY_BYTES, declared_bytes=None)
        yield

    def authenticate(self, call: Call) -> None:
        """Check the signature.

        Raises:
            WireError: it is wrong.
        """
        assert self._body is not None
        call.caller = self._service.verifier.verify(self._request, body_sha256=self._body.sha256)

    def read_members(self, call: Call) -> Mapping[str, Any]:
        """Find the operation that `Action` names.

        Raises:
            InvalidActionError: there is no such operation.
        """
        assert self._body is not None
        form = (self._body.content or b"").decode(errors="replace")
        parameters = dict(parse_qsl(f"{self._request.query}&{form}", keep_blank_values=True))
        action = parameters.get("Action", "")
        if action not in self._service.handlers:
            raise InvalidActionError(
                f"{action!r:.100} is not supported by this server. Of STS, it has "
                f"{', '.join(self._service.handlers)}: access keys of this server need no session."
            )
        call.operation = action
        return call.members

    def output_response(self, operation: OperationModel, call: Call) -> HttpResponse:
        name = operation.name
        shape = operation.output_shape
        result = members_to_xml(shape.members, call.answer or {}) if shape else ""
        request_id = text_element("RequestId", call.request_id)
        return _xml(
            200,
            f"{name}Response",
            f"<{name}Result>{result}</{name}Result>"
            f"<ResponseMetadata>{request_id}</ResponseMetadata>",
        )

    async def is_drained(self) -> bool:
        """Return whether the body was read, or comes without being waited for."""
        return self._body is not None or "expect" not in self._request.headers


def _check_service(service: str) -> None:
    if service != SERVICE:
        raise UnknownServiceError(
            f"This server has no service {service!r:.100}. It has lookoutvision, s3 and {SERVICE}. "
            f"Where the client has this address from AWS_ENDPOINT_URL, set "
            f"AWS_ENDPOINT_URL_LOOKOUTVISION and AWS_ENDPOINT_URL_S3 instead."
        )


def _code_and_status(error: Exception) -> tuple[str, int]:
    for kind in type(error).__mro__:
        if kind in CODES:
            return CODES[kind]
    assert isinstance(error, ProtocolError)
    return error.code, error.status


def _xml(status: int, root: str, inside: str) -> HttpResponse:
    document = f'<{root} xmlns="https://sts.amazonaws.com/doc/{VERSION}/">{inside}</{root}>\n'
    return HttpResponse(status, {"content-type": "text/xml"}, document.encode())
