"""Batches and trials from start to end, over real images and a real small detector."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blemish.domain.attempts import MAX_INTERRUPTIONS
from blemish.domain.detection_jobs import DetectionJob, DetectionJobKind, result_key
from blemish.domain.entities import DatasetStatus, DatasetType, ModelStatus, ObjectRef
from blemish.domain.errors import ConflictError, ResourceNotFoundError, ValidationError
from blemish.domain.limits import OURS
from blemish.domain.manifest import LineProblem, parse_manifest
from blemish.engine.bundle import Bundle, read_bundle
from blemish.runners.local_images import LocalImages
from blemish.service.client_tokens import ALWAYS, AnsweredBeforeError, Once
from blemish.service.detection.job_images import NICENESS
from blemish.service.detection.job_work import CHECKPOINT_IMAGES, DetectionJobWork
from blemish.service.detection.jobs import ImageList, Output
from blemish.service.detection.shared_lines import SHARE_EVERY
from blemish.service.models.bundles import Bundles
from blemish.service.projects import require_project
from blemish.storage.errors import StoreUnavailableError
from blemish.storage.rows.all_rows import Rows
from blemish.storage.stored_files import StoredFiles
from tests.products import (
    anomalous_images,
    draw,
    normal_images,
    options,
    png,
    train_into,
    write_backbone,
)
from tests.unit.house import LEASE, OWNER, PROJECT, House
from tests.unit.manifests import BUCKET, json_line, url
from tests.unit.principals import allow, document
from tests.unit.storage.shared_folders import shared_folders

BATCH, TRIAL = DetectionJobKind.BATCH, DetectionJobKind.TRIAL
TRAIN, TEST = DatasetType.TRAIN, DatasetType.TEST
PLACE = Output(bucket=BUCKET, prefix="results/")
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=["classification", "segmentation"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    backbone = write_backbone(folder / "tiny.onnx")
    masked = request.param == "segmentation"
    images = normal_images(6) + anomalous_images(4, "stain", masked=masked)
    train_into(folder, images, options(backbone))
    return read_bundle(folder)


@pytest.fixture
def judging(house: House, bundle: Bundle) -> House:
    """A project with a trained model that is real, and images of its product."""
    house.apply(replace(OURS, image_min_side=16))
    house.project()
    house.images(normal=15)
    model = house.trained()
    assert model.bundle is not None
    shutil.rmtree(house.directory.bundles / model.bundle)
    house.bundles.add(model.bundle, bundle, kms_key_id=None)
    for row in range(3):
        house.put(f"new/{row}.png", png(draw(500 + row).pixels))
    house.put("new/stain.png", png(draw(600, "stain").pixels))
    house.put("new/broken.png", b"no image")
    return house


NEW = [url(f"new/{name}.png") for name in ("0", "1", "2", "stain")]


def start(
    house: House,
    kind: DetectionJobKind,
    images: list[str],
    *,
    name: str = "job",
    manifest: ObjectRef | None = None,
    once: Once[DetectionJob] = ALWAYS,
) -> DetectionJob:
    return house.detection_jobs.start(
        PROJECT,
        "latest",
        kind=kind,
        name=name,
        image_list=ImageList(manifest=manifest, images=images),
        output=PLACE if kind is BATCH else None,
        once=once,
    )


def claim(house: House, job: DetectionJob) -> int:
    now = house.clock.advance(1)
    with house.database.writing() as rows:
        attempt = rows.detection_jobs.claim(job.id, owner=OWNER, now=now, lease_until=now + LEASE)
    assert attempt is not None
    return attempt


def described(house: House, job: DetectionJob) -> DetectionJob:
    return house.detection_jobs.describe(PROJECT, job.name, kind=job.kind)


def settle(
    house: House, job: DetectionJob, *, work: DetectionJobWork | None = None
) -> DetectionJob:
    carry_out(work or house.detection_job_work(), job, attempt=claim(house, job))
    return described(house, job)


def carry_out(work: DetectionJobWork, job: DetectionJob, *, attempt: int) -> None:
    """Do the work in a thread of its own: it lowers the priority of the one that it is in."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work.carry_out, job, attempt=attempt).result()


def result(house: House, job: DetectionJob) -> Path:
    key = result_key(job.output_prefix, job.project, job.name)
    return house.directory.buckets / BUCKET / key


