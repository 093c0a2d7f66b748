"""The broker of hosted models: the process of a server that has them judge images elsewhere.

The server sends messages through standard input, and gets others. The process ends with standard
input, and says every second that it is alive. What starts actors is passed in.

| from the server | with |
|---|---|
| `host` | a `model`, its `files` by size, and as bytes, their `version`, the number of `units` |
| `units` | a `model`, the `count` that it is to have; with 0 it ends |
| `back` | a `model` that gets the bundle before version `from` again, as this `version` |
| `detect` | the number of the `request`, its `model`, `limits`, `mixed_sizes`, and the image |

| to the server | with |
|---|---|
| `connected`, `alive` | |
| `away` | the `reason` why there is no cluster; the process ends |
| `units` | a `model`, the units `in_service`, the `count` with the newest `version` of the bundle |
| `room` | a `model`, its `version`, and as `reason` what is free for units that only start |
| `problem` | a `model`, its `version`, the `reason` why a unit is lost, whether it `may_pass` |
| `refused` | a `model`, the `version` of a bundle that it has not got, and the `reason` |
| `detection`, `unreadable`, `unavailable` | the number of the `request`, and its result |
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from blemish.line.channel import Channel, ChannelClosedError, LineMessage
from blemish.runners.child_process import HEARTBEAT_S, ORPHANED
from blemish.runners.cluster.model_units import (
    QUEUE_PATIENCE_S,
    Answer,
    DetectionRequest,
    ModelUnits,
    UnitActor,
)
from blemish.runners.cluster.unavailable import first_line

ROOM_S = 2.0
"""How often it is looked what is free for units that wait for a node."""

STOPPED: Answer = ("unavailable", {"reason": "The model has been stopped."}, [])


class ServerLink:
    """The channel to the server; this process ends with it."""

    def __init__(self) -> None:
        """Take standard output over: what libraries print goes to standard error."""
        output = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self._channel = Channel(reading=sys.stdin.buffer, writing=output)
        threading.Thread(target=self._beat, daemon=True).start()

    def send(self, kind: str, document: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
        """Send a message."""
        try:
            self._channel.send(kind, document, parts)
        except ChannelClosedError:
            os._exit(ORPHANED)

    def receive(self) -> LineMessage:
        """Wait for a message."""
        try:
            return self._channel.receive()
        except ChannelClosedError:
            os._exit(ORPHANED)

    def _beat(self) -> None:
        while True:
            self.send("alive", {})
            time.sleep(HEARTBEAT_S)


class HostingBroker:
    """Carries out the messages of a server."""

    def __init__(
        self,
        link: ServerLink,
        *,
        start: Callable[[], UnitActor],
        store: Callable[[Mapping[str, bytes]], object],
        room: Callable[[], str] | None = None,
    ) -> None:
        """Host nothing yet.

        Args:
            link: to the server.
            start: starts an actor.
            store: returns the files of a bundle as an actor loads them.
            room: returns what an actor takes, and what is free, for the end of a sentence.
        """
        self._link = link
        self._start = start
        self._store = store
        self._room = room
        self._models: dict[int, ModelUnits] = {}

    async def run(self) -> None:
        """Carry out what comes until the process ends with the link."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            while True:
                loop.call_soon_threadsafe(self._carry_out, self._link.receive())

        threading.Thread(target=read, daemon=True).start()
        self._link.send("connected", {})
        while True:
            await asyncio.sleep(ROOM_S)
            await self._report_room()

    async def _report_room(self) -> None:
        """Say what is free, for models whose units wait for a node."""
        if self._room is None or not any(units.is_starting for units in self._models.values()):
            return
        try:
            room = await asyncio.to_thread(self._room)
        except Exception as error:  # noqa: BLE001 - the units wait all the same
            room = f"the cluster does not say what is free: {first_line(error)}"
        for number, units in self._models.items():
            if units.is_starting:
                report = {"model": number, "version": units.version, "reason": room}
                self._link.send("room", report)

    def _carry_out(self, message: LineMessage) -> None:
        document = message.document
        number = document["model"]
        match message.kind:
            case "host":
                try:
                    self._host(document, _files(document["files"], message.content))
                except Exception as error:  # noqa: BLE001 - Ray may have no room for the bundle
                    self._refuse(document, f"the bundle cannot be stored: {first_line(error)}")
            case "back":
                units, version = self._models.get(number), document["version"]
                if units is None or not units.go_back(document["from"], version=version):
                    self._refuse(document, "the bundle before is not there any more")
            case "units":
                if units := self._models.get(number):  # it may have been refused
                    units.set_units(document["count"])
                    if not document["count"]:
                        del self._models[number]
            case "detect":
                expires_at = asyncio.get_running_loop().time() + QUEUE_PATIENCE_S
                request = DetectionRequest(document, message.content, expires_at)
                if number in self._models:
                    self._models[number].submit(request)
                else:
                    self._answer(request, STOPPED)

    def _host(self, document: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        number, bundle = document["model"], self._store(files)
        if number not in self._models:
            self._models[number] = ModelUnits(
                self._start,
                answer=self._answer,
                report=lambda kind, what: self._link.send(kind, {"model": number, **what}),
            )
        self._models[number].set_bundle(bundle, version=document["version"])
        self._models[number].set_units(document["units"])

    def _refuse(self, document: Mapping[str, Any], reason: str) -> None:
        number, version = document["model"], document["version"]
        self._link.send("refused", {"model": number, "version": version, "reason": reason})

    def _answer(self, request: DetectionRequest, answer: Answer) -> None:
        kind, document, parts = answer
        self._link.send(kind, {"request": request.document["request"], **document}, parts)


def _files(sizes: Mapping[str, int], content: bytes) -> dict[str, bytes]:
    files, first = {}, 0
    for name, size in sizes.items():
        files[name] = content[first : first + size]
        first += size
    return files
