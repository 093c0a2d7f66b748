"""Where the images of detection jobs are looked at, and the result of one image."""

from __future__ import annotations

import base64
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, TypeVar

from blemish.domain.entities import ObjectRef
from blemish.domain.limits import Limits
from blemish.engine.bundle import Bundle
from blemish.engine.images.formats import ImageError
from blemish.engine.images.sizes import ImageLimits
from blemish.service.objects import Objects
from blemish.storage.errors import ObjectError, StoreUnavailableError

if TYPE_CHECKING:
    from blemish.engine.runtime import AnomalyArea, Detector

NICENESS = 10

WAITING_PER_THREAD = 4
"""Images that are read, in work or wait for their turn to be written, for each thread."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class ImageDetection:
    """What a job stores of the detection in one image."""

    is_anomalous: bool
    #: probability of the verdict, 0 to 1
    confidence: float
    #: None for a classification model
    anomalies: tuple[AnomalyArea, ...] | None
    #: None for a classification model, and where no mask is wanted
    mask_png: bytes | None


ImageResult: TypeAlias = ImageDetection | str
"""The detection in an image, or the reason why there is none."""


@dataclass(frozen=True, kw_only=True)
class DetectionTask:
    """What all images of a job share."""

    #: to the store of buckets; it may hold a secret
    store_connection: Mapping[str, Any] = field(repr=False)
    limits: Limits
    mixed_sizes: bool
    with_masks: bool

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the task that `dataclasses.asdict` turned into JSON."""
        return cls(**{**document, "limits": Limits(**document["limits"])})


class ImageRunner(Protocol):
    """Looks at the images of detection jobs, wherever that is."""

    def results(
        self,
        task: DetectionTask,
        images: Iterable[ObjectRef],
        *,
        bundle: Bundle,
        report: Callable[[str | None], None],
    ) -> Generator[ImageResult, None, None]:
        """Yield the result of each image, in order. When the generator is closed, the work ends.

        Args:
            task: what all images share.
            images: which may be many.
            bundle: that detects.
            report: called at least every few seconds while a result takes long, with what is waited
                for, or None; an error from it ends the work.

        Raises:
            BundleError: the bundle cannot be loaded.
            StoreUnavailableError: the store of the images does not answer.
            OSError: the machines are out of something for now.
        """


def lower_priority() -> None:
    """Lower the priority of this thread: detections come first."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def in_order(work: Callable[[T], R], items: Iterable[T], *, threads: int) -> Iterator[R]:
    """Yield the results of work in threads of low priority, in the order of the items."""
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="batch", initializer=lower_priority)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= threads * WAITING_PER_THREAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def image_result(
    task: DetectionTask, ref: ObjectRef, *, detector: Detector, objects: Objects
) -> ImageResult:
    """Return the detection in one image, or why there is none.

    Raises:
        StoreUnavailableError: the store does not answer.
    """
    try:
        data = objects.read(ref, max_bytes=task.limits.detect_body_bytes)
        limits = ImageLimits.of(task.limits)
        detection = detector.detect(data, limits=limits, mixed_sizes=task.mixed_sizes)
    except StoreUnavailableError:
        raise
    except (ObjectError, ImageError) as error:
        return str(error)
    mask_png = None
    if task.with_masks and detection.mask is not None:
        from blemish.engine.images.masks import encode_mask

        mask_png = encode_mask(detection.mask, colors=detection.colors)
    return ImageDetection(
        is_anomalous=detection.is_anomalous,
        confidence=detection.confidence,
        anomalies=detection.anomalies,
        mask_png=mask_png,
    )


def image_result_message(result: ImageResult) -> dict[str, Any] | str:
    """Return a result as JSON, for another process."""
    if isinstance(result, str):
        return result
    mask = result.mask_png
    text = None if mask is None else base64.b64encode(mask).decode()
    return asdict(result) | {"mask_png": text}


def parse_image_result(message: Mapping[str, Any] | str) -> ImageResult:
    """Return the result that `image_result_message` turned into JSON."""
    if isinstance(message, str):
        return message
    from blemish.engine.runtime import AnomalyArea

    mask, areas = message["mask_png"], message["anomalies"]
    return ImageDetection(
        is_anomalous=message["is_anomalous"],
        confidence=message["confidence"],
        anomalies=None if areas is None else tuple(AnomalyArea(**area) for area in areas),
        mask_png=None if mask is None else base64.b64decode(mask),
    )
