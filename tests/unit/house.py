"""The services over a real database and real folders, with a clock that tests move."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from blemish.domain.arns import ArnScope
from blemish.domain.entities import (
    AccessKey,
    Dataset,
    DatasetType,
    EvaluationMethod,
    ImageStats,
    InferenceUnits,
    Label,
    Model,
    ModelStatus,
    ObjectRef,
    Performance,
    Requester,
)
from blemish.domain.limits import OURS, Limits
from blemish.monitoring.metrics import DetectionMetrics
from blemish.server.foundation import Foundation
from blemish.server.services import build_services
from blemish.server.stores import build_storage
from blemish.server.workers import (
    build_dataset_work,
    build_detection_job_work,
    build_hosting_work,
    build_packaging_work,
)
from blemish.service.datasets.datasets import EntryFilter
from blemish.service.detection.job_work import DetectionJobWork
from blemish.service.models.hosting import HostingRunner, HostingWork
from blemish.service.models.packaging_work import PackagingWork
from blemish.service.training.evaluation_files import evaluation_keys
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import DatabaseAddress
from blemish.storage.database.database import Database
from tests.unit.fakes import FakeHosting
from tests.unit.manifests import BUCKET, json_line, url
from tests.unit.storage.sealing import new_keyring

PROJECT = "circuits"
OWNER = "the test"
LEASE = timedelta(seconds=10)
ONE_UNIT = InferenceUnits(minimum=1, maximum=None)


class Clock:
    """The time, which moves only when a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> datetime:
        """Let time pass; return what it is then."""
        self.time += timedelta(seconds=seconds)
        return self.time


