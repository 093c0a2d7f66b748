"""Messages between the server and the process of a line: a JSON document and bytes.

A message is two lengths, the document, and the bytes. Neither side trusts the other with code:
nothing is unpickled.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

_LENGTHS = struct.Struct(">II")
MOST_DOCUMENT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class LineMessage:
    """A message; `kind` in the document says what it is about."""

    document: Mapping[str, Any]
    content: bytes

    @property
    def kind(self) -> str:
        """What the message is about."""
        return str(self.document["kind"])


class ChannelClosedError(Exception):
    """The other side is gone."""


class Channel:
    """Two pipes; any number of threads may send, one receives."""

    def __init__(self, *, reading: BinaryIO, writing: BinaryIO) -> None:
        self._reading, self._writing = reading, writing
        self._lock = threading.Lock()

    def send(self, kind: str, document: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
        """Send a message.

        Raises:
            ChannelClosedError: nobody reads it.
        """
        text = json.dumps({**document, "kind": kind}).encode()
        lengths = _LENGTHS.pack(len(text), sum(map(len, parts)))
        try:
            with self._lock:
                for part in (lengths, text, *parts):
                    self._writing.write(part)
                self._writing.flush()
        except (OSError, ValueError) as error:  # broken, or closed on this side
            raise ChannelClosedError from error

    def receive(self) -> LineMessage:
        """Wait for a message.

        Raises:
            ChannelClosedError: none will come.
        """
        try:
            text_bytes, content_bytes = _LENGTHS.unpack(self._read(_LENGTHS.size))
            if text_bytes > MOST_DOCUMENT_BYTES:
                raise ChannelClosedError
            document = json.loads(self._read(text_bytes))
            return LineMessage(document, self._read(content_bytes))
        except (OSError, ValueError) as error:
            raise ChannelClosedError from error

    def close(self) -> None:
        """Close both pipes."""
        for stream in (self._writing, self._reading):
            try:
                stream.close()
            except OSError:  # what was not sent has nobody who reads it
                continue

    def _read(self, size: int) -> bytes:
        data = self._reading.read(size)
        if len(data) != size:
            raise ChannelClosedError
        return data
