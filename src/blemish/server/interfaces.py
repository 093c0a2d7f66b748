"""What clients and people reach: the API, S3 and the console."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from blemish.api.authorization import ApiGate, api_action_gate
from blemish.api.datasets import DatasetOperations
from blemish.api.detection import DetectionOperations
from blemish.api.detection_jobs import BatchOperations, TrialOperations
from blemish.api.detector_settings import DetectorSettingsOperations
from blemish.api.model_regions import RegionOperations
from blemish.api.models import ModelOperations
from blemish.api.packaging import PackagingOperations
from blemish.api.projects import ProjectOperations
from blemish.api.regions import listing_own_region
from blemish.api.service_model import service_model
from blemish.api.tagging import TaggingOperations
from blemish.api.thresholds import ThresholdOperations
from blemish.console.app import Console
from blemish.console.services import ConsoleAudits, Services
from blemish.domain.limits import Limits
from blemish.engine.images.sizes import ImageLimits
from blemish.line.keeper import LineKeeper
from blemish.s3.authorization import s3_action_gate, s3_gate
from blemish.s3.operations import s3_operations
from blemish.s3.protocol.service import s3_dispatcher
from blemish.s3.service_model import s3_model
from blemish.server.backbones import shared_or_local_backbones
from blemish.server.error_messages import ERROR_MESSAGES, LOGGED_ERRORS
from blemish.server.foundation import Foundation
from blemish.server.front import S3Elsewhere
from blemish.server.services import UseCases
from blemish.server.storage_gate import StorageGate
from blemish.server.stores import Storage, bucket_maker
from blemish.server.workers import Workers
from blemish.service.access.kiosk_links import KioskLinks
from blemish.service.access.oidc.provider_settings import ProviderSettings
from blemish.service.access.sessions import SessionService
from blemish.service.datasets.thumbnails import Thumbnails
from blemish.service.detection.counts import DetectionCounts
from blemish.service.detection.previews import Previews
from blemish.service.training.backbones import BUILT_IN
from blemish.settings import Settings
from blemish.storage.disk import Disk
from blemish.sts.service import sts_dispatcher
from blemish.wire.calls import Gate, Observer
from blemish.wire.dispatch import Dispatcher
from blemish.wire.request_body import BodyMemory
from blemish.wire.rest_json_service import BODY_MEMORY_BYTES, rest_json_dispatcher
from blemish.wire.throttle import Throttle

JSON_BODY_BYTES = 16 * 1024 * 1024
"""Longest body without an image: 10 MiB of UpdateDatasetEntries in base64, and more."""

DETECTIONS = frozenset({"DetectAnomalies"})
"""Operations that take an image. Inference units bound them instead of a rate.
"""


ASKING_THE_STORE = frozenset(
    {
        "CreateModel",
        "StartBatchDetection",
        "StartModelPackagingJob",
        "StartTrialDetection",
        "UpdateDetectorSettings",
        "UpdateModelRegions",
    }
)
"""Operations that ask the store of objects before they answer.

