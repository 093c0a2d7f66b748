"""Images that programs send by HTTP: POST /images with an image file as the body.

The answer is the verdict, once it is on record. A request that is repeated with the same name and
the same image gets the verdict of the first one.
"""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import UTC, datetime
from uuid import uuid4

from blemish.station.config import WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.errors import BusyError, StationError, UnreadableError
from blemish.station.images import CapturedImage, image_id
from blemish.station.intake import Intake
from blemish.station.listener import (
    Answer,
    HttpAddress,
    HttpListener,
    PostedRequest,
    http_address,
)
from blemish.station.sources.source import Source
from blemish.station.verdict import Verdict

PORT = 8078
PATIENCE_S = 20.0
"""How long a request waits for room, and then for its verdict."""


class PostedImages:
    """Gives the images that are sent to an address."""

    capacity = 4

    def __init__(self, name: str, address: HttpAddress) -> None:
        self.name = name
        self._address = address

    def run(self, intake: Intake) -> None:
        """Listen until the intake stops."""
        with HttpListener(self._address, lambda request: self._answer(request, intake)):
            intake.connected()
            while not intake.is_stopping:
                intake.pause(1.0)

    def _answer(self, request: PostedRequest, intake: Intake) -> Answer:
        if request.path != "/images":
            return 404, {"error": f"There is no {request.path}. Send images to /images."}
        answer: Future[Verdict] = Future()
        identity = (request.name, hashlib.sha256(request.body).hexdigest())
        taken_at = datetime.now(UTC)
        image = CapturedImage(
            id=image_id(self.name, *(identity if request.name else (uuid4().hex,))),
            source=self.name,
            name=request.name or taken_at.isoformat(),
            content=request.body,
            taken_at=taken_at,
            taken_s=time.monotonic(),
            answer=answer,
        )
        return offered_answer(intake, image, answer)


def offered_answer(intake: Intake, image: CapturedImage, answer: Future[Verdict]) -> Answer:
    """Offer an image whose sender waits; return the answer to the sender."""
    try:
        intake.offer(image, patience_s=PATIENCE_S)
        return 200, answer.result(PATIENCE_S).to_json()
    except UnreadableError as error:
        return 400, {"error": str(error)}
    except BusyError as error:
        return 503, {"error": str(error)}
    except FutureTimeoutError:
        return 504, {"id": image.id, "error": "There is no verdict yet. Repeat the request."}
    except StationError as error:
        return 500, {"error": str(error)}


def build_posted_images(name: str, table: ConfigTable, when_busy: WhenBusy) -> Source:
    """Build the source from its settings."""
    del when_busy  # either is fine
    return PostedImages(name, http_address(table, port=PORT))
