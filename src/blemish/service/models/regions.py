"""Other regions for a model that was trained with regions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from blemish.domain.detector_settings import DEFAULT_SETTINGS
from blemish.domain.entities import ModelStatus
from blemish.domain.errors import ValidationError
from blemish.domain.regions import RegionMask
from blemish.engine.errors import BundleError
from blemish.service.models.adjusting import AdjustableModels
from blemish.service.region_masks import RegionMasks
from blemish.storage.errors import EncryptionError

MOVING = "The model is being moved to other regions."
OLDER = (
    "The regions were changed after the training: Performance and the evaluation files are older."
)


@dataclass(frozen=True, kw_only=True)
class MovedRegions:
    """The result of moving regions."""

    status: ModelStatus
    regions: RegionMask


class RegionService:
    """The regions of the models."""

    def __init__(self, models: AdjustableModels, *, region_masks: RegionMasks) -> None:
        self._models = models
        self._region_masks = region_masks

    def move(self, project: str, version: str, *, regions: RegionMask) -> MovedRegions:
        """Put other regions in force; a hosted model uses the old ones until it is loaded.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: its status does not allow it, it was trained without regions, or its
                bundle is damaged.
            ValidationError: the region mask cannot be used.
        """
        from blemish.engine.images.formats import ImageError
        from blemish.engine.images.regions import decode_regions
        from blemish.engine.moved_regions import move_regions

        model, name = self._models.adjustable(project, version)
        data = self._region_masks.read(regions)
        try:
            bundle = self._models.bundles.read(name)
            moved = move_regions(bundle, decode_regions(data, regions.kind))
            status = self._models.replace_bundle(
                model,
                moved,
                instead_of=name,
                moving=MOVING,
                note=OLDER,
                settings=replace(model.detector_settings or DEFAULT_SETTINGS, regions=regions),
            )
        except ImageError as error:
            raise ValidationError(
                f"The region mask {regions.url} cannot be used: {error}"
            ) from None
        except (BundleError, EncryptionError) as error:
            raise self._models.conflict(model, str(error)) from None
        return MovedRegions(status=status, regions=regions)