def test_a_batch_writes_a_manifest_of_what_it_found(judging: House, bundle: Bundle) -> None:
    refs = [*NEW, url("new/broken.png"), url("absent.png")]

    job = settle(judging, start(judging, BATCH, refs))

    assert (job.status, job.status_message) == (
        "SUCCEEDED",
        "4 of 6 images were judged; 2 could not be.",
    )
    counts = job.counts
    assert counts.total == 6
    assert (counts.normal + counts.anomaly, counts.failed) == (4, 2)
    lines = result(judging, job).read_text().splitlines()
    *found, broken, absent = map(json.loads, lines)
    assert [line["source-ref"] for line in (*found, broken, absent)] == refs
    assert sum(line["anomaly-label-detected"] for line in found) == counts.anomaly
    assert found[3]["anomaly-label-detected-metadata"]["class-name"] in {"normal", "anomaly"}
    assert found[0]["anomaly-label-detected-metadata"]["model-version"] == "1"
    assert "image" in broken["error"]
    assert absent["error"] == f"There is no object {url('absent.png')}."
    masks = [line.get("anomaly-mask-ref-detected") for line in found]
    if bundle.info.anomaly_types:
        paths = [judging.directory.buckets / mask.removeprefix("s3://") for mask in masks]
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    else:
        assert masks == [None] * 4
    assert [name for name in judging.stored_names() if name.startswith("images")] == []


def test_a_image_that_is_too_large_is_the_one_that_is_not_judged(judging: House) -> None:
    os.truncate(judging.directory.buckets / BUCKET / "new/1.png", OURS.detect_body_bytes + 1)

    job = settle(judging, start(judging, BATCH, NEW))

    assert job.status_message == "3 of 4 images were judged; 1 could not be."
    line = json.loads(result(judging, job).read_text().splitlines()[1])
    assert line["error"] == (
        "s3://images/new/1.png has 33554433 bytes; at most 33554432 are allowed."
    )


def test_a_manifest_may_list_the_images(judging: House) -> None:
    listed = [json_line("new/0.png", "normal"), json_line("new/stain.png"), json_line("new/0.png")]
    place = judging.put_manifest(listed, key="list.jsonl")

    job = settle(judging, start(judging, BATCH, [], manifest=place))

    lines = [json.loads(line) for line in result(judging, job).read_text().splitlines()]
    assert [line["source-ref"] for line in lines] == [url("new/0.png"), url("new/stain.png")]
    assert job.counts.total == 2


def test_a_result_manifest_is_a_list_again_and_its_verdicts_are_no_labels(judging: House) -> None:
    listed = [json_line("new/0.png", "normal"), json_line("new/stain.png")]
    first = start(judging, BATCH, [], manifest=judging.put_manifest(listed, key="list.jsonl"))
    settle(judging, first)
    lines = result(judging, first).read_text().splitlines()
    problems: list[LineProblem] = []

    entries = [entry for _, entry in parse_manifest(lines, problems)]
    place = ObjectRef(bucket=BUCKET, key=result_key("results/", PROJECT, first.name))
    second = settle(judging, start(judging, BATCH, [], name="again", manifest=place))

    assert problems == []
    assert [(entry.label, entry.mask) for entry in entries] == [("normal", None), (None, None)]
    again = [json.loads(line) for line in result(judging, second).read_text().splitlines()]
    jobs = [line["anomaly-label-detected-metadata"]["job-name"] for line in again]
    assert jobs == ["batch-detection/again"] * 2


