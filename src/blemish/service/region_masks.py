"""Region masks of projects and models: read from their buckets, checked, and frozen for a model."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable

from blemish.domain.entities import DatasetType
from blemish.domain.errors import ValidationError
from blemish.domain.manifest import object_ref
from blemish.domain.regions import RegionMask, region_mask_of_line
from blemish.service.objects import Objects
from blemish.storage.errors import ObjectError, StoreUnavailableError
from blemish.storage.rows.all_rows import Rows


class RegionMasks:
    """The region masks in the buckets."""

    def __init__(self, objects: Objects, *, max_bytes: int) -> None:
        self._objects = objects
        self._max_bytes = max_bytes

    def read(self, mask: RegionMask) -> bytes:
        """Return the PNG of a region mask after checking it.

        Raises:
            ValidationError: there is none, or it cannot be used.
            StoreUnavailableError: the store does not answer.
        """
        from blemish.engine.images.formats import ImageError
        from blemish.engine.images.regions import decode_regions

        ref = object_ref(mask.url)
        if ref is None:
            raise ValidationError(f"The region mask {mask.url!r} is not an s3://bucket/key.")
        try:
            data = self._objects.read(ref, max_bytes=self._max_bytes)
            decode_regions(data, mask.kind)
        except StoreUnavailableError:
            raise
        except (ImageError, ObjectError) as error:
            raise ValidationError(f"The region mask {ref} cannot be used: {error}") from None
        return data

    def frozen_line(self, mask: RegionMask) -> str:
        """Return the line that freezes a region mask among the entries of a model.

        Raises:
            ValidationError: it cannot be used.
        """
        png = base64.b64encode(self.read(mask)).decode()
        return json.dumps({"regions": mask.document(), "png": png})


def region_mask_of_lines(lines: Iterable[str]) -> RegionMask | None:
    """Return the region mask that the lines of a dataset name.

    Raises:
        ValidationError: they name two.
    """
    first: RegionMask | None = None
    for line in lines:
        mask = region_mask_of_line(line)
        if mask is None or mask == first:
            continue
        if first is not None:
            raise ValidationError(
                f"The training dataset names two region masks, {first} and {mask}. A project has "
                "one: name the same in every line, or set it by UpdateDetectorSettings."
            )
        first = mask
    return first


def region_mask_of_dataset(rows: Rows, project: str) -> RegionMask | None:
    """Return the region mask that the training dataset of a project names, if it names one."""
    dataset = rows.datasets.find(project, DatasetType.TRAIN)
    return None if dataset is None else region_mask_of_lines(rows.entries.lines(dataset.id))
