"""The process of a line: a station whose judge is the server.

It gets its settings by standard input and reports by standard output, which no library may use
besides. It ends with standard input, so it cannot outlive the server; what is on record by then is
complete, as after a kill.

server -> process   start, detection | unreadable | away, push, stop
process -> server   judge, verdict, status, pushed, failed
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from blemish.line.channel import Channel, ChannelClosedError, LineMessage
from blemish.line.config import LINE_SOURCE_TYPES, LineConfig, parse_line_config
from blemish.line.pushed_images import PushedImages
from blemish.line.server_judge import HostedModel, ServerJudge
from blemish.station.build import running_station, utc_time
from blemish.station.config import WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.errors import StationError
from blemish.station.runner import Station
from blemish.station.sources.source import Source
from blemish.station.verdict import Verdict

logger = logging.getLogger(__name__)

STATUS_S = 0.5
"""How often the state of sources and sinks is reported, if it changed."""

SIGN_OF_LIFE_S = 5.0
ORPHANED = 3
PUSHES_AT_ONCE = 8
"""None waits for a thread: the server gives up soon after one, and its image would stay."""


class _ServerChannel(Channel):
    """The channel to the server, without which the process has nothing left to do."""

    def send(self, kind: str, document: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
        try:
            super().send(kind, document, parts)
        except ChannelClosedError:
            os._exit(ORPHANED)


class LineProcess:
    """One run of a line."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._ended = threading.Event()
        self._pushed: dict[str, PushedImages] = {}
        self._pushes = ThreadPoolExecutor(PUSHES_AT_ONCE, thread_name_prefix="push")
        self._push_places = threading.BoundedSemaphore(PUSHES_AT_ONCE)

    def run(self) -> None:
        """Run until the server says stop.

        Raises:
            StationError: the settings are wrong, or the directory is in use.
        """
        start = self._channel.receive().document
        config = parse_line_config(start["settings"], directory=Path(start["directory"]))
        judge = ServerJudge(
            self._channel, model=HostedModel(config.project, config.version), now=utc_time
        )
        threading.Thread(target=self._listen, args=(judge,), daemon=True).start()
        with self._running_station(config, judge) as station:
            self._report(station)
            judge.stop()
        self._pushes.shutdown(wait=False, cancel_futures=True)

    def _running_station(self, config: LineConfig, judge: ServerJudge) -> Any:
        def build_pushed(name: str, table: ConfigTable, when_busy: WhenBusy) -> Source:
            source = LINE_SOURCE_TYPES["browser"](name, table, when_busy)
            assert isinstance(source, PushedImages)
            self.add_pushed(source)
            return source

        return running_station(
            config.station,
            judge=judge,
            source_types={**LINE_SOURCE_TYPES, "browser": build_pushed},
            recorded=self._send_verdict,
        )

    def add_pushed(self, source: PushedImages) -> None:
        """Let a source get images of pages."""
        self._pushed[source.name] = source

    def _report(self, station: Station) -> None:
        """Report the state until the end.

        Raises:
            StationError: the station ended by a fault.
        """
        last, silent_s = "", 0.0
        while not self._ended.is_set():
            if not station.is_running:
                raise StationError("The line ended by a fault; the log of the server says why.")
            document = _status_document(station)
            text = json.dumps(document)
            if text != last or silent_s >= SIGN_OF_LIFE_S:
                self._channel.send("status", document)
                last, silent_s = text, 0.0
            self._ended.wait(STATUS_S)
            silent_s += STATUS_S

    def _listen(self, judge: ServerJudge) -> None:
        while True:
            try:
                message = self._channel.receive()
            except ChannelClosedError:
                os._exit(ORPHANED)  # the server is gone
            match message.kind:
                case "stop":
                    self._ended.set()
                case "push":
                    self.take_push(message)
                case _:
                    judge.answer(message)

    def take_push(self, message: LineMessage) -> None:
        """Let a thread push an image, or refuse it while all are busy."""
        if self._push_places.acquire(blocking=False):
            self._pushes.submit(self._push, message)
        else:
            self._answer_push(message, 503, {"error": "The line is busy. Send the image later."})

    def _push(self, message: LineMessage) -> None:
        try:
            source = self._pushed.get(message.document["source"])
            if source is None:
                pushed: tuple[int, Mapping[str, Any]] = (404, {"error": "There is no such source."})
            else:
                pushed = source.push(message.content, name=message.document["name"])
        finally:
            self._push_places.release()
        self._answer_push(message, *pushed)

    def _answer_push(self, message: LineMessage, status: int, answer: Mapping[str, Any]) -> None:
        document = {"number": message.document["number"], "status": status, "answer": answer}
        self._channel.send("pushed", document)

    def _send_verdict(self, verdict: Verdict) -> None:
        self._channel.send("verdict", {"verdict": verdict.to_json()})


def _status_document(station: Station) -> dict[str, Any]:
    status = station.status()
    return {
        "started_at": status.started_at.isoformat(),
        "latency_s": None if status.latency_s is None else round(status.latency_s, 3),
        "rate_per_s": round(status.rate_per_s, 1),
        "sources": [asdict(source) for source in status.sources],
        "sinks": [asdict(sink) for sink in status.sinks],
        "alarms": [alarm.to_json() for alarm in status.alarms],
    }


def _own_channel() -> _ServerChannel:
    """Take standard input and output; what libraries print goes to the log."""
    reading = os.fdopen(os.dup(0), "rb")
    writing = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - of the whole process
    return _ServerChannel(reading=reading, writing=writing)


def run_line_process() -> None:
    """Run a line, and end the process."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    channel = _own_channel()
    try:
        LineProcess(channel).run()
    except StationError as error:
        channel.send("failed", {"reason": str(error)})
        sys.exit(1)


if __name__ == "__main__":
    run_line_process()
