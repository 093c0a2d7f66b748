"""The judge in the server: answers the process of a line by a hosted model."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from types import TracebackType
from typing import Self

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ServiceError,
    ThrottlingError,
    ValidationError,
)
from blemish.engine.images.decode import media_type
from blemish.engine.runtime import Detection
from blemish.line.channel import Channel, LineMessage
from blemish.line.detection_message import detection_document
from blemish.service.detection.detection import DetectionService
from blemish.station.page.shown_image import ShownImage
from blemish.station.verdict import Verdict
from blemish.storage.errors import StorageError

logger: FilteringBoundLogger = structlog.get_logger(__name__)

WAITING = 4
"""Judged images whose verdict is not on record yet."""


class HostedJudge:
    """Judges the images of one line; its thread uses it as a context."""

    def __init__(self, detection: DetectionService, *, project: str, version: str) -> None:
        self._detection = detection
        self._project, self._version = project, version
        self._images: OrderedDict[str, tuple[bytes, Detection]] = OrderedDict()
        #: why the model cannot judge; empty if it can
        self.message = ""

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._runner.close()

    def answer(self, channel: Channel, message: LineMessage) -> None:
        """Judge the image of a message, and send the answer.

        Raises:
            ChannelClosedError: the process is gone.
        """
        try:
            detection = self._runner.run(self._detect(message.content))
        except ValidationError as error:
            self.message = ""
            channel.send("unreadable", {"reason": str(error)})
        except ThrottlingError as error:
            channel.send("away", {"reason": str(error)})
        except (ServiceError, StorageError) as error:
            self.message = self._reason(error)
            channel.send("away", {"reason": self.message})
        except Exception:
            logger.exception("an image of a line cannot be judged", image=message.document["name"])
            channel.send("unreadable", {"reason": "The model failed; the log says why."})
        else:
            self.message = ""
            self._images[message.document["id"]] = (message.content, detection)
            while len(self._images) > WAITING:
                self._images.popitem(last=False)
            document, parts = detection_document(detection)
            model = {"project": self._project, "version": self._version}
            channel.send("detection", document | model, parts)

    def shown_image(self, verdict: Verdict) -> ShownImage | None:
        """Return the image of a verdict that is on record now, once."""
        image = self._images.pop(verdict.id, None)
        if image is None:
            return None
        content, detection = image
        return ShownImage(verdict=verdict, content=content, anomaly_map=detection.anomaly_map)

    async def _detect(self, content: bytes) -> Detection:
        model = self._detection.model_for(
            self._project,
            self._version,
            body=content,
            media_type=media_type(content) or "image/jpeg",
        )
        return await self._detection.detect(model, content)

    def _reason(self, error: Exception) -> str:
        match error:
            case ConflictError():
                return (
                    f"Model {self._version} of {self._project} does not run. Start it; "
                    "the images wait."
                )
            case ResourceNotFoundError():
                return f"There is no model {self._version} of {self._project}."
            case _:
                return str(error)