Nothing else waits behind them while an S3 elsewhere is silent.
"""


def build_operations(foundation: Foundation, services: UseCases) -> list[object]:
    """Return the handlers of all operations of the API."""
    return [
        ProjectOperations(projects=services.projects, arns=foundation.arns),
        DatasetOperations(datasets=services.datasets, validation=services.validation),
        ModelOperations(models=services.models, arns=foundation.arns),
        DetectorSettingsOperations(projects=services.projects),
        RegionOperations(regions=services.regions),
        ThresholdOperations(thresholds=services.thresholds),
        DetectionOperations(detection=services.detection),
        PackagingOperations(packaging=services.packaging, arns=foundation.arns),
        BatchOperations(jobs=services.detection_jobs),
        TrialOperations(jobs=services.detection_jobs, trials=services.trials),
        TaggingOperations(tagging=services.tagging),
    ]


def build_api(
    foundation: Foundation, services: UseCases, *, gate: ApiGate, observers: Sequence[Observer]
) -> Dispatcher:
    """Build the API of Lookout for Vision."""
    limits, settings = foundation.limits, foundation.settings
    operations = build_operations(foundation, services)
    if settings.list_own_region:
        operations = listing_own_region(service_model(), operations, region=settings.region)
    return rest_json_dispatcher(
        service_model(),
        operations,
        signer=services.access.signer,
        clock=foundation.now,
        request_ids=foundation.new_name,
        clock_skew_s=settings.clock_skew_s,
        wrong_secrets=foundation.wrong_secrets,
        error_messages=ERROR_MESSAGES,
        logged_errors=LOGGED_ERRORS,
        observers=observers,
        max_body_bytes=lambda operation: (
            limits.detect_body_bytes if operation in DETECTIONS else JSON_BODY_BYTES
        ),
        body_memory=BodyMemory(max(BODY_MEMORY_BYTES, 2 * limits.detect_body_bytes)),
        action_gate=api_action_gate,
        gates=[gate, *_throttles(limits, foundation), _storage_gate(foundation)],
        dedicated=[DETECTIONS, ASKING_THE_STORE],
    )


def build_s3(
    foundation: Foundation, storage: Storage, services: UseCases, *, observers: Sequence[Observer]
) -> S3Elsewhere | Dispatcher:
    """Build S3 over the buckets of the data directory, or the refusal where they are elsewhere."""
    settings = foundation.settings
    if settings.s3_endpoint is not None:
        return S3Elsewhere(request_ids=foundation.new_name)
    operations = s3_operations(
        foundation.database,
        storage.folder.paths,
        parts=storage.uploads,
        region=settings.region,
        owner=settings.account,
        now=foundation.now,
        new_name=lambda: uuid.uuid4().hex,
    )
    return s3_dispatcher(
        s3_model(),
        operations,
        signer=services.access.signer,
        clock=foundation.now,
        request_ids=foundation.new_name,
        base_host_names={"localhost", settings.host},
        clock_skew_s=settings.clock_skew_s,
        wrong_secrets=foundation.wrong_secrets,
        error_messages=ERROR_MESSAGES,
        logged_errors=LOGGED_ERRORS,
        action_gate=s3_action_gate,
        gates=[s3_gate, _storage_gate(foundation)],
        observers=observers,
    )


def build_sts(
    foundation: Foundation, services: UseCases, *, observers: Sequence[Observer]
) -> Dispatcher:
    """Build STS, of which clients call GetCallerIdentity."""
    return sts_dispatcher(
        account=foundation.settings.account,
        signer=services.access.signer,
        clock=foundation.now,
        request_ids=foundation.new_name,
        clock_skew_s=foundation.settings.clock_skew_s,
        wrong_secrets=foundation.wrong_secrets,
        error_messages=ERROR_MESSAGES,
        logged_errors=LOGGED_ERRORS,
        observers=observers,
    )


def build_console(
    foundation: Foundation,
    storage: Storage,
    services: UseCases,
    workers: Workers,
    *,
    api: Dispatcher,
    gate: ApiGate,
    counts: DetectionCounts,
    audits: ConsoleAudits,
    lines: LineKeeper,
) -> Console:
    """Build the console; its framework is loaded when the first person opens a page."""
    settings = foundation.settings
    kiosks = _kiosks(foundation)
    return Console(
        Services(
            api=api,
            gate=gate,
            sessions=_sessions(foundation, storage, services, kiosks),
            objects=storage.objects,
            keys=storage.access_keys,
            users=storage.users,
            trash=services.trash,
            kiosks=kiosks,
            audits=audits,
            lines=lines,
            counts=counts,
            directory=foundation.directory,
            backbones=shared_or_local_backbones(settings, foundation.directory),
            database_version=lambda: foundation.database.version,
            make_bucket=bucket_maker(settings, storage.folder),
            datasets=services.datasets,
            models=services.models,
            trials=services.trials,
            training_log=workers.training_log,
            thumbnails=_thumbnails(foundation, storage),
            previews=_previews(foundation, storage),
            limits=foundation.limits,
            mixed_sizes=settings.mixed_sizes,
            default_backbone=settings.backbone or BUILT_IN,
            region=settings.region,
            clock=foundation.now,
            new_name=foundation.new_name,
            provider=_provider(settings),
        )
    )


def _provider(settings: Settings) -> ProviderSettings | None:
    """Return the identity provider, which is not asked for anything before somebody signs in."""
    client_id, secret = settings.oidc_client_id, settings.oidc_client_secret
    if settings.oidc_issuer is None or client_id is None or secret is None:
        return None
    return ProviderSettings(
        issuer=settings.oidc_issuer,
        client_id=client_id,
        client_secret=secret.get_secret_value(),
        name=settings.oidc_name or "",
        roles_claim=settings.oidc_roles_claim,
        roles=settings.oidc_roles or {},
        default_role=settings.oidc_default_role,
    )


def _kiosks(foundation: Foundation) -> KioskLinks:
    return KioskLinks(
        foundation.database,
        arns=foundation.arns,
        now=foundation.now,
        random_bytes=foundation.random_bytes,
    )


def _sessions(
    foundation: Foundation, storage: Storage, services: UseCases, kiosks: KioskLinks
) -> SessionService:
    return SessionService(
        foundation.database,
        access=services.access,
        users=storage.users,
        kiosks=kiosks,
        now=foundation.now,
        random_bytes=foundation.random_bytes,
    )


def _thumbnails(foundation: Foundation, storage: Storage) -> Thumbnails:
    return Thumbnails(
        foundation.directory.thumbnails,
        staging=foundation.directory.staging,
        objects=storage.objects,
        max_bytes=foundation.limits.detect_body_bytes,
    )


def _previews(foundation: Foundation, storage: Storage) -> Previews:
    return Previews(
        foundation.database,
        bundles=storage.bundles,
        objects=storage.objects,
        limits=ImageLimits.of(foundation.limits),
        max_bytes=foundation.limits.detect_body_bytes,
        arns=foundation.arns,
    )


def _storage_gate(foundation: Foundation) -> Gate:
    return StorageGate(Disk(foundation.directory), problem=foundation.disk_problem)


def _throttles(limits: Limits, foundation: Foundation) -> list[Gate]:
    pace = limits.max_requests_per_s
    if pace is None:
        return []
    return [Throttle(per_s=pace, exempt=DETECTIONS, clock_ns=foundation.monotonic_ns)]
