"""What a model says of images that are stored, for people who look at it: hosted or not.

An image is judged when somebody looks at it, one at a time; what was said is kept for a while, and
so are the last two models, since people compare two.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.domain.arns import ArnScope
from blemish.domain.entities import ObjectRef
from blemish.domain.errors import ConflictError, ResourceType
from blemish.engine.bundle import Bundle, BundleInfo
from blemish.engine.heat_maps import encode_heat_map
from blemish.engine.images.decode import ImageLimits
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.orientation import turn
from blemish.engine.runtime import Detection, Detector
from blemish.service.models.bundles import Bundles, use_current
from blemish.service.models.models import require_model
from blemish.service.objects import Objects
from blemish.storage.database.database import Database

LOADED = 2
"""Models that are kept loaded."""

THREADS = 1
"""Of a model: hosted ones and trainings have the other processors."""

SIDE = 1024
"""Pixels of the longer side of what is drawn; on a screen it lies over an image."""

MAX_BYTES = 64 * 1024 * 1024
"""Of what was drawn."""

MASK_COVER = 200
"""Alpha of an anomaly in a mask, of 255."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a model says of an image; the images lie over the image when it is upright."""

    score: float
    is_anomalous: bool
    confidence: float
    #: transparent PNG
    heat_map: bytes
    #: transparent PNG; None for a classification model
    mask: bytes | None


class Previews:
    """Judges stored images by trained models; may be used by several threads."""

    def __init__(
        self,
        database: Database,
        *,
        bundles: Bundles,
        objects: Objects,
        limits: ImageLimits,
        max_bytes: int,
        arns: ArnScope,
    ) -> None:
        self._database = database
        self._bundles = bundles
        self._objects = objects
        self._limits = limits
        #: of an image's file
        self._max_bytes = max_bytes
        self._arns = arns
        self._judging = Lock()
        self._detectors: OrderedDict[str, Detector] = OrderedDict()
        self._drawn: OrderedDict[tuple[str, ObjectRef, int], Preview] = OrderedDict()

    def info(self, project: str, version: str) -> BundleInfo:
        """Return what the bundle of a model says of itself.

        Raises:
            ResourceNotFoundError: there is no such project or model.
            ConflictError: it has no bundle.
            BundleError, EncryptionError: it cannot be read.
        """
        return self._of(project, version, self._bundles.info)

    def bundle(self, project: str, version: str) -> Bundle:
        """Return the bundle of a model; errors as `info`."""
        return self._of(project, version, self._bundles.read)

    def of(self, project: str, version: str, ref: ObjectRef) -> Preview:
        """Return what a model says of an image, of whatever size that is.

        Raises:
            ObjectError: there is no such object, or it cannot be read.
            ImageError: it is no image.
            ServiceError, BundleError, EncryptionError: as `info`.
        """
        size_bytes = self._objects.size(ref)
        with self._judging:
            return self._of(project, version, lambda name: self._preview(name, ref, size_bytes))

    def _preview(self, name: str, ref: ObjectRef, size_bytes: int) -> Preview:
        key = (name, ref, size_bytes)
        preview = self._drawn.get(key)
        if preview is None:
            detector = self._detector(name)
            data = self._objects.read(ref, max_bytes=self._max_bytes)
            preview = draw_preview(detector, data, limits=self._limits)
            self._drawn[key] = preview
            while sum(map(_bytes_of, self._drawn.values())) > MAX_BYTES:
                self._drawn.popitem(last=False)
        elif key in self._drawn:
            self._drawn.move_to_end(key)
        return preview

    def _detector(self, name: str) -> Detector:
        detector = self._detectors.pop(name, None)
        if detector is None:
            detector = Detector.load(self._bundles.read(name), threads=THREADS)
        self._detectors[name] = detector
        while len(self._detectors) > LOADED:
            self._detectors.popitem(last=False)
        return detector

    def _of(self, project: str, version: str, use: Callable[[str], T]) -> T:
        return use_current(lambda: self._bundle_name(project, version), use)

    def _bundle_name(self, project: str, version: str) -> str:
        with self._database.reading() as rows:
            model = require_model(rows, project, version)
        if model.bundle is None:
            arn = self._arns.model(model.project, model.version)
            raise ConflictError(
                f"Model {arn} is {model.status}: it has no detector.",
                resource_type=ResourceType.MODEL,
                resource_id=arn,
            )
        return model.bundle


def draw_preview(detector: Detector, data: bytes, *, limits: ImageLimits) -> Preview:
    """Judge an encoded image, and draw what is said of it.

    Raises:
        ImageError: it is no image.
    """
    detection = detector.detect(data, limits=limits, mixed_sizes=True)
    orientation = read_image_header(data).orientation
    anomaly_map = np.ascontiguousarray(turn(detection.anomaly_map, orientation))
    width, height = detection.stored_size
    if orientation > 4:  # it lies on its side as it is stored
        width, height = height, width
    share = min(1.0, SIDE / max(width, height))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return Preview(
        score=detection.score,
        is_anomalous=detection.is_anomalous,
        confidence=detection.confidence,
        heat_map=encode_heat_map(anomaly_map, threshold=detection.threshold, size=size),
        mask=_mask(detection, orientation, size),
    )


def _mask(detection: Detection, orientation: int, size: tuple[int, int]) -> bytes | None:
    if detection.mask is None:
        return None
    upright: NDArray[np.uint8] = np.ascontiguousarray(turn(detection.mask, orientation))
    drawn = Image.fromarray(upright).resize(size, Image.Resampling.NEAREST)
    drawn.putpalette(bytes.fromhex("".join(color[1:] for color in detection.colors)))
    alphas = bytes([0, *[MASK_COVER] * (len(detection.colors) - 1)])
    output = io.BytesIO()
    drawn.save(output, "PNG", transparency=alphas)
    return output.getvalue()


def _bytes_of(preview: Preview) -> int:
    return len(preview.heat_map) + len(preview.mask or b"")
