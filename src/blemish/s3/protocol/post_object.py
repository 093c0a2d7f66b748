"""Uploads by the forms of browsers: a form as the PutObject that it stands for.

Source: Amazon S3 API Reference, "POST Object".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import quote, unquote, urlencode, urlsplit

from blemish.domain.access.principals import Signer
from blemish.s3.protocol.errors import InvalidArgumentError, InvalidURIError
from blemish.s3.protocol.post_form import FormReader, PostForm
from blemish.s3.protocol.post_policy import check_policy, form_caller
from blemish.s3.protocol.xml_document import parse_xml
from blemish.wire.messages import HttpRequest, HttpResponse
from blemish.wire.signature import Caller
from blemish.wire.xml_writer import DECLARATION, text_element

STATUSES = frozenset({"200", "201", "204"})
DEFAULT_STATUS = 204

_OF_URL = "%/:=&?~#+!$,;'@()*[]"
"""What stays as it is in an address. Source: RFC 3986, section 2.2."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
"""Source: RFC 9110, section 5.1."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What ends a header or may not be in one. Source: RFC 9110, section 5.5."""

_NOT_HEADERS = frozenset(
    {
        "awsaccesskeyid",
        "bucket",
        "key",
        "policy",
        "signature",
        "success_action_redirect",
        "success_action_status",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-signature",
    }
)


class PostObject:
    """A form, from its fields to the response."""

    def __init__(self, request: HttpRequest, pull: Callable[[], bytes]) -> None:
        self._request = request
        self._reader = FormReader(pull, content_type=request.headers.get("content-type", ""))
        self._form = PostForm(fields={}, file_name="")
        self._bucket = ""
        self.pull_file = self._reader.pull_file

    def verified(self, *, signer: Callable[[str], Signer | None], now: datetime) -> Caller:
        """Read the fields; return who signed the policy, which allows the form.

        Raises:
            S3Error, WireError: the form is malformed, or its policy does not allow it.
        """
        self._form = self._reader.read_fields()
        self._bucket = unquote(self._request.path.strip("/"), errors="replace")
        caller = form_caller(self._form.fields, signer=signer)
        lengths = check_policy(self._form.fields, bucket=self._bucket, key=self._form.key, now=now)
        if lengths:
            self._reader.limit_file(*lengths)
        return caller

    def put_request(self) -> HttpRequest:
        """Return the request to put the object, with the fields as its headers.

        Raises:
            InvalidURIError: there is no bucket in the address.
            InvalidArgumentError: a field is no header.
        """
        if not self._bucket or "/" in self._bucket:
            raise InvalidURIError("A form is sent to the address of a bucket.")
        headers = {
            "x-amz-acl" if name == "acl" else name: value
            for name, value in self._form.fields.items()
            if name not in _NOT_HEADERS and not name.startswith("x-ignore-")
        }
        if tagging := headers.pop("tagging", None):
            headers["x-amz-tagging"] = _tags(tagging)
        headers = {name: _header(name, value) for name, value in headers.items()}
        path = f"/{quote(self._bucket)}/{quote(self._form.key)}"
        return HttpRequest("PUT", path, "", headers, b"")

    def response(self, put: HttpResponse) -> HttpResponse:
        """Return the response that the form asks for, made of the one to PutObject."""
        etag = put.headers.get("etag", "")
        fields, key = self._form.fields, self._form.key
        location = f"/{quote(self._bucket)}/{quote(key)}"
        headers = {**put.headers, "location": location}
        if address := self._redirect(fields.get("success_action_redirect", ""), etag):
            return HttpResponse(303, headers | {"location": address}, b"")
        status = fields.get("success_action_status", "")
        if status == "201":
            elements = {"Location": location, "Bucket": self._bucket, "Key": key, "ETag": etag}
            return HttpResponse(201, headers | {"content-type": "application/xml"}, _xml(elements))
        return HttpResponse(int(status) if status in STATUSES else DEFAULT_STATUS, headers, b"")

    def _redirect(self, address: str, etag: str) -> str | None:
        """Return where the browser goes on; None if the field cannot be interpreted, as in S3."""
        try:
            parts = urlsplit(address)
        except ValueError:  # such as http://[
            return None
        is_url = parts.scheme in {"http", "https"} and parts.netloc and address.isprintable()
        if not is_url:
            return None
        query = urlencode({"bucket": self._bucket, "key": self._form.key, "etag": etag})
        return f"{quote(address, safe=_OF_URL)}{'&' if parts.query else '?'}{query}"


def _header(name: str, value: str) -> str:
    """Return the value of a field as that of a header: its bytes in UTF-8, as clients send them."""
    if not _NAME.fullmatch(name) or _CONTROL.search(value):
        raise InvalidArgumentError(
            f"The field {name!r:.100} of the form cannot be a header: {value!r:.100}."
        )
    return value.encode().decode("latin-1")


def is_form(request: HttpRequest) -> bool:
    """Return whether a request is a form, which is signed inside."""
    content_type = request.headers.get("content-type", "").lower()
    return (
        request.method == "POST"
        and content_type.startswith("multipart/form-data")
        and "authorization" not in request.headers
        and not request.query
    )


def _tags(document: str) -> str:
    """Return the tags of an XML document in the form of the header."""
    tags = [
        {item.name: item.text for item in tag.children}
        for tag_set in parse_xml(document.encode()).children
        for tag in tag_set.children
    ]
    return urlencode([(tag.get("Key", ""), tag.get("Value", "")) for tag in tags])


def _xml(elements: Mapping[str, str]) -> bytes:
    inside = "".join(text_element(name, text) for name, text in elements.items())
    return f"{DECLARATION}<PostResponse>{inside}</PostResponse>".encode()
