"""Forms that browsers send by POST: fields, and then a file, which streams.

Source: Amazon S3 API Reference, "POST Object"; RFC 7578.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message

from blemish.s3.protocol.errors import (
    EntityTooLargeError,
    EntityTooSmallError,
    IncompleteBodyError,
    InvalidArgumentError,
)

MAX_FIELDS_BYTES = 64 * 1024
"""Of everything before the file. S3 takes 20 KB."""

LAST = b"--"
"""What follows the last boundary."""

NO_FILE = (
    "POST requires exactly one file upload per request. The form has no field named 'file'; "
    "add it as the last field."
)

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


@dataclass(frozen=True, kw_only=True)
class PostForm:
    """The fields of a form, by their names in lower case, and the name of its file."""

    fields: Mapping[str, str]
    file_name: str

    @property
    def key(self) -> str:
        """The key of the object, with the name of the file in place of `${filename}`.

        Raises:
            InvalidArgumentError: the form has no key.
        """
        if "key" not in self.fields:
            raise InvalidArgumentError("Bucket POST must contain a field named 'key'.")
        return self.fields["key"].replace("${filename}", self.file_name)


class FormReader:
    """Reads a form block by block."""

    def __init__(self, pull: Callable[[], bytes], *, content_type: str) -> None:
        """Read from `pull`, which returns some bytes, and none at the end.

        Raises:
            InvalidArgumentError: the content type has no boundary.
        """
        boundary = _parameters(f"Content-Type: {content_type}").get("boundary", "")
        if not _BOUNDARY.fullmatch(boundary):
            raise InvalidArgumentError("The form has no boundary in its Content-Type.")
        self._pull = pull
        self._end = b"\r\n--" + boundary.encode("ascii")
        self._buffer = b"\r\n"  # the first boundary may stand at the very beginning
        self._file_has_ended = False
        self._file_bytes = 0
        self._least_bytes = 0
        self._most_bytes: int | None = None

    def read_fields(self) -> PostForm:
        """Read the form up to the content of its file.

        Raises:
            InvalidArgumentError: it has no file, or its fields are too long.
            IncompleteBodyError: it ends too early.
        """
        fields: dict[str, str] = {}
        self._take_until(self._end)
        while True:
            if self._is_at_end():
                raise InvalidArgumentError(NO_FILE)
            head = self._take_until(b"\r\n\r\n")
            disposition = _disposition(head)
            name = disposition.get("name", "").lower()
            if name == "file":
                return PostForm(fields=fields, file_name=disposition.get("filename", ""))
            fields[name] = self._take_until(self._end).decode(errors="replace")
            if sum(map(len, fields.values())) > MAX_FIELDS_BYTES:
                raise InvalidArgumentError(f"The fields have over {MAX_FIELDS_BYTES} bytes.")

    def limit_file(self, least_bytes: int, most_bytes: int) -> None:
        """Set how long the file may be."""
        self._least_bytes, self._most_bytes = least_bytes, most_bytes

    def pull_file(self) -> bytes:
        """Return the next block of the file, b"" at its end.

        Raises:
            IncompleteBodyError: the form ends before its file.
            EntityTooLargeError: the file is longer than it may be.
            EntityTooSmallError: it is shorter.
        """
        block = b"" if self._file_has_ended else self._next_block()
        self._file_bytes += len(block)
        if self._most_bytes is not None and self._file_bytes > self._most_bytes:
            raise EntityTooLargeError(f"The policy allows at most {self._most_bytes} bytes.")
        if not block and self._file_bytes < self._least_bytes:
            raise EntityTooSmallError(f"The policy demands at least {self._least_bytes} bytes.")
        return block

    def _next_block(self) -> bytes:
        while True:
            position = self._buffer.find(self._end)
            if position >= 0:
                self._file_has_ended = True
                return self._buffer[:position]
            safe = len(self._buffer) - len(self._end)  # the boundary may have begun behind
            if safe > 0:
                block, self._buffer = self._buffer[:safe], self._buffer[safe:]
                return block
            self._fill()

    def _take_until(self, end: bytes) -> bytes:
        while (position := self._buffer.find(end)) < 0:
            if len(self._buffer) > MAX_FIELDS_BYTES:
                raise InvalidArgumentError(f"A field has over {MAX_FIELDS_BYTES} bytes.")
            self._fill()
        taken = self._buffer[:position]
        self._buffer = self._buffer[position + len(end) :]
        return taken

    def _is_at_end(self) -> bool:
        """Return whether the boundary that was read is the last one."""
        while len(self._buffer) < len(LAST):
            self._fill()
        return self._buffer.startswith(LAST)

    def _fill(self) -> None:
        block = self._pull()
        if not block:
            raise IncompleteBodyError("The form ended before its last boundary.")
        self._buffer += block


def _disposition(head: bytes) -> dict[str, str]:
    """Return the parameters of the Content-Disposition among the headers of a part."""
    for line in head.decode(errors="replace").split("\r\n"):
        if line.lower().startswith("content-disposition:"):
            return _parameters(line)
    raise InvalidArgumentError("A part of the form has no Content-Disposition.")


def _parameters(header: str) -> dict[str, str]:
    name, _, value = header.partition(":")
    message = Message()
    message[name] = value.strip()
    return {key: str(text) for key, text in message.get_params(header=name, failobj=[])}
