"""The run of a line: one thread of the server, and the process that it starts again and again.

A camera's library that crashes, hangs or leaks takes its own process with it, never the server.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.line.channel import Channel, ChannelClosedError, LineMessage
from blemish.line.feed import LineFeed, LineState
from blemish.line.history import LineHistory
from blemish.line.hosted_judge import HostedJudge
from blemish.line.line_model import LineModel
from blemish.settings import SECRET_VARIABLES
from blemish.station.verdict import Verdict

logger: FilteringBoundLogger = structlog.get_logger(__name__)

PROCESS = (sys.executable, "-m", "blemish.line.process")
WITHHELD = ("BLEMISH_S3_", "AWS_")
"""What the names of environment variables begin with that the process does not get, either."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
SILENCE_S = 30.0
"""After so long without a word the process counts as hanging."""

END_S = 5.0
"""How long the process may take to end; a kill loses nothing that is on record."""

PUSH_S = 45.0
LAST = 10


@dataclass(frozen=True, kw_only=True)
class LineSettings:
    """What the process is started with."""

    folder: Path
    #: the text of the TOML file
    text: str


@dataclass(eq=False)
class _Pushes:
    """Images of pages that wait for their verdicts."""

    numbers: itertools.count[int] = field(default_factory=itertools.count)
    futures: dict[int, Future[tuple[int, Mapping[str, Any]]]] = field(default_factory=dict)

    def end(self, message: LineMessage) -> None:
        future = self.futures.pop(message.document["number"], None)
        if future is not None and future.set_running_or_notify_cancel():
            future.set_result((message.document["status"], message.document["answer"]))

    def end_all(self) -> None:
        for number in list(self.futures):
            future = self.futures.pop(number, None)
            if future is not None and future.set_running_or_notify_cancel():
                future.set_result((503, {"error": "The line has stopped."}))


def process_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the process of a line gets of the server's: no secret of it."""
    return {
        name: text
        for name, text in environment.items()
        if not name.upper().startswith(WITHHELD) and name.upper() not in SECRET_VARIABLES
    }


class LineRun:
    """Runs a line from `start` to `stop`."""

    def __init__(
        self, name: str, settings: LineSettings, *, judge: HostedJudge, feed: LineFeed
    ) -> None:
        self._name = name
        self._settings = settings
        self._judge = judge
        self._feed = feed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"line {name}", daemon=True)
        self._channel: Channel | None = None
        self._pushes = _Pushes()
        self._has_spoken = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._feed.set_state(LineState.STARTING)
        self._thread.start()

    def exchange(self, settings: LineSettings, model: LineModel) -> None:
        """Let another model judge from the next image on; the process goes on as it is."""
        self._settings = settings
        self._judge.model = model

    def ask_to_stop(self) -> None:
        """Let the process judge what it has in memory, and end."""
        self._stopping.set()
        channel = self._channel
        if channel is not None:
            try:
                channel.send("stop", {})
            except ChannelClosedError:
                logger.debug("the process of the line is gone", line=self._name)

    def stop(self) -> None:
        """Stop, and wait for the end."""
        self.ask_to_stop()
        self._thread.join(END_S + 5.0)

    async def push(
        self, source: str, content: bytes, *, name: str | None
    ) -> tuple[int, Mapping[str, Any]]:
        """Hand an image of a page over; return a status of HTTP and the verdict."""
        channel = self._channel
        if channel is None:
            return 503, {"error": "The line does not run."}
        number = next(self._pushes.numbers)
        future: Future[tuple[int, Mapping[str, Any]]] = Future()
        self._pushes.futures[number] = future
        document = {"number": number, "source": source, "name": name}
        try:
            await asyncio.to_thread(channel.send, "push", document, [content])
            return await asyncio.wait_for(asyncio.wrap_future(future), PUSH_S)
        except ChannelClosedError:
            return 503, {"error": "The line has stopped."}
        except TimeoutError:
            return 504, {"error": "There is no verdict yet."}
        finally:
            self._pushes.futures.pop(number, None)

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        with self._judge:
            while not self._stopping.is_set():
                try:
                    newest = LineHistory(self._settings.folder).newest(LAST)
                    self._feed.restore([entry.verdict for entry in newest])
                    has_run, reason = self._run_process()
                except Exception as error:  # the edge of a thread: it tries again
                    logger.exception("a line failed", line=self._name)
                    has_run, reason = False, f"{type(error).__name__}: {error}"
                if self._stopping.is_set():
                    break
                pause_s = FIRST_PAUSE_S if has_run else min(2 * pause_s, LONGEST_PAUSE_S)
                logger.warning("a line ended", line=self._name, reason=reason, again_s=pause_s)
                self._feed.set_state(LineState.FAILED, reason)
                self._stopping.wait(pause_s)
        self._feed.set_state(LineState.STOPPED)

    def _run_process(self) -> tuple[bool, str]:
        """Run the process until it ends; return whether it ran well, and why it ended."""
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            PROCESS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=process_environment(os.environ),
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        channel = Channel(
            reading=cast("BinaryIO", process.stdout), writing=cast("BinaryIO", process.stdin)
        )
        has_run, reason = False, ""
        ended = threading.Event()
        watching = threading.Thread(target=self._watch, args=(process, ended), daemon=True)
        watching.start()
        try:
            channel.send(
                "start",
                {"settings": self._settings.text, "directory": str(self._settings.folder)},
            )
            self._channel = channel
            if self._stopping.is_set():
                channel.send("stop", {})
            while True:
                message = channel.receive()
                self._has_spoken.set()
                if message.kind == "failed":
                    reason = str(message.document["reason"])
                elif message.kind == "status":
                    has_run = True
                self._handle(channel, message)
        except ChannelClosedError:
            pass
        finally:
            self._channel = None
            ended.set()
            channel.close()
            process.kill()
            code = process.wait()
            self._pushes.end_all()
        return has_run, reason or f"The process of the line ended ({_ending(code)})."

    def _watch(self, process: subprocess.Popen[bytes], ended: threading.Event) -> None:
        """Kill a process that hangs, or that does not end when it should."""
        silent_s = 0.0
        while not ended.wait(1.0):
            silent_s = 0.0 if self._has_spoken.is_set() else silent_s + 1.0
            self._has_spoken.clear()
            if silent_s >= (END_S if self._stopping.is_set() else SILENCE_S):
                logger.warning("the process of a line hangs, and is killed", line=self._name)
                process.kill()
                return

    def _handle(self, channel: Channel, message: LineMessage) -> None:
        document = message.document
        match message.kind:
            case "judge":
                self._judge.answer(channel, message)
                self._feed.set_model_message(self._judge.message)
            case "verdict":
                verdict = Verdict.from_json(document["verdict"])
                self._feed.add(verdict, self._judge.shown_image(verdict))
            case "status":
                if self._feed.state is not LineState.RUNNING and not self._stopping.is_set():
                    self._feed.set_state(LineState.RUNNING)
                self._feed.set_status({k: v for k, v in document.items() if k != "kind"})
            case "pushed":
                self._pushes.end(message)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"
