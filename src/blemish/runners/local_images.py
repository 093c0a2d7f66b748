"""The threads of this server as the place where images of detection jobs are looked at."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence

from blemish.domain.entities import ObjectRef
from blemish.engine.bundle import Bundle
from blemish.engine.graph.providers import ON_CPU
from blemish.service.detection.job_images import (
    DetectionTask,
    ImageResult,
    image_result,
    in_order,
)
from blemish.service.objects import Objects


class LocalImages:
    """Detects in threads of low priority, one image in each."""

    def __init__(
        self, objects: Objects, *, threads: int, providers: Sequence[str] = ON_CPU
    ) -> None:
        self._objects = objects
        self._threads = threads
        self._providers = providers

    def results(
        self,
        task: DetectionTask,
        images: Iterable[ObjectRef],
        *,
        bundle: Bundle,
        report: Callable[[str | None], None],
    ) -> Generator[ImageResult, None, None]:
        """See `service.detection.job_images.ImageRunner`."""
        from blemish.engine.runtime import Detector

        detector = Detector.load(bundle, threads=1, providers=self._providers)

        def result_of(ref: ObjectRef) -> ImageResult:
            return image_result(task, ref, detector=detector, objects=self._objects)

        for result in in_order(result_of, images, threads=self._threads):
            report(None)
            yield result
