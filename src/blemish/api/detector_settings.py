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
from blemish.domain.regions import RegionKind, RegionMask
from blemish.service.projects import ProjectService

REGION_MEMBERS = {"Ignored": RegionKind.IGNORED, "OfInterest": RegionKind.OF_INTEREST}


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
    regions = members.get("Regions")
    return detector_change(
        sensitivity=members.get("Sensitivity"),
        resolution=members.get("Resolution"),
        regions=None if regions is None else requested_regions(regions),
        mixed_sizes=members.get("MixedSizes"),
    )


def requested_regions(members: Mapping[str, str]) -> list[RegionMask]:
    """Return the region masks that a request names."""
    return [
        RegionMask(kind=kind, url=members[name])
        for name, kind in REGION_MEMBERS.items()
        if name in members
    ]


def settings_members(settings: DetectorSettings) -> Members:
    """Return detector settings as an answer has them."""
    resolution = settings.resolution
    return {
        "Sensitivity": settings.sensitivity,
        "Resolution": AUTOMATIC if resolution is None else str(resolution),
        "Regions": settings.regions and regions_members(settings.regions),
        "MixedSizes": settings.mixed_sizes,
    }


def regions_members(mask: RegionMask) -> Members:
    """Return a region mask as an answer has it."""
    return {name: mask.url for name, kind in REGION_MEMBERS.items() if kind is mask.kind}
