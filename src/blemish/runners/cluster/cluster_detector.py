"""One hosted model on a cluster, as those who detect have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blemish.domain.entities import InferenceUnits
from blemish.engine.images.formats import ImageError
from blemish.engine.images.sizes import ImageLimits
from blemish.line.channel import LineMessage
from blemish.runners.cluster.cluster_model import ClusterModel
from blemish.runners.cluster.unavailable import ClusterUnavailableError

if TYPE_CHECKING:
    from blemish.engine.runtime import Detection
    from blemish.runners.cluster.cluster_detectors import ClusterDetectors


class ClusterDetector:
    """A detector in actors of a cluster."""

    #: of this process
    size_bytes = 0

    def __init__(self, cluster: ClusterDetectors, model: ClusterModel) -> None:
        self._cluster = cluster
        self.model = model

    def detect(self, data: bytes, *, limits: ImageLimits, mixed_sizes: bool) -> Detection:
        """See `runners.detectors.HostedDetector`."""
        return self._cluster.detect(self.model, data, limits=limits, mixed_sizes=mixed_sizes)

    def in_service(self, most: int) -> int:
        """See `runners.detectors.HostedDetector`."""
        return min(most, self.model.units_in_service)

    def desired_units(self) -> int:
        """See `runners.detectors.HostedDetector`."""
        return self.model.scaling.units

    def change_units(self, units: InferenceUnits) -> None:
        """See `runners.detectors.HostedDetector`."""
        self.model.scaling.change(units)

    def close(self) -> None:
        """See `runners.detectors.HostedDetector`."""
        self._cluster.unload(self.model)


def detection_of_answer(answer: LineMessage) -> Detection:
    """Return the detection that a broker answered with.

    Raises:
        ImageError: the image cannot be read.
        ClusterUnavailableError: no unit judged it.
    """
    from blemish.line.detection_message import detection_of

    if answer.kind == "detection":
        return detection_of(answer)
    reason = answer.document["reason"]
    raise (ImageError if answer.kind == "unreadable" else ClusterUnavailableError)(reason)
