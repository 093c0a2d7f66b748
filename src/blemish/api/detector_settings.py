"""Detector settings on the wire, which are ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blemish.api.members import Members
from blemish.domain.detector_settings import (
    AUTOMATIC,
    DetectorChange,
    DetectorSettings,
    detector_change,
)
from blemish.service.projects import ProjectService


class DetectorSettingsOperations:
    """Handlers of the operations about the detector settings of projects."""

    def __init__(self, *, projects: ProjectService) -> None:
        self._projects = projects

    def update_detector_settings(
        self, *, project_name: str, detector_settings: Mapping[str, Any]
    ) -> Members:
        settings = self._projects.change_detector(project_name, requested_change(detector_settings))
        return {"DetectorSettings": settings_members(settings)}


def requested_change(members: Mapping[str, Any]) -> DetectorChange:
    """Return the change of settings that a request describes.

    Raises:
        ValidationError: a setting has no such value.
    """
    return detector_change(
        sensitivity=members.get("Sensitivity"), resolution=members.get("Resolution")
    )


def settings_members(settings: DetectorSettings) -> Members:
    """Return detector settings as an answer has them."""
    resolution = settings.resolution
    return {
        "Sensitivity": settings.sensitivity,
        "Resolution": AUTOMATIC if resolution is None else str(resolution),
    }
