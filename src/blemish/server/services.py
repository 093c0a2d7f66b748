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
from blemish.service.detection.detection import DetectionCounter, DetectionService, HostedModels
from blemish.service.detection.jobs import DetectionJobService
from blemish.service.detection.trials import TrialService
from blemish.service.models.models import ModelService
from blemish.service.models.packaging import PackagingService
from blemish.service.models.tagging import TaggingService
from blemish.service.models.thresholds import ThresholdService
from blemish.service.projects import ProjectService


@dataclass(frozen=True, kw_only=True)
class UseCases:
    """The services that the API and the console call."""

    access: AccessService
    projects: ProjectService
    datasets: DatasetService
    validation: DatasetValidation
    models: ModelService
    thresholds: ThresholdService
    detection: DetectionService
    detection_jobs: DetectionJobService
    trials: TrialService
    packaging: PackagingService
    tagging: TaggingService


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
    objects, stored_files = storage.objects, storage.stored_files
    datasets = DatasetService(
        database,
        stored_files=stored_files,
        checks=LineChecks(objects=objects, limits=limits),
        now=now,
        new_name=new_name,
        wake=wake,
    )
    return UseCases(
        access=AccessService(database, encryption=storage.encryption, arns=arns),
        projects=ProjectService(
            database, bundles=storage.bundles, stored_files=stored_files, limits=limits, now=now
        ),
        datasets=datasets,
        validation=DatasetValidation(
            datasets,
            objects=objects,
            limits=limits,
            mixed_sizes=foundation.settings.mixed_sizes,
            mask_orientation=foundation.settings.mask_orientation,
        ),
        models=ModelService(
            database,
            objects=objects,
            stored_files=stored_files,
            limits=limits,
            arns=arns,
            now=now,
            new_name=new_name,
            wake=wake,
        ),
        thresholds=ThresholdService(
            database, bundles=storage.bundles, arns=arns, new_name=new_name, wake=wake
        ),
        detection=DetectionService(
            database,
            hosted=hosted,
            limits=limits,
            mixed_sizes=foundation.settings.mixed_sizes,
            arns=arns,
            counter=counter,
        ),
        detection_jobs=DetectionJobService(
            database,
            objects=objects,
            stored_files=stored_files,
            arns=arns,
            now=now,
            new_name=new_name,
            wake=wake,
        ),
        trials=TrialService(database, datasets=datasets),
        packaging=PackagingService(
            database, objects=objects, arns=arns, now=now, new_name=new_name, wake=wake
        ),
        tagging=TaggingService(database, limits=limits, arns=arns),
    )