class Watched:
    """The objects of a house; something happens when so many images are read."""

    def __init__(self, objects: Any, *, reads: int, then: Callable[[], object]) -> None:
        self._objects = objects
        self._left = reads
        self._then = then
        self.refs: list[ObjectRef] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def read(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        self.refs.append(ref)
        self._left -= 1
        if not self._left:
            self._then()
        data: bytes = self._objects.read(ref, max_bytes=max_bytes)
        return data


def work_over(house: House, objects: Any, *, bundles: Bundles | None = None) -> DetectionJobWork:
    return DetectionJobWork(
        house.database,
        objects=objects,
        stored_files=house.stored_files,
        bundles=bundles or house.bundles,
        folder=house.directory.detection_jobs,
        images=LocalImages(objects, threads=2),
        arns=house.arns,
        limits=house.limits,
        mixed_sizes=False,
        rights=house.services.access.rights,
        now=house.clock,
    )


def test_a_job_that_is_stopped_in_its_middle_ends_as_if_it_had_not_been(judging: House) -> None:
    job = start(judging, BATCH, NEW)
    stopping: list[DetectionJobWork] = []
    watched = Watched(judging.objects, reads=2, then=lambda: stopping.pop().stop())
    stopping.append(work_over(judging, watched))
    left = settle(judging, job, work=stopping[0])
    assert (left.status, result(judging, job).exists()) == ("RUNNING", False)
    with judging.database.writing() as rows:
        rows.work.free_all()

    ended = settle(judging, job)

    other = settle(judging, start(judging, BATCH, NEW, name="other"))
    assert (ended.counts, ended.attempt) == (other.counts, 2)
    found, same = (result(judging, each).read_text().splitlines() for each in (ended, other))
    assert [verdict(line) for line in found] == [verdict(line) for line in same]


def many(house: House) -> list[str]:
    """Put more images than an attempt may judge again; return their addresses."""
    images = [png(draw(500 + row).pixels) for row in range(3)]
    count = CHECKPOINT_IMAGES + 34
    return [house.put(f"many/{row}.png", images[row % 3]) for row in range(count)]


def left_in_its_middle(house: House, job: DetectionJob) -> None:
    """Stop a job behind its first checkpoint."""
    stopping: list[DetectionJobWork] = []
    reads = CHECKPOINT_IMAGES + 32
    watched = Watched(house.objects, reads=reads, then=lambda: stopping.pop().stop())
    stopping.append(work_over(house, watched))
    settle(house, job, work=stopping[0])
    with house.database.writing() as rows:
        rows.work.free_all()


@pytest.mark.parametrize("kind", list(DetectionJobKind))
def test_a_job_goes_on_at_its_checkpoint(judging: House, kind: DetectionJobKind) -> None:
    refs = many(judging)
    job = start(judging, kind, refs)
    left_in_its_middle(judging, job)
    watched = Watched(judging.objects, reads=0, then=lambda: None)

    ended = settle(judging, job, work=work_over(judging, watched))

    assert ended.status_message == f"{len(refs)} of {len(refs)} images were judged."
    assert len(watched.refs) == len(refs) - CHECKPOINT_IMAGES
    if kind is BATCH:
        lines = result(judging, job).read_text().splitlines()
        assert [json.loads(line)["source-ref"] for line in lines] == refs
    else:
        images, _ = judging.trials.images(PROJECT, "job", verified=None, token=None, limit=100)
        assert [image.source_ref for image in images] == refs
    assert list(judging.directory.detection_jobs.iterdir()) == []


def test_a_job_whose_list_has_changed_begins_again(judging: House) -> None:
    refs = many(judging)
    keys = [ref.removeprefix(url("")) for ref in refs]
    place = judging.put_manifest([json_line(key) for key in keys], key="list.jsonl")
    job = start(judging, BATCH, [], manifest=place)
    left_in_its_middle(judging, job)
    judging.put_manifest([json_line(key) for key in keys[::-1]], key="list.jsonl")

    settle(judging, job)

    lines = result(judging, job).read_text().splitlines()
    assert [json.loads(line)["source-ref"] for line in lines] == refs[::-1]


def test_a_job_whose_model_has_moved_begins_again(judging: House) -> None:
    job = start(judging, BATCH, many(judging))
    left_in_its_middle(judging, job)
    judging.thresholds.move(PROJECT, "1", threshold=-1e6)

    ended = settle(judging, job)

    assert ended.counts.anomaly == ended.counts.total


def server_of(house: House, root: Path, name: str, objects: Any) -> DetectionJobWork:
    """Return the work on a server that shares its files with others, each with its own disk."""
    folder = root / name / "detection-jobs"
    folder.mkdir(parents=True, exist_ok=True)
    return DetectionJobWork(
        house.database,
        objects=objects,
        stored_files=kept_by(house, root, name),
        bundles=house.bundles,
        folder=folder,
        images=LocalImages(objects, threads=2),
        arns=house.arns,
        limits=house.limits,
        mixed_sizes=False,
        rights=house.services.access.rights,
        now=lambda: house.clock.advance(SHARE_EVERY.total_seconds() / CHECKPOINT_IMAGES),
    )


def kept_by(house: House, root: Path, name: str) -> StoredFiles:
    shared = shared_folders(root, name, kind="kept")
    return StoredFiles(
        root / name, staging=root / name / "staging", encryption=house.encryption, shared=shared
    )


@pytest.mark.parametrize("kind", list(DetectionJobKind))
@pytest.mark.parametrize("is_damaged", [False, True])
def test_another_server_goes_on_where_the_first_shared_its_results(
    judging: House, tmp_path: Path, *, kind: DetectionJobKind, is_damaged: bool
) -> None:
    refs = many(judging)
    keys = [ref.removeprefix(url("")) for ref in refs]
    place = judging.put_manifest([json_line(key) for key in keys], key="list.jsonl")
    job = start(judging, kind, [], manifest=place)
    stopping: list[DetectionJobWork] = []
    reads = CHECKPOINT_IMAGES + 32
    watched = Watched(judging.objects, reads=reads, then=lambda: stopping.pop().stop())
    stopping.append(server_of(judging, tmp_path, "first", watched))
    settle(judging, job, work=stopping[0])
    with judging.database.writing() as rows:
        rows.work.free_all()
        (segment,) = rows.stored_names() & set(shared_folders(tmp_path, "", kind="kept").names())
    if is_damaged:
        kept_by(judging, tmp_path, "first").delete(segment)
    watched = Watched(judging.objects, reads=0, then=lambda: None)

    ended = settle(judging, job, work=server_of(judging, tmp_path, "second", watched))

    assert ended.status_message == f"{len(refs)} of {len(refs)} images were judged."
    assert len(watched.refs) == len(refs) - (0 if is_damaged else CHECKPOINT_IMAGES)
    if kind is BATCH:
        lines = result(judging, job).read_text().splitlines()
        assert [json.loads(line)["source-ref"] for line in lines] == refs
    else:
        images, _ = judging.trials.images(PROJECT, "job", verified=None, token=None, limit=100)
        assert [image.source_ref for image in images] == refs
    assert shared_folders(tmp_path, "", kind="kept").names() == {}


class Away:
    """The objects of a house, whose store does not answer when an image is read."""

    def __init__(self, objects: Any) -> None:
        self._objects = objects

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def read(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        raise StoreUnavailableError(f"{ref} of at most {max_bytes} bytes cannot be read.")


def test_a_job_whose_store_is_away_is_left_to_a_later_attempt(judging: House) -> None:
    job = start(judging, BATCH, NEW)

    with pytest.raises(StoreUnavailableError):
        settle(judging, job, work=work_over(judging, Away(judging.objects)))

    with judging.database.writing() as rows:
        rows.work.free_all()
    assert settle(judging, job).status == "SUCCEEDED"


def verdict(line: str) -> tuple[str, int, float]:
    fields = json.loads(line)
    confidence = fields["anomaly-label-detected-metadata"]["confidence"]
    return fields["source-ref"], fields["anomaly-label-detected"], confidence


def test_a_job_that_is_cancelled_in_its_middle_publishes_nothing(judging: House) -> None:
    job = start(judging, BATCH, NEW)

    def cancel() -> None:
        judging.detection_jobs.cancel(PROJECT, job.name, kind=BATCH, by="ann")

    ended = settle(
        judging, job, work=work_over(judging, Watched(judging.objects, reads=4, then=cancel))
    )

    assert (ended.status, ended.status_message) == ("FAILED", "Cancelled by ann.")
    assert not result(judging, job).exists()


def test_a_job_is_judged_behind_the_threads_that_detect(judging: House) -> None:
    job = start(judging, TRIAL, NEW)
    niceness: list[int] = []

    def look() -> None:
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    settle(judging, job, work=work_over(judging, Watched(judging.objects, reads=1, then=look)))

    assert niceness == [max(before, NICENESS)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


class MovedBefore(Bundles):
    """The bundles, of which the first is moved to other thresholds just before it is read."""

    def __init__(self, house: House, thresholds: list[float]) -> None:
        directory = house.directory
        super().__init__(directory.bundles, staging=directory.staging, encryption=house.encryption)
        self._move = house.thresholds.move
        self._left = thresholds

    def read(self, name: str) -> Bundle:
        if self._left:
            self._move(PROJECT, "1", threshold=self._left.pop(0))
        return super().read(name)


@pytest.mark.parametrize("kind", list(DetectionJobKind))
def test_a_job_whose_model_is_moved_as_it_begins_is_judged_by_the_moved_one(
    judging: House, kind: DetectionJobKind
) -> None:
    job = start(judging, kind, NEW)
    work = work_over(judging, judging.objects, bundles=MovedBefore(judging, [1e3, 1e6]))

    ended = settle(judging, job, work=work)

    assert (ended.status, ended.status_message) == ("SUCCEEDED", "4 of 4 images were judged.")
    assert ended.counts.normal == 4  # none has so high a score


def lost_bundle(house: House) -> None:
    for path in house.directory.bundles.iterdir():
        shutil.rmtree(path)


def lost_key(house: House) -> None:
    for path in house.directory.keyring.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("lines", "harm", "told"),
    [
        (["{}", "no JSON"], None, "line 1: 'source-ref' is missing; line 2: "),
        (["", " "], None, "the list names no image."),
        ([json_line("._1.png")], None, "the list names no image: 1 line names a file of a file"),
        ([json_line(f"{row}.png") for row in range(4)], None, "the list names more than 3"),
        (None, None, "There is no object s3://images/list.jsonl"),
        ([json_line("new/0.png")], lost_bundle, "cannot be read"),
        ([json_line("new/0.png")], lost_key, "key"),
    ],
)
def test_a_job_that_cannot_be_done_says_why(
    judging: House, lines: list[str] | None, harm: Any, told: str
) -> None:
    judging.apply(replace(judging.limits, max_batch_images=3))
    place = ObjectRef(bucket=BUCKET, key="list.jsonl")
    if lines is not None:
        judging.put_manifest(lines, key="list.jsonl")
    job = start(judging, BATCH, [], manifest=place)
    if harm:
        harm(judging)

    ended = settle(judging, job)

    assert ended.status == "FAILED"
    assert told in ended.status_message
    assert not result(judging, job).exists()


def test_a_stopped_server_leaves_the_job_to_the_next(judging: House) -> None:
    job = start(judging, BATCH, NEW)
    stopped = judging.detection_job_work()
    stopped.stop()

    left = settle(judging, job, work=stopped)

    assert left.status == "CREATED"
    with judging.database.writing() as rows:
        rows.work.free_all()
    assert settle(judging, job).status == "SUCCEEDED"
    assert len(result(judging, job).read_text().splitlines()) == 4


def test_a_job_that_is_cancelled_meanwhile_publishes_nothing(judging: House) -> None:
    job = start(judging, BATCH, NEW)
    attempt = claim(judging, job)
    cancelled = judging.detection_jobs.cancel(PROJECT, job.name, kind=BATCH, by="ann")

    carry_out(judging.detection_job_work(), job, attempt=attempt)

    assert (cancelled.status, cancelled.status_message) == ("FAILED", "Cancelled by ann.")
    assert described(judging, job) == cancelled
    assert not result(judging, job).exists()
    with pytest.raises(ConflictError, match="is FAILED; only one that is not through"):
        judging.detection_jobs.cancel(PROJECT, job.name, kind=BATCH, by="ann")


def test_a_job_that_never_ends_is_given_up(judging: House) -> None:
    job = start(judging, BATCH, NEW)
    for _ in range(MAX_INTERRUPTIONS + 1):
        judging.clock.advance(LEASE.total_seconds() + 1)
        attempt = claim(judging, job)

    carry_out(judging.detection_job_work(), described(judging, job), attempt=attempt)

    ended = described(judging, job)

    assert ended.status == "FAILED"
    assert ended.status_message == (
        f"The images were not judged: it was interrupted {MAX_INTERRUPTIONS} times."
    )


def test_a_stale_attempt_changes_nothing(judging: House) -> None:
    job = start(judging, TRIAL, NEW)
    stale = claim(judging, job)
    judging.clock.advance(LEASE.total_seconds() + 1)
    claim(judging, job)

    carry_out(judging.detection_job_work(), job, attempt=stale)

    assert described(judging, job).status == "CREATED"
    assert judging.trials.images(PROJECT, job.name, verified=None, token=None) == ([], None)


class Suspended:
    """The objects of a server that is suspended just before it publishes a result."""

    def __init__(self, objects: Any, *, meanwhile: Callable[[], object]) -> None:
        self._objects = objects
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def replace(self, ref: ObjectRef, data: Any, *, version: str | None) -> bool:
        self._meanwhile()
        written: bool = self._objects.replace(ref, data, version=version)
        return written


def test_a_server_that_is_suspended_at_the_end_of_a_job_publishes_over_no_other(
    judging: House,
) -> None:
    job = start(judging, BATCH, NEW)
    published: list[bytes] = []

    def another_server() -> None:
        judging.clock.advance(LEASE.total_seconds() + 1)
        judging.thresholds.move(PROJECT, "1", threshold=-1e6)
        assert settle(judging, job).counts.anomaly == len(NEW)
        published.append(result(judging, job).read_bytes())

    first = work_over(judging, Suspended(judging.objects, meanwhile=another_server))
    settle(judging, job, work=first)

    assert [result(judging, job).read_bytes()] == published
    assert described(judging, job).counts.anomaly == len(NEW)


def test_the_attempt_in_force_publishes_over_a_suspended_one(judging: House) -> None:
    job = start(judging, BATCH, NEW)
    late = [lambda: result(judging, job).write_bytes(b"of a suspended server")]

    def another_server() -> None:
        if late:
            result(judging, job).parent.mkdir(parents=True, exist_ok=True)
            late.pop()()

    work = work_over(judging, Suspended(judging.objects, meanwhile=another_server))
    ended = settle(judging, job, work=work)

    assert ended.status == "SUCCEEDED"
    assert len(result(judging, job).read_text().splitlines()) == len(NEW)


def test_a_model_that_a_job_needs_cannot_be_deleted(judging: House) -> None:
    job = start(judging, TRIAL, NEW)

    with pytest.raises(ConflictError, match="is needed by the trial detection job"):
        judging.models.delete(PROJECT, "1")
    settle(judging, job)
    judging.models.delete(PROJECT, "1")


def trial(house: House, refs: list[str] = NEW) -> DetectionJob:
    return settle(house, start(house, TRIAL, refs))


def entries(*refs: str, label: str = "anomaly") -> bytes:
    keys = [ref.removeprefix(url("")) for ref in refs]
    return "\n".join(json_line(key, label) for key in keys).encode()


def test_a_trial_keeps_its_verdicts_page_by_page(judging: House) -> None:
    job = trial(judging, [*NEW, url("new/broken.png")])

    first, token = judging.trials.images(PROJECT, job.name, verified=None, token=None, limit=3)
    rest, end = judging.trials.images(PROJECT, job.name, verified=None, token=token, limit=3)

    found = [*first, *rest]
    assert [image.source_ref for image in found] == [*NEW, url("new/broken.png")]
    assert all(image.confidence is not None for image in found[:4])
    assert (found[4].is_anomalous, found[4].confidence) == (None, None)
    assert found[4].error is not None
    assert end is None


def test_what_is_verified_is_kept_and_may_be_said_anew(judging: House) -> None:
    job = trial(judging)
    judging.trials.verify(PROJECT, job.name, entries=entries(NEW[0], NEW[3]))

    count = judging.trials.verify(PROJECT, job.name, entries=entries(NEW[0], label="normal"))

    assert count == 1
    verified, _ = judging.trials.images(PROJECT, job.name, verified=True, token=None)
    labels = [json.loads(image.verified_line or "")["anomaly-label-metadata"] for image in verified]
    assert [label["class-name"] for label in labels] == ["normal", "anomaly"]
    others, _ = judging.trials.images(PROJECT, job.name, verified=False, token=None)
    assert [image.source_ref for image in others] == NEW[1:3]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (b"\xff", "byte 0 is not"),
        (b"\n", "at least one JSON Line"),
        (b"{}", "line 1: 'source-ref' is missing"),
        (
            entries(NEW[0]) + b"\n" + entries(url("other.png")),
            "line 2: s3://images/other.png is no",
        ),
        (json.dumps({"source-ref": NEW[0]}).encode(), "has no label"),
    ],
)
def test_what_cannot_be_verified_changes_nothing(judging: House, given: bytes, told: str) -> None:
    job = trial(judging)

    with pytest.raises(ValidationError) as caught:
        judging.trials.verify(PROJECT, job.name, entries=given)

    assert told in str(caught.value)
    assert judging.trials.images(PROJECT, job.name, verified=True, token=None)[0] == []


