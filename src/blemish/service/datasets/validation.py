"""Validation of datasets without a training: the problems of their images, page by page."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from blemish.domain.entities import DatasetEntry, DatasetType, MaskOrientation, ObjectRef
from blemish.domain.limits import Limits
from blemish.domain.manifest import parse_line
from blemish.engine.images.formats import ImageError
from blemish.engine.images.sizes import ImageLimits, ImageSize, common_size
from blemish.engine.training.labeled_images import LabeledImage, TrainingMask
from blemish.engine.training.problems import ImageProblem
from blemish.service.datasets.datasets import DatasetService, EntryFilter
from blemish.service.objects import Objects
from blemish.service.projects import require_project
from blemish.service.region_masks import RegionMasks
from blemish.service.training.image_files import read_image_file
from blemish.storage.database.database import Database

SIZED_IMAGES = 20
"""The first labelled training images, whose most common size the other images must have."""

LABELED = EntryFilter(labeled=True)


@dataclass(frozen=True, kw_only=True)
class ValidatedPage:
    """The result for some images of a dataset."""

    checked: int
    problems: tuple[ImageProblem, ...]
    next_token: str | None


class DatasetValidation:
    """Checks the labelled images of a dataset as a training does."""

    def __init__(
        self,
        database: Database,
        *,
        datasets: DatasetService,
        objects: Objects,
        region_masks: RegionMasks,
        limits: Limits,
        mixed_sizes: bool,
        mask_orientation: MaskOrientation | None,
    ) -> None:
        self._database = database
        self._datasets = datasets
        self._objects = objects
        self._region_masks = region_masks
        self._limits = limits
        self._mixed_sizes = mixed_sizes
        self._mask_orientation = mask_orientation

    def page(
        self, project: str, kind: DatasetType, *, token: str | None, limit: int
    ) -> ValidatedPage:
        """Check a page of labelled images and their masks.

        Raises:
            ResourceNotFoundError: there is no such dataset.
            ValidationError: the token is not one of this list.
            ObjectError: the store does not answer.
        """
        from blemish.engine.training.validation import image_problems

        lines, next_token = self._datasets.entries(
            project, kind, wanted=LABELED, token=token, limit=limit
        )
        problems = image_problems(
            [self._labeled(parse_line(line)) for line in lines],
            limits=ImageLimits.of(self._limits),
            expected=self._expected_size(project),
            region_mask_size=self._region_mask_size(project),
        )
        return ValidatedPage(checked=len(lines), problems=problems, next_token=next_token)

    def _region_mask_size(self, project: str) -> tuple[int, int] | None:
        """Return the (width, height) of the region mask of a project; None without one.

        Raises:
            ValidationError: it cannot be used.
        """
        from blemish.engine.images.headers import read_image_header

        with self._database.reading() as rows:
            regions = require_project(rows, project).detector_settings.regions
        if regions is None:
            return None
        return read_image_header(self._region_masks.read(regions)).size

    def _expected_size(self, project: str) -> ImageSize | None:
        """Return the most common size of the first training images.

        Returns:
            None if images may have any size, or none can be read.
        """
        with self._database.reading() as rows:
            settings = require_project(rows, project).detector_settings
        if settings.takes_mixed_sizes(default=self._mixed_sizes):
            return None
        from blemish.engine.images.headers import read_image_header

        lines, _ = self._datasets.entries(
            project, DatasetType.TRAIN, wanted=LABELED, token=None, limit=SIZED_IMAGES
        )
        sizes = []
        for line in lines:
            with suppress(ImageError):
                header = read_image_header(self._read(parse_line(line).image, "image"))
                sizes.append(ImageSize.of(header.size, orientation=header.orientation))
        return common_size(sizes) if sizes else None

    def _labeled(self, entry: DatasetEntry) -> LabeledImage:
        assert entry.label is not None
        mask = entry.mask
        return LabeledImage(
            name=str(entry.image),
            label=entry.label,
            read=partial(self._read, entry.image, "image"),
            mask=TrainingMask(
                read=partial(self._read, mask.ref, "mask"),
                colors=mask.colors,
                name=str(mask.ref),
                orientation=mask.orientation or self._mask_orientation,
            )
            if mask
            else None,
        )

    def _read(self, ref: ObjectRef, kind: str) -> bytes:
        return read_image_file(self._objects, ref, kind, max_bytes=self._limits.detect_body_bytes)
