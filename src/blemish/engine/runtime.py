"""Detectors: a bundle and an image in, a detection out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from blemish.engine.bundle import Bundle, BundleInfo
from blemish.engine.errors import BundleError
from blemish.engine.graph.providers import ON_CPU
from blemish.engine.graph.sessions import SESSION_ERRORS, ProviderError, open_session
from blemish.engine.images.decode import DecodedImage, ImageLimits, decode_image
from blemish.engine.images.decoding_memory import MEMORY, decoding_bytes
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.orientation import turn_back, turn_size
from blemish.engine.images.regions import check_aspect
from blemish.engine.images.resize import nearest_positions, resize, resize_nearest
from blemish.engine.images.samples import FULL_RANGE
from blemish.engine.images.sizes import ImageSize, check_size
from blemish.engine.normal_images import EMBEDDING_DISTANCE, Comparison

_OUTPUTS = ("score", "confidence", "is_anomalous", "anomaly_map")
_CLASSES = "class_probabilities"


@dataclass(frozen=True, kw_only=True)
class AnomalyArea:
    """How much of an image one anomaly type, or the background, covers."""

    name: str
    #: 0 to 1
    share: float
    #: "#RRGGBB"
    color: str


@dataclass(frozen=True, kw_only=True)
class Detection:
    """The result for one image; arrays have the orientation of the stored image."""

    score: float
    threshold: float
    is_anomalous: bool
    #: probability of the verdict, 0 to 1
    confidence: float
    #: (h, w) of the graph's size
    anomaly_map: NDArray[np.float32]
    #: (width, height)
    stored_size: tuple[int, int]
    #: the background first, then the types with at least one pixel; None for a classification model
    anomalies: tuple[AnomalyArea, ...] | None
    #: (h, w) of the graph's size, upright: 0 is background, i + 1 is type i; None for a
    #: classification model
    classes: NDArray[np.uint8] | None
    #: "#RRGGBB" of the values of `classes`
    colors: tuple[str, ...]
    #: EXIF, 1 to 8
    orientation: int = 1
    #: compares the image with the normal images of the training; None if the bundle has none
    compare: Callable[[], Comparison] | None = None

    @cached_property
    def mask(self) -> NDArray[np.uint8] | None:
        """`classes` as (H, W) of the stored size, in the orientation of the stored image."""
        if self.classes is None:
            return None
        width, height = turn_size(self.stored_size, self.orientation)
        upright = resize_nearest(self.classes, width=width, height=height)
        return np.ascontiguousarray(turn_back(upright, self.orientation))


class Detector:
    """A loaded bundle that detects anomalies in images; safe for several threads."""

    def __init__(
        self, info: BundleInfo, session: ort.InferenceSession, *, helper: Executor | None = None
    ) -> None:
        self.info = info
        self._session = session
        self._helper = helper
        self._outputs = list(_OUTPUTS) + ([_CLASSES] if info.anomaly_types else [])
        self._outputs += [] if info.normal_images is None else [EMBEDDING_DISTANCE]
        types = info.anomaly_types
        #: of the values of `Detection.mask`
        self.names = ("background", *(entry.name for entry in types))
        self.colors = (info.background, *(entry.color for entry in types))

    @classmethod
    def load(
        cls,
        bundle: Bundle,
        *,
        threads: int,
        providers: Sequence[str] = ON_CPU,
        engine_cache: Path | None = None,
        helper: Executor | None = None,
        shared_arena: bool = False,
    ) -> Detector:
        """Load a bundle that is in memory; `open_session` describes the arguments.

        `helper` is a second thread that resizes half of an image. It shortens a detection if one
        image at a time is detected.

        Raises:
            BundleError: the bundle cannot be loaded; the message has the reason.
        """
        try:
            session = open_session(
                bundle.model,
                threads=threads,
                providers=providers,
                engine_cache=engine_cache,
                shared_arena=shared_arena,
            )
        except ProviderError as error:
            raise BundleError(f"The bundle cannot be loaded: {error}.") from error
        except SESSION_ERRORS as error:
            raise BundleError(f"The bundle cannot be loaded: ONNX Runtime says: {error}") from error
        return cls(bundle.info, session, helper=helper)

    def detect(self, data: bytes, *, limits: ImageLimits, mixed_sizes: bool) -> Detection:
        """Detect anomalies in one encoded image.

        Args:
            data: an image file of any accepted format.
            limits: how large an image may be.
            mixed_sizes: whether it may have another size than the training images.

        Raises:
            ImageError: the data is no image, or the size differs from that of the training images.
        """
        header = read_image_header(data)
        limits.check(header.size)
        size = ImageSize.of(header.size, orientation=header.orientation)
        self._check_size(size, mixed_sizes=mixed_sizes)
        at_least = self.info.decoded_at_least
        with MEMORY.taken(decoding_bytes(header, at_least=at_least)):
            image = decode_image(
                header,
                at_least=at_least,
                sample_bits=self.info.sample_bits or FULL_RANGE,
                resize_to=None if self._helper else self.info.graph_size,
            )
            return self.detect_pixels(image, mixed_sizes=mixed_sizes)

    def detect_pixels(self, image: DecodedImage, *, mixed_sizes: bool) -> Detection:
        """Judge one decoded image; arguments and errors as in `detect`."""
        size = ImageSize(stored=image.stored_size, upright=image.upright_size)
        self._check_size(size, mixed_sizes=mixed_sizes)
        width, height = self.info.graph_size
        pixels = resize(image.pixels, width=width, height=height, helper=self._helper)
        score, confidence, is_anomalous, anomaly_map, *classes = self._run(pixels)
        compare: Callable[[], Comparison] | None = None
        if (normal_images := self.info.normal_images) is not None:
            distance = float(classes.pop())
            compare = partial(
                normal_images.compare, pixels, score=float(score), embedding_distance=distance
            )
        likeliest = _likeliest(classes[0]) if classes else None
        return Detection(
            score=float(score),
            threshold=self.info.threshold,
            is_anomalous=bool(is_anomalous),
            confidence=float(confidence),
            anomaly_map=turn_back(anomaly_map, image.orientation),
            stored_size=image.stored_size,
            orientation=image.orientation,
            anomalies=None if likeliest is None else self._areas(likeliest, image.upright_size),
            classes=likeliest,
            colors=self.colors,
            compare=compare,
        )

    def _check_size(self, size: ImageSize, *, mixed_sizes: bool) -> None:
        """Refuse an image by its size, before it takes memory.

        Raises:
            ImageError: it is not one that this detector takes.
        """
        if not mixed_sizes:
            check_size(size, expected=self.info.image_size)
        if self.info.regions is not None:
            check_aspect(size.stored, mask=self.info.regions.mask_size)

    def _run(self, pixels: NDArray[np.uint8]) -> list[NDArray[Any]]:
        outputs: list[NDArray[Any]] = self._session.run(
            self._outputs, {"pixels": pixels[np.newaxis]}
        )
        return outputs

    def _areas(self, classes: NDArray[np.uint8], size: tuple[int, int]) -> tuple[AnomalyArea, ...]:
        """Return the areas in a mask of this (width, height), which is not drawn."""
        height, width = classes.shape
        # float32 counts the pixels of a row exactly, and multiplies far faster than integers
        columns = np.bincount(nearest_positions(width, size[0]), minlength=width).astype(np.float32)
        rows = np.bincount(nearest_positions(height, size[1]), minlength=height)
        counts = [
            int(rows @ ((classes == value).astype(np.float32) @ columns).astype(np.int64))
            for value in range(len(self.names))
        ]
        return tuple(
            AnomalyArea(name=name, share=count / (size[0] * size[1]), color=color)
            for name, color, count in zip(self.names, self.colors, counts, strict=True)
            if count
        )


def _likeliest(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the first likeliest class of each pixel; (K, H, W) to (H, W).

    This equals argmax over the first axis, which reads memory with a large stride and takes ten
    times as long.
    """
    most = probabilities[0].copy()
    classes = np.zeros(most.shape, dtype=np.uint8)
    for value, candidate in enumerate(probabilities[1:], start=1):
        np.copyto(classes, np.uint8(value), where=candidate > most)
        np.maximum(most, candidate, out=most)
    return classes
