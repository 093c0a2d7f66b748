"""Other regions for a trained detector: what counts is overwritten in a copy of its bundle."""

from __future__ import annotations

from dataclasses import replace

from blemish.engine.bundle import Bundle
from blemish.engine.errors import BundleError
from blemish.engine.graph.regions import with_regions
from blemish.engine.images.regions import Regions, check_aspect


def move_regions(bundle: Bundle, regions: Regions) -> Bundle:
    """Return the bundle with other regions; it keeps its threshold and what it learned.

    Raises:
        BundleError: the detector was trained without regions.
        ImageError: the mask has other proportions than the images, or leaves nothing to judge.
    """
    info = bundle.info
    if info.regions is None:
        raise BundleError(
            "it was trained without regions, so nothing in it can be moved. Train a new model"
        )
    if regions.size != info.regions.mask_size:
        check_aspect(regions.size, mask=info.regions.mask_size)
    area = regions.area(
        orientation=info.regions.orientation, size=info.graph_size, grid=info.regions.grid
    )
    moved = replace(
        info.regions, mask_size=regions.size, inspected_share=float(area.pixels.mean()), moved=True
    )
    return Bundle(info=replace(info, regions=moved), model=with_regions(bundle.model, area))
