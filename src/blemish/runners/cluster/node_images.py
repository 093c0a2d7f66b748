"""A shard of the images of a detection job on another machine, which gets no keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from blemish.domain.entities import ObjectRef
from blemish.engine.bundle import parse_bundle
from blemish.engine.errors import BundleError
from blemish.engine.runtime import Detector
from blemish.runners.child_process import Message
from blemish.runners.cluster.node_training import unreachable_folder
from blemish.service.detection.job_images import (
    DetectionTask,
    image_result,
    image_result_message,
    in_order,
)
from blemish.storage.errors import StorageError, StoreUnavailableError
from blemish.storage.objects.open_store import open_store

THREADS = 2
"""One reads while the other detects."""

_LOADED: dict[str, Detector] = {}
"""The newest detector of this process by the digest of the bundle; a process serves one job."""


def detect_on_node(
    document: Mapping[str, Any],
    images: Sequence[tuple[str, str]],
    digest: str,
    files: Mapping[str, bytes],
    options: Mapping[str, Any],
) -> Message:
    """Detect in the images of a shard; return their results, or why there are none.

    Args:
        document: the task, as JSON.
        images: buckets and keys.
        digest: identifies the bundle.
        files: of the bundle, by name.
        options: of `Detector.load`.
    """
    task = DetectionTask.of_json(document)
    if reason := unreachable_folder(task.store_connection):
        return {"failed": reason}
    try:
        detector = _loaded(digest, files, options)
    except BundleError as error:
        return {"failed": str(error)}
    refs = (ObjectRef(bucket=bucket, key=key) for bucket, key in images)
    try:
        objects = open_store(task.store_connection)
        work = partial(image_result, task, detector=detector, objects=objects)
        results = in_order(work, refs, threads=THREADS)
        return {"results": [image_result_message(result) for result in results]}
    except StoreUnavailableError as error:
        return {"interrupted": str(error)}
    except StorageError as error:
        return {"failed": str(error)}


def _loaded(digest: str, files: Mapping[str, bytes], options: Mapping[str, Any]) -> Detector:
    if digest not in _LOADED:
        _LOADED.clear()
        _LOADED[digest] = Detector.load(parse_bundle(files.__getitem__, name=digest), **options)
    return _LOADED[digest]
