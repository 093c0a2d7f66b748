"""What open pages show of a line: its state as of now, and the images of the last verdicts."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from blemish.line.shifts import ShiftCounter
from blemish.station.page.shown_image import ShownImage
from blemish.station.verdict import Verdict

LAST = 10
"""Verdicts that a page shows."""

SHOWN_BYTES = 64 * 1024 * 1024
"""Of the images of the last verdicts in memory; the newest one always stays."""

SILENCE_S = 5.0
"""After so long without news the state is sent again: a page that gets none says so."""


class LineState(StrEnum):
    """What the process of a line does."""

    #: a person stopped it
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    #: it ended by a fault, and starts again by itself
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class _Watcher:
    loop: asyncio.AbstractEventLoop
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class LineFeed:
    """The newest state of one line; any thread may use it."""

    def __init__(self, counter: ShiftCounter) -> None:
        self._counter = counter
        self._lock = threading.Lock()
        self._watchers: set[_Watcher] = set()
        self._state, self._message = LineState.STOPPED, ""
        self._model_message = ""
        self._status: Mapping[str, Any] = {}
        self._last: deque[dict[str, Any]] = deque(maxlen=LAST)
        self._images: OrderedDict[str, ShownImage] = OrderedDict()

    @property
    def state(self) -> LineState:
        """What the process does."""
        return self._state

    @property
    def message(self) -> str:
        """What is wrong with the process or the model; empty if nothing is."""
        return self._message or self._model_message

    @property
    def status(self) -> Mapping[str, Any]:
        """What the process said last of its sources and sinks."""
        return self._status

    def count_by(self, counter: ShiftCounter) -> None:
        """Count by other shifts."""
        with self._lock:
            counter.restore()
            self._counter = counter
        self._changed()

    def restore(self, last: list[Verdict]) -> None:
        """Take the newest verdicts on record, the newest first."""
        with self._lock:
            self._counter.restore()
            self._last.clear()
            self._last.extend(verdict_document(verdict) for verdict in last[:LAST])
        self._changed()

    def set_state(self, state: LineState, message: str = "") -> None:
        """Say what the process does."""
        self._state, self._message = state, message
        if state is not LineState.RUNNING:
            self._status, self._model_message = {}, ""
        self._changed()

    def set_model_message(self, message: str) -> None:
        """Say why the model cannot judge; an empty text if it can."""
        if message != self._model_message:
            self._model_message = message
            self._changed()

    def set_status(self, status: Mapping[str, Any]) -> None:
        """Take what the process says of its sources and sinks."""
        self._status = status
        self._changed()

    def add(self, verdict: Verdict, image: ShownImage | None) -> None:
        """Take a new verdict, and its image if it is known."""
        with self._lock:
            self._counter.add(is_anomalous=verdict.is_anomalous)
            self._last.appendleft(verdict_document(verdict))
            if image is not None:
                self._images[verdict.id] = image
                self._forget_images()
        self._changed()

    def image(self, verdict_id: str) -> ShownImage | None:
        """Return the image of one of the last verdicts."""
        with self._lock:
            return self._images.get(verdict_id)

    def document(self) -> dict[str, Any]:
        """Return the state as pages get it."""
        with self._lock:
            self._counter.renew()
            return {
                "state": str(self._state),
                "message": self.message,
                "shift": {
                    "begin": self._counter.begin.isoformat(),
                    "images": self._counter.images,
                    "anomalous": self._counter.anomalous,
                },
                "last": list(self._last),
                **self._status,
            }

    async def states(self) -> AsyncGenerator[str, None]:
        """Yield the state as JSON: at once, with every change, and after a silence."""
        watcher = _Watcher(asyncio.get_running_loop())
        watcher.changed.set()
        with self._lock:
            self._watchers.add(watcher)
        try:
            while True:
                try:
                    async with asyncio.timeout(SILENCE_S):
                        await watcher.changed.wait()
                except TimeoutError:
                    pass
                watcher.changed.clear()
                yield json.dumps(self.document())
        finally:
            with self._lock:
                self._watchers.discard(watcher)

    def _changed(self) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            try:
                watcher.loop.call_soon_threadsafe(watcher.changed.set)
            except RuntimeError:  # the server ends, and with it the loop
                continue

    def _forget_images(self) -> None:
        while len(self._images) > 1 and (
            len(self._images) > LAST
            or sum(len(image.content) for image in self._images.values()) > SHOWN_BYTES
        ):
            self._images.popitem(last=False)


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as pages get it: without the paths of this machine."""
    document = verdict.to_json()
    return {name: value for name, value in document.items() if not name.endswith("_path")}
