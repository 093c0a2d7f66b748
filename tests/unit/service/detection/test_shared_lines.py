from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from blemish.domain.detection_jobs import DetectionJobKind, DetectionSegment
from blemish.service.detection.jobs import ImageList
from blemish.service.detection.shared_lines import SharedLines
from blemish.storage.errors import ObjectReadError, is_passing
from blemish.storage.stored_files import StoredFiles
from tests.unit.house import House
from tests.unit.manifests import url


class CrowdedFiles(StoredFiles):
    """Files on a machine that has too many open."""

    def lines(self, name: str) -> Iterator[str]:
        raise ObjectReadError(f"{name} cannot be read.") from OSError(errno.EMFILE, "Too many")


def test_results_that_cannot_be_read_for_now_are_read_by_a_later_attempt(
    trainable: House, tmp_path: Path
) -> None:
    trainable.trained()
    job = trainable.detection_jobs.start(
        "circuits",
        "1",
        kind=DetectionJobKind.TRIAL,
        name="job",
        image_list=ImageList(manifest=None, images=[url("a.png")]),
        output=None,
    )
    digest = hashlib.sha256(b"origin").hexdigest()
    segment = DetectionSegment(file="a", origin_sha256=digest, normal=1, anomaly=0, failed=0)
    with trainable.database.writing() as rows:
        rows.detection_segments.add(job.id, segment, position=0)
    files = CrowdedFiles(tmp_path, staging=tmp_path, encryption=trainable.encryption)
    lines = SharedLines(trainable.database, files, job_id=job.id, attempt=1, now=trainable.clock)

    with pytest.raises(ObjectReadError) as caught:
        lines.restore("origin", print)

    assert is_passing(caught.value)
    with trainable.database.reading() as rows:
        assert rows.detection_segments.of_job(job.id) == [segment]
