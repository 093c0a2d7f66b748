"""The one place where parts are put together: settings in, a running server out."""

from __future__ import annotations

import os
import secrets
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from blemish.api.authorization import ApiGate
from blemish.api.datasets import DatasetOperations
from blemish.api.detection import DetectionOperations
from blemish.api.detection_jobs import BatchOperations, TrialOperations
from blemish.api.models import ModelOperations
from blemish.api.packaging import PackagingOperations
from blemish.api.projects import ProjectOperations
from blemish.api.service_model import service_model
from blemish.api.tagging import TaggingOperations
from blemish.api.thresholds import ThresholdOperations
from blemish.console.app import Console
from blemish.console.services import Services
from blemish.domain.arns import ArnScope
from blemish.domain.limits import Limits
from blemish.engine.images.decode import ImageLimits
from blemish.runners.local import LocalHosting, LocalTrainings
from blemish.runners.reconciler import Reconciler
from blemish.s3.authorization import s3_gate
from blemish.s3.operations import s3_operations
from blemish.s3.protocol.dispatch import StreamingDispatcher
from blemish.s3.service_model import s3_model
from blemish.server.backbones import backbones_of
from blemish.server.faults import FAULTS
from blemish.server.front import Front, S3Elsewhere
from blemish.server.monitors import Monitors
from blemish.server.stores import bucket_maker, encryption_of, s3_store_of
from blemish.server.upkeep import housekeeper
from blemish.service.access import AccessService
from blemish.service.access_keys import AccessKeys
from blemish.service.backbones import BUILT_IN
from blemish.service.bundles import Bundles
from blemish.service.datasets import DatasetService
from blemish.service.detection import DetectionService
from blemish.service.detection_counts import DetectionCounts, Tallies
from blemish.service.detection_jobs import DetectionJobService
from blemish.service.hosting import HostingWork
from blemish.service.importing import DatasetWork
from blemish.service.judging import DetectionJobWork
from blemish.service.models import ModelService
from blemish.service.packaging import PackagingService
from blemish.service.previews import Previews
from blemish.service.projects import ProjectService
from blemish.service.sessions import SessionService
from blemish.service.tagging import TaggingService
from blemish.service.thresholds import ThresholdService
from blemish.service.thumbnails import Thumbnails
from blemish.service.training import TrainingWork
from blemish.service.training_log import TrainingLog
from blemish.service.trials import TrialService
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database import Database
from blemish.storage.files import clear_staging, remove_tree
from blemish.storage.kept import KeptFiles
from blemish.storage.keyring import DEFAULT, Keyring, new_key
from blemish.storage.objects import ObjectStore
from blemish.wire.calls import Gate
from blemish.wire.dispatch import Dispatcher
from blemish.wire.throttle import Throttle

LEASE = timedelta(seconds=10)
"""How long an owner of a row may be silent before another may take it."""

JSON_BODY_BYTES = 16 * 1024 * 1024
"""Bodies other than images: the 10 MiB of UpdateDatasetEntries in base64, and some."""

BODY_ROOM_BYTES = 256 * 1024 * 1024
"""Memory for all bodies at once, where two of the largest need no more."""

DETECTIONS = frozenset({"DetectAnomalies"})
"""Operations that take an image, and are bounded by inference units instead of a rate.

They wait behind no other operation: those may wait for an S3 elsewhere.
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that is ready to answer."""

    #: the ASGI application
    application: Front
    keys: AccessKeys


@contextmanager
def running_server(settings: Settings, directory: DataDirectory) -> Iterator[Server]:
    """Put a server together over a data directory that is locked for this process, and run it.

    What was hosted before is SYSTEM_UPDATING when this yields; work goes on until the end of the
    context, and trainings that are not through by then are taken up at the next start.
    """
    with ExitStack() as stack:
        database = Database.open(directory.database)
        stack.callback(database.close)
        parts = _Parts(settings, directory, database)
        parts.monitors.audit_log.start()
        stack.callback(parts.monitors.audit_log.stop)
        parts.clean()
        parts.hosting_work.begin()
        parts.reconciler.start()
        stack.callback(parts.reconciler.stop)
        stack.callback(parts.trainings.stop)
        stack.callback(parts.detection_jobs.stop)
        stack.callback(parts.counts.keep)
        keeper = housekeeper(settings, directory, database, counts=parts.counts, now=_now)
        keeper.start()
        stack.callback(keeper.stop)
        yield Server(application=parts.front, keys=parts.keys)


