"""The nodes of a Ray cluster as the place where images of detection jobs are looked at."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain, islice
from typing import Any

from blemish.domain.entities import ObjectRef
from blemish.engine.bundle import Bundle, bundle_files
from blemish.engine.errors import BundleError
from blemish.runners.child_process import (
    PatientPipe,
    SilentProcessError,
    child_environment,
    ending,
    messages,
)
from blemish.runners.cluster.ray_images import write_request
from blemish.runners.cluster.unavailable import ClusterUnavailableError
from blemish.service.detection.job_images import (
    DetectionTask,
    ImageResult,
    ImageRunner,
    parse_image_result,
)

LEAST_IMAGES = 100
"""Fewer images are done here, before a driver has connected."""


class ClusterImages:
    """Detects on the nodes of a cluster, through a driver for each job."""

    def __init__(
        self,
        *,
        command: Sequence[str],
        options: Mapping[str, Any],
        silence_s: float,
        local: ImageRunner,
    ) -> None:
        #: starts the driver
        self._command = command
        #: of `Detector.load` on the nodes
        self._options = options
        #: a driver that reports nothing for this time counts as lost
        self._silence_s = silence_s
        #: for a few images
        self._local = local

    def results(
        self,
        task: DetectionTask,
        images: Iterable[ObjectRef],
        *,
        bundle: Bundle,
        report: Callable[[str | None], None],
    ) -> Generator[ImageResult, None, None]:
        """See `service.detection.job_images.ImageRunner`."""
        images = iter(images)
        first = list(islice(images, LEAST_IMAGES))
        if len(first) < LEAST_IMAGES:
            yield from self._local.results(task, first, bundle=bundle, report=report)
            return
        with self._driver() as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                pipe = PatientPipe(process.stdin, silence_s=self._silence_s, report=report)
                write_request(
                    pipe.write,
                    task=asdict(task),
                    options=self._options,
                    files=bundle_files(bundle),
                    images=((ref.bucket, ref.key) for ref in chain(first, images)),
                )
                for message in messages(process.stdout, silence_s=self._silence_s):
                    match message:
                        case {"results": results}:
                            report(None)
                            yield from map(parse_image_result, results)
                        case {"done": True}:
                            return
                        case {"interrupted": reason}:
                            raise ClusterUnavailableError(reason)
                        case {"failed": reason}:
                            raise BundleError(reason)
                        case _:
                            report(message.get("progress"))
            except SilentProcessError as error:
                raise ClusterUnavailableError(str(error)) from None
            except BrokenPipeError:
                pass
            raise ClusterUnavailableError(ending(process))

    @contextmanager
    def _driver(self) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(has_store=False),
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()
