"""One life of the broker of hosted models, as the server has it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from typing import Any, BinaryIO, cast

from blemish.line.channel import Channel, ChannelClosedError, LineMessage
from blemish.runners.child_process import (
    PatientPipe,
    SilentProcessError,
    child_environment,
    ending,
)
from blemish.runners.cluster.unavailable import ClusterUnavailableError

CONNECT_PATIENCE_S = 120.0
"""How long a broker may take to connect to the cluster."""

END_PATIENCE_S = 1.0
"""How long a broker that closed its pipe may take to end by itself, and so say how."""

LOST = "The broker of hosted models has ended, and is started again. Try again."


class BrokerProcess:
    """A process that has models judge images on a cluster, until it ends."""

    def __init__(self, command: Sequence[str], *, silence_s: float) -> None:
        """Start the process.

        Args:
            command: that starts it.
            silence_s: how long it may send nothing, or read nothing.
        """
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(has_store=False),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._silence_s = silence_s
        pipe = PatientPipe(self._process.stdin, silence_s=silence_s)
        self._channel = Channel(
            reading=cast("BinaryIO", self._process.stdout), writing=cast("BinaryIO", pipe)
        )
        self._started_at = self._heard_at = time.monotonic()
        #: why it was killed
        self._fault: str | None = None
        self._numbers = count(1)
        #: requests without an answer
        self._pending: dict[int, Future[LineMessage]] = {}
        self._has_ended = False
        self._lock = threading.Lock()

    def messages(self) -> Iterator[LineMessage]:
        """Yield what the process sends by itself until it ends; answers go to those who asked."""
        while True:
            try:
                message = self._channel.receive()
            except ChannelClosedError:
                return
            self._heard_at = time.monotonic()
            if (number := message.document.get("request")) is not None:
                with self._lock:
                    future = self._pending.pop(number, None)
                if future is not None:
                    future.set_result(message)
            elif message.kind != "alive":
                yield message

    def send(self, kind: str, document: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
        """Send a message.

        Raises:
            ClusterUnavailableError: the process has ended, or hangs.
        """
        try:
            self._channel.send(kind, document, parts)
        except (ChannelClosedError, SilentProcessError) as error:
            # the rest of a message cannot be sent
            self.kill(str(error) or None)
            raise ClusterUnavailableError(LOST) from error

    def ask(self, document: Mapping[str, Any], image: bytes, *, patience_s: float) -> LineMessage:
        """Send an image to be judged; return the answer.

        Raises:
            ClusterUnavailableError: the process has ended, or does not answer in time.
        """
        number = next(self._numbers)
        future: Future[LineMessage] = Future()
        with self._lock:
            if self._has_ended:
                raise ClusterUnavailableError(LOST)
            self._pending[number] = future
        try:
            self.send("detect", {"request": number, **document}, [image])
            return future.result(patience_s)
        except TimeoutError:
            raise ClusterUnavailableError("No inference unit answered in time.") from None
        finally:
            with self._lock:
                self._pending.pop(number, None)

    def end_if_stuck(self, *, is_connected: bool) -> None:
        """Kill the process if it says nothing, or does not connect, for too long."""
        now = time.monotonic()
        if now - self._heard_at > self._silence_s:
            self.kill(f"the process said nothing for {self._silence_s:g} s")
        elif not is_connected and now - self._started_at > CONNECT_PATIENCE_S:
            self.kill(f"the process did not connect within {CONNECT_PATIENCE_S:g} s")

    def kill(self, fault: str | None = None) -> None:
        """Kill the process, which ends `messages`; a fault is how it ended then."""
        self._fault = self._fault or fault
        self._process.kill()

    def close(self) -> str:
        """End the process and fail what waits for it; return how it ended, for a sentence."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_PATIENCE_S)
        self._process.kill()
        reason = ending(self._process)
        with self._lock:
            self._has_ended = True
            pending, self._pending = self._pending, {}
        for future in pending.values():
            future.set_exception(ClusterUnavailableError(LOST))
        self._channel.close()
        return self._fault or reason