class _Parts:
    """Every part of a server, made in the order in which one needs the other."""

    def __init__(self, settings: Settings, directory: DataDirectory, database: Database) -> None:
        self._database = database
        self._directory = directory
        limits = settings.limit_profile
        arns = ArnScope(region=settings.region, account=settings.account)
        self.monitors = Monitors(settings, directory, arns=arns, now=_now)
        keyring = Keyring(directory.keyring, staging=directory.staging)
        keyring.settle(new_key(DEFAULT, random_bytes=secrets.token_bytes, now=_now()))
        encryption = encryption_of(settings, keyring)
        self._kept = KeptFiles(directory.kept, staging=directory.staging, encryption=encryption)
        self._bundles = Bundles(directory.bundles, staging=directory.staging, encryption=encryption)
        self._folder = ObjectStore(directory.buckets)
        self._uploaded = KeptFiles(directory.uploads, staging=directory.staging, encryption=None)
        self.access = AccessService(database, encryption=encryption, arns=arns)
        self.keys = AccessKeys(
            database, encryption=encryption, now=_now, random_bytes=secrets.token_bytes
        )
        self.keys.seal_plain()
        objects = s3_store_of(settings, keys=self.keys) or self._folder
        self.trainings = LocalTrainings(silence_s=LEASE.total_seconds())
        hosting = LocalHosting(
            bundles=self._bundles,
            threads=settings.detection_threads,
            providers=settings.providers,
        )
        self.hosting_work = HostingWork(
            database,
            runner=hosting,
            kept=self._kept,
            bundles=self._bundles,
        )
        #: of detection jobs
        self.detection_jobs = DetectionJobWork(
            database,
            objects=objects,
            kept=self._kept,
            bundles=self._bundles,
            attempts=directory.attempts,
            arns=arns,
            limits=limits,
            mixed_sizes=settings.mixed_sizes,
            now=_now,
            providers=settings.providers,
        )
        training_log = TrainingLog(now=_now)
        self.reconciler = Reconciler(
            database,
            datasets=DatasetWork(
                database, objects=objects, kept=self._kept, limits=limits, now=_now
            ),
            trainings=TrainingWork(
                database,
                runner=self.trainings,
                objects=objects,
                kept=self._kept,
                bundles=self._bundles,
                attempts=directory.attempts,
                staging=directory.staging,
                backbones=backbones_of(settings, directory),
                arns=arns,
                options={
                    "limits": asdict(limits),
                    "mixed_sizes": settings.mixed_sizes,
                    "threads": settings.training_threads,
                    "log_format": settings.log_format,
                    "log_level": settings.log_level,
                },
                log=training_log,
                now=_now,
                lease=LEASE,
            ),
            hosting=self.hosting_work,
            detection_jobs=self.detection_jobs,
            trainings_at_once=settings.trainings_at_once,
            owner=f"{os.getpid()}-{uuid.uuid4()}",
            now=_now,
            lease=LEASE,
        )
        projects = ProjectService(database, limits=limits, now=_now)
        datasets = DatasetService(
            database,
            kept=self._kept,
            now=_now,
            new_name=_new_name,
            wake=self.reconciler.wake,
        )
        models = ModelService(
            database,
            objects=objects,
            kept=self._kept,
            limits=limits,
            arns=arns,
            now=_now,
            new_name=_new_name,
            wake=self.reconciler.wake,
        )
        self.counts = DetectionCounts(database, now=_now)
        detection = DetectionService(
            database,
            hosted=hosting,
            limits=limits,
            mixed_sizes=settings.mixed_sizes,
            arns=arns,
            tally=Tallies(self.monitors.detections, self.counts),
        )
        detection_jobs = DetectionJobService(
            database,
            objects=objects,
            kept=self._kept,
            arns=arns,
            now=_now,
            new_name=_new_name,
            wake=self.reconciler.wake,
        )
        trials = TrialService(database, datasets=datasets)
        packaging = PackagingService(
            database, objects=objects, arns=arns, now=_now, new_name=_new_name
        )
        gate = ApiGate(service_model(), database, arns=arns)
        api = Dispatcher(
            service_model(),
            [
                ProjectOperations(projects=projects, arns=arns),
                DatasetOperations(datasets=datasets),
                ModelOperations(models=models, arns=arns),
                ThresholdOperations(
                    thresholds=ThresholdService(
                        database,
                        bundles=self._bundles,
                        arns=arns,
                        new_name=_new_name,
                        wake=self.reconciler.wake,
                    )
                ),
                DetectionOperations(detection=detection),
                PackagingOperations(packaging=packaging),
                BatchOperations(jobs=detection_jobs),
                TrialOperations(jobs=detection_jobs, trials=trials),
                TaggingOperations(tagging=TaggingService(database, limits=limits, arns=arns)),
            ],
            signer=self.access.signer,
            clock=_now,
            request_ids=_new_name,
            clock_skew_s=settings.clock_skew_s,
            faults=FAULTS,
            observers=self.monitors.observers(service_model()),
            max_body_bytes=lambda operation: (
                limits.detect_body_bytes if operation in DETECTIONS else JSON_BODY_BYTES
            ),
            body_room_bytes=max(BODY_ROOM_BYTES, 2 * limits.detect_body_bytes),
            gates=[gate, *_throttles(limits)],
            apart=DETECTIONS,
        )
        s3 = self._s3(settings)
        waiting_requests = {"lookoutvision": lambda: api.waiting, "s3": lambda: s3.waiting}
        console = Console(
            Services(
                api=api,
                gate=gate,
                sessions=SessionService(
                    database,
                    signer=self.access.signer,
                    now=_now,
                    random_bytes=secrets.token_bytes,
                ),
                objects=objects,
                keys=self.keys,
                observe_keys=self.monitors.key_observer(),
                counts=self.counts,
                directory=directory,
                make_bucket=bucket_maker(settings, self._folder),
                datasets=datasets,
                models=models,
                trials=trials,
                training_log=training_log,
                thumbnails=Thumbnails(
                    directory.thumbnails,
                    staging=directory.staging,
                    objects=objects,
                    max_bytes=limits.detect_body_bytes,
                ),
                previews=Previews(
                    database,
                    bundles=self._bundles,
                    objects=objects,
                    limits=ImageLimits.of(limits),
                    max_bytes=limits.detect_body_bytes,
                    arns=arns,
                ),
                limits=limits,
                mixed_sizes=settings.mixed_sizes,
                default_backbone=settings.backbone or BUILT_IN,
                region=settings.region,
                clock=_now,
                new_name=_new_name,
            )
        )
        self.front = Front(
            api=api,
            console=console,
            s3=s3,
            status=self.monitors.pages(
                database,
                objects=objects,
                hosting=hosting,
                running_trainings=self.reconciler.running_trainings,
                waiting_requests=waiting_requests,
            ),
        )

    def _s3(self, settings: Settings) -> S3Elsewhere | StreamingDispatcher:
        if settings.s3_endpoint is not None:
            return S3Elsewhere(request_ids=_new_name)
        operations = s3_operations(
            self._database,
            self._folder.paths,
            parts=self._uploaded,
            region=settings.region,
            owner=settings.account,
            now=_now,
            new_name=lambda: uuid.uuid4().hex,
        )
        return StreamingDispatcher(
            s3_model(),
            operations,
            signer=self.access.signer,
            clock=_now,
            request_ids=_new_name,
            base_host_names={"localhost", settings.host},
            clock_skew_s=settings.clock_skew_s,
            faults=FAULTS,
            gates=[s3_gate],
            observers=self.monitors.observers(s3_model()),
        )

    def clean(self) -> None:
        """Delete what a crash left behind and no row speaks of."""
        clear_staging(self._directory.staging)
        self._folder.clear_staging()
        for attempt in self._directory.attempts.iterdir():
            remove_tree(attempt, staging=self._directory.staging)
        with self._database.reading() as rows:
            names = rows.kept_names()
            uploaded = rows.uploads.file_names()
        self._uploaded.delete_unnamed(uploaded)
        self._kept.delete_unnamed(names)
        self._bundles.remove_unnamed(names)


def _throttles(limits: Limits) -> list[Gate]:
    if limits.max_requests_per_s is None:
        return []
    pace = limits.max_requests_per_s
    return [Throttle(per_s=pace, exempt=DETECTIONS, clock_ns=time.monotonic_ns)]


def _now() -> datetime:
    return datetime.now(UTC)


def _new_name() -> str:
    return str(uuid.uuid4())
