"""The judge in the process of a line: asks the server, whose hosted model judges.

While the model is not hosted the image waits, and with it the sources that may drop none.
"""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from PIL import Image

from blemish.engine.runtime import Detection
from blemish.line.channel import Channel, LineMessage
from blemish.line.detection_message import detection_of
from blemish.station.errors import JudgeAwayError, UnreadableError
from blemish.station.images import CapturedImage
from blemish.station.judge import verdict_of
from blemish.station.verdict import Verdict

AGAIN_S = 0.5
"""Pause before the server is asked again."""

STOP_LOOK_S = 0.1


@dataclass(frozen=True)
class HostedModel:
    """The model of the server that judged last."""

    #: of its project
    name: str
    version: str


class ServerJudge:
    """Judges images by the server; one thread uses it."""

    def __init__(
        self, channel: Channel, *, model: HostedModel, now: Callable[[], datetime]
    ) -> None:
        self._channel = channel
        self._model = model
        self._now = now
        self._answers: queue.SimpleQueue[LineMessage] = queue.SimpleQueue()
        self._stopping = threading.Event()

    @property
    def component(self) -> HostedModel:
        """The model that judged last."""
        return self._model

    def judge(self, image: CapturedImage) -> tuple[Verdict, Detection]:
        """Judge an image.

        Raises:
            UnreadableError: the model cannot take it.
            JudgeAwayError: the station stops before the model could.
        """
        content = _file_of(image)
        while True:
            answer = self._answer(image, content)
            match answer.kind:
                case "detection":
                    self._model = HostedModel(
                        answer.document["project"], answer.document["version"]
                    )
                    detection = detection_of(answer)
                    verdict = verdict_of(image, detection, model=self._model, at=self._now())
                    return verdict, detection
                case "unreadable":
                    raise UnreadableError(answer.document["reason"])
                case _:
                    if self._stopping.wait(AGAIN_S):
                        raise JudgeAwayError(str(answer.document.get("reason", "")))

    def answer(self, message: LineMessage) -> None:
        """Take the answer of the server to the last image; any thread may call it."""
        self._answers.put(message)

    def stop(self) -> None:
        """Let no image wait for the model any more."""
        self._stopping.set()

    def _answer(self, image: CapturedImage, content: bytes) -> LineMessage:
        self._channel.send("judge", {"id": image.id, "name": image.name}, [content])
        return self._answers.get()


def _file_of(image: CapturedImage) -> bytes:
    """Return an image file; the pixels of a camera become a BMP, which costs no time."""
    if isinstance(image.content, bytes):
        return image.content
    buffer = io.BytesIO()
    Image.fromarray(image.content).save(buffer, "BMP")
    return buffer.getvalue()
