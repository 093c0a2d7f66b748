"""The background work of a server: imports, trainings, hosting, detection and packaging jobs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from blemish.domain.limits import MIB
from blemish.runners.cluster.check import ClusterCheck
from blemish.runners.cluster.cluster_detectors import ClusterDetectors
from blemish.runners.cluster.images import ClusterImages
from blemish.runners.detectors import DetectorLoader, LocalDetectors
from blemish.runners.local import PROCESS, LocalTrainings
from blemish.runners.local_images import LocalImages
from blemish.runners.model_hosting import ModelHosting
from blemish.runners.model_memory import default_memory_bytes
from blemish.runners.reconciler import Reconciler
from blemish.server.backbones import backbones_of
from blemish.server.foundation import Foundation
from blemish.server.services import build_access
from blemish.server.stores import Storage
from blemish.service.datasets.importing import DatasetWork
from blemish.service.detection.job_images import ImageRunner
from blemish.service.detection.job_work import DetectionJobWork
from blemish.service.models.hosting import HostingRunner, HostingWork, hosted_row
from blemish.service.models.packaging_work import PackagingWork
from blemish.service.training.log import TrainingLog
from blemish.service.training.runner import TrainingRunner
from blemish.service.training.training import TrainingWork
from blemish.settings import Settings, TrainingResources

LEASE = timedelta(seconds=10)
"""How long the owner of a row may be silent before another process may take the row."""

BROKER_SILENCE_S = 30.0
"""How long a broker of hosted models may be silent: on a busy machine it imports Ray for long."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Everything that works on rows in progress."""

    reconciler: Reconciler
    trainings: LocalTrainings
    training_log: TrainingLog
    hosting: ModelHosting
    hosting_work: HostingWork
    detection_job_work: DetectionJobWork
    #: of the Ray cluster that the settings name
    cluster_check: ClusterCheck | None
    #: that run hosted models, if the settings say so
    cluster_detectors: ClusterDetectors | None


def build_workers(foundation: Foundation, storage: Storage) -> Workers:
    """Build the workers of a server; the reconciler is not started."""
    settings = foundation.settings
    trainings = LocalTrainings(
        silence_s=LEASE.total_seconds(),
        command=_training_command(settings),
        keep=settings.ray_address is not None,  # a driver takes seconds to connect
    )
    training_log = TrainingLog(now=foundation.now)
    cluster_detectors = _cluster_detectors(settings, storage)
    hosting = ModelHosting(
        bundles=storage.bundles,
        detectors=cluster_detectors or _local_detectors(settings, storage),
        hosted_row=partial(hosted_row, foundation.database),
        memory_bytes=sys.maxsize if cluster_detectors else _model_memory_bytes(settings),
    )
    hosting_work = build_hosting_work(foundation, storage, runner=hosting)
    detection_job_work = build_detection_job_work(foundation, storage)
    reconciler = Reconciler(
        foundation.database,
        datasets=build_dataset_work(foundation, storage),
        trainings=build_training_work(foundation, storage, runner=trainings, log=training_log),
        hosting=hosting_work,
        detection_jobs=detection_job_work,
        packaging_jobs=build_packaging_work(foundation, storage),
        trainings_at_once=settings.trainings_at_once,
        owner=foundation.server_id,
        clock=foundation.work_time,
        lease=LEASE,
        is_shared=foundation.is_shared,
    )
    return Workers(
        reconciler=reconciler,
        trainings=trainings,
        training_log=training_log,
        hosting=hosting,
        hosting_work=hosting_work,
        detection_job_work=detection_job_work,
        cluster_check=ClusterCheck(settings.ray_address) if settings.ray_address else None,
        cluster_detectors=cluster_detectors,
    )


def _local_detectors(settings: Settings, storage: Storage) -> DetectorLoader:
    return LocalDetectors(
        storage.bundles, threads=settings.detection_threads, providers=settings.providers
    )


def _model_memory_bytes(settings: Settings) -> int:
    if settings.model_memory_mib is None:
        return default_memory_bytes()
    return settings.model_memory_mib * MIB


def _cluster_detectors(settings: Settings, storage: Storage) -> ClusterDetectors | None:
    """Return what runs hosted models on the Ray cluster; None if this server runs them."""
    if settings.hosting == "local":
        return None
    assert settings.ray_address is not None
    return ClusterDetectors(
        storage.bundles,
        command=(
            sys.executable,
            "-m",
            "blemish.runners.cluster.ray_broker",
            settings.ray_address,
            f"--cpus={settings.ray_hosting_cpus:g}",
            f"--gpus={settings.ray_hosting_gpus:g}",
            f"--providers={','.join(settings.providers)}",
        ),
        silence_s=BROKER_SILENCE_S,
    )


