"""Which backbones the settings name."""

from __future__ import annotations

from blemish.service.training.backbones import Backbones, ProjectBackbones
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory


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
    return backbones
