"""The use cases of a server, over its database and storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from blemish.server.foundation import Foundation
from blemish.server.stores import Storage
from blemish.service.access.authentication import AccessService
from blemish.service.datasets.datasets import DatasetService
from blemish.service.datasets.line_checks import LineChecks
from blemish.service.datasets.validation import DatasetValidation
from blemish.service.deletions import TrashService
from blemish.service.detection.detection import DetectionCounter, DetectionService, HostedModels
from blemish.service.detection.jobs import DetectionJobService
from blemish.service.detection.trials import TrialService
from blemish.service.models.adjusting import AdjustableModels
from blemish.service.models.models import ModelService
from blemish.service.models.packaging import PackagingService
from blemish.service.models.regions import RegionService
from blemish.service.models.tagging import TaggingService
from blemish.service.models.thresholds import ThresholdService
from blemish.service.projects import ProjectService
from blemish.service.region_masks import RegionMasks


@dataclass(frozen=True, kw_only=True)
class UseCases:
    """The services that the API and the console call."""

    access: AccessService
    projects: ProjectService
    datasets: DatasetService
    validation: DatasetValidation
    models: ModelService
    thresholds: ThresholdService
    regions: RegionService
    detection: DetectionService
    detection_jobs: DetectionJobService
    trials: TrialService
    packaging: PackagingService
    tagging: TaggingService
    trash: TrashService


def build_services(
    foundation: Foundation,
    storage: Storage,
    *,
    wake: Callable[[], None],
    hosted: HostedModels,
    counter: DetectionCounter,
) -> UseCases:
    """Build the use cases.

    Args:
        foundation: of the server.
        storage: of the server.
        wake: called after a change that leaves work for the reconciler.
        hosted: runs the hosted models.
        counter: counts the detections.
    """
    database, limits, arns = foundation.database, foundation.limits, foundation.arns
    now, new_name = foundation.now, foundation.new_name
    datasets = _build_datasets(foundation, storage, wake=wake)
    models = _build_models(foundation, storage, wake=wake)
    region_masks = RegionMasks(storage.objects, max_bytes=limits.detect_body_bytes)
    adjustable = AdjustableModels(
        database, bundles=storage.bundles, arns=arns, new_name=new_name, wake=wake
    )
    projects = ProjectService(
        database,
        bundles=storage.bundles,
        stored_files=storage.stored_files,
        region_masks=region_masks,
        limits=limits,
        now=now,
    )
    return UseCases(
        access=build_access(foundation, storage),
        projects=projects,
        datasets=datasets,
        validation=_build_validation(foundation, storage, datasets, region_masks),
        models=models,
        thresholds=ThresholdService(adjustable),
        regions=RegionService(adjustable, region_masks=region_masks),
        detection=_build_detection(foundation, hosted=hosted, counter=counter),
        detection_jobs=_build_detection_jobs(foundation, storage, wake=wake),
        trials=TrialService(database, datasets=datasets),
        packaging=PackagingService(
            database, objects=storage.objects, arns=arns, now=now, new_name=new_name, wake=wake
        ),
        tagging=TaggingService(database, limits=limits, arns=arns),
        trash=TrashService(database, projects=projects, models=models, datasets=datasets, now=now),
    )


def build_access(foundation: Foundation, storage: Storage) -> AccessService:
    """Build what knows the principals behind access keys."""
    return AccessService(foundation.database, encryption=storage.encryption, arns=foundation.arns)


def _build_datasets(
    foundation: Foundation, storage: Storage, *, wake: Callable[[], None]
) -> DatasetService:
    return DatasetService(
        foundation.database,
        stored_files=storage.stored_files,
        checks=LineChecks(objects=storage.objects, limits=foundation.limits),
        now=foundation.now,
        new_name=foundation.new_name,
        wake=wake,
    )


def _build_validation(
    foundation: Foundation,
    storage: Storage,
    datasets: DatasetService,
    region_masks: RegionMasks,
) -> DatasetValidation:
    return DatasetValidation(
        foundation.database,
        datasets=datasets,
        objects=storage.objects,
        region_masks=region_masks,
        limits=foundation.limits,
        mixed_sizes=foundation.settings.mixed_sizes,
        mask_orientation=foundation.settings.mask_orientation,
    )


def _build_models(
    foundation: Foundation, storage: Storage, *, wake: Callable[[], None]
) -> ModelService:
    return ModelService(
        foundation.database,
        objects=storage.objects,
        stored_files=storage.stored_files,
        limits=foundation.limits,
        arns=foundation.arns,
        now=foundation.now,
        new_name=foundation.new_name,
        wake=wake,
    )


def _build_detection(
    foundation: Foundation, *, hosted: HostedModels, counter: DetectionCounter
) -> DetectionService:
    return DetectionService(
        foundation.database,
        hosted=hosted,
        limits=foundation.limits,
        mixed_sizes=foundation.settings.mixed_sizes,
        arns=foundation.arns,
        counter=counter,
    )


def _build_detection_jobs(
    foundation: Foundation, storage: Storage, *, wake: Callable[[], None]
) -> DetectionJobService:
    return DetectionJobService(
        foundation.database,
        objects=storage.objects,
        stored_files=storage.stored_files,
        arns=foundation.arns,
        now=foundation.now,
        new_name=foundation.new_name,
        wake=wake,
    )