class House:
    """Every service over one data directory, built as a server builds them."""

    def __init__(
        self, root: Path, *, limits: Limits = OURS, database: DatabaseAddress | None = None
    ) -> None:
        self.directory = DataDirectory(root)
        self.directory.create()
        (self.directory.buckets / BUCKET).mkdir(exist_ok=True)
        self.database = Database.open(database or self.directory.database)
        self.clock = Clock()
        self.arns = ArnScope(region="eu-west-1", account="123456789012")
        self.hosting = FakeHosting()
        self.wakes = 0
        self._names = map(str, itertools.count(1))
        new_keyring(self.directory.root)  # a server draws its first key; this one has a number
        self.foundation = Foundation(
            settings=Settings(data_dir=root),
            directory=self.directory,
            database=self.database,
            limits=limits,
            arns=self.arns,
            now=self.clock,
            new_name=self._names.__next__,
            random_bytes=random.Random(0).randbytes,
        )
        self.storage = build_storage(self.foundation)
        self.objects = self.storage.folder
        self.keyring = self.storage.keyring
        self.encryption = self.storage.encryption
        self.stored_files = self.storage.stored_files
        self.bundles = self.storage.bundles
        self.apply(limits)

    def apply(self, limits: Limits) -> None:
        """Build the services with other limits."""
        self.limits = limits
        self.foundation = replace(self.foundation, limits=limits)
        self.services = build_services(
            self.foundation,
            self.storage,
            wake=self._wake,
            hosted=self.hosting,
            counter=DetectionMetrics(),
        )
        self.projects = self.services.projects
        self.datasets = self.services.datasets
        self.models = self.services.models
        self.tagging = self.services.tagging
        self.detection_jobs = self.services.detection_jobs
        self.trials = self.services.trials
        self.packaging = self.services.packaging
        self.thresholds = self.services.thresholds
        self.dataset_work = build_dataset_work(self.foundation, self.storage)

    def hosting_work(self, runner: HostingRunner) -> HostingWork:
        """Return the work of hosting by a runner."""
        return build_hosting_work(self.foundation, self.storage, runner=runner)

    def detection_job_work(self) -> DetectionJobWork:
        """Return the work of detection jobs."""
        return build_detection_job_work(self.foundation, self.storage)

    def packaging_work(self) -> PackagingWork:
        """Return the work of model packaging jobs."""
        return build_packaging_work(self.foundation, self.storage)

    def _wake(self) -> None:
        self.wakes += 1

    def put(self, key: str, data: bytes = b"image", *, bucket: str = BUCKET) -> str:
        """Put an object into a bucket, which is made; return its address."""
        path = self.directory.buckets / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return url(key, bucket=bucket)

    def put_manifest(self, lines: Iterable[str], *, key: str = "the.manifest") -> ObjectRef:
        """Put a manifest into the usual bucket."""
        self.put(key, "\n".join(lines).encode())
        return ObjectRef(bucket=BUCKET, key=key)

    def lines(self, label: Label | None, count: int, *, prefix: str = "") -> list[str]:
        """Put so many images of a label; return their JSON Lines."""
        keys = [f"{prefix}{label or 'unlabelled'}-{i}.png" for i in range(count)]
        for key in keys:
            self.put(key, key.encode())
        return [json_line(key, label) for key in keys]

    def key(self, name: str, policy: str) -> Requester:
        """Make an access key; return a request of its holder."""
        now = self.clock.time
        key = AccessKey(
            id=f"BLEM{name}",
            sealed_secret="",
            name=name,
            policy=policy,
            tags={},
            enabled=True,
            created_at=now,
        )
        with self.database.writing() as rows:
            rows.keys.add(key)
        return Requester(key_name=name, at=now, source_ip="192.0.2.7", secure=False)

    def project(self, name: str = PROJECT) -> str:
        """Make a project; return its name."""
        return self.projects.create(name).name

    def dataset(
        self, lines: Iterable[str], *, project: str = PROJECT, kind: DatasetType = DatasetType.TRAIN
    ) -> Dataset:
        """Make a dataset of these lines and see it through; return how it ended."""
        self.datasets.create(project, kind, manifest=self.put_manifest(lines))
        return self.settle(project=project, kind=kind)

    def images(
        self,
        kind: DatasetType = DatasetType.TRAIN,
        *,
        normal: int,
        anomaly: int = 0,
        other: int = 0,
    ) -> Dataset:
        """Make a dataset of so many images and see it through."""
        counts = ((Label.NORMAL, normal), (Label.ANOMALY, anomaly), (None, other))
        return self.dataset(
            [
                line
                for label, count in counts
                for line in self.lines(label, count, prefix=f"{kind}/")
            ],
            kind=kind,
        )

    def entry_lines(self) -> list[str]:
        """Return the lines of the training dataset."""
        wanted = EntryFilter()
        lines, _ = self.datasets.entries(PROJECT, DatasetType.TRAIN, wanted=wanted, token=None)
        return lines

    def stats(self) -> ImageStats:
        """Return the numbers of the training dataset."""
        return self.datasets.describe(PROJECT, DatasetType.TRAIN)[1]

    def settle(self, *, project: str = PROJECT, kind: DatasetType = DatasetType.TRAIN) -> Dataset:
        """Do what a dataset's status asks for; return what became of it (or what it was)."""
        dataset, attempt = self.claim_dataset(project=project, kind=kind)
        self.dataset_work.carry_out(dataset, attempt=attempt)
        with self.database.reading() as rows:
            return rows.datasets.find(project, kind) or dataset

    def claim_dataset(
        self, *, project: str = PROJECT, kind: DatasetType = DatasetType.TRAIN
    ) -> tuple[Dataset, int]:
        """Take a dataset in progress; return it with the number of the attempt."""
        now = self.clock.advance(1)
        with self.database.writing() as rows:
            dataset = rows.datasets.find(project, kind)
            assert dataset is not None
            attempt = rows.datasets.claim(dataset.id, owner=OWNER, now=now, lease_until=now + LEASE)
        assert attempt is not None
        return dataset, attempt

    def model(self, status: ModelStatus = ModelStatus.TRAINING, *, project: str = PROJECT) -> Model:
        """Make a model of the project's datasets and put it into a status."""
        model = self.models.create(
            project, description=None, output_bucket=BUCKET, output_prefix="out/"
        )
        return self.put_into(model, status)

    def put_into(self, model: Model, status: ModelStatus) -> Model:
        """Put a model into a status, by whatever way."""
        units = None if status in {ModelStatus.TRAINING, ModelStatus.TRAINED} else ONE_UNIT
        with self.database.writing() as rows:
            rows.models.move(
                model.id,
                sources=list(ModelStatus),
                target=status,
                status_message=f"Put into {status}.",
                units=units,
            )
        return self.models.describe(model.project, str(model.version))

    def trained(
        self, status: ModelStatus = ModelStatus.TRAINED, *, method: EvaluationMethod | None = None
    ) -> Model:
        """Make a model with a bundle (which is no real one) and put it into a status."""
        model = self.model()
        attempt = self.claim_model(model)
        bundle = self.directory.bundles / f"{model.id}-{attempt}"
        bundle.mkdir()
        (bundle / "model.onnx").write_bytes(b"graph")
        keys = evaluation_keys(model.output_prefix, model.project, version=model.version)
        manifest, result, _ = (ObjectRef(bucket=model.output_bucket, key=key) for key in keys.all())
        with self.database.writing() as rows:
            rows.models.finish_training(
                model.id,
                attempt=attempt,
                status_message="Training completed successfully.",
                performance=Performance(f1_score=0.5, recall=0.25, precision=0.75, method=method),
                evaluation_manifest=manifest,
                evaluation_result=result,
                evaluation_ended_at=self.clock.time,
                bundle=bundle.name,
            )
        if status is ModelStatus.TRAINED:
            return self.described(model)
        return self.put_into(model, status)

    def claim_model(self, model: Model) -> int:
        """Take a model in progress; return the number of the attempt."""
        now = self.clock.advance(1)
        with self.database.writing() as rows:
            attempt = rows.models.claim(model.id, owner=OWNER, now=now, lease_until=now + LEASE)
        assert attempt is not None
        return attempt

    def described(self, model: Model) -> Model:
        """Return a model as it is now."""
        return self.models.describe(model.project, str(model.version))

    def stored_names(self) -> set[str]:
        """Return the names of the files that the service keeps."""
        return {path.name for path in self.directory.stored_files.iterdir()}