def test_verified_images_go_into_the_training_set(judging: House) -> None:
    job = trial(judging)
    judging.trials.verify(PROJECT, job.name, entries=entries(NEW[3]))

    status = judging.trials.add_to_dataset(PROJECT, job.name, kind=TRAIN)

    assert status is DatasetStatus.UPDATE_IN_PROGRESS
    assert judging.settle().status is DatasetStatus.UPDATE_COMPLETE
    assert (judging.stats().total, judging.stats().anomaly) == (16, 1)


def test_a_test_set_takes_a_whole_trial_alone(judging: House) -> None:
    judging.datasets.create(PROJECT, TEST, manifest=None)
    job = trial(judging, [*NEW, url("absent.png")])
    judging.trials.verify(PROJECT, job.name, entries=entries(*NEW[:3]))
    with pytest.raises(ConflictError, match="1 of the 4 images that it judged are not verified"):
        judging.trials.add_to_dataset(PROJECT, job.name, kind=TEST)
    judging.trials.verify(PROJECT, job.name, entries=entries(NEW[3]))

    judging.trials.add_to_dataset(PROJECT, job.name, kind=TEST)

    assert judging.settle(kind=TEST).status is DatasetStatus.UPDATE_COMPLETE
    with pytest.raises(ConflictError, match="4 of its images are in the test dataset"):
        judging.trials.add_to_dataset(PROJECT, job.name, kind=TRAIN)


