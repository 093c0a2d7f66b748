"""The server's end of a job on a cluster, with a driver that needs no Ray."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from blemish.domain.entities import ObjectRef
from blemish.domain.limits import OURS
from blemish.engine.bundle import Bundle, read_bundle
from blemish.engine.errors import BundleError
from blemish.runners.cluster.images import LEAST_IMAGES, ClusterImages
from blemish.runners.cluster.unavailable import ClusterUnavailableError
from blemish.runners.local_images import LocalImages
from blemish.service.detection.job_images import DetectionTask, ImageResult
from blemish.storage.errors import is_passing
from blemish.storage.objects.store import ObjectStore
from tests.products import (
    anomalous_images,
    draw,
    normal_images,
    options,
    png,
    train_into,
    write_backbone,
)
from tests.unit.manifests import BUCKET

DRIVER = """
import sys
from blemish.runners.child_process import start_reporting
from blemish.runners.cluster.node_images import detect_on_node
from blemish.runners.cluster.ray_images import read_request
request = read_request(sys.stdin.buffer)
reporter = start_reporting()
half = len(request.images) // 2
for shard in (request.images[:half], request.images[half:]):
    reporter.send(detect_on_node(request.task, shard, "one", request.files, request.options))
reporter.send({"done": True})
"""

SAYING = """
import sys
from blemish.runners.child_process import start_reporting
from blemish.runners.cluster.ray_images import read_request
read_request(sys.stdin.buffer)
start_reporting().send(MESSAGE)
"""

WAITING = """
import sys, time
from blemish.runners.child_process import start_reporting
from blemish.runners.cluster.ray_images import read_request
read_request(sys.stdin.buffer)
start_reporting().note("a node")
time.sleep(600)
"""


READING_NOTHING = "import time; time.sleep(600)"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    backbone = write_backbone(folder / "tiny.onnx")
    images = normal_images(6) + anomalous_images(4, "stain", masked=True)
    train_into(folder, images, options(backbone))
    return read_bundle(folder)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    folder = tmp_path_factory.mktemp("buckets")
    (folder / BUCKET).mkdir()
    for row in range(3):
        (folder / BUCKET / f"{row}.png").write_bytes(png(draw(500 + row).pixels))
    (folder / BUCKET / "3.png").write_bytes(b"no image")
    return ObjectStore(folder)


LIMITS = replace(OURS, image_min_side=16)
REFS = [ObjectRef(bucket=BUCKET, key=f"{row % 5}.png") for row in range(LEAST_IMAGES + 5)]
"""Every fifth is missing, and every fifth is no image."""


def results(
    program: str,
    objects: ObjectStore,
    bundle: Bundle,
    *,
    refs: list[ObjectRef] = REFS,
    report: Callable[[str | None], None] = lambda _: None,
    silence_s: float = 60,
) -> list[ImageResult]:
    """Have images looked at by a driver."""
    runner = ClusterImages(
        command=(sys.executable, "-c", program),
        options={"threads": 1, "providers": ("cpu",)},
        silence_s=silence_s,
        local=LocalImages(objects, threads=1),
    )
    with closing(runner.results(task(objects), refs, bundle=bundle, report=report)) as generator:
        return list(generator)


def task(objects: ObjectStore) -> DetectionTask:
    return DetectionTask(
        store_connection=objects.connection, limits=LIMITS, mixed_sizes=False, with_masks=True
    )


def test_nodes_give_the_same_results_in_the_same_order(
    objects: ObjectStore, bundle: Bundle
) -> None:
    local = LocalImages(objects, threads=1)

    there = results(DRIVER, objects, bundle)

    assert there == list(local.results(task(objects), REFS, bundle=bundle, report=lambda _: None))
    assert len([result for result in there if isinstance(result, str)]) == 2 * len(REFS) // 5


def test_a_few_images_start_no_driver(objects: ObjectStore, bundle: Bundle) -> None:
    assert len(results("raise SystemExit(7)", objects, bundle, refs=REFS[:10])) == 10


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit(7)", "the process ended with exit status 7"),
        (SAYING.replace("MESSAGE", "{'interrupted': 'the node was lost'}"), "the node was lost"),
    ],
)
def test_a_lost_cluster_leaves_the_job_to_a_later_attempt(
    objects: ObjectStore, bundle: Bundle, program: str, reason: str
) -> None:
    with pytest.raises(ClusterUnavailableError, match=reason) as error:
        results(program, objects, bundle)

    assert is_passing(error.value)
    assert str(error.value) == reason


def test_what_no_attempt_can_do_is_an_error_for_good(objects: ObjectStore, bundle: Bundle) -> None:
    program = SAYING.replace("MESSAGE", "{'failed': 'the node does not see the folder'}")

    with pytest.raises(BundleError, match="does not see the folder"):
        results(program, objects, bundle)


def test_a_job_that_is_cancelled_while_it_waits_ends_its_driver(
    objects: ObjectStore, bundle: Bundle
) -> None:
    def cancel(waiting_for: str | None) -> None:
        if waiting_for == "a node":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        results(WAITING, objects, bundle, report=cancel)


def test_a_driver_that_reads_nothing_is_given_up(objects: ObjectStore, bundle: Bundle) -> None:
    with pytest.raises(ClusterUnavailableError, match="read nothing for 1 s"):
        results(READING_NOTHING, objects, bundle, silence_s=1)


def test_a_job_that_is_cancelled_while_a_driver_reads_nothing_ends(
    objects: ObjectStore, bundle: Bundle
) -> None:
    def cancel(_: str | None) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        results(READING_NOTHING, objects, bundle, report=cancel)


def test_a_node_that_does_not_see_the_buckets_says_what_to_do(
    tmp_path: Path, bundle: Bundle
) -> None:
    with pytest.raises(BundleError, match="BLEMISH_S3_ENDPOINT"):
        results(DRIVER, ObjectStore(tmp_path / "absent"), bundle)
