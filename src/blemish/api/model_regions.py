"""The operation about the regions of a model, which is ours."""

from __future__ import annotations

from collections.abc import Mapping

from blemish.api.detector_settings import regions_members, requested_regions
from blemish.api.members import Members
from blemish.domain.errors import ValidationError
from blemish.service.models.regions import RegionService


class RegionOperations:
    """Handlers of the operations about regions."""

    def __init__(self, *, regions: RegionService) -> None:
        self._regions = regions

    def update_model_regions(
        self, *, project_name: str, model_version: str, regions: Mapping[str, str]
    ) -> Members:
        masks = requested_regions(regions)
        if len(masks) != 1:
            raise ValidationError("Regions takes either Ignored or OfInterest, one of them.")
        moved = self._regions.move(project_name, model_version, regions=masks[0])
        return {"Status": moved.status, "Regions": regions_members(moved.regions)}