def test_a_test_set_takes_nothing_that_is_trained_on(judging: House) -> None:
    judging.datasets.create(PROJECT, TEST, manifest=None)
    job = trial(judging)
    judging.trials.verify(PROJECT, job.name, entries=entries(*NEW))
    judging.trials.add_to_dataset(PROJECT, job.name, kind=TRAIN)
    judging.settle()

    with pytest.raises(ConflictError, match="4 of its images are in the train dataset"):
        judging.trials.add_to_dataset(PROJECT, job.name, kind=TEST)


def test_a_trial_adds_nothing_while_the_other_dataset_may_get_the_same(judging: House) -> None:
    judging.datasets.create(PROJECT, TEST, manifest=None)
    job = trial(judging)
    judging.trials.verify(PROJECT, job.name, entries=entries(*NEW))
    judging.trials.add_to_dataset(PROJECT, job.name, kind=TRAIN)
    before = judging.stored_names()

    with pytest.raises(ConflictError, match="the train dataset is UPDATE_IN_PROGRESS"):
        judging.trials.add_to_dataset(PROJECT, job.name, kind=TEST)
    with pytest.raises(ConflictError, match="the train dataset is UPDATE_IN_PROGRESS"):
        judging.trials.check_apart(PROJECT, TEST, NEW)

    assert judging.stored_names() == before
    assert judging.datasets.describe(PROJECT, TEST)[0].status is DatasetStatus.CREATE_COMPLETE


