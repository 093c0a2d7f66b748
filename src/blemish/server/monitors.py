"""All that watches a server, put together: logs, metrics, and the pages for monitors."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from botocore.model import ServiceModel

from blemish.console.services import ConsoleAudits
from blemish.domain.arns import ArnScope
from blemish.domain.limits import MIB
from blemish.monitoring.access_log import access_log
from blemish.monitoring.audit_files import AuditFiles
from blemish.monitoring.audit_log import AuditLog
from blemish.monitoring.audit_records import S3, SIGN_IN, AuditRecords, audit
from blemish.monitoring.audit_search import AuditSearch
from blemish.monitoring.line_metrics import LineAlarm, LineMetrics
from blemish.monitoring.metrics import DetectionMetrics, RequestMetrics, server_registry
from blemish.monitoring.readiness import (
    Readiness,
    database_look,
    disk_look,
    models_look,
    store_look,
)
from blemish.monitoring.state_metrics import Sources, StateMetrics
from blemish.monitoring.status_pages import StatusPages
from blemish.runners.model_hosting import ModelHosting
from blemish.s3.service_model import s3_model
from blemish.service.data_ages import DataAges
from blemish.service.objects import Objects
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from blemish.wire.calls import Observer


class Monitors:
    """What keeps account of the calls of one server, and tells how it does."""

    def __init__(
        self,
        settings: Settings,
        directory: DataDirectory,
        *,
        arns: ArnScope,
        now: Callable[[], datetime],
        ages: DataAges,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._ages = ages
        self._records = AuditRecords(arns=arns, new_id=lambda: str(uuid.uuid4()), now=now)
        self.audit_log = AuditLog(
            AuditFiles(
                directory.audit,
                now=now,
                max_age=timedelta(days=settings.audit_max_age_days),
                max_bytes=settings.audit_max_size_mib * MIB,
                cutoff=ages.cutoff,
            ),
            gap=self._records.of_gap,
        )
        self._registry = server_registry()
        self._requests = RequestMetrics(self._registry)
        self.detections = DetectionMetrics()

    def observers(self, model: ServiceModel) -> list[Observer]:
        """Return who is told of the calls to a service."""
        service = model.signing_name
        return [
            access_log(service),
            self._requests.observer(service),
            audit(
                self.audit_log,
                self._records,
                source=f"{service}.amazonaws.com",
                model=model,
                data_events=self._settings.audit_s3_objects,
            ),
        ]

    def watch_lines(self, alarms: Callable[[], Iterable[LineAlarm]]) -> None:
        """Report the alarms of lines among the metrics; to be called once."""
        self._registry.register(LineMetrics(alarms))

    def console_audits(self) -> ConsoleAudits:
        """Return the observers of what people do in the console, and the log's reader."""
        return ConsoleAudits(
            keys=self._audit("iam.amazonaws.com"),
            objects=self._audit(S3, model=s3_model()),
            sign_in=self._audit(SIGN_IN),
            downloads=self._audit("lookoutvision.amazonaws.com"),
            reader=AuditSearch(self._directory.audit),
        )

    def _audit(self, source: str, *, model: ServiceModel | None = None) -> Observer:
        return audit(self.audit_log, self._records, source=source, model=model, data_events=True)

    def pages(
        self,
        database: Database,
        *,
        objects: Objects,
        hosting: ModelHosting,
        cluster: Callable[[], str | None] | None,
        broker: Callable[[], str | None] | None,
        running_trainings: Callable[[], int],
        waiting_requests: dict[str, Callable[[], int]],
    ) -> StatusPages:
        """Return the pages for monitors; to be called once."""
        sources = Sources(
            reading=database.reading,
            capacities=hosting.capacities,
            model_loads=hosting.loads,
            running_trainings=running_trainings,
            waiting_requests=waiting_requests,
            audit_log=self.audit_log,
        )
        self._registry.register(StateMetrics(sources, detections=self.detections))
        is_shared = self._settings.files_url is not None
        token = self._settings.metrics_token
        return StatusPages(
            readiness=Readiness(
                {
                    "database": database_look(
                        database.reading, write_problem=database.write_problem
                    ),
                    "store": store_look(objects),
                    "disk": disk_look(self._directory.staging),
                    "models": models_look(
                        database.reading, loaded=None if is_shared else hosting.capacities
                    ),
                    "clock": self._ages.problem,
                }
                | ({"ray": cluster} if cluster else {})
                | ({"hosting": broker} if broker else {}),
                # a model that one server cannot load, the others cannot load either
                harmless={"clock", "ray", *(["models", "hosting"] if is_shared else [])},
            ),
            registry=self._registry,
            token=token.get_secret_value() if token else None,
        )
