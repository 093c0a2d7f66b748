"""Previews: detections of any trained model in stored images, for the console.

A preview is computed on request, one at a time. Recent previews and the last two models stay in
memory, because people compare two models.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from blemish.domain.arns import ArnScope
from blemish.domain.entities import ObjectRef
from blemish.domain.errors import ConflictError, ResourceType
from blemish.engine.bundle import Bundle, BundleInfo
from blemish.engine.images.sizes import ImageLimits
from blemish.service.models.bundles import Bundles, use_current
from blemish.service.models.models import require_model
from blemish.service.objects import Objects
from blemish.storage.database.database import Database

if TYPE_CHECKING:
    from blemish.engine.runtime import Detection, Detector

LOADED = 2
"""Loaded models."""

THREADS = 1
"""Threads of a model; hosted models and trainings use the other processors."""

MAX_BYTES = 64 * 1024 * 1024
"""Total size of the previews in memory."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A detection, with images to lay over the upright image."""

    score: float
    is_anomalous: bool
    confidence: float
    #: transparent PNG
    heat_map: bytes
    #: transparent PNG; None for a classification model
    mask: bytes | None


class Previews:
    """Computes previews; safe for several threads."""

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
        #: largest image file
        self._max_bytes = max_bytes
        self._arns = arns
        self._judging = Lock()
        self._detectors: OrderedDict[str, Detector] = OrderedDict()
        self._drawn: OrderedDict[tuple[str, ObjectRef, int], Preview] = OrderedDict()

    def info(self, project: str, version: str) -> BundleInfo:
        """Return the description of a model's bundle.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: it has no bundle.
            BundleError, EncryptionError: it cannot be read.
        """
        return self._of(project, version, self._bundles.info)

    def bundle(self, project: str, version: str) -> Bundle:
        """Return the bundle of a model; errors as `info`."""
        return self._of(project, version, self._bundles.read)

    def of(self, project: str, version: str, ref: ObjectRef) -> Preview:
        """Return the preview of an image of any size.

        Raises:
            ObjectError: the object does not exist, or it cannot be read.
            ImageError: it is no image.
            ServiceError, BundleError, EncryptionError: as `info`.
        """
        size_bytes = self._objects.size(ref)
        with self._judging:
            return self._of(project, version, lambda name: self._preview(name, ref, size_bytes))

    def detection(self, project: str, version: str, ref: ObjectRef) -> Detection:
        """Return the detection in an image of any size; errors as `of`."""

        def detect(name: str) -> Detection:
            data = self._objects.read(ref, max_bytes=self._max_bytes)
            return self._detector(name).detect(data, limits=self._limits, mixed_sizes=True)

        with self._judging:
            return self._of(project, version, detect)

    def _preview(self, name: str, ref: ObjectRef, size_bytes: int) -> Preview:
        key = (name, ref, size_bytes)
        preview = self._drawn.get(key)
        if preview is None:
            from blemish.service.detection.preview_drawing import draw_preview

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
            from blemish.engine.runtime import Detector

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


def _bytes_of(preview: Preview) -> int:
    return len(preview.heat_map) + len(preview.mask or b"")
