"""Detectors of hosted models, and loading them into the memory of this process."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from blemish.domain.entities import InferenceUnits
from blemish.engine.graph.providers import ON_CPU
from blemish.engine.images.sizes import ImageLimits
from blemish.runners.model_memory import model_bytes
from blemish.service.models.bundles import Bundles
from blemish.service.models.hosting import WaitReport, no_report

if TYPE_CHECKING:
    from blemish.engine.runtime import Detection, Detector


class HostedDetector(Protocol):
    """The detector of a hosted model, wherever it runs."""

    @property
    def size_bytes(self) -> int:
        """The memory that it takes of this process."""

    def detect(self, data: bytes, *, limits: ImageLimits, mixed_sizes: bool) -> Detection:
        """See `engine.runtime.Detector`."""

    def in_service(self, most: int) -> int:
        """Return how many of the units that the model may have judge images now."""

    def desired_units(self) -> int | None:
        """Return how many there shall be for the images of now; None for all that may be."""

    def change_units(self, units: InferenceUnits) -> None:
        """Have as many units as the model was started with anew."""

    def close(self) -> None:
        """End once the images in work are judged; no other comes."""


class DetectorLoader(Protocol):
    """Loads the detectors of hosted models."""

    def load(
        self,
        name: str,
        *,
        units: InferenceUnits,
        make_room: Callable[[int], None],
        instead_of: HostedDetector | None,
        report: WaitReport,
    ) -> HostedDetector:
        """Load a bundle.

        Args:
            name: of the bundle.
            units: that the model is to have.
            make_room: is called with the bytes of this machine's memory before they are taken.
            instead_of: what the model has now, which may be changed and returned.
            report: is called while the load waits for other machines.

        Raises:
            BundleError: the bundle cannot be used.
            StorageError: it cannot be opened, or the store does not answer.
            ClusterUnavailableError: the machines that are to run it do not answer.
            ModelStoppedError: `report` raised it.
        """


@dataclass(frozen=True)
class LocalDetector:
    """A detector in the memory of this process."""

    detector: Detector
    size_bytes: int

    def detect(self, data: bytes, *, limits: ImageLimits, mixed_sizes: bool) -> Detection:
        """See `HostedDetector`."""
        return self.detector.detect(data, limits=limits, mixed_sizes=mixed_sizes)

    def in_service(self, most: int) -> int:
        """See `HostedDetector`; units are threads, which are there at once."""
        return most

    def desired_units(self) -> int | None:
        """See `HostedDetector`."""
        return None

    def change_units(self, units: InferenceUnits) -> None:
        """See `HostedDetector`; the queue has the threads."""

    @staticmethod
    def close() -> None:
        """See `HostedDetector`; the memory is free with the last use, which this is none of."""


class LocalDetectors:
    """Loads detectors into the memory of this process."""

    def __init__(
        self, bundles: Bundles, *, threads: int, providers: Sequence[str] = ON_CPU
    ) -> None:
        self._bundles = bundles
        #: of one run
        self._threads = threads
        self._providers = providers
        #: whether the modules that run models are imported
        self._has_runtime = False

    def load(
        self,
        name: str,
        *,
        units: InferenceUnits,  # noqa: ARG002 - the queue has a thread for each
        make_room: Callable[[int], None],
        instead_of: HostedDetector | None = None,  # noqa: ARG002 - it is used to the end
        report: WaitReport = no_report,  # noqa: ARG002 - it waits for nobody
    ) -> LocalDetector:
        """See `DetectorLoader`."""
        content = self._bundles.read(name)
        size_bytes = model_bytes(len(content.model))
        make_room(size_bytes)
        from blemish.engine.runtime import Detector

        detector = Detector.load(
            content, threads=self._threads, providers=self._providers, shared_arena=True
        )
        if not self._has_runtime:
            self._has_runtime = True
            gc.freeze()  # the modules that came with the first one stay: see server/serve.py
        return LocalDetector(detector, size_bytes)