class Overtaken:
    """A token during whose last look but one, outside of the write, something else is done."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._then = then
        self._recalled = 0

    def recall(self, _: Rows) -> None:
        self._recalled += 1
        if self._recalled == 2:
            self._then()

    def remember(self, rows: Rows, made: object, /, *, model_id: int | None = None) -> None:
        """See `Once`."""


def test_of_two_additions_at_once_of_the_same_images_one_is_refused(judging: House) -> None:
    judging.datasets.create(PROJECT, TEST, manifest=None)
    job = trial(judging)
    judging.trials.verify(PROJECT, job.name, entries=entries(*NEW))
    other = Overtaken(lambda: judging.trials.add_to_dataset(PROJECT, job.name, kind=TRAIN))

    with pytest.raises(ConflictError, match="the train dataset is UPDATE_IN_PROGRESS"):
        judging.trials.add_to_dataset(PROJECT, job.name, kind=TEST, once=other)

    assert judging.settle().status is DatasetStatus.UPDATE_COMPLETE


def test_a_trial_adds_nothing_before_anything_is_verified(judging: House) -> None:
    job = start(judging, TRIAL, NEW)
    with pytest.raises(ConflictError, match="it is CREATED; it must be SUCCEEDED"):
        judging.trials.add_to_dataset(PROJECT, job.name, kind=TRAIN)
    settle(judging, job)

    with pytest.raises(ConflictError, match="no image of it is verified"):
        judging.trials.add_to_dataset(PROJECT, job.name, kind=TRAIN)


@pytest.mark.parametrize(
    ("images", "manifest", "told"),
    [
        ([], None, "either Manifest or Images"),
        (NEW, ObjectRef(bucket=BUCKET, key="list"), "either Manifest or Images"),
        (["images/1.png", *NEW], None, "'images/1.png' is not"),
    ],
)
def test_a_list_that_is_none_is_refused(
    judging: House, images: list[str], manifest: ObjectRef | None, told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        start(judging, TRIAL, images, manifest=manifest)


def test_a_place_that_is_none_is_refused(judging: House) -> None:
    before = judging.stored_names()

    with pytest.raises(ValidationError, match="OutputConfig names the bucket absent"):
        judging.detection_jobs.start(
            PROJECT,
            "1",
            kind=BATCH,
            name=None,
            image_list=ImageList(manifest=None, images=NEW),
            output=Output(bucket="absent", prefix=None),
        )

    assert judging.stored_names() == before


def test_a_name_is_one_job_s_of_its_kind(judging: House) -> None:
    start(judging, TRIAL, NEW)
    start(judging, BATCH, NEW)
    before = judging.stored_names()

    with pytest.raises(ConflictError, match="has a trial detection job already"):
        start(judging, TRIAL, NEW)

    assert judging.stored_names() == before


class Raced:
    """A token that nobody has used, until what is asked for is about to be made."""

    def __init__(self, then: Callable[[Rows], object]) -> None:
        self._then = then
        self._recalled = False

    def recall(self, rows: Rows) -> None:
        if self._recalled:
            self._then(rows)
        self._recalled = True

    def remember(self, rows: Rows, made: object, /, *, model_id: int | None = None) -> None:
        """See `Once`."""


def answered(_: Rows) -> None:
    raise AnsweredBeforeError({"TrialName": "job"})


def take_the_name(rows: Rows) -> None:
    rows.detection_jobs.add(
        require_project(rows, PROJECT).id,
        kind=TRIAL,
        name="job",
        model_version=1,
        status_message="",
        manifest=None,
        images=None,
        output_bucket=None,
        output_prefix=None,
        now=LONG_AGO,
    )


@pytest.mark.parametrize(
    ("then", "error"), [(answered, AnsweredBeforeError), (take_the_name, ConflictError)]
)
def test_a_request_that_loses_a_race_keeps_no_file(
    judging: House, then: Callable[[Rows], object], error: type[Exception]
) -> None:
    files, wakes = judging.stored_names(), judging.wakes

    with pytest.raises(error):
        start(judging, TRIAL, NEW, once=Raced(then))

    assert (judging.stored_names(), judging.wakes) == (files, wakes)
    assert judging.detection_jobs.page(PROJECT, kind=TRIAL, token=None) == ([], None)


def test_a_cancelled_job_keeps_no_file(judging: House) -> None:
    before = judging.stored_names()
    job = start(judging, TRIAL, NEW)
    assert judging.stored_names() == before | {job.images}

    judging.detection_jobs.cancel(PROJECT, job.name, kind=TRIAL, by="ann")

    assert judging.stored_names() == before


@pytest.mark.parametrize("status", [ModelStatus.TRAINING, ModelStatus.TRAINING_FAILED])
def test_a_model_that_is_not_trained_judges_nothing(trainable: House, status: ModelStatus) -> None:
    trainable.model(status)

    with pytest.raises(ConflictError, match=f"is {status}"):
        start(trainable, TRIAL, NEW)


def test_a_job_that_is_not_there_is_not_found(judging: House) -> None:
    with pytest.raises(ResourceNotFoundError, match="has no trial detection absent"):
        judging.detection_jobs.describe(PROJECT, "absent", kind=TRIAL)


def test_jobs_are_listed_newest_first(judging: House) -> None:
    for number in range(3):
        start(judging, TRIAL, NEW, name=f"trial-{number}")

    first, token = judging.detection_jobs.page(PROJECT, kind=TRIAL, token=None, limit=2)
    rest, end = judging.detection_jobs.page(PROJECT, kind=TRIAL, token=token, limit=2)

    assert [job.name for job in (*first, *rest)] == ["trial-2", "trial-1", "trial-0"]
    assert end is None
    assert judging.detection_jobs.page(PROJECT, kind=BATCH, token=None) == ([], None)


def test_jobs_go_with_their_project(judging: House) -> None:
    job = trial(judging)
    judging.models.delete(PROJECT, "1")
    with judging.database.writing() as rows:
        (model,) = rows.models.unsettled()
        rows.models.delete(model.id)
    judging.datasets.delete(PROJECT, TRAIN)
    judging.settle()

    judging.projects.delete(PROJECT)

    judging.project()
    with pytest.raises(ResourceNotFoundError):
        judging.detection_jobs.describe(PROJECT, job.name, kind=TRIAL)


def test_images_that_a_caller_may_not_use_have_no_result(judging: House) -> None:
    manifest = judging.put_manifest([json_line("new/0.png"), json_line("new/stain.png")])
    denied = f"arn:aws:s3:::{BUCKET}/new/stain.png"
    refusal = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": denied}
    requester = judging.key("anna", document(allow("*"), refusal))

    job = settle(
        judging,
        judging.detection_jobs.start(
            PROJECT,
            "latest",
            kind=TRIAL,
            name="night",
            image_list=ImageList(manifest=manifest, images=[]),
            output=None,
            rights=judging.services.access.rights(requester),
        ),
    )

    assert job.status_message == "1 of 2 images were judged; 1 could not be."
    with judging.database.reading() as rows:
        _, image = rows.trial_images.page(job.id, after=0, limit=2, verified=None)
    assert image.error is not None
    assert denied in image.error
