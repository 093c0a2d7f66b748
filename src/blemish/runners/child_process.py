"""Both ends of the pipe between the server and a child process that works for long.

The child ends with standard input, which its parent holds open, so it cannot outlive the server
that started it. Every message of the child is one JSON line. It sends one at least every second.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import IO, Any, TextIO, TypeAlias

Message: TypeAlias = dict[str, Any]

HEARTBEAT_S = 1.0
ORPHANED = 3
STORE_SETTINGS = "BLEMISH_S3_"
AWS_VARIABLES = "AWS_"


class SilentProcessError(Exception):
    """A child sent nothing for too long."""


class Reporter:
    """Writes messages to the parent, at least once a second while it works."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._text: str | None = None
        self._works = True

    def note(self, text: str) -> None:
        """Store what the process does; the next heartbeat sends it."""
        self._text = text

    def beat(self) -> None:
        """Send the last note, or a sign of life, once a second and forever."""
        while True:
            with self._lock:
                if self._works:
                    text, self._text = self._text, None
                    self._write({"progress": text} if text else {"alive": True})
            time.sleep(HEARTBEAT_S)

    def begin(self) -> None:
        """Send signs of life again, after `end`."""
        self._works = True

    def send(self, message: Message) -> None:
        """Write one message; end the process if the parent is gone."""
        with self._lock:
            self._write(message)

    def end(self, message: Message) -> None:
        """Write the last message of some work, and nothing after it until the next work begins."""
        with self._lock:
            self._write(message)
            self._works, self._text = False, None

    def _write(self, message: Message) -> None:
        try:
            self._stream.write(json.dumps(message) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            os._exit(ORPHANED)


class ParentLines:
    """The lines that the parent sends; this process ends with them."""

    def __init__(self) -> None:
        """Read standard input from now on."""
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self, *, within_s: float | None = None) -> bytes | None:
        """Wait for a line, for ever without a limit; None if none comes in time."""
        try:
            return self._lines.get(timeout=within_s)
        except Empty:
            return None

    def _read(self) -> None:
        rest = b""
        # not through sys.stdin, whose lock would be held when this process ends by itself
        while data := os.read(sys.stdin.fileno(), 65_536):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._lines.put(line)
        os._exit(ORPHANED)


def start_reporting() -> Reporter:
    """Send a sign of life every second from now on, and end this process with its parent.

    To be called when everything was read from standard input. What libraries print goes to standard
    error from now on.
    """
    threading.Thread(target=end_with_parent, daemon=True).start()
    return reporter_on_output()


def reporter_on_output() -> Reporter:
    """Send a sign of life every second from now on; what libraries print goes to standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    reporter = Reporter(stream)
    threading.Thread(target=reporter.beat, daemon=True).start()
    return reporter


def end_with_parent() -> None:
    """End this process when standard input ends, on which nothing more is sent."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(ORPHANED)


def messages(stream: IO[bytes], *, silence_s: float) -> Iterator[Message]:
    """Yield the messages of a child until it ends.

    Raises:
        SilentProcessError: it sends nothing for too long.
    """
    rest = b""
    poll = select.poll()  # unlike select, it accepts descriptors above 1023
    poll.register(stream, select.POLLIN)
    while True:
        if not poll.poll(silence_s * 1_000):
            raise SilentProcessError(f"the process said nothing for {silence_s:g} s")
        data = os.read(stream.fileno(), 65_536)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from map(json.loads, lines)


class PatientPipe:
    """Writes to a child, as long as it reads.

    A plain pipe holds its writer for as long as a child hangs.
    """

    def __init__(
        self, stream: IO[bytes], *, silence_s: float, report: Callable[[None], None] | None = None
    ) -> None:
        """Take a pipe over, to which nothing was written.

        Args:
            stream: standard input of the child.
            silence_s: how long the child may read nothing.
            report: is called once a second while nothing is read; an error from it ends the write.
        """
        os.set_blocking(stream.fileno(), False)
        self._stream = stream
        self._silence_s = silence_s
        self._report = report
        self._poll = select.poll()
        self._poll.register(stream, select.POLLOUT)
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Write everything.

        Raises:
            BrokenPipeError: the child has ended.
            SilentProcessError: it reads nothing for too long.
        """
        rest, waited_s = memoryview(data), 0.0
        with self._lock:
            while rest:
                if self._poll.poll(HEARTBEAT_S * 1_000):
                    rest, waited_s = rest[os.write(self._stream.fileno(), rest) :], 0.0
                    continue
                waited_s += HEARTBEAT_S
                if waited_s >= self._silence_s:
                    raise SilentProcessError(f"the process read nothing for {self._silence_s:g} s")
                if self._report is not None:
                    self._report(None)

    def flush(self) -> None:
        """Do nothing: everything is written."""

    def close(self) -> None:
        """Close the pipe; a write that goes on ends before, as it does when the child has ended."""
        with self._lock:
            self._stream.close()


def child_environment(*, has_store: bool = True) -> dict[str, str]:
    """Return our environment without secrets, and without the settings of the store.

    Those that a child needs come through the pipe.

    Args:
        has_store: whether the child opens the store or sealed files, for which it may need
            the credentials of AWS that we have.
    """
    from blemish.settings import SECRET_VARIABLES  # noqa: PLC0415 - children need no settings

    withheld = (STORE_SETTINGS,) if has_store else (STORE_SETTINGS, AWS_VARIABLES)
    return {
        name: text
        for name, text in os.environ.items()
        if not name.upper().startswith(withheld) and name.upper() not in SECRET_VARIABLES
    }


def ending(process: subprocess.Popen[bytes]) -> str:
    """Wait for a process; return how it ended, for a sentence."""
    code = process.wait()
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process ended with exit status {code}"
