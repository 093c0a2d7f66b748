"""The shadow of a line: a second model that judges the same images, silently.

It has a thread of its own and takes an image only when it has nothing to do. The verdict of the
first model is sent before; an image that comes while the second one works is skipped and counted.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.errors import ServiceError
from blemish.engine.images.decode import media_type
from blemish.engine.runtime import Detection
from blemish.line.line_model import LineModel
from blemish.line.shadow_records import ModelPair, ShadowRecords
from blemish.service.detection.detection import DetectionService
from blemish.storage.errors import StorageError

logger: FilteringBoundLogger = structlog.get_logger(__name__)

REST = 3.0
"""Pause after each image, in times that its detection took: the shadow works a quarter of the time
at most, whatever the line does."""

LONGEST_REST_S = 10.0


@dataclass(frozen=True, kw_only=True)
class ShadowImage:
    """An image that the first model has judged."""

    id: str
    content: bytes
    first: LineModel
    detection: Detection


class Shadow:
    """Judges images of one line by a second model, from `start` to `stop`."""

    def __init__(
        self,
        detection: DetectionService,
        records: ShadowRecords,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._detection, self._records, self._clock = detection, records, clock
        self._changed = threading.Condition()
        self._model: LineModel | None = None
        self._image: ShadowImage | None = None
        self._is_busy = self._is_stopping = False
        self._thread: threading.Thread | None = None
        #: images that came while the second model was busy, since the start
        self.skipped = 0
        #: why the second model cannot judge; empty if it can
        self.message = ""

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the image that it judges."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(LONGEST_REST_S)

    def set_model(self, model: LineModel | None) -> None:
        """Let another model judge from the next image on, or none."""
        self._model, self.message = model, ""

    def offer(self, image: ShadowImage) -> None:
        """Hand over an image; returns at once."""
        if self._model is None:
            return
        with self._changed:
            if self._is_busy:
                self.skipped += 1
                return
            self._is_busy, self._image = True, image
            self._changed.notify_all()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while (image := self._next()) is not None:
                begin = self._clock()
                model = self._model
                if model is not None:
                    self._judge(runner, image, model)
                rest_s = min(REST * (self._clock() - begin), LONGEST_REST_S)
                with self._changed:
                    self._changed.wait_for(lambda: self._is_stopping, rest_s)
                    self._is_busy = False

    def _next(self) -> ShadowImage | None:
        with self._changed:
            self._changed.wait_for(lambda: self._image is not None or self._is_stopping)
            image, self._image = self._image, None
            return None if self._is_stopping else image

    def _judge(self, runner: asyncio.Runner, image: ShadowImage, model: LineModel) -> None:
        try:
            detection = runner.run(self._detect(image.content, model))
            pair = ModelPair(first=str(image.first), second=str(model))
            self._records.add(image.id, pair, first=image.detection, second=detection)
            self.message = ""
        except (ServiceError, StorageError) as error:
            self.message = f"The second model does not judge: {error}"
        except Exception:
            logger.exception("a second model failed", model=str(model))
            self.message = "The second model failed; the log says why."

    async def _detect(self, content: bytes, model: LineModel) -> Detection:
        row = self._detection.model_for(
            model.project,
            model.version,
            body=content,
            media_type=media_type(content) or "image/jpeg",
        )
        return await self._detection.detect(row, content)
