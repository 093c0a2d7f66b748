"""What the pages work with; `server/interfaces.py` builds it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from blemish.console.memory import ConsoleMemory
from blemish.domain.audit_search import AuditFilter, AuditResults
from blemish.domain.limits import Limits
from blemish.line.keeper import LineKeeper
from blemish.service.access.access_keys import AccessKeys
from blemish.service.access.kiosk_links import KioskLinks
from blemish.service.access.oidc.provider_settings import ProviderSettings
from blemish.service.access.sessions import SessionService
from blemish.service.access.user_accounts import UserAccounts
from blemish.service.datasets.datasets import DatasetService
from blemish.service.datasets.thumbnails import Thumbnails
from blemish.service.deletions import TrashService
from blemish.service.detection.counts import DetectionCounts
from blemish.service.detection.previews import Previews
from blemish.service.detection.trials import TrialService
from blemish.service.models.models import ModelService
from blemish.service.objects import Objects
from blemish.service.training.backbones import Backbones
from blemish.service.training.log import TrainingLog
from blemish.storage.data_directory import DataDirectory
from blemish.wire.calls import Call, Gate, Observer
from blemish.wire.wrong_secrets import WrongSecrets


class Api(Protocol):
    """The API, as a signed-in person calls it."""

    def invoke(self, call: Call) -> Awaitable[Mapping[str, Any]]:
        """Answer a call, as `Dispatcher.invoke` does."""


class AuditReader(Protocol):
    """What people have read of the audit log."""

    def page(self, wanted: AuditFilter, *, position: str | None) -> AuditResults:
        """Return a page of entries, the newest first, as `AuditSearch.page` does."""


@dataclass(frozen=True, kw_only=True)
class ConsoleAudits:
    """The observers that write what people do in the console into the audit log; its reader."""

    #: of access keys
    keys: Observer
    #: of objects, images above all
    objects: Observer
    #: of signing in and out, and of requests that the guard refuses
    sign_in: Observer
    #: of bundles that are downloaded, and of the trash
    downloads: Observer
    reader: AuditReader


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services behind the pages."""

    api: Api
    #: of the API: lets a call pass, or raises AccessDeniedError
    gate: Gate
    sessions: SessionService
    objects: Objects
    keys: AccessKeys
    users: UserAccounts
    trash: TrashService
    kiosks: KioskLinks
    audits: ConsoleAudits
    lines: LineKeeper
    counts: DetectionCounts
    directory: DataDirectory
    #: those that were fetched or imported
    backbones: Backbones
    #: returns name and version of the database software
    database_version: Callable[[], str]
    #: makes a bucket, or raises ObjectError
    make_bucket: Callable[[str], None]
    #: to read what the API tells in small pages
    datasets: DatasetService
    models: ModelService
    trials: TrialService
    training_log: TrainingLog
    thumbnails: Thumbnails
    #: what models say of stored images
    previews: Previews
    limits: Limits
    #: whether the images of a project may differ in size
    mixed_sizes: bool
    #: name of the backbone, or its file, where a project has no other
    default_backbone: str
    region: str
    clock: Callable[[], datetime]
    new_name: Callable[[], str]
    #: the identity provider that signs people in; None for passwords and keys alone
    provider: ProviderSettings | None = None
    #: old passwords, by the name of the user
    wrong_passwords: WrongSecrets = field(
        default_factory=lambda: WrongSecrets(monotonic=time.monotonic)
    )
    memory: ConsoleMemory = field(default_factory=ConsoleMemory)
