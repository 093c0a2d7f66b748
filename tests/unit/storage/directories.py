"""A data directory as a server leaves it, its backups, and processes that are killed at them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from blemish.domain.detection_jobs import DetectionJobKind, DetectionSegment
from blemish.domain.entities import ModelStatus, ObjectRef, Performance
from blemish.storage.backup.backup import Backup
from blemish.storage.backup.restore import Restore
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import DatabaseAddress
from blemish.storage.database.database import Database
from blemish.storage.rows.uploads import Part, Upload
from tests.unit.storage.samples import NOW, add_model, add_project, python

OLD_NS = 1_500_000_000_000_000_001

STOPPED = """
import sys, time
from pathlib import Path
from blemish.storage.backup.backup import Backup
from blemish.storage.data_directory import DataDirectory
from blemish.storage.backup.restore import Restore
from tests.unit.storage.samples import NOW
count = [0]
def stop(event, arguments):
    if event == "os.rename":
        count[0] += 1
        if count[0] == int(sys.argv[1]):
            print("stopped", flush=True)
            time.sleep(60)
sys.addaudithook(stop)
archive, directory = Path(sys.argv[3]), DataDirectory(Path(sys.argv[4]))
if sys.argv[2] == "backup":
    backup = Backup(directory, with_objects=True)
    backup.write(archive, version="1", now=NOW, progress=lambda _: None)
else:
    run = Restore(archive, directory, progress=lambda _: None)
    with run.started():
        run.carry_out(keys={})
print("done", flush=True)
"""


def killed_at(rename: int, what: str, archive: Path, root: Path) -> bool:
    """Kill a process before its n-th rename; tell whether it came so far."""
    with python(STOPPED, str(rename), what, archive, root) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
        assert process.stderr is not None
        assert said in {"stopped\n", "done\n"}, process.stderr.read()
    return said == "stopped\n"


class Served:
    """A data directory with what a server would have written."""

    def __init__(self, root: Path, *, database: DatabaseAddress | None = None) -> None:
        self.directory = DataDirectory(root)
        self.directory.create()
        self.database = Database.open(database or self.directory.database)

    def add_model(self) -> str:
        """Add a trained model with its files, in the order of the service; return its bundle."""
        with self.database.writing() as rows:
            project = rows.projects.find("circuits") or add_project(rows)
            model = add_model(rows, project)
            attempt = rows.models.claim(model.id, owner="us", now=NOW, lease_until=NOW)
            assert attempt == 1
        (self.directory.stored_files / model.entries).write_text(f"{model.id}\n")
        bundle = self.directory.bundles / f"{model.id}-1"
        bundle.mkdir()
        for name in ("model.onnx", "bundle.json"):
            (bundle / name).write_bytes(f"{name} of {model.id}".encode() * 50_000)
        with self.database.writing() as rows:
            assert rows.models.finish_training(
                model.id,
                attempt=1,
                status_message="",
                performance=Performance(f1_score=1, recall=1, precision=1),
                evaluation_manifest=ObjectRef(bucket="images", key="m"),
                evaluation_result=ObjectRef(bucket="images", key="r"),
                evaluation_ended_at=NOW,
                bundle=bundle.name,
            )
        return bundle.name

    def delete_model(self, bundle: str) -> None:
        """Delete a model as the service does: status, files, row."""
        model_id = int(bundle.partition("-")[0])
        with self.database.writing() as rows:
            (model,) = (
                each for each in rows.models.with_status(ModelStatus.TRAINED) if each.id == model_id
            )
            rows.models.move(
                model_id,
                sources=[ModelStatus.TRAINED],
                target=ModelStatus.DELETING,
                status_message="",
            )
        shutil.rmtree(self.directory.bundles / bundle)
        (self.directory.stored_files / model.entries).unlink()
        with self.database.writing() as rows:
            rows.models.delete(model_id)

    def add_segment(self) -> str:
        """Add results of a running batch, as servers that share files do; return their file."""
        file = f"results-{uuid4().hex}.jsonl"
        (self.directory.stored_files / file).write_text("{}\n")
        with self.database.writing() as rows:
            job = rows.detection_jobs.find("circuits", DetectionJobKind.BATCH, "night")
            if job is None:
                job = rows.detection_jobs.add(
                    (rows.projects.find("circuits") or add_project(rows)).id,
                    kind=DetectionJobKind.BATCH,
                    name="night",
                    model_version=1,
                    status_message="",
                    manifest=ObjectRef(bucket="images", key="list"),
                    images=None,
                    output_bucket="images",
                    output_prefix="",
                    now=NOW,
                )
            segment = DetectionSegment(file=file, origin_sha256="0", normal=1, anomaly=0, failed=0)
            position = len(rows.detection_segments.of_job(job.id))
            rows.detection_segments.add(job.id, segment, position=position)
        return file

    def put_object(self, key: str, data: bytes) -> None:
        path = self.directory.buckets / "images" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(OLD_NS, OLD_NS))

    def add_upload(self) -> None:
        (self.directory.uploads / "part").write_bytes(b"part")
        ref = ObjectRef(bucket="images", key="later.jpg")
        part = Part(number=1, file="part", size_bytes=4, etag="x", checksums={}, modified_at=NOW)
        upload = Upload(
            id="upload",
            ref=ref,
            headers={},
            metadata={},
            checksum_algorithm=None,
            checksum_type=None,
            created_at=NOW,
        )
        with self.database.writing() as rows:
            rows.uploads.add(upload)
            rows.uploads.put_part("upload", part)


def ignored(_: int) -> None:
    """Take no notice of progress."""


def back_up(
    served: Served,
    to: Path,
    *,
    with_objects: bool = False,
    progress: Callable[[int], None] = ignored,
) -> Path:
    backup = Backup(served.directory, with_objects=with_objects)
    backup.write(to, version="1.2.3", now=NOW, progress=progress)
    return to


def restored(archive: Path, root: Path) -> DataDirectory:
    directory = DataDirectory(root)
    run = Restore(archive, directory, progress=ignored)
    with run.started():
        run.carry_out(keys={})
    return directory


def rows_of(directory: DataDirectory) -> list[str]:
    """Return the bundles of the rows, whose files are there and whole."""
    with (
        closing(Database.open_current(directory.database)) as database,
        database.reading() as rows,
    ):
        models = [
            model
            for model in rows.models.with_status(ModelStatus.TRAINED)
            if check_whole(directory, model.bundle, model.entries)
        ]
    return [str(model.bundle) for model in models]


def check_whole(directory: DataDirectory, bundle: str | None, entries: str) -> bool:
    assert bundle is not None
    for name in ("model.onnx", "bundle.json"):
        data = (directory.bundles / bundle / name).read_bytes()
        assert data == f"{name} of {bundle.partition('-')[0]}".encode() * 50_000
    assert (directory.stored_files / entries).is_file()
    return True


def uploads_of(directory: DataDirectory) -> set[str]:
    with (
        closing(Database.open_current(directory.database)) as database,
        database.reading() as rows,
    ):
        return rows.uploads.file_names()