def _training_command(settings: Settings) -> Sequence[str]:
    """Return the command of a training process, or of the driver of a training on Ray."""
    if settings.ray_address is None:
        return PROCESS
    of_projects = {
        project: _ray_resources(settings, resources)
        for project, resources in (settings.ray_project_trainings or {}).items()
    }
    return (
        sys.executable,
        "-m",
        "blemish.runners.cluster.ray_training",
        settings.ray_address,
        json.dumps({"": _ray_resources(settings, TrainingResources())} | of_projects),
    )


def _ray_resources(settings: Settings, of_project: TrainingResources) -> dict[str, float]:
    """Return what a training takes of a node, as arguments of a Ray task."""
    cpus, gpus, memory_mib = of_project.cpus, of_project.gpus, of_project.memory_mib
    return {
        "num_cpus": settings.training_threads if cpus is None else cpus,
        "num_gpus": settings.ray_training_gpus if gpus is None else gpus,
        "memory": (settings.ray_training_memory_mib if memory_mib is None else memory_mib) << 20,
    }


def build_dataset_work(foundation: Foundation, storage: Storage) -> DatasetWork:
    """Build what imports and updates datasets."""
    return DatasetWork(
        foundation.database,
        objects=storage.objects,
        stored_files=storage.stored_files,
        limits=foundation.limits,
        rights=build_access(foundation, storage).rights,
        now=foundation.now,
    )


def build_training_work(
    foundation: Foundation, storage: Storage, *, runner: TrainingRunner, log: TrainingLog
) -> TrainingWork:
    """Build what trains models."""
    settings, directory = foundation.settings, foundation.directory
    return TrainingWork(
        foundation.database,
        runner=runner,
        objects=storage.objects,
        stored_files=storage.stored_files,
        bundles=storage.bundles,
        attempts=directory.attempts,
        staging=directory.staging,
        backbones=backbones_of(settings, directory),
        arns=foundation.arns,
        mixed_sizes=settings.mixed_sizes,
        options={
            "limits": foundation.limits,
            "mask_orientation": settings.mask_orientation,
            "resolution": settings.resolution,
            "threads": settings.training_threads,
            "log_format": settings.log_format,
            "log_level": settings.log_level,
        },
        log=log,
        now=foundation.now,
        clock=foundation.work_time,
        lease=LEASE,
    )


def build_hosting_work(
    foundation: Foundation, storage: Storage, *, runner: HostingRunner
) -> HostingWork:
    """Build what loads and unloads hosted models."""
    return HostingWork(
        foundation.database,
        runner=runner,
        stored_files=storage.stored_files,
        bundles=storage.bundles,
        now=foundation.now,
        is_shared=storage.shared is not None,
    )


def build_detection_job_work(foundation: Foundation, storage: Storage) -> DetectionJobWork:
    """Build what carries out batches and trials."""
    return DetectionJobWork(
        foundation.database,
        objects=storage.objects,
        stored_files=storage.stored_files,
        bundles=storage.bundles,
        folder=foundation.directory.detection_jobs,
        images=_image_runner(foundation.settings, storage),
        arns=foundation.arns,
        limits=foundation.limits,
        mixed_sizes=foundation.settings.mixed_sizes,
        rights=build_access(foundation, storage).rights,
        now=foundation.now,
    )


def _image_runner(settings: Settings, storage: Storage) -> ImageRunner:
    """Return what looks at the images of batches and trials: this server, or a Ray cluster."""
    local = LocalImages(
        storage.objects, threads=settings.detection_threads, providers=settings.providers
    )
    if settings.ray_address is None:
        return local
    cpus = settings.ray_detection_cpus
    return ClusterImages(
        command=(
            sys.executable,
            "-m",
            "blemish.runners.cluster.ray_images",
            settings.ray_address,
            f"--cpus={cpus}",
            f"--gpus={settings.ray_detection_gpus:g}",
        ),
        options={"threads": cpus, "providers": settings.providers},
        silence_s=LEASE.total_seconds(),
        local=local,
    )


def build_packaging_work(foundation: Foundation, storage: Storage) -> PackagingWork:
    """Build what packages models for the edge."""
    return PackagingWork(
        foundation.database,
        objects=storage.objects,
        bundles=storage.bundles,
        arns=foundation.arns,
        mixed_sizes=foundation.settings.mixed_sizes,
        now=foundation.now,
    )
