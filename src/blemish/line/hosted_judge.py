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
from blemish.line.line_model import LineModel
from blemish.line.shadow import Shadow, ShadowImage
from blemish.service.detection.detection import DetectionService
from blemish.station.page.shown_image import ShownImage
from blemish.station.verdict import Verdict
from blemish.storage.errors import StorageError

logger: FilteringBoundLogger = structlog.get_logger(__name__)

WAITING = 4
"""Judged images whose verdict is not on record yet."""


class HostedJudge:
    """Judges the images of one line; its thread uses it as a context."""

    def __init__(
        self, detection: DetectionService, *, model: LineModel, shadow: Shadow | None = None
    ) -> None:
        self._detection = detection
        #: judges from the next image on; any thread may set it
        self.model = model
        self._shadow = shadow
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
        model = self.model
        try:
            detection = self._runner.run(self._detect(message.content, model))
        except ValidationError as error:
            self.message = ""
            channel.send("unreadable", {"reason": str(error)})
        except ThrottlingError as error:
            channel.send("away", {"reason": str(error)})
        except (ServiceError, StorageError, OSError) as error:
            self.message = _reason(error, model)
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
            names = {"project": model.project, "version": model.version}
            channel.send("detection", document | names, parts)
            if self._shadow is not None:
                self._shadow.offer(
                    ShadowImage(
                        id=message.document["id"],
                        content=message.content,
                        first=model,
                        detection=detection,
                    )
                )

    def shown_image(self, verdict: Verdict) -> ShownImage | None:
        """Return the image of a verdict that is on record now, once."""
        image = self._images.pop(verdict.id, None)
        if image is None:
            return None
        content, detection = image
        return ShownImage(verdict=verdict, content=content, anomaly_map=detection.anomaly_map)

    async def _detect(self, content: bytes, model: LineModel) -> Detection:
        row = self._detection.model_for(
            model.project,
            model.version,
            body=content,
            media_type=media_type(content) or "image/jpeg",
        )
        return await self._detection.detect(row, content)


def _reason(error: Exception, model: LineModel) -> str:
    match error:
        case ConflictError():
            return (
                f"Model {model.version} of {model.project} does not run. Start it; the images wait."
            )
        case ResourceNotFoundError():
            return f"There is no model {model.version} of {model.project}."
        case _:
            return str(error)
