"""What the pages of all browsers show: the station's state, read once for all of them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from blemish.station.page.shown_image import ShownImage
from blemish.station.status import StationStatus
from blemish.station.verdict import Verdict

logger = logging.getLogger(__name__)

REFRESH_S = 0.25
"""How often the station's state is read while a page is open."""

SILENCE_S = 10.0
"""After so long without news an event repeats the state: a page that gets none says so."""

SHOWN_IMAGES = 8
"""Images that pages may still ask for: those of the newest states."""


class StatusFeed:
    """Reads the state of a station while somebody watches; belongs to one event loop."""

    def __init__(
        self, *, status: Callable[[], StationStatus], shown: Callable[[], ShownImage | None]
    ) -> None:
        """Take what returns the state, and the newest judged image; both are called in a thread."""
        self._status, self._shown = status, shown
        self._images = OrderedDict[str, ShownImage]()
        self._text = ""
        self._version = 0
        self._watchers = 0
        self._changed = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None

    @property
    def watchers(self) -> int:
        """How many pages are open."""
        return self._watchers

    def status(self) -> StationStatus:
        """Read the state, in the thread of the caller."""
        return self._status()

    def image(self, verdict_id: str) -> ShownImage | None:
        """Return an image of one of the newest states."""
        return self._images.get(verdict_id)

    async def states(self) -> AsyncGenerator[str, None]:
        """Yield the state as JSON: at once, when it changes, and after a silence."""
        self._watchers += 1
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        version = 0
        try:
            while True:
                version = await self._next_version(version)
                if self._text:
                    yield self._text
        finally:
            self._watchers -= 1
            if not self._watchers and self._reading is not None:
                self._reading.cancel()
                self._reading = None
                self._version = 0

    async def _next_version(self, version: int) -> int:
        try:
            async with asyncio.timeout(SILENCE_S), self._changed:
                await self._changed.wait_for(lambda: self._version > version)
        except TimeoutError:
            pass
        return self._version

    async def _read(self) -> None:
        while True:
            try:
                text = await asyncio.to_thread(self._state)
            except Exception:
                logger.exception("the state of the station cannot be read")
                text = self._text = ""  # pages get nothing, and say so
            if text and (text != self._text or not self._version):
                async with self._changed:
                    self._text = text
                    self._version += 1
                    self._changed.notify_all()
            await asyncio.sleep(REFRESH_S)

    def _state(self) -> str:
        image = self._shown()
        if image is not None:
            self._images[image.verdict.id] = image
            while len(self._images) > SHOWN_IMAGES:
                self._images.popitem(last=False)
        document = _document(self._status())
        document["shown"] = None if image is None else _verdict(image.verdict)
        return json.dumps(document)


def _document(status: StationStatus) -> dict[str, Any]:
    document = asdict(status)
    document["alarms"] = [alarm.to_json() for alarm in status.alarms]
    document["last"] = [_verdict(verdict) for verdict in status.last]
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in document.items()
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict without the paths of this machine."""
    document = verdict.to_json()
    return {name: value for name, value in document.items() if not name.endswith("_path")}
