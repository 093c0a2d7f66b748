"""A detector in an actor on a node, which gets no keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blemish.engine.bundle import parse_bundle
from blemish.engine.images.formats import ImageError
from blemish.engine.images.sizes import ImageLimits
from blemish.engine.runtime import Detector
from blemish.line.detection_message import detection_document
from blemish.runners.cluster.model_units import Answer


class NodeDetector:
    """Judges the images of one model in this process."""

    def __init__(self, files: Mapping[str, bytes], loading: Mapping[str, Any]) -> None:
        """Load a bundle.

        Args:
            files: of the bundle, by name.
            loading: options of `Detector.load`.

        Raises:
            BundleError: it cannot be loaded on this node.
        """
        bundle = parse_bundle(lambda name: files[name], name="from the server")
        self._detector = Detector.load(bundle, **loading)

    def detect(self, data: bytes, limits: Mapping[str, int], mixed_sizes: bool) -> Answer:
        """Return the result of an image, or why there is none."""
        try:
            detection = self._detector.detect(
                data, limits=ImageLimits(**limits), mixed_sizes=mixed_sizes
            )
        except ImageError as error:
            return "unreadable", {"reason": str(error)}, []
        document, parts = detection_document(detection)
        return "detection", document, parts

    def check(self) -> None:
        """Return: the actor is there."""
